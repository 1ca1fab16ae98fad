"""Rows like those of a fit: of their moments; with them a stream leaves the model of the fit without being wrecked."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import log_loss, mean_poisson_deviance

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._stream.likeness import Likeness


def table(seed=0, n=900, d=4):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.3).astype(float)
    X = rng.gamma(2.0, 1.0, (n, d)) @ rng.standard_normal((d, d)) + 2 * y[:, None]
    return np.append(X, np.ones((n, 1)), axis=1), 2 * y[:, None] - 1, rng.integers(0, 4, n).astype(float)


def test_the_rows_have_the_moments_of_their_class():
    C, y, s = table()
    rows, targets, own, stands, chance = Likeness.of(C, y, s, np.ones(len(s)), 10_000).rows()
    assert_allclose(stands.sum(), 1.0)
    assert np.all((own <= stands) & (chance > 0) & (chance <= 1))
    assert_array_equal(rows[:, -1], 1.0)
    for target in (-1.0, 1.0):
        there, here = targets[:, 0] == target, y[:, 0] == target
        assert_allclose(stands[there].sum(), s[here].sum() / s.sum())
        assert_allclose(
            np.average(rows[there], axis=0, weights=stands[there]), np.average(C[here], axis=0, weights=s[here])
        )
        expected = np.cov(C[here, :-1].T, aweights=s[here], ddof=0)
        assert_allclose(np.cov(rows[there, :-1].T, ddof=0), expected, atol=0.2 * np.abs(expected).max())


def test_classes_share_a_covariance_where_there_is_no_room_for_more():
    C, y, s = table()
    shared = Likeness.of(C, y, s, np.ones(len(s)), 2 * 4 + 10)
    assert len(shared.covariance) == 1
    within = sum(
        (s[here].sum() / s.sum()) * np.cov(C[here, :-1].T, aweights=s[here], ddof=0)
        for here in (y[:, 0] == t for t in (-1.0, 1.0))
    )
    assert_allclose(shared.covariance[0], within[np.tril_indices(4)], rtol=1e-5)
    assert Likeness.of(C, y, s, np.ones(len(s)), 2 * 4 + 9) is None


def test_rows_that_stand_for_others_are_as_many():
    C, y, s = table()
    each = np.random.default_rng(1).integers(1, 5, len(s)).astype(float)
    again = np.repeat(np.arange(len(s)), each.astype(int))
    found = Likeness.of(C, y, s, each, 10_000), Likeness.of(C[again], y[again], s[again], np.ones(len(again)), 10_000)
    for name in ("targets", "share", "own", "mean", "covariance"):
        assert_allclose(*(getattr(likeness, name) for likeness in found), rtol=1e-5)


def test_a_class_of_few_rows_is_not_told():
    C, y, _ = table()
    y[:] = -1.0
    y[:7] = 1.0
    assert_array_equal(Likeness.of(C, y, np.ones(len(y)), np.ones(len(y)), 10_000).targets, [[-1.0]])
    assert Likeness.of(C[:7], y[:7], np.ones(7), np.ones(7), 10_000) is None


def worst_of_a_burst(model, seed, call, n=1000, d=5):
    """Largest log loss, beside a constant's, while rows of a class of which there were two follow."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n + 30, d)) * 10.0 ** rng.integers(-3, 4, d)
    y = np.zeros(n + 30, int)
    y[:2] = y[n:] = 1
    model = model.fit(X[:n], y[:n]) if call == "fit" else model.partial_fit(X[:n], y[:n], classes=[0, 1])
    model, worst = pickle.loads(pickle.dumps(model)), 0.0
    for stop in range(n + 3, n + 31, 3):
        model.partial_fit(X[stop - 3 : stop], y[stop - 3 : stop])
        constant = np.full(stop, y[:stop].mean())
        worst = max(worst, log_loss(y[:stop], model.predict_proba(X[:stop])) / log_loss(y[:stop], constant))
    return worst


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_a_class_that_had_been_rare_does_not_wreck_a_stream(call):
    assert max(worst_of_a_burst(SGDVariantClassifier(), seed, call) for seed in range(12)) < 1.2


