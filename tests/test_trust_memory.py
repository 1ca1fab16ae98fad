"""Memory is bounded: fits of wide sparse rows under a limit of the operating system, in a process of their own."""

import gc
import subprocess
import sys

import numpy as np
import pytest

from skvariants import SGDVariantClassifier

limited = pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")

PROGRAM = """
import resource, sys, warnings
import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from skvariants import SGDVariantClassifier
from skvariants.model_selection import BatchedGridSearchCV

warnings.simplefilter("ignore", ConvergenceWarning)
what, solver, d, k, bound = sys.argv[1], sys.argv[2], 2 ** int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
n, stored = 200, 50
occur = {"all ": 1, "every ": 5}  # six tenths of the columns occur, or next to all, in rows that decide a race
for begins, times in occur.items():
    if what.startswith(begins):
        what, n, stored = what[len(begins):], 1100, times * d // 1100
rng = np.random.default_rng(0)


def rows(n, d):
    begins = np.arange(0, n * stored + 1, stored)
    X = sp.csr_array((np.ones(n * stored), rng.integers(0, d, n * stored), begins), shape=(n, d))
    X.sum_duplicates()
    return X, np.arange(n) % k


def limit(numbers):
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    most = used + int(8 * numbers) + (32 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


rate = {} if solver == "auto" else {"learning_rate": "constant", "eta0": 0.01}
model = SGDVariantClassifier(solver=solver, max_iter=2, tol=None, random_state=0, **rate)
model.set_params(**{} if what == "partial_fit" else {"eta0": "auto", "learning_rate": "auto"})  # steps are raced
# what is loaded once is not counted
SGDVariantClassifier(**model.get_params()).partial_fit(*rows(200, 64), classes=np.arange(k))
SGDVariantClassifier(**model.get_params()).fit(*rows(200, 3000))
X, y = rows(n, d)
if what in ("partial_fit", "raced"):
    limit(bound * d * k)
    for _ in range(3):
        model.partial_fit(X, y, classes=np.arange(k))
elif what == "fit":
    limit(bound * d * k)
    model.fit(X, y)
else:
    limit(bound * d * k * 20)
    model = BatchedGridSearchCV(model, {"alpha": np.logspace(-6, 0, 20)}, cv=2).fit(X, y).best_estimator_
assert np.isfinite(model.coef_).all()
"""


def run(*case):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, case)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("parameters", [
    {}, {"loss": "hinge"}, {"solver": "adam"},
    *(pytest.param(case, marks=pytest.mark.slow) for case in ({"penalty": "l1"}, {"early_stopping": True})),
], ids=str)  # fmt: skip
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_a_fit_needed_is_free_when_it_ends(parameters):
    # nothing waits for the collector of cycles, which counts objects and not their bytes
    X = np.random.default_rng(0).standard_normal((60, 5))
    model = SGDVariantClassifier(max_iter=5, random_state=0, **parameters)
    model.fit(X, X[:, 0] > 0)
    gc.collect()
    gc.disable()
    try:
        model.fit(X, X[:, 0] > 0)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [one for one in gc.garbage if type(one).__module__.startswith(("skvariants", "numpy"))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []


# what; solver; binary order of the features; classes; most numbers, in units of the coefficients
@limited
def test_a_chunk_takes_little():
    run("partial_fit", "auto", 17, 20, 4)


@limited
@pytest.mark.slow
@pytest.mark.parametrize("case", [
    ("partial_fit", "sgd", 19, 20, 3), ("partial_fit", "adagrad", 18, 20, 3), ("partial_fit", "adam", 17, 20, 3),
    ("partial_fit", "auto", 20, 20, 3.5), ("raced", "sgd", 20, 20, 4), ("raced", "adam", 20, 20, 4),
    *(("raced", solver, 20, 20, 4) for solver in ("yogi", "rprop", "ftrl", "nag", "saga")),
    ("all partial_fit", "auto", 18, 20, 7), ("every partial_fit", "auto", 18, 20, 12),
    ("all partial_fit", "sgd", 18, 20, 4.2), ("all partial_fit", "adagrad", 18, 20, 8.5),
    ("all partial_fit", "adam", 18, 20, 12), ("all raced", "minibatch", 18, 20, 8),
    ("all raced", "adagrad", 18, 20, 10),
    *(("all raced", solver, 18, 20, 16) for solver in ("adam", "rprop", "svrg")), ("all raced", "ftrl", 18, 20, 20),
    ("fit", "adagrad", 18, 20, 4), ("fit", "adam", 18, 20, 4), ("fit", "auto", 17, 20, 20),
    ("search", "auto", 15, 2, 40),
])  # fmt: skip
def test_wide_fits_and_searches_stay_within_their_bounds(case):
    run(*case)
