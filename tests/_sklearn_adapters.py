"""Other estimators' names and parameters for the same models: what their parameters mean is translated, and no more.

All of them minimise a mean loss plus a penalty, in other units: a sum of losses with C, a sum of squares with alpha. A
gradient that is `tol` from zero leaves the objective by about its square from the least.
"""

import numpy as np
from sklearn import linear_model
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_sample_weight

from skvariants import SGDVariantClassifier, SGDVariantRegressor


class Adapter(BaseEstimator):
    """What is not known here is asked of the model that was fitted."""

    def _total(self, X, y, sample_weight):
        """Sum of the weights."""
        weights = np.ones(X.shape[0] if hasattr(X, "shape") else len(X))
        if sample_weight is not None:
            weights = weights * sample_weight
        if getattr(self, "class_weight", None) is not None:
            weights = weights * compute_sample_weight(self.class_weight, y)
        return weights.sum()

    def fit(self, X, y, sample_weight=None):
        model = self._translated(X, y, sample_weight)
        if getattr(self, "warm_start", False) and "_model" in vars(self):
            model = self._model.set_params(**model.get_params())
        self._model = model.fit(X, y, sample_weight=sample_weight)
        return self

    def __getattr__(self, name):
        if name.startswith("__") or "_model" not in vars(self):
            raise AttributeError(name)
        return getattr(self._model, name)


class AsLogisticRegression(ClassifierMixin, Adapter):
    """LogisticRegression: C times the sum of the losses."""

    def __init__(
        self, penalty="deprecated", *, dual=False, C=1.0, l1_ratio=0.0, tol=1e-4, fit_intercept=True,
        intercept_scaling=1, class_weight=None, random_state=None, solver="lbfgs", max_iter=100, multi_class="auto",
        verbose=0, warm_start=False, n_jobs=None,
    ):  # fmt: skip
        self.penalty, self.dual, self.C, self.l1_ratio, self.tol = penalty, dual, C, l1_ratio, tol
        self.fit_intercept, self.intercept_scaling, self.class_weight = fit_intercept, intercept_scaling, class_weight
        self.random_state, self.solver, self.max_iter, self.multi_class = random_state, solver, max_iter, multi_class
        self.verbose, self.warm_start, self.n_jobs = verbose, warm_start, n_jobs

    def _translated(self, X, y, sample_weight):
        penalty = "elasticnet" if self.penalty == "deprecated" else self.penalty
        return SGDVariantClassifier(
            penalty=penalty, alpha=1 / (self.C * self._total(X, y, sample_weight)), l1_ratio=self.l1_ratio,
            tol=self.tol**2, fit_intercept=self.fit_intercept, class_weight=self.class_weight,
            random_state=self.random_state, max_iter=self.max_iter, warm_start=self.warm_start,
        )  # fmt: skip


class AsRidge(RegressorMixin, Adapter):
    """Ridge: the sum of squares."""

    def __init__(
        self, alpha=1.0, *, fit_intercept=True, copy_X=True, max_iter=None, tol=1e-4, solver="auto", positive=False,
        random_state=None,
    ):  # fmt: skip
        self.alpha, self.fit_intercept, self.copy_X, self.max_iter = alpha, fit_intercept, copy_X, max_iter
        self.tol, self.solver, self.positive, self.random_state = tol, solver, positive, random_state

    def _translated(self, X, y, sample_weight):
        self.solver_ = self.solver
        return SGDVariantRegressor(
            alpha=self.alpha / self._total(X, y, sample_weight), fit_intercept=self.fit_intercept,
            max_iter=1000 if self.max_iter is None else self.max_iter, tol=self.tol**2, positive=self.positive,
            random_state=self.random_state,
        )  # fmt: skip


class AsRidgeClassifier(ClassifierMixin, Adapter):
    """RidgeClassifier: squared errors of labels -1 and 1."""

    def __init__(self, alpha=1.0, *, fit_intercept=True, tol=1e-4, class_weight=None, solver="auto", random_state=None):
        self.alpha, self.fit_intercept, self.tol, self.class_weight = alpha, fit_intercept, tol, class_weight
        self.solver, self.random_state = solver, random_state

    def _translated(self, X, y, sample_weight):
        return SGDVariantClassifier(
            "squared_error", alpha=self.alpha / self._total(X, y, sample_weight), fit_intercept=self.fit_intercept,
            tol=self.tol**2, class_weight=self.class_weight, random_state=self.random_state,
        )  # fmt: skip


