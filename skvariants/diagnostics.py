r"""What a problem looks like, and which solver suits it, with reasons.

:func:`diagnose` measures a table (:class:`~skvariants.diagnostics.Facts`: how steep the ravine is, how unequally often
features are updated, size, density, classes) and looks the answer up in one table of rules, ``RULES``. ``race=True``
lets the shortlisted solvers run on the data, so that the advice can be checked. How often advice and race agree on
open data, and where the thresholds come from, is in the documentation (*Choosing a solver: the evidence*).
"""

from __future__ import annotations

import html
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, check_X_y, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skvariants._advice.facts import Facts, facts, measure
from skvariants._advice.rules import RULES, Recommendation, Rule, recommend
from skvariants._component import Flag, check, integers, number, resolve
from skvariants._data.tasks import Classification, RealTargets, Task
from skvariants._data.validate import canonical, row_weights
from skvariants._doclinks import page
from skvariants.estimators import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import LOSSES, Loss
from skvariants.penalties import PENALTIES, Penalty

__all__ = ["RULES", "Diagnosis", "Facts", "RaceResult", "Recommendation", "Rule", "diagnose", "facts", "recommend"]

Array = np.ndarray
#: Advice and race agree where the advised solver reached this share of the progress that the winner made.
_AGREE = 0.99


@dataclass(frozen=True)
class RaceResult:
    """What the shortlisted solvers reached on the same rows in the same number of epochs.

    Parameters
    ----------
    solvers : tuple of str
        The shortlist, the advised solver first.
    objectives : ndarray of shape (n_solvers,)
        Objective of each after the race.
    seconds : ndarray of shape (n_solvers,)
        What each took.
    constant : float
        Objective of the model without features.
    epochs : int
        Epochs of each, at most.
    n_samples : int
        Rows of the race.
    winner : str
        Solver of the smallest objective.
    agrees : bool
        Whether the advised solver made at least 99 % of the winner's progress from `constant`.
    """

    solvers: tuple[str, ...]
    objectives: Array
    seconds: Array
    constant: float
    epochs: int
    n_samples: int
    winner: str
    agrees: bool


