"""Losses against their definitions, their own derivatives, and scikit-learn's SGD."""

import functools
import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize, minimize_scalar
from sklearn import metrics
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.model_selection import cross_val_score

from _oracles import derivative, partial_derivatives
from _references import in_domain
from skvariants import SGDVariantRegressor
from skvariants._component import Interval, hyperparameter
from skvariants.losses import (
    LOSSES,
    EpsilonInsensitive,
    Hinge,
    Huber,
    LogCosh,
    LogLoss,
    Loss,
    ModifiedHuber,
    MultinomialLogLoss,
    Quantile,
    SquaredEpsilonInsensitive,
    SquaredError,
    SquaredHinge,
    Tweedie,
)
from skvariants.model_selection import BatchedGridSearchCV

VARIANTS = [
    Hinge(threshold=0.4),
    Hinge(threshold=0.0),
    Huber(epsilon=1.3),
    EpsilonInsensitive(epsilon=0.0),
    EpsilonInsensitive(epsilon=0.8),
    SquaredEpsilonInsensitive(epsilon=0.7),
    Quantile(quantile=0.9),
    Quantile(quantile=0.05),
    LogCosh(scale=0.3),
    Tweedie(power=1.0),
    Tweedie(power=1.9),
    Tweedie(power=2.0),
]
CASES = [pytest.param(name, cls(), id=name) for name, cls in LOSSES.items()] + [
    pytest.param(next(n for n, cls in LOSSES.items() if type(loss) is cls), loss, id=repr(loss)) for loss in VARIANTS
]
every_loss = pytest.mark.parametrize(("name", "loss"), CASES)

#: The papers' formulas on two Python floats; m is the margin, r the residual.
MARGIN = {
    "log_loss": lambda loss, m: math.log(1 + math.exp(-m)),
    "hinge": lambda loss, m: max(0, loss.threshold - m),
    "perceptron": lambda loss, m: -m if m < 0 else 0,
    "squared_hinge": lambda loss, m: (1 - m) ** 2 if m < 1 else 0,
    "modified_huber": lambda loss, m: -4 * m if m < -1 else ((1 - m) ** 2 if m < 1 else 0),
}
RESIDUAL = {
    "squared_error": lambda loss, r: r**2 / 2,
    "huber": lambda loss, r: r**2 / 2 if abs(r) <= loss.epsilon else loss.epsilon * abs(r) - loss.epsilon**2 / 2,
    "epsilon_insensitive": lambda loss, r: max(0, abs(r) - loss.epsilon),
    "squared_epsilon_insensitive": lambda loss, r: max(0, abs(r) - loss.epsilon) ** 2,
    "absolute_error": lambda loss, r: abs(r),
    "quantile": lambda loss, r: loss.quantile * r if r > 0 else (loss.quantile - 1) * r,
    "log_cosh": lambda loss, r: loss.scale**2 * math.log(math.cosh(r / loss.scale)),
}
#: Halves of scikit-learn's unit deviances.
DEVIANCE = {
    "poisson": lambda loss, y, z: metrics.mean_poisson_deviance([y], [math.exp(z)]) / 2,
    "gamma": lambda loss, y, z: metrics.mean_gamma_deviance([y], [math.exp(z)]) / 2,
    "tweedie": lambda loss, y, z: metrics.mean_tweedie_deviance([y], [math.exp(z)], power=loss.power) / 2,
    "binomial": lambda loss, y, z: (
        metrics.log_loss([0, 1], [1 / (1 + math.exp(-z))] * 2, sample_weight=[1 - y, y])
        + sum(p * math.log(p) for p in (y, 1 - y) if p > 0)
    ),
}


def targets(loss, shape, rng):
    if not loss.regression:
        return rng.choice([-1.0, 1.0], size=shape)
    if -1.0 in loss.domain:
        return rng.normal(size=shape)
    amounts = rng.gamma(2.0, size=shape) if 2.0 in loss.domain else rng.random(shape)
    return np.where(rng.random(shape) < 0.3, 0.0, amounts) if 0.0 in loss.domain else amounts


def draw(loss, shape=(200, 3), seed=0):
    """Targets and predictions in general position: on no kink, with probability one."""
    rng = np.random.default_rng(seed)
    return targets(loss, shape, rng), 2 * rng.normal(size=shape)


