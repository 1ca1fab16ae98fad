"""Displays: what a fit did, as pictures, in scikit-learn's convention.

A display is made by a class method (``from_estimator``, ``from_estimators``, ``from_objective``), keeps the numbers
that it shows as attributes, draws itself by its method ``plot`` and then holds the artists as attributes whose names
end in an underscore. matplotlib is imported when something is drawn, not before. The module reads public fitted
attributes (``history_``, ``race_``, ``best_epoch_``, ``status_``) and imports nothing of the models. The displays of a
search stand in a module of their own.

Colours are those of Okabe and Ito (2008), which people with a colour vision deficiency can tell apart; a solver has the
same colour and line style in every picture.
"""

from __future__ import annotations

import textwrap
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skvariants._search_displays import SearchCurveDisplay, SearchHeatmapDisplay

__all__ = [
    "DiagnosisDisplay",
    "LossCurveDisplay",
    "RaceDisplay",
    "SearchCurveDisplay",
    "SearchHeatmapDisplay",
    "SolverComparisonDisplay",
    "TrajectoryDisplay",
]

Array = np.ndarray

_BLACK, _ORANGE, _SKY, _GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
_BLUE, _VERMILLION, _PURPLE, _GREY = "#0072B2", "#D55E00", "#CC79A7", "#808080"
# one solver, one look, in every picture
_LOOKS = {
    "auto": (_BLACK, "-"),
    "gd": (_GREY, "-"),
    "sgd": (_GREY, ":"),
    "minibatch": (_BLACK, ":"),
    "momentum": (_BLUE, "-"),
    "nesterov": (_SKY, "--"),
    "adagrad": (_GREEN, "-"),
    "adadelta": (_PURPLE, "-."),
    "rmsprop": (_ORANGE, "--"),
    "adam": (_VERMILLION, "-"),
}
_CYCLE = [
    (_BLUE, "-"), (_VERMILLION, "--"), (_GREEN, "-."), (_ORANGE, "-"), (_PURPLE, "--"),
    (_BLACK, "-."), (_SKY, "-"), (_GREY, "--"),
]  # fmt: skip
_COMPARED = ("auto", "gd", "minibatch", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam")


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "The displays of skvariants need matplotlib, which is not installed: run `pip install matplotlib`."
        ) from error
    return plt


def _looks(names: Sequence[str]) -> list[tuple[str, str]]:
    """Colour and line style of each name: a solver's own, or the next of the cycle that is not taken."""
    own = [_LOOKS.get(name.lower()) for name in names]
    if own.count(None) > len(names) // 2:
        own = [None] * len(names)
    taken = {look[0] for look in own if look is not None}
    free = [look for look in _CYCLE if look[0] not in taken] or _CYCLE
    others = iter(free * len(names))
    return [next(others) if look is None else look for look in own]


def _axes(
    ax: Any, panels: int, figsize: tuple[float, float], heights: Sequence[float] = (2, 1), share: bool = True
) -> tuple[Any, list[Any]]:
    """`panels` axes under each other: new ones, or in the place of `ax`."""
    plt = _pyplot()
    heights = list(heights)[:panels]
    if ax is None:
        figure, axes = plt.subplots(
            panels, 1, figsize=figsize, layout="constrained", sharex=share, squeeze=False,
            gridspec_kw={"height_ratios": heights},
        )  # fmt: skip
        return figure, list(axes[:, 0])
    if panels == 1:
        return ax.figure, [ax]
    where = ax.get_subplotspec()
    if where is None:
        raise ValueError(
            "ax has no place in a grid, so it cannot be split into two panels: make it by plt.subplots"
            + (", or pass validation=False." if share else ".")
        )
    ax.set_axis_off()
    grid = where.subgridspec(panels, 1, height_ratios=heights)
    first = ax.figure.add_subplot(grid[0])
    return ax.figure, [
        first,
        *(ax.figure.add_subplot(grid[i], sharex=first if share else None) for i in range(1, panels)),
    ]


