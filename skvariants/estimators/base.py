r"""What the two estimators share: parameters are read into a spec, data into rows, and a result is published last.

Both minimise

.. math:: \frac{\sum_i s_i\, \ell(y_i, x_i w + b)}{\sum_i s_i}
          + \alpha \left( \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 \right)

with weights `s` (those of samples times those of their classes), `w` in the units of the data and the intercept `b`
free. Nothing is set before the fit has ended, so that a fit that fails leaves the estimator as it was.
"""

from __future__ import annotations

import functools
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from skvariants._callbacks import ReportsEpochs, with_callbacks
from skvariants._component import Accepts, Flag, OneOf, check, integers, number
from skvariants._data.validate import Data, Given, Header, prepare
from skvariants._doclinks import LinksToDocs
from skvariants._fit import Fitted, Kept, continuation_key, fit, model_attributes
from skvariants._spec import Spec, read
from skvariants._stream.progress import Progress, scored

Array = np.ndarray


class SGDVariant(ReportsEpochs, LinksToDocs, BaseEstimator):
    """What the two estimators share."""

    coef_: Any
    intercept_: Any
    status_: str
    n_iter_: int

    _accepts: ClassVar[dict[str, Accepts]] = {
        "alpha": number(0),
        "l1_ratio": OneOf(None, number(0, 1, "both")),
        "fit_intercept": Flag(),
        "batch_size": OneOf("auto", "full", integers(1)),
        "scale_features": OneOf("auto", Flag()),
        "eta0": OneOf("auto", number(0, closed="neither")),
        "power_t": number(0),
        "max_iter": integers(1),
        "tol": OneOf(None, number(0)),
        "n_iter_no_change": integers(1),
        "shuffle": Flag(),
        "epsilon": number(0),
        "early_stopping": Flag(),
        "validation_fraction": number(0, 1, "neither"),
        "average": OneOf(Flag(), integers(1)),
        "forgetting": OneOf(None, "auto", number(0, closed="neither")),
        "warm_start": Flag(),
        "random_state": OneOf(None, integers(0, 2**32, "left"), np.random.RandomState),
        "verbose": OneOf(Flag(), integers(0)),
    }

    # ------------------------------------------------------------------ spec down, result up

    @abstractmethod
    def _asked(self) -> Any:
        """The task, before any target was seen."""

    @abstractmethod
    def _losses(self) -> Mapping[str, Any]:
        """Names of the losses that this estimator takes."""

    def __skvariants_spec__(self) -> Spec:
        """The parameters, checked and resolved."""
        for name, accepts in self._accepts.items():
            check(name, getattr(self, name), accepts)
        params = {name: getattr(self, name) for name in parameter_names(type(self))}  # type: ignore[arg-type]
        return read(params, self._asked(), self._losses())

    def __skvariants_publish__(self, fitted: Fitted, streaming: bool = False) -> None:
        """Set the fitted attributes; what a fit goes on from is kept for a warm start, and for further rows."""
        for name, value in fitted.attributes().items():
            if value is not None or name in _MAY_BE_NONE:
                setattr(self, name, value)
            elif hasattr(self, name):
                delattr(self, name)
        #: what the model is worth beside further rows
        self._learned = fitted.worth()
        goes_on = streaming or fitted.spec.warm_start
        #: whether the state is part of what is pickled
        self._keeps_state = goes_on
        self._state = fitted.kept if goes_on or fitted.kept.setup.solver.method == "steps" else None

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        if not state.get("_keeps_state", False):
            state = {name: value for name, value in state.items() if name != "_state"}
            if "_learned" in state:
                state["_learned"] = state["_learned"].in_short()
        return state

    def _kept(self) -> Kept | None:
        """What a fit may go on from."""
        return getattr(self, "_state", None)

    def _header(self, known: bool) -> Header:
        """Names and number of the features, for a fit to learn or to be checked against."""
        count, names = (getattr(self, name, None) for name in ("n_features_in_", "feature_names_in_"))
        return Header.of(type(self).__name__, get_tags(self), *((count, names) if known else ()))

    def _warned(self, messages: list[str]) -> Any:
        """Warn, where the user called."""
        for message in messages:
            warnings.warn(message, ConvergenceWarning, stacklevel=3)
        return self

    # ------------------------------------------------------------------ fitting

    @with_callbacks
    def _fit(self, given: Given, coef_init: Any, intercept_init: Any) -> list[str]:
        """Fit; returns what is to be warned of."""
        spec = self.__skvariants_spec__()
        callback = self._begin_callbacks(given.X, given.y, given.sample_weight)
        data = prepare(spec, self._header(known=False), given)
        kept, start = self._kept(), None
        asked = coef_init is not None or intercept_init is not None
        if asked or not spec.warm_start or kept is None or kept.setup.key != continuation_key(spec, data):
            kept = None
            if asked or (spec.warm_start and hasattr(self, "coef_")):
                start = self._start(coef_init, intercept_init, data, spec.warm_start)
        if callback is not None:
            callback.attributes = functools.partial(model_attributes, data.task, data.header, spec.loss)
        (fitted,) = fit(
            [spec], data, None if kept is None else [kept], None if start is None else [start], callback=callback
        )  # fmt: skip
        self.__skvariants_publish__(fitted)
        if callback is not None:
            callback.end()
        return fitted.messages

    def _start(self, coef: Any, intercept: Any, data: Any, warm: bool) -> tuple[Array, Array]:
        """Weights and intercepts to start from: those given, else a warm start's, else zero."""
        k, d = data.task.n_columns, data.rows.d
        warm = warm and hasattr(self, "coef_")
        if coef is None:
            coef = np.atleast_2d(dense(self.coef_)) if warm else np.zeros((k, d))
        if intercept is None:
            intercept = np.ravel(self.intercept_) if warm else np.zeros(k)
        coef, intercept = np.asarray(coef, dtype=np.float64), np.asarray(intercept, dtype=np.float64)
        if coef.size != k * d or (coef.ndim == 2 and coef.shape != (k, d)):
            raise ValueError(
                f"Provided coef_init does not match dataset: its shape is {coef.shape}, and must be ({k}, {d})."
            )
        if intercept.size != k:
            raise ValueError(
                f"Provided intercept_init does not match dataset: its shape is {intercept.shape}, and must be ({k},)."
            )
        return coef.reshape(k, d), intercept.ravel()

    def _partial_fit(self, given: Given, n_epochs: int, classes: Any = None) -> list[str]:
        """Go through the rows so many times; returns what is to be warned of."""
        if self.early_stopping:
            raise ValueError("early_stopping should be False with partial_fit: one call is one epoch.")
        check("n_epochs", n_epochs, integers(1))
        spec = self.__skvariants_spec__()
        spec = replace(spec, stopping=replace(spec.stopping, max_iter=n_epochs))
        fitted_before = hasattr(self, "coef_")
        task = self._stream_task(spec, self._task if fitted_before else None, classes)
        data = prepare(spec, self._header(fitted_before), given, task)
        if data.rows.n == 0:
            if not fitted_before:
                raise ValueError(
                    "sample_weight is zero for all samples of the first call of partial_fit, or class_weight for all "
                    "of its classes: at least one weight must be positive."
                )
            return []
        kept, start, progress = None, None, Progress()
        if fitted_before:
            kept, start = self._goes_on_from(spec, data)
            if not all(np.isfinite(values).all() for values in start):
                raise ValueError(
                    "coef_ or intercept_ holds values that are not finite, and partial_fit goes on from them: set "
                    "numbers, or call fit."
                )
            if kept is not None and kept.progress is not None:
                progress = kept.progress.copy()
            progress.update(scored(data, spec.loss, *start))
        if kept is not None and not kept.takes_chunks(spec, data.task):
            kept = None
        if fitted_before and kept is not None and kept.published(*start):
            start = None
        (fitted,) = fit(
            [spec], data, None if kept is None else [kept], None if start is None else [start], streaming=True,
            trust=getattr(self, "_learned", None),
        )  # fmt: skip
        fitted.kept.progress = progress
        self.__skvariants_publish__(fitted, streaming=True)
        return fitted.messages

    def _goes_on_from(self, spec: Spec, data: Data) -> tuple[Kept | None, tuple[Array, Array]]:
        """What was kept, and the model as columns; both with columns for classes that are new."""
        kept, before = self._kept(), self._task
        coef, intercept = before.as_columns(dense(self.coef_), self.intercept_)
        if data.task.same_as(before):
            return kept, (coef, intercept)
        start = data.task.grown(before, spec.loss, coef, intercept, data.rows.X)
        return None if kept is None else kept.grown(data.task, *start), start

    @abstractmethod
    def _stream_task(self, spec: Spec, task: Any, classes: Any) -> Any:
        """The task of a stream: known from earlier calls or from `classes`; None where targets are to say it."""

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

    def _linear(self, X: Any) -> Array:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32])
        coef = self.coef_.T if sp.issparse(self.coef_) else np.atleast_2d(self.coef_).T
        z = X @ coef
        z = z.toarray() if sp.issparse(z) else np.asarray(z)
        return z + self.intercept_

    def densify(self) -> Any:
        """Convert ``coef_`` to a dense array, the format after fitting.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        check_is_fitted(self)
        self.coef_ = dense(self.coef_)
        return self

    def sparsify(self) -> Any:
        """Convert ``coef_`` to a sparse matrix, which saves memory where L1 made it mostly zero.

        Returns
        -------
        self : object
            The fitted estimator; further calls of ``fit`` and ``partial_fit`` work.
        """
        check_is_fitted(self)
        self.coef_ = sp.csr_array(self.coef_) if self.coef_.ndim == 2 else sp.csr_matrix(self.coef_)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        deterministic = ("auto", "gd", "quasi_newton", "interior_point")
        tags.non_deterministic = not (isinstance(self.solver, str) and self.solver in deterministic)
        return tags


# attributes that say something by being None
_MAY_BE_NONE = {
    "eta0_", "race_", "validation_scores_", "best_epoch_", "suboptimality_", "suboptimality_kind_",
}  # fmt: skip


@functools.cache
def parameter_names(cls: Any) -> tuple[str, ...]:
    """Names of the parameters of an estimator class."""
    return tuple(cls._get_param_names())


def dense(coef: Any) -> Any:
    """Coefficients as a dense array."""
    return coef.toarray() if sp.issparse(coef) else coef