def gradient(loss, y, z):
    shape = np.broadcast_shapes(y.shape, z.shape)
    out = np.full(shape, np.nan, dtype=z.dtype)
    assert loss.gradient(y, z, out) is out
    return out


def with_kinks(loss):
    """Pairs (y, z) that include every kink, and both sides of it."""
    special = [0.0, 1.0, 0.4, 0.1, 0.7, 0.8, 1.3, 3.0, *([] if loss.deviance else [40.0, 1e3])]
    around = [sign * (s + d) for s in special for d in (-1e-3, 0.0, 1e-3) for sign in (-1, 1)]
    if loss.regression:
        return [
            (y, z) for z in around for y in ([y for y in (0.0, 1.0) if y in loss.domain] if loss.deviance else [0.0])
        ]
    return [(y, z) for y in (-1.0, 1.0) for z in around]


# ---------------------------------------------------------------- values


def test_every_registered_loss_has_a_definition_here():
    assert {**MARGIN, **RESIDUAL, **DEVIANCE}.keys() == LOSSES.keys()


@every_loss
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_total_is_the_sum_of_the_values(name, loss, dtype, weighted):
    rng, eps = np.random.default_rng(3), np.finfo(dtype).eps
    for n in (1, 2, 7, 1000, 1025):
        y, z = targets(loss, (n, 6), rng), 3 * rng.normal(size=(n, 6))
        if loss.columns_per_model > 1:
            y = np.eye(loss.columns_per_model)[rng.integers(loss.columns_per_model, size=(n, 2))].reshape(n, -1)
        if name != "squared_error" and not loss.deviance:
            z[rng.random(z.shape) < 0.1] *= 40  # beyond where exponentials are cut or vanish
        y, z = y.astype(dtype), z.astype(dtype)
        s = rng.random((n, 1)).astype(dtype) if weighted else None
        r = gradient(loss, y, z)
        expected = loss.value(y.astype(float), z.astype(float)) * (1 if s is None else s)
        expected = expected.reshape(n, -1, loss.columns_per_model).sum(axis=(0, 2))
        for known in (None, r):
            total = loss.total(y, z, s, known)
            assert total.dtype == np.float64
            total = total.reshape(-1, loss.columns_per_model).sum(axis=1)
            np.testing.assert_allclose(total, expected, rtol=1e3 * eps, atol=10 * eps * n)


@every_loss
def test_value_is_the_definition(name, loss):
    y, z = draw(loss)
    one = (lambda a, b: RESIDUAL[name](loss, a - b)) if loss.regression else (lambda a, b: MARGIN[name](loss, a * b))
    if loss.deviance:
        one = functools.partial(DEVIANCE[name], loss)
    expected = [one(a, b) for a, b in zip(y.ravel().tolist(), z.ravel().tolist(), strict=True)]
    np.testing.assert_allclose(loss.value(y, z).ravel(), expected, rtol=1e-12, atol=1e-14)


def test_values_are_scikit_learns_metrics():
    y, z = draw(LogLoss(), (500, 1))
    p = 1 / (1 + np.exp(-z))
    assert LogLoss().value(y, z).mean() == pytest.approx(metrics.log_loss(y, p), rel=1e-12)
    np.testing.assert_allclose(LogLoss().probability(z), p, rtol=1e-12)
    assert Hinge().value(y, z).mean() == pytest.approx(metrics.hinge_loss(y.ravel(), z), rel=1e-12)
    y, z = draw(Huber(), (500, 1))
    absolute = EpsilonInsensitive(epsilon=0.0).value(y, z).mean()
    assert absolute == pytest.approx(metrics.mean_absolute_error(y, z), rel=1e-12)
    squares = SquaredEpsilonInsensitive(epsilon=0.0).value(y, z).mean()
    assert squares == pytest.approx(metrics.mean_squared_error(y, z), rel=1e-12)


@every_loss
def test_value_is_continuous_and_never_negative(name, loss):
    for y, z in with_kinks(loss):
        near = loss.value(np.full((1, 3), y), z + np.array([[-1e-9, 0.0, 1e-9]]))
        assert np.all(near >= 0)
        assert np.ptp(near) <= 1e-7 * max(1, abs(z))


