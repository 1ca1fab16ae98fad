"""The one training loop: epochs, stopping, roll-back, early stopping, callbacks, interrupts, history."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skvariants._training.method import Method, Record
from skvariants._training.problem import columns_of
from skvariants._training.state import State

Array = np.ndarray
# rollbacks after which a model is given up
_ROLLBACKS = 12
# by what a rollback multiplies the step
_SHORTER = 0.1


@dataclass(frozen=True)
class Stopping:
    """When a fit ends.

    Parameters
    ----------
    max_iter : int
        Most epochs.
    tol : float or None
        An epoch is progress if the objective falls by that share of the constant model's, or the score rises by it.
    n_iter_no_change : int
        Epochs without progress after which the step falls or the fit ends.
    early_stopping : bool
        Whether rows are held out, and the model scored on them.
    validation_fraction : float
        Share of the rows held out.
    resumable : bool
        Whether another fit may go on from where each model stands, to the last bit.
    max_time : float or None
        Seconds after which no further epoch begins.
    """

    max_iter: int = 1000
    tol: float | None = 1e-3
    n_iter_no_change: int = 5
    early_stopping: bool = False
    validation_fraction: float = 0.1
    resumable: bool = True
    max_time: float | None = None


@dataclass(eq=False, repr=False)
class Watch:
    """Who looks on.

    Attributes
    ----------
    score : callable or None
        Receives models in the units of the data, shape ``(n_features + 1, n_columns)``; returns one number each.
    callback : object or None
        Its methods ``epoch_begins`` and ``epoch_ends`` receive a function that returns the models as they are then, in
        the units of the data; a true answer of the latter ends the fit.
    verbose : int
        Whether to print a line an epoch.
    deadline : float
        When no further epoch begins, as ``time.perf_counter`` tells it.
    unit : str
        What an epoch is called in its line: of a stream it is a pass over one chunk.
    """

    score: Callable[[Array], Array] | None = None
    callback: Any = None
    verbose: int = 0
    deadline: float = math.inf
    unit: str = "epoch"


class Interrupted(KeyboardInterrupt):
    """A fit was interrupted that has made a whole epoch.

    Parameters
    ----------
    left : list
        What is left of it: the outcomes of a training, or the results of a fit.
    """

    def __init__(self, left: Sequence[Any] = ()) -> None:
        super().__init__()
        self.left = list(left)


class _Whole:
    """Where the models stood when the last whole epoch ended: where they return to if the next one is interrupted."""

    def __init__(self, method: Method, saved: list[Array]) -> None:
        state, self.saved = method.state, saved
        self.draws = state.draws()
        self.counts = [array.copy() for array in self._counted(state)]
        self.best_theta, self.checkpoint = state.best_theta, state.checkpoint
        self.n_epochs, self.seconds = len(state.history), state.seconds

    @staticmethod
    def _counted(state: State) -> list[Array]:
        return [state.epoch, state.best, state.stalled, state.n_rollbacks, state.step_factor]

    def restore(self, method: Method) -> None:
        """Return the models."""
        state = method.state
        if method.reversible:
            state.restore(self.saved, np.arange(state.theta.shape[1]))
        else:
            state.theta = self.saved[0]
        state.return_to(self.draws)
        for now, then in zip(self._counted(state), self.counts, strict=True):
            now[...] = then
        state.best_theta, state.checkpoint = self.best_theta, self.checkpoint
        state.seconds = self.seconds
        del state.history[self.n_epochs :]


@dataclass(eq=False, repr=False)
class Outcome:
    """How a model ended.

    Attributes
    ----------
    state : State
        Where it stands.
    theta : ndarray of shape (n_features + 1, width)
        The model to be returned, in the coordinates worked in: of the best epoch, where there are scores.
    status : str
        Why it stopped.
    rolled_back : int
        Epochs that were taken back in this fit.
    race : Race or None
        What the method has tried to find its first step.
    certificate : Certificate or None
        What the method itself knows of its distance from the optimum.
    """

    state: State
    theta: Array
    status: str
    rolled_back: int
    race: Any = None
    certificate: Any = None


class Training:
    """One run of the loop over the models of a method.

    Parameters
    ----------
    method : Method
        How they are trained, and where they stand.
    stopping : Stopping
        When to stop.
    reference : ndarray of shape (n_models,)
        Mean absolute loss of the constant models.
    tol : ndarray of shape (n_models,) or None
        Tolerance of each model.
    watch : Watch
        Who looks on.
    saved : list of ndarray, optional
        Parameters and memory of now, where another has them already.
    """

    def __init__(
        self, method: Method, stopping: Stopping, reference: Array, tol: Array | None = None,
        watch: Watch | None = None, saved: list[Array] | None = None,
    ) -> None:  # fmt: skip
        self.method, self.stopping, self.reference, self.tol = method, stopping, reference, tol
        self.watch = Watch() if watch is None else watch
        self.n_models = method.state.n_models
        self.alive = np.arange(self.n_models)
        self.outcomes: list[Any] = [None] * self.n_models
        self.last_epoch = method.state.epoch + stopping.max_iter
        self.rolled_back = np.zeros(self.n_models, int)
        self.before: list[Array] = []
        self.saved = saved
        self.whole: _Whole | None = None
        self.begun = False
        self.raced = bool(method.state.epoch.any())  # by the training that this one goes on with

    def run(self) -> list[Outcome]:
        """Train until every model has stopped; one outcome for each, in their order.

        Raises
        ------
        Interrupted
            With the last whole epoch, if this is the training of a single model that has made one.
        """
        state = self.method.state
        if self.watch.score is not None and state.best_theta is None:
            state.best = np.full(self.n_models, -np.inf)
        try:
            while self.alive.size:
                self._iteration()
        except KeyboardInterrupt:
            if self.n_models == 1 and self._left() is not None:
                raise Interrupted(self.outcomes) from None
            raise
        return self.outcomes

    def _left(self) -> Outcome | None:
        """What an interrupt leaves of a single model: the last whole epoch, if there was one."""
        method, state = self.method, self.method.state
        race = method.race(0)
        if self.whole is not None:
            self.whole.restore(method)
        elif not method.reversible:
            state.theta = method.solution
        if not method.reversible:
            state.method = None  # an iteration may be half done: what goes on begins where the model is
        if state.epoch[0] == self.last_epoch[0] - self.stopping.max_iter:
            return None
        theta = method.solution if method.reversible else state.theta
        if self.watch.score is not None and np.isfinite(state.best[0]):
            theta = state.best_theta
        self.outcomes = [Outcome(state, theta, "interrupted", int(self.rolled_back[0]), race)]
        return self.outcomes[0]

    def _iteration(self) -> None:
        """One iteration of all models that are still trained, and what follows from it."""
        method, callback = self.method, self.watch.callback
        arrived = method.arrived()
        if arrived is not None and arrived.any():
            self._finish(dict.fromkeys(np.flatnonzero(arrived).tolist(), "converged"))
            return
        if callback is not None and not self.begun:
            callback.epoch_begins(lambda: method.original(method.solution))
            self.begun = True
        saved, self.saved = self.saved, None
        if saved is None:
            saved = method.state.saved() if method.reversible else [method.solution.copy()]
        self.whole = _Whole(method, saved)
        if method.reversible:
            self.before = self.whole.saved
        started = time.perf_counter()
        record = method.iterate()
        if record is None:
            self.method = method.successor()
            return
        state = method.state
        state.seconds += time.perf_counter() - started
        moved = slice(None) if record.moved is None else record.moved
        state.epoch[moved] += 1
        self.begun = False
        lost = self._take_back(record) if method.reversible else None
        score = None
        if self.watch.score is not None:
            score = self.watch.score(method.original(method.solution))[moved]
        self._write(record, score, moved)
        done = self._judge(record.objective, score, lost, moved)
        self.whole = None
        stop = callback is not None and callback.epoch_ends(lambda: method.original(method.solution))
        if stop:
            done = {j: done.get(j, "interrupted") for j in range(len(self.alive))}
        if self.n_models == 1:
            if state.epoch[0] >= self.last_epoch[0]:
                done.setdefault(0, "max_iter")
        else:
            for j in np.flatnonzero(state.epoch >= self.last_epoch[self.alive]).tolist():
                done.setdefault(j, "max_iter")
        if time.perf_counter() >= self.watch.deadline:
            done = {j: done.get(j, "max_time") for j in range(len(self.alive))}
        if done:
            self._finish(done)

    def _write(self, record: Record, score: Array | None, moved: Any) -> None:
        """A row of the history."""
        state = self.method.state
        row = {
            "epoch": state.epoch[moved].copy(), "objective": record.objective, "eta": record.eta,
            "seconds": state.seconds, "validation_score": score, "models": self.alive[moved], "rows": record.rows,
        }  # fmt: skip
        state.history.append(row)
        if self.watch.verbose:
            if not self.raced:  # a method that races by itself has done so now
                self.raced = True
                print_races(self.method.race(position) for position in range(len(self.alive)))
            print_row(row, self.watch.unit)

    def _take_back(self, record: Record) -> Array:
        """Which models' epoch led away; they return to the epoch before it, with a smaller step."""
        state, f = self.method.state, record.objective
        finite = np.isfinite(state.theta).all(axis=0).reshape(-1, state.width).all(axis=1)
        limit = state.limit * np.maximum(self.reference[self.alive], 1e-300)
        lost = ~(finite & np.isfinite(f) & (f <= limit))
        if lost.any():
            columns = columns_of(lost, state.width)
            for now, then in zip(self.before, state.checkpoint or self.before, strict=True):
                now[..., columns] = then[..., columns]
            state.restore(self.before, columns)
            state.step_factor[columns] *= _SHORTER
            state.n_rollbacks[lost] += 1
            self.rolled_back[self.alive[lost]] += 1
            record.eta = self.method.eta()
        state.checkpoint, self.before = self.before, []
        return lost

    def _judge(self, f: Array, score: Array | None, lost: Array | None, moved: Any) -> dict[int, str]:
        """Which models stop now, and why; keeps the best epoch where there are scores."""
        state = self.method.state
        done: dict[int, str] = {}
        if not self.method.reversible and score is None:
            return done  # such a method knows by itself what is left to gain
        if lost is None:
            lost = np.zeros(len(f), bool)
        for j in np.flatnonzero(state.n_rollbacks > _ROLLBACKS).tolist():
            done[j] = "diverged"
        tol = 0.0 if self.tol is None else self.tol[self.alive][moved]
        best = state.best[moved]
        if score is not None:
            better = (score > best) | ~np.isfinite(best)
            gained = (score >= best + tol) | ~np.isfinite(best)
            columns = columns_of(np.arange(state.n_models)[moved][better], state.width)
            # an array of its own: an epoch that is interrupted has changed nothing
            best_theta = (self.method.solution if state.best_theta is None else state.best_theta).copy()
            best_theta[:, columns] = self.method.solution[:, columns]
            state.best_theta = best_theta
            state.best[moved] = np.where(better, score, best)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                gained = f <= best - tol * self.reference[self.alive][moved]
            state.best[moved] = np.fmin(best, np.where(lost, np.inf, f))
        if self.tol is None:
            return done
        state.stalled[moved] = np.where(gained | lost, 0, state.stalled[moved] + 1)
        waiting = np.flatnonzero(state.stalled >= self.stopping.n_iter_no_change)
        if waiting.size:
            for j, change in zip(waiting.tolist(), self.method.on_plateau(waiting).tolist(), strict=True):
                if change > 0:
                    state.step_factor[columns_of(np.array([j]), state.width)] *= change
                    state.stalled[j] = 0
                else:
                    done[j] = "plateau" if score is None else "no validation improvement"
        return done

    def _finish(self, done: dict[int, str]) -> None:
        """Models leave: their outcome is written, and the others go on."""
        method, state = self.method, self.method.state
        solution = method.solution
        if self.watch.score is not None and state.best_theta is not None:
            solution = np.where(np.isfinite(np.repeat(state.best, state.width)), state.best_theta, solution)
        for position, reason in done.items():
            model = int(self.alive[position])
            alone = self.n_models == 1
            theta = solution if alone else solution[:, columns_of(np.array([position]), state.width)]
            part = state if alone else state.part(position, model, self.stopping.resumable)
            race, known = method.race(position), method.certificate(position) if solution is method.solution else None
            self.outcomes[model] = Outcome(part, theta, reason, int(self.rolled_back[model]), race, known)
        remaining = np.array([j for j in range(len(self.alive)) if j not in done], int)
        self.alive = self.alive[remaining]
        if remaining.size:
            method.keep(remaining)


def print_line(label: str, words: str) -> None:
    """A line beside those of the epochs."""
    print(f"{label + ':':<13}{words}")


def print_races(races: Iterable[Any]) -> None:
    """A line for each race, where there was one."""
    for race in races:
        if race is not None:
            print_line("race", race.summary())


def print_row(row: dict[str, Any], unit: str = "epoch") -> None:
    """One line about one epoch, or what else goes by; words stand under each other."""
    score, remembered = row["validation_score"], row.get("remembered")
    tail = "" if score is None else f"  validation {np.mean(score):.6f}"
    tail += "" if remembered is None else f"  remembers {remembered:,.0f} rows"
    print(
        f"{unit:<5} {int(row['epoch'].max()):5d}  objective {np.sum(row['objective']):<14.8g}  "
        f"eta {np.mean(row['eta']):<9.3g}  {row['seconds']:9.2f} s{tail}"
    )


__all__ = ["Interrupted", "Outcome", "Stopping", "Training", "Watch", "print_line", "print_races", "print_row"]
