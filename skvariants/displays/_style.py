"""What all displays share: colours and line styles, axes and legends, and what they read of an estimator."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skvariants._component import no_parameter, shown
from skvariants.solvers import FAMILIES

Array = np.ndarray
Method = TypeVar("Method", bound=Callable[..., Any])

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#808080"
# Tol's, beside the eight of Okabe and Ito
WINE, OLIVE, TEAL = "#882255", "#999933", "#44AA99"


class Style(NamedTuple):
    """How a line is drawn: lines and markers differ even where colours are not seen."""

    color: str
    dashes: Any
    marker: str


#: line styles of the members of a family, and the markers of families, both in their order
_DASHES = (
    "-", "--", ":", "-.", (0, (8, 2)), (0, (2, 1, 2, 4)), (0, (1, 4)), (0, (12, 2, 2, 2)), (0, (4, 1, 1, 1, 1, 1)),
)  # fmt: skip
_MARKERS = "osD^vXP<>pdh8*"
#: colours of the lecture's families, which are seen together; the others begin the palette each for itself
_LECTURE = {
    "plain steps": (GREY, GREY, OLIVE), "momentum": (BLUE, SKY), "adaptive": (GREEN, PURPLE, ORANGE, VERMILLION),
}  # fmt: skip
_PALETTE = (VERMILLION, BLUE, GREEN, ORANGE, PURPLE, SKY, GREY, WINE, OLIVE, TEAL)
AUTO = Style(BLACK, "-", "")


def _family_styles(families: Mapping[str, Any]) -> dict[str, Style]:
    """A style for each solver: the marker of its family, and a line and colour of its own there."""
    found = {"auto": AUTO}
    for (title, family), marker in zip(families.items(), itertools.cycle(_MARKERS), strict=False):
        first = _LECTURE.get(title, ())
        colors = [*first, *(color for color in _PALETTE if color not in first)]
        for k, name in enumerate(family.members):
            dashes = _DASHES[k] if k < len(_DASHES) else (0, (k, 2))
            found[name] = Style(colors[k % len(colors)], dashes, marker)
    return found


#: of each solver, in every picture
SOLVER_STYLES = _family_styles(FAMILIES)
_BY_LABEL = {cls.__name__.lower(): SOLVER_STYLES[name] for f in FAMILIES.values() for name, cls in f.members.items()}
_BY_LABEL |= SOLVER_STYLES
#: of everything else, in this order
CYCLE = [
    Style(BLUE, "-", ""), Style(VERMILLION, "--", ""), Style(GREEN, "-.", ""), Style(ORANGE, "-", ""),
    Style(PURPLE, "--", ""), Style(BLACK, "-.", ""), Style(SKY, "-", ""), Style(GREY, "--", ""),
]  # fmt: skip


def styles(names: Sequence[str]) -> list[Style]:
    """The style of each name: that of the solver, or the next of the cycle whose colour is not taken.

    A solver is one with what follows it too, as in "adam, tuned", "adam (2)" and "Adam(beta_1=0.8)"; of several lines
    of a solver the first has its style.
    """
    known: list[Style | None] = []
    for name in names:
        word = re.match(r"\w+(?=,| ?\(|$)", name)
        style = _BY_LABEL.get(word.group().lower()) if word else None
        known.append(None if style in known else style)
    if known.count(None) > len(names) // 2:
        known = [None] * len(names)
    taken = {style.color for style in known if style is not None}
    free = [style for style in CYCLE if style.color not in taken] or CYCLE
    others = iter(free * len(names))
    return [next(others) if style is None else style for style in known]


def curve(style: Style, n_points: int, log: bool = False) -> dict[str, Any]:
    """How a curve of so many points is drawn: few of them get a marker; one alone would be invisible without."""
    place = np.geomspace if log else np.linspace
    at = sorted({round(i) - 1 for i in place(1, n_points, 6)})
    marker = style.marker or ("o" if n_points == 1 else None)
    width = 2.6 if style is AUTO else 1.5
    line = {"color": style.color, "linestyle": style.dashes, "linewidth": width, "marker": marker}
    return {**line, "markevery": at, "markersize": 4.5}


def pyplot() -> Any:
    """matplotlib.pyplot, or a sentence that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "The displays of skvariants need matplotlib, which is not installed: run `pip install matplotlib`."
        ) from error
    return plt


