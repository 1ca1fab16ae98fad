"""The change of variables: moments are those of the columns, and models are the same in any coordinates."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from _references import features
from skvariants._data.scaling import Coordinates, Moments
from skvariants.penalties import ElasticNet

N, D = 230, 7


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def moments_of(X, weight=None):
    moments = Moments()
    moments.update(X, weight)
    return moments


# ------------------------------------------------------------------ moments


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_moments_are_those_of_the_columns(rng, weighted, dtype):
    X = features(rng, n=20_000, zeros=0.4).astype(dtype)
    X[:, 0] = 1e8 + 1e3 * rng.standard_normal(len(X))  # far from zero
    X[:, 1] = 5.0  # constant
    X[:, 2] = np.arange(len(X))  # sorted
    weight = (rng.random(len(X)) + 0.1).astype(dtype) if weighted else None
    w = None if weight is None else weight.astype(float)
    mean = np.average(X.astype(float), axis=0, weights=w)
    variance = np.average((X - mean) ** 2, axis=0, weights=w)
    whole, sparse, parts = moments_of(X, weight), moments_of(sp.csr_matrix(X), weight), Moments()
    for rows in (slice(0, 1), slice(1, 9000), slice(9000, None)):
        parts.update(X[rows], None if weight is None else weight[rows])
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    for moments in (whole, parts, sparse):
        assert (np.abs(moments.mean - mean) <= 1e-12 * np.abs(mean) + rtol * np.sqrt(variance)).all()
        assert_allclose(moments.squares / moments.count, variance, rtol=max(rtol, 1e-7), atol=1e-10)
        assert moments.coordinates(True, 1.0, np.dtype(dtype)).inverse_scale[1, 0] == 0


def test_moments_of_single_precision_hold_what_its_squares_do_not(rng):
    X = rng.standard_normal((3000, 6)).astype(np.float32) * np.float32([1e25, 1e-25, 1, 1e-17, 1e18, 0])
    X[:, 2] = rng.random(3000) < 0.3  # equal addends, all of them rounded the same way
    moments = moments_of(X)
    assert_allclose(moments.squares / moments.count, np.var(X.astype(float), axis=0), rtol=1e-5)
    # sorted by a column, whose first rows are far from the others
    X = np.sort(np.concatenate([np.zeros(600), 1e4 + rng.standard_normal(50_000)]))[:, None].astype(np.float32)
    moments = moments_of(X)
    assert_allclose(moments.squares / moments.count, np.var(X.astype(float), axis=0), rtol=1e-5)


@pytest.mark.parametrize("split", [0, 1, 100, N])
@pytest.mark.parametrize("weighted", [False, True])
def test_merging_is_updating(rng, split, weighted):
    X, weight = features(rng), rng.random(N) + 0.5 if weighted else None
    first, second = (None if weight is None else weight[rows] for rows in (slice(split), slice(split, None)))
    merged, updated = moments_of(X[:split], first), moments_of(X[:split], first)
    merged.merge(moments_of(X[split:], second))
    updated.update(X[split:], second)
    whole = moments_of(X, weight)
    for moments in (merged, updated):
        assert moments.count == pytest.approx(whole.count)
        assert_allclose(moments.mean, whole.mean)
        assert_allclose(moments.squares, whole.squares)


def test_nothing_changes_nothing(rng):
    moments = moments_of(features(rng))
    before = moments.copy()
    moments.update(np.empty((0, D)))
    moments.merge(Moments())
    assert_array_equal(moments.mean, before.mean)
    assert moments.count == before.count == N
    empty = Moments()
    empty.merge(Moments())
    assert empty.count == 0


def test_a_copy_goes_its_own_way(rng):
    moments = moments_of(features(rng))
    copy = moments.copy()
    copy.update(features(rng) + 5)
    assert moments.count == N
    assert_array_equal(moments.mean, moments_of(features(np.random.default_rng(0))).mean)


# ------------------------------------------------------------------ coordinates


@pytest.mark.parametrize("center", [False, True])
def test_standardised_columns_have_variance_one_or_second_moment_one(rng, center):
    X = features(rng)
    coordinates = moments_of(X).coordinates(center, 1.0, float)
    C = coordinates.rows(X, float)
    assert_array_equal(C[:, -1], 1)
    assert_allclose((C[:, :-1] ** 2).mean(axis=0), 1)
    if center:
        assert_allclose(C[:, :-1].mean(axis=0), 0, atol=1e-12)
    else:
        assert_array_equal(coordinates.mean, 0)


@pytest.mark.parametrize("target", [1.0, 3.0, np.array([2.0, 0.5])])
@pytest.mark.parametrize("center", [False, True])
def test_a_model_is_the_same_in_any_coordinates(rng, target, center):
    X = features(rng)
    coordinates = moments_of(X).coordinates(center, target, float)
    V = rng.standard_normal((D + 1, 2))
    original = coordinates.original(V)
    assert_allclose(X @ original[:-1] + original[-1], target * (coordinates.rows(X, float) @ V))
    assert_allclose(coordinates.standardised(original), V, rtol=1e-9)
    assert coordinates.keeps_target == (np.ndim(target) == 0 and target == 1.0)


def test_the_coordinates_of_the_data_change_nothing(rng):
    X, theta, identity = features(rng), rng.standard_normal((D + 1, 2)), Coordinates()
    assert identity.identity
    assert_array_equal(identity.rows(X, float), np.column_stack([X, np.ones(N)]))
    for other in (identity.original(theta), identity.standardised(theta), identity.take(np.array([0])).original(theta)):
        assert_array_equal(other, theta)


def test_some_columns_keep_their_units(rng):
    X, columns = features(rng), np.array([2, 0])
    coordinates = moments_of(X).coordinates(True, np.array([1.0, 2.0, 5.0]), float)
    V = rng.standard_normal((D + 1, 3))
    assert_allclose(coordinates.take(columns).original(V[:, columns]), coordinates.original(V)[:, columns])
    one = moments_of(X).coordinates(True, 2.0, float)
    assert one.take(columns) is one


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_column_that_is_constant_up_to_rounding_has_no_weight(rng, dtype):
    X = features(rng).astype(dtype)
    X[:, 1] = dtype(0.1)
    X[:, 2] = dtype(1e6) * (1 + 4 * np.finfo(dtype).eps * rng.integers(0, 2, N))
    coordinates = moments_of(X).coordinates(True, 1.0, dtype)
    assert_array_equal(coordinates.inverse_scale[[1, 2], 0], 0)
    assert (coordinates.inverse_scale[[0, 3], 0] > 0).all()
    assert coordinates.mean.dtype == coordinates.inverse_scale.dtype == dtype
    theta = np.ones((D + 1, 1), dtype)
    assert_array_equal(coordinates.standardised(theta)[[1, 2]], 0)
    assert_array_equal(coordinates.original(theta)[[1, 2]], 0)


def test_a_variance_that_overflows_is_refused_with_its_column_and_a_remedy(rng):
    X = features(rng)
    X[:, 3] *= 1e200
    with pytest.raises(ValueError, match=r"by number: \[3\]\): divide them by a power of ten"):
        moments_of(X).coordinates(True, 1.0, float)


@pytest.mark.parametrize("scale", [1e-36, 1e-20, 1e20, 1e36])
def test_single_precision_is_standardised_by_numbers_it_holds(rng, scale):
    X = (scale * rng.standard_normal((N, 2))).astype(np.float32)
    coordinates = moments_of(X).coordinates(True, 1.0, np.float32)
    rows = coordinates.rows(X, np.float32)
    assert_allclose(rows[:, :-1].std(axis=0), 1, rtol=1e-5)
    assert_allclose(rows[:, :-1].mean(axis=0), 0, atol=1e-5)
    with np.errstate(all="raise"):
        strength = ElasticNet(1.0, 0.0).rescaled(coordinates.units, 1.0).l2_strength
    assert np.isfinite(strength).all()


def test_single_precision_has_no_scale_for_what_it_cannot_invert(rng):
    X = features(rng).astype(np.float32)
    X[:, 3] = 1e-40 * rng.standard_normal(N)
    with pytest.raises(ValueError, match=r"squares vanish \(by number: \[3\]\): multiply them by a power of ten"):
        moments_of(X).coordinates(True, 1.0, np.float32)
    X[:, 3] = 1e-40  # a constant says nothing beside the intercept, whatever its size
    assert moments_of(X).coordinates(True, 1.0, np.float32).inverse_scale[3] == 0


# ------------------------------------------------------------------ columns that are mostly zero


@pytest.mark.parametrize("weighted", [False, True])
def test_values_that_are_not_zero_are_counted_whatever_is_stored(rng, weighted):
    X = np.where(rng.random((N, D)) < 0.3, rng.standard_normal((N, D)), 0.0)
    X[:, 0] = 1.0
    weight = rng.random(N) + 0.5 if weighted else None
    stored = sp.csr_matrix(X)
    stored.data[::7] = 0.0  # zeros that are stored
    X = stored.toarray()
    expected = (X != 0).T @ (np.ones(N) if weight is None else weight)
    parts = Moments()
    for rows in (slice(0, 1), slice(1, 100), slice(100, None)):
        parts.update(X[rows], None if weight is None else weight[rows], filling=True)
    for data in (X, stored):
        moments = Moments()
        moments.update(data, weight, filling=True)
        assert_allclose(moments.filled, expected)
    assert_allclose(parts.filled, expected)
    assert_array_equal(parts.copy().filled, parts.filled)
    parts.update(X, weight)
    assert parts.filled is None  # rows that were not counted


@pytest.mark.parametrize("target", [1.0, np.array([2.0, 5.0])])
def test_rare_columns_stay_uncentred_with_a_mean_square_of_one(rng, target):
    X = np.where(rng.random((N, D)) < 0.05, rng.standard_normal((N, D)) + 2, 0.0)
    X[:, :2] = rng.standard_normal((N, 2)) + 3
    X[:, 2] = 0.0
    moments = Moments()
    moments.update(X, filling=True)
    rare, all_centred = (moments.coordinates(True, target, float, which) for which in (True, False))
    assert_array_equal(rare.mean_row[2:], 0)
    assert_array_equal(rare.mean_row[:2], all_centred.mean_row[:2])
    C = rare.rows(X, float)[:, :-1]
    assert_allclose((C**2).mean(axis=0), [1, 1, 0, 1, 1, 1, 1])
    theta = rng.standard_normal((D + 1, 2))
    theta[2] = 0
    assert_allclose(rare.standardised(rare.original(theta)), theta)
    unasked = moments_of(X).coordinates(True, target, float, rare=True)
    assert_array_equal(unasked.mean, all_centred.mean)


def test_coordinates_of_scaled_rows_are_the_same_coordinates(rng):
    c = moments_of(features(rng)).coordinates(True, 2.0, float)
    scaled, X = c.of_scaled_rows(), features(rng)
    theta = rng.standard_normal((D + 1, 1))
    own, theirs = scaled.original(theta), c.original(theta)
    assert_allclose((X * c.inverse_scale[:, 0]) @ own[:-1] + own[-1], X @ theirs[:-1] + theirs[-1])
