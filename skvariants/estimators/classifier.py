"""The classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from skvariants._blocks.predictions import accuracy, by_block
from skvariants._blocks.table import of_namespace
from skvariants._component import PROCESSES, Accepts, OneOf, resolve
from skvariants._data.labels import Labelling
from skvariants._data.namespaces import at_hand, rows_elsewhere
from skvariants._data.rows import is_lazy
from skvariants._data.validate import SCORED, Given, named, rows_named
from skvariants._names import ClassifierLossName, LearningRateName, PenaltyName, SolverName
from skvariants._numerics import usual_errors
from skvariants._spec import Spec
from skvariants.estimators.base import SGDVariant
from skvariants.losses import LOSSES, Loss, of_labels
from skvariants.penalties import Penalty
from skvariants.schedules import Schedule
from skvariants.solvers import Solver

Array = np.ndarray

if TYPE_CHECKING:
    Method = TypeVar("Method", bound=Callable[..., Any])

    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]: ...

else:
    from sklearn.utils.metaestimators import available_if


def _has_probability(estimator: Any) -> bool:
    loss = resolve(estimator.loss, LOSSES, Loss, "loss", {"epsilon": estimator.epsilon})
    if not hasattr(loss, "probability"):
        raise AttributeError(
            f"probability estimates are not available for loss={estimator.loss!r}: use 'log_loss' or 'modified_huber'."
        )
    return True


class SGDVariantClassifier(ClassifierMixin, SGDVariant):
    r"""Linear classifier by any variant of stochastic gradient descent.

    Minimises the weighted mean loss plus penalty, with weights `s` of samples and `c` of classes,

    .. math:: \frac{\sum_i s_i\, c_{y_i}\, \ell(y_i, x_i w + b)}{\sum_i s_i\, c_{y_i}}
              + \alpha \left( \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 \right)

    summed over the classes where there are more than two and they are not coupled (one-vs-rest), or over several
    labels, of which a row may have any number (:doc:`/guide/labels`).

    Parameters
    ----------
    loss : str or Loss, default="log_loss"
        "log_loss", "hinge", "modified_huber", "squared_hinge", "perceptron", a loss of the regressor (on targets -1
        and 1; not one of means with a link, such as "poisson"), or an instance.
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
        the weights of two classes.
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
    multi_class : {"auto", "ovr", "multinomial"}, default="auto"
        With three classes or more: "auto" is softmax for log_loss, else one-vs-rest.
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
    power_t : float, default=0.5
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
        is 0.25 for "huber" and 0.1 for the others, as targets are -1 and 1.
    early_stopping : bool, default=False
        Whether to score the model on rows held out (or on ``X_val``) after each epoch, to stop when the score stops
        rising, and to return the best epoch.
    validation_fraction : float, default=0.1
        Share of rows held out for early stopping.
    class_weight : dict, "balanced" or None, default=None
        Multiplies the sample weights by class, in every column of one-vs-rest too. "balanced" gives all classes the
        same total weight; in `partial_fit` it counts the rows so far, those of the chunk included. With several labels
        each is weighed by itself: a dict has the weights of 0 and 1 for all of them.
    on_new_class : {"error", "grow"}, default="error"
        What `partial_fit` does with a label that is not among the classes of earlier calls. "grow" adds a column for
        it, so that the first call needs no `classes`, later ones may name more, and a dict of class weights may name
        classes to come; `fit` takes no notice.
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
    n_jobs : int or None, default=None
        Accepted for compatibility; all classes share one matrix product.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights, in the units of the data.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercept.
    classes_ : ndarray of shape (n_classes,)
        Labels, those of rows of weight zero too. Of several labels: their numbers, ``arange(n_labels)``, and what is
        said of `n_classes` is said of labels.
    multilabel_ : bool
        Whether rows have any number of several labels.
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
        one-vs-rest, the sum over the classes. None where `suboptimality_` is.
    suboptimality_ : float or None
        How far the objective can be from its least value, :math:`(f - f^*) / (f_0 - f^*)` with `f_0` that of the best
        constant model; of one-vs-rest, that of the sum over the classes. Not a number where it is unknown; None after
        `partial_fit` and after an interrupt.
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
    validation_scores_ : list of float or None
        Score after each epoch, with early stopping.
    best_epoch_ : int or None
        The epoch returned, with early stopping.
    solver_ : Solver
        The solver that was used: what "auto" chose, or "pa1" or "pa2" stand for.
    progressive_score_ : float
        After `partial_fit`: accuracy of all predictions that were made for a chunk before it was learned, so from the
        second chunk on (from the first after `fit`). Not a number before there was one.
    progressive_scores_ : dict of ndarray
        The same along the stream in at most 256 bins: "n_rows" up to the end of each, mean "loss" without the penalty,
        and "score". Both are weighted by `sample_weight` and not by `class_weight`.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    References
    ----------
    Bottou, Curtis and Nocedal (2018), "Optimization methods for large-scale machine learning",
    doi:10.1137/16M1080173.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skvariants import SGDVariantClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SGDVariantClassifier(solver="adam", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.97
    True
    """

    classes_: Array
    multilabel_: bool

    _accepts: ClassVar[dict[str, Accepts]] = {
        **SGDVariant._accepts,
        "multi_class": OneOf("auto", "ovr", "multinomial"),
        "class_weight": OneOf(None, "balanced", dict),
        "on_new_class": OneOf("error", "grow"),
        "n_jobs": PROCESSES,
    }

    def __init__(
        self,
        loss: ClassifierLossName | Loss = "log_loss",
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
        multi_class: Literal["auto", "ovr", "multinomial"] = "auto",
        scale_features: bool | Literal["auto"] = "auto",
        learning_rate: LearningRateName | Schedule = "auto",
        eta0: float | Literal["auto"] = "auto",
        power_t: float = 0.5,
        max_iter: int = 1000,
        max_time: float | None = None,
        tol: float | None = 1e-3,
        n_iter_no_change: int = 5,
        shuffle: bool = True,
        epsilon: float | Literal["auto"] = 0.1,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        class_weight: dict[Any, Any] | Literal["balanced"] | None = None,
        on_new_class: Literal["error", "grow"] = "error",
        average: bool | int = False,
        forgetting: float | Literal["auto"] | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        n_jobs: int | None = None,
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
        self.multi_class = multi_class
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
        self.class_weight = class_weight
        self.on_new_class = on_new_class
        self.average = average
        self.forgetting = forgetting
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    def _losses(self) -> Mapping[str, Any]:
        return of_labels()

    def _asked(self) -> Labelling:
        return Labelling(self.multi_class, self.class_weight, self.on_new_class)

    def __skvariants_spec__(self) -> Spec:
        """The parameters, checked and resolved."""
        spec = super().__skvariants_spec__()
        if self.multi_class == "multinomial" and spec.loss.coupled(3) is None:
            raise ValueError(
                f"multi_class='multinomial' needs loss='log_loss', not loss={self.loss!r}: use multi_class='ovr'."
            )
        return spec

    def _stream_task(self, spec: Spec, task: Any, classes: Any, y: Any) -> Any:
        return spec.task.announced(classes, spec.loss, task, y)

    def fit(
        self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None,
        sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> SGDVariantClassifier:  # fmt: skip
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data; float32 is kept. An array of another library stays where it is, with scikit-learn's
            ``array_api_dispatch`` (:doc:`/guide/large_data`).
        y : array-like of shape (n_samples,), or {array-like, sparse matrix} of shape (n_samples, n_labels)
            Class labels; a table of 0 and 1 with a column for each label where rows may have any number of them.
        coef_init : array-like of shape (n_classes, n_features) or (n_features,), default=None
            Where the weights start.
        intercept_init : array-like of shape (n_classes,), default=None
            Where the intercepts start.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; only their ratios matter. A weight of zero is absence.
        X_val, y_val : array-like, default=None
            The user's own validation data, for ``early_stopping=True``.
        sample_weight_val : array-like, default=None
            Weights of the validation rows.

        Returns
        -------
        self : SGDVariantClassifier
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
        self, batches: Any, *, classes: Any = None, max_passes: int | None = None, checkpoint: Any = None,
        X_val: Any = None, y_val: Any = None, sample_weight_val: Any = None,
    ) -> SGDVariantClassifier:  # fmt: skip
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
        classes : array-like of shape (n_classes,), default=None
            All labels; a generator needs them, and other batches may need a pass to find them.
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
        self : SGDVariantClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or a batch is not accepted, which is named by its number; an earlier fit stays as it was.
        KeyboardInterrupt
            If the user interrupts: the model is then that of the last whole pass, or as it was where none was whole.
        """
        validation = Given(None, None, None, X_val, y_val, sample_weight_val)
        return self._warned(self._fit_batches(batches, classes, max_passes, validation, checkpoint))

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None, *, n_epochs: int = 1
    ) -> SGDVariantClassifier:  # fmt: skip
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
        y : array-like of shape (n_samples,), or {array-like, sparse matrix} of shape (n_samples, n_labels)
            Labels, as in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels; needed in the first call, unless ``on_new_class="grow"`` or `y` has a column for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a chunk whose weights are all zero changes nothing. As the first one it leaves the estimator
            unfitted, with its `classes` kept.
        n_epochs : int, default=1
            So many passes over the rows. For "auto" more change nothing that matters.

        Returns
        -------
        self : SGDVariantClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is not accepted; the model stays as it was.
        KeyboardInterrupt
            If the user interrupts: the model stays as it was, and the rows can be given again.
        """
        return self._warned(self._partial_fit(Given(X, y, sample_weight), n_epochs, classes))

    @by_block
    def decision_function(self, X: Any) -> Array:
        """Linear score of each row, for each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            One column where there are two classes: positive for ``classes_[1]``. Of several labels, a column for each:
            positive where a row has it.
        """
        z = self._linear(X)
        return z[:, 0] if z.shape[1] == 1 else z

    @by_block
    def predict(self, X: Any) -> Array:
        """Class label of each row, or a table of its labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,), or {ndarray, csr_matrix} of shape (n_samples, n_labels)
            Of several labels 0 and 1: sparse where those of the fit were.
        """
        z = self._linear(X)
        return self._task.decode(z, self._minimised)

    @available_if(_has_probability)
    @by_block
    @usual_errors
    def predict_proba(self, X: Any) -> Array:
        """Probability of each class, where the loss has them (log_loss, modified_huber).

        Softmax for a multinomial model; one-vs-rest probabilities are normalised to sum to one, and are
        uniform where all are zero (Zadrozny and Elkan 2002, doi:10.1145/775047.775151). Of several labels: the
        probability of each, whatever the others are, so that rows need not sum to one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        z = self._linear(X)
        return self._task.probabilities(self._minimised.probability(z))

    @available_if(_has_probability)
    @by_block
    def predict_log_proba(self, X: Any) -> Array:
        """Logarithm of :meth:`predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of the predictions; of several labels the share of rows that have all of them right.

        Parameters
        ----------
        X : {array-like, sparse matrix, dask collection} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        float
        """
        if is_lazy(X):
            return accuracy(self._copied().predict, X, y, sample_weight)
        y, sample_weight = at_hand(y, "y"), at_hand(sample_weight, "sample_weight")
        predicted = self.predict(rows_elsewhere(X))
        with named(lambda: "y", SCORED), rows_named(y, False):
            return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


# what a search asks: this fit can be a column of a matrix, and that of a subclass that has its own cannot
SGDVariantClassifier.fit.trains_as_columns = SGDVariantClassifier.fit  # type: ignore[attr-defined]
