"""Groups of weights that are zero together: the model's minimum, and fits with it."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from _references import LINES, asked, cutting_planes
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._interior_point import column
from skvariants._interior_point import rows as matrices
from skvariants._quasi_newton.groups import minimise
from skvariants.losses import Quantile
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.penalties import Bounded, ElasticNet, GroupLasso
from test_laws import EXACT, NAMES, assert_close_fit, assert_same_fit, columns, quiet

GROUPS = np.repeat(np.arange(6), 3)[::-1]
TAKES_GROUPS = [name for name in NAMES if name != "interior_point"]


def slow(value):
    """A value whose tests are left to CI."""
    return pytest.param(value, marks=pytest.mark.slow)


def table(n=200):
    """Groups of correlated features in unequal units, of which two matter."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((n, 18)) + rng.standard_normal((n, 1))) * np.logspace(-1, 1, 18)
    weight = np.isin(GROUPS, (1, 4)) / X.std(axis=0)
    return X, X @ weight + rng.standard_normal(n)


def assert_optimal(penalty, gradient, w, atol):
    """No group can gain: the gradient of the rest is minus a subgradient of the norms."""
    number = np.unique(penalty.groups, return_inverse=True)[1]
    alpha, ratio = penalty.alpha, penalty.l1_ratio
    factor = np.broadcast_to(penalty.factor, w.shape)
    for g in np.unique(number):
        at = number == g
        strength, l1 = alpha * (1 - ratio) * np.sqrt(at.sum()) * factor[at][0], alpha * ratio * factor[at]
        if (w[at] == 0).all():
            assert np.linalg.norm(np.maximum(np.abs(gradient[at]) - l1, 0)) <= strength + atol
            continue
        slope = gradient[at] + strength * w[at] / np.linalg.norm(w[at])
        moved = w[at] != 0
        np.testing.assert_allclose(slope[moved], -(l1 * np.sign(w[at]))[moved], atol=atol)
        assert (np.abs(slope) <= l1 + atol)[~moved].all()


# ---------------------------------------------------------------------- the penalty


