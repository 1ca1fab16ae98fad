"""Objective and test loss against seconds: these estimators beside what people use today.

One command, a table and plots as output::

    python examples/benchmarks/benchmark.py              # synthetic and bundled data, about a quarter of an hour
    python examples/benchmarks/benchmark.py --quick      # a few seconds
    python examples/benchmarks/benchmark.py --data DIR   # local data too
    python examples/benchmarks/benchmark.py --output docs/benchmarks

The output is ``<output>.md``, and in the folder ``<output>`` the plots and ``results.json`` with every measurement and
the machine. Every method is timed on the same rows in one run, and measured by the objective that it minimises against
that objective's own minimum (see ``objectives.py``, ``methods.py`` and, for local data, ``problems.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import methods as catalogue
import numpy as np
import problems as data_sets
from objectives import Objective
from scipy.special import expit, log_softmax
from threadpoolctl import threadpool_info

TARGETS = (1e-2, 1e-3, 1e-4)
DEFAULT = "ours: default"
QUICK_METHODS = r"^ours: (default|momentum|adagrad|adam)$|^SGD\((optimal|invscaling)\)$|lbfgs|^Ridge\(auto\)"
COLORS = {"ours": "#0072B2", "SGD": "#D55E00", "scikit-learn": "#009E73", "others": "#CC79A7"}


# ----------------------------------------------------------------------------- measuring


def machine():
    """What the numbers depend on."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        cpu = found.group(1) if found else cpu
    packages = {}
    for name in ["skvariants", "numpy", "scipy", "scikit-learn", "torch", "vowpalwabbit"]:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    pools = sorted({f"{p['internal_api']} {p.get('version')}, {p['num_threads']} threads" for p in threadpool_info()})
    return {
        "cpu": cpu, "cores": os.cpu_count(), "system": platform.platform(terse=True),
        "python": platform.python_version(), "packages": packages, "thread_pools": pools,
    }  # fmt: skip


def warm_up():
    """Let BLAS start its threads before anything is timed."""
    A = np.random.default_rng(0).standard_normal((800, 800))
    for _ in range(5):
        A @ A


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


def timed(function, repeats=True):
    """Result and seconds; the best of a few where it is quick."""
    result, best, spent = None, np.inf, 0.0
    for attempt in range(5):
        clock = time.perf_counter()
        result = function()
        seconds = time.perf_counter() - clock
        best, spent = min(best, seconds), spent + seconds
        if not repeats or (attempt >= 2 and spent > 0.05) or spent > 0.3:
            break
    return result, best


def epochs_of(setting):
    """Epochs or iterations of a setting; a finer tolerance counts as much as 50."""
    if isinstance(setting, dict):
        return setting.get("max_iter", 50)
    return setting[0] if isinstance(setting, tuple) else setting


def measure(method, problem, objective, cap):
    """Points of a method on a problem: dictionaries of setting, seconds, suboptimality, test loss.

    The ladder of settings goes on until 1e-5 is reached, the next fit would take more than `cap` seconds, twice that is
    spent, or nothing changes any more. The default setting is tried last, if one epoch was quick enough for it; our
    default always is.
    """
    points, spent, first, kind_done, previous = [], 0.0, None, None, None
    ladder = [s for s in method.settings if s not in ("default", {})]
    default = [s for s in method.settings if s in ("default", {})]
    for setting in [*ladder, *default]:
        is_default = setting in ("default", {})
        kind = next(iter(setting)) if isinstance(setting, dict) and setting else "epochs"
        if not is_default:
            longer = epochs_of(setting) / epochs_of(previous) if previous is not None else 0.0
            if kind == kind_done or spent > 2 * cap or (points and points[-1]["suboptimality"] <= 1e-5):
                continue
            if points and longer * points[-1]["seconds"] > cap:
                continue
            previous = setting
        elif first is not None and 20 * first > 5 * cap and method.name != DEFAULT:
            continue
        function = method.prepare(problem, setting)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                clock = time.perf_counter()
                result, seconds = timed(function)
                spent += time.perf_counter() - clock
        except (ValueError, FloatingPointError, MemoryError, np.linalg.LinAlgError) as error:
            points.append({"setting": str(setting), "error": str(error)[:200], "suboptimality": np.inf, "seconds": 0.0})
            continue
        first = seconds if first is None else first
        coef, intercept = result() if callable(result) else result
        value = objective.suboptimality(coef, intercept)
        if not is_default and points and points[-1]["suboptimality"] == value:
            kind_done = kind
        points.append(
            {
                "setting": "default" if is_default else str(setting), "seconds": seconds, "suboptimality": value,
                "test_loss": test_loss(problem, method.loss(problem.task), coef, intercept),
            }
        )  # fmt: skip
    return points


