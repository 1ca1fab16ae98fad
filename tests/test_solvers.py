"""Solvers: each equals its definition, and reaches the optimum that was asked for."""

import numpy as np
import pytest
from scipy.optimize import minimize

from _oracles import import_torch
from _references import torch_optimizer
from skvariants.penalties import ElasticNet
from skvariants.solvers import SOLVERS, AdaDelta, AdaGrad, Adam, Momentum, Nesterov, RMSProp

every_solver = pytest.mark.parametrize("name", SOLVERS)

#: Two values of every hyperparameter, one per column.
COLUMNS = [
    (Momentum, {"momentum": [0.5, 0.9]}),
    (Nesterov, {"momentum": [0.0, 0.9]}),
    (AdaGrad, {"eps": [1e-10, 0.1]}),
    (AdaDelta, {"rho": [0.5, 0.95], "eps": [1e-6, 1e-2]}),
    (RMSProp, {"rho": [0.5, 0.99], "eps": [1e-8, 0.1]}),
    (Adam, {"beta_1": [0.0, 0.9], "beta_2": [0.9, 0.999], "eps": [1e-8, 0.1]}),
]


def iterates(solver, gradient, w, eta, n_steps=60, prox=None):
    """``W <- prox[eta*scale](W - eta*scale*direction)``: the engine's step, and nothing else of it."""
    w = w.copy()
    memory = [np.zeros_like(w) for _ in solver.memory]
    work = np.full_like(w, np.nan)
    result = []
    for t in range(1, n_steps + 1):
        direction, scale = solver.step(gradient(w, t), t, work, *memory)
        step = (eta(t) if callable(eta) else eta) * (1.0 if scale is None else scale)
        w -= step * direction
        if prox is not None:
            prox(w, step)
        result.append(w.copy())
    assert all(array.dtype == w.dtype for array in memory)
    return np.array(result)


def noisy_quadratic(shape=(7, 3), n_steps=60, seed=0):
    """A start, and the gradient of an ill-conditioned quadratic under noise of its own for every step."""
    rng = np.random.default_rng(seed)
    curvatures, noise = 10 ** rng.uniform(-1, 1, size=(shape[0], 1)), rng.normal(size=(n_steps, *shape))
    return rng.normal(size=shape), lambda w, t: curvatures * w + noise[t - 1]


@pytest.fixture
def torch():
    """torch with float64 for all it makes, its scalars included."""
    module = import_torch()
    kept = module.get_default_dtype()
    module.set_default_dtype(module.float64)
    yield module
    module.set_default_dtype(kept)


def torch_iterates(torch, make_optimizer, gradient, w, n_steps=60):
    parameter = torch.nn.Parameter(torch.tensor(w))
    optimizer = make_optimizer([parameter])
    result = []
    for t in range(1, n_steps + 1):
        parameter.grad = torch.tensor(gradient(parameter.detach().numpy(), t))
        optimizer.step()
        result.append(parameter.detach().numpy().copy())
    return np.array(result)


# ---------------------------------------------------------------- definitions


@every_solver
def test_the_trajectory_is_torchs(torch, name):
    w, gradient = noisy_quadratic()
    eta = 1.0 if name == "adadelta" else 0.01
    theirs = torch_iterates(torch, lambda params: torch_optimizer(name, params, eta), gradient, w)
    assert np.abs(theirs[-1] - w).max() > 1e-2
    np.testing.assert_allclose(iterates(SOLVERS[name](), gradient, w, eta), theirs, atol=1e-12, rtol=0)


VARIANTS = {
    "momentum": (Momentum(momentum=0.5), lambda optim: (optim.SGD, {"momentum": 0.5})),
    "nesterov": (Nesterov(momentum=0.5), lambda optim: (optim.SGD, {"momentum": 0.5, "nesterov": True})),
    "adagrad": (AdaGrad(eps=0.1), lambda optim: (optim.Adagrad, {"eps": 0.1})),
    "adadelta": (AdaDelta(rho=0.8, eps=1e-3), lambda optim: (optim.Adadelta, {"rho": 0.8, "eps": 1e-3})),
    "rmsprop": (RMSProp(rho=0.5, eps=0.1), lambda optim: (optim.RMSprop, {"alpha": 0.5, "eps": 0.1})),
    "adam": (Adam(0.7, 0.9, 0.1), lambda optim: (optim.Adam, {"betas": (0.7, 0.9), "eps": 0.1})),
}


