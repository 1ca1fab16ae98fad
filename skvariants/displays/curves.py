"""Curves of training: the objective of fitted estimators, and solvers compared on one problem."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from skvariants._component import shown
from skvariants._messages import quiet
from skvariants.displays._style import (
    Array,
    add_legend,
    check_choice,
    check_kind,
    check_several,
    curve,
    fit_history,
    named_estimators,
    names_keywords,
    parameter_path,
    parts,
    place_axes,
    place_grid,
    set_log,
    styles,
    tidy,
    trained,
    with_best,
)
from skvariants.solvers import FAMILIES, SOLVERS

#: what the horizontal axis may show, by its key in a history, which is its label too
X_AXES = {"epochs": "epoch", "seconds": "seconds"}
#: panels of families side by side, as wide as a page with room for its legends, each so wide and high
COLUMNS, PANEL = 3, (3.0, 2.4)
#: curves that one panel holds readably
MANY = 11
#: solvers that take a step for each row, in Python: shown where they are asked for, as they take long
_ROW_BY_ROW = {"sgd", *FAMILIES["row by row"].members}

#: ends of a fit that a legend tells
_UNFINISHED = ("max_iter", "diverged", "interrupted")


def _has_scores(history: Mapping[str, Array]) -> bool:
    return bool(np.isfinite(history.get("validation_score", np.nan)).any())


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
    streams : bool, default=False
        Whether the fits were those of streams, of which an epoch is a chunk, and the objective its loss before it was
        learned.

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
    SolverComparisonDisplay : Fits several solvers, and shows how far each is above the optimum.

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
        self, *, histories: Mapping[str, Mapping[str, Any]], best_epochs: Mapping[str, int] | None = None,
        streams: bool = False,
    ) -> None:  # fmt: skip
        self.histories = histories
        self.best_epochs = best_epochs
        self.streams = streams

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
        named = named_estimators(estimators, names)
        kept = {name: getattr(trained(e), "best_epoch_", None) for name, e in named.items()}
        best = {name: epoch for name, epoch in kept.items() if epoch is not None}
        streams = all(hasattr(trained(e), "progressive_scores_") for e in named.values())
        histories = {name: fit_history(e) for name, e in named.items()}
        display = cls(histories=histories, best_epochs=best, streams=streams)
        return display.plot(**kwargs)

    @names_keywords
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
        check_choice("x", x, tuple(X_AXES))
        check_choice("log", log, ("auto", True, False))
        check_choice("validation", validation, (True, False))
        histories = {n: {k: np.asarray(v, float) for k, v in h.items()} for n, h in self.histories.items()}
        validation = validation and any(map(_has_scores, histories.values()))
        self.figure_, axes = place_axes(ax, 1 + validation, (6.4, 5.2 if validation else 4.0))
        self.ax_, self.validation_ax_ = axes[0], axes[1] if validation else None
        self.lines_: list[Any] = []
        self.validation_lines_: list[Any] = []
        self.best_: list[Any] = []
        best_epochs = self.best_epochs or {}
        for (name, history), style in zip(histories.items(), styles(list(histories)), strict=True):
            at = history[X_AXES[x]]
            line = {**curve(style, len(at)), **kwargs}
            self._plot_curve(name, at, history, line)
            if name in best_epochs:
                self._plot_best(best_epochs[name], at, history, line["color"])
        set_log(self.ax_, log, [h["objective"] for h in histories.values()])
        self._plot_labels(axes, X_AXES[x])
        self._plot_legend()
        return self

    def _plot_curve(self, name: str, at: Array, history: Mapping[str, Array], line: Mapping[str, Any]) -> None:
        """Draw one estimator's objective, and its validation scores where they are shown."""
        self.lines_ += self.ax_.plot(at, history["objective"], label=name, **line)
        if self.validation_ax_ is not None and _has_scores(history):
            self.validation_lines_ += self.validation_ax_.plot(at, history["validation_score"], label=name, **line)

    def _plot_best(self, epoch: int, at: Array, history: Mapping[str, Array], color: Any) -> None:
        """Mark the epoch that was returned, in both panels."""
        i = int(np.flatnonzero(history["epoch"] == epoch)[0])
        dot = {"marker": "o", "linestyle": "none", "color": color, "markersize": 8}
        dot |= {"markerfacecolor": "white", "markeredgewidth": 1.8, "zorder": 5, "clip_on": False}
        label = f"best epoch ({epoch})" if len(self.histories) == 1 else None
        self.best_ += self.ax_.plot(at[i], history["objective"][i], label=label, **dot)
        if self.validation_ax_ is not None and _has_scores(history):
            self.best_ += self.validation_ax_.plot(at[i], history["validation_score"][i], **dot)

    def _plot_labels(self, axes: Sequence[Any], xlabel: str) -> None:
        """Say what the axes show."""
        self.ax_.set_ylabel("loss before learning" if self.streams else "objective")
        axes[-1].set_xlabel("chunk" if self.streams and xlabel == "epoch" else xlabel)
        if xlabel == "epoch":
            axes[-1].xaxis.get_major_locator().set_params(integer=True)
        if self.validation_ax_ is not None:
            self.validation_ax_.set_ylabel("validation score")
            self.ax_.tick_params(labelbottom=False)
        for ax in axes:
            tidy(ax)

    def _plot_legend(self) -> None:
        """Name the curves, where there are several, and the marks."""
        several = len(self.histories) > 1
        if not (several or self.best_epochs):
            return
        handles = self.ax_.get_legend_handles_labels()[0]
        if several and self.best_epochs:
            ring = {"marker": "o", "linestyle": "none", "color": "0.3", "markerfacecolor": "white"}
            handles = [*handles, *self.ax_.plot([], [], label="best epoch", **ring)]
        add_legend(self.ax_, handles)


