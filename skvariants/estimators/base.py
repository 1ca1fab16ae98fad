r"""What the two estimators share: parameters are read into a spec, data into rows, and a result is published last.

Both minimise

.. math:: \frac{\sum_i s_i\, \ell(y_i, x_i w + b)}{\sum_i s_i}
          + \alpha \left( \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 \right)

with weights `s` (those of samples times those of their classes), `w` in the units of the data and the intercept `b`
free. Nothing is set before the fit has ended, so that a fit that fails leaves the estimator as it was.
"""

from __future__ import annotations

import copy
import functools
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skvariants import _export
from skvariants._callbacks import ReportsEpochs, with_callbacks
from skvariants._component import (
    SEED,
    Accepts,
    Component,
    Flag,
    OneOf,
    check,
    integers,
    named_init,
    no_parameter,
    number,
    shown,
)
from skvariants._data.rows import is_lazy
from skvariants._data.validate import Data, Given, Header, features, in_process, prepare
from skvariants._data.validate import start as started_from
from skvariants._doclinks import LinksToDocs
from skvariants._fit import (
    Batches,
    Fitted,
    Interrupted,
    Kept,
    continuation_key,
    fit,
    fit_batches,
    model_attributes,
    on_table,
    rows_of_fit,
)  # fmt: skip
from skvariants._messages import is_quiet
from skvariants._names import CALLED_ELSEWHERE
from skvariants._numerics import usual_errors
from skvariants._saving import Versioned
from skvariants._spec import Spec, check_fields, component_with, holder, read, registry_of
from skvariants._stream.progress import Progress, predictions, scored
from skvariants._stream.sums import Trust
from skvariants._training.race import Race
from skvariants.losses import LOSSES
from skvariants.solvers import Solver

Array = np.ndarray


