"""Paths of solvers over a surface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from skvariants._component import check, integers, number, shown
from skvariants.displays._style import (
    Array,
    add_legend,
    check_kind,
    check_several,
    names_keywords,
    place_axes,
    styles,
)


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
            Whose steps to take, by :meth:`skvariants.solvers.Solver.update` without a penalty.
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
        check_kind("objective", objective, "__call__", "a function of two arrays")
        check_several("solvers", solvers, "a list of solvers, or a dict of name to solver")
        if isinstance(solvers, str) or not list(solvers):
            raise ValueError(
                f"solvers={shown(solvers)} is not accepted: solvers must be a list of one solver at least."
            )
        if not isinstance(solvers, Mapping):
            solvers = {type(solver).__name__.lower(): solver for solver in solvers}
        paths = {}
        for name, solver in solvers.items():
            if isinstance(eta, Mapping) and name not in eta:
                raise ValueError(f"eta={shown(eta)} has no step for {name!r}: give one for each solver.")
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

        Raises
        ------
        ValueError
            If the solver has no step from a gradient alone, as "quasi_newton" has none.
        """
        from skvariants.penalties import ElasticNet
        from skvariants.solvers import Step

        check_kind("gradient", gradient, "__call__", "a function of a point")
        check_kind("solver", solver, "method", "an instance of Solver, such as Momentum()")
        check("eta", eta, number(0, closed="neither"))
        check("n_steps", n_steps, integers(1))
        if np.shape(start) != (2,) or not np.isfinite(np.asarray(start, dtype=float)).all():
            raise ValueError(f"start={shown(start)} is not accepted: start must be two finite numbers.")
        if solver.method != "steps" or solver.needs:
            raise ValueError(
                f"{solver!r} has no step from a gradient alone, so it cannot walk down a surface: give a solver that "
                "has, such as Momentum()."
            )
        # the last row is that of an intercept, which stays zero
        theta = np.zeros((3, 1))
        theta[:2, 0] = np.reshape(start, 2)
        step = Step(ElasticNet(alpha=0.0, l1_ratio=0.0), theta)
        step.eta = eta
        memory = solver.allocate(theta, step.penalty, step.implicit)
        path = [theta[:2, 0].copy()]
        for _ in range(n_steps):
            step.t += 1
            g = np.zeros_like(theta)
            g[:2, 0] = np.reshape(gradient(theta[:2, 0].copy()), 2)
            solver.update(theta, g, step, *memory)
            path.append(solver.solution(theta, *memory)[:2, 0].copy())
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

    @names_keywords
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
        check("levels", levels, integers(1))
        check("margin", margin, number(0))
        if self.minimum is not None and np.shape(self.minimum) != (2,):
            raise ValueError(f"minimum={shown(self.minimum)} is not accepted: minimum must be None or two numbers.")
        self.figure_, (self.ax_,) = place_axes(ax, 1, (7.2, 4.0))
        a, b = self._extent(margin)
        self._plot_contours(a, b, levels)
        self._plot_paths(kwargs)
        self.ax_.set(xlabel="first weight", ylabel="second weight", xlim=(a[0], a[-1]), ylim=(b[0], b[-1]))
        self.ax_.spines[["top", "right"]].set_visible(False)
        self._plot_legend()
        return self

    def _start(self) -> Array:
        """Where the first path starts."""
        return next(iter(self.paths.values()))[0]

    def _extent(self, margin: float) -> list[Array]:
        """Points along both axes; a path that diverges leaves the picture instead of ruling it."""
        points = np.concatenate(list(self.paths.values()))
        with np.errstate(over="ignore", invalid="ignore"):
            points = points[self._height(points) <= 2 * self._height(self._start()[None])]
        if self.minimum is not None:
            points = np.vstack([points, np.asarray(self.minimum, float)])
        low, high = points.min(axis=0), points.max(axis=0)
        room = margin * np.maximum(high - low, 1e-12)
        return [np.linspace(low[i] - room[i], high[i] + room[i], 201) for i in range(2)]

    def _plot_contours(self, a: Array, b: Array, levels: int) -> None:
        """Draw contours, dense near the optimum."""
        A, B = np.meshgrid(a, b)
        F = np.asarray(self.objective(A, B), float)
        base = F.min() if self.minimum is None else min(F.min(), self._value(self.minimum)[0])
        heights = base + (F.max() - base) * (np.arange(1, levels + 1) / (levels + 0.5)) ** 2
        self.contours_ = self.ax_.contour(A, B, F, levels=heights, colors="0.8", linewidths=0.8, zorder=1)

    def _plot_paths(self, kwargs: Mapping[str, Any]) -> None:
        """Draw the paths, the start and the optimum."""
        zigzag, self.lines_ = self.zigzag, []
        for (name, path), style in zip(self.paths.items(), styles(list(self.paths)), strict=True):
            label = f"{name}: path {zigzag[name]:.2f} times the straight way"
            line = {"color": style.color, "linestyle": style.dashes, "linewidth": 1.5, "marker": style.marker or "o"}
            line |= {"markersize": 3.2, **kwargs}
            self.lines_ += self.ax_.plot(path[:, 0], path[:, 1], label=label, **line)
        point = {"color": "black", "linestyle": "none", "zorder": 4}
        self.ax_.plot(*self._start(), marker="s", markersize=7, label="start", **point)
        if self.minimum is not None:
            self.ax_.plot(*self.minimum, marker="*", markersize=12, label="optimum", **point)

    def _plot_legend(self) -> None:
        """Put the legend below the label of the axis, however high the axes are."""
        from matplotlib.transforms import offset_copy

        below = offset_copy(self.ax_.transAxes, self.ax_.figure, y=-0.42, units="inches")
        add_legend(
            self.ax_, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, borderaxespad=0,
            ncols=2 if len(self.paths) > 1 else 3,
        )  # fmt: skip
