r"""The story of a fit: from validated rows and resolved names to a trained model.

What is told here is told for several estimators at once. Estimators that differ in numbers only (:func:`group_key`)
are columns of one matrix: they share the rows, the batches and every matrix product. One estimator is the case of
one, so that a column is a fit.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state
from threadpoolctl import ThreadpoolController

from skvariants import _fullbatch, _race
from skvariants._component import Component, beside, varies_by_column
from skvariants._engine import Outcome, Problem, Rules, Run, train
from skvariants._scaling import Coordinates

Array = np.ndarray
#: Numbers of an estimator that may differ between columns; others come with the components.
_BY_COLUMN = ("alpha", "l1_ratio", "eta0", "power_t", "epsilon", "tol")
_FAMILIES = ("loss", "penalty", "learning_rate", "solver")
#: Most numbers in the arrays of one block of columns.
_BLOCK = 1 << 25
#: Multiplications in a product from which a second thread gains more than it waits.
_PARALLEL = 1 << 25
#: Times the objective of the constant model that an epoch of a step found by a race may reach.
_WORSE = 2.0
#: Bytes of a table from which rows are worth fetching ahead.
_LARGE = 1 << 24


@dataclass
class Rows:
    """Validated training rows; `weight` has mean one, or is None."""

    X: Any
    y: Array
    weight: Array | None


@dataclass
class Prepared:
    """What estimators of one group have in common before they are fitted.

    `learned` are the attributes that the data gave to the first of them, `columns` is how many each model has.
    """

    rows: Rows
    validation: Any
    learned: dict[str, Any]
    columns: int


@dataclass
class Result:
    """What one estimator gets from a fit."""

    outcome: Outcome
    model: int
    run: Run
    coordinates: Coordinates
    method: Any
    schedule: Any
    race: Any
    reference: float
    went_on: bool

    @property
    def eta0(self) -> Any:
        """The first step: found by a race, given, or None where the schedule has none."""
        return getattr(self.schedule, "eta0", None) if self.method.stochastic else self.race.winner

    @property
    def theta(self) -> Array:
        """The model, in the units of the data."""
        k = self.run.width
        columns = slice(self.model * k, (self.model + 1) * k)
        return self.coordinates.original(self.outcome.theta[:, columns])


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@functools.cache
def _scipys() -> ThreadpoolController:
    """The BLAS of SciPy, where it is not NumPy's own."""
    paths = [lib["filepath"] for lib in _controller().info() if lib["user_api"] == "blas"]
    others = [path for path in paths if not any(part.startswith("numpy") for part in Path(path).parts[-3:])]
    return _controller().select(filepath=others if len(others) < len(paths) else [])


def _threads(multiplications: int) -> contextlib.AbstractContextManager[Any]:
    """One thread for products so small that threads would wait for each other, above all on busy cores.

    SciPy's wheels bring a BLAS of their own, which factors the small matrices. It gets one thread in any case: those of
    two libraries that take turns spin in each other's way.
    """
    if multiplications >= _PARALLEL:
        return _scipys().limit(limits=1)
    return _controller().limit(limits=1, user_api="blas")


def _ahead(X: Any) -> bool:
    """Whether rows are so many, and processors so free, that a second thread should fetch them."""
    size = X.data.nbytes if sp.issparse(X) else X.nbytes
    return size >= _LARGE and max((lib["num_threads"] for lib in _controller().info()), default=1) > 1


def _seed(random_state: Any) -> int:
    """The seed of a fit; a number gives the same one each time, and starting RandomState takes as long as a step."""
    draw = _drawn_seed if random_state is None or hasattr(random_state, "randint") else _kept_seed
    return draw(random_state)


def _drawn_seed(random_state: Any) -> int:
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


_kept_seed = functools.lru_cache(_drawn_seed)


