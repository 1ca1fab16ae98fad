"""The pictures of the page of benchmarks, from files of results."""

from __future__ import annotations

import importlib.util

import numpy as np

COLORS = {
    "ours": "black", "SGD": "#D55E00", "lbfgs": "#009E73", "newton": "#56B4E9", "saga": "#CC79A7",
    "liblinear": "#0072B2", "Ridge": "#009E73", "torch Adam": "#E69F00", "Vowpal Wabbit": "#999999",
}  # fmt: skip
FLOOR = 1e-8
TITLES = {"smooth": {"binary": "log loss", "multiclass": "several classes", "regression": "squared error"}}
KINKS = {"binary": "hinge", "multiclass": "hinge, several classes", "regression": "epsilon-insensitive"}
TITLES["kinks"] = KINKS


def _curve(points, key, count, default=False):
    """Seconds and values of the ladder, in its order, or of the default fit. Nothing is smoothed or accumulated."""
    chosen = [p for p in points if (p["setting"] == "default") == default]
    pairs = [(p["seconds"].get(count), p.get(key)) for p in chosen]
    pairs = [(s, v) for s, v in pairs if s is not None and v is not None]
    return np.array(pairs, dtype=float).reshape(-1, 2).T


def _draw(axes, problem, results, count):
    """One problem: suboptimality and test loss against seconds."""
    # ours is broad and below, the others thin and above it: where curves coincide both are seen
    for result in sorted(results, key=lambda r: r["family"] != "ours"):
        ours = result["family"] == "ours"
        style = {"color": COLORS[result["family"]], "zorder": 2 if ours else 3, "alpha": 1.0 if ours else 0.85}
        line = style | {"lw": 3.5 if ours else 0.9, "marker": "o", "ms": 5.5 if ours else 2.5}
        ring = style | {"ls": "", "marker": "o", "ms": 10 if ours else 6, "mfc": "none", "mew": 1.8 if ours else 1.0}
        for ax, key in zip(axes, ("suboptimality", "test_loss"), strict=True):
            for default, look in ((False, line | {"label": result["family"]}), (True, ring)):
                seconds, values = _curve(result["points"], key, count, default)
                ax.plot(seconds, np.maximum(values, FLOOR) if key == "suboptimality" else values, **look)
        if ours:
            own = np.concatenate([_curve(result["points"], "test_loss", count, d)[1] for d in (False, True)])
    axes[0].set(xscale="log", yscale="log", ylim=(FLOOR / 2, 3), ylabel=f"{problem['name']}\n(f - f*) / (f_const - f*)")
    tests = [p["test_loss"] for r in results for p in r["points"] if p.get("test_loss") is not None]
    low, high = min(tests), max(own.max(), own.min() + 0.3 * abs(own.min()))
    axes[1].set(xscale="log", ylim=(low - 0.08 * (high - low), high + 0.08 * (high - low)), ylabel="test loss")
    axes[1].set_xlim(axes[0].get_xlim())
    for ax in axes:
        _decades(ax.xaxis)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=7)
        ax.yaxis.label.set_size(8)


def _decades(axis):
    """Few labels on a logarithmic axis: decades, or 1, 2 and 5 where there are not many."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1e3 * low else (1,), numticks=20))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def figure_of(report, task, title):
    """A row for each problem of a task; None if there is none."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    chosen = [p for p in report["problems"] if p["task"] == task]
    if not chosen:
        return None
    count = str(report["threads"][-1])
    size = (8.5, 2.3 * len(chosen) + 0.7)
    figure, axes = plt.subplots(len(chosen), 2, figsize=size, layout="constrained", squeeze=False)
    for pair, problem in zip(axes, chosen, strict=True):
        rows = [r for r in report["results"] if r["problem"] == problem["name"] and r["family"] != "named"]
        _draw(pair, problem, rows, count)
    for ax in axes[-1]:
        ax.set_xlabel("seconds", fontsize=8)
    lines = {n.get_label(): n for ax in axes[:, 0] for n in ax.get_lines() if not n.get_label().startswith("_")}
    place = {"loc": "outside upper center", "ncols": 5, "frameon": False}
    figure.legend(lines.values(), lines, fontsize=8, title=title, **place)
    return figure


def draw_all(reports, folder, digest):
    """Write every picture, with the digest of the results in it; their names."""
    if importlib.util.find_spec("matplotlib") is None:
        return []
    import matplotlib.pyplot as plt

    names = []
    for stem, report in reports.items():
        if any(p["source"] == "local" for p in report.get("problems", [])):  # the page shows those in tables
            continue
        for task, title in TITLES.get(report["kind"], {}).items():
            threads = report["threads"][-1]
            words = f"{title}, {'two threads' if threads == 2 else 'one thread'}"
            figure = figure_of(report, task, words)
            if figure is not None:
                figure.savefig(folder / f"{stem}_{task}.png", dpi=90, metadata={"Description": f"results {digest}"})
                plt.close(figure)
                names.append(f"{stem}_{task}.png")
    return names
