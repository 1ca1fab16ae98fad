"""Penalties: the prox is the argmin of its definition."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import SGDRegressor

from _oracles import partial_derivatives
from _references import ELASTIC
from skvariants.penalties import PENALTIES, Bounded, ElasticNet, Penalty

RNG = np.random.default_rng(0)
W = RNG.normal(size=(5, 3))
UNITS = RNG.uniform(0.3, 3.0, size=(5, 3))

STEPS = {"scalar": 0.3, "column": np.array([0.1, 0.5, 1.0]), "metric": np.abs(W) + 0.1}
every_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


def make(name, **kwargs):
    factory = PENALTIES[name]
    fixed = getattr(factory, "keywords", {})
    return factory(**{k: v for k, v in {"alpha": 0.7, "l1_ratio": 0.4, **kwargs}.items() if k not in fixed})


CASES = {str(name): make(name) for name in ELASTIC} | {
    "alphas": make("elasticnet", alpha=np.array([0.0, 0.2, 2.0])),
    "ratios": make("elasticnet", l1_ratio=np.array([0.0, 0.5, 1.0])),
    "rows": make("elasticnet", units=UNITS[:, :1]),
    "features": make("elasticnet", units=UNITS[:, 0]),
    "units": make("elasticnet", units=UNITS, objective_scale=np.array([0.5, 1.0, 2.0])),
    "factor": make("elasticnet", factor=np.arange(5.0)),
    "factors": make("elasticnet", units=UNITS[:, 0], factor=UNITS[::-1]),
    "all": ElasticNet(np.array([0.3, 0.2, 2.0]), np.array([0.1, 0.5, 0.9]), UNITS, np.array([0.5, 1.0, 2.0])),
}
every_penalty = pytest.mark.parametrize("penalty", CASES.values(), ids=CASES)


def definition(penalty, w, i, j, smooth=True):
    """scale * alpha * factor * ((1 - l1_ratio) / 2 * (u w)^2 + l1_ratio * |u w|) of one weight, as Python floats."""
    rows = [f[:, None] if np.ndim(f) == 1 else f for f in (penalty.units, penalty.factor)]
    fields = (penalty.objective_scale, penalty.alpha, penalty.l1_ratio, *rows)
    scale, alpha, ratio, unit, factor = (float(np.broadcast_to(f, W.shape)[i, j]) for f in fields)
    ridge = (1 - ratio) / 2 * (unit * w) ** 2 if smooth else 0.0
    return scale * alpha * factor * (ridge + ratio * abs(unit * w))


def applied(method, start, *args, **kwargs):
    """The weights that a method which overwrites its first argument leaves."""
    result = start.copy()
    method(result, *args, **kwargs)
    return result


# ---------------------------------------------------------------- value and gradient


@every_penalty
def test_value_is_the_definition(penalty):
    expected = [sum(definition(penalty, W[i, j], i, j) for i in range(5)) for j in range(3)]
    np.testing.assert_allclose(penalty.value(W), expected, rtol=1e-13)


@every_penalty
def test_the_gradient_of_the_smooth_part_is_added(penalty):
    rest = RNG.normal(size=W.shape)

    def smooth(V):
        # what is left of the value without its odd part at zero
        return penalty.value(V).sum() - (np.abs(V) * penalty.l1_strength).sum()

    expected = rest + partial_derivatives(smooth, W)
    np.testing.assert_allclose(applied(lambda out: penalty.add_gradient(W, out), rest), expected, atol=1e-9)


@every_penalty
def test_the_strengths_say_what_the_value_is_made_of(penalty):
    smooth, sharp = 0.5 * penalty.l2_strength * W**2, penalty.l1_strength * np.abs(W)
    np.testing.assert_allclose((smooth + sharp).sum(axis=0), penalty.value(W), rtol=1e-13)
    assert penalty.has_prox == bool(np.any(sharp))


def test_four_names_are_one_family():
    ridge, lasso, mixed, none = (make(name).value(W) for name in ("l2", "l1", "elasticnet", None))
    np.testing.assert_allclose(ridge, 0.7 * np.square(W).sum(axis=0) / 2)
    np.testing.assert_allclose(lasso, 0.7 * np.abs(W).sum(axis=0))
    np.testing.assert_allclose(mixed, 0.6 * ridge + 0.4 * lasso)
    np.testing.assert_array_equal(none, 0)


# ---------------------------------------------------------------- prox


@every_penalty
@every_step
@pytest.mark.parametrize("smooth", [True, False], ids=["all", "sharp part"])
def test_the_prox_is_the_argmin_of_its_definition(penalty, step, smooth):
    got = applied(penalty.prox, W, step, smooth=smooth)
    steps = np.broadcast_to(step, W.shape)
    for i, j in np.ndindex(W.shape):

        def f(v, i=i, j=j):
            return (v - W[i, j]) ** 2 / (2 * steps[i, j]) + definition(penalty, v, i, j, smooth)

        best = minimize_scalar(f, bounds=(-5, 5), method="bounded", options={"xatol": 1e-10})
        assert f(got[i, j]) <= best.fun + 1e-12
        # f is strongly convex with constant 1 / step
        assert got[i, j] == pytest.approx(best.x, abs=1e-6)


@every_penalty
def test_no_step_is_no_change(penalty):
    np.testing.assert_array_equal(applied(penalty.prox, W, 0.0), W)
    np.testing.assert_array_equal(applied(penalty.decay, W, 0.0), W)


@every_penalty
@every_step
def test_float32_stays_float32_and_in_place(penalty, step):
    V = W.astype(np.float32)
    for method in (penalty.prox, penalty.decay):
        result = applied(method, V, step)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, applied(method, W, step), atol=1e-6)


def test_soft_thresholding_gives_exact_zeros():
    got = applied(make("l1").prox, W, 0.7)
    np.testing.assert_array_equal(got == 0, np.abs(W) <= 0.7 * 0.7)
    np.testing.assert_array_equal(np.sign(got), np.where(np.abs(W) > 0.49, np.sign(W), 0))


@every_penalty
def test_decay_is_a_gradient_step_that_stops_at_zero(penalty):
    gradient = applied(lambda out: penalty.add_gradient(W, out), np.zeros_like(W))
    np.testing.assert_allclose(applied(penalty.decay, W, 0.01), W - 0.01 * gradient, rtol=1e-12)
    far = applied(penalty.decay, W, 1e6)
    np.testing.assert_array_equal(far, np.where(gradient != 0, 0.0, W))


# ---------------------------------------------------------------- units and columns


@every_penalty
@pytest.mark.parametrize("units", [UNITS, UNITS[:, :1]], ids=["weights", "rows"])
@pytest.mark.parametrize("scale", [0.25, np.array([0.5, 2.0, 4.0])], ids=["scalar", "column"])
def test_rescaled_is_the_penalty_of_rescaled_weights(penalty, units, scale):
    rescaled = penalty.rescaled(units, objective_scale=scale)
    np.testing.assert_allclose(rescaled.value(W), scale * penalty.value(units * W), rtol=1e-13)
    # twice is once with the products
    twice, once = rescaled.rescaled(units, scale), penalty.rescaled(units**2, scale**2)
    np.testing.assert_allclose(twice.value(W), once.value(W), rtol=1e-13)


@every_penalty
@pytest.mark.parametrize("columns", [np.array([2]), np.array([2, 0]), np.array([True, False, True])])
def test_a_column_keeps_its_penalty(penalty, columns):
    taken, V = penalty.take(columns), W[:, columns]
    np.testing.assert_allclose(taken.value(V), penalty.value(W)[columns], rtol=1e-14)
    np.testing.assert_array_equal(applied(taken.prox, V, 0.3), applied(penalty.prox, W, 0.3)[:, columns])


@pytest.mark.parametrize("units", [UNITS[:, 0], UNITS[:, :1]], ids=["(n_features,)", "(n_features, 1)"])
def test_units_of_features_are_left_whole_and_have_their_number(units):
    penalty = ElasticNet(alpha=np.array([0.1, 0.2]), units=units)
    assert penalty.take(np.array([1])).units is units
    penalty.check_features(5, "penalty")
    with pytest.raises(ValueError, match=r"penalty__units holds 5 values, and X has 4 features"):
        penalty.check_features(4, "penalty")


# ---------------------------------------------------------------- cumulative L1


def tsuruoka(w, moves, etas, strength):
    """One weight under the cumulative penalty: section 3.2 of Tsuruoka et al. (2009), on Python floats."""
    u = q = 0.0
    for move, eta in zip(moves, etas, strict=True):
        w += move
        u += eta * strength
        z = w
        if w > 0:
            w = max(0.0, w - (u + q))
        elif w < 0:
            w = min(0.0, w + (u - q))
        q += w - z
        yield w


@pytest.mark.parametrize("alpha", [0.2, np.array([0.05, 0.2, 1.0])], ids=["scalar", "column"])
@pytest.mark.parametrize("units", [1.0, UNITS], ids=["plain", "units"])
def test_truncation_is_tsuruokas_cumulative_penalty(alpha, units):
    penalty = ElasticNet(alpha=alpha, l1_ratio=0.6, units=units)
    moves, etas = 0.1 * RNG.normal(size=(50, 5, 3)), 1 / np.arange(1, 51)
    got, due, paid, seen = W.copy(), np.zeros_like(W), np.zeros_like(W), []
    for move, eta in zip(moves, etas, strict=True):
        got += move
        penalty.truncate(got, eta, due, paid)
        seen.append(got.copy())
    assert 0 < (np.array(seen) == 0).mean() < 1
    strengths = np.broadcast_to(0.6 * alpha * units, W.shape)
    for i, j in np.ndindex(W.shape):
        expected = list(tsuruoka(float(W[i, j]), moves[:, i, j].tolist(), etas.tolist(), float(strengths[i, j])))
        np.testing.assert_allclose(np.array(seen)[:, i, j], expected, atol=1e-14)


def test_truncation_is_scikit_learns():
    X, noise = RNG.normal(size=(40, 6)), RNG.normal(size=40)
    y = X @ np.array([1.0, -1.0, 0, 0, 0, 0]) + noise
    model = SGDRegressor(
        penalty="l1", alpha=0.3, learning_rate="constant", eta0=0.02, max_iter=1, tol=None, shuffle=False,
        fit_intercept=False,
    ).fit(X, y)  # fmt: skip
    w, due, paid = (np.zeros((6, 1)) for _ in range(3))
    for x, target in zip(X, y, strict=True):
        w -= 0.02 * (x @ w - target) * x[:, None]
        ElasticNet(alpha=0.3, l1_ratio=1.0).truncate(w, 0.02, due, paid)
    assert 0 < np.count_nonzero(w) < 6
    np.testing.assert_allclose(w[:, 0], model.coef_, atol=1e-14)


# ---------------------------------------------------------------- a user's own


class Nonnegative(Penalty):
    """A user's penalty with a ridge: infinite below zero, half the squares above."""

    def value(self, W):
        return np.where((W < 0).any(axis=0), np.inf, 0.5 * np.square(W).sum(axis=0))

    def add_gradient(self, W, out):
        out += W

    def prox(self, W, step, smooth=True):
        np.maximum(W, 0, out=W)
        if smooth:
            W /= 1 + step


