"""Successive halving in which a rung is a continuation."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, log
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler

from skvariants._component import SEED, Accepts, Flag, OneOf, integers, number
from skvariants.model_selection._search import BatchedSearch, Evaluation

# epochs of the first rung: enough for the race of step sizes to be over
_SMALLEST = 4


class BatchedHalvingSearchCV(BatchedSearch, GridSearchCV):
    r"""Successive halving over epochs, in which a rung is a continuation and not a refit.

    All :math:`n` candidates train :math:`r_0` epochs, the best :math:`n / \eta` of them go on to :math:`\eta\, r_0`
    from where they stand, and so on; so a candidate that reaches :math:`r` epochs has cost :math:`r` and not
    :math:`r + r / \eta + r / \eta^2 + \dots` as in :class:`sklearn.model_selection.HalvingGridSearchCV`. Use it when
    epochs are dear: large tables, large grids, small steps. The scores of the last rung are those of a full fit with
    that many epochs.

    Parameters
    ----------
    estimator : SGDVariantClassifier, SGDVariantRegressor or Pipeline that ends in one
        What is tuned.
    param_grid : dict or list of dict
        Names of parameters and the values to try; with `n_candidates`, also distributions with a method `rvs`.
    n_candidates : int or None, default=None
        How many settings are drawn from `param_grid`; None takes all.
    factor : float, default=3
        The share :math:`1 / \eta` of the candidates goes on, with :math:`\eta` times the epochs.
    max_resources : int or "auto", default="auto"
        Most epochs of a candidate; "auto" is the estimator's `max_iter`.
    min_resources : int, "smallest" or "exhaust", default="smallest"
        Epochs of the first rung. "smallest" is 4; "exhaust" is so many that the last rung reaches
        `max_resources`.
    aggressive_elimination : bool, default=False
        Whether the first rung is repeated until few enough candidates are left for the last one.
    cv : int, splitter or iterable, default=5
        The folds; they are drawn once and are the same in all rungs.
    scoring : str, callable or None, default=None
        A single metric, as in scikit-learn.
    refit : bool, default=True
        Whether to fit the best candidate on all rows, with the estimator's own `max_iter`.
    error_score : "raise" or number, default=nan
        Score of a fit that fails or diverges; "raise" raises the error instead.
    return_train_score : bool, default=True
        Whether ``cv_results_`` holds scores on the training rows.
    random_state : int, RandomState or None, default=None
        Seed of the draws of `n_candidates`.
    n_jobs : int or None, default=None
        Processes over folds (and settings of the steps before the estimator).
    pre_dispatch : int or str, default="2*n_jobs"
        How many tasks joblib dispatches ahead.
    verbose : int, default=0
        1 prints the rungs; from 2 on a line for each fit, from 3 on with scores.
    max_time : float or None, default=None
        Seconds for all fits of this package together: each gets an even part of what is left when it begins, makes at
        least one epoch, and is compared as it is when that is used up. The final fit has what is left.

    Attributes
    ----------
    n_resources_ : list of int
        Epochs that candidates have behind them at the end of each rung.
    n_candidates_ : list of int
        Candidates of each rung.
    n_epochs_ : list of int
        What each rung cost: epochs over a training fold, summed over candidates and folds. Candidates that stop by
        their own rule cost less than they may.
    n_iterations_, n_required_iterations_, n_possible_iterations_ : int
        Rungs; as many as leave fewer than `factor` candidates; as many as `max_resources` allows.
    min_resources_, max_resources_ : int
        Epochs of the first rung, and the most of the last.
    n_remaining_candidates_ : int
        Candidates left after the last rung.
    cv_results_ : dict of str to ndarray
        A row for each candidate and rung, with "iter" (number of the rung) and "n_resources" (epochs): "params",
        "param_<name>" (masked), "split<i>_test_<metric>", "mean_test_<metric>", "std_test_<metric>",
        "rank_test_<metric>", the same
        for "train" on demand, and "mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time" in seconds;
        candidates that were trained together share the time equally.
    best_estimator_ : estimator
        The winner, fitted on all rows.
    best_score_ : float
        Its mean score over the folds.
    best_params_ : dict
        Its parameters.
    best_index_ : int
        Its row in ``cv_results_``.
    scorer_ : callable or dict
        The scorer, or scorers by name.
    n_splits_ : int
        Folds.
    refit_time_ : float
        Seconds of the final fit.
    multimetric_ : bool
        Whether there are several metrics.
    classes_, n_features_in_, feature_names_in_
        Those of ``best_estimator_``.

    References
    ----------
    Jamieson and Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization",
    arXiv:1502.07943.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skvariants import SGDVariantClassifier
    >>> from skvariants.model_selection import BatchedHalvingSearchCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SGDVariantClassifier(solver="adam", max_iter=50, tol=None, random_state=0)
    >>> search = BatchedHalvingSearchCV(model, {"alpha": [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000]}, cv=3)
    >>> search = search.fit(X, y)
    >>> search.n_candidates_, search.n_resources_, search.n_epochs_
    ([9, 3, 1], [4, 12, 36], [108, 72, 72])
    """

    n_resources_: list[int]
    n_candidates_: list[int]
    n_epochs_: list[int]
    n_iterations_: int
    n_remaining_candidates_: int

    _accepts: ClassVar[dict[str, Accepts]] = {
        **BatchedSearch._accepts,
        "scoring": OneOf(None, str, Callable),
        "refit": Flag(),
        "n_candidates": OneOf(None, integers(1)),
        "factor": number(1, closed="neither"),
        "max_resources": OneOf("auto", integers(1)),
        "min_resources": OneOf("smallest", "exhaust", integers(1)),
        "aggressive_elimination": Flag(),
        "random_state": SEED,
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        n_candidates: int | None = None,
        factor: float = 3,
        max_resources: Any = "auto",
        min_resources: Any = "smallest",
        aggressive_elimination: bool = False,
        cv: Any = 5,
        scoring: Any = None,
        refit: bool = True,
        error_score: Any = np.nan,
        return_train_score: bool = True,
        random_state: Any = None,
        n_jobs: int | None = None,
        pre_dispatch: Any = "2*n_jobs",
        verbose: int = 0,
        max_time: float | None = None,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.n_candidates = n_candidates
        self.factor = factor
        self.max_resources = max_resources
        self.min_resources = min_resources
        self.aggressive_elimination = aggressive_elimination
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.pre_dispatch = pre_dispatch
        self.verbose = verbose
        self.max_time = max_time

    def _settings(self) -> list[dict[str, Any]]:
        if self.n_candidates is None:
            return list(ParameterGrid(self.param_grid))
        return list(ParameterSampler(self.param_grid, self.n_candidates, random_state=self.random_state))

    def _check_candidates(self, evaluate: Evaluation) -> int:
        """Only what can go on can climb, and epochs are not searched; the `max_iter` of the estimator."""
        candidates = [candidate for group in evaluate.groups for candidate in group.candidates]
        for candidate in candidates:
            if getattr(candidate.final, "_skl_callbacks", None):
                raise ValueError(
                    f"The estimator of {type(self).__name__} has callbacks, and candidates go on together from rung to "
                    "rung: give them to the search, by its set_callbacks, or use BatchedGridSearchCV."
                )
            if not candidate.as_columns:
                raise ValueError(
                    f"{type(self).__name__} goes on with SGDVariantClassifier and SGDVariantRegressor, alone or as "
                    f"the last step of a pipeline; the candidate {candidate.params} is fitted by "
                    f"{type(candidate.final).__name__}. Use BatchedGridSearchCV, or scikit-learn's halving search."
                )
            if any(name.rpartition("__")[2] == "max_iter" for name in candidate.params):
                raise ValueError(
                    "max_iter cannot be searched: epochs are the resource. Remove it from param_grid, and set "
                    "max_resources."
                )
        sound = [candidate.spec for candidate in candidates if candidate.spec is not None]
        spec = sound[0] if sound else candidates[0].final.__skvariants_spec__()  # says what is wrong with it
        return spec.stopping.max_iter

    def _rungs(self, n: int, max_iter: int) -> dict[str, Any]:
        """How many candidates train for how long; scikit-learn's rule."""
        most = max_iter if self.max_resources == "auto" else int(self.max_resources)
        least = min(_SMALLEST, most) if isinstance(self.min_resources, str) else int(self.min_resources)
        if least > most:
            raise ValueError(f"min_resources_={least} is greater than max_resources_={most}.")
        required = 1 + floor(log(n, self.factor))
        if self.min_resources == "exhaust":
            least = max(1, int(most // self.factor ** (required - 1)))
        possible = 1 + floor(log(most // least, self.factor))
        iterations = required if self.aggressive_elimination else min(possible, required)
        epochs, candidates = [], []
        for rung in range(iterations):
            power = max(0, rung - required + possible) if self.aggressive_elimination else rung
            epochs.append(min(int(self.factor**power * least), most))
            candidates.append(n)
            n = ceil(n / self.factor)
        return {
            "n_resources_": epochs, "n_candidates_": candidates, "n_remaining_candidates_": n,
            "n_iterations_": iterations, "n_required_iterations_": required, "n_possible_iterations_": possible,
            "min_resources_": least, "max_resources_": most,
        }  # fmt: skip

    def _run_search(self, evaluate: Evaluation, callback_ctx: Any) -> dict[str, Any]:
        going = list(range(len(evaluate.settings)))
        found = self._rungs(len(going), self._check_candidates(evaluate))
        if self.verbose > 0:
            for name in ("n_iterations_", "n_required_iterations_", "n_possible_iterations_"):
                print(f"{name[:-1]}: {found[name]}")
        search = callback_ctx.subcontext(task_name="search", max_subtasks=found["n_iterations_"])
        search.call_on_fit_task_begin(estimator=self)
        costs = []
        for rung, epochs in enumerate(found["n_resources_"]):
            if self.verbose > 0:
                print("-" * 10, f"iter: {rung}", f"n_candidates: {len(going)}", f"n_resources: {epochs}", sep="\n")
            task = search.subcontext(
                task_name="halving-iteration", max_subtasks=len(going) * evaluate.n_splits, sequential_subtasks=False
            )
            task.call_on_fit_task_begin(estimator=self)
            evaluate.timer.rounds = found["n_iterations_"] - rung
            rows = evaluate(going, task, epochs, iter=rung, n_resources=epochs)
            costs.append(sum(result.epochs for row in rows for result in row))
            scores = np.array([np.mean([result.test for result in row]) for row in rows], dtype=float)
            order = np.roll(np.argsort(scores), np.count_nonzero(np.isnan(scores)))
            going = [going[position] for position in order[-ceil(len(going) / self.factor) :]]
            task.call_on_fit_task_end(estimator=self)
        evaluate.report()
        found |= evaluate.results() | {"n_epochs_": costs}
        search.call_on_fit_task_end(estimator=self)
        return found

    def _best_index(self, results: dict[str, Any], metric: str) -> int:
        """The best of the last rung."""
        last = np.flatnonzero(results["iter"] == results["iter"].max())
        scores = results[f"mean_test_{metric}"][last]
        return int(last[0 if np.isnan(scores).all() else np.nanargmax(scores)])


__all__ = ["BatchedHalvingSearchCV"]
