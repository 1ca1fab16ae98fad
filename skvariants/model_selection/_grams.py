r"""Squared error from sums over rows: all candidates of a fold are fitted and scored without looking at the rows again.

With :math:`S` the sums of products of deviations from the means, those of the target among them, and :math:`W` the sum
of the weights, the objective of weights :math:`v` is a constant, the penalty, and
:math:`\tfrac{1}{2 W} v^\top S_{xx} v - \tfrac1W S_{xy}^\top v`, whatever the strength of the penalty. Squared residuals
on rows held out follow from the sums over these. The sums of a fold are those of the other folds together: they are
added, by the update of Chan, Golub and LeVeque, and never subtracted, so no digit is lost.

What sums cannot say to all digits that count (targets that are met exactly, weights that cancel each other) is left to
the rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack
from sklearn.utils import get_tags

from skvariants._blocks.engines import tree
from skvariants._blocks.sums import refuse_infinite
from skvariants._blocks.survey import checked
from skvariants._by_feature import Shape
from skvariants._data.rows import rows_of
from skvariants._data.scaling import Moments
from skvariants._data.validate import Given, Header, canonical, prepare, row_weights
from skvariants._numerics import usual_errors
from skvariants._quasi_newton.costs import FACTORED
from skvariants._quasi_newton.hessian import l2_strengths
from skvariants._quasi_newton.lasso import Kinks, lasso
from skvariants._spec import Spec
from skvariants.model_selection._fold import Fold, SearchContext, n_rows, take, take_metadata
from skvariants.model_selection._plan import Candidate, PipelineGroup
from skvariants.model_selection._score import scores_itself

Array = np.ndarray
# numbers of a chunk of rows: what fits the cache
_CHUNK = 1 << 17
# numbers in the sums of all folds together
_HELD = 1 << 24
# cells of rows that are elsewhere: of each block all are looked at
_CELLS = 1 << 10
# multiplications for a stored value and a candidate that sums may cost: what a few iterations do
_WORTH = 32
# epochs from which a fit of squared error is not ended by their number
_ENOUGH = 100
# share of `tol` that an optimum is within, and what stands for `tol` where it is None
_SHARE, _EXACT = 0.1, 1e-9
# rounding of a sum of squared residuals, as a share of it, above which rows are looked at
_ROUNDING = 1e-8
_EPS = float(np.finfo(np.float64).eps)
#: scores that sums say, by name
METRICS = {
    "r2": lambda errors, spread, weight: 1 - np.mean(errors / spread),
    "neg_mean_squared_error": lambda errors, spread, weight: -np.mean(errors / weight),
    "neg_root_mean_squared_error": lambda errors, spread, weight: -np.mean(np.sqrt(errors / weight)),
}


# ---------------------------------------------------------------------- sums


@dataclass(frozen=True)
class Sums:
    """Sums over rows, features and targets side by side.

    Attributes
    ----------
    n : int
        Rows.
    weight : float
        Sum of their weights.
    mean : ndarray of shape (n_features + n_targets,)
        Weighted means.
    squares : ndarray of shape (n_features + n_targets, n_features + n_targets)
        Weighted sums of products of deviations from them.

    References
    ----------
    Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance", doi:10.1080/00031305.1983.10483115.
    """

    n: int
    weight: float
    mean: Array
    squares: Array

    @classmethod
    def of(cls, rows: Any, index: Array) -> Sums:
        """Sums over some rows of a table."""
        total: Any = None
        d = rows.d
        width = d + rows.y.shape[1]
        for some in _parts(index, max(_CHUNK // width, 2 * width)):
            X, (y, weight) = rows.X[some], rows.labels(some)
            C = np.empty((len(y), width))
            C[:, :d] = X.toarray() if sp.issparse(X) else X
            C[:, d:] = y
            w = np.ones(len(y)) if weight is None else weight.astype(np.float64)
            mean = w @ C / w.sum()
            C -= mean
            if weight is not None:
                C *= np.sqrt(w)[:, None]
            part = cls(len(y), float(w.sum()), mean, C.T @ C)
            total = part if total is None else total + part
        return total

    def __add__(self, other: Sums) -> Sums:
        weight, delta = self.weight + other.weight, other.mean - self.mean
        squares = self.squares + other.squares
        squares += np.outer(delta, delta * (self.weight * other.weight / weight))
        return Sums(self.n + other.n, weight, self.mean + delta * (other.weight / weight), squares)


def _parts(index: Array, size: int) -> Iterator[Any]:
    """Numbers of rows in parts; those that follow each other as a slice."""
    begin, end = int(index[0]), int(index[-1]) + 1
    if end - begin == len(index) and (np.diff(index) == 1).all():
        yield from (slice(start, min(start + size, end)) for start in range(begin, end, size))
    else:
        yield from (index[start : start + size] for start in range(0, len(index), size))


@dataclass
class FoldSums:
    """What the candidates of one fold are fitted and scored by.

    Attributes
    ----------
    train : Sums
        Over the rows that are trained with.
    scored : list of Sums
        Over the rows held out, and over those of the training, with the weights of the score.
    shape : Shape
        Of the coefficients.
    task : Task
        What the targets are.
    seconds : float
        What they took.
    """

    train: Sums
    scored: list[Sums]
    shape: Shape
    task: Any
    seconds: float


def sums_by_fold(
    context: SearchContext, group: PipelineGroup, folds: Sequence[tuple[Array, Array]]
) -> list[FoldSums] | list[None]:
    """Sums of each fold, where candidates without steps before them are answered by these; else None for each."""
    clock = time.perf_counter()
    data = None
    if not group.path and all(_numbers(part, n_rows(context.X)) for fold in folds for part in fold):
        data = _prepared(context, group.candidates, context.X, context.y, context.fit_params)
    if data is None or len(folds) * (data.rows.d + data.task.n_columns) ** 2 > _HELD:
        return [None] * len(folds)
    if _is_partition(folds, data.rows.n):
        sums = _of_partition(data.rows, folds)
    else:
        sums = [(Sums.of(data.rows, train), Sums.of(data.rows, test)) for train, test in folds]
    seconds = (time.perf_counter() - clock) / len(folds)
    return [FoldSums(train, [test, train], _shape(data), data.task, seconds) for train, test in sums]


def sums_of_fold(context: SearchContext, fold: Fold, candidates: Sequence[Candidate]) -> FoldSums | None:
    """The same of a fold that has gone through the steps of a pipeline."""
    if fold.failure is not None or fold.pipeline is not None:
        return None
    clock = time.perf_counter()
    data = _prepared(context, candidates, fold.X, fold.y, fold.params)
    if data is None:
        return None
    weights = fold.params.get("sample_weight"), context.score_params.get("sample_weight")
    again = context.return_train_score and any(weight is not None for weight in weights)
    try:
        scored = [_scored(context, candidates, data, X, rows) for _, X, rows in fold.scored_rows(again)]
    except (TypeError, ValueError):  # the ordinary way says what is wrong
        return None
    train = Sums.of(data.rows, np.arange(data.rows.n))
    scored += [] if again else [train]
    return FoldSums(train, scored, _shape(data), data.task, time.perf_counter() - clock)


def _scored(context: SearchContext, candidates: Sequence[Candidate], data: Any, X: Any, numbers: Array) -> Sums:
    """Sums over some rows as the score sees them, whose weights need not be those of the training."""
    y, params = take(context.y, numbers), take_metadata(context.score_params, n_rows(context.X), numbers)
    X, y = data.header.checked(X, y, False, **_asked(candidates)[0].spec.task.checks_of(y))
    y, weight = data.task.validated(y), row_weights(params.get("sample_weight"), X.shape[0])
    rows = rows_of(canonical(X), data.task.stored(y, X.dtype), weight)
    return Sums.of(rows, np.arange(rows.n))


def _shape(data: Any) -> Shape:
    return Shape(data.header.feature_names, data.rows.d, data.task.n_columns, data.task.n_classes)


def _numbers(rows: Array, n: int) -> bool:
    """Whether rows are given by number, two or more."""
    return rows.dtype.kind in "iu" and len(rows) > 1 and 0 <= rows.min() and rows.max() < n


def _is_partition(folds: Sequence[tuple[Array, Array]], n: int) -> bool:
    """Whether each row is held out once, and trained with otherwise."""

    def once(*parts: Array) -> bool:
        return sum(map(len, parts)) == n and bool((np.bincount(np.concatenate(parts), minlength=n) == 1).all())

    return len(folds) > 1 and once(*(test for _, test in folds)) and all(once(*fold) for fold in folds)


def _of_partition(rows: Any, folds: Sequence[tuple[Array, Array]]) -> list[tuple[Sums, Sums]]:
    """Sums of the rows held out, and those of the other folds together: of the folds before, and of those behind."""
    parts = [Sums.of(rows, test) for _, test in folds]
    before, behind = [parts[0]], [parts[-1]]
    for part in parts[1:-1]:
        before.append(before[-1] + part)
    for part in parts[-2:0:-1]:
        behind.append(part + behind[-1])
    behind.reverse()
    others = [behind[0], *(a + b for a, b in zip(before, behind[1:], strict=False)), before[-1]]
    return list(zip(others, parts, strict=True))


# ---------------------------------------------------------------------- who is answered


def _asked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates of one loss that sums may answer."""
    suited = [candidate for candidate in candidates if _suits(candidate)]
    return [candidate for candidate in suited if candidate.spec.loss.key() == suited[0].spec.loss.key()]


