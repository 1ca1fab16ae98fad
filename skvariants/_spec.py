"""An estimator's parameters, read once: names become components, and all below computes on plain data.

:func:`read` checks every parameter in a sentence of its own and resolves the four names (loss, penalty, schedule,
solver) into a frozen :class:`Spec`. Specs are compared by value: :meth:`Spec.key` says which fits go on with each
other, and :meth:`Spec.group_key` which can be columns of one matrix.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, runtime_checkable

from skvariants._by_feature import ByFeature, Shape
from skvariants._component import closest, field_names, identity, no_parameter, plain, resolve, shown
from skvariants._training.loop import Stopping
from skvariants.losses import LOSSES, Loss
from skvariants.penalties import PENALTIES, Penalty
from skvariants.schedules import SCHEDULES, Adaptive, Schedule
from skvariants.solvers import SOLVERS, Solver
from skvariants.solvers.passive_aggressive import PASSIVE_AGGRESSIVE
from skvariants.solvers.quasi_newton import Auto

# what may change between two fits without making it another problem
_GOES_ON = ("stopping", "random_state", "verbose", "warm_start", "forgetting")
_COMPONENTS = ("loss", "penalty", "schedule", "solver")
# the parameters of an estimator that hold them
_OWNERS = ("loss", "penalty", "learning_rate", "solver")


@dataclass(frozen=True)
class Spec:
    """What a fit is asked for.

    Parameters
    ----------
    task : Classification or Regression
        What targets are.
    loss, penalty, schedule, solver : Loss, Penalty, Schedule, Solver
        Components.
    alpha : float
        Strength of the penalty, as the schedule may depend on it.
    batch_size : int or str
        Rows of a step, "auto" or "full".
    natural_batch_size : int, str or None
        What "auto" stands for, where it is not the solver's own.
    scale : bool
        Whether to work in standardised coordinates.
    scale_open : bool
        Whether that follows from whether the step is searched for.
    fit_intercept, shuffle : bool
        Whether there is an intercept, whether rows come in a new order each epoch.
    average : int
        Number of the update from which iterates are averaged; 0 for never.
    auto_rate : bool
        Whether the schedule is the one of ``learning_rate="auto"``.
    free : bool
        Whether neither a step nor a batch nor an average was asked for.
    stopping : Stopping
        When to end.
    random_state : int, RandomState or None
        Seed.
    verbose : int
        Whether to print.
    warm_start : bool
        Whether the next fit goes on from this one.
    forgetting : None, "auto" or float
        How long a stream is remembered: for ever, as long as no shorter memory predicts better, a half-life in rows.
    by_feature : ByFeature
        What is asked of single features and is not yet part of the penalty.
    """

    task: Any
    loss: Any
    penalty: Any
    schedule: Any
    solver: Any
    alpha: float
    batch_size: int | str
    natural_batch_size: int | str | None
    scale: bool
    scale_open: bool
    fit_intercept: bool
    shuffle: bool
    average: int
    auto_rate: bool
    free: bool
    stopping: Stopping
    random_state: Any
    verbose: int
    warm_start: bool
    forgetting: Any = None
    by_feature: ByFeature = ByFeature()

    def key(self) -> Hashable:
        """What is equal for specs of which one fit can go on where another has stopped."""
        early = self.stopping.early_stopping, self.stopping.validation_fraction
        return early, *(identity(getattr(self, f.name)) for f in fields(self) if f.name not in _GOES_ON)

    def problem(self) -> Hashable:
        """What is equal for specs that ask for the same fit: `alpha` counts where the schedule takes it only."""
        schedule = self.schedule.bind(self.loss.with_spread(1.0), self.alpha)
        return replace(self, alpha=0.0, schedule=schedule).key()

    def group_key(self) -> Hashable:
        """What is equal for specs that can be columns of one matrix: all but numbers that may differ by column."""
        components = [getattr(self, name) for name in _COMPONENTS]
        stopping = replace(self.stopping, tol=None if self.stopping.tol is None else 0.0)
        rest = [
            identity(getattr(self, f.name)) for f in fields(self) if f.name not in (*_COMPONENTS, "alpha", "stopping")
        ]
        return self.penalty.has_prox, identity(stopping), *(c.group_key() for c in components), *rest

    def for_features(self, shape: Shape) -> Spec:
        """The same, with what is asked of single features as part of the penalty."""
        if self.by_feature.empty:
            return self
        penalty = self.by_feature.applied(self.penalty, shape)
        self.solver.check_penalty(penalty)
        return replace(self, penalty=penalty, by_feature=ByFeature())

    def check_shapes(self, n_features: int, n_columns: int) -> None:
        """Raise the sentence about a component that holds values for other features or columns than there are."""
        for name, owner in zip(_COMPONENTS, _OWNERS, strict=True):
            component = getattr(self, name)
            component.check_features(n_features, owner)
            component.check_columns(n_columns, owner)

    def with_epochs(self, max_iter: int) -> Spec:
        """The same, for so many epochs."""
        return replace(self, stopping=replace(self.stopping, max_iter=max_iter, resumable=True), warm_start=True)

    def within(self, max_time: float | None) -> Spec:
        """The same, in so many seconds."""
        if max_time == self.stopping.max_time:
            return self
        return replace(self, stopping=replace(self.stopping, max_time=max_time))


@runtime_checkable
class Trainable(Protocol):
    """All that a search asks of an estimator."""

    def __skvariants_spec__(self) -> Spec:
        """The estimator's parameters, checked and resolved."""

    def __skvariants_publish__(self, fitted: Any) -> None:
        """Take a result: set the fitted attributes."""


