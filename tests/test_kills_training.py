"""The training loop where it is seldom: interrupts outside of an epoch, roll-back after roll-back, its defaults."""

import inspect
from dataclasses import fields

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from _references import features, problem, start
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._data.scaling import Moments
from skvariants._data.tasks import OneHotColumns
from skvariants._training import race as race_module
from skvariants._training import rungs as rungs_module
from skvariants._training.certificate import Predicted
from skvariants._training.loop import Interrupted, Stopping, Training, Watch
from skvariants._training.method import Method, Record
from skvariants._training.rungs import RACE_ROWS, Pace, Rungs
from skvariants._training.state import State, same_generator
from skvariants._training.steps import Steps
from skvariants.losses import MultinomialLogLoss, SquaredError
from skvariants.schedules import Constant, InvScaling
from skvariants.solvers import SGD, Adam, MiniBatch, Momentum


class Told(Method):
    """Objectives as told, one an epoch; parameters count the epochs."""

    def __init__(self, objectives, reversible):
        self.objectives, self.reversible, self.made = list(objectives), reversible, 0
        self.state = State.start(np.zeros((2, 1)), 1, np.random.default_rng(0), [np.zeros((2, 1))])

    def iterate(self):
        f = self.objectives[self.made]
        self.made += 1
        self.state.theta += 1
        if f is None:
            raise KeyboardInterrupt
        return Record(np.array([f]), self.eta(), 5)

    def eta(self):
        return 0.5 * self.state.step_factor

    def original(self, theta):
        return theta


def run(method, tol=None, max_iter=20, patience=2, **watch):
    tol = None if tol is None else np.full(1, tol)
    stopping = Stopping(max_iter=max_iter, n_iter_no_change=patience)
    try:
        (outcome,) = Training(method, stopping, np.ones(1), tol, Watch(**watch)).run()
    except Interrupted as interrupted:
        (outcome,) = interrupted.left
    return outcome


class Nervous:
    """A callback that interrupts where it is told to."""

    def __init__(self, begin=None, end=None):
        self.begin, self.end, self.seen = begin, end, [0, 0]

    def epoch_begins(self, solution):
        self.seen[0] += 1
        if self.seen[0] == self.begin:
            raise KeyboardInterrupt

    def epoch_ends(self, solution):
        self.seen[1] += 1
        if self.seen[1] == self.end:
            raise KeyboardInterrupt
        return False


# ------------------------------------------------------------------ interrupts


@pytest.mark.parametrize("reversible", [False, True])
@pytest.mark.parametrize(("where", "whole"), [({"begin": 3}, 2), ({"end": 1}, 1), ({"end": 3}, 3)])
def test_an_interrupt_between_epochs_leaves_the_last_whole_one(reversible, where, whole):
    outcome = run(Told([1.0] * 9, reversible), callback=Nervous(**where))
    assert outcome.status == "interrupted"
    assert outcome.state.epoch.item() == len(outcome.state.history) == whole
    assert_array_equal(outcome.theta, np.full((2, 1), whole))


@pytest.mark.parametrize("where", [{"begin": 1}, {}])
def test_an_interrupt_before_the_first_whole_epoch_leaves_nothing(where):
    with pytest.raises(KeyboardInterrupt) as interrupt:
        run(Told([None], False), callback=Nervous(**where))
    assert interrupt.type is KeyboardInterrupt


def test_an_interrupt_within_an_iteration_that_cannot_be_taken_back_ends_the_fit_where_it_is():
    whole = 2
    outcome = run(Told([1.0] * whole + [None], False))
    assert outcome.status == "interrupted"
    assert outcome.state.epoch.item() == len(outcome.state.history) == whole


# ------------------------------------------------------------------ roll-back


def test_a_model_is_given_up_when_the_thirteenth_epoch_in_a_row_was_taken_back():
    outcome = run(Told([1.0] + [np.nan] * 50, True), tol=1e-3, max_iter=100)
    assert outcome.status == "diverged"
    assert outcome.rolled_back == outcome.state.n_rollbacks.item() == 13
    assert outcome.state.epoch.item() == 14
    assert_array_equal(outcome.theta, np.zeros((2, 1)))  # before the last epoch that went well
    # each time a tenth of the step; what was recorded is the step that goes on
    assert_allclose([row["eta"].item() for row in outcome.state.history], 0.5 * 0.1 ** np.arange(14), rtol=1e-12)


