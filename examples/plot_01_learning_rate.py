"""
Too small, right, too large
===========================

One number decides whether gradient descent works, and every problem needs another one.
"""

# %%
# Three learning rates on one table
# ---------------------------------
#
# Mini-batch gradient descent on the breast cancer table (569 biopsies, 30 measurements), with a constant step: the
# best of a ladder, a hundredth of it, and a hundred times as much.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.displays import LossCurveDisplay

X, y = load_breast_cancer(return_X_y=True)
model = SGDVariantClassifier(solver="minibatch", learning_rate="constant", scale_features=True, random_state=0)
model.set_params(max_iter=100, tol=None)
right = model.fit(X, y).eta0_

fitted = {}
for name, factor in {"too small": 0.01, "right": 1, "too large": 100}.items():
    eta0 = factor * right
    fitted[f"{name}: {eta0:.3g}"] = SGDVariantClassifier(**{**model.get_params(), "eta0": eta0}).fit(X, y)
display = LossCurveDisplay.from_estimators(fitted, log=True)
display.ax_.set_title("Breast cancer, constant step", loc="left")

for name, m in fitted.items():
    tail = np.array(m.loss_curve_[-20:])
    print(f"{name:18s} objective {tail.mean():8.4f}, varying by {np.ptp(tail):8.4f} over the last 20 epochs")

# %%
# The small step is still on its way after a hundred epochs. The large one goes nowhere: it jumps from wall to wall of
# the valley. It does not explode, because log loss grows only linearly; a squared error would have.
#
# Every problem needs another one
# -------------------------------
#
# The same solver on other tables that scikit-learn bundles. What was right for one is wrong for the next.

tables = {
    "breast cancer": (SGDVariantClassifier, load_breast_cancer),
    "digits": (SGDVariantClassifier, load_digits),
    "wine": (SGDVariantClassifier, load_wine),
    "iris": (SGDVariantClassifier, load_iris),
    "diabetes": (SGDVariantRegressor, load_diabetes),
}
best = {}
for scaled in (True, False):
    for name, (estimator, load) in tables.items():
        fit = estimator(solver="minibatch", scale_features=scaled, max_iter=1, tol=None, random_state=0)
        best[name, scaled] = fit.fit(*load(return_X_y=True)).eta0_
print(f"{'table':16s} {'standardised':>14s} {'raw units':>12s}")
for name in tables:
    print(f"{name:16s} {best[name, True]:14.2g} {best[name, False]:12.2g}")
for scaled, label in ((True, "standardised"), (False, "raw units")):
    values = [best[name, scaled] for name in tables]
    print(f"{label}: the largest is {max(values) / min(values):.2g} times the smallest")

# %%
# Standardising brings them together by four orders of magnitude, and still not to one number. That is why
# ``eta0="auto"`` races a ladder of them:
# :ref:`sphx_glr_gallery_plot_07_race.py`.

figure, ax = plt.subplots(figsize=(6.4, 2.8), layout="constrained")
for i, (scaled, label, marker) in enumerate([(False, "raw units", "s"), (True, "standardised", "o")]):
    values = [best[name, scaled] for name in tables]
    ax.plot(values, range(len(tables)), marker, color=["#D55E00", "#0072B2"][i], label=label)
ax.set_yticks(range(len(tables)), tables)
ax.set(xscale="log", xlabel="step size that won the race")
ax.set_title("One best step for each table, in either units", loc="left")
ax.grid(axis="x", color="0.9")
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
