"""
The ravine
==========

Plain steps zigzag, momentum cancels the zigzag, and Nesterov's acceleration is said to keep it from overshooting: how
much of that is true, in numbers?
"""

# %%
# The surface is a ravine fifty times as steep across as along. Each method takes forty steps with the best step size
# of a ladder: the one that ends lowest without ever climbing above the start.

import numpy as np

from skvariants.displays import TrajectoryDisplay
from skvariants.solvers import GD, Momentum, Nesterov

CURVATURE = np.array([0.04, 2.0])
START = (-9.0, 1.6)
solvers = {"gd": GD(), "momentum": Momentum(0.9), "nesterov": Nesterov(0.9)}


def surface(a, b):
    return 0.5 * (CURVATURE[0] * a**2 + CURVATURE[1] * b**2)


def slope(w):
    return CURVATURE * w


def walk(solver, eta, steps=40):
    return TrajectoryDisplay.walk(slope, solver, start=START, eta=eta, n_steps=steps)


def end(path):
    heights = surface(*path.T)
    return heights[-1] if heights.max() <= heights[0] else np.inf


ladder = 10.0 ** (np.arange(-60, 21) / 20)
best = {name: min(ladder, key=lambda eta: end(walk(solver, eta))) for name, solver in solvers.items()}
paths = {name: walk(solver, best[name]) for name, solver in solvers.items()}
display = TrajectoryDisplay(objective=surface, paths=paths, minimum=(0, 0)).plot()
_ = display.ax_.set_title("Forty steps down a ravine", loc="left")

# %%
# What the picture shows, measured
# --------------------------------
#
# - length / distance: how crooked the path is; 1 is straight;
# - crossings: how often the path crosses the floor of the valley;
# - overshoot: how far it goes past the optimum along the valley, as a share of the way there;
# - height: what is left of the height of the start after forty steps.

print(f"{'':10s} {'step':>6s} {'length / distance':>18s} {'crossings':>10s} {'overshoot':>10s} {'height left':>12s}")
for name, path in display.paths.items():
    crossings = int((np.diff(np.sign(path[:, 1])) != 0).sum())
    overshoot = max(0.0, path[:, 0].max()) / abs(START[0])
    left = surface(*path[-1]) / surface(*START)
    print(f"{name:10s} {best[name]:6.2g} {display.zigzag[name]:18.2f} {crossings:10d} {overshoot:10.1%} {left:12.2g}")

# %%
# Plain steps cross the valley every time, and the path is more than twice as long as it need be. Momentum crosses it
# a few times and ends thirty times lower. Nesterov's acceleration takes a step nearly three times as large, and ends
# lower still, by a factor of sixty. But with that step it also rolls past the optimum, further than momentum does.
#
# Does Nesterov overshoot less?
# -----------------------------
#
# With the same step and the same momentum:

print(f"{'momentum':>9s} {'overshoot, momentum':>20s} {'overshoot, nesterov':>20s}")
for mu in (0.7, 0.8, 0.9, 0.95):
    over = [max(0.0, walk(s, 0.4, 200)[:, 0].max()) / abs(START[0]) for s in (Momentum(mu), Nesterov(mu))]
    print(f"{mu:9.2f} {over[0]:20.1%} {over[1]:20.1%}")

# %%
# Less, always; not none. Looking ahead brakes across the valley, where the slope is steep, and only a little along
# its floor, where there is hardly a slope to see. What it buys is the larger step.