def test_the_defaults_of_the_interface_work_for_a_users_own():
    penalty = Nonnegative()
    assert penalty.has_prox
    np.testing.assert_allclose(applied(penalty.decay, W, 0.1), 0.9 * W)
    memory = np.zeros_like(W), np.zeros_like(W)
    np.testing.assert_array_equal(applied(penalty.truncate, W, 0.1, *memory), np.maximum(W, 0))
    assert penalty.take(np.array([0])) is penalty
    with pytest.raises(NotImplementedError, match=r"Nonnegative .*`rescaled`.*scale_features=False"):
        penalty.rescaled(UNITS, 1.0)


# ---------------------------------------------------------------- steps without gradient


class Plain(ElasticNet):
    """Takes the postponed steps one by one, as the interface does."""

    idle = Penalty.idle


@every_penalty
@every_step
@pytest.mark.parametrize("implicit", [True, False])
def test_steps_that_were_postponed_are_the_steps(penalty, step, implicit):
    plain = Plain(**penalty.get_params())
    times = np.array([0.0, 1.0, 2.0, 7.0, 60.0])[:, None]
    expected = applied(plain.idle, 3 * W, step, times, implicit)
    result = applied(penalty.idle, 3 * W, step, times, implicit)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(result == 0, expected == 0)
    np.testing.assert_array_equal(result[0], 3 * W[0])


