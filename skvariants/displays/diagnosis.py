"""The report of ``diagnose``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from skvariants.displays._style import BLUE, VERMILLION, place_axes, tidy


class DiagnosisDisplay:
    """The report of ``diagnose``: how unequal a problem is, and how the shortlisted solvers did.

    It is made by :meth:`from_diagnosis`. The upper panel shows, on a log scale, the spreads that make a problem hard:
    of the columns' scales, of the curvature without and with scaling, and of how often features are seen; and the steps
    that gradient descent needs. Where the report holds a race, the lower panel shows which share of the winner's
    progress each solver made.

    Parameters
    ----------
    spreads : dict of str to float
        What is drawn in the upper panel.
    solver : str
        The advised solver.
    reason : str
        Why.
    progress : dict of str to float, optional
        For each solver that was raced, its progress from the constant model over that of the winner.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the spreads.
    race_ax_ : matplotlib Axes or None
        Axes of the race.
    figure_ : matplotlib Figure
        The figure.
    bars_ : matplotlib BarContainer
        A bar for each spread.
    race_bars_ : matplotlib BarContainer or None
        A bar for each solver.

    See Also
    --------
    skvariants.diagnostics.diagnose : Makes the report.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skvariants.diagnostics import diagnose
    >>> from skvariants.displays import DiagnosisDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> report = diagnose(X, y, random_state=0)
    >>> DiagnosisDisplay.from_diagnosis(report).solver == report.solver
    True
    """

    def __init__(
        self, *, spreads: Mapping[str, float], solver: str, reason: str = "",
        progress: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        self.spreads = spreads
        self.solver = solver
        self.reason = reason
        self.progress = progress

    @classmethod
    def from_diagnosis(cls, diagnosis: Any, **kwargs: Any) -> DiagnosisDisplay:
        """The picture of a report.

        Parameters
        ----------
        diagnosis : skvariants.diagnostics.Diagnosis
            What ``diagnose(X, y)`` returned. Read are ``facts.scale_ratio``, ``facts.raw_condition_number``,
            ``facts.condition_number``, ``facts.ravine``, ``facts.frequency_ratio``, ``recommendation.solver_name``,
            ``recommendation.reason``, and of ``race`` (which may be None) ``solvers``, ``objectives`` and ``constant``.
        **kwargs
            Of :meth:`plot`.

        Returns
        -------
        DiagnosisDisplay
        """
        facts, race = diagnosis.facts, diagnosis.race
        spreads = {
            "scales: largest / smallest": facts.scale_ratio,
            "curvature, raw columns": facts.raw_condition_number,
            "curvature, as the fit works": facts.condition_number,
            "ravine: steps of gradient descent": facts.ravine,
            "features: most / least often seen": facts.frequency_ratio,
        }
        progress = None
        if race is not None:
            gains = race.constant - np.asarray(race.objectives, float)
            most = gains.max()
            progress = {n: float(g / most) if most > 0 else 1.0 for n, g in zip(race.solvers, gains, strict=True)}
        advice = diagnosis.recommendation
        display = cls(spreads=spreads, solver=advice.solver_name, reason=advice.reason, progress=progress)
        return display.plot(**kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> DiagnosisDisplay:
        """Draw the report.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None. Where there is a race, two axes take its place.
        **kwargs
            Of the bars.

        Returns
        -------
        DiagnosisDisplay
            The display itself.
        """
        progress = self.progress or {}
        raced = bool(progress)
        heights = (len(self.spreads), len(progress))
        size = (7.2, 1.3 + 0.36 * sum(heights) + 0.9 * raced)
        self.figure_, axes = place_axes(ax, 1 + raced, size, heights, share=False)
        self.ax_, self.race_ax_ = axes[0], axes[1] if raced else None
        bar = {"color": BLUE, "height": 0.6, **kwargs}
        self._plot_spreads(bar)
        self.race_bars_ = self._plot_race(progress, bar) if raced else None
        for panel in axes:
            tidy(panel)
            panel.grid(False, axis="y")
            panel.invert_yaxis()
            panel.tick_params(axis="y", length=0)
        return self

    def _plot_spreads(self, bar: Mapping[str, Any]) -> None:
        """Draw the spreads, and write the advice above them."""
        values = [max(float(v), 1.0) for v in self.spreads.values()]
        self.bars_ = self.ax_.barh(list(self.spreads), values, **bar)
        self.ax_.bar_label(self.bars_, [_short(v) for v in self.spreads.values()], padding=3, fontsize="small")
        self.ax_.set(xscale="log", xlim=(1, 30 * max(values)), xlabel="how unequal (1: not at all)")
        title = f"advice: {self.solver}"
        if self.reason:
            title += "\n" + textwrap.fill(self.reason, 72)
        self.ax_.set_title(title, loc="left", fontsize="small")

    def _plot_race(self, progress: Mapping[str, float], bar: Mapping[str, Any]) -> Any:
        """Draw how far each solver came, and return the bars."""
        values = [100 * v for v in progress.values()]
        colors = [VERMILLION if name == self.solver else "0.6" for name in progress]
        bars = self.race_ax_.barh(list(progress), values, **{**bar, "color": colors})
        self.race_ax_.bar_label(bars, [f"{v:.4g} %" for v in values], padding=3, fontsize="small")
        self.race_ax_.set(
            xlim=(min(0.0, *values), 115), xlabel="share of the winner's progress in the race (coloured: advised)"
        )
        return bars


def _short(value: float) -> str:
    return f"{value:.3g}" if 0.01 <= value < 1e4 else f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
