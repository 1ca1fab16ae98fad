"""A default fit of a memory map: processor time, memory of its own, and how often it reads the table.

One command, no data needed; the table is written to a temporary folder (3.2 GB, or 0.4 GB with ``--quick``)::

    OMP_NUM_THREADS=1 python examples/benchmarks/memory_map.py
    OMP_NUM_THREADS=1 python examples/benchmarks/memory_map.py --quick
    OMP_NUM_THREADS=1 python examples/benchmarks/memory_map.py --rows 9000000 --features 100 --sorted

Processor time is that of this process, beside that of a bare pass, ``X @ w`` and ``X.T @ r`` in blocks; the least of
three of each, in turn. Memory is what is allocated, not what is mapped (``RssAnon``). Bytes read are those that come
from the disk while whatever of the file the system has cached is dropped four times a second: a cache smaller than the
table. Where there is no /proc, only times are printed. With ``--check`` the exit status says whether the bars are held.
"""

from __future__ import annotations

import argparse
import contextlib
import mmap
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from skvariants import SGDVariantClassifier

#: Processor time of bare passes, gigabytes, and reads of the table that a fit may take.
BARS = {"bare passes": 3.0, "GB of its own": 0.3, "reads": 3.5}
#: Rows that are written at a time; bytes of a block of the bare pass.
ROWS, BLOCK = 50_000, 1 << 20


def write(folder, n, d, dtype, in_order):
    """A table of correlated columns and its labels, as maps."""
    rng = np.random.default_rng(0)
    mixed, w = rng.standard_normal((d, d)) / d**0.5 + np.eye(d), 1.5 * rng.standard_normal(d) / d**0.5
    X = np.memmap(folder / "X", dtype=dtype, mode="w+", shape=(n, d))
    y = np.memmap(folder / "y", dtype=np.int8, mode="w+", shape=(n,))
    ends = [0, n]  # where the next row of a class goes: from both ends, if they are in order
    for start in range(0, n, ROWS):
        rows = rng.standard_normal((min(ROWS, n - start), d)) @ mixed
        labels = rng.random(len(rows)) < 1 / (1 + np.exp(-rows @ w))
        if not in_order:
            X[start : start + ROWS], y[start : start + ROWS] = rows, labels
            continue
        zeros = int((~labels).sum())
        X[ends[0] : ends[0] + zeros], y[ends[0] : ends[0] + zeros] = rows[~labels], 0
        X[ends[1] - len(rows) + zeros : ends[1]], y[ends[1] - len(rows) + zeros : ends[1]] = rows[labels], 1
        ends = [ends[0] + zeros, ends[1] - len(rows) + zeros]
    X.flush()
    y.flush()
    os.sync()
    del X, y
    return np.memmap(folder / "X", dtype=dtype, mode="r", shape=(n, d)), np.memmap(folder / "y", np.int8, "r")


def bare(X):
    """A pass that computes predictions and a product with the transpose, and nothing else."""
    w, g = np.ones(X.shape[1], X.dtype), np.zeros(X.shape[1])
    rows = max(1, BLOCK // (X.shape[1] * X.itemsize))
    for start in range(0, len(X), rows):
        block = X[start : start + rows]
        g += block.T @ (block @ w)
    return g


def processor(call):
    """What a call returns, and the processor time that it takes."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def number_of(path, name):
    """A number that the system keeps about this process."""
    with open(path) as lines:
        return int(next(line for line in lines if line.startswith(name)).split()[1])


@contextlib.contextmanager
def watched(look, seconds):
    """Look every so many seconds, in a thread."""
    done = threading.Event()

    def run():
        while not done.wait(seconds):
            look()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def own_memory(call):
    """Gigabytes that a call allocates."""
    seen = [number_of("/proc/self/status", "RssAnon")]
    with watched(lambda: seen.append(number_of("/proc/self/status", "RssAnon")), 0.005):
        call()
    return 1024 * (max(seen) - seen[0]) / 1e9


def reads(call, X, path):
    """How often a call reads the table from the disk, where none of it stays in memory for long."""
    with open(path, "rb") as file:

        def drop():
            X.base.madvise(mmap.MADV_DONTNEED)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

        drop()
        before = number_of("/proc/self/io", "read_bytes")
        with watched(drop, 0.25):
            call()
        return (number_of("/proc/self/io", "read_bytes") - before) / X.nbytes


def measured(X, y, path):
    """A fit, what it takes beside the bars, and seconds of processor time of a bare pass and of a fit."""

    def fit():
        return SGDVariantClassifier().fit(X, y)

    linux, found = Path("/proc/self/io").exists(), {}
    SGDVariantClassifier().fit(X[:1000], y[:1000] if np.ptp(y[:1000]) else np.arange(1000) % 2)  # loads what is needed
    bare(X)
    memory = own_memory(fit) if linux else np.nan  # before anything that was freed is still held
    model = fit()
    pairs = [(processor(lambda: bare(X))[1], processor(fit)[1]) for _ in range(3)]
    seconds = [min(times) for times in zip(*pairs, strict=True)]
    found["bare passes"] = seconds[1] / seconds[0]
    if linux:
        found |= {"GB of its own": memory, "reads": reads(fit, X, path)}
    return model, found, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int)
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--sorted", action="store_true", help="rows in the order of their labels")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    n = args.rows or (500_000 if args.quick else 4_000_000)
    with tempfile.TemporaryDirectory() as folder:
        X, y = write(Path(folder), n, args.features, args.dtype, args.sorted)
        model, found, seconds = measured(X, y, Path(folder) / "X")
        print(f"{n:,} x {args.features} {args.dtype}, {X.nbytes / 1e9:.1f} GB{', sorted by label' * args.sorted}")
        print(f"a bare pass {seconds[0]:.2f} s, a fit {seconds[1]:.2f} s of processor time")
        print(f"{model.status_} after {model.n_iter_} passes, suboptimality_ {model.suboptimality_:.1e}")
        for name, value in found.items():
            print(f"{name:>15} {value:6.2f}   (at most {BARS[name]})")
        del X, y
    if args.check and any(value > BARS[name] for name, value in found.items()):
        sys.exit(1)


if __name__ == "__main__":
    main()
