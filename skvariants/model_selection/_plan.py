"""Candidates of a search, sorted by what they can share: the steps before the final estimator, and a matrix."""

from __future__ import annotations

import copy
import numbers
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from skvariants._spec import Spec, Trainable

#: parameters that an estimator hands to components, which may have values of their own, with those that hold these
_OWNERS = {
    "alpha": "penalty", "l1_ratio": "penalty", "epsilon": "loss", "eta0": "learning_rate", "power_t": "learning_rate",
}  # fmt: skip


@dataclass
class Candidate:
    """One setting of the parameters.

    Attributes
    ----------
    number : int
        Its place in the list.
    params : dict
        The setting.
    final : estimator
        Its final estimator, to be cloned before it is fitted.
    trainable : bool
        Whether the final estimator is one of this package, or of a subclass.
    as_columns : bool
        Whether it is trained as columns of a matrix: not where a subclass has a `fit` of its own, or callbacks listen.
    matrix : hashable
        Equal for candidates that share a matrix.
    spec : Spec or None
        What its parameters ask for; None where they are not accepted, or where that is not known.
    """

    number: int
    params: dict[str, Any]
    final: Any
    trainable: bool = False
    as_columns: bool = False
    matrix: Hashable = None
    spec: Spec | None = None

    @classmethod
    def of(cls, number: int, params: dict[str, Any], final: Any) -> Candidate:
        """A candidate whose final estimator is asked what it can share."""
        matrix: Hashable = ("alone", number)
        if not isinstance(final, Trainable):
            return cls(number, params, final, matrix=matrix)
        # callbacks of its own hear of a fit of its own
        as_columns, spec = shares_fit(type(final)) and not getattr(final, "_skl_callbacks", None), None
        try:
            spec = final.__skvariants_spec__()
            if as_columns:
                matrix = type(final), spec.group_key()
        except ValueError:  # its own fit will say what is wrong
            pass
        return cls(number, params, final, True, as_columns, matrix, spec)


def shares_fit(cls: type) -> bool:
    """Whether the `fit` of a class is one that trains columns, and not a wrapper that took over its marks."""
    fit = getattr(cls, "fit", None)
    return fit is not None and getattr(fit, "trains_as_columns", None) is fit


@dataclass
class PipelineGroup:
    """Candidates that see the rows through the same steps.

    Attributes
    ----------
    whole : estimator
        The estimator of the first of them.
    path : str
        Name of its final step; empty where there is no pipeline.
    candidates : list of Candidate
        In order.
    sums : FoldSums or None
        Over the rows of a fold, where they answer candidates on it.
    """

    whole: Any
    path: str
    candidates: list[Candidate] = field(default_factory=list)
    sums: Any = None

    def matrices(self) -> list[list[Candidate]]:
        """Candidates of one matrix each; a candidate that can share with nobody is a list of its own."""
        matrices: dict[Hashable, list[Candidate]] = {}
        for candidate in self.candidates:
            matrices.setdefault(candidate.matrix, []).append(candidate)
        return list(matrices.values())


def final_step(estimator: Any) -> tuple[str, Any]:
    """Path and estimator of the last step of (nested) pipelines; an empty path for anything else."""
    path = []
    while _is_pipeline(estimator):
        name, estimator = estimator.steps[-1]
        path.append(name)
    return "__".join(path), estimator


def with_final_step(estimator: Any, final: Any) -> Any:
    """The same (nested) pipeline with another last step; the steps before are shared, not copied."""
    if not _is_pipeline(estimator):
        return final
    outer = copy.copy(estimator)
    name, inner = estimator.steps[-1]
    outer.steps = [*estimator.steps[:-1], (name, with_final_step(inner, final))]
    return outer


def _is_pipeline(estimator: Any) -> bool:
    return isinstance(estimator, Pipeline) and bool(estimator.steps) and hasattr(estimator.steps[-1][1], "fit")


def plan(base: Any, settings: Sequence[dict[str, Any]]) -> list[PipelineGroup]:
    """Set the parameters of every candidate and sort candidates by what they can share.

    Parameters
    ----------
    base : estimator
        What is tuned.
    settings : sequence of dict
        Parameters of each candidate.

    Returns
    -------
    list of PipelineGroup
    """
    groups: dict[Hashable, PipelineGroup] = {}
    for number, params in enumerate(settings):
        whole = _with_params(base, params)
        path, final = final_step(whole)
        key = path, bool(get_tags(whole).input_tags.pairwise), _steps_before(path, params)
        group = groups.setdefault(key, PipelineGroup(whole, path))
        group.candidates.append(Candidate.of(number, params, final))
    return list(groups.values())


def least_levels(groups: Sequence[PipelineGroup]) -> int:
    """Columns that each candidate predicts of each target, at least."""
    candidates = [candidate for group in groups for candidate in group.candidates]
    return min(1 if candidate.spec is None else candidate.spec.loss.outputs for candidate in candidates)


def without_effect(groups: Sequence[PipelineGroup]) -> dict[str, str]:
    """Parameters that vary and that no component of any candidate takes, with what these call their own."""
    candidates = [candidate for group in groups for candidate in group.candidates]
    names = {name: None for candidate in candidates for name in candidate.params}
    asked = {name: name.rpartition("__")[2] for name in names if name.rpartition("__")[2] in _OWNERS}
    if not asked or any(candidate.spec is None for candidate in candidates):
        return {}
    problems = [candidate.spec.problem() for candidate in candidates if candidate.spec is not None]
    settings = [candidate.params for candidate in candidates]
    return {
        name: f"{name.removesuffix(own)}{_OWNERS[own]}__{own}"
        for name, own in asked.items()
        if _is_idle(name, settings, problems)
    }


def _is_idle(name: str, settings: Sequence[dict[str, Any]], problems: Sequence[Hashable]) -> bool:
    """Whether settings that differ in one parameter alone, of which there are some, all ask for the same."""
    alike: dict[Hashable, dict[Hashable, Hashable]] = {}
    for params, problem in zip(settings, problems, strict=True):
        others = tuple((other, _token(value)) for other, value in params.items() if other != name)
        alike.setdefault(others, {})[_token(params.get(name))] = problem
    several = [list(found.values()) for found in alike.values() if len(found) > 1]
    return bool(several) and all(len(set(found)) == 1 for found in several)


def _with_params(base: Any, params: dict[str, Any]) -> Any:
    """A copy with other parameters, which are cloned too, as they may be estimators.

    The steps of a pipeline are shared, not copied, where the parameters are those of its final step: a search fits
    copies of them.
    """
    params = clone(params, safe=False)
    path, final = final_step(base)
    if not path or not all(name.startswith(path + "__") for name in params):
        return clone(base).set_params(**params)
    own = {name.removeprefix(path + "__"): value for name, value in params.items()}
    return with_final_step(base, clone(final).set_params(**own))


def _steps_before(path: str, params: dict[str, Any]) -> Hashable:
    """The parameters of all but the final step, as something that is equal only for the same values."""
    if not path:
        return ()
    return tuple(
        (name, _token(value))
        for name, value in sorted(params.items())
        if name != path and not name.startswith(path + "__")
    )


def _token(value: Any) -> Hashable:
    if value is None or isinstance(value, (str, numbers.Number, np.generic)):
        return (type(value), value)
    return id(value)  # the list of settings keeps it alive


__all__ = ["Candidate", "PipelineGroup", "final_step", "least_levels", "plan", "with_final_step", "without_effect"]
