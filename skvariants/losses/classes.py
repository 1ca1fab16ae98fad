"""Losses of several classes, which couple the columns of one model."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from skvariants._component import hyperparameter, integers
from skvariants.losses.base import Loss, within

Array = np.ndarray
# predictions whose exponentials neither overflow nor vanish in single precision
_MILD = 60.0
# classes up to which the maximum of a row is taken column by column
_SHORT_ROW = 32


class MultinomialLogLoss(Loss):
    r"""Multinomial logistic (softmax) loss; couples the columns of one model.

    .. math:: \ell(y, z) = \log \sum_c e^{z_c} - z_y

    `y` is one-hot and `value` puts the whole loss into the column of the true class, so that a
    model's loss is the sum over its columns. Columns of several models lie side by side.
    Use it for three classes or more with probabilities; ``multi_class="auto"`` does.

    Parameters
    ----------
    n_classes : int, default=3
        Number of classes, which is the number of adjacent columns of one model.

    References
    ----------
    Theil (1969), "A multinomial extension of the linear logit model", doi:10.2307/2525642.

    Examples
    --------
    >>> import numpy as np
    >>> from skvariants.losses import MultinomialLogLoss
    >>> loss = MultinomialLogLoss(n_classes=3)
    >>> loss.value(np.array([[0.0, 1.0, 0.0]]), np.zeros((1, 3))).sum().round(4)
    np.float64(1.0986)
    """

    n_classes: int = hyperparameter(3, integers(2))
    max_curvature = 0.5
    is_softmax = True

    @property
    def columns_per_model(self) -> int:
        """Number of adjacent columns that one model of this loss has."""
        return self.n_classes

    def value(self, y: Array, z: Array) -> Array:
        z2 = z.reshape(-1, self.n_classes)
        highest = _highest(z2)
        p = np.subtract(z2, highest)
        np.exp(p, out=p)
        log_sum = np.log(self._row_sums(p))
        log_sum += highest
        return y * np.subtract(log_sum, z2, out=p).reshape(z.shape)

    def total(self, y: Array, z: Array, s: Array | None = None, r: Array | None = None) -> Array:
        if r is None:
            return super().total(y, z, s)
        # r = p - y, so that the probability of the true class is 1 + y r: exact where it is not small
        own = self._row_sums((y * r).reshape(-1, self.n_classes)).reshape(len(z), -1)
        own += 1.0
        least = float(np.finfo(own.dtype).eps) ** (1 / 3)  # from where the difference has lost too many digits
        value = -np.log(np.maximum(own, least))
        if (own <= least).any():
            rare = (own <= least).any(axis=1)
            value[rare] = self.value(y[rare], z[rare]).reshape(-1, own.shape[1], self.n_classes).sum(axis=2)
        weight, k = y if s is None else y * s, self.n_classes
        value = value.astype(np.float64, copy=False)
        if own.shape[1] == 1 and _by_column(weight):
            return np.einsum("i,ij->j", value[:, 0], weight)
        # a product for each model, its classes side by side
        by_model = weight.reshape(len(weight), -1, k).transpose(1, 0, 2)
        return np.matmul(np.ascontiguousarray(value.T)[:, None], by_model).ravel()

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        z2, p = z.reshape(-1, self.n_classes), out.reshape(-1, self.n_classes)
        # the softmax; what is subtracted from all classes cancels, and is needed only against overflow
        if z.size and -_MILD < z.min() and z.max() < _MILD:
            np.exp(z2, out=p)
        else:
            np.subtract(z2, _highest(z2), out=p)
            np.exp(p, out=p)
        p /= self._row_sums(p)
        return np.subtract(p.reshape(z.shape), y, out=out)

    def _row_sums(self, p: Array) -> Array:
        if _by_column(p):
            return p.sum(axis=1, keepdims=True)
        # a product: the sum of short rows is slow
        return np.dot(p, np.ones((self.n_classes, 1), p.dtype))

    def second_derivative(self, y: Array, z: Array) -> Array:
        p = self.probability(z)
        return p * (1 - p)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        share = (weight * y).sum(axis=0) / weight.sum(axis=0)
        z = np.log(np.maximum(share, 1e-6)).reshape(-1, self.n_classes)
        return (z - z.mean(axis=1, keepdims=True)).ravel()

    def probability(self, z: Array) -> Array:
        """Probability of each class, the softmax of each model's columns."""
        z3 = z.reshape(len(z), -1, self.n_classes)
        p = np.exp(z3 - z3.max(axis=2, keepdims=True))
        p /= p.sum(axis=2, keepdims=True)
        return p.reshape(z.shape)

    def conjugate(self, y: Array, u: Array) -> Array:
        # minus the entropy of the distribution u + y, and infinite where that is none
        value = within(u + y, 0.0, 1.0, lambda p: xlogy(p, p))
        total = self._row_sums(u.reshape(-1, self.n_classes))
        none = np.abs(total) > 64 * self.n_classes * np.finfo(u.dtype).eps
        return np.where(np.repeat(none.reshape(len(u), -1), self.n_classes, axis=1), np.inf, value)


def _by_column(z: Array) -> bool:
    """Whether the predictions of a class lie side by side."""
    return z.strides[0] < z.strides[1]


def _highest(z: Array) -> Array:
    """Maximum of each row, as a column: column by column, as a reduction of short rows is slow."""
    if z.shape[1] > _SHORT_ROW:
        return z.max(axis=1, keepdims=True)
    highest = z[:, :1].copy()
    for j in range(1, z.shape[1]):
        np.maximum(highest, z[:, j : j + 1], out=highest)
    return highest
