"""How fits scale with the number of workers: rates and overheads that are measured, rounds that are simulated.

One command, no data needed; with dask a cluster of two workers on loopback, without it two processes of Python::

    OMP_NUM_THREADS=1 python examples/benchmarks/workers.py
    OMP_NUM_THREADS=1 python examples/benchmarks/workers.py --quick
    OMP_NUM_THREADS=1 python examples/benchmarks/workers.py --rows 1e10 --features 50 --check

Measured are, on this machine: the rounds of a fit that arrives at 1e-8 of the gain (what each asks, its processor time
for a row, its bytes, what the client computes between), the evaluations of L-BFGS until then and their time for a row,
how near averaged local steps come in 30 rounds on so many parts in random order, and what a round costs beside the
work: a latency, a time for each task, a time for each byte. Simulated are the rounds of a larger table on more workers:
the client sends tasks one after the other, a worker that is free takes the next, and results come in one after the
other. At the end the same simulation foretells fits on two real workers, of tables other than those measured.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import pickle
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning

from skvariants import SGDVariantClassifier
from skvariants._blocks.engines import runs_of
from skvariants.distributed import fit

WORKERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
#: The gap that is asked for, rounds of averaged steps, and the gap that these are asked for.
GAP, ROUNDS, NEAR = 1e-8, 30, 1e-4
#: Parts of the averaged steps, their first lengths, the powers of the round that these fall with, rows of a step.
PARTS, STEPS, FALLS, BATCH = (10, 100), (0.03, 0.1, 0.3, 1.0), (0.0, 1.0), 32
#: Blocks of the table that is measured, and of that which is simulated.
COUNT, BLOCKS = 8, 4096
#: Bytes of a sample, as in `skvariants/_blocks/survey.py`.
SAMPLE = 1 << 25


# ----------------------------------------------------------------------------- tables


def table(n, d, seed=0):
    """Rows of correlated columns, single, and labels that follow a logistic model."""
    rng = np.random.default_rng(seed)
    mixed = (rng.standard_normal((d, d)) / d**0.5 + np.eye(d)).astype(np.float32)
    X = rng.standard_normal((n, d), dtype=np.float32) @ mixed
    X /= X.std(axis=0)
    return X, X @ (1.5 * rng.standard_normal(d, dtype=np.float32) / d**0.5) + rng.logistic(size=n) > 0


def read(folder, number):
    """A block that was written: as others read files, here from the cache of pages."""
    return tuple(np.load(folder / f"{name}{number}.npy", mmap_mode="r") for name in "Xy")


def written(folder, X, y, count):
    """Functions that read the blocks of a table."""
    for number, some in enumerate(cuts(len(y), count)):
        np.save(folder / f"X{number}.npy", X[some])
        np.save(folder / f"y{number}.npy", y[some])
    return [partial(read, folder, number) for number in range(count)]


def cuts(n, count):
    """So many slices of the rows."""
    return [slice(a, b) for a, b in pairwise(np.linspace(0, n, count + 1).astype(int))]


class Objective:
    """Log loss and its penalty, in double precision."""

    def __init__(self, X, y, alpha):
        self.X, self.sign, self.alpha = X.astype(np.float64), np.where(y, 1.0, -1.0), alpha
        self.evaluations = 0

    def __call__(self, theta):
        self.evaluations += 1
        z = self.sign * (self.X @ theta[:-1] + theta[-1])
        r = -self.sign * expit(-z) / len(z)
        value = np.logaddexp(0, -z).mean() + 0.5 * self.alpha * theta[:-1] @ theta[:-1]
        return value, np.append(self.X.T @ r + self.alpha * theta[:-1], r.sum())

    def minimum(self):
        """By Newton's steps."""
        theta, A = np.zeros(self.X.shape[1] + 1), np.column_stack([self.X, np.ones(len(self.X))])
        ridge = np.diag(np.append(np.full(self.X.shape[1], self.alpha), 0.0))
        for _ in range(12):
            p = expit(A @ theta)
            H = (A * (p * (1 - p))[:, None]).T @ A / len(A) + ridge
            theta -= np.linalg.solve(H, self(theta)[1])
        return self(theta)[0]

    def gaps(self, best):
        """From a model to the share of the gain that is left."""
        start = self(np.zeros(self.X.shape[1] + 1))[0]
        return lambda theta: (self(theta)[0] - best) / (start - best)


