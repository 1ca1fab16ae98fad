"""The regressor."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from skvariants._blocks.predictions import by_block, explained
from skvariants._blocks.survey import checked
from skvariants._blocks.table import of_namespace
from skvariants._data.namespaces import at_hand, rows_elsewhere
from skvariants._data.rows import is_lazy
from skvariants._data.tasks import Regression, check_domain
from skvariants._data.validate import SCORED, Given, named, row_weights, rows_named
from skvariants._names import LearningRateName, PenaltyName, RegressorLossName, SolverName
from skvariants._spec import Spec
from skvariants.estimators.base import SGDVariant
from skvariants.losses import LOSSES, Binomial, Loss
from skvariants.penalties import Penalty
from skvariants.schedules import Schedule
from skvariants.solvers import Solver

Array = np.ndarray


class SGDVariantRegressor(RegressorMixin, SGDVariant):
    r"""Linear regression by any variant of stochastic gradient descent.

    Minimises the weighted mean loss plus penalty,

    .. math:: \frac{\sum_i s_i\, \ell(y_i, x_i w + b)}{\sum_i s_i}
              + \alpha \left( \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 \right)

    for each target, with weights `s` of samples.

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive", "absolute_error", "quantile",
        "log_cosh", those of means on a log scale, "poisson", "gamma" and "tweedie", that of proportions, "binomial" (or
        "log_loss"), or an instance with its own hyperparameters such as ``Quantile(0.9)``.
    penalty : {"l2", "l1", "elasticnet"}, None or Penalty, default="l2"
        What a large weight costs.
    alpha : float, default=1e-4
        Strength of the penalty, on the weights in the units of the data. A `penalty` that is an object holds its own
        (``penalty__alpha`` in searches), and `alpha` and `l1_ratio` leave it as it is.
    l1_ratio : float, default=0.15
        Share of L1 in "elasticnet".
    penalty_factor : None, array-like of shape (n_features,) or dict, default=None
        What the penalty of each feature is multiplied by: zero leaves it free. A dict names columns, of which others
        have one. Also in the shape of ``coef_``.
    positive : bool, array-like of bool or dict, default=False
        Whether weights are not negative: all, or those of some features.
    bounds : None, (lower, upper) or dict, default=None
        Bounds of the weights in the units of the data: numbers, arrays of shape (n_features,) or of that of ``coef_``,
        or None where there is none. A dict names columns and gives a pair for each: :doc:`/guide/constraints`.
    monotonic_cst : None, array-like of shape (n_features,) or dict, default=None
        1 where the prediction must not fall as a feature grows, -1 where it must not rise, 0 where it is free: signs of
        the weights.
    fit_intercept : bool, default=True
        Whether there is an intercept; it is never penalised.
    solver : str or Solver, default="auto"
        How the model learns: "gd", "sgd", "minibatch", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop",
        "adam", "quasi_newton", "interior_point", another of ``skvariants.solvers.SOLVERS`` (the guide has a table), or
        an instance with its own hyperparameters such as ``Momentum(momentum=0.95)``. "auto" chooses among them before
        training: where no step, batch or average is asked for, "quasi_newton" if the loss is smooth and
        "interior_point" if it is piecewise linear (`max_iter`, `n_iter_` and `history_` then count iterations), else
        what the rules of :func:`skvariants.diagnostics.diagnose` advise for the data. In `partial_fit` it is
        :class:`skvariants.solvers.Recursive`, sums over all rows, where no step, batch or average is asked for, the
        penalty is L2, L1, both or none, and there are at most 1,023 features, or 1,024 values other than zero in a row;
        else "adagrad". `solver_` says which.
    batch_size : int, "auto" or "full", default="auto"
        Rows per step. "auto" is the solver's natural one: all for "gd", one for "sgd", else up to 256 (2,048 for
        wide sparse data; at least 32, at most a 32nd of the table); a table of at most 32 rows is one batch.
    scale_features : bool or "auto", default="auto"
        Whether to work in standardised coordinates; the penalty and ``coef_`` keep the units of the data. "auto" does
        so unless the step is fixed by a numeric `eta0` or by a rate that has none.
    learning_rate : str or Schedule, default="auto"
        "constant", "optimal", "invscaling", "adaptive", "cosine", "pa1", "pa2" or an instance. "auto" is a constant
        step that falls to a quarter when progress stops, three times (twice where a solver's steps become shorter by
        themselves, as AdaGrad's). "pa1" and "pa2" stand for the passive-aggressive solvers, and go with solver "auto",
        "sgd", "minibatch" and "gd".
    eta0 : float or "auto", default="auto"
        The first step; "auto" races a ladder of them. For "pa1" and "pa2" it is the aggressiveness C ("auto": 1).
    power_t : float, default=0.25
        The power of "invscaling".
    max_iter : int, default=1000
        Most epochs (passes over the rows), or iterations of "quasi_newton" and "interior_point".
    max_time : float or None, default=None
        Seconds of training after which `fit` begins no further epoch (or iteration) and keeps the model that it has:
        at least one epoch is made. `partial_fit` takes the time that its rows take.
    tol : float or None, default=1e-3
        A fit has converged if it misses at most that share of what the optimum gains over the best constant model
        (``suboptimality_``). An epoch is progress if the objective falls by `tol` times that of the constant model (or
        the validation score rises by `tol`). Quasi-Newton steps end when they expect to gain less than a fiftieth of
        `tol` times what they have gained over that model, interior-point steps when the dual leaves no more than a
        tenth. None takes exactly `max_iter` epochs (quasi-Newton and interior-point steps end when nothing is left to
        gain).
    n_iter_no_change : int, default=5
        Epochs without progress after which the step falls or the fit ends.
    shuffle : bool, default=True
        Whether rows come in a new order each epoch.
    epsilon : float or "auto", default=0.1
        Of the losses "huber", "epsilon_insensitive" and "squared_epsilon_insensitive", in units of the target. "auto"
        suits targets of any unit: a quarter of their robust spread for "huber", a tenth for the others. "huber" takes
        no zero, where it would be zero everywhere. Other losses do without it ("log_cosh" has ``LogCosh(scale=)``).
    early_stopping : bool, default=False
        Whether to score the model on rows held out (or on ``X_val``) after each epoch, to stop when the score stops
        rising, and to return the best epoch.
    validation_fraction : float, default=0.1
        Share of rows held out for early stopping.
    average : bool or int, default=False
        Whether to return the mean of the iterates, from the update of that number on.
    forgetting : None, "auto" or float, default=None
        How long `partial_fit` remembers rows: for ever, or as long as no shorter memory has predicted better ("auto":
        after a change of the world the old rows go), or a number of rows, at least 1, after which one counts half.
        `fit` knows all its rows.
    warm_start : bool, default=False
        Whether `fit` goes on from the last solution. If the fit before had it too, and only `max_iter`, `max_time`,
        `tol`, `n_iter_no_change` or `verbose` have changed, it goes on bit for bit where that stopped, also after
        pickling; otherwise from its coefficients.
    random_state : int, RandomState or None, default=None
        Seed of the order of the rows and of the validation split.
    verbose : int, default=0
        1 prints solver, objective and race, a line an epoch, and why the fit stopped; of a stream a line a chunk, and
        when ``forgetting="auto"`` has changed the memory.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Weights, in the units of the data.
    intercept_ : ndarray of shape (1,) or (n_targets,)
        Intercept.
    n_iter_ : int
        Epochs of the last fit; iterations of "quasi_newton" and "interior_point".
    t_ : float
        One plus the number of updates.
    status_ : str
        Why the fit stopped: "converged" (``suboptimality_`` is at most `tol`), "plateau" (a solver that takes steps
        made no more progress, short of that), "stalled" (quasi-Newton or interior-point steps could not go on, short
        of that, or others ended above a constant model), "max_iter", "max_time", "no validation improvement",
        "diverged", "interrupted", "one pass" (of `fit_batches`) or "streaming" (after `partial_fit`: the model is that
        of all chunks so far).
    objective_ : float or None
        What was minimised, at the model: the mean loss over all training rows plus the penalty; of
        several targets, the sum over them. None where `suboptimality_` is.
    suboptimality_ : float or None
        How far the objective can be from its least value, :math:`(f - f^*) / (f_0 - f^*)` with `f_0` that of the best
        constant model; of several targets, that of the sum of their objectives. Not a number where it is unknown; None
        after `partial_fit` and after an interrupt.
    suboptimality_kind_ : str or None
        "bound" (it is no more, if the loss is convex), "estimate" (by a second-order model) or "unknown".
    eta0_ : float or None
        The step found or given; None for a rate that has none, and for "interior_point".
    race_ : Race or None
        The ladder of steps that were raced, and their scores; the lengths that the first quasi-Newton step tried. None
        where nothing was raced, as by "interior_point".
    loss_curve_ : list of float
        Objective of each epoch: the mean loss over its batches, each taken before its step, plus the penalty
        (that of the start for a single batch, else the mean of start and end). For quasi-Newton steps: the
        objective after each, over the rows that it saw. For interior-point steps: that of the model of each step, in
        which rows far from a kink count by their slope alone; the last is over all rows.
    history_ : dict of lists
        "epoch", "objective", "eta", "seconds", "rows" (how many it saw), "validation_score", "remembered". After
        `partial_fit` an entry is a chunk, its "objective" the mean loss of its rows before they were learned, and
        "remembered" the weight of all rows that the model stands for by then, where it keeps sums or rows: it falls
        where ``forgetting="auto"`` has shortened the memory.
    crossing_ : float
        Where the loss has several outputs, as ``Quantile([0.1, 0.9])`` has: the share of the rows of the fit on which
        a higher level is predicted below a lower one.
    validation_scores_ : list of float or None
        Score after each epoch, with early stopping.
    best_epoch_ : int or None
        The epoch returned, with early stopping.
    solver_ : Solver
        The solver that was used: what "auto" chose, or "pa1" or "pa2" stand for.
    progressive_score_ : float
        After `partial_fit`: R2 of all predictions that were made for a chunk before it was learned, so from the second
        chunk on (from the first after `fit`). Not a number before there was one.
    progressive_scores_ : dict of ndarray
        The same along the stream in at most 256 bins: "n_rows" up to the end of each, mean "loss" without the penalty,
        and "score", one minus the mean squared error over the variance of all targets scored so far.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    References
    ----------
    Bottou, Curtis and Nocedal (2018), "Optimization methods for large-scale machine learning",
    doi:10.1137/16M1080173.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skvariants import SGDVariantRegressor
    >>> X, y = load_diabetes(return_X_y=True, scaled=False)
    >>> model = SGDVariantRegressor(solver="nesterov", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.5
    True
    """

    crossing_: float | Any  # or None, as attributes of the base

    def __init__(
        self,
        loss: RegressorLossName | Loss = "squared_error",
        *,
        penalty: PenaltyName | Penalty | None = "l2",
        alpha: float = 0.0001,
        l1_ratio: float | None = 0.15,
        penalty_factor: Any = None,
        positive: Any = False,
        bounds: Any = None,
        monotonic_cst: Any = None,
        fit_intercept: bool = True,
        solver: SolverName | Solver = "auto",
        batch_size: int | Literal["auto", "full"] = "auto",
        scale_features: bool | Literal["auto"] = "auto",
        learning_rate: LearningRateName | Schedule = "auto",
        eta0: float | Literal["auto"] = "auto",
        power_t: float = 0.25,
        max_iter: int = 1000,
        max_time: float | None = None,
        tol: float | None = 1e-3,
        n_iter_no_change: int = 5,
        shuffle: bool = True,
        epsilon: float | Literal["auto"] = 0.1,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        average: bool | int = False,
        forgetting: float | Literal["auto"] | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.penalty_factor = penalty_factor
        self.positive = positive
        self.bounds = bounds
        self.monotonic_cst = monotonic_cst
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.batch_size = batch_size
        self.scale_features = scale_features
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.max_iter = max_iter
        self.max_time = max_time
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.shuffle = shuffle
        self.epsilon = epsilon
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.average = average
        self.forgetting = forgetting
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def _losses(self) -> Mapping[str, Any]:
        return {name: loss for name, loss in LOSSES.items() if loss.regression} | {"log_loss": Binomial}

    def _asked(self) -> Regression:
        return Regression()

    def _stream_task(self, spec: Spec, task: Any, classes: Any, y: Any) -> Any:
        return task

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        losses = self._losses()
        loss = losses[self.loss]() if isinstance(self.loss, str) and self.loss in losses else self.loss
        tags.target_tags.positive_only = isinstance(loss, Loss) and -1.0 not in loss.domain
        # scikit-learn's check of several targets does not ask whether they have to be positive
        tags.target_tags.multi_output = not tags.target_tags.positive_only
        return tags

    def fit(
        self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None,
        sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> SGDVariantRegressor:  # fmt: skip
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data; float32 is kept. An array of another library stays where it is, with scikit-learn's
            ``array_api_dispatch`` (:doc:`/guide/large_data`).
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets; several are trained as columns of one model.
        coef_init : array-like of shape (n_features,) or (n_targets, n_features), default=None
            Where the weights start.
        intercept_init : array-like of shape (n_targets,), default=None
            Where the intercepts start.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; only their ratios matter. A weight of zero is absence.
        X_val, y_val : array-like, default=None
            The user's own validation data, for ``early_stopping=True``.
        sample_weight_val : array-like, default=None
            Weights of the validation rows.

        Returns
        -------
        self : SGDVariantRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is not accepted; an earlier fit stays as it was.
        KeyboardInterrupt
            If the user interrupts: the model is then that of the last whole epoch of this fit (`status_` is
            "interrupted"), or as it was where none was whole.
        """
        table = of_namespace(X, y, sample_weight)
        given = Given(X, y, sample_weight, X_val, y_val, sample_weight_val, table)
        return self._warned(self._fit(given, coef_init, intercept_init))

    def fit_batches(
        self, batches: Any, *, max_passes: int | None = None, checkpoint: Any = None, X_val: Any = None,
        y_val: Any = None, sample_weight_val: Any = None,
    ) -> SGDVariantRegressor:  # fmt: skip
        """Fit rows that come in batches and need not be in memory: the same model as `fit`, to `tol`.

        Each pass gives sums over all rows, and Newton's steps go from one to the next; batches are only read. A
        generator, which can be read once, is learned as `partial_fit` learns, and `status_` is "one pass".
        ``max_iter`` counts passes, and so does ``n_iter_``.

        Parameters
        ----------
        batches : iterable or callable
            Of ``(X, y)`` or ``(X, y, sample_weight)``: what can be iterated again and again, such as a list or
            `skvariants.batches.ParquetBatches`; a callable that makes an iterator; or a generator.
            A fit calculates in float32 where all batches are in float32, and in float64 where they are not; a first
            batch in float32 that others do not follow is refused.
        max_passes : int, default=None
            Most passes; None for as many as `tol` needs, at most `max_iter`.
        checkpoint : str or path, default=None
            File that is written after each batch and deleted at the end. A fit that was killed, interrupted or out of
            time goes on from there, to the same model, when the same call is made again.
        X_val, y_val : array-like, default=None
            Rows to score each pass on, for ``early_stopping=True``.
        sample_weight_val : array-like, default=None
            Their weights.

        Returns
        -------
        self : SGDVariantRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or a batch is not accepted, which is named by its number; an earlier fit stays as it was.
        KeyboardInterrupt
            If the user interrupts: the model is then that of the last whole pass, or as it was where none was whole.
        """
        validation = Given(None, None, None, X_val, y_val, sample_weight_val)
        return self._warned(self._fit_batches(batches, None, max_passes, validation, checkpoint))

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, n_epochs: int = 1
    ) -> SGDVariantRegressor:  # fmt: skip
        """Go through the given rows once, from where the model stands.

        With the defaults the rows are added to sums over all rows seen, and the model is what these ask for: each
        row counts as much as any other, and no rate is to be chosen. After `fit`, or where coefficients were set by
        hand, the model is worth as many rows as were learned before. `forgetting` says how long rows are remembered.

        A solver that takes steps goes through the rows once: its state, the number of steps and the random generator
        go on. A step that is not given is raced along the calls until their rows have told enough; means and scales
        are running ones over all rows seen, and the model is carried over exactly when they move.

        Weights count beside those of all rows seen so far. Each chunk is predicted before it is learned, which
        `progressive_score_` tells of.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a chunk whose weights are all zero changes nothing, and as the first one leaves the estimator
            unfitted.
        n_epochs : int, default=1
            So many passes over the rows. For "auto" more change nothing that matters.

        Returns
        -------
        self : SGDVariantRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is not accepted; the model stays as it was.
        KeyboardInterrupt
            If the user interrupts: the model stays as it was, and the rows can be given again.
        """
        return self._warned(self._partial_fit(Given(X, y, sample_weight), n_epochs))

    @by_block
    def predict(self, X: Any) -> Array:
        """Predicted target of each row; of a loss with a link, the mean that it stands for.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        z = self._linear(X)
        return self._task.decode(z, self._minimised)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R2 of the predictions; of "poisson", "gamma", "tweedie" and "binomial" the fraction of deviance explained.

        Both are one minus a ratio: what the model leaves, of squared errors or of deviance, over what the mean of the
        targets leaves. Of several targets, or levels of a quantile, it is the mean over them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        float
        """
        if is_lazy(X):
            linear = functools.partial(SGDVariant._linear, self._copied())
            return explained(linear, X, y, sample_weight, self._minimised)
        y, sample_weight = at_hand(y, "y"), at_hand(sample_weight, "sample_weight")
        X = rows_elsewhere(X)
        z = self._linear(X)
        if self._minimised.deviance or self._task.outputs > 1:
            if hasattr(X, "namespace"):
                targets = checked(y, Regression())
            else:
                _, targets = self._header(True).checked(X, y, False, **Regression.checks)
            targets, weight = self._task.validated(targets), row_weights(sample_weight, len(z))
            check_domain(targets, self._minimised)
            if self._task.scorable_at_once(targets):
                return float(self._task.scores(z[:, None], targets, weight, self._minimised)[0])
        y = np.repeat(np.reshape(y, (-1, 1)), z.shape[1], axis=1) if self._task.outputs > 1 else y
        weight = row_weights(sample_weight, len(z))
        with named(lambda: "y", SCORED), rows_named(y, True):
            return float(r2_score(y, self._task.decode(z, self._minimised), sample_weight=weight))


# what a search asks: this fit can be a column of a matrix, and that of a subclass that has its own cannot
SGDVariantRegressor.fit.trains_as_columns = SGDVariantRegressor.fit  # type: ignore[attr-defined]
