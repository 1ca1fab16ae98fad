r"""Formulas of several parts, which docstrings write ``A, \quad B``, have a line for each part where they are long."""

import re

from docutils import nodes

#: Characters of source above which a formula is wider than a page of 400 pixels, or of 1280.
LONG = 80


def parts_of(formula):
    """What stands between commas and wide spaces, outside of braces and environments."""
    parts = []
    for piece in re.split(r"(?<=,)\s*\\q?quad\s+", formula):
        if parts and any(parts[-1].count(low) != parts[-1].count(high) for low, high in ("{}", (r"\begin", r"\end"))):
            parts[-1] += rf" \quad {piece}"
        else:
            parts.append(piece)
    return parts


def lines_of(formula):
    """The lines of a long formula; None for one that is short, of one part, or aligned by hand."""
    parts = [part for line in re.split(r"\n\s*\n", formula) for part in parts_of(line)]
    return None if len(parts) < 2 or "&" in formula or len(formula) <= LONG else parts


def in_lines(app, doctree):
    """Break long formulas; blank lines are what Sphinx makes lines of."""
    for formula in doctree.findall(nodes.math_block):
        if lines := lines_of(formula.astext()):
            formula.children = [nodes.Text("\n\n".join(f"& {line}" for line in lines))]
            formula[0].parent = formula


def setup(app):
    """Register with sphinx."""
    app.connect("doctree-read", in_lines)
    return {"version": "2", "parallel_read_safe": True}
