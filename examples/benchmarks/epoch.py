"""What one epoch costs: beside two bare matrix products, and beside an epoch of SGDClassifier.

One command, no data needed::

    python examples/benchmarks/epoch.py              # a few minutes, 2 GB of memory
    python examples/benchmarks/epoch.py --quick      # a tenth of the rows
    python examples/benchmarks/epoch.py --only dense named
    python examples/benchmarks/epoch.py --only groups   # does the order of the rows change where fits end? minutes

Each number is the best of several repetitions, interleaved with what it is compared to. Ratios matter, seconds are this
machine's. Set ``OMP_NUM_THREADS=1`` to compare single threads: SGDClassifier has one.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import SGDClassifier
from threadpoolctl import threadpool_info

from skvariants import SGDVariantClassifier
from skvariants._data import shuffle as orders


def seconds(call):
    """Time of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def best(calls, repeat):
    """Best time of each call, all calls in turn."""
    times = {name: [] for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            times[name].append(call())
    return {name: min(values) for name, values in times.items()}


def epochs(X, y, count=2, **params):
    """Seconds of the fastest of a few epochs, the learning rate given so that none is searched for."""
    params = {"solver": "adagrad", "eta0": 0.05, "scale_features": True, **params}
    model = SGDVariantClassifier(max_iter=count, tol=None, random_state=0, **params).fit(X, y)
    return float(np.diff([0.0, *model.history_["seconds"]]).min())


def shuffling(X, y, bare, rounds):
    """Share of a shuffled epoch that shuffling takes, and the epoch beside the bare products: medians of pairs.

    Where other machines share the memory, the fastest epoch of each kind says little: they met different moments.
    """
    params = {"solver": "adagrad", "eta0": 0.05, "scale_features": True, "batch_size": 512, "max_iter": 8, "tol": None}
    shares, ratios = [], []
    for i in range(rounds):
        means = {}
        for shuffle in (True, False) if i % 2 else (False, True):
            model = SGDVariantClassifier(random_state=0, shuffle=shuffle, **params).fit(X, y)
            means[shuffle] = model.history_["seconds"][-1] / 8
        shares.append(1 - means[False] / means[True])
        ratios.append(means[True] / min(bare() for _ in range(3)))
    return float(np.median(shares)), float(np.median(ratios))


def reference_epoch(X, y):
    """Seconds of an epoch of SGDClassifier."""
    model = SGDClassifier(loss="log_loss", random_state=0, max_iter=1, tol=None)
    return seconds(lambda: model.partial_fit(X, y, classes=np.unique(y)))


def products(X, W, R):
    """Seconds of the two products that no epoch can do without."""
    return seconds(lambda: (X @ W, X.T @ R))


def table(title, columns, rows):
    """Print rows under a title."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row) + " |", flush=True)


def objective(model, X, y, alpha):
    """Log-loss plus L2 of a fitted model, one-vs-rest summed over the classes."""
    z = X @ model.coef_.T + model.intercept_
    codes = np.searchsorted(model.classes_, y)
    signs = np.where(codes[:, None] == ([1] if z.shape[1] == 1 else np.arange(z.shape[1])), 1, -1)
    return float(np.logaddexp(0, -signs * z).mean(axis=0).sum() + alpha / 2 * (model.coef_**2).sum())


# ----------------------------------------------------------------------------- data


def dense(n, d, dtype=np.float64, classes=2):
    """Gaussian features, labels from a linear model with noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=dtype)
    Z = X @ rng.standard_normal((d, classes), dtype=dtype) + 2 * rng.standard_normal((n, classes), dtype=dtype)
    return X, Z.argmax(axis=1)


def text(n, d, length=60):
    """Rows like tf-idf: word frequencies of Zipf's law, logarithmic counts, norm one."""
    rng = np.random.default_rng(0)
    lengths = np.maximum(rng.poisson(length, n), 1)
    share = np.cumsum(1 / np.arange(1, d + 1) ** 0.9)
    words = np.searchsorted(share, share[-1] * rng.random(lengths.sum())).astype(np.int32)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    X = sp.csr_matrix((np.ones(len(words)), words, indptr), shape=(n, d))
    X.sum_duplicates()
    X.data = 1 + np.log(X.data)
    norms = np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1]))
    X.data /= np.repeat(norms, np.diff(X.indptr))
    return X


