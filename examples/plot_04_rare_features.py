"""
Rare features deserve larger steps
==================================

A word that occurs in one text of a thousand has its weight updated once in a thousand rows. AdaGrad gives it larger
steps, without being told which words are rare.
"""

# %%
# Real text, from what is installed
# ---------------------------------
#
# The texts are the first paragraphs of docstrings of NumPy, SciPy and scikit-learn, which are on this machine because
# this package needs them. The task is to say which of the three a paragraph comes from. It is real English of real
# authors, if of a special kind; names of the libraries themselves are removed.

import importlib
import inspect
import pkgutil
import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import train_test_split

from skvariants import SGDVariantClassifier
from skvariants.solvers import AdaGrad, MiniBatch


def paragraphs(library):
    """First paragraph of every public function, class and method."""
    found, seen = [], set()
    package = importlib.import_module(library)
    names = [f"{library}.{m.name}" for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")]
    for name in [library, *names]:
        if any(part in name for part in ("test", "conftest", "f2py", "distutils", "setup", "core", "externals")):
            continue
        module = importlib.import_module(name)
        things = [getattr(module, n) for n in dir(module) if not n.startswith("_")]
        things += [m for c in things if inspect.isclass(c) for m in vars(c).values() if inspect.isroutine(m)]
        for thing in things:
            if not (getattr(thing, "__module__", None) or "").startswith(library):
                continue
            text = (inspect.getdoc(thing) or "").split("\n\n")[0]
            if len(text) > 25 and text not in seen:
                seen.add(text)
                found.append(re.sub(r"(?i)numpy|scipy|scikit|sklearn|np\.", " ", text))
    return found


libraries = ("numpy", "scipy", "sklearn")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    texts = {library: paragraphs(library) for library in libraries}
documents = [text for library in libraries for text in texts[library]]
labels = np.repeat(libraries, [len(texts[library]) for library in libraries])
train, test, y_train, y_test = train_test_split(documents, labels, random_state=0, stratify=labels)
words = CountVectorizer(binary=True, min_df=2).fit(train)
X_train, X_test = words.transform(train).astype(float), words.transform(test).astype(float)
frequency = np.asarray(X_train.mean(axis=0)).ravel()
print(f"{X_train.shape[0]} texts, {X_train.shape[1]} words; classes: { {n: len(t) for n, t in texts.items()} }")
print(f"median word: in {np.median(frequency):.2%} of the texts; most frequent: in {frequency.max():.0%}")

# %%
# Effective steps
# ---------------
#
# A solver returns a direction and a scale; AdaGrad's scale is its rate for each weight. A subclass of one method
# looks at it.

steps = []


class Watched(AdaGrad):
    """AdaGrad that shows its scale."""

    def step(self, g, t, work, *memory):
        direction, scale = super().step(g, t, work, *memory)
        steps.append(scale[:-1].mean(axis=1))
        del steps[:-1]  # the last one is enough
        return direction, scale


options = {"scale_features": False, "alpha": 1e-4, "max_iter": 5, "tol": None, "random_state": 0}
adagrad = SGDVariantClassifier(solver=Watched(), **options).fit(X_train, y_train)
effective = adagrad.eta0_ * steps[-1]

figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
ax.scatter(frequency, effective, s=4, color="#009E73", alpha=0.4, linewidths=0, label="AdaGrad, a word")
plain = SGDVariantClassifier(solver=MiniBatch(), **options).fit(X_train, y_train)
ax.axhline(plain.eta0_, color="black", linestyle="--", label="mini-batch: the same for all")
ax.set(xscale="log", yscale="log", xlabel="share of the texts with the word", ylabel="step size after 5 epochs")
ax.set_title("AdaGrad: the rarer a word, the larger its step", loc="left")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)

order = np.argsort(frequency)
k = len(order) // 10
rare, common = effective[order[:k]], effective[order[-k:]]
ratio = np.median(rare) / np.median(common)
print(f"AdaGrad: the rarest tenth of the words takes steps {ratio:.1f} times as large as the most frequent tenth")
print(f"correlation of log frequency and log step: {np.corrcoef(np.log(frequency), np.log(effective))[0, 1]:.2f}")

# %%
# Does it help?
# -------------
#
# In raw counts, and in standardised coordinates, where a rare word has been divided by its small standard deviation.


def scores(solver, scaled, epochs):
    """Accuracy on the test texts, mean over five orders of the rows."""
    models = [
        SGDVariantClassifier(
            solver=solver, **{**options, "scale_features": scaled, "max_iter": epochs, "random_state": i}
        )
        for i in range(5)
    ]
    return np.mean([m.fit(X_train, y_train).score(X_test, y_test) for m in models])


print(f"{'':8s} {'raw counts':^24s} {'standardised':^24s}")
print(f"{'epochs':8s} {'mini-batch':>12s} {'AdaGrad':>11s} {'mini-batch':>12s} {'AdaGrad':>11s}")
for epochs in (1, 2, 5, 20):
    cells = [scores(solver, scaled, epochs) for scaled in (False, True) for solver in ("minibatch", "adagrad")]
    print(f"{epochs:<8d} {cells[0]:12.3f} {cells[1]:11.3f} {cells[2]:12.3f} {cells[3]:11.3f}")

# %%
# AdaGrad's larger steps for rare words put it ahead from the first epoch on raw counts, and the difference shrinks as
# plain steps catch up. Standardising is another way to give rare features larger steps, one that needs a look at the
# data first.