@pytest.mark.parametrize("implicit", [True, False])
def test_a_shrinkage_that_leaves_nothing_leaves_nothing_and_no_nan(implicit):
    for step in (1.0, 1e3, 1e300):
        result = applied(make("l2", alpha=1.0).idle, W, step, np.array([[0.0], [1.0], [2.0], [9.0], [1e4]]), implicit)
        np.testing.assert_array_equal(result[0], W[0])
        assert (np.abs(result[1:]) <= np.abs(W[1:]) / 2).all()


@every_penalty
@pytest.mark.parametrize("features", [np.array([3, 1]), slice(1, 4)])
def test_of_some_features_it_is_the_same(penalty, features):
    some, step = penalty.at(features), np.array([0.1, 0.5, 1.0])
    whole = applied(penalty.prox, W, step)
    np.testing.assert_array_equal(applied(some.prox, W[features], step), whole[features])
    np.testing.assert_array_equal(applied(penalty.prox, W, step), whole)  # which is left as it was
    expected = [sum(definition(penalty, W[i, j], i, j) for i in np.arange(5)[features]) for j in range(3)]
    np.testing.assert_allclose(some.value(W[features]), expected, rtol=1e-12)


def test_the_value_of_many_weights_is_summed_in_blocks(monkeypatch):
    penalty, expected = CASES["all"], CASES["all"].value(W)
    monkeypatch.setattr("skvariants.penalties._BLOCK", 6)
    np.testing.assert_allclose(penalty.value(W), expected, rtol=1e-13)


