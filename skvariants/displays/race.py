"""The race of learning rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from skvariants._component import OneOf, check
from skvariants.displays._style import (
    BLACK,
    BLUE,
    VERMILLION,
    Array,
    add_legend,
    check_choice,
    check_fitted,
    check_kind,
    names_keywords,
    parts,
    place_axes,
    set_log,
    solver_label,
    tidy,
    trained,
)

#: scores above this multiple of the best are off the scale
FAR = 1e3


class RaceDisplay:
    """The race of learning rates: what each step size scored, and which one went on.

    It is made by :meth:`from_estimator`. A rung that diverged, or whose score is far off the scale, is a cross at the
    upper edge.

    Parameters
    ----------
    eta0 : array-like of shape (n_rungs,)
        The step sizes.
    scores : array-like of shape (n_rungs,)
        Objective after the race; inf where the rung diverged.
    winner : float
        The step size that went on.
    steps : int
        How many steps each rung took.
    name : str, default=None
        For the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D
        The scores.
    winner_ : matplotlib Line2D
        Marker of the winner.
    diverged_ : matplotlib Line2D or None
        Crosses of the rungs that diverged or are off the scale.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skvariants import SGDVariantRegressor
    >>> from skvariants.displays import RaceDisplay
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> model = SGDVariantRegressor(solver="momentum", random_state=0).fit(X, y)
    >>> display = RaceDisplay.from_estimator(model)
    >>> display.winner == model.race_.winner
    True
    """

    def __init__(self, *, eta0: Any, scores: Any, winner: float, steps: int, name: str | None = None) -> None:
        self.eta0 = eta0
        self.scores = scores
        self.winner = winner
        self.steps = steps
        self.name = name

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, **kwargs: Any) -> RaceDisplay:
        """The race that a fitted estimator ran.

        Parameters
        ----------
        estimator : estimator instance
            A fitted estimator with ``race_``.
        name : str, default=None
            For the title; the estimator's solver if None.
        **kwargs
            Of :meth:`plot`.

        Returns
        -------
        RaceDisplay
        """
        check("name", name, OneOf(None, str))
        check_fitted(estimator)
        several = parts(estimator)
        if len(several) > 1:
            raise ValueError(
                f"{type(trained(estimator)).__name__} has {len(several)} fits, each with a race of its own: give one "
                "of them."
            )
        estimator = trained(*several.values())
        check_kind("estimator", estimator, "history_", "a fitted estimator with race_, as those of skvariants are")
        race = getattr(estimator, "race_", None)
        if race is None:
            raise ValueError(
                "race_ is None: this fit ran no race of learning rates. Fit it with eta0='auto' and a solver that "
                "takes steps of a given size, such as solver='momentum'."
            )
        name = solver_label(estimator) if name is None else name
        display = cls(eta0=race.eta0, scores=race.scores, winner=race.winner, steps=race.steps, name=name)
        return display.plot(**kwargs)

    @names_keywords
    def plot(self, ax: Any = None, *, log: Any = "auto", **kwargs: Any) -> RaceDisplay:
        """Draw the race.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        log : bool or "auto", default="auto"
            Whether scores are on a log scale; "auto" says yes where they span a factor of ten.
        **kwargs
            Of the :class:`matplotlib.lines.Line2D` of the scores.

        Returns
        -------
        RaceDisplay
            The display itself.
        """
        check_choice("log", log, ("auto", True, False))
        eta0, scores = np.asarray(self.eta0, float), np.asarray(self.scores, float)
        self.figure_, (self.ax_,) = place_axes(ax, 1, (6.4, 4.0))
        ax = self.ax_
        # what is far off the scale would leave nothing to see of the rest
        with np.errstate(invalid="ignore"):
            sound = np.isfinite(scores) & ~(scores > FAR * np.min(scores))
        line = {"color": BLUE, "marker": "o", "markersize": 5, "linewidth": 1.4, "label": "objective", **kwargs}
        (self.line_,) = ax.plot(eta0[sound], scores[sound], **line)
        ax.set_xscale("log")
        set_log(ax, log, [scores[sound]])
        self.winner_, self.diverged_ = None, None
        if np.isfinite(self.winner):
            self._plot_winner(eta0, scores)
        if not sound.all():
            self._plot_diverged(eta0[~sound], scores[~sound])
        title = f"{len(eta0)} step sizes, {self.steps} step{'s' * (self.steps != 1)} each"
        ax.set(xlabel="first step size (eta0)", ylabel="objective after the race")
        ax.set_title(title if not self.name else f"{self.name}: {title}", fontsize="medium", loc="left")
        tidy(ax)
        add_legend(ax)
        return self

    def _plot_winner(self, eta0: Array, scores: Array) -> None:
        """Ring the rung that went on."""
        at = int(np.argmin(np.abs(np.log(eta0 / self.winner))))
        self.ax_.axvline(self.winner, color=VERMILLION, linewidth=1, linestyle="--", zorder=1)
        (self.winner_,) = self.ax_.plot(
            eta0[at], scores[at], linestyle="none", marker="o", markersize=11, markerfacecolor="none",
            markeredgewidth=2, color=VERMILLION, label=f"goes on: {self.winner:.2g}",
        )  # fmt: skip

    def _plot_diverged(self, eta0: Array, scores: Array) -> None:
        """Cross out the rungs without a score on the scale, at the upper edge."""
        (self.diverged_,) = self.ax_.plot(
            eta0, np.full(len(eta0), 0.97), linestyle="none", marker="X", markersize=8, color=BLACK,
            transform=self.ax_.get_xaxis_transform(), clip_on=False,
            label="diverged, or far off the scale" if np.isfinite(scores).any() else "diverged",
        )  # fmt: skip
