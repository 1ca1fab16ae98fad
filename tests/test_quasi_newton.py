"""Quasi-Newton steps on a growing batch: they reach the optimum of the documented objective, whatever the data.

The rows of a stage and the growth of the batch are tested here too.
"""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes, make_classification
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from _oracles import partial_derivatives
from _references import features, in_domain, problem
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._data.rows import rows_of
from skvariants._data.tasks import OneHotColumns, RealColumns
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.descent import Descent, penalty_along
from skvariants._quasi_newton.line_search import LONG
from skvariants._quasi_newton.method import Tolerance, quasi_newton
from skvariants._training.loop import Stopping, Training
from skvariants._training.problem import by_model
from skvariants._training.state import State
from skvariants.losses import LOSSES, LogLoss, MultinomialLogLoss
from skvariants.penalties import ElasticNet as Penalty
from skvariants.solvers import QuasiNewton

SMOOTH = [name for name in LOSSES if LOSSES[name].smooth]
XD, YD = load_diabetes(return_X_y=True, scaled=False)
TIGHT = dict(tol=1e-10, random_state=0)


def objective(model, X, y, loss, penalty):
    z = X @ model.coef_.T.reshape(X.shape[1], -1) + model.intercept_
    return float(loss.value(y[:, None], z).mean() + penalty.value(model.coef_.reshape(1, -1).T)[0])


def optimum(X, y, loss, penalty):
    """Objective that L-BFGS of scipy reaches on standardised columns, for smooth penalties."""
    scaler = StandardScaler().fit(X)
    S = scaler.transform(X)

    def f(v):
        w = v[:-1] / scaler.scale_
        z = (S @ v[:-1] + v[-1])[:, None]
        r = loss.gradient(y[:, None], z, np.empty_like(z))[:, 0] / len(y)
        value = loss.value(y[:, None], z).mean() + penalty.value(w[:, None])[0]
        return value, np.append(S.T @ r + penalty.l2_strength * w / scaler.scale_, r.sum())

    start = np.append(np.zeros(X.shape[1]), np.median(y))
    best = minimize(
        f, start, jac=True, method="L-BFGS-B", options=dict(maxiter=20000, maxfun=40000, ftol=0, gtol=1e-11)
    )
    return best.fun


@pytest.mark.parametrize("loss", SMOOTH)
def test_the_documented_objective_is_minimised_in_raw_units(loss):
    penalty = Penalty(alpha=1e-3, l1_ratio=0.0)
    kwargs = {"epsilon": 20.0} if hasattr(LOSSES[loss](), "epsilon") else {}
    instance = LOSSES[loss](**kwargs)
    if instance.regression:
        y = in_domain(instance, YD)
        model = SGDVariantRegressor(loss=loss, alpha=1e-3, **TIGHT, **kwargs).fit(XD, y)
    else:
        y = np.where(YD > 140, 1.0, -1.0)
        model = SGDVariantClassifier(loss=loss, alpha=1e-3, **TIGHT).fit(XD, y)
    assert isinstance(model.solver_, QuasiNewton)
    assert model.status_ == "converged"
    best = optimum(XD, y, instance, penalty)
    assert objective(model, XD, y, instance, penalty) <= best * (1 + 1e-7)


@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
def test_several_classes_reach_the_optimum(multi_class):
    X, y = make_classification(300, 8, n_informative=5, n_classes=4, random_state=0)
    model = SGDVariantClassifier(alpha=1e-2, multi_class=multi_class, **TIGHT).fit(X, y)
    for c in range(4):
        if multi_class == "ovr":
            theirs = LogisticRegression(C=1 / (1e-2 * len(y)), tol=1e-12, max_iter=10000).fit(X, y == c)
            np.testing.assert_allclose(model.coef_[c], theirs.coef_[0], atol=1e-5)
    if multi_class == "multinomial":
        theirs = LogisticRegression(C=1 / (1e-2 * len(y)), tol=1e-12, max_iter=10000).fit(X, y)
        np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-5)
        np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_classes_too_many_for_a_common_hessian_end_near_the_optimum(seed):
    rng = np.random.default_rng(seed)
    n, d, k = 600, 20, 20
    X = rng.standard_normal((n, d)) @ rng.standard_normal((d, d))
    y = (X @ rng.standard_normal((d, k)) / np.sqrt(d) + 2 * rng.standard_normal((n, k))).argmax(axis=1)

    def objective(model):
        p = model.predict_proba(X)[np.arange(n), np.searchsorted(model.classes_, y)]
        return -np.log(p).mean() + 1e-4 / 2 * (model.coef_**2).sum()

    best = objective(SGDVariantClassifier(alpha=1e-4, **TIGHT).fit(X, y))
    reached = objective(SGDVariantClassifier(alpha=1e-4, random_state=0).fit(X, y))
    assert reached - best < 3e-4 * (np.log(k) - best)