@pytest.mark.parametrize("loss", ["squared_hinge", "modified_huber", "hinge"])
def test_nor_for_losses_of_margins(loss):
    model, left = SGDVariantClassifier(loss), []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((1030, 5))
        y = np.zeros(1030, int)
        y[:3] = y[1000:] = 1
        stream, constant = clone(model).fit(X[:1000], y[:1000]), clone(model).fit(0 * X, y)
        for start in range(1000, 1030, 3):
            stream.partial_fit(X[start : start + 3], y[start : start + 3])
        value = stream._minimised.value
        left.append(
            value(2.0 * y[:, None] - 1, stream.decision_function(X)[:, None]).mean()
            / value(2.0 * y[:, None] - 1, constant.decision_function(0 * X)[:, None]).mean()
        )
    assert np.median(left) < 1.2
    assert max(left) < 3


def test_one_against_the_rest_and_softmax():
    for multi_class in ("multinomial", "ovr"):
        for seed in range(4):
            rng = np.random.default_rng(seed)
            X, y = rng.standard_normal((1030, 4)), rng.integers(0, 3, 1030)
            y[:2] = y[1000:] = 3
            model, worst = SGDVariantClassifier(multi_class=multi_class).fit(X[:1000], y[:1000]), 0.0
            for start in range(1000, 1030, 3):
                model.partial_fit(X[start : start + 3], y[start : start + 3])
                share = np.bincount(y[: start + 3], minlength=4) / (start + 3)
                constant = log_loss(y[: start + 3], np.tile(share, (start + 3, 1)), labels=range(4))
                worst = max(
                    worst, log_loss(y[: start + 3], model.predict_proba(X[: start + 3]), labels=range(4)) / constant
                )
            assert worst < 1.2


def test_counts_that_become_large():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((530, 3))
        y = rng.poisson(np.where(np.arange(530) < 500, 0.1, 30.0)).astype(float)
        model = SGDVariantRegressor("poisson").fit(X[:500], y[:500])
        for stop in range(503, 531, 3):
            model.partial_fit(X[stop - 3 : stop], y[stop - 3 : stop])
            constant = mean_poisson_deviance(y[:stop], np.full(stop, y[:stop].mean()))
            assert mean_poisson_deviance(y[:stop], model.predict(X[:stop])) < 2 * constant


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_unit_of_the_weights_is_of_no_matter(scale):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((630, 4)), np.zeros(630, int)
    y[:9] = y[600:] = 1
    models = []
    for weight in (1.0, scale):
        model = SGDVariantClassifier(random_state=0).fit(X[:600], y[:600], sample_weight=np.full(600, weight))
        for start in range(600, 630, 5):
            model.partial_fit(X[start : start + 5], y[start : start + 5], sample_weight=np.full(5, weight))
        models.append(model.decision_function(X))
    assert_allclose(*models, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_rows_of_skewed_columns_that_are_like_those_of_the_fit_are_learned_as_without_it(loss):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = rng.lognormal(0, 1.5, (4000, 3))
        t = np.log(X) @ rng.standard_normal(3)
        y = (t + rng.logistic(size=4000) > 0).astype(int)
        model = SGDVariantClassifier(loss, tol=1e-9)
        whole, stream = clone(model).fit(X, y), clone(model).fit(X[:1500], y[:1500])

        def cost(fitted, value=whole._minimised.value, y=y, X=X):
            return value(2.0 * y[:, None] - 1, fitted.decision_function(X)[:, None]).mean()

        best, begins = cost(whole), cost(stream)
        for start in range(1500, 4000, 100):
            stream.partial_fit(X[start : start + 100], y[start : start + 100])
        assert cost(stream) - best < max(0.5 * (begins - best), 1e-4)
