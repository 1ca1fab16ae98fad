"""Classes that come in blocks: sorted rows are told from rows in random order, whatever the chunks."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.metrics import log_loss

from skvariants import SGDVariantClassifier
from skvariants._stream.arrivals import Arrivals


def took(labels, n_classes, size):
    """Where classes came in numbers, and what is awaited in the end."""
    now, at = Arrivals.of(n_classes), []
    for start in range(0, len(labels), size):
        now, came = now.after(labels[start : start + size, None] == np.arange(n_classes))
        if came:
            at.append(start)
    return now, at


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.9999, 0.0001], [0.7, 0.2, 0.09, 0.01], [1 / 26] * 26])
def test_no_class_of_rows_in_random_order_is_awaited(shares, size):
    for seed in range(10):
        labels = np.random.default_rng(seed).choice(len(shares), 5000, p=shares)
        now, at = took(labels, len(shares), size)
        assert not at
        assert now.awaited is None
        assert (now.counts + now.recent)[-1] == 5000
        np.testing.assert_array_equal((now.counts + now.recent)[:-1], np.bincount(labels, minlength=len(shares)))


@pytest.mark.parametrize("size", [10, 100, 1000])
def test_classes_of_sorted_rows_after_a_few_of_all_come_one_by_one(size):
    first = np.random.default_rng(0).integers(0, 3, 40)
    now, at = took(np.concatenate([first, np.repeat([0, 1, 2], 2000)]), 3, size)
    assert len(at) == 3
    assert np.all(np.abs(np.array(at) - [40, 2040, 4040]) < max(size, 100) + 64)
    assert not now.awaits
    now, at = took(np.concatenate([first, np.repeat([0, 1], 2000)]), 3, size)
    np.testing.assert_array_equal(now.awaited, [False, False, True])
    assert now.awaits


def test_fewer_rows_than_a_block_tell_where_they_are_certain():
    mixed = np.tile([0, 1], 560)
    for n_more in (40, 50):  # by Chernoff's bound 44 rows of one class of two are chance once in 1e13 times
        _, at = took(np.concatenate([mixed, np.zeros(n_more, int)]), 2, 10)
        assert at == ([1160] if n_more == 50 else [])


def test_forgetting_leaves_shares_and_makes_them_less_certain():
    labels = np.random.default_rng(0).integers(0, 2, 520)
    now, _ = took(labels, 2, 100)
    assert now.recent.any()
    half = now.fade(0.5)
    np.testing.assert_allclose(half.counts, now.counts / 2)
    np.testing.assert_allclose(half.recent, now.recent / 2)
    np.testing.assert_array_equal(half.awaited, now.awaited)


@pytest.mark.parametrize("size", [10, 100, 1000])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_stream_that_is_sorted_after_some_rows_of_all_classes_ends_at_the_optimum(n_classes, size):
    left = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((4000, 6)) * np.logspace(-2, 2, 6)
        z = (X / X.std(0)) @ rng.standard_normal((6, n_classes))
        y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
        order = np.concatenate([np.arange(40), 40 + np.argsort(y[40:], kind="stable")])
        X, y = X[order], y[order]
        stream, best = SGDVariantClassifier(random_state=0), SGDVariantClassifier(tol=1e-7)
        for start in range(0, len(y), size):
            stream.partial_fit(X[start : start + size], y[start : start + size], range(n_classes))
        cost = [-np.log(model.predict_proba(X)[np.arange(len(y)), y]).mean() for model in (stream, best.fit(X, y))]
        shares = np.bincount(y) / len(y)
        left.append((cost[0] - cost[1]) / (-(shares * np.log(shares)).sum() - cost[1]))
    assert max(left) < 3e-3


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2], [2, 1, 0]])
def test_a_last_chunk_that_brings_the_last_class_is_learned_to_the_end(order):
    X, y = load_iris(return_X_y=True)
    stream = SGDVariantClassifier()
    for label in order:
        stream.partial_fit(X[y == label], y[y == label], [0, 1, 2])
    whole = SGDVariantClassifier().fit(X, y)
    assert stream.score(X, y) > whole.score(X, y) - 0.02
    # what speaks for weights of zero where rows are few
    assert log_loss(y, stream.predict_proba(X)) < log_loss(y, whole.predict_proba(X)) + 0.05
