"""Laws over anything that may be drawn: shapes, units, odd columns, weights, layouts, and all that the registries hold.

The quick run draws few cases, the same each time; ``pytest -m slow`` draws many. What was found is a named test.
"""

import re
import warnings
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, Verbosity, given, reject, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from _references import CLASSIFYING, EXACT, in_domain
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import LOSSES
from skvariants.penalties import PENALTIES, GroupLasso
from skvariants.schedules import SCHEDULES
from skvariants.solvers import SOLVERS

LAYOUTS = {
    "dense": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    **{kind: getattr(sp, f"{kind}_array") for kind in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")},
    "csr_matrix": sp.csr_matrix,
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "read-only": lambda X: np.frombuffer(np.ascontiguousarray(X).tobytes(), X.dtype).reshape(X.shape),
    "swapped": lambda X: X.astype(X.dtype.newbyteorder()),
    "long": lambda X: _as_stored(sp.csr_array(X), np.int64),
    "duplicates": lambda X: _as_stored(_twice(X), np.int32),
    "zeros": lambda X: sp.csr_array((X.ravel(), np.tile(np.arange(X.shape[1]), len(X)), _ends(X)), shape=X.shape),
    "pandas": lambda X: pd.DataFrame(X, columns=_names(X)),
    "polars": lambda X: pl.DataFrame(X, schema=_names(X)),
    "pyarrow": lambda X: pa.table(dict(zip(_names(X), X.T, strict=True))),
}


def _names(X):
    return [f"c{j}" for j in range(X.shape[1])]


def _ends(X):
    return np.arange(len(X) + 1) * X.shape[1]


def _as_stored(X, dtype):
    """With indices of this type."""
    X.indices, X.indptr = X.indices.astype(dtype), X.indptr.astype(dtype)
    return X


def _twice(X):
    """Each value as two halves at one place, in no order."""
    columns = np.tile(np.repeat(np.arange(X.shape[1])[::-1], 2), len(X))
    return sp.csr_array((np.repeat(X[:, ::-1] / 2, 2), columns, 2 * _ends(X)), shape=X.shape)


#: What is known of single features, beside the penalty.
KNOWN = {
    "nothing": lambda d: {},
    "positive": lambda d: {"positive": True},
    "bounds": lambda d: {"bounds": (-0.5, 0.25)},
    "directions": lambda d: {"monotonic_cst": [(-1, 0, 1)[j % 3] for j in range(d)]},
    "factors": lambda d: {"penalty_factor": [(1.0, 0.0, 3.0)[j % 3] for j in range(d)]},
    "groups": lambda d: {"penalty": GroupLasso([j // 2 for j in range(d)], alpha=1e-2)},
}
ODD = ("none", "constant", "zero", "duplicated", "collinear", "one-hot")
QUICK = settings(
    derandomize=True, database=None, deadline=None, max_examples=25, verbosity=Verbosity.quiet,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
MANY = settings(QUICK, max_examples=400)


@dataclass
class Case:
    """A table and what is asked of an estimator; printed whole where a law is broken."""

    kind: str
    n: int
    d: int
    seed: int
    odd: str = "none"
    units: float = 0.0
    target_units: float = 0.0
    dtype: str = "float64"
    layout: str = "dense"
    zero_weights: bool = False
    params: dict = field(default_factory=dict)

    def table(self):
        """Features, targets, weights."""
        rng = np.random.default_rng(self.seed)
        X = rng.standard_normal((self.n, self.d)) * 10.0 ** rng.uniform(-self.units, self.units, self.d)
        z = X @ (rng.standard_normal(self.d) / np.maximum(np.abs(X).max(axis=0), 1e-300))
        z += 0.3 * rng.logistic(size=self.n)
        if self.odd == "constant":
            X[:, 0] = X[0, 0]
        elif self.odd == "zero":
            X[:, 0] = 0
        elif self.odd == "duplicated":
            X[:, -1] = X[:, 0]
        elif self.odd == "collinear":
            X[:, -1] = X[:, :-1].sum(axis=1) if self.d > 1 else 1
        elif self.odd == "one-hot":
            X = (rng.integers(0, self.d, self.n)[:, None] == np.arange(self.d)) * 1.0
        if self.kind == "real":
            y = z * 10.0**self.target_units
        elif self.kind == "targets":
            y = np.column_stack([z, -z + rng.standard_normal(self.n)]) * 10.0**self.target_units
        else:
            y = (z > 0).astype(int) + (2 * (z > 0.5) if self.kind == "classes" else 0)
            y[:2] = 0, 1
        if self.kind in ("real", "targets"):
            y = in_domain(LOSSES[self.params.get("loss", "squared_error")](), y)
        weight = np.where(rng.random(self.n) < 0.3, 0.0, rng.integers(1, 4, self.n)) if self.zero_weights else None
        if weight is not None:
            weight[:2] = 1
        with np.errstate(over="ignore"):
            return X.astype(self.dtype), y, weight

    def model(self, **params):
        """The estimator that is asked for, or a rejection where it is refused."""
        regression = self.kind in ("real", "targets")
        estimator = SGDVariantRegressor if regression else SGDVariantClassifier
        model = estimator(**{"random_state": 0, "max_iter": 30, **self.params, **params})
        try:
            model.__skvariants_spec__()
        except ValueError:
            reject()
        return model


@st.composite
def cases(draw, units=8.0, solvers=("auto", *SOLVERS), kinds=("binary", "classes", "real", "targets")):
    """Any table, and anything that the registries hold."""
    kind = draw(st.sampled_from(kinds))
    regression = kind in ("real", "targets")
    names = [name for name, loss in LOSSES.items() if loss.regression] if regression else list(CLASSIFYING)
    rate = draw(st.sampled_from(["auto", "auto", *SCHEDULES]))
    params = {
        "solver": draw(st.sampled_from(list(solvers))),
        "loss": draw(st.sampled_from(names)),
        "penalty": draw(st.sampled_from(list(PENALTIES))),
        "alpha": 10.0 ** draw(st.integers(-8, 1)),
        "learning_rate": rate,
        "fit_intercept": draw(st.booleans()),
        "scale_features": draw(st.sampled_from(["auto", True])),
        "eta0": draw(st.sampled_from(["auto", "auto", 0.01])),
    }
    least, d = 1 if regression else 2, draw(st.integers(1, 12))
    known = draw(st.sampled_from(["nothing", "nothing", *(KNOWN if kind in ("binary", "real") else ())]))
    params |= KNOWN[known](d)
    return Case(
        kind, draw(st.one_of(st.integers(least, 8), st.integers(least, 300))), d,
        draw(st.integers(0, 2**20)), draw(st.sampled_from(ODD)), draw(st.sampled_from([0.0, 2.0, units])),
        draw(st.sampled_from([0.0, 0.0, -units, units])), draw(st.sampled_from(["float64", "float32"])),
        draw(st.sampled_from(list(LAYOUTS))), draw(st.booleans()), params,
    )  # fmt: skip


def law(strategy):
    """A law over a strategy: few draws in the quick run, many in the slow one."""

    def decorate(check):
        runs = [pytest.param(QUICK(given(strategy)(check)), id="few")]
        runs.append(pytest.param(MANY(given(strategy)(check)), id="many", marks=pytest.mark.slow))

        @pytest.mark.parametrize("run", runs)
        def test(run):
            run()

        return test

    return decorate


def fitted(model, *args, **kwargs):
    """The fitted model; only a fit that did not end well is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The number of unique classes")
        return model.fit(*args, **kwargs)


def laid_out(X, case):
    """The table in the layout of a case."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SparseEfficiencyWarning)  # of a diagonal layout that has many diagonals
        return LAYOUTS[case.layout](X)


def values(X):
    """What a table holds."""
    return X.toarray() if sp.issparse(X) else np.array(X)


def predictions(model, X):
    return model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)


def assert_close(found, expected, tolerance):
    size = max(np.abs(expected).max(), 1e-30)
    np.testing.assert_allclose(found / size, expected / size, rtol=0, atol=tolerance)


def check_sound(case):
    """Numbers are finite, probabilities sum to one, the status is true, and what was given is as it was."""
    X, y, weight = case.table()
    X = laid_out(X, case)
    before = values(X), y.copy(), None if weight is None else weight.copy()
    model = fitted(case.model(), X, y, sample_weight=weight)
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_).all()
    assert np.isfinite(predictions(model, X)).all()
    assert model.coef_.dtype == case.dtype
    if hasattr(model, "predict_proba"):
        p = model.predict_proba(X)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        assert ((p >= 0) & (p <= 1)).all()
    if model.status_ == "converged" and model.suboptimality_kind_ != "unknown":
        reached, constant = objective(model, case.table()[0], y, weight)
        # what is left to gain, or what rounding leaves of it
        left = model.suboptimality_ * max(constant - reached, 0.0)
        assert model.suboptimality_ <= model.tol * (1 + 1e-6) or left <= 100 * np.finfo(case.dtype).eps * abs(reached)
    np.testing.assert_array_equal(values(X), before[0])
    np.testing.assert_array_equal(y, before[1])
    if weight is not None:
        np.testing.assert_array_equal(weight, before[2])


def check_units(case):
    """Whatever the units, a model has numbers, or it is said what is too small or too large."""
    X, y, weight = case.table()
    if not np.isfinite(X).all():
        reject()
    X = laid_out(X, case)
    try:
        model = fitted(case.model(), X, y, sample_weight=weight)
    except ValueError as refused:
        assert re.search("(multiply|divide) them by a power of ten", str(refused))  # noqa: PT017
        return
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_).all()


def check_layouts(case):
    """A layout is a container: the model is that of the plain array."""
    X, y, weight = case.table()
    model = case.model(max_iter=3)
    plain = fitted(model, X, y, sample_weight=weight)
    expected = predictions(plain, X)
    if plain.status_ == "diverged" or np.abs(expected).max() > 1e6 * max(1.0, np.abs(y).max()):
        return  # where steps are too long, rounding grows
    rows = laid_out(X, case)
    other = fitted(case.model(max_iter=3), rows, y, sample_weight=weight)
    assert_close(predictions(other, rows), expected, 1e-6 if X.dtype == np.float64 else 0.05)


def check_columns(case):
    """The order of the columns does not matter: their weights change places."""
    X, y, weight = case.table()
    order = np.random.default_rng(case.seed).permutation(case.d)
    one = fitted(case.model(), X, y, sample_weight=weight)
    moved = {name: [value[j] for j in order] for name, value in case.params.items() if isinstance(value, list)}
    if isinstance(case.params["penalty"], GroupLasso):
        moved["penalty"] = GroupLasso([case.params["penalty"].groups[j] for j in order], alpha=1e-2)
    other = fitted(case.model(**moved), X[:, order], y, sample_weight=weight)
    assert_same_objective(case, one, other, (X, y, weight), (X[:, order], y, weight))


def check_repetition(case):
    """A weight is that many rows."""
    X, y, weight = case.table()
    weight = np.ones(case.n, int) if weight is None else weight.astype(int)
    if case.kind == "classes":  # no row of a label is no label
        weight[np.unique(y, return_index=True)[1]] += 1
    one = fitted(case.model(), X, y, sample_weight=weight)
    rows = np.repeat(np.arange(case.n), weight)
    other = fitted(case.model(), X[rows], y[rows])
    assert_same_objective(case, one, other, (X, y, weight), (X[rows], y[rows], None))


def check_copies(case):
    """All rows twice are the same rows."""
    X, y, weight = case.table()
    twice = np.tile(np.arange(case.n), 2)
    one = fitted(case.model(), X, y, sample_weight=weight)
    other = fitted(case.model(), X[twice], y[twice], sample_weight=None if weight is None else weight[twice])
    again = X[twice], y[twice], None if weight is None else weight[twice]
    assert_same_objective(case, one, other, (X, y, weight), again)


def objective(model, X, y, weight):
    """What was minimised, from its definition."""
    spec, task = model.__skvariants_spec__(), model._task
    coef, intercept = task.as_columns(model.coef_.astype(float), model.intercept_.astype(float))
    loss = task.bind_loss(spec.loss)
    target = task.encoding(np.float64).expand(task.stored(task.validated(y), np.float64))
    z = X.astype(float) @ coef.T + intercept
    s = np.ones(len(z)) if weight is None else weight
    value = np.average(loss.value(target, z), axis=0, weights=s).sum()
    if model.penalty_factor is None:
        value += np.sum(spec.penalty.value(coef.T))
    else:
        value += sum(f * spec.penalty.value(w[None]).sum() for f, w in zip(model.penalty_factor, coef.T, strict=True))
    constant = loss.fit_intercept_only(target, s[:, None] * np.ones_like(target)) if spec.fit_intercept else 0.0
    return value, np.average(loss.value(target, np.zeros_like(z) + constant), axis=0, weights=s).sum()


def assert_same_objective(case, one, other, rows, other_rows):
    """Models that have arrived are as good as each other, by what both promise."""
    if "converged" != one.status_ or one.status_ != other.status_ or "unknown" in (
        one.suboptimality_kind_, other.suboptimality_kind_,
    ):  # fmt: skip
        return
    (a, constant), (b, same) = objective(one, *rows), objective(other, *other_rows)
    rounding = 1e-9 if case.dtype == "float64" else 1e-3  # of a constant that costs nothing, there is no unit
    assert constant == pytest.approx(same, rel=1e-6, abs=1e-12)
    assert abs(a - b) <= 2 * one.tol * (constant - min(a, b)) + rounding * (constant or 1e4)


test_anything_that_can_be_drawn_is_fitted_soundly = law(cases())(check_sound)
test_any_units_are_fitted_or_refused = law(cases(units=150.0))(check_units)
test_a_layout_is_a_container = law(cases(units=2.0))(check_layouts)
test_the_order_of_columns_does_not_matter = law(cases(solvers=EXACT))(check_columns)
test_a_weight_is_so_many_rows = law(cases(solvers=EXACT))(check_repetition)
test_rows_twice_are_the_rows = law(cases(solvers=EXACT))(check_copies)
