"""State: taking, keeping, copying, joining and parting follow from what each field says it has a value for."""

import dataclasses
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skvariants._quasi_newton.descent import DescentState
from skvariants._quasi_newton.hessian import Blocks, Diagonal, Plan
from skvariants._quasi_newton.method import QuasiNewtonState
from skvariants._quasi_newton.small import NewtonState
from skvariants._training.problem import columns_of
from skvariants._training.state import Fields, State, same_generator

D = 4
KINDS = [State, QuasiNewtonState, NewtonState, DescentState, Blocks, Diagonal]
every_shape = pytest.mark.parametrize(("models", "width"), [(1, 1), (3, 1), (4, 2), (2, 3)])
METRICS = ["blocks", "one block for all", "coupled blocks", "common blocks", "diagonal"]
every_metric = pytest.mark.parametrize("metric", METRICS)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------ random ones


def random_metric(rng, kind, models, width):
    k, unit = models * width, width if kind == "coupled blocks" else 1
    if kind == "diagonal":
        return Diagonal(width=width, h=rng.random((D, k)) + 1)
    size = unit * D
    count = {"one block for all": 1, "common blocks": models}.get(kind, k // unit)
    factors = [np.asfortranarray(np.tril(rng.random((size, size))) + size * np.eye(size)) for _ in range(count)]
    blocks = Blocks(width=width, matrices=factors, unit=unit, exact=kind == "coupled blocks", n_columns=k)
    if kind == "common blocks":
        blocks.scale, blocks.unit = rng.random(k) + 0.5, width
    return blocks


def random_descent(rng, models, width, metric="blocks", n=9, inactive=()):
    active = np.setdiff1d(np.arange(models), inactive)
    m, k = len(active), len(active) * width
    return DescentState(
        width=width, active=active, n_models=models, theta=rng.random((D, k)), Z=rng.random((n, k)),
        g=rng.random((D, k)), f=rng.random(m), last=rng.random(m), length=rng.random(m),
        steps=[rng.random((D, k)) for _ in range(2)], changes=[rng.random((D, k)) for _ in range(2)],
        curvatures=[rng.random(k) for _ in range(2)], bb_scale=rng.random(m), damping=rng.random(m),
        used=rng.random(m), metric=random_metric(rng, metric, m, width), age=2, patience=5, plan=Plan(77, 1), spent=3.5,
        P=rng.random((D, k)), slope=-rng.random(m),
    )  # fmt: skip


def random_state(rng, models, width, metric="blocks", inactive=()):
    k = models * width
    rows = [
        {"epoch": np.full(models, e), "objective": rng.random(models), "eta": rng.random(models), "seconds": 0.1 * e,
         "validation_score": rng.random(models), "models": np.arange(models), "rows": 9}
        for e in range(1, 4)
    ]  # fmt: skip
    method = QuasiNewtonState(
        width=width, damping=rng.random(models), scores=rng.random((9, models)), lengths=rng.random(models), raced=True,
        sizes=[4096, 50_000], stage=1, inner=3,
        descent=random_descent(rng, models, width, metric, inactive=inactive),
    )  # fmt: skip
    return State(
        width=width, theta=rng.random((D, k)), rng=np.random.default_rng(5), memory=[rng.random((D, k)), rng.random(k)],
        average=rng.random((D, k)), table=rng.random((9, k)), t=12,
        epoch=rng.integers(1, 9, models), step_factor=rng.random(k),
        best=rng.random(models), stalled=rng.integers(0, 4, models), n_rollbacks=rng.integers(0, 3, models),
        best_theta=rng.random((D, k)), checkpoint=[rng.random((D, k)), rng.random((D, k))], history=rows, seconds=2.5,
        order_seed=99, limit=2.0, method=method,
    )  # fmt: skip


def assert_same(one, other, path=""):
    """Equal bit for bit, whatever it is."""
    assert type(one) is type(other), path
    if isinstance(one, Blocks):  # one matrix for all is as many equal ones
        one, other = (dataclasses.replace(blocks, matrices=blocks.of_each_unit()) for blocks in (one, other))
    if isinstance(one, Fields):
        for f in dataclasses.fields(one):
            assert_same(getattr(one, f.name), getattr(other, f.name), f"{path}.{f.name}")
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, path
        assert_array_equal(one, other, err_msg=path)
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{path}[{i}]")
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            assert_same(one[key], other[key], f"{path}[{key!r}]")
    elif isinstance(one, np.random.Generator):
        assert one.bit_generator.state == other.bit_generator.state, path
    else:
        assert one == other, path


def arrays_of(value, shared):
    """All arrays of a state that belong to columns and models (or all that it holds, with `shared`)."""
    if isinstance(value, Fields):
        own = [
            f.name for f in dataclasses.fields(value) if shared or f.metadata["axis"] in ("column", "model", "nested")
        ]
        return [a for name in own for a in arrays_of(getattr(value, name), shared)]
    if isinstance(value, list):
        return [a for item in value for a in arrays_of(item, shared)]
    return [value] if isinstance(value, np.ndarray) else []


# ------------------------------------------------------------------ what fields say


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_says_what_it_has_a_value_for(kind):
    axes = {"column", "model", "shared", "nested", "informative", "log"}
    assert {f.metadata.get("axis") for f in dataclasses.fields(kind)} <= axes


@every_shape
@every_metric
def test_taking_models_takes_their_columns(rng, models, width, metric):
    state = random_state(rng, models, width, metric)
    for chosen in (np.arange(models)[::-1], np.array([models - 1]), np.arange(models) > 0):
        part, columns = state.take(chosen), columns_of(chosen, width)
        for f in dataclasses.fields(State):
            value, got = getattr(state, f.name), getattr(part, f.name)
            if f.metadata["axis"] in ("column", "model"):
                index = columns if f.metadata["axis"] == "column" else chosen
                pairs = zip(value, got, strict=True) if isinstance(value, list) else [(value, got)]
                for whole, some in pairs:
                    assert_array_equal(some, whole[..., index])
                    assert some.flags.c_contiguous
            elif f.metadata["axis"] in ("shared", "informative", "log"):
                assert got is value
        assert_array_equal(part.method.scores, state.method.scores[:, chosen])


@every_shape
def test_keeping_is_taking_in_place(rng, models, width):
    state, chosen = random_state(rng, models, width), np.array([models - 1])
    expected = state.take(chosen)
    state.keep(chosen)
    assert_same(state, expected)


def test_models_that_have_done_with_a_batch_are_not_found_there(rng):
    descent = random_descent(rng, 5, 2, inactive=[1, 3])  # 0, 2 and 4 are there
    part = descent.take(np.array([4, 3, 0]))
    assert_array_equal(part.active, [0, 2])
    assert part.n_models == 3
    assert_array_equal(part.f, descent.f[[2, 0]])
    assert_array_equal(part.theta, descent.theta[:, [4, 5, 0, 1]])
    assert_array_equal(descent.take(np.array([1])).active, [])
    by_position = descent.at(np.array([1]), np.array([7]))
    assert_array_equal(by_position.f, descent.f[[1]])
    assert_array_equal(by_position.active, [7])


# ------------------------------------------------------------------ copies


@every_shape
@every_metric
def test_a_copy_is_equal_and_shares_no_memory_that_changes(rng, models, width, metric):
    state = random_state(rng, models, width, metric)
    copy, kept = state.copy(), pickle.loads(pickle.dumps(state))
    assert_same(copy, state)
    for one, other in zip(arrays_of(copy, False), arrays_of(state, False), strict=True):
        assert not np.shares_memory(one, other)
    if metric != "diagonal":  # an update of the Hessian writes into the matrices
        for one, other in zip(copy.method.descent.metric.matrices, state.method.descent.metric.matrices, strict=True):
            assert not np.shares_memory(one, other)
    for array in arrays_of(copy, False):
        array += 1
    copy.rng.random(3)
    copy.history.append({})
    copy.memory.append(np.zeros(1))
    copy.method.descent.steps.pop()
    copy.method.sizes.append(7)
    copy.t = 99
    assert_same(state, kept)


def test_a_copy_draws_the_same_numbers(rng):
    state = random_state(rng, 2, 1)
    copy = state.copy()
    assert copy.rng is not state.rng
    assert_array_equal(copy.rng.random(5), state.rng.random(5))
    generator = np.random.default_rng(3)
    assert_array_equal(same_generator(generator).permutation(9), generator.permutation(9))


def test_a_copy_of_what_newton_keeps_goes_its_own_way(rng):
    state = NewtonState(w=rng.random((D, 1)), z=rng.random((9, 1)), f=0.5)
    copy = state.copy()
    assert_same(copy, state)
    copy.w += 1
    copy.z += 1
    assert (state.w < 1).all()
    assert copy.join_key() != state.join_key()


def test_a_state_is_pickled_whole(rng):
    state = random_state(rng, 3, 2)
    assert_same(pickle.loads(pickle.dumps(state)), state)


# ------------------------------------------------------------------ parts, and the whole again


@every_shape
@every_metric
@pytest.mark.parametrize("seed", range(3))
def test_parts_joined_are_the_whole_bit_for_bit(models, width, metric, seed):
    rng = np.random.default_rng(seed)
    state = random_state(rng, models, width, metric)
    parts = [state.part(j, j) for j in range(models)]
    assert len({part.join_key() for part in parts}) == 1
    joined = parts[0].join(parts[1:])
    assert_same(joined, state)
    for one, other in zip(arrays_of(joined, False), arrays_of(state, False), strict=True):
        assert not np.shares_memory(one, other)


@every_metric
@pytest.mark.parametrize("width", [1, 2])
def test_models_joined_take_the_steps_of_each(rng, width, metric):
    blocks, G = random_metric(rng, metric, 3, width), rng.random((D, 3 * width))
    parts = [blocks.take(np.array([j])) for j in range(3)]
    joined = parts[0].join(parts[1:])
    expected = blocks.solve(G)
    assert_allclose(joined.solve(G), expected, rtol=1e-12)
    each = [part.solve(G[:, j * width : (j + 1) * width]) for j, part in enumerate(parts)]
    assert_allclose(np.hstack(each), expected, rtol=1e-12)


def test_states_of_several_models_stand_side_by_side(rng):
    state = random_state(rng, 4, 2)
    first, second = state.take(np.array([0, 1])), state.take(np.array([2, 3]))
    for part, models in ((first, [0, 1]), (second, [2, 3])):
        part.history = [
            {k: v[models] if isinstance(v, np.ndarray) else v for k, v in row.items()} | {"models": np.arange(2)}
            for row in state.history
        ]
    assert_same(first.join([second]), state)


def test_models_that_have_done_with_a_batch_are_joined_to_those_that_have_not(rng):
    descent = random_descent(rng, 5, 2, inactive=[1, 3])
    parts = [descent.take(np.array([j])) for j in range(5)]
    assert_same(parts[0].join(parts[1:]), descent)


def test_a_part_has_the_rows_of_its_model_alone(rng):
    state = random_state(rng, 3, 2)
    # model 1 has left, and models 0 and 2 are at positions 0 and 1 now
    state.keep(np.array([0, 2]))
    state.history.append({"epoch": np.array([4, 4]), "objective": np.array([0.5, 0.25]), "models": np.array([0, 2])})
    state.history.append({"epoch": np.array([5]), "objective": np.array([0.1]), "models": np.array([2])})
    part = state.part(1, 2)
    assert [row["epoch"].item() for row in part.history] == [1, 2, 3, 4, 5]
    assert [row["objective"].item() for row in part.history][3:] == [0.25, 0.1]
    assert all(row["models"].tolist() == [0] for row in part.history)
    assert len(state.part(0, 0).history) == 4
    assert_array_equal(part.theta, state.theta[:, 2:])
    assert part.rng is not state.rng


CHANGES = {
    "updates": lambda s: setattr(s, "t", 13),
    "draws": lambda s: s.rng.random(),
    "order": lambda s: setattr(s, "order_seed", 7),
    "limit": lambda s: setattr(s, "limit", 3.0),
    "epochs": lambda s: s.history.append(s.history[0]),
    "average": lambda s: setattr(s, "average", None),
    "memory": lambda s: s.memory.pop(),
    "width": lambda s: setattr(s, "width", 2),
    "method": lambda s: setattr(s, "method", None),
    "stage": lambda s: setattr(s.method, "stage", 0),
    "batches": lambda s: s.method.sizes.append(9),
    "iterations": lambda s: setattr(s.method, "inner", 4),
    "plan": lambda s: setattr(s.method.descent, "plan", Plan(78)),
    "age": lambda s: setattr(s.method.descent, "age", 3),
    "directions": lambda s: setattr(s.method.descent, "P", None),
    "remembered": lambda s: s.method.descent.steps.pop(),
    "metric": lambda s: setattr(s.method.descent, "metric", None),
    "exact": lambda s: setattr(s.method.descent.metric, "exact", True),
}


@pytest.mark.parametrize("what", CHANGES)
def test_states_that_came_another_way_are_not_joined(rng, what):
    state = random_state(rng, 1, 1)
    other = state.copy()
    assert other.join_key() == state.join_key()
    CHANGES[what](other)
    assert other.join_key() != state.join_key()


def test_values_and_time_do_not_keep_states_apart(rng):
    one, other = random_state(rng, 1, 1), random_state(rng, 1, 1)
    other.seconds = 100.0
    assert not np.array_equal(one.theta, other.theta)
    assert one.join_key() == other.join_key()
    assert hash(one.join_key()) == hash(other.join_key())


# ------------------------------------------------------------------ a start, and a way back


@pytest.mark.parametrize("width", [1, 2])
def test_a_start_has_done_nothing(rng, width):
    theta, memory = rng.random((D, 4)), [rng.random((D, 4))]
    state = State.start(theta, width, rng, memory)
    models = 4 // width
    assert state.n_models == models
    assert state.theta is theta
    assert (state.t, state.seconds, state.history, state.checkpoint, state.average) == (0, 0.0, [], [], None)
    for counts in (state.epoch, state.stalled, state.n_rollbacks):
        assert_array_equal(counts, np.zeros(models))
    assert_array_equal(state.step_factor, np.ones(4))
    assert_array_equal(state.best, np.full(models, np.inf))


def test_an_epoch_is_undone_with_all_that_it_drew(rng):
    state = random_state(rng, 2, 1)
    before, draws = state.copy(), state.draws()
    state.rng.random(3)
    state.average += 1
    state.t, state.order_seed = 99, 98
    state.return_to(draws)
    assert_same(state, before)


def test_what_was_saved_is_restored_by_column(rng):
    state = random_state(rng, 4, 1)
    state.memory = [rng.random((D, 4)), rng.random((D - 1, 4))]
    saved, before = state.saved(), state.copy()
    state.theta += 1
    for array in state.memory:
        array += 1
    state.restore(saved, np.array([2]))
    for now, then in zip([state.theta, *state.memory], [before.theta, *before.memory], strict=True):
        assert_array_equal(now[:, 2], then[:, 2])
        assert_array_equal(now[:, [0, 1, 3]], then[:, [0, 1, 3]] + 1)
    assert_array_equal(state.average[:, 2], saved[0][:, 2])
    assert_array_equal(state.average[:, :2], before.average[:, :2])
