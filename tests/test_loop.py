"""The training loop: when models stop, what is taken back, who is told, and what is left of an interrupted epoch."""

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from _references import features, problem, start, steps
from skvariants._quasi_newton.method import Tolerance, quasi_newton
from skvariants._quasi_newton.small import SmallNewton
from skvariants._training.loop import Interrupted, Stopping, Training, Watch
from skvariants._training.method import Method, Record
from skvariants._training.state import State
from skvariants._training.steps import Steps
from skvariants.losses import SquaredHinge
from skvariants.schedules import Adaptive, Constant
from skvariants.solvers import AdaGrad, MiniBatch, Momentum

N, D = 230, 7


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class Script(Method):
    """Objectives as written, a row for each epoch; parameters and memory count the epochs."""

    reversible = True

    def __init__(self, *objectives, plateau=(), arrives=None):
        self.objectives, self.arrives = np.array(objectives, float), arrives
        k = self.objectives.shape[1]
        self.state = State.start(np.zeros((2, k)), 1, np.random.default_rng(0), [np.zeros((2, k))])
        self.factors, self.made = list(plateau), 0

    def arrived(self):
        return None if self.arrives is None else self.state.epoch >= self.arrives

    def iterate(self):
        f = self.objectives[self.made]
        self.made += 1
        self.state.theta += 1
        self.state.memory[0] += 1
        if np.isposinf(f).any():
            raise KeyboardInterrupt
        return Record(f, self.eta(), 5)

    def eta(self):
        return 0.5 * self.state.step_factor

    def keep(self, models):
        self.state.keep(models)
        self.objectives = self.objectives[:, models]
        if self.arrives is not None:
            self.arrives = self.arrives[models]

    def original(self, theta):
        return 10 * theta

    def on_plateau(self, models):
        return np.full(len(models), self.factors.pop(0) if self.factors else 0.0)


def run(method, max_iter=20, tol=0.1, patience=2, reference=1.0, **watch):
    """Train, where progress is a tenth of the constant model's loss."""
    n_models = method.state.n_models
    tol = None if tol is None else np.full(n_models, tol)
    stopping = Stopping(max_iter=max_iter, n_iter_no_change=patience)
    return Training(method, stopping, np.full(n_models, reference), tol, Watch(**watch)).run()


def interrupted(method, **kwargs):
    """What is left of a training that is interrupted."""
    with pytest.raises(Interrupted) as caught:
        run(method, **kwargs)
    (out,) = caught.value.left
    assert out.status == "interrupted"
    return out


class Seen:
    """A callback that notes what it is told, and asks for the model."""

    def __init__(self, stop=None, fail=None):
        self.told, self.models, self.stop, self.fail = [], [], stop, fail

    def epoch_begins(self, solution):
        self.told.append("begin")
        self.models.append(solution())

    def epoch_ends(self, solution):
        self.told.append("end")
        self.models.append(solution())
        if self.told.count("end") == self.fail:
            raise KeyboardInterrupt
        return self.told.count("end") == self.stop


# ------------------------------------------------------------------ stopping


def test_stopping_is_local(rng):
    X = features(rng, offset=0.0)
    easy = X @ rng.standard_normal((D, 1))
    Y = np.hstack([1e-3 * rng.standard_normal((N, 1)), easy])

    def train(Y):
        p = problem(X, Y)
        schedule = Adaptive(eta0=0.01, floor=5e-3)
        method = Steps(p, start(p, Y.shape[1], Momentum(), seed=3), Momentum(), schedule, 16, True)
        stopping = Stopping(max_iter=60, n_iter_no_change=2)
        return Training(method, stopping, np.ones(Y.shape[1]), np.full(Y.shape[1], 1e-3)).run()

    both = train(Y)
    assert both[0].state.epoch != both[1].state.epoch
    for j in range(2):
        (alone,) = train(Y[:, [j]])
        assert alone.state.epoch == both[j].state.epoch
        assert_allclose(alone.theta[:, 0], both[j].theta[:, 0], rtol=1e-9, atol=1e-12)
        assert_array_equal(alone.state.epoch, both[j].state.epoch)
        assert len(both[j].state.history) == both[j].state.epoch[0]


