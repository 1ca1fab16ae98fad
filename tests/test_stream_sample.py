"""The sample behind the sums of a stream: rows kept sparse, their weights, and streams sorted by class.

The oracles are dense arrays, sums over all rows, and fits of all rows.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.stats import kstest

from skvariants import SGDVariantClassifier
from skvariants._stream import correction
from skvariants._stream.compact import Rows
from skvariants._stream.frame import Frame
from skvariants._stream.sample import Sample, uniforms
from skvariants.losses import LOSSES


def kept(seed=0, parts=(5, 40, 7), share=0.2):
    """Rows in the units of a frame, kept in parts; and the same, dense."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((sum(parts), 8)) * (rng.random((sum(parts), 8)) < share)
    X[:, 2] = 1e3 + rng.standard_normal(len(X))
    frame = Frame.of(X[: parts[0]], True)
    C, _ = frame.rows(X)
    base = np.append(-frame.centre * frame.factor, 1.0)
    rows, start = Rows.of(np.empty((0, 9)), np.zeros(9)), 0
    for n in parts:
        rows = rows.joined(C[start : start + n], base)
        start += n
    return rows, C


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_rows_are_the_dense_ones(share):
    rows, C = kept(share=share)
    rng = np.random.default_rng(1)
    assert_allclose(rows.toarray(), C, rtol=1e-15, atol=1e-15)
    theta, values, weight = rng.standard_normal((9, 3)), rng.standard_normal((len(C), 3)), rng.exponential(size=len(C))
    assert_allclose(rows @ theta, C @ theta, atol=1e-12)
    assert_allclose(rows.T @ values, C.T @ values, atol=1e-12)
    assert_allclose(rows.gram(weight), C.T @ (weight[:, None] * C), atol=1e-12)
    assert_allclose(rows[10:30] @ theta, C[10:30] @ theta, atol=1e-12)
    change = np.exp2(rng.integers(-3, 4, 9).astype(float))
    change[-1] = 1.0
    assert_allclose(rows.times(change).toarray(), C * change, rtol=1e-15, atol=1e-15)
    assert_array_equal(np.concatenate([dense for _, dense in rows.parts()]), rows.toarray())


def test_rows_of_mostly_zeros_are_kept_sparse():
    rows, _ = kept(share=0.05, parts=(200, 200))
    assert_array_equal(rows.which, [2])
    assert rows.numbers < 2


def test_rows_of_few_zeros_are_an_array():
    rows, C = kept(share=1.0, parts=(20, 30))
    assert rows.rest is None
    assert_array_equal(rows[7:].toarray(), C[7:])


