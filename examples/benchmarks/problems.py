"""The problems of the benchmarks: synthetic, bundled with scikit-learn, or from a folder of local data.

All methods are given the same columns: standardised, so that nobody needs a scaler; sparse columns as they are, or
divided by their standard deviation where they are in unequal units. Real targets have mean zero and variance one.

A folder given with ``--data`` holds a module ``load.py`` with ``names()`` and ``matrix(name)``, which returns X, y and
the task: a numeric ndarray or CSR matrix, targets, and "binary", "multiclass" or "regression".
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


@dataclass
class Problem:
    """Rows to train on and rows to test on.

    Attributes
    ----------
    name, source : str
        Source is "bundled", "synthetic" or "local".
    task : {"binary", "multiclass", "regression"}
    X, X_test : ndarray or CSR matrix
    y, y_test : ndarray
    alpha : float
        Strength of the penalty: 1e-4, and 1e-5 for text, whose rows have norm one.
    """

    name: str
    source: str
    task: str
    X: Any
    y: np.ndarray
    X_test: Any
    y_test: np.ndarray
    alpha: float = 1e-4

    @property
    def sparse(self):
        return sp.issparse(self.X)

    @property
    def size(self):
        n, d = self.X.shape
        filled = f", {self.X.nnz / n:.0f} stored a row" if self.sparse else ""
        return f"{n:,} x {d:,}{filled}"

    @property
    def classes(self):
        return 0 if self.task == "regression" else len(np.unique(self.y))


def _targets(z, task, classes, rng):
    """Real targets with noise, or labels drawn from the model."""
    z = z / z.std()
    if task == "regression":
        return z[:, 0] + 0.5 * rng.standard_normal(len(z))
    if task == "binary":
        return (2 * z[:, 0] + rng.logistic(size=len(z)) > 0).astype(np.int64)
    return np.argmax(3 * z + rng.gumbel(size=z.shape), axis=1)


def dense(n, d, task, classes=1, seed=0):
    """Correlated columns in unequal units: scales over four decades, offsets of up to 100 standard deviations."""
    rng = np.random.default_rng(seed)
    k = min(d, 10)
    loadings = rng.standard_normal((k, d)) / np.sqrt(k)
    X = rng.standard_normal((n, k)) @ loadings
    X += rng.standard_normal((n, d))
    y = _targets(X @ rng.standard_normal((d, classes)), task, classes, rng)
    X += rng.uniform(-100, 100, d) * (rng.random(d) < 0.2)
    X *= 10 ** rng.uniform(-2, 2, d)
    return X, y


def text(n, d, stored, task, classes=1, seed=0):
    """Rows like text: words of Zipf frequency, logarithmic counts, rows of norm one."""
    rng = np.random.default_rng(seed)
    words = np.minimum(np.floor(np.exp(rng.random((n, stored)) * np.log(d))).astype(np.int64), d) - 1
    words = np.maximum(words, 0)
    X = sp.csr_matrix((np.ones(n * stored), words.ravel(), np.arange(0, n * stored + 1, stored)), shape=(n, d))
    X.sum_duplicates()
    rarity = np.log(n / np.maximum(1, np.bincount(X.indices, minlength=d)))
    X.data = (1 + np.log(X.data)) * rarity[X.indices]
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    X = sp.csr_matrix(sp.diags_array(1 / np.maximum(norms, 1e-12)) @ X)
    return X, _targets(X @ rng.standard_normal((d, classes)), task, classes, rng)


def one_hot(n, values, variables, task, classes=1, seed=0):
    """Categories of Zipf frequency, one-hot."""
    rng = np.random.default_rng(seed)
    codes = np.floor(np.exp(rng.random((n, variables)) * np.log(values))).astype(np.int64)
    codes = np.clip(codes - 1, 0, values - 1) + values * np.arange(variables)
    X = sp.csr_matrix(
        (np.ones(n * variables), codes.ravel(), np.arange(0, n * variables + 1, variables)), (n, values * variables)
    )
    return X, _targets(X @ rng.standard_normal((values * variables, classes)), task, classes, rng)


#: name -> (source, task, function that makes X and y)
FULL = {
    "breast_cancer": ("bundled", "binary", lambda: load_breast_cancer(return_X_y=True)),
    "diabetes": ("bundled", "regression", lambda: load_diabetes(return_X_y=True, scaled=False)),
    "digits": ("bundled", "multiclass", lambda: load_digits(return_X_y=True)),
    "dense_1e4": ("synthetic", "binary", lambda: dense(10_000, 50, "binary")),
    "dense_1e5": ("synthetic", "binary", lambda: dense(100_000, 60, "binary")),
    "regression_1e5": ("synthetic", "regression", lambda: dense(100_000, 60, "regression")),
    "twenty_classes": ("synthetic", "multiclass", lambda: dense(12_500, 50, "multiclass", 20)),
    "text_binary": ("synthetic", "binary", lambda: text(50_000, 50_000, 60, "binary")),
    "text_long": ("synthetic", "binary", lambda: text(10_000, 30_000, 220, "binary")),
    "text_classes": ("synthetic", "multiclass", lambda: text(5_000, 10_000, 60, "multiclass", 10)),
    "one_hot_regression": ("synthetic", "regression", lambda: one_hot(100_000, 2_000, 10, "regression")),
}
#: for losses with kinks, whose specialists take long: fewer rows
KINKS = {
    "breast_cancer": FULL["breast_cancer"],
    "diabetes": FULL["diabetes"],
    "digits": FULL["digits"],
    "dense_1e4": FULL["dense_1e4"],
    "dense_2e4": ("synthetic", "binary", lambda: dense(20_000, 60, "binary")),
    "text_small": ("synthetic", "binary", lambda: text(1_500, 20_000, 60, "binary")),
    "text_classes": FULL["text_classes"],
    "regression_1e4": ("synthetic", "regression", lambda: dense(10_000, 50, "regression")),
    "one_hot_small": ("synthetic", "regression", lambda: one_hot(20_000, 30, 10, "regression")),
}
QUICK = {
    "diabetes": FULL["diabetes"],
    "digits": FULL["digits"],
    "dense_quick": ("synthetic", "binary", lambda: dense(2_000, 10, "binary")),
    "text_quick": ("synthetic", "binary", lambda: text(1_000, 500, 20, "binary")),
}
KNOWN = {**FULL, **KINKS, **QUICK}


def _local(folder):
    spec = importlib.util.spec_from_file_location("local_data", Path(folder) / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def local_names(folder):
    """Names of all that a folder of local data has."""
    return list(_local(folder).names())


def names(which, data=None):
    """Names of the problems of a run, `which` of :data:`FULL`, :data:`KINKS` or :data:`QUICK`, then all local ones."""
    return [*which, *(local_names(data) if data is not None else [])]


def _plain(X):
    """In double precision, row by row, each number stored once."""
    if not sp.issparse(X):
        return np.ascontiguousarray(X, dtype=np.float64)
    X = sp.csr_matrix(X, dtype=np.float64)
    X.sum_duplicates()
    X.sort_indices()
    return X


def _equal_units(X, X_test):
    """Training and test columns in equal units: see the module."""
    if sp.issparse(X) and np.abs(X.data).max(initial=0) <= 10:
        return X, X_test
    scaler = StandardScaler(with_mean=not sp.issparse(X))
    return _plain(scaler.fit_transform(X)), _plain(scaler.transform(X_test))


def raw_table(name, data=None):
    """Source, X, y and task of a name, the rows as they come."""
    if name in KNOWN:
        source, task, function = KNOWN[name]
        return source, *function(), task
    if data is None:
        raise ValueError(f"{name!r} is not among {', '.join(KNOWN)}: pass --data for local data.")
    return "local", *_local(data).matrix(name)


def make(name, data=None, rows=None, seed=0, raw=False):
    """The problem of a name: rows shuffled, at most `rows` of them, a fifth (at most 50,000) kept for testing.

    Columns and real targets are in equal units, as the module says, unless `raw`.
    """
    source, X, y, task = raw_table(name, data)
    some = np.random.default_rng(seed).permutation(X.shape[0])[:rows]
    X, y = X[some], np.asarray(y)[some]
    if task != "regression":  # a class of two rows cannot be in both parts
        often = np.isin(y, [c for c, n in zip(*np.unique(y, return_counts=True), strict=True) if n >= 10])
        X, y = X[often], y[often]
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=min(X.shape[0] // 5, 50_000), random_state=seed, stratify=None if task == "regression" else y
    )
    X, X_test = _plain(X), _plain(X_test)
    X, X_test = (X, X_test) if raw else _equal_units(X, X_test)
    if task == "regression" and not raw:
        center, unit = y.mean(), y.std()
        y, y_test = (y - center) / unit, (y_test - center) / unit
    return Problem(name, source, task, X, y, X_test, y_test, 1e-5 if _is_text(X) else 1e-4)


def _is_text(X):
    """Whether all rows have norm one."""
    return sp.issparse(X) and bool(np.allclose(np.sqrt(X.multiply(X).sum(axis=1)), 1, atol=1e-3))
