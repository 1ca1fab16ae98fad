"""Numbers at their edges: derivatives far out, probabilities, units that no square can hold, threads and repetition."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from _references import in_domain
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import LOSSES, MultinomialLogLoss
from skvariants.solvers import SOLVERS

RNG = np.random.default_rng(0)
X = RNG.standard_normal((100, 3))
Z = X @ [1.0, 2.0, 3.0] + 0.1 * RNG.standard_normal(100)
FAR = [0.0, 1e-300, 1e-30, 1e-8, 0.3, 1.7, 30.0, 700.0, 1e4, 1e8, 1e15]
EVERY = {**LOSSES, "multinomial": MultinomialLogLoss}


def gradient(loss, y, z):
    return loss.gradient(y, z, np.empty_like(z))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", EVERY)
def test_derivatives_far_out_are_those_of_the_values(name, dtype):
    loss = EVERY[name]()
    for size in FAR:
        for sign in (-1.0, 1.0):
            z = np.full((2, loss.columns_per_model), 0.0, dtype)
            z[:, 0] = sign * size
            y = np.full_like(z, -1.0)
            y[0, 0] = 1.0
            if loss.columns_per_model > 1:
                y = np.eye(loss.columns_per_model, dtype=dtype)[:2]
            y = in_domain(loss, y)
            found = gradient(loss, y, z)
            assert np.isfinite(found).all()
            assert found.dtype == dtype
            assert np.isfinite(loss.total(y, z, None)).all()
            # by differences of values in double precision, at the same point
            at, wide = z.astype(float), y.astype(float)
            h = max(1e-6, 1e-6 * abs(at[0, 0]))
            step = np.zeros_like(at)
            step[:, 0] = h
            total = (loss.value(wide, at + step) - loss.value(wide, at - step)).sum(axis=1) / (2 * h)
            kink = max(abs(gradient(loss, wide, at + step) - gradient(loss, wide, at - step))[:, 0].max(), 0.0)
            rounding = 1e-5 + 1e-4 * np.abs(total) + kink + (0 if dtype == np.float64 else 1e-6 * size)
            assert (np.abs(found[:, 0] - total) <= rounding).all(), (size, sign, found[:, 0], total)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", [name for name in LOSSES if hasattr(LOSSES[name], "probability")])
@pytest.mark.parametrize("multi_class", ["auto", "ovr"])
def test_probabilities_sum_to_one_however_far_out(loss, multi_class, dtype):
    for classes in (2, 3):
        y = np.digitize(Z, [0.0, 2.0][: classes - 1])
        model = SGDVariantClassifier(loss=loss, multi_class=multi_class, random_state=0).fit(X.astype(dtype), y)
        for size in (1e-30, 1.0, 1e4, 1e30):
            p = model.predict_proba((X * size).astype(dtype))
            np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
            assert ((p >= 0) & (p <= 1)).all()


@pytest.mark.parametrize("solver", ["auto", "sgd", "adam", "momentum"])
@pytest.mark.parametrize("power", [-300, -150, -30, -8, 8, 16, 30, 100, 150])
def test_units_of_features_are_learned_or_refused(solver, power):
    model = SGDVariantRegressor(solver=solver, penalty=None, random_state=0)
    if power < -154:
        with pytest.raises(ValueError, match=r"so small values that their squares vanish \(by number: \[0, 1, 2\]\)"):
            model.fit(X * 10.0**power, Z)
        return
    assert model.fit(X * 10.0**power, Z).score(X * 10.0**power, Z) > 0.99


@pytest.mark.parametrize("solver", ["auto", "sgd", "adam", "momentum"])
@pytest.mark.parametrize("power", [-300, -160, -140, -100, -30, -8, 8, 16, 30, 100, 140, 160, 300])
def test_units_of_targets_are_learned_or_refused(solver, power):
    y = Z * 10.0**power
    if abs(power) > 150:
        with pytest.raises(ValueError, match="y has values so .*(vanish: multiply|overflows: divide) them by a power"):
            SGDVariantRegressor(solver=solver, random_state=0).fit(X, y)
        return
    assert SGDVariantRegressor(solver=solver, random_state=0).fit(X, y).score(X, y) > 0.99


@pytest.mark.parametrize("container", [np.asarray, pytest.param(sp.csr_array, marks=pytest.mark.slow)])
@pytest.mark.parametrize("solver", ["auto", "sgd", "adam", "momentum"])
@pytest.mark.parametrize("power", [-45, -40, -37, -36, -30, -18, 18, 30, 35])
def test_units_at_the_edge_of_single_precision_are_learned_or_refused(solver, power, container):
    rows = container((X * 10.0**power).astype(np.float32))
    model = SGDVariantRegressor(solver=solver, penalty=None, random_state=0)
    if power < -36:  # the weights are no numbers, or nearly
        with pytest.raises(ValueError, match=r"so small values that their squares vanish \(by number: \[0, 1, 2\]\)"):
            model.fit(rows, Z)
        return
    assert model.fit(rows, Z).score(rows, Z) > 0.98


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("solver", ["auto", "sgd", "adam", "momentum"])
@pytest.mark.parametrize("power", [-150, -40, -30, -19, -17, 17, 19, 30, 40, 150])
def test_targets_at_the_edge_of_single_precision_are_learned_or_refused(solver, power, columns):
    rows, y = X.astype(np.float32), np.column_stack([Z, -Z])[:, :columns].squeeze() * 10.0**power
    model = SGDVariantRegressor(solver=solver, penalty=None, random_state=0)
    if abs(power) >= 19:
        with pytest.raises(ValueError, match="y has values so .* by a power of ten, or give X in double precision"):
            model.fit(rows, y)
        return
    expected = np.linalg.lstsq(np.c_[X, np.ones(len(X))], y, rcond=None)[0]
    np.testing.assert_allclose(model.fit(rows, y).coef_.T, expected[:-1], rtol=0.05)


def test_rows_whose_sums_single_precision_does_not_hold_are_learned():
    rows = (X * 1e37).astype(np.float32)
    assert SGDVariantRegressor(penalty=None, random_state=0).fit(rows, Z).score(rows, Z) > 0.98


def test_weights_beyond_single_precision_are_told_and_warned_of_once():
    rows = (np.random.default_rng(0).standard_normal((300, 3)) * 1e-36).astype(np.float32)
    model = SGDVariantClassifier(solver="quasi_newton", penalty=None, random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged") as warned:
        model.fit(rows, rows @ [1, 2, 3] > 0)  # told apart: they grow without end
    assert len(warned) == 1
    assert model.status_ == "diverged"
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_threads_change_rounding_only_and_runs_nothing(solver):
    rng = np.random.default_rng(1)
    wide = rng.standard_normal((600, 40))
    y = wide @ rng.standard_normal(40) + rng.standard_normal(600)
    loss = "epsilon_insensitive" if solver == "interior_point" else "squared_error"
    model = SGDVariantRegressor(solver=solver, loss=loss, random_state=0, tol=None, max_iter=4)
    found = []
    for threads in (1, 2, 1):
        with threadpool_limits(threads):
            found.append(model.fit(wide, y).coef_)
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_a_class_weight_is_a_sample_weight(solver):
    y = np.digitize(Z, [0.0, 2.0])
    weights = {0: 2.0, 1: 0.5, 2: 3.0}
    loss = "hinge" if solver == "interior_point" else "log_loss"
    model = SGDVariantClassifier(solver=solver, loss=loss, random_state=0, tol=None, max_iter=4)
    by_row = model.fit(X, y, sample_weight=np.array([weights[c] for c in y])).coef_
    np.testing.assert_array_equal(model.set_params(class_weight=weights).fit(X, y).coef_, by_row)