def run(names, data=None, pattern=".", cap=2.0, log=print):
    """Measure every method on every problem; the content of ``results.json``."""
    warm_up()
    chosen = [m for m in catalogue.all_methods() if re.search(pattern, m.name)]
    report = {"machine": machine(), "cap": cap, "problems": [], "results": []}
    for name in names:
        clock = time.perf_counter()
        problem = data_sets.make(name, data)
        entry = {
            "name": name, "source": problem.source, "task": problem.task, "size": problem.size,
            "classes": problem.classes, "alpha": problem.alpha, "reference_error": 0.0,
        }  # fmt: skip
        entries = problem.X.nnz if problem.sparse else problem.X.size
        seconds = cap * max(1.0, entries / 1e7)
        objectives = {}
        log(f"{name}: {problem.task}, {problem.size}")
        for method in chosen:
            if not method.takes(problem):
                continue
            key = (method.loss(problem.task), method.scaled and problem.unequal)
            if key not in objectives:
                objectives[key] = Objective(problem.X, problem.y, key[0], problem.alpha, key[1])
                error = objectives[key].minimum().error
                entry["reference_error"] = max(entry["reference_error"], error)
                best = objectives[key].minimum()
                entry.setdefault("minimum_test_loss", {})[f"{key[0]}{', scaled' if key[1] else ''}"] = test_loss(
                    problem, key[0], best.coef.T, best.intercept
                )
            points = measure(method, problem, objectives[key], seconds)
            report["results"].append({"problem": name, "method": method.name, "group": method.group, "points": points})
            reached = [t for t in (seconds_to(points, target) for target in TARGETS) if t is not None]
            best = min((p["suboptimality"] for p in points), default=np.inf)
            log(f"  {method.name:34s} " + " ".join(f"{t:8.3f}" for t in reached) + f"   best {best:.1e}")
        entry["seconds"] = time.perf_counter() - clock
        report["problems"].append(entry)
    return report


# ----------------------------------------------------------------------------- reporting


def seconds_to(points, target):
    """Seconds of the quickest fit that reached the target; None if none did."""
    times = [p["seconds"] for p in points if p["suboptimality"] <= target]
    return min(times) if times else None


def _points(report):
    return {(r["problem"], r["method"]): r["points"] for r in report["results"]}


def ratios(report, target):
    """Seconds to the target by method and problem, over those of our default (of the quickest, where it missed it)."""
    points = _points(report)
    out, base = {}, {}
    for problem in (p["name"] for p in report["problems"]):
        times = {m: seconds_to(v, target) for (p, m), v in points.items() if p == problem}
        reached = {m: t for m, t in times.items() if t is not None}
        base[problem] = reached.get(DEFAULT, min(reached.values(), default=None))
        for method, t in times.items():
            out.setdefault(method, {})[problem] = None if t is None else t / base[problem]
    return out, base


def _geometric_mean(values):
    return float(np.exp(np.mean(np.log(values)))) if len(values) else np.nan


