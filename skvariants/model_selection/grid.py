"""Searches that evaluate all candidates at once: over a grid, and over settings drawn at random."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, RandomizedSearchCV

from skvariants._component import SEED, Accepts, integers
from skvariants.model_selection._search import BatchedSearch, Evaluation


class AllAtOnce(BatchedSearch):
    """The strategy of both searches: each candidate is fitted once on each fold."""

    _fits_elsewhere: ClassVar[bool] = True

    def fit_batches(self, batches: Any, **params: Any) -> Self:
        """Evaluate all candidates on rows that come in batches, and refit the best one by its `fit_batches`.

        Candidates and folds share the passes over the batches. Squared error is answered by sums of products, which
        one pass makes; other smooth losses by Newton's steps on sums. Folds, scores and winner are those of `fit` on
        the same rows; labels are held in memory where folds are stratified, features never.

        Parameters
        ----------
        batches : iterable or callable
            Of ``(X, y)`` or ``(X, y, sample_weight)``: what can be iterated again and again, such as a list,
            `skvariants.batches.ArrayBatches` or `ParquetBatches`, or a callable that makes an iterator. Weights are
            those of fits and scores.
        **params : dict
            None is taken: weights come with the batches, and what else the `fit_batches` of the estimator takes is for
            a fit of its own.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        TypeError
            If a candidate is not fitted by sums over rows, or a metric is none, or more than batches is given; the
            sentence names the remedy.
        ValueError
            If a parameter or a batch is not accepted, or every fit failed; an earlier fit stays as it was.
        """
        if params:
            names = ", ".join(sorted(params))
            raise TypeError(
                f"fit_batches of {type(self).__name__} takes batches alone, and {names} was given: leave it out, or "
                "give it to fit_batches of the estimator, with best_params_ of a search with refit=False."
            )
        return self._fit_batches(batches)

    def _run_search(self, evaluate: Evaluation, callback_ctx: Any) -> dict[str, Any]:
        self._announce(evaluate)
        n = len(evaluate.settings)
        task = callback_ctx.subcontext(
            task_name="search", max_subtasks=n * evaluate.n_splits, sequential_subtasks=False
        )  # fmt: skip
        task.call_on_fit_task_begin(estimator=self)
        evaluate(range(n), task)
        evaluate.report(unfinished=True)
        found = evaluate.results()
        task.call_on_fit_task_end(estimator=self)
        return found

    def _announce(self, evaluate: Evaluation) -> None:
        """Say how candidates were grouped."""
        if self.verbose <= 0:
            return
        n, n_splits = len(evaluate.settings), evaluate.n_splits
        folds, each = _counted(n_splits, "fold"), ", in each fold" if n_splits > 1 else ""
        print(f"Fitting {folds} for each of {_counted(n, 'candidate')}, totalling {_counted(n * n_splits, 'fit')}")
        leads = [matrix[0] for group in evaluate.groups for matrix in group.matrices()]
        alone = [candidate for candidate in leads if not candidate.as_columns]
        shared = len(leads) - len(alone)
        if shared:
            together = _counted(n - len(alone), "candidate")
            verb = "are columns of" if n - len(alone) > 1 else "is a column of"
            print(f"{together} {verb} {_counted(shared, 'matrix', 'matrices')}{each}")
        if alone:
            kinds = sorted({type(candidate.final).__name__ for candidate in alone})
            how = f"{'are' if len(alone) > 1 else 'is'} fitted one by one"
            print(f"{_counted(len(alone), 'candidate')} {how} ({', '.join(kinds)})")


def _counted(n: int, one: str, several: str = "") -> str:
    """A number of things, as it is said."""
    return f"{n} {one if n == 1 else several or one + 's'}"


class BatchedGridSearchCV(AllAtOnce, GridSearchCV):
    r"""Exhaustive search over a grid that trains all candidates at once.

    Candidates, folds, scores and winner are those of :class:`sklearn.model_selection.GridSearchCV`,

    .. math:: \hat\theta = \arg\max_\theta \frac{1}{K} \sum_{k=1}^{K} \mathrm{score}(w_\theta^{(-k)}, X_k, y_k),

    but all :math:`w_\theta^{(-k)}` of one fold that differ only in numbers are columns of one matrix. Use it wherever
    you would use GridSearchCV with an estimator of this package, alone or as the last step of a pipeline; any other
    estimator is fitted the ordinary way.

    Parameters
    ----------
    estimator : estimator
        What is tuned. In a pipeline the steps before the last are fitted once per fold and setting of their own
        parameters, on the training rows only.
    param_grid : dict or list of dict
        Names of parameters and the values to try, or several such grids.
    scoring : str, callable, list, tuple, dict or None, default=None
        As in scikit-learn: a name, a callable ``scorer(estimator, X, y)`` that returns a number or a dict of numbers,
        several names, or a dict of names and scorers. None is the estimator's `score`.
    n_jobs : int or None, default=None
        Processes over folds (and settings of the steps before the estimator).
    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all rows; with several metrics the name of the one that decides. A callable
        takes ``cv_results_`` and returns the index of the best.
    cv : int, splitter, iterable or None, default=None
        The folds; None is five.
    verbose : int, default=0
        1 says how candidates were grouped; from 2 on a line for each fit, from 3 on with scores.
    pre_dispatch : int or str, default="2*n_jobs"
        How many tasks joblib dispatches ahead.
    error_score : "raise" or number, default=nan
        Score of a fit that fails or diverges; "raise" raises the error instead.
    return_train_score : bool, default=False
        Whether ``cv_results_`` holds scores on the training rows.
    max_time : float or None, default=None
        Seconds for all fits of this package together: each gets an even part of what is left when it begins, makes at
        least one epoch, and is compared as it is when that is used up. The final fit has what is left.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        A row for each candidate: "params",
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

    Notes
    -----
    A candidate that diverges gets `error_score`, and one warning names all of them; scikit-learn would score what is
    left of such a model. A number as `random_state` makes results repeatable, as everywhere.

    References
    ----------
    Stone (1974), "Cross-validatory choice and assessment of statistical predictions",
    doi:10.1111/j.2517-6161.1974.tb00994.x.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skvariants import SGDVariantClassifier
    >>> from skvariants.model_selection import BatchedGridSearchCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> grid = {"alpha": [1e-4, 1e-3, 1e-2, 1e-1], "l1_ratio": [0.0, 0.5, 1.0]}
    >>> model = SGDVariantClassifier(penalty="elasticnet", max_iter=20, tol=None, random_state=0)
    >>> search = BatchedGridSearchCV(model, grid, cv=3).fit(X, y)
    >>> len(search.cv_results_["params"])
    12
    >>> bool(search.best_score_ > 0.95)
    True
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        max_time: float | None = None,
    ) -> None:
        super().__init__(
            estimator, param_grid, scoring=scoring, n_jobs=n_jobs, refit=refit, cv=cv, verbose=verbose,
            pre_dispatch=pre_dispatch, error_score=error_score, return_train_score=return_train_score,
        )  # fmt: skip
        self.max_time = max_time

    def _settings(self) -> list[dict[str, Any]]:
        return list(ParameterGrid(self.param_grid))


