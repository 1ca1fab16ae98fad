"""Processor time of a fit on two workers of dask, beside that in one process, and what its rounds cost.

One command, no data needed (3,000,000 x 30 single, of which this process and the workers together hold two copies)::

    OMP_NUM_THREADS=1 python examples/benchmarks/cluster.py
    OMP_NUM_THREADS=1 python examples/benchmarks/cluster.py --rows 600000 --features 50 --tol 1e-12
    OMP_NUM_THREADS=1 python examples/benchmarks/cluster.py --rows 600000 --features 50 --blocks 12 --peers
    OMP_NUM_THREADS=1 python examples/benchmarks/cluster.py --rows 412000 --features 65 --blocks 20 --search

The workers hold the blocks as dask arrays. The blocks are the same, and so is the model, to the last bit. Figures are
the least of five fits, in turns, after a first one that imports what is needed. What two workers take that have nothing
to do, for as long as a fit takes, is measured and subtracted: on a busy machine, where a fit waits, it is more than the
fit. With ``--peers``, which needs dask-ml, the default fit of a dask array is timed beside the logistic regressions of
dask-ml on the same array, and the log loss of each is printed. With ``--search`` a grid of 39 candidates on 5 folds
with squared error is searched, of a dask array and in memory; what workers take to import the package is timed apart.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._blocks.cluster import OnCluster
from skvariants.distributed import fit

#: Processor time of the workers, beside that of one process; seconds beside those of dask-ml; processor seconds of a
#: search: at most.
BAR, PEERS, SEARCH = 1.3, 0.5, 3.0
#: Candidates of a search: 13 strengths and 3 shares of L1.
GRID = {"alpha": np.logspace(-4, 1, 13), "l1_ratio": [0.1, 0.5, 0.9]}


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
    X, y = array_of(client, n, d, count)
    model, alone = (SGDVariantClassifier(tol=tol, random_state=0) for _ in range(2))
    rounds, call = [], OnCluster._results

    def timed(self, tasks):
        begin = time.perf_counter()
        results = call(self, tasks)
        rounds.append((time.perf_counter() - begin, len(tasks)))
        return results

    OnCluster._results = timed
    model.fit(X, y)
    fit(alone, blocks)
    here, there, own = [], [], []
    for _ in range(5):
        begin = time.process_time()
        fit(alone, blocks)
        here.append(time.process_time() - begin)
        before, begin, clock = seconds(client), time.process_time(), time.perf_counter()
        rounds.clear()
        model.fit(X, y)
        own.append(time.process_time() - begin)
        wall, busy = time.perf_counter() - clock, seconds(client) - before
        before = seconds(client)
        time.sleep(wall)
        there.append(busy - (seconds(client) - before))
    OnCluster._results = call
    assert np.array_equal(alone.coef_, model.coef_), "not the same model"
    return min(here), min(there), min(own), rounds, model.n_iter_


def array_of(client, n, d, count):
    """The same blocks as dask arrays that the workers hold."""
    import dask.array as da
    from dask import delayed
    from dask.distributed import wait

    made = [delayed(block, nout=2)(number, n, d) for number in range(count)]
    X = da.concatenate([da.from_delayed(A, (n, d), np.float32) for A, _ in made])
    y = da.concatenate([da.from_delayed(b, (n,), bool) for _, b in made])
    X, y = client.persist([X, y])
    wait([X, y])
    return X, y


def beside_peers(client, n, d, count):
    """Name -> seconds, processor seconds of the workers above idling, and log loss; the least of two fits."""
    from dask_ml.linear_model import LogisticRegression

    X, y = array_of(client, n, d, count)
    peers = {
        "ours": SGDVariantClassifier(random_state=0),
        "dask-ml, newton": LogisticRegression(solver="newton"),
        "dask-ml, lbfgs": LogisticRegression(solver="lbfgs"),
    }
    found = {}
    for name, model in [*peers.items()] * 2:
        before, clock = seconds(client), time.perf_counter()
        model.fit(X, y)
        wall, busy = time.perf_counter() - clock, seconds(client) - before
        before = seconds(client)
        time.sleep(min(wall, 5.0))
        busy -= (seconds(client) - before) * wall / min(wall, 5.0)
        z = X @ np.ravel(model.coef_) + np.ravel(model.intercept_)[0]
        loss = float((log1p_exp(z) - y * z).mean().compute())
        found[name] = tuple(map(min, found.get(name, (wall, busy, loss)), (wall, busy, loss)))
    return found


def imported():
    """Import what a search needs."""
    import skvariants.model_selection  # noqa: F401


def searched(client, n, d, count):
    """Print processor seconds of a search on the workers, above idling, and here; whether the bar is held."""
    from skvariants.model_selection import BatchedGridSearchCV

    X, y = array_of(client, n, d, count)
    y = X[:, : d // 2].sum(axis=1) + y  # real targets, of the same blocks
    before = seconds(client)
    client.run(imported)
    print(f"import in {len(client.ncores())} workers: {seconds(client) - before:.2f} processor seconds")
    search, total = BatchedGridSearchCV(SGDVariantRegressor(penalty="elasticnet"), GRID), []
    for _ in range(3):
        before, begin, clock = seconds(client), time.process_time(), time.perf_counter()
        search.fit(X, y)
        own, wall, busy = time.process_time() - begin, time.perf_counter() - clock, seconds(client) - before
        before = seconds(client)
        time.sleep(wall)
        busy -= seconds(client) - before
        total.append(own + busy)
        print(f"search of a dask array: workers {busy:.2f}, client {own:.2f} processor seconds, {wall:.2f} s")
    scores = search.cv_results_["mean_test_score"]
    X, y = X.compute(), y.compute()
    begin = time.process_time()
    search.fit(X, y)
    print(f"search in memory: {time.process_time() - begin:.2f} processor seconds")
    assert np.allclose(scores, search.cv_results_["mean_test_score"], rtol=1e-9), "not the same scores"
    return max(total) <= SEARCH


def log1p_exp(z):
    """The logarithm of 1 + exp(z), block by block."""
    return z.map_blocks(lambda block: np.logaddexp(0, block))


def show_peers(found):
    """Print what was found; whether ours takes half of each or less."""
    wall, busy, _ = found["ours"]
    for name, (own, work, loss) in found.items():
        print(
            f"{name:16s} {own:7.2f} s, workers {work:7.2f} s, log loss {loss:.6f}; ours takes {wall / own:.2f} of its "
            f"seconds, {busy / work:.2f} of its processor time"
        )
    return all(wall <= PEERS * own for name, (own, _, _) in found.items() if name != "ours")


def main():
    """Print the figures."""
    from dask.distributed import Client, LocalCluster

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--blocks", type=int, default=60)
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--check", action="store_true", help="exit with 1 where the bar is not held")
    parser.add_argument("--peers", action="store_true", help="beside dask-ml")
    parser.add_argument("--search", action="store_true", help="a grid with squared error")
    args = parser.parse_args()
    with LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        n = args.rows // args.blocks
        if args.peers:
            held = show_peers(beside_peers(client, n, args.features, args.blocks))
            raise SystemExit(args.check and not held)
        if args.search:
            held = searched(client, n, args.features, args.blocks)
            raise SystemExit(args.check and not held)
        here, there, own, rounds, passes = measure(client, n, args.features, args.blocks, args.tol)
    print(f"{n * args.blocks:,} x {args.features} in {args.blocks} blocks, {passes} passes")
    print(
        f"processor seconds: one process {here:.2f}, workers {there:.2f} ({there / here:.2f} times), client {own:.2f}"
    )
    print("rounds:", ", ".join(f"{tasks} tasks in {wall:.2f} s" for wall, tasks in rounds))
    raise SystemExit(args.check and there > BAR * here)


if __name__ == "__main__":
    main()