# ---------------------------------------------------------------- derivatives


@every_loss
def test_gradient_is_the_derivative_of_value(name, loss):
    y, z = draw(loss)
    np.testing.assert_allclose(gradient(loss, y, z), derivative(lambda v: loss.value(y, v), z), atol=1e-8, rtol=1e-8)


@every_loss
def test_value_is_the_integral_of_gradient(name, loss):
    # piece by piece, because adaptive quadrature may step over a jump
    ends = np.linspace(-3.0, 4.0, 60)
    for target in (target for target in (-1.0, 1.0) if target in loss.domain):
        y = np.array([[target]])
        for low, high in itertools.pairwise(ends):
            area, _ = quad(lambda z, y=y: gradient(loss, y, np.array([[z]]))[0, 0], low, high, limit=500)
            rise = loss.value(y, np.array([[high]])) - loss.value(y, np.array([[low]]))
            assert rise[0, 0] == pytest.approx(area, abs=1e-7)


@every_loss
def test_second_derivative_is_the_derivative_of_gradient(name, loss):
    y, z = draw(loss)
    second = loss.second_derivative(y, z)
    assert second.shape == z.shape
    assert loss.smooth == (loss.max_curvature is not None or not loss.in_target_units)
    if loss.smooth:
        true = derivative(lambda v: gradient(loss, y, v), z)
        if loss.max_curvature is not None and type(loss).second_derivative is Loss.second_derivative:
            np.testing.assert_array_equal(second, loss.max_curvature)  # a bound, where no more is said
            assert np.all(true <= second + 1e-8)
        else:
            np.testing.assert_allclose(second, true, atol=1e-8, rtol=1e-8)
    else:
        # not smooth: anything positive is a safe model
        assert np.all(second > 0)


@every_loss
def test_max_curvature_is_the_supremum_of_the_second_derivative(name, loss):
    z = np.linspace(-4, 4, 8001)[:, None]
    assert loss.smooth or loss.max_curvature is None
    steepest = np.abs(np.diff(gradient(loss, np.ones_like(z), z), axis=0)).max()
    if loss.max_curvature is None and loss.smooth:
        # that of an exponential grows without end
        assert steepest / 1e-3 > 3
    elif loss.max_curvature is None:
        # a jump, which no bound covers
        assert steepest >= 0.5
    else:
        assert steepest / 1e-3 == pytest.approx(loss.max_curvature, rel=1e-3)
        assert np.all(loss.second_derivative(np.ones_like(z), z) <= loss.max_curvature)


@every_loss
def test_gradient_scalar_is_gradient_of_one_sample(name, loss):
    for y, z in with_kinks(loss):
        scalar = loss.gradient_scalar(y, z)
        assert type(scalar) is float
        assert scalar == pytest.approx(gradient(loss, np.array([[y]]), np.array([[z]]))[0, 0], rel=1e-12, abs=1e-30)


@every_loss
def test_gradient_is_scikit_learns_also_at_kinks(name, loss):
    # one step of length 1 on the sample x = 1 from the weight z; the second sample is x = 0
    params = {"loss": name, "penalty": None, "alpha": 0.0, "learning_rate": "constant", "eta0": 1.0}
    params |= {"max_iter": 1, "tol": None, "shuffle": False, "fit_intercept": False}
    if hasattr(loss, "epsilon"):
        params["epsilon"] = loss.epsilon
    if getattr(loss, "threshold", 1.0) != 1.0:
        pytest.skip("scikit-learn's hinge has its threshold at 1")
    if name not in SGDRegressor._parameter_constraints["loss"][0].options | SGDClassifier.loss_functions.keys():
        pytest.skip("scikit-learn's SGD lacks it")
    X = np.array([[1.0], [0.0]])
    for y, z in with_kinks(loss):
        if loss.regression:
            model = SGDRegressor(**params).fit(X, [y, y], coef_init=[z])
            moved = z - model.coef_[0]
        else:
            model = SGDClassifier(**params).fit(X, [y, -y], coef_init=[[z]])
            moved = z - model.coef_[0, 0]
        expected = gradient(loss, np.array([[y]]), np.array([[z]]))[0, 0]
        assert expected == pytest.approx(moved, abs=1e-12 * max(1, abs(z)))


