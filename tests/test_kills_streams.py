"""Streams where a mutant survived: what their modules promise, against its definition."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.optimize import lsq_linear, minimize
from scipy.special import expit

from skvariants import SGDVariantRegressor
from skvariants._data.tasks import Binary, OneVsRest, RealTargets, Softmax
from skvariants._stream import compact, correction, learner
from skvariants._stream.compact import Rows
from skvariants._stream.correction import CorrectedLearner
from skvariants._stream.frame import Frame
from skvariants._stream.given import Remaining, _chosen, _Summarizer
from skvariants._stream.learner import _AHEAD
from skvariants._stream.linearization import slopes
from skvariants._stream.memory import Chunk
from skvariants._stream.reservoir import ReservoirLearner, empty_reservoir
from skvariants._stream.sample import Sample
from skvariants._stream.sums import MOST, MOST_OF_ALL, NO_EXTENT, Trust, classes_of, empty_sums, matrices, targets_of
from skvariants.losses import AbsoluteError, Huber, LogLoss, MultinomialLogLoss, SquaredError
from skvariants.penalties import ElasticNet

BINARY, THREE = Binary(np.array([0, 1])), Softmax(np.arange(3))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------ units


def test_units_are_powers_of_two_in_which_every_column_reaches_about_one(rng):
    X = rng.standard_normal((40, 5)) * 10.0 ** np.array([-9, -3, 0, 4, 9])
    frame = Frame.of(X[:20], True)
    for part in (X[:20], X[20:]):
        C, _ = frame.rows(part)
        assert_allclose(C[:, :-1], (part - X[:20].mean(axis=0)) * frame.factor, rtol=1e-12, atol=1e-12)
        assert_array_equal(C[:, -1], 1.0)
    assert_array_equal(np.exp2(np.round(np.log2(frame.factor))), frame.factor)
    largest = abs(X[:20] - X[:20].mean(axis=0)).max(axis=0) * frame.factor
    assert (0.5 <= largest).all()
    assert (largest <= 1).all()


def test_a_column_that_was_constant_gets_its_unit_when_it_begins_to_differ(rng):
    X = rng.standard_normal((30, 2))
    X[:20, 1] = 3.0
    frame = Frame.of(X[:20], True)
    _, first = frame.rows(X[:20])
    X[20:, 1] += 1e-7
    C, change = frame.rows(X[20:])
    assert first[1] == change[0] == 1.0
    assert 0.5 <= abs(C[:, 1]).max() <= 1


def test_the_pull_of_a_penalty_is_its_gradient_in_the_units_of_the_stream(rng):
    X, theta, penalty = (
        rng.standard_normal((30, 3)) * [1e-3, 1.0, 1e3],
        rng.standard_normal((4, 1)),
        ElasticNet(0.1, 0.3),
    )
    sums = empty_sums(X, LogLoss(), Binary(np.array([0, 1])), True, 0)
    sums.frame.rows(X)
    sums.go_on_from(theta, Trust(30.0), penalty)
    assert_allclose(sums.frame.original(sums.anchor), theta, rtol=1e-12)
    h = 1e-6 * abs(sums.anchor)
    for j in range(3):
        step = h * (np.arange(4) == j)[:, None]
        up, down = (penalty.value(sums.frame.original(sums.anchor + sign * step)[:-1]) for sign in (1, -1))
        assert sums.pull[j] == pytest.approx((up - down) / (2 * h[j]), rel=1e-6)
    assert sums.pull[-1] == 0


def test_a_sample_follows_a_change_of_units_with_the_rows_that_wait(rng):
    sample, C = Sample.empty(2, 1, 1), np.c_[rng.standard_normal((6, 2)), np.ones(6)]
    column, base, change = np.zeros((3, 1)), np.array([0.0, 0.0, 1.0]), np.array([4.0, 0.5, 1.0])
    for part in (C[:3], C[3:]):
        sample.wait([part, column, np.ones(3), np.zeros(3, int), np.ones(3), column, column, column])
        if sample.n_waiting == 3 and len(sample) == 0:
            sample.join(base)
    sample.times(change)
    sample.join(base * change)
    assert_allclose(sample.C.toarray(), C * change, rtol=1e-15)


# ------------------------------------------------------------------ what is kept


def test_a_stream_knows_nothing_before_its_first_row():
    sums = empty_sums(np.ones((1, 3)), LogLoss(), Binary(np.array([0, 1])), True, 0)
    for name in ("weight", "rows", "counted", "squares", "bend", "begun", "asked", "trust", "n_rows"):
        assert getattr(sums, name) == 0, name
    assert not sums.narrow
    assert not any(array.any() for array in (sums.A, sums.b, sums.theta))
    assert len(sums.s) == len(sums.sample) == 0


@pytest.mark.parametrize("loss", [SquaredError(), LogLoss()], ids=str)
def test_a_stream_is_worth_rows_as_wide_as_its_own(rng, loss):
    order = np.array([-20, 0, 20])
    X = rng.standard_normal((2000, 3))
    X *= 0.75 * np.exp2(order) / X.std(axis=0)
    y, task = (X @ [1, 2, 3], RealTargets(1)) if loss.regression else (rng.choice([-1.0, 1.0], 2000), BINARY)
    sums = empty_sums(X[:50], loss, task, True, 0)
    for begin in range(0, 2000, 50):
        part = slice(begin, begin + 50)
        CorrectedLearner(sums, loss, ElasticNet(1e-3, 0.0), True).learn(X[part], y[part, None], np.ones(50))
    trust = sums.worth(30.0)
    assert trust.weight == 30.0
    assert_array_equal(trust.extent, order)  # 0.75 is amid what an order stands for
    assert_allclose(trust.centre, X[:50].mean(axis=0), rtol=1e-6)


def test_sums_begin_with_curvature_of_their_own_size_alone():
    X = np.zeros((1, 3))
    for loss, task, shape in (
        (LogLoss(), BINARY, (1, 10)),
        (LogLoss(), OneVsRest(np.arange(3)), (3, 10)),
        (MultinomialLogLoss(n_classes=3), THREE, (1, 78)),
    ):
        sums = empty_sums(X, loss, task, True, 0)
        count, size = shape
        assert sums.takes((count, size), 3)
        for other in ((count + 1, size), (count, size - 1), (count, size + 1), (size, count), (count, size, 1)):
            assert not sums.takes(other, 3)
        assert not sums.takes((count, size), 2)
        assert not sums.takes((count, size), 4)


def test_matrices_of_sums_have_a_bounded_size():
    softmax = MultinomialLogLoss(n_classes=3)
    assert matrices(SquaredError(), 1000, 5) == (1, 1001)
    assert matrices(LogLoss(), 1000, 5) == (5, 1001)
    assert matrices(softmax, 300, 3) == (1, 903)
    for loss in (SquaredError(), LogLoss(), softmax):
        for d in (3, 10, 30, 100, 300, 1000, 1023, 1024, 2000, 100_000):
            found = matrices(loss, d, 3)
            assert (found is None) == (d >= 1024)
            if found is not None:
                assert found[1] ** 2 <= MOST == 2**20
                assert found[0] * found[1] ** 2 <= MOST_OF_ALL == 2**23
    assert matrices(LogLoss(), 1000, 9) is None


# ------------------------------------------------------------------ lines


class Cubic(LogLoss):
    """A slope that is a polynomial."""

    def gradient(self, y, z, out):
        out[...] = z**3
        return out


def test_lines_are_exact_for_polynomials(rng):
    z, v = rng.standard_normal((5, 2)), 0.5 + rng.random((5, 2))
    slope, curvature = slopes(Cubic(), np.ones_like(z), z, v)
    assert_allclose(slope, z**3 + 3 * z * v**2, rtol=1e-12)
    assert_allclose(curvature, 3 * (z**2 + v**2), rtol=1e-12)


@pytest.mark.parametrize("z", [-2.0, 0.3, 1.5])
def test_lines_are_means_over_a_normal_distribution(z):
    def mean(function):
        density = lambda e: np.exp(-0.5 * e * e) / np.sqrt(2 * np.pi)  # noqa: E731
        return quad(lambda e: function(z + 0.7 * e) * density(e), -10, 10)[0]

    slope, curvature = slopes(LogLoss(), np.ones((1, 1)), np.array([[z]]), np.array([[0.7]]))
    assert slope[0, 0] == pytest.approx(mean(lambda z: -1 / (1 + np.exp(z))), abs=1e-3)
    assert curvature[0, 0] == pytest.approx(mean(lambda z: 1 / (2 + np.exp(z) + np.exp(-z))), abs=3e-3)


# ------------------------------------------------------------------ matrices


def sparse_rows(rng, n, d):
    """Centred rows with a one, many of them what a row of zeros is, and that row."""
    base = np.append(-rng.random(d - 1), 1.0)
    C = np.where(rng.random((n, d)) < 0.2, rng.standard_normal((n, d)), base)
    C[:, -1] = 1.0
    return C, base


@pytest.mark.parametrize("signed", [False, True])
def test_weighted_products_are_their_definition(rng, signed, monkeypatch):
    monkeypatch.setattr(learner, "_BLOCK_OF_GRAM", 40)
    C, base = sparse_rows(rng, 33, 6)
    weight = rng.standard_normal(33) if signed else rng.random(33)
    expected = sum(w * np.outer(c, c) for w, c in zip(weight, C, strict=True))
    for rows in (C, Rows.of(C, base)):
        assert_allclose(learner.weighted_gram(rows, weight), expected, rtol=1e-12, atol=1e-12)
    assert_array_equal(learner.weighted_gram(C[:0], weight[:0]), np.zeros((6, 6)))


@pytest.mark.parametrize("n", [3, 6, 40])
def test_variances_are_their_definition_however_many_rows(rng, n, monkeypatch):
    monkeypatch.setattr(learner, "_ROWS_OF_FORMS", 7)
    monkeypatch.setattr(learner, "_BLOCK_OF_FORMS", 1)
    C, base = sparse_rows(rng, n, 6)
    A = rng.standard_normal((2, 9, 6)) * np.exp2(rng.integers(-9, 9, 6))
    H = np.einsum("kij,kil->kjl", A, A)
    expected = np.einsum("ij,kjl,il->ik", C, np.linalg.inv(H), C)
    factors = [learner.cholesky(M, np.zeros(6)) for M in H]
    for rows in (C, Rows.of(C, base)):
        assert_allclose(learner.quadratic_forms(rows, factors), expected, rtol=1e-8)


def test_curvature_of_coupled_classes_is_the_sum_of_their_rows(rng, monkeypatch):
    monkeypatch.setattr(compact, "_BLOCK", 40)  # several blocks
    C, base = sparse_rows(rng, 33, 4)
    s, P = rng.random(33), rng.dirichlet(np.ones(3), 33)
    loss = MultinomialLogLoss(n_classes=3)
    one = learner.Learner(empty_sums(C[:, :-1], loss, THREE, True, 0), loss, ElasticNet(1e-3, 0.0), True)
    expected = sum(w * np.kron(np.diag(p) - np.outer(p, p), np.outer(c, c)) for w, p, c in zip(s, P, C, strict=True))
    for rows in (C, Rows.of(C, base)):
        assert_allclose(one._grams(rows, P, s)[0], expected, rtol=1e-12, atol=1e-12)
    assert_array_equal(one._grams(C[:0], P[:0], s[:0]), np.zeros((1, 12, 12)))


def test_what_a_fit_is_worth_is_no_sharper_than_its_rows_were_wide(rng):
    """Columns are cut to twice the deviation that they had, in units of a power of two; correlations stay."""
    X = rng.standard_normal((400, 3))
    sums = empty_sums(X, LogLoss(), BINARY, True, 0)
    sums.frame.rows(X)
    extent = np.array([-5, 0, NO_EXTENT])
    sums.go_on_from(np.zeros((4, 1)), Trust(100.0, extent), ElasticNet(1e-3, 0.0))
    C = np.c_[(X - X.mean(axis=0)) * sums.frame.factor, np.ones(400)]
    M = 0.25 * C.T @ C / 400
    found = learner.Learner(sums, LogLoss(), ElasticNet(1e-3, 0.0), True)._no_wider(M[None].copy())[0]
    widest = 2 * np.ldexp(sums.frame.factor, np.where(extent > NO_EXTENT, extent, 0))
    deviation = np.sqrt(np.diag(found)[:-1] / 0.25)
    assert_allclose(deviation, np.minimum(np.sqrt(np.diag(M)[:-1] / 0.25), widest), rtol=1e-12)
    assert deviation[0] == pytest.approx(widest[0])  # the first was cut, the second not
    assert deviation[1] < widest[1]
    root = np.sqrt(np.diag(found))
    assert_allclose(found / np.outer(root, root), M / np.sqrt(np.outer(np.diag(M), np.diag(M))), atol=1e-12)


def test_bounds_are_in_the_units_of_the_data(rng):
    X = rng.standard_normal((300, 4)) * [1e-3, 1.0, 1e3, 1.0] + 2
    y = X @ [1e3, -1.0, 1e-3, 0.3] + 0.1 * rng.standard_normal(300)
    lower, upper = [-np.inf, -0.5, -np.inf, -np.inf], [500.0, np.inf, np.inf, np.inf]
    model = SGDVariantRegressor(penalty=None, bounds=(lower, upper))
    for begin in range(0, 300, 50):
        model.partial_fit(X[begin : begin + 50], y[begin : begin + 50])
    centred = (X - X.mean(axis=0)) / X.std(axis=0)
    optimum = lsq_linear(centred, y - y.mean(), (lower * X.std(axis=0), upper * X.std(axis=0)), tol=1e-12)
    assert_allclose(model.coef_, optimum.x / X.std(axis=0), rtol=1e-5)
    assert_allclose(model.intercept_, y.mean() - X.mean(axis=0) @ model.coef_, rtol=1e-8)


# ------------------------------------------------------------------ forgetting


def test_only_labels_are_targets_that_may_come_sorted():
    X, y, s = np.ones((4, 2)), np.ones((4, 1)), np.ones(4)
    assert Chunk(X, y, s, True).targets is y
    assert Chunk(X, y, s, False).targets is None


# ------------------------------------------------------------------ the sample behind the sums


def a_draw(s, size, seed):
    """A sample of rows that hold their numbers."""
    n, sample = len(s), Sample.empty(1, 1, 1)
    priority, column = s / (1 - np.random.default_rng(seed).random(n)), np.zeros((n, 1))
    sample.wait([np.c_[np.arange(n), np.ones(n)], column, s, np.zeros(n, int), priority, column, column, column])
    sample.join(np.array([0.0, 1.0]))
    sample.thin(size)
    return sample, sample.C.toarray()[:, 0].astype(int)


def test_a_sample_knows_by_how_much_its_sums_are_off_by_chance(rng):
    s, value = rng.exponential(size=200), 1.0 + rng.standard_normal(200)
    off, known = [], []
    for seed in range(400):
        sample, rows = a_draw(s, 50, seed)
        off.append(sample.weight @ value[rows] - s @ value)
        known.append(((sample.chance * value[rows]) ** 2).sum())
    assert abs(np.mean(off)) < 3 * np.std(off) / 20
    assert np.mean(known) == pytest.approx(np.var(off), rel=0.2)
    assert not a_draw(s, 200, 0)[0].chance.any()  # all stand for themselves


def learned(loss, X, y, task, chunk=50, alpha=1e-3, look=None):
    """What is kept of a stream."""
    sums = empty_sums(X[:chunk], loss, task, True, 0)
    for begin in range(0, len(y), chunk):
        part = slice(begin, begin + chunk)
        learner = CorrectedLearner(sums, loss, ElasticNet(alpha, 0.0), True)
        learner.learn(X[part], y[part], np.ones(len(y[part])))
        if look is not None:
            look(copy.copy(sums.sample))
    return sums


@pytest.mark.parametrize("seed", [0, 1])
def test_the_sample_corrects_lines_of_a_world_that_was_another(seed, monkeypatch):
    monkeypatch.setattr(correction, "_SAMPLE", 1500)  # it cannot hold all rows
    rng = np.random.default_rng(seed)
    X, w = rng.standard_normal((4000, 6)), rng.standard_normal(6)
    z = 3 * X @ w * np.where(np.arange(4000) < 1333, -1, 1)
    y = np.where(z + rng.logistic(size=4000) > 0, 1.0, -1.0)[:, None]
    theta = learned(LogLoss(), X, y, Binary(np.array([0, 1])), 100, alpha=1e-4).model()

    def cost(theta):
        return np.logaddexp(0, -y * (X @ theta[:-1] + theta[-1])).mean() + 0.5e-4 * (theta[:-1] ** 2).sum()

    best = minimize(lambda v: cost(v[:, None]), np.zeros(7)).fun
    assert cost(theta) - best < 0.5 * (cost(np.zeros((7, 1))) - best)


def test_rows_that_wait_for_the_sample_are_few(rng, monkeypatch):
    monkeypatch.setattr(correction, "_SAMPLE", 1000)
    monkeypatch.setattr(correction, "_FEW_NUMBERS", 100)
    X, seen = rng.standard_normal((6000, 4)), []
    y = np.where(X[:, :1] + rng.logistic(size=(6000, 1)) > 0, 1.0, -1.0)
    learned(LogLoss(), X, y, Binary(np.array([0, 1])), 100, look=seen.append)
    assert max(len(sample) for sample in seen) <= 1000 / 4  # numbers of a row beside its one
    assert max(sample.n_waiting for sample in seen) <= 1000 / (4 * 5)


def test_a_stream_of_real_targets_has_one_sample(rng):
    X = rng.standard_normal((600, 3))
    y = X[:, :1] + 0.1 * rng.standard_t(2, (600, 1))
    sums = learned(Huber(epsilon=0.1), X, y, RealTargets(1))
    assert_array_equal(sums.sample.label, 0)
    assert_allclose(sums.model(), [[1], [0], [0], [0]], atol=0.03)


# ------------------------------------------------------------------ rows that are kept


@pytest.mark.parametrize("labels", [False, True])
def test_one_more_row_waits_for_the_next_solution(rng, labels):
    X = sp.csr_matrix(np.where(rng.random((400, 30)) < 0.1, rng.standard_normal((400, 30)), 0.0))
    y = X[:, :1].toarray() + 0.1 * rng.standard_normal((400, 1))
    loss, task = (LogLoss(), Binary(np.array([0, 1]))) if labels else (SquaredError(), RealTargets(1))
    y = np.where(y > 0, 1.0, -1.0) if labels else y
    kept = empty_reservoir(X, task, 0)
    learner = ReservoirLearner(kept, loss, ElasticNet(1e-3, 0.0), True)
    learner.learn(X[:399], y[:399], np.ones(399))
    assert len(kept.waiting.s) == 0
    learner.learn(X[399:], y[399:], np.ones(1))
    assert (len(kept.kept.s), len(kept.waiting.s)) == (399, 1)


def test_a_model_that_is_gone_on_from_counts_as_the_rows_that_it_has_learned(rng):
    X = sp.csr_array(rng.standard_normal((20, 8)) * (rng.random((20, 8)) < 0.3))
    kept = empty_reservoir(X, RealTargets(1), 0)
    kept.go_on_from(rng.standard_normal((9, 1)), Trust(100.0), ElasticNet(1e-3, 0.0))
    ReservoirLearner(kept, SquaredError(), ElasticNet(1e-3, 0.0), True).learn(X, np.ones((20, 1)), np.full(20, 2.0))
    assert kept.n_rows == 140.0


# ------------------------------------------------------------------ what the rows of a fit say


def rows_of(loss, rng, n=60, d=3):
    X, theta = rng.standard_normal((n, d)) * [1e-3, 1.0, 1e3][:d], rng.standard_normal((d + 1, 1))
    theta[:-1] /= X.std(axis=0)[:, None]
    z = X @ theta[:-1] + theta[-1]
    if loss.regression:
        return X, z + 0.3 * rng.standard_normal(z.shape), theta, RealTargets(1)
    return X, np.where(z + rng.logistic(size=z.shape) > 0, 1.0, -1.0), theta, BINARY


def said(loss, X, y, theta, task, own=1.0, each=1.0, penalty=None, unit=1.0):
    """What rows say; their units, numbers and weights."""
    own, each = (np.broadcast_to(np.asarray(a, float), len(y)) for a in (own, each))
    penalty = ElasticNet(1e-3, 0.0) if penalty is None else penalty
    summary = Remaining(X, y, own, each, theta, task, (loss, penalty, True, unit)).summary
    C = np.c_[(X - summary.centre) * np.exp2(summary.exponent.astype(float)), np.ones(len(X))]
    return summary, C, own * each


@pytest.mark.parametrize("loss", [SquaredError(), LogLoss()], ids=str)
def test_what_rows_say_are_their_means(rng, loss):
    X, y, theta, task = rows_of(loss, rng)
    own, each = rng.uniform(0.5, 2, len(y)), rng.integers(1, 4, len(y))
    penalty = ElasticNet(0.1, 0.0)
    summary, C, s = said(loss, X, y, theta, task, own, each, penalty)
    slope = loss.gradient(y, X @ theta[:-1] + theta[-1], np.empty_like(y))[:, 0]
    assert_allclose(summary.first, np.average(C, axis=0, weights=s)[:-1], atol=1e-12)
    assert_allclose(summary.second, np.average(C**2, axis=0, weights=s)[:-1])
    assert summary.squares == pytest.approx((each * (own * slope) ** 2).sum() / s.sum())
    assert summary.rows == pytest.approx(each.sum() / s.sum())
    assert summary.bend == pytest.approx(np.trace(summary.matrices(4)[0][3:, 3:]))  # of ones
    pull = np.zeros_like(theta)
    penalty.add_gradient(theta[:-1], pull[:-1])
    assert_allclose(summary.gradient[:-1, 0], -pull[:-1, 0] * np.exp2(summary.exponent.astype(float)))
    assert summary.gradient[-1] == 0
    if loss.quadratic:
        assert_allclose(summary.matrices(4)[0], C.T @ (C * s[:, None]) / s.sum(), atol=1e-12)


def test_predictions_that_a_penalty_holds_are_known_and_their_curvature_is_their_own(rng):
    """Labels that are told apart leave predictions open, unless L2 holds them: then curvature is that at the model."""
    X, theta, loss = rng.standard_normal((12, 3)), np.array([[8.0], [0.0], [0.0], [0.0]]), LogLoss()
    y = np.sign(X[:, :1])
    one = np.ones(12)
    summary = Remaining(X, y, one, one, theta, BINARY, (loss, ElasticNet(1e4, 0.0), False, 1.0)).summary
    p = expit(X @ theta[:-1])
    C = X * np.exp2(summary.exponent.astype(float))
    assert_allclose(summary.matrices(4)[0][:3, :3], C.T @ (C * p * (1 - p)) / 12, rtol=0.01)


def test_predictions_are_certain_by_the_mean_of_their_rows(rng):
    sums = empty_sums(rng.standard_normal((9, 3)), LogLoss(), BINARY, True, 0)
    sums.squares = sums.bend = 1.0
    one = learner.Learner(sums, LogLoss(), ElasticNet(1e-3, 0.0), True)
    forms = np.zeros((100, 1))
    forms[7] = 0.5  # a row far off
    assert one._certain(forms)
    assert not one._certain(forms + 0.1)


def test_what_a_model_is_worth_tells_no_moments_where_it_is_worth_nothing():
    assert Trust().moments() is Trust(30.0).moments() is Trust(0.0, np.zeros(3, np.int16)).moments() is None


@pytest.mark.parametrize("loss", [SquaredError(), LogLoss(), AbsoluteError(), Huber(epsilon=0.1)], ids=str)
def test_a_row_that_stands_for_three_says_what_three_say(rng, loss):
    X, y, theta, task = rows_of(loss, rng)
    one, _, _ = said(loss, X, y, theta, task, each=3.0)
    three, _, _ = said(loss, np.repeat(X, 3, axis=0), np.repeat(y, 3, axis=0), theta, task)
    for name in ("curvature", "gradient", "first", "second", "squares", "bend", "rows"):
        assert_allclose(getattr(one, name), getattr(three, name), rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("loss", [AbsoluteError(), Huber(epsilon=0.1)], ids=str)
def test_outliers_are_no_unit_for_losses_that_do_not_care_for_them(rng, loss):
    X, y, theta, task = rows_of(loss, rng)
    near, far = (said(loss, X, y, theta, task, unit=unit)[0].curvature for unit in (10 * y.std(), 1e4 * y.std()))
    assert_allclose(near, far)


def test_what_many_rows_say_is_the_hessian(rng):
    X, y, theta, _ = rows_of(LogLoss(), rng)
    summary, C, _ = said(LogLoss(), X, y, theta, BINARY, each=1e7)
    p = 1 / (1 + np.exp(-(X @ theta[:-1] + theta[-1])))
    assert_allclose(summary.matrices(4)[0], C.T @ (C * p * (1 - p)) / len(p), rtol=1e-3, atol=1e-3 * 0.25)


def test_what_many_rows_say_of_coupled_classes_is_their_hessian(rng):
    X = rng.standard_normal((60, 3))
    theta, y = rng.standard_normal((4, 3)), np.eye(3)[rng.integers(0, 3, 60)]
    summary, C, _ = said(MultinomialLogLoss(n_classes=3), X, y, theta, THREE, each=1e7)
    Z = X @ theta[:-1] + theta[-1]
    P = np.exp(Z - Z.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    H = sum(np.kron(np.diag(p) - np.outer(p, p), np.outer(c, c)) for p, c in zip(P, C, strict=True)) / 60
    assert_allclose(summary.matrices(12)[0], H, rtol=1e-2, atol=1e-3)


def test_the_curvature_of_few_rows_is_a_mean_over_what_they_leave_open(rng):
    """What they leave open follows from it: a fixed point of both."""
    X, y, theta, _ = rows_of(LogLoss(), rng, n=40)
    theta = 5 * theta
    y = np.where(X @ theta[:-1] + theta[-1] > 0, 1.0, -1.0)
    summary, C, _ = said(LogLoss(), X, y, theta, BINARY, penalty=ElasticNet(1e-9, 0.0))
    A, z = summary.matrices(4)[0] * len(y), (X @ theta[:-1] + theta[-1])[:, 0]
    v = np.sqrt(_AHEAD * np.einsum("ij,ij->i", C @ np.linalg.inv(A), C))[:, None]
    e = np.linspace(-8, 8, 801)
    q = 1 / (1 + np.exp(-(z[:, None] + np.minimum(v, 4.0) * e)))
    bend = (q * (1 - q)) @ np.exp(-0.5 * e * e) * (e[1] - e[0]) / np.sqrt(2 * np.pi)
    there = C.T @ (C * bend[:, None])
    assert_allclose(there, A, rtol=0.3, atol=0.1 * np.trace(A) / 4)


def summarizer(loss, task, k):
    sums = empty_sums(np.ones((1, 2)), loss, task, True, 0)
    return _Summarizer(sums, loss, ElasticNet(1e-3, 0.0), True, 1.0)


@pytest.mark.parametrize("spread", [0.5, 2.0, 4.0])
def test_curvatures_are_means_over_normal_predictions(rng, spread):
    z, e = rng.standard_normal((5, 3)), rng.standard_normal((20_000, 1, 3))
    width = np.full_like(z, spread)
    q = 1 / (1 + np.exp(-(z + spread * e)))
    found = summarizer(LogLoss(), BINARY, 1)._bends(np.ones((5, 1)), z[:, :1], width[:, :1])
    assert_allclose(found, (q * (1 - q)).mean(axis=0)[:, :1], rtol=0.25)
    # of classes that are coupled it is made of their probabilities
    q = np.exp(z + spread * e)
    q /= q.sum(axis=2, keepdims=True)
    found = summarizer(MultinomialLogLoss(n_classes=3), THREE, 3)._bends(np.eye(3)[[0, 1, 2, 0, 1]], z, width)
    assert_allclose(found, q.mean(axis=0), atol=0.06)


def test_of_weights_that_l1_makes_zero_rows_say_their_own_slope(rng):
    X, y, theta, _ = rows_of(LogLoss(), rng)
    theta[1:3] = 0
    summary, C, _ = said(LogLoss(), X, y, theta, BINARY, penalty=ElasticNet(1e-2, 1.0))
    slope = LogLoss().gradient(y, X @ theta[:-1] + theta[-1], np.empty_like(y))
    own = (C.T @ slope / len(y))[:, 0]
    bound = 1e-2 * np.exp2(summary.exponent.astype(float))
    assert_allclose(summary.gradient[1:3, 0], np.clip(own[1:3], -bound[1:3], bound[1:3]))
    assert summary.gradient[0, 0] == pytest.approx(-bound[0] * np.sign(theta[0, 0]))
    assert summary.gradient[3, 0] == 0


def test_rows_that_stand_for_others_are_shared_out_among_the_classes():
    y = np.repeat([0, 1], [9_990, 10])
    rows, each = _chosen(y, BINARY, len(y), 200)
    assert len(rows) == len(set(rows.tolist())) == 200
    assert_array_equal(rows[y[rows] > 0], np.arange(9_990, 10_000))
    assert_array_equal(each[y[rows] > 0], 1.0)
    assert each[y[rows] == 0].sum() == pytest.approx(9_990)


def test_rows_of_coupled_classes_that_are_certain_leave_the_model_open(rng):
    learner, C = (
        summarizer(MultinomialLogLoss(n_classes=3), THREE, 3),
        np.c_[rng.standard_normal((1000, 2)), np.ones(1000)],
    )
    learner.at.counted = learner.at.rows = 1000.0
    certain = np.broadcast_to([1 - 1e-9, 1e-9, 1e-9], (1000, 3))
    open_, known = (learner._ranges(C, bend, np.ones(1000)) for bend in (certain, np.full((1000, 3), 1 / 3)))
    assert known.max() < 1
    assert_array_equal(open_, learner._widest)


@pytest.mark.parametrize("rare", [5, 60])
def test_rows_that_are_chosen_stand_for_all_rows_of_their_class(rare):
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [3000, 2000 - rare, rare]))
    chosen, each = _chosen(y, THREE, len(y), 400)
    assert len(np.unique(chosen)) == len(chosen) == 400
    assert_allclose([each[y[chosen] == label].sum() for label in range(3)], np.bincount(y))
    assert (y[chosen] == 2).sum() == rare  # in full


# ------------------------------------------------------------------ classes as columns


def test_a_row_of_a_class_says_so_in_its_columns():
    for n_columns, coupled, n_classes in ((1, False, 2), (3, False, 3), (3, True, 3)):
        targets = targets_of(np.arange(n_classes), n_columns, coupled, n_classes)
        assert_array_equal(classes_of(targets, n_classes), np.eye(n_classes, dtype=bool))
    # labels that come together: a class is a side of a column, and of the others the row says nothing
    targets = targets_of(np.arange(6), 3, False, 6)
    assert_array_equal(targets[:3], -np.eye(3))
    assert_array_equal(targets[3:], np.eye(3))
    y = np.array([[-1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])
    assert_array_equal(classes_of(y, 6), np.concatenate([y < 0, y > 0], axis=1))


def test_forgetting_leaves_means_and_deviations(rng):
    X, y = 3.0 + rng.standard_normal((50, 2)), rng.standard_normal((50, 1))
    sums = empty_sums(X[:5], SquaredError(), RealTargets(1), True, 0)  # about the middle of a few
    CorrectedLearner(sums, SquaredError(), ElasticNet(alpha=0.0), True).learn(X, y, np.ones(50))
    for _ in range(2):
        known = sums.moments()
        assert_allclose(known.mean, X.mean(axis=0), rtol=1e-12)
        assert_allclose(known.squares / known.count, X.var(axis=0), rtol=1e-12)
        sums.forget(0.5)