def test_an_epoch_that_was_taken_back_neither_counts_as_progress_nor_against_it():
    outcome = run(Told([1.0, 0.5, np.inf, 0.5, np.inf, 0.5, 0.5, 0.5], True), tol=0.1, patience=2)
    # two epochs at 0.5 that were not taken back, in a row
    assert outcome.status == "plateau"
    assert [row["objective"].item() for row in outcome.state.history] == [1.0, 0.5, np.inf, 0.5, np.inf, 0.5, 0.5]


def test_an_objective_is_wild_beyond_the_limit_of_the_state_times_the_constants():
    method = Told([1.0, 2.9, 3.1, 1.0], True)
    method.state.limit = np.full(1, 3.0)
    outcome = run(method, max_iter=4)
    assert outcome.rolled_back == 1
    assert_array_equal(outcome.theta, np.full((2, 1), 2))  # one epoch, the two that were taken back, and another


# ------------------------------------------------------------------ averages and schedules


@pytest.mark.parametrize("begin", [1, 4, 9])
def test_the_average_is_that_of_all_iterates_from_its_first_on(begin):
    rng = np.random.default_rng(0)
    p = problem(features(rng, 60, 3), rng.standard_normal((60, 2)), alpha=0.01)
    iterates = []

    class Seen(MiniBatch):
        def update(self, theta, g, step, *memory):
            super().update(theta, g, step, *memory)
            iterates.append(theta.copy())

    method = Steps(p, start(p, 2, Seen()), Seen(), InvScaling(eta0=0.1), 16, False, average=begin)
    for _ in range(3):
        method.epoch()
    assert len(iterates) == 12
    assert_allclose(method.solution, np.mean(iterates[begin - 1 :], axis=0), rtol=1e-12)
    assert_array_equal(method.state.theta, iterates[-1])


def test_before_the_average_begins_the_iterate_is_the_model():
    rng = np.random.default_rng(0)
    p = problem(features(rng, 60, 3), rng.standard_normal((60, 1)))
    method = Steps(p, start(p, 1, Momentum()), Momentum(), Constant(eta0=0.01), 16, False, average=50)
    method.epoch()
    assert method.solution is method.state.theta


def test_steps_tell_the_length_that_the_next_one_has():
    rng = np.random.default_rng(0)
    p = problem(features(rng, 64, 3), rng.standard_normal((64, 2)))
    method = Steps(p, start(p, 2, MiniBatch()), MiniBatch(), InvScaling(eta0=0.5, power_t=1.0), 16, False)
    method.state.step_factor[:] = [1.0, 0.5]
    record = method.iterate()
    assert_allclose(record.eta, [0.5 / 4, 0.25 / 4])
    assert record.rows == 64


class Stairs(Constant):
    """Two lengths, one after the other, within an epoch."""

    def __call__(self, t):
        return self.eta0 if t <= 70 else 0.5 * self.eta0


@pytest.mark.parametrize(("d", "zeros"), [(30, 0.3), (300, 0.97)])
def test_a_length_that_changes_within_an_epoch_of_single_rows_is_the_same_on_sparse_rows(d, zeros):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, d)) * (rng.random((200, d)) > zeros)
    y = X[:, 0] + rng.standard_normal(200)
    params = dict(
        solver=SGD(), learning_rate=Stairs(eta0=0.02), batch_size=1, alpha=0.5, max_iter=1, tol=None, shuffle=False,
        scale_features=True,
    )  # fmt: skip
    dense = SGDVariantRegressor(**params).fit(X, y)
    sparse = SGDVariantRegressor(**params).fit(sp.csr_matrix(X), y)
    assert_allclose(sparse.coef_, dense.coef_, rtol=1e-7, atol=1e-10)
    assert_allclose(sparse.intercept_, dense.intercept_, rtol=1e-7)


