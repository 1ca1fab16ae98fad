"""What the advice of ``diagnose`` costs: every named solver and "auto" on many tables, beside the one advised.

    python examples/benchmarks/advice.py                        # bundled and synthetic tables
    python examples/benchmarks/advice.py --data DIR             # and those of a folder (see problems.py)
    python examples/benchmarks/advice.py --report advice.json   # the tables of an earlier run, with today's rules

Every solver is fitted with its defaults to its own end, or for at most ``--cap`` seconds. A callback writes down each
epoch, and its own time is taken off. Seconds are those of the processor, so set OMP_NUM_THREADS=1. What counts is
(f - f*) / (f_constant - f*), where f* is that of ``objectives.py``; of a loss with kinks it is the least objective
that any of the fits reached.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import problems as data_sets
from objectives import Objective, columns_of_targets

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.diagnostics import RULES, Facts, diagnose, recommend
from skvariants.solvers import LECTURE

TARGETS = (1e-2, 1e-3)
#: The lecture's solvers; not `sgd`, which takes a hundred times as many steps for a pass.
NAMED = [name for name in LECTURE if name != "sgd"]
MARKER = "<!-- tables -->"
OURS = ("breast_cancer", "diabetes", "digits", "dense_1e4", "dense_quick", "text_quick")
#: Gaussian columns of equal variance: no ravine.
ROUND = {"round_5e3": 5_000, "round_5e4": 50_000}
SMOOTH = {"regression": "squared_error", "binary": "log_loss", "multiclass": "log_loss"}
KINKED = {"regression": "epsilon_insensitive", "binary": "hinge", "multiclass": "hinge"}


class Recorder:
    """A callback that keeps the model of each epoch with the seconds so far, and ends a fit that takes too long."""

    def __init__(self, cap):
        self.cap, self.models, self.seconds, self.own = cap, [], [], 0.0
        self.started = None

    def setup(self, estimator, context):
        self.started = time.process_time()

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        now = time.process_time()
        if context.task_name == "epoch":
            self.models.append((np.atleast_2d(fitted_estimator.coef_), np.ravel(fitted_estimator.intercept_)))
            self.seconds.append(now - self.started - self.own)
            stop = self.seconds[-1] > self.cap
            self.own += time.process_time() - now
            return stop


def round_problem(name):
    """Two classes on Gaussian columns of equal variance."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROUND[name], 20))
    y = (X @ rng.standard_normal(20) + rng.logistic(size=len(X)) > 0).astype(np.int64)
    return data_sets.Problem(name, "synthetic", "binary", X, y, X, y)


def kinked_value(problem, alpha, coef, intercept):
    """Hinge summed over classes against all others, or absolute error beyond 0.1, plus the penalty."""
    z = np.asarray(problem.X @ coef.T) + intercept
    if problem.task == "regression":
        value = np.maximum(np.abs(problem.y[:, None] - z) - 0.1, 0)
    else:
        y = columns_of_targets(problem.y, "log_loss" if problem.task == "binary" else "ovr")
        value = np.maximum(1 - (2 * y - 1) * z, 0)
    return value.sum(axis=1).mean() + 0.5 * alpha * (coef**2).sum()


def fit(problem, solver, loss, scaled, cap):
    """A fit with defaults: seconds and model of each epoch, then of the whole."""
    estimator = SGDVariantRegressor if problem.task == "regression" else SGDVariantClassifier
    model = estimator(loss=loss, solver=solver, scale_features=scaled, alpha=problem.alpha, random_state=0)
    recorder = Recorder(cap)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.process_time()
        model.set_callbacks(recorder).fit(problem.X, problem.y)
        seconds = time.process_time() - started - recorder.own
    models = [*recorder.models, (np.atleast_2d(model.coef_), np.ravel(model.intercept_))]
    return [*recorder.seconds, seconds], models, model.status_, model.n_iter_, type(model.solver_).__name__


