"""Smooth losses: objective and test loss against seconds, these estimators beside what people use today.

One command writes a file of results, from which ``report.py`` makes the tables and pictures of the page::

    python examples/benchmarks/benchmark.py              # synthetic and bundled data, about six minutes
    python examples/benchmarks/benchmark.py --quick      # a few seconds
    python examples/benchmarks/benchmark.py --data DIR   # local data instead (see problems.py)

Every method is given the same columns, is timed in the same run, with one thread and with two, and is measured by the
distance to the minimum of the objective, which a reference finds (see ``objectives.py`` and ``methods.py``). Our
default goes first. A fit of another method may take LONGEST times as long as ours took to 1e-5 (and at least QUICK
seconds), and all its fits together three times that: what had not arrived by then is given as not arrived.
"""

from __future__ import annotations

import argparse
import re
import time

import measuring
import methods as catalogue
import numpy as np
import problems as data_sets
from measuring import seconds_to
from objectives import Objective
from scipy.special import expit, log_softmax

TARGETS = (1e-2, 1e-3, 1e-5)
LONGEST = 12
QUICK = 0.1
#: No fit takes longer than that many seconds, and one of our own solvers may take that many.
SECONDS, NAMED_SECONDS = 6.0, 0.5
QUICK_METHODS = r"^ours: (momentum|adagrad|adam)$|^SGD\((default|adaptive, eta0=0.1)\)$|lbfgs|^Ridge\(auto\)"


def test_loss(problem, loss, coef, intercept):
    """Log loss on the test rows, or 1 - R2."""
    with np.errstate(all="ignore"):
        z = np.asarray(problem.X_test @ np.atleast_2d(coef).T) + np.ravel(intercept)
        if problem.task == "regression":
            y = problem.y_test
            return float(((y - z[:, 0]) ** 2).mean() / y.var())
        codes = np.searchsorted(np.unique(problem.y), problem.y_test)
        if problem.task == "binary":
            return float(np.logaddexp(0, np.where(codes == 1, -z[:, 0], z[:, 0])).mean())
        if loss == "ovr":
            p = np.maximum(expit(z), 1e-300)
            return float(-np.log(p[np.arange(len(z)), codes] / p.sum(axis=1)).mean())
        return float(-log_softmax(z, axis=1)[np.arange(len(z)), codes].mean())


def epochs_of(setting):
    """Epochs or iterations of a setting; a finer tolerance counts as much as 50."""
    if isinstance(setting, dict):
        return setting.get("max_iter", 50)
    return setting[0] if isinstance(setting, tuple) else setting


def fitted(method, problem, setting, counts):
    """Coefficients, intercepts, and seconds by threads; a sentence instead of both if the method refuses."""
    try:
        result, seconds = measuring.timed_by_threads(method.prepare(problem, setting), counts, method.one_thread)
    except (ValueError, FloatingPointError, MemoryError, np.linalg.LinAlgError) as error:
        return str(error)[:200], {}
    return result() if callable(result) else result, seconds


def measure(method, problem, objective, counts, longest=np.inf, tested=None):
    """Points of a method on a problem: dictionaries of setting, seconds by threads, value, suboptimality, test loss.

    The settings are tried in turn, until 1e-5 is well reached, the next fit would take more than `longest` seconds, all
    took three times that, or a longer one changes nothing. The default is tried last, if not too much time has gone.
    """
    points, spent, ended, previous = [], 0.0, None, None
    tested = tested or (lambda *found: test_loss(problem, method.loss(problem.task), *found))
    for setting in [s for s in method.settings if s != "default"] + ["default"] * ("default" in method.settings):
        kind = next(iter(setting)) if isinstance(setting, dict) else "epochs"
        if setting != "default":
            longer = epochs_of(setting) / epochs_of(previous) if previous is not None else 0.0
            arrived = points and points[-1]["suboptimality"] <= 1e-6
            hopeless = len(points) >= 4 and points[-1]["suboptimality"] > 1
            if kind == ended or spent > 3 * longest or arrived or hopeless:
                continue
            if points and longer * max(points[-1]["seconds"].values(), default=0.0) > longest:
                continue
            previous = setting
        elif method.family != "ours" and points and spent > 5 * longest:
            continue
        start = time.perf_counter()
        found, seconds = fitted(method, problem, setting, counts)
        spent += time.perf_counter() - start
        if not seconds:
            points.append({"setting": str(setting), "error": found, "suboptimality": np.inf, "seconds": {}})
            continue
        value = objective(*found)
        if setting != "default" and points and points[-1].get("value") == value:
            ended = kind
        points.append(
            {
                "setting": str(setting), "seconds": seconds, "value": value,
                "suboptimality": objective.suboptimality(*found), "test_loss": tested(*found),
            }
        )  # fmt: skip
    return points