@pytest.mark.parametrize(("solver", "arrays"), [(MiniBatch(), 1), (Momentum(), 2), (Adam(), 3)])
@pytest.mark.parametrize("at_a_time", [1, 3, 4])
def test_so_many_rungs_race_at_a_time_as_parameters_and_memory_have_room(monkeypatch, solver, arrays, at_a_time):
    rng = np.random.default_rng(0)
    p = problem(features(rng, 60, 3), rng.standard_normal((60, 2)))
    begin = start(p, 2, solver)
    heats, heat = [], race_module._heat
    monkeypatch.setattr(race_module, "MOST_BYTES", at_a_time * arrays * begin.theta.nbytes)
    monkeypatch.setattr(race_module, "_heat", lambda *args: heats.append(len(args[-1])) or heat(*args))
    race_module.race(p, begin, solver, Constant(), 16, True)
    assert sum(heats) == len(race_module.STEP_GRID)
    assert set(heats[:-1]) == {at_a_time}
    assert heats[-1] <= at_a_time


# ------------------------------------------------------------------ defaults


def test_a_fit_ends_by_default_as_the_estimators_say():
    parameters = inspect.signature(SGDVariantClassifier).parameters
    for field in fields(Stopping):
        if field.name in parameters:
            assert field.default == parameters[field.name].default, field.name


# ------------------------------------------------------------------ rungs along a stream


def chunk_of(y, X=None):
    """A chunk of a stream, in the coordinates of the data."""
    y = np.asarray(y, float).reshape(len(y), -1)
    X = np.random.default_rng(3).standard_normal((len(y), 2)) if X is None else X
    return problem(X, y, alpha=0.0, scaled=False)


def rungs_of(k=1, seed=0):
    return Rungs.at(State.start(np.zeros((3, k)), k, np.random.default_rng(seed)), [])


def test_a_row_of_a_rungs_score_counts_in_proportion_to_its_number():
    rng, rungs, objectives = np.random.default_rng(0), rungs_of(), []
    for _ in range(5):
        chunk = chunk_of(rng.standard_normal(20))
        rungs.go(chunk, SGD(), Constant(), 0 * rungs.multiples, {"batch_size": 20, "shuffle": False}, True)
        objectives.append(0.5 * np.mean(chunk.rows.y**2))
    weight = np.arange(5)  # chunks before each
    assert_allclose(rungs.scores, np.average(objectives, weights=weight), rtol=1e-12)
    assert (rungs.rows, rungs.steps) == (100, 5)


def test_rows_that_tell_nothing_end_a_rung_that_is_lost_and_score_none():
    rungs = rungs_of()
    rates = np.where(np.arange(len(rungs.multiples)) > 8, 1e300, 1e-3)
    rungs.go(chunk_of(np.ones(60)), SGD(), Constant(), rates, {"batch_size": 1, "shuffle": False}, False)
    assert_array_equal(rungs.scores, np.where(rates > 1, np.inf, 0.0))
    assert rungs.rows == rungs.steps == 0
    assert rungs.leader == 5  # of equals, the one in the middle


def test_who_leads_goes_on_by_itself():
    rungs = rungs_of()
    best, expected = rungs.best(), same_generator(rungs.state.rng).random(5)
    assert_array_equal(best.rng.random(5), expected)
    assert_array_equal(rungs.state.rng.random(5), expected)  # undisturbed


def test_fewer_rungs_of_a_large_model_are_around_the_middle(monkeypatch):
    each, middle = 3 * 8, len(race_module.STEP_GRID) // 2
    for most in range(1, 12):
        monkeypatch.setattr(rungs_module, "MOST_BYTES", each * most)
        multiples = rungs_of().multiples
        assert race_module.STEP_GRID[middle] in multiples
        assert len(multiples) <= most
        assert_allclose(multiples * multiples[::-1], race_module.STEP_GRID[middle] ** 2)


@pytest.mark.parametrize("room", [11, 6])
def test_of_rungs_that_outgrow_their_room_the_best_stays(monkeypatch, room):
    rungs, rng = rungs_of(), np.random.default_rng(0)
    rungs.state.theta = rng.standard_normal(rungs.state.theta.shape)
    rungs.scores = np.arange(11.0)[::-1] ** 2 + 1
    rungs.scores[7], rungs.rows = 0.5, rungs_module.RACE_ROWS  # as luck is no longer in play
    monkeypatch.setattr(rungs_module, "MOST_BYTES", room * 6 * 8)
    grown = rungs.spread(np.array([4, 1]), 5, 0)
    stay = np.arange(11) if room == 11 else np.array([7])
    assert_array_equal(grown.multiples, rungs.multiples[stay])
    assert_array_equal(grown.scores, rungs.scores[stay])
    assert_array_equal(grown.state.theta[[4, 1, 5]], rungs.state.theta[:, stay])
    assert len(grown.state.theta) == 6