def _status(estimator: Any) -> str:
    """How a fit ended; of several the first that is no better than to be told."""
    ends = [trained(fit).status_ for fit in parts(estimator).values()]
    return next((end for end in ends if end in _UNFINISHED), ends[0])


def _objective(estimator: Any) -> tuple[float, float, str]:
    """Objective of the model of a fit, how far that can be from the optimum, and how this is known.

    Of several fits it is the sum of their objectives, and the largest of the shares, which no share of sums exceeds.
    """
    ends = [trained(fit) for fit in parts(estimator).values()]
    if any(getattr(end, "objective_", None) is None for end in ends):
        return np.nan, np.nan, "unknown"
    worst = max(ends, key=lambda end: np.nan_to_num(end.suboptimality_, nan=np.inf))
    kinds = {end.suboptimality_kind_ for end in ends}
    kind = next(kind for kind in ("unknown", "estimate", "bound") if kind in kinds)
    return float(sum(end.objective_ for end in ends)), float(worst.suboptimality_), kind


class SolverComparisonDisplay:
    """Several solvers on one problem: how far each is above the optimum.

    It is made by :meth:`from_estimator`, which fits the solvers. Objectives are measured from that of the best model
    over all rows, ``objective_``, and the label says how near the optimum this is, as a share of what the optimum gains
    over a constant model (``suboptimality_``): with "auto" among the solvers the difference is not to be seen. On the
    way a curve shows the objective of each epoch, a mean over its batches while the model moves, which by chance can be
    below the optimum, and is drawn at the foot then; it ends at the objective of the model that was returned. The
    legend gives the epochs and seconds that each
    took, and says which did not converge. Where solvers are many there is a panel for each family, with "auto" in all
    of them, and the other families in grey.

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
    refused : dict of str to str, optional
        Solvers that were left out, as they do not take this problem, with what they say.
    objectives : dict of str to (float, float, str), optional
        Of each model: its objective over all rows, how far this can be from the optimum, and how that is known, as in
        the attributes ``objective_``, ``suboptimality_`` and ``suboptimality_kind_``. Without these the curves are
        measured from the least mean of an epoch.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes; the first of several panels.
    axes_ : list of matplotlib Axes
        All panels.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        A curve for each solver, in their order.

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
        estimators: Mapping[str, Any] | None = None, refused: Mapping[str, str] | None = None,
        objectives: Mapping[str, tuple[float, float, str]] | None = None,
    ) -> None:  # fmt: skip
        self.histories = histories
        self.statuses = statuses
        self.seconds = seconds
        self.scores: Mapping[str, float] | Any = scores
        self.estimators: Mapping[str, Any] | Any = estimators
        self.refused = refused
        self.objectives = objectives

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, solvers: Any = None, X_test: Any = None, y_test: Any = None,
        fit_params: Mapping[str, Any] | None = None, **kwargs: Any,
    ) -> SolverComparisonDisplay:  # fmt: skip
        """Fit a clone of an estimator with each solver, and compare.

        A `ConvergenceWarning` is not shown: the legend says which solvers did not
        converge.

        Parameters
        ----------
        estimator : estimator instance
            An estimator with the parameter ``solver``, or a pipeline, a fitted search or a wrapper that trains one; it
            is cloned, not fitted. Of a search it is the best estimator, so that all solvers minimise one objective.
        X, y : array-like
            Training data.
        solvers : None, "all", list of str or solver instances, or dict of name to these
            What to compare. None is "auto" and all but those that go row by row, which take long; "all" has these
            too. Of both, solvers that do not take the problem (a loss with kinks, say) are left out. Those of a family
            are ``list(FAMILIES["after Adam"].members)``, of :data:`skvariants.solvers.FAMILIES`.
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
        check_kind("estimator", estimator, "set_params", "an estimator with the parameter solver")
        if not isinstance(fit_params, Mapping | None):
            raise TypeError(f"fit_params={shown(fit_params)} is not accepted: fit_params must be None or a dict.")
        if (X_test is None) != (y_test is None):
            raise ValueError("X_test and y_test must be given together: pass both, or neither.")
        named, asked = _chosen(solvers), not _is_open(solvers)
        fitted, seconds, refused = {}, {}, {}
        estimator = with_best(estimator)
        where = parameter_path(estimator, "solver")
        inner = where.removesuffix("solver").removesuffix("__")
        check_kind(
            "estimator", estimator.get_params().get(inner, estimator), "__skvariants_spec__",
            "one of skvariants, whose solvers are compared, or a pipeline, a search or a wrapper of one",
        )  # fmt: skip
        for name, solver in named.items():
            model = clone(estimator).set_params(**{where: solver})
            start = time.perf_counter()
            try:
                with quiet():
                    fitted[name] = model.fit(X, y, **(fit_params or {}))
            except ValueError as error:
                if asked or name == "auto":
                    raise
                refused[name] = str(error)
            seconds[name] = time.perf_counter() - start
        scores = None
        if X_test is not None:
            scores = {name: float(model.score(X_test, y_test)) for name, model in fitted.items()}
        display = cls(
            histories={name: fit_history(model) for name, model in fitted.items()},
            statuses={name: _status(model) for name, model in fitted.items()},
            seconds={name: seconds[name] for name in fitted}, scores=scores, estimators=fitted, refused=refused,
            objectives={name: _objective(model) for name, model in fitted.items()},
        )  # fmt: skip
        return display.plot(**kwargs)

    @names_keywords
    def plot(
        self, ax: Any = None, *, x: str = "epochs", panels: bool | str = "auto", **kwargs: Any
    ) -> SolverComparisonDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None. Panels take its place.
        x : {"epochs", "seconds"}, default="epochs"
            What the curves are drawn against, on a log scale.
        panels : bool or "auto", default="auto"
            Whether there is a panel for each family; "auto" says yes for more than eleven curves.
        **kwargs
            Of every :class:`matplotlib.lines.Line2D`.

        Returns
        -------
        SolverComparisonDisplay
            The display itself.
        """
        check_choice("x", x, tuple(X_AXES))
        check_choice("panels", panels, ("auto", True, False))
        if panels is True or (panels == "auto" and len(self.histories) > MANY):
            groups = _groups(list(self.histories))
            self.figure_, self.axes_ = place_grid(ax, len(groups), COLUMNS, PANEL)
        else:
            groups = {"": list(self.histories)}
            self.figure_, self.axes_ = place_axes(ax, 1, (8.0, 4.4))
        self.ax_ = self.axes_[0]
        best, above = self._reference()
        lines: dict[str, Any] = {}
        for panel, (title, names) in zip(self.axes_, groups.items(), strict=True):
            self._plot_panel(panel, title, names, x, best, lines, kwargs)
        self.lines_ = [lines[name] for name in self.histories]
        if len(groups) == 1:
            self.ax_.set(xlabel=X_AXES[x], ylabel=above)
            beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
            # beside axes that were given there may be no room
            add_legend(self.ax_, **(beside if ax is None else {"loc": "best", "fontsize": "x-small"}))
            return self
        low, high = self.ax_.get_ylim()
        self.ax_.set_ylim(low, high * (high / low) ** 0.55)  # room for the legends
        self.figure_.supxlabel(X_AXES[x], fontsize="medium")
        self.figure_.supylabel(above, fontsize="medium")
        return self

    def _reference(self) -> tuple[float, str]:
        """The objective that the curves are measured from, and what the axis says of that."""
        known = {name: ended for name, ended in (self.objectives or {}).items() if np.isfinite(ended[0])}
        if not known:
            means = np.concatenate([np.asarray(h["objective"], float) for h in self.histories.values()])
            return float(means[np.isfinite(means)].min()), "objective above the least mean of an epoch"
        winner = min(known, key=lambda name: known[name][0])
        best, left, kind = known[winner]
        if not np.isfinite(left):
            return best, f"objective above that of {winner}"
        return best, f"objective above that of {winner},\nthe optimum to {'about ' * (kind == 'estimate')}{left:.0e}"

    def _path(self, name: str, x: str) -> tuple[Array, Array]:
        """Where a solver was on its way, and the end of that."""
        at, objective = (np.asarray(self.histories[name][key], float) for key in (X_AXES[x], "objective"))
        end = (self.objectives or {}).get(name, (np.nan,))[0]
        return (np.append(at, at[-1]), np.append(objective, end)) if np.isfinite(end) else (at, objective)

    def _plot_panel(
        self, panel: Any, title: str, names: Sequence[str], x: str, best: float, lines: dict[str, Any],
        kwargs: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Draw some of the solvers, and the others behind them in grey."""
        # a hair above the best, so that the log of the winner's end exists
        floor = 1e-4 * max(abs(best), np.finfo(float).tiny)
        looks = dict(zip(self.histories, styles(list(self.histories)), strict=True))
        for name in self.histories:
            at, objective = self._path(name, x)
            above = np.maximum(objective - best, 0.0) + floor
            if name in names:
                label, n_points = self._label(name, short=bool(title)), len(at) if at[0] < at[-1] else 1
                line = {"label": label, **curve(looks[name], n_points, log=True)}
                lines[name] = panel.plot(at, above, **{**line, **kwargs})[0]
            else:
                panel.plot(at, above, color="0.88", linewidth=0.7, zorder=1)
        panel.set(xscale="log", yscale="log")
        if x == "epochs":
            panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        tidy(panel)
        if title:
            panel.set_title(title, fontsize="medium", loc="left")
            many = len(names) > 5
            add_legend(
                panel, loc="upper right", fontsize="xx-small" if many else "x-small", ncols=1 + many, handlelength=2.2,
                labelspacing=0.25, columnspacing=0.8, borderaxespad=0,
            )  # fmt: skip

    def _label(self, name: str, short: bool = False) -> str:
        """What the legend says of a solver."""
        count = len(self.histories[name]["objective"])
        label = f"{name}: {count} epoch{'s' * (count != 1)}, {_seconds(self.seconds[name])}"
        if short:
            label = f"{name}: {_seconds(self.seconds[name])}"
        elif self.scores is not None:
            label += f", score {self.scores[name]:.3f}"
        if self.statuses[name] in _UNFINISHED:
            label += f" ({self.statuses[name]})"
        return label


