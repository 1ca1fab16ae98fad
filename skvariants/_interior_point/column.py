r"""One column over all rows: a few random ones first, then those near a kink, then a certificate over all.

A row far from its kinks keeps its slope, so that it is a linear term; with few rows left the steps are cheap. What the
others say is checked on all rows: the objective is an upper bound of the optimum, and with the slopes of all rows the
dual is a lower one. Where columns of `X` are many and L1 is part of the penalty, features are treated the same way:
those whose weights stay zero are left out until their gradient says otherwise.

References
----------
Portnoy and Koenker (1997), "The Gaussian hare and the Laplacian tortoise", doi:10.1214/ss/1030037960 (rows far from the
kink); Joachims (1999), "Making large-scale SVM learning practical" (working sets).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skvariants._interior_point.ascent import Ridge
from skvariants._interior_point.path import CentralPath, Ramps
from skvariants._interior_point.proximal import ProximalPoint
from skvariants._interior_point.rows import FACTORED, LARGEST, Frame, factored, normal_equations
from skvariants._interior_point.weights import Weights
from skvariants._training.state import Fields, informative

Array = np.ndarray
# rows of the first stage, at least and for each feature, and by what the next is larger
_FIRST, _PER_FEATURE, _GROWTH = 4096, 20, 8
# standard errors of a prediction within which a row is near a kink
_NEAR = 2.0
# features of the first working set
_FEATURES = 128
# shares of what is asked of all rows at which a path ends: the last digits cost a step or two, and tell which weights
# are zero, but where features are many
_FARTHER, _ZEROS, _LOOSE = 0.02, 0.002, 0.5
# share of the constant's loss below which a difference is not told from zero
_NOTHING = 1e-6
_PATH_STEPS, _PART_STEPS = 120, 30
# most iterations of dual ascent: its gap falls slowly until it has found which slopes are at an end, and then at once
_EPOCHS = 300
# the gap worth a second look, of the one that was not enough
_AGAIN = 0.6
# share of the largest gradient that is rounding
_ROUNDING = 1e-8


@dataclass(eq=False, repr=False)
class ColumnState(Fields):
    """Where a column stands.

    Attributes
    ----------
    v : ndarray of shape (n_features + 1,)
        Weights and intercept as :class:`Frame` has them.
    stage : int
        Which number of rows.
    near, slopes : ndarray or None
        Numbers of the rows near a kink, and the slopes of all rows of the stage.
    features : ndarray or None
        Numbers of the features that take part; None for all.
    path : PathState, ProximalState, AscentState or None
        Where the path or the ascent stands.
    climbed : bool
        Whether the ascent has been given up.
    steps, rounds : int
        Steps on this path, and paths on this stage.
    best, best_v : float, ndarray or None
        The lowest objective over all rows, and its weights.
    lower : float
        The highest lower bound of the optimum.
    exact : bool
        Whether the lower bound is one.
    central : bool
        Whether envelopes have gained no more, so that the central path is taken at its price.
    done, stuck : bool
        Whether there is nothing left to gain, or no way to gain it.
    fingerprint : tuple of float
        Of the problem that it is a state of.
    """

    v: Any = informative(None)
    stage: int = informative(0)
    near: Any = informative(None)
    slopes: Any = informative(None)
    features: Any = informative(None)
    path: Any = informative(None)
    steps: int = informative(0)
    rounds: int = informative(0)
    best: float = informative(np.inf)
    best_v: Any = informative(None)
    lower: float = informative(-np.inf)
    exact: bool = informative(True)
    central: bool = informative(False)
    climbed: bool = informative(False)
    done: bool = informative(False)
    stuck: bool = informative(False)
    fingerprint: tuple[float, ...] = informative(())

    def copy(self) -> ColumnState:
        copy = super().copy()
        copy.path = None if self.path is None else self.path.copy()
        return copy


class Column:
    """A column of a problem on its way to the optimum.

    Parameters
    ----------
    problem : Problem
        Of this column alone; its loss is a sum of ramps.
    order : ndarray of int
        A random order of the rows.
    constant : float
        Objective of the best constant.
    fraction : float
        Share of the gain over the constant that is not worth another step.
    state : ColumnState or None
        Where it stands; None at the start.
    theta : ndarray of shape (n_features + 1, 1)
        Where it starts, in the coordinates worked in.
    shared : dict
        Matrices of rows that several columns have in common.
    """

    def __init__(
        self, problem: Any, order: Any, constant: float, fraction: float, state: ColumnState | None, theta: Array,
        shared: dict[Any, Any],
    ) -> None:  # fmt: skip
        self.problem, self.order, self.constant, self.fraction = problem, order, constant, fraction
        self.frame = Frame(problem)
        self.d = problem.d
        self.weights = Weights.of(problem.penalty, self.d)
        ramps = ramps_of(problem)
        self.total = float(ramps.weight.sum())
        used = ramps.weight > 0
        self.used = None if used.all() else np.flatnonzero(used)
        self.sizes = self._sizes()
        self.shared = shared
        self.scale = float(np.ravel(problem.coordinates.objective_scale)[0])
        self._path: Any = None
        kinked = ramps.kinked and np.isfinite(ramps.low).all() and np.isfinite(ramps.high).all()
        wide = self.frame.sparse and self.d > FACTORED and len(self.sizes) == 1
        curved = self.weights.ridge and (self.weights.l2[self.frame.units > 0] > 0).all()
        self._climbs = bool(wide and kinked and curved)
        #: what the slopes of rows far from their kinks add to the objective
        self._offset = 0.0
        fingerprint = self._fingerprint(ramps)
        if state is None or state.fingerprint != fingerprint:
            self.state = ColumnState(v=self.frame.inner(theta[:, 0]), fingerprint=fingerprint)
            self._begin_stage()
        else:
            self.state = state

    def _fingerprint(self, ramps: Ramps) -> tuple[float, ...]:
        """Numbers that tell other rows, targets, weights or strengths from these."""
        X = self.problem.rows.X[:64]
        probe = np.cos(np.arange(self.d))
        columns = np.cos(np.arange(X.shape[0])) @ np.asarray(X @ probe, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # of positions next to the largest number
            places = ramps.position.shape[1], float((ramps.position * np.cos(np.arange(ramps.weight.size))).sum())
        return *places, self.total, float(columns), *self.weights.fingerprint()

    def _sizes(self) -> list[int]:
        """Rows of each stage."""
        n = self.problem.n
        sizes, m = [], max(_PER_FEATURE * (min(self.d, FACTORED) + 1), _FIRST)
        while 3 * m <= n:
            sizes.append(m)
            m *= _GROWTH
        return [*sizes, n]

    # ------------------------------------------------------------------ stages and rounds

    @property
    def last_stage(self) -> bool:
        """Whether all rows take part."""
        return self.state.stage == len(self.sizes) - 1

    def _rows(self) -> Any:
        """Numbers of the rows of this stage."""
        if self.last_stage:
            return slice(None) if self.used is None else self.used
        rows = np.sort(self.order()[: self.sizes[self.state.stage]])
        return rows if self.used is None else np.intersect1d(rows, self.used, assume_unique=True)

    def _predictions(self, rows: Any, v: Array) -> Array:
        X = self.problem.rows.X
        return self.frame.predict(X if isinstance(rows, slice) else X[rows], v)

    def _stage_ramps(self, rows: Any) -> Ramps:
        """Ramps of the rows of this stage, their weights as large together as those of all."""
        ramps = ramps_of(self.problem)
        if not isinstance(rows, slice):
            ramps = ramps.take(rows)
        if not self.last_stage and ramps.weight.size:
            ramps.weight = ramps.weight * (self.total / ramps.weight.sum())
        return ramps

    def _begin_stage(self) -> None:
        """The rows near a kink, by what is known from fewer rows."""
        state = self.state
        rows = self._rows()
        ramps = self._stage_ramps(rows)
        state.rounds, state.path, self._path = 0, None, None
        n = ramps.weight.size
        if state.stage == 0:
            state.near, state.slopes = None, np.zeros(ramps.low.shape)
            if self.weights.sparse and self.d > FACTORED:
                slopes = ramps.slopes(self._predictions(rows, state.v))
                gradient = self.frame.gradient(self._table(rows), self._row_sums(ramps, slopes))
                state.features = self._strongest(self.weights.pull(gradient[:-1]), _FEATURES)
            return
        z = self._predictions(rows, state.v)
        state.slopes = ramps.slopes(z)
        before = self.sizes[state.stage - 1]
        share = min(1.0, _NEAR * np.sqrt(min(self.d + 1, before) / before))
        state.near = self._nearest(ramps, z, int(share * n))

    def _nearest(self, ramps: Ramps, z: Array, count: int) -> Array | None:
        """Numbers of the rows nearest to a kink; None for all."""
        n = len(z)
        if 2 * count >= n or not ramps.kinked:
            return None
        distance = np.abs(z - ramps.position).min(axis=0)
        return np.sort(np.argpartition(distance, count)[:count])

    def _table(self, rows: Any) -> Any:
        X = self.problem.rows.X
        return X if isinstance(rows, slice) else X[rows]

    @staticmethod
    def _row_sums(ramps: Ramps, slopes: Array) -> Array:
        """Derivative in each prediction."""
        return ramps.weight * slopes.sum(axis=0)

    def _strongest(self, strength: Array, count: int) -> Array:
        free = np.flatnonzero(np.isinf(strength) & (self.frame.units > 0))
        order = np.argsort(-strength, kind="stable")[:count]
        return self.weights.whole(np.union1d(np.union1d(order, free), np.flatnonzero(self.state.v[:-1])))

    def _make_path(self) -> Any:
        """The path of this round: rows near a kink and features that take part."""
        state = self.state
        rows = self._rows()
        ramps = self._stage_ramps(rows)
        numbers = np.arange(self.problem.n)[rows] if state.near is not None else rows
        features = state.features
        which = slice(None) if features is None else features
        linear, self._offset = np.zeros(self.d + 1), 0.0
        if state.near is None:
            near_ramps, near_rows = ramps, numbers
        else:
            near_ramps, near_rows = ramps.take(state.near), numbers[state.near]
            far = self._row_sums(ramps, state.slopes)
            far[state.near] = 0.0
            at = ramps.weight * (state.slopes * ramps.position).sum(axis=0)
            self._offset = float(at[state.near].sum() - at.sum())
            linear = self.frame.gradient(self._table(rows), far)
        taking_part = linear if features is None else np.append(linear[:-1][features], linear[-1])
        matrix = self._matrix(near_rows)
        weights = self.weights.take(which)
        # free weights are beyond the digits of Gram matrices
        free = weights.ridge and not (weights.l2[self.frame.units[which] > 0] > 0).all() and matrix.d <= LARGEST
        free = free and (state.central or 2 * matrix.n >= matrix.d)
        direct, weights = free or weights.groups is not None, weights.ridged(self._least)
        if matrix.d > FACTORED and weights.ridge and not (direct or state.central):
            path: Any = ProximalPoint(matrix, near_ramps, taking_part, weights.l2)
        else:
            equations = normal_equations(matrix, np.append(weights.l2, 0.0), direct)
            path = CentralPath(matrix, near_ramps, taking_part, weights, equations)
        if state.path is None:
            v = state.v if features is None else np.append(state.v[:-1][features], state.v[-1])
            state.path = path.start(v.copy(), self._width(near_ramps, matrix, v))
            state.steps = 0
        return path

    def _matrix(self, rows: Any) -> Any:
        """The rows near a kink; those of a whole stage are made once for all columns."""
        state, frame = self.state, self.frame
        if state.near is not None or state.features is not None:
            return frame.matrix(self.problem.rows, rows, state.features)
        key = state.stage, None if self.used is None else self.used.tobytes(), frame.units.tobytes()
        if key not in self.shared:
            self.shared.clear()
            self.shared[key] = frame.matrix(self.problem.rows, rows, None)
        return self.shared[key]

    @property
    def held(self) -> int:
        """Numbers that the path of this column alone holds."""
        state = self.state
        alone = self._path is not None and (state.near is not None or state.features is not None)
        return self._path.matrix.n * self._path.matrix.d if alone else 0

    def release(self) -> None:
        """Forget the matrix of the path; it is made again when it is needed."""
        self._path = None

    @property
    def _least(self) -> float:
        """L2 strength that so many features get that not even a factor exists without one."""
        return 0.0 if self.d <= FACTORED else 1e-10 * self.total

    def _width(self, ramps: Ramps, matrix: Any, v: Array) -> float:
        """Distance from the kinks where a path starts."""
        distance = np.abs(matrix.dot(v) - ramps.position).mean(axis=0)
        return max(float(ramps.weight @ distance / max(ramps.weight.sum(), 1e-300)), 1e-12)

    # ------------------------------------------------------------------ dual ascent

    @property
    def climbing(self) -> bool:
        """Whether the column is, or is to be, moved by dual ascent."""
        state = self.state
        return self._climbs and not (state.climbed or state.done or state.stuck)

    def ridge(self) -> Ridge:
        """The problem as dual ascent sees it."""
        rows = np.arange(self.problem.n) if self.used is None else self.used
        ramps = ramps_of(self.problem).take(rows)
        kinks = np.argsort(ramps.position, axis=0, kind="stable")
        position, low, high, width = (
            np.take_along_axis(a, kinks, axis=0) for a in (ramps.position, ramps.low, ramps.high, ramps.width)
        )
        l2 = self.weights.ridged(self._least).l2
        most = float(l2.max())
        scale, share = np.sqrt(most / l2), ramps.weight / self.total
        ramps = Ramps(position, low, high, width, share)
        return Ridge(
            rows, self.frame.units * scale, scale, share, most / self.total, ramps, kinks, self.frame.intercept
        )  # fmt: skip

    def left(self) -> tuple[float, float]:
        """What is left to gain, as far as known, and what of that is not worth another epoch, in the user's units."""
        path = self.state.path
        if not self.climbing:
            return self.proven()
        value = path.value * self.total
        goal = max(self._worth(self.constant - value), 1e-14 * abs(value))
        return path.gap * self.total / self.scale, min(goal, path.goal * self.total) / self.scale

    def proven(self) -> tuple[float, float]:
        """The same by all rows."""
        return (self.state.best - self.state.lower) / self.scale, self.enough / self.scale

    def land(self, v: Array, slopes: Array) -> None:
        """Ask all rows about weights and slopes of the ascent; then it is done, or it goes on."""
        state = self.state
        ascent, state.v, state.slopes = state.path, v, slopes
        rows = self._rows()
        if not self._measured(rows, self._stage_ramps(rows))[0]:
            ascent.goal = _AGAIN * ascent.gap

    def settle(self) -> None:
        """There is nothing left to gain that is worth it: the best model of all rows is the end."""
        self.state.done, self.state.path, self.state.v = True, None, self.state.best_v.copy()

    def tired(self) -> bool:
        """Count an iteration; whether the ascent leads up too slowly."""
        self.state.steps += 1
        return not self.state.done and self.state.steps >= _EPOCHS

    def leave(self) -> None:
        """Give up the ascent; a path goes on from where it landed."""
        self.state.climbed, self.state.path, self.state.steps = True, None, 0

    # ------------------------------------------------------------------ one step

    @property
    def present(self) -> Array:
        """Where the path stands."""
        path = self.state.path
        return self.state.v if path is None else self._whole(path.v)

    @property
    def enough(self) -> float:
        """What is not worth another step."""
        state = self.state
        lower = max(state.lower, 0.0)
        gain = max(self.constant - min(state.best, self.constant), 0.0)
        if not np.isfinite(state.best):
            gain = self.constant - lower
        return self._worth(gain)

    def _worth(self, gain: float) -> float:
        """What is not worth another step where the constant is behind by `gain`; where it is not, nearly nothing is."""
        nothing = _NOTHING * self.constant
        return self.fraction * gain if gain > nothing else 0.5 * nothing

    def step(self) -> float:
        """One step along the path; the objective of the rows of the stage, as far as known."""
        state = self.state
        if self._path is None:
            self._path = self._make_path()
        path, at = self._path, state.path
        value, gap = path.step(at)
        value += self._offset
        state.steps += 1
        scale = self._worth(self.constant - value)
        if self.last_stage:
            share = _LOOSE if path.loose else _FARTHER if self.weights.ridge else _ZEROS
            goal = share * max(scale, 1e-14 * abs(value))
        else:
            goal = max(0.05 * (self.d + 1) / self.sizes[state.stage] * abs(value), scale)
        most = _PATH_STEPS if state.near is None else _PART_STEPS
        if state.near is not None and value < 0:  # what is linear of it has no minimum
            path.stuck = True
        if gap <= goal or path.stuck or state.steps >= most:
            self._end_round()
        return value

    def _end_round(self) -> None:
        """All rows of the stage are asked; then it is done, or another round or stage begins."""
        state, path, at = self.state, self._path, self.state.path
        rows = self._rows()
        ramps = self._stage_ramps(rows)
        slopes = path.slopes_of(at)
        if state.near is None:
            state.slopes = slopes
        else:
            state.slopes = state.slopes.copy()
            state.slopes[:, state.near] = slopes
        state.v = self._whole(at.v if self.weights.ridge else path.settled(at))
        if not self.last_stage:
            state.stage += 1
            self._begin_stage()
            return
        done, z, gradient = self._measured(rows, ramps)
        if not done:
            self._next_round(rows, ramps, z, gradient)

    def _measured(self, rows: Any, ramps: Ramps) -> tuple[bool, Array, Array]:
        """Objective and bound over all rows, and whether that is the end; predictions, and the gradient of the loss."""
        state = self.state
        z = self._predictions(rows, state.v)
        value = ramps.loss(z) + self.weights.value(state.v[:-1])
        if value < state.best:
            state.best, state.best_v = value, state.v.copy()
        lower, exact, gradient = self._lower(rows, ramps)
        if lower > state.lower:
            state.lower, state.exact = lower, exact
        state.rounds += 1
        if state.best - state.lower <= max(self.enough, 1e-13 * abs(state.best)):
            state.done, state.path, self._path = True, None, None
            state.v = state.best_v.copy()
        return state.done, z, gradient

    def _whole(self, v: Array) -> Array:
        if self.state.features is None:
            return v.copy()
        whole = np.zeros(self.d + 1)
        whole[self.state.features], whole[-1] = v[:-1], v[-1]
        return whole

    def _next_round(self, rows: Any, ramps: Ramps, z: Array, gradient: Array) -> None:
        """Rows on the wrong side and features whose weight would move join in; else the path goes on."""
        state, path = self.state, self._path
        joined = False
        if state.features is not None:
            outside = np.ones(self.d, bool)
            outside[state.features] = False
            pull = self.weights.pull(gradient[:-1])
            violated = np.flatnonzero(outside & (pull > 1 + 1e-9))
            if violated.size:
                chosen = violated[np.argsort(-pull[violated], kind="stable")[: max(_FEATURES, state.features.size)]]
                state.features, joined = np.union1d(state.features, self.weights.whole(chosen)), True
        if state.near is not None:
            side = ramps.slopes(z)
            wrong = (side != state.slopes).any(axis=0)
            wrong[state.near] = False
            if wrong.any():
                joined = True
                few = not path.stuck and wrong.sum() < 0.1 * state.near.size
                count = min(
                    len(z), int((1.0 if few else 1.5 if state.rounds < 4 and not path.stuck else 3) * state.near.size)
                )
                nearest = self._nearest(ramps, z, count)
                state.near = None if nearest is None else np.union1d(nearest, np.flatnonzero(wrong))
                if state.near is not None:
                    outside_rows = np.ones(len(z), bool)
                    outside_rows[state.near] = False
                    state.slopes = np.where(outside_rows, side, state.slopes)
        if joined:
            state.path, self._path = None, None
        elif path.stuck or state.steps >= (_PATH_STEPS if state.near is None else _PART_STEPS):
            if state.near is not None:
                state.near, state.path, self._path = None, None, None
            elif path.loose and factored(path.matrix):
                state.central, state.path, self._path = True, None, None
            else:
                state.stuck, state.path, self._path = True, None, None
                if state.best_v is not None:
                    state.v = state.best_v.copy()

    # ------------------------------------------------------------------ the bound

    def _lower(self, rows: Any, ramps: Ramps) -> tuple[float, bool, Array]:
        """A lower bound of the optimum from the slopes of all rows, whether it is one, and the gradient of the loss."""
        state = self.state
        wanted = state.best - max(self.enough, 1e-13 * abs(state.best))
        table = self._table(rows)
        return lower_bound(self.frame, table, ramps, state.slopes, self.weights, state.v, wanted)