def test_a_shrinkage_is_that_of_its_own_step():
    penalty = CASES["rows"]
    for step in (0.3, 0.3, 0.1, np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.2, 0.4]), 0.3):
        expected = applied(make("elasticnet", units=UNITS[:, :1]).prox, W, step)
        np.testing.assert_array_equal(applied(penalty.prox, W, step), expected)


# ---------------------------------------------------------------- bounds

LOWER = np.array([-np.inf, 0.0, -0.4, 0.2, -1.0])
UPPER = np.array([0.1, np.inf, 0.3, 0.9, -0.5])
BOUNDED = {
    "plain": Bounded(0.7, 0.4, lower=LOWER, upper=UPPER),
    "sides": Bounded(0.7, 0.0, lower=0.0, upper=0.5),
    "units": Bounded(
        np.array([0.0, 0.2, 2.0]), 0.5, UNITS, np.array([0.5, 1.0, 2.0]), lower=LOWER, upper=UPPER[:, None]
    ),
    "columns": Bounded(0.7, 0.4, factor=np.arange(5.0), lower=np.stack([LOWER, LOWER - 1, LOWER - 2], axis=1)),
}
every_bounded = pytest.mark.parametrize("penalty", BOUNDED.values(), ids=BOUNDED)


def ends(penalty):
    """Bounds of the weights worked in, as full arrays."""
    none = -np.inf if penalty.lower is None else penalty.lower, np.inf if penalty.upper is None else penalty.upper
    rows = [f[:, None] if np.ndim(f) == 1 else f for f in (*none, penalty.units)]
    lower, upper, units = (np.broadcast_to(f, W.shape) for f in rows)
    return lower / units, upper / units


