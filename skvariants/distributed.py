"""Fits of rows in blocks, wherever these are and whoever computes: executors, a cluster of dask, Ray.

Collections of dask are for ``fit`` of the estimators. :func:`fit` is for a list of blocks: functions that read one,
futures, references to objects of Ray. The model is that of all rows in one table, and it is the same to the last bit
whoever computes what, and in whatever order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from skvariants._blocks.cluster import OnCluster, client_of
from skvariants._blocks.engines import OnExecutor, OnFunction, OnRay, in_turn, ray_of, runs_of
from skvariants._blocks.table import Shard, Table, features_of
from skvariants._component import shown
from skvariants._data.rows import is_lazy
from skvariants._data.validate import Given, refuse_masked

__all__ = ["fit"]


def __dir__() -> list[str]:
    return list(__all__)


def fit(
    estimator: Any, blocks: Iterable[Any], *, target: str | None = None, sample_weight: str | None = None,
    engine: Any = None,
) -> Any:  # fmt: skip
    """Fit a model to rows in blocks, by sums over them.

    Parameters
    ----------
    estimator : SGDVariantClassifier or SGDVariantRegressor
        Of a smooth loss, and ``solver="auto"`` or "quasi_newton".
    blocks : iterable
        Each a pair ``(X, y)``, a triple ``(X, y, sample_weight)``, or a data frame with `target`; a function without
        arguments that returns one, called in each pass where it is needed; or a future or a delayed value of dask or a
        reference of Ray that stands for one. Or a ``ray.data.Dataset`` with `target`. A fit calculates in float32 where
        all blocks are in float32, and in float64 where they are not.
    target : str, optional
        Of data frames the column to predict; the others are features.
    sample_weight : str, optional
        Of data frames the column of the weights.
    engine : Executor, Client, module or callable, optional
        Who computes: a ``concurrent.futures.Executor``, a client of `dask.distributed`, the module ``ray``, or
        ``run(function, shards, *args)``, which returns ``[function(shard, *args) for shard in shards]``. None is this
        process, or those who have the blocks. Of an executor of processes blocks should be functions, as what they are
        is sent in each pass.

    Returns
    -------
    self : object
        The estimator, fitted.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from functools import partial
    >>> import numpy as np
    >>> from skvariants import SGDVariantClassifier
    >>> from skvariants.distributed import fit
    >>> def read(seed):
    ...     rng = np.random.default_rng(seed)
    ...     X = rng.standard_normal((1000, 5))
    ...     return X, X[:, 0] + rng.logistic(size=1000) > 0
    >>> with ThreadPoolExecutor(2) as executor:
    ...     model = fit(SGDVariantClassifier(), [partial(read, seed) for seed in range(20)], engine=executor)
    >>> model.status_, model.history_["rows"][0]
    ('converged', 20000)
    """
    if not hasattr(estimator, "__skvariants_fit__") or isinstance(estimator, type):
        called = f"class {estimator.__name__}" if isinstance(estimator, type) else f"type {type(estimator).__name__}"
        raise TypeError(
            f"estimator of {called} is not accepted: give an SGDVariantClassifier(...) or SGDVariantRegressor(...). "
            "Steps of a pipeline before it can transform blocks in functions that read them, and searches fit "
            "collections of dask by fit, and batches by fit_batches."
        )
    if sample_weight is not None and target is None:
        raise ValueError(
            f"sample_weight={sample_weight!r} is a column of data frames, and target is None: give target, too, or "
            "blocks (X, y, sample_weight)."
        )
    if hasattr(blocks, "to_pandas_refs"):
        blocks = blocks.to_pandas_refs()
    if hasattr(blocks, "__dask_graph__"):
        raise TypeError("blocks is a dask collection, and these are for fit(X, y) of the estimator: use that.")
    blocks = list(blocks)
    if not blocks:
        raise ValueError("blocks is empty: give at least one block of rows.")
    run, shards = _engine(engine, blocks, partial(_shard, target, sample_weight))
    table = Table(shards, run, 0, None, in_runs=True)
    known = [about for about in table.each(_about) if about is not None]
    if not known:
        raise ValueError("X holds no rows: give at least one.")
    table.d, _, table.names, _ = known[0]
    for d, _, names, _ in known:
        if d != table.d or (names is None) != (table.names is None) or not np.array_equal(names, table.names):
            raise ValueError(
                f"Blocks have different features: {_called(table.d, table.names)} and {_called(d, names)}. Give the "
                "same columns in the same order."
            )
    table.dtype = np.result_type(*(dtype for _, dtype, _, _ in known))
    table.n = sum(n for *_, n in known)
    return estimator.__skvariants_fit__(Given(None, None, table=table))


def _engine(engine: Any, blocks: list[Any], read: Callable[[Any], Shard]) -> tuple[Any, list[Any]]:
    """The engine, and the blocks as its shards."""
    client = engine
    if engine is None:  # of a delayed value any attribute is one
        client = client_of(blocks[0]) if is_lazy(blocks[0]) else getattr(blocks[0], "client", None)
    if hasattr(client, "scheduler_info"):
        cluster = OnCluster(client)
        return cluster, cluster.runs(blocks, read)
    blocks = [block.compute if is_lazy(block) else block for block in blocks]
    ray = ray_of(blocks[0]) if engine is None else engine
    run: Any
    if hasattr(ray, "remote") and hasattr(ray, "put"):
        run = OnRay(ray)
        blocks = [block if ray_of(block) or callable(block) else ray.put(block) for block in blocks]
    elif hasattr(engine, "submit"):
        run = OnExecutor(engine)
    elif engine is None or callable(engine):
        run = in_turn if engine is None else OnFunction(engine)
    else:
        raise TypeError(
            f"engine of type {type(engine).__name__} is not accepted: give a concurrent.futures.Executor, a client of "
            "dask.distributed, the module ray, or a function run(function, shards, *args)."
        )
    return run, runs_of(blocks, read, getattr(run, "workers", os.cpu_count() or 1))


def _shard(target: str | None, sample_weight: str | None, block: Any) -> Shard:
    """Features, targets and weights of a block as the user gave it."""
    block = block() if callable(block) else block
    if target is not None:
        frame = block.to_pandas() if hasattr(block, "to_pandas") else block
        if not hasattr(frame, "columns"):
            raise ValueError(
                f"A block is of type {type(block).__name__}, and target={target!r} is a column of data frames: give "
                "data frames, or (X, y) without target."
            )
        given = {"target": target} if sample_weight is None else {"target": target, "sample_weight": sample_weight}
        for name, column in given.items():
            if column not in frame.columns:
                raise ValueError(
                    f"{name}={column!r} is no column of a block: give one of its columns {shown(list(frame.columns))}."
                )
        weight = None if sample_weight is None else frame[sample_weight].to_numpy()
        return frame.drop(columns=list(given.values())), frame[target].to_numpy(), weight
    if not (isinstance(block, tuple | list) and len(block) in (2, 3)):
        raise ValueError(
            f"A block is of type {type(block).__name__}: give (X, y) or (X, y, sample_weight), or data frames and "
            "target."
        )
    X, y, weight = (*block, None)[:3]
    refuse_masked(X, "X")
    return X if sp.issparse(X) or hasattr(X, "iloc") else np.asarray(X), y, weight


def _about(shard: Shard) -> tuple[int, Any, Any, int] | None:
    """Features of a block, and its rows; None of one that has no rows."""
    X = shard[0]
    if np.ndim(X) != 2 and not sp.issparse(X):
        raise ValueError(f"X has {np.ndim(X)} dimensions: give a table of shape (n_samples, n_features).")
    return (*features_of(X), X.shape[0]) if X.shape[0] else None


def _called(d: int, names: Any) -> str:
    return f"{d} without names" if names is None else str(list(names))
