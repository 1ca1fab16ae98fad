"""What all displays share: colours and line styles, axes and legends, and what they read of an estimator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skvariants._component import shown
from skvariants.solvers import SOLVERS

Array = np.ndarray

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#808080"
#: colour and line style of each solver, in every picture; one that is not listed takes the next that are free
SOLVER_STYLES: dict[str, tuple[str, Any]] = {
    "auto": (BLACK, "-"),
    "gd": (GREY, "-"),
    "sgd": (GREY, ":"),
    "minibatch": (BLACK, ":"),
    "momentum": (BLUE, "-"),
    "nesterov": (SKY, "--"),
    "adagrad": (GREEN, "-"),
    "adadelta": (PURPLE, "-."),
    "rmsprop": (ORANGE, "--"),
    "adam": (VERMILLION, "-"),
    # seen on top of "auto", which it often is
    "quasi_newton": (GREEN, "--"),
    "interior_point": (BLUE, "--"),
    # a colour, or two, for each further family
    "qhm": (GREY, "--"),
    "adamax": (VERMILLION, "--"), "nadam": (VERMILLION, "-."), "amsgrad": (VERMILLION, ":"),
    "yogi": (ORANGE, "-"), "adamw": (ORANGE, "-."), "radam": (ORANGE, ":"),
    "adabelief": (PURPLE, "-"), "adan": (PURPLE, "--"), "adopt": (PURPLE, ":"),
    "rprop": (SKY, "-"), "signum": (SKY, "-."), "lion": (SKY, ":"),
    "cocob": (GREEN, "-."), "dog": (GREEN, ":"), "dowg": (BLUE, "-."), "prodigy": (BLUE, ":"),
    "dual_averaging": (GREY, "-."), "ftrl": (BLACK, "--"), "schedule_free": (BLACK, "-."),
}  # fmt: skip
_FREE = (
    (colour, dashes)
    for dashes in ((0, (8, 2)), (0, (2, 1, 2, 4)), (0, (1, 4)), (0, (12, 2, 2, 2)))
    for colour in (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, GREY, BLACK)
)
SOLVER_STYLES |= dict(zip((name for name in SOLVERS if name not in SOLVER_STYLES), _FREE, strict=False))
#: of everything else, in this order
CYCLE = [
    (BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (ORANGE, "-"), (PURPLE, "--"),
    (BLACK, "-."), (SKY, "-"), (GREY, "--"),
]  # fmt: skip


def styles(names: Sequence[str]) -> list[tuple[str, Any]]:
    """Colour and line style of each name: those of the solver, or the next of the cycle whose colour is not taken."""
    known = [SOLVER_STYLES.get(name.lower()) for name in names]
    if known.count(None) > len(names) // 2:
        known = [None] * len(names)
    taken = {style[0] for style in known if style is not None}
    free = [style for style in CYCLE if style[0] not in taken] or CYCLE
    others = iter(free * len(names))
    return [next(others) if style is None else style for style in known]


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


def set_log(ax: Any, log: Any, values: Iterable[Any]) -> None:
    """Put the vertical axis on a log scale, if `log` is True or it is "auto" and that helps."""
    if log is True or (log == "auto" and log_helps(values)):
        ax.set_yscale("log")


def check_kind(name: str, value: Any, attribute: str, kind: str) -> None:
    """Refuse a value that lacks what is needed of it, in a sentence that says what it must be."""
    if not hasattr(value, attribute) or isinstance(value, type):
        raise TypeError(f"{name}={shown(value)} is not accepted: {name} must be {kind}.")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Refuse a value that is not among the choices, in a sentence that names them."""
    if not isinstance(value, (str, bool)) or value not in choices:
        raise ValueError(
            f"{name}={shown(value)} is not accepted: {name} must be one of {', '.join(map(repr, choices))}."
        )


def solver_label(estimator: Any) -> str:
    """What an estimator is called in a legend: its solver, or its class where it has none."""
    solver = getattr(estimator, "solver", None)
    if isinstance(solver, str):
        return solver
    return type(estimator).__name__ if solver is None else repr(solver)


def named_estimators(estimators: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """Estimators by the name under which they are shown."""
    if isinstance(estimators, Mapping):
        if names is not None:
            raise ValueError("names must be None when estimators is a mapping: its keys are the names.")
        return dict(estimators)
    if not isinstance(estimators, Sequence) or isinstance(estimators, str):
        raise TypeError(
            f"estimators={shown(estimators)} is not accepted: estimators must be a list of fitted estimators, or a "
            "dict of name to estimator."
        )
    if not estimators:
        raise ValueError(f"estimators={estimators!r} is empty: give one fitted estimator at least.")
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
    return dict(zip(names, estimators, strict=True))


def check_fitted(estimator: Any) -> None:
    """Refuse what is no estimator, or not fitted."""
    check_kind("estimator", estimator, "fit", "a fitted estimator")
    check_is_fitted(estimator)


def fit_history(estimator: Any) -> dict[str, Array]:
    """``history_`` of a fitted estimator as arrays of floats."""
    check_fitted(estimator)
    check_kind("estimator", estimator, "history_", "a fitted estimator with history_, as those of skvariants are")
    history = {key: np.asarray(value, dtype=float) for key, value in estimator.history_.items()}
    if not len(history["epoch"]):
        raise ValueError(f"{type(estimator).__name__} has no epoch in its history_: fit it for one epoch at least.")
    return history
