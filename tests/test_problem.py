"""What is minimised: products in any coordinates, gradients, and the constant model."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar

from _references import CLASSIFYING, features, problem
from skvariants._data.tasks import ClassColumns, SignColumn
from skvariants._training.problem import by_column, by_model, columns_of, of_column, without_axis
from skvariants.losses import LOSSES, LogLoss

N, D = 230, 7
both_kinds = pytest.mark.parametrize("data", [np.asarray, sp.csr_matrix])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------ products and coordinates


@both_kinds
def test_predictions_are_those_of_the_model_in_the_units_of_the_data(rng, data):
    X, target = features(rng, zeros=0.5), np.array([2.0, 5.0])
    p = problem(data(X), rng.standard_normal((N, 2)), target=target)
    theta = rng.standard_normal((D + 1, 2))
    original = p.coordinates.original(theta)
    expected = X @ original[:-1] + original[-1]
    assert_allclose(p.predict(p.rows.X, theta), expected)
    assert_allclose(p.predict(p.rows.X, theta, np.empty((N, 2))), expected)


@both_kinds
@pytest.mark.parametrize("scaled", [False, True])
def test_the_gradient_is_the_derivative_of_the_mean_loss(rng, data, scaled):
    X, y, target = features(rng, zeros=0.5), rng.standard_normal((N, 2)), np.array([2.0, 5.0])
    p = problem(data(X), y, scaled=scaled, target=target)
    theta, V = rng.standard_normal((2, D + 1, 2))
    r = (p.predict(p.rows.X, theta) - y) / N
    g = p.gradient(p.rows.X, r, np.empty_like(theta))
    assert_allclose(p.gradient(p.rows.X, r * N, np.empty_like(theta), N), g, rtol=1e-9, atol=1e-12)

    def mean_loss(t):
        value = p.loss.value(y, p.predict(p.rows.X, theta + t * V)).mean(axis=0)
        return value * p.coordinates.objective_scale

    h = 1e-4
    assert_allclose((g * V).sum(axis=0), (mean_loss(h) - mean_loss(-h)) / (2 * h), rtol=1e-7)


@both_kinds
@pytest.mark.parametrize("scaled", [False, True])
def test_without_an_intercept_its_gradient_is_zero(rng, data, scaled):
    X, r = features(rng), rng.standard_normal((N, 2))
    with_one, without = (problem(data(X), r, scaled=scaled, intercept=intercept) for intercept in (True, False))
    g = without.gradient(without.rows.X, r, np.empty((D + 1, 2)))
    assert_array_equal(g[-1], 0)
    assert (with_one.gradient(with_one.rows.X, r, np.empty((D + 1, 2)))[-1] != 0).all()


def test_a_gradient_of_the_intercept_that_is_rounding_alone_is_zero(rng):
    # a scale-free solver would take a whole step along it
    X, y = features(rng), rng.standard_normal((N, 1))
    p = problem(X, y)
    r = y.mean() - y
    assert abs(r.sum()) > 0
    assert p.gradient(p.rows.X, r, np.empty((D + 1, 1)), N)[-1] == 0
    assert p.gradient(p.rows.X, r + 1e-9, np.empty((D + 1, 1)), N)[-1] == pytest.approx(1e-9)


def test_some_columns_are_the_problem_of_those_columns(rng):
    X, y, columns = features(rng), rng.standard_normal((N, 3)), np.array([2, 0])
    p = problem(X, y, target=np.array([1.0, 2.0, 5.0])).take(columns)
    same = problem(X, y[:, columns], target=np.array([5.0, 1.0]))
    theta, r = rng.standard_normal((D + 1, 2)), rng.standard_normal((N, 2))
    assert_array_equal(p.labels_of(slice(None))[0], y[:, columns])
    assert_allclose(p.predict(X, theta), same.predict(X, theta))
    assert_allclose(p.gradient(X, r, np.empty((D + 1, 2))), same.gradient(X, r, np.empty((D + 1, 2))))
    assert_allclose(p.penalty.value(theta[:-1]), same.penalty.value(theta[:-1]))


@both_kinds
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_square_norms_are_those_of_the_rows_in_the_coordinates_worked_in(rng, data, scaled, intercept, weighted):
    X = features(rng, zeros=0.5)
    X[:, 2] = 3.0  # in standardised coordinates a constant column has none
    weight = rng.random(N) + 0.5 if weighted else None
    weight = None if weight is None else weight / weight.mean()
    p = problem(data(X), rng.standard_normal((N, 1)), scaled=scaled, weight=weight, intercept=intercept)
    squares = (p.coordinates.rows(X, float)[:, :-1] ** 2).sum(axis=1)
    assert_allclose(p.square_norms(p.rows.X)[:, 0], squares, atol=1e-10)
    assert p.mean_square_norm() == pytest.approx(np.average(squares, weights=weight) + intercept)


# ------------------------------------------------------------------ the constant model


@pytest.mark.parametrize("name", CLASSIFYING)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_constant_is_about_the_best_and_its_cost_is_its_mean_loss(rng, name, weighted):
    y, loss = np.where(rng.random((N, 2)) < [0.3, 0.8], 1.0, -1.0), LOSSES[name]()
    weight = rng.random(N) + 0.5 if weighted else None
    weight = None if weight is None else weight / weight.mean()
    p = problem(features(rng), y, loss, weight=weight)
    constants, costs = p.intercept_only()
    assert constants.shape == costs.shape == (2,)

    def cost(z, j):
        return float(np.average(loss.value(y[:, [j]], np.full((N, 1), z))[:, 0], weights=weight))

    for j in range(2):
        if name == "perceptron":  # it costs nothing at zero
            expected = np.average(loss.value(y, -y)[:, j], weights=weight)
            assert (constants[j], costs[j]) == (0, pytest.approx(expected))
            continue
        assert costs[j] == pytest.approx(cost(constants[j], j))
        best = minimize_scalar(cost, args=(j,), bounds=(-3, 3), method="bounded").fun
        assert costs[j] <= 1.05 * best + 1e-2


def test_the_constant_without_an_intercept_is_zero(rng):
    y = rng.standard_normal((N, 2)) + 3
    constants, costs = problem(features(rng), y, intercept=False).intercept_only()
    assert_array_equal(constants, 0)
    assert_allclose(costs, 0.5 * (y**2).mean(axis=0))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_constant_of_classes_sees_their_shares_alone(rng, weighted):
    X, codes, weight = features(rng), rng.choice(3, N, p=[0.2, 0.3, 0.5]), None
    if weighted:
        weight = rng.random(N) + 0.5
        weight /= weight.mean()
    for encoding, y in ((ClassColumns(3), codes), (SignColumn(1), np.where(codes, 1.0, -1.0)[:, None])):
        p = problem(X, y, LogLoss(), encoding=encoding, weight=weight)
        expanded = problem(X, encoding.expand(y), LogLoss(), weight=weight)
        for one, other in zip(p.intercept_only(), expanded.intercept_only(), strict=True):
            assert_allclose(one, other, rtol=1e-12)


# ------------------------------------------------------------------ models and columns


def test_models_are_adjacent_columns():
    assert_array_equal(columns_of(np.array([2, 0]), 3), [6, 7, 8, 0, 1, 2])
    assert_array_equal(columns_of(np.array([True, False, True]), 2), [0, 1, 4, 5])
    assert_array_equal(by_model(np.arange(6.0), 3), [3, 12])
    assert_array_equal(by_model(np.arange(3.0), 1), np.arange(3.0))
    assert_array_equal(by_column(np.array([1.0, 2.0]), 2), [1, 1, 2, 2])


def test_a_value_of_a_column_is_that_of_all_or_its_own():
    assert of_column(3.0, 1) == 3.0
    assert of_column(np.array([1.0, 2.0]), 1) == 2.0
    assert_array_equal(of_column(np.array([[1.0], [2.0]]), 1), [1, 2])
    assert_array_equal(of_column(np.array([[1.0, 5.0], [2.0, 6.0]]), 1), [5, 6])


def test_a_row_of_one_number_loses_its_dimension_alone():
    assert without_axis(np.array([3.0])).shape == ()
    assert without_axis(np.array([3.0, 4.0])).shape == (2,)
