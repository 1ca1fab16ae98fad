"""What the user and scikit-learn's callbacks are told while a search runs."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from typing import Any


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line of the user, however deep in the package it is said."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ours(module: str) -> bool:
    """Whether a module is of the package, or wraps its methods."""
    return module.partition(".")[0] == __name__.partition(".")[0] or module.startswith("sklearn.callback")


class NullContext:
    """What is told when nobody listens: a scikit-learn without callbacks."""

    def subcontext(self, **kwargs: Any) -> NullContext:
        """The context of a part."""
        return self

    def propagate_callback_context(self, estimator: Any) -> Any:
        """Let an inner estimator's fit be heard."""
        return contextlib.nullcontext()

    def call_on_fit_task_begin(self, **kwargs: Any) -> NullContext:
        """A part begins."""
        return self

    def call_on_fit_task_end(self, **kwargs: Any) -> bool:
        """A part ends."""
        return False


class Progress:
    """Tells the user and scikit-learn's callbacks which candidates were evaluated.

    Parameters
    ----------
    search : estimator
        Its `verbose` says how much is printed.
    callback_ctx : CallbackContext
        Of the task whose subtasks end.
    settings : list of dict
        Of all candidates.
    n_splits : int
        Folds.
    """

    def __init__(self, search: Any, callback_ctx: Any, settings: list[dict[str, Any]], n_splits: int) -> None:
        self.search, self.callback_ctx, self.settings, self.n_splits = search, callback_ctx, settings, n_splits

    def done(self, results: list[Any]) -> None:
        """One task ends for each candidate and fold."""
        verbose = int(self.search.verbose)
        for result in results:
            task = self.callback_ctx.subcontext(
                task_name="candidate-split-evaluation", task_id=result.candidate * self.n_splits + result.fold
            )
            task.call_on_fit_task_begin(estimator=self.search)
            task.call_on_fit_task_end(estimator=self.search)
            if verbose > 1:
                print(self._line(result, verbose))

    def _line(self, result: Any, verbose: int) -> str:
        params = self.settings[result.candidate]
        start = f"[CV {result.fold + 1}/{self.n_splits}" if verbose > 2 else "[CV"
        if verbose > 9:
            start += f"; {result.candidate + 1}/{len(self.settings)}"
        text = ", ".join(f"{name}={params[name]}" for name in sorted(params))
        if verbose > 2:
            test = result.test if isinstance(result.test, dict) else {"score": result.test}
            train = result.train if isinstance(result.train, dict) else {"score": result.train}
            text += "; " + " ".join(
                f"{name}=(train={train[name]:.3f}, test={test[name]:.3f})"
                if self.search.return_train_score
                else f"{name}={test[name]:.3f}"
                for name in sorted(test)
            )
        text += f" total time={result.fit_time + result.score_time:6.3f}s"
        return f"{start}] END " + "." * max(0, 80 - len(start) - 6 - len(text)) + text


__all__ = ["NullContext", "Progress", "warn"]
