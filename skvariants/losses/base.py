"""What all losses share: the interface, and sums that are cheap or safe."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

import numpy as np

from skvariants._component import Component, Interval, hyperparameter
from skvariants._data.scaling import weighted_quantile
from skvariants._registry import Registry

Array = np.ndarray
# logarithms that cost less than another round of products
_SHORT = 64
# share of the derivative at the start, and of a constant, that is as good as none
_NEGLIGIBLE = 1e-6
# width of an interval that is as good as a point, beside its first
_CLOSE = 1e-10
# steps to the best constant
_NEWTON = 8

#: ``@registered(name, family)`` above a loss of the package makes it known everywhere.
registered = Registry(
    {
        "labels": "probabilities; margins",
        "means": "any target; counts; amounts; totals, some of them zero; shares. As `PoissonRegressor` and its kin",
        "quantiles": "the median; other levels, several of them in one fit",
        "outliers and tubes": "targets with outliers; errors that do not matter; units by `epsilon='auto'`",
    }
)


class Ramp(NamedTuple):
    r"""A function of one slope, then another: :math:`\max_{l \le u \le h} u (z - t) - \tfrac\gamma2 u^2`.

    Parameters
    ----------
    position : ndarray
        The kink :math:`t`, shaped like the targets.
    low, high : float or ndarray
        Slopes :math:`l \le 0` below it and :math:`h \ge 0` above it; infinite where it has no end.
    width : float or ndarray, default=0.0
        :math:`\gamma \ge 0`, by how much a prediction changes while the slope changes by one; zero for a kink.
    """

    position: Array
    low: Any
    high: Any
    width: Any = 0.0


class Loss(Component):
    """Interface of all losses; subclass it for your own.

    Define :meth:`value` and :meth:`gradient`. Everything else has a default that works.

    Attributes
    ----------
    regression : bool
        Whether the loss takes real targets; otherwise `y` is -1 or +1.
    smooth : bool
        Whether the first derivative in `z` is continuous, and the second exists almost everywhere; then quasi-Newton
        steps are possible. A class that declares `max_curvature` is smooth without saying so.
    max_curvature : float or None
        Upper bound of the second derivative in `z`, or None where none is known. A bound makes safe step sizes
        possible. Where it depends on a field that a search lists, it has a value for each column, as the field has.
    quadratic : bool
        Whether the second derivative in `z` is the same everywhere.
    columns_per_model : int
        How many adjacent columns the loss couples; 1 for all but the multinomial loss.
    domain : Interval
        Targets that a regression loss is defined for; ``Interval(0, closed="left")`` for counts.
    in_target_units : bool
        Whether predictions are in units of the target, so that its standard deviation may be divided out; False on a
        log scale, for example.
    passive_aggressive : bool
        Whether the passive-aggressive rules know what to do with it.
    is_softmax : bool
        Whether it couples its columns as the softmax does, so that its Hessian is made of `probability`.
    has_ramps, piecewise_linear : bool
        Whether it is a sum of ramps, which interior-point steps minimise exactly, as that of a class is that defines
        :meth:`ramps`; and whether these have kinks.
    saturates : bool
        Whether its slope is bounded on both sides, so that few rows may have curvature, and say little of the others.
    margin : float
        Size of a prediction that decides a label.
    deviance : bool
        Whether it is half the unit deviance of a distribution; `score` is then the fraction of it that is explained.
    """

    regression: ClassVar[bool] = False
    smooth: ClassVar[bool] = False
    max_curvature: ClassVar[float | None] = None
    quadratic: ClassVar[bool] = False
    domain: ClassVar[Interval] = Interval()
    in_target_units: ClassVar[bool] = True
    passive_aggressive: ClassVar[bool] = False
    is_softmax: ClassVar[bool] = False
    has_ramps: ClassVar[bool] = False
    piecewise_linear: ClassVar[bool] = False
    saturates: ClassVar[bool] = False
    margin: ClassVar[float] = 1.0
    deviance: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "smooth" not in vars(cls) and vars(cls).get("max_curvature") is not None:
            cls.smooth = True
        if {"ramps", "value"} & vars(cls).keys():  # another value is not what ramps of a base class add up to
            cls.has_ramps = "ramps" in vars(cls)
            cls.piecewise_linear = cls.has_ramps and not cls.smooth
        super().__init_subclass__(**kwargs)

    @property
    def columns_per_model(self) -> int:
        """Number of adjacent columns that one model of this loss has."""
        return 1

    @abstractmethod
    def value(self, y: Array, z: Array) -> Array:
        """Loss of each prediction.

        Parameters
        ----------
        y : ndarray of shape (n_batch, n_columns) or (n_batch, 1)
            Targets.
        z : ndarray of shape (n_batch, n_columns)
            Predictions.

        Returns
        -------
        ndarray of shape (n_batch, n_columns)
        """

    @abstractmethod
    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        """Derivative of the loss in `z`, written to `out`.

        Parameters
        ----------
        y : ndarray of shape (n_batch, n_columns) or (n_batch, 1)
            Targets.
        z : ndarray of shape (n_batch, n_columns)
            Predictions.
        out : ndarray of shape (n_batch, n_columns)
            Receives the derivative; not an alias of `z`.

        Returns
        -------
        ndarray
            `out`.
        """

    def total(self, y: Array, z: Array, s: Array | None = None, r: Array | None = None) -> Array:
        """Sum of the weighted losses of each column.

        The default sums :meth:`value`; a loss overrides it where sums are cheaper than their terms.

        Parameters
        ----------
        y, z : ndarray
            Targets and predictions, as for :meth:`value`.
        s : ndarray of shape (n_batch, n_columns) or (n_batch, 1), optional
            Weights.
        r : ndarray of shape (n_batch, n_columns), optional
            What :meth:`gradient` wrote for the same `y` and `z`, where it is at hand.

        Returns
        -------
        ndarray of shape (n_columns,), in double precision
        """
        value = self.value(y, z)
        return column_sums(value if s is None else value * s)

    def second_derivative(self, y: Array, z: Array) -> Array:
        """Second derivative in `z` (a generalised one at kinks of the first).

        The default is the bound `max_curvature` where there is one, which is safe but not sharp. Without one, a smooth
        loss of one column per model gets central differences of :meth:`gradient`, and any other loss ones.

        Parameters
        ----------
        y, z : ndarray
            Targets and predictions, as for :meth:`value`.

        Returns
        -------
        ndarray of shape (n_batch, n_columns)
        """
        shape = np.broadcast_shapes(y.shape, z.shape)
        if self.max_curvature is None and self.smooth and self.columns_per_model == 1:
            y, z = y.astype(np.float64), np.broadcast_to(z, shape).astype(np.float64)
            h = np.cbrt(np.finfo(np.float64).eps) * np.maximum(np.abs(z), 1.0)
            above, below = z + h, z - h
            rise = self.gradient(y, above, np.empty(shape)) - self.gradient(y, below, np.empty(shape))
            return rise / (above - below)
        bound = 1.0 if self.max_curvature is None else self.max_curvature
        return np.array(np.broadcast_to(np.asarray(bound, dtype=np.float64), shape))

    @property
    def steepest(self) -> float:
        """The largest `max_curvature` of all columns; one where none is known."""
        return 1.0 if self.max_curvature is None else float(np.max(self.max_curvature))

    def curvature(self, y: Array, z: Array) -> Array:
        """Curvature of a quadratic model at a prediction: the second derivative, unless that says too little.

        A loss that is linear far from its minimum has none there; it answers with the parabola that touches it at the
        prediction and lies above it everywhere, or a step would see few rows, or none.

        Parameters
        ----------
        y, z : ndarray
            Targets and predictions, as for :meth:`value`.

        Returns
        -------
        ndarray of shape (n_batch, n_columns)
        """
        return self.second_derivative(y, z)

    def gradient_scalar(self, y: float, z: float) -> float:
        """Derivative for one target and one prediction, as Python floats.

        The default calls :meth:`gradient`; losses override it because a per-sample loop
        spends its time here.
        """
        out = np.empty((1, 1))
        return float(self.gradient(np.array([[y]]), np.array([[z]]), out)[0, 0])

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        """The best constant prediction for each column, or a good one: where a fit starts, and what it is measured by.

        The default is the zero of the mean derivative, by halving an interval some forty times. Where predictions are
        in units of the target, it is the mean if that is the zero.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_columns)
            Targets.
        weight : ndarray of shape (n_samples, n_columns)
            Weights with positive column sums.

        Returns
        -------
        ndarray of shape (n_columns,)
        """
        out = np.empty_like(y)

        def derivative(constant: Array) -> Array:
            return (weight * self.gradient(y, np.repeat(constant[None], len(y), axis=0), out)).sum(axis=0)

        if self.regression and self.in_target_units:
            start, reach, least = weighted_mean(y, weight), np.ptp(y, axis=0), 0.0
            noise = len(y) * np.finfo(y.dtype).eps
            reach = np.where(np.abs(derivative(start)) <= noise * (weight * np.abs(out)).sum(axis=0), 0.0, reach)
        else:
            start, reach = np.zeros(y.shape[1]), np.ones(y.shape[1])
            # not zero itself, which a derivative may only approach
            least = _NEGLIGIBLE * np.abs(derivative(start))
        low, high = start - reach, start + reach
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(60):
                above, below = derivative(low) > least, derivative(high) < -least
                if not ((above | below) & (reach > 0)).any():
                    break
                low[above] -= reach[above]
                high[below] += reach[below]
                reach = 2 * reach
            while (high - low > _CLOSE * np.maximum(reach, np.abs(low))).any():
                middle = 0.5 * (low + high)
                right = derivative(middle) < least
                low, high = np.where(right, middle, low), np.where(right, high, middle)
        return 0.5 * (low + high)

    def conjugate(self, y: Array, u: Array) -> Array | None:
        r"""Convex conjugate in `z`: :math:`\ell^*(y, u) = \sup_z u z - \ell(y, z)`, infinite outside its domain.

        A fit measures by it how far it can be from the optimum (``suboptimality_``). A loss that couples columns
        spreads it over the columns of a model, so that their sum is the conjugate.

        Parameters
        ----------
        y : ndarray of shape (n_batch, n_columns) or (n_batch, 1)
            Targets.
        u : ndarray of shape (n_batch, n_columns)
            Slopes.

        Returns
        -------
        ndarray of shape (n_batch, n_columns), or None
            The default, None, says that it is not known.
        """
        return None

    def flow(self, y: Array, z: Array, time: Array) -> Array | None:
        r"""Change of a prediction that follows its negative slope for some time: :math:`\dot z = -\ell'(y, z)`.

        Parameters
        ----------
        y, z : ndarray
            Targets and predictions, as for :meth:`value`.
        time : ndarray of shape (n_batch, n_columns)
            How long.

        Returns
        -------
        ndarray of shape (n_batch, n_columns), or None
            The default, None, says that no formula is known; of a quadratic loss it is exponential.
        """
        if not self.quadratic:
            return None
        curvature = self.second_derivative(y, z).astype(z.dtype)
        return self.gradient(y, z, np.empty_like(z)) * np.expm1(-curvature * time) / curvature

    def flow_scalar(self, y: float, z: float, time: float) -> float | None:
        """The same for one target and one prediction, as Python floats.

        The default calls :meth:`flow`; losses override it because a per-sample loop spends its time here.
        """
        change = self.flow(np.array([[y]]), np.array([[z]]), np.array([[time]]))
        return None if change is None else float(change[0, 0])

    def _newton_constant(self, y: Array, weight: Array, start: Array) -> Array:
        """The best constant of a smooth convex loss by Newton's method from a good one; the best that was seen."""
        constant, best, least = start, start, np.full(y.shape[1], np.inf)
        for _ in range(_NEWTON):
            z = np.repeat(constant[None], len(y), axis=0).astype(np.float64)
            value = (weight * self.value(y, z)).sum(axis=0)
            best, least = np.where(value < least, constant, best), np.fmin(least, value)
            slope = (weight * self.gradient(y, z, np.empty(z.shape))).sum(axis=0)
            bend = (weight * self.second_derivative(y, z)).sum(axis=0)
            step = np.where(bend > 0, slope / np.where(bend > 0, bend, 1.0), 0.0)
            step = np.where(np.abs(step) <= _NEGLIGIBLE * np.abs(constant), 0.0, step)
            if not step.any():
                break
            constant = constant - step
        return np.asarray(best)

    def inverse_link(self, z: Array) -> Array:
        """Mean of the target that a prediction stands for: the prediction itself, unless a loss says otherwise.

        Parameters
        ----------
        z : ndarray
            Predictions; not overwritten.

        Returns
        -------
        ndarray shaped like `z`
        """
        return z

    def ramps(self, y: Array) -> Sequence[Ramp] | None:
        """The ramps whose sum the loss is; None where it is none.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_columns)
            Targets.

        Returns
        -------
        sequence of Ramp, or None
            ``(position, low, high, width)``, each of a shape that broadcasts with `y`.
        """
        return None

    @property
    def outputs(self) -> int:
        """How many predictions a target has: as many columns, where a field lists values; else 1."""
        return 1

    def output_names(self) -> list[str]:
        """What each output is called; a single one needs no name."""
        return [""] if self.outputs == 1 else [f"output {i}" for i in range(self.outputs)]

    def by_output(self) -> Loss:
        """The same with a value for each column of what a field lists; itself where none does."""
        return self

    def crossing(self, z: Array) -> Array | None:
        """Rows whose outputs contradict each other; None where there is one, or they cannot.

        Parameters
        ----------
        z : ndarray of shape (n_samples, outputs)
            Predictions.

        Returns
        -------
        ndarray of bool, shape (n_samples,), or None
        """
        return None

    @property
    def in_spreads(self) -> bool:
        """Whether something is left open that is in units of the target, and follows from its spread."""
        return False

    def with_spread(self, spread: Any) -> Loss:
        """The loss for targets of a spread; itself where nothing is left open.

        Parameters
        ----------
        spread : float or ndarray of shape (n_columns,)
            Median distance of the targets from their median, times 1.4826.

        Returns
        -------
        Loss
        """
        return self

    def limit(self) -> Loss:
        """The loss that is minimised in its place where its own minimum says nothing; itself by default."""
        return self

    def coupled(self, n_classes: int) -> Loss | None:
        """The loss that couples the columns of several classes, or None where there is none.

        Parameters
        ----------
        n_classes : int
            How many classes, and so columns.

        Returns
        -------
        Loss or None
        """
        return None

    def weighted(self, absent: Array, present: Array) -> Loss:
        """The loss times what a label weighs, one number for each column: where it is absent, and where present."""
        return _Weighted(self, absent, present)

    @property
    def unweighted(self) -> Loss:
        """The loss without what labels weigh; itself where they weigh nothing."""
        return self