def read(params: Mapping[str, Any], task: Any, losses: Mapping[str, Any]) -> Spec:
    """Resolve checked parameters of an estimator into a spec.

    Parameters
    ----------
    params : mapping
        The estimator's parameters by name.
    task : Classification or Regression
        What its targets are.
    losses : mapping of str to class
        Losses by the names it takes.

    Returns
    -------
    Spec

    Raises
    ------
    ValueError
        Naming the parameter that is not accepted, its value and the remedy.
    """
    params = {name: plain(value) for name, value in params.items()}
    l1_ratio = params["l1_ratio"]
    if isinstance(params["penalty"], str) and params["penalty"] == "elasticnet" and l1_ratio is None:
        raise ValueError("l1_ratio must be set when penalty is 'elasticnet': pass a number in [0, 1].")
    context = {**params, "l1_ratio": 0.0 if l1_ratio is None else l1_ratio}
    penalty = resolve(params["penalty"], PENALTIES, Penalty, "penalty", context)
    given = ("penalty_factor", "positive", "bounds", "monotonic_cst")
    by_feature = ByFeature(**{name: params[name] for name in given if name in params})
    if params["penalty"] is None and by_feature.penalty_factor is not None:
        raise ValueError("penalty_factor multiplies the penalty, and penalty=None has none: leave penalty_factor=None.")
    loss = _loss(params["loss"], task, losses, context)
    solver = resolve(params["solver"], {"auto": Auto, **SOLVERS}, Solver, "solver", context)
    if solver.method == "recursive":
        solver = Auto()  # what it stands for in a stream
    schedule = _schedule(params["learning_rate"], context, loss.with_spread(1.0))
    solver.check_loss(loss)
    solver.check_penalty(penalty)
    batch_size, average = params["batch_size"], int(params["average"])
    auto_rate = _is_auto(params["learning_rate"])
    free = auto_rate and _is_auto(params["eta0"]) and _is_auto(batch_size) and not average
    raced, natural = schedule.raced, None
    if params.get("forgetting") is not None and not (free and solver.method != "steps" and schedule.stands_for is None):
        raise ValueError(
            f"forgetting={params['forgetting']!r} is for solver='auto', with learning_rate, eta0 and batch_size 'auto' "
            "and average=False: steps forget by themselves, so leave forgetting=None."
        )
    if schedule.stands_for is not None:
        solver, natural = _passive_aggressive(params, solver, schedule)
    elif solver.method in ("quasi-Newton", "interior point"):
        if not free:
            raise ValueError(
                f"solver={params['solver']!r} finds its own steps and batches: leave learning_rate, eta0 and "
                "batch_size 'auto' and average=False, or choose a solver that takes steps."
            )
    elif solver.fixed_step:
        schedule, auto_rate = SCHEDULES["constant"](eta0=1.0), False
    elif solver.learning_rate_free and raced:
        schedule = schedule.with_fields(eta0=1.0)
    scale_open = _is_auto(params["scale_features"])
    scale = raced if scale_open else bool(params["scale_features"])
    stopping = Stopping(
        params["max_iter"], params["tol"], params["n_iter_no_change"], bool(params["early_stopping"]),
        params["validation_fraction"], bool(params["warm_start"]), params.get("max_time"),
    )  # fmt: skip
    return Spec(
        task=task, loss=loss, penalty=penalty, schedule=schedule, solver=solver, alpha=params["alpha"],
        batch_size=batch_size, natural_batch_size=natural, scale=scale, scale_open=scale_open,
        fit_intercept=bool(params["fit_intercept"]),
        shuffle=bool(params["shuffle"]), average=average,
        auto_rate=auto_rate, free=free, stopping=stopping, random_state=params["random_state"],
        verbose=int(params["verbose"]), warm_start=bool(params["warm_start"]), forgetting=params.get("forgetting"),
        by_feature=by_feature,
    )  # fmt: skip


def registry_of(parameter: str, losses: Mapping[str, Any]) -> tuple[Mapping[Any, Any], Any]:
    """Names that a parameter takes, and the family of what they stand for."""
    return {
        "loss": (losses, Loss),
        "penalty": (PENALTIES, Penalty),
        "solver": ({"auto": Auto, **SOLVERS}, Solver),
        "learning_rate": ({"auto": Adaptive, **SCHEDULES}, Schedule),
    }[parameter]


