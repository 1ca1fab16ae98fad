"""A raw table, defaults and tuned models beside scikit-learn's; then every solver on it, family by family.

The table is scikit-learn's breast cancer study: 569 rows, 30 columns whose scales go from 0.003 to 900. Run it with
``python examples/quickstart.py``. It prints two tables and saves quickstart.png.
"""

import time
import warnings

import matplotlib

matplotlib.use("Agg")
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skvariants import SGDVariantClassifier
from skvariants.displays import SolverComparisonDisplay
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.solvers import FAMILIES

ALPHAS = np.logspace(-4, 0, 9)
#: The same strengths as `C` of LogisticRegression, whose penalty is not divided by the number of rows.
CS = 1 / (ALPHAS * 364)


def tuned(model, **grid):
    """A search behind a scaler, so that the penalty means the same for every column."""
    name = type(model).__name__.lower()
    search = BatchedGridSearchCV if isinstance(model, SGDVariantClassifier) else GridSearchCV
    steps = make_pipeline(StandardScaler(), model)
    return search(steps, {f"{name}__{key}": values for key, values in grid.items()}, scoring="neg_log_loss")


def models():
    """Defaults on raw columns and behind a scaler, then tuned: ours beside scikit-learn's."""
    ours, sgd = SGDVariantClassifier(random_state=0), SGDClassifier(loss="log_loss", random_state=0)
    logistic = LogisticRegression()
    return {
        "raw columns": {"SGDClassifier": sgd, "LogisticRegression": logistic, "SGDVariantClassifier": ours},
        "behind StandardScaler": {
            type(model).__name__: make_pipeline(StandardScaler(), model) for model in (sgd, logistic, ours)
        },
        "the same, tuned": {
            "SGDClassifier": tuned(sgd, alpha=ALPHAS),
            "LogisticRegression": tuned(logistic, C=CS),
            "SGDVariantClassifier": tuned(ours, alpha=ALPHAS),
        },
    }


def measured(model, X, y):
    """Log loss and accuracy, averages over the folds, and the median seconds of the processor for a fit."""
    rows = []
    for train, test in StratifiedKFold(n_splits=5, shuffle=True, random_state=0).split(X, y):
        with threadpool_limits(1):  # two threads that wait for each other count twice
            start = time.process_time()
            fitted = clone(model).fit(X[train], y[train])
            seconds = time.process_time() - start
        probability = fitted.predict_proba(X[test])
        rows.append((log_loss(y[test], probability), accuracy_score(y[test], fitted.predict(X[test])), seconds))
    return *np.mean(rows, axis=0)[:2], np.median(rows, axis=0)[2]


def beside_scikit_learn(X, y):
    """Print what each model predicts on rows that it has not seen, and what its fit took."""
    print(f"{'':46s} {'log loss':>9s} {'accuracy':>9s} {'seconds':>9s}")
    for title, group in models().items():
        for name, model in group.items():
            loss, accuracy, seconds = measured(model, X, y)
            print(f"{title:23s} {name:22s} {loss:9.3f} {accuracy:9.3f} {seconds:9.3f}")


def every_solver(X, y):
    """The lesson: the same objective by every solver, and how far each comes; "auto" first.

    `suboptimality_` is what a fit knows of itself, a share of what the optimum gains over a constant model; the other
    column compares objectives with the smallest that any solver reached.
    """
    display = SolverComparisonDisplay.from_estimator(SGDVariantClassifier(random_state=0), X, y, solvers="all")
    display.figure_.suptitle(
        "Breast cancer, raw columns, defaults: named solvers end on a plateau, auto at the optimum"
    )
    display.figure_.savefig("quickstart.png", dpi=120)
    best = min(model.objective_ for model in display.estimators.values())
    print(f"\n{'family':20s} {'solver=':16s} {'above the best':>14s} {'suboptimality_':>15s} {'seconds':>9s}  ends")
    families = {"the default": ["auto"], **{title: family.members for title, family in FAMILIES.items()}}
    for title, names in families.items():
        for name in (name for name in names if name in display.estimators):
            model = display.estimators[name]
            above, seconds = model.objective_ / best - 1, display.seconds[name]
            print(f"{title:20s} {name:16s} {above:14.2%} {model.suboptimality_:15.1e} {seconds:9.3f}  {model.status_}")
    print("svrg and saga take off the noise of batches; here a ravine is left, as long for them as for minibatch")
    print("saved quickstart.png")


def main():
    """Compare, then learn."""
    X, y = load_breast_cancer(return_X_y=True)
    SGDVariantClassifier().fit(X, y)  # the first fit of a process loads what it needs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        beside_scikit_learn(X, y)
    every_solver(X, y)


if __name__ == "__main__":
    main()
