"""Newton's method on small tables takes the steps of the plain rule, and leaves to it what goes badly."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from _references import CLASSIFYING, in_domain, problem
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._quasi_newton import small
from skvariants._quasi_newton.hessian import coupled_products
from skvariants._quasi_newton.method import QuasiNewtonSteps, Tolerance, quasi_newton
from skvariants._quasi_newton.small import SmallNewton, suits
from skvariants._training.loop import Stopping, Training
from skvariants._training.state import State
from skvariants.losses import LOSSES, LogLoss, MultinomialLogLoss
from skvariants.penalties import Penalty

SMOOTH = [name for name, loss in LOSSES.items() if loss().smooth and loss().columns_per_model == 1]


@pytest.fixture
def used(monkeypatch):
    """Every use of the method, and whether it was left for the plain rule."""
    uses = []

    class Spied(SmallNewton):
        def __init__(self, general):
            super().__init__(general)
            self.left = False
            uses.append(self)

        def successor(self):
            self.left = True
            return super().successor()

    monkeypatch.setattr(small, "SmallNewton", Spied)
    return uses


@pytest.fixture
def plain(monkeypatch):
    """Fit by the plain rule."""

    def fit(model, X, y, sample_weight=None):
        with monkeypatch.context() as m:
            m.setattr(small, "suits", lambda *args: False)
            return model.fit(X, y, sample_weight=sample_weight)

    return fit


def table(seed=0, n=200, d=8):
    """Columns of very unequal units, a real target and two classes."""
    rng = np.random.default_rng(seed)
    scales = np.logspace(-2, 3, d)
    X = rng.standard_normal((n, d))
    z = X @ rng.standard_normal(d) + rng.standard_normal(n)
    return 5 + X * scales, 50 + 7 * z, (z > 0).astype(int), rng.random(n)


# ------------------------------------------------------------------ the steps of the plain rule


@pytest.mark.filterwarnings("ignore:The fit stalled")  # of the Huber loss, whose curvature is that of a few rows
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1e-4, 1.0])
@pytest.mark.parametrize("loss", SMOOTH)
def test_steps_are_those_of_the_plain_rule(used, plain, loss, alpha, fit_intercept, weighted):
    X, target, codes, weight = table()
    target = in_domain(LOSSES[loss](), target)
    for cls, y in ((SGDVariantClassifier, codes), (SGDVariantRegressor, target)):
        params = dict(loss=loss, alpha=alpha, fit_intercept=fit_intercept, random_state=0)
        if loss not in CLASSIFYING if cls is SGDVariantClassifier else not LOSSES[loss].regression:
            continue
        model = cls(**params).fit(X, y, sample_weight=weight if weighted else None)
        same = plain(cls(**params), X, y, weight if weighted else None)
        assert (model.status_, model.n_iter_) == (same.status_, same.n_iter_)
        assert_allclose(model.history_["objective"], same.history_["objective"], rtol=1e-9)
        assert_allclose(model.coef_, same.coef_, rtol=1e-6)
        assert_allclose(model.intercept_, same.intercept_, rtol=1e-6, atol=1e-9)
    assert used


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1e-4, 1.0])
def test_steps_of_coupled_classes_are_those_of_the_plain_rule(used, plain, alpha, fit_intercept, weighted):
    X, target, _, weight = table()
    y, weight = np.digitize(target, np.quantile(target, [0.2, 0.6])), weight if weighted else None
    params = dict(alpha=alpha, fit_intercept=fit_intercept, random_state=0, tol=1e-8)
    model = SGDVariantClassifier(**params).fit(X, y, sample_weight=weight)
    same = plain(SGDVariantClassifier(**params), X, y, weight)
    assert [method.left for method in used] == [False]
    assert (model.status_, model.n_iter_) == (same.status_, same.n_iter_)
    assert_allclose(model.history_["objective"], same.history_["objective"], rtol=1e-9)
    assert_allclose(model.predict_proba(X), same.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_hessian_of_coupled_classes_is_that_of_the_definition(weighted):
    rng = np.random.default_rng(0)
    C, p = rng.standard_normal((30, 4)), rng.dirichlet(np.ones(3), 30)
    s = rng.random((30, 1)) if weighted else None
    expected = sum(
        (1.0 if s is None else s[i]) * np.kron(np.diag(p[i]) - np.outer(p[i], p[i]), np.outer(C[i], C[i]))
        for i in range(30)
    )
    assert_allclose(coupled_products(C, p, s), expected, rtol=1e-10, atol=1e-12)


def test_the_race_of_the_first_step_is_the_same(used, plain):
    # that of the squared error is a parabola by the plain rule, and looked at here
    X, target, codes, _ = table()
    three = np.digitize(target, np.quantile(target, [0.2, 0.6]))
    for cls, y in ((SGDVariantClassifier, codes), (SGDVariantClassifier, three), (SGDVariantRegressor, target)):
        model, same = cls().fit(X, y), plain(cls(), X, y)
        assert_allclose(model.race_.scores, same.race_.scores, rtol=1e-9)
        assert model.race_.winner == same.race_.winner
    assert len(used) == 3


def test_single_precision_comes_out_as_such(used):
    X, _, y, _ = table()
    model = SGDVariantClassifier().fit(X.astype(np.float32), y)
    assert [method.left for method in used] == [False]
    assert model.status_ == "converged"
    assert model.coef_.dtype == np.float32
    assert_allclose(model.coef_, SGDVariantClassifier().fit(X, y).coef_, rtol=1e-3)


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_steps_than_are_allowed(used, most):
    X, _, y, _ = table()
    model = SGDVariantClassifier(max_iter=most, tol=None).fit(X, y)
    assert [method.left for method in used] == [False]
    assert (model.status_, model.n_iter_, len(model.history_["epoch"])) == ("max_iter", most, most)


@pytest.mark.parametrize("scaled", [True, False])
def test_a_target_without_noise_is_fitted_and_the_fit_ends(used, scaled):
    # the objective falls to zero, where no share of it is enough
    X, _, _, _ = table()
    model = SGDVariantRegressor(alpha=0.0, scale_features=scaled, tol=1e-12).fit(X, 3 + X[:, 0])
    assert [method.left for method in used] == [False]
    assert model.status_ == "converged"
    assert_allclose(model.predict(X), 3 + X[:, 0], rtol=1e-8)


# ------------------------------------------------------------------ where steps go badly


def test_where_steps_go_badly_the_plain_rule_goes_on(used):
    # two classes that part
    x = np.array([[-3.0], [-1.0], [1.0], [2.0]])
    model = SGDVariantClassifier(loss="squared_hinge").fit(x, [0, 0, 1, 1])
    assert [method.left for method in used] == [True]
    assert model.status_ == "converged"
    assert_array_equal(model.history_["epoch"], np.arange(1, model.n_iter_ + 1))
    assert_array_equal(model.predict(x), [0, 0, 1, 1])


@pytest.mark.parametrize("kind", ["wide", "collinear", "constant column", "constant target", "huge", "minute"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_singular_predicts_as_by_the_plain_rule(used, plain, kind, dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((15, 40) if kind == "wide" else (100, 4))
    y = X[:, 0] + rng.standard_normal(len(X))
    if kind == "collinear":
        X = np.column_stack([X, X[:, 0], 2 * X[:, 1]])
    elif kind == "constant column":
        X[:, 2] = 7.0
    elif kind == "constant target":
        y[:] = 7.0
    X = (X * {"huge": 1e8, "minute": 1e-12}.get(kind, 1.0)).astype(dtype)
    model, same = SGDVariantRegressor().fit(X, y), plain(SGDVariantRegressor(), X, y)
    assert used
    assert np.isfinite(model.coef_).all()
    assert model.status_ == "converged"
    assert_allclose(model.predict(X), same.predict(X), rtol=1e-4, atol=1e-4)


def test_a_start_that_is_not_finite_is_left_to_the_plain_rule():
    X, _, codes, _ = table()
    p = problem(X, np.where(codes, 1.0, -1.0)[:, None], LogLoss(), alpha=0.1)
    theta = np.zeros((9, 1))
    theta[0] = np.inf
    state = State.start(theta, 1, np.random.default_rng(0))
    method = quasi_newton(p, state, Tolerance(np.array([1e-4]), np.ones(1)), False)
    assert isinstance(method, SmallNewton)
    assert method.arrived() is None
    assert method.iterate() is None
    assert isinstance(method.successor(), QuasiNewtonSteps)
    assert state.method.newton is None


# ------------------------------------------------------------------ what is small


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("to", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("params", [{}, {"penalty": "l1"}, {"early_stopping": True}])
def test_only_a_smooth_model_on_dense_rows_is_fitted_so(used, params, classes, to):
    X, target, _, _ = table()
    y = np.digitize(target, np.quantile(target, np.arange(1, classes) / classes))
    SGDVariantClassifier(scale_features=False, **params).fit(to(X / X.std(axis=0)), y)
    assert bool(used) == (to is np.asarray and not params)


class Cubes(Penalty):
    """A smooth penalty that is not L2."""

    has_prox = False

    def value(self, W):
        return (np.abs(W) ** 3).sum(axis=0)

    def add_gradient(self, W, out):
        out += 3 * W * np.abs(W)

    def prox(self, W, step, smooth=True):
        pass

    def rescaled(self, units, objective_scale):
        return self


def test_small_is_few_numbers_and_few_features():
    rng = np.random.default_rng(0)

    def small_enough(n=20, d=3, columns=1, loss=None, **kwargs):
        loss = LogLoss() if loss is None else loss
        return suits(problem(rng.standard_normal((n, d)), np.ones((n, columns)), loss, **kwargs), columns)

    assert small_enough()
    assert small_enough(d=128)
    assert not small_enough(d=129)
    assert not small_enough(n=1 << 16, d=2)
    assert not small_enough(columns=2)
    assert small_enough(columns=2, loss=MultinomialLogLoss(n_classes=2))
    assert not small_enough(columns=4, loss=MultinomialLogLoss(n_classes=2))
    assert not small_enough(n=2000, d=20, columns=10, loss=MultinomialLogLoss(n_classes=10))
    assert not small_enough(l1_ratio=0.5)
    p = problem(rng.standard_normal((20, 3)), np.ones((20, 1)), LogLoss())
    p.penalty = Cubes()
    assert not suits(p, 1)


# ------------------------------------------------------------------ going on


def trained(p, state, max_iter, tolerance=1e-9):
    _, costs = p.intercept_only()
    method = quasi_newton(p, state, Tolerance(np.array([tolerance]), costs * p.coordinates.objective_scale), False)
    return method, Training(method, Stopping(max_iter=max_iter), costs, None).run()[0]


def test_a_fit_goes_on_exactly_where_it_stopped():
    X, _, codes, _ = table()
    p = problem(X, np.where(codes, 1.0, -1.0)[:, None], LogLoss(), alpha=1e-4)
    _, whole = trained(p, State.start(np.zeros((9, 1)), 1, np.random.default_rng(0)), 4)
    _, part = trained(p, State.start(np.zeros((9, 1)), 1, np.random.default_rng(0)), 2)
    method, rest = trained(p, part.state.copy(), 2)
    assert isinstance(method, SmallNewton)
    assert_array_equal(rest.theta, whole.theta)
    assert [row["objective"][0] for row in rest.state.history] == [row["objective"][0] for row in whole.state.history]


@pytest.mark.parametrize("other", ["rows", "targets"])
def test_with_other_rows_the_method_does_not_go_on(other):
    X, _, codes, _ = table()
    y = np.where(codes, 1.0, -1.0)[:, None]
    _, part = trained(problem(X, y, LogLoss()), State.start(np.zeros((9, 1)), 1, np.random.default_rng(0)), 2)
    again = problem(X[::-1] if other == "rows" else X, y if other == "rows" else -y, LogLoss())
    method, rest = trained(again, part.state, 50)
    assert isinstance(method, QuasiNewtonSteps)
    _, new = trained(again, State.start(np.zeros((9, 1)), 1, np.random.default_rng(0)), 50)
    assert_allclose(rest.theta, new.theta, rtol=1e-3, atol=1e-5)