def test_each_model_stops_after_its_epochs_without_progress():
    # progress is a tenth of the constant's 1; two epochs without it end a model
    first, second, third = run(
        Script([0.9, 0.9, 0.9], [0.85, 0.8, 0.5], [0.82, 0.7, 0.45], [9, 0.65, 0.41], [9, 0.62, 9], [9, 9, 9]),
        max_iter=5,
    )
    assert [out.status for out in (first, second, third)] == ["plateau", "plateau", "plateau"]
    assert [out.state.epoch.item() for out in (first, second, third)] == [3, 5, 4]
    assert [row["objective"].item() for row in third.state.history] == [0.9, 0.5, 0.45, 0.41]
    for out, epochs in ((first, 3), (second, 5), (third, 4)):
        assert_array_equal(out.theta, np.full((2, 1), epochs))
        assert out.state.n_models == 1


def test_a_plateau_makes_the_step_smaller_before_it_is_the_end():
    method = Script(*[[1.0]] * 9, plateau=(0.25, 0.5))
    (out,) = run(method)
    assert (out.status, out.state.epoch.item()) == ("plateau", 7)
    assert out.state.step_factor.item() == 0.125
    assert [row["eta"].item() for row in out.state.history] == [0.5, 0.5, 0.5, 0.125, 0.125, 0.0625, 0.0625]


@pytest.mark.parametrize("tol", [None, 0.0])
def test_no_tolerance_takes_all_epochs_and_zero_takes_all_that_descend(tol):
    (out,) = run(Script(*[[1.0]] * 9), max_iter=6, tol=tol)
    assert (out.status, out.state.epoch.item()) == (("max_iter", 6))
    (out,) = run(Script([1.0], [2.0], [2.0], [2.0]), max_iter=4, tol=tol)
    assert (out.status, out.state.epoch.item()) == (("max_iter", 4) if tol is None else ("plateau", 3))


def test_epochs_are_counted_from_where_a_fit_goes_on():
    method = Script(*[[1.0, 1.0]] * 9)
    first = run(method, max_iter=2, tol=None)
    assert all(out.status == "max_iter" for out in first)
    again = Script(*[[1.0]] * 9)
    again.state = first[0].state
    (out,) = run(again, max_iter=3, tol=None)
    assert out.state is again.state
    assert out.state.epoch.item() == len(out.state.history) == 5


def test_models_with_nothing_left_to_gain_leave_without_another_epoch():
    outs = run(Script(*[[1.0, 0.5, 0.25]] * 5, arrives=np.array([0, 2, 9])), max_iter=4, tol=None)
    assert [out.status for out in outs] == ["converged", "converged", "max_iter"]
    assert [out.state.epoch.item() for out in outs] == [0, 2, 4]
    assert [len(out.state.history) for out in outs] == [0, 2, 4]


class OneByOne(Script):
    """Moves one model after the other."""

    reversible = False

    def iterate(self):
        j = np.array([self.made % self.state.n_models])
        record = super().iterate()
        return Record(record.objective[j], record.eta[j], 5, j)


def test_only_models_that_moved_have_made_an_epoch():
    outs = run(OneByOne(*[[1.0, 0.5]] * 5), max_iter=2, tol=None)
    assert [out.state.epoch.item() for out in outs] == [2, 2]
    for out, objective in zip(outs, (1.0, 0.5), strict=True):
        assert [row["epoch"].item() for row in out.state.history] == [1, 2]
        assert [row["objective"].item() for row in out.state.history] == [objective] * 2


def test_only_models_that_moved_are_judged_by_their_score():
    # one rises and one falls; the second makes its epochs at 2, 4 and 6, and the first has all from then on
    score, _ = scored(*[[0.1 * epoch, -0.1 * epoch] for epoch in range(20)])
    outs = run(OneByOne(*[[1.0, 1.0]] * 20), max_iter=6, tol=0.05, patience=2, score=score)
    assert [out.status for out in outs] == ["max_iter", "no validation improvement"]
    assert [out.state.epoch.item() for out in outs] == [6, 3]
    assert [out.theta[0, 0] for out in outs] == [9, 2]


