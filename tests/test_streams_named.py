"""Named solvers in partial_fit: a step that no chunk fixes for ever, parameters that take effect, cost that stays."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.metrics import log_loss

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._training import rungs as module
from skvariants._training.race import STEP_GRID
from skvariants._training.rungs import RACE_ROWS, RACE_STEPS
from skvariants.schedules import Settling
from skvariants.solvers import SOLVERS

STEPPING = [name for name in SOLVERS if SOLVERS[name].method == "steps"]
every_solver = pytest.mark.parametrize("solver", STEPPING)
every_raced_solver = pytest.mark.parametrize("solver", [n for n in STEPPING if not SOLVERS[n].learning_rate_free])
D = 5


def world(n, kind="real", seed=0, d=D):
    rng = np.random.default_rng(seed)
    X, w = rng.standard_normal((n, d)), np.random.default_rng(99).standard_normal(d)
    z = X @ w + 0.1 * rng.standard_normal(n)
    return X, z if kind == "real" else (z > 0).astype(int)


def streamed(model, X, y, size, first=0):
    classes = {"classes": [0, 1]} if isinstance(model, SGDVariantClassifier) else {}
    for start in range(first, len(y), size):
        model.partial_fit(X[start : start + size], y[start : start + size], **classes)
    return model


def estimator(kind):
    return SGDVariantRegressor if kind == "real" else SGDVariantClassifier


# ------------------------------------------------------------------ first chunks that tell nothing


@every_solver
@pytest.mark.parametrize("kind", ["real", "binary"])
def test_one_row_at_a_time_learns(kind, solver):
    (X, y), (X_new, y_new) = world(1000, kind), world(2000, kind, seed=1)
    model, enough = estimator(kind)(solver=solver, random_state=0), 0.6 if kind == "real" else 0.8
    # a length of one's own may be cautious for a hundred steps
    for first, last in [(0, 120), *([(120, 1000)] if SOLVERS[solver].learning_rate_free else [])]:
        streamed(model, X[:last], y[:last], 1, first)
        if model.score(X_new, y_new) > enough:
            return
    raise AssertionError(f"{model.score(X_new, y_new)} after {last} rows")


@every_solver
def test_a_first_chunk_of_equal_targets_fixes_no_step(solver):
    X, y = world(3000)
    y[:100] = 0.0
    model = streamed(SGDVariantRegressor(solver=solver, random_state=0), X, y, 100)
    assert model.score(*world(2000, seed=1)) > 0.9


@every_solver
def test_a_first_chunk_of_one_class_fixes_no_step(solver):
    X, y = world(2000, "binary")
    order = np.concatenate([np.flatnonzero(y == 0)[:200], np.flatnonzero(y == 0)[200:], np.flatnonzero(y == 1)])
    rest = np.random.default_rng(0).permutation(order[200:])
    order = np.concatenate([order[:200], rest])
    model = SGDVariantClassifier(solver=solver, loss="hinge", random_state=0)
    streamed(model, X[order], y[order], 50)
    assert model.score(*world(2000, "binary", seed=1)) > 0.93


@every_solver
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("scale", ["auto", False])
def test_a_first_chunk_of_zeros_fixes_no_step(solver, intercept, scale):
    X, y = world(2000)
    X[:100] = y[:100] = 0.0
    model = SGDVariantRegressor(solver=solver, fit_intercept=intercept, scale_features=scale, random_state=0)
    model.partial_fit(X[:100], y[:100])
    assert 1e-6 < model.eta0_ < 1e6
    streamed(model, X, y, 100, first=100)
    assert model.score(*world(2000, seed=1)) > 0.9


@every_raced_solver
def test_of_equal_rungs_the_middle_one_is_taken(solver):
    model = SGDVariantClassifier(solver=solver, random_state=0).partial_fit(np.zeros((1, 2)), [0], classes=[0, 1])
    race = model.race_
    assert race.winner == model.eta0_ == race.eta0[len(race.eta0) // 2]


def test_the_race_ends_after_so_many_rows_that_tell():
    X, y = world(4 * RACE_ROWS)
    size = RACE_ROWS // RACE_STEPS
    y[: 10 * size] = 1.0
    model, calls = SGDVariantRegressor(solver="adam", random_state=0), 0
    rates = []
    while model._kept() is None or model._kept().setup.pace.rungs is not None:
        part = slice(calls * size, (calls + 1) * size)
        model.partial_fit(X[part], y[part])
        calls += 1
        rates.append(model.eta0_)
    assert (calls - 10) * size >= RACE_ROWS > (calls - 11) * size - size
    decided = model.eta0_
    streamed(model, X, y, 100, first=calls * size)
    assert model.eta0_ == decided


def test_sorted_rows_decide_no_race():
    X, y = world(3 * RACE_ROWS, "binary")
    order = np.argsort(y[: 2 * RACE_ROWS], kind="stable")
    model = streamed(SGDVariantClassifier(solver="minibatch", random_state=0), X[order], y[order], 16)
    assert model._kept().setup.pace.rungs is not None
    streamed(model, X, y, 16, first=2 * RACE_ROWS)
    assert model._kept().setup.pace.rungs is None
    assert model.score(X, y) > 0.93


def test_a_large_first_chunk_decides_at_once():
    X, y = world(3 * RACE_ROWS)
    model = SGDVariantRegressor(solver="adam", batch_size=16, random_state=0).partial_fit(X, y)
    assert model._kept().setup.pace.rungs is None
    assert model.race_.steps == RACE_ROWS // 16
    # the best has gone through all rows beside those of the race
    assert model.t_ == 1 + RACE_ROWS // 16 + len(y) // 16
    assert model.score(X, y) > 0.95


def test_a_rung_goes_through_the_rows_as_if_alone():
    X, y = world(100)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = streamed(SGDVariantRegressor(solver="minibatch", scale_features=False, learning_rate="constant",
                                         shuffle=False, random_state=0), X, y, 20)  # fmt: skip
    j = int(np.argmin(model.race_.scores))
    rungs = model._kept().setup.pace.rungs
    assert rungs.multiples[j] == STEP_GRID[j]
    # the unit follows the features, so the rates of each call are read from the history
    again = clone(model)
    for call, start in enumerate(range(0, 100, 20)):
        seen = np.mean((X[: start + 20] ** 2).sum(axis=1)) + 1
        again.set_params(eta0=float(STEP_GRID[j] * 10 / seen)).partial_fit(X[start : start + 20], y[start : start + 20])
        assert call == len(again.loss_curve_) - 1
    np.testing.assert_allclose(again.coef_, model.coef_, rtol=1e-10)


def test_large_models_race_on_fewer_rungs(monkeypatch):
    X, y = world(200, "binary")
    for most, rungs in ((0, 1), (3, 3)):
        monkeypatch.setattr(module, "MOST_BYTES", most * 2 * 8 * (D + 1))  # weights, and squares of gradients
        model = streamed(SGDVariantClassifier(solver="adagrad", random_state=0), X, y, 20)
        assert len(model.race_.eta0) == rungs
        np.testing.assert_allclose(model.race_.eta0[rungs // 2], STEP_GRID[len(STEP_GRID) // 2])


@every_raced_solver
@pytest.mark.parametrize("kind", ["real", "binary"])
def test_a_model_with_room_for_one_rung_races_them_in_turn_once_a_chunk_tells(monkeypatch, kind, solver):
    (X, y), (X_new, y_new) = world(12_000, kind), world(2000, kind, seed=1)  # so many that either has arrived
    model, roomy = (estimator(kind)(solver=solver, random_state=0) for _ in range(2))
    streamed(roomy, X, y, 2000)
    monkeypatch.setattr(module, "MOST_BYTES", 0)
    order = np.argsort(y[:50], kind="stable")
    streamed(model, X[order], y[order], 25)  # sorted, and too few
    assert len(model.race_.eta0) == 1
    before = copy.deepcopy(model)
    streamed(model, X, y, 2000)
    assert len(model.race_.eta0) == len(STEP_GRID)
    assert model.race_.winner in model.race_.eta0
    assert model.score(X_new, y_new) > roomy.score(X_new, y_new) - 0.03
    # a chunk that is learned changes nothing of what another holds
    again = streamed(before, X, y, 2000)
    np.testing.assert_array_equal(again.coef_, model.coef_)


# ------------------------------------------------------------------ chunks that shrink, and no plateaus


@every_raced_solver
@pytest.mark.parametrize("kind", ["real", "binary"])
def test_smaller_chunks_take_smaller_steps(kind, solver):
    X, y = world(1560, kind, d=40)
    model = streamed(estimator(kind)(solver=solver, random_state=0), X[:1500], y[:1500], 150)
    before = model.score(X, y)
    streamed(model, X, y, 1, first=1500)
    # signs take steps as long whatever the gradient: of eight random states .06 to .16
    assert model.score(X, y) > before - (0.15 if solver in ("dual_averaging", "lion") else 0.1)
    assert model.history_["eta"][-1] < model.eta0_


def test_a_gradient_of_fewer_rows_goes_as_far_as_it_is_stable():
    X, y = world(1400)
    for solver, power in (("minibatch", 1.0), ("adam", 0.5)):
        model = streamed(SGDVariantRegressor(solver=solver, learning_rate="constant", random_state=0), X, y, 20)
        model.partial_fit(X[:5], y[:5])
        share = (5 / (D + 1 + 4)) / (20 / (D + 1 + 19))
        assert model.history_["eta"][-1] == pytest.approx(model.eta0_ * share**power)


@every_solver
def test_a_stream_after_a_fit_learns(solver):
    X, y = world(1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SGDVariantRegressor(solver=solver, random_state=0).fit(X, y)
    X2, y2 = world(4000, seed=1)
    streamed(model, X2, -y2, 50)  # the world turns round
    assert model.score(X2, -y2) > 0.9


@pytest.mark.parametrize("scale", [True, False])
def test_a_stream_begins_with_the_step_of_the_fit_before(scale):
    X, y = world(1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SGDVariantRegressor(solver="minibatch", scale_features=scale, random_state=0).fit(X, y)
    raced = model.eta0_
    model.partial_fit(X[:1] / 100, y[:1])
    assert model.eta0_ == pytest.approx(raced, rel=0.01)
    streamed(model, X, y, 50)
    assert model.eta0_ == pytest.approx(raced, rel=0.1)


@every_solver
def test_one_row_after_a_fit_moves_a_model_by_little(solver):
    X, y = world(1000, "binary")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SGDVariantClassifier(solver=solver, random_state=0).fit(X, y)
    before = model.score(X, y)
    model.partial_fit(X[:1], y[:1])
    assert model.score(X, y) > before - 0.05


def test_a_stream_after_early_stopping_goes_on_from_the_published_model():
    X, y = world(300)
    params = dict(solver="rmsprop", eta0=0.3, learning_rate="constant", random_state=0)
    model = SGDVariantRegressor(early_stopping=True, **params).fit(X, y)
    assert model.best_epoch_ < model.n_iter_
    start = model.coef_.copy()
    model.set_params(early_stopping=False, eta0=1e-12).partial_fit(X, y)
    np.testing.assert_allclose(model.coef_, start, atol=1e-9)


# ------------------------------------------------------------------ a decay without a horizon


def test_the_step_settles_with_the_root_of_the_number_of_steps():
    schedule = Settling(eta0=0.3, since=50)
    assert [schedule(t) for t in (1, 50, 51)] == [0.3] * 3
    t = np.arange(50, 5000)
    ratio = np.array([schedule(int(k)) for k in t]) / (0.3 * np.sqrt(50 / t))
    assert (ratio >= 1 - 1e-12).all()
    assert (ratio < 2**0.25 + 1e-12).all()


@pytest.mark.parametrize("solver", ["momentum", "nesterov", "rmsprop", "adam", "minibatch", "sgd"])
def test_steps_of_a_stream_settle(solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10000, D))
    y = X @ rng.standard_normal(D) + 3 * rng.standard_normal(len(X))
    errors, best = {}, np.linalg.lstsq(X, y, rcond=None)[0]
    for rate in ("auto", "constant"):
        model = SGDVariantRegressor(solver=solver, learning_rate=rate, alpha=0, random_state=0)
        streamed(model, X[:8000], y[:8000], 100)
        errors[rate] = 0.0
        for start in range(8000, 10000, 100):
            model.partial_fit(X[start : start + 100], y[start : start + 100])
            errors[rate] += np.linalg.norm(model.coef_ - best)
    assert errors["auto"] < 0.8 * errors["constant"]


# ------------------------------------------------------------------ parameters set between calls


# the steps of Rprop have a floor of their own
# nag's weights shrink, whatever the step, where the largest value of a feature grows
@pytest.mark.parametrize("solver", [name for name in STEPPING if name not in ("rprop", "nag")])
@pytest.mark.parametrize("rate", ["auto", "constant", "invscaling", "adaptive", "cosine"])
def test_a_step_set_between_calls_is_taken(solver, rate):
    X, y = world(60)
    model = SGDVariantRegressor(solver=solver, eta0=1e-3, learning_rate=rate, random_state=0)
    model.partial_fit(X[:30], y[:30])
    other = copy.deepcopy(model)
    for one, eta0 in ((model, 1e-3), (other, 1e-9)):
        start = one.coef_.copy()
        one.set_params(eta0=eta0).partial_fit(X[30:], y[30:])
        one.moved = np.abs(one.coef_ - start).max()
    assert other.eta0_ == 1e-9
    assert other.moved < 1e-4 * model.moved


@every_raced_solver
def test_a_raced_step_can_be_set_and_raced_again(solver):
    X, y = world(2000)
    X = X * 100 + 1000
    model = streamed(SGDVariantRegressor(solver=solver, random_state=0), X[:1000], y[:1000], 100)
    raced = model.eta0_
    model.set_params(eta0=raced / 10).partial_fit(X[1000:1100], y[1000:1100])
    # in the coordinates that the stream began with
    assert model.eta0_ == raced / 10
    assert model.race_ is None
    assert model.score(X, y) > 0.8
    model.set_params(eta0="auto")
    streamed(model, X, y, 100, first=1100)
    assert model.race_ is not None
    assert model.score(X, y) > 0.95


@pytest.mark.parametrize("pair", [("constant", "invscaling"), ("invscaling", "optimal"), ("optimal", "constant"),
                                  ("auto", "optimal"), ("cosine", "adaptive"), ("adaptive", "auto")])  # fmt: skip
def test_another_schedule_between_calls_is_taken(pair):
    X, y = world(3000, "binary")
    model = SGDVariantClassifier(solver="minibatch", learning_rate=pair[0], random_state=0)
    streamed(model, X[:500], y[:500], 50)
    model.set_params(learning_rate=pair[1])
    streamed(model, X, y, 50, first=500)
    fresh = SGDVariantClassifier(solver="minibatch", learning_rate=pair[1], random_state=0)
    assert type(model._kept().setup.schedule) is type(streamed(fresh, X, y, 50)._kept().setup.schedule)
    assert model.score(X, y) > 0.93


@every_solver
def test_another_strength_between_calls_is_taken(solver):
    X, y = world(3000)
    model = streamed(SGDVariantRegressor(solver=solver, random_state=0), X[:1000], y[:1000], 100)
    norm = np.linalg.norm(model.coef_)
    streamed(model.set_params(alpha=10.0), X, y, 100, first=1000)
    assert np.linalg.norm(model.coef_) < 0.5 * norm


@pytest.mark.parametrize("first", STEPPING)
@pytest.mark.parametrize("second", STEPPING)
def test_another_solver_between_calls_goes_on_from_the_model(first, second):
    X, y = world(480)
    model = streamed(SGDVariantRegressor(solver=first, random_state=0), X[:300], y[:300], 100)
    counted = model._kept().setup.moments.count
    model.set_params(solver=second, eta0=1e-9 * SOLVERS[second].eta0)
    start = model.coef_.copy()
    model.partial_fit(X[300:400], y[300:400])
    assert type(model.solver_) is SOLVERS[second]
    # the average of the one goes on; what the other has learned shrinks where features grow
    if first != second or first not in ("schedule_free", "nag"):
        # signs take no account of a length, and what sums of slopes say depends on how many there are
        near = {"rprop": 1e-5, "dual_averaging": 1e-4}.get(second, 1e-6)
        np.testing.assert_allclose(model.coef_, start, atol=near)
    assert model._kept().setup.moments.count == counted + 100
    streamed(model.set_params(eta0="auto"), X, y, 20, first=400)
    # COCOB and Prodigy need some hundred steps, and Rprop all rows
    if not {"cocob", "prodigy"} & {first, second} and second != "rprop":
        assert model.score(X, y) > (0.2 if SOLVERS[first].learning_rate_free else 0.4)


@pytest.mark.parametrize("penalties", [("l2", "l1"), ("l1", "l2"), ("l1", None), (None, "elasticnet")])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("scale", [True, False])
def test_another_penalty_between_calls_is_taken(penalties, solver, scale):
    X, y = world(300)
    eta0 = 0.01 if solver == "sgd" else 0.3
    model = SGDVariantRegressor(solver=solver, eta0=eta0, penalty=penalties[0], scale_features=scale, l1_ratio=0.5)
    streamed(model, X[:150], y[:150], 50)
    streamed(model.set_params(penalty=penalties[1]), X, y, 50, first=150)
    assert np.isfinite(model.coef_).all()
    assert model.score(X, y) > 0.5


@pytest.mark.parametrize("losses", [("hinge", "log_loss"), ("log_loss", "squared_error")])
@every_solver
def test_another_loss_between_calls_goes_on_from_the_model(losses, solver):
    X, y = world(1500, "binary")
    model = SGDVariantClassifier(solver=solver, loss=losses[0], random_state=0)
    streamed(model, X[:300], y[:300], 20)
    streamed(model.set_params(loss=losses[1]), X, y, 20, first=300)
    assert model.score(X, y) > 0.75


@pytest.mark.parametrize("size", [1, 2, 20, 32, 33])
def test_one_sample_a_step_whatever_the_chunk(size):
    X, y = world(66)
    model = streamed(SGDVariantRegressor(solver="sgd", random_state=0), X, y, size)
    assert model.t_ == 1 + len(y)


# ------------------------------------------------------------------ coefficients set by hand


@every_solver
@pytest.mark.parametrize("eta0", [1e-12, "auto"])
@pytest.mark.parametrize(("average", "in_place"), [(False, False), (True, True)])
def test_coefficients_set_by_hand_are_gone_on_from(solver, eta0, average, in_place):
    X, y = world(60)
    model = SGDVariantRegressor(solver=solver, eta0=eta0, average=average, random_state=0)
    streamed(model, X[:40], y[:40], 20)
    if in_place:
        model.coef_[:], model.intercept_[:] = 5.0, 2.0
    else:
        model.coef_, model.intercept_ = np.full(D, 5.0), np.array([2.0])
    if eta0 == "auto":
        model.partial_fit(X[40:41], y[40:41])
        expected = np.mean((X[40:41] @ np.full(D, 5.0) + 2.0 - y[40:41]) ** 2) / 2
        assert model.loss_curve_[-1] == pytest.approx(expected, rel=0.01)
    else:
        model.partial_fit(X[40:], y[40:])
        np.testing.assert_allclose(model.coef_, 5.0, atol=1e-3)
        np.testing.assert_allclose(model.intercept_, 2.0, atol=1e-3)


@every_solver
@pytest.mark.parametrize("given", [
    np.ascontiguousarray, np.asfortranarray, lambda coef: np.repeat(coef, 2, axis=0)[::2], np.ndarray.tolist,
    np.float32,
], ids=["C", "F", "strided", "list", "float32"])  # fmt: skip
def test_coefficients_of_classes_may_be_set_in_any_form(solver, given):
    rng = np.random.default_rng(0)
    X, y, coef = rng.standard_normal((60, D)), np.arange(60) % 3, rng.standard_normal((3, D))
    model = SGDVariantClassifier(solver=solver, eta0=1e-12, random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    model.coef_ = given(coef)
    np.testing.assert_allclose(model.partial_fit(X, y).coef_, coef, atol=1e-3)


def test_coefficients_left_alone_change_nothing():
    X, y = world(100)
    model = streamed(SGDVariantRegressor(solver="adam", random_state=0), X[:60], y[:60], 20)
    other = copy.deepcopy(model)
    other.coef_, other.intercept_ = other.coef_.copy(), other.intercept_.copy()
    for one in (model, other.sparsify()):
        streamed(one, X, y, 20, first=60)
    np.testing.assert_array_equal(model.coef_, other.coef_)


def test_coefficients_set_to_no_numbers_get_a_sentence():
    X, y = world(40)
    model = SGDVariantRegressor(solver="adam", random_state=0).partial_fit(X, y)
    model.coef_ = np.full(D, np.nan)
    with pytest.raises(ValueError, match=r"coef_.*not finite.*partial_fit"):
        model.partial_fit(X, y)


# ------------------------------------------------------------------ what stays the same


@every_solver
def test_history_and_pickle_of_a_stream_are_bounded(monkeypatch, solver):
    monkeypatch.setattr("skvariants._fit.results._HISTORY", 20)
    X, y = world(200)
    model = streamed(SGDVariantRegressor(solver=solver, random_state=0), X[:60], y[:60], 2)
    size = len(pickle.dumps(model))
    streamed(model, X, y, 2, first=60)
    assert len(pickle.dumps(model)) < size + (1 << 13)  # progressive scores fill their 8 kB
    assert all(len(values) == 20 for values in model.history_.values())
    assert model.loss_curve_ == model.history_["objective"]
    assert model.history_["epoch"][-1] == 100
    assert model._kept().state.history == []


@every_solver
@pytest.mark.parametrize("calls", [3, 55])
def test_a_pickle_between_calls_changes_nothing(solver, calls):
    rows, (X, y) = 20 * calls, world(1180)
    X, y = X[: rows + 80], y[: rows + 80]
    model = streamed(SGDVariantRegressor(solver=solver, random_state=0), X[:rows], y[:rows], 20)
    other = pickle.loads(pickle.dumps(model))
    for one in (model, other):
        streamed(one, X, y, 20, first=rows)
    np.testing.assert_array_equal(model.coef_, other.coef_)
    assert model.eta0_ == other.eta0_


@every_solver
@pytest.mark.parametrize("rate", ["auto", "constant"])
def test_after_the_race_calls_on_the_borders_of_batches_are_one_call(solver, rate):
    X, y = world(1600)
    params = dict(scale_features=False, shuffle=False, learning_rate=rate, random_state=0)
    rows = 1 if solver == "sgd" else 20
    model = streamed(SGDVariantRegressor(solver=solver, batch_size=rows, **params), X[:1200], y[:1200], 20)
    other = copy.deepcopy(model)
    model.partial_fit(X[1200:], y[1200:])
    streamed(other, X, y, 20, first=1200)
    # the unit of a step follows the mean squared norm of the rows seen
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-2)
    assert model.t_ == other.t_


@pytest.mark.parametrize("solver", ["sgd", "minibatch", "adagrad", "adam"])
def test_sparse_rows_give_the_stream_of_dense_ones(solver):
    rng = np.random.default_rng(0)
    X = sp.random(1500, 300, 0.02, format="csr", random_state=0)
    y = (X @ rng.standard_normal(300) > 0).astype(int)
    models = [streamed(SGDVariantClassifier(solver=solver, random_state=0), data, y, 100) for data in (X, X.toarray())]
    np.testing.assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-6, atol=1e-9)
    assert models[0].eta0_ == pytest.approx(models[1].eta0_)


@every_solver
def test_several_targets_and_classes_stream(solver):
    X, y = world(1200)
    Y = np.column_stack([y, -2 * y, X[:, 0]])
    model = streamed(SGDVariantRegressor(solver=solver, random_state=0), X, Y, 50)
    assert model.score(X, Y) > (0.85 if solver == "prodigy" else 0.95)
    codes = np.digitize(y, [-1, 1])
    model = SGDVariantClassifier(solver=solver, random_state=0)
    for start in range(0, 1200, 50):
        model.partial_fit(X[start : start + 50], codes[start : start + 50], classes=[0, 1, 2])
    assert model.score(X, codes) > 0.8


@pytest.mark.parametrize("solver", ["sgd", "momentum", "adam", "adagrad"])
def test_the_first_rows_one_by_one_are_not_taken_for_all(solver):
    worst = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((40, 5))
        y = (X @ rng.standard_normal(5) + rng.logistic(size=40) > 0).astype(int)
        model, ratios = SGDVariantClassifier(solver=solver, random_state=0), [0.0]
        for n_rows in range(1, 41):
            model.partial_fit(X[n_rows - 1 : n_rows], y[n_rows - 1 : n_rows], classes=[0, 1])
            seen = y[:n_rows]
            if np.ptp(seen):
                constant = log_loss(seen, np.full(n_rows, seen.mean()))
                ratios.append(log_loss(seen, model.predict_proba(X[:n_rows])) / constant)
        worst.append(max(ratios))
    assert np.median(worst) < 3  # a constant that the first rows are certain of costs 7 and more
