r"""Candidates along the strength of an L2 penalty: a few are fitted, the others start between them.

The optimum is a smooth function of the logarithm of the strength. Splines through a few optima are so near the others
[1]_ that most of these have arrived where they start: one look at all rows says so, by the same test that ends a fit.

References
----------
.. [1] Rosset and Zhu (2007), "Piecewise linear regularized solution paths", doi:10.1214/009053606000001370.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from skvariants._component import identity
from skvariants._data.validate import Data
from skvariants._fit import Fitted, fit_together
from skvariants._spec import Spec

Array = np.ndarray
# optima to fit for each factor of ten, and how much nearer they are where penalties are strong (14 over seven decades:
# 1e-6 of the gain from the optimum on drawn rows, bank_full, adult and a9a; evenly spaced a hundred times as far)
_PER_DECADE, _TOWARDS_STRONG = 2.0, 1.5
# numbers in the predictions of a line of candidates from which it pays
_WORTH = 1 << 19


def fit_along_strengths(specs: Sequence[Spec], data: Data) -> list[Fitted | Exception]:
    """Fit specs of one group as columns; those that differ in the strength of an L2 penalty start near their optima.

    Parameters
    ----------
    specs : sequence of Spec
        Of equal :meth:`Spec.group_key`.
    data : Data
        What they learn from.

    Returns
    -------
    list of Fitted or Exception
        What the fit of each gave, or what it raised.
    """
    lines: dict[Hashable, list[int]] = {}
    for j, spec in enumerate(specs):
        lines.setdefault((spec.loss.key(), identity(spec.stopping)), []).append(j)
    chosen = {key: _nodes(specs, line, data) for key, line in lines.items()}
    first = [j for key, line in lines.items() for j in (line if chosen[key] is None else chosen[key])]
    results: list[Any] = [None] * len(specs)
    _fit_into(results, first, specs, data)
    rest: list[int] = []
    starts: list[Any] = []
    others: list[int] = []
    for key, line in lines.items():
        nodes = chosen[key]
        if nodes is None:
            continue
        remaining = sorted(set(line) - set(nodes), key=lambda j: _strength(specs[j]))
        if all(_arrived(results[j]) for j in nodes):
            rest += remaining
            starts += _between([results[j] for j in nodes], [specs[j] for j in remaining])
        else:
            others += remaining
    _fit_into(results, rest, specs, data, starts)
    _fit_into(results, others, specs, data)
    return results


def _fit_into(results: list[Any], some: list[int], specs: Sequence[Spec], data: Data, starts: Any = None) -> None:
    if some:
        found = fit_together([specs[j] for j in some], data, certified=False, starts=starts)
        for j, result in zip(some, found, strict=True):
            results[j] = result


def _nodes(specs: Sequence[Spec], line: list[int], data: Data) -> list[int] | None:
    """Which candidates of a line are to be fitted first, from weak to strong; None where it is not worth it."""
    spec, task = specs[line[0]], data.task
    loss, penalty, stopping = task.bind_loss(spec.loss), spec.penalty, spec.stopping
    steps = spec.solver.method not in ("chosen", "quasi-Newton") or not spec.free
    if steps or not loss.smooth or not penalty.elastic or penalty.has_prox or stopping.tol is None:
        return None
    if data.validation is not None or len(line) * task.n_columns * data.rows.n < _WORTH:
        return None
    if any(np.ndim(specs[j].penalty.l2_strength) > 0 for j in line):
        return None
    by_strength = {_strength(specs[j]): j for j in line}
    strengths = np.log(np.maximum(sorted(by_strength), np.finfo(float).tiny))
    decades = (strengths[-1] - strengths[0]) / np.log(10)
    count = int(np.ceil(_PER_DECADE * decades))
    if not 4 <= count <= len(strengths) // 2:
        return None
    places = strengths[-1] - (strengths[-1] - strengths[0]) * np.linspace(1, 0, count) ** _TOWARDS_STRONG
    nearest = np.unique(np.abs(strengths[:, None] - places).argmin(axis=0))
    return [by_strength[strength] for strength in np.array(sorted(by_strength))[nearest].tolist()]


def _strength(spec: Spec) -> float:
    return float(spec.penalty.l2_strength)


def _arrived(result: Fitted | Exception) -> bool:
    """Whether a fit is near its optimum, and by iterations."""
    if isinstance(result, Exception):
        return False
    return result.status == "converged" and result.kept.setup.solver.method == "quasi-Newton"


def _between(nodes: Sequence[Fitted], specs: Sequence[Spec]) -> list[tuple[Array, Array]]:
    """Coefficients and intercepts between fitted ones, by a spline in the logarithm of the strength."""
    strengths = np.log([_strength(node.spec) for node in nodes])
    spline = CubicSpline(strengths, np.array([node.theta for node in nodes], dtype=np.float64))
    return [(theta[:-1].T, theta[-1]) for theta in (spline(np.log(_strength(spec))) for spec in specs)]


__all__ = ["fit_along_strengths"]
