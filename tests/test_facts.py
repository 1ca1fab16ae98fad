"""Facts of problems whose answer is known, and what must not change one."""

from dataclasses import asdict

import numpy as np
import pytest
import scipy.sparse as sp

from _references import assert_same_facts, features, isotropic, steep, with_spectrum
from skvariants._advice.facts import RARE, SAMPLE_ROWS, facts, measure
from skvariants._data.scaling import Moments
from skvariants._data.tasks import Binary, OneVsRest, RealTargets, Softmax


def labels(X, y, **options):
    """Facts of a problem of labels."""
    return facts(X, y, classification=True, **options)


def reals(X, y, **options):
    """Facts of a problem of real targets."""
    return facts(X, y, classification=False, **options)


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize("kappa", [1.0, 30.0, 1e6])
def test_condition_number_is_the_known_one(kappa):
    X = with_spectrum(np.geomspace(kappa, 1.0, 8))
    f = reals(X, np.random.default_rng(0).standard_normal(len(X)), scaled=False)
    assert f.condition_number == pytest.approx(kappa, rel=1e-6)
    assert f.raw_condition_number == f.condition_number


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("center", [False, True])
def test_condition_numbers_are_those_of_the_second_moments(weighted, center):
    rng = np.random.default_rng(0)
    X, y = features(rng, 500, 6), rng.standard_normal(500)
    weight = rng.random(500) + 0.5 if weighted else None

    def condition(A):
        values = np.linalg.eigvalsh(A.T @ (A if weight is None else weight[:, None] * A))
        return values[-1] / values[0]

    f = reals(X, y, weight=weight, center=center)
    mean = np.average(X, axis=0, weights=weight)
    centred = X - mean if center else X
    scale = np.sqrt(np.average(centred**2, axis=0, weights=weight))
    assert f.condition_number == pytest.approx(condition(centred / scale))
    assert f.raw_condition_number == pytest.approx(condition(np.column_stack([X, np.ones(500)])))
    std = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    assert f.scale_ratio == pytest.approx(std.max() / std.min())
    assert f.largest_offset == pytest.approx((np.abs(mean) / std).max())


def test_condition_number_of_two_correlated_columns_in_any_units():
    rng = np.random.default_rng(0)
    U = with_spectrum(np.ones(2))
    r = 0.99
    X = np.column_stack([U[:, 0], r * U[:, 0] + np.sqrt(1 - r**2) * U[:, 1]])
    f = reals(X * [1e4, 1e-3] + [1e5, 0], rng.standard_normal(len(X)))
    assert f.condition_number == pytest.approx((1 + r) / (1 - r), rel=1e-6)
    assert f.scale_ratio == pytest.approx(1e7)
    assert f.largest_offset == pytest.approx(10.0)
    assert f.raw_condition_number > 1e11


def test_length_of_the_ravine_is_the_steps_that_gradient_descent_takes():
    n, spectrum = 1000, np.array([50.0, 7.0, 1.0])
    X = with_spectrum(spectrum, n)
    w = np.array([1.0, -2.0, 3.0])
    H = X.T @ X / n
    f = reals(X, X @ w, scaled=False)

    v, steps = np.zeros(3), 0
    start = w @ H @ w
    while (v - w) @ H @ (v - w) > 0.01 * start:
        v -= H @ (v - w) / 50.0
        steps += 1
    assert f.ravine == pytest.approx(steps, rel=0.05)