# ---------------------------------------------------------------- arrays


ALL = [*(pytest.param(loss, id=name) for name, loss in ((n, c()) for n, c in LOSSES.items()))]
ALL.append(pytest.param(MultinomialLogLoss(n_classes=3), id="multinomial"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e3, 1e8])
@pytest.mark.parametrize("loss", ALL)
def test_extreme_predictions_are_finite_and_silent(loss, size, dtype):
    z = np.array([[-1, 1, 0], [1, -1, 1], [0, 0, -1], [1, 1, 1]], dtype=dtype) * dtype(size)
    y = np.eye(3, dtype=dtype)[[0, 1, 2, 0]]
    if loss.columns_per_model == 1:
        y = in_domain(loss, 2 * y - 1).astype(dtype)
    out = np.empty_like(z)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        results = [loss.value(y, z), loss.gradient(y, z, out), loss.second_derivative(y, z)]
    assert all(np.isfinite(result).all() for result in results)
    assert results[0].dtype == results[1].dtype == dtype
    assert math.isfinite(loss.gradient_scalar(1.0, -size)) if loss.columns_per_model == 1 else True


@pytest.mark.parametrize("loss", ALL)
def test_float32_is_float64_to_its_own_precision(loss):
    y, z = draw(loss) if loss.columns_per_model == 1 else draw_multinomial(200)[:2]
    y32, z32 = y.astype(np.float32), z.astype(np.float32)
    np.testing.assert_allclose(
        loss.value(y32, z32), loss.value(y32.astype(float), z32.astype(float)), atol=2e-5, rtol=1e-6
    )
    wide = gradient(loss, y32.astype(float), z32.astype(float))
    np.testing.assert_allclose(gradient(loss, y32, z32), wide, atol=2e-5, rtol=1e-6)


@every_loss
def test_one_target_serves_every_column(name, loss):
    y, z = draw(loss)
    y = y[:, :1]
    wide = np.repeat(y, 3, axis=1)
    np.testing.assert_array_equal(loss.value(y, z), loss.value(wide, z))
    np.testing.assert_array_equal(gradient(loss, y, z), gradient(loss, wide, z))
    np.testing.assert_array_equal(loss.second_derivative(y, z), loss.second_derivative(wide, z))


@pytest.mark.parametrize("loss", ALL)
def test_nothing_overwrites_targets_or_predictions(loss):
    y, z = draw(loss, (6, 3))
    y.flags.writeable = z.flags.writeable = False
    first = loss.value(y, z)
    gradient(loss, y, z)
    loss.second_derivative(y, z)
    np.testing.assert_array_equal(loss.value(y, z), first)


def test_columns_may_have_their_own_parameters():
    columns = np.array([0.1, 0.5, 2.0])
    for cls, field in [(Hinge, "threshold"), (Huber, "epsilon"), (EpsilonInsensitive, "epsilon")]:
        y, z = draw(cls())
        together = cls(**{field: columns})
        for j, value in enumerate(columns):
            alone, pick = cls(**{field: value}), np.s_[:, j : j + 1]
            np.testing.assert_array_equal(together.value(y, z)[pick], alone.value(y[pick], z[pick]))
            np.testing.assert_array_equal(gradient(together, y, z)[pick], gradient(alone, y[pick], z[pick]))


# ---------------------------------------------------------------- where a fit starts


def excess_allowed(name, loss, best):
    """How far a constant's mean loss may lie above the least one.

    The median minimises |r| and the mean r^2. With |r| - eps <= max(0, |r| - eps) <= |r| and
    eps |r| - eps^2 / 2 <= huber <= eps |r| the first is eps and eps^2 / 2 off at most; by Minkowski's
    inequality the second at most (sqrt(best) + eps)^2 - best. All others are exact.
    """
    return {
        "huber": lambda: loss.epsilon**2 / 2,
        "epsilon_insensitive": lambda: loss.epsilon,
        "squared_epsilon_insensitive": lambda: (math.sqrt(best) + loss.epsilon) ** 2 - best,
    }.get(name, lambda: 0.0)()