def _is_open(solvers: Any) -> bool:
    """Whether solvers are left out that do not take the problem."""
    return solvers is None or (isinstance(solvers, str) and solvers == "all")


def _chosen(solvers: Any) -> dict[str, Any]:
    """The solvers to compare, by name."""
    if _is_open(solvers):
        slow = set() if solvers == "all" else _ROW_BY_ROW
        return {name: name for name in ["auto", *SOLVERS] if name not in slow}
    check_several("solvers", solvers, "a list of solvers, or a dict of name to solver")
    if isinstance(solvers, str) or not list(solvers):
        raise ValueError(
            f"solvers={shown(solvers)} is not accepted: solvers must be a list of one solver at least, or 'all'."
        )
    if isinstance(solvers, Mapping):
        return dict(solvers)
    return {solver if isinstance(solver, str) else repr(solver): solver for solver in solvers}


def _groups(names: Sequence[str]) -> dict[str, list[str]]:
    """Names by family, with "auto" in each, and those of none at the end."""
    groups = {title: [name for name in names if name in family.members] for title, family in FAMILIES.items()}
    known = {name for members in groups.values() for name in members}
    groups["others"] = [name for name in names if name not in known and name != "auto"]
    shared = ["auto"] if "auto" in names else []
    return {title: [*shared, *members] for title, members in groups.items() if members}


def _seconds(value: float) -> str:
    return f"{1e3 * value:.0f} ms" if value < 1 else f"{value:.1f} s"
