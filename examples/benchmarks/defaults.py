"""The default fit on raw tables beside what people use: the table of the page of defaults.

::

    OMP_NUM_THREADS=1 python examples/benchmarks/defaults.py                  # bundled tables
    OMP_NUM_THREADS=1 python examples/benchmarks/defaults.py --data DIR       # and those of a folder (see problems.py)
    python examples/benchmarks/defaults.py --report defaults.json --page docs/defaults.md

Columns are raw. f* is that of the default fit with ``tol=1e-8``. SGD and LogisticRegression stand behind a scaler,
Ridge does not. Seconds are those of the processor, the best of three fits where these are quick.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import measuring
import numpy as np
import objectives
import problems as data_sets
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantClassifier, SGDVariantRegressor

ALPHA = 1e-4
BUNDLED = ("breast_cancer", "diabetes", "digits")
#: Tables of which a part is measured, too, with so few rows.
FEW, FEW_ROWS = ("spambase", "wine_quality", "credit_default", "letter", "kc_house"), 1_250
#: Tables on which others take many minutes.
LEFT_OUT = ("mnist", "newsgroups20")
LOSSES = {"binary": "log_loss", "multiclass": "multinomial", "regression": "squared_error"}
MARKER = "<!-- table of defaults -->"
#: A test loss of so many times ours is called a failure.
FAILS = 100


def models(problem):
    """What is compared."""
    n, regression = problem.X.shape[0], problem.task == "regression"
    scaler = StandardScaler(with_mean=not problem.sparse)
    sgd = SGDRegressor(random_state=0) if regression else SGDClassifier(loss="log_loss", random_state=0)
    behind = make_pipeline(scaler, sgd)
    name = type(sgd).__name__.lower()
    grid = {f"{name}__alpha": [1e-5, 1e-4, 1e-3], f"{name}__average": [True] if regression else [False, True]}
    if regression:
        grid[f"{name}__eta0"] = [1e-3, 1e-2]
    logistic = LogisticRegression(C=1 / (ALPHA * n), max_iter=1000)
    ours = (SGDVariantRegressor if regression else SGDVariantClassifier)(alpha=ALPHA, random_state=0)
    return {
        "ours": ours,
        "best": clone(ours).set_params(tol=1e-8, max_iter=10_000, max_time=60.0),
        "SGD": behind,
        "tuned": GridSearchCV(behind, grid, cv=3, scoring=None if regression else "neg_log_loss"),
        "LR, Ridge": Ridge(alpha=ALPHA * n) if regression else make_pipeline(scaler, logistic),
    }


def fitted(model, problem, repeats):
    """A fit, and the seconds of the processor of the best of several."""
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while len(seconds) < repeats and sum(seconds) < 2.0:
            start = time.process_time()
            model.fit(problem.X, problem.y)
            seconds.append(time.process_time() - start)
    return model, min(seconds)


def test_loss(model, problem):
    """Log loss, or one minus R2, on rows that were not seen; infinite where it is not finite."""
    with np.errstate(all="ignore"):
        if problem.task == "regression":
            prediction = model.predict(problem.X_test)
            return float(1 - r2_score(problem.y_test, prediction)) if np.isfinite(prediction).all() else np.inf
        return float(log_loss(problem.y_test, model.predict_proba(problem.X_test), labels=model.classes_))


def measure(problem, cap):
    """Seconds and test loss of all, and how far the default fit is from the optimum; `cap` is for the tuned search."""
    objective = objectives.Objective(problem.X, problem.y, LOSSES[problem.task], ALPHA)
    compared, found = models(problem), {}
    for name, model in compared.items():
        if name == "tuned" and 18 * found["SGD"]["seconds"] > cap:
            continue
        model, seconds = fitted(model, problem, 1 if name in ("best", "tuned") else 3)
        found[name] = {"seconds": seconds, "test": test_loss(model, problem)}
    at = {name: objective(compared[name].coef_, compared[name].intercept_) for name in ("ours", "best")}
    columns = objective.y.shape[1]
    constant = objective(np.zeros((columns, problem.X.shape[1])), objective.loss.constant(objective.y))
    least = min(at.values())
    left = (at["ours"] - least) / (constant - least)
    return {"left": left, "steps": compared["ours"].n_iter_, "size": problem.X.shape, "models": found}


# ----------------------------------------------------------------------------- the page


def beside(entry, name):
    """Seconds and test loss of another model, over that of our optimum."""
    if name not in entry["models"]:
        return ""
    other, best = entry["models"][name], entry["models"]["best"]
    ratio = np.inf if other["test"] is None else other["test"] / best["test"]
    loss = f"{ratio:.3f}" if ratio < 10 else f"{ratio:.0f}" if ratio <= FAILS else "fails"
    return f"{other['seconds']:.2g}, {loss}"


def report(entries):
    """Markdown: the table, and what it says in the mean."""
    lines = [
        "| data | rows x columns | rel | steps | test | s | SGD | tuned | LR, Ridge |",
        "|---|---|---:|---:|---:|---:|---|---|---|",
    ]
    for e in entries:
        ours, best = e["models"]["ours"], e["models"]["best"]
        others = " | ".join(beside(e, name) for name in ("SGD", "tuned", "LR, Ridge"))
        lines.append(
            f"| {e['name']} | {e['size'][0]:,} x {e['size'][1]:,} | {e['left']:.0e} | {e['steps']} | "
            f"{ours['test'] / best['test']:.3f} | {ours['seconds']:.2g} | {others} |"
        )
    left = [e["left"] for e in entries]
    worst = max(entries, key=lambda e: e["left"])
    tests = {e["name"]: e["models"]["ours"]["test"] / e["models"]["best"]["test"] - 1 for e in entries}
    furthest = max(tests, key=tests.get)

    def times(name, task=None):
        pairs = [e["models"] for e in entries if name in e["models"] and task in (None, e["task"] == "regression")]
        return measuring.geometric_mean([m[name]["seconds"] / m["ours"]["seconds"] for m in pairs])

    slower = {e["name"]: e["models"]["ours"]["seconds"] / e["models"]["SGD"]["seconds"] for e in entries}
    named = ", ".join(f"`{name}` ({ratio:.2g} times)" for name, ratio in slower.items() if ratio > 1)
    return "\n".join(
        [
            *lines,
            "",
            f"What is left (*rel*) was **{np.median(left):.0e} in the median and {max(left):.0e} at worst** "
            f"(`{worst['name']}`), and the test loss at most {tests[furthest]:.1%} above that of the optimum "
            f"(`{furthest}`).",
            "",
            f"In the geometric mean SGD behind a scaler took {times('SGD'):.2g} times the seconds of the default fit, "
            f"the search that tunes it {times('tuned'):.2g} times (18 fits, beside a single one of ours, of which "
            f"nothing was tuned either), LogisticRegression behind a scaler {times('LR, Ridge', False):.2g} times, and "
            f"Ridge {times('LR, Ridge', True):.2g} times. Slower than SGD with its defaults was the default fit on "
            f"{named or 'none'}.",
        ]
    )


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder of local data")
    parser.add_argument("--names", nargs="*", help="problems; all that are there by default")
    parser.add_argument("--rows", type=int, default=25_000, help="most rows of a table, a fifth of them for testing")
    parser.add_argument("--cap", type=float, default=120.0, help="most seconds of a search")
    parser.add_argument("--page", help=f"a page whose text between the markers {MARKER} is replaced")
    parser.add_argument("--output", default="defaults.json", help="results; what is there already is kept")
    parser.add_argument("--report", help="only show these results")
    args = parser.parse_args(arguments)
    output = Path(args.report or args.output)
    entries = json.loads(output.read_text()) if output.exists() else []
    if not args.report:
        local = [n for n in data_sets.local_names(args.data) if n not in LEFT_OUT] if args.data else []
        chosen = args.names or [*BUNDLED, *local]
        sizes = [(name, args.rows) for name in chosen] + [(name, FEW_ROWS) for name in FEW if name in chosen]
        for name, rows in sizes:
            title = f"{name} (1,000 rows)" if rows == FEW_ROWS else name
            if title in {entry["name"] for entry in entries}:
                continue
            problem = data_sets.make(name, args.data, rows, raw=True)
            entries.append({"name": title, "task": problem.task, **measure(problem, args.cap)})
            output.write_text(json.dumps(measuring.finite(entries), indent=1))
            print(f"{title}: done", flush=True)
    if args.page is None:
        print(report(entries))
        return
    before, _, after = Path(args.page).read_text().split(MARKER)
    Path(args.page).write_text(f"{before}{MARKER}\n\n{report(entries)}\n\n{MARKER}{after}")


if __name__ == "__main__":
    main()