@every_bounded
@every_step
@pytest.mark.parametrize("smooth", [True, False])
def test_within_bounds_the_prox_is_the_argmin_too(penalty, step, smooth):
    got, steps, (lower, upper) = applied(penalty.prox, W, step, smooth), np.broadcast_to(step, W.shape), ends(penalty)
    for i, j in np.ndindex(W.shape):

        def f(v, i=i, j=j):
            return (v - W[i, j]) ** 2 / (2 * steps[i, j]) + definition(penalty, v, i, j, smooth)

        assert lower[i, j] <= got[i, j] <= upper[i, j]
        span = max(lower[i, j], min(-5, upper[i, j] - 5)), min(upper[i, j], max(5, lower[i, j] + 5))
        best = minimize_scalar(f, bounds=span, method="bounded", options={"xatol": 1e-10})
        assert f(got[i, j]) <= best.fun + 1e-9


@every_bounded
def test_beyond_the_bounds_the_value_is_infinite(penalty):
    inside = applied(penalty.project, W)
    plain = ElasticNet(penalty.alpha, penalty.l1_ratio, penalty.units, penalty.objective_scale, penalty.factor)
    np.testing.assert_array_equal(penalty.value(inside), plain.value(inside))
    np.testing.assert_array_equal(np.isinf(penalty.value(W)), (np.abs(W - inside) > 0).any(axis=0))
    np.testing.assert_array_equal(np.isinf(penalty.value(inside * (1 + 1e-12))), False)


@every_bounded
@pytest.mark.parametrize("implicit", [True, False])
def test_within_bounds_idle_steps_are_made_up_for_at_once(penalty, implicit):
    times = np.array([[0], [1], [3], [7], [20]])
    start, one_by_one = applied(penalty.project, W), applied(penalty.project, W)
    Penalty.idle(penalty, one_by_one, 0.1, times, implicit)
    np.testing.assert_allclose(applied(penalty.idle, start, 0.1, times, implicit), one_by_one, atol=1e-14)


@every_bounded
@pytest.mark.parametrize("features", [slice(1, 4), np.array([4, 0, 2])], ids=["slice", "numbers"])
def test_some_features_keep_their_bounds(penalty, features):
    part = penalty.at(features)
    for dtype in (np.float64, np.float32):
        V = W.astype(dtype)
        np.testing.assert_array_equal(applied(part.prox, V[features], 0.3), applied(penalty.prox, V, 0.3)[features])


@every_bounded
@pytest.mark.parametrize("columns", [np.array([2]), np.array([True, False, True])])
def test_a_column_keeps_its_bounds(penalty, columns):
    taken, V = penalty.take(columns), W[:, columns]
    np.testing.assert_array_equal(applied(taken.prox, V, 0.3), applied(penalty.prox, W, 0.3)[:, columns])


@every_bounded
def test_bounds_are_those_of_the_weights_in_the_units_of_the_data(penalty):
    units = UNITS[:, ::-1].copy()
    units[2] = 0  # of a constant column: its weight says nothing, and is free
    V = applied(penalty.rescaled(units, 1.0).project, W)
    expected = applied(penalty.project, W * units) / np.where(units > 0, units, 1)
    np.testing.assert_allclose(V[[0, 1, 3, 4]], expected[[0, 1, 3, 4]], rtol=1e-13)
    np.testing.assert_array_equal(V[2], W[2])


def test_bounds_add_up():
    both = Bounded(lower=-1.0, upper=np.arange(5.0)).within(LOWER, 2.0)
    lower, upper = ends(both)
    np.testing.assert_array_equal(lower[:, 0], np.maximum(LOWER, -1))
    np.testing.assert_array_equal(upper[:, 0], np.minimum(np.arange(5.0), 2))
