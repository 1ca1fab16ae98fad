"""Streams where a mutant survived: what their modules promise, against its definition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad

from skvariants._data.tasks import Binary
from skvariants._stream.frame import Frame
from skvariants._stream.linearization import slopes
from skvariants._stream.memory import Chunk
from skvariants._stream.sample import Sample
from skvariants._stream.sums import MOST, MOST_OF_ALL, Trust, empty_sums, matrices
from skvariants.losses import LogLoss, MultinomialLogLoss, SquaredError
from skvariants.penalties import ElasticNet


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


# ------------------------------------------------------------------ forgetting


def test_only_labels_are_targets_that_may_come_sorted():
    X, y, s = np.ones((4, 2)), np.ones((4, 1)), np.ones(4)
    assert Chunk(X, y, s, True).targets is y
    assert Chunk(X, y, s, False).targets is None
