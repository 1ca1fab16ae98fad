"""What a search gives back: ``cv_results_``, and one word about each way in which fits went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning

from skvariants.model_selection._evaluate import FoldResult
from skvariants.model_selection._plan import PipelineGroup
from skvariants.model_selection._progress import warn

Array = np.ndarray
Settings = Sequence[Mapping[str, Any]]
# candidates that a warning names
_NAMED = 5

# ---------------------------------------------------------------------- cv_results_


def table(results: Iterable[FoldResult], candidates: Iterable[int], error_score: Any) -> list[list[FoldResult]]:
    """Results by candidate and fold; a failed one gets its error score for every metric."""
    results = list(results)
    good = next((r.test for r in results if r.failure is None and not r.diverged), None)
    rows: dict[int, list[FoldResult]] = {number: [] for number in candidates}
    for result in sorted(results, key=lambda r: r.fold):
        if isinstance(good, dict) and not isinstance(result.test, dict):
            failed = dict.fromkeys(good, error_score)
            result.test, result.train = failed, dict(failed)
        rows[result.candidate].append(result)
    return list(rows.values())


def cv_results(
    settings: Settings, rows: Sequence[Sequence[FoldResult]], train: bool, more: Mapping[str, Any]
) -> dict[str, Any]:
    """``cv_results_`` in scikit-learn's layout.

    Parameters
    ----------
    settings : sequence of dict
        Parameters of each row.
    rows : sequence of sequence of FoldResult
        Results of each row by fold.
    train : bool
        Whether training rows were scored too.
    more : dict of str to sequence
        Further columns, which come first.

    Returns
    -------
    dict of str to ndarray
        "params" is a list.
    """
    columns: dict[str, Any] = {name: np.asarray(values) for name, values in more.items()}
    for name in ("fit_time", "score_time"):
        seconds = np.array([[getattr(result, name) for result in row] for row in rows], dtype=np.float64)
        columns[f"mean_{name}"], columns[f"std_{name}"] = seconds.mean(axis=1), seconds.std(axis=1)
    columns |= param_columns(settings)
    columns["params"] = settings
    first = rows[0][0].test
    for metric in first if isinstance(first, dict) else [None]:
        for kind in ("test", "train") if train else ("test",):
            values = [[getattr(result, kind) for result in row] for row in rows]
            if metric is not None:
                values = [[scores[metric] for scores in row] for row in values]
            columns |= _score_columns(f"{kind}_{'score' if metric is None else metric}", values, kind == "test")
    return columns


def _score_columns(name: str, values: list[list[float]], ranked: bool) -> dict[str, Array]:
    """Scores of each fold, their mean and spread, and what place a candidate has."""
    scores = np.array(values, dtype=np.float64)
    columns = {f"split{fold}_{name}": scores[:, fold] for fold in range(scores.shape[1])}
    means = columns[f"mean_{name}"] = scores.mean(axis=1)
    if not np.isfinite(means).all():
        warn(f"One or more of the {name.split('_')[0]} scores are non-finite: {means}", UserWarning)
    with np.errstate(invalid="ignore"):
        columns[f"std_{name}"] = scores.std(axis=1)
    if ranked:
        columns[f"rank_{name}"] = ranks(means)
    return columns


def param_columns(settings: Settings) -> dict[str, np.ma.MaskedArray]:
    """A masked array for each parameter; masked where a candidate does not have it."""
    columns: dict[str, dict[int, Any]] = {}
    for number, params in enumerate(settings):
        for name, value in params.items():
            columns.setdefault(f"param_{name}", {})[number] = value
    result = {}
    for name, values in columns.items():
        try:
            array = np.array(list(values.values()))
            kind: Any = array.dtype if array.dtype.kind != "U" and array.ndim == 1 else object
        except ValueError:  # lists of different lengths
            kind = object
        column = np.ma.MaskedArray(np.empty(len(settings), dtype=kind), mask=True)
        for number, value in values.items():
            column[number] = value
        result[name] = column
    return result


def ranks(means: Array) -> Array:
    """Ranks from 1; candidates without a finite mean share the last place."""
    if np.isnan(means).all():
        return np.ones(len(means), dtype=np.int32)
    means = np.where(np.isnan(means), np.nanmin(means) - 1, means)
    return rankdata(-means, method="min").astype(np.int32)


# ---------------------------------------------------------------------- reports


def report_failures(results: Sequence[FoldResult], settings: Settings, error_score: Any) -> None:
    """One warning for fits that failed, one for candidates that diverged.

    Parameters
    ----------
    results : sequence of FoldResult
        Of all candidates and folds.
    settings : sequence of dict
        Of the candidates.
    error_score : number
        What they scored.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    failures = Counter(r.failure for r in results if r.failure is not None)
    failed, total = sum(failures.values()), len(results)
    line = "-" * 80 + "\n"
    summary = "\n".join(f"{line}{n} fits failed with the following error:\n{text}" for text, n in failures.items())
    diverged = sorted({r.candidate for r in results if r.diverged})
    if failed + sum(r.diverged for r in results) == total:
        if diverged:
            summary += f"\n{total - failed} fits diverged: use smaller steps; eta0='auto' finds them."
        raise ValueError(
            f"\nAll the {total} fits failed.\nIt is very likely that your model is misconfigured.\n"
            "You can try to debug the error by setting error_score='raise'.\n\n"
            f"Below are more details about the failures:\n{summary}"
        )
    if failed:
        warn(
            f"\n{failed} fits failed out of a total of {total}.\nThe score on these train-test partitions for these "
            f"parameters will be set to {error_score}.\nIf these failures are not expected, you can try to debug "
            f"them by setting error_score='raise'.\n\nBelow are more details about the failures:\n{summary}",
            FitFailedWarning,
        )
    if diverged:
        warn(
            f"{len(diverged)} of {len(settings)} candidates diverged on at least one fold, where their score is set "
            f"to {error_score}: {_names(diverged, settings)}. Their steps are too large; eta0='auto' finds a step for "
            "each candidate.",
            ConvergenceWarning,
        )


def report_unfinished(results: Sequence[FoldResult], groups: Sequence[PipelineGroup], settings: Settings) -> None:
    """One warning for candidates that were still improving when their epochs were used up."""
    patient = {
        candidate.number
        for group in groups
        for candidate in group.candidates
        if candidate.spec is not None and candidate.spec.stopping.tol is not None
    }
    unfinished = sorted({r.candidate for r in results if r.unfinished} & patient)
    if unfinished:
        warn(
            f"{len(unfinished)} of {len(settings)} candidates reached max_iter before they converged on at least one "
            f"fold: {_names(unfinished, settings)}. Consider increasing max_iter to improve their fits.",
            ConvergenceWarning,
        )


def report_cut_short(results: Sequence[FoldResult], settings: Settings) -> None:
    """One warning for candidates that were still improving when their time was over."""
    candidates = sorted({r.candidate for r in results if r.cut_short})
    if candidates:
        warn(
            f"{len(candidates)} of {len(settings)} candidates reached max_time before they converged on at least one "
            f"fold, and are compared as they were then: {_names(candidates, settings)}. Pass a larger max_time, or "
            "fewer candidates.",
            ConvergenceWarning,
        )


def _names(candidates: Sequence[int], settings: Settings) -> str:
    more = ", ..." if len(candidates) > _NAMED else ""
    return ", ".join(str(settings[number]) for number in candidates[:_NAMED]) + more


__all__ = ["cv_results", "param_columns", "ranks", "report_cut_short", "report_failures", "report_unfinished", "table"]