def measure(problem, loss, scaled, cap, names=NAMED):
    """Facts, and what "auto" and each named solver reached."""
    facts = diagnose(problem.X, problem.y, loss=loss, scale_features=scaled, random_state=0).facts
    fit(problem, "auto", loss, scaled, cap)  # what is done once in a process is not counted
    runs = {name: fit(problem, name, loss, scaled, cap) for name in ["auto", *names]}
    if loss in SMOOTH.values():
        objective = Objective(problem.X, problem.y, loss_name(problem, loss), problem.alpha)
        f, best, constant = objective, objective.minimum().value, objective.minimum().constant
    else:
        f = lambda coef, intercept: kinked_value(problem, problem.alpha, coef, intercept)  # noqa: E731
        d, k = problem.X.shape[1], len(runs["auto"][1][0][1])
        b = np.median(problem.y)
        if problem.task != "regression":
            b = np.sign(np.bincount(np.unique(problem.y, return_inverse=True)[1]) / len(problem.y) - 0.5)[-k:]
        constant = f(np.zeros((k, d)), b)
        best = np.inf
    values = {name: [f(*m) for m in thinned(run[1])] for name, run in runs.items()}
    best = min(best, *(min(v) for v in values.values()))
    solvers = {}
    for name, (seconds, _, status, n_iter, kind) in runs.items():
        rest = (np.array(values[name]) - best) / max(constant - best, 1e-300)
        times = np.array(thinned(seconds))
        solvers[name] = {
            "seconds": seconds[-1], "suboptimality": float(rest[-1]), "status": status, "n_iter": n_iter,
            "solver": kind, "to": [float(times[rest <= t][0]) if (rest <= t).any() else None for t in TARGETS],
        }  # fmt: skip
    return {"facts": asdict(facts), "solvers": solvers}