def fit_rows(
    members: Sequence[Any],
    rows: Rows,
    coordinates: Coordinates,
    validation: Any = None,
    start: Sequence[Any] | None = None,
    runs: Sequence[Run] | None = None,
    max_iter: int | None = None,
    watch: Any = None,
) -> list[Result]:
    """Train the models of several estimators of one group.

    Parameters
    ----------
    members : sequence of estimators
        Of one :func:`group_key`; their classes or number of targets are known.
    rows : Rows
        What they learn from.
    coordinates : Coordinates
        Of one model.
    validation : tuple of (X, y, sample_weight), optional
        Rows to score each epoch on.
    start : sequence of (coef, intercept) or None, optional
        Where each starts, in the units of the data.
    runs : sequence of Run, optional
        Runs to go on with, of equal clocks.
    max_iter : int, optional
        Epochs of a partial fit, which has no stopping rule.
    watch : object, optional
        Its methods ``epoch_begins`` and ``epoch_ends`` receive a function that returns `theta` as it is then, in
        the coordinates worked in, for all columns that are still trained; a true answer of the latter stops.

    Returns
    -------
    list of Result
    """
    lead, count = members[0], len(members)
    X, partial = rows.X, max_iter is not None
    dtype = X.dtype
    k, d = lead._n_columns(), X.shape[1]
    losses = [m._engine_loss(m._resolve_loss()) for m in members]
    fresh = runs is None or "_schedule" not in vars(lead)
    schedules = [
        m._resolve_schedule().prepared(loss, m.alpha) if fresh else m._schedule
        for m, loss in zip(members, losses, strict=True)
    ]
    targets = lead._encode(rows.y, losses[0], rows.weight, dtype)
    one = Problem(X, targets, rows.weight, losses[0], None, coordinates, bool(lead.fit_intercept), _ahead(X))
    kinds = [repr(loss) if count > 1 else "" for loss in losses]
    distinct = {kind: replace(one, loss=loss).constant() for kind, loss in zip(kinds, losses, strict=True)}
    constants = [distinct[kind] for kind in kinds]
    reference = np.array([cost.sum() for _, cost in constants])
    reference = np.maximum(reference, np.finfo(np.float64).tiny)

    columns = np.tile(np.arange(k), count)
    wide = coordinates if count == 1 else coordinates.take(columns)
    penalty = beside([m._resolve_penalty() for m in members], k, dtype)
    if not wide.identity:
        penalty = penalty.rescaled(wide.units, wide.factor)
    targets = targets if count == 1 else targets.take(columns)
    problem = replace(one, targets=targets, loss=beside(losses, k, dtype), penalty=penalty, coordinates=wide)
    if runs is None or not lead._is_auto:
        scaled = not coordinates.identity
        methods = [m._method(losses[0], rows, scaled, partial) for m in (members[:1] if lead._is_auto else members)]
    else:
        methods = [lead.solver_]
    methods = methods * count if lead._is_auto else methods
    method = beside(methods, k, dtype)

    if runs is None:
        theta = np.zeros((d + 1, k * count), dtype=dtype)
        for j in range(count):
            at = slice(j * k, (j + 1) * k)
            if start is not None and start[j] is not None:
                theta[:-1, at], theta[-1, at] = start[j][0].T, start[j][1]
                theta[:, at] = coordinates.standardised(theta[:, at])
            elif not coordinates.identity and lead.fit_intercept:
                theta[-1, at] = constants[j][0] / coordinates.target
        run = Run.start(theta, method, k, np.random.default_rng(_seed(lead.random_state)))
    else:
        run = Run.join(list(runs))

    score = None
    if validation is not None:

        def score(models: Array) -> Array:
            return lead._scores(models, *validation)

        if run.best_theta is None:
            run.best = np.full(count, -np.inf)
    races: list[Any] = [None if runs is None else m.race_ for m in members]
    tol = None if partial or lead.tol is None else np.array([m.tol for m in members], dtype=float)
    rules = Rules(
        max_iter=lead.max_iter if max_iter is None else max_iter, tol=tol, n_iter_no_change=lead.n_iter_no_change,
        average=int(lead.average), reference=reference, score=score, watch=watch, verbose=int(lead.verbose),
    )  # fmt: skip
    batch = lead._resolve_batch_size(method, X) if method.stochastic else X.shape[0]
    with _threads(batch * d * k * count):
        if not method.stochastic:
            outcome, races = _fullbatch.minimise(problem, run, method, rules)
            if rules.verbose:
                print(*races, sep="\n")
        else:
            if fresh and schedules[0].raced:
                steps = 10 if batch >= X.shape[0] else 40
                shared = beside(schedules, k, dtype)
                races, run = _race.race(problem, run, method, shared, batch, bool(lead.shuffle), steps)
                schedules = [s.with_fields(eta0=race.winner) for s, race in zip(schedules, races, strict=True)]
                if rules.verbose:
                    print(*races, sep="\n")
            if fresh:
                schedules = [m._finished_schedule(s) for m, s in zip(members, schedules, strict=True)]
            if races[0] is not None and not partial and runs is None and start is None:
                # the step is ours, and one that leaves the model worse than where it started was too long
                rules.limit = _WORSE
            elif races[0] is None and tol is None:
                # exactly the steps that were asked for, while they are finite
                rules.limit = np.inf
            outcome = train(problem, run, method, beside(schedules, k, dtype), batch, bool(lead.shuffle), rules)
    return [
        Result(
            outcome, j, outcome.runs[j], coordinates, methods[j], schedules[j],
            races[j], float(reference[j]), runs is not None,
        )
        for j in range(count)
    ]  # fmt: skip


