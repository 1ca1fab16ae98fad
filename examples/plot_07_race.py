"""
The race of learning rates
==========================

``eta0="auto"`` trains eleven step sizes at once, as columns of one matrix, and goes on with the best. Is its choice
a good one?
"""

# %%
# What a race looks like
# ----------------------

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from skvariants import SGDVariantRegressor
from skvariants.displays import RaceDisplay

X, y = load_diabetes(return_X_y=True, scaled=False)
names = ("minibatch", "momentum", "adagrad", "adam")
fitted = {name: SGDVariantRegressor(solver=name, random_state=0).fit(X, y) for name in names}

figure, axes = plt.subplots(2, 2, figsize=(10, 6.4), layout="constrained")
for ax, (name, model) in zip(axes.flat, fitted.items(), strict=True):
    RaceDisplay.from_estimator(model, ax=ax)
    print(f"{name:10s} {model.race_}")

# %%
# The valley is wide: a few step sizes are nearly as good as the best, so a ladder with half a decade between its
# rungs is fine enough. Rungs that are far too large do not blow up the fit; they score badly, or infinity, and lose.
#
# Was it the right choice?
# ------------------------
#
# Fit the whole model with every step size of the ladder, and see where the race's choice ranks.

print(f"{'':10s} {'choice':>8s} {'best of a full fit':>19s} {'its rank of 11':>15s} {'objective above best':>21s}")
for name, model in fitted.items():
    ends = []
    for eta0 in model.race_.eta0:
        again = SGDVariantRegressor(solver=name, eta0=eta0, scale_features=True, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            ends.append(again.fit(X, y).objective_)
    ends = np.array(ends)
    at = int(np.argmin(np.abs(model.race_.eta0 - model.race_.winner)))
    rank = int((ends < ends[at]).sum()) + 1
    excess = ends[at] / ends.min() - 1
    print(f"{name:10s} {model.race_.winner:8.2g} {model.race_.eta0[ends.argmin()]:19.2g} {rank:15d} {excess:21.2%}")

# %%
# The race does not find the very best step: it looks at the first steps only, and long fits like larger ones at
# first. It is close, and the objective is within a fraction of a percent.
#
# What it costs
# -------------

for name in names:
    raced, fixed = [], []
    for _ in range(5):
        for times, eta0 in ((raced, "auto"), (fixed, fitted[name].eta0_)):
            model = SGDVariantRegressor(solver=name, eta0=eta0, scale_features=True, random_state=0)
            start = time.perf_counter()
            model.fit(X, y)
            times.append(time.perf_counter() - start)
    print(
        f"{name:10s} fit with the race {1e3 * min(raced):6.1f} ms, with the same step given {1e3 * min(fixed):6.1f} ms"
    )
