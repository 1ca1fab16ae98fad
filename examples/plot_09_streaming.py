"""
One pass, chunk by chunk
========================

Rows that arrive cannot be tuned on: there is no second try. Each chunk is predicted, scored and then learned, by this
package's default and by SGDClassifier, on two tables and on text.
"""

# %%
# Three streams
# -------------
#
# Two are tables that scikit-learn bundles, in random order. The third is text: paragraphs of scikit-learn's own
# documentation, and the question is which package a paragraph is from. Their words are hashed, so that no vocabulary
# has to be known beforehand, into so many columns that few words share one.

import inspect
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn import cluster, decomposition, ensemble, linear_model, metrics, preprocessing
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantClassifier
from skvariants.displays import ProgressDisplay


def paragraphs(package):
    """Paragraphs of the docstrings of a package, each once."""
    found = {}
    for name in package.__all__:
        thing = getattr(package, name)
        methods = [getattr(thing, part) for part in dir(thing) if not part.startswith("_")]
        for part in [thing, *filter(inspect.isroutine, methods)]:
            found |= dict.fromkeys(p for p in (inspect.getdoc(part) or "").split("\n\n") if len(p.split()) >= 8)
    return list(found)


packages = [linear_model, ensemble, cluster, decomposition, preprocessing, metrics]
texts = [paragraphs(package) for package in packages]
labels = np.repeat(np.arange(len(packages)), [len(some) for some in texts])
words = HashingVectorizer(n_features=2**14).transform([p for some in texts for p in some])
streams = {
    "breast cancer": (*load_breast_cancer(return_X_y=True), 20),
    "digits": (*load_digits(return_X_y=True), 100),
    "text, hashed to 16,384 columns": (words, labels, 200),
}

# %%
# Predict, score, learn
# ---------------------
#
# SGDClassifier needs columns of equal scale, so it gets a scaler that learns along; hashed words are left as they are.


def stream(model, X, y, chunk, scaler=None):
    """Loss of each chunk before it is learned, and seconds."""
    classes, losses, start = np.unique(y), [], time.perf_counter()
    order = np.random.default_rng(0).permutation(len(y))
    for begin in range(0, len(y), chunk):
        rows = order[begin : begin + chunk]
        seen = X[rows]
        if begin:
            known = seen if scaler is None else scaler.transform(seen)
            losses.append(log_loss(y[rows], model.predict_proba(known), labels=classes))
        if scaler is not None:
            seen = scaler.partial_fit(seen).transform(seen)
        model.partial_fit(seen, y[rows], classes=classes)
    return np.array(losses), time.perf_counter() - start


looks = {"skvariants": ("black", "-"), "SGDClassifier": ("#D55E00", "-."), "SGDClassifier, averaged": ("#0072B2", "--")}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True, layout="constrained")
digits = {}
print("mean log loss before learning")
for ax, (title, (X, y, chunk)) in zip(axes, streams.items(), strict=True):
    print(f"\n{title}: {X.shape[0]:,} rows, {X.shape[1]} columns, {len(np.unique(y))} classes, chunks of {chunk}")
    shares = np.bincount(y) / len(y)
    constant = -(shares * np.log(shares)).sum()
    models = digits if title == "digits" else {}
    models |= {
        "skvariants": SGDVariantClassifier(random_state=0),
        "SGDClassifier": SGDClassifier(loss="log_loss", random_state=0),
        "SGDClassifier, averaged": SGDClassifier(loss="log_loss", average=True, random_state=0),
    }
    for name, model in models.items():
        scaler = StandardScaler() if name != "skvariants" and isinstance(X, np.ndarray) else None
        losses, seconds = stream(model, X, y, chunk, scaler)
        color, style = looks[name]
        so_far = np.cumsum(losses) / np.arange(1, len(losses) + 1)
        ax.plot(np.arange(1, len(losses) + 1) * chunk, so_far, style, color=color, label=name)
        print(f"  {name:26s} {losses.mean():8.3f} {1e6 * seconds / len(y):8.0f} microseconds a row")
    print(f"  {'best constant':26s} {constant:8.3f}")
    ax.axhline(constant, color="0.6", linewidth=1)
    ax.annotate("best constant", (0.98, constant), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                fontsize="small", color="0.4")  # fmt: skip
    ax.set(title=title, xlabel="rows seen", yscale="log")
    ax.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
    ax.set_yticks([], minor=True)
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("mean loss so far, before learning")
axes[2].legend(frameon=False, fontsize="small", loc="lower left")

# %%
# On both tables SGDClassifier's first steps throw it far off, and it is still worse than a constant when the rows are
# over. Here there is no step to be too long: each chunk is added to sums over all rows, and the model is what these
# sums ask for. Text has too many columns for sums, so the rows themselves are kept, which are short, and the model is
# their optimum. There SGDClassifier's steps do well, as columns are alike; the averaged model is behind by a little, in
# much less time. Sums of many columns for each of many classes have their price: a few columns and two classes
# cost about what SGDClassifier costs, ten classes of 64 columns several times as much.
#
# What the estimator keeps of it
# ------------------------------
#
# Nothing of the loop above is needed to know this: the model scores itself.

model = digits["skvariants"]
print(f"accuracy on digits of all predictions made before learning: {model.progressive_score_:.3f}")
display = ProgressDisplay.from_estimator(model, name="digits")
_ = display.ax_.set_title("Predicted before they are learned", loc="left")
