"""A pipeline over a real table, tuned over ten solvers, beside scikit-learn's SGD.

The table is scikit-learn's diabetes study (442 patients; raw units; sex is a category). Run it with
``python examples/quickstart.py``; it prints a table and saves quickstart.png.
"""

import time
import warnings

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDRegressor
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skvariants import SGDVariantRegressor
from skvariants.solvers import LECTURE

ALPHAS = [1e-4, 1e-2]
#: The lecture's nine, and curvature.
NAMES = [*LECTURE, "quasi_newton"]


def load():
    """Features (numbers and a category) and target, split for testing."""
    table = load_diabetes(as_frame=True, scaled=False)
    X = table.data.assign(sex=table.data["sex"].map({1.0: "a", 2.0: "b"}).astype("category"))
    return train_test_split(X, table.target, random_state=0)


def pipeline(*steps):
    """One-hot for categories, the numbers as they are, then the given steps."""
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
        remainder="passthrough",
    )
    return make_pipeline(columns, *steps)


def tuned(model, grid, X, y):
    """The fitted search, its seconds and how many fits warned that they did not converge."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        search = GridSearchCV(model, grid, cv=5).fit(X, y)
    return search, time.perf_counter() - start, len(caught)


def main():
    """Tune, print, plot."""
    X_train, X_test, y_train, y_test = load()
    ours = pipeline(SGDVariantRegressor(random_state=0))
    prefix = "sgdvariantregressor__"
    rows, fitted = [], {}
    for name in ["auto", *NAMES]:
        model = clone(ours).set_params(**{prefix + "solver": name})
        search, seconds, warned = tuned(model, {prefix + "alpha": ALPHAS}, X_train, y_train)
        fitted[name] = search.best_estimator_[-1]
        rows.append((f"ours, solver={name!r}", search, seconds, warned))
    grid = {prefix + "solver": NAMES, prefix + "alpha": ALPHAS}
    search, seconds, warned = tuned(ours, grid, X_train, y_train)
    rows.append((f"ours, tuned: {search.best_params_[prefix + 'solver']}", search, seconds, warned))
    theirs = SGDRegressor(random_state=0)
    grid = {"sgdregressor__alpha": ALPHAS}
    for label, steps in [("raw", [theirs]), ("behind StandardScaler", [StandardScaler(), theirs])]:
        search, seconds, warned = tuned(pipeline(*steps), grid, X_train, y_train)
        rows.append((f"SGDRegressor, {label}", search, seconds, warned))

    print(f"{'model':36s} {'CV R2':>12s} {'test R2':>12s} {'seconds':>8s} {'warnings':>8s}")
    for label, search, seconds, warned in rows:
        cv, test = search.best_score_, search.score(X_test, y_test)
        print(f"{label:36s} {cv:12.4g} {test:12.4g} {seconds:8.2f} {warned:8d}")

    figure, ax = plt.subplots(figsize=(8, 4.8), layout="constrained")
    floor = min(min(model.loss_curve_) for model in fitted.values())
    styles = ["-", "--", "-.", ":"]
    colors = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
    for i, (name, model) in enumerate(fitted.items()):
        if name == "auto":
            continue
        excess = np.array(model.loss_curve_) - floor + 1e-3 * floor
        epochs = np.arange(1, len(excess) + 1)
        ax.plot(epochs, excess, label=name, color=colors[i % 7], linestyle=styles[i % 4], lw=1.8)
    ax.set(
        xscale="log", yscale="log", xlabel="epoch", ylabel="objective above the best seen (+0.1 %)",
        title="Diabetes, raw units, nothing tuned by hand: every solver gets there",
    )  # fmt: skip
    ax.legend(ncols=3, frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig("quickstart.png", dpi=120)
    print("saved quickstart.png")


if __name__ == "__main__":
    main()