class BatchedRandomizedSearchCV(AllAtOnce, RandomizedSearchCV):
    r"""Search over settings drawn at random that trains all candidates at once.

    Candidates, folds, scores and winner are those of :class:`sklearn.model_selection.RandomizedSearchCV`:
    :math:`\theta_1, \dots, \theta_n` are drawn independently, and those that differ only in numbers are columns of one
    matrix. Use it when there are more than two or three parameters: a few hundred draws cost little more than one.

    Parameters
    ----------
    estimator : estimator
        What is tuned. In a pipeline the steps before the last are fitted once per fold and setting of their own
        parameters, on the training rows only.
    param_distributions : dict or list of dict
        Names of parameters and lists of values, or distributions with a method `rvs` such as
        :class:`scipy.stats.loguniform`.
    n_iter : int, default=10
        How many settings are drawn.
    scoring : str, callable, list, tuple, dict or None, default=None
        As in scikit-learn: a name, a callable ``scorer(estimator, X, y)`` that returns a number or a dict of numbers,
        several names, or a dict of names and scorers. None is the estimator's `score`.
    n_jobs : int or None, default=None
        Processes over folds (and settings of the steps before the estimator).
    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all rows; with several metrics the name of the one that decides. A callable
        takes ``cv_results_`` and returns the index of the best.
    cv : int, splitter, iterable or None, default=None
        The folds; None is five.
    verbose : int, default=0
        1 says how candidates were grouped; from 2 on a line for each fit, from 3 on with scores.
    pre_dispatch : int or str, default="2*n_jobs"
        How many tasks joblib dispatches ahead.
    random_state : int, RandomState or None, default=None
        Seed of the draws.
    error_score : "raise" or number, default=nan
        Score of a fit that fails or diverges; "raise" raises the error instead.
    return_train_score : bool, default=False
        Whether ``cv_results_`` holds scores on the training rows.
    max_time : float or None, default=None
        Seconds for all fits of this package together: each gets an even part of what is left when it begins, makes at
        least one epoch, and is compared as it is when that is used up. The final fit has what is left.

    Attributes
    ----------
    cv_results_ : dict of str to ndarray
        A row for each candidate: "params",
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
    Bergstra and Bengio (2012), "Random search for hyper-parameter optimization", Journal of Machine Learning Research
    13, 281-305.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_diabetes
    >>> from skvariants import SGDVariantRegressor
    >>> from skvariants.model_selection import BatchedRandomizedSearchCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = SGDVariantRegressor(max_iter=20, tol=None, random_state=0)
    >>> search = BatchedRandomizedSearchCV(model, {"alpha": loguniform(1e-6, 1)}, n_iter=20, random_state=0)
    >>> bool(search.fit(X, y).best_score_ > 0.4)
    True
    """

    _accepts: ClassVar[dict[str, Accepts]] = {**AllAtOnce._accepts, "n_iter": integers(1), "random_state": SEED}
    _candidates: ClassVar[str] = "param_distributions"

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        max_time: float | None = None,
    ) -> None:
        super().__init__(
            estimator, param_distributions, n_iter=n_iter, random_state=random_state, scoring=scoring, n_jobs=n_jobs,
            refit=refit, cv=cv, verbose=verbose, pre_dispatch=pre_dispatch, error_score=error_score,
            return_train_score=return_train_score,
        )  # fmt: skip
        self.max_time = max_time

    def _settings(self) -> list[dict[str, Any]]:
        return list(ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state))


__all__ = ["AllAtOnce", "BatchedGridSearchCV", "BatchedRandomizedSearchCV"]