def component_with(
    parameter: str, params: Mapping[str, Any], losses: Mapping[str, Any], changes: Mapping[str, Any]
) -> Any:
    """The component that a name stands for, with some of its fields changed.

    Parameters
    ----------
    parameter : str
        "loss", "penalty", "solver" or "learning_rate".
    params : mapping
        The estimator's parameters by name.
    losses : mapping of str to class
        Losses by the names it takes.
    changes : mapping
        Values of fields by name.

    Returns
    -------
    Component

    Raises
    ------
    ValueError
        If the name is not known, or what it stands for has no such field.
    """
    given = params[parameter]
    registry, family = registry_of(parameter, losses)
    component = resolve(given, registry, family, parameter, {"l1_ratio": 0.0, **params})
    check_fields(parameter, given, component, registry, changes)
    return component.set_params(**changes)


def check_fields(
    parameter: str, given: Any, component: Any, registry: Mapping[Any, Any], names: Iterable[str]
) -> None:  # fmt: skip
    """Refuse names that are no fields of a component, nor of one in it.

    Parameters
    ----------
    parameter : str
        "loss", "penalty", "solver" or "learning_rate".
    given : object
        As the user gave the component.
    component : Component
        What that stands for.
    registry : mapping of str to class
        Others of its family, one of which may have such a field.
    names : iterable of str
        Names.

    Raises
    ------
    ValueError
        Naming the first.
    """
    fields = [] if given is None or _is_auto(given) else sorted(component.get_params(deep=False))
    for name in names:
        if name.partition("__")[0] in fields:
            continue
        elsewhere = component.elsewhere
        others = [factory() for factory in registry.values() if name in field_names(factory)]
        if others and not closest(name, fields):
            elsewhere = {name: f"pass {parameter}={type(others[0]).__name__}({name}=...)"}
        raise ValueError(no_parameter(name, f"{parameter}={shown(given)}", fields, elsewhere, f"{parameter}__"))


def holder(name: str, losses: Mapping[str, Any]) -> str | None:
    """What to do about the name of a parameter that an estimator lacks, and some component has."""
    for parameter in ("solver", "loss", "penalty", "learning_rate"):
        for factory in registry_of(parameter, losses)[0].values():
            if name in field_names(factory):
                return f"pass {parameter}={type(factory()).__name__}({name}=...)"
    return None


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _loss(given: Any, task: Any, losses: Mapping[str, Any], context: Mapping[str, Any]) -> Loss:
    if isinstance(given, str) and given in LOSSES and given not in losses:
        what = "regression, not for labels" if task.classification else "classification"
        other = "the regressor" if task.classification else "the classifier"
        raise ValueError(f"loss={given!r} is for {what}: use {other}, or one of {', '.join(losses)}.")
    loss = resolve(given, losses, Loss, "loss", context)
    loss.validate("" if isinstance(given, str) else "loss")
    if task.classification and loss.outputs > 1:
        raise ValueError(f"loss={shown(given)} has {loss.outputs} outputs, and labels have one: give one level.")
    if not (task.classification or loss.regression):
        raise ValueError(f"loss={shown(given)} is for classification; use one of {', '.join(losses)}.")
    return loss


def _schedule(given: Any, context: Mapping[str, Any], loss: Loss) -> Schedule:
    """The schedule: of the name, or the instance, with the estimator's `eta0` where its own is left open."""
    if _is_auto(given):
        return Adaptive(eta0=context["eta0"], factor=0.25)
    names = SCHEDULES if isinstance(given, str) and given in SCHEDULES else {"auto": Adaptive, **SCHEDULES}
    schedule = resolve(given, names, Schedule, "learning_rate", context)
    if schedule is given and schedule.raced and not _is_auto(context["eta0"]):
        schedule = schedule.with_fields(eta0=context["eta0"])
    bound = schedule.bind(loss, context["alpha"])  # says what is wrong with it
    return schedule if schedule.stands_for is None else bound


def _passive_aggressive(
    params: Mapping[str, Any], solver: Solver, schedule: Any
) -> tuple[Solver, Any]:  # fmt: skip
    """The rule that a learning rate stands for, and the batch of the solver in whose place it comes."""
    chosen = solver.method == "chosen"
    if not (chosen or solver.is_gradient):
        raise ValueError(
            f"learning_rate={params['learning_rate']!r} is a rule of its own (passive-aggressive updates) and "
            f"solver={params['solver']!r} is another: leave solver='auto', 'sgd', 'minibatch' or 'gd', or choose "
            "another learning_rate."
        )
    rule = PASSIVE_AGGRESSIVE[schedule.stands_for](C=schedule.eta0)
    return rule, None if chosen else solver.batch_size


__all__ = ["Spec", "Trainable", "check_fields", "component_with", "holder", "read", "registry_of"]
