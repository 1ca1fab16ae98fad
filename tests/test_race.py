"""Learning rates raced as columns: the ladder, the winner, and what is left where every rung is lost."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from _references import STEPPING, features, problem, start, steps
from skvariants import SGDVariantRegressor
from skvariants._data.tasks import OneHotColumns
from skvariants._training import race as module
from skvariants._training.race import BATCH_STEPS, STEP_GRID, Race, ladder, race
from skvariants._training.state import same_generator
from skvariants.losses import Hinge, LogLoss, MultinomialLogLoss
from skvariants.schedules import Adaptive, Constant
from skvariants.solvers import SGD, SOLVERS, Adam, MiniBatch

N, D = 230, 7
OPEN = Constant()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------ the ladder


@pytest.mark.parametrize("name", STEPPING)
@pytest.mark.parametrize("scaled", [False, True])
def test_rungs_are_half_a_decade_apart_around_the_curvature_or_around_one(rng, name, scaled):
    X, y = features(rng), rng.choice([-1.0, 1.0], (N, 1))
    for loss, bound in ((LogLoss(), 0.25), (Hinge(), 1.0)):
        p, solver = problem(X, y, loss, scaled=scaled), SOLVERS[name]()
        rates = ladder(p, solver)
        assert_allclose(rates[1:] / rates[:-1], np.sqrt(10))
        if solver.scale_free:
            assert_array_equal(rates, STEP_GRID * solver.unit)
        else:
            squares = np.mean((p.coordinates.rows(X, float) ** 2).sum(axis=1))
            assert_allclose(rates, 10 * STEP_GRID / (bound * squares))


@pytest.mark.parametrize("scaled", [False, True])
def test_a_weight_is_a_repetition_in_the_ladder(rng, scaled):
    X, y, times = features(rng), rng.standard_normal((N, 1)), rng.integers(1, 5, N)
    weighted = problem(X, y, weight=times / times.mean(), scaled=scaled)
    repeated = problem(np.repeat(X, times, axis=0), np.repeat(y, times, axis=0), scaled=scaled)
    assert_allclose(ladder(weighted, MiniBatch()), ladder(repeated, MiniBatch()))


def test_rows_of_zeros_have_a_ladder_too():
    p = problem(np.zeros((9, 2)), np.zeros((9, 1)), scaled=False, intercept=False)
    assert np.isfinite(ladder(p, MiniBatch())).all()


# ------------------------------------------------------------------ the race


@pytest.mark.parametrize("name", STEPPING)
@pytest.mark.parametrize("batch", [16, N])
def test_the_winner_goes_on_as_if_it_had_been_alone(rng, name, batch):
    p, solver = problem(features(rng), rng.standard_normal((N, 1)), target=2.0), SOLVERS[name]()
    begin = start(p, 1, solver)
    begin.theta[-1] = 0.5
    begin.memory = solver.allocate(begin.theta, p.penalty, True)
    before, draws = begin.theta.copy(), same_generator(begin.rng)
    (result,), state = race(p, begin, solver, Adaptive(), batch, True)
    assert_array_equal(begin.theta, before)
    assert result.steps == state.t == min(BATCH_STEPS, -(-N // batch))  # at most one pass
    scores = []
    for rate in result.eta0:
        alone = steps(p, solver=solver, schedule=Constant(eta0=rate), batch=batch)
        alone.state.theta[:], alone.state.rng = before, same_generator(draws)
        alone.state.memory = solver.allocate(before, p.penalty, True)
        alone.epoch(max_steps=result.steps)
        value = p.loss.value(p.rows.y, p.predict(p.rows.X, alone.state.theta)).mean()
        scores.append(value + 2.0**2 * p.penalty.value(alone.state.theta[:-1])[0])
        if rate == result.winner:
            assert_allclose(state.theta, alone.state.theta, rtol=1e-9, atol=1e-12)
            for one, other in zip(state.memory, alone.state.memory, strict=True):
                assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    scores = np.where(np.isfinite(scores), scores, np.inf)
    assert_allclose(result.scores, scores, rtol=1e-6)
    # ADOPT's first step moves nothing: of equal rungs the one in the middle
    tied = name == "adopt" and batch == N
    assert np.ptp(scores) > 1e-9 or tied
    assert result.winner == result.eta0[len(scores) // 2 if tied else np.argmin(scores)]


def test_each_model_has_a_winner_of_its_own(rng):
    X = features(rng)
    Y = np.hstack([X @ rng.standard_normal((D, 1)), 1e-3 * rng.standard_normal((N, 1)), X[:, :1]])
    p = problem(X, Y)
    together, state = race(p, start(p, 3, MiniBatch()), MiniBatch(), OPEN, 16, True)
    assert len({result.winner for result in together}) > 1
    for j in range(3):
        one = problem(X, Y[:, [j]])
        (alone,), single = race(one, start(one, 1, MiniBatch()), MiniBatch(), OPEN, 16, True)
        assert alone.winner == together[j].winner
        assert_allclose(alone.scores, together[j].scores, rtol=1e-9)
        assert_allclose(state.theta[:, j], single.theta[:, 0], rtol=1e-9, atol=1e-12)


def test_columns_that_are_coupled_race_together(rng):
    X, codes = features(rng), rng.integers(0, 3, N)
    p = problem(X, codes, MultinomialLogLoss(n_classes=3), encoding=OneHotColumns(3))
    (result,), state = race(p, start(p, 3, Adam()), Adam(), OPEN, 16, True)
    assert state.theta.shape == (D + 1, 3)
    y, _ = p.labels_of(slice(None))
    value = p.loss.value(y, p.predict(X, state.theta)).sum(axis=1).mean()
    assert result.scores.min() == pytest.approx(value + p.penalty.value(state.theta[:-1]).sum())


def test_epochs_made_before_are_not_forgotten(rng):
    p = problem(features(rng), rng.standard_normal((N, 1)))
    begin = start(p, 1, SGD())
    begin.epoch[:] = 4
    assert race(p, begin, SGD(), OPEN, 16, True)[1].epoch.item() == 4


def test_many_rows_are_scored_on_some_of_them(rng, monkeypatch):
    X, y = features(rng, 2000), rng.standard_normal((2000, 1))
    p, asked = problem(X, y), []
    monkeypatch.setattr(module, "SCORING_ROWS", 64)
    labels_of = type(p).labels_of
    monkeypatch.setattr(type(p), "labels_of", lambda self, index: asked.append(index) or labels_of(self, index))
    race(p, start(p, 1, MiniBatch()), MiniBatch(), OPEN, 256, True)
    (index,) = asked
    assert len(np.unique(index)) == 64
    assert (np.diff(index) > 0).all()


# ------------------------------------------------------------------ lost rungs


def test_a_rung_that_diverges_is_lost(rng):
    p = problem(features(rng), rng.standard_normal((N, 1)), scaled=False)
    (result,), state = race(p, start(p, 1, MiniBatch()), MiniBatch(), OPEN, 1, True)
    assert np.isfinite(result.scores.min())
    assert result.scores[-1] > 1e6 * result.scores.min()
    assert np.isfinite(state.theta).all()


@pytest.mark.parametrize("solver", [SOLVERS["momentum"](), SOLVERS["minibatch"]()], ids=["momentum", "minibatch"])
def test_where_every_rung_is_lost_the_model_is_back_at_its_start(rng, monkeypatch, solver):
    monkeypatch.setattr(module, "STEP_GRID", np.array([1e200, 1e250]))
    X = features(rng)
    p = problem(X, np.hstack([X[:, :1], np.zeros((N, 1))]), alpha=0.0)  # nothing moves the second model
    begin = start(p, 2, solver)
    begin.theta[-1, 0] = 0.25
    (lost, still), state = race(p, begin, solver, OPEN, 16, True)
    assert_array_equal(lost.scores, [np.inf, np.inf])
    assert lost.winner == lost.eta0[0]
    assert_array_equal(state.theta[:, 0], begin.theta[:, 0])
    assert all((array[..., 0] == 0).all() for array in state.memory)
    assert_array_equal(still.scores, [0, 0])
    assert "2 diverged" in str(lost)


def test_a_race_says_what_it_did():
    result = Race(np.array([0.01, 0.1, 1.0]), np.array([2.0, 1.0, np.inf]), 0.1, 40)
    assert str(result) == "race: 3 step sizes from 0.01 to 1, 40 steps each, 1 diverged; eta0=0.1 goes on"
    assert "1 step each" in str(Race(np.array([1.0]), np.array([1.0]), 1.0, 1))


# ------------------------------------------------------------------ large models


@pytest.mark.parametrize("name", STEPPING)
@pytest.mark.parametrize("at_a_time", [1, 4])
def test_rungs_that_race_a_few_at_a_time_race_as_together(rng, monkeypatch, name, at_a_time):
    X = features(rng)
    Y = np.hstack([X @ rng.standard_normal((D, 1)), 1e-3 * rng.standard_normal((N, 1)), X[:, :1]])
    p, solver = problem(X, Y), SOLVERS[name]()
    begin = start(p, 3, solver)
    together, state = race(p, begin, solver, OPEN, 16, True)
    each = begin.theta.nbytes + sum(a.nbytes for a in begin.memory)
    monkeypatch.setattr(module, "MOST_BYTES", at_a_time * each)
    apart, other = race(p, begin, solver, OPEN, 16, True)
    for one, two in zip(together, apart, strict=True):
        assert one.winner == two.winner
        assert_allclose(one.scores, two.scores, rtol=1e-8)
    for one, two in zip((state.theta, *state.memory), (other.theta, *other.memory), strict=True):
        assert_allclose(one, two, rtol=1e-8, atol=1e-12)
    assert state.t == other.t
    assert state.rng.bit_generator.state == other.rng.bit_generator.state


@pytest.mark.parametrize("name", ["sgd", "minibatch", "momentum", "adagrad", "rmsprop", "adam"])
def test_a_race_needs_at_most_four_times_parameters_and_memory(rng, monkeypatch, name):
    n, d, stored, k = 1000, 1 << 16, 10, 4
    X = sp.csr_matrix(
        (np.ones(n * stored), rng.integers(0, d, n * stored), np.arange(0, n * stored + 1, stored)), (n, d)
    )
    X.sum_duplicates()
    p, solver = problem(X, rng.choice([-1.0, 1.0], (n, k)), LogLoss(), intercept=False), SOLVERS[name]()
    begin = start(p, k, solver)
    monkeypatch.setattr(module, "MOST_BYTES", 0)
    tracemalloc.start()
    try:
        race(p, begin, solver, OPEN, 32, True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    each = begin.theta.nbytes + sum(a.nbytes for a in begin.memory)
    assert peak <= 4 * each + 16 * X.shape[1] * 8  # and a few numbers by feature


# ---------------------------------------------------------------------- rows that are sorted


@pytest.mark.parametrize("solver", [
    name if name in ("momentum", "nesterov", "sgd", "gd") else pytest.param(name, marks=pytest.mark.slow)
    for name in STEPPING if not SOLVERS[name].learning_rate_free
])  # fmt: skip
def test_rows_sorted_by_scale_do_not_decide_the_race(solver):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1200, 20)) * np.repeat([1e-3, 1e3], [1000, 200])[:, None]
    y = X @ rng.standard_normal(20)
    model = SGDVariantRegressor(solver=solver, random_state=0).fit(X, y)
    assert model.status_ != "diverged"
    assert model.score(X, y) > 0.99