def _suits(candidate: Candidate) -> bool:
    """Whether a candidate is a plain fit of a regression by "auto", which goes on until it has arrived."""
    spec = candidate.spec
    if spec is None or not candidate.as_columns or scores_itself(type(candidate.final)):
        return False
    loss, penalty, stopping = spec.loss, spec.penalty, spec.stopping
    by_iterations = spec.solver.method in ("chosen", "quasi-Newton") and spec.free
    known = loss.quadratic and not loss.deviance and loss.outputs == 1 and (penalty.elastic or penalty.bounded)
    return (
        by_iterations and known and not spec.task.classification and not stopping.early_stopping
        and stopping.max_iter >= _ENOUGH and not spec.verbose
    )  # fmt: skip


def _prepared(context: SearchContext, candidates: Sequence[Candidate], X: Any, y: Any, params: dict[str, Any]) -> Any:
    """Rows as the candidates see them, if their sums say what is asked, and are worth it; else None."""
    asked, scored = _asked(candidates), context.score_params
    if not asked or context.metrics is None or not set(params) | set(scored) <= {"sample_weight"}:
        return None
    if context.fit_params.get("sample_weight") is not scored.get("sample_weight"):
        return None
    final, spec = asked[0].final, asked[0].spec
    try:
        data = prepare(spec, Header.of(type(final).__name__, get_tags(final)), Given(X, y, **params))
    except (TypeError, ValueError):  # the ordinary way says what is wrong
        return None
    rows, loss = data.rows, data.task.bind_loss(spec.loss)
    worth = rows.d <= FACTORED and float(rows.n) * rows.d * rows.d <= _WORTH * float(rows.stored) * len(asked)
    if not worth or rows.n != n_rows(X):  # rows of weight zero are left out
        return None
    return data if _is_squared(loss, rows.y[:_CHUNK].astype(np.float64)) else None