def ratio_table(report, target):
    """Markdown table of :func:`ratios`."""
    table, base = ratios(report, target)
    names = [p["name"] for p in report["problems"]]
    ours = table.get(DEFAULT, {})
    lines = ["| method | " + " | ".join(names) + " | geometric mean | reached |", "|---|" + "---:|" * (len(names) + 2)]
    seconds = [f"{base[n]:.3g} s" + ("" if ours.get(n) else "*") if base[n] is not None else "-" for n in names]
    lines.append(f"| *{DEFAULT}, seconds* | " + " | ".join(seconds) + " | | |")
    for method, row in table.items():
        cells, common = [], []
        for n in names:
            if n not in row:
                cells.append("")
            elif row[n] is None:
                cells.append("-")
            else:
                bold = "**" if row[n] < 0.95 and method != DEFAULT else ""
                cells.append(f"{bold}{row[n]:.2g}{bold}" if row[n] < 99.5 else f"{row[n]:.0f}")
                if ours.get(n):
                    common.append(row[n])
        tried, reached = len(row), sum(v is not None for v in row.values())
        mean = f"{_geometric_mean(common):.2g}" if common else ""
        lines.append(f"| {method} | " + " | ".join(cells) + f" | {mean} | {reached} of {tried} |")
    return "\n".join(lines)


def default_table(report):
    """What a user gets without passing anything: seconds, suboptimality and test loss of the default fits."""
    points = _points(report)
    lines = []
    for problem in report["problems"]:
        name = problem["name"]
        lines += [f"\n**{name}** ({problem['task']}, {problem['size']} training rows)\n"]
        lines += ["| method | seconds | relative suboptimality | test loss |", "|---|---:|---:|---:|"]
        for (p, method), values in points.items():
            if p != name:
                continue
            value = next((v for v in values if v["setting"] == "default"), None)
            if value is None or "test_loss" not in value:
                continue
            lines.append(
                f"| {method} | {value['seconds']:.3g} | {value['suboptimality']:.1e} | {value['test_loss']:.4g} |"
            )
        for key, value in problem.get("minimum_test_loss", {}).items():
            lines.append(f"| *the minimum itself ({key})* | | 0 | {value:.4g} |")
    return "\n".join(lines)


def losses(report):
    """Where another package was quicker than our default, or got to where ours did not."""
    lines = []
    for target in TARGETS:
        table, base = ratios(report, target)
        for problem in (p["name"] for p in report["problems"]):
            theirs = {m: r[problem] for m, r in table.items() if not m.startswith("ours") and r.get(problem)}
            if not theirs:
                continue
            best = min(theirs, key=theirs.get)
            if table.get(DEFAULT, {}).get(problem) is None:
                what = f"{theirs[best] * base[problem]:.3g} s, which our default did not reach in the time given"
                lines.append(f"| {problem} | {target:g} | {best} | {what} |")
            elif theirs[best] < 1:
                what = f"{1 / theirs[best]:.2g} times as fast as our default"
                lines.append(f"| {problem} | {target:g} | {best} | {what} |")
    if not lines:
        return "None in this run."
    return "\n".join(["| problem | target | method | |", "|---|---:|---|---|", *lines])