class _Weighted(Loss):
    """A loss on targets -1 and 1 times what they weigh in each column."""

    loss: Any = None
    absent: Any = hyperparameter(1.0, axis="column")
    present: Any = hyperparameter(1.0, axis="column")

    @property
    def unweighted(self) -> Loss:
        return self.loss

    def _weight(self, y: Array, dtype: Any = np.float64) -> Array:
        absent, present = (np.asarray(weight, dtype) for weight in (self.absent, self.present))
        return np.where(y > 0, present, absent)

    @property
    def max_curvature(self) -> float | None:  # type: ignore[override]
        """That of the loss, where it weighs most."""
        most = self.loss.max_curvature
        return None if most is None else float(most * max(np.max(self.absent), np.max(self.present)))

    def value(self, y: Array, z: Array) -> Array:
        return self.loss.value(y, z) * self._weight(y, z.dtype)

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        self.loss.gradient(y, z, out)
        out *= self._weight(y, out.dtype)
        return out

    def total(self, y: Array, z: Array, s: Array | None = None, r: Array | None = None) -> Array:
        weight = self._weight(y, z.dtype)
        return self.loss.total(y, z, weight if s is None else weight * s)

    def second_derivative(self, y: Array, z: Array) -> Array:
        return self.loss.second_derivative(y, z) * self._weight(y)

    def curvature(self, y: Array, z: Array) -> Array:
        return self.loss.curvature(y, z) * self._weight(y)

    def fit_intercept_only(self, y: Array, weight: Array) -> Array:
        return self.loss.fit_intercept_only(y, weight * self._weight(y))

    def conjugate(self, y: Array, u: Array) -> Array | None:
        weight = self._weight(y, u.dtype)
        value = self.loss.conjugate(y, u / weight)
        return None if value is None else value * weight

    def ramps(self, y: Array) -> Sequence[Ramp] | None:
        weight = self._weight(y)
        parts = self.loss.ramps(y) or ()
        return [Ramp(part.position, part.low * weight, part.high * weight, part.width / weight) for part in parts]

    def inverse_link(self, z: Array) -> Array:
        return self.loss.inverse_link(z)

    def limit(self) -> Loss:
        """That of the loss, weighed."""
        limit = self.loss.limit()
        return self if limit is self.loss else self.with_fields(loss=limit)

    def probability(self, z: Array) -> Array:
        """That of the loss."""
        return self.loss.probability(z)