class AsElasticNet(RegressorMixin, Adapter):
    """ElasticNet: its objective is ours."""

    def __init__(
        self, alpha=1.0, *, l1_ratio=0.5, fit_intercept=True, precompute=False, max_iter=1000, copy_X=True, tol=1e-4,
        warm_start=False, positive=False, random_state=None, selection="cyclic",
    ):  # fmt: skip
        self.alpha, self.l1_ratio, self.fit_intercept, self.precompute = alpha, l1_ratio, fit_intercept, precompute
        self.max_iter, self.copy_X, self.tol, self.warm_start = max_iter, copy_X, tol, warm_start
        self.positive, self.random_state, self.selection = positive, random_state, selection

    def _translated(self, X, y, sample_weight):
        return SGDVariantRegressor(
            penalty="elasticnet", alpha=self.alpha, l1_ratio=self.l1_ratio, fit_intercept=self.fit_intercept,
            max_iter=self.max_iter, tol=self.tol**2, warm_start=self.warm_start, positive=self.positive,
            random_state=self.random_state,
        )  # fmt: skip

    def fit(self, X, y, sample_weight=None, check_input=True):
        return super().fit(X, y, sample_weight)

    @property
    def dual_gap_(self):
        return np.full(self.intercept_.shape, self.suboptimality_)


class AsLasso(AsElasticNet):
    """Lasso: the same, with nothing but L1."""

    def __init__(
        self, alpha=1.0, *, fit_intercept=True, precompute=False, max_iter=1000, copy_X=True, tol=1e-4,
        warm_start=False, positive=False, random_state=None, selection="cyclic",
    ):  # fmt: skip
        self.alpha, self.fit_intercept, self.precompute = alpha, fit_intercept, precompute
        self.max_iter, self.copy_X, self.tol, self.warm_start = max_iter, copy_X, tol, warm_start
        self.positive, self.random_state, self.selection = positive, random_state, selection

    l1_ratio = 1.0


class AsHuberRegressor(RegressorMixin, Adapter):
    r"""HuberRegressor, given the scale :math:`\sigma` that it finds.

    It minimises :math:`\sum_i s_i (\sigma + \sigma H_\epsilon(r_i / \sigma)) + \alpha \|w\|^2` with :math:`H_\epsilon`
    twice the Huber loss, and :math:`\sigma H_\epsilon(r / \sigma) = 2 h_{\epsilon \sigma}(r) / \sigma`.
    """

    def __init__(self, *, epsilon=1.35, max_iter=100, alpha=1e-4, warm_start=False, fit_intercept=True, tol=1e-5):
        self.epsilon, self.max_iter, self.alpha = epsilon, max_iter, alpha
        self.warm_start, self.fit_intercept, self.tol = warm_start, fit_intercept, tol

    def _translated(self, X, y, sample_weight):
        theirs = linear_model.HuberRegressor(
            epsilon=self.epsilon, alpha=self.alpha, fit_intercept=self.fit_intercept, tol=1e-12, max_iter=10_000
        )
        self.scale_ = theirs.fit(X, y, sample_weight).scale_
        return SGDVariantRegressor(
            "huber", epsilon=self.epsilon * self.scale_,
            alpha=self.alpha * self.scale_ / self._total(X, y, sample_weight),
            fit_intercept=self.fit_intercept, max_iter=self.max_iter, tol=self.tol**2, warm_start=self.warm_start,
        )  # fmt: skip

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.outliers_ = np.abs(y - self.predict(X)) > self.scale_ * self.epsilon
        return self


class AsPerceptron(ClassifierMixin, Adapter):
    """Perceptron: steps of one row, of a fixed length, in the units of the data."""

    def __init__(
        self, *, penalty=None, alpha=1e-4, l1_ratio=0.15, fit_intercept=True, max_iter=1000, tol=1e-3, shuffle=True,
        eta0=1.0, random_state=0,
    ):  # fmt: skip
        self.penalty, self.alpha, self.l1_ratio, self.fit_intercept = penalty, alpha, l1_ratio, fit_intercept
        self.max_iter, self.tol, self.shuffle, self.eta0 = max_iter, tol, shuffle, eta0
        self.random_state = random_state

    def _translated(self, X, y, sample_weight):
        return SGDVariantClassifier(
            "perceptron", solver="sgd", batch_size=1, scale_features=False, learning_rate="constant", multi_class="ovr",
            **self.get_params(),
        )  # fmt: skip