@dataclass(frozen=True)
class Diagnosis:
    """A report on a problem; prints as text, and as HTML in a notebook.

    Parameters
    ----------
    facts : Facts
        The numbers.
    recommendation : Recommendation
        Solver, reason, reference, shortlist.
    loss : str
        The loss it was made for.
    race : RaceResult or None
        With ``race=True``, what the shortlist reached.
    """

    facts: Facts
    recommendation: Recommendation
    loss: str
    race: RaceResult | None = None

    @property
    def solver(self) -> str:
        """Name of the advised solver."""
        return self.recommendation.solver_name

    def _sections(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        f, r = self.facts, self.recommendation
        size = f"{f.n_samples:,} rows, {f.n_features:,} columns"
        target = f"real, {f.n_columns} column{'s' if f.n_columns > 1 else ''}"
        if f.classes is not None:
            target = f"{f.classes} classes, the rarest {f.smallest_class:.2%} of the rows"
        yield (
            "Size",
            [
                ("table", size),
                ("entries not zero", f"{f.density:.2%}" + (" (sparse matrix)" if f.sparse else "")),
                ("target", target),
                ("constant columns", f"{f.constant_columns:,}"),
            ],
        )
        used = "standardised columns, as the fit uses them" if f.scaled else "raw columns, as the fit uses them"
        yield (
            f"Ravine ({used}; a sample of {f.sample_rows:,} rows)",
            [
                ("condition number", f"{f.condition_number:.3g}"),
                ("condition number without scaling", f"{f.raw_condition_number:.3g}"),
                ("largest over smallest scale", f"{f.scale_ratio:.3g}"),
                ("largest mean, in standard deviations", f"{f.largest_offset:.3g}"),
                ("length: gradient steps to a hundredth", ">= 1e+09" if f.ravine >= 1e9 else f"{f.ravine:.3g}"),
            ],
        )
        yield (
            "Rare features",
            [
                ("columns non-zero in under 1 % of rows", f"{f.rare_share:.1%}"),
                ("most over least frequent column", f"{f.frequency_ratio:.3g}"),
            ],
        )
        yield (
            "Advice",
            [
                ("solver", repr(r.solver_name)),
                ("rule", r.rule),
                ("reason", r.reason),
                ("reference", r.reference),
                ("shortlist", ", ".join(r.shortlist)),
            ],
        )
        if self.race is not None:
            c = self.race
            rows = [
                (name, f"objective {value:.6g}, {seconds:.2f} s" + (" <- best" if name == c.winner else ""))
                for name, value, seconds in zip(c.solvers, c.objectives, c.seconds, strict=True)
            ]
            rows.append(("model without features", f"objective {c.constant:.6g}"))
            verdict = f"yes: {r.solver_name} is the best"
            if c.winner != r.solver_name:
                verdict = f"{'yes' if c.agrees else 'no'}: {c.winner} is the best; {r.solver_name} made "
                verdict += f"{self._progress():.1%} of its progress"
            rows.append(("advice and race agree", verdict))
            yield f"Race ({c.epochs} epochs, {c.n_samples:,} rows)", rows

    def _progress(self) -> float:
        c = self.race
        best = np.min(c.objectives)
        return float((c.constant - c.objectives[0]) / (c.constant - best)) if best < c.constant else 1.0

    def __str__(self) -> str:
        lines = [f"Diagnosis for loss={self.loss!r}"]
        for title, rows in self._sections():
            lines += ["", title]
            lines += [f"  {name:38s} {value}" for name, value in rows]
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


def diagnose(
    X: Any, y: Any, *, loss: Any = "auto", sample_weight: Any = None, scale_features: bool = True,
    fit_intercept: bool = True, penalty: Any = "l2", alpha: float = 1e-4, race: bool = False, race_epochs: int = 5,
    race_samples: int = 20_000, random_state: Any = None,
) -> Diagnosis:  # fmt: skip
    r"""Look at a problem and say which solver suits it, and why.

    The look is cheap: one pass over `X` for means, scales and frequencies, and the curvature of a sample of at most
    1,024 rows. Sparse input stays sparse, memory maps are read in blocks.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features; a data frame must be numeric.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Labels, or real targets.
    loss : str or Loss, default="auto"
        The loss that will be minimised. "auto" is "log_loss" for labels (no numbers, two whole numbers, or integers of
        at most 100 kinds) and "squared_error" for anything else.
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
        Whether the shortlisted solvers are fitted on the data, for the advice to be checked.
    race_epochs : int, default=5
        Most epochs of each.
    race_samples : int, default=20_000
        Most rows of the race.
    random_state : int, RandomState or None, default=None
        Seed of the sample and of the race.

    Returns
    -------
    Diagnosis
        ``print`` it; numbers are in ``facts``, the advice in ``recommendation`` (and ``solver``), the race in ``race``.

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
    """
    for name, value, accepts in [
        ("scale_features", scale_features, Flag()), ("fit_intercept", fit_intercept, Flag()), ("race", race, Flag()),
        ("alpha", alpha, number(0)), ("race_epochs", race_epochs, integers(1)),
        ("race_samples", race_samples, integers(2)),
    ]:  # fmt: skip
        check(name, value, accepts)
    context = {"alpha": alpha, "l1_ratio": 0.15, "epsilon": 0.1, "random_state": random_state}
    resolved_penalty = resolve(penalty, PENALTIES, Penalty, "penalty", context)
    rng = check_random_state(random_state)
    X, y, loss, resolved, task = _validate(X, y, loss, context)
    weight = row_weights(sample_weight, X.shape[0])
    if weight is not None:
        used = weight > 0
        if not used.any():
            raise ValueError("sample_weight must be zero or positive, and positive for at least one row.")
        X, y, weight = X[used], y[used], weight[used]
    numbers = measure(
        X, task, y, scaled=bool(scale_features), smooth=resolved.smooth, weight=weight, center=bool(fit_intercept),
        random_state=rng,
    )  # fmt: skip
    advice = recommend(numbers)
    result = None
    if race:
        options = {
            "loss": loss, "penalty": penalty, "alpha": alpha, "scale_features": bool(scale_features),
            "fit_intercept": bool(fit_intercept), "max_iter": race_epochs,
        }  # fmt: skip
        rows = np.arange(X.shape[0])
        if len(rows) > race_samples:
            rows = np.sort(rng.choice(X.shape[0], race_samples, replace=False))
        objective = _Objective(
            X[rows], y[rows], None if weight is None else weight[rows], task, resolved, resolved_penalty,
            bool(fit_intercept),
        )  # fmt: skip
        result = _race(objective, advice.shortlist, options, int(rng.randint(np.iinfo(np.int32).max)))
    name = loss if isinstance(loss, str) else repr(loss)
    return Diagnosis(numbers, advice, name, result)


def _validate(X: Any, y: Any, loss: Any, context: dict[str, Any]) -> tuple[Any, Array, Any, Loss, Task]:
    """Features, targets, loss (as the estimators take it, and resolved), what the targets are."""
    if isinstance(loss, str) and loss == "auto":
        loss = "log_loss" if _labels(y) else "squared_error"
    resolved = resolve(loss, LOSSES, Loss, "loss", context)
    # a loss of real targets takes numbers as numbers
    classification = not resolved.regression or np.asarray(y).dtype.kind in "OUSb"
    X, y = check_X_y(
        X, y, accept_sparse="csr", dtype=[np.float64, np.float32], multi_output=not classification,
        y_numeric=not classification, accept_large_sparse=True, ensure_all_finite=False,
    )  # fmt: skip
    X = canonical(X)
    if classification:
        check_classification_targets(y)
        y = column_or_1d(y)
        if len(np.unique(y)) < 2:
            raise ValueError("y holds one class: there is nothing to separate, give rows of at least two classes.")
        return X, y, loss, resolved, Classification().learn(y, resolved)
    y = y.reshape(len(y), -1)
    return X, y, loss, resolved, RealTargets(y.shape[1], y.shape[1] == 1)


def _labels(y: Any) -> bool:
    """Whether targets look like labels: no numbers, two whole numbers, or integers of at most 100 kinds."""
    y = np.asarray(y)
    if y.ndim != 1 and not (y.ndim == 2 and y.shape[1] == 1):
        return False
    if y.dtype.kind in "OUSb":
        return True
    kinds = np.unique(y)
    whole = len(kinds) <= 2 and bool(np.all(np.isfinite(kinds)) and np.all(kinds == np.round(kinds)))
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
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


def _race(objective: _Objective, shortlist: tuple[str, ...], options: dict[str, Any], seed: int) -> RaceResult:
    """Fit every shortlisted solver on the same rows and compare what they reached."""
    estimator = SGDVariantClassifier if objective.task.classification else SGDVariantRegressor
    values, seconds, constant = [], [], np.inf
    for name in shortlist:
        model = estimator(solver=name, eta0="auto", random_state=seed, **options)
        started = time.perf_counter()
        objective.fit(model)
        seconds.append(time.perf_counter() - started)
        value, constant = objective.of(model)
        values.append(value)
    objectives = np.array(values)
    best = int(np.argmin(objectives))
    progress = (constant - objectives[0]) >= _AGREE * (constant - objectives[best])
    return RaceResult(
        shortlist, objectives, np.array(seconds), constant, options["max_iter"], objective.X.shape[0],
        shortlist[best], bool(best == 0 or progress),
    )  # fmt: skip