@pytest.mark.parametrize(("solver", "reference"), VARIANTS.values(), ids=VARIANTS)
def test_hyperparameters_mean_what_they_mean_in_torch(torch, solver, reference):
    w, gradient = noisy_quadratic(seed=1)
    cls, options = reference(torch.optim)
    theirs = torch_iterates(torch, lambda params: cls(params, lr=0.02, **options), gradient, w)
    np.testing.assert_allclose(iterates(solver, gradient, w, 0.02), theirs, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_a_schedule_stays_outside_the_buffer_as_in_torch(torch, name):
    w, gradient = noisy_quadratic(seed=2)

    def decayed(params):
        optimizer = torch_optimizer(name, params, 0.05)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: (k + 1) ** -0.5)
        optimizer.register_step_post_hook(lambda *_: rate.step())
        return optimizer

    theirs = torch_iterates(torch, decayed, gradient, w)
    ours = iterates(SOLVERS[name](), gradient, w, lambda t: 0.05 * t**-0.5)
    np.testing.assert_allclose(ours, theirs, atol=1e-12, rtol=0)


@pytest.mark.parametrize("cls", [Momentum, Nesterov])
def test_no_momentum_is_gradient_descent(cls):
    w, gradient = noisy_quadratic()
    plain = iterates(SOLVERS["gd"](), gradient, w, 0.01)
    np.testing.assert_array_equal(iterates(cls(momentum=0.0), gradient, w, 0.01), plain)


@every_solver
def test_scale_free_solvers_and_they_alone_do_not_see_the_units_of_the_loss(name):
    solver, (w, gradient) = SOLVERS[name](), noisy_quadratic()
    one, thousand = (iterates(solver, lambda w, t, c=c: c * gradient(w, t), w, 1e-4)[-1] - w for c in (1.0, 1e3))
    if name == "adadelta":
        # up to its eps, which sets the length of the first steps
        assert np.abs(thousand).max() < 10 * np.abs(one).max()
    elif solver.scale_free:
        np.testing.assert_allclose(thousand, one, rtol=1e-4)
    else:
        assert np.abs(thousand).max() > 10 * np.abs(one).max()


# ---------------------------------------------------------------- columns


@every_solver
def test_a_column_is_a_fit(name):
    w, gradient = noisy_quadratic()
    eta = np.array([0.01, 0.02, 0.001])
    together = iterates(SOLVERS[name](), gradient, w, eta)
    for j in range(3):
        pick = np.s_[:, j : j + 1]

        def alone(v, t, j=j):
            return gradient(np.repeat(v, 3, axis=1), t)[:, j : j + 1]

        np.testing.assert_array_equal(together[:, *pick], iterates(SOLVERS[name](), alone, w[pick], eta[j]))


@pytest.mark.parametrize(("cls", "values"), COLUMNS)
def test_a_hyperparameter_may_differ_between_columns(cls, values):
    w, gradient = noisy_quadratic((7, 2))
    together = iterates(cls(**{k: np.array(v) for k, v in values.items()}), gradient, w, 0.01)
    assert {k for k, _ in values.items()} == set(cls().get_params())
    for j in range(2):
        pick = np.s_[:, j : j + 1]

        def alone(v, t, j=j):
            return gradient(np.repeat(v, 2, axis=1), t)[:, j : j + 1]

        solver = cls(**{k: v[j] for k, v in values.items()})
        # 1 - beta**t of an array and of a number may differ in their last bit
        np.testing.assert_allclose(together[:, *pick], iterates(solver, alone, w[pick], 0.01), rtol=0, atol=1e-14)


# ---------------------------------------------------------------- optimality

#: Steps that converge on the problem below: eta0, and the power of t that it is divided by.
STEPS = {
    "momentum": (0.02, 0.0), "nesterov": (0.02, 0.0), "adagrad": (1.0, 0.0), "adadelta": (20.0, 0.5),
    "rmsprop": (0.2, 0.6), "adam": (0.2, 0.6),
}  # fmt: skip