def page(report, folder):
    """The markdown page."""
    m = report["machine"]
    pools = "; ".join(m["thread_pools"])
    packages = ", ".join(f"{k} {v}" for k, v in m["packages"].items())
    sizes = "\n".join(
        f"| {p['name']} | {p['source']} | {p['task']}"
        + (f", {p['classes']} classes" if p["classes"] > 2 else "")
        + f" | {p['size']} | {p['alpha']:g} | {p['reference_error']:.0e} |"
        for p in report["problems"]
    )
    tables = "\n\n".join(
        f"### To {target:g}\n\n{ratio_table(report, target)}" for target in TARGETS
    )  # fmt: skip
    plots = "\n\n".join(f"![{p['name']}]({folder}/{p['name']}.png)" for p in report["problems"])
    return f"""# Benchmarks

Written by `python examples/benchmarks/benchmark.py`; every measurement is in [results.json]({folder}/results.json).
Run it on your machine: the ratios are what carries over, and noise of a few tens of per cent is usual.

**Machine**: {m["cpu"]}, {m["cores"]} cores; {m["system"]}; Python {m["python"]}; {packages}; {pools}.

## What is measured

The objective is the mean loss (log loss, softmax, half the squared error) plus `alpha / 2 * |w|^2`. *Relative
suboptimality* is (f - f*) / (f_constant - f*): 1 is the best model without features, 0 the minimum, which a Newton or
L-BFGS reference found to the precision in the last column below.

- Every point is a fit from scratch: more epochs or iterations, then finer tolerances. The time to a target is that of
  the quickest fit that reached it (best of up to five where a fit takes under 0.1 s). A fit may take about
  {report["cap"]:g} s (more where there are over 1e7 entries), and all fits of a method on a problem twice that; "-"
  means that the target was not reached by then.
- Ours and Ridge are given the raw columns, and `w` is in their units. The others stand behind a `StandardScaler`
  (without centring for sparse data; text and one-hot columns are in equal units and stay as they are), whose seconds
  count, and penalise the weights of the scaled columns; each is measured by the objective that it minimises and that
  objective's own minimum.
- SGDClassifier and liblinear train one-vs-rest where there are several classes; ours and LogisticRegression train
  softmax.
- liblinear penalises the intercept too (`intercept_scaling=10` makes that small). Vowpal Wabbit reads a binary cache of
  scaled rows that is made beforehand, and is run with and without its own penalty, which is not quite the same. torch
  is a linear layer with Adam and a cosine step.

| problem | data | task | training rows x columns | alpha | reference is within |
|---|---|---|---|---:|---:|
{sizes}

## Time to a target

Seconds as ratios to our default (first row) in the same run; **below 1** is faster than our default. An empty cell:
not tried. A star: our default did not get there, and ratios are to the quickest. The mean is over the problems where
both got there.

{tables}

## Where others are faster than our default

{losses(report)}

## As they come

One fit with the method's own defaults (and alpha as above), so that each stops where it thinks fit. Test loss is log
loss, or 1 - R2.
{default_table(report)}

## Curves

![All problems]({folder}/summary.png)

{plots}
"""


def plot(report, folder):
    """One figure a problem, and one of all; without matplotlib, none."""
    if not catalogue.has("matplotlib"):
        print("no plots: matplotlib is not installed")
        return
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    markers = "osD^v<>Ph*X"
    groups = {}
    for r in report["results"]:
        names = groups.setdefault(r["group"], [])
        if r["method"] not in names:
            names.append(r["method"])

    def style(method, group):
        if method == DEFAULT:
            return {"color": "black", "lw": 3, "marker": "o", "ms": 6, "zorder": 5}
        i = groups[group].index(method)
        return {
            "color": COLORS[group], "lw": 1.1, "marker": markers[i % len(markers)], "ms": 4.5, "alpha": 0.8,
            "ls": ["-", "--", ":", "-."][i % 4],
        }  # fmt: skip

    def curve(ax, points, key, floor, **kwargs):
        values = [(p["seconds"], p[key]) for p in points if key in p and np.isfinite(p[key])]
        values.sort()
        best = np.minimum.accumulate([v for _, v in values]) if values else []
        if len(best):
            ax.plot([t for t, _ in values], np.maximum(best, floor), **kwargs)

    for problem in report["problems"]:
        rows = [r for r in report["results"] if r["problem"] == problem["name"]]
        figure, axes = plt.subplots(1, 2, figsize=(13, 5.2), layout="constrained")
        tests = [p["test_loss"] for r in rows for p in r["points"] if np.isfinite(p.get("test_loss", np.inf))]
        for r in rows:
            kwargs = style(r["method"], r["group"])
            curve(axes[0], r["points"], "suboptimality", 1e-7, label=r["method"], **kwargs)
            curve(axes[1], r["points"], "test_loss", 0, **kwargs)
        for target in TARGETS:
            axes[0].axhline(target, color="0.85", lw=1, zorder=0)
        axes[0].set(xscale="log", yscale="log", xlabel="seconds", ylabel="(f - f*) / (f_constant - f*)", ylim=(5e-8, 2))
        low = min(tests, default=1.0)
        axes[1].set(xscale="log", xlabel="seconds", ylim=(low - 0.02 * abs(low), low + 0.5 * abs(low)))
        axes[1].set_ylabel("test 1 - R2" if problem["task"] == "regression" else "test log loss")
        figure.suptitle(f"{problem['name']}: {problem['task']}, {problem['size']}")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
        for ax in axes:
            ax.spines[["top", "right"]].set_visible(False)
        figure.savefig(folder / f"{problem['name']}.png", dpi=90)
        plt.close(figure)
    _plot_summary(report, folder, plt)


