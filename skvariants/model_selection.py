r"""Search for hyperparameters that trains all candidates as columns of one matrix.

For a linear model by gradient, 64 candidates are 64 columns: the same rows, the same batches, one product,

.. math:: Z = X_b\,[\,w^{(1)}\; w^{(2)}\; \dots\; w^{(64)}\,].

Only numbers (alpha, l1_ratio, eta0, the numeric fields of a solver, schedule or loss) may differ between columns of
one matrix, so candidates that differ in more are grouped, and each group is one matrix. What is not of this
package is fitted the ordinary way. Candidates, folds, scores and winner are those of scikit-learn's search.
"""

from __future__ import annotations

import numbers
import time
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import signature
from math import ceil, floor, log
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring, get_scorer
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, RandomizedSearchCV, check_cv
from sklearn.utils import Bunch, indexable
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.parallel import Parallel, delayed

from skvariants import _search
from skvariants._callbacks import with_callbacks
from skvariants._component import Flag, Integer, OneOf, Real, check
from skvariants._doclinks import LinksToDocs

__all__ = ["BatchedGridSearchCV", "BatchedHalvingSearchCV", "BatchedRandomizedSearchCV"]

Array = np.ndarray
# epochs of the first rung of a halving search: enough for the race of step sizes to be over
_SMALLEST = 4
_OF_THE_WINNER = (
    "best_estimator_", "best_index_", "best_params_", "best_score_", "feature_names_in_", "refit_time_",
)  # fmt: skip


# ---------------------------------------------------------------------- the searches


