r"""What ``solver="auto"`` does for a problem and why, which troubles the data has, and which named solver suits it.

:func:`diagnose` measures a table (:class:`~skvariants.diagnostics.Facts`: how steep the ravine is, how unequally often
features are updated, size, density, classes). It says what "auto" chooses (``CHOICES``), names the troubles that it
finds with their cures (``TROUBLES``), and looks up in one table of rules, ``RULES``, which solver to take where one is
to be named, and what that costs beside "auto". ``FURTHER`` says which solvers beyond the nine
classical ones are worth a try, and where they are not. ``race=True`` lets "auto" and the shortlisted solvers run on
the data, so that the advice can be checked. Where the rules and their figures come from is in the documentation
(*Choosing a solver: the evidence*).
"""

from __future__ import annotations

import functools
import html
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state, check_X_y, column_or_1d

from skvariants._advice.choice import CHOICES, Asked, choose, too_wide
from skvariants._advice.facts import Facts, facts, measure
from skvariants._advice.further import FURTHER, Further, further
from skvariants._advice.rules import RULES, Recommendation, Rule, recommend
from skvariants._advice.troubles import TROUBLES, Finding, Trouble, troubles
from skvariants._component import SEED, Flag, check, integers, number, resolve, shown
from skvariants._data.labels import Labelling, several
from skvariants._data.tasks import Regression, Task, distinct_labels
from skvariants._data.validate import (
    TARGETS,
    arrays,
    canonical,
    cells_named,
    in_process,
    named,
    refuse_no_data,
    row_weights,
)
from skvariants._doclinks import page
from skvariants._messages import quiet
from skvariants._names import SolverName
from skvariants._numerics import usual_errors
from skvariants.estimators import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import LOSSES, Loss
from skvariants.penalties import PENALTIES, Penalty

__all__ = [
    "CHOICES",
    "FURTHER",
    "RULES",
    "TROUBLES",
    "Asked",
    "Diagnosis",
    "Facts",
    "Finding",
    "Further",
    "RaceResult",
    "Recommendation",
    "Rule",
    "Trouble",
    "choose",
    "diagnose",
    "facts",
    "further",
    "recommend",
    "troubles",
]


def __dir__() -> list[str]:
    return list(__all__)


Array = np.ndarray
Look = TypeVar("Look", bound=Callable[..., Any])
#: Advice and race agree where "auto" made this share of the winner's progress.
_AGREE = 0.99


@dataclass(frozen=True)
class RaceResult:
    """What "auto" and the shortlisted solvers reached on the same rows, each with its defaults.

    Parameters
    ----------
    solvers : tuple of str
        "auto", then the shortlist, its first the advised one.
    objectives : ndarray of shape (n_solvers,)
        Objective of each after its fit.
    seconds : ndarray of shape (n_solvers,)
        What each took.
    constant : float
        Objective of the model without features.
    epochs : int
        Epochs of each named solver, at most.
    n_samples : int
        Rows of the race.
    winner : str
        Solver of the smallest objective.
    agrees : bool
        Whether "auto" made at least 99 % of the winner's progress from `constant`.
    """

    solvers: tuple[SolverName, ...]
    objectives: Array
    seconds: Array
    constant: float
    epochs: int
    n_samples: int
    winner: SolverName
    agrees: bool

    @property
    def left(self) -> Array:
        """For each solver the share of the way from the constant model to the winner's that it left."""
        best = float(np.min(self.objectives))
        way = self.constant - best
        return (self.objectives - best) / way if way > 0 else np.zeros(len(self.objectives))


