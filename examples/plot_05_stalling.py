"""
AdaGrad stalls, RMSprop and Adadelta do not
===========================================

AdaGrad divides by the sum of all squared gradients so far. The sum only grows, so the steps only ever shrink.
"""

# %%
# A long way to go
# ----------------
#
# A cone-shaped valley whose optimum is two hundred away. The step size is one for all three; nobody knows the
# distance beforehand.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skvariants import SGDVariantClassifier
from skvariants.displays import LossCurveDisplay, TrajectoryDisplay
from skvariants.solvers import AdaDelta, AdaGrad, RMSProp


def surface(a, b):
    return np.hypot(a, 3 * b)


def slope(w):
    return np.array([w[0], 9 * w[1]]) / max(np.hypot(w[0], 3 * w[1]), 1e-12)


solvers = {"adagrad": AdaGrad(), "rmsprop": RMSProp(), "adadelta": AdaDelta(eps=1e-2)}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
display = TrajectoryDisplay.from_objective(
    surface, slope, solvers, start=(-200.0, 10.0), eta=1.0, n_steps=1000, ax=axes[0], markersize=0
)
print(
    f"{'length of step number':22s} {'1':>7s} {'10':>7s} {'100':>7s} {'1000':>7s} {'left of the way at the end':>28s}"
)
for line, (name, path) in zip(display.lines_, display.paths.items(), strict=True):
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    axes[1].plot(np.arange(1, 1001), lengths, color=line.get_color(), linestyle=line.get_linestyle(), label=name)
    left = np.linalg.norm(path[-1]) / np.linalg.norm(path[0])
    print(f"{name:22s} " + " ".join(f"{lengths[i]:7.3f}" for i in (0, 9, 99, 999)) + f" {left:28.1%}")
axes[0].set_title("A thousand steps down a cone", loc="left")
axes[1].set_title("how long they are", loc="left")
axes[1].set(xscale="log", yscale="log", xlabel="step", ylabel="length of the step")
axes[1].spines[["top", "right"]].set_visible(False)
_ = axes[1].legend(frameon=False)

# %%
# AdaGrad's steps fall with the root of their number, and it is far from home after a thousand. RMSprop's stay what
# they are, so it arrives, and then hops about the optimum: forgetting has to be paid for with a step that somebody
# else makes smaller. Adadelta's begin small and do not shrink.
#
# On data
# -------
#
# The digits, with a first step of 0.003 for AdaGrad and RMSprop and a constant rate; and AdaGrad again with the step
# that won the race.

X, y = load_digits(return_X_y=True)
options = {"learning_rate": "constant", "scale_features": True, "max_iter": 30, "tol": None, "random_state": 0}
fitted = {
    "adagrad, eta0=0.003": SGDVariantClassifier(solver="adagrad", eta0=0.003, **options).fit(X, y),
    "rmsprop, eta0=0.003": SGDVariantClassifier(solver="rmsprop", eta0=0.003, **options).fit(X, y),
    "adadelta": SGDVariantClassifier(solver="adadelta", eta0=1.0, **options).fit(X, y),
    "adagrad, raced": SGDVariantClassifier(solver="adagrad", **options).fit(X, y),
}
display = LossCurveDisplay.from_estimators(fitted, log=True)
display.ax_.set_title("Digits, constant step", loc="left")
for name, model in fitted.items():
    print(f"{name:20s} objective {model.objective_:.4f}, step {model.eta0_:.3g}")

# %%
# From the same small first step AdaGrad stalls. With a step found by the race it does not: on a problem that stands
# still the sum is what makes it settle, and what it lacks is only the way back from a start that was too small.