def _is_squared(loss: Any, y: Array) -> bool:
    """Whether a loss is the squared error, as far as targets say."""
    squared = np.array_equal(loss.gradient(y, np.zeros_like(y), np.empty_like(y)), -y)
    return squared and np.array_equal(loss.inverse_link(y), y)


# ---------------------------------------------------------------------- rows that are elsewhere


class _OfCells(list[Any]):
    """Sums by cell, None of no rows."""

    def __add__(self, other: Any) -> _OfCells:
        return _OfCells(_both(a, b) for a, b in zip(self, other, strict=True))


def _both(a: Sums | None, b: Sums | None) -> Sums | None:
    return b if a is None else a if b is None else a + b


def sums_of_cells(shard: Any, count: int, asked: Any, loss: Any) -> _OfCells:
    """Sums of a shard with cells of its rows beside it, by cell.

    Parameters
    ----------
    shard : tuple
        Features, targets, weights and cells.
    count : int
        Of the cells.
    asked : Regression
        What targets are to be.
    loss : Loss
        What is minimised.
    """
    X, y, weight, cells = shard
    found = _OfCells([None] * count)
    if not len(cells):
        return found
    y, weight = checked(y, asked), row_weights(weight, len(cells))
    asked.learn(y, loss)
    rows = rows_of(canonical(X.tocsr() if sp.issparse(X) else np.asarray(X)), y, weight)
    used = cells.astype(int) if weight is None else np.where(weight > 0, cells.astype(int), -1)
    order = np.argsort(used, kind="stable")
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for index in np.split(order, np.flatnonzero(np.diff(used[order])) + 1):
            if (cell := used[index[0]]) >= 0:
                found[cell] = Sums.of(rows, index)
    if not all(part is None or np.isfinite(part.squares).all() for part in found):
        refuse_infinite((X, y, weight), np.float64)
    return found