@dataclass(frozen=True)
class Diagnosis:
    """A report on a problem; prints as text, and as HTML in a notebook.

    Parameters
    ----------
    facts : Facts
        The numbers.
    auto : Recommendation
        What ``solver="auto"`` does here, and why.
    recommendation : Recommendation
        The solver to take where one is to be named, with reason, reference, shortlist, and its cost beside "auto".
    loss : str
        The loss it was made for.
    race : RaceResult or None
        With ``race=True``, what "auto" and the shortlist reached.
    """

    facts: Facts
    auto: Recommendation
    recommendation: Recommendation
    loss: str
    race: RaceResult | None = None

    @property
    def solver(self) -> SolverName:
        """What to pass as `solver`: "auto", or the winner of a race in which "auto" fell behind."""
        return "auto" if self.race is None or self.race.agrees else self.race.winner

    @property
    def troubles(self) -> tuple[Finding, ...]:
        """The troubles of stochastic steps, whether this data has them, and their cures."""
        return troubles(self.facts)

    def _sections(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        f, auto = self.facts, self.auto
        advice = repr(self.solver)
        if self.solver != "auto":
            advice += ", as 'auto' fell behind in the race"
        yield (
            "Advice",
            [
                ("solver", advice),
                ("'auto' is here", f"{auto.solver_name!r} ({auto.rule})"),
                ("because", auto.reason),
                ("reference", auto.reference),
            ],
        )
        n_targets = f.n_columns // f.outputs
        target = f"real, {n_targets} column{'s' if n_targets > 1 else ''}"
        if f.outputs > 1:
            target += f" of which the loss predicts {f.outputs} levels"
        if f.classes is not None:
            kinds = f"{f.n_columns} labels" if f.n_columns >= f.classes == 2 else f"{f.classes} classes"
            target = f"{kinds}, the rarest {f.smallest_class:.2%} of the rows"
        yield (
            "Data",
            [
                ("table", f"{f.n_samples:,} rows, {f.n_features:,} columns"),
                ("entries not zero", f"{f.density:.2%}" + (" (sparse matrix)" if f.sparse else "")),
                ("target", target),
                ("constant columns", f"{f.constant_columns:,}"),
                ("condition number without scaling", f"{f.raw_condition_number:.3g}"),
                ("largest over smallest scale", f"{f.scale_ratio:.3g}"),
                ("largest mean, in standard deviations", f"{f.largest_offset:.3g}"),
                ("most over least frequent column", f"{f.frequency_ratio:.3g}"),
            ],
        )
        used = "standardised" if f.scaled else "raw"
        yield (
            f"Troubles of stochastic steps ({used} columns, as the fit uses them; a sample of {f.sample_rows:,} rows)",
            [(found.name, _finding(found)) for found in self.troubles],
        )
        yield "If you name a solver", self._named()
        if lines := further(f):
            said = [(", ".join(line.solvers), f"{line.worth}. Not for {line.limits}.") for line in lines]
            yield "Worth a try beyond the nine classical ones; on tables at hand 'auto' ends nearer the optimum", said
        if self.race is not None:
            yield f"Race ({self.race.n_samples:,} rows, named solvers at most {self.race.epochs} epochs)", self._raced()

    def _named(self) -> list[tuple[str, str]]:
        """The named solver, why, and what it costs."""
        r = self.recommendation
        rows = [("solver", repr(r.solver_name)), ("rule", r.rule), ("reason", r.reason)]
        if r.seconds is not None and r.left is not None:
            cost = (
                f"about {r.seconds:.2g} times its seconds, and {r.left:.0e} of the way to the optimum left at the end"
            )
            rows.append(("beside 'auto', on other tables", cost))
        return [*rows, ("reference", r.reference), ("shortlist", ", ".join(r.shortlist))]

    def _raced(self) -> list[tuple[str, str]]:
        """What each solver of the race reached, and what follows."""
        c = self.race
        rows = [
            (
                name,
                f"{seconds:.3g} s, objective {value:.6g}"
                + (" <- best" if name == c.winner else f", {left:.1e} of the way left"),
            )
            for name, value, seconds, left in zip(c.solvers, c.objectives, c.seconds, c.left, strict=True)
        ]
        rows.append(("model without features", f"objective {c.constant:.6g}"))
        verdict = "yes: 'auto' is the best"
        if c.winner != "auto":
            made = f"'auto' made {1 - c.left[0]:.1%} of its progress"
            verdict = f"{'yes' if c.agrees else 'no'}: {c.winner!r} is the best; {made}"
        return [*rows, ("advice and race agree", verdict)]

    def __str__(self) -> str:
        lines = [f"Diagnosis for loss={self.loss!r}"]
        for title, rows in self._sections():
            lines += ["", title]
            for name, value in rows:
                lines += textwrap.wrap(f"  {name:38s} {value}", 116, subsequent_indent=" " * 41)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cell = "style='text-align:left;vertical-align:top;padding:1px 10px 1px 0'"
        address = page(type(self))
        link = f" <a href='{html.escape(address)}'>?</a>" if address else ""
        parts = [f"<div><p><b>Diagnosis</b>{link} for <code>loss={html.escape(repr(self.loss))}</code></p><table>"]
        for title, rows in self._sections():
            parts.append(f"<tr><th colspan='2' {cell}>{html.escape(title)}</th></tr>")
            parts += [
                f"<tr><td {cell}>{html.escape(name)}</td><td {cell}>{html.escape(v)}</td></tr>" for name, v in rows
            ]
        return "".join([*parts, "</table></div>"])


def _finding(found: Finding) -> str:
    """A trouble in a line."""
    if not found.present:
        return f"no: {found.measured}"
    return f"yes: {found.measured}. Cure: {found.cure}. Price: {found.price}"


def _of_data(look: Look) -> Look:
    """A look at data, of which an estimator in their place is refused with what to pass."""

    @functools.wraps(look)
    def asked(*args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get("X")
        if hasattr(given, "fit"):
            raise TypeError(
                f"{look.__name__} looks at data, and {shown(given)} is an estimator: pass {look.__name__}(X, y), with "
                "X as it reaches the model, such as pipeline[:-1].transform(X)."
            )
        return look(*args, **kwargs)

    return cast("Look", asked)


@_of_data
@usual_errors
def diagnose(
    X: Any, y: Any, *, loss: Any = "auto", sample_weight: Any = None, scale_features: bool = True,
    fit_intercept: bool = True, penalty: Any = "l2", alpha: float = 1e-4, race: bool = False, race_epochs: int = 100,
    race_samples: int = 20_000, random_state: Any = None,
) -> Diagnosis:  # fmt: skip
    r"""Look at a problem: what "auto" does and why, which troubles the data has, and which named solver suits it.

    The look is cheap: one pass over `X` for means, scales and frequencies, and the curvature of a sample of at most
    1,024 rows. Sparse input stays sparse, memory maps are read in blocks.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features; a data frame must be numeric.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Labels, or real targets; several labels as a table of 0 and 1, which may be sparse.
    loss : str or Loss, default="auto"
        The loss that will be minimised. "auto" is "log_loss" for labels (no numbers, two whole numbers, or integers of
        at most 100 kinds; several columns of 0 and 1) and "squared_error" for anything else.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows; a weight of zero is absence.
    scale_features : bool, default=True
        Whether the fit will work in standardised coordinates.
    fit_intercept : bool, default=True
        Whether the model has an intercept.
    penalty : str, None or Penalty, default="l2"
        Penalty of the race.
    alpha : float, default=1e-4
        Strength of the penalty of the race.
    race : bool, default=False
        Whether "auto" and the shortlisted solvers are fitted on the data, for the advice to be checked.
    race_epochs : int, default=100
        Most epochs of each named solver; "auto" fits to its own end.
    race_samples : int, default=20_000
        Most rows of the race, among them at least one of each class.
    random_state : int, RandomState or None, default=None
        Seed of the sample and of the race.

    Returns
    -------
    Diagnosis
        ``print`` it. What to pass is in ``solver``, what "auto" does in ``auto``, the numbers in ``facts``, the
        troubles in ``troubles``, the named solver in ``recommendation``, the race in ``race``.

    Raises
    ------
    ValueError
        If a parameter or the data is not accepted.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skvariants.diagnostics import diagnose
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> report = diagnose(X, y, random_state=0)
    >>> report.facts.n_samples, report.facts.classes
    (569, 2)
    >>> report.facts.scale_ratio > 1e5
    True
    >>> report.solver, report.auto.solver_name
    ('auto', 'quasi_newton')
    """
    for name, value, accepts in [
        ("scale_features", scale_features, Flag()), ("fit_intercept", fit_intercept, Flag()), ("race", race, Flag()),
        ("alpha", alpha, number(0)), ("race_epochs", race_epochs, integers(1)),
        ("race_samples", race_samples, integers(2)), ("random_state", random_state, SEED),
    ]:  # fmt: skip
        check(name, value, accepts)
    context = {"alpha": alpha, "l1_ratio": 0.15, "epsilon": 0.1, "random_state": random_state}
    resolved_penalty = resolve(penalty, PENALTIES, Penalty, "penalty", context)
    rng = check_random_state(random_state)
    given = X
    X, y, loss, resolved, task = _validate(X, y, loss, context)
    weight = row_weights(sample_weight, X.shape[0])
    if weight is not None:
        used = weight > 0
        if not used.any():
            raise ValueError("sample_weight must be zero or positive, and positive for at least one row.")
        X, y, weight = X[used], y[used], weight[used]
    task = task if task.classification else task.counted(y, weight)
    with cells_named(given):
        numbers = measure(
            X, task, y, scaled=bool(scale_features), smooth=resolved.smooth, weight=weight, center=bool(fit_intercept),
            random_state=rng,
        )  # fmt: skip
    wide = too_wide(X.shape[0], X.shape[1], resolved_penalty.has_prox, resolved_penalty.grouped)
    kinds = resolved_penalty.elastic, resolved_penalty.modelled
    asked = Asked(resolved.smooth, resolved.piecewise_linear, *kinds, wide)
    auto, advice = choose(asked, lambda: numbers), recommend(numbers)
    result = None
    if race:
        options = {
            "loss": loss, "penalty": penalty, "alpha": alpha, "scale_features": bool(scale_features),
            "fit_intercept": bool(fit_intercept),
        }  # fmt: skip
        rows = _racing_rows(y, task, race_samples, rng)
        objective = _Objective(
            X[rows], y[rows], None if weight is None else weight[rows], task, resolved, resolved_penalty,
            bool(fit_intercept),
        )  # fmt: skip
        result = _race(objective, advice.shortlist, options, race_epochs, int(rng.randint(np.iinfo(np.int32).max)))
    name = loss if isinstance(loss, str) else repr(loss)
    return Diagnosis(numbers, auto, advice, name, result)


def _racing_rows(y: Array, task: Any, most: int, rng: Any) -> Array:
    """Numbers of at most so many rows; of each class, one at least."""
    n = len(y)
    if n <= most:
        return np.arange(n)
    order = rng.permutation(n)
    if task.classification and not task.several:
        leading = np.unique(task.codes(y[order]), return_index=True)[1]
        order = np.concatenate([order[leading], np.delete(order, leading)])
        most = max(most, len(leading))
    return np.sort(order[:most])


def _validate(X: Any, y: Any, loss: Any, context: dict[str, Any]) -> tuple[Any, Array, Any, Loss, Task]:
    """Features, targets, loss (as the estimators take it, and resolved), what the targets are."""
    refuse_no_data(X, "X")
    X, y = in_process(X, "X", ""), in_process(y, "y", "")
    if isinstance(loss, str) and loss == "auto":
        with named(lambda: "y", {"y": TARGETS[True]}):
            loss = "log_loss" if _labels(y) else "squared_error"
    resolved = resolve(loss, LOSSES, Loss, "loss", context)
    # a loss of real targets takes numbers as numbers
    classification = not resolved.regression or np.asarray(y).dtype.kind in "OUSb"
    table = classification and several(y)
    X, y = arrays(
        lambda: check_X_y(
            X, y, accept_sparse="csr", dtype=[np.float64, np.float32], multi_output=table or not classification,
            y_numeric=not classification, accept_large_sparse=True, ensure_all_finite=False, estimator="diagnose",
        ),
        X, y, kind="several" if table else not classification,
    )  # fmt: skip
    X = canonical(X)
    if classification:
        with named(lambda: "y", {"y": TARGETS["several" if table else False]}):
            y = Labelling().validated(y)
            y = y if table else column_or_1d(y)
        if not table and len(distinct_labels(y)) < 2:
            raise ValueError("y holds one class: there is nothing to separate, give rows of at least two classes.")
        task = Labelling().learn(y, resolved)
        return X, task.as_rows(y), loss, resolved, task
    y = y.reshape(len(y), -1)
    task = Regression().learn(y, resolved)
    task.target_moments(y, None, None)  # says what is too large
    return X, y, loss, resolved, task


def _labels(y: Any) -> bool:
    """Whether targets look like labels: no numbers, two whole numbers, or integers of at most 100 kinds."""
    if several(y):
        return sp.issparse(y) or bool(np.isin(y, (0, 1)).all())
    y = np.asarray(y)
    if y.ndim != 1 and not (y.ndim == 2 and y.shape[1] == 1):
        return False
    if y.dtype.kind in "OUSbmM":
        return True
    kinds = np.unique(y)
    whole = len(kinds) == 2 and bool(np.all(np.isfinite(kinds)) and np.all(kinds == np.round(kinds)))
    return whole or (y.dtype.kind in "iu" and len(kinds) <= min(100, len(y) // 2))


@dataclass
class _Objective:
    """What the race is judged by: rows, and what a fitted model costs on them."""

    X: Any
    y: Array
    weight: Array | None
    task: Task
    loss: Loss
    penalty: Penalty
    fit_intercept: bool

    def fit(self, estimator: Any) -> Any:
        """The estimator, fitted on the rows."""
        y = self.y[:, 0] if not self.task.classification and self.y.shape[1] == 1 else self.y
        with quiet():
            return estimator.fit(self.X, y, sample_weight=self.weight)

    def of(self, model: Any) -> tuple[float, float]:
        """Objective of a fitted model, and of the model without features."""
        loss = self.task.bind_loss(self.loss)
        target = self.task.encoding(np.float64).expand(self.task.stored(self.y, np.float64))
        coef, intercept = self.task.as_columns(model.coef_, model.intercept_)
        z = np.asarray(self.X @ coef.T + intercept, dtype=np.float64)
        s = np.ones((len(target), 1)) if self.weight is None else (self.weight / self.weight.mean())[:, None]
        flat = np.zeros_like(target)
        if self.fit_intercept:
            flat = flat + loss.fit_intercept_only(target, np.broadcast_to(s, target.shape))
        reached, constant = ((loss.value(target, at) * s).mean(axis=0).sum() for at in (z, flat))
        return float(reached + np.sum(self.penalty.value(coef.T.astype(np.float64)))), float(constant)


def _race(
    objective: _Objective, shortlist: tuple[str, ...], options: dict[str, Any], epochs: int, seed: int
) -> RaceResult:
    """Fit "auto" and every shortlisted solver on the same rows and compare what they reached."""
    estimator: Any = SGDVariantClassifier if objective.task.classification else SGDVariantRegressor
    values, seconds, constant = [], [], np.inf
    solvers = cast("tuple[SolverName, ...]", ("auto", *shortlist))
    objective.fit(estimator(max_iter=1, random_state=seed, **options))  # what is done once in a process is not counted
    for name in solvers:
        model = estimator(solver=name, random_state=seed, **options)
        if name != "auto":
            model.set_params(max_iter=epochs)
        started = time.perf_counter()
        objective.fit(model)
        seconds.append(time.perf_counter() - started)
        value, constant = objective.of(model)
        values.append(value)
    objectives = np.array(values)
    best = int(np.argmin(objectives))
    progress = (constant - objectives[0]) >= _AGREE * (constant - objectives[best])
    return RaceResult(
        solvers, objectives, np.array(seconds), constant, epochs, objective.X.shape[0], solvers[best],
        bool(best == 0 or progress),
    )  # fmt: skip
