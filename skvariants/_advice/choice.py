"""What ``solver="auto"`` stands for, and why: what a fit does and what :func:`skvariants.diagnostics.diagnose` says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skvariants._advice.facts import Facts
from skvariants._advice.rules import Recommendation, Rule, first, recommend

__all__ = ["CHOICES", "Asked", "choose", "too_wide"]

# 6,843 rows of 24,271 words with L1 took 35 s, with elastic net more than 400 s
_FACTORED = 4096


@dataclass(frozen=True)
class Asked:
    """What is asked of a fit, before its data is looked at.

    Parameters
    ----------
    smooth : bool
        Whether the loss has a second derivative.
    piecewise_linear : bool, default=False
        Whether it is made of linear pieces.
    elastic : bool, default=True
        Whether the penalty is L2 and L1 alone.
    modelled : bool, default=True
        Whether it is these, bounds, or a norm of groups.
    wide : bool, default=False
        Whether L1, bounds or groups go with so many rows and features that no factor is made: `too_wide`.
    streaming : bool, default=False
        Whether rows come in chunks, each seen once.
    free : bool, default=True
        Whether neither a step nor a batch nor an average was asked for.
    summable : bool, default=False
        Whether there are so few features, or values in a row, that what rows say is kept: in sums, or as rows.
    fixed : bool, default=False
        Whether the schedule fixes how long steps along the gradient are.
    """

    smooth: bool
    piecewise_linear: bool = False
    elastic: bool = True
    modelled: bool = True
    wide: bool = False
    streaming: bool = False
    free: bool = True
    summable: bool = False
    fixed: bool = False


def too_wide(n: int, d: int, has_l1: bool, grouped: bool = False) -> bool:
    """Whether interior-point steps would take minutes.

    Parameters
    ----------
    n, d : int
        Rows and features.
    has_l1 : bool
        Whether L1, bounds or groups are part of the penalty.
    grouped : bool, default=False
        Whether groups are, so that a factor is that of the features.
    """
    return has_l1 and (d if grouped else min(n, d)) > _FACTORED


#: What "auto" stands for: the first that applies. Where none does, the rules for named solvers decide.
CHOICES: tuple[Rule[Asked], ...] = (
    Rule(
        'a schedule that fixes its steps, as "optimal" does',
        lambda asked: asked.fixed,
        ("minibatch",),
        "The schedule says how long a step along the gradient is, so the gradient itself is what it is to be taken "
        "along: steps that divide by its size would be thousands of times too long at first.",
        "Bottou (2012), doi:10.1007/978-3-642-35289-8_25",
    ),
    Rule(
        "a stream (partial_fit) of at most 1,023 features, or of rows of at most 1,024 values other than zero, with L2 "
        "and L1 penalties or none",
        lambda asked: asked.streaming and asked.free and asked.elastic and asked.summable,
        ("recursive",),
        "Each row is seen once, and there is no second try: sums over the rows hold what they said of all weights "
        "(of more features, the rows themselves), so that no rate is to be chosen and each row counts as much as any "
        "other.",
        "Bertsekas (1996), doi:10.1137/S1052623494268522",
    ),
    Rule(
        "another stream",
        lambda asked: asked.streaming,
        ("adagrad",),
        "Each row is seen once: AdaGrad's steps shrink by themselves, each weight's as often as it is updated, and it "
        "is the least sensitive to its first step.",
        "Duchi, Hazan and Singer (2011), JMLR 12, 2121-2159",
    ),
    Rule(
        "a smooth loss",
        lambda asked: asked.free and asked.smooth,
        ("quasi_newton",),
        "The loss is smooth, so its curvature can be measured: divided by it, a step has neither a ravine nor a "
        "learning rate before it, and the fit ends because it has arrived.",
        "Byrd, Chin, Nocedal and Wu (2012), doi:10.1007/s10107-012-0572-5",
    ),
    Rule(
        "a loss of linear pieces, with L2 and L1 penalties, bounds, groups or none of these (L1 and bounds where rows "
        "or features are at most 4,096, groups where features are)",
        lambda asked: asked.free and asked.piecewise_linear and asked.modelled and not asked.wide,
        ("interior_point",),
        "The loss has kinks, along which stochastic steps creep: Newton steps on the central path have each kink in "
        "their model, and the dual problem says how much is left to gain.",
        "Ferris and Munson (2002), doi:10.1137/S1052623400374379",
    ),
)


def choose(asked: Asked, facts: Callable[[], Facts]) -> Recommendation:
    """The solver that "auto" stands for.

    Parameters
    ----------
    asked : Asked
        What is asked of the fit.
    facts : callable
        Measures the data; called only where the answer depends on it.

    Returns
    -------
    Recommendation
    """
    rule = first(CHOICES, asked)
    return recommend(facts()) if rule is None else Recommendation.of(rule)