def _plot_summary(report, folder, plt):
    """Every ratio to our default, a dot each, by method."""
    table, _ = ratios(report, 1e-3)
    methods = [m for m in table if m != DEFAULT]
    group = {r["method"]: r["group"] for r in report["results"]}
    figure, ax = plt.subplots(figsize=(9, 0.32 * len(methods) + 1.6), layout="constrained")
    ax.set_xscale("log")
    for i, method in enumerate(methods):
        values = [v for v in table[method].values() if v is not None]
        color = COLORS[group[method]]
        ax.plot(values, [-i] * len(values), "o", color=color, ms=5, alpha=0.6)
        if values:
            ax.plot(_geometric_mean(values), -i, "|", color="black", ms=14, mew=2)
        missed = sum(v is None for v in table[method].values())
        if missed:
            ax.annotate(f"{missed} not reached", (1.01, -i - 0.15), xycoords=("axes fraction", "data"), fontsize=7)
    ax.axvline(1, color="black", lw=1)
    ax.set_ylim(-len(methods) + 0.4, 0.6)
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, 0.1), max(high, 10))
    ax.set(xlabel="seconds to 1e-3, as a ratio to our default (bar: geometric mean)")
    ax.set_yticks([-i for i in range(len(methods))], methods, fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "summary.png", dpi=90)
    plt.close(figure)


def write(report, output):
    """The page, the plots and the measurements."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)

    def finite(value):
        if isinstance(value, float) and not np.isfinite(value):
            return None
        if isinstance(value, dict):
            return {k: finite(v) for k, v in value.items()}
        return [finite(v) for v in value] if isinstance(value, list) else value

    (output / "results.json").write_text(json.dumps(finite(report), indent=1) + "\n")
    output.with_suffix(".md").write_text(page(report, output.name))
    plot(report, output)


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small problems and few methods")
    parser.add_argument("--data", help="folder of local data")
    parser.add_argument("--problems", nargs="+", help="names; the default is all")
    parser.add_argument("--methods", default=None, help="regular expression of the methods' names")
    parser.add_argument("--seconds", type=float, default=None, help="per fit, about (default 2, or 0.2)")
    parser.add_argument("--output", default="benchmarks", help="page and folder to write")
    options = parser.parse_args(arguments)
    names = options.problems or data_sets.names(options.quick, options.data)
    pattern = options.methods or (QUICK_METHODS if options.quick else ".")
    cap = options.seconds or (0.2 if options.quick else 2.0)
    report = run(names, options.data, pattern, cap)
    write(report, options.output)
    print()
    for target in TARGETS:
        print(f"Seconds to {target:g}, as ratios to our default\n\n{ratio_table(report, target)}\n")
    print(f"Where others are faster than our default\n\n{losses(report)}\n")
    print(f"wrote {Path(options.output).with_suffix('.md')} and {options.output}/")
    return report


if __name__ == "__main__":
    main()