def lasso_problem():
    """A quadratic with known Hessian, one column per strength of L1, and its optima by scipy."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(50, 6)) @ np.diag([1, 1, 0.5, 1, 2, 1])
    A, b = X.T @ X / 50, X.T @ (X @ [2.0, -1.0, 0.5, 0, 0, 0.1] + 0.3 * rng.normal(size=50)) / 50
    strengths = np.array([0.02, 0.3])

    def split(v, strength):
        # w = p - q with p, q >= 0: smooth, with bounds
        w = v[:6] - v[6:]
        g = A @ w - b
        return 0.5 * w @ A @ w - b @ w + strength * v.sum(), np.concatenate([g + strength, strength - g])

    options = {"ftol": 1e-16, "gtol": 1e-12, "maxiter": 10_000, "maxfun": 100_000}
    best = [
        minimize(split, np.zeros(12), (s,), jac=True, method="L-BFGS-B", bounds=[(0, None)] * 12, options=options).x
        for s in strengths
    ]
    return A, b[:, None], strengths, np.column_stack([v[:6] - v[6:] for v in best])


@every_solver
def test_every_solver_reaches_the_lasso(name):
    A, b, strengths, best = lasso_problem()
    assert 0 < (np.abs(best) < 1e-9).sum() < best.size
    penalty = ElasticNet(alpha=strengths, l1_ratio=1.0)

    def objective(w):
        return 0.5 * (w * (A @ w)).sum(axis=0) - (b * w).sum(axis=0) + penalty.value(w)

    eta0, power = STEPS.get(name, (0.2, 0.0))
    found = iterates(
        SOLVERS[name](), lambda w, t: A @ w - b, np.zeros((6, 2)), lambda t: eta0 * t**-power, 4000, penalty.prox
    )[-1]
    assert np.all(objective(found) - objective(best) <= 1e-7)
    np.testing.assert_allclose(found, best, atol=2e-4)
    np.testing.assert_array_equal(found == 0, np.abs(best) < 1e-6)


# ---------------------------------------------------------------- arrays


@every_solver
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_zero_gradient_moves_nothing(name, dtype):
    w = np.ones((4, 2), dtype=dtype)
    with np.errstate(all="raise"):
        still = iterates(SOLVERS[name](), lambda w, t: np.zeros_like(w), w, 0.1, 5)
    np.testing.assert_array_equal(still, 1.0)


@every_solver
def test_a_feature_that_is_never_seen_stays_where_it_is(name):
    w, gradient = noisy_quadratic()

    def without_last(v, t):
        g = gradient(v, t)
        g[-1] = 0
        return g

    path = iterates(SOLVERS[name](), without_last, w, 0.01)
    np.testing.assert_array_equal(path[:, -1], np.tile(w[-1], (60, 1)))
    np.testing.assert_array_equal(path[:, :-1], iterates(SOLVERS[name](), gradient, w, 0.01)[:, :-1])


@every_solver
def test_float32_stays_float32(name):
    w, gradient = noisy_quadratic()
    wide = iterates(SOLVERS[name](), gradient, w, 0.01)
    narrow = iterates(SOLVERS[name](), lambda v, t: gradient(v, t).astype(np.float32), w.astype(np.float32), 0.01)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, wide, atol=1e-4)


@pytest.mark.parametrize(("cls", "values"), COLUMNS)
def test_float32_stays_float32_with_hyperparameters_per_column(cls, values):
    w, gradient = noisy_quadratic((7, 2))
    solver = cls(**{k: np.array(v) for k, v in values.items()})
    path = iterates(solver, lambda v, t: gradient(v, t).astype(np.float32), w.astype(np.float32), 0.01)
    assert path.dtype == np.float32


@every_solver
def test_what_a_step_returns_is_shaped_like_the_gradient(name):
    solver, g = SOLVERS[name](), np.ones((4, 3))
    direction, scale = solver.step(g.copy(), 1, np.empty_like(g), *(np.zeros_like(g) for _ in solver.memory))
    assert direction.shape == g.shape
    assert scale is None or np.shape(scale) in ((), (3,), g.shape)
    assert (scale is None) or np.all(np.asarray(scale) > 0)


@every_solver
def test_plain_solvers_are_those_whose_direction_is_the_gradient(name):
    w, gradient = noisy_quadratic()
    descent = iterates(SOLVERS["gd"](), gradient, w, 0.01)
    same = np.array_equal(iterates(SOLVERS[name](), gradient, w, 0.01), descent)
    assert SOLVERS[name].plain == same


@every_solver
def test_what_a_class_says_of_itself_is_complete(name):
    cls = SOLVERS[name]
    assert cls.cures
    assert cls.eta0 > 0
    assert cls.batch_size == "full" or cls.batch_size >= 1
    assert len(set(cls.memory)) == len(cls.memory)
