r"""The two estimators: linear models by every variant of stochastic gradient descent.

Both minimise

.. math:: \frac{1}{\sum_i s_i} \sum_i s_i\, c_{y_i}\, \ell(y_i, x_i w + b)
          + \alpha \left( \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 \right)

with sample weights `s`, class weights `c` (classifier), `w` in the units of the data and the intercept `b` free. A fit
validates, resolves four names (loss, penalty, schedule, solver), builds a problem and lets the engine train it.
"""

from __future__ import annotations

import contextlib
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from skvariants._advice import facts, recommend
from skvariants._callbacks import Epochs, ReportsEpochs, with_callbacks
from skvariants._component import Flag, Integer, OneOf, Real, check, resolve
from skvariants._doclinks import LinksToDocs
from skvariants._engine import Targets
from skvariants._fit import Prepared, Result, Rows, fit_rows
from skvariants._fullbatch import QuasiNewton
from skvariants._scaling import Coordinates, Moments
from skvariants.losses import LOSSES, LogLoss, Loss, MultinomialLogLoss
from skvariants.penalties import PENALTIES, Penalty
from skvariants.schedules import SCHEDULES, Adaptive, Schedule
from skvariants.solvers import SOLVERS, AdaGrad, Solver

__all__ = ["SGDVariantClassifier", "SGDVariantRegressor"]

Array = np.ndarray
# what the data teach, beside the model
_LEARNED = ("n_features_in_", "feature_names_in_", "classes_", "n_targets_", "_flat_y")
# parameters that may change between two warm-started fits without making it another problem
_GOES_ON = {
    "max_iter", "tol", "n_iter_no_change", "verbose", "warm_start", "random_state", "n_jobs",
}  # fmt: skip