@pytest.mark.parametrize("l1_ratio", [0.1, 0.9, 1.0])
@pytest.mark.parametrize("alpha", [1e-2, 1.0, 10.0])
def test_l1_reaches_scikit_learns_optimum_with_its_zeros(alpha, l1_ratio):
    X = StandardScaler().fit_transform(XD)
    theirs = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-12, max_iter=100000).fit(X, YD)
    ours = SGDVariantRegressor(penalty="elasticnet", alpha=alpha, l1_ratio=l1_ratio, **TIGHT).fit(X, YD)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


def test_l1_in_classification_is_sagas():
    X, y = make_classification(300, 20, n_informative=4, random_state=0)
    params = dict(C=1 / (0.02 * 300), l1_ratio=1.0, solver="saga", tol=1e-10, max_iter=50000, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # versions differ in how the penalty is named
        try:
            theirs = LogisticRegression(penalty="l1", **{k: v for k, v in params.items() if k != "l1_ratio"}).fit(X, y)
        except TypeError:
            theirs = LogisticRegression(**params).fit(X, y)
    ours = SGDVariantClassifier(penalty="l1", alpha=0.02, **TIGHT).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    np.testing.assert_array_equal(ours.coef_ == 0, np.abs(theirs.coef_) < 1e-6)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_more_features_than_a_factor_is_worth(penalty):
    rng = np.random.default_rng(0)
    X = sp.random(400, 1500, density=0.02, format="csr", random_state=0)
    y = (X @ rng.normal(size=1500) + 0.1 * rng.normal(size=400) > 0).astype(int)
    params = dict(alpha=1e-2 if penalty == "l2" else 1e-3, penalty=penalty, max_iter=5000, tol=1e-9, random_state=0)
    sparse = SGDVariantClassifier(**params).fit(X, y)
    dense = SGDVariantClassifier(**params).fit(X.toarray(), y)
    assert sparse.status_ == dense.status_ == "converged"
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-3 * np.abs(dense.coef_).max())
    if penalty == "l2":
        theirs = LogisticRegression(C=1 / (1e-2 * 400), tol=1e-10, max_iter=10000).fit(X, y)
        np.testing.assert_allclose(sparse.coef_, theirs.coef_, atol=1e-3 * np.abs(theirs.coef_).max())


def test_the_batch_grows_and_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40000, 4)) * [1, 10, 100, 1000] + [0, 1e3, 0, 1e5]
    y = (X @ [1.0, 0.1, 0.01, 0.001] - 200 + rng.logistic(size=40000) > 0).astype(int)
    sorted_ = np.lexsort((X[:, 3], y))
    models = [SGDVariantClassifier(alpha=1e-6, random_state=0).fit(X[rows], y[rows]) for rows in (slice(None), sorted_)]
    for model in models:
        rows = model.history_["rows"]
        assert rows[0] < rows[-1] == 40000
        assert rows == sorted(rows)
    losses = [np.logaddexp(0, -(2 * y - 1) * model.decision_function(X)).mean() for model in models]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_weights_and_offsets_count():
    rng = np.random.default_rng(0)
    w = rng.uniform(0.1, 5, size=len(YD))
    far = XD + 1e8
    ours = SGDVariantRegressor(alpha=1e-3, **TIGHT).fit(far, YD, sample_weight=w)
    theirs = Ridge(alpha=1e-3 * w.sum()).fit(XD, YD, sample_weight=w)
    np.testing.assert_allclose(ours.predict(far), theirs.predict(XD), rtol=1e-4)


def test_no_intercept_means_none():
    ours = SGDVariantRegressor(fit_intercept=False, alpha=1e-3, **TIGHT).fit(XD, YD)
    theirs = Ridge(alpha=1e-3 * len(YD), fit_intercept=False).fit(XD, YD)
    assert ours.intercept_ == 0
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5)


def test_separable_classes_and_no_penalty_end_soundly():
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    model = SGDVariantClassifier(penalty=None, random_state=0).fit(X, [0, 0, 1, 1])
    assert np.isfinite(model.coef_).all()
    assert model.score(X, [0, 0, 1, 1]) == 1.0


