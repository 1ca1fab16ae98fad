"""Working sets: their matrices are parts of the Hessian, what is outside gains nothing, and the optimum is L1's."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Lasso

from _references import features, problem
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._data.tasks import OneHotColumns
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.hessian import Plan, sampled_hessian
from skvariants._quasi_newton.working_set import Sets
from skvariants.losses import LOSSES, LogLoss, MultinomialLogLoss, SquaredError
from skvariants.penalties import ElasticNet

pytestmark = pytest.mark.filterwarnings("error")
N, D, K = 150, 20, 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def stage(rng, loss=None, data=np.asarray, weighted=False, coupled=False, intercept=True, n=N, d=D, **kwargs):
    """All rows of a problem with L1, parameters of which some are zero, predictions and gradients there."""
    X = features(rng, n, d, zeros=0.9 if data is sp.csr_matrix else 0.2)
    weight = rng.random(n) + 0.5 if weighted else None
    y, encoding = rng.choice([-1.0, 1.0], (n, K)), None
    if coupled:
        y, encoding, loss = rng.integers(0, K, n), OneHotColumns(K), MultinomialLogLoss(n_classes=K)
    kwargs = {"alpha": 0.05, "l1_ratio": 0.8, **kwargs}
    p = problem(data(X), y, loss or LogLoss(), encoding=encoding, weight=weight, intercept=intercept, **kwargs)
    batch = StageBatch(p, K if coupled else 1)
    theta = 0.3 * rng.standard_normal((d + 1, K)) * (rng.random((d + 1, K)) < 0.3)
    theta[-1] *= intercept
    Z = batch.predict(theta)
    return batch, theta, Z, batch.gradient(Z, theta, True)


def made(batch, theta, Z, g, damping=0.0, rows=0, least=4):
    chooser = Sets(batch, K)
    chooser.least = least
    room = np.ones(K // batch.width)
    return chooser, *chooser.make(Z, theta, g, Plan(rows), np.full(K, damping), room)


# ------------------------------------------------------------------ a set and its matrix


@pytest.mark.parametrize("data", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [LogLoss(), SquaredError()])
@pytest.mark.parametrize("damping", [0.0, 0.1])
def test_the_matrix_of_a_set_is_a_part_of_the_hessian(rng, data, weighted, loss, damping):
    batch, theta, Z, g = stage(rng, loss, data, weighted, d=90 if data is sp.csr_matrix else D)
    _, sets, plan = made(batch, theta, Z, g, damping)
    assert (plan.rows, sets.exact) == (N, True)
    whole = sampled_hessian(batch, Z, Plan(N), np.full(K, damping), factored=False)
    for j, H in enumerate(whole.of_each_unit()):
        own = np.flatnonzero(sets.inside[:, j])
        assert_allclose(sets.matrices[j], H[np.ix_(own, own)], atol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_matrix_of_classes_couples_them(rng, weighted, intercept):
    batch, theta, Z, g = stage(rng, weighted=weighted, coupled=True, intercept=intercept)
    _, sets, plan = made(batch, theta, Z, g, damping=0.05)
    assert (plan.unit, sets.unit, len(sets.matrices)) == (K, K, 1)
    H = sampled_hessian(batch, Z, Plan(N, K), np.full(K, 0.05), factored=False).matrices[0]
    own = np.flatnonzero(sets.inside.ravel("F"))
    assert_allclose(sets.matrices[0], H[np.ix_(own, own)], atol=1e-8)


def test_classes_too_many_to_couple_have_a_matrix_each(rng, monkeypatch):
    monkeypatch.setattr("skvariants._quasi_newton.working_set._COUPLED", 3)
    batch, theta, Z, g = stage(rng, coupled=True)
    _, sets, plan = made(batch, theta, Z, g)
    assert (plan.unit, sets.exact, len(sets.matrices)) == (1, False, K)


def test_a_set_holds_what_is_not_zero_and_the_strongest_of_the_rest(rng):
    batch, theta, Z, g = stage(rng, l1_ratio=1.0, alpha=0.01)
    chooser, sets, _ = made(batch, theta, Z, g, least=2)
    excess = chooser.excess(theta, g)
    for j in range(K):
        inside, moved = sets.inside[:, j], theta[:, j] != 0
        assert inside[moved].all()
        assert inside[-1]
        new = inside & ~moved
        new[-1] = False
        assert new.sum() <= max(2, moved.sum() + 1)
        assert excess[new, j].min() >= excess[~inside, j].max()  # standardised: equal curvatures


def test_vectors_go_into_a_set_and_back(rng):
    batch, theta, Z, g = stage(rng, coupled=True)
    _, sets, _ = made(batch, theta, Z, g)
    v = sets.get(g, 0)
    assert_array_equal(v, np.concatenate([g[sets.inside[:, c], c] for c in range(K)]))
    G = np.zeros(g.shape)
    sets.put(G, 0, v)
    assert_array_equal(G, np.where(sets.inside, g, 0.0))


def test_what_is_missed_is_the_gain_of_each_weight_alone(rng):
    batch, theta, Z, g = stage(rng, SquaredError(), l1_ratio=1.0, alpha=0.01)
    chooser, sets, _ = made(batch, theta, Z, g, least=1)
    expected = np.zeros(K)
    penalty = batch.problem.penalty
    for i, j in np.argwhere(~sets.inside):
        # the minimum over one weight, by a dense search
        there = np.linspace(-2, 2, 40001)
        f = g[i, j] * there + 0.5 * there**2 + np.broadcast_to(penalty.l1_strength, (D, K))[i, j] * np.abs(there)
        expected[j] -= f.min()
    assert expected.max() > 0
    assert_allclose(chooser.missed(sets, theta, g), expected, atol=1e-6)


def test_some_models_of_sets_are_theirs(rng):
    batch, theta, Z, g = stage(rng)
    _, sets, _ = made(batch, theta, Z, g)
    part = sets.take(np.array([2, 0]))
    for j, model in enumerate((2, 0)):
        assert_array_equal(part.matrices[j], sets.matrices[model])
        assert_array_equal(part.inside[:, j], sets.inside[:, model])
    whole = sets.take(np.array([0])).join([sets.take(np.array([1, 2]))])
    assert_array_equal(whole.inside, sets.inside)
    assert [len(A) for A in whole.matrices] == [len(A) for A in sets.matrices]


# ------------------------------------------------------------------ the optimum


def one_hot(rng, n=4000, levels=100):
    """Two categorical columns of many levels, some of them rare, and all of their indicators: collinear."""
    p = np.arange(1, levels + 1) ** -1.5
    codes = rng.choice(levels, (n, 2), p=p / p.sum()) + np.array([0, levels])
    X = sp.csr_matrix((np.ones(2 * n), (np.repeat(np.arange(n), 2), codes.ravel())), shape=(n, 2 * levels))
    return X, X @ rng.standard_normal(2 * levels) + rng.standard_normal(n)


def autoregressive(rng, n, d):
    """Columns whose neighbours correlate by .9, and a sparse linear target."""
    X = rng.standard_normal((n, d))
    for j in range(1, d):
        X[:, j] = 0.9 * X[:, j - 1] + np.sqrt(1 - 0.81) * X[:, j]
    return X, X[:, ::7] @ rng.standard_normal(len(range(0, d, 7))) + 0.5 * rng.standard_normal(n)


def wide(rng, n=300, d=1500):
    X = sp.random(n, d, density=0.05, format="csr", random_state=rng)
    return X, X @ (rng.standard_normal(d) * (rng.random(d) < 0.02)) * 10 + 0.1 * rng.standard_normal(n)


def squared(model, X, y, alpha):
    r = y - X @ model.coef_ - model.intercept_
    return 0.5 * np.mean(r * r) + alpha * np.abs(model.coef_).sum()


@pytest.mark.parametrize("scale_features", [True, False])
@pytest.mark.parametrize(
    ("table", "alpha"),
    [
        (one_hot, 1e-3),
        (lambda rng: autoregressive(rng, 300, 100), 0.02),
        (lambda rng: autoregressive(rng, 1000, 80), 0.02),
        (lambda rng: autoregressive(rng, 100, 300), 0.02),
        (lambda rng: autoregressive(rng, 4000, 200), 0.002),
        (wide, 1e-2),
        (lambda rng: (wide(rng)[0].toarray(), wide(rng)[1]), 1e-2),
    ],
    ids=["one-hot", "ar", "ar long", "ar wide", "ar large", "wide sparse", "wide dense"],
)
def test_collinear_and_wide_tables_reach_coordinate_descents_optimum(rng, table, alpha, scale_features):
    X, y = table(rng)
    theirs = Lasso(alpha=alpha, tol=1e-11, max_iter=200000).fit(X, y)
    ours = SGDVariantRegressor(penalty="l1", alpha=alpha, tol=1e-10, random_state=0, scale_features=scale_features).fit(
        X, y
    )
    best, constant = squared(theirs, X, y, alpha), 0.5 * y.var()
    assert ours.status_ == "converged"
    assert squared(ours, X, y, alpha) - best <= 1e-7 * (constant - best)
    assert_array_equal(ours.coef_ != 0, np.abs(theirs.coef_) > 1e-7)
    default = SGDVariantRegressor(penalty="l1", alpha=alpha, random_state=0, scale_features=scale_features).fit(X, y)
    assert squared(default, X, y, alpha) - best <= 1e-4 * (constant - best)


@pytest.mark.parametrize(
    ("data", "loss"),
    [
        pytest.param(data, name, marks=pytest.mark.slow if data is wide and name != "log_loss" else ())
        for data in (wide, one_hot)
        for name in LOSSES
        if LOSSES[name].smooth and not LOSSES[name].regression
    ],
)
def test_the_conditions_of_the_minimum_hold_for_each_class(rng, loss, data):
    X, z = data(rng)
    y = np.digitize(z, np.quantile(z, [0.3, 0.7]))
    alpha = 3e-3
    model = SGDVariantClassifier(
        loss=loss, penalty="elasticnet", l1_ratio=0.9, alpha=alpha, tol=1e-10, random_state=0, multi_class="ovr"
    ).fit(X, y)
    instance = LOSSES[loss]()
    for c in range(3):
        w = model.coef_[c]
        signs = np.where(y == c, 1.0, -1.0)[:, None]
        scores = (X @ w + model.intercept_[c])[:, None]
        g = X.T @ instance.gradient(signs, scores, np.empty_like(scores))[:, 0] / len(y) + 0.1 * alpha * w
        moved = w != 0
        assert 0 < moved.sum() < X.shape[1]
        assert_allclose(g[moved], -0.9 * alpha * np.sign(w[moved]), atol=2e-3 * alpha)
        assert (np.abs(g[~moved]) <= 0.9 * alpha * (1 + 2e-3)).all()


def test_coupled_classes_on_wide_rows_fulfil_them_too(rng):
    X, z = wide(rng)
    y = np.digitize(z, np.quantile(z, [0.3, 0.7]))
    alpha = 3e-3
    model = SGDVariantClassifier(penalty="l1", alpha=alpha, tol=1e-10, random_state=0).fit(X, y)
    G = X.T @ (model.predict_proba(X) - (y[:, None] == np.arange(3))) / len(y)
    moved = model.coef_.T != 0
    assert 0 < moved.sum() < moved.size / 4
    assert_allclose(G[moved], -alpha * np.sign(model.coef_.T[moved]), atol=2e-3 * alpha)
    assert (np.abs(G[~moved]) <= alpha * (1 + 2e-3)).all()


def test_strengths_of_features_are_their_own(rng):
    X, y = one_hot(rng)
    units = rng.choice([0.5, 1.0, 4.0], X.shape[1])
    penalty = ElasticNet(alpha=1e-3, l1_ratio=1.0, units=1.0 / units)
    ours = SGDVariantRegressor(penalty=penalty, tol=1e-10, random_state=0).fit(X, y)
    theirs = Lasso(alpha=1e-3, tol=1e-11, max_iter=200000).fit(X @ sp.diags_array(units), y)
    assert_allclose(ours.coef_ / units, theirs.coef_, atol=1e-5)
