"""Pictures of a search, straight from ``cv_results_`` of any search in scikit-learn's layout."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skvariants._component import Flag, OneOf, check, refused, shown
from skvariants.displays._style import (
    VERMILLION,
    Array,
    add_legend,
    check_choice,
    check_kind,
    place_axes,
    pyplot,
    scale_of,
    styles,
    tidy,
)

# lines differ in more than their colour
_MARKERS = "osD^vP"
# labels that stand side by side
_CROWDED = 6


def _metric(cv_results: Any, metric: str | None) -> str:
    """Name of the metric to show; the only one, or the one asked for."""
    check_kind("cv_results", cv_results, "keys", "cv_results_ of a fitted search")
    keys = [str(key) for key in cv_results.keys()]
    known = [key.removeprefix("mean_test_") for key in keys if key.startswith("mean_test_")]
    if not known:
        raise ValueError("cv_results has no mean_test_<metric>: give cv_results_ of a fitted search.")
    check("metric", metric, OneOf(None, str))
    if metric is None:
        if len(known) > 1:
            raise ValueError(f"metric=None, but the search has several: pass one of {', '.join(known)} as metric.")
        return known[0]
    if metric not in known:
        raise ValueError(f"metric={shown(metric)} is not in cv_results_: it must be one of {', '.join(known)}.")
    return metric


def _check_search(search: Any) -> None:
    """Refuse what is no search, or not fitted."""
    check_kind("search", search, "fit", "a fitted search")
    if not hasattr(search, "cv_results_"):
        check_kind("search", search, "cv", "a fitted search, such as BatchedGridSearchCV, which has cv_results_")
    check_is_fitted(search, "cv_results_")


def _names(cv_results: Any, asked: Mapping[str, str | None], least: int) -> list[str]:
    """Names of the parameters to show, by the argument that asks for each; those that vary where none does."""
    known = [key.removeprefix("param_") for key in cv_results if key.startswith("param_")]
    chosen = [_known(argument, name, known) for argument, name in asked.items() if name is not None]
    if len(chosen) < least:
        varying = [name for name in known if len(_values(cv_results, name)) > 1 and name not in chosen]
        chosen += varying[: least - len(chosen)]
    if len(chosen) < least:
        raise ValueError(f"{least} parameters are needed, but only {len(chosen)} vary in this search.")
    return chosen


def _known(argument: str, name: str, known: Sequence[str]) -> str:
    """A parameter by its name, or by its last part where no other ends so, as the model's in a pipeline."""
    check(argument, name, OneOf(None, str))
    found = [name] if name in known else [full for full in known if full.endswith(f"__{name}")]
    if len(found) > 1:
        raise ValueError(f"{argument}={shown(name)} is not clear: it may be {' or '.join(found)}.")
    if not found:
        raise ValueError(f"{argument}={shown(name)} was not searched: the parameters are {', '.join(known)}.")
    return found[0]


def _key(value: Any) -> Any:
    return value if isinstance(value, (str, numbers.Number)) or value is None else repr(value)


def _values(cv_results: Any, name: str) -> list[Any]:
    """The values that a parameter took: numbers in order, other things as they came."""
    column = cv_results[f"param_{name}"]
    given = {_key(v): v for v, hidden in zip(column.data, np.ma.getmaskarray(column), strict=True) if not hidden}
    values = list(given.values())
    return sorted(values) if all(_is_number(v) for v in values) else values


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))


def _rows(cv_results: Any) -> Array:
    """Rows to show: all, or the last rung that each candidate of a halving search reached."""
    n = len(cv_results["params"])
    if "iter" not in cv_results:
        return np.arange(n)
    last = {repr(params): row for row, params in enumerate(cv_results["params"])}
    return np.sort(list(last.values()))