def test_max_iter_warns_and_counts():
    with pytest.warns(UserWarning, match="max_iter=2"):
        model = SGDVariantClassifier(max_iter=2, tol=1e-8, random_state=0).fit(XD, YD > 140)
    assert model.n_iter_ == 2
    assert model.status_ == "max_iter"


def test_the_first_step_is_a_race():
    model = SGDVariantClassifier(random_state=0).fit(XD, YD > 140)
    race = model.race_
    assert race.scores[np.argmin(race.scores)] == race.scores[race.eta0 == model.eta0_][0]
    assert (np.diff(model.loss_curve_) < 0).all()


# ------------------------------------------------------------------ the rows of a stage

N, D, K = 90, 4, 3


def stage(rng, data=np.asarray, weighted=True, target=1.0, index=None, loss="log_loss", **kwargs):
    """Rows of a stage, parameters, and the predictions there."""
    X, y = features(rng, N, D, zeros=0.3), rng.choice([-1.0, 1.0], (N, K))
    weight = rng.random(N) + 0.5 if weighted else None
    p = problem(data(X), y, LOSSES[loss](), weight=weight, target=target, alpha=0.1, **kwargs)
    batch, theta = StageBatch(p, 1, index), rng.standard_normal((D + 1, K))
    return batch, theta, batch.predict(theta)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("data", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("blocks", [False, True])
def test_a_stage_is_the_objective_of_its_rows_with_its_gradient(rng, monkeypatch, data, weighted, blocks):
    if blocks:  # of a few rows, without keeping targets
        monkeypatch.setattr("skvariants._quasi_newton.batch._BLOCK", 1)
        monkeypatch.setattr("skvariants._quasi_newton.batch._CACHED", 1)
        monkeypatch.setattr(
            StageBatch, "slices", lambda self, k: [slice(i, min(i + 7, self.n)) for i in range(0, N, 7)]
        )
    batch, theta, Z = stage(rng, data, weighted, target=np.array([1.0, 2.0, 0.5]))
    p = batch.problem
    assert not batch.sparse  # a narrow matrix is cheaper dense
    s = np.ones(N) if not weighted else p.rows.weight
    P = rng.standard_normal((D + 1, K))
    for t in (0.0, 0.5, np.array([0.5, 1.0, 2.0])):
        loss = p.loss.value(p.rows.y, p.predict(p.rows.X, theta + t * P))
        expected = s @ loss / N * p.coordinates.objective_scale
        np.testing.assert_allclose(batch.value(Z, batch.predict(P), t), expected)
    f = batch.objective(Z, theta)
    user = batch.objective_of_user(Z, theta, f)
    np.testing.assert_allclose(user, f / p.coordinates.objective_scale)
    for l2, cost in ((True, p.penalty.value), (False, lambda W: 0.0)):
        g = partial_derivatives(lambda v, cost=cost: (batch.value(batch.predict(v)) + cost(v[:-1])).sum(), theta)
        np.testing.assert_allclose(batch.gradient(Z, theta, l2), g, rtol=1e-6, atol=1e-8)
    D2 = p.loss.second_derivative(p.rows.y, Z) * s[:, None]
    np.testing.assert_allclose(batch.hessian_weights(Z, slice(5, 20)), D2[5:20])


def test_a_wide_sparse_stage_stays_sparse_and_predicts_the_same(rng):
    X, y = features(rng, N, 90, zeros=0.95), rng.choice([-1.0, 1.0], (N, 1))
    sparse, dense = (StageBatch(problem(data(X), y, LOSSES["log_loss"]()), 1) for data in (sp.csr_matrix, np.asarray))
    theta = rng.standard_normal((91, 1))
    assert sparse.sparse
    np.testing.assert_allclose(sparse.predict(theta), dense.predict(theta))
    for batch in (sparse, dense):
        batch.Z = batch.predict(theta)
    np.testing.assert_allclose(sparse.gradient(sparse.Z, theta, True), dense.gradient(dense.Z, theta, True), atol=1e-12)
    np.testing.assert_allclose(sparse.standardised(slice(3, 9)), dense.standardised(slice(3, 9)), atol=1e-12)


def test_curvature_that_is_everyones_is_one_column(rng):
    batch, _, Z = stage(rng, loss="squared_error")
    assert batch.hessian_weights(Z, slice(0, N)).shape == (N, 1)
    assert stage(rng)[0].hessian_weights(Z, slice(0, N)).shape == (N, K)


def test_some_columns_and_some_rows_of_a_stage_are_theirs(rng):
    batch, theta, Z = stage(rng, target=np.array([1.0, 2.0, 0.5]))
    whole = batch.objective(Z, theta)
    index = np.array([2, 0])
    batch.labels(slice(0, N), K)
    batch.keep(index)
    np.testing.assert_allclose(batch.objective(Z[:, index], theta[:, index]), whole[index])
    batch, _, Z = stage(rng)
    assert batch.head(10, Z) == (batch, Z)
    order = rng.permutation(N)
    batch.order = lambda: order
    part, Zp = batch.head(10, Z)
    np.testing.assert_array_equal(part.problem.rows.X, batch.problem.rows.X[np.sort(order[:10])])
    np.testing.assert_array_equal(Zp, Z[np.sort(order[:10])])
    assert part.problem.rows.weight.mean() == pytest.approx(1)


# ------------------------------------------------------------------ the method


@pytest.fixture
def few(monkeypatch):
    """Batches of a few rows, and no method for small tables."""
    monkeypatch.setattr("skvariants._quasi_newton.method._SMALLEST_BATCH", 64)
    monkeypatch.setattr("skvariants._quasi_newton.method._FIRST_BATCH", 64)
    monkeypatch.setattr("skvariants._quasi_newton.method._GROWTH", 2)
    monkeypatch.setattr("skvariants._quasi_newton.small.suits", lambda *args: False)


def table(rng, k=3, n=600, coupled=False, **kwargs):
    """A problem of several models, one of them harder than the others."""
    X = features(rng, n, 5)
    z = (X - X.mean(axis=0)) @ rng.standard_normal((5, k)) * np.logspace(-2, 0, k) + rng.logistic(size=(n, k))
    if coupled:
        encoding = OneHotColumns(k, X.dtype)
        return problem(X, z.argmax(axis=1), MultinomialLogLoss(n_classes=k), encoding=encoding, **kwargs)
    return problem(X, np.where(z > 0, 1.0, -1.0), LogLoss(), **kwargs)


def method_of(p, k, fraction=1e-6, state=None):
    """The method at its start, or where a state stands."""
    width = p.loss.columns_per_model
    theta = np.zeros((p.d + 1, k))
    state = State.start(theta, width, np.random.default_rng(2)) if state is None else state
    _, costs = p.intercept_only()
    costs = by_model(costs * p.coordinates.objective_scale, width)
    return quasi_newton(p, state, Tolerance(np.full(len(costs), fraction), costs), False)


def train(method, max_iter=100):
    stopping, models = Stopping(max_iter=max_iter), method.state.n_models
    return Training(method, stopping, np.ones(models)).run()


@pytest.mark.parametrize("l1_ratio", [0.0, 0.7])
def test_a_column_is_a_fit_on_every_batch(rng, few, l1_ratio):
    p = table(rng, alpha=1e-3, l1_ratio=l1_ratio)
    together = train(method_of(p, 3))
    assert len({out.state.epoch.item() for out in together}) > 1
    for j, out in enumerate(together):
        one = replace(p, rows=p.rows.with_labels(p.rows.y[:, [j]], None), encoding=RealColumns(1))
        (alone,) = train(method_of(one, 1))
        assert alone.status == out.status == "converged"
        assert alone.state.epoch == out.state.epoch
        np.testing.assert_allclose(out.theta, alone.theta, rtol=1e-6, atol=1e-9)
        rows = [row["rows"] for row in out.state.history]
        assert rows == [row["rows"] for row in alone.state.history]
        assert rows == sorted(rows)
        assert rows[0] == 64
        assert rows[-1] == 600


def test_columns_of_one_model_take_steps_of_their_own_length(rng):
    p = table(rng, alpha=1e-3)
    p.rows.y[:4, 2] *= -1  # a few rows on the wrong side: a column that is harder than the others
    batch = StageBatch(p, 3)
    descent = Descent.begin(batch, np.zeros((6, 3)), True, np.arange(1), 1, np.zeros(1))
    before = descent.state.each
    for step in range(14):
        descent.arrived(lambda _: np.zeros(1))
        descent.step(step == 0)
        state = descent.state
        np.testing.assert_allclose(state.each, batch.objective_of_columns(state.Z, state.theta), rtol=1e-12)
        assert state.f == pytest.approx(state.each.sum(), rel=1e-12)
        assert step == 0 or (state.each <= before * (1 + 1e-12)).all()
        before = state.each
    for j in range(3):
        one = replace(p, rows=p.rows.with_labels(p.rows.y[:, [j]], None), encoding=RealColumns(1))
        (alone,) = train(method_of(one, 1, fraction=1e-12))
        np.testing.assert_allclose(descent.state.theta[:, j], alone.theta[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.7])
@pytest.mark.parametrize("first", [1, 3, 6])
@pytest.mark.parametrize("factored", [True, False])
def test_resuming_is_continuing_on_every_batch(rng, few, monkeypatch, coupled, l1_ratio, first, factored):
    if not factored:
        monkeypatch.setattr("skvariants._quasi_newton.costs.FACTORED", 2)
    p = table(rng, coupled=coupled, alpha=1e-3, l1_ratio=l1_ratio)
    whole = train(method_of(p, 3), 12)
    parts = train(method_of(p, 3), first)
    for j, (out, part) in enumerate(zip(whole, parts, strict=True)):
        state = pickle.loads(pickle.dumps(part.state))
        one, k = (p, 3) if coupled else (p.take(np.array([j])), 1)
        (rest,) = train(method_of(one, k, state=state), 12 - part.state.epoch.item())
        if coupled:
            np.testing.assert_array_equal(rest.theta, out.theta)
        else:  # beside others the products round otherwise
            np.testing.assert_allclose(rest.theta, out.theta, rtol=1e-9, atol=1e-12)
        assert rest.state.epoch == out.state.epoch
        assert [row["rows"] for row in rest.state.history] == [row["rows"] for row in out.state.history]


@pytest.mark.parametrize("l1_ratio", [0.0, 0.7])
def test_models_joined_go_on_as_if_they_had_never_been_apart(rng, few, l1_ratio):
    p = table(rng, alpha=1e-3, l1_ratio=l1_ratio)
    whole, parts = train(method_of(p, 3), 9), train(method_of(p, 3), 1)
    assert len({part.state.join_key() for part in parts}) == 1
    joined = parts[0].state.join([part.state for part in parts[1:]])
    for rest, out in zip(train(method_of(p, 3, state=joined), 8), whole, strict=True):
        np.testing.assert_array_equal(rest.theta, out.theta)
        assert rest.status == out.status


def test_with_other_rows_the_batch_starts_again_with_all(rng, few):
    p, other = table(rng), table(np.random.default_rng(9))
    parts = train(method_of(p, 3), 2)
    state = parts[0].state
    one = other.take(np.array([0]))
    (rest,) = train(method_of(one, 1, state=state))
    assert {row["rows"] for row in rest.state.history[2:]} == {600}
    (new,) = train(method_of(one, 1))
    np.testing.assert_allclose(rest.theta, new.theta, atol=2e-3)


def test_the_first_batch_has_rows_enough_and_the_last_one_all(rng, few, monkeypatch, tmp_path):
    assert method_of(table(rng), 3).state.method.sizes == [64, 128, 600]
    assert method_of(table(rng, n=120), 3).state.method.sizes == [120]
    # eight rows for each parameter of a model, two where classes are coupled
    assert method_of(table(rng, k=4, coupled=True), 4).state.method.sizes == [64, 128, 600]
    assert method_of(table(rng, k=20, coupled=True), 20).state.method.sizes == [2 * 101, 600]
    # what has begun elsewhere looks at all rows at once
    state = State.start(np.zeros((6, 3)), 1, np.random.default_rng(2))
    state.epoch += 1
    assert method_of(table(rng), 3, state=state).state.method.sizes == [600]
    # no more of a memory map is copied than fits
    p = table(rng)
    X = np.memmap(tmp_path / "X", dtype=float, mode="w+", shape=p.rows.X.shape)
    X[:] = p.rows.X
    monkeypatch.setattr("skvariants._quasi_newton.method._ON_DISK", 130 * 5 * 8)
    assert method_of(replace(p, rows=rows_of(X, p.rows.y)), 3).state.method.sizes == [64, 128, 600]


def test_what_is_not_worth_a_step_is_a_share_of_the_gain_over_the_constant():
    tolerance = Tolerance(np.array([0.1, 0.1, 0.1, 0.1]), np.array([1.0, 1.0, 1.0, 1.0]))
    # half of the way, near zero, below zero, worse than the constant
    np.testing.assert_allclose(tolerance.of(np.array([0.6, 0.01, -1.0, 3.0])), [0.04, 0.099, 0.2, 0.0])
    np.testing.assert_allclose(tolerance.of(np.array([0.6]), np.array([2])), [0.04])
    tolerance.keep(np.array([1, 3]))
    assert len(tolerance.constant) == 2


def test_each_model_has_its_race_of_the_first_step(rng, few):
    outs = train(method_of(table(rng), 3))
    for out in outs:
        result = out.race
        assert result.steps == 1
        assert result.winner == result.eta0[np.argmin(result.scores)]
        assert result.scores.min() == pytest.approx(out.state.history[0]["objective"].item())


def test_damping_grows_where_steps_are_short_and_falls_where_they_are_long(rng, few):
    p = table(rng)
    batch = StageBatch(p, 1)
    descent = Descent.begin(batch, np.zeros((6, 3)), True, np.arange(3), 3, np.array([0.0, 1e-2, 1e-7]))
    state = descent.state
    before = descent.batch.value(state.Z)
    np.testing.assert_array_equal(state.used, [0.0, 1e-2, 1e-7])
    descent.arrived(lambda descent: np.zeros(3))
    descent.step(False)
    assert (state.length > LONG).all()
    np.testing.assert_allclose(state.damping, [0.0, 1e-3, 0.0])
    assert (descent.batch.value(state.Z) < before).all()


def test_damping_goes_with_the_models_to_the_next_batch(rng, few):
    method = method_of(table(rng), 3)
    assert method.arrived() is None
    method.descent.state.used = np.array([0.0, 1e-2, 1e-1])
    method.iterate()
    np.testing.assert_allclose(method.state.method.damping, [0.0, 1e-3, 1e-2])
    method.state.method.inner = 12  # enough of this batch
    method.arrived()
    assert method.descent.batch.n == 128
    np.testing.assert_allclose(method.descent.state.used, [0.0, 1e-3, 1e-2])


def test_a_part_of_the_rows_is_left_at_its_noise(rng, few):
    # Newton's steps square the error: below rounding it takes six or more
    (out,) = train(method_of(table(rng, k=1), 1, fraction=0.0))
    rows = [row["rows"] for row in out.state.history]
    assert rows.count(64) <= 3
    assert rows.count(128) <= 2
    assert rows.count(600) > 2


@pytest.mark.parametrize("far", [30.0, 1e4])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_other_rows_have_led_to_gives_way_to_a_constant_where_it_is_worse(far, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((6000, 3))
    y = rng.poisson(np.exp(np.clip(X[:, 0], -5, 4))).astype(float)
    X[-100, 0] = far  # where a model of the other rows foresees 1e13 and more
    cold = SGDVariantRegressor("poisson", tol=1e-6, random_state=seed).fit(X, y)
    warm = SGDVariantRegressor("poisson", tol=1e-6, random_state=seed, warm_start=True).fit(X[:5000], y[:5000])
    for model in (cold, warm.fit(X, y)):
        assert model.status_ == "converged"
        assert model.n_iter_ < 30
        mean = np.exp(X @ model.coef_ + model.intercept_)
        gradient = (X.T @ (mean - y) / len(y) + model.alpha * model.coef_) / X.std(axis=0)
        assert np.abs(gradient).max() < 5e-3


def test_metrics_go_with_the_models_to_the_next_batch(rng, few, monkeypatch):
    made = []
    make = Descent.make_metric

    def spied(self, metric=None):
        made.append((self.batch.n, metric is None))
        make(self, metric)

    monkeypatch.setattr(Descent, "make_metric", spied)
    for out in train(method_of(table(rng, alpha=1e-3), 3, fraction=1e-4)):
        assert out.status == "converged"
    assert next(fresh for n, fresh in made if n == 64)
    assert [(n, fresh) for n, fresh in made if not fresh] == [(128, False), (600, False)]


def test_a_quadratic_loss_needs_one_hessian_and_one_step(monkeypatch):
    X, y = np.repeat(XD, 40, axis=0), np.repeat(YD, 40)
    calls = []
    make = Descent.make_metric
    monkeypatch.setattr(Descent, "make_metric", lambda self, *args: (calls.append(self.batch.n), make(self, *args)))
    model = SGDVariantRegressor(alpha=1e-3).fit(X, y)
    assert (calls, model.n_iter_) == ([len(y)], 1)
    ridge = Ridge(alpha=1e-3 * len(y)).fit(X, y)
    np.testing.assert_allclose(model.coef_, ridge.coef_, rtol=1e-6)


@pytest.mark.parametrize("penalty", [Penalty(0.3, 0.0), Penalty(np.array([0.1, 0.3]), 0.0), Penalty(0.3, 0.5)])
def test_the_penalty_along_a_step_is_that_of_its_points(rng, penalty):
    W, P = rng.standard_normal((2, 6, 2))
    at = penalty_along(penalty, W, P)
    for t in (np.zeros(2), np.array([0.25, 3.0])):
        np.testing.assert_allclose(at(t), penalty.value(W + t * P), rtol=1e-12)


def test_a_constant_model_is_predicted_without_a_product(rng):
    p = table(rng)
    theta = np.zeros((p.d + 1, 3))
    theta[-1] = [1.0, -2.0, 0.5]
    batch = StageBatch(p, 1)
    batch.X = None
    np.testing.assert_array_equal(batch.predict(theta), np.tile(theta[-1], (p.n, 1)))


@pytest.mark.parametrize("d", [1500, pytest.param(5000, marks=pytest.mark.slow)])
def test_text_of_many_words_ends_within_what_is_promised(d):
    rng = np.random.default_rng(0)
    words = np.minimum(rng.zipf(1.3, (2000, 30)) - 1, d - 1)
    X = sp.csr_matrix((rng.random(words.size) + 0.5, words.ravel(), np.arange(0, words.size + 1, 30)), (2000, d))
    X.sum_duplicates()
    z = X @ rng.standard_normal(d)
    y = np.where(z + rng.logistic(size=2000) > np.median(z), 1.0, -1.0)
    loss, penalty = LogLoss(), Penalty(1e-4, 0.0)
    model, tight = (SGDVariantClassifier(random_state=0, **params).fit(X, y) for params in ({}, {"tol": 1e-8}))
    found, best = (objective(m, X, y, loss, penalty) for m in (model, tight))
    reference = LogisticRegression(C=1 / (1e-4 * 2000), tol=1e-10, max_iter=5000).fit(X, y)
    assert best <= objective(reference, X, y, loss, penalty) + 1e-7
    assert found - best <= 5e-4 * (np.log(2) - best)


# ------------------------------------------------------------------ coupled classes


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("models", [1, 2])
def test_a_look_gives_value_derivative_and_what_the_gradient_needs(rng, weighted, models):
    k = 3 * models
    X, y = features(rng, 90, 5), rng.integers(0, 3, 90)
    encoding = OneHotColumns(k, columns=np.arange(k) % 3)
    weight = rng.random(90) + 0.5 if weighted else None
    batch = StageBatch(problem(X, y, MultinomialLogLoss(n_classes=3), encoding=encoding, weight=weight), 3)
    theta, P = rng.standard_normal((6, k)), rng.standard_normal((6, k))
    Z, ZP, t, r = batch.predict(theta), batch.predict(P), rng.random(k), np.empty((90, k))
    t[:3] = t[0]
    t[-3:] = t[-1]
    value, slope = batch.along(Z, ZP, t, r)
    np.testing.assert_allclose(by_model(value, 3), by_model(batch.value(Z, ZP, t), 3))
    h = 1e-6
    rise = by_model(batch.value(Z, ZP, t + h) - batch.value(Z, ZP, t - h), 3)
    np.testing.assert_allclose(by_model(slope, 3), rise / (2 * h), rtol=1e-5, atol=1e-8)
    there = theta + t * P
    known = batch.gradient(batch.predict(there), there, True, r)
    np.testing.assert_allclose(known, batch.gradient(batch.predict(there), there, True), atol=1e-12)
    # some of the rows stand for all
    np.testing.assert_allclose(by_model(batch.value_of_some(Z, ZP, t, Z.size), 3), by_model(value, 3))
    assert np.isfinite(batch.value_of_some(Z, ZP, t, 20)).all()


@pytest.mark.parametrize("multi_class", ["multinomial", "ovr"])
@pytest.mark.parametrize("data", [np.asarray, sp.csr_matrix])
def test_classes_that_part_lose_all_but_what_tol_allows_of_the_constant_loss(data, multi_class):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 400)
    X = 3.0 * np.eye(5)[y] + 0.1 * rng.standard_normal((400, 5))
    X = np.column_stack([X, X[:, 0] + 1e-6 * rng.standard_normal(400), (np.arange(400) == 7).astype(float)])
    model = SGDVariantClassifier(alpha=1e-8, multi_class=multi_class, random_state=0).fit(data(X), y)
    assert model.status_ == "converged"
    p = model.predict_proba(data(X))[np.arange(400), y]
    assert -np.log(p).mean() <= 2e-3 * np.log(5)
    assert len(model.loss_curve_) < 40


def test_rare_classes_and_columns_without_spread_among_separable_ones_reach_the_optimum():
    rng = np.random.default_rng(1)
    n = 3000
    y = np.where(rng.random(n) < 0.003, 2, (rng.random(n) < 0.3).astype(int))
    y[:2] = 3
    X = rng.standard_normal((n, 6)) + 4 * np.eye(6)[y]
    X = np.column_stack([X, 1e3 * (y == 3) + rng.standard_normal(n), np.ones(n)])
    S = StandardScaler().fit_transform(X)

    def objective(model):
        p = model.predict_proba(S)[np.arange(n), y]
        return -np.log(p).mean() + 1e-4 / 2 * (model.coef_**2).sum()

    theirs = LogisticRegression(C=1 / (1e-4 * n), tol=1e-10, max_iter=5000).fit(S, y)
    model = SGDVariantClassifier(alpha=1e-4, random_state=0).fit(S, y)
    share = np.bincount(y) / n
    assert objective(model) - objective(theirs) <= 1e-3 * -(share * np.log(share)).sum()


# ------------------------------------------------------------------ little curvature


@pytest.mark.parametrize("scale_features", [True, False])
@pytest.mark.parametrize("penalty", [None, "l2"])
def test_huber_of_prices_without_a_penalty_is_nearly_the_absolute_error(penalty, scale_features):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 10))
    y = 2e5 + 1e5 * (X @ rng.standard_normal(10)) + 1e5 * rng.standard_t(2, 500)
    model = SGDVariantRegressor(
        loss="huber", penalty=penalty, alpha=1e-9, random_state=0, scale_features=scale_features
    ).fit(X, y)
    loss, C = LOSSES["huber"](), np.column_stack([X, np.ones(500)])

    def f(w):
        return np.abs(y - C @ w).mean() * loss.epsilon

    # least absolute deviations, by weighted least squares
    w = np.linalg.lstsq(C, y, rcond=None)[0]
    for _ in range(500):
        root = np.sqrt(1 / np.maximum(np.abs(y - C @ w), 1e-2))
        w = np.linalg.lstsq(C * root[:, None], y * root, rcond=None)[0]
    reached = f(np.append(model.coef_, model.intercept_))
    assert reached - f(w) <= 1e-3 * (np.abs(y - np.median(y)).mean() * loss.epsilon - f(w))