# ----------------------------------------------------------------------------- rounds, measured


@dataclass(frozen=True)
class Round:
    """What a round is, and what it costs.

    Attributes
    ----------
    name : str
        What is asked.
    row, block : float
        Processor seconds of a row, and of reading a block.
    down, up : float
        Bytes of a question, and of the answer of a run.
    before : float
        Processor seconds of the client since the round before.
    sampled : bool
        Whether the answers hold the sample, all of them together.
    """

    name: str
    row: float
    block: float = 0.0
    down: float = 0.0
    up: float = 0.0
    before: float = 0.0
    sampled: bool = False


class Recorder:
    """An engine of this process that writes down what it is asked."""

    workers = 2

    def __init__(self, n):
        self.n, self.rounds, self.block, self.last = n, [], 0.0, time.process_time()

    def __call__(self, function, shards, *args):
        begin = time.process_time()
        results = [function(shard, *args) for shard in shards]
        busy = time.process_time() - begin
        question = args[1] if len(args) > 1 else None
        name = args[0].__name__.strip("_")
        name += " and Hessian" if getattr(question, "hessian", False) else ""
        up = np.mean([len(pickle.dumps(result)) for result in results])
        down = len(pickle.dumps((function, args)))
        count = sum(len(shard.blocks) for shard in shards)
        if not self.rounds:  # blocks are opened, and no more
            self.block = busy / count
        row = max(busy - count * self.block, 0.0) / self.n
        self.rounds.append(Round(name, row, self.block, down, up, begin - self.last, name == "look"))
        self.last = time.process_time()
        return results


