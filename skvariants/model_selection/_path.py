r"""Candidates along the strength of an L2 penalty: a few are fitted, the others start between them.

The optimum is a smooth function of the logarithm of the strength, so a spline through a few optima passes near the
others. Most of these have arrived where they start: one look at all rows says so, by the test that ends any fit. It is
what a path of warm starts does [1]_, for columns side by side.

References
----------
.. [1] Friedman, Hastie and Tibshirani (2010), "Regularization paths for generalized linear models via coordinate
   descent", doi:10.18637/jss.v033.i01.
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
# optima to be known for each factor of ten, and how much nearer they are where penalties are strong (14 over seven
# decades: splines end at 1e-6 of the gain on drawn rows, bank_full, adult and a9a; evenly spaced at 1e-3)
_PER_DECADE, _TOWARDS_STRONG = 2.0, 1.5
# they are themselves found between every second
_STRIDES = (2, 1)
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
    results: dict[int, Any] = {}
    plain: list[int] = []
    for line in lines.values():
        places = _places([specs[j] for j in line], data)
        if places is None:
            plain += line
            continue
        found = _fit_line([specs[line[place]] for place in places], data)
        results |= {line[place]: result for place, result in zip(places, found, strict=True)}
    if plain:
        results |= dict(zip(plain, fit_together([specs[j] for j in plain], data, certified=False), strict=True))
    return [results[j] for j in range(len(specs))]


def _places(specs: Sequence[Spec], data: Data) -> list[int] | None:
    """The order of the candidates of a line, from weak to strong; None where nothing is known of what lies between."""
    spec, task = specs[0], data.task
    steps = spec.solver.method not in ("chosen", "quasi-Newton") or not spec.free
    if steps or spec.stopping.tol is None or data.validation is not None:
        return None
    loss, penalty = task.bind_loss(spec.loss), spec.penalty
    if not loss.smooth or loss.quadratic or not penalty.elastic or penalty.has_prox or spec.by_feature.bounded:
        return None  # of a quadratic loss, one Hessian says all of all candidates
    strengths = [s.penalty.l2_strength for s in specs]
    if len(specs) * task.n_columns * data.rows.n < _WORTH or any(np.ndim(strength) for strength in strengths):
        return None
    if min(strengths) <= 0 or len(_known(np.sort(strengths))) > len(set(strengths)) // 2:
        return None
    return np.argsort(strengths, kind="stable").tolist()


def _known(strengths: Array) -> list[int]:
    """Which optima, of ascending strengths, are to be known before the others; the weakest and the strongest are."""
    logs = np.log(strengths)
    count = max(4, int(np.ceil(_PER_DECADE * (logs[-1] - logs[0]) / np.log(10))))
    places = logs[-1] - (logs[-1] - logs[0]) * np.linspace(1, 0, count) ** _TOWARDS_STRONG
    return np.unique(np.abs(logs[:, None] - places).argmin(axis=0)).tolist()


def _fit_line(specs: Sequence[Spec], data: Data) -> list[Fitted | Exception]:
    """Fit specs of ascending strength, in rounds: each starts between what the rounds before have found."""
    known = _known(np.array([spec.penalty.l2_strength for spec in specs]))
    results: dict[int, Any] = {}
    for wanted in (*({*known[::stride], known[-1]} for stride in _STRIDES), range(len(specs))):
        new = [j for j in sorted(wanted) if j not in results]
        starts = _between(results, specs, new) if results else None
        beside = results[0].kept.setup if results else None
        found = fit_together([specs[j] for j in new], data, certified=False, starts=starts, beside=beside)
        results |= dict(zip(new, found, strict=True))
        if not all(map(_arrived, results.values())):
            break
    rest = [j for j in range(len(specs)) if j not in results]
    results |= dict(zip(rest, fit_together([specs[j] for j in rest], data, certified=False), strict=True))
    return [results[j] for j in range(len(specs))]


def _arrived(result: Fitted | Exception) -> bool:
    """Whether a fit is near its optimum, and by iterations."""
    if isinstance(result, Exception):
        return False
    return result.status == "converged" and result.kept.setup.solver.method == "quasi-Newton"


def _between(results: dict[int, Fitted], specs: Sequence[Spec], new: Sequence[int]) -> list[tuple[Array, Array]]:
    """Coefficients and intercepts between those that are known, by a spline in the logarithm of the strength."""
    at = np.log([spec.penalty.l2_strength for spec in specs])
    known = [j for j in sorted(results) if j == 0 or at[j] > at[j - 1] or j - 1 not in results]
    spline = CubicSpline(at[known], np.array([results[j].theta for j in known], dtype=np.float64))
    return [(theta[:-1].T, theta[-1]) for theta in spline(at[new])]


__all__ = ["fit_along_strengths"]
