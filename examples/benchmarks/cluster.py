"""Processor time of a fit on two workers of dask, beside that in one process, and what its rounds cost.

One command, no data needed (3,000,000 x 30 single, of which this process and the workers together hold two copies)::

    OMP_NUM_THREADS=1 python examples/benchmarks/cluster.py
    OMP_NUM_THREADS=1 python examples/benchmarks/cluster.py --rows 600000 --features 50 --tol 1e-12

The blocks are the same, and so is the model, to the last bit. Figures are the least of three fits, in turns. What two
workers take that have nothing to do, for as long as a fit takes, is measured and subtracted: on a busy machine, where a
fit waits, it is more than the fit.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from skvariants import SGDVariantClassifier
from skvariants._blocks.cluster import OnCluster
from skvariants.distributed import fit

#: Processor time of the workers, beside that of one process, at most.
BAR = 1.3


def block(number, n, d):
    """Rows of one block."""
    rng = np.random.default_rng(number)
    X = rng.standard_normal((n, d), dtype=np.float32)
    return X, X[:, : d // 2].sum(axis=1) / np.sqrt(d) + rng.logistic(size=n) > 0


def seconds(client):
    """Processor seconds of the workers so far."""
    return sum(client.run(time.process_time).values())


def measure(client, n, d, count, tol):
    """Processor seconds here, of the workers above idling, and of the client; seconds and tasks of each round."""
    blocks = [block(number, n, d) for number in range(count)]
    futures = client.map(block, range(count), n=n, d=d)
    model, alone = (SGDVariantClassifier(tol=tol, random_state=0) for _ in range(2))
    rounds, call = [], OnCluster.__call__

    def timed(self, function, shards, *args):
        begin = time.perf_counter()
        results = call(self, function, shards, *args)
        rounds.append((time.perf_counter() - begin, len(shards)))
        return results

    OnCluster.__call__ = timed
    fit(model, futures)
    here, there, own = [], [], []
    for _ in range(3):
        begin = time.process_time()
        fit(alone, blocks)
        here.append(time.process_time() - begin)
        before, begin, clock = seconds(client), time.process_time(), time.perf_counter()
        rounds.clear()
        fit(model, futures)
        own.append(time.process_time() - begin)
        wall, busy = time.perf_counter() - clock, seconds(client) - before
        before = seconds(client)
        time.sleep(wall)
        there.append(busy - (seconds(client) - before))
    OnCluster.__call__ = call
    assert np.array_equal(alone.coef_, model.coef_), "not the same model"
    return min(here), min(there), min(own), rounds, model.n_iter_


def main():
    """Print the figures."""
    from dask.distributed import Client, LocalCluster

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--blocks", type=int, default=60)
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--check", action="store_true", help="exit with 1 where the bar is not held")
    args = parser.parse_args()
    with LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        n = args.rows // args.blocks
        here, there, own, rounds, passes = measure(client, n, args.features, args.blocks, args.tol)
    print(f"{n * args.blocks:,} x {args.features} in {args.blocks} blocks, {passes} passes")
    print(
        f"processor seconds: one process {here:.2f}, workers {there:.2f} ({there / here:.2f} times), client {own:.2f}"
    )
    print("rounds:", ", ".join(f"{tasks} tasks in {wall:.2f} s" for wall, tasks in rounds))
    raise SystemExit(args.check and there > BAR * here)


if __name__ == "__main__":
    main()