def answered_by_cells(
    context: SearchContext, candidates: Sequence[Candidate], folded: Any, names: Any
) -> list[FoldSums] | None:  # fmt: skip
    """Sums of each fold of a table that is elsewhere, where candidates are answered by these; else None.

    Parameters
    ----------
    context : SearchContext
        What is searched with.
    candidates : sequence of Candidate
        Without steps before them.
    folded : FoldedTable
        The rows.
    names : ndarray of str or None
        Of the features.
    """
    clock, asked, d = time.perf_counter(), _asked(candidates), folded.table.d
    if not asked or context.metrics is None or d > min(FACTORED, _WORTH * len(asked)):
        return None
    cells, spec = folded.cells, asked[0].spec
    n_folds, count = cells.train.shape
    if (
        count > _CELLS
        or count * d * d > _HELD
        or not _is_squared(spec.loss.with_spread(1.0).by_output(), np.linspace(0, 1, 8)[:, None])
    ):
        return None
    parts = folded.table.total(sums_of_cells, count, spec.task, spec.loss)
    known = next((part for part in parts if part is not None), None)
    if known is None:
        return None
    n_targets = len(known.mean) - d
    task = spec.task.learn(np.zeros((1, n_targets)), spec.loss)
    found = []
    for train, test in zip(cells.train, cells.test, strict=True):
        of = [
            tree(part for part, inside in zip(parts, member, strict=True) if inside and part is not None)
            for member in (train, test)
        ]
        if any(part is None or part.n < 2 for part in of):
            return None
        found.append(of)
    seconds, shape = (time.perf_counter() - clock) / n_folds, Shape(names, d, task.n_columns, task.n_classes)
    return [FoldSums(train, [test, train], shape, task, seconds) for train, test in found]


# ---------------------------------------------------------------------- fits and scores


@usual_errors
def answers(context: SearchContext, candidates: Sequence[Candidate], sums: FoldSums) -> dict[int, list[Any]]:
    """Scores of the candidates of a fold, by number, on the rows held out and, where asked for, on the others.

    Candidates that sums cannot answer are left out.
    """
    found: dict[int, list[Any]] = {}
    metrics = context.metrics or {}
    quadratics: dict[bool, Quadratic] = {}
    starts: dict[bool, Array] = {}
    for candidate in sorted(_asked(candidates), key=_strength, reverse=True):
        center = candidate.spec.fit_intercept
        try:
            if center not in quadratics:
                quadratics[center] = Quadratic(sums.train, sums.shape.n_features, center, sums.task)
            quadratic = quadratics[center]
            V = quadratic.optimum(candidate.spec.for_features(sums.shape), starts.get(center))
        except (NotImplementedError, TypeError, ValueError):  # the ordinary way says what is wrong
            continue
        if V is None:
            continue
        starts[center] = V
        parts = sums.scored if context.return_train_score else sums.scored[:1]
        scored = [scores for part in parts if (scores := quadratic.scores(V, part, metrics)) is not None]
        if len(scored) == len(parts):
            found[candidate.number] = [scores[None] if context.names is None else scores for scores in scored]
    return found


def _strength(candidate: Candidate) -> float:
    """Strength of the L1 part, for all features together: the weights that are not zero grow as it falls."""
    return float(np.mean(candidate.spec.penalty.l1_strength))


