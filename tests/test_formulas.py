"""Formulas of the documentation: where those that are wider than a page are broken into lines."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("docutils")
DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def lines_of(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(DOCS / "_ext"), *sys.path])
    return pytest.importorskip("formulas").lines_of


LEFT, RIGHT = "a_t = " + "a_{t-1} + " * 5 + "1", r"w_{t+1} = w_t - \eta g_t / \sqrt{a_t + \varepsilon} + 0 + 0"


def test_long_formulas_have_a_line_for_each_part(lines_of):
    assert lines_of(rf"{LEFT}, \qquad {RIGHT}") == [f"{LEFT},", RIGHT]
    assert lines_of(f"{LEFT}\n\n{RIGHT}") == [LEFT, RIGHT]


def test_what_is_short_or_aligned_stays(lines_of):
    assert lines_of(r"a = 1, \qquad b = 2") is None
    assert lines_of(rf"& {LEFT}, \qquad {RIGHT}") is None
    assert lines_of(rf"{LEFT}, \qquad b_t = \begin{{cases}} 1 & a_t > 0 \\ 0 & a_t \le 0 \end{{cases}}") is None
    assert lines_of(LEFT + RIGHT) is None
