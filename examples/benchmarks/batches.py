"""Fits in batches: the reader of Parquet files, one pass beside `partial_fit`, and what each ends at.

One command, no data needed; the file is written to a temporary folder. It needs PyArrow (``pip install
skvariants[arrow]``)::

    OMP_NUM_THREADS=1 python examples/benchmarks/batches.py
    OMP_NUM_THREADS=1 python examples/benchmarks/batches.py --quick --sorted

Processor time is that of this process, the least of three, in turn: of PyArrow's decoding alone, of `ParquetBatches`
beside it, of a pass of `partial_fit` over batches in memory, and of one pass of `fit_batches` over the same. The gap is
the share of what the optimum gains over a constant model that a model leaves. Memory is what is allocated, not mapped
(``RssAnon``); where there is no /proc, it is not printed. With ``--check`` the exit status says whether the bars are
held.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from memory_map import own_memory, processor

from skvariants import SGDVariantClassifier
from skvariants.batches import ArrayBatches, ParquetBatches

#: Rows of a batch, and of a row group.
BATCH, GROUP = 65_536, 50_000
#: Processor time beside decoding and beside `partial_fit`, gigabytes, gaps after one pass, that are held.
BARS = {"reader / decoding": 1.8, "one pass / partial_fit": 1.2, "GB above the batch": 0.25, "gap of one pass": 1e-6}
#: The gap where rows are in the order of their labels.
SORTED = 1e-5


def table(n, d, in_order):
    """Correlated columns and their labels."""
    rng = np.random.default_rng(0)
    mixed, w = rng.standard_normal((d, d)) / d**0.5 + np.eye(d), 1.5 * rng.standard_normal(d) / d**0.5
    X = (rng.standard_normal((n, d)) @ mixed).astype(np.float32)
    y = (rng.random(n) < 1 / (1 + np.exp(-X @ w))).astype(np.int8)
    order = np.argsort(y, kind="stable") if in_order else slice(None)
    return X[order], y[order]


def write(path, X, y):
    """The table as a file of many row groups."""
    columns = {f"x{j}": X[:, j] for j in range(X.shape[1])}
    pq.write_table(pa.table({**columns, "y": y}), path, row_group_size=GROUP)


def objective(model, X, y):
    """What is minimised, by its definition."""
    total, w = 0.0, model.coef_.ravel().astype(np.float64)
    for start in range(0, len(X), BATCH):
        z = X[start : start + BATCH] @ w + model.intercept_[0]
        total += np.logaddexp(0, np.where(y[start : start + BATCH], -z, z)).sum()
    return total / len(X) + model.alpha / 2 * w @ w


def decode(path):
    """PyArrow's decoding alone."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for _ in file.iter_batches(BATCH):
            pass


def read(path):
    """The same into arrays."""
    for _ in ParquetBatches(path, "y", rows=BATCH):
        pass


def streamed(X, y):
    """A pass of `partial_fit`."""
    model = SGDVariantClassifier(random_state=0)
    for start in range(0, len(X), BATCH):
        model.partial_fit(X[start : start + BATCH], y[start : start + BATCH], classes=[0, 1])
    return model


def measured(path, X, y):
    """What is held against the bars, and a line for each model."""
    rows, found = [], {}
    linux = Path("/proc/self/status").exists()
    own = np.nan
    if linux:
        own = own_memory(lambda: SGDVariantClassifier().fit_batches(ParquetBatches(path, "y", rows=BATCH)))
    pairs = [(processor(lambda: decode(path))[1], processor(lambda: read(path))[1]) for _ in range(3)]
    least = [min(times) for times in zip(*pairs, strict=True)]
    found["reader / decoding"] = least[1] / least[0]
    best, constant = (
        objective(SGDVariantClassifier(tol=tol, alpha=alpha).fit(X.astype(np.float64), y).set_params(alpha=1e-4), X, y)
        for tol, alpha in ((1e-13, 1e-4), (1e-3, 1e8))
    )
    batches = ArrayBatches(X, y, rows=BATCH)
    ways = {
        "partial_fit": lambda: streamed(X, y),
        "one pass": lambda: SGDVariantClassifier().fit_batches(batches, max_passes=1),
        "default": lambda: SGDVariantClassifier().fit_batches(batches),
        "Parquet": lambda: SGDVariantClassifier().fit_batches(ParquetBatches(path, "y", rows=BATCH)),
    }
    times = {}
    for name, way in ways.items():
        results = [processor(way) for _ in range(1 if name == "Parquet" else 2)]
        model, times[name] = results[0][0], min(seconds for _, seconds in results)
        gap = (objective(model, X, y) - best) / (constant - best)
        rows.append((name, model.status_, model.n_iter_, times[name] / len(X) * 1e9, gap))
        if name == "one pass":
            found["gap of one pass"] = gap
    found["one pass / partial_fit"] = times["one pass"] / times["partial_fit"]
    if linux:
        found["GB above the batch"] = own - BATCH * X.shape[1] * X.itemsize / 1e9
    return found, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int)
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--sorted", action="store_true", help="rows in the order of their labels")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    n = args.rows or (200_000 if args.quick else 1_000_000)
    X, y = table(n, args.features, args.sorted)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "table.parquet")
        write(path, X, y)
        found, rows = measured(path, X, y)
    print(f"{n:,} x {args.features} float32{', sorted by label' * args.sorted}, batches of {BATCH:,} rows")
    for name, status, passes, nanoseconds, gap in rows:
        print(f"{name:>12}  {status:<10} passes {passes}  {nanoseconds:7.0f} ns a row  gap {gap:.1e}")
    bars = BARS | ({"gap of one pass": SORTED} if args.sorted else {})
    for name, value in found.items():
        print(f"{name:>24} {value:.2g}   (at most {bars[name]:g})")
    if args.check and any(value > bars[name] for name, value in found.items()):
        sys.exit(1)


if __name__ == "__main__":
    main()