def test_the_history_has_a_row_for_each_epoch():
    (out,) = run(Script([3.0], [2.0]), max_iter=2, tol=None, score=lambda models: models[-1])
    assert [sorted(row) for row in out.state.history] == [
        ["epoch", "eta", "models", "objective", "rows", "seconds", "validation_score"]
    ] * 2
    assert [row["rows"] for row in out.state.history] == [5, 5]
    assert 0 <= out.state.history[0]["seconds"] <= out.state.history[1]["seconds"] == out.state.seconds


# ------------------------------------------------------------------ what is taken back


def test_an_epoch_that_passes_the_limit_is_taken_back(rng):
    X = rng.standard_normal((N, 1))
    y = X + 0.1 * rng.standard_normal((N, 1))
    # standardised, the curvature is 1 + alpha: each step overshoots by a fifth, and the error grows
    p, reference = problem(X, y, alpha=1e-4), np.array([0.5 * y.var()])
    for limit, setbacks in ((2.0, 1), (1e8, 0)):
        method = steps(p, solver=MiniBatch(), eta0=2.2, batch=N, shuffle=False)
        method.state.limit = limit
        (out,) = Training(method, Stopping(max_iter=40), reference).run()
        curve = np.array([row["objective"][0] for row in out.state.history])
        assert out.rolled_back == out.state.n_rollbacks[0] == setbacks
        assert (curve[-1] < 0.1 * reference[0]) == (setbacks == 1)
        assert (curve > limit * reference[0]).sum() == setbacks


def test_what_is_taken_back_goes_to_the_start_of_the_epoch_before_with_a_shorter_step():
    method = Script([1.0, 1.0], [1.0, 1.0], [1.0, 9.0], [1.0, 1.0])
    method.state.limit = 5.0
    outs = run(method, max_iter=4, tol=None)
    assert [out.rolled_back for out in outs] == [0, 1]
    # 0, 1, 2, back to 1, 2
    for out, at in zip(outs, (4, 2), strict=True):
        assert_array_equal(out.theta, np.full((2, 1), at))
        assert_array_equal(out.state.memory[0], np.full((2, 1), at))
        assert out.state.epoch == 4
    assert_allclose(outs[1].state.step_factor, 0.1)
    assert [row["eta"].item() for row in outs[1].state.history] == pytest.approx([0.5, 0.5, 0.05, 0.05])


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 1e9])
def test_a_model_that_does_nothing_else_has_diverged_and_stays_finite(bad):
    outs = run(Script(*[[1.0, bad]] * 20), max_iter=20, tol=None)
    assert [out.status for out in outs] == ["max_iter", "diverged"]
    assert (outs[1].rolled_back, outs[1].state.epoch.item()) == (13, 13)
    assert_array_equal(outs[1].theta, np.zeros((2, 1)))
    (again,) = run(Script(*[[bad]] * 20), max_iter=3, tol=None)
    assert (again.status, again.rolled_back) == ("max_iter", 3)


def test_parameters_that_are_not_finite_are_taken_back_whatever_the_objective():
    class Overflow(Script):
        def iterate(self):
            record = super().iterate()
            if self.made == 2:
                self.state.theta[0, 0] = np.inf
            return record

    (out,) = run(Overflow(*[[1.0]] * 4), max_iter=4, tol=None)
    assert out.rolled_back == 1
    assert np.isfinite(out.theta).all()


def test_an_epoch_taken_back_is_no_progress_and_no_plateau():
    (out,) = run(Script([1.0], [np.nan], [np.nan], [np.nan], [1.0], [1.0]), max_iter=20, tol=0.1)
    assert (out.status, out.state.epoch.item()) == ("plateau", 6)
    assert out.state.best.item() == 1.0


def test_the_objective_of_an_epoch_taken_back_is_no_best_one():
    (out,) = run(Script([-np.inf], [1.0], [0.8], [0.6], [0.4]), max_iter=5)
    assert (out.status, out.state.best.item()) == ("max_iter", 0.4)


# ------------------------------------------------------------------ rows held out


def scored(*scores):
    """Scores as written, and the models that were scored."""
    rows, seen = iter(np.array(scores, float)), []

    def score(models):
        seen.append(models.copy())
        return next(rows)[: models.shape[1]]

    return score, seen


