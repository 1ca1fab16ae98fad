"""Make the pictures that the README and some pages show: ``python docs/make_images.py``.

Each holds the digest of the code that drew it: ``examples/benchmarks/report.py --check --fresh`` names those of other
code.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from skvariants import SGDVariantClassifier
from skvariants.diagnostics import diagnose
from skvariants.displays import (
    CoefficientsDisplay,
    DiagnosisDisplay,
    LossCurveDisplay,
    RaceDisplay,
    SearchCurveDisplay,
    SearchHeatmapDisplay,
    SolverComparisonDisplay,
    TrajectoryDisplay,
)
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.solvers import GD, Momentum, Nesterov

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "benchmarks"))
from measuring import code_digest

FOLDER = Path(__file__).parent / "images"
CURVATURE = np.array([0.05, 2.0])


def save(display, name):
    """Save a display's figure, small enough for a page."""
    display.figure_.savefig(FOLDER / f"{name}.png", dpi=110, metadata={"Description": f"code {code_digest()}"})


def main():
    """Fit and draw."""
    FOLDER.mkdir(exist_ok=True)
    ravine = TrajectoryDisplay.from_objective(
        lambda a, b: 0.5 * (CURVATURE[0] * a**2 + CURVATURE[1] * b**2),
        lambda w: CURVATURE * w,
        {"gd": GD(), "momentum": Momentum(0.7), "nesterov": Nesterov(0.7)},
        start=(-9.0, 1.5),
        eta={"gd": 0.93, "momentum": 0.6, "nesterov": 0.45},
        n_steps=40,
    )
    save(ravine, "ravine")

    X, y = load_breast_cancer(return_X_y=True)
    model = SGDVariantClassifier(random_state=0).fit(X, y)  # a first fit loads modules, which is not to be timed
    save(SolverComparisonDisplay.from_estimator(model, X, y, solvers="all"), "comparison")

    table, classes = load_breast_cancer(return_X_y=True, as_frame=True)
    model = SGDVariantClassifier(alpha=0.01).fit(table, classes)
    save(CoefficientsDisplay.from_estimator(model, table, n_features=10), "coefficients")

    save(RaceDisplay.from_estimator(SGDVariantClassifier(solver="momentum", random_state=0).fit(X, y)), "race")
    save(DiagnosisDisplay.from_diagnosis(diagnose(X, y, race=True, random_state=0)), "diagnosis")
    search = BatchedGridSearchCV(
        SGDVariantClassifier(penalty="elasticnet", random_state=0),
        {"alpha": np.logspace(-5, 0, 6), "l1_ratio": [0.0, 0.5, 1.0]},
        cv=3,
        return_train_score=True,
    ).fit(X, y)
    axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")[1]
    SearchCurveDisplay.from_search(search, "alpha", line_by="l1_ratio", ax=axes[0])
    save(SearchHeatmapDisplay.from_search(search, ax=axes[1]), "search")
    models = [
        SGDVariantClassifier(solver=name, early_stopping=True, validation_fraction=0.3, random_state=4).fit(X, y)
        for name in ("momentum", "adam")
    ]
    save(LossCurveDisplay.from_estimators(models), "loss_curve")


if __name__ == "__main__":
    main()