class _SGDVariant(ReportsEpochs, LinksToDocs, BaseEstimator):
    """What the two estimators share."""

    coef_: Any
    intercept_: Any
    _trains_as_columns = True

    _accepts = {
        "alpha": Real(0, per_column=False),
        "l1_ratio": OneOf(None, Real(0, 1, "both", per_column=False)),
        "fit_intercept": Flag(),
        "batch_size": OneOf("auto", "full", Integer(1)),
        "scale_features": OneOf("auto", Flag()),
        "eta0": OneOf("auto", Real(0, closed="neither", per_column=False)),
        "power_t": Real(0, per_column=False),
        "max_iter": Integer(1),
        "tol": OneOf(None, Real(0, per_column=False)),
        "n_iter_no_change": Integer(1),
        "shuffle": Flag(),
        "epsilon": Real(0, per_column=False),
        "early_stopping": Flag(),
        "validation_fraction": Real(0, 1, "neither", per_column=False),
        "average": OneOf(Flag(), Integer(1)),
        "warm_start": Flag(),
        "random_state": OneOf(None, Integer(0, 2**32, "left"), np.random.RandomState),
        "verbose": OneOf(Flag(), Integer(0)),
    }

    # ------------------------------------------------------------------ resolving names

    def _check_params(self) -> None:
        """Every parameter's sentence, before any work is done."""
        for name, accepts in self._accepts.items():
            check(name, getattr(self, name), accepts)
        if self.penalty == "elasticnet" and self.l1_ratio is None:
            raise ValueError("l1_ratio must be set when penalty is 'elasticnet': pass a number in [0, 1].")
        self._resolve_penalty()
        self._resolve_loss()
        self._resolve_schedule()
        if not self._is_auto:
            self._resolve_solver()
        if self.learning_rate == "optimal" and self.alpha == 0:
            SCHEDULES["optimal"](alpha=0.0).prepared(LogLoss(), 0.0)

    @property
    def _is_auto(self) -> bool:
        return isinstance(self.solver, str) and self.solver == "auto"

    def _context(self) -> dict[str, Any]:
        l1_ratio = 0.0 if self.l1_ratio is None else self.l1_ratio
        return {**vars(self), "l1_ratio": l1_ratio}

    def _resolve_loss(self) -> Loss:
        loss = resolve(self.loss, self._losses(), Loss, "loss", self._context())
        if isinstance(self, RegressorMixin) and not loss.regression:
            names = ", ".join(self._losses())
            raise ValueError(f"loss={self.loss!r} is for classification; use one of {names}.")
        return loss

    def _resolve_penalty(self) -> Penalty:
        return resolve(self.penalty, PENALTIES, Penalty, "penalty", self._context())

    def _resolve_solver(self) -> Solver:
        names = {**dict.fromkeys(["auto"]), **SOLVERS}
        if isinstance(self.solver, str) and self.solver in SOLVERS:
            names = SOLVERS
        return resolve(self.solver, names, Solver, "solver", self._context())

    def _method(self, loss: Loss, rows: Rows, scaled: bool, streaming: bool) -> Any:
        """The solver named; for "auto", what suits the loss, else what suits the data."""
        if not self._is_auto:
            return self._resolve_solver()
        if streaming:  # few passes are AdaGrad's: docs/choosing_evidence.md
            return AdaGrad()
        free = [isinstance(v, str) and v == "auto" for v in (self.learning_rate, self.eta0, self.batch_size)]
        method = QuasiNewton()
        if all(free) and not self.average and method.suits(loss):
            return method
        known = facts(
            rows.X, rows.y, classification=hasattr(self, "classes_"), scaled=scaled, smooth=method.suits(loss),
            weight=rows.weight, center=bool(self.fit_intercept), moments=self.__dict__.get("_moments"), random_state=0,
        )  # fmt: skip
        return SOLVERS[recommend(known).solver_name]()

    def _resolve_schedule(self) -> Schedule:
        if isinstance(self.learning_rate, str) and self.learning_rate == "auto":
            return Adaptive(eta0=self.eta0, factor=0.25)
        names = SCHEDULES
        if not isinstance(self.learning_rate, Schedule) and self.learning_rate not in SCHEDULES:
            names = {"auto": None, **SCHEDULES}
        schedule = resolve(self.learning_rate, names, Schedule, "learning_rate", self._context())
        if schedule is self.learning_rate and schedule.raced and self.eta0 != "auto":
            schedule = type(schedule)(**{**schedule.get_params(deep=False), "eta0": self.eta0})
        return schedule

    def _resolve_batch_size(self, solver: Solver, X: Any) -> int:
        n, size = X.shape[0], self.batch_size
        if isinstance(size, str) and size == "auto":
            size = solver.batch_size
            if not isinstance(size, str):
                if sp.issparse(X) and size > 1:
                    # a step costs its stored values and an update of every weight: enough rows to outweigh it
                    size = max(size, min(2048, int(X.shape[1] * n / max(X.nnz, 1))))
                # passes count: small tables deserve small batches, and tiny ones are one batch
                size = n if n <= 32 else min(size, max(32, n // 32))
        return n if isinstance(size, str) else min(int(size), n)

    # ------------------------------------------------------------------ data

    @abstractmethod
    def _losses(self) -> Mapping[str, Any]:
        """Names of the losses that this estimator takes."""

    @abstractmethod
    def _encode(self, y: Array, loss: Loss, weight: Array | None, dtype: Any) -> Targets:
        """Targets as the engine wants them."""

    @abstractmethod
    def _n_columns(self) -> int:
        """Columns of one fit: targets, or classes."""

    @abstractmethod
    def _engine_loss(self, loss: Loss) -> Loss:
        """The loss that the engine minimises (multinomial where classes are coupled)."""

    @abstractmethod
    def _validate(self, X: Any, y: Any, reset: bool, **kwargs: Any) -> tuple[Any, Array]:
        """Validated features and targets."""

    @abstractmethod
    def _scores(self, models: Array, X: Any, y: Array, weight: Array | None) -> Array:
        """Validation score of each model; their columns lie side by side."""

    @abstractmethod
    def _publish(self, coef: Array, intercept: Array) -> None:
        """Set ``coef_`` and ``intercept_``."""

    def _validate_X(self, X: Any, y: Any, reset: bool, **kwargs: Any) -> Any:
        return validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            order="C",
            accept_large_sparse=True,
            **kwargs,
        )

    def _weights(self, sample_weight: Any, X: Any) -> Array | None:
        if sample_weight is None:
            return None
        weight = check_array(
            sample_weight, ensure_2d=False, allow_nd=False, dtype=np.float64, input_name="sample_weight"
        )
        if weight.ndim == 0:
            weight = np.full(X.shape[0], float(weight))
        if weight.shape != (X.shape[0],):
            raise ValueError(f"sample_weight.shape == {weight.shape}, expected {(X.shape[0],)}: one weight per row.")
        if (weight < 0).any():
            raise ValueError("Negative values in data passed to `sample_weight`: weights must be zero or positive.")
        return None if np.ptp(weight) == 0 and weight[0] > 0 else weight

    # ------------------------------------------------------------------ fitting

    @contextlib.contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """A fit that fails leaves the estimator as it was."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _prepare_rows(self, X: Any, y: Array, sample_weight: Any) -> tuple[Any, Array, Array | None]:
        """Drop rows of weight zero and scale the other weights to mean one."""
        if sp.issparse(X) and not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        weight = self._weights(sample_weight, X)
        if weight is None:
            return X, y, None
        used = weight > 0
        if not used.any():
            return X[:0], y[:0], weight[:0]
        if not used.all():
            X, y, weight = X[used], y[used], weight[used]
        return X, y, (weight / weight.mean()).astype(X.dtype)

    @with_callbacks
    def _fit(
        self, X: Any, y: Any, coef_init: Any, intercept_init: Any, sample_weight: Any,
        X_val: Any, y_val: Any, sample_weight_val: Any,
    ) -> list[str]:  # fmt: skip
        """Fit; returns what is to be warned of."""
        self._check_params()
        epochs = self._begin_callbacks(X, y, sample_weight)
        with self._all_or_nothing():
            prepared = self._prepared(X, y, sample_weight, X_val, y_val, sample_weight_val)
            messages = self._fit_prepared([self], prepared, coef_init, intercept_init, epochs)
        if epochs is not None:
            epochs.end()
        return messages

    def _told(self, messages: list[str]) -> Any:
        """Warn, where the user called."""
        for message in messages:
            warnings.warn(message, ConvergenceWarning, stacklevel=3)
        return self

    def _prepared(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Prepared:  # fmt: skip
        """Validated rows for training and for validation; the estimator learns names, classes, shapes."""
        before = set(vars(self))
        X, y = self._validate(X, y, reset=True, sample_weight=sample_weight)
        X, y, weight = self._prepare_rows(X, y, sample_weight)
        if X.shape[0] == 0:
            raise ValueError("sample_weight is zero for all samples: at least one weight must be positive.")
        self._learn_classes(y)
        validation = self._validation(X, y, weight, X_val, y_val, sample_weight_val)
        if validation is not None and X_val is None:
            X, y, weight, validation = validation
        learned = {name: value for name, value in vars(self).items() if name not in before or name in _LEARNED}
        return Prepared(Rows(X, y, weight), validation, learned, self._n_columns())

    def _fit_prepared(
        self, members: Any, prepared: Prepared, coef_init: Any = None, intercept_init: Any = None,
        epochs: Epochs | None = None,
    ) -> list[str]:  # fmt: skip
        """Fit estimators of one group and one clock; returns what is to be warned of."""
        rows, d = prepared.rows, prepared.rows.X.shape[1]
        for member in members:
            member.__dict__.update(prepared.learned)
        given = coef_init is not None or intercept_init is not None
        runs, start = None, None
        if not given and all(m._goes_on(rows.X) for m in members):
            runs = [m._run.copy() for m in members]
        elif given or any(m.warm_start and hasattr(m, "coef_") for m in members):
            start = [m._start(coef_init, intercept_init, d) for m in members]
        if runs is None:
            for member in members:
                member._forget()
        coordinates = self._coordinates_for(rows, self._scales(), False, runs)
        if epochs is not None:
            epochs.original = coordinates.original
        results = fit_rows(members, rows, coordinates, prepared.validation, start, runs, watch=epochs)
        messages = []
        for member, result in zip(members, results, strict=True):
            for name in ("_moments", "_target_moments"):
                if name in vars(self):
                    setattr(member, name, getattr(self, name))
            member._run_key = member._fit_key(rows.X) if member.warm_start else None
            messages += member._accept(result, rows.X)
        return messages

    def _goes_on(self, X: Any) -> bool:
        """Whether a warm start goes on exactly where the last fit stopped."""
        return bool(self.warm_start) and "_run" in vars(self) and self._fit_key(X) == vars(self).get("_run_key")

    def _clock(self, prepared: Prepared) -> Any:
        """What fits must share to be trained together from where they stand."""
        goes_on = hasattr(self, "coef_") and self._goes_on(prepared.rows.X)
        return self._run.clock if goes_on else hasattr(self, "coef_")

    def _learn_classes(self, y: Array) -> None:
        """Remember what the targets are."""

    def _forget(self) -> None:
        """Drop what only a fit that goes on needs."""
        for name in ("race_", "_run", "_coordinates", "_schedule", "_moments", "_target_moments"):
            self.__dict__.pop(name, None)

    def _fit_key(self, X: Any) -> Any:
        params = {k: v for k, v in self.get_params().items() if k not in _GOES_ON}
        classes = getattr(self, "classes_", None)
        return (X.shape[1], str(X.dtype), self._n_columns(), repr(params), repr(classes))

    def _start(self, coef: Any, intercept: Any, d: int) -> tuple[Array, Array]:
        """Weights and intercepts to start from: those given, else a warm start's, else zero."""
        k = self._n_columns()
        warm = self.warm_start and hasattr(self, "coef_")
        if coef is None:
            coef = np.atleast_2d(self._dense_coef()) if warm else np.zeros((k, d))
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

    def _validation(self, X: Any, y: Array, weight: Array | None, X_val: Any, y_val: Any, weight_val: Any) -> Any:
        """The user's validation rows, or a split of the training rows; None if not wanted."""
        if X_val is not None or y_val is not None:
            if X_val is None or y_val is None:
                raise ValueError("X_val and y_val must be given together.")
            if not self.early_stopping:
                raise ValueError("X_val and y_val were given but early_stopping=False: pass early_stopping=True.")
            X_val, y_val = self._validate(X_val, y_val, reset=False)
            weight_val = self._weights(weight_val, X_val)
            if weight_val is not None and not weight_val.any():
                raise ValueError("sample_weight_val is zero for all samples.")
            return X_val, y_val, weight_val
        if not self.early_stopping:
            return None
        n = X.shape[0]
        splitter = StratifiedShuffleSplit if hasattr(self, "classes_") else ShuffleSplit
        cv = splitter(n_splits=1, test_size=self.validation_fraction, random_state=self.random_state)
        train_rows, val_rows = next(cv.split(np.zeros((n, 1)), y))
        if len(train_rows) == 0 or len(val_rows) == 0:
            raise ValueError(
                f"Splitting {n} samples into a train set and a validation set with "
                f"validation_fraction={self.validation_fraction!r} led to an empty set "
                f"({len(train_rows)} and {len(val_rows)} samples). Change validation_fraction, "
                "give more samples, or disable early_stopping."
            )
        w_train = None if weight is None else weight[train_rows] / weight[train_rows].mean()
        w_val = None if weight is None else weight[val_rows]
        held_out = (X[val_rows], y[val_rows], w_val)
        return X[train_rows], y[train_rows], w_train, held_out

    def _scales(self) -> bool:
        """Whether the fit works in standardised coordinates."""
        if isinstance(self.scale_features, str):
            return self._resolve_schedule().raced
        return bool(self.scale_features)

    def _finished_schedule(self, schedule: Schedule) -> Schedule:
        """The schedule once its first step is known."""
        if isinstance(self.learning_rate, str) and self.learning_rate == "auto":
            # three drops, each to a quarter: the noise that is left is below the tolerance
            return schedule.with_fields(floor=float(schedule.eta0) / 50)
        return schedule

    def _coordinates_for(self, rows: Rows, scaled: bool, partial: bool, runs: Any) -> Coordinates:
        """Coordinates to work in; a run that goes on is carried over into new ones."""
        if not scaled:
            return Coordinates()
        X, y, weight = rows.X, rows.y, rows.weight
        old = self.__dict__.get("_coordinates")
        if runs is not None and not partial and old is not None:
            return old
        moments = self.__dict__.get("_moments") if runs is not None else None
        moments = Moments() if moments is None else Moments(**vars(moments))
        moments.update(X, weight)
        self._moments = moments
        coordinates = moments.coordinates(bool(self.fit_intercept), self._target_units(y, weight, runs), X.dtype)
        if runs is not None and old is not None:
            for run in runs:
                run.theta = coordinates.standardised(old.original(run.theta)).astype(X.dtype)
                if run.average is not None:
                    run.average = coordinates.standardised(old.original(run.average)).astype(X.dtype)
        return coordinates

    def _target_units(self, y: Array, weight: Array | None, runs: Any) -> Any:
        """The unit of the target: 1 for classes."""
        return 1.0

    def _accept(self, result: Result, X: Any, partial: bool = False) -> list[str]:
        """Publish a model and its story; returns what is to be warned of."""
        out, j, run, theta = result.outcome, result.model, result.run, result.theta
        before = self.__dict__.get("_epochs", 0) if result.went_on else 0
        history = run.history
        self._run, self._coordinates, self._schedule = run, result.coordinates, result.schedule
        self._epochs = int(out.n_iter[j])
        self.race_, self.solver_ = result.race, result.method
        self.eta0_ = result.eta0
        self.n_iter_ = int(out.n_iter[j]) - before
        self.t_ = 1.0 + run.t
        self.status_ = out.status[j]
        self.history_ = {
            "epoch": [row["epoch"] for row in history],
            "objective": [sum(row["objective"].tolist()) for row in history],
            "eta": [sum(row["eta"].tolist()) / len(row["eta"]) for row in history],
            "seconds": [float(row["seconds"]) for row in history],
            "rows": [int(row["rows"]) for row in history],
            "validation_score": [
                None if row["validation_score"] is None else float(np.mean(row["validation_score"])) for row in history
            ],
        }
        self.loss_curve_ = list(self.history_["objective"])
        scores = self.history_["validation_score"]
        self.validation_scores_ = [v for v in scores if v is not None] or None
        self.best_epoch_ = None
        if self.validation_scores_ is not None:
            self.best_epoch_ = int(np.argmax(self.validation_scores_)) + 1
        last = self.loss_curve_[-1] if self.loss_curve_ else 0.0
        wild = not np.isfinite(last) or last > 100 * result.reference
        broken = not np.isfinite(theta).all()
        setbacks = int(out.setbacks[j])
        messages = []
        # a step that a race found is ours: that it was made smaller is no news, as long as the fit went on
        gave_up = self.status_ == "diverged" or (setbacks and result.race is None)
        if gave_up or (wild and not partial) or broken:
            if wild or broken:
                self.status_ = "diverged"
            messages.append(self._diverged(setbacks, last, X))
        elif self.status_ == "max_iter" and not partial and self.tol is not None:
            messages.append(self._not_converged())
        theta = np.nan_to_num(theta, nan=0.0, posinf=0.0, neginf=0.0) if broken else theta
        self._publish(theta[:-1].T, theta[-1])
        return messages

    def _diverged(self, setbacks: int, objective: float, X: Any) -> str:
        """The sentence about steps that were too large."""
        moments = Moments()
        moments.update(X)
        with np.errstate(over="ignore", invalid="ignore"):
            scales = np.nan_to_num(np.sqrt(moments.squares / moments.count + moments.mean**2), nan=np.inf)
        labels = getattr(self, "feature_names_in_", np.arange(len(scales)))
        largest = ", ".join(f"{labels[j]} ({scales[j]:.3g})" for j in np.argsort(scales)[::-1][:3])
        what = f"the objective ended at {objective:.3g}, far above that of a constant model"
        if setbacks:
            times = "once" if setbacks == 1 else f"{setbacks} times"
            what = f"the fit stepped back {times} to its last good iterate, with a step ten times smaller"
        return (
            f"The steps were too large (eta0={self.eta0!r}) and the objective diverged: {what}. The columns of the "
            f"largest scale are {largest}. Use eta0='auto' and scale_features='auto', scale the columns, or pass a "
            "smaller eta0."
        )

    def _not_converged(self) -> str:
        """The sentence about too few epochs."""
        curve = self.loss_curve_
        drop = (curve[-2] - curve[-1]) / max(abs(curve[-1]), 1e-300) if len(curve) > 1 else np.nan
        return (
            "Maximum number of iteration reached before convergence. Consider increasing max_iter to "
            f"improve the fit. After max_iter={self.max_iter} epochs the objective still fell by "
            f"{drop:.2g} (relative) in the last one."
        )

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> list[str]:
        """Go through the rows once; returns what is to be warned of."""
        if self.early_stopping:
            raise ValueError("early_stopping should be False with partial_fit: one call is one epoch.")
        first = not hasattr(self, "coef_") or "_run" not in self.__dict__
        if not hasattr(self, "coef_"):
            self._check_params()
        with self._all_or_nothing():
            self._partial_classes(y, classes)
            X, y = self._validate(X, y, reset=not hasattr(self, "coef_"), partial=True)
            X, y, weight = self._prepare_rows(X, y, sample_weight)
            if X.shape[0] == 0:
                if first:
                    raise ValueError(
                        "sample_weight is zero for all samples of the first call of partial_fit: "
                        "at least one weight must be positive."
                    )
                return []
            runs, start = None, None
            if "_run" in vars(self) and self.solver_.stochastic and self._run.theta.shape[1] == self._n_columns():
                runs = [self._run.copy()]
                X = X.astype(runs[0].theta.dtype, copy=False)
            else:
                if hasattr(self, "coef_"):
                    start = [(np.atleast_2d(self._dense_coef()), np.ravel(self.intercept_))]
                self._forget()
            rows = Rows(X, y, weight)
            coordinates = self._coordinates_for(rows, self._scales(), True, runs)
            (result,) = fit_rows([self], rows, coordinates, None, start, runs, max_iter=1)
            return self._accept(result, X, partial=True)

    def _partial_classes(self, y: Any, classes: Any) -> None:
        """Classes across calls; nothing for targets."""

    # ------------------------------------------------------------------ using the model

    def _dense_coef(self) -> Array:
        return self.coef_.toarray() if sp.issparse(self.coef_) else self.coef_

    def _linear(self, X: Any) -> Array:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32])
        coef = self.coef_.T if sp.issparse(self.coef_) else np.atleast_2d(self.coef_).T
        if sp.issparse(coef) and coef.shape[0] != X.shape[1]:
            coef = coef.T
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
        if sp.issparse(self.coef_):
            self.coef_ = self.coef_.toarray()
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
        deterministic = ("auto", "gd")
        tags.non_deterministic = not (isinstance(self.solver, str) and self.solver in deterministic)
        return tags


