"""The report of ``diagnose``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from skvariants.displays._style import BLUE, VERMILLION, check_kind, names_keywords, place_axes, tidy


class DiagnosisDisplay:
    """The report of ``diagnose``: how unequal a problem is, and how "auto" and the shortlisted solvers did.

    It is made by :meth:`from_diagnosis`. The upper panel shows, on a log scale, the spreads that make a problem hard:
    of the columns' scales, of the curvature without and with scaling, and of how often features are seen; and the steps
    that gradient descent needs. Where the report holds a race, the lower panel shows the seconds of each solver, and
    which share of the way from the constant model to the winner's it left.

    Parameters
    ----------
    spreads : dict of str to float
        What is drawn in the upper panel.
    solver : str
        What to pass as solver.
    reason : str
        What that is here and why.
    seconds, left : dict of str to float, optional
        For each solver that was raced, the seconds of its fit, and the share of the way that it left.

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
        seconds: Mapping[str, float] | None = None, left: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        self.spreads = spreads
        self.solver = solver
        self.reason = reason
        self.seconds = seconds
        self.left = left

    @classmethod
    def from_diagnosis(cls, diagnosis: Any, **kwargs: Any) -> DiagnosisDisplay:
        """The picture of a report.

        Parameters
        ----------
        diagnosis : skvariants.diagnostics.Diagnosis
            What ``diagnose(X, y)`` returned. Read are ``facts.scale_ratio``, ``facts.raw_condition_number``,
            ``facts.condition_number``, ``facts.ravine``, ``facts.frequency_ratio``, ``solver``, ``auto.solver_name``,
            ``auto.reason``, ``recommendation.solver_name``, and of ``race`` (which may be None) ``solvers``,
            ``seconds`` and ``left``.
        **kwargs
            Of :meth:`plot`.

        Returns
        -------
        DiagnosisDisplay
        """
        check_kind("diagnosis", diagnosis, "facts", "what diagnose(X, y) returns")
        facts, race = diagnosis.facts, diagnosis.race
        spreads = {
            "scales: largest / smallest": facts.scale_ratio,
            "curvature, raw columns": facts.raw_condition_number,
            "curvature, as the fit works": facts.condition_number,
            "ravine: steps of gradient descent": facts.ravine,
            "features: most / least often seen": facts.frequency_ratio,
        }
        seconds = left = None
        if race is not None:
            seconds, left = (
                dict(zip(race.solvers, map(float, values), strict=True)) for values in (race.seconds, race.left)
            )
        auto, named = diagnosis.auto, diagnosis.recommendation.solver_name
        reason = f"auto is {auto.solver_name} here. {auto.reason} Of the named solvers: {named}."
        return cls(spreads=spreads, solver=diagnosis.solver, reason=reason, seconds=seconds, left=left).plot(**kwargs)

    @names_keywords
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
        seconds = self.seconds or {}
        raced = bool(seconds)
        heights = (len(self.spreads), len(seconds))
        size = (7.2, 1.3 + 0.36 * sum(heights) + 0.9 * raced)
        self.figure_, axes = place_axes(ax, 1 + raced, size, heights, share=False)
        self.ax_, self.race_ax_ = axes[0], axes[1] if raced else None
        bar = {"color": BLUE, "height": 0.6, **kwargs}
        self._plot_spreads(bar)
        self.race_bars_ = self._plot_race(seconds, bar) if raced else None
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

    def _plot_race(self, seconds: Mapping[str, float], bar: Mapping[str, Any]) -> Any:
        """Draw what each solver took and write what it left, and return the bars."""
        left = self.left or {}
        colors = [VERMILLION if name == self.solver else "0.6" for name in seconds]
        bars = self.race_ax_.barh(list(seconds), list(seconds.values()), **{**bar, "color": colors})
        labels = [f"{t:.2g} s{_left(left.get(name))}" for name, t in seconds.items()]
        self.race_ax_.bar_label(bars, labels, padding=3, fontsize="small")
        self.race_ax_.set(xlim=(0, 1.6 * max(seconds.values())), xlabel="seconds of the race (coloured: advised)")
        return bars


def _left(share: float | None) -> str:
    if share is None:
        return ""
    return ", the best" if share <= 0 else f", {100 * share:.2g} % left"


def _short(value: float) -> str:
    return f"{value:.3g}" if 0.01 <= value < 1e4 else f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
