"""What a fit hands back, and what is kept for the next one."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skvariants._component import shown
from skvariants._data.occurring import Occurring, spread
from skvariants._data.scaling import Coordinates, Moments
from skvariants._spec import Spec
from skvariants._stream.progress import Progress
from skvariants._stream.sums import Trust
from skvariants._training.loop import print_line
from skvariants._training.rungs import Pace
from skvariants._training.state import State, same_generator

Array = np.ndarray
#: Calls of a stream that its history holds.
_HISTORY = 1000


@dataclass(eq=False, repr=False)
class Setup:
    """What a fit found before it trained: it stays while training goes on.

    Attributes
    ----------
    key : hashable
        What is equal for a warm start that may go on from here; None where none was announced.
    task : Task
        What the targets are.
    coordinates : Coordinates
        Worked in.
    moments, target_moments : Moments or None
        Of all rows seen, where columns are standardised.
    asked : type
        Class of the solver that was asked for.
    solver, schedule : Solver, Schedule
        Chosen; the first step is known.
    race : Race or None
        How the first step was found.
    n_rows, total_weight : float
        Rows seen, and the sum of their weights.
    batch_size : int
        Rows of a step.
    pace : Pace or None
        What a stream knows of a step that was left open.
    costs : ndarray of shape (n_columns,) or None
        Greatest mean loss that the best constant model of a chunk of a stream had.
    history : dict of lists or None
        The last calls of a stream.
    """

    key: Hashable
    task: Any
    coordinates: Coordinates
    moments: Moments | None
    target_moments: Moments | None
    asked: Any = None
    solver: Any = None
    schedule: Any = None
    race: Any = None
    n_rows: float = 0.0
    total_weight: float = 0.0
    batch_size: int = 0
    pace: Pace | None = None
    costs: Any = None
    history: dict[str, list[Any]] | None = None

    @property
    def paced(self) -> bool:
        """Whether a stream has its step, and knows what a constant model costs."""
        return self.costs is not None and (self.pace is None or self.pace.rungs is None)

    def going_on(self, old: Setup) -> Setup:
        """What was found before, `old`, with the coordinates and counts of now."""
        return replace(
            old, task=self.task, coordinates=self.coordinates, moments=self.moments,
            target_moments=self.target_moments, n_rows=self.n_rows, total_weight=self.total_weight,
        )  # fmt: skip


@dataclass(eq=False, repr=False)
class Kept:
    """What a fit goes on from: setup, state, the model as it was published, and how a stream went so far.

    Of a stream whose classes have grown, also the rows that it recalls, and numbers of their classes now. A stream of
    many features needs no second copy of its model, only the intercept: what it has learned gives the weights again.
    Of a model by steps on wide sparse rows, state and model have the features that have occurred alone.
    """

    setup: Setup
    state: State
    theta: Any = None
    progress: Progress | None = None
    recalled: Any = None
    intercept: Any = None
    features: Occurring | None = None

    def takes_chunks(self, spec: Spec, task: Any) -> bool:
        """Whether a stream can go on from here: by steps, for the same targets."""
        setup = self.setup
        method = setup.solver.method
        asked = spec.solver.method == "steps" or setup.asked is type(spec.solver)
        if self.has_sums and not self.state.method.allows(spec.penalty, spec.by_feature.bounded):
            return False
        if method == "recursive" and spec.solver.method != "steps" and not spec.free:
            return False  # steps were asked for, of a solver that is yet to be chosen
        return asked and method in ("steps", "recursive") and task.same_as(setup.task)

    def published(self, coef: Array, intercept: Array) -> bool:
        """Whether these are the parameters that were published; others were set by hand."""
        if self.theta is None:
            same = np.array_equal(intercept, self.intercept)
            return same and self.state.method.gives(coef, self.intercept.dtype)
        if self.features is not None:
            if np.count_nonzero(coef) != np.count_nonzero(self.theta[:-1]):
                return False
            coef = coef[:, self.features.numbers]
        return np.array_equal(coef.T, self.theta[:-1]) and np.array_equal(intercept, self.theta[-1])

    @property
    def has_sums(self) -> bool:
        """Whether a stream has made sums, or kept rows."""
        return self.setup.solver.method == "recursive" and self.state.method is not None

    def recalls(self, coef: Array, intercept: Array) -> bool:
        """Whether rows that a stream has kept may stand for it: no model was set by hand."""
        return self.has_sums and self.published(coef, intercept)

    def worth(self, remaining: Any = None) -> Trust:
        """What the model is worth beside further rows; those of a fit that remain tell it."""
        setup, moments = self.setup, self.setup.moments
        if self.has_sums:
            return self.state.method.worth(setup.total_weight)
        if moments is None:
            return Trust(setup.total_weight, known=remaining)
        variance = moments.squares / moments.count
        return Trust.of(setup.total_weight, variance, np.atleast_1d(moments.mean), remaining)

    def whole(self) -> Kept:
        """The same with its model as an array."""
        if self.features is not None:
            return self.among(None)
        if self.theta is not None:
            return self
        theta = self.state.method.model()
        published = theta.astype(self.intercept.dtype, copy=False)
        return replace(self, state=replace(self.state, theta=theta), theta=published, intercept=None)

    def for_steps(self) -> Kept:
        """The same for a stream that goes on by steps, in units that its sums know."""
        if not self.has_sums:
            return self
        setup = replace(self.setup, moments=self.state.method.moments())
        return replace(self, setup=setup, state=replace(self.state, method=None))

    def among(self, features: Occurring | None) -> Kept:
        """The same with the weights of these features, which hold those of now, or of all."""
        old = self.features
        if old is None or (features is not None and len(features.numbers) == len(old.numbers)):
            return self
        where = old.among(features), old.of if features is None else len(features.numbers), old.resting
        pace = None if self.setup.pace is None else self.setup.pace.spread(*where)
        return replace(
            self, setup=replace(self.setup, pace=pace), state=self.state.spread(*where),
            theta=spread(self.theta, *where), features=features,
        )  # fmt: skip

    def grown(self, task: Any, coef: Array, intercept: Array, recalled: Any = None) -> Kept:
        """The same for more classes, at a model of them: moments, counts and the step stay, the state begins anew.

        Sums over rows know nothing of a new class. Rows that stand for them are learned again; where there are too few
        of these, the model stands for them, and is worth as much.
        """
        given = np.concatenate([coef.T, intercept[None]])
        theta = np.ascontiguousarray(self.setup.coordinates.standardised(given), self.whole().state.theta.dtype)
        state = State.start(theta, task.n_columns, same_generator(self.state.rng))
        setup = replace(self.setup, task=task, costs=None)
        if setup.pace is not None and setup.pace.rungs is not None:  # what races has the old columns
            setup.pace, setup.race = None, None
        if recalled is not None:
            at = np.searchsorted(task.classes, self.setup.task.classes)
            recalled = ((X, task.classes[at[label]], s) for X, label, s in recalled)
        return Kept(setup, state, given, self.progress, recalled)


@dataclass(eq=False, repr=False)
class Fitted:
    """What a fit hands back.

    Attributes
    ----------
    spec : Spec
        What was asked for.
    header : Header
        Names and number of the features.
    kept : Kept
        From what another fit may go on.
    theta : ndarray of shape (n_features + 1, n_columns)
        The model in the units of the data, the intercept as last row; of the features that it keeps.
    status : str
        Why it stopped.
    n_iter : int
        Epochs of this fit.
    messages : list of str
        What is to be warned of.
    objective : float or None
        Of the model, over all rows.
    suboptimality : float or None
        How far the model can be from the optimum, as a share of what the optimum gains over a constant.
    suboptimality_kind : str or None
        "bound", "estimate" or "unknown".
    predicted, losses : ndarray of shape (n_rows, n_columns), ndarray of shape (n_rows,), or None
        Predictions of the rows by the model before them, and what they cost, where they were made on the way.
    crossing : float or None
        Share of the rows on which several outputs contradict each other.
    """

    spec: Spec
    header: Any
    kept: Kept
    theta: Array
    status: str
    n_iter: int
    messages: list[str]
    objective: float | None = None
    suboptimality: float | None = None
    suboptimality_kind: str | None = None
    predicted: Any = None
    losses: Any = None
    crossing: float | None = None
    #: rows that stand for those of the fit, until a stream goes on from it
    remaining: Any = None

    @property
    def task(self) -> Any:
        """What the targets are."""
        return self.kept.setup.task

    def whole(self) -> Array:
        """The model of all features."""
        features = self.kept.features
        return self.theta if features is None else features.whole(self.theta)

    def worth(self) -> Trust | None:
        """What the model is worth beside further rows; None where what is kept says it when it is asked for."""
        return None if self.kept.has_sums else self.kept.worth(self.remaining)

    def attributes(self) -> dict[str, Any]:
        """Fitted attributes by name, as an estimator publishes them."""
        setup, state = self.kept.setup, self.kept.state
        history = history_of(state) if setup.history is None else setup.history
        kept = history["validation_score"]
        # counting takes less than looking at each
        scores = None if kept.count(None) == len(kept) else [score for score in kept if score is not None]
        steps = setup.solver.method in ("steps", "recursive")
        return {
            **model_attributes(self.task, self.header, self.spec.loss, self.theta, self.kept.features),
            "status_": self.status, "n_iter_": self.n_iter,
            "objective_": self.objective,
            "suboptimality_": self.suboptimality, "suboptimality_kind_": self.suboptimality_kind,
            "t_": 1.0 + (state.t if steps else int(state.epoch[0])),
            "eta0_": getattr(setup.schedule, "eta0", None) if steps else getattr(setup.race, "winner", None),
            "race_": setup.race, "solver_": copy.copy(setup.solver), "history_": history,
            "loss_curve_": list(history["objective"]), "validation_scores_": scores, "crossing_": self.crossing,
            "best_epoch_": None if scores is None else int(np.argmax(scores)) + 1,
        }  # fmt: skip


def model_attributes(
    task: Any, header: Any, loss: Any, theta: Array, features: Occurring | None = None
) -> dict[str, Any]:  # fmt: skip
    """Attributes that a model needs to predict, of parameters in the units of the data; of some features, or of all."""
    coef, intercept = task.as_published(theta)
    if features is not None:
        some, coef = coef, np.zeros((*coef.shape[:-1], features.of), coef.dtype)
        coef[..., features.numbers] = some
    return {
        **task.attributes(), "n_features_in_": header.n_features, "feature_names_in_": header.feature_names,
        "coef_": coef, "intercept_": intercept, "_task": task, "_minimised": copy.copy(task.bind_loss(loss)),
    }  # fmt: skip


def within_bounds(spec: Spec, theta: Array, moments: Moments | None) -> Array:
    """A model in the units of the data, exactly within its bounds; what moves goes into the intercept.

    Only rounding moves, and the weights of constant columns, which standardised coordinates do not know.
    """
    W = theta[:-1].astype(np.float64)
    spec.penalty.project(W)
    rounded = W.astype(theta.dtype)
    for limit, inside in zip(spec.penalty.limits(), (np.inf, -np.inf), strict=True):
        beyond = rounded < limit if inside > 0 else rounded > limit
        rounded = np.where(beyond, np.nextafter(rounded, rounded.dtype.type(inside)), rounded)
    theta = theta.copy()
    if spec.fit_intercept and moments is not None:
        theta[-1] -= np.atleast_1d(moments.mean) @ (rounded - theta[:-1])
    theta[:-1] = rounded
    return theta


def print_asked(spec: Spec, setup: Setup, n_models: int = 1) -> None:
    """Lines that say by what, and what, is minimised."""
    models = "" if n_models == 1 else f", {n_models} models side by side"
    print_line("solver", f"{shown(setup.solver)}{models}")
    penalty = shown(spec.penalty)
    if hasattr(spec.penalty, "alpha") and "alpha=" not in penalty:  # the default, which `repr` leaves out
        penalty += f", alpha={spec.penalty.alpha!r}"
    print_line("objective", f"mean of {shown(spec.loss)} + {penalty}")


def history_of(state: State) -> dict[str, list[Any]]:
    """The history of a single model, as lists by name."""
    rows = state.history
    return {
        "epoch": [int(row["epoch"][0]) for row in rows],
        "objective": [float(row["objective"][0]) for row in rows],
        "eta": [float(row["eta"][0]) for row in rows],
        "seconds": [float(row["seconds"]) for row in rows],
        "rows": [int(row["rows"]) for row in rows],
        "validation_score": [
            None if row["validation_score"] is None else float(row["validation_score"][0]) for row in rows
        ],
        "remembered": [row.get("remembered") for row in rows],
    }


def log(setup: Setup, state: State) -> None:
    """Move the rows of a chunk from the history of its training to that of the stream, which is bounded."""
    new, old = {name: values[-_HISTORY:] for name, values in history_of(state).items()}, setup.history
    if old is not None:
        before = slice(max(0, len(old["epoch"]) + len(new["epoch"]) - _HISTORY), None)
        new = {name: old[name][before] + values for name, values in new.items()}
    setup.history, state.history = new, []


__all__ = ["Fitted", "Kept", "Setup", "history_of", "log", "model_attributes", "print_asked", "within_bounds"]