def one_hot(n, d, columns=12):
    """A dozen categorical columns of very unequal levels."""
    rng = np.random.default_rng(0)
    levels = d // columns
    share = np.cumsum(1 / np.arange(1, levels + 1))
    codes = np.searchsorted(share, share[-1] * rng.random((n, columns))) + levels * np.arange(columns)
    indptr = np.arange(0, n * columns + 1, columns)
    return sp.csr_matrix((np.ones(n * columns), codes.ravel().astype(np.int32), indptr), shape=(n, d))


def labels(X):
    """Two classes from a sparse linear model with noise."""
    rng = np.random.default_rng(1)
    w = 2 * rng.standard_normal(X.shape[1]) * (rng.random(X.shape[1]) < 0.2)
    return (X @ w + 0.5 * rng.standard_normal(X.shape[0]) > 0).astype(int)


def many_labels(X, classes):
    """Some classes from a linear model with noise."""
    rng = np.random.default_rng(1)
    Z = X @ rng.standard_normal((X.shape[1], classes)) + 0.5 * rng.standard_normal((X.shape[0], classes))
    return Z.argmax(axis=1)


# ----------------------------------------------------------------------------- tables


def bench_dense(scale, repeat):
    """Batch sizes, solvers, precision, and what shuffling costs."""
    n, d = int(500_000 * scale), 100
    for dtype in (np.float64, np.float32):
        X, y = dense(n, d, dtype)
        r = y[:, None].astype(dtype)
        W = np.ones((d, 1), dtype)
        calls = {"two bare products": lambda X=X, W=W, r=r: products(X, W, r)}
        cases = [("adagrad", batch, True, True) for batch in (32, 256, 512, 2048)]
        cases += [("adagrad", 512, False, True), ("minibatch", 512, True, False), ("adam", 512, True, True)]
        for solver, batch, shuffle, scaled in cases:
            name = f"{solver}, batch {batch}{'' if shuffle else ', in order'}{'' if scaled else ', not scaled'}"
            calls[name] = lambda X=X, y=y, s=solver, b=batch, h=shuffle, c=scaled: epochs(
                X, y, solver=s, batch_size=b, shuffle=h, scale_features=c
            )
        calls["SGDClassifier"] = lambda X=X, y=y: reference_epoch(X, y)
        times = best(calls, repeat)
        bare, other = times["two bare products"], times["SGDClassifier"]
        table(
            f"Dense, {n:,} x {d}, {np.dtype(dtype)}: one epoch",
            ["epoch", "seconds", "times two bare products", "times SGDClassifier"],
            [(name, t, t / bare, t / other) for name, t in times.items()],
        )
        share, ratio = shuffling(X, y, calls["two bare products"], 3 * repeat)
        print(
            f"\nFits of eight epochs at batch 512, shuffled and in order by turns, medians of {3 * repeat} pairs: "
            f"shuffling is {100 * share:.0f} %, and a shuffled epoch takes {ratio:.2f} times the two bare products."
        )