# --------------------------------------------------------------------------- several estimators


def group_key(estimator: Any) -> Hashable:
    """What estimators must have in common to be columns of one matrix; None for estimators of others.

    Parameters
    ----------
    estimator : estimator
        With its parameters set.

    Returns
    -------
    hashable or None

    Raises
    ------
    ValueError
        If a parameter is not accepted.
    """
    if not getattr(type(estimator), "_trains_as_columns", False):
        return None
    estimator._check_params()
    params = estimator.get_params(deep=False)
    components = (
        estimator._resolve_loss(), estimator._resolve_penalty(), estimator._resolve_schedule(),
        *([] if estimator._is_auto else [estimator._resolve_solver()]),
    )  # fmt: skip
    rest = {
        name: value for name, value in params.items()
        if name not in _FAMILIES and not (name in _BY_COLUMN and isinstance(value, (int, float)))
    }  # fmt: skip
    return (
        type(estimator), estimator._is_auto, components[1].has_prox, repr(sorted(rest.items())),
        *(_kind(component) for component in components),
    )  # fmt: skip


def _kind(component: Component) -> Hashable:
    fields = component.get_params(deep=False)
    fixed = {name: value for name, value in fields.items() if not varies_by_column(component, name)}
    return type(component), repr(sorted(fixed.items()))


def fit_together(
    estimators: Sequence[Any],
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
) -> list[Exception | None]:
    """Fit several estimators of one group as columns, each as its own ``fit`` would.

    Parameters
    ----------
    estimators : sequence of estimators
        Of equal :func:`group_key`; fitted in place. Fitted ones with ``warm_start=True`` go on where they stopped.
    X, y, sample_weight, X_val, y_val, sample_weight_val
        As for ``fit``.

    Returns
    -------
    list of Exception or None
        What the fit of each raised. Nothing is warned of: ``status_`` says how each ended.
    """
    errors: list[Exception | None] = [None] * len(estimators)
    if not estimators:
        return errors
    lead = estimators[0]
    try:
        for member in estimators:
            member._check_params()
        prepared = lead._prepared(X, y, sample_weight, X_val, y_val, sample_weight_val)
    except Exception as error:  # as its own fit would, so is each one's
        return [error] * len(estimators)
    groups: dict[Any, list[int]] = {}
    for j, member in enumerate(estimators):
        clock = member._clock(prepared)
        groups.setdefault(clock, []).append(j)
    for group in groups.values():
        size = prepared.columns * (prepared.rows.X.shape[0] + 8 * prepared.rows.X.shape[1])
        most = max(1, _BLOCK // max(1, size))
        for begin in range(0, len(group), most):
            block = group[begin : begin + most]
            try:
                lead._fit_prepared([estimators[j] for j in block], prepared)
            except Exception as error:
                for j in block:
                    errors[j] = error
    return errors
