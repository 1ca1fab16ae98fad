"""The table that turns facts into a named solver with a reason, for who will not have "auto".

Its thresholds, and what its answers cost beside "auto", are measured (docs/choosing_evidence.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from skvariants._advice.facts import Facts

__all__ = ["RULES", "Recommendation", "Rule", "first", "recommend"]

Known = TypeVar("Known")


@dataclass(frozen=True)
class Recommendation:
    """A solver with its reason.

    Parameters
    ----------
    solver_name : str
        A name of :data:`skvariants.solvers.SOLVERS`.
    reason : str
        One sentence.
    reference : str
        Where the method comes from.
    shortlist : tuple of str
        Solvers worth racing, the advised one first.
    rule : str
        The condition of the rule that applied, in words.
    seconds, left : float or None
        Of a named solver, beside "auto": how many times its seconds a fit takes, and which share of the way from the
        constant model to the optimum is left at its end; averages of the tables that the rule was measured on.
    """

    solver_name: str
    reason: str
    reference: str
    shortlist: tuple[str, ...]
    rule: str
    seconds: float | None = None
    left: float | None = None

    @classmethod
    def of(cls, rule: Rule) -> Recommendation:
        """What a rule recommends.

        Parameters
        ----------
        rule : Rule
            The one that applies.

        Returns
        -------
        Recommendation
        """
        return cls(
            rule.solvers[0], rule.reason, rule.reference, rule.solvers, rule.condition, rule.seconds, rule.left
        )  # fmt: skip


@dataclass(frozen=True)
class Rule(Generic[Known]):
    """A row of a table of rules.

    Parameters
    ----------
    condition : str
        When the rule applies, in words.
    applies : callable
        The same, as a function of what is known: of :class:`Facts`, in ``RULES``.
    solvers : tuple of str
        Names of solvers, the advised one first.
    reason : str
        Why, in a sentence or two.
    reference : str
        Where the methods come from.
    seconds, left : float or None
        What the advised one costs beside "auto", as in :class:`Recommendation`.
    """

    condition: str
    applies: Callable[[Known], bool]
    solvers: tuple[str, ...]
    reason: str
    reference: str
    seconds: float | None = None
    left: float | None = None


def first(rules: Sequence[Rule[Known]], known: Known) -> Rule[Known] | None:
    """The first rule that applies to what is known."""
    return next((rule for rule in rules if rule.applies(known)), None)


#: Length from which there is a ravine; from which Nesterov's look ahead pays; and which only columns in unequal units,
#: or nearly dependent ones, make.
RAVINE = 5.0
LONG = 100.0
ENDLESS = 1e4
#: Share of rare columns from which features are called rare.
MANY = 0.5
#: Rows up to which a pass costs no more than the overhead of a few steps; and of that many, if the ravine is short.
SMALL = 2000
SHORT = 30.0
#: Rows in which a column is not zero, on average, from which a pass outweighs the steps of its batches: there are at
#: least 32, and each updates every weight.
SELDOM = 32

_ADAM = "Kingma and Ba (2015), arXiv:1412.6980"
_ADAGRAD = "Duchi, Hazan and Singer (2011), JMLR 12, 2121-2159; McMahan and Streeter (2010), arXiv:1002.4908"
_MOMENTUM = "Polyak (1964), doi:10.1016/0041-5553(64)90137-5; Qian (1999), doi:10.1016/S0893-6080(98)00116-6"
_NESTEROV = "Nesterov (1983); Sutskever et al. (2013), ICML, 1139-1147; Qian (1999), doi:10.1016/S0893-6080(98)00116-6"
_BOTTOU = "Bottou, Curtis and Nocedal (2018), doi:10.1137/16M1080173"


def _is_rare(f: Facts) -> bool:
    return f.rare_share >= MANY


def _is_seldom(f: Facts) -> bool:
    return f.n_samples * f.density < SELDOM


def _is_small(f: Facts) -> bool:
    """Whether all rows at once cost no more than the steps that they spare."""
    return f.n_samples <= SMALL and f.ravine < SHORT


#: The first rule that applies gives the named solver. Read by `recommend`, `diagnose` and the docs, and by
#: ``solver="auto"`` where a step, a batch or an average is asked for. What each costs beside "auto" was measured by
#: ``examples/benchmarks/advice.py``, with one thread.
RULES: tuple[Rule[Facts], ...] = (
    Rule(
        f"ravine of {ENDLESS:g} steps or more",
        lambda f: f.ravine >= ENDLESS,
        ("adam", "adagrad", "nesterov"),
        "The ravine is so long that columns must be in unequal units or nearly dependent: a step of its own for each "
        "coordinate evens out the units, and momentum follows the rest.",
        _ADAM,
        seconds=5.2,
        left=0.1,
    ),
    Rule(
        f"rare features ({MANY:.0%} of the columns or more), not scaled",
        lambda f: _is_rare(f) and not f.scaled,
        ("adadelta", "adagrad", "adam"),
        "Most columns are seldom updated, so each weight needs a rate of its own. AdaGrad gives it, but its steps only "
        "shrink; Adadelta forgets, and does not stall.",
        f"Zeiler (2012), arXiv:1212.5701; {_ADAGRAD}",
        seconds=7.3,
        left=0.01,
    ),
    Rule(
        f"at most {SMALL:,} rows, and a ravine of less than {SHORT:g} steps",
        _is_small,
        ("gd", "momentum", "adam"),
        "A few passes reach the bottom: they are deterministic, and leave no noise to average away.",
        f"Cauchy (1847); {_BOTTOU}",
        seconds=1.4,
        left=0.002,
    ),
    Rule(
        f"columns that are not zero in fewer than {SELDOM} rows on average, scaled",
        lambda f: _is_seldom(f) and f.scaled,
        ("gd", "momentum", "adam"),
        "There are so many columns that updating every weight after each batch costs more than the batches: all rows "
        "at once need one update.",
        _BOTTOU,
        seconds=1.7,
        left=0.006,
    ),
    Rule(
        f"ravine of {RAVINE:g} steps or more, classes, and a loss with kinks",
        lambda f: f.ravine >= RAVINE and f.classes is not None and not f.smooth,
        ("rmsprop", "adadelta", "adam"),
        "There is a ravine, and beside a kink a gradient does not fade: steps in units of the recent gradients of each "
        "weight shrink with the schedule alone.",
        "Tieleman and Hinton (2012), Coursera lecture 6.5; Zeiler (2012), arXiv:1212.5701",
        seconds=1.1,
        left=6e-3,
    ),
    Rule(
        f"ravine of {RAVINE:g} steps or more, and a loss with kinks",
        lambda f: f.ravine >= RAVINE and not f.smooth,
        ("adam", "nesterov", "rmsprop"),
        "There is a ravine, and the gradient says nothing about the size of the errors: Adam's steps do not depend on "
        "it.",
        _ADAM,
        seconds=1.6,
        left=7e-4,
    ),
    Rule(
        f"ravine of {RAVINE:g} steps or more, and rare features ({MANY:.0%} of the columns or more)",
        lambda f: _is_rare(f) and f.ravine >= RAVINE,
        ("adam", "momentum", "nesterov"),
        "There is a ravine and most columns are seldom updated: Adam joins momentum with a step for each coordinate.",
        _ADAM,
        seconds=0.9,
        left=0.002,
    ),
    Rule(
        f"ravine of {RAVINE:g} steps or more, and classes",
        lambda f: f.ravine >= RAVINE and f.classes is not None,
        ("adam", "momentum", "nesterov"),
        "There is a ravine, and it changes on the way: the curvature of a margin falls as it grows, so the rate that "
        "was right at first is too small later. Adam's momentum follows the ravine, and its steps do not shrink with "
        "the gradient.",
        _ADAM,
        seconds=2.8,
        left=0.002,
    ),
    Rule(
        f"ravine of {LONG:g} steps or more",
        lambda f: f.ravine >= LONG,
        ("nesterov", "momentum", "adam"),
        "There is a long ravine: averaged gradients cancel across it and add up along it, and looking ahead allows a "
        "larger step.",
        _NESTEROV,
        seconds=6.3,
        left=0.0004,
    ),
    Rule(
        f"ravine of {RAVINE:g} steps or more",
        lambda f: f.ravine >= RAVINE,
        ("momentum", "nesterov", "adam"),
        "There is a ravine: averaged gradients cancel across it and add up along it.",
        _MOMENTUM,
        seconds=4.6,
        left=0.0002,
    ),
    Rule(
        "neither ravine nor rare features",
        lambda f: True,
        ("adagrad", "nesterov", "minibatch"),
        "The surface is round and all columns are updated alike, so noise is what is left: AdaGrad's steps shrink by "
        "themselves, while the others' wait until progress ends. Nothing is cheaper than plain mini-batches.",
        f"{_BOTTOU}; {_ADAGRAD}",
        seconds=5.8,
        left=2e-4,
    ),
)


def recommend(facts: Facts) -> Recommendation:
    """The first rule of the table that applies.

    Parameters
    ----------
    facts : Facts
        What was measured.

    Returns
    -------
    Recommendation
    """
    return Recommendation.of(first(RULES, facts) or RULES[-1])