class SGDVariant(Versioned, ReportsEpochs, LinksToDocs, BaseEstimator):
    """What the two estimators share."""

    coef_: Array
    intercept_: Array
    n_features_in_: int
    feature_names_in_: Array
    n_iter_: int
    t_: float
    status_: str
    solver_: Solver
    loss_curve_: list[float]
    history_: dict[str, list[Any]]
    # or None, for which who asks has not to look: whether it is follows from what was asked for
    objective_: float | Any
    suboptimality_: float | Any
    suboptimality_kind_: str | Any
    eta0_: float | Any
    race_: Race | Any
    validation_scores_: list[float] | Any
    best_epoch_: int | Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            made: Any = cls
            made.__init__ = named_init(made.__init__, cls._meant_elsewhere)

    _accepts: ClassVar[dict[str, Accepts]] = {
        "alpha": number(0),
        "l1_ratio": OneOf(None, number(0, 1, "both")),
        "fit_intercept": Flag(),
        "batch_size": OneOf("auto", "full", integers(1)),
        "scale_features": OneOf("auto", Flag()),
        "eta0": OneOf("auto", number(0, closed="neither")),
        "power_t": number(0),
        "max_iter": integers(1),
        "max_time": OneOf(None, number(0, closed="neither")),
        "tol": OneOf(None, number(0)),
        "n_iter_no_change": integers(1),
        "shuffle": Flag(),
        "epsilon": OneOf("auto", number(0)),
        "early_stopping": Flag("; validation rows of your own go to fit, as X_val and y_val"),
        "validation_fraction": number(0, 1, "neither"),
        "average": OneOf(Flag(), integers(1)),
        "forgetting": OneOf(None, "auto", number(1)),
        "warm_start": Flag(),
        "random_state": SEED,
        "verbose": OneOf(Flag(), integers(0)),
    }

    # ------------------------------------------------------------------ spec down, result up

    @abstractmethod
    def _asked(self) -> Any:
        """The task, before any target was seen."""

    @abstractmethod
    def _losses(self) -> Mapping[str, Any]:
        """Names of the losses that this estimator takes."""

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of components too: ``solver__momentum=0.8`` makes "momentum" a ``Momentum(0.8)``.

        Parameters
        ----------
        **params : dict
            Values by name. A name of a component with ``__`` and a field, where the component is given by its name,
            puts the component with that field into its place.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        for owner in _COMPONENTS:
            fields = {name: name.removeprefix(f"{owner}__") for name in params if name.startswith(f"{owner}__")}
            given = params.get(owner, getattr(self, owner))
            takes = owner in self._get_param_names()
            if fields and takes and (given is None or isinstance(given, (str, type))):
                changes = {field: params.pop(name) for name, field in fields.items()}
                params[owner] = component_with(owner, {**self._parameters(), **params}, self._losses(), changes)
            elif fields and takes and isinstance(given, Component):
                check_fields(owner, given, given, registry_of(owner, self._losses())[0], fields.values())
        known = self._get_param_names()
        for name in (name.partition("__")[0] for name in params):
            if name not in known:
                sentence = no_parameter(name, shown(self), known, self._meant_elsewhere(name))
                raise ValueError(f"Invalid parameter {name!r}: {sentence}")
        return super().set_params(**params)

    @classmethod
    def _meant_elsewhere(cls, name: str) -> Mapping[str, str]:
        """What to do about the name of a parameter that there is not, by that name."""
        remedy = CALLED_ELSEWHERE.get(name) or holder(name, LOSSES)
        return {name: remedy} if remedy else {}

    def __skvariants_spec__(self) -> Spec:
        """The parameters, checked and resolved."""
        for name, accepts in self._accepts.items():
            check(name, getattr(self, name), accepts)
        return read(self._parameters(), self._asked(), self._losses())

    def _parameters(self) -> dict[str, Any]:
        """The parameters that a fit asks for, by name."""
        return {name: getattr(self, name) for name in parameter_names(type(self))}  # type: ignore[arg-type]

    def __skvariants_publish__(self, fitted: Fitted, streaming: bool = False) -> None:
        """Set the fitted attributes; what a fit goes on from is kept for a warm start, and for further rows."""
        goes_on = streaming or fitted.spec.warm_start
        new = fitted.attributes() | {
            "_learned": fitted.worth(),
            "_keeps_state": goes_on,  # whether the state is part of what is pickled
            "_state": fitted.kept if goes_on or fitted.kept.setup.solver.method == "steps" else None,
        }
        absent = {name for name, value in new.items() if value is None and name not in _MAY_BE_NONE}
        attributes = {name: value for name, value in (vars(self) | new).items() if name not in absent}
        # at once: a signal finds the estimator as it was, or as it is now
        self.__dict__ = attributes

    def __skvariants_fit__(self, given: Given) -> Any:
        """Fit to data as a user gave them, or to a table of blocks."""
        return self._warned(self._fit(given, None, None))

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        if not state.get("_keeps_state", False):
            state = {name: value for name, value in state.items() if name != "_state"}
        if "_learned" in state:
            state["_learned"] = state["_learned"].in_short()
        return state

    def _worth(self) -> Trust | None:
        """What the model is worth beside further rows."""
        kept = self._kept()
        return getattr(self, "_learned", None) if kept is None or not kept.has_sums else kept.worth()

    def _kept(self) -> Kept | None:
        """What a fit may go on from."""
        return getattr(self, "_state", None)

    def _header(self, known: bool) -> Header:
        """Names and number of the features, for a fit to learn or to be checked against."""
        count, names = (getattr(self, name, None) for name in ("n_features_in_", "feature_names_in_"))
        return Header.of(type(self).__name__, functools.partial(get_tags, self), *((count, names) if known else ()))

    def _warned(self, messages: list[str]) -> Any:
        """Warn, where the user called."""
        for message in () if is_quiet() else messages:
            warnings.warn(message, ConvergenceWarning, stacklevel=3)
        return self

    # ------------------------------------------------------------------ fitting

    @with_callbacks
    @usual_errors
    def _fit(self, given: Given, coef_init: Any, intercept_init: Any) -> list[str]:
        """Fit; returns what is to be warned of."""
        spec = self._spec_of_call()
        callback = self._begin_callbacks(given.X, given.y, given.sample_weight)
        header = self._header(known=False)
        data = on_table(spec, header, given) or prepare(spec, header, given)
        if spec.warm_start and coef_init is None:
            self._check_names(data.header.feature_names)
        kept, start = self._kept(), None
        asked = coef_init is not None or intercept_init is not None
        if asked or not spec.warm_start or kept is None or kept.setup.key != continuation_key(spec, data):
            kept = None
            if asked or (spec.warm_start and hasattr(self, "coef_")):
                start = self._start(coef_init, intercept_init, data, spec.warm_start)
        if callback is not None:
            callback.attributes = functools.partial(model_attributes, data.task, data.header, spec.loss)
        interrupted = False
        try:
            (fitted,) = fit(
                [spec], data, None if kept is None else [kept], None if start is None else [start], callback=callback
            )  # fmt: skip
        except Interrupted as signal:
            (fitted,), interrupted = signal.left, True
        fitted.remaining = rows_of_fit(data, fitted)
        self.__skvariants_publish__(fitted)
        if callback is not None:
            callback.end()
        if interrupted:
            raise KeyboardInterrupt(f"the model is that of the last whole epoch (n_iter_={fitted.n_iter})")
        return fitted.messages

    @with_callbacks
    @usual_errors
    def _fit_batches(
        self, batches: Any, classes: Any, max_passes: int | None, validation: Given, checkpoint: Any
    ) -> list[str]:  # fmt: skip
        """Fit rows that come in batches; returns what is to be warned of."""
        check("max_passes", max_passes, OneOf(None, integers(1)))
        spec = self._spec_of_call()
        callback = self._begin_callbacks(batches, None)
        start = None
        if spec.warm_start and hasattr(self, "coef_"):
            start = functools.partial(self._start, None, None, warm=True)
        asked = Batches(
            batches, functools.partial(self._header, False), self._stream_task, classes, max_passes, validation,
            checkpoint, start, self._parameters(),
        )  # fmt: skip
        interrupted = False
        try:
            fitted, streaming = fit_batches(spec, asked, callback)
        except Interrupted as signal:
            (fitted,), streaming, interrupted = signal.left, False, True
        self.__skvariants_publish__(fitted, streaming)
        if callback is not None:
            callback.end()
        if interrupted:
            raise KeyboardInterrupt(f"the model is that of the last whole pass (n_iter_={fitted.n_iter})")
        return fitted.messages

    def _check_names(self, names: Any) -> None:
        """A warm start goes on with coefficients of other columns by their order, so these have to be the same."""
        before = getattr(self, "feature_names_in_", None)
        if not (before is None or names is None or np.array_equal(before, names)):
            raise ValueError(
                f"X has the columns {shown(list(names))}, and warm_start=True goes on from a fit of "
                f"{shown(list(before))}: give the same columns in the same order, or set warm_start=False."
            )

    def _start(self, coef: Any, intercept: Any, data: Any, warm: bool) -> tuple[Array, Array]:
        """Weights and intercepts to start from: those given, else a warm start's, else zero."""
        k, d = data.task.n_columns, data.rows.d
        before = np.zeros((k, d)), np.zeros(k)
        if warm and hasattr(self, "coef_"):
            before = self._task.as_columns(dense(self.coef_), self.intercept_)
        of_coef, of_intercept = ("coef_init", "intercept_init")
        if coef is None:
            coef, of_coef = before[0], _OF_BEFORE.format("coef_")
        if intercept is None:
            intercept, of_intercept = before[1], _OF_BEFORE.format("intercept_")
        return started_from(coef, of_coef, (k, d)), started_from(intercept, of_intercept, (k,))

    @usual_errors
    def _partial_fit(self, given: Given, n_epochs: int, classes: Any = None) -> list[str]:
        """Go through the rows so many times; returns what is to be warned of."""
        if self.early_stopping:
            raise ValueError("early_stopping should be False with partial_fit: one call is one epoch.")
        check("n_epochs", n_epochs, integers(1))
        for name, value in (("X", given.X), ("y", given.y)):
            if is_lazy(value):
                in_process(value, name)  # which says so before anything is asked of it
        spec = self._spec_of_call(n_epochs)
        fitted_before = hasattr(self, "coef_")
        task = self._stream_task(spec, getattr(self, "_task", None), classes, given.y)
        data = prepare(spec, self._header(fitted_before), given, task, streaming=True)
        if data.rows.n == 0:
            if not fitted_before and classes is not None:
                self._task = data.task  # the classes need not be told again
            return []
        kept, start, progress = None, None, Progress()
        if fitted_before:
            self._check_link(spec, data)
            kept, start = self._goes_on_from(spec, data)
            if not all(np.isfinite(values).all() for values in start):
                raise ValueError(
                    "coef_ or intercept_ holds values that are not finite, and partial_fit goes on from them: set "
                    "numbers, or call fit."
                )
            if kept is not None and kept.progress is not None:
                progress = kept.progress.copy()
        if kept is not None and not kept.takes_chunks(spec, data.task):
            kept = None
        goes_on = fitted_before and kept is not None and kept.published(*start)
        (fitted,) = fit(
            [spec], data, None if kept is None else [kept], None if goes_on or start is None else [start],
            streaming=True, trust=self._worth,
        )  # fmt: skip
        if fitted_before:
            z = predictions(data.rows.X, *start) if fitted.predicted is None else fitted.predicted
            progress.update(scored(data, spec.loss, z, fitted.losses))
        fitted.kept.progress = progress
        self.__skvariants_publish__(fitted, streaming=True)
        return fitted.messages

    def _spec_of_call(self, n_epochs: int | None = None) -> Spec:
        """The spec, of so many passes if that is said; that of before, where all parameters are still the same."""
        estimator: Any = type(self)
        values = (n_epochs, *(getattr(self, name) for name in parameter_names(estimator)))
        kinds = tuple(map(type, values))
        key = (estimator, kinds, values) if _UNCHANGING.issuperset(kinds) else None
        if key is not None and key in _SPECS:
            return _SPECS[key]
        spec = self.__skvariants_spec__()
        if n_epochs is not None:
            spec = replace(spec, stopping=replace(spec.stopping, max_iter=n_epochs, max_time=None))
        if key is not None:
            if len(_SPECS) >= _MOST_SPECS:
                _SPECS.clear()
            _SPECS[key] = spec
        return spec

    def _check_link(self, spec: Spec, data: Data) -> None:
        """Refuse a loss whose coefficients mean another prediction than those that there are."""
        if data.task.classification:
            return
        before, now, z = self._minimised, data.task.bind_loss(spec.loss), np.ones((1, data.task.n_columns))
        if not np.array_equal(before.inverse_link(z), now.inverse_link(z)):
            raise ValueError(
                f"loss={shown(self.loss)} is not accepted, as partial_fit goes on from coefficients of another link "
                f"({type(before).__name__}): call fit, or begin with a new estimator."
            )

    def _goes_on_from(self, spec: Spec, data: Data) -> tuple[Kept | None, tuple[Array, Array]]:
        """What was kept, and the model as columns; both with columns for classes that are new."""
        kept, before = self._kept(), self._task
        coef, intercept = before.as_columns(dense(self.coef_), self.intercept_)
        if coef.shape[1] != data.rows.d or len(intercept) != len(coef):
            raise ValueError(
                f"coef_ has the shape {np.shape(self.coef_)} and intercept_ {np.shape(self.intercept_)}, and "
                f"partial_fit goes on from them with {data.rows.d} features: set arrays of the shapes that they had, "
                "or call fit."
            )
        if data.task.same_as(before):
            return kept, (coef, intercept)
        start = data.task.grown(before, spec.loss, coef, intercept, data.rows.X)
        if kept is None:
            return None, start
        recalled = kept.state.method.recalled() if kept.recalls(coef, intercept) else None
        return kept.grown(data.task, *start, recalled), start

    @abstractmethod
    def _stream_task(self, spec: Spec, task: Any, classes: Any, y: Any) -> Any:
        """The task of a stream: known from earlier calls, `classes` or columns of `y`; None where targets say it."""

    @property
    def progressive_score_(self) -> float:
        """Accuracy or R2 of the predictions that `partial_fit` made before it learned their rows."""
        return self._progress("progressive_score_").score()

    @property
    def progressive_scores_(self) -> dict[str, Array]:
        """The same along the stream, in at most 256 bins: "n_rows" up to the end of each, "loss" and "score"."""
        return self._progress("progressive_scores_").curves()

    def _progress(self, name: str) -> Progress:
        kept = self._kept()
        if kept is None or kept.progress is None:
            raise AttributeError(f"{type(self).__name__} has no {name}: it is there after a call of partial_fit.")
        return kept.progress

    # ------------------------------------------------------------------ using the model

    def _copied(self) -> Any:
        """The fitted estimator as it is now."""
        check_is_fitted(self)
        return copy.copy(self)

    @usual_errors
    def _linear(self, X: Any) -> Array:
        check_is_fitted(self)
        X = features(self, X)
        fitted = vars(self)  # that of one model: a fit in another thread replaces it as a whole
        coef, intercept = fitted["coef_"], fitted["intercept_"]
        z = X @ (coef.T if sp.issparse(coef) else np.atleast_2d(coef).T)
        z = z.toarray() if sp.issparse(z) else np.asarray(z)
        # a device may have single precision only
        return z + (intercept.astype(z.dtype) if hasattr(X, "namespace") else intercept)

    def densify(self) -> Self:
        """Convert ``coef_`` to a dense array, the format after fitting.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        check_is_fitted(self)
        if sp.issparse(self.coef_):  # which has two dimensions always
            coef, intercept = self._task.as_columns(dense(self.coef_), self.intercept_)
            self.coef_ = self._task.as_published(np.concatenate([coef.T, intercept[None]]))[0]
        return self

    def sparsify(self) -> Self:
        """Convert ``coef_`` to a sparse matrix, which saves memory where L1 made it mostly zero.

        Returns
        -------
        self : object
            The fitted estimator; further calls of ``fit`` and ``partial_fit`` work.
        """
        check_is_fitted(self)
        self.coef_ = sp.csr_array(self.coef_) if self.coef_.ndim == 2 else sp.csr_matrix(self.coef_)
        return self

    def to_sklearn(self) -> _export.Exported:
        """The fitted estimator of scikit-learn that predicts the same, for tools that know scikit-learn's classes.

        Which class stands for which loss is told in :doc:`/guide/saving`. Classes and the names of features are kept.
        It is for predictions: its training parameters are scikit-learn's defaults, so fitting it is another fit.

        Returns
        -------
        estimator
            Such as ``LogisticRegression`` or ``Ridge``, with classes and names of features. It shares
            nothing with this one. Several targets or levels of a quantile become a ``MultiOutputRegressor``, whose
            ``estimators_`` are those of each, in their order; its parameter ``estimator``, of which scikit-learn has
            one for all, is like the first.

        Raises
        ------
        ValueError
            If no estimator of scikit-learn predicts the same.
        """
        check_is_fitted(self)
        names = ("n_features_in_", "feature_names_in_")
        header = {"fit_intercept": self.fit_intercept} | {name: getattr(self, name, None) for name in names}
        return _export.as_scikit_learn(
            self._task, self._minimised, np.array(dense(self.coef_)), np.array(self.intercept_), header
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        deterministic = ("auto", "gd", "quasi_newton", "interior_point")
        tags.non_deterministic = not (isinstance(self.solver, str) and self.solver in deterministic)
        tags.array_api_support = self._goes_elsewhere()
        return tags

    def _goes_elsewhere(self) -> bool:
        """Whether a fit of an array of another library leaves it where it is; by names, as tags are asked often."""
        loss = LOSSES.get(self.loss) if isinstance(self.loss, str) else self.loss
        penalty = "l2" if self.penalty is None else self.penalty
        named = (self.solver, penalty, self.learning_rate, self.eta0, self.batch_size)
        if not (getattr(loss, "smooth", False) and all(isinstance(name, str) for name in named)):
            return False
        free = named[2:] == ("auto",) * 3 and self.early_stopping is False and self.average is False
        bounded = not (self.bounds is None and self.monotonic_cst is None and self.positive is False)
        return free and not bounded and named[0] in _SUMMED[0] and named[1] in _SUMMED[1]


# specs by parameters, as reading them takes as long as learning ten rows; and the kinds that no one can change
_SPECS: dict[Any, Spec] = {}
_MOST_SPECS, _UNCHANGING = 64, {bool, int, float, str, type(None)}
# parameters that are names of components, or components
_COMPONENTS = ("loss", "penalty", "solver", "learning_rate")
# solvers and penalties of fits by sums over rows
_SUMMED = ("auto", "quasi_newton"), ("l1", "l2", "elasticnet")
# what warm_start=True goes on from, in sentences
_OF_BEFORE = "{} of the fit before, from which warm_start=True goes on,"
# attributes that say something by being None
_MAY_BE_NONE = {
    "eta0_", "race_", "validation_scores_", "best_epoch_", "objective_", "suboptimality_", "suboptimality_kind_",
    "_state",
}  # fmt: skip


@functools.cache
def parameter_names(cls: Any) -> tuple[str, ...]:
    """Names of the parameters that a fit asks for: a subclass may fix some in its constructor, and name more."""
    return tuple(dict.fromkeys((*_COMPONENTS, *cls._accepts, *cls._get_param_names())))


def dense(coef: Any) -> Any:
    """Coefficients as a dense array."""
    return coef.toarray() if sp.issparse(coef) else coef