@every_loss
def test_constant_is_about_the_best_constant(name, loss):
    rng = np.random.default_rng(3)
    y = targets(loss, (75, 3), rng)
    if not loss.regression:
        y[:, 0] = np.where(np.arange(75) < 60, 1.0, -1.0)
    weight = rng.integers(0, 4, size=y.shape).astype(float)
    constant = loss.fit_intercept_only(y, weight)
    assert constant.shape == (3,)
    for j in range(3):

        def mean_loss(c, j=j):
            return np.average(loss.value(y[:, j], np.full(75, c)), weights=weight[:, j])

        best = minimize_scalar(mean_loss, bounds=(-8, 8), method="bounded", options={"xatol": 1e-9}).fun
        assert mean_loss(constant[j]) <= best + excess_allowed(name, loss, best) + 1e-9


@every_loss
def test_constant_sees_weights_as_repetitions(name, loss):
    rng = np.random.default_rng(4)
    y = targets(loss, (41, 1), rng)
    counts = rng.integers(0, 3, size=41)
    repeated = np.repeat(y, counts, axis=0)
    weighted = loss.fit_intercept_only(y, counts[:, None].astype(float))
    np.testing.assert_allclose(weighted, loss.fit_intercept_only(repeated, np.ones_like(repeated)), rtol=1e-12)


@pytest.mark.parametrize("name", [name for name, cls in LOSSES.items() if cls.regression and cls.in_target_units])
@pytest.mark.parametrize("value", [1e-9, 0.1, -1e9 / 3])
def test_the_constant_of_a_constant_target_is_it_exactly(name, value):
    y = np.full((500, 2), value)
    weight = np.random.default_rng(0).random((500, 2))
    np.testing.assert_array_equal(LOSSES[name]().fit_intercept_only(y, weight), value)


@pytest.mark.parametrize("loss", [LogLoss(), SquaredHinge(), ModifiedHuber()])
def test_constant_of_one_class_alone_is_finite(loss):
    assert np.isfinite(loss.fit_intercept_only(np.ones((5, 2)), np.ones((5, 2)))).all()


@pytest.mark.parametrize("name", ["log_loss", "modified_huber"])
def test_probability_is_scikit_learns(name):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 2))
    model = SGDClassifier(loss=name, random_state=0, alpha=0.1).fit(X, X[:, 0] + rng.normal(size=60) > 0)
    z = model.decision_function(X)
    assert np.abs(z).max() > 1
    np.testing.assert_allclose(LOSSES[name]().probability(z), model.predict_proba(X)[:, 1], atol=1e-12)


# ---------------------------------------------------------------- multinomial


def draw_multinomial(m=40, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=m)
    return np.eye(n_classes)[labels], 2 * rng.normal(size=(m, n_classes)), labels


def test_multinomial_value_is_scikit_learns_log_loss():
    y, z, labels = draw_multinomial()
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    loss = MultinomialLogLoss(n_classes=3)
    np.testing.assert_allclose(loss.probability(z), p, rtol=1e-12)
    assert loss.value(y, z).sum(axis=1).mean() == pytest.approx(metrics.log_loss(labels, p), rel=1e-12)
    assert np.all((loss.value(y, z) != 0) == (y == 1))
    assert loss.columns_per_model == 3


def test_multinomial_derivatives_are_numeric_ones():
    y, z, _ = draw_multinomial(6)
    loss = MultinomialLogLoss(n_classes=3)
    np.testing.assert_allclose(
        gradient(loss, y, z), partial_derivatives(lambda v: loss.value(y, v).sum(), z), atol=1e-8
    )
    for row in range(6):
        y1, z1 = y[row : row + 1], z[row : row + 1]
        hessian = [partial_derivatives(lambda v, c=c, y1=y1: gradient(loss, y1, v)[0, c], z1).ravel() for c in range(3)]
        np.testing.assert_allclose(loss.second_derivative(y1, z1).ravel(), np.diag(hessian), atol=1e-8)
        assert np.linalg.eigvalsh(hessian).max() <= loss.max_curvature
    # reached where two classes share everything
    y1, z1 = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 0.0, -50.0]])
    assert 2 * loss.second_derivative(y1, z1)[0, 0] == pytest.approx(loss.max_curvature)