class _Cells:
    """For each combination of the shown values, the candidate that scores best over all other parameters.

    Parameters
    ----------
    cv_results : dict of ndarray
        ``cv_results_`` of any search.
    names : list of str
        The parameters to show.
    metric : str
        By which candidates are compared.

    Attributes
    ----------
    values : list of list
        What each parameter took.
    rows : ndarray of int
        Row of the best candidate, with an axis for each parameter; -1 where there is none.
    """

    def __init__(self, cv_results: Any, names: list[str], metric: str) -> None:
        self.cv_results = cv_results
        self.values = [_values(cv_results, name) for name in names]
        self.rows = np.full([len(v) for v in self.values], -1)
        score = np.asarray(cv_results[f"mean_test_{metric}"], dtype=float)
        columns = [cv_results[f"param_{name}"] for name in names]
        places = [{_key(v): i for i, v in enumerate(options)} for options in self.values]
        for row in _rows(cv_results):
            if any(np.ma.getmaskarray(column)[row] for column in columns) or np.isnan(score[row]):
                continue
            cell = tuple(place[_key(column.data[row])] for place, column in zip(places, columns, strict=True))
            if self.rows[cell] < 0 or score[row] > score[self.rows[cell]]:
                self.rows[cell] = row

    def pick(self, key: str) -> Array:
        """Numbers of the best candidates; nan where there is none."""
        return np.where(self.rows >= 0, np.asarray(self.cv_results[key], dtype=float)[self.rows], np.nan)


def _text(value: Any) -> str:
    return f"{value:.3g}" if _is_number(value) else str(value)


def _score_label(asked: str | None, metric: str, negated: bool) -> str:
    check("score_name", asked, OneOf(None, str))
    check("negate_score", negated, Flag())
    return asked or (f"negated {metric}" if negated else metric)