def _has_probability(estimator: Any) -> bool:
    loss = estimator._resolve_loss()
    if not hasattr(loss, "probability"):
        raise AttributeError(
            f"probability estimates are not available for loss={estimator.loss!r}: use 'log_loss' or 'modified_huber'."
        )
    return True


class SGDVariantClassifier(ClassifierMixin, _SGDVariant):
    r"""Linear classifier by any variant of stochastic gradient descent.

    Minimises the weighted mean loss plus penalty,

    .. math:: \frac{1}{\sum_i s_i} \sum_i s_i\, c_{y_i}\, \ell(y_i, x_i w + b)
              + \alpha \left( \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 \right)

    summed over the classes where there are more than two and they are not coupled (one-vs-rest).

    Parameters
    ----------
    loss : str or Loss, default="log_loss"
        "log_loss", "hinge", "modified_huber", "squared_hinge", "perceptron", a loss of the regressor (on targets -1
        and 1), or an instance.
    penalty : {"l2", "l1", "elasticnet"}, None or Penalty, default="l2"
        What a large weight costs.
    alpha : float, default=1e-4
        Strength of the penalty, on the weights in the units of the data.
    l1_ratio : float, default=0.15
        Share of L1 in "elasticnet".
    fit_intercept : bool, default=True
        Whether there is an intercept; it is never penalised.
    solver : str or Solver, default="auto"
        How the model learns: "gd", "sgd", "minibatch", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop",
        "adam", or an instance with its own hyperparameters such as ``Momentum(momentum=0.95)``. "auto" takes
        quasi-Newton steps on a growing batch where the loss is smooth and no step, batch or average is asked for
        (`max_iter` and `history_` then count iterations); else it is what the rules of
        :func:`skvariants.diagnostics.diagnose` advise for the data, and AdaGrad in `partial_fit`. `solver_` says which.
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
        step that falls to a quarter when progress stops, three times.
    eta0 : float or "auto", default="auto"
        The first step; "auto" races a ladder of them. For "pa1" and "pa2" it is the aggressiveness C ("auto": 1).
    power_t : float, default=0.5
        The power of "invscaling".
    max_iter : int, default=1000
        Most epochs (passes over the rows).
    tol : float or None, default=1e-3
        An epoch is progress if the objective falls by `tol` times the objective of the best constant model (or the
        validation score rises by `tol`). Quasi-Newton steps end when they expect to gain less than a tenth of `tol`
        times what they have gained over that model. None takes exactly `max_iter` epochs.
    n_iter_no_change : int, default=5
        Epochs without progress after which the step falls or the fit ends.
    shuffle : bool, default=True
        Whether rows come in a new order each epoch.
    epsilon : float, default=0.1
        Of the losses "huber", "epsilon_insensitive" and "squared_epsilon_insensitive", in units of the target.
    early_stopping : bool, default=False
        Whether to score the model on rows held out (or on ``X_val``) after each epoch, to stop when the score stops
        rising, and to return the best epoch.
    validation_fraction : float, default=0.1
        Share of rows held out for early stopping.
    class_weight : dict, "balanced" or None, default=None
        Multiplies the loss by class (in one-vs-rest, where the class is the positive one).
    average : bool or int, default=False
        Whether to return the mean of the iterates, from the update of that number on.
    warm_start : bool, default=False
        Whether `fit` goes on from the last solution. If only `max_iter`, `tol`, `n_iter_no_change` or `verbose` have
        changed it goes on exactly where it stopped; otherwise from its coefficients.
    random_state : int, RandomState or None, default=None
        Seed of the order of the rows and of the validation split.
    verbose : int, default=0
        1 prints a line an epoch.
    n_jobs : int or None, default=None
        Accepted for compatibility; all classes share one matrix product.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights, in the units of the data.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercept.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    n_iter_ : int
        Epochs.
    t_ : float
        One plus the number of updates.
    status_ : str
        Why the fit stopped: "converged", "max_iter", "no validation improvement", "diverged" or "interrupted".
    eta0_ : float or None
        The step found or given; None for a rate that has none.
    race_ : Race or None
        The ladder of steps that were raced, and their scores.
    loss_curve_ : list of float
        Objective of each epoch: the mean loss over its batches, each taken before its step, plus the penalty
        (that of the start for a single batch, else the mean of start and end). For quasi-Newton steps: the
        objective after each, over the rows that it saw.
    history_ : dict of lists
        "epoch", "objective", "eta", "seconds", "rows" (how many it saw), "validation_score".
    validation_scores_ : list of float or None
        Score after each epoch, with early stopping.
    best_epoch_ : int or None
        The epoch returned, with early stopping.
    solver_ : Solver
        The solver that was used.
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

    _accepts = {
        **_SGDVariant._accepts,
        "multi_class": OneOf("auto", "ovr", "multinomial"),
        "class_weight": OneOf(None, "balanced", dict),
        "n_jobs": OneOf(None, Integer()),
    }

    def __init__(
        self,
        loss: Any = "log_loss",
        *,
        penalty: Any = "l2",
        alpha: float = 0.0001,
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        solver: Any = "auto",
        batch_size: Any = "auto",
        multi_class: str = "auto",
        scale_features: Any = "auto",
        learning_rate: Any = "auto",
        eta0: Any = "auto",
        power_t: float = 0.5,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        n_iter_no_change: int = 5,
        shuffle: bool = True,
        epsilon: float = 0.1,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        class_weight: Any = None,
        average: Any = False,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.batch_size = batch_size
        self.multi_class = multi_class
        self.scale_features = scale_features
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.shuffle = shuffle
        self.epsilon = epsilon
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.average = average
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    def _losses(self) -> Mapping[str, Any]:
        return LOSSES

    def _n_columns(self) -> int:
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def _check_params(self) -> None:
        super()._check_params()
        if self.multi_class == "multinomial" and not isinstance(self._resolve_loss(), LogLoss):
            raise ValueError(
                f"multi_class='multinomial' needs loss='log_loss', not loss={self.loss!r}: use multi_class='ovr'."
            )

    def _engine_loss(self, loss: Loss) -> Loss:
        coupled = self.multi_class in ("auto", "multinomial") and isinstance(loss, LogLoss)
        if coupled and len(self.classes_) > 2:
            return MultinomialLogLoss(n_classes=len(self.classes_))
        return loss

    def _validate(self, X: Any, y: Any, reset: bool, **kwargs: Any) -> tuple[Any, Array]:
        kwargs.pop("sample_weight", None)
        kwargs.pop("partial", None)
        X, y = self._validate_X(X, y, reset)
        if y.dtype.kind not in "bui":  # whole numbers are labels, and asking costs more than a small fit's products
            check_classification_targets(y)
        return X, y

    def _learn_classes(self, y: Array) -> None:
        classes = np.unique(y)
        if 2 * len(classes) > len(y):  # it warns of labels that look like targets of a regression
            check_classification_targets(y)
        if len(classes) < 2:
            raise ValueError(
                "The number of classes has to be greater than one; got "
                f"{len(classes)} class: y must hold at least two different labels."
            )
        self.classes_ = classes

    def _partial_classes(self, y: Any, classes: Any) -> None:
        known = getattr(self, "classes_", None)
        if known is None and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if known is None:
            if isinstance(self.class_weight, str):
                raise ValueError(
                    "class_weight 'balanced' is not supported for partial_fit. In order to use "
                    "'balanced' weights, use compute_class_weight('balanced', classes=classes, y=y). "
                    "In place of y you can use a large enough sample of the full training set target "
                    "to properly estimate the class frequency distributions. Pass the resulting "
                    "weights as the class_weight parameter."
                )
            self.classes_ = np.unique(np.asarray(classes))
            if len(self.classes_) < 2:
                raise ValueError(
                    "The number of classes has to be greater than one; got "
                    f"{len(self.classes_)} class: pass every label in classes."
                )
        elif classes is not None and not np.array_equal(known, np.unique(np.asarray(classes))):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}")

    def _codes(self, y: Array) -> Array:
        codes = np.searchsorted(self.classes_, y)
        codes = np.minimum(codes, len(self.classes_) - 1)
        unknown = self.classes_[codes] != y
        if unknown.any():
            raise ValueError(
                f"y holds the label {y[unknown][0]!r}, which is not among the classes "
                f"{self.classes_!r} of the first call."
            )
        return codes

    def _encode(self, y: Array, loss: Loss, weight: Array | None, dtype: Any) -> Targets:
        codes = self._codes(y)
        K = len(self.classes_)
        pairs = None
        if self.class_weight is not None:
            if isinstance(self.class_weight, str):
                totals = np.bincount(codes, weight, minlength=K)
                per_class = totals.sum() / (K * np.maximum(totals, 1e-300))
            else:
                per_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            pairs = np.column_stack([np.ones(K), per_class])
            if K == 2:
                pairs = per_class[None, :]
        if K == 2:
            values = np.where(codes == 1, 1.0, -1.0).astype(dtype)[:, None]
            return Targets(values, dtype=dtype, class_weight=pairs, binary=True)
        low = 0.0 if self._engine_loss(loss).width > 1 else -1.0
        return Targets(codes, K, low, dtype, pairs)

    def _scores(self, models: Array, X: Any, y: Array, weight: Array | None) -> Array:
        k = self._n_columns()
        z = (X @ models[:-1] + models[-1]).reshape(len(y), -1, k)
        codes = (z[:, :, 0] > 0).astype(int) if k == 1 else z.argmax(axis=2)
        return np.average(self.classes_[codes] == y[:, None], axis=0, weights=weight)

    def _publish(self, coef: Array, intercept: Array) -> None:
        self.coef_ = np.ascontiguousarray(coef)
        self.intercept_ = np.array(intercept)

    def fit(
        self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None,
        sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> SGDVariantClassifier:  # fmt: skip
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data; float32 is kept.
        y : array-like of shape (n_samples,)
            Class labels.
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
        """
        messages = self._fit(X, y, coef_init, intercept_init, sample_weight, X_val, y_val, sample_weight_val)
        return self._told(messages)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> SGDVariantClassifier:
        """Go through the given rows once, from where the model stands.

        The state of the solver, the number of steps and the random generator go on. With scaled features the
        first call fixes the learning rate by a race; means and scales are running ones over all rows seen, and
        the model is carried over exactly when they move.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels; needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; rows that are all of weight zero change nothing.

        Returns
        -------
        self : SGDVariantClassifier
            The fitted estimator.
        """
        return self._told(self._partial_fit(X, y, sample_weight, classes))

    def decision_function(self, X: Any) -> Array:
        """Linear score of each row, for each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            One column where there are two classes: positive for ``classes_[1]``.
        """
        z = self._linear(X)
        return z[:, 0] if z.shape[1] == 1 else z

    def predict(self, X: Any) -> Array:
        """Class label of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        z = self._linear(X)
        codes = (z[:, 0] > 0).astype(int) if z.shape[1] == 1 else z.argmax(axis=1)
        return self.classes_[codes]

    @available_if(_has_probability)
    def predict_proba(self, X: Any) -> Array:
        """Probability of each class, where the loss has them (log_loss, modified_huber).

        Softmax for a multinomial model; one-vs-rest probabilities are normalised to sum to one, and are
        uniform where all are zero (Zadrozny and Elkan 2002, doi:10.1145/775047.775151).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        z = self._linear(X)
        p = self._engine_loss(self._resolve_loss()).probability(z)
        if p.shape[1] == 1:
            return np.hstack([1 - p, p])
        total = p.sum(axis=1, keepdims=True)
        p = np.where(total > 0, p, 1.0)
        return p / p.sum(axis=1, keepdims=True)

    @available_if(_has_probability)
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


