r"""Formulas of several parts, which docstrings write ``A, \quad B``, have a line for each part where they are long.

Those within a sentence stay on the line of the comma, full stop or bracket beside them.
"""

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


def beside_punctuation(app, doctree):
    """Put formulas and the punctuation beside them into one element, which is not broken."""
    for formula in list(doctree.findall(nodes.math)):
        parent = formula.parent
        at = parent.index(formula)
        before, after = text_of(parent, at - 1), text_of(parent, at + 1)
        opening, closing = re.search(r"[(\[]?$", before)[0], re.match(r"[^\w\s(\[-]*", after)[0]
        if opening or closing:
            whole = nodes.inline(classes=["with-formula"])
            parent[at] = whole
            whole += [nodes.Text(opening), formula, nodes.Text(closing)]
        if closing:
            parent[at + 1] = nodes.Text(after[len(closing) :])
        if opening:
            parent[at - 1] = nodes.Text(before[:-1])


def text_of(parent, at):
    """The text at a place, empty where there is none."""
    return str(parent[at]) if 0 <= at < len(parent) and isinstance(parent[at], nodes.Text) else ""


def setup(app):
    """Register with sphinx."""
    app.connect("doctree-read", in_lines)
    app.connect("doctree-read", beside_punctuation)
    return {"version": "3", "parallel_read_safe": True}
