r"""Formulas of several parts, which docstrings write ``A, \qquad B``, have a line for each part where they are long."""

from docutils import nodes

#: Characters of source above which a formula is wider than a page of 400 pixels, or of 1280.
LONG = 90


def in_lines(app, doctree):
    """Break long formulas; blank lines are what Sphinx makes lines of."""
    for formula in doctree.findall(nodes.math_block):
        text = formula.astext()
        if r"\qquad" in text and len(text) > LONG:
            parts = [part.strip() for part in text.split(r"\qquad")]
            formula.children = [nodes.Text("\n\n".join(f"& {part}" for part in parts))]
            formula[0].parent = formula


def setup(app):
    """Register with sphinx."""
    app.connect("doctree-read", in_lines)
    return {"version": "1", "parallel_read_safe": True}