def test_a_rung_is_ahead_by_more_than_the_loss_of_a_row():
    rungs, middle = rungs_of(), 5
    rungs.scores = np.full(11, 1.0)
    rungs.rows = 10
    for away, lead in ((8, 0.25), (2, 0.25), (6, 0.05)):  # three rungs, three rungs and one, at a tenth of a row each
        rungs.scores[:] = 1.0
        rungs.scores[away] = 1 - lead
        assert rungs.leader == middle
        rungs.scores[away] = 1 - lead - 0.1
        assert rungs.leader == away
    rungs.scores[:] = np.r_[np.inf, np.full(10, 1.0)]
    assert rungs.leader == middle


def test_a_stream_knows_how_often_its_targets_crossed_their_mean():
    every, pace = 1.0 + np.sin(np.arange(300) / 11), Pace("asked", rungs_of())
    for y in np.split(every, 6):
        pace.look(chunk_of(y))
    assert pace.labels == 300
    assert pace.mean == pytest.approx(every.mean())
    sides = every > np.repeat([every[: 50 * (i + 1)].mean() for i in range(6)], 50)  # of the mean that was known then
    assert pace.crossings == np.count_nonzero(np.diff(sides)) > 5


def test_a_race_begins_anew_by_half_when_targets_begin_to_mix():
    pace = Pace("asked", rungs_of())
    pace.rungs.rows = 50_000
    pace.look(chunk_of(np.arange(40.0)))  # sorted: they cross their mean once
    assert (pace.mixed, pace.rungs.rows) == (False, 50_000)
    pace.look(chunk_of(100.0 * (-1) ** np.arange(40)))
    assert (pace.mixed, pace.rungs.rows) == (True, RACE_ROWS // 2)


# ------------------------------------------------------------------ bounds by duality


@pytest.mark.parametrize("weighted", [False, True])
def test_slopes_of_classes_are_made_to_sum_to_zero_and_stay_probabilities(weighted):
    rng, k = np.random.default_rng(0), 3
    X, y = features(rng, 90, 4), rng.integers(0, k, 90)
    weight = rng.random(90) + 0.5 if weighted else None
    weight = weight if weight is None else weight / weight.mean()
    p = problem(X, y, MultinomialLogLoss(n_classes=k), encoding=OneHotColumns(k), weight=weight)
    at = Predicted(p, rng.standard_normal((5, k)))
    u = at.balanced(at.slopes(at.Z).astype(float))
    assert_allclose(np.average(u, axis=0, weights=weight), np.zeros(k), atol=1e-12)
    assert_allclose(u.sum(axis=1), np.zeros(90), atol=1e-12)
    shares = u + np.eye(k)[y]
    assert shares.min() >= 0
    assert shares.max() <= 1 + 1e-12


class Shifted(SquaredError):
    """A squared error that is one more."""

    def value(self, y, z):
        return super().value(y, z) + 1.0

    def conjugate(self, y, u):
        return super().conjugate(y, u) - 1.0


def test_a_constant_in_the_loss_is_none_of_the_bound():
    rng = np.random.default_rng(0)
    X, y = features(rng, 60, 4), rng.standard_normal((60, 1))
    theta, found = rng.standard_normal((5, 1)), []
    for loss in (SquaredError(), Shifted()):
        at = Predicted(problem(X, y, loss), theta)
        u = at.slopes(at.Z)
        objective, candidates = at.losses(at.Z) + at.penalties(), at.candidates(at.Z, u)
        found.append([at.bounds(objective, candidates, at.products(candidates)), at.bounds(objective, [], [])])
        found[-1][1] -= objective  # zero slopes prove nothing but that a loss has a least value
    assert_allclose(found[1][0], found[0][0], rtol=1e-9)
    assert_allclose(found[1][1], found[0][1] - 1.0, rtol=1e-9)


# ------------------------------------------------------------------ moments


def test_values_that_are_not_zero_are_not_counted_where_batches_touch_every_column():
    X = np.random.default_rng(0).standard_normal((500, 6))
    moments = Moments()
    moments.update(X, filling=32)
    assert moments.filled is None
    X[np.random.default_rng(1).random(X.shape) < 0.99] = 0
    moments = Moments()
    moments.update(X, filling=32)
    assert_array_equal(moments.filled, (X != 0).sum(axis=0))