class _BatchedSearch(LinksToDocs):
    """The `fit` that the searches share; signature, prediction and delegation are inherited from scikit-learn's."""

    # parameters of all searches
    estimator: Any
    scoring: Any
    n_jobs: int | None
    refit: Any
    cv: Any
    verbose: int
    pre_dispatch: Any
    error_score: Any
    return_train_score: bool

    _accepts = {
        "n_jobs": OneOf(None, Integer()),
        "refit": OneOf(Flag(), str, Callable),
        "verbose": OneOf(Flag(), Integer(0)),
        "pre_dispatch": OneOf(str, Integer(1)),
        "return_train_score": Flag(),
        "scoring": OneOf(None, str, Callable, list, tuple, set, dict),
    }

    @abstractmethod
    def _settings(self) -> list[dict[str, Any]]:
        """The candidates, in order."""

    # ------------------------------------------------------------------ what was asked for

    def _check_params(self) -> None:
        for name, accepts in self._accepts.items():
            if name in self.get_params(deep=False):
                check(name, getattr(self, name), accepts)
        if not hasattr(self.estimator, "fit"):
            raise ValueError(f"estimator={self.estimator!r} is not accepted: estimator must be an object with `fit`.")
        number = isinstance(self.error_score, numbers.Number) and not isinstance(self.error_score, bool)
        if not number and self.error_score != "raise":
            raise ValueError(
                f"error_score={self.error_score!r} is not accepted: error_score must be the string 'raise' or a "
                "numeric value. (Hint: if using 'raise', please make sure that it has been spelled correctly.)"
            )

    def _scoring(self) -> tuple[Any, Any, list[str] | None, str]:
        """The scorer that is called, what ``scorer_`` will be, the names of several metrics, and the refit metric."""
        scoring = self.scoring
        if callable(scoring):
            return scoring, scoring, None, "score"
        if scoring is None or isinstance(scoring, str):
            scorer = check_scoring(self.estimator, scoring)
            return scorer, scorer, None, "score"
        scorer = check_scoring(self.estimator, scoring, raise_exc=self.error_score == "raise")
        entries = scoring.items() if isinstance(scoring, dict) else zip(scoring, scoring, strict=True)
        scorers = {name: check_scoring(self.estimator, entry) for name, entry in entries}
        self._check_refit(scorers)
        return scorer, scorers, list(scorers), self.refit

    def _check_refit(self, names: Iterable[str]) -> None:
        known = isinstance(self.refit, str) and self.refit in names
        if self.refit is not False and not known and not callable(self.refit):
            raise ValueError(
                "For multi-metric scoring, the parameter refit must be set to a scorer key or a callable to refit an "
                "estimator with the best parameter setting on the whole data and make the best_* attributes available "
                "for that metric. If this is not needed, refit should be set to False explicitly. "
                f"{self.refit!r} was passed."
            )

    def _plain_scorer(self, scorers: Any) -> bool:
        """Whether scores come from predictions alone, so that the final estimator on transformed rows will do."""
        if self.scoring is None:
            return not get_config()["enable_metadata_routing"]
        standard = type(get_scorer("accuracy"))
        entries = scorers.values() if isinstance(scorers, dict) else [scorers]
        return all(isinstance(entry, standard) for entry in entries)

    def _route(self, params: dict[str, Any], scorer: Any, scorers: Any) -> Any:
        """Metadata for the estimator, the splitter and the scorer."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **params)
        params = dict(params)
        groups = params.pop("groups", None)
        scored = {}
        if params.get("sample_weight") is not None and self._scorer_takes_weights(scorer, scorers):
            scored = {"sample_weight": params["sample_weight"]}
        return Bunch(estimator=Bunch(fit=params), splitter=Bunch(split={"groups": groups}), scorer=Bunch(score=scored))

    def _scorer_takes_weights(self, scorer: Any, scorers: Any) -> bool:
        """Whether scores are weighted, as the installed scikit-learn would: before 1.7 they never are."""
        if not hasattr(get_scorer("accuracy"), "_accept_sample_weight"):
            return False

        def takes(one: Any) -> bool:
            method = getattr(one, "_accept_sample_weight", None)
            return method() if method is not None else "sample_weight" in signature(one).parameters

        entries = scorers if isinstance(scorers, dict) else {None: scorer}
        for name, one in entries.items():
            if not takes(one):
                what = one if name is None else f"{name}={one}"
                warnings.warn(
                    f"The scoring {what} does not support sample_weight, which may lead to statistically incorrect "
                    f"results when fitting {self} with sample_weight. ",
                    stacklevel=5,
                )
        return any(takes(one) for one in entries.values())

    # ------------------------------------------------------------------ fitting

    @with_callbacks
    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Evaluate all candidates and refit the best one.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Targets.
        **params : dict
            Passed to `fit` of the estimator, to the scorer and to the splitter: ``sample_weight``, ``groups`` and the
            like. What holds one entry per row is split with the rows.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        ValueError
            If a parameter is not accepted, or every fit failed; an earlier fit stays as it was.
        """
        self._check_params()
        scorer, scorers, names, refit_metric = self._scoring()
        X, y = indexable(X, y)
        n = _search.n_rows(X)
        params = {name: indexable(value)[0] if _search.per_row(value, n) else value for name, value in params.items()}
        routed = self._route(params, scorer, scorers)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        n_splits = cv.get_n_splits(X, y, **routed.splitter.split)
        folds = [(np.asarray(train), np.asarray(test)) for train, test in cv.split(X, y, **routed.splitter.split)]
        if len(folds) != n_splits:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. "
                f"Expected {n_splits} splits, got {len(folds)}"
            )
        job = _search.Job(
            X, y, routed.estimator.fit, routed.scorer.score, scorer, names, self._plain_scorer(scorers),
            self.scoring is None, self.error_score, bool(self.return_train_score),
        )  # fmt: skip
        start = getattr(self, "_init_callback_context", None)
        context = _search.Silence() if start is None else start(max_subtasks=1 + (self.refit is not False))
        told = {"sample_weight": params["sample_weight"]} if params.get("sample_weight") is not None else None
        context.call_on_fit_task_begin(estimator=self, X=X, y=y, metadata=told)
        base = clone(self.estimator)
        found = self._find(job, base, folds, context)
        results = found["cv_results_"]
        multimetric = found["multimetric_"]
        if multimetric and names is None:  # a callable that returned a dict
            self._check_refit([key.removeprefix("rank_test_") for key in results if key.startswith("rank_test_")])
            refit_metric = self.refit
        found |= {"n_splits_": n_splits, "scorer_": scorers}
        if self.refit or not multimetric:
            best = self._best_index(results, refit_metric)
            found["best_index_"] = best
            if not callable(self.refit):
                found["best_score_"] = results[f"mean_test_{refit_metric}"][best]
            found["best_params_"] = results["params"][best]
        if self.refit:
            model = clone(base).set_params(**clone(found["best_params_"], safe=False))
            task = context.subcontext(task_name="refit-with-best-params")
            with task.propagate_callback_context(model):
                task.call_on_fit_task_begin(estimator=self, X=X, y=y, metadata=told)
                clock = time.perf_counter()
                if y is None:
                    model.fit(X, **routed.estimator.fit)
                else:
                    model.fit(X, y, **routed.estimator.fit)
            found |= {"best_estimator_": model, "refit_time_": time.perf_counter() - clock}
            if hasattr(model, "feature_names_in_"):
                found["feature_names_in_"] = model.feature_names_in_
            task.call_on_fit_task_end(estimator=self, X=X, y=y, metadata=told)
        for name in _OF_THE_WINNER:
            self.__dict__.pop(name, None)
        for name, value in found.items():
            setattr(self, name, value)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, metadata=told)
        return self

    def _best_index(self, results: dict[str, Any], metric: str) -> int:
        """Row of ``cv_results_`` of the winner."""
        if callable(self.refit):
            index = self.refit(results)
            if not isinstance(index, numbers.Integral):
                raise TypeError("best_index_ returned is not an integer")
            if not 0 <= int(index) < len(results["params"]):
                raise IndexError("best_index_ index out of range")
            return int(index)
        return results[f"rank_test_{metric}"].argmin()

    def _announce(self, recipes: list[_search.Recipe], n: int, n_splits: int) -> None:
        if self.verbose > 0:
            print(f"Fitting {n_splits} folds for each of {n} candidates, totalling {n * n_splits} fits")
            groups = [group for recipe in recipes for group in recipe.groups()]
            shared = [group for group in groups if group[0].key is not None]
            alone = len(groups) - len(shared)
            print(f"{n - alone} candidates share {len(shared)} matrices" + (", in each fold" if n_splits > 1 else ""))
            if alone:
                kinds = sorted({type(g[0].final).__name__ for g in groups if g[0].key is None})
                print(f"{alone} candidates are fitted one by one ({', '.join(kinds)})")

    def _run(
        self, job: _search.Job, recipes: list[_search.Recipe], folds: list[Any], progress: _search.Progress,
        rungs: dict[tuple[int, int], _search.Rung] | None = None,
    ) -> list[_search.Outcome]:  # fmt: skip
        """Outcomes of all candidates on all folds; with `rungs`, from where they stand."""
        keys = [(fold, number) for fold in range(len(folds)) for number, r in enumerate(recipes) if r.candidates]
        tasks = [
            (job, recipes[number], fold, *folds[fold], None if rungs is None else rungs[fold, number])
            for fold, number in keys
        ]
        collected = []
        if effective_n_jobs(self.n_jobs) == 1 or len(tasks) == 1:
            for task in tasks:
                for outcomes in _search.evaluate(*task):
                    progress.done(outcomes)
                    collected += outcomes
            return collected
        parallel = Parallel(n_jobs=self.n_jobs, pre_dispatch=self.pre_dispatch, return_as="generator")
        for key, (outcomes, rung) in zip(
            keys, parallel(delayed(_search.evaluate_all)(*task) for task in tasks), strict=True
        ):
            progress.done(outcomes)
            collected += outcomes
            if rungs is not None:
                rungs[key] = rung
        return collected

    def _find(self, job: _search.Job, base: Any, folds: list[Any], context: Any) -> dict[str, Any]:
        """Evaluate the candidates; the attributes that follow from it."""
        settings = self._settings()
        if not settings or not folds:
            raise ValueError("No fits were performed. Was the CV iterator empty? Were there no candidates?")
        n_splits = len(folds)
        recipes = _search.plan(base, settings)
        self._announce(recipes, len(settings), n_splits)
        context = context.subcontext(
            task_name="search", max_subtasks=len(settings) * n_splits, sequential_subtasks=False
        )
        context.call_on_fit_task_begin(estimator=self)
        outcomes = self._run(job, recipes, folds, _search.Progress(self, context, settings, n_splits))
        _search.report_failures(outcomes, settings, self.error_score)
        _search.report_unfinished(outcomes, recipes, settings)
        table = _search.table(outcomes, range(len(settings)), self.error_score)
        results = _search.results(settings, table, job.return_train_score, {})
        context.call_on_fit_task_end(estimator=self)
        return {"cv_results_": results, "multimetric_": isinstance(outcomes[0].test, dict)}


