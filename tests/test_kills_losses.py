"""What losses say of themselves, and where their formulas leave the usual range; found by mutants of their code."""

import numpy as np
import pytest

from skvariants.losses import LOSSES, Hinge, Huber, Loss, MultinomialLogLoss, Perceptron
from skvariants.losses.base import log_products

every_loss = pytest.mark.parametrize("loss", [pytest.param(cls(), id=name) for name, cls in LOSSES.items()])


def slopes(loss, z, target=1.0):
    z = np.array(z, float)[:, None]
    return loss.gradient(np.full_like(z, target), z, np.empty_like(z)).ravel()


@every_loss
def test_a_quadratic_loss_bends_the_same_everywhere(loss):
    z = np.linspace(-5, 5, 41)
    bends = np.diff(slopes(loss, z), 2)
    assert loss.quadratic == (np.abs(bends).max() < 1e-12)


@every_loss
def test_a_loss_that_saturates_pulls_without_curvature_on_both_sides(loss):
    end = 30.0 if loss.deviance else 1000.0  # far enough for an exponential
    far = slopes(loss, [-end - 1, -end, end, end + 1])
    flat = np.allclose(far[[0, 2]], far[[1, 3]], atol=1e-9) and (np.abs(far) > 1e-9).all()
    assert loss.saturates == (loss.smooth and flat)


@every_loss
def test_ramps_are_said_where_there_are_some(loss):
    ramps = loss.ramps(np.ones((1, 1)))
    assert loss.has_ramps == (ramps is not None)
    assert loss.piecewise_linear == (loss.has_ramps and all(np.all(np.asarray(ramp.width) == 0) for ramp in ramps))


def test_ramps_are_inherited_until_the_value_is_another():
    class Named(Hinge):
        """The same by another name."""

    class Shifted(Hinge):
        def value(self, y, z):
            return np.maximum(self.threshold - y * z, 0) + 1.0

    class Own(Hinge):
        def value(self, y, z):
            return 2 * np.maximum(self.threshold - y * z, 0)

        def ramps(self, y):
            return [ramp._replace(low=2 * ramp.low, high=2 * ramp.high) for ramp in super().ramps(y)]

    class Smooth(Huber):
        """Pieces that are not linear."""

    said = [(cls.has_ramps, cls.piecewise_linear) for cls in (Named, Shifted, Own, Smooth)]
    assert said == [(True, True), (False, False), (True, True), (True, False)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [-1e3, -50.0, 50.0, 1e3])
def test_what_all_classes_share_changes_no_probability(shift, dtype):
    rng = np.random.default_rng(0)
    loss, y = MultinomialLogLoss(n_classes=4), np.eye(4, dtype=dtype)[rng.integers(0, 4, 9)]
    z = rng.integers(-3, 4, (9, 4)).astype(dtype)  # exact after the shift too
    with np.errstate(all="raise", under="ignore"):
        moved = loss.gradient(y, z + dtype(shift), np.empty_like(z))
        value = loss.value(y, z + dtype(shift))
    np.testing.assert_allclose(moved, loss.gradient(y, z, np.empty_like(z)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(value, loss.value(y, z), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("most", [1, 2, 8, 64, 512])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 127, 1000])
def test_the_logarithm_of_a_product_is_the_sum_of_logarithms(n, most):
    factors = np.random.default_rng(n).uniform(1, 2, (n, 3))
    np.testing.assert_allclose(log_products(factors.copy(), most), np.log(factors).sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("most", [2, 8, 64])
def test_no_more_factors_are_multiplied_than_was_allowed(most):
    # one more of them would overflow
    factors = np.full((5000, 1), 1e300 ** (1.0 / most))
    np.testing.assert_allclose(log_products(factors, most), 5000 * 300 * np.log(10) / most, rtol=1e-12)


def test_the_limit_of_the_perceptron_is_a_hinge_of_nearly_no_margin():
    y, z = np.ones((3, 1)), np.array([[-1.0], [0.0], [1.0]])
    limit = Perceptron().limit()
    assert limit.piecewise_linear
    gap = limit.value(y, z) - Perceptron().value(y, z)
    assert (gap >= 0).all()
    assert gap.max() <= 1.001e-6  # as its documentation says
    assert limit.value(y, z)[1] > 0
    for cls in LOSSES.values():
        if cls is not Perceptron:
            assert cls().limit().key() == cls().key()


class Exponential(Loss):
    """Of counts, by their logarithm."""

    regression, smooth, in_target_units = True, True, False

    def value(self, y, z):
        return np.exp(z) - y * z

    def gradient(self, y, z, out):
        return np.subtract(np.exp(z), y, out=out)


@pytest.mark.parametrize("mean", [1e-5, 0.3, 1.0, 40.0, 1e12])
def test_the_best_constant_on_another_scale_is_found(mean):
    y = np.full((50, 2), mean)
    y[:, 1] *= np.random.default_rng(0).uniform(0, 2, 50)
    constant = Exponential().fit_intercept_only(y, np.ones_like(y))
    np.testing.assert_allclose(np.exp(constant), y.mean(axis=0), rtol=3e-5, atol=2e-6)