def quietly(model, blocks, engine):
    """A fit whose number of passes may be too small."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit(model, blocks, engine=engine)


def our_rounds(blocks, n, gaps, alpha, repeats=3):
    """The rounds of the shortest fit that is near enough, its cheapest repetition, and its gap."""
    for passes in range(1, 50):
        found = []
        for _ in range(repeats):
            engine, model = Recorder(n), SGDVariantClassifier(tol=1e-14, max_iter=passes, alpha=alpha, random_state=0)
            engine.last = time.process_time()
            quietly(model, blocks, engine)
            found.append(engine.rounds)
        gap = gaps(np.append(model.coef_[0].astype(float), model.intercept_))
        if gap <= GAP:
            break
    rounds = found[0]
    for number, part in enumerate(rounds):
        same = [other[number] for other in found]
        rounds[number] = replace(part, row=min(x.row for x in same), before=min(x.before for x in same))
    return rounds, gap


def lbfgs_rounds(objective, gaps, row, d):
    """The rounds of L-BFGS from zero until it is near enough; a pass for each evaluation."""
    near, objective.evaluations = [], 0

    def look(theta):
        count = objective.evaluations
        near.append((count, gaps(theta)))
        objective.evaluations = count
        if near[-1][1] <= GAP:
            raise StopIteration

    options = {"maxiter": 500, "maxfun": 10_000, "ftol": 0.0, "gtol": 0.0}
    with contextlib.suppress(StopIteration):
        minimize(objective, np.zeros(d + 1), jac=True, method="L-BFGS-B", options=options, callback=look)
    count, gap = near[-1]
    return [Round("gradient", row, down=8.0 * (d + 1), up=8.0 * (d + 2))] * count, gap


class LocalSteps:
    """Steps on parts of the rows, all parts at once, and the models averaged after each round."""

    def __init__(self, X, y, parts, alpha, eta, fall):
        size = len(y) // parts
        A = np.concatenate([X, np.ones((len(X), 1), np.float32)], axis=1)
        self.A = A[: size * parts].reshape(parts, size, -1)
        self.sign = np.where(y, np.float32(1), np.float32(-1))[: size * parts].reshape(parts, size)
        self.alpha, self.eta, self.fall, self.theta = alpha, eta, fall, np.zeros(A.shape[1])
        self.rng, self.number = np.random.default_rng(0), 0

    def round(self):
        """An epoch of each part, in an order that is drawn."""
        (parts, size, _), self.number = self.A.shape, self.number + 1
        W, order = np.tile(self.theta.astype(np.float32), (parts, 1)), self.rng.permutation(size)
        for at in (order[i : i + BATCH] for i in range(0, size, BATCH)):
            B, s = self.A[:, at], self.sign[:, at]
            r = s * expit(-s * np.matmul(B, W[:, :, None])[:, :, 0]) / len(at)
            change = np.matmul(r[:, None], B)[:, 0]
            change[:, :-1] -= self.alpha * W[:, :-1]
            W += self.eta / self.number**self.fall * change
        self.theta = W.mean(axis=0, dtype=np.float64)
        return self.theta


def averaged(X, y, parts, alpha, gaps):
    """Gaps after each round of averaged steps, of the best of several lengths; the worse ones are given up early."""
    tried = [(LocalSteps(X, y, parts, alpha, eta, fall), []) for eta in STEPS for fall in FALLS]
    for count in (4, ROUNDS - 4):
        for steps, seen in tried:
            seen.extend(gaps(steps.round()) for _ in range(count))
        tried = sorted(tried, key=lambda pair: pair[1][-1])[:2]
    return min((seen for _, seen in tried), key=min)


def epoch(X, y):
    """Processor seconds of a row of local steps, by our solver of single steps."""
    spent = []
    for _ in range(3):
        begin = time.process_time()
        SGDVariantClassifier("log_loss", solver="adagrad", batch_size=512, eta0=0.1, tol=None, max_iter=1).fit(X, y)
        spent.append(time.process_time() - begin)
    return min(spent) / len(y)


# ----------------------------------------------------------------------------- overheads, measured


def nothing(size, question):
    """An answer of so many bytes."""
    return np.zeros(size // 8)


def toil(size, question):
    """Processor seconds of products, a quarter of one or so."""
    begin, A = time.process_time(), np.ones((size, size))
    for _ in range(200):
        A = A @ A / size
    return np.array([time.process_time() - begin])


@dataclass
class Overhead:
    """What a round costs beside the work: seconds of a round, of a task, of a byte; whether short ones are grouped."""

    name: str
    round: float
    task: float
    byte: float
    grouped: bool


def overhead(name, send, grouped, repeats=7):
    """Measure it: by empty tasks, few and many, and by large answers; `send(function, sizes, question)` waits."""

    def least(count, size):
        found = []
        for _ in range(repeats):
            begin = time.perf_counter()
            send(nothing, [size] * count, b"")
            found.append(time.perf_counter() - begin)
        return min(found)

    few, many = least(2, 8), least(66, 8)
    task = max((many - few) / 64, 1e-6)
    size = 1 << 22
    byte = max((least(8, size) - least(8, 8)) / (8 * size), 1e-11)
    return Overhead(name, max(few - 2 * task, 1e-5), task, byte, grouped)


def slowness(send, repeats=4):
    """Seconds that two workers take for a second of the processor, both at once: more than one where others work."""
    found = []
    for _ in range(repeats):
        begin = time.perf_counter()
        busy = max(float(spent[0]) for spent in send(toil, [256] * 2, b""))
        found.append((time.perf_counter() - begin) / busy)
    return max(min(found), 1.0)


@contextlib.contextmanager
def engines(quick):
    """Engines of two workers: what a fit takes, and what a round costs."""
    with contextlib.ExitStack() as stack:
        found = []
        pool = stack.enter_context(ProcessPoolExecutor(2))
        list(pool.map(np.zeros, [1] * 8))

        def by_pool(function, sizes, question):
            return [f.result() for f in [pool.submit(function, size, question) for size in sizes]]

        found.append((pool, by_pool, overhead("two processes", by_pool, False)))
        try:
            if quick:
                raise ImportError
            from dask.distributed import Client, LocalCluster
        except ImportError:
            pass
        else:
            cluster = stack.enter_context(LocalCluster(2, threads_per_worker=1, dashboard_address=":0"))
            client = stack.enter_context(Client(cluster))

            def by_dask(function, sizes, question):
                return client.gather([client.submit(function, size, question, pure=False) for size in sizes])

            found.append((client, by_dask, overhead("dask", by_dask, True)))
        yield found


# ----------------------------------------------------------------------------- the simulation


def simulated(rounds, n, blocks, workers, cost, speeds=None):
    """Seconds of a fit and bytes that the client takes in.

    Parameters
    ----------
    rounds : list of Round
        Of the fit.
    n, blocks : int
        Rows of the table, and its blocks.
    workers : int
        How many.
    cost : Overhead
        Of a round.
    speeds : ndarray, optional
        Of each worker; 1 is that of this machine.
    """
    runs = [len(run.blocks) for run in runs_of(range(blocks), None, workers)]
    each = -(-len(runs) // workers)
    speeds = np.ones(workers) if speeds is None else speeds
    clock, received, together, known = 0.0, 0.0, cost.grouped, {}
    for part in rounds:
        if (part, together) not in known:
            size = each if together else 1
            groups = [runs[i : i + size] for i in range(0, len(runs), size)]
            up = part.up / len(runs) if part.sampled else part.up
            known[part, together] = _round(part, groups, part.row * n / blocks + part.block, cost, up, speeds)
        seconds, total = known[part, together]
        clock, received = clock + part.before + seconds, received + total
        together = cost.grouped and seconds < 5.0
    return clock, received


def _round(part, groups, work, cost, up, speeds):
    """Seconds of a round, and its bytes: tasks go out and come in one after the other."""
    free = [(cost.round, worker) for worker in range(len(speeds))]
    heapq.heapify(free)
    ready, sent = [], cost.round
    for group in groups:
        sent += 0.5 * cost.task + part.down * cost.byte
        at, worker = heapq.heappop(free)
        ended = max(at, sent) + sum(group) * work / speeds[worker]
        heapq.heappush(free, (ended, worker))
        ready.append((ended, len(group) * up))
    clock = sent
    for ended, size in sorted(ready):
        clock = max(clock, ended) + 0.5 * cost.task + size * cost.byte
    return clock, sum(size for _, size in ready)


def grown(rounds, to, d):
    """The rounds of a larger table, whose sample is as large as its bytes allow: a fit of so many rows is measured."""
    rows = int(min(max(SAMPLE // (4 * d), 160 * (d + 1)), to / 16))
    (X, y), spent = table(rows, d, 2), []
    for _ in range(3):
        begin = time.process_time()
        SGDVariantClassifier(tol=1e-3).fit(X, y)
        spent.append(time.process_time() - begin)
    found, before = [], None
    for part in rounds:
        if part.sampled:
            part = replace(part, up=rows * (4.0 * d + 8))
        found.append(part if before is None else replace(part, before=before))
        before = min(spent) if part.sampled else None
    return found


def scaling(times, workers):
    """The most workers that are still half used, and the number with the least time."""
    half = max(w for w, t in zip(workers, times, strict=True) if times[0] / (w * t) >= 0.5)
    return half, workers[int(np.argmin(times))]


# ----------------------------------------------------------------------------- the script


def number(value):
    """Seconds in three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def show_rounds(rounds, gap, lbfgs, far, n, d):
    """What was measured of the methods."""
    print(f"Measured on {n:,} x {d} single, one thread. A fit to {gap:.0e} of the gain, round by round:")
    print("| round | ns a row | bytes to a worker | bytes from a run | client before, ms |")
    print("|---|---:|---:|---:|---:|")
    for part in rounds:
        print(f"| {part.name} | {1e9 * part.row:.1f} | {part.down:,.0f} | {part.up:,.0f} | {1e3 * part.before:.1f} |")
    print(f"\nL-BFGS from zero: {len(lbfgs)} rounds of {1e9 * lbfgs[0].row:.1f} ns a row to {far:.0e}.")