@pytest.mark.parametrize("loss", ["modified_huber", "squared_hinge", "log_loss"])
@pytest.mark.parametrize("outliers", [False, True])
def test_without_a_penalty_margins_end_at_their_optimum_or_at_nothing(loss, outliers):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 8))
    y = np.where(X @ rng.standard_normal(8) > 0, 1.0, -1.0)
    if outliers:
        X[:20] *= 50
        y[:20] *= -1
    model = SGDVariantClassifier(loss=loss, penalty=None, random_state=0).fit(X, y)
    instance, none = LOSSES[loss](), Penalty(alpha=0.0, l1_ratio=0.0)
    best = optimum(X, y, instance, none)
    constant = instance.value(y[:, None], np.zeros((400, 1))).mean()
    assert objective(model, X, y, instance, none) - best <= 1e-3 * (constant - best)


def test_a_step_that_finds_nothing_lower_is_tried_again_and_then_known_as_stuck(rng, few, monkeypatch):
    method = method_of(table(rng, k=1), 1, fraction=1e-6)
    assert method.arrived() is None
    # a line search that fails, whatever the direction
    monkeypatch.setattr(
        "skvariants._quasi_newton.descent.shortened", lambda along, f, slope, noise, t, ft: (np.zeros_like(t), f)
    )
    monkeypatch.setattr(
        "skvariants._quasi_newton.descent.raced_length", lambda along, m, k: (np.ones(m), np.ones(m), None)
    )
    method.state.method.raced = True
    method.state.method.stage = len(method.state.method.sizes) - 1
    method._begin()
    steps = 0
    damping = []
    while (done := method.arrived()) is None or not done.all():
        method.iterate()
        damping.append(method.descent.state.damping[0])
        steps += 1
        assert steps < 10
    assert steps == 4
    assert method.state.method.stuck.all()
    assert (np.diff(damping) >= 0).all()
    assert damping[-1] > 0