def _tidy(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, which="major", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


def _legend(ax: Any, handles: Any = None, **kwargs: Any) -> Any:
    """A legend without a frame."""
    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    kwargs = {"frameon": False, "fontsize": "small", **kwargs}
    return ax.legend(handles=handles, **kwargs)


def _log_helps(values: Iterable[Any], ratio: float) -> bool:
    flat = np.concatenate([np.ravel(np.asarray(v, dtype=float)) for v in values] or [np.ones(1)])
    flat = flat[np.isfinite(flat)]
    return bool(flat.size and (flat > 0).all() and flat.max() >= ratio * flat.min())


def _check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not accepted: {name} must be one of {', '.join(map(repr, choices))}.")


def _label(estimator: Any) -> str:
    solver = getattr(estimator, "solver", None)
    if isinstance(solver, str):
        return solver
    return type(estimator).__name__ if solver is None else repr(solver)


def _named(estimators: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """Estimators by the name under which they are shown."""
    if isinstance(estimators, Mapping):
        if names is not None:
            raise ValueError("names must be None when estimators is a mapping: its keys are the names.")
        return dict(estimators)
    estimators = list(estimators)
    if names is None:
        labels = [_label(e) for e in estimators]
        twice = {name for name in labels if labels.count(name) > 1}
        names = [f"{name} ({i + 1})" if name in twice else name for i, name in enumerate(labels)]
    if len(names) != len(estimators) or len(set(names)) != len(names):
        raise ValueError(f"names={names!r} must hold one name for each of the {len(estimators)} estimators.")
    return dict(zip(names, estimators, strict=True))


def _history(estimator: Any) -> dict[str, Array]:
    check_is_fitted(estimator)
    history = {key: np.asarray(value, dtype=float) for key, value in estimator.history_.items()}
    if not len(history["epoch"]):
        raise ValueError(f"{type(estimator).__name__} has no epoch in its history_: fit it for one epoch at least.")
    return history


#: scores above this multiple of the best are off the scale of a race
_FAR = 1e3


class LossCurveDisplay:
    """Objective against epochs or seconds, of one or several fitted estimators.

    It is made by :meth:`from_estimator` or :meth:`from_estimators`. Where an estimator has validation scores (from
    ``early_stopping=True``) they are drawn in a panel below, and the epoch whose model was returned is marked in both.

    Parameters
    ----------
    histories : dict of str to dict
        For each name the arrays "epoch", "objective", "seconds" and "validation_score" (nan where there is none), as in
        the attribute ``history_`` of a fitted estimator.
    best_epochs : dict of str to int, optional
        The epoch that was returned, for those that kept the best one.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the objective.
    validation_ax_ : matplotlib Axes or None
        Axes of the validation scores.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        A curve for each name.
    validation_lines_ : list of matplotlib Line2D
        A curve for each name that has validation scores.
    best_ : list of matplotlib Line2D
        Markers of the best epoch.

    See Also
    --------
    SolverComparisonDisplay : Fits several solvers, and shows how far each is above the best.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skvariants import SGDVariantClassifier
    >>> from skvariants.displays import LossCurveDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SGDVariantClassifier(solver="adam", early_stopping=True, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> display.ax_.get_ylabel()
    'objective'
    """

    def __init__(
        self, *, histories: Mapping[str, Mapping[str, Any]], best_epochs: Mapping[str, int] | None = None
    ) -> None:
        self.histories = histories
        self.best_epochs = best_epochs

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, **kwargs: Any) -> LossCurveDisplay:
        """The curve of one fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            A fitted estimator with ``history_``.
        name : str, default=None
            What it is called in the legend; its solver if None.
        **kwargs
            Of :meth:`plot`.

        Returns
        -------
        LossCurveDisplay
        """
        return cls.from_estimators([estimator], names=None if name is None else [name], **kwargs)

    @classmethod
    def from_estimators(cls, estimators: Any, *, names: Sequence[str] | None = None, **kwargs: Any) -> LossCurveDisplay:
        """The curves of several fitted estimators.

        Parameters
        ----------
        estimators : list of estimators, or dict of name to estimator
            Fitted estimators with ``history_``.
        names : list of str, default=None
            What each is called in the legend; the solvers if None.
        **kwargs
            Of :meth:`plot`.

        Returns
        -------
        LossCurveDisplay
        """
        named = _named(estimators, names)
        best = {name: e.best_epoch_ for name, e in named.items() if getattr(e, "best_epoch_", None) is not None}
        display = cls(histories={name: _history(e) for name, e in named.items()}, best_epochs=best)
        return display.plot(**kwargs)

    def plot(
        self, ax: Any = None, *, x: str = "epochs", log: Any = "auto", validation: bool = True, **kwargs: Any
    ) -> LossCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None. Where there are validation scores, two axes take its place.
        x : {"epochs", "seconds"}, default="epochs"
            What the curves are drawn against.
        log : bool or "auto", default="auto"
            Whether the objective is on a log scale; "auto" says yes where it falls to a tenth or further.
        validation : bool, default=True
            Whether validation scores are shown, where there are any.
        **kwargs
            Of every :class:`matplotlib.lines.Line2D`.

        Returns
        -------
        LossCurveDisplay
            The display itself.
        """
        _check_choice("x", x, ("epochs", "seconds"))
        _check_choice("log", log, ("auto", True, False))
        names = list(self.histories)
        histories = {n: {k: np.asarray(v, float) for k, v in h.items()} for n, h in self.histories.items()}
        scored = [n for n in names if np.isfinite(histories[n].get("validation_score", np.nan)).any()]
        validation = validation and bool(scored)
        self.figure_, axes = _axes(ax, 1 + validation, (6.4, 5.2 if validation else 4.0))
        self.ax_, self.validation_ax_ = axes[0], axes[1] if validation else None
        self.lines_, self.validation_lines_, self.best_ = [], [], []
        key = "epoch" if x == "epochs" else "seconds"
        best_epochs = self.best_epochs or {}
        for name, (color, style) in zip(names, _looks(names), strict=True):
            h = histories[name]
            look = {"color": color, "linestyle": style, "linewidth": 1.8, **kwargs}
            # a curve of one point would be invisible as a line
            look.setdefault("marker", "o" if len(h[key]) == 1 else None)
            self.lines_ += self.ax_.plot(h[key], h["objective"], label=name, **look)
            if validation and name in scored:
                self.validation_lines_ += self.validation_ax_.plot(h[key], h["validation_score"], label=name, **look)
            if name in best_epochs:
                at = int(np.flatnonzero(h["epoch"] == best_epochs[name])[0])
                dot = {"marker": "o", "linestyle": "none", "color": look["color"], "markersize": 8}
                dot |= {"markerfacecolor": "white", "markeredgewidth": 1.8, "zorder": 5, "clip_on": False}
                label = f"best epoch ({best_epochs[name]})" if len(names) == 1 else None
                self.best_ += self.ax_.plot(h[key][at], h["objective"][at], label=label, **dot)
                if validation and name in scored:
                    self.best_ += self.validation_ax_.plot(h[key][at], h["validation_score"][at], **dot)
        self.ax_.set_ylabel("objective")
        if log is True or (log == "auto" and _log_helps([h["objective"] for h in histories.values()], 10)):
            self.ax_.set_yscale("log")
        last = axes[-1]
        last.set_xlabel("epoch" if x == "epochs" else "seconds")
        if x == "epochs":
            last.xaxis.get_major_locator().set_params(integer=True)
        if validation:
            self.validation_ax_.set_ylabel("validation score")
            self.ax_.tick_params(labelbottom=False)
        for each in axes:
            _tidy(each)
        if len(names) > 1 or best_epochs:
            handles = self.ax_.get_legend_handles_labels()[0]
            if len(names) > 1 and best_epochs:
                ring = {"marker": "o", "linestyle": "none", "color": "0.3", "markerfacecolor": "white"}
                handles = [*handles, *self.ax_.plot([], [], label="best epoch", **ring)]
            _legend(self.ax_, handles)
        return self


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
        check_is_fitted(estimator)
        race = getattr(estimator, "race_", None)
        if race is None:
            raise ValueError(
                "race_ is None: this fit ran no race of learning rates. Fit it with eta0='auto' and a solver that "
                "takes steps of a given size, such as solver='momentum'."
            )
        name = _label(estimator) if name is None else name
        display = cls(eta0=race.eta0, scores=race.scores, winner=race.winner, steps=race.steps, name=name)
        return display.plot(**kwargs)

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
        _check_choice("log", log, ("auto", True, False))
        eta0, scores = np.asarray(self.eta0, float), np.asarray(self.scores, float)
        self.figure_, (self.ax_,) = _axes(ax, 1, (6.4, 4.0))
        ax = self.ax_
        # what is far off the scale would leave nothing to see of the rest
        with np.errstate(invalid="ignore"):
            sound = np.isfinite(scores) & ~(scores > _FAR * np.min(scores))
        look = {"color": _BLUE, "marker": "o", "markersize": 5, "linewidth": 1.4, "label": "objective", **kwargs}
        (self.line_,) = ax.plot(eta0[sound], scores[sound], **look)
        ax.set_xscale("log")
        if log is True or (log == "auto" and _log_helps([scores[sound]], 10)):
            ax.set_yscale("log")
        self.winner_, self.diverged_ = None, None
        if np.isfinite(self.winner):
            at = int(np.argmin(np.abs(np.log(eta0 / self.winner))))
            ax.axvline(self.winner, color=_VERMILLION, linewidth=1, linestyle="--", zorder=1)
            (self.winner_,) = ax.plot(
                eta0[at], scores[at], linestyle="none", marker="o", markersize=11, markerfacecolor="none",
                markeredgewidth=2, color=_VERMILLION, label=f"goes on: {self.winner:.2g}",
            )  # fmt: skip
        if not sound.all():
            label = "diverged, or far off the scale" if np.isfinite(scores[~sound]).any() else "diverged"
            (self.diverged_,) = ax.plot(
                eta0[~sound], np.full((~sound).sum(), 0.97), linestyle="none", marker="X", markersize=8,
                color=_BLACK, transform=ax.get_xaxis_transform(), label=label, clip_on=False,
            )  # fmt: skip
        title = f"{len(eta0)} step sizes, {self.steps} step{'s' * (self.steps != 1)} each"
        ax.set(xlabel="first step size (eta0)", ylabel="objective after the race")
        ax.set_title(title if not self.name else f"{self.name}: {title}", fontsize="medium", loc="left")
        _tidy(ax)
        _legend(ax)
        return self


class SolverComparisonDisplay:
    """Several solvers on one problem: how far each is above the best objective seen.

    It is made by :meth:`from_estimator`, which fits the solvers. The legend gives the epochs and seconds that each
    took, and says which did not converge.

    Parameters
    ----------
    histories : dict of str to dict
        For each solver the arrays "epoch", "objective" and "seconds".
    statuses : dict of str to str
        Why each fit stopped.
    seconds : dict of str to float
        Time of each fit, from call to return.
    scores : dict of str to float, optional
        Score of each on data held out.
    estimators : dict of str to estimator, optional
        The fitted estimators.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        A curve for each solver.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skvariants import SGDVariantRegressor
    >>> from skvariants.displays import SolverComparisonDisplay
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> display = SolverComparisonDisplay.from_estimator(
    ...     SGDVariantRegressor(random_state=0), X, y, solvers=["minibatch", "momentum", "adam"])
    >>> list(display.estimators)
    ['minibatch', 'momentum', 'adam']
    """

    def __init__(
        self, *, histories: Mapping[str, Mapping[str, Any]], statuses: Mapping[str, str],
        seconds: Mapping[str, float], scores: Mapping[str, float] | None = None,
        estimators: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.histories = histories
        self.statuses = statuses
        self.seconds = seconds
        self.scores = scores
        self.estimators = estimators

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, solvers: Any = _COMPARED, X_test: Any = None, y_test: Any = None,
        fit_params: Mapping[str, Any] | None = None, **kwargs: Any,
    ) -> SolverComparisonDisplay:  # fmt: skip
        """Fit a clone of an estimator with each solver, and compare.

        A :class:`~sklearn.exceptions.ConvergenceWarning` is not shown: the legend says which solvers did not
        converge.

        Parameters
        ----------
        estimator : estimator instance
            An estimator with the parameter ``solver``; it is cloned, not fitted.
        X, y : array-like
            Training data.
        solvers : list of str or solver instances, or dict of name to these
            What to compare; by default "auto" and all but "sgd", whose steps on single samples take long.
        X_test, y_test : array-like, default=None
            Data on which to score each; the score goes into the legend.
        fit_params : dict, default=None
            Passed to ``fit``.
        **kwargs
            Of :meth:`plot`.

        Returns
        -------
        SolverComparisonDisplay
        """
        if not isinstance(solvers, Mapping):
            solvers = {s if isinstance(s, str) else repr(s): s for s in solvers}
        fitted, seconds = {}, {}
        for name, solver in solvers.items():
            model = clone(estimator).set_params(solver=solver)
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                fitted[name] = model.fit(X, y, **(fit_params or {}))
            seconds[name] = time.perf_counter() - start
        scores = None
        if X_test is not None:
            scores = {name: float(model.score(X_test, y_test)) for name, model in fitted.items()}
        display = cls(
            histories={name: _history(model) for name, model in fitted.items()},
            statuses={name: model.status_ for name, model in fitted.items()},
            seconds=seconds, scores=scores, estimators=fitted,
        )  # fmt: skip
        return display.plot(**kwargs)

    def plot(self, ax: Any = None, *, x: str = "epochs", **kwargs: Any) -> SolverComparisonDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        x : {"epochs", "seconds"}, default="epochs"
            What the curves are drawn against, on a log scale.
        **kwargs
            Of every :class:`matplotlib.lines.Line2D`.

        Returns
        -------
        SolverComparisonDisplay
            The display itself.
        """
        _check_choice("x", x, ("epochs", "seconds"))
        names = list(self.histories)
        objectives = {n: np.asarray(self.histories[n]["objective"], float) for n in names}
        finite = np.concatenate([o[np.isfinite(o)] for o in objectives.values()])
        best = finite.min()
        # a hair above the best, so that the log of the winner's last epoch exists
        floor = 1e-4 * max(abs(best), np.finfo(float).tiny)
        self.figure_, (self.ax_,) = _axes(ax, 1, (8.0, 4.4))
        self.lines_ = []
        key = "epoch" if x == "epochs" else "seconds"
        for name, (color, style) in zip(names, _looks(names), strict=True):
            count = len(objectives[name])
            label = f"{name}: {count} epoch{'s' * (count != 1)}, {_seconds(self.seconds[name])}"
            if self.scores is not None:
                label += f", score {self.scores[name]:.3f}"
            if self.statuses[name] in ("max_iter", "diverged", "interrupted"):
                label += f" ({self.statuses[name]})"
            look = {"color": color, "linestyle": style, "linewidth": 1.8, "label": label, **kwargs}
            look.setdefault("marker", "o" if count == 1 else None)
            excess = objectives[name] - best + floor
            self.lines_ += self.ax_.plot(np.asarray(self.histories[name][key], float), excess, **look)
        self.ax_.set(
            xscale="log", yscale="log", xlabel="epoch" if x == "epochs" else "seconds",
            ylabel="objective above the best seen",
        )  # fmt: skip
        if x == "epochs":
            self.ax_.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        _tidy(self.ax_)
        _legend(self.ax_, loc="center left", bbox_to_anchor=(1.0, 0.5))
        return self


def _seconds(value: float) -> str:
    return f"{1e3 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


class TrajectoryDisplay:
    r"""The paths of several solvers over the contours of an objective of two parameters.

    It is made by :meth:`from_objective`, which takes the solvers' own steps, or directly from paths that were recorded
    otherwise.

    Parameters
    ----------
    objective : callable
        ``objective(a, b)`` of two arrays of one shape.
    paths : dict of str to ndarray of shape (n_steps + 1, 2)
        The points that each solver visited, the start included.
    minimum : array-like of shape (2,), default=None
        Where the optimum is, if it is to be marked.

    Attributes
    ----------
    zigzag : dict of str to float
        For each path its length over the distance from its start to its end: 1 is a straight line.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    contours_ : matplotlib QuadContourSet
        The contours.
    lines_ : list of matplotlib Line2D
        A path for each solver.

    Examples
    --------
    >>> from skvariants.displays import TrajectoryDisplay
    >>> from skvariants.solvers import GD, Momentum
    >>> display = TrajectoryDisplay.from_objective(
    ...     lambda a, b: a**2 / 20 + b**2, lambda w: (w[0] / 10, 2 * w[1]),
    ...     {"gd": GD(), "momentum": Momentum(0.6)}, start=(-9.0, 1.5), eta=0.9, n_steps=25)
    >>> display.zigzag["momentum"] < display.zigzag["gd"]
    True
    """

    def __init__(
        self, *, objective: Callable[[Array, Array], Array], paths: Mapping[str, Any], minimum: Any = None
    ) -> None:
        self.objective = objective
        self.paths = {name: np.asarray(path, float) for name, path in paths.items()}
        self.minimum = minimum

    @classmethod
    def from_objective(
        cls, objective: Callable[[Array, Array], Array], gradient: Callable[[Array], Any], solvers: Any, *,
        start: Any, eta: Any, n_steps: int = 50, minimum: Any = (0.0, 0.0), **kwargs: Any,
    ) -> TrajectoryDisplay:  # fmt: skip
        r"""Let solvers walk down a surface, by :math:`w \leftarrow w - \eta\, s\, d`.

        Parameters
        ----------
        objective : callable
            ``objective(a, b)`` of two arrays of one shape.
        gradient : callable
            ``gradient(w)`` of a point, an ndarray of shape (2,); returns two numbers.
        solvers : list of solver instances, or dict of name to solver instance
            Whose steps to take: objects with the attribute ``memory`` and the method ``step`` of
            :class:`skvariants.solvers.Solver`.
        start : array-like of shape (2,)
            Where all start.
        eta : float or dict of name to float
            The step size.
        n_steps : int, default=50
            How many steps each takes.
        minimum : array-like of shape (2,) or None, default=(0, 0)
            Where the optimum is, if it is to be marked.
        **kwargs
            Of :meth:`plot`.

        Returns
        -------
        TrajectoryDisplay
        """
        if not isinstance(solvers, Mapping):
            solvers = {type(solver).__name__.lower(): solver for solver in solvers}
        paths = {}
        for name, solver in solvers.items():
            step_size = eta[name] if isinstance(eta, Mapping) else eta
            paths[name] = cls.walk(gradient, solver, start=start, eta=step_size, n_steps=n_steps)
        return cls(objective=objective, paths=paths, minimum=minimum).plot(**kwargs)

    @staticmethod
    def walk(gradient: Callable[[Array], Any], solver: Any, *, start: Any, eta: float, n_steps: int = 50) -> Array:
        """The path of one solver, without drawing it.

        Parameters
        ----------
        gradient : callable
            ``gradient(w)`` of a point, an ndarray of shape (2,); returns two numbers.
        solver : solver instance
            Whose steps to take.
        start : array-like of shape (2,)
            Where it starts.
        eta : float
            The step size.
        n_steps : int, default=50
            How many steps it takes.

        Returns
        -------
        ndarray of shape (n_steps + 1, 2)
            The points, the start included.
        """
        w = np.array(start, dtype=float).reshape(2, 1)
        memory = [np.zeros_like(w) for _ in solver.memory]
        work, path = np.empty_like(w), [w[:, 0].copy()]
        for t in range(1, n_steps + 1):
            g = np.array(gradient(w[:, 0].copy()), dtype=float).reshape(2, 1)
            direction, scale = solver.step(g, t, work, *memory)
            w = w - eta * (1.0 if scale is None else scale) * direction
            path.append(w[:, 0].copy())
        return np.array(path)

    @property
    def zigzag(self) -> dict[str, float]:
        """Length of each path over the distance from its start to its end."""
        out = {}
        for name, path in self.paths.items():
            length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
            distance = np.linalg.norm(path[-1] - path[0])
            out[name] = float(length / distance) if distance > 0 else float("inf")
        return out

    def _value(self, points: Any) -> Array:
        a, b = np.atleast_2d(np.asarray(points, float)).T
        return np.asarray(self.objective(a, b), float)

    def _height(self, points: Array) -> Array:
        """Objective above the lowest point known."""
        known = np.concatenate(list(self.paths.values()))
        lowest = np.nanmin(self._value(known if self.minimum is None else self.minimum))
        return self._value(points) - lowest

    def plot(self, ax: Any = None, *, levels: int = 14, margin: float = 0.12, **kwargs: Any) -> TrajectoryDisplay:
        """Draw contours and paths.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        levels : int, default=14
            Number of contours, evenly spaced in the square root of the objective above its least value.
        margin : float, default=0.12
            Room around the paths, as a share of their extent.
        **kwargs
            Of every path's :class:`matplotlib.lines.Line2D`.

        Returns
        -------
        TrajectoryDisplay
            The display itself.
        """
        self.figure_, (self.ax_,) = _axes(ax, 1, (7.2, 4.0))
        ax = self.ax_
        points = np.concatenate(list(self.paths.values()))
        # a path that diverges leaves the picture instead of ruling it
        first = next(iter(self.paths.values()))[0]
        with np.errstate(over="ignore", invalid="ignore"):
            points = points[self._height(points) <= 2 * self._height(first[None])]
        if self.minimum is not None:
            points = np.vstack([points, np.asarray(self.minimum, float)])
        low, high = points.min(axis=0), points.max(axis=0)
        room = margin * np.maximum(high - low, 1e-12)
        a, b = (np.linspace(low[i] - room[i], high[i] + room[i], 201) for i in range(2))
        A, B = np.meshgrid(a, b)
        F = np.asarray(self.objective(A, B), float)
        base = F.min() if self.minimum is None else min(F.min(), self._value(self.minimum)[0])
        heights = base + (F.max() - base) * (np.arange(1, levels + 1) / (levels + 0.5)) ** 2
        self.contours_ = ax.contour(A, B, F, levels=heights, colors="0.8", linewidths=0.8, zorder=1)
        names, zigzag = list(self.paths), self.zigzag
        self.lines_ = []
        for name, (color, style) in zip(names, _looks(names), strict=True):
            path = self.paths[name]
            label = f"{name}: length / distance {zigzag[name]:.2f}"
            look = {"color": color, "linestyle": style, "linewidth": 1.5, "marker": "o", "markersize": 2.8} | kwargs
            self.lines_ += ax.plot(path[:, 0], path[:, 1], label=label, **look)
        ax.plot(*first, marker="s", color="black", markersize=7, linestyle="none", label="start", zorder=4)
        if self.minimum is not None:
            ax.plot(
                *self.minimum, marker="*", color="black", markersize=12, linestyle="none", label="optimum", zorder=4
            )
        ax.set(xlabel="first weight", ylabel="second weight", xlim=(a[0], a[-1]), ylim=(b[0], b[-1]))
        ax.spines[["top", "right"]].set_visible(False)
        from matplotlib.transforms import offset_copy

        # below the label of the axis, however high the axes are
        below = offset_copy(ax.transAxes, ax.figure, y=-0.42, units="inches")
        _legend(
            ax, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, borderaxespad=0,
            ncols=2 if len(names) > 2 else 4,
        )  # fmt: skip
        return self


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
        raced = bool(self.progress)
        heights = (len(self.spreads), len(self.progress or ()))
        size = (7.2, 1.3 + 0.36 * sum(heights) + 0.9 * raced)
        self.figure_, axes = _axes(ax, 1 + raced, size, heights, share=False)
        self.ax_, self.race_ax_ = axes[0], axes[1] if raced else None
        look = {"color": _BLUE, "height": 0.6, **kwargs}
        values = [max(float(v), 1.0) for v in self.spreads.values()]
        self.bars_ = self.ax_.barh(list(self.spreads), values, **look)
        self.ax_.bar_label(self.bars_, [_short(v) for v in self.spreads.values()], padding=3, fontsize="small")
        self.ax_.set(xscale="log", xlim=(1, 30 * max(values)), xlabel="how unequal (1: not at all)")
        title = f"advice: {self.solver}"
        if self.reason:
            title += "\n" + textwrap.fill(self.reason, 72)
        self.ax_.set_title(title, loc="left", fontsize="small")
        self.race_bars_ = None
        if self.progress:
            values = [100 * v for v in self.progress.values()]
            colors = [_VERMILLION if name == self.solver else "0.6" for name in self.progress]
            self.race_bars_ = self.race_ax_.barh(list(self.progress), values, **{**look, "color": colors})
            self.race_ax_.bar_label(self.race_bars_, [f"{v:.4g} %" for v in values], padding=3, fontsize="small")
            self.race_ax_.set(
                xlim=(min(0.0, *values), 115), xlabel="share of the winner's progress in the race (coloured: advised)"
            )
        for each in axes:
            _tidy(each)
            each.grid(False, axis="y")
            each.invert_yaxis()
            each.tick_params(axis="y", length=0)
        return self


def _short(value: float) -> str:
    return f"{value:.3g}" if 0.01 <= value < 1e4 else f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