def check(found, sizes, folder):
    """Fits on two real workers beside what is foretold of them, and the ratios."""
    ratios = []
    print("\n| two workers | table | passes | foretold, s | measured, s | ratio |\n|---|---|---:|---:|---:|---:|")
    for n, d, count in sizes:
        here = folder / f"{n} {d}"
        here.mkdir()
        blocks, recorder = written(here, *table(n, d, 1), count), Recorder(n)
        model = SGDVariantClassifier(tol=1e-8, random_state=0)
        fit(model, blocks, engine=recorder)  # warm
        recorder = Recorder(n)
        fit(model, blocks, engine=recorder)
        for engine, send, cost in found:
            slow, seconds = slowness(send), []
            for _ in range(4):
                begin = time.perf_counter()
                fit(model, blocks, engine=engine)
                seconds.append(time.perf_counter() - begin)
            slow = 0.5 * (slow + slowness(send))
            rounds = [replace(part, before=slow * part.before) for part in recorder.rounds]
            told, _ = simulated(rounds, n, count, 2, cost, np.full(2, 1 / slow))
            ratios.append(min(seconds) / told)
            row = f"{told:.3f} | {min(seconds):.3f} | {ratios[-1]:.2f}"
            print(f"| {cost.name} | {n:,} x {d} | {model.n_iter_} | {row} |", flush=True)
    return ratios


