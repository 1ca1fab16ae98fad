"""The problems of the benchmark: synthetic, bundled with scikit-learn, or from a folder of local data.

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


@dataclass
class Problem:
    """Rows to train on and rows to test on.

    Attributes
    ----------
    name, source : str
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
    def unequal(self):
        """Whether columns are in unequal units, so that a user would scale them: dense data, or large stored values."""
        return not self.sparse or bool(np.abs(self.X.data).max(initial=0) > 10)

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
    "dense_1e5": ("synthetic", "binary", lambda: dense(100_000, 100, "binary")),
    "dense_1e6": ("synthetic", "binary", lambda: dense(1_000_000, 30, "binary")),
    "regression_1e5": ("synthetic", "regression", lambda: dense(100_000, 100, "regression")),
    "twenty_classes": ("synthetic", "multiclass", lambda: dense(50_000, 50, "multiclass", 20)),
    "text_binary": ("synthetic", "binary", lambda: text(100_000, 50_000, 60, "binary")),
    "text_classes": ("synthetic", "multiclass", lambda: text(15_000, 20_000, 60, "multiclass", 10)),
    "one_hot_regression": ("synthetic", "regression", lambda: one_hot(200_000, 5_000, 10, "regression")),
}
QUICK = {
    "diabetes": FULL["diabetes"],
    "digits": FULL["digits"],
    "dense_quick": ("synthetic", "binary", lambda: dense(2_000, 10, "binary")),
    "text_quick": ("synthetic", "binary", lambda: text(1_000, 500, 20, "binary")),
}
#: Local sets of a full run with ``--data``, where the folder has them.
LOCAL = ["adult", "covtype_20pct", "diamonds", "mnist", "freMTPL2freq", "nycflights_late", "newsgroups20"]


def _local(folder):
    spec = importlib.util.spec_from_file_location("local_data", Path(folder) / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def local_names(folder):
    """Names of all that a folder of local data has."""
    return list(_local(folder).names())


def names(quick=False, data=None):
    """Names of the problems of a run."""
    known = list(QUICK if quick else FULL)
    if data is not None and not quick:
        there = set(_local(data).names())
        known += [name for name in LOCAL if name in there]
    return known


def make(name, data=None, seed=0):
    """The problem of a name: rows shuffled, a fifth (at most 50,000 rows) kept for testing."""
    if name in QUICK or name in FULL:
        source, task, function = {**FULL, **QUICK}[name]
        X, y = function()
    else:
        if data is None:
            raise ValueError(f"{name!r} is not among {', '.join({**FULL, **QUICK})}: pass --data for local data.")
        source, (X, y, task) = "local", _local(data).matrix(name)
    test = min(X.shape[0] // 5, 50_000)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=test, random_state=seed, stratify=None if task == "regression" else y
    )
    if sp.issparse(X):
        X, X_test = sp.csr_matrix(X), sp.csr_matrix(X_test)
        X.sum_duplicates()
        X.sort_indices()
    else:
        X, X_test = np.ascontiguousarray(X, dtype=np.float64), np.ascontiguousarray(X_test, dtype=np.float64)
    return Problem(name, source, task, X, y, X_test, y_test, 1e-5 if name.startswith("text") else 1e-4)
