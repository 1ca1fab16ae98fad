"""Coefficients with the names of their features, in one unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from skvariants._component import check, integers, refused, shown
from skvariants.displays._style import (
    BLUE,
    VERMILLION,
    Array,
    check_fitted,
    check_kind,
    descend,
    names_keywords,
    parts,
    place_grid,
    tidy,
)
from skvariants.losses import LOSSES

#: panels of outputs side by side, each so wide, and high by the features that it has
COLUMNS, WIDTH = 4, 2.4


class CoefficientsDisplay:
    """The coefficients of a linear model by name, the largest first.

    It is made by :meth:`from_estimator`. Coefficients are compared in one unit: without `X` they are what a prediction
    (of a classifier its decision function, of a log link the linear predictor) changes by for one unit of each feature,
    and units differ; with `X` what it changes by for one standard deviation.
    Several classes or targets get a panel each, with the features in the same order.

    Parameters
    ----------
    coef : ndarray of shape (n_outputs, n_features)
        Coefficients, in the unit that is shown.
    names : list of str
        Of the features.
    outputs : list of str
        Of the classes, labels, targets or levels.
    unit : str, default="unit"
        What a coefficient is for.
    quantity : str, default="prediction"
        What changes by a coefficient.
    share_x : bool, default=True
        Whether panels have one scale; targets in units of their own have one each.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes; the first of several panels.
    axes_ : list of matplotlib Axes
        All panels.
    figure_ : matplotlib Figure
        The figure.
    bars_ : list of matplotlib BarContainer
        The coefficients of each output.
    shown_ : list of str
        Names of the features that are shown, from the top down.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skvariants import SGDVariantRegressor
    >>> from skvariants.displays import CoefficientsDisplay
    >>> X, y = load_diabetes(return_X_y=True, scaled=False, as_frame=True)
    >>> model = SGDVariantRegressor().fit(X, y)
    >>> display = CoefficientsDisplay.from_estimator(model, X, n_features=3)
    >>> display.shown_
    ['s1', 's5', 'bmi']
    """

    def __init__(
        self,
        *,
        coef: Any,
        names: Sequence[str],
        outputs: Sequence[str] = ("",),
        unit: str = "unit",
        quantity: str = "prediction",
        share_x: bool = True,
    ) -> None:
        self.coef = coef
        self.names = names
        self.outputs = outputs
        self.unit = unit
        self.quantity = quantity
        self.share_x = share_x

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, *, names: Sequence[str] | Any = None,
        outputs: Sequence[str] | Any = None, **kwargs: Any,
    ) -> CoefficientsDisplay:  # fmt: skip
        """The coefficients of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            A fitted linear model with ``coef_``, or a pipeline, a search or a wrapper that trained one. In a pipeline
            the features are those that reach the model.
        X : array-like, default=None
            Data whose standard deviations are the unit; as the estimator takes it.
        names : list of str, default=None
            Of the features; those that the estimator was fitted with if None.
        outputs : list of str, default=None
            Titles of the panels, such as the names of several targets or labels, which arrays do not have; classes and
            levels as the estimator knows them, and numbers of the others, if None.
        **kwargs
            Of :meth:`plot`.

        Returns
        -------
        CoefficientsDisplay
        """
        check_fitted(estimator)
        outside, _ = descend(estimator)
        tables: list[Array] = []
        known: list[str] = []
        several = parts(estimator)
        for part, fit in several.items():
            inside, model = descend(fit)
            check_kind("estimator", model, "coef_", "a fitted linear model, which has coef_")
            before = [*outside, *inside] if part else inside
            coef = np.atleast_2d(np.asarray(model.coef_, dtype=float))
            if tables and coef.shape[1] != tables[0].shape[1]:
                raise ValueError("The fits of this estimator have different features: give one of its estimators_.")
            names = _names(model, before, coef.shape[1]) if names is None else names
            known += [
                f"{part}, {own}" if part and own and len(coef) > 1 else part or own
                for own in _outputs(model, len(coef))
            ]
            if X is not None:
                with refused("X", X, "Give the rows that it was fitted on."):
                    coef = coef * _spreads(X, before, coef.shape[1])
            tables.append(coef)
        coef, unit = np.concatenate(tables), "unit" if X is None else "standard deviation"
        remedy = f"names must be {coef.shape[1]}, one a feature"
        with refused("names", names, f"Give a list: {remedy}."):
            listed = [] if isinstance(names, str) else list(names if names is not None else ())
        if len(listed) != coef.shape[1]:
            raise ValueError(f"names={shown(names)} is not accepted: {remedy}.")
        outputs = known if outputs is None else outputs
        words = np.ndim(outputs) == 1 and all(isinstance(output, str) for output in outputs)
        if not words or len(outputs) != len(coef):
            raise ValueError(
                f"outputs={shown(outputs)} is not accepted: outputs must be {len(coef)} strings, one a row of coef_."
            )
        display = cls(
            coef=coef, names=listed, outputs=list(outputs), unit=unit, quantity=_quantity(model),
            share_x=is_classifier(model) or not _has_targets(model, several),
        )  # fmt: skip
        return display.plot(**kwargs)

    @names_keywords
    def plot(self, ax: Any = None, *, n_features: int = 20, **kwargs: Any) -> CoefficientsDisplay:
        """Draw the coefficients.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None. Panels take its place.
        n_features : int, default=20
            How many features are shown at most: those with the largest coefficient in any panel, as a share of the
            largest there where panels have scales of their own.
        **kwargs
            Of the bars.

        Returns
        -------
        CoefficientsDisplay
            The display itself.
        """
        check("n_features", n_features, integers(1))
        coef = np.atleast_2d(np.asarray(self.coef, dtype=float))
        sizes = np.abs(coef)
        if not self.share_x:
            largest = sizes.max(axis=1, keepdims=True)
            sizes = np.divide(sizes, largest, out=np.zeros_like(sizes), where=largest > 0)
        size = sizes.max(axis=0)
        order = np.argsort(-size, kind="stable")[:n_features]
        self.shown_ = [self.names[i] for i in order]
        height = 1.1 + 0.22 * len(order)
        width = 6.0 if len(coef) == 1 else WIDTH
        self.figure_, self.axes_ = place_grid(ax, len(coef), COLUMNS, (width, height), self.share_x)
        self.ax_, self.bars_ = self.axes_[0], []
        for panel, values, output in zip(self.axes_, coef, self.outputs, strict=True):
            colors = [BLUE if value > 0 else VERMILLION for value in values[order]]
            bar = {"height": 0.7, "color": colors, **kwargs}
            self.bars_.append(panel.barh(range(len(order)), values[order], **bar))
            panel.axvline(0, color="0.3", linewidth=0.8)
            panel.set_title(output, fontsize="medium", loc="left")
            tidy(panel)
            panel.grid(False, axis="y")
        self.ax_.set_yticks(range(len(order)), self.shown_)
        self.ax_.set_ylim(len(order) - 0.4, -0.6)
        hidden, zero = coef.shape[1] - len(order), int((size == 0).sum())
        label = f"change of the {self.quantity} for one {self.unit}"
        label += f"\n{hidden:,} smaller not shown" * (hidden > 0) + f"; {zero:,} of all are zero" * (zero > 0)
        if len(coef) == 1:  # from the right end of axes that long names may have made narrow
            self.ax_.set_xlabel(label, loc="right")
        else:
            self.figure_.supxlabel(label, fontsize="medium")
        return self


def _names(model: Any, before: Sequence[Any], d: int) -> list[str]:
    """Names of the features of a model: those that it saw, or those that the steps before it give."""
    if hasattr(model, "feature_names_in_"):
        return list(map(str, model.feature_names_in_))
    names: Any = None
    try:
        for steps in before:
            names = steps.get_feature_names_out(names)
        return list(map(str, names))
    except (AttributeError, TypeError, ValueError):  # no pipeline, or a step that gives no names
        return [f"x{j}" for j in range(d)]


def _has_targets(model: Any, fits: Mapping[str, Any]) -> bool:
    """Whether a regression has several targets, which are not levels of one, nor folds or bags of the same rows."""
    if len(fits) > 1:
        return all(part.startswith("output") for part in fits)
    n_rows = len(np.atleast_2d(model.coef_))
    return n_rows > 1 and getattr(_loss(model), "outputs", 1) != n_rows


def _quantity(model: Any) -> str:
    """What is linear in the features."""
    if is_classifier(model):
        return "decision function"
    loss = _loss(model)
    linked = hasattr(loss, "inverse_link") and bool(loss.inverse_link(np.zeros(1))[0] != 0)
    return "linear predictor" if linked else "prediction"


def _loss(model: Any) -> Any:
    """The loss of a model, where it is one of this package."""
    loss = getattr(model, "loss", None)
    return LOSSES[loss]() if isinstance(loss, str) and loss in LOSSES else loss


def _outputs(model: Any, k: int) -> list[str]:
    """What each row of coefficients is about."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        loss = _loss(model)
        named = loss.output_names() if hasattr(loss, "output_names") else []
        return named if len(named) == k else [""] if k == 1 else [f"target {i}" for i in range(k)]
    kind = "label " if getattr(model, "multilabel_", False) else ""
    return [f"towards {kind}{name!s}" for name in (classes[-1:] if k == 1 else classes)]


def _spreads(X: Any, before: Sequence[Any], d: int) -> Array:
    """Standard deviation of each column of what reaches a model."""
    for steps in before:
        X = steps.transform(X)
    X = X if hasattr(X, "tocsc") else np.asarray(X, dtype=float)
    if np.ndim(X) != 2 or not X.shape[0]:
        raise ValueError("X is no table of rows")
    if X.shape[1] != d:
        raise ValueError(f"X has {X.shape[1]} columns, and the model {d}")
    if hasattr(X, "tocsc"):
        mean = np.asarray(X.mean(axis=0)).ravel()
        square = np.asarray(X.multiply(X).mean(axis=0)).ravel()
        return np.sqrt(np.maximum(square - mean**2, 0.0))
    return np.asarray(np.std(X, axis=0))
