"""Text of many words: seconds of the default fit beside both SGDClassifiers, and what each ends at.

One command, no data needed::

    python examples/benchmarks/text.py                          # about two minutes, 1 GB of memory
    python examples/benchmarks/text.py --quick
    python examples/benchmarks/text.py --data FOLDER --sets sms_spam newsgroups20
    python examples/benchmarks/text.py --hinge --data FOLDER --sets sms_spam newsgroups20

Rows of words drawn with probabilities after Zipf and Mandelbrot, TF-IDF, each row of length one; labels by a sparse
linear function of them, with noise. A folder of local data holds a module `load` whose ``matrix(name)`` returns `X` and
`y`; of several classes one stands against the rest. Each time is the best of several repetitions in turn. Ratios
matter, seconds are this machine's. Set ``OMP_NUM_THREADS=1`` to compare single threads: SGDClassifier has one.

With ``--hinge`` the hinge loss of a drawn set and of local ones: seconds of CPU of the default with ``tol=1e-4``, of
LinearSVC and of SGDClassifier, the least of three fits in turn.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.svm import LinearSVC

from skvariants import SGDVariantClassifier
from skvariants._threads import spare_thread

ALPHA = 1e-4
#: Rows, features, words of a row.
SHAPES = [(5000, 5000, 10), (5000, 20000, 60), (20000, 10000, 20), (20000, 30000, 100), (50000, 60000, 220)]
OURS = "default"
METHODS = {
    OURS: lambda seed: SGDVariantClassifier(alpha=ALPHA, random_state=seed),
    "log loss": lambda seed: SGDClassifier(loss="log_loss", alpha=ALPHA, random_state=seed),
    "hinge": lambda seed: SGDClassifier(alpha=ALPHA, random_state=seed),
    "lbfgs": lambda seed: None,
}


def drawn(n, d, words, seed=0):
    """Synthetic text, and labels of two classes."""
    rng = np.random.default_rng(seed)
    p = 1 / (np.arange(d) + 2.7)
    length = np.maximum(3, (words * rng.lognormal(-0.18, 0.6, n)).astype(int))
    column = np.minimum(np.searchsorted(np.cumsum(p / p.sum()), rng.random(length.sum())), d - 1)
    counts = sp.csr_matrix(
        (np.ones(len(column)), column.astype(np.int32), np.append(0, np.cumsum(length)).astype(np.int32)), (n, d)
    )
    counts.sum_duplicates()
    X = sp.csr_matrix(TfidfTransformer(sublinear_tf=True).fit_transform(counts))
    z = X @ (rng.standard_normal(d) * (rng.random(d) < 0.2))
    z = 6 * (z - z.mean()) / z.std()
    return X, (z + 0.3 * rng.logistic(size=n) > 0).astype(int)


def loaded(folder, name):
    """A local data set, with indices of 32 bits, as SGDClassifier wants them."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import load

    X, y = load.matrix(name)[:2]
    X = sp.csr_matrix(X, dtype=float)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    if len(np.unique(y)) > 2:
        y = y == np.unique(y)[len(np.unique(y)) // 2]
    return X, np.asarray(y).astype(int)


def objective(model, X, y):
    """What all of them minimise; that of hinge only ends elsewhere."""
    z = X @ model.coef_.ravel() + model.intercept_
    return np.logaddexp(0, np.where(y > 0, -z, z)).mean() + ALPHA / 2 * (model.coef_**2).sum()


def measured(X, y, repeat):
    """Best seconds of each method, and how far it ends from the optimum."""
    methods = {**METHODS, "lbfgs": lambda seed: LogisticRegression(C=1 / (ALPHA * len(y)), max_iter=1000)}
    seconds, ends = dict.fromkeys(methods, np.inf), {}
    for seed in range(repeat):
        for name, make in methods.items():
            begin = time.perf_counter()
            model = make(seed).fit(X, y)
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
            ends[name] = objective(model, X, y)
    best = SGDVariantClassifier(alpha=ALPHA, tol=1e-8, max_iter=300).fit(X, y)
    share, least = y.mean(), min(objective(best, X, y), *ends.values())
    constant = -share * np.log(share) - (1 - share) * np.log(1 - share)
    return {name: (seconds[name], (ends[name] - least) / (constant - least)) for name in methods}


def hinge(name, X, y):
    """A line for each strength: seconds of CPU with the hinge loss."""
    for alpha in (1e-4, 1e-5):
        models = {
            "default": SGDVariantClassifier("hinge", alpha=alpha, tol=1e-4),
            "LinearSVC": LinearSVC(loss="hinge", C=1 / (alpha * len(y))),
            "SGDClassifier": SGDClassifier(alpha=alpha, random_state=0),
        }
        spent = dict.fromkeys(models, np.inf)
        for _ in range(3):
            for label, model in models.items():
                begin = time.process_time()
                model.fit(X, y)
                spent[label] = min(spent[label], time.process_time() - begin)
        ratios = ", ".join(f"{spent[OURS] / spent[peer]:.1f} times {peer}" for peer in ("LinearSVC", "SGDClassifier"))
        shape = f"{name}, {X.shape[0]:,} x {X.shape[1]:,}, {X.nnz / len(y):.0f} a row, alpha={alpha:g}"
        print(f"{shape:60s} default {spent[OURS]:.3f} s, {ratios}", flush=True)


def main(arguments=None):
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the smaller sets, twice")
    parser.add_argument("--data", help="folder of local data")
    parser.add_argument("--sets", nargs="*", default=[], help="names of local data")
    parser.add_argument("--json", help="file to write")
    parser.add_argument("--hinge", action="store_true", help="the hinge loss, beside LinearSVC")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    if options.hinge:
        hinge("drawn", *drawn(10_000, 60_000, 100))
        for name in options.sets:
            hinge(name, *loaded(options.data, name))
        return
    sets = [("x".join(map(str, shape)), lambda shape=shape: drawn(*shape)) for shape in SHAPES]
    sets = sets[:3] if options.quick else sets
    sets += [(name, lambda name=name: loaded(options.data, name)) for name in options.sets]
    print("(f - f*) / (f_constant - f*) in brackets; ratio: beside the faster SGDClassifier")
    print(f"{'rows x features x words':24}" + "".join(f"{name:>20}" for name in METHODS) + "   ratio")
    results, ratios = [], []
    for name, make in sets:
        X, y = make()
        found = measured(X, y, 2 if options.quick or X.nnz > 4e6 else 5)
        ratios.append(found[OURS][0] / min(found["log loss"][0], found["hinge"][0]))
        cells = "".join(f"{1e3 * t:9.1f} ms ({end:.0e})".rjust(20) for t, end in found.values())
        print(f"{name:24}{cells}{ratios[-1]:8.2f}", flush=True)
        results.append({"set": name, "methods": found, "ratio": ratios[-1]})
    print(f"geometric mean of the ratios: {np.exp(np.mean(np.log(ratios))):.2f}")
    if options.json:
        about = {"machine": platform.platform(), "two_threads": spare_thread(), "results": results}
        with open(options.json, "w") as file:
            json.dump(about, file, indent=1)


if __name__ == "__main__":
    main()