def test_the_best_epoch_is_returned_and_the_score_decides():
    score, seen = scored([0.5], [0.9], [0.7], [0.95], [0.9], [0.9])
    (out,) = run(Script(*[[1.0]] * 9), score=score)
    # a tenth more than 0.9 is never reached again
    assert (out.status, out.state.epoch.item()) == ("no validation improvement", 4)
    assert_array_equal(out.theta, np.full((2, 1), 4))
    assert out.state.best.item() == 0.95
    assert_array_equal(seen[2], np.full((2, 1), 30))  # in the units of the data


def test_the_best_epoch_of_each_model_is_its_own():
    score, _ = scored([0.5, 0.9], [0.8, 0.1], [0.7, 0.2])
    outs = run(Script(*[[1.0, 1.0]] * 3), max_iter=3, tol=None, score=score)
    assert [out.theta[0, 0] for out in outs] == [2, 1]
    assert [out.state.theta[0, 0] for out in outs] == [3, 3]


def test_of_equal_scores_the_first_is_the_best():
    score, _ = scored([0.5], [0.9], [0.9])
    (out,) = run(Script(*[[1.0]] * 3), max_iter=3, tol=None, score=score)
    assert_array_equal(out.theta, np.full((2, 1), 2))


def test_a_fit_goes_on_from_its_best_score():
    score, _ = scored([0.9], [0.5], [0.6])
    method = Script(*[[1.0]] * 9)
    run(method, max_iter=1, tol=None, score=score)
    (out,) = run(method, max_iter=2, tol=None, score=score)
    assert_array_equal(out.theta, np.ones((2, 1)))
    assert out.state.best.item() == 0.9


def test_without_a_single_score_the_last_model_is_returned():
    score, _ = scored([np.nan], [np.nan])
    (out,) = run(Script([1.0], [1.0]), max_iter=2, tol=None, score=score)
    assert_array_equal(out.theta, np.full((2, 1), 2))


# ------------------------------------------------------------------ who is told


def test_each_epoch_is_begun_and_ended_once_with_the_model_of_then():
    seen = Seen()
    (out,) = run(Script(*[[1.0]] * 3), max_iter=3, tol=None, callback=seen)
    assert seen.told == ["begin", "end"] * 3
    assert [model[0, 0] for model in seen.models] == [0, 10, 10, 20, 20, 30]
    assert out.status == "max_iter"


def test_a_callback_ends_the_fit_of_all_that_have_not_ended():
    seen = Seen(stop=3)
    outs = run(Script([1.0, 1.0], [1.0, 0.5], [1.0, 0.1], [1.0, 0.0]), max_iter=20, callback=seen)
    assert [out.status for out in outs] == ["plateau", "interrupted"]
    assert [out.state.epoch.item() for out in outs] == [3, 3]


class HandsOver(Script):
    """Leaves the second epoch to another."""

    reversible = False

    def iterate(self):
        return None if self.made == 1 else super().iterate()

    def successor(self):
        other = Script(*self.objectives[1:])
        other.state = self.state
        return other


def test_an_epoch_that_another_method_goes_on_with_is_begun_once():
    seen = Seen()
    (out,) = run(HandsOver([4.0], [3.0], [2.0]), max_iter=3, tol=None, callback=seen)
    assert seen.told == ["begin", "end"] * 3
    assert [row["objective"].item() for row in out.state.history] == [4, 3, 2]
    assert_array_equal(out.theta, np.full((2, 1), 3))


def test_each_epoch_is_begun_and_ended_once_where_newtons_method_is_left():
    # two classes that part
    X, y = np.array([[-3.0], [-1.0], [1.0], [2.0]]), np.array([[-1.0], [-1.0], [1.0], [1.0]])
    p = problem(X, y, SquaredHinge(), alpha=1e-4)
    _, costs = p.intercept_only()
    state = State.start(np.zeros((2, 1)), 1, np.random.default_rng(0))
    method = quasi_newton(p, state, Tolerance(np.array([1e-4]), costs.copy()), False)
    assert isinstance(method, SmallNewton)
    seen = Seen()
    training = Training(method, Stopping(), costs, np.array([1e-3]), Watch(callback=seen))
    (out,) = training.run()
    assert not isinstance(training.method, SmallNewton)
    assert out.status == "converged"
    assert seen.told == ["begin", "end"] * out.state.epoch[0]
    assert_array_equal([row["epoch"][0] for row in out.state.history], np.arange(1, out.state.epoch[0] + 1))