def measured(n, d, folder, parts):
    """Rounds of a fit, of L-BFGS and of averaged steps on one table, and their gaps."""
    X, y = table(n, d)
    alpha = SGDVariantClassifier().alpha
    blocks, objective = written(folder, X, y, COUNT), Objective(X, y, alpha)
    gaps = objective.gaps(objective.minimum())
    ours, gap = our_rounds(blocks, n, gaps, alpha)
    plain = [part for part in ours if part.name == "statistics"] or ours[-1:]
    lbfgs, far = lbfgs_rounds(objective, gaps, min(part.row for part in plain), d)
    show_rounds(ours, gap, lbfgs, far, n, d)
    some = slice(0, n // 5)
    objective = Objective(X[some], y[some], alpha)
    gaps, local = objective.gaps(objective.minimum()), {}
    for count in parts:
        local[count] = averaged(X[some], y[some], count, alpha, gaps)
        near = next((k for k, gap in enumerate(local[count], 1) if gap <= NEAR), None)
        print(
            f"Averaged steps on {count} parts: {min(local[count]):.0e} after {ROUNDS} rounds, "
            f"{NEAR:.0e} after {near or 'none of them'}."
        )
    return ours, lbfgs, local, epoch(X, y)


def show_simulated(n, d, cost, ours, lbfgs, local, row):
    """Seconds by workers on one engine, and where more of them are of no use."""
    rng = np.random.default_rng(0)
    speeds = {w: np.exp(0.05 * rng.standard_normal(w)) for w in WORKERS}
    print(
        f"\nSimulated with the overhead of {cost.name} ({1e3 * cost.round:.1f} ms a round, {1e3 * cost.task:.2f} ms "
        f"a task, {1e-9 / cost.byte:.2g} GB/s): {n:,.0f} x {d}, workers whose speeds differ by 5 %."
    )
    print(f"| workers | a fit to {GAP:.0e}, s | MB to the client | L-BFGS to {GAP:.0e}, s | averaged, s | end at |")
    print("|---:|---:|---:|---:|---:|---:|")
    times = []
    for workers in WORKERS:
        seconds, received = simulated(ours, n, BLOCKS, workers, cost, speeds[workers])
        other, _ = simulated(lbfgs, n, BLOCKS, workers, cost, speeds[workers])
        seen = local[min(local, key=lambda parts: abs(np.log(parts / workers)))]
        rounds = next((k for k, gap in enumerate(seen, 1) if gap <= NEAR), ROUNDS)
        steps = [Round("steps", row, down=8.0 * (d + 1), up=8.0 * (d + 1))] * rounds
        mean, _ = simulated(steps, n, BLOCKS, workers, cost, speeds[workers])
        times.append((seconds, other))
        print(
            f"| {workers:,} | {number(seconds)} | {received / 1e6:,.0f} | {number(other)} | {number(mean)} | "
            f"{seen[rounds - 1]:.0e} |"
        )
    for title, found in zip(("A fit", "L-BFGS"), zip(*times, strict=True), strict=True):
        half, least = scaling(found, WORKERS)
        print(f"{title} uses up to {half:,} workers by half or more, and takes least time with {least:,}.")


def main(arguments=None):
    """Print what was measured, the simulation, and its check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, default=1e9, help="of the table that is simulated")
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="small tables, no cluster")
    parser.add_argument("--fits", action="store_true", help="only fits on two workers, beside what is foretold of them")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where a real fit takes twice what is foretold"
    )
    args = parser.parse_args(arguments)
    n, d, parts = (40_000, 10, PARTS[:1]) if args.quick else (200_000, args.features, PARTS)
    with tempfile.TemporaryDirectory() as name, engines(args.quick) as found:
        folder = Path(name)
        if not args.fits:
            ours, lbfgs, local, row = measured(n, d, folder, parts)
            large = grown(ours, args.rows, d)
            for _, _, cost in found:
                show_simulated(args.rows, d, cost, large, lbfgs, local, row)
        sizes = [(2 * n, d, 16), (4 * n, d // 4, 20)]
        ratios = check(found, sizes, folder)
    raise SystemExit(args.check and not all(0.5 <= ratio <= 2 for ratio in ratios))


if __name__ == "__main__":
    main()