class BatchedGridSearchCV(_BatchedSearch, GridSearchCV):
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

    def _settings(self) -> list[dict[str, Any]]:
        return list(ParameterGrid(self.param_grid))


class BatchedRandomizedSearchCV(_BatchedSearch, RandomizedSearchCV):
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

    _accepts = {**_BatchedSearch._accepts, "n_iter": Integer(1)}

    def _settings(self) -> list[dict[str, Any]]:
        return list(ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state))


class BatchedHalvingSearchCV(_BatchedSearch, GridSearchCV):
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

    _accepts = {
        **_BatchedSearch._accepts,
        "scoring": OneOf(None, str, Callable),
        "refit": Flag(),
        "n_candidates": OneOf(None, Integer(1)),
        "factor": Real(1, closed="neither", per_column=False),
        "max_resources": OneOf("auto", Integer(1)),
        "min_resources": OneOf("smallest", "exhaust", Integer(1)),
        "aggressive_elimination": Flag(),
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

    def _settings(self) -> list[dict[str, Any]]:
        if self.n_candidates is None:
            return list(ParameterGrid(self.param_grid))
        return list(ParameterSampler(self.param_grid, self.n_candidates, random_state=self.random_state))

    def _check_candidates(self, recipes: list[_search.Recipe]) -> None:
        """Only what can go on can climb, and epochs are not searched."""
        for recipe in recipes:
            for candidate in recipe.candidates:
                if candidate.key is None:
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
        for number in range(iterations):
            power = max(0, number - required + possible) if self.aggressive_elimination else number
            epochs.append(min(int(self.factor**power * least), most))
            candidates.append(n)
            n = ceil(n / self.factor)
        return {
            "n_resources_": epochs, "n_candidates_": candidates, "n_remaining_candidates_": n,
            "n_iterations_": iterations, "n_required_iterations_": required, "n_possible_iterations_": possible,
            "min_resources_": least, "max_resources_": most,
        }  # fmt: skip

    def _find(self, job: _search.Job, base: Any, folds: list[Any], context: Any) -> dict[str, Any]:
        settings = self._settings()
        if not settings or not folds:
            raise ValueError("No fits were performed. Was the CV iterator empty? Were there no candidates?")
        recipes = _search.plan(base, settings)
        self._check_candidates(recipes)
        found = self._rungs(len(settings), recipes[0].candidates[0].final.max_iter)
        if self.verbose > 0:
            for name in ("n_iterations_", "n_required_iterations_", "n_possible_iterations_"):
                print(f"{name[:-1]}: {found[name]}")
        climbing = context.subcontext(task_name="search", max_subtasks=found["n_iterations_"])
        climbing.call_on_fit_task_begin(estimator=self)
        states = {(f, r): _search.Rung(0) for f in range(len(folds)) for r in range(len(recipes))}
        going = list(range(len(settings)))
        rows: list[dict[str, Any]] = []
        table: list[list[_search.Outcome]] = []
        more: dict[str, list[int]] = {"iter": [], "n_resources": []}
        costs, behind = [], 0
        latest: dict[tuple[int, int], _search.Outcome] = {}
        for number, epochs in enumerate(found["n_resources_"]):
            if self.verbose > 0:
                print("-" * 10)
                print(f"iter: {number}")
                print(f"n_candidates: {len(going)}")
                print(f"n_resources: {epochs}")
            task = climbing.subcontext(
                task_name="halving-iteration", max_subtasks=len(going) * len(folds), sequential_subtasks=False
            )
            task.call_on_fit_task_begin(estimator=self)
            left = [
                replace(recipe, candidates=[c for c in recipe.candidates if c.number in set(going)])
                for recipe in recipes
            ]
            for state in states.values():
                state.epochs = epochs - behind
            progress = _search.Progress(self, task, settings, len(folds))
            outcomes = self._run(job, left, folds, progress, states)
            latest |= {(outcome.number, outcome.fold): outcome for outcome in outcomes}
            behind = epochs
            costs.append(sum(outcome.epochs for outcome in outcomes))
            part = _search.table(outcomes, going, self.error_score)
            table += part
            rows += [settings[i] for i in going]
            more["iter"] += [number] * len(going)
            more["n_resources"] += [epochs] * len(going)
            scores = np.array([np.mean([outcome.test for outcome in row]) for row in part], dtype=float)
            order = np.roll(np.argsort(scores), np.count_nonzero(np.isnan(scores)))
            going = [going[i] for i in order[-ceil(len(going) / self.factor) :]]
            for state in states.values():
                state.finals = {i: final for i, final in state.finals.items() if i in set(going)}
            task.call_on_fit_task_end(estimator=self)
        _search.report_failures(list(latest.values()), settings, self.error_score)
        found["cv_results_"] = _search.results(rows, table, job.return_train_score, more)
        climbing.call_on_fit_task_end(estimator=self)
        return found | {"n_epochs_": costs, "multimetric_": False}

    def _best_index(self, results: dict[str, Any], metric: str) -> int:
        """The best of the last rung."""
        last = np.flatnonzero(results["iter"] == results["iter"].max())
        scores = results[f"mean_test_{metric}"][last]
        return int(last[0 if np.isnan(scores).all() else np.nanargmax(scores)])