class SearchCurveDisplay:
    """Score of a search along one parameter.

    For each value of the parameter the best candidate over all other parameters is shown, with the standard deviation
    over the folds. Use :meth:`from_search` or :meth:`from_cv_results` to create it.

    Parameters
    ----------
    param_name : str
        The parameter on the horizontal axis.
    param_values : list
        Its values.
    test_mean, test_std : ndarray of shape (n_lines, n_values)
        Mean and standard deviation over the folds of the score on held-out rows; nan where there is no candidate.
    train_mean, train_std : ndarray of shape (n_lines, n_values) or None
        The same on the training rows.
    line_name : str or None
        The parameter with a line for each value.
    line_values : list
        Its values.
    score_name : str
        Label of the score.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was plotted.
    lines_ : list of matplotlib Line2D
        One for each line and kind of score.
    fill_between_ : list of matplotlib PolyCollection
        The standard deviations.
    errorbar_ : list of matplotlib ErrorbarContainer
        Instead of lines, where the values of the parameter are not numbers.

    References
    ----------
    Hastie, Tibshirani and Friedman (2009), "The elements of statistical learning", section 7.10,
    doi:10.1007/978-0-387-84858-7.

    Examples
    --------
    ``SearchCurveDisplay.from_search(search, "alpha")`` plots a fitted search. From numbers, to be plotted later:

    >>> import numpy as np
    >>> from skvariants.displays import SearchCurveDisplay
    >>> mean, std = np.array([[0.7, 0.9, 0.8]]), np.array([[0.1, 0.1, 0.1]])
    >>> display = SearchCurveDisplay(param_name="alpha", param_values=[0.1, 1, 10], test_mean=mean, test_std=std)
    >>> display.param_name
    'alpha'
    """

    def __init__(
        self,
        *,
        param_name: str,
        param_values: list[Any],
        test_mean: Array,
        test_std: Array,
        train_mean: Array | None = None,
        train_std: Array | None = None,
        line_name: str | None = None,
        line_values: Sequence[Any] = (None,),
        score_name: str = "score",
    ) -> None:
        self.param_name = param_name
        self.param_values = param_values
        self.test_mean = test_mean
        self.test_std = test_std
        self.train_mean = train_mean
        self.train_std = train_std
        self.line_name = line_name
        self.line_values = line_values
        self.score_name = score_name

    @classmethod
    def from_search(cls, search: Any, param_name: str | None = None, **kwargs: Any) -> SearchCurveDisplay:
        """Plot a fitted search; see :meth:`from_cv_results` for the parameters.

        Parameters
        ----------
        search : estimator
            A fitted search with ``cv_results_``.
        param_name : str or None, default=None
            The parameter on the horizontal axis; None is the first that varies.
        **kwargs : dict
            Passed to :meth:`from_cv_results`.

        Returns
        -------
        SearchCurveDisplay
        """
        _check_search(search)
        return cls.from_cv_results(search.cv_results_, param_name, **kwargs)

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Any,
        param_name: str | None = None,
        *,
        line_by: str | None = None,
        metric: str | None = None,
        score_type: str = "both",
        negate_score: bool = False,
        score_name: str | None = None,
        ax: Any = None,
    ) -> SearchCurveDisplay:
        """Plot results in scikit-learn's layout.

        Parameters
        ----------
        cv_results : dict of ndarray
            ``cv_results_`` of any search.
        param_name : str or None, default=None
            The parameter on the horizontal axis; None is the first that varies.
        line_by : str or None, default=None
            Another parameter; each of its values gets a line.
        metric : str or None, default=None
            Which of several metrics.
        score_type : {"both", "test", "train"}, default="both"
            Which scores; those on training rows are shown if the search has them.
        negate_score : bool, default=False
            Whether to show minus the score, as for "neg_mean_squared_error".
        score_name : str or None, default=None
            Label of the vertical axis.
        ax : matplotlib Axes or None, default=None
            Where to plot; None opens a figure.

        Returns
        -------
        SearchCurveDisplay

        Raises
        ------
        ValueError
            If a parameter was not searched, or the metric is not unique.
        """
        check_choice("score_type", score_type, ("both", "test", "train"))
        metric = _metric(cv_results, metric)
        if score_type == "train" and f"mean_train_{metric}" not in cv_results:
            raise ValueError("score_type='train', but the search has no training scores: use return_train_score=True.")
        asked = {"line_by": line_by, "param_name": param_name}
        names = _names(cv_results, asked, 1 if line_by is None else 2)
        label = _score_label(score_name, metric, negate_score)
        cells = _Cells(cv_results, names, metric)
        curves: dict[str, Any] = {}
        for kind in ("test", "train"):
            if f"mean_{kind}_{metric}" in cv_results:
                mean, std = (np.atleast_2d(cells.pick(f"{part}_{kind}_{metric}")) for part in ("mean", "std"))
                curves[f"{kind}_mean"] = -mean if negate_score else mean
                curves[f"{kind}_std"] = std
        display = cls(
            param_name=names[-1],
            param_values=cells.values[-1],
            line_name=names[0] if line_by is not None else None,
            line_values=cells.values[0] if line_by is not None else (None,),
            score_name=label,
            **curves,
        )
        return display.plot(ax, score_type=score_type)

    def plot(self, ax: Any = None, *, score_type: str = "both") -> SearchCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to plot; None opens a figure.
        score_type : {"both", "test", "train"}, default="both"
            Which scores.

        Returns
        -------
        SearchCurveDisplay
            Itself, with the artists as attributes.
        """
        check_choice("score_type", score_type, ("both", "test", "train"))
        at, ticks = self._places()
        size = None if ticks is None or len(ticks) <= _CROWDED else (0.9 + 0.26 * len(ticks), 4.8)
        self.figure_, (self.ax_,) = place_axes(ax, 1, size)
        self.lines_: list[Any] = []
        self.fill_between_: list[Any] = []
        self.errorbar_: list[Any] = []
        draw = self._plot_line if ticks is None else self._plot_points
        scores = {"test": (self.test_mean, self.test_std), "train": (self.train_mean, self.train_std)}
        kinds: dict[str, Any] = {k: v for k, v in scores.items() if v[0] is not None and score_type in ("both", k)}
        for number, (value, look) in enumerate(
            zip(self.line_values, styles(list(map(_text, self.line_values))), strict=True)
        ):
            words = [] if self.line_name is None else [f"{self.line_name}={_text(value)}"]
            style = {"color": look.color, "marker": look.marker or _MARKERS[number % len(_MARKERS)]}
            for kind, (mean, std) in kinds.items():
                dashes = look.dashes if len(kinds) == 1 else {"test": "-", "train": "--"}[kind]
                label = ", ".join([*words, kind])
                draw(at, mean[number], std[number], kind, {**style, "linestyle": dashes, "label": label})
        if ticks is not None:
            self.ax_.set_xticks(at, ticks, rotation=0 if len(ticks) <= _CROWDED else 90)
        else:
            self.ax_.set_xscale(**scale_of(at))
        self.ax_.set(xlabel=self.param_name, ylabel=self.score_name)
        if len(self.lines_) + len(self.errorbar_) > 1:
            add_legend(self.ax_)
        tidy(self.ax_)
        return self

    def _places(self) -> tuple[Array, list[str] | None]:
        """Where the values stand: numbers on their scale, anything else side by side with a text."""
        if all(_is_number(v) for v in self.param_values):
            return np.asarray(self.param_values, dtype=float), None
        return np.arange(len(self.param_values), dtype=float), [_text(v) for v in self.param_values]

    def _plot_line(self, at: Array, mean: Array, std: Array, kind: str, style: dict[str, Any]) -> None:
        """Draw a line with a band of a standard deviation."""
        self.lines_ += self.ax_.plot(at, mean, ms=4, **style)
        band = self.ax_.fill_between(at, mean - std, mean + std, color=style["color"], alpha=0.15, lw=0)
        self.fill_between_.append(band)

    def _plot_points(self, at: Array, mean: Array, std: Array, kind: str, style: dict[str, Any]) -> None:
        """Draw points with error bars: no line between things that have no order."""
        bars = self.ax_.errorbar(at, mean, std, fmt="o", color=style["color"], label=style["label"])
        bars.lines[0].set_fillstyle("full" if kind == "test" else "none")
        self.errorbar_.append(bars)


class SearchHeatmapDisplay:
    """Score of a search over two parameters.

    Each cell shows the best candidate over all other parameters; the best cell is framed. Use :meth:`from_search` or
    :meth:`from_cv_results` to create it.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_columns)
        Mean score of each cell; nan where there is no candidate.
    row_name, column_name : str
        The parameters.
    row_values, column_values : list
        Their values.
    best : tuple of int or None
        Row and column of the best cell.
    score_name : str
        Label of the score.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was plotted.
    im_ : matplotlib AxesImage
        The map.
    text_ : ndarray of matplotlib Text or None
        The values in the cells.
    frame_ : matplotlib Rectangle or None
        Around the best cell.

    Examples
    --------
    ``SearchHeatmapDisplay.from_search(search, "alpha", "eta0")`` plots a fitted search. From numbers, to be plotted
    later:

    >>> import numpy as np
    >>> from skvariants.displays import SearchHeatmapDisplay
    >>> display = SearchHeatmapDisplay(
    ...     scores=np.array([[0.7, 0.9]]), row_name="alpha", column_name="eta0", row_values=[0.1], column_values=[1, 2]
    ... )
    >>> display.scores.shape
    (1, 2)
    """

    def __init__(
        self,
        *,
        scores: Array,
        row_name: str,
        column_name: str,
        row_values: list[Any],
        column_values: list[Any],
        best: tuple[int, int] | None = None,
        score_name: str = "score",
    ) -> None:
        self.scores = scores
        self.row_name = row_name
        self.column_name = column_name
        self.row_values = row_values
        self.column_values = column_values
        self.best = best
        self.score_name = score_name

    @classmethod
    def from_search(
        cls, search: Any, row_name: str | None = None, column_name: str | None = None, **kwargs: Any
    ) -> SearchHeatmapDisplay:
        """Plot a fitted search; see :meth:`from_cv_results` for the parameters.

        Parameters
        ----------
        search : estimator
            A fitted search with ``cv_results_``.
        row_name, column_name : str or None, default=None
            The parameters; None is the next that varies.
        **kwargs : dict
            Passed to :meth:`from_cv_results`.

        Returns
        -------
        SearchHeatmapDisplay
        """
        _check_search(search)
        return cls.from_cv_results(search.cv_results_, row_name, column_name, **kwargs)

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Any,
        row_name: str | None = None,
        column_name: str | None = None,
        *,
        metric: str | None = None,
        negate_score: bool = False,
        score_name: str | None = None,
        ax: Any = None,
        plot_kw: dict[str, Any] | None = None,
    ) -> SearchHeatmapDisplay:
        """Plot results in scikit-learn's layout.

        Parameters
        ----------
        cv_results : dict of ndarray
            ``cv_results_`` of any search.
        row_name, column_name : str or None, default=None
            The parameters; None is the next that varies.
        metric : str or None, default=None
            Which of several metrics.
        negate_score : bool, default=False
            Whether to show minus the score, as for "neg_mean_squared_error".
        score_name : str or None, default=None
            Label of the colour bar.
        ax : matplotlib Axes or None, default=None
            Where to plot; None opens a figure.
        plot_kw : dict or None, default=None
            Passed to :meth:`plot`.

        Returns
        -------
        SearchHeatmapDisplay

        Raises
        ------
        ValueError
            If a parameter was not searched, fewer than two vary, or the metric is not unique.
        """
        metric = _metric(cv_results, metric)
        names = _names(cv_results, {"row_name": row_name, "column_name": column_name}, 2)
        label = _score_label(score_name, metric, negate_score)
        check("plot_kw", plot_kw, OneOf(None, dict))
        if row_name is None and column_name is not None:
            names = names[::-1]
        cells = _Cells(cv_results, names, metric)
        scores = cells.pick(f"mean_test_{metric}")
        best = None
        if np.isfinite(scores).any():  # of equal candidates the first, as a search chooses
            tied = np.argwhere(scores == np.nanmax(scores))
            row, column = min(tied.tolist(), key=lambda cell: cells.rows[tuple(cell)])
            best = (row, column)
        display = cls(
            scores=-scores if negate_score else scores,
            row_name=names[0],
            column_name=names[1],
            row_values=cells.values[0],
            column_values=cells.values[1],
            best=best,
            score_name=label,
        )
        return display.plot(ax, **(plot_kw or {}))

    def plot(
        self, ax: Any = None, *, cmap: Any = "viridis", include_values: bool | None = None,
        values_format: str = ".3g", colorbar: bool = True, im_kw: dict[str, Any] | None = None,
    ) -> SearchHeatmapDisplay:  # fmt: skip
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to plot; None opens a figure.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours.
        include_values : bool or None, default=None
            Whether to write the scores into the cells; None does so for up to 100 cells.
        values_format : str, default=".3g"
            Format of the scores in the cells.
        colorbar : bool, default=True
            Whether to add a colour bar.
        im_kw : dict or None, default=None
            Passed to `imshow`.

        Returns
        -------
        SearchHeatmapDisplay
            Itself, with the artists as attributes.
        """
        check("include_values", include_values, OneOf(None, Flag()))
        check("colorbar", colorbar, Flag())
        check("im_kw", im_kw, OneOf(None, dict))
        with refused("values_format", values_format, "Give a format of numbers, such as '.3g'."):
            format(0.5, values_format)
        with refused("cmap", cmap, "Give the name of a colormap of matplotlib, or one."):
            cmap = pyplot().get_cmap(cmap)
        self.figure_, (self.ax_,) = place_axes(ax)
        ax = self.ax_
        with refused("im_kw", im_kw, "Give arguments of imshow."):
            self.im_ = ax.imshow(self.scores, **{"cmap": cmap, "aspect": "auto", "origin": "lower", **(im_kw or {})})
        if include_values is None:
            include_values = self.scores.size <= 100
        self.text_ = self._plot_values(values_format) if include_values else None
        self.frame_ = None if self.best is None else self._plot_frame(*self.best)
        ax.set_xticks(range(len(self.column_values)), [_text(v) for v in self.column_values], rotation=45)
        ax.set_yticks(range(len(self.row_values)), [_text(v) for v in self.row_values])
        ax.set(xlabel=self.column_name, ylabel=self.row_name)
        if colorbar:
            ax.figure.colorbar(self.im_, ax=ax, label=self.score_name)
        return self

    def _plot_values(self, values_format: str) -> Array:
        """Write the scores into the cells, and return the texts."""
        texts = np.empty(self.scores.shape, dtype=object)
        low, high = self.im_.cmap(0.0), self.im_.cmap(1.0)
        for row, column in np.argwhere(~np.isnan(self.scores)):
            score = self.scores[row, column]
            color = high if self.im_.norm(score) < 0.5 else low
            text = format(score, values_format)
            texts[row, column] = self.ax_.text(column, row, text, ha="center", va="center", color=color)
        return texts

    def _plot_frame(self, row: int, column: int) -> Any:
        """Frame a cell, and return the frame."""
        from matplotlib.patches import Rectangle

        corner = (column - 0.5, row - 0.5)
        return self.ax_.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=VERMILLION, linewidth=2))
