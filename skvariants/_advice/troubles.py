"""The troubles of stochastic steps, as far as a table has them, with their cures and what the cures cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skvariants._advice.facts import Facts
from skvariants._advice.rules import MANY, RAVINE, SMALL

__all__ = ["TROUBLES", "Finding", "Trouble", "troubles"]

#: Largest over smallest scale from which units are unequal.
UNEQUAL = 10.0
#: What is left of the targets' variance from which rows are said to disagree.
NOISY = 0.1


@dataclass(frozen=True)
class Trouble:
    """What makes plain steps slow, and what helps.

    Parameters
    ----------
    name : str
        What it is called.
    measure : callable
        What was measured of it, in words.
    applies : callable
        Whether it is there, as a function of :class:`Facts`.
    cure : str
        What helps.
    price : str
        What that costs.
    """

    name: str
    measure: Callable[[Facts], str]
    applies: Callable[[Facts], bool]
    cure: str
    price: str


@dataclass(frozen=True)
class Finding:
    """A trouble, looked for in some data.

    Parameters
    ----------
    name, measured : str
        What it is called, and what was measured.
    present : bool
        Whether the data has it.
    cure, price : str
        What helps, and what that costs.
    """

    name: str
    measured: str
    present: bool
    cure: str
    price: str


def _ravine(f: Facts) -> str:
    steps = "at least 1e9" if f.ravine >= 1e9 else f"{f.ravine:.3g}"
    return f"condition number {f.condition_number:.3g}; {steps} steps of gradient descent to a hundredth"


def _noise(f: Facts) -> str:
    if f.noise is None:
        return f"{f.sample_rows:,} rows do not tell it"
    return f"a linear model leaves {f.noise:.0%} of the targets' variance"


#: In the order of the page on choosing.
TROUBLES: tuple[Trouble, ...] = (
    Trouble(
        "a step costs a pass",
        lambda f: f"{f.n_samples:,} rows" + (", as quick as a few steps" if f.n_samples <= SMALL else ""),
        lambda f: f.n_samples > SMALL,
        "small batches ('minibatch')",
        "noise",
    ),
    Trouble(
        "noise",
        _noise,
        lambda f: f.noise is not None and f.noise >= NOISY,
        "steps that shrink (learning_rate='auto' sees to it), larger batches, average=True, or 'svrg'",
        "more epochs near the end",
    ),
    Trouble(
        "unequal units",
        lambda f: f"largest over smallest scale {f.scale_ratio:.3g}" + (", evened out by scaling" if f.scaled else ""),
        lambda f: f.scale_ratio >= UNEQUAL and not f.scaled,
        "scale_features='auto'",
        "a pass for means and variances",
    ),
    Trouble(
        "a ravine",
        _ravine,
        lambda f: f.ravine >= RAVINE,
        "'momentum' or 'nesterov'",
        "an array, and a path that overshoots",
    ),
    Trouble(
        "rare features",
        lambda f: f"{f.rare_share:.0%} of the columns are not zero in fewer than 1 % of the rows",
        lambda f: f.rare_share >= MANY,
        "a rate for each weight: 'adagrad', or 'rmsprop' and 'adadelta', which do not stall",
        "an array or two; AdaGrad's steps only shrink",
    ),
    Trouble(
        "a ravine and rare features",
        lambda f: "both of the above" if f.ravine >= RAVINE and f.rare_share >= MANY else "not both",
        lambda f: f.ravine >= RAVINE and f.rare_share >= MANY,
        "'adam'",
        "two arrays, and the most arithmetic per step",
    ),
)


def troubles(facts: Facts) -> tuple[Finding, ...]:
    """Look for each trouble.

    Parameters
    ----------
    facts : Facts
        What was measured.

    Returns
    -------
    tuple of Finding
    """
    return tuple(Finding(t.name, t.measure(facts), t.applies(facts), t.cure, t.price) for t in TROUBLES)