def test_numbers_of_rows_are_uniform_whatever_the_chunks():
    numbers = uniforms(3, 0, 200_000)
    assert kstest(numbers, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.01
    assert_array_equal(np.concatenate([uniforms(3, 0, 7), uniforms(3, 7, 193)]), numbers[:200])
    assert abs(np.corrcoef(numbers[:1000], uniforms(4, 0, 1000))[0, 1]) < 0.1


def drawn(label, s, size, seed):
    """A sample of rows whose only column is their number."""
    rng, sample = np.random.default_rng(seed), Sample.empty(1, 1, 2)
    for part in np.array_split(np.arange(len(s)), 7):
        priority = s[part] / (1 - rng.random(len(part)))
        chosen = sample.chosen(label[part], priority, size)
        rows, column = part[chosen], np.zeros((len(chosen), 1))
        C = np.column_stack([rows, np.ones(len(rows))])
        sample.wait([C, column, s[rows], label[rows], priority[chosen], column, column, column])
        if sample.n_waiting > 30:
            sample.join(np.array([0.0, 1.0]))
            sample.thin(size)
    sample.join(np.array([0.0, 1.0]))
    sample.thin(size)
    return sample


@pytest.mark.parametrize("weights", ["equal", "of six orders"])
def test_a_sample_stands_for_all_rows(weights):
    rng = np.random.default_rng(0)
    n = 600
    label, value = (rng.random(n) < 0.05).astype(int), rng.standard_normal(n) + 1
    s = np.ones(n) if weights == "equal" else 10.0 ** rng.uniform(-3, 3, n)
    sums = []
    for seed in range(60):
        sample = drawn(label, s, 80, seed)
        rows = sample.C.toarray()[:, 0].astype(int)
        assert len(sample) == 80
        assert_array_equal(label[rows], sample.label)
        assert_array_equal(s[rows], sample.s)
        if (label == 1).sum() <= 40:
            assert_array_equal(np.sort(rows[sample.label == 1]), np.flatnonzero(label == 1))
            assert_array_equal(sample.weight[sample.label == 1], s[label == 1])
        sums.append([sample.weight @ value[rows], sample.weight.sum()])
    error = np.std(sums, axis=0) / np.sqrt(60)
    assert np.all(np.abs(np.mean(sums, axis=0) - [s @ value, s.sum()]) < 3.5 * error + 1e-9)


def test_a_sample_that_holds_all_rows_is_these():
    s = np.random.default_rng(0).exponential(size=50)
    sample = drawn(np.zeros(50, int), s, 50, 0)
    assert_array_equal(sample.weight, s)
    sample.fade(0.5)
    assert_array_equal(sample.weight, 0.5 * s)


# ---------------------------------------------------------------------- streams sorted by class


def separable(n=10_000, d=300, rare=0.04, seed=0):
    """Words of a dozen a row; those of the rare class are almost its own."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < rare).astype(int)
    common = (1.0 / np.arange(1, d + 1)) ** 0.7
    own = np.where(np.arange(d) % 7 == 0, 12.0, 0.6) * common
    X = np.empty((n, d))
    for label, share in enumerate([common, own]):
        rows = y == label
        X[rows] = rng.random((rows.sum(), d)) < np.minimum(0.9, 12 * share / common.sum() / (3 if label else 1))
    order = np.argsort(y, kind="stable")
    return X[order], y[order]


def costs(model, X, y, loss="log_loss"):
    """Mean losses and penalty, and those of the best constant."""
    loss, t = LOSSES[loss](), np.where(y == model.classes_[1], 1.0, -1.0)
    z = np.asarray(X @ model.coef_.T + model.intercept_)
    constant = minimize(lambda c: loss.value(t, np.full(len(t), c[0])).mean(), [0.0], method="Nelder-Mead")
    return loss.value(t[:, None], z).mean() + 0.5 * model.alpha * (model.coef_**2).sum(), constant.fun


def streamed(model, X, y, size, until=None):
    for start in range(0, len(y) if until is None else until, size):
        rows = slice(start, start + size)
        model.partial_fit(X[rows], y[rows], classes=[0, 1])
    return model


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_sparse_rows_sorted_by_class_and_almost_separable(form):
    X, y = separable()
    X = form(X)
    least = costs(SGDVariantClassifier(tol=1e-7, max_iter=1000).fit(X, y), X, y)[0]
    cost, constant = costs(streamed(SGDVariantClassifier(random_state=0), X, y, 1000), X, y)
    assert cost - least < 2e-2 * (constant - least)


def test_rows_that_the_sample_cannot_hold_are_weighed_and_begun_again(monkeypatch):
    X, y = separable()
    monkeypatch.setattr(correction, "_SORTED", 1 << 15)  # a quarter of their numbers
    least = costs(SGDVariantClassifier(tol=1e-7, max_iter=1000).fit(X, y), X, y)[0]
    streams = [streamed(SGDVariantClassifier(random_state=seed), sp.csr_array(X), y, 1000) for seed in range(5)]
    cost, constant = (np.median(values) for values in zip(*(costs(model, X, y) for model in streams), strict=True))
    assert cost - least < 0.1 * (constant - least)


def test_a_class_that_is_most_of_the_stream_and_comes_last():
    X, y = separable(n=6000, d=60, rare=0.9)
    least = costs(SGDVariantClassifier(tol=1e-7, max_iter=1000).fit(X, y), X, y)[0]
    cost, constant = costs(streamed(SGDVariantClassifier(random_state=0), X, y, 500), X, y)
    assert cost - least < 1e-2 * (constant - least)


@pytest.mark.parametrize("size", [30, 100])
@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge"])
def test_the_first_rows_of_the_second_class_make_no_model_worse_than_a_constant(loss, size):
    X, y = separable(n=4000, d=20, rare=0.3)
    first = int(np.argmax(y))
    model = streamed(SGDVariantClassifier(loss=loss, random_state=0), X, y, size, until=first - first % size)
    for stop in range(first - first % size, first + 400, size):
        model.partial_fit(X[stop : stop + size], y[stop : stop + size])
        if stop + size >= first + 30:
            cost, constant = costs(model, X[: stop + size], y[: stop + size], loss)
            assert cost < 2 * constant


@pytest.mark.parametrize("order", ["random", "sorted"])
def test_kinks_of_sparse_rows(order):
    X, y = separable(n=6000, d=60, rare=0.3)
    if order == "random":
        rows = np.random.default_rng(0).permutation(len(y))
        X, y = X[rows], y[rows]
    least = costs(SGDVariantClassifier(loss="hinge", tol=1e-7).fit(X, y), X, y, "hinge")[0]
    cost, constant = costs(streamed(SGDVariantClassifier(loss="hinge", random_state=0), X, y, 500), X, y, "hinge")
    assert cost - least < 1e-2 * (constant - least)
