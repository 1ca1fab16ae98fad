"""What is kept of a stream: its sums, the rows that wait, a sample; and what a model is worth beside them."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import numpy as np

from skvariants._data.scaling import Moments
from skvariants._stream.arrivals import Arrivals
from skvariants._stream.frame import Frame
from skvariants._stream.sample import Sample
from skvariants._training.state import Fields, informative

Array = np.ndarray
#: Numbers of one matrix of sums up to which a stream keeps them.
MOST = 1 << 20
#: The same of the matrices of all columns.
MOST_OF_ALL = 1 << 23
#: Weight of a row that stands for a class that was not seen yet.
UNSEEN = 0.5
# features up to which means are known where a model is gone on from: those of wide sparse rows are near zero, and a
# pickle of a model with zeros would be of nothing else
_MEANS = 1 << 12
#: A sample of this part of the rows may stand for all of them.
RECALLED = 4
#: Binary order of the deviation of a column that had none.
NO_EXTENT = np.iinfo(np.int16).min


@dataclass(eq=False, repr=False)
class Pending:
    """Rows that count as they are: features, targets as columns, weights, deviations of predictions at kinks."""

    C: Array
    y: Array
    s: Array
    spread: Any = None


class Trust(NamedTuple):
    """What a model is worth beside further rows.

    Attributes
    ----------
    weight : float
        Of the rows that it has learned.
    extent : ndarray of int16 or None
        Binary order of the standard deviation of each of their columns, where it is known.
    centre : ndarray or None
        Their means, where they are known and not many.
    known : Remaining, Summary or None
        How sharply they tell a model, where that is known.
    packed : bytes or None
        The extent, compressed.
    """

    weight: float = 0.0
    extent: Any = None
    centre: Any = None
    known: Any = None
    packed: bytes | None = None

    @classmethod
    def of(cls, weight: float, variance: Array | None, centre: Array | None = None, known: Any = None) -> Trust:
        """The same from variances of the columns."""
        if variance is None:
            return cls(weight, known=known)
        deviation = np.sqrt(np.atleast_1d(variance))
        centre = centre if centre is not None and len(centre) <= _MEANS else None
        return cls(weight, np.where(deviation > 0, np.frexp(deviation)[1], NO_EXTENT).astype(np.int16), centre, known)

    def for_sums(self, sums: Any, loss: Any) -> Trust:
        """The same for a stream of a loss; curvature is known of this loss and this number of columns only."""
        known, extent = None if self.known is None else self.known.summary, self.extent
        if self.packed is not None:
            extent = np.frombuffer(zlib.decompress(self.packed), np.int16)
        if known is None or known.loss.key() != loss.key() or not sums.takes(known.curvature.shape, len(known.centre)):
            known = None
        return Trust(self.weight, extent, self.centre, known)

    def moments(self) -> Moments | None:
        """Of the columns of these rows, as far as they are known."""
        extent = self.extent if self.packed is None else np.frombuffer(zlib.decompress(self.packed), np.int16)
        if extent is None or not self.weight > 0:
            return None
        deviation = np.ldexp(1.0, np.where(extent > NO_EXTENT, extent, 0)) * (extent > NO_EXTENT)
        centre = np.zeros(len(extent)) if self.centre is None else self.centre
        return Moments(self.weight, centre, self.weight * deviation * deviation)

    def in_short(self) -> Trust:
        """The same without rows, in a few bits a feature where these are many."""
        packed = self.packed if self.extent is None else zlib.compress(self.extent.tobytes())
        return Trust(self.weight, None, self.centre, None if self.known is None else self.known.summary, packed)


class Alike(NamedTuple):
    """What the rows of a fit were like.

    Attributes
    ----------
    likeness : Likeness
        Moments of their classes.
    theta : ndarray of shape (n_features + 1, n_columns)
        The model that they led to.
    weight : float
        What they weigh.
    """

    likeness: Any
    theta: Array
    weight: float

    def fade(self, factor: float) -> Alike:
        """The same where they count less."""
        return Alike(self.likeness, self.theta, self.weight * factor)

    def times(self, change: Array) -> Alike:
        """The same in other units."""
        return Alike(self.likeness.times(change), self.theta / np.append(change, 1.0)[:, None], self.weight)


@dataclass(eq=False, repr=False)
class Sums(Fields):
    """All that is kept of a stream.

    Attributes
    ----------
    frame : Frame
        Units.
    theta : ndarray of shape (n_features + 1, n_columns)
        The model, in these units.
    A : ndarray of shape (n_matrices, q, q)
        Curvature; one for all columns where it is the same, one for each, or one of all of them where they are coupled.
    b : ndarray of shape (n_features + 1, n_columns)
        See above.
    weight, rows : float
        Of the rows in the sums: their weights, how many.
    C, y, s : ndarray
        Rows that are pending.
    sample : Sample
        Of the rows in the sums.
    first, second, counted : ndarray of shape (n_features,), ndarray of shape (n_features,), float
        Weighted sums of each column and of its squares, and the weights.
    spread : ndarray of shape (n_features,) or None
        Mean square of each column as most rows have it, if that is known.
    held : ndarray of shape (n_columns,) or float
        Sum of the curvatures of rows between the model that the stream goes on from and that at which they were seen.
    squares, bend : float
        Sums of squared slopes, with squared weights, and of curvatures: their ratio is the unit of a variance.
    came, begun, asked : float
        Rows when the last new class came, when the lines of all rows before were put in doubt, by that or by the end of
        a fit, and when the sample was last asked.
    then : ndarray of shape (n_features + 1, n_columns) or None
        The model when it was.
    seen : ndarray of bool or None
        Which columns' classes were seen.
    arrivals : Arrivals or None
        How many rows of each class have come.
    anchor, trust, extent, pull : ndarray, float, ndarray or None, ndarray
        Where a stream goes on from, how many rows that is worth, how far their columns reached, and its penalty's
        gradient.
    given : tuple or None
        What rows say that are gone, and are part of the sums: `A`, `b`, `squares` and `bend`.
    alike : Alike or None
        What these rows were like, until rows like them are part of the sample.
    rest : ndarray of shape (n_features + 1, n_columns) or None
        The `b` that makes their model the optimum of rows like them, where there are such in the sample.
    narrow : bool
        Whether predictions are as good as certain, so that no row has to wait for its line's sake.
    seed : tuple of int
        Of the sample: the stream's, and how many rows were drawn from.
    typical : tuple or None
        Unit of the predictions, and the typical curvature for it.
    factors : list
        Of an earlier Hessian, where it is large.
    memory : tuple or None
        What was asked of forgetting, and the rule.
    """

    frame: Any = informative(None)
    theta: Any = informative(None)
    A: Any = informative(None)
    b: Any = informative(None)
    weight: float = informative(0.0)
    rows: float = informative(0.0)
    C: Any = informative(None)
    y: Any = informative(None)
    s: Any = informative(None)
    sample: Any = informative(None)
    first: Any = informative(None)
    second: Any = informative(None)
    counted: float = informative(0.0)
    spread: Any = informative(None)
    held: Any = informative(0.0)
    squares: float = informative(0.0)
    bend: float = informative(0.0)
    came: float = informative(0.0)
    begun: float = informative(0.0)
    asked: float = informative(0.0)
    then: Any = informative(None)
    seen: Any = informative(None)
    arrivals: Any = informative(None)
    anchor: Any = informative(None)
    trust: float = informative(0.0)
    extent: Any = informative(None)
    pull: Any = informative(None)
    given: Any = informative(None)
    alike: Any = informative(None)
    rest: Any = informative(None)
    narrow: bool = informative(False)
    seed: tuple[int, int] = informative((0, 0))
    typical: Any = informative(None)
    factors: Any = informative(list)
    memory: Any = informative(None)
    stands_for_model: ClassVar[bool] = False

    def join_key(self) -> Any:
        return id(self)  # a stream is one model

    def become(self, other: Sums) -> None:
        """Take what another holds."""
        self._become(other)

    def forget(self, factor: float) -> None:
        """Let everything before count less."""
        self.A, self.b, self.s = (a * factor for a in (self.A, self.b, self.s))
        self.first, self.second = self.first * factor, self.second * factor
        self.given = None if self.given is None else tuple(part * factor for part in self.given)
        self.alike = None if self.alike is None else self.alike.fade(factor)
        self.rest = None if self.rest is None else self.rest * factor
        self.sample.fade(factor)
        self.arrivals = None if self.arrivals is None else self.arrivals.fade(factor)
        self.narrow, self.factors = False, factors_in_units(self.factors, np.sqrt(factor))
        for name in ("held", "weight", "rows", "counted", "squares", "bend", "came", "begun", "asked", "trust"):
            setattr(self, name, getattr(self, name) * factor)

    @property
    def shape(self) -> tuple[int, int]:
        """Parameters of a column, with the intercept, and columns."""
        return self.theta.shape

    @property
    def n_parameters(self) -> int:
        """Rows that tell a model."""
        return len(self.theta)

    @property
    def n_rows(self) -> float:
        """What the rows that are remembered weigh."""
        return float(self.weight + self.s.sum() + self.trust)

    @property
    def mean_weight(self) -> float:
        """Of a row of the stream; one before there was any."""
        if self.rows > 0 < self.weight:
            return float(self.weight / self.rows)
        return float(self.s.mean()) if self.s.any() else 1.0

    def allows(self, penalty: Any, bounded: bool = False) -> bool:
        """Whether a stream may go on from them with this penalty, and bounds that are to be added to it."""
        return bool(penalty.separable)

    def model(self) -> Array:
        """Weights and intercept in the units of the data, of shape :attr:`shape`."""
        return self.frame.original(self.theta)

    def recalled(self) -> Iterator[tuple[Array, Array, Array]] | None:
        """Rows that stand for the stream: features, numbers of classes, weights; None if they are too few of them."""
        sample = self.sample
        few = RECALLED * (len(sample) + sample.n_waiting + len(self.s)) < self.rows + len(self.s)
        if few or self.trust > 0:
            return None
        blocks = chain(
            ((dense, sample.label[part], sample.weight[part]) for part, dense in sample.C.parts()),
            ((C, label, s) for C, _, s, label, *_ in sample.waiting),
            [(self.C, class_numbers(self.y), self.s)],
        )
        return ((C[:, :-1] / self.frame.factor + self.frame.centre, label, s) for C, label, s in blocks if len(s))

    def go_on_from(self, theta: Array, trust: Trust, penalty: Any) -> None:
        """Begin at a model that is worth as much as the rows that it has learned, and was their optimum."""
        if self.seen is not None:
            self.seen = np.ones(len(self.seen), bool)
        known = trust.known
        if known is not None:
            self.frame = known.frame
        self.theta = self.frame.of_original(theta)
        if known is not None:
            self._add(known, trust.weight)
            return
        self.anchor, self.pull = self.theta.copy(), pull_of(penalty, theta, self.frame)
        self.trust, self.extent = trust.weight, trust.extent

    def _add(self, known: Any, weight: float) -> None:
        """Rows that are gone, of whose loss the model is the optimum: their curvature is known, and so their line."""
        A = weight * known.matrices(self.A.shape[1])
        each = self.theta.ravel("F")[None, :, None] if A.shape[1] == self.theta.size else self.theta.T[:, :, None]
        b = np.matmul(A, each)[..., 0].reshape(self.theta.shape[::-1]).T - weight * known.gradient
        self.given = A, b, weight * known.squares, weight * known.bend
        self.A, self.b, self.squares, self.bend = self.given
        self.first, self.second, self.counted = weight * known.first, weight * known.second, weight
        self.weight, self.rows = weight, weight * known.rows
        self.alike = None if known.likeness is None else Alike(known.likeness, self.theta, weight)

    @property
    def squares_about_mean(self) -> Array:
        """Weighted sum of squares of each column about its mean."""
        return np.maximum(self.second - self.first * self.first / max(self.counted, 1e-300), 0.0)

    def moments(self) -> Moments | None:
        """Of the columns of all rows, in the units of the data; None before there was one."""
        if not self.counted > 0:
            return None
        mean, factor = self.first / self.counted, self.frame.factor
        squares = self.squares_about_mean / (self.mean_weight * factor * factor)
        return Moments(self.counted / self.mean_weight, self.frame.centre + mean / factor, squares)

    def worth(self, weight: float) -> Trust:
        """What the model is worth on its own."""
        unit = self.frame.factor * np.sqrt(max(self.counted, 1e-300))
        return Trust.of(weight, self.squares_about_mean / (unit * unit), self.frame.centre)

    def takes(self, shape: tuple[int, ...], n_features: int) -> bool:
        """Whether these can begin with matrices whose triangles have this shape."""
        count, size, _ = self.A.shape
        return shape == (count, size * (size + 1) // 2) and n_features == len(self.theta) - 1

    def copy(self) -> Sums:
        """The same, to be gone on with; arrays are never changed in place, so they are shared."""
        other = copy.copy(self)
        other.frame, other.sample = copy.copy(self.frame), copy.copy(self.sample)
        return other


def pull_of(penalty: Any, theta: Array, frame: Frame) -> Array:
    """Slope of a penalty at a model in the units of the data, in those of a frame; none of the intercept."""
    W, pull = theta[:-1], np.zeros(theta.shape)
    pull[:-1] = (penalty.l2_strength * W + penalty.l1_strength * np.sign(W)) * frame.factor[:, None]
    return pull


def classes_of(y: Array, n_classes: int) -> Array:
    """Which class each row is of, by targets as columns: a boolean for each row and class."""
    if n_classes == 2 * y.shape[1]:  # both sides of each column
        return np.concatenate([y <= 0, y > 0], axis=1)
    return np.asarray(y > 0)


def classes_in(y: Array, n_classes: int) -> Array:
    """Which classes have rows."""
    return np.asarray(classes_of(y, n_classes).any(axis=0))


def class_numbers(y: Array) -> Array:
    """Number of the class of each row, by targets as columns."""
    return (y[:, 0] > 0).astype(int) if y.shape[1] == 1 else y.argmax(axis=1)


def targets_of(classes: Array, n_columns: int, coupled: bool, n_classes: int) -> Array:
    """Targets as columns of a row of each class."""
    if n_classes == 2 * n_columns:  # of the other columns such a row says nothing
        side, column = np.divmod(classes, n_columns)
        return np.where(column[:, None] == np.arange(n_columns), 2.0 * side[:, None] - 1.0, 0.0)
    return np.where(classes[:, None] == np.arange(n_columns), 1.0, 0.0 if coupled else -1.0)


def factors_in_units(factors: list[Any], change: Any) -> list[Any]:
    """Factors of a matrix whose rows and columns are multiplied."""
    return [(L, scale * change, Q) for L, scale, Q in factors]


def matrices(loss: Any, d: int, k: int) -> tuple[int, int] | None:
    """How many matrices of sums a model has, and their size; None where they are too large.

    Parameters
    ----------
    loss : Loss
        Bound to the task.
    d, k : int
        Features, columns.
    """
    coupled, size = loss.columns_per_model > 1, d + 1
    if coupled and (k * size) ** 2 <= MOST:
        return 1, k * size
    count = 1 if loss.quadratic and not coupled else k
    return (count, size) if size * size <= MOST and count * size * size <= MOST_OF_ALL else None


def empty_sums(X: Any, loss: Any, task: Any, fit_intercept: bool, seed: int, centre: Array | None = None) -> Sums:
    """A stream before its first row.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_rows, n_features)
        The rows that it begins with.
    loss, task : Loss, Task
        What is learned.
    fit_intercept : bool
        Whether there is an intercept.
    seed : int
        Of the sample.
    centre : ndarray, optional
        Of the rows before, where there were some.
    """
    d1, k = X.shape[1] + 1, task.n_columns
    count, size = matrices(loss, d1 - 1, k) or (k, d1)
    rows, columns = np.empty((0, d1)), np.empty((0, k))
    return Sums(
        frame=Frame.of(X, fit_intercept, centre), theta=np.zeros((d1, k)), A=np.zeros((count, size, size)),
        b=np.zeros((d1, k)), C=rows, y=columns, s=np.empty(0),
        sample=Sample.empty(d1 - 1, k, task.n_kinds or 1), first=np.zeros(d1 - 1), second=np.zeros(d1 - 1),
        seen=None if task.n_kinds is None else np.zeros(task.n_kinds, bool), seed=(seed, 0),
        arrivals=None if task.n_kinds is None else Arrivals.of(task.n_kinds),
    )  # fmt: skip


__all__ = [
    "MOST", "MOST_OF_ALL", "NO_EXTENT", "RECALLED", "UNSEEN", "Pending", "Sums", "Trust", "class_numbers",
    "classes_in", "classes_of", "empty_sums", "factors_in_units", "matrices", "pull_of", "targets_of",
]  # fmt: skip