def thinned(path):
    """The first thirty of a path, then at most a hundred of the rest, and its end."""
    return [*path[:30], *path[30:-1][:: max(1, len(path) // 100)], path[-1]]


def loss_name(problem, loss):
    """The name of a loss in ``objectives.py``."""
    return "multinomial" if problem.task == "multiclass" and loss == "log_loss" else loss


# ----------------------------------------------------------------------------- judging


def judged(entry):
    """The advice of today's rules for a problem, and what it cost: named solvers beside the best of them and "auto"."""
    facts = Facts(**entry["facts"])
    advice = recommend(facts)
    advised = advice.solver_name
    named = {name: run for name, run in entry["solvers"].items() if name != "auto"}
    out = {"advised": advised, "rule": advice.rule}
    costs = {name: cost(run) for name, run in named.items()}
    out["best"] = min(costs, key=costs.get)
    out["factor"] = costs[advised] / costs[out["best"]]
    auto, run = entry["solvers"]["auto"], named[advised]
    out["seconds beside auto"] = run["seconds"] / auto["seconds"]
    out["rest"], out["rest of auto"] = run["suboptimality"], auto["suboptimality"]
    return out


def cost(run):
    """Seconds to the targets, their geometric mean; what is left at the end is charged as falling like 1 / seconds."""
    missed = (run["seconds"] * max(run["suboptimality"] / target, 1.0) for target in TARGETS)
    return geometric_mean([m if t is None else t for t, m in zip(run["to"], missed, strict=True)])


def geometric_mean(values):
    return float(np.exp(np.mean(np.log(values)))) if len(values) else np.nan


def summary(entries):
    """Markdown: the advice and "always this one" beside the best named solver."""
    lines = ["| choice | best | within 1.5 | within 3 | geometric mean of the factor |", "|---|---:|---:|---:|---:|"]
    choices = {"**the advice**": [judged(e)["factor"] for e in entries]}
    for name in NAMED:
        factors = []
        for e in entries:
            costs = {n: cost(run) for n, run in e["solvers"].items() if n != "auto"}
            factors.append(costs[name] / min(costs.values()))
        choices[f"always `{name}`"] = factors
    for label, factors in choices.items():
        f = np.array(factors)
        shares = " | ".join(f"{np.mean(f <= most):.0%}" for most in (1.0, 1.5, 3.0))
        lines.append(f"| {label} | {shares} | {geometric_mean(f):.2g} |")
    return "\n".join(lines)


def beside_auto(entries):
    """Markdown: each named solver's whole fit beside that of "auto"."""
    lines = ["| choice | seconds over those of `auto` | ends within | `auto` ends within | nearer than `auto` |"]
    lines.append("|---|---:|---:|---:|---:|")
    auto = np.array([e["solvers"]["auto"]["suboptimality"] for e in entries])
    for label in ["**the advice**", *NAMED]:
        runs = [e["solvers"][judged(e)["advised"] if label not in NAMED else label] for e in entries]
        seconds = [r["seconds"] / e["solvers"]["auto"]["seconds"] for r, e in zip(runs, entries, strict=True)]
        rest = np.array([r["suboptimality"] for r in runs])
        name = label if label.startswith("*") else f"`{label}`"
        lines.append(
            f"| {name} | {geometric_mean(seconds):.1f} | {np.median(rest):.0e} | {np.median(auto):.0e} | "
            f"{np.mean(rest < auto):.0%} |"
        )
    return "\n".join(lines)


def by_rule(entries):
    """Markdown: what the advice of each rule cost; the figures that the rules hold."""
    lines = ["| rule | advice | problems | factor | seconds over those of `auto` | left at the end |"]
    lines.append("|---|---|---:|---:|---:|---:|")
    found = [judged(e) for e in entries]
    for rule in RULES:
        some = [j for j in found if j["rule"] == rule.condition]
        if some:
            factor, seconds = (geometric_mean([j[key] for j in some]) for key in ("factor", "seconds beside auto"))
            left = np.median([j["rest"] for j in some])
            lines.append(
                f"| {rule.condition} | `{rule.solvers[0]}` | {len(some)} | {factor:.2g} | {seconds:.2g} | {left:.0e} |"
            )
    return "\n".join(lines)


def by_table(entries):
    """Markdown: a line for each problem."""
    lines = ["| data | rows x columns | ravine | rare | advice | best | factor | seconds over `auto` | ends within |"]
    lines.append("|---|---|---:|---:|---|---|---:|---:|---:|")
    for e in sorted(entries, key=lambda e: e["facts"]["ravine"]):
        f, j = e["facts"], judged(e)
        lines.append(
            f"| {e['name']} | {f['n_samples']:,} x {f['n_features']:,} | {f['ravine']:.2g} | "
            f"{f['rare_share']:.0%} | {j['advised']} | {j['best']} | {j['factor']:.1f} | "
            f"{j['seconds beside auto']:.1f} | {j['rest']:.0e} |"
        )
    return "\n".join(lines)


def report(entries):
    """The tables of a run."""
    parts = ["## By rule", by_rule(entries)]
    for scaled, where in ((True, "standardised"), (False, "raw")):
        for kinked in (False, True):
            some = [e for e in entries if e["scaled"] == scaled and (e["loss"] in KINKED.values()) == kinked]
            if some:
                what = "Losses with kinks" if kinked else "Smooth losses"
                parts += [f"## {what}, {where} coordinates ({len(some)} problems)", summary(some), beside_auto(some)]
                parts.append(by_table(some))
    return "\n\n".join(parts)


def show(entries, page=None):
    """Print the tables, or write them into a page."""
    text = report(entries)
    if page is None:
        print(text)
        return
    before, _, after = Path(page).read_text().split(MARKER)
    Path(page).write_text(f"{before}{MARKER}\n\n{text}\n\n{MARKER}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder of local data")
    parser.add_argument("--names", nargs="*", help="problems; all that are there by default")
    parser.add_argument("--rows", type=int, default=10_000, help="most rows of a table")
    parser.add_argument("--cap", type=float, default=5.0, help="most seconds of a fit")
    parser.add_argument("--losses", choices=["smooth", "kinked", "both"], default="both")
    parser.add_argument("--coordinates", choices=["standardised", "raw", "both"], default="both")
    parser.add_argument(
        "--page", help="a page whose text between the markers <!-- tables --> is replaced by the tables"
    )
    parser.add_argument("--output", default="advice.json", help="results; what is there already is kept")
    parser.add_argument("--report", nargs="+", help="only print the tables of these results")
    args = parser.parse_args()
    if args.report:
        entries = [entry for path in args.report for entry in json.loads(Path(path).read_text())]
        show(entries, args.page)
        return
    output = Path(args.output)
    entries = json.loads(output.read_text()) if output.exists() else []
    done = {(e["name"], e["loss"], e["scaled"]) for e in entries}
    known = [*OURS, *ROUND, *(data_sets.local_names(args.data) if args.data else [])]
    for name in args.names or known:
        problem = round_problem(name) if name in ROUND else data_sets.make(name, args.data, raw=True)
        if name not in ROUND:
            problem.X, problem.y = problem.X[: args.rows], problem.y[: args.rows]
        kinds = {"smooth": [SMOOTH], "kinked": [KINKED], "both": [SMOOTH, KINKED]}[args.losses]
        for loss in (kind[problem.task] for kind in kinds):
            for scaled in {"standardised": [True], "raw": [False], "both": [True, False]}[args.coordinates]:
                if (name, loss, scaled) in done:
                    continue
                measured = measure(problem, loss, scaled, args.cap)
                entries.append({"name": name, "loss": loss, "scaled": scaled, **measured})
                output.write_text(json.dumps(entries, indent=1))
                j = judged(entries[-1])
                print(f"{name}, {loss}, {'standardised' if scaled else 'raw'}: {j}", flush=True)
    show(entries, args.page)


if __name__ == "__main__":
    main()
