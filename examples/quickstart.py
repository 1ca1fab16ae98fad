"""A pipeline over a real table, tuned over every solver, beside scikit-learn's SGD.

The table is scikit-learn's diabetes study (442 patients; raw units; sex is a category). Run it with
``python examples/quickstart.py``; it prints a table and saves quickstart.png, a panel for each family of solvers.
"""

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
from skvariants.losses import SquaredError
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.solvers import FAMILIES

ALPHAS = [1e-4, 1e-2]
PREFIX = "sgdvariantregressor__"
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]
STYLES = ["-", "--", "-."]


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


def minimises_squares(solver):
    """Whether a solver is for a smooth loss."""
    try:
        solver.check_loss(SquaredError())
    except ValueError:
        return False
    return True


def families():
    """Names of the solvers of each family."""
    of_smooth = {
        title: [name for name, solver in family.members.items() if minimises_squares(solver())]
        for title, family in FAMILIES.items()
    }
    return {title: names for title, names in of_smooth.items() if names}


def tuned(X, y, names):
    """The search over all solvers and strengths of the penalty, and the best model of each solver."""
    model = pipeline(SGDVariantRegressor(random_state=0))
    grid = {PREFIX + "solver": names, PREFIX + "alpha": ALPHAS}
    search = BatchedGridSearchCV(model, grid, cv=5).fit(X, y)
    best = {}
    for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        best.setdefault(params[PREFIX + "solver"], []).append((score, params[PREFIX + "alpha"]))
    models = {}
    for name in names:
        score, alpha = max(best[name])
        models[name] = score, clone(model).set_params(**{PREFIX + "solver": name, PREFIX + "alpha": alpha}).fit(X, y)
    return search, models


def draw(models):
    """How far each solver is above the best objective seen, epoch by epoch: a panel for each family, "auto" in all."""
    curves = {name: np.array(model[-1].loss_curve_) for name, (_, model) in models.items()}
    floor = min(curve.min() for curve in curves.values())
    highest, panels = max(curve.max() for curve in curves.values()), families()
    figure, axes = plt.subplots(
        -(-len(panels) // 4),
        4,
        figsize=(12, 2.9 * -(-len(panels) // 4)),
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for ax in axes.flat:
        ax.set_visible(False)
    for (title, names), ax in zip(panels.items(), axes.flat, strict=False):
        ax.set_visible(True)
        for j, name in enumerate(["auto", *names]):
            excess = curves[name] - floor + 1e-3 * floor
            style = (
                {"color": "black", "lw": 2.2} if j == 0 else {"color": COLORS[(j - 1) % 5], "ls": STYLES[(j - 1) // 5]}
            )
            marker = "o" if len(excess) < 3 else None
            ax.plot(np.arange(1, len(excess) + 1), excess, label=name, marker=marker, ms=4, **style)
        ax.set(xscale="log", yscale="log", title=title, ylim=(None, 30 * highest))
        ax.legend(fontsize="x-small", frameon=False, loc="upper right", ncols=1 + len(names) // 5)
        ax.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("epoch")
    figure.supylabel("objective above the best seen (+0.1 %)")
    figure.suptitle("Diabetes, raw units, nothing tuned by hand: every solver gets there")
    figure.savefig("quickstart.png", dpi=120)
    print("saved quickstart.png")


def main():
    """Tune, print, plot."""
    X_train, X_test, y_train, y_test = load()
    names = ["auto", *(name for family in families().values() for name in family)]
    search, models = tuned(X_train, y_train, names)
    rows = [(f"ours, solver={name!r}", score, model) for name, (score, model) in models.items()]
    best = search.best_params_[PREFIX + "solver"]
    rows.append((f"ours, tuned: {best}", search.best_score_, search.best_estimator_))
    theirs = SGDRegressor(random_state=0)
    for label, steps in [("raw", [theirs]), ("behind StandardScaler", [StandardScaler(), theirs])]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            of_sgd = GridSearchCV(pipeline(*steps), {"sgdregressor__alpha": ALPHAS}, cv=5).fit(X_train, y_train)
        rows.append((f"SGDRegressor, {label}", of_sgd.best_score_, of_sgd))
    print(f"{'model':36s} {'CV R2':>12s} {'test R2':>12s}")
    for label, score, model in rows:
        print(f"{label:36s} {score:12.4g} {model.score(X_test, y_test):12.4g}")
    draw(models)


if __name__ == "__main__":
    main()
