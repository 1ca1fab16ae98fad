"""Callbacks: what scikit-learn's callback API (from version 1.9) needs to know of a fit.

A fit is a task, and each of its epochs is a subtask of it named "epoch", whose hooks may ask for ``fitted_estimator``,
the model as it would be returned now. A hook ``on_fit_task_end`` that returns True ends the fit
(``status_ == "interrupted"``). Without callbacks there is no context, no hook and no cost.

On older versions of scikit-learn the import is guarded, and :meth:`ReportsEpochs.set_callbacks` says what is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import sklearn

Method = TypeVar("Method", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as tears_down
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin where there is none."""

        def set_callbacks(self, *callbacks: Any) -> Any:
            """Say that callbacks are not to be had.

            Raises
            ------
            ImportError
                Always.
            """
            raise ImportError(
                f"Callbacks need scikit-learn 1.9 or newer, and this is {sklearn.__version__}: update scikit-learn "
                "(pip install -U scikit-learn), or use verbose=1 to see the progress of a fit."
            )

    def tears_down(method: Callable[..., Any]) -> Callable[..., Any]:
        """Leave a method as it is: there are no callbacks to tear down."""
        return method


__all__ = ["FitTask", "ReportsEpochs", "with_callbacks"]


def with_callbacks(method: Method) -> Method:
    """Decorate a method that fits: callbacks are torn down when it ends. What it takes and returns stays known."""
    return cast("Method", tears_down(method))


class ReportsEpochs(CallbackSupportMixin):
    """Mixin of estimators whose epochs callbacks may watch.

    Decorate the method that fits by :func:`with_callbacks`; call :meth:`_begin_callbacks` before anything is changed;
    give the :class:`FitTask` to the training; call :meth:`FitTask.end` when the model is published.
    """

    def _begin_callbacks(self, X: Any, y: Any, sample_weight: Any = None) -> FitTask | None:
        """Begin the task of this fit; None where no callback is set."""
        if not getattr(self, "_skl_callbacks", None):
            return None
        # with a tolerance nobody knows how many epochs there will be
        expected = self.max_iter if self.tol is None else None
        context = self._init_callback_context(max_subtasks=expected)
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        task = FitTask(self, context, {"X": X, "y": y, "metadata": metadata})
        context.call_on_fit_task_begin(estimator=self, **task.data)
        return task


class FitTask:
    """The task of one fit, and a subtask for each epoch.

    Parameters
    ----------
    estimator : ReportsEpochs
        Whose fit it is.
    context : sklearn.callback.CallbackContext
        The context of the fit.
    data : dict
        "X", "y" and "metadata" as the user gave them.
    """

    def __init__(self, estimator: Any, context: Any, data: dict[str, Any]) -> None:
        self.estimator, self.context, self.data = estimator, context, data
        #: attributes of a model, of its parameters in the units of the data
        self.attributes: Callable[[Any], dict[str, Any]] = lambda theta: {
            "coef_": theta[:-1].T,
            "intercept_": theta[-1],
        }
        self.count = 0
        self.epoch: Any = None

    def _what(self, solution: Callable[[], Any] | None) -> dict[str, Any]:
        """What hooks may ask for; the model is built only if one does."""

        model = None if solution is None else lambda: _published(self.attributes(solution()))
        return {"estimator": self.estimator, **self.data, "reconstruction_attributes": model}

    def epoch_begins(self, solution: Callable[[], Any]) -> None:
        """What the training calls before an epoch.

        Parameters
        ----------
        solution : callable
            Returns the model as it would be returned now, in the units of the data: ``theta`` of shape
            ``(n_features + 1, n_columns)``, the intercept its last row.
        """
        expected = self.context.max_subtasks
        if expected is None or self.count < expected:
            self.count += 1
            self.epoch = self.context.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(**self._what(solution))

    def epoch_ends(self, solution: Callable[[], Any]) -> bool:
        """What the training calls after an epoch.

        Parameters
        ----------
        solution : callable
            As for :meth:`epoch_begins`.

        Returns
        -------
        bool
            Whether the fit is to stop.
        """
        epoch, self.epoch = self.epoch, None
        return epoch is not None and bool(epoch.call_on_fit_task_end(**self._what(solution)))

    def end(self) -> None:
        """End the task: the model is published."""
        if self.epoch is not None:  # an epoch that was interrupted
            self.epoch.call_on_fit_task_end(**self._what(None))
        self.context.call_on_fit_task_end(estimator=self.estimator, **self.data, reconstruction_attributes={})


def _published(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
