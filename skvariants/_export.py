"""Fitted estimators of scikit-learn that predict what a model predicts, for tools that know scikit-learn's classes.

What such an estimator needs beside its coefficients are public fitted attributes, but for the means of generalised
linear models: their link is set by a fit, so they are fitted to a row of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import (
    GammaRegressor,
    HuberRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.preprocessing import LabelBinarizer
from sklearn.svm import LinearSVC, LinearSVR

from skvariants import losses
from skvariants.losses import Loss

Array = np.ndarray
Make = Callable[[Any], Any]


class Exported(Protocol):
    """What all estimators have that stand for a model, as editors complete it; classes add theirs."""

    coef_: Any
    intercept_: Any
    n_features_in_: int

    def predict(self, X: Any) -> Array:
        """Predictions."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy, or R2."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of training."""

    def __getattr__(self, name: str) -> Any:
        """What only some have, such as predict_proba."""


#: Classifiers by the class of the loss; any other loss without probabilities only ranks, as `LinearSVC` does.
CLASSIFIERS: Mapping[type, Make] = {
    losses.LogLoss: lambda loss: LogisticRegression(),
    losses.MultinomialLogLoss: lambda loss: LogisticRegression(),
    losses.Hinge: lambda loss: LinearSVC(loss="hinge"),
    losses.SquaredHinge: lambda loss: LinearSVC(loss="squared_hinge"),
    losses.ModifiedHuber: lambda loss: SGDClassifier("modified_huber"),
    losses.Perceptron: lambda loss: SGDClassifier("perceptron"),
}
#: Of a log loss whose classes are not coupled: its probabilities are divided by their sum.
ONE_VS_REST: Mapping[type, Make] = {**CLASSIFIERS, losses.LogLoss: lambda loss: SGDClassifier("log_loss")}
#: Regressors by the class of the loss; any other loss without a link predicts as `LinearRegression` does.
REGRESSORS: Mapping[type, Make] = {
    losses.SquaredError: lambda loss: Ridge(),
    losses.Huber: lambda loss: _huber(_number(loss.epsilon)),
    losses.EpsilonInsensitive: lambda loss: LinearSVR(epsilon=_number(loss.epsilon)),
    losses.SquaredEpsilonInsensitive: lambda loss: LinearSVR(
        epsilon=_number(loss.epsilon), loss="squared_epsilon_insensitive"
    ),
    losses.AbsoluteError: lambda loss: QuantileRegressor(quantile=0.5),
    losses.Quantile: lambda loss: QuantileRegressor(quantile=_number(loss.quantile)),
    losses.Poisson: lambda loss: _with_link(PoissonRegressor()),
    losses.Gamma: lambda loss: _with_link(GammaRegressor()),
    losses.Tweedie: lambda loss: _with_link(TweedieRegressor(power=_number(loss.power), link="log")),
}
#: Regressors whose coefficients may be a table, a row for each target.
_OF_TABLES = (losses.SquaredError,)


def as_scikit_learn(task: Any, loss: Loss, coef: Array, intercept: Array, header: Mapping[str, Any]) -> Exported:
    """A fitted estimator of scikit-learn.

    Parameters
    ----------
    task : Task
        What targets are.
    loss : Loss
        What was minimised.
    coef, intercept : ndarray
        As published, dense.
    header : mapping
        Number and names of the features, and whether there is an intercept.

    Returns
    -------
    estimator
        Its training parameters are scikit-learn's defaults.

    Raises
    ------
    ValueError
        If no estimator of scikit-learn predicts the same.
    """
    _check_counterpart(task, loss)
    if task.several:
        return _of_labels(task, loss, coef, intercept, header)
    if task.classification:
        made = _made(ONE_VS_REST if len(coef) > 1 else CLASSIFIERS, loss, LinearSVC)
        return _set(made, header, coef_=coef, intercept_=intercept, classes_=task.classes)
    if task.flat:
        return _of_target(loss, coef.ravel(), intercept[0], header)
    if type(loss) in _OF_TABLES or type(loss) not in REGRESSORS:
        return _set(_made(REGRESSORS, loss, LinearRegression), header, coef_=coef, intercept_=intercept)
    parts = [_of_target(loss.take(np.array([j])), coef[j], intercept[j], header) for j in range(len(coef))]
    return _composed(MultiOutputRegressor(clone(parts[0])), parts, header)


def _check_counterpart(task: Any, loss: Loss) -> None:
    """Refuse what no estimator of scikit-learn predicts."""
    name = type(loss).__name__
    remedy = "coef_ and intercept_ as arrays are all that its predictions need."
    if task.classification and task.n_classes == 1:
        raise ValueError(
            f"to_sklearn() needs two classes, and the stream has shown {task.classes.tolist()[0]!r} only: call "
            "partial_fit with rows of another class first."
        )
    if task.classification and hasattr(loss.unweighted, "probability") and type(loss.unweighted) not in CLASSIFIERS:
        raise ValueError(
            f"to_sklearn() knows no classifier with the probabilities of the loss {name}: the losses of its own that "
            f"have some are log_loss and modified_huber, and {remedy}"
        )
    if not task.classification and type(loss) not in REGRESSORS and type(loss).inverse_link is not Loss.inverse_link:
        raise ValueError(
            f"to_sklearn() knows no regressor with the link of the loss {name}: links of its own are those of poisson, "
            f"gamma and tweedie, and {remedy}"
        )


def _of_labels(task: Any, loss: Loss, coef: Array, intercept: Array, header: Mapping[str, Any]) -> Any:
    """A classifier for each label, in one."""
    parts = [
        _set(
            _made(CLASSIFIERS, loss.unweighted, LinearSVC), header,
            coef_=coef[[j]], intercept_=intercept[[j]], classes_=np.array([0, 1]),
        )
        for j in range(len(coef))
    ]  # fmt: skip
    known = LabelBinarizer(sparse_output=True).fit(task.decode(np.eye(len(coef)), loss))
    whole = OneVsRestClassifier(clone(parts[0]))
    return _composed(whole, parts, header, label_binarizer_=known, classes_=known.classes_)


def _of_target(loss: Loss, coef: Array, intercept: Any, header: Mapping[str, Any]) -> Any:
    """A regressor of one target."""
    return _set(_made(REGRESSORS, loss, LinearRegression), header, coef_=coef, intercept_=intercept)


def _huber(epsilon: float) -> Any:
    """A regressor whose loss turns linear at the residual `epsilon`."""
    made: Any = HuberRegressor()
    made.scale_ = epsilon / made.epsilon
    return made


def _with_link(estimator: Any) -> Any:
    """A generalised linear model that has its link."""
    return estimator.fit(np.zeros((1, 1)), np.ones(1))


def _made(table: Mapping[type, Make], loss: Loss, other: Callable[[], Any]) -> Any:
    """What a table has for a loss, or another estimator."""
    return table[type(loss)](loss) if type(loss) in table else other()


def _set(estimator: Any, header: Mapping[str, Any], **attributes: Any) -> Any:
    """The estimator with attributes, as if fitted."""
    estimator.set_params(fit_intercept=header["fit_intercept"])
    return _described(estimator, header, attributes)


def _composed(estimator: Any, parts: list[Any], header: Mapping[str, Any], **attributes: Any) -> Any:
    """An estimator made of others, as if fitted."""
    return _described(estimator, header, {"estimators_": parts, **attributes})


def _described(estimator: Any, header: Mapping[str, Any], attributes: Mapping[str, Any]) -> Any:
    """The estimator with attributes, and what is known of the features."""
    known = {name: value for name, value in header.items() if name.endswith("_") and value is not None}
    for name, value in {**attributes, **known}.items():
        setattr(estimator, name, value)
    return estimator


def _number(value: Any) -> float:
    """A parameter of one target, which a column of several has as an array."""
    return float(np.ravel(value)[0])