def place_axes(
    ax: Any,
    panels: int = 1,
    figsize: tuple[float, float] | None = None,
    heights: Sequence[float] = (2, 1),
    share: bool = True,
) -> tuple[Any, list[Any]]:
    """A figure and `panels` axes under each other: new ones, or in the place of `ax`."""
    plt = pyplot()
    if ax is not None:
        check_kind("ax", ax, "figure", "None or matplotlib Axes")
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
    others = [ax.figure.add_subplot(grid[i], sharex=first if share else None) for i in range(1, panels)]
    return ax.figure, [first, *others]


def place_grid(
    ax: Any, panels: int, columns: int, size: tuple[float, float], share_x: bool = True
) -> tuple[Any, list[Any]]:
    """A figure and as many axes of a grid with common scales: new ones, each of that size, or in the place of `ax`."""
    plt = pyplot()
    columns = min(columns, panels)
    rows = -(-panels // columns)
    if ax is None:
        figure = plt.figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
        grid = figure.add_gridspec(rows, columns)
    else:
        check_kind("ax", ax, "figure", "None or matplotlib Axes")
        figure, where = ax.figure, ax.get_subplotspec()
        if where is None:
            raise ValueError("ax has no place in a grid, so it cannot be split into panels: make it by plt.subplots.")
        ax.set_axis_off()
        grid = where.subgridspec(rows, columns)
    axes: list[Any] = []
    for i in range(panels):
        first = axes[0] if axes else None
        axes.append(figure.add_subplot(grid[divmod(i, columns)], sharex=first if share_x else None, sharey=first))
        axes[i].tick_params(labelbottom=not share_x or i + columns >= panels, labelleft=i % columns == 0)
    return figure, axes


def tidy(ax: Any) -> None:
    """Leave out the frame at the top and the right, and put a light grid behind."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, which="major", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


def add_legend(ax: Any, handles: Any = None, **kwargs: Any) -> Any:
    """A legend without a frame."""
    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    kwargs = {"frameon": False, "fontsize": "small", **kwargs}
    return ax.legend(handles=handles, **kwargs)


def log_helps(values: Iterable[Any]) -> bool:
    """Whether the finite numbers in some arrays are positive and span a factor of ten."""
    flat = np.concatenate([np.ravel(np.asarray(v, dtype=float)) for v in values] or [np.ones(1)])
    flat = flat[np.isfinite(flat)]
    return bool(flat.size and (flat > 0).all() and flat.max() >= 10 * flat.min())


def scale_of(values: Any) -> dict[str, Any]:
    """The scale of an axis of numbers: a log scale where that helps, which is straight around zero if they reach it."""
    sizes = np.abs(values[np.asarray(values) != 0])
    if not log_helps([sizes]):
        return {"value": "linear"}
    return {"value": "log"} if np.min(values) > 0 else {"value": "symlog", "linthresh": sizes.min()}


def set_log(ax: Any, log: Any, values: Iterable[Any]) -> None:
    """Put the vertical axis on a log scale, if `log` is True or it is "auto" and that helps."""
    if log is True or (log == "auto" and log_helps(values)):
        ax.set_yscale("log")


def check_kind(name: str, value: Any, attribute: str, kind: str) -> None:
    """Refuse a value that lacks what is needed of it, in a sentence that says what it must be."""
    if not hasattr(value, attribute) or isinstance(value, type):
        raise TypeError(f"{name}={shown(value)} is not accepted: {name} must be {kind}.")


def check_several(name: str, value: Any, kind: str) -> None:
    """Refuse a value that cannot be gone through."""
    try:
        iter(value)
    except TypeError:
        raise TypeError(f"{name}={shown(value)} is not accepted: {name} must be {kind}.") from None


def names_keywords(plot: Method) -> Method:
    """A method that draws, of which an argument that matplotlib does not know is answered with what was meant."""

    @functools.wraps(plot)
    def drawn(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return plot(self, *args, **kwargs)
        except AttributeError as error:
            unknown = re.search(r"unexpected keyword argument '?(\w+)", str(error))
            if unknown is None or unknown[1] not in kwargs:
                raise
            makers = [getattr(self, name) for name in dir(self) if name.startswith("from_")]
            taken = [*inspect.signature(plot).parameters, *(n for m in makers for n in inspect.signature(m).parameters)]
            names = list(dict.fromkeys(name for name in taken if name not in ("self", "kwargs")))
            owner = f"{type(self).__name__}.plot or of what it draws"
            raise TypeError(no_parameter(unknown[1], owner, names, {})) from error

    return cast("Method", drawn)


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Refuse a value that is not among the choices, in a sentence that names them."""
    if not isinstance(value, (str, bool)) or value not in choices:
        raise ValueError(
            f"{name}={shown(value)} is not accepted: {name} must be one of {', '.join(map(repr, choices))}."
        )


def descend(estimator: Any) -> tuple[list[Any], Any]:
    """The fitted steps that rows go through, and what was trained in the end.

    That is the last step of a pipeline, the best of a search, what a wrapper fitted, or a wrapper of several fits.
    """
    before: list[Any] = []
    while not (hasattr(estimator, "history_") or hasattr(estimator, "coef_") or _members(estimator)):
        steps = getattr(estimator, "steps", None)
        if steps:
            before += [estimator[:-1]] if len(steps) > 1 else []
            estimator = steps[-1][1]
            continue
        inner = [a for a in ("best_estimator_", "regressor_", "estimator_") if hasattr(estimator, a)]
        if not inner:
            break
        estimator = getattr(estimator, inner[0])
    return before, estimator


def trained(estimator: Any) -> Any:
    """What was trained in the end."""
    return descend(estimator)[1]


def _members(estimator: Any) -> Sequence[Any]:
    """The fits of a wrapper of several: of outputs, classes, folds or bags."""
    if hasattr(estimator, "calibrated_classifiers_"):
        return [calibrated.estimator for calibrated in estimator.calibrated_classifiers_]
    fits = getattr(estimator, "estimators_", None)
    return fits if isinstance(fits, Sequence) else ()


def parts(estimator: Any) -> dict[str, Any]:
    """The fits of a wrapper of several by what each is for; of anything else itself, without a name."""
    wrapper = trained(estimator)
    fits = () if hasattr(wrapper, "history_") else _members(wrapper)
    if not fits:
        return {"": estimator}
    if hasattr(wrapper, "label_binarizer_") and len(wrapper.classes_) == len(fits):
        return {f"towards {label}": fit for label, fit in zip(wrapper.classes_, fits, strict=True)}
    folds, bags = hasattr(wrapper, "calibrated_classifiers_"), hasattr(wrapper, "estimators_features_")
    kind = "fold" if folds else "bag" if bags else "output"
    return {f"{kind} {i}": fit for i, fit in enumerate(fits)}


def parameter_path(estimator: Any, name: str) -> str:
    """The name by which `set_params` of a pipeline, a search or a wrapper reaches a parameter of what it trains."""
    if steps := getattr(estimator, "steps", None):
        return f"{steps[-1][0]}__{parameter_path(steps[-1][1], name)}"
    given = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    for inner in ("estimator", "regressor"):
        if name not in given and given.get(inner) is not None:
            return f"{inner}__{parameter_path(given[inner], name)}"
    return name


def with_best(estimator: Any) -> Any:
    """The estimator with the best of each fitted search in the place of the search, for fits that do not search again.

    Raises
    ------
    ValueError
        If a search has no best estimator yet.
    """
    if hasattr(estimator, "best_estimator_"):
        return with_best(estimator.best_estimator_)
    given = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    if {"refit", "error_score"} <= given.keys():
        raise ValueError(
            f"estimator={shown(estimator)} is a search without best_estimator_, and would tune anew for each fit: fit "
            "it first, with refit=True, or pass its estimator."
        )
    if steps := getattr(estimator, "steps", None):
        name, last = steps[-1]
        return clone(estimator).set_params(**{name: with_best(last)})
    for inner in ("estimator", "regressor"):
        if hasattr(given.get(inner), "fit"):
            fitted = getattr(estimator, f"{inner}_", given[inner])
            searched = hasattr(fitted, "best_estimator_")
            return clone(estimator).set_params(**{inner: with_best(fitted if searched else given[inner])})
    return estimator


def _by_output(named: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with a wrapper of several fits replaced by these."""
    return {
        f"{name}, {part}" if part else name: fit
        for name, estimator in named.items()
        for part, fit in parts(estimator).items()
    }


def solver_label(estimator: Any) -> str:
    """What an estimator is called in a legend: its solver, or its class where it has none."""
    estimator = trained(next(iter(parts(estimator).values())))
    solver = getattr(estimator, "solver", None)
    if isinstance(solver, str):
        return solver
    return type(estimator).__name__ if solver is None else repr(solver)


def named_estimators(estimators: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """Estimators by the name under which they are shown."""
    if isinstance(estimators, Mapping):
        if names is not None:
            raise ValueError("names must be None when estimators is a mapping: its keys are the names.")
        return _by_output(_some(estimators))
    if not isinstance(estimators, Sequence) or isinstance(estimators, str):
        raise TypeError(
            f"estimators={shown(estimators)} is not accepted: estimators must be a list of fitted estimators, or a "
            "dict of name to estimator."
        )
    _some(estimators)
    if names is not None and (isinstance(names, str) or not isinstance(names, Sequence)):
        raise TypeError(f"names={shown(names)} is not accepted: names must be a list of strings.")
    estimators = list(estimators)
    if names is None:
        labels = [solver_label(e) for e in estimators]
        twice = {name for name in labels if labels.count(name) > 1}
        names = [f"{name} ({i + 1})" if name in twice else name for i, name in enumerate(labels)]
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"name={shown(name)} is not accepted: a name must be a string.")
    if len(names) != len(estimators) or len(set(names)) != len(names):
        raise ValueError(f"names={shown(names)} must hold one name for each of the {len(estimators)} estimators.")
    return _by_output(dict(zip(names, estimators, strict=True)))


def _some(estimators: Any) -> Any:
    if not estimators:
        raise ValueError(f"estimators={estimators!r} is empty: give one fitted estimator at least.")
    return estimators


def check_fitted(estimator: Any) -> None:
    """Refuse what is no estimator, or not fitted."""
    check_kind("estimator", estimator, "fit", "a fitted estimator")
    check_is_fitted(estimator)


def fit_history(estimator: Any) -> dict[str, Array]:
    """``history_`` of what was trained, as arrays of floats."""
    check_fitted(estimator)
    if len(several := parts(estimator)) > 1:
        return _summed([fit_history(fit) for fit in several.values()])
    estimator = trained(*several.values())
    check_kind("estimator", estimator, "history_", "a fitted estimator with history_, as those of skvariants are")
    history = {key: np.asarray(value, dtype=float) for key, value in estimator.history_.items()}
    if not len(history["epoch"]):
        raise ValueError(f"{type(estimator).__name__} has no epoch in its history_: fit it for one epoch at least.")
    return history


def _summed(histories: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Fits one after the other as one: sums of objectives and seconds, where those that have ended stay as they are."""
    n = max(len(history["epoch"]) for history in histories)

    def total(key: str) -> Array:
        return np.sum([np.pad(history[key], (0, n - len(history[key])), "edge") for history in histories], axis=0)

    whole = {key: total(key) for key in ("objective", "seconds")}
    return whole | {"epoch": np.arange(1.0, n + 1), "validation_score": np.full(n, np.nan)}
