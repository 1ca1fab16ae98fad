r"""What all solvers share: the one rule, and what a solver may say about itself.

The one line of the package is

.. math:: W \leftarrow \operatorname{prox}_{\eta s}\left(W - \eta\, s\, d\right)

where the schedule gives :math:`\eta`, the penalty its prox, and the solver the direction `d` and the scale `s`.
:meth:`Solver.update` is that line; the training loop, the pictures and the tests call it. Most solvers define
:meth:`Solver.step` alone, from a gradient `g`, the number `t` of the step (from 1) and their own memory to `d` and `s`.
They know nothing of learning rates, penalties, sparsity, classes or candidates. The scale is None (that is, 1), a
number, one value per column, or an array shaped like `g`: the diagonal metric in which the penalty's prox is taken too.

:meth:`Solver.step` may overwrite `g`, `work` and its memory, and may return any of them; the caller
only reads what is returned. The last axis is the column, so hyperparameters may be ``(n_columns,)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import numpy as np

from skvariants._component import Component
from skvariants._registry import Registry
from skvariants._step import Step

Array = np.ndarray
Result = TypeVar("Result")


def names_memory(method: Callable[..., Result]) -> Callable[..., Result]:
    """Tell type checkers that a subclass may name what it keeps: ``buffer`` in the place of ``*memory``."""
    return method


class Solver(Component):
    """Interface of all solvers; subclass it for your own.

    Define :meth:`step`, and name in `memory` the arrays shaped like the gradient that it keeps. A rule that does not
    fit into direction and scale overrides :meth:`update`; one that returns another point than it steps from,
    :meth:`solution`.

    Attributes
    ----------
    memory : tuple of str
        Names of the arrays that :meth:`step` receives after `work`, zero at the start.
    points : tuple of str
        Those of them that are points like the parameters: they begin where these are, and go with them where the
        coordinates move.
    totals : tuple of str
        Names of what it keeps beside them, a number for each column; :meth:`step` receives them last, as rows.
    batch_size : int or "full"
        Natural batch size, used when ``batch_size="auto"``.
    scale_free : bool
        Whether the step does not depend on the scale of the gradient.
    unit : float
        What the step sizes of a race are multiples of, where it is scale free.
    is_gradient : bool
        Whether the direction is the gradient and the scale is one; such solvers have fast paths.
    lazy : bool
        Whether a gradient of zero moves nothing and leaves the memory and the scale as they are: then a step on sparse
        rows touches their features alone, and what the penalty does to the others is made up for by :meth:`idle`. A
        subclass that defines `step` or `update` anew says so anew.
    linear : bool
        Whether a step is linear in a weight, what is remembered of it and its gradient, and the same for all weights:
        then a step on sparse rows moves their features alone, and the others by what they have in common. A subclass
        that defines a method anew says so anew.
    rests : bool
        Whether a weight of zero whose gradient has always been zero stays so, with one and the same memory as all such
        weights, and the others move as if it were not there: then a fit of wide sparse rows keeps the features that
        have occurred, and one for all others. A subclass that defines a method anew says so anew.
    needs : frozenset of str
        What :meth:`update` needs beside gradient, parameters and length of the step: "rows", the batch itself; then no
        gradient is formed for it, and it forms its own. "table": a number for each row and column that it may
        remember, and :meth:`begin_epoch` with all rows; in a stream, where no row comes again, there is none.
    method : str
        How it is trained: by "steps" on batches, by "quasi-Newton" iterations, or as is "chosen" before training.
    shrinks : bool
        Whether its steps become shorter by themselves, so that a stream adds no decay to them, and a fit less.
    fixed_step : bool
        Whether it has a length of its own, so that none is scheduled or raced.
    learning_rate_free : bool
        Whether it estimates a length of its own, which the schedule multiplies: ``eta0="auto"`` is 1, and nothing is
        raced.
    slope : callable or None
        Where one sample is a batch, the slope that it is moved by, if not the derivative of the loss before the step:
        ``slope(derivative, y, z, r, length)``, all of them numbers, with `length` how far a slope of one moves `z`.
    eta0 : float
        A step size that is reasonable on standardised data where none is searched for.
    cures : str
        Which of the lecture's troubles the solver answers, in one phrase.
    """

    memory: ClassVar[tuple[str, ...]] = ()
    points: ClassVar[tuple[str, ...]] = ()
    totals: ClassVar[tuple[str, ...]] = ()
    batch_size: ClassVar[int | str] = 256
    scale_free: ClassVar[bool] = False
    unit: ClassVar[float] = 1.0
    is_gradient: ClassVar[bool] = False
    lazy: ClassVar[bool] = False
    linear: ClassVar[bool] = False
    rests: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    method: ClassVar[str] = "steps"
    shrinks: ClassVar[bool] = False
    fixed_step: ClassVar[bool] = False
    learning_rate_free: ClassVar[bool] = False
    slope: ClassVar[Any] = None
    eta0: ClassVar[float] = 0.1
    cures: ClassVar[str] = ""
    elsewhere = dict.fromkeys(
        ("lr", "learning_rate", "eta", "eta0", "step_size"), "the first step is the estimator's, pass eta0 to that"
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "lazy" not in vars(cls) and vars(cls).keys() & {"step", "update", "prox", "idle"}:
            cls.lazy = False
        of_weights = {"step", "update", "prox", "idle", "allocate", "solution", "begin_epoch"}
        for name in ("linear", "rests"):
            if name not in vars(cls) and vars(cls).keys() & of_weights:
                setattr(cls, name, False)
        super().__init_subclass__(**kwargs)

    @names_memory
    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        """Direction and scale of step number `t`.

        Parameters
        ----------
        g : ndarray of shape (n_features + 1, n_columns)
            Gradient of the mean loss over the batch; the last row is the intercept's.
        t : int
            Number of this step, from 1.
        work : ndarray shaped like `g`
            Scratch.
        *memory : ndarrays shaped like `g`
            The arrays named in `memory`, updated in place.

        Returns
        -------
        direction : ndarray shaped like `g`
        scale : None, float or ndarray
        """
        raise NotImplementedError(f"{type(self).__name__} defines neither `step` nor `update`.")

    @names_memory
    def update(self, theta: Array, g: Array, step: Step, *memory: Array) -> None:
        """Take the step ``W <- prox[eta * scale](W - eta * scale * direction)``, in place.

        Parameters
        ----------
        theta : ndarray of shape (n_features + 1, n_columns)
            Weights, and the intercept as last row; overwritten.
        g : ndarray shaped like `theta`
            Gradient of the mean loss over the batch; may be overwritten.
        step : Step
            Number and length of this step, penalty, scratch.
        *memory : ndarrays
            As :meth:`allocate` returned them.
        """
        W, penalty, length = theta[:-1], step.penalty, step.eta
        if not (step.implicit or self.is_gradient):
            penalty.add_gradient(W, g[:-1])
        direction, scale = self.step(g, step.t, step.work, *memory)
        weights_length = length
        if isinstance(scale, np.ndarray) and scale.ndim == 2:
            # gradient and scratch have served once they are read; a memory has not
            length = np.multiply(length, scale, scale if scale is step.work else step.lengths)
            weights_length = length[:-1]
        elif scale is not None:
            length = weights_length = length * scale
        if self.is_gradient and not step.implicit:
            # as a shrinkage that never passes zero
            penalty.decay(W, weights_length)
        room = direction if direction is g or direction is step.work else step.move
        theta -= np.multiply(direction, length, room)
        self.prox(W, weights_length, step, *memory)

    @names_memory
    def prox(self, W: Array, length: Any, step: Step, *memory: Array) -> None:
        """Apply the part of the penalty that the gradient did not hold, in place.

        Parameters
        ----------
        W : ndarray of shape (n_features, n_columns)
            Weights, overwritten.
        length : float or ndarray
            ``eta * scale``: one for all, one per column, or shaped like `W`.
        step : Step
            The step it belongs to.
        *memory : ndarrays
            As :meth:`allocate` returned them.
        """
        if step.implicit or step.penalty.has_prox:
            step.penalty.prox(W, length, smooth=step.implicit)

    @names_memory
    def idle(self, W: Array, times: Array, step: Step, *memory: Array) -> None:
        """Make up for steps of zero gradient, in place: what the penalty alone does to the weights; see `lazy`.

        Parameters
        ----------
        W : ndarray of shape (n_rows, n_columns)
            Weights of some features, overwritten.
        times : ndarray of shape (n_rows, 1)
            How many such steps each has missed.
        step : Step
            Length of these steps, and the penalty of these features.
        *memory : ndarrays
            Their rows of what :meth:`allocate` returned.
        """
        length = step.eta
        _, scale = self.step(np.zeros_like(W), step.t, np.empty_like(W), *memory)
        if scale is not None:
            length = length * scale
        step.penalty.idle(W, length, times, step.implicit)

    def allocate(self, theta: Array, penalty: Any, implicit: bool) -> list[Array]:
        """Memory at the start: `points` are the parameters, all else is zero.

        `partial_fit` carries parameters and `points` over when standardised coordinates move, but no other memory.

        Parameters
        ----------
        theta : ndarray of shape (n_features + 1, n_columns)
            Parameters.
        penalty : Penalty
            What they cost.
        implicit : bool
            Whether all of the penalty is applied by its prox.

        Returns
        -------
        list of ndarray, whose last axis is the column
        """
        arrays = [theta.copy() if name in self.points else np.zeros_like(theta) for name in self.memory]
        return arrays + [np.zeros_like(theta[:1]) for _ in self.totals]

    @names_memory
    def begin_epoch(self, theta: Array, whole: Any, *memory: Array) -> None:
        """Look at all rows before an epoch, where `needs` has "table"; nothing by default.

        Parameters
        ----------
        theta : ndarray of shape (n_features + 1, n_columns)
            Parameters.
        whole : object
            All rows: ``whole.table``, zero at the start, ``whole.look(theta)``, which writes the slopes at `theta` into
            it, and ``whole.gradient()``, the mean gradient of what is in it.
        *memory : ndarrays
            As :meth:`allocate` returned them, updated in place.
        """

    def check_loss(self, loss: Any) -> None:
        """Refuse a loss that this solver cannot minimise, in a sentence with the remedy.

        Parameters
        ----------
        loss : Loss
            The loss asked for.

        Raises
        ------
        ValueError
            If the loss lacks what the solver needs.
        """

    def check_penalty(self, penalty: Any) -> None:
        """Refuse a penalty that this solver cannot minimise, in a sentence with the remedy.

        Parameters
        ----------
        penalty : Penalty
            The penalty asked for.

        Raises
        ------
        ValueError
            If the penalty lacks what the solver needs.
        """

    @names_memory
    def solution(self, theta: Array, *memory: Array) -> Array:
        """The model that the iterate stands for: itself, unless the rule says otherwise.

        Parameters
        ----------
        theta : ndarray of shape (n_features + 1, n_columns)
            The iterate.
        *memory : ndarrays
            As :meth:`allocate` returned them.

        Returns
        -------
        ndarray shaped like `theta`
        """
        return theta


#: ``@registered(name, family, year)`` above a solver of the package makes it known everywhere.
registered = Registry(
    {
        "plain steps": "no trouble: the cheapest step, and the surface as it is",
        "momentum": "a ravine: the zigzag cancels",
        "adaptive": "rare features: larger steps where updates are few; with Adam a ravine too",
        "after Adam": "what Adam does, where one of its parts goes wrong",
        "signs": "gradients of unequal size, or wild ones, with little memory",
        "learning-rate-free": "no step size to choose or to race",
        "averages and sums": "the model is not the last step: exact zeros in a stream, or no schedule",
        "row by row": "raw rows of unknown units, one at a time: no step is too long",
        "variance reduction": "many passes over one table, to where plain steps stall in their noise",
        "curvature": "what `auto` takes: smooth losses and losses with kinks, to the optimum, with no learning rate",
    }
)

__all__ = ["Solver", "Step", "registered"]