class Quadratic:
    """The objective of squared error in standardised coordinates, from sums over rows.

    Parameters
    ----------
    sums : Sums
        Over the rows that it is trained with.
    d : int
        Features.
    center : bool
        Whether there is an intercept.
    task : Task
        What the targets are.
    """

    def __init__(self, sums: Sums, d: int, center: bool, task: Any) -> None:
        self.d, self.center, weight = d, center, sums.weight
        diagonal, mean = sums.squares.diagonal(), sums.mean
        target = task.unit(Moments(weight, mean[d:], diagonal[d:]), center)
        self.coordinates = Moments(weight, mean[:d], diagonal[:d]).coordinates(center, target, np.float64)
        self.origin = mean if center else np.zeros_like(mean)
        S = sums.squares / weight
        if not center:
            S = S + np.outer(mean, mean)
        inverse = self.coordinates.inverse_scale[:, 0]
        self.used = np.flatnonzero(inverse)
        u = inverse[self.used]
        self.Q = S[np.ix_(self.used, self.used)] * u * u[:, None]
        self.c = -S[self.used, d:] * u[:, None] / np.atleast_1d(target)

    def optimum(self, spec: Spec, start: Array | None) -> Array | None:
        """Weights in these coordinates; None where the search did not arrive."""
        d, k = self.d, self.c.shape[1]
        spec.check_shapes(d, k)
        if len(self.used) < d and spec.penalty.bounded:
            lower, upper = spec.penalty.limits(np.float64)
            if (np.maximum(lower, -upper) > 0).any():  # columns of one value get weights, too
                return None
        penalty = spec.penalty.rescaled(self.coordinates.units, self.coordinates.objective_scale)
        l2, kinks, V = l2_strengths(penalty, d, k), Kinks.of(penalty, np.zeros((d + 1, k))), np.zeros((d, k))
        tol = max(spec.stopping.tol or 0.0, _EXACT)
        for j in range(k):
            Q = self.Q.copy()
            Q.flat[:: len(Q) + 1] += l2[self.used, j]
            own = kinks.take(lambda A, j=j: A[self.used, j])
            begin = np.zeros(len(Q)) if start is None else start[self.used, j]
            v = _ridge(Q, self.c[:, j]) if own.bounds is None and not own.strength.any() else None
            if v is None or not _arrived(Q, self.c[:, j], own, v, _SHARE * tol):
                v = lasso(Q, self.c[:, j], own.strength, begin, own.bounds)
                if not _arrived(Q, self.c[:, j], own, v, _SHARE * tol):
                    return None
            V[self.used, j] = v
        return V

    def scores(self, V: Array, sums: Sums, metrics: dict[str | None, str]) -> dict[str | None, float] | None:
        """Scores on rows by their sums; None where rounding may count."""
        d, W = self.d, V * self.coordinates.units
        S, shift = sums.squares, sums.mean - self.origin
        spread = S.diagonal()[d:]
        level = shift[d:] - shift[:d] @ W
        errors = spread - 2 * (W * S[:d, d:]).sum(axis=0) + (W * (S[:d, :d] @ W)).sum(axis=0) + sums.weight * level**2
        # what was added up, of either sign
        size = np.sqrt(S.diagonal())
        added = (size[d:] + size[:d] @ np.abs(W)) ** 2
        added += sums.weight * (np.abs(shift[d:]) + np.abs(shift[:d]) @ np.abs(W)) ** 2
        constant = spread <= sums.weight * (64 * _EPS * np.abs(sums.mean[d:])) ** 2
        if sums.n < 2 or constant.any() or not (_EPS * added <= _ROUNDING * errors).all():
            return None
        return {name: float(METRICS[metric](errors, spread, sums.weight)) for name, metric in metrics.items()}


def _ridge(Q: Array, c: Array) -> Array | None:
    """Where the gradient is zero; None if that is nowhere, or everywhere along a line."""
    if not len(c):  # LAPACK refuses it
        return c
    factor, failed = lapack.dpotrf(Q.T, lower=1, clean=0)
    return None if failed else -lapack.dpotrs(factor, c, lower=1)[0]


def _arrived(Q: Array, c: Array, kinks: Kinks, v: Array, share: float) -> bool:
    r"""Whether what is left to gain is within a share of the gain over a constant model.

    By convexity it is at most the product of the smallest subgradient with the way to the optimum.
    """
    Qv = Q @ v
    gain = -float(v @ (0.5 * Qv + c) + kinks.strength @ np.abs(v))
    left = float(kinks.excess(v, Qv + c).max(initial=0.0)) * (1 + 2 * float(np.abs(v).sum()))
    return bool(np.isfinite(left) and left <= share * gain)


__all__ = [
    "METRICS", "FoldSums", "Quadratic", "Sums", "answered_by_cells", "answers", "sums_by_fold", "sums_of_cells",
    "sums_of_fold",
]  # fmt: skip