# what it says of itself is what the loss says
for _name in ("regression", "smooth", "in_target_units", "passive_aggressive", "has_ramps", "piecewise_linear",
              "saturates", "margin"):  # fmt: skip
    setattr(_Weighted, _name, property(attrgetter(f"loss.{_name}")))


def column_sums(value: Array) -> Array:
    """Sum of each column, in double precision."""
    if value.dtype != np.float64:
        return value.sum(axis=0, dtype=np.float64)
    # BLAS sums the rows of a narrow array faster than a reduction
    return value.sum(axis=0) if value.shape[1] == 1 else np.dot(np.ones(len(value)), value)


def log_products(factors: Array, most: int) -> Array:
    """Logarithm of the product of each column, overwriting `factors`: one logarithm for `most` of them."""
    taken, n = 1, len(factors)
    while 2 * taken <= most and n > _SHORT:
        half = n // 2
        factors[:half] *= factors[half : 2 * half]
        if n % 2:
            # an odd one out would make one group longer than `most`: it waits at the end
            factors[half] = factors[n - 1]
        n = half + n % 2
        taken *= 2
    return column_sums(np.log(factors[:n], out=factors[:n]))


def within(u: Array, low: Any, high: Any, value: Any) -> Array:
    """A function of `u` cut to an interval; infinite where `u` is outside by more than rounding."""
    noise = 16 * np.finfo(u.dtype).eps
    inside = (u >= low - noise * np.maximum(1.0, np.abs(low))) & (u <= high + noise * np.maximum(1.0, np.abs(high)))
    return np.where(inside, value(np.clip(u, low, high)), np.inf)


def positive_share(y: Array, weight: Array) -> Array:
    """Weight of the positive targets of each column, as a share of all."""
    return (weight * (y > 0)).sum(axis=0) / weight.sum(axis=0)


def weighted_mean(y: Array, weight: Array) -> Array:
    """Mean of each column, which rounding does not lead out of the targets: a constant one is met exactly."""
    return np.clip((weight * y).sum(axis=0) / weight.sum(axis=0), y.min(axis=0), y.max(axis=0))


def weighted_median(y: Array, weight: Array) -> Array:
    """Target of each column with half of the weight on either side."""
    return weighted_quantile(y, weight, 0.5)