def test_multinomial_value_is_the_integral_of_gradient_along_a_line():
    y, z, _ = draw_multinomial(2)
    loss, direction = MultinomialLogLoss(n_classes=3), np.array([[1.0, -2.0, 0.5], [0.3, 0.2, 4.0]])
    area, _ = quad(lambda s: (direction * gradient(loss, y, z + s * direction)).sum(), 0, 2)
    rise = loss.value(y, z + 2 * direction).sum() - loss.value(y, z).sum()
    assert rise == pytest.approx(area, abs=1e-7)


def test_two_multinomial_models_side_by_side_equal_each_alone():
    y, z, _ = draw_multinomial(seed=1)
    y2, z2, _ = draw_multinomial(seed=2)
    loss = MultinomialLogLoss(n_classes=3)
    Y, Z = np.hstack([y, y2]), np.hstack([z, z2])

    def beside(one):
        return np.hstack([one(y, z), one(y2, z2)])

    for method in (loss.value, loss.second_derivative, lambda a, b: gradient(loss, a, b)):
        np.testing.assert_array_equal(method(Y, Z), beside(method))
    np.testing.assert_array_equal(loss.probability(Z), beside(lambda a, b: loss.probability(b)))
    ones = np.ones_like(y)
    starts = np.concatenate([loss.fit_intercept_only(y, ones), loss.fit_intercept_only(y2, ones)])
    np.testing.assert_allclose(loss.fit_intercept_only(Y, np.ones_like(Y)), starts, rtol=1e-12)


def test_softmax_of_two_classes_is_logistic_on_the_difference():
    y, z, labels = draw_multinomial(n_classes=2)
    two, one = MultinomialLogLoss(n_classes=2), LogLoss()
    sign, difference = 2.0 * labels[:, None] - 1, z[:, 1:] - z[:, :1]
    np.testing.assert_allclose(two.value(y, z).sum(axis=1, keepdims=True), one.value(sign, difference), rtol=1e-12)
    logistic = gradient(one, sign, difference)
    np.testing.assert_allclose(gradient(two, y, z), np.hstack([-logistic, logistic]), rtol=1e-10)
    np.testing.assert_allclose(two.probability(z)[:, 1:], one.probability(difference), rtol=1e-12)


def test_multinomial_constant_is_the_best_constant():
    y, _, _ = draw_multinomial(50)
    loss, weight = MultinomialLogLoss(n_classes=3), np.repeat(np.arange(50.0)[:, None] % 4, 3, axis=1)

    def total(c):
        return (weight * loss.value(y, np.tile(c, (50, 1)))).sum()

    found = minimize(total, np.zeros(3))
    assert total(loss.fit_intercept_only(y, weight)) <= found.fun + 1e-9
    assert loss.fit_intercept_only(y, weight).sum() == pytest.approx(0, abs=1e-12)


# ---------------------------------------------------------------- a user's own


class Poisson(Loss):
    """A user's loss of counts: the mean is the exponential of the prediction."""

    regression = True
    smooth = True
    domain = Interval(0, closed="left")
    in_target_units = False

    def value(self, y, z):
        return np.exp(z) - y * z

    def gradient(self, y, z, out):
        return np.subtract(np.exp(z), y, out=out)

    def inverse_link(self, z):
        return np.exp(z)


class Halves(Loss):
    """A user's loss that says nothing but what it must."""

    regression = True

    def value(self, y, z):
        return 0.5 * (y - z) ** 2

    def gradient(self, y, z, out):
        return np.subtract(z, y, out=out)


def counts(n=200):
    rng = np.random.default_rng(6)
    return rng.poisson([0.3, 4.0, 900.0], size=(n, 3)).astype(float), rng.uniform(-8, 8, size=(n, 3))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("columns", [1, 3])
def test_a_smooth_loss_without_a_bound_has_a_numerical_second_derivative(dtype, columns):
    y, z = (a.astype(dtype) for a in counts())
    y, z = y[:, :columns], z
    y.flags.writeable = z.flags.writeable = False
    second = Poisson().second_derivative(y, z)
    assert second.dtype == np.float64
    assert second.shape == z.shape
    # off by h^2 / 6 of it, and by the rounding of the target over h
    np.testing.assert_allclose(second, np.exp(z.astype(float)), rtol=1e-7, atol=1e-7)