def lower_bound(
    frame: Frame, X: Any, ramps: Ramps, slopes: Array, weights: Weights, v: Array, wanted: float = -np.inf
) -> tuple[float, bool, Array]:  # fmt: skip
    r"""The dual objective :math:`-\sum_k \omega_k u_k t_k - R^*(-\sum_k \omega_k u_k x_k)`.

    Slopes are shrunk to add up to zero where there is an intercept, and to stay within the strength of L1, or of the
    norm of a group, where there is neither L2 nor a bound. Where there is none of these, what is left of the gradient
    counts by the weights at hand, and the bound is an estimate. So it is where L1 strengths are about as small as
    roundings and the bound is not as high as `wanted`.
    """
    u = slopes
    if frame.intercept:
        up, down = (ramps.weight * np.maximum(u, 0)).sum(), (ramps.weight * np.maximum(-u, 0)).sum()
        if up != down:
            most = max(up, down)
            u = np.where((u > 0) == (up > down), u * (min(up, down) / most), u)
    s = frame.gradient(X, ramps.weight * u.sum(axis=0))
    g, w, l1 = s[:-1], v[:-1], weights.l1
    linear = float(ramps.weight @ (u * ramps.position).sum(axis=0))
    square = float(ramps.weight @ (0.5 * ramps.width * u * u).sum(axis=0))
    hard, free = weights.endless(g)
    noise = 1e-12 * float(np.abs(w) @ np.abs(g))

    def bound(share: float, loose: Array) -> tuple[float, bool]:
        rest = float(np.maximum(share * np.abs(g) - l1, 0.0)[loose] @ np.abs(w[loose]))
        conjugate = weights.conjugate(share * g, ~loose, hard)
        return -share * linear - share * share * square - conjugate - rest, rest <= noise

    share = np.where(hard, weights.shares(g), 1.0)
    if not (share < 1).any():
        return *bound(1.0, free), s
    found = bound(float(share.min()), free)
    # weights that are not zero, whose gradient is as good as their strength
    settled = hard & (w != 0) & (np.abs(g) - l1 <= _ROUNDING * float(ramps.weight @ np.abs(u).sum(axis=0)))
    if found[0] < wanted and settled.any() and weights.groups is None:
        found = max(found, bound(min(1.0, float(share[~settled].min(initial=1.0))), free | settled))
    return *found, s


def ramps_of(problem: Any) -> Ramps:
    """The ramps of all rows of a column, weighted so that their sum is its objective's loss."""
    y, s = problem.labels_of(slice(None))
    kinks = problem.loss.ramps(y.astype(np.float64))
    position, low, high, width = (
        np.stack([np.broadcast_to(np.asarray(ramp[i], float), y.shape)[:, 0] for ramp in kinks]) for i in range(4)
    )
    scale = float(np.ravel(problem.coordinates.objective_scale)[0]) / problem.n
    weight = np.full(problem.n, scale) if s is None else s[:, 0].astype(np.float64) * scale
    return Ramps(position, low, high, width, weight)


__all__ = ["Column", "ColumnState", "lower_bound", "ramps_of"]
