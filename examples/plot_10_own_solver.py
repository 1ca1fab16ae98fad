"""
A solver of your own in one class
=================================

A solver is one method that turns a gradient into a direction and a scale. Here is one of a paper, in ten
lines.
"""

# %%
# AdaMax
# ------
#
# `Section 7.1 of the paper on Adam <https://arxiv.org/abs/1412.6980>`_ has a variant that divides by the largest
# gradient seen lately instead of the root of a mean square:
#
# .. math:: m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad u_t = \max(\beta_2 u_{t-1}, |g_t|), \quad
#           w_{t+1} = w_t - \frac{\eta}{1 - \beta_1^t} \frac{m_t}{u_t}

import numpy as np

from skvariants.solvers import Solver


class AdaMax(Solver):
    """Momentum's direction, divided by the largest gradient seen lately."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    memory = ("mean", "largest")
    scale_free = True

    def step(self, g, t, work, mean, largest):
        mean *= self.beta_1
        mean += (1 - self.beta_1) * g
        np.maximum(self.beta_2 * largest, np.abs(g), out=largest)
        return mean, 1 / ((1 - self.beta_1**t) * (largest + 1e-12))


# %%
# That is all; the package has the same method as ``"adamax"``. ``memory`` names the arrays that the training keeps;
# ``scale_free`` tells the race which ladder of step sizes makes sense. The hyperparameters are seen by ``get_params``
# and by searches, and the race finds the step:

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV

from skvariants import SGDVariantClassifier

X, y = load_breast_cancer(return_X_y=True)
grid = {"solver__beta_1": [0.5, 0.9]}
model = SGDVariantClassifier(solver=AdaMax(), random_state=0)
search = GridSearchCV(model, grid, cv=5).fit(X, y)
for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{params}: accuracy {score:.3f}")

# %%
# Beside the package's own, on the same table:

from skvariants.displays import SolverComparisonDisplay

solvers = {"auto": "auto", "minibatch": "minibatch", "momentum": "momentum", "adam": "adam", "yours": AdaMax()}
display = SolverComparisonDisplay.from_estimator(SGDVariantClassifier(random_state=0), X, y, solvers=solvers)
display.ax_.set_title("Breast cancer: four solvers and yours", loc="left")
for name, fitted in display.estimators.items():
    print(f"{name:10s} objective {fitted.objective_:.4f} after {fitted.n_iter_} epochs")
