"""
All rows, one row, a few rows
=============================

How much of the data to look at before taking a step: progress per pass over the data, and per second.
"""

# %%
# Gradient descent reads all rows for one step, stochastic gradient descent one, mini-batch gradient descent a few.
# The rows are patches of 3 x 3 pixels from the two photographs that scikit-learn bundles, in three colours; the task
# is to say from which of the two a patch comes. Each solver races for its own step size. Columns are standardised
# beforehand, so that a step on one row is as cheap as the package can make it.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantClassifier
from skvariants.displays import LossCurveDisplay

patches = [
    extract_patches_2d(image, (3, 3), max_patches=20_000, random_state=0) for image in load_sample_images().images
]
X = StandardScaler().fit_transform(np.concatenate(patches).reshape(40_000, -1).astype(float))
y = np.repeat(["temple", "flower"], 20_000)

fitted = {}
for name in ("gd", "sgd", "minibatch"):
    model = SGDVariantClassifier(solver=name, scale_features=False, max_iter=12, tol=None, random_state=0)
    fitted[name] = model.fit(X, y)

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True)
LossCurveDisplay.from_estimators(fitted, ax=axes[0])
LossCurveDisplay.from_estimators(fitted, ax=axes[1], x="seconds")
axes[0].set_title("40,000 patches, pass by pass", loc="left")
axes[1].set_title("the same by the clock", loc="left")
axes[1].set(xscale="log", ylabel="")
_ = axes[1].get_legend().remove()

# %%
# Per pass, per second
# --------------------

best = min(min(m.loss_curve_) for m in fitted.values())
print(f"best objective {best:.4f}")
print(
    f"{'':10s} {'steps a pass':>12s} {'ms a pass':>10s} {'after 1 pass':>13s} {'after 12':>9s} {'ms to best + 1%':>16s}"
)
for name, m in fitted.items():
    steps = {"gd": 1, "sgd": len(y), "minibatch": round(len(y) / 256)}[name]
    curve, seconds = np.array(m.loss_curve_), np.array(m.history_["seconds"])
    there = np.flatnonzero(curve <= 1.01 * best)
    when = f"{1e3 * seconds[there[0]]:.0f}" if there.size else "not in 12"
    print(f"{name:10s} {steps:12d} {1e3 * seconds[-1] / m.n_iter_:10.1f} {curve[0]:13.4f} {curve[-1]:9.4f} {when:>16s}")

# %%
# Per pass, single rows and small batches are far ahead: they have taken many steps when gradient descent takes its
# first. Per second a pass of single rows costs the most, because each step is a call of its own, while the rows of a
# batch share one matrix product. The mini-batch has the best of both, which is why every other solver of the package
# works on mini-batches. On a table of a few hundred rows, where a pass takes no time, the full batch holds its own.
