"""Newton's method on small tables takes the steps of the plain rule."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from skvariants import SGDVariantClassifier, SGDVariantRegressor, _fullbatch, _newton
from skvariants.losses import LOSSES

SMOOTH = [name for name, loss in LOSSES.items() if loss().curvature is not None and loss().width == 1]


@pytest.fixture
def used(monkeypatch):
    """What each call returned."""
    returned = []

    def newton(*args):
        returned.append(_newton.newton(*args))
        return returned[-1]

    monkeypatch.setattr(_fullbatch, "newton", newton)
    return returned


@pytest.fixture
def plain(monkeypatch):
    """Fit by the plain rule."""

    def fit(model, X, y, sample_weight=None):
        with monkeypatch.context() as m:
            m.setattr(_fullbatch, "suits", lambda *args: False)
            return model.fit(X, y, sample_weight=sample_weight)

    return fit


def table(seed=0, n=200, d=8):
    """Columns of very unequal units, a real target and two classes."""
    rng = np.random.default_rng(seed)
    scales = np.logspace(-2, 3, d)
    X = rng.standard_normal((n, d))
    z = X @ rng.standard_normal(d) + rng.standard_normal(n)
    return 5 + X * scales, 50 + 7 * z, (z > 0).astype(int), rng.random(n)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.0, 1e-4, 1.0])
@pytest.mark.parametrize("loss", SMOOTH)
def test_steps_are_those_of_the_plain_rule(used, plain, loss, alpha, fit_intercept, weighted):
    X, target, codes, weight = table()
    for cls, y in ((SGDVariantClassifier, codes), (SGDVariantRegressor, target)):
        params = dict(loss=loss, alpha=alpha, fit_intercept=fit_intercept, random_state=0)
        try:
            model = cls(**params).fit(X, y, sample_weight=weight if weighted else None)
        except ValueError:
            continue  # a loss for the other kind of target
        same = plain(cls(**params), X, y, weight if weighted else None)
        assert (model.status_, model.n_iter_) == (same.status_, same.n_iter_)
        assert_allclose(model.history_["objective"], same.history_["objective"], rtol=1e-9)
        assert_allclose(model.coef_, same.coef_, rtol=1e-6)
        assert_allclose(model.intercept_, same.intercept_, rtol=1e-6, atol=1e-9)
    assert used


def test_the_race_of_the_first_step_is_the_same(plain):
    X, _, y, _ = table()
    model, same = SGDVariantClassifier().fit(X, y), plain(SGDVariantClassifier(), X, y)
    assert_allclose(model.race_.scores, same.race_.scores, rtol=1e-12)
    assert model.race_.winner == same.race_.winner


def test_single_precision_comes_out_as_such(used):
    X, _, y, _ = table()
    model = SGDVariantClassifier().fit(X.astype(np.float32), y)
    assert used == ["converged"]
    assert model.coef_.dtype == np.float32
    assert_allclose(model.coef_, SGDVariantClassifier().fit(X, y).coef_, rtol=1e-3)


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_steps_than_are_allowed(used, most):
    X, _, y, _ = table()
    model = SGDVariantClassifier(max_iter=most, tol=None).fit(X, y)
    assert used == ["max_iter"]
    assert (model.status_, model.n_iter_, len(model.history_["epoch"])) == ("max_iter", most, most)


def test_where_steps_go_badly_the_plain_rule_goes_on(used):
    # two classes that part
    x = np.array([[-3.0], [-1.0], [1.0], [2.0]])
    model = SGDVariantClassifier(loss="squared_hinge").fit(x, [0, 0, 1, 1])
    assert used == [""]
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


@pytest.mark.parametrize("scaled", [True, False])
def test_a_target_without_noise_is_fitted_and_the_fit_ends(used, scaled):
    # the objective falls to zero, where no share of it is enough
    X, _, _, _ = table()
    model = SGDVariantRegressor(alpha=0.0, scale_features=scaled, tol=1e-12).fit(X, 3 + X[:, 0])
    assert used == ["converged"]
    assert_allclose(model.predict(X), 3 + X[:, 0], rtol=1e-8)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("to", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("params", [{}, {"penalty": "l1"}, {"early_stopping": True}])
def test_only_one_smooth_model_on_dense_rows_is_fitted_so(used, params, classes, to):
    X, target, _, _ = table()
    y = np.digitize(target, np.quantile(target, np.arange(1, classes) / classes))
    SGDVariantClassifier(scale_features=False, **params).fit(to(X / X.std(axis=0)), y)
    assert bool(used) == (classes == 2 and to is np.asarray and not params)


def test_each_epoch_is_begun_and_ended_once_where_the_plain_rule_goes_on(used):
    class Watch:
        def __init__(self):
            self.seen = []

        def epoch_begins(self, theta):
            self.seen.append("begin")

        def epoch_ends(self, theta):
            self.seen.append("end")

    watch = Watch()
    minimise = _fullbatch.minimise

    def watched(problem, run, method, rules):
        rules.watch = watch
        return minimise(problem, run, method, rules)

    with pytest.MonkeyPatch.context() as m:
        m.setattr(_fullbatch, "minimise", watched)
        model = SGDVariantClassifier(loss="squared_hinge").fit([[-3.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1])
    assert used == [""]
    assert watch.seen == ["begin", "end"] * model.n_iter_
