"""How far a fit is from the optimum: conjugates, bounds and estimates beside independent optima; statuses."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from _references import CLASSIFYING, cutting_planes, in_domain, problem
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._quasi_newton.decrement import certify
from skvariants._training.certificate import Certificate, Predicted
from skvariants.losses import LOSSES, Hinge, Loss, MultinomialLogLoss
from skvariants.penalties import Penalty

SMOOTH = [name for name, loss in LOSSES.items() if loss.smooth]
KINKED = [name for name, loss in LOSSES.items() if not loss.smooth]
#: Losses that give their conjugate: others have an estimate, or none.
CONJUGATED = {name: loss for name, loss in LOSSES.items() if loss.conjugate is not Loss.conjugate}
N, D = 60, 4


# ------------------------------------------------------------------ conjugates


@pytest.mark.parametrize("name", [name for name in CLASSIFYING if name in CONJUGATED])
def test_conjugates_are_the_greatest_difference(name):
    loss, z = LOSSES[name](), np.linspace(-400, 400, 400_001)[:, None]
    for y in (-1.0, 1.0):
        values = loss.value(np.array([[y]]), z)
        for u in np.linspace(-5, 5, 41):
            expected = (u * z - values).max()
            found = loss.conjugate(np.array([[y]]), np.array([[u]]))[0, 0]
            if np.isinf(found):
                assert expected > 30  # it grows with the range of z
            else:
                assert found == pytest.approx(expected, abs=1e-5)


def test_the_conjugate_of_the_softmax_is_an_entropy():
    loss, y, p = MultinomialLogLoss(n_classes=3), np.array([[0.0, 1.0, 0.0]]), np.array([[0.2, 0.5, 0.3]])
    found = minimize(lambda z: loss.value(y, z[None]).sum() - (p - y)[0] @ z, np.zeros(3))
    assert loss.conjugate(y, p - y).sum() == pytest.approx(-found.fun, abs=1e-8)
    assert np.isinf(loss.conjugate(y, p).sum())  # does not sum to zero
    assert np.isinf(loss.conjugate(y, np.array([[0.5, 0.2, -0.7]])).sum())


# ------------------------------------------------------------------ bounds beside independent optima


def rows(loss, rng):
    X = rng.standard_normal((N, D)) * np.logspace(-0.5, 0.5, D) + rng.standard_normal(D)
    y = X @ rng.standard_normal(D) + rng.standard_normal(N)
    return X, in_domain(loss(), y) if loss.regression else np.where(y > np.median(y), 1.0, -1.0)


def optimum(loss, X, y, s, l1, l2, intercept):
    """Least objective of a smooth loss, by scipy, with weights in two parts that are not negative."""

    def f(v):
        z = (X @ (v[:D] - v[D:-1]) + v[-1])[:, None]
        w = v[:D] - v[D:-1]
        r = s * loss.gradient(y[:, None], z, np.empty_like(z))[:, 0] / N
        g = X.T @ r + l2 * w
        value = np.mean(s * loss.value(y[:, None], z)[:, 0]) + 0.5 * l2 * w @ w + l1 * v[:-1].sum()
        return value, np.concatenate([g + l1, -g + l1, [r.sum() * intercept]])

    v, bounds = np.zeros(2 * D + 1), [(0, None)] * (2 * D) + [(None, None)]
    for _ in range(4):
        found = minimize(f, v, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 0, "gtol": 1e-12})
        v = found.x
    return found.fun


def lines_of(loss, y):
    """The lines of which a piecewise linear loss is the largest: slopes and what is added."""
    target = np.array([[0.0 if loss.regression else 1.0]])
    z = np.linspace(-8, 8, 1000)[:, None]
    slopes = loss.gradient(target, z, np.empty_like(z))
    at = np.unique(slopes.round(9), return_index=True)[1]
    pieces = [(slopes[i, 0], loss.value(target, z)[i, 0] - slopes[i, 0] * z[i, 0]) for i in at]
    return [(a + 0 * y, c - a * y) if loss.regression else (a * y, c + 0 * y) for a, c in pieces]


def certificate(loss, X, y, s, alpha, l1_ratio, intercept, scaled, theta, sparse=False):
    weight = None if s is None else s.copy()
    target = float(y.std()) if loss.regression and scaled else 1.0
    features = sp.csr_matrix(X) if sparse else X
    p = problem(
        features, y[:, None], loss, alpha=alpha, l1_ratio=l1_ratio, scaled=scaled, weight=weight, target=target,
        intercept=intercept,
    )  # fmt: skip
    (found,) = certify(p, p.coordinates.standardised(theta), 1, np.array([np.inf]), np.zeros(1))
    return found


#: Values of `l1_ratio`, `intercept` and `weighted`; the other combinations are slow
AT_EVERY_RUN = {(0.0, True, False), (0.5, False, True), (1.0, True, True)}


@pytest.mark.parametrize(
    ("l1_ratio", "intercept", "weighted"),
    [
        pytest.param(*case, marks=() if case in AT_EVERY_RUN else pytest.mark.slow)
        for case in itertools.product([0.0, 0.5, 1.0], [True, False], [False, True])
    ],
)
@pytest.mark.parametrize("name", CONJUGATED)
def test_the_bound_is_never_below_the_truth(name, l1_ratio, intercept, weighted):
    loss, rng = LOSSES[name](), np.random.default_rng(0)
    if not loss.smooth and l1_ratio < 1:
        pytest.skip("its optimum is no linear program")
    X, y = rows(LOSSES[name], rng)
    s = rng.random(N) + 0.1 if weighted else np.ones(N)
    s /= s.mean()
    for alpha in (1e-3, 1e-1):
        l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
        if loss.smooth:
            least = optimum(loss, X, y, s, l1, l2, intercept)
        else:
            least = cutting_planes(X, lines_of(loss, y), l1, 1.0, s, intercept)[0]
        for size in (0.0, 0.1, 1.0):
            theta = size * rng.standard_normal((D + 1, 1))
            theta[-1] *= intercept
            for scaled, sparse in ((True, False), (False, False), (True, True)):
                found = certificate(
                    loss, X, y, s if weighted else None, alpha, l1_ratio, intercept, scaled, theta, sparse
                )
                excess = found.objective - least
                assert found.bound >= excess - 1e-7 * abs(found.objective)
                assert found.bound <= found.objective + 1e-9  # zero slopes are always allowed


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("name", [name for name in SMOOTH if name in CONJUGATED])
def test_what_a_bound_is_at_least_is_known_before_it(name, l1_ratio, weighted):
    loss, rng = LOSSES[name](), np.random.default_rng(0)
    X, y = rows(LOSSES[name], rng)
    p = problem(X, y[:, None], loss, alpha=1e-2, l1_ratio=l1_ratio, weight=rng.random(N) + 0.1 if weighted else None)
    for size in (0.0, 0.1, 1.0):
        at = Predicted(p, size * rng.standard_normal((D + 1, 1)))
        u = at.slopes(at.Z)
        losses = at.losses(at.Z, u)
        objective, candidates = losses + at.penalties(), at.candidates(at.Z, u)
        products = at.products(candidates)
        bounds = at.bounds(objective, candidates, products)
        assert at.least_bounds(objective, losses, candidates[0], products[0]) <= bounds
        assert bounds <= at.bounds(objective, [], [])
        np.testing.assert_allclose(at.nothing, at._conjugates(), atol=1e-12)


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("name", SMOOTH)
def test_near_the_optimum_the_estimate_is_near_the_truth(name, l1_ratio):
    X, y = rows(LOSSES[name], np.random.default_rng(1))
    cls = SGDVariantRegressor if LOSSES[name].regression else SGDVariantClassifier
    params = {"epsilon": 1.0} if name == "huber" else {}
    loss = LOSSES[name](**params)
    model = cls(loss=name, penalty="elasticnet", l1_ratio=l1_ratio, alpha=1e-2, tol=1e-10, **params).fit(X, y)
    least = np.append(model.coef_, model.intercept_)[:, None]
    theta = least * np.where(np.arange(D + 1)[:, None] % 2, 1.02, 0.99)
    at = certificate(loss, X, y, None, 1e-2, l1_ratio, True, True, theta)
    best = certificate(loss, X, y, None, 1e-2, l1_ratio, True, True, least)
    truth = at.objective - best.objective
    assert 0.5 * truth <= min(at.bound, at.estimate) <= 3 * truth
    assert at.bound >= truth * (1 - 1e-6)


@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
@pytest.mark.parametrize("solver", ["adam", "minibatch", "auto"])
def test_bounds_and_estimates_of_several_classes(solver, multi_class):
    X, y = make_classification(300, 8, n_informative=5, n_classes=4, random_state=0)
    kind = dict(multi_class=multi_class, alpha=1e-2, random_state=0)
    model = SGDVariantClassifier(solver=solver, **kind).fit(X, y)
    best = SGDVariantClassifier(tol=1e-10, **kind).fit(X, y)

    def objective(model):
        loss = model._minimised
        t = (y[:, None] == model.classes_).astype(float)
        values = loss.value(t if loss.columns_per_model > 1 else 2 * t - 1, model.decision_function(X))
        return values.sum(axis=1).mean() + 0.5e-2 * (model.coef_**2).sum()

    p = np.bincount(y) / len(y)
    constant = -(p * np.log(p)).sum() if multi_class == "multinomial" else -(
        p * np.log(p) + (1 - p) * np.log(1 - p)
    ).sum()  # fmt: skip
    truth = (objective(model) - objective(best)) / (constant - objective(best))
    assert best.suboptimality_ < 1e-6
    assert model.suboptimality_ >= (1 - 1e-6 if model.suboptimality_kind_ == "bound" else 0.5) * truth
    assert model.suboptimality_ <= (10 if model.suboptimality_kind_ == "bound" else 3) * truth + 1e-9


# ------------------------------------------------------------------ what statuses say


@pytest.mark.parametrize("solver", ["gd", "adagrad", "adam"])
def test_a_solver_that_ends_short_of_the_optimum_says_so(solver):
    X, y = load_breast_cancer(return_X_y=True)
    model = SGDVariantClassifier(solver=solver, random_state=0).fit(X, y)
    assert model.status_ == "plateau"
    assert 1e-3 < model.suboptimality_ < 0.1
    assert SGDVariantClassifier().fit(X, y).status_ == "converged"


@pytest.mark.parametrize("cls", [SGDVariantClassifier, SGDVariantRegressor])
def test_converged_is_within_the_tolerance(cls):
    X, y = make_classification(300, 5, flip_y=0.2, random_state=0)
    seen = set()
    for solver in ("auto", "adam", "minibatch", "gd", "momentum"):
        for tol in (1e-1, 1e-3, 1e-5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = cls(solver=solver, tol=tol, random_state=0).fit(X, y)
            seen.add(model.status_)
            assert (model.status_ == "converged") == (model.suboptimality_ <= tol)
            assert model.suboptimality_kind_ in ("bound", "estimate")
    assert {"converged", "plateau"} <= seen


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_converged_is_within_the_tolerance_where_few_rows_have_curvature(l1_ratio):
    # a row in fifty is where the logarithm of the hyperbolic cosine bends: Newton's model expects next to no gain
    loss, alpha, ones = LOSSES["log_cosh"](), 1e-3, np.ones(N)
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((N, D))
        y = 100 * (X @ rng.standard_normal(D) + rng.standard_normal(N))
        model = SGDVariantRegressor(loss="log_cosh", penalty="elasticnet", alpha=alpha, l1_ratio=l1_ratio).fit(X, y)
        value = loss.value(y[:, None], model.predict(X)[:, None]).mean()
        value += l1 * np.abs(model.coef_).sum() + l2 / 2 * (model.coef_**2).sum()
        least, constant = (optimum(loss, Z, y, ones, l1, l2, True) for Z in (X, 0 * X))
        assert model.status_ == "converged"
        assert value - least <= 1e-3 * (constant - least)


def test_a_stream_has_no_certificate():
    X, y = make_classification(100, 5, random_state=0)
    model = SGDVariantClassifier(random_state=0).fit(X, y)
    assert None not in (model.suboptimality_, model.objective_)
    model.partial_fit(X, y)
    assert model.suboptimality_ is model.objective_ is None
    assert model.suboptimality_kind_ is None


def test_the_best_constant_is_converged_where_nothing_is_to_be_learnt():
    X, y = make_classification(100, 5, random_state=0)
    for params in (dict(penalty="l1", alpha=10.0), dict(alpha=1e8)):
        model = SGDVariantClassifier(**params).fit(X, y)
        assert model.status_ == "converged"
        assert model.suboptimality_ <= 1e-3


@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_the_objective_is_that_of_the_model_over_all_rows(solver):
    X, y = make_classification(300, 5, n_informative=4, n_redundant=1, n_classes=3, random_state=0)
    model = SGDVariantClassifier(solver=solver, penalty="elasticnet", alpha=0.01, random_state=0)
    s = np.random.default_rng(0).random(300)
    model.fit(X, y, sample_weight=s)
    penalty = 0.01 * (0.15 * np.abs(model.coef_).sum() + 0.85 / 2 * (model.coef_**2).sum())
    assert model.objective_ == pytest.approx(log_loss(y, model.predict_proba(X), sample_weight=s) + penalty)
    several = SGDVariantRegressor(loss="absolute_error", solver=solver, random_state=0).fit(X[:, 1:], X[:, [0, 0]])
    expected = np.abs(X[:, [0, 0]] - several.predict(X[:, 1:])).mean(axis=0).sum()
    assert several.objective_ == pytest.approx(expected + 1e-4 / 2 * (several.coef_**2).sum())


class Margin(Hinge):
    """A loss whose conjugate nobody gave."""

    def conjugate(self, y, u):
        return Loss.conjugate(self, y, u)


class Ridge(Penalty):
    """A smooth penalty whose conjugate nobody knows."""

    has_prox = False

    def value(self, W):
        return 5e-3 * (W**2).sum(axis=0)

    def add_gradient(self, W, out):
        out += 1e-2 * W

    def prox(self, W, step, smooth=True):
        raise AssertionError("it has none")


def test_where_no_conjugate_is_known_it_is_unknown_or_an_estimate():
    X, y = make_classification(100, 5, random_state=0)
    model = SGDVariantClassifier(loss=Margin(), solver="adam", random_state=0).fit(X, y)
    assert np.isnan(model.suboptimality_)
    assert (model.suboptimality_kind_, model.status_) == ("unknown", "plateau")
    model = SGDVariantClassifier(penalty=Ridge(), scale_features=False).fit(X, y)
    assert (model.suboptimality_kind_, model.status_) == ("estimate", "converged")


def test_the_share_of_the_gain_that_is_missed():
    assert Certificate(0.5, bound=0.1).suboptimality(1.0, 0.0, 1e-16) == (pytest.approx(1 / 6), "bound", False)
    assert Certificate(0.5, bound=0.1, estimate=0.05).suboptimality(1.0, 0.0, 1e-16)[1] == "estimate"
    assert Certificate(0.5, bound=0.1, estimate=0.05).suboptimality(1.0, 0.5, 1e-16)[1:] == ("bound", True)
    # no better than the constant: it has missed all, at least
    assert Certificate(1.2, estimate=0.1).suboptimality(1.0, 0.1, 1e-16)[0] >= 1
    assert np.isnan(Certificate(1.0).suboptimality(1.0, 0.1, 1e-16)[0])


@pytest.mark.parametrize("loss", ["absolute_error", "epsilon_insensitive", "huber"])
@pytest.mark.parametrize("tol", [1e-3, 1e-5])
def test_converged_is_what_tol_says_in_single_precision_too(loss, tol):
    told = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = (1e4 * rng.standard_normal((300, 4)) + 1e4).astype(np.float32)
        y = (X @ [1e-4, 5e-5, 0, -3e-5] + 0.3 * rng.standard_normal(300)).astype(np.float32)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = SGDVariantRegressor(loss, tol=tol).fit(X, y)
        assert (model.status_ == "converged") == (model.suboptimality_ <= tol)
        assert all("Pass X in float64" in str(warning.message) for warning in caught)
        assert len(caught) == (model.status_ == "stalled")
        told += len(caught)
    assert tol < 1e-3 or not told