def test_a_numerical_second_derivative_keeps_its_digits_far_from_zero():
    z = np.array([[-300.0, -30.0, 0.0, 30.0, 300.0]])
    np.testing.assert_allclose(Poisson().second_derivative(np.zeros((1, 1)), z), np.exp(z), rtol=2e-5)


def test_a_bound_takes_the_place_of_differences():
    class Bounded(Poisson):
        max_curvature = 7.0

    y, z = counts(5)
    np.testing.assert_array_equal(Bounded().second_derivative(y[:, :1], z), np.full((5, 3), 7.0))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_constant_of_a_loss_on_another_scale_is_the_best_one(weighted):
    y, _ = counts()
    weight = np.random.default_rng(7).uniform(0.1, 3, size=y.shape) if weighted else np.ones_like(y)
    constant = Poisson().fit_intercept_only(y, weight)
    np.testing.assert_allclose(Poisson().inverse_link(constant), np.average(y, axis=0, weights=weight), rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e12])
def test_the_constant_of_one_value_alone_is_finite(value):
    constant = Poisson().fit_intercept_only(np.full((4, 1), value), np.ones((4, 1)))
    assert np.isfinite(constant).all()
    assert np.exp(constant[0]) == pytest.approx(value, rel=1e-4, abs=1e-5)


def test_predictions_are_the_mean_unless_a_loss_says_otherwise():
    z = np.array([[-1.0, 2.0]])
    for cls in LOSSES.values():
        assert (cls().inverse_link(z) is z) == (not cls.deviance)
        assert cls.in_target_units == (not cls.deviance)
        assert (-1e300 in cls().domain) == (not cls.deviance)
    np.testing.assert_array_equal(Poisson().inverse_link(z), np.exp([[-1.0, 2.0]]))
    np.testing.assert_array_equal(z, [[-1.0, 2.0]])


def test_a_domain_says_which_targets_a_loss_takes():
    assert 0.0 in Poisson.domain
    assert 3 in Poisson.domain
    assert -1e-9 not in Poisson.domain
    assert str(Poisson.domain) == "a number in [0, inf)"
    assert Poisson.domain.holds(np.array([[0.0, 2.0]]))
    assert not Poisson.domain.holds(np.array([[0.0, -2.0]]))


def test_a_bound_makes_a_loss_smooth_unless_it_says_otherwise():
    class Bounded(Halves):
        max_curvature = 1.0

    class Kinked(Halves):
        max_curvature = 1.0
        smooth = False

    class Unbounded(Bounded):
        max_curvature = None

    class Scaled(Halves):
        scale: float = hyperparameter(2.0, Interval(0))

        @property
        def max_curvature(self):
            return self.scale

    assert [cls.smooth for cls in (Halves, Bounded, Kinked, Unbounded, Scaled)] == [False, True, False, True, True]
    assert Scaled(3.0).second_derivative(np.zeros((1, 1)), np.zeros((1, 1))) == 3.0
    assert not Loss.smooth
    assert MultinomialLogLoss.smooth


def test_the_defaults_of_the_interface_work_for_a_users_own():
    loss, (y, z) = Halves(), draw(SquaredError())
    assert loss.columns_per_model == 1
    assert not loss.passive_aggressive
    assert loss.coupled(3) is None
    assert loss.gradient_scalar(1.0, 3.0) == 2.0
    np.testing.assert_array_equal(loss.total(y, z), SquaredError().total(y, z))
    weight = np.random.default_rng(8).random(y.shape)
    np.testing.assert_array_equal(loss.fit_intercept_only(y, weight), SquaredError().fit_intercept_only(y, weight))
    np.testing.assert_array_equal(loss.second_derivative(y, z), 1.0)


class Skewed(Loss):
    """A user's regression loss with a kink, one piece of which is curved, in value and gradient alone."""

    regression = True

    def value(self, y, z):
        return np.where(z > y, 2 * (z - y), 0.5 * (z - y) ** 2)

    def gradient(self, y, z, out):
        return np.copyto(out, np.where(z > y, 2.0, z - y)) or out


class Logistic(Loss):
    """A user's loss of labels, in value and gradient alone."""

    smooth = True

    def value(self, y, z):
        return np.logaddexp(0, -y * z)

    def gradient(self, y, z, out):
        return np.divide(-y, 1 + np.exp(y * z), out=out)