@pytest.mark.parametrize("weighted", [False, True])
def test_what_sampling_alone_would_gain_makes_no_ravine_longer(weighted):
    rng = np.random.default_rng(0)
    n, spectrum = 400, np.geomspace(100.0, 1.0, 6)
    X, y = with_spectrum(spectrum, n), rng.standard_normal(n)
    s = rng.random(n) + 0.5 if weighted else np.ones(n)
    s /= s.mean()
    mean = s @ X / n
    C, residual = X - mean, y - s @ y / n
    scale = np.sqrt(s @ C**2 / n)
    C /= scale
    values, vectors = np.linalg.eigh((C * s[:, None]).T @ C / n)
    along = vectors.T @ (C.T @ (s * residual)) / n
    gain = np.maximum(along**2 / values - s @ residual**2 / n**2, 0)
    assert 0 < np.count_nonzero(gain) < 6
    t = reals(X, y, weight=s if weighted else None).ravine
    left = (gain * (1 - np.minimum(values / values[-1], 1 - 1e-12)) ** (2 * t)).sum() / gain.sum()
    assert left == pytest.approx(0.01, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_noise_is_what_least_squares_leaves(weighted):
    rng = np.random.default_rng(0)
    n, d = 1000, 4
    X = features(rng, n, d)
    y = X @ rng.standard_normal((d, 2)) + [1.0, 3.0] * rng.standard_normal((n, 2))
    s = rng.random(n) + 0.5 if weighted else np.ones(n)
    root = np.sqrt(s)[:, None]
    A = root * np.column_stack([X, np.ones(n)])
    left = root * y - A @ np.linalg.lstsq(A, root * y)[0]
    total = (s[:, None] * (y - np.average(y, axis=0, weights=s)) ** 2).sum()
    assert reals(X, y, weight=s if weighted else None).noise == pytest.approx((left**2).sum() / total, abs=0.02)
    assert reals(X, X @ np.arange(4.0)).noise == pytest.approx(0, abs=1e-9)
    assert reals(X, np.ones(n)).noise is None
    assert reals(X[:5], y[:5]).noise is None


def test_a_flat_direction_without_gain_makes_no_ravine():
    X = with_spectrum([100.0, 1e-4], 1000)
    Q = np.linalg.eigh(X.T @ X)[1]
    f = reals(X, X @ Q[:, -1], scaled=False)
    assert f.condition_number == pytest.approx(1e6, rel=1e-6)
    assert f.ravine < 3


def test_a_constant_target_is_no_ravine():
    X, _ = isotropic(100, 3)
    assert reals(X, np.ones(100) * 0.3).ravine == 1.0


def test_the_longest_ravine_has_an_end():
    X = with_spectrum([1e10, 1.0], 1000)
    Q = np.linalg.eigh(X.T @ X)[1]
    assert reals(X, X @ Q[:, 0], scaled=False).ravine == 1e9


def test_frequencies_are_the_known_ones():
    n = 1000
    X = np.zeros((n, 4))
    X[:, 0] = np.arange(1, n + 1)
    X[:500, 1] = 1.0
    X[:5, 2] = 1.0
    X[:, 3] = 7.0
    f = reals(X, np.arange(n, dtype=float))
    assert 5 / n < RARE < 500 / n
    assert f.rare_share == pytest.approx(1 / 3)
    assert f.frequency_ratio == pytest.approx(200)
    assert f.constant_columns == 1
    assert f.density == pytest.approx((1000 + 500 + 5 + 1000) / 4000)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_frequencies_are_shares_of_the_weight(form):
    rng = np.random.default_rng(0)
    X, weight = features(rng, 300, 5, zeros=0.7), rng.random(300)
    f = reals(form(X), rng.standard_normal(300), weight=weight)
    share = weight @ (X != 0) / weight.sum()
    assert f.density == pytest.approx(share.mean())
    assert f.frequency_ratio == pytest.approx(share.max() / share.min())


def test_stored_zeros_are_zeros():
    X = sp.csr_matrix(np.eye(6))
    Z = sp.csr_matrix((np.r_[X.data, 0.0], (np.r_[np.arange(6), 0], np.r_[X.indices, 3])), shape=(6, 6))
    y = np.arange(6.0)
    assert_same_facts(reals(Z, y), reals(X, y))


def test_sizes_and_classes():
    X, _ = isotropic(100, 3)
    f = labels(X, np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 10))
    assert (f.n_samples, f.n_features, f.n_columns, f.classes) == (100, 3, 3, 3)
    assert f.smallest_class == pytest.approx(0.1)
    g = reals(X, np.random.default_rng(0).standard_normal((100, 2)))
    assert (g.n_columns, g.classes, g.smallest_class) == (2, None, None)
    assert labels(X, np.arange(100) % 2).n_columns == 1