def run_problem(name, chosen, counts, data=None, rows=None, log=print):
    """Entry of a problem, and the results of every method on it."""
    start = time.perf_counter()
    problem = data_sets.make(name, data, rows)
    entry = {
        "name": name, "source": problem.source, "task": problem.task, "size": problem.size,
        "classes": problem.classes, "alpha": problem.alpha, "reference_error": 0.0, "minimum_test_loss": {},
    }  # fmt: skip
    log(f"{name}: {problem.task}, {problem.size}", flush=True)
    objectives, results, longest = {}, [], SECONDS
    for method in chosen:
        if not method.takes(problem):
            continue
        key = method.loss(problem.task)
        if key not in objectives:
            objectives[key] = Objective(problem.X, problem.y, key, problem.alpha)
            best = objectives[key].minimum()
            entry["reference_error"] = max(entry["reference_error"], best.error)
            entry["minimum_test_loss"][key] = test_loss(problem, key, best.coef.T, best.intercept)
        if method.family == "named":
            points = measure(method, problem, objectives[key], counts[-1:], max(longest, NAMED_SECONDS))
        else:
            points = measure(method, problem, objectives[key], counts, longest)
        if method.family == "ours":
            times = [seconds_to(points, 1e-5, c) or points[-1]["seconds"][str(c)] for c in counts]
            longest = min(max(LONGEST * max(times), QUICK), SECONDS)
        results.append({"problem": name, "method": method.name, "family": method.family, "points": points})
        cells = [seconds_to(points, target, counts[-1]) for target in TARGETS]
        least = min((p["suboptimality"] for p in points), default=np.inf)
        log(f"  {method.name:34s} {''.join('       -' if c is None else f'{c:8.4f}' for c in cells)}  best {least:.1e}")
    entry["seconds"] = time.perf_counter() - start
    return entry, results


def run(names, pattern=".", data=None, rows=None, log=print):
    """Measure every method on every problem: the content of the file of results."""
    measuring.warm_up()
    counts = measuring.threads_to_time()
    others = [*catalogue.peers(), *catalogue.named()]
    chosen = [catalogue.ours("auto"), *(m for m in others if re.search(pattern, m.name))]
    report = {"threads": counts, "longest": LONGEST, "problems": [], "results": []}
    for name in names:
        entry, results = run_problem(name, chosen, counts, data, rows, log)
        report["problems"].append(entry)
        report["results"] += results
    return report


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small problems and few methods")
    parser.add_argument("--data", help="folder of local data, which is measured instead")
    parser.add_argument("--rows", type=int, help="at most so many rows of each")
    parser.add_argument("--problems", nargs="+", help="names; the default is all")
    parser.add_argument("--methods", default=None, help="regular expression of the methods' names")
    parser.add_argument("--output", default="smooth.json", help="file of results")
    options = parser.parse_args(arguments)
    which = () if options.data else data_sets.QUICK if options.quick else data_sets.FULL
    names = options.problems or data_sets.names(which, options.data)
    pattern = options.methods or (QUICK_METHODS if options.quick else ".")
    measuring.save(options.output, "smooth", run(names, pattern, options.data, options.rows))
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
