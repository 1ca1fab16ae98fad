"""Where a solver beyond the nine classical ones is worth naming, and where it is not.

Those that are in no line were not found to be worth it on a table; they are for reproducing a fit from elsewhere. What
is said was measured by ``examples/benchmarks/families.py`` (docs/choosing_evidence.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skvariants._advice.facts import Facts
from skvariants._advice.rules import LONG, MANY
from skvariants._advice.troubles import UNEQUAL

__all__ = ["FURTHER", "Further", "further"]

#: Rows from which the noise of batches is what is left at the end, and a slope for each row pays.
TABLE = 4_000
#: Rows from which the steps that an estimated length needs at first do not matter.
LARGE = 10_000
#: Share of values that are not zero from which rows are dense.
DENSE = 0.1


@dataclass(frozen=True)
class Further:
    """Solvers, with the problems that they are worth naming for.

    Parameters
    ----------
    condition : str
        When they are, in words.
    applies : callable
        The same, as a function of :class:`Facts`.
    solvers : tuple of str
        Names of solvers.
    worth : str
        What they give.
    limits : str
        Where they are not worth it.
    """

    condition: str
    applies: Callable[[Facts], bool]
    solvers: tuple[str, ...]
    worth: str
    limits: str


#: In the order of the families.
FURTHER: tuple[Further, ...] = (
    Further(
        f"{LARGE:,} rows or more",
        lambda f: f.n_samples >= LARGE,
        ("dowg",),
        "an estimated length: no step to choose or to race, which in a stream costs one column instead of eleven",
        "a few thousand rows, in which it hardly moves at first, or a ravine of unequal units",
    ),
    Further(
        "one target, or two classes",
        lambda f: f.n_columns == 1,
        ("prodigy",),
        "Adam with an estimated length: mostly nearer the optimum than the best of the nine, at Adam's price",
        "several classes, with which it ended about where Adam does",
    ),
    Further(
        f"rare features ({MANY:.0%} of the columns or more)",
        lambda f: f.rare_share >= MANY,
        ("ftrl", "dual_averaging"),
        "exact zeros at any time of a stream, with penalty='l1'",
        "a table at hand, on which AdaGrad, and 'auto' above all, end nearer",
    ),
    Further(
        f"raw columns, whose scales differ by {UNEQUAL:g} or more",
        lambda f: f.scale_ratio >= UNEQUAL and not f.scaled,
        ("nag", "implicit"),
        "one pass over rows whose units nobody knows: no step of a row is too long",
        "many passes, or anything that is to be quick: they go row by row, in Python",
    ),
    Further(
        f"{TABLE:,} rows or more, dense, and a ravine of less than {LONG:g} steps",
        lambda f: f.n_samples >= TABLE and f.density >= DENSE and f.ravine < LONG,
        ("svrg", "saga"),
        "the noise of batches is taken off: on most such tables nearer the optimum than the best of the nine",
        "a stream, in which their steps are plain; wide sparse rows; memory that has no number for each row and column",
    ),
)


def further(facts: Facts) -> tuple[Further, ...]:
    """The lines that apply.

    Parameters
    ----------
    facts : Facts
        What was measured.

    Returns
    -------
    tuple of Further
    """
    return tuple(line for line in FURTHER if line.applies(facts))
