"""Solvers that ask for the rows of a batch: each equals its recursion, through the public estimator."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from _references import ROW_RECURSIONS, in_domain, logistic_slope, ridge_logistic, squared_slope
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import LOSSES, MultinomialLogLoss
from skvariants.solvers import SOLVERS, nag
from skvariants.solvers.slopes import implicit_slope, implicit_slopes

ROWS = [name for name, cls in SOLVERS.items() if cls.method == "steps" and cls.needs]
SLOPES = {"squared_error": squared_slope, "log_loss": logistic_slope}
N, D, BATCH = 60, 4, 7


def table(loss, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) * [1.0, 0.5, 2.0, 1.0]
    z = X @ [1.0, -2.0, 0.5, 0.0] + 0.3
    return X, z + rng.normal(size=N) if loss == "squared_error" else np.where(z + rng.logistic(size=N) > 0, 1.0, -1.0)


def quiet(model, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*args, **kwargs)


def estimator(loss, **params):
    cls = SGDVariantRegressor if LOSSES[loss].regression else SGDVariantClassifier
    defaults = {"penalty": None, "learning_rate": "constant", "scale_features": False, "tol": None, "random_state": 0}
    return cls(loss=loss, **defaults | params)


def parameters(model):
    return np.append(np.ravel(model.coef_), model.intercept_)


def test_every_solver_of_rows_has_a_reference():
    assert set(ROW_RECURSIONS) == set(ROWS)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", SLOPES)
@pytest.mark.parametrize("name", ROWS)
def test_the_trajectory_is_that_of_the_reference(name, loss, weighted):
    (X, y), eta, epochs = table(loss), 0.5 if name == "nag" else 0.05, 6
    batch, weight = 1 if name == "implicit" else BATCH, np.ones(N)
    if weighted:
        weight = np.random.default_rng(1).uniform(0.2, 2.0, N)
        weight /= weight.mean()
    start = np.linspace(-0.5, 0.5, D + 1)
    theirs = ROW_RECURSIONS[name](np.column_stack([X, np.ones(N)]), y, weight, start, eta, SLOPES[loss], batch)
    for number, expected in zip(range(1, epochs + 1), theirs, strict=False):
        model = estimator(loss, solver=name, eta0=eta, batch_size=batch, shuffle=False, max_iter=number)
        coef = start[:-1] if LOSSES[loss].regression else start[None, :-1]
        quiet(model, X, y, sample_weight=weight, coef_init=coef, intercept_init=start[-1:])
        np.testing.assert_allclose(parameters(model), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["svrg", "saga"])
@pytest.mark.parametrize("sparse", [False, True])
def test_variance_is_reduced_to_nothing_with_a_constant_step(name, sparse):
    X, y = table("log_loss")
    best = ridge_logistic(X, y, 0.01)
    params = dict(solver=name, penalty="l2", alpha=0.01, eta0=0.2, batch_size=4, max_iter=300)
    found = quiet(estimator("log_loss", **params), sp.csr_matrix(X) if sparse else X, y)
    np.testing.assert_allclose(parameters(found), best, atol=1e-9)
    plain = quiet(estimator("log_loss", **params | {"solver": "minibatch"}), X, y)
    assert np.abs(parameters(plain) - best).max() > 1e-3


@pytest.mark.parametrize("name", ["svrg", "saga"])
def test_with_l1_variance_is_reduced_to_the_lasso(name):
    X, y = table("squared_error")
    params = dict(penalty="l1", alpha=0.3, eta0=0.1, batch_size=4)
    found = quiet(estimator("squared_error", solver=name, max_iter=400, **params), X, y)
    exact = SGDVariantRegressor(penalty="l1", alpha=0.3, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(parameters(found), parameters(exact), atol=1e-6)
    np.testing.assert_array_equal(found.coef_ == 0, exact.coef_ == 0)
    assert (found.coef_ == 0).any()


def test_the_sum_of_saga_is_that_of_its_table():
    X, y = table("log_loss")
    model = estimator("log_loss", solver="saga", eta0=0.2, batch_size=BATCH, max_iter=5, warm_start=True)
    state = quiet(model, X, y)._state.state
    (mean, seen), slopes = state.memory, state.table[:, 0]
    assert seen[0, 0] == 5 * N
    np.testing.assert_allclose(mean[:, 0], np.column_stack([X, np.ones(N)]).T @ slopes / N, atol=1e-15)


@pytest.mark.parametrize("name", ["svrg", "saga"])
def test_other_rows_begin_a_table_of_their_own(name):
    X, y = table("log_loss")
    params = dict(solver=name, penalty="l2", alpha=0.01, eta0=0.2, batch_size=4, max_iter=300, warm_start=True)
    model = quiet(estimator("log_loss", **params), X, y)
    for rows in (slice(0, 40), slice(20, 60)):  # fewer, and as many others
        quiet(model, X[rows], y[rows])
        np.testing.assert_allclose(parameters(model), ridge_logistic(X[rows], y[rows], 0.01), atol=1e-8)


@pytest.mark.parametrize("name", ["svrg", "saga"])
def test_a_plain_fit_keeps_no_table_and_streams_have_none(name):
    X, y = table("squared_error")
    model = quiet(SGDVariantRegressor(solver=name, max_iter=3, tol=None, random_state=0), X, y)
    assert model._state.state.table is None
    params = dict(eta0=0.05, shuffle=False, batch_size=BATCH)
    plain, reduced = (estimator("squared_error", solver=s, **params) for s in ("minibatch", name))
    for _ in range(3):
        plain.partial_fit(X, y)
        reduced.partial_fit(X, y)
    np.testing.assert_allclose(parameters(reduced), parameters(plain), atol=1e-12)


@pytest.mark.parametrize("name", ["svrg", "saga"])
def test_an_epoch_that_is_taken_back_leaves_a_table_that_is_good(name):
    X, y = table("squared_error")
    params = dict(
        solver=name, eta0=20.0, batch_size=4, scale_features=True, tol=1e-14, n_iter_no_change=50, max_iter=1000
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = estimator("squared_error", **params).fit(X, y)
    assert model._state.state.step_factor[0] < 1
    design = np.column_stack([X, np.ones(N)])
    np.testing.assert_allclose(parameters(model), np.linalg.lstsq(design, y)[0], atol=1e-4)


# ---------------------------------------------------------------- implicit


@pytest.mark.parametrize("loss", LOSSES)
def test_an_implicit_slope_is_that_of_a_proximal_step(loss):
    rng, loss = np.random.default_rng(0), LOSSES[loss]()
    y = in_domain(loss, rng.normal(size=(300, 1))) if loss.regression else rng.choice([-1.0, 1.0], (300, 1))
    z, a = 3 * rng.normal(size=(300, 1)), 10 ** rng.uniform(-3, 3, (300, 1))
    r = loss.gradient(y, z, np.empty_like(z))
    u = implicit_slopes(loss, y, z, r, a)
    assert np.all(np.abs(u) <= np.abs(r) * (1 + 1e-12))

    def objective(t):
        return loss.value(y, t) + (t - z) ** 2 / (2 * a)

    there = z - a * u
    for moved in (1e-4, 1e-2, 1.0):
        for sign in (-1, 1):
            assert np.all(objective(there + sign * moved) >= objective(there) - 1e-10)
    numbers = zip(*(v[:, 0].tolist() for v in (y, z, r, a)), strict=True)
    one_by_one = [implicit_slope(loss.gradient_scalar, *four) for four in numbers]
    np.testing.assert_allclose(one_by_one, u[:, 0], atol=1e-11)


@pytest.mark.parametrize("size", [1e-2, 1.0, 1e3])
def test_an_implicit_slope_of_several_classes_is_a_root(size):
    rng, loss = np.random.default_rng(0), MultinomialLogLoss(n_classes=4)
    y, z = np.eye(4)[rng.integers(4, size=200)], 4 * rng.normal(size=(200, 4))
    a = size * 10 ** rng.uniform(-1, 1, (200, 4))
    u = implicit_slopes(loss, y, z, loss.gradient(y, z, np.empty_like(z)), a)
    np.testing.assert_allclose(u, loss.gradient(y, z - a * u, np.empty_like(z)), atol=1e-12)


@pytest.mark.parametrize("penalty", [None, "l2"])
@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge", "huber"])
def test_one_by_one_is_as_batches_of_one(loss, scale, penalty):
    X, y = table("squared_error" if LOSSES[loss].regression else "log_loss")
    weight = np.random.default_rng(1).uniform(0.2, 2.0, N)
    params = dict(
        solver="implicit", eta0=0.5, batch_size=1, max_iter=2, scale_features=scale, penalty=penalty, alpha=0.1
    )
    quick = quiet(estimator(loss, **params), X, y, sample_weight=weight)
    plain = quiet(estimator(loss, **params | {"average": 10**9}), X, y, sample_weight=weight)
    np.testing.assert_allclose(parameters(quick), parameters(plain), atol=1e-10)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge"])
def test_no_implicit_step_is_too_long(loss):
    X, y = table("squared_error" if LOSSES[loss].regression else "log_loss")
    model = quiet(estimator(loss, solver="implicit", eta0=1e6, max_iter=5), 100 * X, y)
    assert np.isfinite(parameters(model)).all()
    assert model.loss_curve_[-1] < 100 * estimator(loss).fit(X, y).loss_curve_[0]


# ---------------------------------------------------------------- nag


def test_nag_does_not_see_the_units_of_features():
    X, y = table("squared_error")
    units = np.array([1e-3, 1.0, 1e3, 7.0])
    params = dict(solver="nag", eta0=0.5, max_iter=3)
    one, other = (quiet(estimator("squared_error", **params), rows, y) for rows in (X, X * units))
    np.testing.assert_allclose(other.coef_ * units, one.coef_, rtol=1e-9)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge", "quantile", "huber"])
def test_nag_learns_columns_one_by_one_as_it_does_together(loss, sparse, monkeypatch):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(150, 6)) * 10.0 ** np.arange(-3, 3) * (rng.random((150, 6)) < [0.5] * 5 + [1.0])
    f, weight = X @ rng.normal(size=(6, 2)), rng.integers(0, 3, 150)
    y = f + 0.1 * rng.normal(size=f.shape) if LOSSES[loss].regression else np.digitize(f[:, 0], [-1.0, 1.0])
    rows, models, smooth = (
        sp.csr_matrix(X) if sparse else X,
        [],
        LOSSES[loss].smooth,
    )  # a kink is where scaled ones begin
    for most in (nag._FEW_COLUMNS, 0):
        monkeypatch.setattr(nag, "_FEW_COLUMNS", most)
        for dtype, scaled in ((np.float64, False), (np.float64, smooth), (np.float32, False)):
            model = estimator(loss, solver="nag", eta0=0.5, max_iter=3, scale_features=scaled)
            models.append(quiet(model, rows.astype(dtype), y, sample_weight=weight))
    for alone, together, rtol in zip(models[:3], models[3:], (1e-9, 1e-9, 2e-3), strict=True):
        one, other = parameters(alone), parameters(together)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * np.abs(other).max())


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge"])
def test_a_flow_of_numbers_is_that_of_arrays(loss):
    loss = LOSSES[loss]()
    for y, z, time in ((1.0, -3.0, 0.01), (-1.0, 2.0, 1.0), (1.0, 40.0, 50.0), (1.0, -300.0, 600.0)):
        flow = loss.flow(*(np.array([[number]]) for number in (y, z, time)))
        number = loss.flow_scalar(y, z, time)
        assert (flow is None and number is None) or number == pytest.approx(flow[0, 0], rel=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_a_flow_is_many_small_steps(loss):
    loss = LOSSES[loss]()
    y, z = np.array([[1.0], [-1.0], [1.0]]), np.array([[-3.0], [2.0], [40.0]])
    for time in (0.01, 1.0, 50.0):
        there, steps = z.copy(), 20_000
        for _ in range(steps):
            middle = there - 0.5 * time / steps * loss.gradient(y, there, np.empty_like(z))
            there = there - time / steps * loss.gradient(y, middle, np.empty_like(z))
        np.testing.assert_allclose(loss.flow(y, z, np.full_like(z, time)), there - z, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("classification", [True, False])
def test_sparse_rows_are_dense_rows(name, classification):
    X, y = table("log_loss" if classification else "squared_error")
    X[np.random.default_rng(0).random(X.shape) < 0.6] = 0
    for params in ({}, {"penalty": "elasticnet", "l1_ratio": 0.3, "alpha": 0.05}, {"scale_features": True}):
        loss = "log_loss" if classification else "squared_error"
        dense, sparse = (
            quiet(estimator(loss, solver=name, eta0=0.1, max_iter=3, **params), rows, y)
            for rows in (X, sp.csr_matrix(X))
        )
        np.testing.assert_allclose(parameters(sparse), parameters(dense), atol=1e-11)


#: Vowpal Wabbit's losses by our names, and how far weights of single precision may differ: its flow of the logistic
#: loss is an approximation.
VOWPAL_WABBIT = {
    "squared_error": ("squared", 1e-6), "hinge": ("hinge", 1e-6), "quantile": ("quantile", 1e-6),
    "log_loss": ("logistic", 5e-5),
}  # fmt: skip


@pytest.mark.parametrize("loss", VOWPAL_WABBIT)
def test_nag_is_the_update_of_vowpal_wabbit(loss):
    program = pytest.importorskip("vowpalwabbit")
    name, near = VOWPAL_WABBIT[loss]
    rng = np.random.default_rng(0)
    units = np.array([1.0, 10.0, 0.1, 1.0, 1000.0, 1.0])
    X = rng.normal(size=(400, 6)) * (rng.random((400, 6)) < 0.6)
    y = X @ rng.normal(size=6) + 0.3 * rng.normal(size=400)
    X, y = (X * units).astype(np.float32).astype(float), y if LOSSES[loss].regression else np.sign(y)
    workspace = program.Workspace(
        f"--loss_function {name} --quiet --min_prediction -1e9 --max_prediction 1e9 --noconstant"
    )
    for x, target in zip(X.tolist(), y.tolist(), strict=True):
        workspace.learn(f"{target} | " + " ".join(f"f{j}:{value}" for j, value in enumerate(x) if value))
    theirs = np.array([workspace.get_weight_from_name(f"f{j}") for j in range(6)])
    workspace.finish()
    ours = estimator(loss, solver="nag", shuffle=False, fit_intercept=False, max_iter=1, eta0=0.5)
    np.testing.assert_allclose(
        np.ravel(quiet(ours, X, y).coef_) * units, theirs * units, atol=near * np.abs(theirs * units).max()
    )