def bench_single(scale, repeat):
    """Batches of one."""
    rows = []
    for d in (10, 100, 1000):
        n = max(2000, int(5_000_000 * scale) // d // 10)
        X, y = dense(n, d)
        for scaled in (False, True):
            t = min(epochs(X, y, solver="sgd", batch_size=1, scale_features=scaled, eta0=1e-3) for _ in range(repeat))
            rows.append((d, "yes" if scaled else "no", 1e6 * t / n))
    table("One sample a step: microseconds a sample", ["features", "scaled", "microseconds"], rows)


def bench_sparse(scale, repeat):
    """Epochs and default fits on text and one-hot rows."""
    alpha = 1e-5
    for name, X in (
        ("text", text(int(200_000 * scale), 50_000)),
        ("one-hot", one_hot(int(200_000 * scale), 75_000)),
    ):
        y = labels(X)
        r, W = y[:, None].astype(float), np.ones((X.shape[1], 1))
        calls = {"two bare products": lambda X=X, W=W, r=r: products(X, W, r)}
        for batch in (256, 2048, 8192):
            calls[f"adagrad, batch {batch}"] = lambda X=X, y=y, b=batch: epochs(X, y, batch_size=b, alpha=alpha)
        calls["SGDClassifier"] = lambda X=X, y=y: reference_epoch(X, y)
        times = best(calls, repeat)
        bare, other = times["two bare products"], times["SGDClassifier"]
        shape = f"{X.shape[0]:,} x {X.shape[1]:,}, {X.nnz / X.shape[0]:.0f} stored a row"
        table(
            f"Sparse, {name}, {shape}: one epoch",
            ["epoch", "seconds", "times two bare products", "times SGDClassifier"],
            [(label, t, t / bare, t / other) for label, t in times.items()],
        )
        fits(f"Sparse, {name}: whole fits, alpha={alpha:g}", X, y, alpha)


def bench_named(scale, repeat):
    """An epoch of the named solvers at batch 256 on text, beside SGDClassifier's: two classes, and one of twenty."""
    shapes = ((20_000, 60_000, 10), (20_000, 20_000, 60), (10_000, 60_000, 220), (20_000, 5_000, 60))
    rows = []
    for n, d, length in shapes:
        X = text(int(n * scale), d, length)
        for classes in (2, 20):
            y = labels(X) if classes == 2 else many_labels(X, classes)
            calls = {"SGDClassifier": lambda X=X, y=y: reference_epoch(X, y)}
            for solver in ("minibatch", "adagrad", "momentum", "adam"):
                for scaled in (False, True):
                    calls[solver, scaled] = lambda X=X, y=y, s=solver, c=scaled: epochs(
                        X, y, solver=s, batch_size=256, alpha=1e-5, scale_features=c, multi_class="ovr"
                    )
            times = best(calls, 1 if classes > 2 else repeat)
            other = times.pop("SGDClassifier")
            shape = f"{X.shape[0]:,} x {d:,}, {X.nnz / X.shape[0]:.0f} a row, {classes} classes"
            rows += [(shape, f"{s}{', scaled' if c else ''}", t, t / other) for (s, c), t in times.items()]
    table("Sparse, named solvers at batch 256: one epoch", ["rows", "solver", "seconds", "times SGDClassifier"], rows)
    rows = []
    for d in (5_000, 20_000, 80_000):
        X = text(int(5_000 * scale), d, 20)
        y = labels(X)
        for scaled in (False, True):
            t = epochs(X, y, solver="sgd", batch_size=1, scale_features=scaled, eta0=1e-3, alpha=1e-5)
            rows.append((d, X.nnz / X.shape[0], "yes" if scaled else "no", 1e6 * t / X.shape[0]))
    columns = ["features", "stored a row", "scaled", "microseconds"]
    table("Sparse, one sample a step: microseconds a sample", columns, rows)


def fits(title, X, y, alpha):
    """Default fits beside SGDClassifier's."""
    rows = []
    for label, model in (
        ("default", SGDVariantClassifier(alpha=alpha, multi_class="ovr", random_state=0)),
        ("SGDClassifier", SGDClassifier(loss="log_loss", alpha=alpha, random_state=0)),
        ("SGDClassifier, averaged", SGDClassifier(loss="log_loss", alpha=alpha, average=True, random_state=0)),
    ):
        rows.append((label, seconds(lambda m=model: m.fit(X, y)), f"{objective(model, X, y, alpha):.6f}"))
    table(title, ["fit", "seconds", "objective"], rows)


def bench_classes(scale, repeat):
    """Softmax and one-vs-rest beside one-vs-rest of SGDClassifier."""
    for n, k in ((int(100_000 * scale), 10), (int(30_000 * scale), 100)):
        X, y = dense(n, 100, classes=k)
        R, W = np.ones((n, k)), np.ones((100, k))
        calls = {"two bare products": lambda X=X, W=W, R=R: products(X, W, R)}
        for multi_class in ("multinomial", "ovr"):
            calls[f"{multi_class}, batch 512"] = lambda X=X, y=y, m=multi_class: epochs(
                X, y, batch_size=512, multi_class=m
            )
        calls["SGDClassifier"] = lambda X=X, y=y: reference_epoch(X, y)
        times = best(calls, repeat)
        bare, other = times["two bare products"], times["SGDClassifier"]
        table(
            f"{k} classes, {n:,} x 100: one epoch",
            ["epoch", "seconds", "times two bare products", "SGDClassifier takes times"],
            [(name, t, t / bare, other / t) for name, t in times.items()],
        )
        fits(f"{k} classes: whole fits, one-vs-rest, alpha=0.0001", X, y, 1e-4)


def peak(call):
    """Most bytes allocated at a time during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bench_memory(scale, repeat):
    """Peak memory of a fit beyond its input."""
    rows = []
    n, d = int(500_000 * scale), 100
    X, y = dense(n, d)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X"
        X.tofile(path)
        on_disk = np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)
        T = text(int(200_000 * scale), 50_000)
        inputs = [
            ("dense", X, y, X.nbytes), ("memory map", on_disk, y, X.nbytes),
            ("sparse text", T, labels(T), T.data.nbytes + T.indices.nbytes + T.indptr.nbytes),
        ]  # fmt: skip
        for name, data, target, size in inputs:
            for solver in ("auto", "adagrad"):
                model = SGDVariantClassifier(solver=solver, max_iter=3, tol=None, random_state=0)
                extra = peak(lambda m=model, data=data, target=target: m.fit(data, target))
                rows.append((name, solver, size / 2**20, extra / 2**20, extra / size))
        del on_disk
    table("Memory", ["input", "solver", "input, MiB", "peak beyond it, MiB", "share"], rows)


def bench_growth(scale, repeat):
    """Time per row as rows grow."""
    rows = []
    for n in (10_000, 100_000, 1_000_000, 5_000_000):
        n = max(10_000, int(n * scale))
        X, y = dense(n, 50, np.float32)
        t = min(epochs(X, y, batch_size=512) for _ in range(repeat))
        fit = min(seconds(lambda X=X, y=y: SGDVariantClassifier(random_state=0).fit(X, y)) for _ in range(repeat))
        rows.append((f"{n:,}", 1e6 * t / n, 1e6 * fit / n))
    table(
        "Growth, 50 features, float32: microseconds a row",
        ["rows", "epoch of adagrad, batch 512", "default fit"],
        rows,
    )


def bench_groups(scale, repeat):
    """Distance from the optimum if later epochs draw groups of rows, over that if each draws all rows."""
    n, seeds = 70_000, 60 * repeat
    X, y = dense(n, 20)
    best = SGDVariantClassifier(tol=1e-10).fit(X, y)
    least, grouped = objective(best, X, y, best.alpha), orders._GROUPED
    for solver, batch in (("adagrad", 128), ("momentum", 512), ("adam", 256)):
        ends = np.empty((seeds, 2))
        for seed, i in np.ndindex(ends.shape):
            orders._GROUPED = (grouped, n + 1)[i]
            model = SGDVariantClassifier(solver=solver, batch_size=batch, max_iter=8, tol=None, random_state=seed)
            ends[seed, i] = (objective(model.fit(X, y), X, y, best.alpha) - least) ** 0.5
        orders._GROUPED = grouped
        ratio, error = ends[:, 0].mean() / ends[:, 1].mean(), (ends.std(axis=0) / ends.mean(axis=0) / seeds**0.5)
        print(f"{solver}, batch {batch}: {ratio:.3f}, standard error {np.linalg.norm(error):.3f}", flush=True)


BENCHES = {
    "groups": bench_groups, "dense": bench_dense, "single": bench_single, "sparse": bench_sparse, "named": bench_named,
    "classes": bench_classes, "memory": bench_memory, "growth": bench_growth,
}  # fmt: skip


def main(arguments=None):
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one repetition")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions (default 5)")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=[*BENCHES][1:], help="which tables")
    parser.add_argument("--cpu", action="store_true", help="seconds of CPU of this process, on a busy machine")
    options = parser.parse_args(arguments)
    if options.cpu:
        time.perf_counter = time.process_time
    warnings.simplefilter("ignore")
    threads = sorted({p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"})
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} cores, BLAS threads {threads}")
    for name in options.only:
        BENCHES[name](0.1 if options.quick else 1.0, 1 if options.quick else options.repeat)


if __name__ == "__main__":
    main()
