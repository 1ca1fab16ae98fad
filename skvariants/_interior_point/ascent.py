r"""Dual coordinate ascent in blocks of rows: wide sparse rows, all columns at once.

The dual of :math:`\sum_i p_i \ell_i(x_i^\top v + b) + \tfrac\tau2 |v|^2` is maximised one row at a time [1]_: with
:math:`v = -X^\top (p \circ s) / \tau` the slope of row `i` becomes

.. math:: s_i \leftarrow \operatorname{prox}(s_i + (z_i - t_i) / \kappa_i), \qquad
          \kappa_i = p_i (|x_i|^2 + \rho) / \tau

which is exact. Rows come in blocks: one product gives the predictions of a block, its Gram matrix carries them from row
to row, and another product takes the slopes into the weights, for all columns together. The intercept has no
penalty; each epoch gives it one around where it stood, as if rows had another feature :math:`\sqrt\rho`
(Rockafellar's multipliers [2]_), so that slopes add up to zero in the end.

References
----------
.. [1] Hsieh, Chang, Lin, Keerthi and Sundararajan (2008), "A dual coordinate descent method for large-scale linear
   SVM", doi:10.1145/1390156.1390208; Shalev-Shwartz and Zhang (2013), "Stochastic dual coordinate ascent methods for
   regularized loss minimization", JMLR 14, 567-599.
.. [2] Rockafellar (1976), "Augmented Lagrangians and applications of the proximal point algorithm in convex
   programming", doi:10.1287/moor.1.2.97.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import blas

from skvariants._interior_point.path import Ramps

Array = np.ndarray
# rows of a block, for several columns and for one, which may have more while the Gram matrices hold so few numbers
_BLOCK, _BLOCK_OF_ONE, _LARGER, _GRAMS = 64, 128, 256, 1 << 23
# penalty of the intercept's move, in mean squares of rows: 0.003 to 0.03 are alike, 0.1 and 1 take two and five times
# the epochs (3,000 rows of newsgroups, 1,200 of synthetic text)
_RHO = 0.01
# of the mean curvature of rows, the least that a row has
_LEAST = 1e-9
# epochs before the last whose gaps are kept
_BACK = 10


@dataclass(eq=False, repr=False)
class AscentState:
    """Where a column stands: scaled weights, slopes of the rows in their order, intercept, epochs.

    Objective, and primal minus dual in the last epochs, are summed while slopes change, where weights of rows add up to
    one; below ``goal`` a gap is worth a look at all rows.
    """

    v: Array
    s: Array
    b: float
    epoch: int = 0
    value: float = np.inf
    gaps: tuple[float, ...] = ()
    goal: float = np.inf

    def copy(self) -> AscentState:
        """The same, to change."""
        return replace(self, v=self.v.copy(), s=self.s.copy())


@dataclass(eq=False, repr=False)
class Ridge:
    """What columns must have in common to climb together, and what they may differ in.

    Attributes
    ----------
    rows : ndarray of int
        Numbers of the rows of the table, in a random order.
    stretch, scale : ndarray of shape (n_features,)
        By what features, and then weights, are multiplied so that the penalty is that of squares of weights.
    share : ndarray of shape (n_rows,)
        Weights of the rows; their sum is one.
    strength : float
        Of the squares, where the weights of rows add up to one.
    ramps : Ramps
        Of the rows in this order, those of a row by position.
    kinks : ndarray of int
        Which they are in the order of the loss.
    intercept : bool
        Whether there is one.
    """

    rows: Array
    stretch: Array
    scale: Array
    share: Array
    strength: float
    ramps: Ramps
    kinks: Array
    intercept: bool

    def joins(self, other: Ridge) -> bool:
        """Whether both can climb together."""
        return (
            self.intercept == other.intercept and self.ramps.low.shape == other.ramps.low.shape
            and np.array_equal(self.rows, other.rows)
            and np.allclose(self.stretch, other.stretch, rtol=1e-12, atol=0)
            and np.allclose(self.scale, other.scale, rtol=1e-12, atol=0)
            and np.allclose(self.share, other.share, rtol=1e-12, atol=0)
        )  # fmt: skip


@dataclass(eq=False, repr=False)
class Block:
    """Rows of a block in the features that they store.

    Attributes
    ----------
    rows : slice
        Which.
    features : ndarray of int
        That any of them stores.
    X, XT : sparse matrices
        Their values, and times the weights of the rows.
    gram : ndarray of shape (n_rows, n_rows)
        What a slope adds to the other predictions, over their curvature; nil for its own.
    curvature : ndarray of shape (n_rows, 1)
        Of each row, for a strength of one.
    """

    rows: slice
    features: Array
    X: Any
    XT: Any
    gram: Array
    curvature: Array


class DualAscent:
    """Epochs of dual coordinate ascent of several columns.

    Parameters
    ----------
    X : sparse matrix
        The table.
    ridges : sequence of Ridge
        One for each column; they join.
    """

    def __init__(self, X: Any, ridges: Sequence[Ridge]) -> None:
        first = ridges[0]
        self.ridges = list(ridges)
        self.share, self.intercept = first.share, first.intercept
        S = (X[first.rows].astype(np.float64) @ sp.diags_array(first.stretch)).tocsr()
        self.S = S
        norms = np.asarray(S.multiply(S).sum(axis=1)).ravel()
        self.rho = _RHO * float(self.share @ norms) if self.intercept else 0.0
        curvature = self.share * (norms + self.rho)
        self.curvature = np.maximum(curvature, _LEAST * curvature.mean() + 1e-300)
        size = _BLOCK if len(ridges) > 1 else int(np.clip(_GRAMS // S.shape[0], _BLOCK_OF_ONE, _LARGER))
        self.blocks = [self._block(S, slice(i, min(i + size, S.shape[0]))) for i in range(0, S.shape[0], size)]
        self.states: list[AscentState] = []
        self._tabulate()

    def _block(self, S: Any, rows: slice) -> Block:
        part = S[rows]
        features, numbers = np.unique(part.indices, return_inverse=True)
        shape = part.shape[0], features.size
        own = sp.csr_matrix((part.data, numbers.astype(np.int32), part.indptr), shape=shape)
        share, curvature = self.share[rows], self.curvature[rows]
        gram = ((own @ own.T).toarray() + self.rho) * (share[:, None] / curvature)
        np.fill_diagonal(gram, 0.0)
        weighted = sp.csr_matrix((own.data * np.repeat(share, np.diff(own.indptr)), own.indices, own.indptr), shape)
        return Block(rows, features, own, weighted.T, gram, curvature[:, None])

    def _tabulate(self) -> None:
        """Ramps of all columns, ``(n_kinks, n_rows, n_columns)``, with their ends in units of :meth:`_climb`."""
        ramps = [ridge.ramps for ridge in self.ridges]
        self.position = np.stack([r.position for r in ramps], axis=-1)
        self.low, self.high = np.stack([r.low for r in ramps], axis=-1), np.stack([r.high for r in ramps], axis=-1)
        self.strength = np.array([r.strength for r in self.ridges])
        # of ramps in their order, those before the one that a prediction is on are at their high end
        before = np.cumsum(self.high, axis=0) - self.high
        after = self.low.sum(axis=0) - np.cumsum(self.low, axis=0)
        self.offset = before + after
        middle = self.position * (self.strength / self.curvature[:, None]) + self.offset
        self.lowest, self.highest, self.middle = middle + self.low, middle + self.high, middle.sum(axis=0)
        self.least, self.most = self.low.sum(axis=0), self.high.sum(axis=0)

    # ------------------------------------------------------------------ columns

    def start(self, j: int, b: float) -> AscentState:
        """Column `j` at slopes of zero, or as near to that as they can be."""
        s = np.clip(0.0, self.least[:, j], self.most[:, j])
        v = -(self.S.T @ (self.share * s)) / self.strength[j] if s.any() else np.zeros(self.S.shape[1])
        return AscentState(v, s, b if self.intercept else 0.0)

    def hold(self, states: Sequence[AscentState]) -> None:
        """Let columns that stand there be those that :meth:`epoch` moves; they share two matrices from now on."""
        if len(states) == len(self.states) and all(a is b for a, b in zip(states, self.states, strict=True)):
            return
        self.states = list(states)
        self.V = np.stack([state.v for state in states], axis=1)
        self.s = np.stack([state.s for state in states], axis=1)
        self.b = np.array([state.b for state in states])
        for j, state in enumerate(states):
            state.v, state.s = self.V[:, j], self.s[:, j]

    def keep(self, columns: Sequence[int]) -> None:
        """Keep some of the columns."""
        if len(columns) < len(self.ridges):
            self.ridges = [self.ridges[j] for j in columns]
            self._tabulate()

    def slopes(self, j: int) -> Array:
        """Slopes of the ramps of column `j`, ``(n_kinks, n_rows)``, its rows in the order of the table."""
        u = np.clip(self.states[j].s - self.offset[:, :, j], self.low[:, :, j], self.high[:, :, j])
        slopes = np.empty_like(u)
        np.put_along_axis(slopes, self.ridges[j].kinks, u, axis=0)
        return slopes[:, np.argsort(self.ridges[j].rows, kind="stable")]

    def weights(self, j: int) -> Array:
        """``(w, b)`` of column `j` that its slopes stand for."""
        state, ridge = self.states[j], self.ridges[j]
        v = -(self.S.T @ (self.share * state.s)) / ridge.strength
        return np.append(v * ridge.scale, state.b)

    def present(self, j: int) -> Array:
        """``(w, b)`` of column `j` where it stands."""
        return np.append(self.V[:, j] * self.ridges[j].scale, self.b[j])

    # ------------------------------------------------------------------ an epoch

    def epoch(self) -> None:
        """Every row once, in place; all columns have seen as many epochs."""
        states = self.states
        climb = self._climb_one if len(states) == 1 else self._climb
        losses, slack = np.zeros(len(states)), np.zeros(len(states))
        order = np.random.default_rng(states[0].epoch).permutation(len(self.blocks))
        for number in order.tolist():
            block = self.blocks[number]
            W = self.V.take(block.features, axis=0, mode="clip")
            z = block.X @ W
            z += self.b
            loss, excess = self._measured(block, z)
            losses += loss
            slack += excess
            c = z * (self.strength / block.curvature)
            c += self.s[block.rows]
            change = climb(block, c)
            if change is None:
                continue
            change /= self.strength
            W -= block.XT @ change
            self.V[block.features] = W
            self.b -= self.rho * (self.share[block.rows] @ change)
        self.b -= self.rho * (self.share @ self.s) / self.strength
        values = losses + 0.5 * self.strength * np.einsum("ij,ij->j", self.V, self.V)
        for j, state in enumerate(states):
            state.b, state.epoch, state.value = float(self.b[j]), state.epoch + 1, float(values[j])
            state.gaps = (*state.gaps[-_BACK:], float(slack[j]))

    def _measured(self, block: Block, z: Array) -> tuple[Array, Array]:
        """Weighted losses of each column, and by how much they and their conjugates exceed the products."""
        rows, share = block.rows, self.share[block.rows]
        r, s, low, high = z - self.position[:, rows], self.s[rows], self.low[:, rows], self.high[:, rows]
        u = s[None] if len(low) == 1 else np.clip(s - self.offset[:, rows], low, high)
        losses = np.maximum(low * r, high * r)
        u = losses - u * r
        return share @ losses.sum(axis=0), share @ u.sum(axis=0)

    def _climb(self, block: Block, c: Array) -> Array:
        """Slopes of the rows of a block, one after the other; how they change."""
        rows = block.rows
        old = self.s[rows]
        base = old + self.middle[rows]
        lowest, highest = self.lowest[:, rows], self.highest[:, rows]
        change = np.empty_like(c)
        walk = zip(change, c, lowest[0], highest[0], base, block.gram, strict=True)
        for i, (x, now, least, most, start, carried) in enumerate(walk):
            np.minimum(now, most, out=x)
            np.maximum(x, least, out=x)
            for k in range(1, len(lowest)):
                x += np.clip(now, lowest[k, i], highest[k, i])
            x -= start
            blas.dger(-1.0, x, carried, a=c.T, overwrite_a=1)
        return self._moved(rows, old, change)

    def _climb_one(self, block: Block, c: Array) -> Array | None:
        """The same for a single column and the rows that would move at first: few others come to it in their turn."""
        rows, gram, c = block.rows, block.gram, c[:, 0]
        lowest, highest = self.lowest[:, rows, 0], self.highest[:, rows, 0]
        old = self.s[rows]
        base = (old + self.middle[rows])[:, 0]
        moving = np.flatnonzero(np.minimum(np.maximum(c, lowest), highest).sum(axis=0) != base)
        if not moving.size:
            return None
        change, item = np.zeros(len(base)), c.item
        (least, *others_least), (most, *others_most) = lowest[:, moving].tolist(), highest[:, moving].tolist()
        others = list(zip(others_least, others_most, strict=True))
        walk = zip(moving.tolist(), base[moving].tolist(), least, most, strict=True)
        for k, (i, start, low, high) in enumerate(walk):
            now = item(i)
            x = (low if now < low else high if now > high else now) - start
            for lows, highs in others:
                x += min(max(now, lows[k]), highs[k])
            if x:
                blas.daxpy(gram[i], c, a=-x)
                change[i] = x
        return self._moved(rows, old, change[:, None])

    def _moved(self, rows: slice, old: Array, change: Array) -> Array:
        """Slopes within their ends, whatever was rounded."""
        new = old + change
        np.minimum(new, self.most[rows], out=new)
        np.maximum(new, self.least[rows], out=new)
        change = new - old
        self.s[rows] = new
        return change


__all__ = ["AscentState", "DualAscent", "Ridge"]