def test_progress_is_printed_in_columns(capsys):
    run(Script([0.5, 0.25], [1234.5, 1.0]), max_iter=2, tol=None, verbose=1, score=lambda models: models[-1] / 100)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["epoch", "1", "objective", "0.75"]
    assert lines[0].endswith("validation 0.100000")
    for word in ("objective", "eta", " s", "validation"):
        assert len({line.index(word) for line in lines}) == 1
    run(Script([0.5], [0.25]), max_iter=2, tol=None)
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------ interrupts


def test_an_interrupted_epoch_leaves_the_last_whole_one():
    out = interrupted(Script([3.0], [2.0], [1.0], [np.inf], [0.0]))
    assert_array_equal(out.theta, np.full((2, 1), 3))
    assert_array_equal(out.state.memory[0], np.full((2, 1), 3))
    assert out.state.epoch.item() == len(out.state.history) == 3


def test_an_interrupt_between_epochs_leaves_the_last_one():
    out = interrupted(Script(*[[1.0]] * 9), tol=None, callback=Seen(fail=2))
    assert out.state.epoch.item() == 2
    assert_array_equal(out.theta, np.full((2, 1), 2))


def test_nothing_is_left_where_no_epoch_was_whole_nor_of_several_models():
    for method in (Script([np.inf]), Script([1.0, 3.0], [1.0, 2.0], [np.inf, 1.0])):
        with pytest.raises(KeyboardInterrupt) as caught:
            run(method)
        assert not isinstance(caught.value, Interrupted)


class Scores(Script):
    """Interrupts its own score."""

    def original(self, theta):
        if self.made == 3:
            raise KeyboardInterrupt
        return theta


@pytest.mark.parametrize("reversible", [True, False])
def test_an_interrupt_while_an_epoch_is_scored_takes_it_back(reversible):
    method = Scores([3.0], [2.0], [1.0])
    method.reversible = reversible
    out = interrupted(method, score=lambda models: -models[-1])
    assert_array_equal(out.state.theta, np.full((2, 1), 2))
    assert_array_equal(out.theta, np.full((2, 1), 1))  # the best score
    assert out.state.epoch.item() == len(out.state.history) == 2
    assert out.state.best.item() == -1


def test_no_epoch_begins_after_the_deadline_and_one_is_made_in_any_case():
    (out,) = run(Script([3.0], [2.0], [1.0]), deadline=time.perf_counter())
    assert (out.status, out.state.epoch.item()) == ("max_time", 1)
    outs = run(Script([3.0, 3.0], [2.0, 2.0]), deadline=time.perf_counter() + 1e4, max_iter=2)
    assert [out.status for out in outs] == ["max_iter", "max_iter"]
    outs = run(Script([3.0, 3.0], [2.0, 2.0]), deadline=0.0)
    assert [out.status for out in outs] == ["max_time", "max_time"]


class Signal(Constant):
    """Interrupts the update of a number, once."""

    at = 0

    def __call__(self, t):
        if t == type(self).at:
            type(self).at = 0
            raise KeyboardInterrupt
        return super().__call__(t)


@pytest.mark.parametrize("average", [0, 1])
def test_a_fit_goes_on_after_an_interrupt_as_if_there_had_been_none(rng, average):
    p = problem(features(rng), rng.standard_normal((N, 1)))
    per_epoch = -(-N // 16)
    Signal.at = 2 * per_epoch + 5  # in the third epoch

    def train(state, epochs):
        method = Steps(p, state, AdaGrad(), Signal(eta0=0.05), 16, True, average)
        return Training(method, Stopping(max_iter=epochs), np.ones(1)).run()[0]

    with pytest.raises(Interrupted) as caught:
        train(start(p, 1, AdaGrad()), 5)
    (interrupted,) = caught.value.left
    whole = train(start(p, 1, AdaGrad()), 2)
    assert interrupted.status == "interrupted"
    assert interrupted.state.epoch.item() == 2
    assert_array_equal(interrupted.theta, whole.theta)
    assert interrupted.state.t == whole.state.t
    for out in (interrupted, whole):
        assert_array_equal(train(out.state, 3).theta, train(start(p, 1, AdaGrad()), 5).theta)