class SGDVariantRegressor(RegressorMixin, _SGDVariant):
    r"""Linear regression by any variant of stochastic gradient descent.

    Minimises the weighted mean loss plus penalty,

    .. math:: \frac{1}{\sum_i s_i} \sum_i s_i\, \ell(y_i, x_i w + b)
              + \alpha \left( \tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1 \right)

    for each target.

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        "squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive" or an instance.
    penalty : {"l2", "l1", "elasticnet"}, None or Penalty, default="l2"
        What a large weight costs.
    alpha : float, default=1e-4
        Strength of the penalty, on the weights in the units of the data.
    l1_ratio : float, default=0.15
        Share of L1 in "elasticnet".
    fit_intercept : bool, default=True
        Whether there is an intercept; it is never penalised.
    solver : str or Solver, default="auto"
        How the model learns: "gd", "sgd", "minibatch", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop",
        "adam", or an instance with its own hyperparameters such as ``Momentum(momentum=0.95)``. "auto" takes
        quasi-Newton steps on a growing batch where the loss is smooth and no step, batch or average is asked for
        (`max_iter` and `history_` then count iterations); else it is what the rules of
        :func:`skvariants.diagnostics.diagnose` advise for the data, and AdaGrad in `partial_fit`. `solver_` says which.
    batch_size : int, "auto" or "full", default="auto"
        Rows per step. "auto" is the solver's natural one: all for "gd", one for "sgd", else up to 256 (2,048 for
        wide sparse data; at least 32, at most a 32nd of the table); a table of at most 32 rows is one batch.
    scale_features : bool or "auto", default="auto"
        Whether to work in standardised coordinates; the penalty and ``coef_`` keep the units of the data. "auto" does
        so unless the step is fixed by a numeric `eta0` or by a rate that has none.
    learning_rate : str or Schedule, default="auto"
        "constant", "optimal", "invscaling", "adaptive", "cosine", "pa1", "pa2" or an instance. "auto" is a constant
        step that falls to a quarter when progress stops, three times.
    eta0 : float or "auto", default="auto"
        The first step; "auto" races a ladder of them. For "pa1" and "pa2" it is the aggressiveness C ("auto": 1).
    power_t : float, default=0.25
        The power of "invscaling".
    max_iter : int, default=1000
        Most epochs (passes over the rows).
    tol : float or None, default=1e-3
        An epoch is progress if the objective falls by `tol` times the objective of the best constant model (or the
        validation score rises by `tol`). Quasi-Newton steps end when they expect to gain less than a tenth of `tol`
        times what they have gained over that model. None takes exactly `max_iter` epochs.
    n_iter_no_change : int, default=5
        Epochs without progress after which the step falls or the fit ends.
    shuffle : bool, default=True
        Whether rows come in a new order each epoch.
    epsilon : float, default=0.1
        Of the losses "huber", "epsilon_insensitive" and "squared_epsilon_insensitive", in units of the target.
    early_stopping : bool, default=False
        Whether to score the model on rows held out (or on ``X_val``) after each epoch, to stop when the score stops
        rising, and to return the best epoch.
    validation_fraction : float, default=0.1
        Share of rows held out for early stopping.
    average : bool or int, default=False
        Whether to return the mean of the iterates, from the update of that number on.
    warm_start : bool, default=False
        Whether `fit` goes on from the last solution. If only `max_iter`, `tol`, `n_iter_no_change` or `verbose` have
        changed it goes on exactly where it stopped; otherwise from its coefficients.
    random_state : int, RandomState or None, default=None
        Seed of the order of the rows and of the validation split.
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Weights, in the units of the data.
    intercept_ : ndarray of shape (1,) or (n_targets,)
        Intercept.
    n_iter_ : int
        Epochs.
    t_ : float
        One plus the number of updates.
    status_ : str
        Why the fit stopped: "converged", "max_iter", "no validation improvement", "diverged" or "interrupted".
    eta0_ : float or None
        The step found or given; None for a rate that has none.
    race_ : Race or None
        The ladder of steps that were raced, and their scores.
    loss_curve_ : list of float
        Objective of each epoch: the mean loss over its batches, each taken before its step, plus the penalty
        (that of the start for a single batch, else the mean of start and end). For quasi-Newton steps: the
        objective after each, over the rows that it saw.
    history_ : dict of lists
        "epoch", "objective", "eta", "seconds", "rows" (how many it saw), "validation_score".
    validation_scores_ : list of float or None
        Score after each epoch, with early stopping.
    best_epoch_ : int or None
        The epoch returned, with early stopping.
    solver_ : Solver
        The solver that was used.
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

    def __init__(
        self,
        loss: Any = "squared_error",
        *,
        penalty: Any = "l2",
        alpha: float = 0.0001,
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        solver: Any = "auto",
        batch_size: Any = "auto",
        scale_features: Any = "auto",
        learning_rate: Any = "auto",
        eta0: Any = "auto",
        power_t: float = 0.25,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        n_iter_no_change: int = 5,
        shuffle: bool = True,
        epsilon: float = 0.1,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        average: Any = False,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.batch_size = batch_size
        self.scale_features = scale_features
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.shuffle = shuffle
        self.epsilon = epsilon
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.average = average
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def _losses(self) -> Mapping[str, Any]:
        return {name: loss for name, loss in LOSSES.items() if loss.regression}

    def _n_columns(self) -> int:
        return self.n_targets_

    def _engine_loss(self, loss: Loss) -> Loss:
        return loss

    def _validate(self, X: Any, y: Any, reset: bool, **kwargs: Any) -> tuple[Any, Array]:
        X, y = self._validate_X(X, y, reset, multi_output=True, y_numeric=True)
        shape = np.shape(y)
        one = len(shape) == 1 or shape[1] == 1
        if len(shape) == 2 and one:
            y = column_or_1d(y, warn=True)
        targets = 1 if one else shape[1]
        known = self.__dict__.get("n_targets_")
        if reset:
            self.n_targets_ = targets
            self._flat_y = one
        elif known != targets:
            raise ValueError(f"y has {targets} targets, but the model was fitted with {known}.")
        y = np.asarray(y, dtype=np.float64).reshape(len(y), targets)
        return X, y

    def _target_units(self, y: Array, weight: Array | None, runs: Any) -> Any:
        moments = self.__dict__.get("_target_moments") if runs is not None else None
        moments = Moments() if moments is None else Moments(**vars(moments))
        moments.update(y, weight)
        self._target_moments = moments
        if not np.isfinite(moments.squares).all():
            raise ValueError("y has values so large that their variance overflows: divide them by a power of ten.")
        units = np.sqrt(np.atleast_1d(moments.squares / moments.count))
        if not self.fit_intercept:
            units = np.sqrt(units**2 + np.atleast_1d(moments.mean) ** 2)
        units = np.where(units > 1e-12 * np.abs(np.atleast_1d(moments.mean)), units, 1.0)
        return float(units[0]) if len(units) == 1 else units

    def _encode(self, y: Array, loss: Loss, weight: Array | None, dtype: Any) -> Targets:
        return Targets(y.astype(dtype), dtype=dtype)

    def _scores(self, models: Array, X: Any, y: Array, weight: Array | None) -> Array:
        r = y[:, None, :] - (X @ models[:-1] + models[-1]).reshape(len(y), -1, y.shape[1])
        w = np.ones(len(y)) if weight is None else weight
        center = np.average(y, axis=0, weights=w)
        spread = np.maximum(w @ (y - center) ** 2, np.finfo(float).tiny)
        return (1 - np.einsum("i,ijk->jk", w, r**2) / spread).mean(axis=1)

    def _publish(self, coef: Array, intercept: Array) -> None:
        self.coef_ = np.ascontiguousarray(coef.ravel() if self._flat_y else coef)
        self.intercept_ = np.array(intercept)

    def fit(
        self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None,
        sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> SGDVariantRegressor:  # fmt: skip
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data; float32 is kept.
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
        """
        messages = self._fit(X, y, coef_init, intercept_init, sample_weight, X_val, y_val, sample_weight_val)
        return self._told(messages)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> SGDVariantRegressor:
        """Go through the given rows once, from where the model stands.

        The state of the solver, the number of steps and the random generator go on. With scaled features the
        first call fixes the learning rate by a race; means and scales are running ones over all rows seen, and
        the model is carried over exactly when they move.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; rows that are all of weight zero change nothing.

        Returns
        -------
        self : SGDVariantRegressor
            The fitted estimator.
        """
        return self._told(self._partial_fit(X, y, sample_weight))

    def predict(self, X: Any) -> Array:
        """Predicted target of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
        """
        z = self._linear(X)
        return z[:, 0] if self._flat_y else z
