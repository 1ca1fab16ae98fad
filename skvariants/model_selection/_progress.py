"""What the user and scikit-learn's callbacks are told while a search runs."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
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


class CandidateTasks:
    """Tasks of candidates on one fold. Callbacks hear of a fit of its own from beginning to end.

    Parameters
    ----------
    search : estimator
        Whose callbacks they are.
    contexts : dict of int to CallbackContext
        By the number of the candidate.
    """

    def __init__(self, search: Any, contexts: dict[int, Any]) -> None:
        self.search, self.contexts = search, contexts
        #: what callbacks are told of the fold
        self.rows: dict[str, Any] = {}

    @contextlib.contextmanager
    def around(self, number: int, estimator: Any) -> Iterator[None]:
        """Where the fit of a candidate happens, of which the callbacks that ask for it hear all."""
        task = self.contexts[number]
        try:
            with task.propagate_callback_context(estimator):
                task.call_on_fit_task_begin(estimator=self.search, **self.rows)
                yield
        finally:
            task.call_on_fit_task_end(estimator=self.search, **self.rows)


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
    rows : callable, optional
        What callbacks are told of a fold, of its number.
    """

    def __init__(
        self, search: Any, callback_ctx: Any, settings: list[dict[str, Any]], n_splits: int,
        rows: Callable[[int], dict[str, Any]] = lambda fold: {},
    ) -> None:  # fmt: skip
        self.search, self.callback_ctx, self.settings, self.n_splits = search, callback_ctx, settings, n_splits
        self.rows = rows

    def tasks(self, candidates: Sequence[Any], fold: int) -> CandidateTasks | None:
        """The tasks of some candidates on a fold, where anyone listens."""
        if not getattr(self.search, "_skl_callbacks", None):
            return None
        contexts = {
            candidate.number: self.callback_ctx.subcontext(
                task_name="candidate-split-evaluation", task_id=candidate.number * self.n_splits + fold
            )
            for candidate in candidates
        }
        return CandidateTasks(self.search, contexts)

    def done(self, results: list[Any], tasks: CandidateTasks | None) -> None:
        """Candidates of one fold are done; those that were trained together begin and end here."""
        verbose = int(self.search.verbose)
        for result in results:
            if tasks is not None and not result.heard:
                told = {"estimator": self.search, **self.rows(result.fold)}
                tasks.contexts[result.candidate].call_on_fit_task_begin(**told)
                tasks.contexts[result.candidate].call_on_fit_task_end(**told)
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


__all__ = ["CandidateTasks", "NullContext", "Progress", "warn"]
