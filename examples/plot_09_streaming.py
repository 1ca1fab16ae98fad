"""
A stream whose world changes
============================

Rows arrive in small portions, each is predicted before it is learnt from, and halfway the camera is turned by 90
degrees. A solver that forgets ends ahead.
"""

# %%
# The stream is scikit-learn's digits, 8 x 8 pixels, shown several times in random order. After half of it the images
# arrive turned.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skvariants import SGDVariantClassifier

X, y = load_digits(return_X_y=True)
turned = np.rot90(X.reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64)
rng = np.random.default_rng(0)
passes, portion = 8, 64
order = np.concatenate([rng.permutation(len(y)) for _ in range(passes)])
half = len(order) // 2
portions = [order[i : i + portion] for i in range(0, len(order) - portion, portion)]
drift = half // portion

looks = {
    "minibatch": ("black", "-"),
    "adagrad": ("#009E73", "-"),
    "rmsprop": ("#E69F00", "--"),
    "adam": ("#D55E00", "-."),
}
correct = {}
for name in looks:
    model = SGDVariantClassifier(solver=name, learning_rate="constant", random_state=0)
    model.partial_fit(X[order[:512]], y[order[:512]], classes=range(10))
    hits = []
    for i, rows in enumerate(portions):
        seen = (X if i < drift else turned)[rows]
        hits.append(np.mean(model.predict(seen) == y[rows]))
        model.partial_fit(seen, y[rows])
    correct[name] = np.array(hits)

figure, ax = plt.subplots(figsize=(7.2, 3.8), layout="constrained")
for name, (color, style) in looks.items():
    smooth = np.convolve(correct[name], np.ones(5) / 5, mode="valid")
    ax.plot(np.arange(len(smooth)) * portion, smooth, style, color=color, label=name)
ax.axvline(drift * portion, color="0.6", linewidth=1)
ax.annotate("images turned", (drift * portion, 0.02), xytext=(6, 0), textcoords="offset points", fontsize="small")
ax.set(xlabel="rows seen", ylabel="share correct, before learning", ylim=(0, 1.02))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower left")

# %%
# How fast does each recover?
# ---------------------------

print(f"{'':10s} {'before':>8s} {'first 320 rows':>15s} {'next 640 rows':>14s} {'last 640 rows':>14s}")
for name, hits in correct.items():
    parts = hits[drift - 10 : drift], hits[drift : drift + 5], hits[drift + 5 : drift + 15], hits[-10:]
    print(f"{name:10s} " + " ".join(f"{part.mean():{w}.1%}" for part, w in zip(parts, (8, 15, 14, 14), strict=True)))

# %%
# Forgetting has its price and its reward. While nothing changes, RMSprop is behind AdaGrad, which has settled. When
# the images are turned, AdaGrad does not stall at once: its steps for pixels that were dark and are bright now are
# still large. In the end RMSprop and Adam, which forget, are ahead of it, and plain steps, which have nothing to
# forget, have caught up with it.
