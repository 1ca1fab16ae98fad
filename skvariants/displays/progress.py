"""Losses and scores along a stream, of predictions made before their rows were learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skvariants.displays._style import (
    Array,
    add_legend,
    check_choice,
    check_fitted,
    check_kind,
    curve,
    named_estimators,
    names_keywords,
    place_axes,
    set_log,
    styles,
    tidy,
    trained,
)


class ProgressDisplay:
    """Loss and score along a stream, of one or several estimators that learned by `partial_fit`.

    It is made by :meth:`from_estimator` or :meth:`from_estimators`. Each point is the mean over the chunks of a bin,
    all of them predicted before they were learned.

    Parameters
    ----------
    curves : dict of str to dict
        For each name the arrays "n_rows", "loss" and "score", as in the attribute ``progressive_scores_``.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the loss.
    score_ax_ : matplotlib Axes or None
        Axes of the score.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The loss of each name.
    score_lines_ : list of matplotlib Line2D
        The score of each name.

    See Also
    --------
    LossCurveDisplay : The objective along the epochs of a fit.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvariants import SGDVariantClassifier
    >>> from skvariants.displays import ProgressDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> model = SGDVariantClassifier(random_state=0)
    >>> for start in range(0, len(y), 100):
    ...     rows = slice(start, start + 100)
    ...     model = model.partial_fit(X[rows], y[rows], classes=range(10))
    >>> display = ProgressDisplay.from_estimator(model)
    >>> display.ax_.get_ylabel()
    'loss before learning'
    """

    def __init__(self, *, curves: Mapping[str, Mapping[str, Any]]) -> None:
        self.curves = curves

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, **kwargs: Any) -> ProgressDisplay:
        """The curves of one estimator.

        Parameters
        ----------
        estimator : estimator instance
            With ``progressive_scores_``, after two calls of `partial_fit` or more.
        name : str, default=None
            What it is called in the legend; its solver if None.
        **kwargs
            Of :meth:`plot`.

        Returns
        -------
        ProgressDisplay
        """
        return cls.from_estimators([estimator], names=None if name is None else [name], **kwargs)

    @classmethod
    def from_estimators(cls, estimators: Any, *, names: Sequence[str] | None = None, **kwargs: Any) -> ProgressDisplay:
        """The curves of several estimators.

        Parameters
        ----------
        estimators : list of estimators, or dict of name to estimator
            With ``progressive_scores_``, after two calls of `partial_fit` or more.
        names : list of str, default=None
            What each is called in the legend; the solvers if None.
        **kwargs
            Of :meth:`plot`.

        Returns
        -------
        ProgressDisplay
        """
        named = named_estimators(estimators, names)
        return cls(curves={name: _curves(estimator) for name, estimator in named.items()}).plot(**kwargs)

    @names_keywords
    def plot(self, ax: Any = None, *, log: Any = "auto", score: bool = True, **kwargs: Any) -> ProgressDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None. With the score, two axes take its place.
        log : bool or "auto", default="auto"
            Whether the loss is on a log scale; "auto" says yes where it spans a factor of ten.
        score : bool, default=True
            Whether the score is shown in a panel below.
        **kwargs
            Of every :class:`matplotlib.lines.Line2D`.

        Returns
        -------
        ProgressDisplay
            The display itself.
        """
        check_choice("log", log, ("auto", True, False))
        check_choice("score", score, (True, False))
        self.figure_, axes = place_axes(ax, 1 + bool(score), (6.4, 5.2 if score else 4.0))
        self.ax_, self.score_ax_ = axes[0], axes[1] if score else None
        self.lines_: list[Any] = []
        self.score_lines_: list[Any] = []
        curves = {name: {k: np.asarray(v, float) for k, v in c.items()} for name, c in self.curves.items()}
        for (name, shown), style in zip(curves.items(), styles(list(curves)), strict=True):
            line = {**curve(style, len(shown["n_rows"])), "label": name, **kwargs}
            self.lines_ += self.ax_.plot(shown["n_rows"], shown["loss"], **line)
            if self.score_ax_ is not None:
                self.score_lines_ += self.score_ax_.plot(shown["n_rows"], shown["score"], **line)
        set_log(self.ax_, log, [shown["loss"] for shown in curves.values()])
        self.ax_.set_ylabel("loss before learning")
        if self.score_ax_ is not None:
            self.score_ax_.set_ylabel("score before learning")
        axes[-1].set_xlabel("rows")
        for axis in axes:
            tidy(axis)
        add_legend(self.ax_)
        return self


def _curves(estimator: Any) -> dict[str, Array]:
    """``progressive_scores_`` of an estimator, or a sentence where there is nothing to show."""
    check_fitted(estimator)
    estimator = trained(estimator)
    check_kind("estimator", estimator, "history_", "one of skvariants, trained by partial_fit")
    curves = getattr(estimator, "progressive_scores_", None)
    if curves is None or not len(curves["n_rows"]):
        raise ValueError(
            f"{type(estimator).__name__} has no progressive_scores_ to show: a stream is scored from its second chunk "
            "on, so call partial_fit twice at least."
        )
    return dict(curves)