class Expectile(Loss):
    """A user's loss whose bound of the curvature depends on a field."""

    level: Any = hyperparameter(0.7, Interval(0, 1))
    regression = smooth = True

    @property
    def max_curvature(self):
        return np.maximum(self.level, 1 - np.asarray(self.level))

    def value(self, y, z):
        return 0.5 * np.where(y > z, self.level, 1 - np.asarray(self.level)) * (y - z) ** 2

    def gradient(self, y, z, out):
        return np.multiply(np.where(y > z, self.level, 1 - np.asarray(self.level)), z - y, out=out)


@pytest.mark.parametrize("solver", ["auto", "adam", "sgd"])
def test_a_search_lists_a_field_that_bounds_the_curvature(solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    y, levels = X @ [1.0, 2.0, 0.0] + rng.standard_normal(60), [Expectile(level) for level in (0.2, 0.5, 0.9)]
    model = SGDVariantRegressor(solver=solver, random_state=0, tol=1e-8, max_iter=50)
    search = BatchedGridSearchCV(model, {"loss": levels}, cv=2, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        together = search.fit(X, y).cv_results_["mean_test_score"]
        for loss, score in zip(levels, together, strict=True):
            alone = cross_val_score(clone(model).set_params(loss=loss), X, y, cv=2).mean()
            assert score == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("loss", [Skewed(), Logistic()])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_the_constant_of_a_users_loss_is_the_best_one(loss, scale):
    rng = np.random.default_rng(0)
    y = scale * rng.gamma(2.0, size=(80, 3)) if loss.regression else np.where(rng.random((80, 3)) < 0.8, 1.0, -1.0)
    weight, size = rng.integers(0, 4, y.shape).astype(float), np.abs(y).max()
    found = loss.fit_intercept_only(y, weight)
    for j in range(3):

        def mean_loss(c, j=j):
            return np.average(loss.value(y[:, j], np.full(80, c * size)), weights=weight[:, j])

        best = minimize_scalar(mean_loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-12}).fun
        assert mean_loss(found[j] / size) <= best + 1e-9 * (best + 2 * size)  # slopes are up to two
    np.testing.assert_array_equal(Skewed().fit_intercept_only(np.full((9, 1), 0.1), np.ones((9, 1))), 0.1)


def test_the_logistic_loss_and_it_alone_has_one_that_couples_classes():
    for name, cls in LOSSES.items():
        together = cls().coupled(4)
        assert (together is not None) == (name == "log_loss")
    assert LogLoss().coupled(4).key() == MultinomialLogLoss(n_classes=4).key()
    assert MultinomialLogLoss(n_classes=4).columns_per_model == 4


def test_the_curvature_of_huber_is_a_parabola_that_touches_and_lies_above():
    loss, y, z = LOSSES["huber"](epsilon=0.5), np.zeros((1, 1)), np.linspace(-4, 4, 33)[:, None]
    for at in (-3.0, -0.6, 0.2, 2.0):
        here = np.array([[at]])
        f, g, h = loss.value(y, here), loss.gradient(y, here, np.empty((1, 1))), loss.curvature(y, here)
        parabola = f + g * (z - at) + 0.5 * h * (z - at) ** 2
        assert (parabola >= loss.value(np.zeros_like(z), z) - 1e-12).all()
        assert h >= loss.second_derivative(y, here)


def test_sums_of_models_of_coupled_classes_do_not_depend_on_the_order_in_memory():
    rng = np.random.default_rng(0)
    loss, n, k, models = MultinomialLogLoss(n_classes=3), 40, 3, 4
    z = rng.normal(size=(n, k * models))
    y = np.tile(np.eye(k)[rng.integers(0, k, n)], models)
    expected = [loss.value(y[:, j : j + k], z[:, j : j + k]).sum() for j in range(0, k * models, k)]
    r = loss.gradient(y, z, np.empty_like(z))
    for order in (np.ascontiguousarray, np.asfortranarray):
        total = loss.total(order(y), z, None, r).reshape(models, k).sum(axis=1)
        np.testing.assert_allclose(total, expected, rtol=1e-10)