def test_more_rows_than_a_sample_are_sampled_and_fewer_of_many_columns():
    rng = np.random.default_rng(0)
    for n, d, expected in ((500, 3, 500), (5000, 3, SAMPLE_ROWS), (5000, SAMPLE_ROWS, SAMPLE_ROWS // 2)):
        X = sp.random(n, d, density=0.01, format="csr", random_state=0)
        f = reals(X, rng.standard_normal(n), random_state=0)
        assert f.sample_rows == expected


@pytest.mark.parametrize("task", [Softmax(np.arange(3)), OneVsRest(np.arange(3))])
def test_a_task_that_is_known_is_measured_as_it_is(task):
    X, _ = isotropic(300, 4)
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    options = dict(scaled=True, smooth=False, weight=None, center=True)
    assert_same_facts(measure(X, task, y, **options), labels(X, y, smooth=False))
    assert not measure(X, task, y, **options).smooth


def test_labels_say_what_signs_as_real_targets_say():
    X, y = steep(900)
    codes = (y > 0).astype(int)
    options = dict(scaled=True, smooth=True, weight=None, center=True)
    one = measure(X, Binary(np.array([0, 1])), codes, **options)
    other = measure(X, RealTargets(1), codes[:, None].astype(float), **options)
    assert one.ravine == pytest.approx(other.ravine, rel=1e-9)


# ------------------------------------------------------------------ invariance


def test_units_do_not_matter():
    X, y = isotropic(3000)
    a, b = (labels(X * units, y, random_state=0) for units in (1.0, np.geomspace(1e-4, 1e4, 20)))
    assert_same_facts(a, b, but=("scale_ratio", "raw_condition_number"))


def test_order_of_rows_does_not_matter_where_all_are_sampled():
    X, y = isotropic(900)
    order = np.random.default_rng(1).permutation(900)
    assert_same_facts(labels(X, y), labels(X[order], y[order]))


def test_order_of_rows_hardly_matters_where_some_are_sampled():
    X, y = steep(6000)
    order = np.random.default_rng(1).permutation(6000)
    a, b = reals(X, y, random_state=0), reals(X[order], y[order], random_state=1)
    assert_same_facts(a, b, rtol=0.5)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize(
    ("columns", "weighted"), [(60, False), (60, True), (6000, True), pytest.param(6000, False, marks=pytest.mark.slow)]
)
def test_dense_is_sparse(scaled, columns, weighted):
    rng = np.random.default_rng(0)
    X = sp.csr_matrix(rng.standard_normal((700, columns)) * (rng.random((700, columns)) < 0.05))
    y, weight = rng.standard_normal(700), rng.random(700) + 0.5 if weighted else None
    a, b = (reals(data, y, scaled=scaled, weight=weight, random_state=0) for data in (X, X.toarray()))
    assert_same_facts(a, b, rtol=1e-5, but=("sparse",))
    assert a.sparse
    assert not b.sparse


def test_a_memory_map_and_float32_are_the_array(tmp_path):
    X, y = isotropic(3000)
    X32 = X.astype(np.float32)
    path = tmp_path / "X"
    X32.tofile(path)
    mapped = np.memmap(path, dtype=np.float32, mode="r", shape=X.shape)
    a = labels(mapped, y, random_state=0)
    assert a == labels(X32, y, random_state=0)
    assert_same_facts(a, labels(X, y, random_state=0), rtol=1e-4)


def test_reading_in_blocks_is_reading_at_once(monkeypatch):
    X, y = isotropic(2000)
    whole = labels(X, y, random_state=0)
    monkeypatch.setattr("skvariants._advice.facts._BLOCK", 1000)
    monkeypatch.setattr("skvariants._data.scaling._BLOCK", 1000)
    assert_same_facts(whole, labels(X, y, random_state=0))


def test_weights_are_repetitions():
    X, y = isotropic(300)
    times = np.random.default_rng(0).integers(1, 4, 300)
    a = labels(X, y, weight=times.astype(float))
    b = labels(np.repeat(X, times, axis=0), np.repeat(y, times))
    assert_same_facts(a, b, but=("n_samples", "sample_rows", "ravine", "noise"))
    assert a.ravine == pytest.approx(b.ravine, rel=0.1)
    assert a.noise == pytest.approx(b.noise, rel=0.05)


def test_known_moments_spare_the_pass():
    X, y = isotropic(900)
    moments = Moments()
    moments.update(X)
    a = labels(X, y, moments=moments)
    assert_same_facts(a, labels(X, y), but=("raw_condition_number",))
    assert np.isnan(a.raw_condition_number)


# ------------------------------------------------------------------ odd data


@pytest.mark.parametrize("X", [np.zeros((10, 3)), np.full((10, 1), 5.0), np.arange(2.0)[:, None]])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("scaled", [True, False])
def test_degenerate_data_get_sane_facts(X, form, scaled):
    for name, value in asdict(labels(form(X), np.arange(len(X)) % 2, scaled=scaled)).items():
        if isinstance(value, float):
            assert np.isfinite(value), name


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_values_that_are_not_finite_are_refused(value, form):
    X, y = isotropic(50, 2)
    with pytest.raises(ValueError, match="X contains NaN or infinity: drop or impute them first"):
        labels(form(np.where(X > 1, value, X)), y)