@pytest.mark.parametrize("ridge", [0.0, 0.5])
@pytest.mark.parametrize("units", [1.0, "rows", "weights"])
@pytest.mark.parametrize("step", ["scalar", "column", "metric"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
def test_the_prox_is_the_argmin(l1_ratio, step, units, ridge):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((18, 3))
    units = {"rows": rng.uniform(0.3, 3, (18, 1)), "weights": rng.uniform(0.3, 3, (18, 3))}.get(units, units)
    step = {"scalar": 0.4, "column": np.array([0.1, 0.5, 1.0]), "metric": rng.uniform(0.1, 1, (18, 3))}[step]
    penalty = GroupLasso(GROUPS, 0.6, l1_ratio, ridge, units=units)
    V = W.copy()
    penalty.prox(V, step)
    step, units = np.broadcast_to(step, W.shape), np.broadcast_to(units, W.shape)
    assert (V != 0).any()
    for j in range(3):
        # in the units of the penalty the gradient of the distance is a subgradient
        gradient = (V - W)[:, j] / step[:, j] / units[:, j] + ridge * (units * V)[:, j]
        assert_optimal(GroupLasso(GROUPS, 0.6, l1_ratio), gradient, (units * V)[:, j], 1e-12)


def test_the_value_is_the_definition():
    rng = np.random.default_rng(0)
    W, units, factor = rng.standard_normal((18, 2)), rng.uniform(0.5, 2, 18), np.repeat(np.arange(6.0), 3)
    penalty = GroupLasso(GROUPS, np.array([0.3, 0.7]), 0.4, 0.5, units, np.array([1.0, 2.0]), factor)
    expected = []
    for j, (alpha, scale) in enumerate([(0.3, 1.0), (0.7, 2.0)]):
        w = units * W[:, j]
        norms = [np.sqrt(3) * np.linalg.norm(w[GROUPS == g]) * factor[GROUPS == g][0] for g in range(6)]
        ridge = 0.25 * (factor * w * w).sum()
        expected.append(scale * (alpha * (0.6 * sum(norms) + 0.4 * (factor * np.abs(w)).sum()) + ridge))
    np.testing.assert_allclose(penalty.value(W), expected, rtol=1e-13)
    taken = penalty.take(np.array([1]))
    np.testing.assert_allclose(taken.value(W[:, 1:]), expected[1:], rtol=1e-13)
    scaled = penalty.rescaled(np.full((18, 1), 3.0), 0.5)
    np.testing.assert_allclose(scaled.value(W / 3), 0.5 * np.array(expected), rtol=1e-13)


@pytest.mark.parametrize("ridge", [0.0, 0.7])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_the_conjugate_is_the_greatest_difference(l1_ratio, ridge):
    rng = np.random.default_rng(0)
    penalty = GroupLasso(GROUPS, 0.3, l1_ratio, ridge, units=rng.uniform(0.5, 2, 18))
    a = rng.standard_normal((18, 4)) * [0.01, 1.0, 3.0, 10.0]
    conjugate, share = penalty.conjugate(a)
    if ridge:
        np.testing.assert_array_equal(share, 1)
        for t in (0.3, 1.0):
            W = t * a / penalty.ridge / penalty.units[:, None] ** 2  # where the smooth part has that slope
            GroupLasso(GROUPS, 0.3, l1_ratio, units=penalty.units).prox(W, 1 / ridge / penalty.units[:, None] ** 2)
            np.testing.assert_allclose(conjugate(t), (t * a * W).sum(axis=0) - penalty.value(W), rtol=1e-10, atol=1e-14)
        return
    assert share[0] == 1
    np.testing.assert_array_equal(conjugate(share), 0)
    for c, inside in ((0.999, True), (1.001, False)):
        V = c * share * a  # zero is the prox of slopes at which the conjugate is finite
        penalty.prox(V, 1.0)
        np.testing.assert_array_equal((V == 0).all(axis=0)[1:], inside)


def test_penalties_add_up():
    rng = np.random.default_rng(0)
    W = rng.standard_normal((18, 2))
    groups, elastic = GroupLasso(GROUPS, 0.3, 0.4, 0.1), ElasticNet(0.5, 0.2)
    for total in (groups + elastic, elastic + groups):
        np.testing.assert_allclose(total.value(W), groups.value(W) + elastic.value(W), rtol=1e-13)
    both = ElasticNet(0.2, 0.0) + ElasticNet(0.6, 1.0)
    np.testing.assert_allclose(both.value(W), ElasticNet(0.2, 0.0).value(W) + ElasticNet(0.6, 1.0).value(W), rtol=1e-13)
    inside = np.abs(W)
    for total in (Bounded(0.1, 0.5, lower=0.0) + elastic, elastic + Bounded(0.1, 0.5, lower=0.0)):
        expected = ElasticNet(0.1, 0.5).value(inside) + elastic.value(inside)
        np.testing.assert_allclose(total.value(inside), expected, rtol=1e-13)
        assert np.isinf(total.value(W)).all()
    both = Bounded(0.1, 0.5, lower=0.0, upper=5.0) + Bounded(0.3, 0.0, upper=4.0)
    elastic_of_both = ElasticNet(0.1, 0.5) + ElasticNet(0.3, 0.0)
    np.testing.assert_allclose(both.value(inside), elastic_of_both.value(inside), rtol=1e-13)
    assert np.isinf(both.value(W)).all()
    assert np.isinf(both.value(0 * W + 4.5)).all()
    nothing = ElasticNet(0.0) + ElasticNet(0.0)
    assert (nothing.alpha, nothing.l1_ratio) == (0, 0)
    twice = groups + GroupLasso([f"group {g}" for g in GROUPS], 0.2, 0.7, 0.3)
    other = GroupLasso(GROUPS, 0.2, 0.7, 0.3)
    np.testing.assert_allclose(twice.value(W), groups.value(W) + other.value(W), rtol=1e-13)
    with pytest.raises(ValueError, match="Norms of different groups do not add up, .* give one GroupLasso"):
        groups + GroupLasso(np.arange(18))
    for pair in ((groups, Bounded(lower=0.0)), (Bounded(lower=0.0), groups)):
        with pytest.raises(ValueError, match="are not for GroupLasso: .* Choose 'l1'"):
            pair[0] + pair[1]
    for penalty in (groups, elastic):
        with pytest.raises(TypeError, match="unsupported operand"):
            penalty + 1
    with pytest.raises(ValueError, match="has strengths of its own for features"):
        elastic + ElasticNet(factor=np.arange(18.0))


# ---------------------------------------------------------------------- the model's minimum


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("unit", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_the_conditions_of_the_minimum_hold(seed, unit, l1_ratio):
    rng = np.random.default_rng(seed)
    m = 19 * unit
    A = rng.standard_normal((3 * m, m)) + rng.choice([0, 3]) * rng.standard_normal((3 * m, 1))
    Q, c = A.T @ A / len(A), rng.standard_normal(m)
    penalty = GroupLasso(GROUPS, rng.choice([0.01, 0.3, 1.0]), l1_ratio, ridge=seed % 2)
    v = minimise(Q, c, penalty, rng.standard_normal(m) * rng.integers(0, 2), unit)
    gradient = (Q @ v + c).reshape(unit, 19)
    for j, w in enumerate(v.reshape(unit, 19)):
        assert_optimal(penalty, gradient[j, :-1] + penalty.ridge * w[:-1], w[:-1], 1e-6)
        assert abs(gradient[j, -1]) < 1e-6


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("strength", [1e-3, 1e-2])
def test_uneven_units_are_no_harder(strength, l1_ratio):
    rng = np.random.default_rng(0)
    units = np.tile(np.append(10.0 ** rng.uniform(-2, 2, 60), 1.0), 3)
    A = (rng.standard_normal((90, 183)) + rng.standard_normal((90, 1))) * units
    Q, c = A.T @ A / len(A), A.T @ rng.standard_normal(90) / len(A)
    penalty = GroupLasso(np.arange(60) // 4, strength, l1_ratio, ridge=0.0)
    v = minimise(Q, c, penalty, np.zeros(183), 3)
    gradient = (Q @ v + c).reshape(3, 61)
    for j, w in enumerate(v.reshape(3, 61)):
        assert_optimal(penalty, gradient[j, :-1], w[:-1], 1e-3 * strength)
        assert abs(gradient[j, -1]) < 1e-6


# ---------------------------------------------------------------------- fits


@pytest.mark.parametrize("ridge", [0.0, 0.1])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("alpha", [0.01, 0.3, 2.0])
def test_the_default_is_optimal(alpha, l1_ratio, ridge):
    X, y = table()
    penalty = GroupLasso(GROUPS, alpha, l1_ratio, ridge)
    model = SGDVariantRegressor(penalty=penalty, tol=1e-10).fit(X, y)
    gradient = -X.T @ (y - model.predict(X)) / len(y) + ridge * model.coef_
    assert_optimal(penalty, gradient, model.coef_, 1e-5)
    assert model.status_ == "converged"
    sizes = [np.count_nonzero(model.coef_[GROUPS == g]) for g in range(6)]
    if l1_ratio == 0:
        assert set(sizes) <= {0, 3}
    assert 0 in sizes or alpha < 0.1


@pytest.mark.parametrize("multi_class", ["ovr", "auto"])
def test_of_classes_too(multi_class):
    X, y = table()
    labels = np.digitize(y, np.quantile(y, [0.3, 0.7]))
    X = X / X.std(axis=0)
    penalty = GroupLasso(GROUPS, 0.02)
    model = SGDVariantClassifier(penalty=penalty, multi_class=multi_class, tol=1e-8).fit(X, labels)
    one_hot = np.eye(3)[labels]
    if multi_class == "ovr":
        probability = 1 / (1 + np.exp(-model.decision_function(X)))
    else:
        probability = model.predict_proba(X)
    gradient = X.T @ (probability - one_hot) / len(y)
    for j in range(3):
        assert_optimal(penalty, gradient[:, j], model.coef_[j], 1e-4)
    assert model.status_ == "converged"


@pytest.mark.parametrize("solver", TAKES_GROUPS)
def test_every_solver_takes_them(solver):
    X, y = table()
    rest = dict(tol=1e-8) if solver in EXACT else dict(max_iter=20, tol=None)
    params = dict(**asked(solver, False), random_state=0, **rest)
    model = quiet(SGDVariantRegressor(penalty=GroupLasso(GROUPS, 0.5), **params), X, y)
    free = quiet(SGDVariantRegressor(penalty=None, **params), X, y)
    best = SGDVariantRegressor(penalty=GroupLasso(GROUPS, 0.5), tol=1e-9).fit(X, y)

    def objective(model):
        return ((y - model.predict(X)) ** 2).mean() / 2 + GroupLasso(GROUPS, 0.5).value(model.coef_[:, None])[0]

    start = y.var() / 2
    assert objective(model) - objective(best) <= 0.5 * (start - objective(best))
    assert objective(model) < objective(free)
    assert model.suboptimality_ >= (objective(model) - objective(best)) / (start - objective(best)) - 1e-9


def test_sparse_rows_columns_and_resuming():
    X, y = table()
    X = X / X.std(axis=0) * (np.random.default_rng(1).random(X.shape) < 0.3)
    for solver in ("auto", "adam", "adagrad"):
        rest = dict(tol=1e-10) if solver == "auto" else dict(tol=None, max_iter=5)
        model = SGDVariantRegressor(solver=solver, penalty=GroupLasso(GROUPS, 0.05), random_state=0, **rest)
        dense, sparse = (quiet(clone(model), rows, y) for rows in (X, sp.csr_matrix(X)))
        assert_close_fit(sparse, dense, 1e-6)
        models = [clone(model).set_params(penalty__alpha=alpha) for alpha in (0.01, 0.05, 0.3)]
        for together, alone in zip(columns(models, X, y), models, strict=True):
            assert_close_fit(together, quiet(alone, X, y), 1e-6)
        model.set_params(tol=None, warm_start=True)
        parts = quiet(quiet(clone(model).set_params(max_iter=2), X, y).set_params(max_iter=3), X, y)
        np.testing.assert_array_equal(parts.coef_, quiet(clone(model).set_params(max_iter=5), X, y).coef_)


#: Losses of linear pieces, as estimators have them.
KINKS = {
    "hinge": dict(loss="hinge"),
    "epsilon_insensitive": dict(loss="epsilon_insensitive", epsilon=0.1),
    "absolute_error": dict(loss="absolute_error"),
    "nine tenths": dict(loss=Quantile(0.9)),
}


def kinked(loss, penalty, n=60, **params):
    """Columns of one size of which some groups matter, targets of a loss with kinks, and the model."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 18)) + 0.5 * rng.standard_normal((n, 1))
    z = X @ (np.isin(GROUPS, (1, 4)) * rng.standard_normal(18)) + rng.standard_normal(n)
    cls = SGDVariantClassifier if loss == "hinge" else SGDVariantRegressor
    return X, np.sign(z) if loss == "hinge" else z, cls(**KINKS[loss], penalty=penalty, **params)


def left(model, X, y, loss, weight=None):
    """How far above the linear programs' least, beside what the optimum gains over a constant."""
    lines, penalty, coef = LINES[loss](y), model.penalty, np.ravel(model.coef_)
    strength = penalty.alpha * (1 - penalty.l1_ratio)
    l1 = dict(alpha=penalty.alpha * penalty.l1_ratio, l1_ratio=1.0)
    least, w, _ = cutting_planes(X, lines, weight=weight, groups=penalty.groups, strength=strength, **l1)
    start = cutting_planes(np.zeros((len(y), 1)), lines, 0.0, weight=weight)[0]
    z = X @ coef + np.ravel(model.intercept_)[0]
    found = np.average(np.max([a * z + c for a, c in lines], axis=0), weights=weight)
    return (found + penalty.value(coef[:, None])[0] - least) / (start - least), w


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
@pytest.mark.parametrize(
    "loss", [slow(loss) if loss in ("epsilon_insensitive", "nine tenths") else loss for loss in KINKS]
)
def test_losses_with_kinks_are_exact(loss, l1_ratio):
    for alpha, weighted, tol in ((0.06, True, 1e-7), (0.02, False, 1e-3)):
        X, y, model = kinked(loss, GroupLasso(GROUPS, alpha, l1_ratio), tol=tol)
        weight = np.random.default_rng(1).integers(0, 3, len(y)) * 1.0 if weighted else None
        model.fit(X, y, sample_weight=weight)
        truth, w = left(model, X, y, loss, weight)
        assert -1e-7 < truth <= tol + 1e-7
        assert truth - 1e-7 <= model.suboptimality_ <= tol
        assert (type(model.solver_).__name__, model.status_) == ("InteriorPoint", "converged")
        if tol < 1e-6:
            np.testing.assert_array_equal(np.ravel(model.coef_) == 0, np.abs(w) < 1e-5)


@pytest.mark.parametrize(("seed", "alpha"), [(25, 0.003), (68, 0.003), (123, 0.03), (144, 0.003)])
def test_groups_of_uneven_columns_are_exact(seed, alpha):
    # sizes of groups beyond their cone made steps short that are long within it
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 8)) * 10 ** rng.uniform(-2, 2, 8) + 5 * rng.standard_normal((40, 1))
    y = X @ (rng.normal(size=8) / X.std(axis=0) * (rng.random(8) < 0.4)) + 0.1 * rng.standard_normal(40)
    penalty = GroupLasso(rng.integers(0, 5, 8), alpha * y.std(), 0.3)
    model = SGDVariantRegressor(Quantile(0.9), penalty=penalty, tol=1e-6).fit(X, y)
    assert abs(left(model, X, y, "nine tenths")[0]) <= 1e-6
    assert model.status_ == "converged"
    assert model.n_iter_ < 30


@pytest.mark.parametrize("seed", [1, 365])
def test_groups_of_more_features_than_rows_are_exact(seed):
    # differences cancelled in factors of their Hessian
    rng = np.random.default_rng(seed)
    X, groups = rng.standard_normal((30, 150)), rng.integers(0, 60, 150)
    y = X @ (rng.standard_normal(150) * (rng.random(150) < 0.3)) * 0.02
    penalty = GroupLasso(groups, 1e-5, 0.9, ridge=1e-6)
    model = SGDVariantRegressor("absolute_error", penalty=penalty, tol=1e-7).fit(X, y)
    assert (model.status_, model.suboptimality_kind_) == ("converged", "bound")
    assert model.suboptimality_ <= 1e-7


def test_one_weight_a_group_is_l1():
    X, y, model = kinked("absolute_error", GroupLasso(np.arange(18), 0.1, ridge=0.02), tol=1e-9)
    rest = dict(penalty="elasticnet", alpha=0.12, l1_ratio=0.1 / 0.12)
    assert_close_fit(clone(model).fit(X, y), clone(model).set_params(**rest).fit(X, y), 1e-6)


@pytest.mark.parametrize("wide", [False, True])
def test_kinks_where_features_are_many_or_rows_come_in_stages(monkeypatch, wide):
    rng = np.random.default_rng(0)
    X = sp.random(80 if wide else 1500, 120, 0.3, random_state=rng, format="csr", data_rvs=rng.standard_normal)
    groups = np.arange(120) // 4
    y = X @ np.where(groups < 3, 1.0, 0.0) + 0.5 * rng.standard_normal(X.shape[0])
    model = SGDVariantRegressor("absolute_error", penalty=GroupLasso(groups, 0.03), tol=1e-7)
    whole = clone(model).fit(X, y)
    if wide:
        for module in (column, matrices):
            monkeypatch.setattr(module, "FACTORED", 30)
        monkeypatch.setattr(column, "_FEATURES", 8)
    else:
        for name, value in dict(_FIRST=60, _PER_FEATURE=1, _GROWTH=3).items():
            monkeypatch.setattr(column, name, value)
    parts = clone(model).fit(X, y)
    assert parts.status_ == "converged"
    assert 0 < np.count_nonzero(parts.coef_) < 120
    assert_close_fit(parts, whole, 1e-4)
    np.testing.assert_array_equal(parts.coef_ == 0, whole.coef_ == 0)


def test_kinks_in_columns_sparse_rows_and_resumed_fits():
    X, y, model = kinked("absolute_error", GroupLasso(GROUPS, 0.06), tol=1e-8)
    X = X * (np.random.default_rng(1).random(X.shape) < 0.5)
    dense = clone(model).fit(X, y)
    assert_close_fit(clone(model).fit(sp.csr_matrix(X), y), dense, 1e-5)
    assert_close_fit(clone(model).set_params(tol=1e-4).fit(X.astype(np.float32), y), dense, 1e-2)
    models = [clone(model).set_params(penalty__alpha=alpha) for alpha in (0.01, 0.06)]
    for together, alone in zip(columns(models, X, y), models, strict=True):
        assert_same_fit(together, quiet(alone, X, y))
    model.set_params(tol=None, warm_start=True)
    first = quiet(clone(model).set_params(max_iter=3), X, y)
    parts = quiet(pickle.loads(pickle.dumps(first)).set_params(max_iter=4), X, y)
    np.testing.assert_array_equal(parts.coef_, quiet(clone(model).set_params(max_iter=7), X, y).coef_)
    labels = np.digitize(y, [-1, 1])
    hinge = SGDVariantClassifier("hinge", penalty=GroupLasso(GROUPS, 0.02))
    classes = clone(hinge).fit(X, labels)
    for j in range(3):
        np.testing.assert_array_equal(classes.coef_[j], clone(hinge).fit(X, labels == j).coef_[0])


def test_free_groups_of_a_loss_with_kinks():
    factor = np.where(GROUPS == 2, 0.0, 1.0)
    X, y, model = kinked("nine tenths", GroupLasso(GROUPS, 100.0), penalty_factor=factor, tol=1e-6)
    model.fit(X, y)
    np.testing.assert_array_equal(model.coef_ != 0, GROUPS == 2)
    free = clone(model).set_params(penalty=None, penalty_factor=None).fit(X[:, GROUPS == 2], y)
    np.testing.assert_allclose(model.coef_[GROUPS == 2], free.coef_, atol=1e-5)


def test_a_search_and_a_stream():
    X, y = table()
    grid = {"penalty__alpha": [0.01, 0.1, 1.0]}
    search = BatchedGridSearchCV(SGDVariantRegressor(penalty=GroupLasso(GROUPS)), grid, cv=3).fit(X, y)
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 3
    stream, even = (SGDVariantRegressor(penalty=p, random_state=0) for p in (GroupLasso(GROUPS, 1.0), None))
    for rows in np.array_split(np.arange(len(y)), 4):
        stream.partial_fit(X[rows], y[rows])
        even.partial_fit(X[rows], y[rows])
    assert type(stream.solver_).__name__ == "AdaGrad"
    assert not np.array_equal(stream.coef_, even.coef_)


def test_more_features_than_a_factor_is_worth():
    rng = np.random.default_rng(0)
    X = sp.random(300, 1500, 0.02, random_state=rng, format="csr")
    groups = np.arange(1500) // 5
    y = X @ np.where(groups < 10, 5.0, 0.0) + 0.1 * rng.standard_normal(300)
    penalty = GroupLasso(groups, 0.005)
    model = SGDVariantRegressor(penalty=penalty).fit(X, y)
    assert model.status_ == "converged"
    zero = (model.coef_.reshape(-1, 5) == 0).all(axis=1)
    assert 0.5 < zero.mean() < 1


def test_factors_of_groups_and_names():
    X, y = table()
    names = [f"x{i}" for i in range(18)]
    factor = np.where(GROUPS == 2, 0.0, 1.0)
    model = SGDVariantRegressor(penalty=GroupLasso(GROUPS, 100.0), penalty_factor=factor).fit(X, y)
    np.testing.assert_array_equal(model.coef_ != 0, GROUPS == 2)
    named = {name: 0 for name, free in zip(names, GROUPS == 2, strict=True) if free}
    words = GroupLasso(np.array(list("abcdef"))[GROUPS], 100.0)
    again = SGDVariantRegressor(penalty=words, penalty_factor=named).fit(pd.DataFrame(X, columns=names), y)
    assert_same_fit(again, model)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (dict(penalty=GroupLasso()), "penalty__groups=None is not accepted: give the group of each feature"),
        (dict(penalty=GroupLasso([1, 2])), "penalty__groups holds 2 values, and X has 18 features"),
        (dict(penalty=GroupLasso(GROUPS), penalty_factor=np.arange(18)), "penalty_factor=.* differs within a group"),
        (dict(penalty=GroupLasso(GROUPS), positive=True), "not for GroupLasso: .* Choose 'l1'"),
        (dict(penalty=GroupLasso(GROUPS), forgetting=100.0), "forgetting=100.0 needs what solver='auto' does"),
    ],
)
def test_what_does_not_go_with_groups_is_refused(params, sentence):
    X, y = table()
    with pytest.raises(ValueError, match=sentence):
        SGDVariantRegressor(**params).partial_fit(X, y)
