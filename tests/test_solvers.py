"""Solvers: each equals its definition, and reaches the optimum that was asked for."""

import contextlib
import inspect
from dataclasses import fields

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from sklearn.linear_model import SGDRegressor

import _references
from _references import RECURSIONS, torch_optimizer, walk
from skvariants import SGDVariantRegressor
from skvariants.losses import EpsilonInsensitive
from skvariants.penalties import ElasticNet
from skvariants.solvers import (
    PASSIVE_AGGRESSIVE,
    SGD,
    SOLVERS,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    AMSGrad,
    Momentum,
    NAdam,
    Nesterov,
    PassiveAggressiveI,
    PassiveAggressiveII,
    QuasiNewton,
    RAdam,
    RMSProp,
    Rprop,
    ScheduleFree,
    Solver,
    Step,
)

#: Those that ask for a gradient alone; tests/test_solvers_rows.py has the others.
STEPPING = [name for name, cls in SOLVERS.items() if cls.method == "steps" and not cls.needs]
every_solver = pytest.mark.parametrize("name", STEPPING)
every_rule = pytest.mark.parametrize("cls", PASSIVE_AGGRESSIVE.values(), ids=PASSIVE_AGGRESSIVE)
NOTHING = ElasticNet(alpha=0.0, l1_ratio=0.0)


def another(solver):
    """A solver of the same class whose every hyperparameter is another."""
    for name, value in solver.get_params().items():
        for other in (0.1 if value < 0.01 else 0.7 * value, 1.3 * value):
            changed = solver.with_fields(**{name: other})
            with contextlib.suppress(ValueError):
                changed.validate("solver")
                solver = changed
                break
        else:
            raise ValueError(f"no other {name} of {solver!r}")
    return solver


#: Two values of every hyperparameter, one per column.
COLUMNS = [
    (type(one), {k: [v, another(one).get_params()[k]] for k, v in one.get_params().items()})
    for one in (SOLVERS[name]() for name in STEPPING)
    if one.get_params()
]


def undecayed(name):
    """A solver that decays no weights by itself."""
    return SOLVERS[name](**{field.name: 0.0 for field in fields(SOLVERS[name]) if field.name == "weight_decay"})


def iterates(solver, gradient, w, eta, n_steps=60, penalty=NOTHING, implicit=True):
    """The path of a solver; the last row is the intercept, which no penalty reaches."""
    w = w.copy()
    step = Step(penalty, w, implicit)
    step.work.fill(np.nan)
    memory = solver.allocate(w, penalty, implicit)
    result = []
    for t in range(1, n_steps + 1):
        step.t, step.eta = t, eta(t) if callable(eta) else eta
        solver.update(w, gradient(w, t), step, *memory)
        result.append(w.copy())
    assert all(array.dtype == w.dtype for array in memory)
    return np.array(result)


def noisy_quadratic(shape=(7, 3), n_steps=60, seed=0):
    """A start, and the gradient of an ill-conditioned quadratic under noise of its own for every step."""
    rng = np.random.default_rng(seed)
    curvatures, noise = 10 ** rng.uniform(-1, 1, size=(shape[0], 1)), rng.normal(size=(n_steps, *shape))
    return rng.normal(size=shape), lambda w, t: curvatures * w + noise[t - 1]


def couples_features(name):
    """Whether what moves a weight depends on the slopes of the others."""
    w, gradient = noisy_quadratic()
    factor = np.r_[np.ones(6), 2.0][:, None]
    one, other = (iterates(SOLVERS[name](), lambda v, t, f=f: f * gradient(v, t), w, 0.01) for f in (1.0, factor))
    return not np.array_equal(one[:, :-1], other[:, :-1])


@pytest.fixture
def torch():
    """torch with float64 for all it makes, its scalars included."""
    module = _references.torch()
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


def split_iterates(torch, optimizer, parts, gradient, n_steps=60):
    """The same, of weights and intercept as tensors of their own."""
    result = []
    for t in range(1, n_steps + 1):
        g = gradient(np.concatenate([part.detach().numpy() for part in parts]), t)
        parts[0].grad, parts[1].grad = torch.tensor(g[:-1]), torch.tensor(g[-1:])
        optimizer.step()
        result.append(np.concatenate([part.detach().numpy() for part in parts]))
    return np.array(result)


# ---------------------------------------------------------------- definitions


def step_size(name):
    """The step of a rule in its own units, and one that suits the others."""
    return 1.0 if name == "adadelta" or SOLVERS[name].learning_rate_free else 0.01


def reference(torch, name, gradient, w):
    """Iterates of an independent implementation: torch's, or the paper's recursion where torch has none."""
    if name in RECURSIONS:
        return next(walk(name, gradient, w, step_size(name), 60))
    if name == "adamw":
        split = [torch.nn.Parameter(torch.tensor(part)) for part in (w[:-1], w[-1:])]
        return split_iterates(torch, torch_optimizer(name, split, step_size(name)), split, gradient)
    return torch_iterates(torch, lambda params: torch_optimizer(name, params, step_size(name)), gradient, w)


@every_solver
def test_the_trajectory_is_that_of_the_reference(torch, name):
    w, gradient = noisy_quadratic()
    theirs = reference(torch, name, gradient, w)
    assert np.abs(theirs[-1] - w).max() > 1e-2
    np.testing.assert_allclose(iterates(SOLVERS[name](), gradient, w, step_size(name)), theirs, atol=1e-12, rtol=0)


def test_classes_that_the_loss_couples_are_one_vector_to_prodigy():
    solver, rng = SOLVERS["prodigy"](), np.random.default_rng(0)
    together, alone = np.zeros((6, 4)), np.zeros((12, 2))  # two models of two classes, each as one column of its own
    steps = Step(NOTHING, together, True, 2), Step(NOTHING, alone, True)
    memories = [solver.allocate(theta, NOTHING, True) for theta in (together, alone)]
    for t in range(1, 61):
        g = together - [1.0, 3.0, -2.0, 0.5] + rng.normal(size=together.shape)
        one = g.reshape(6, 2, 2).transpose(0, 2, 1).reshape(12, 2)
        for theta, gradient, step, memory in zip((together, alone), (g, one.copy()), steps, memories, strict=True):
            step.t, step.eta = t, 1.0
            solver.update(theta, gradient, step, *memory)
        np.testing.assert_allclose(together.reshape(6, 2, 2).transpose(0, 2, 1).reshape(12, 2), alone, atol=1e-12)
    assert np.abs(together).max() > 0.1


def test_the_model_of_a_schedule_free_solver_is_the_average():
    w, gradient = noisy_quadratic()
    ours, step = w.copy(), Step(NOTHING, w, True)
    memory = ScheduleFree().allocate(w, NOTHING, True)
    _, models = walk("schedule_free", gradient, w, 0.01, 60)
    for t in range(1, 61):
        step.t, step.eta = t, 0.01
        ScheduleFree().update(ours, gradient(ours, t), step, *memory)
        np.testing.assert_allclose(ScheduleFree().solution(ours, *memory), models[t - 1], atol=1e-13)


VARIANTS = {
    "momentum": (Momentum(momentum=0.5), lambda optim: (optim.SGD, {"momentum": 0.5})),
    "nesterov": (Nesterov(momentum=0.5), lambda optim: (optim.SGD, {"momentum": 0.5, "nesterov": True})),
    "adagrad": (AdaGrad(eps=0.1), lambda optim: (optim.Adagrad, {"eps": 0.1})),
    "adadelta": (AdaDelta(rho=0.8, eps=1e-3), lambda optim: (optim.Adadelta, {"rho": 0.8, "eps": 1e-3})),
    "rmsprop": (RMSProp(rho=0.5, eps=0.1), lambda optim: (optim.RMSprop, {"alpha": 0.5, "eps": 0.1})),
    "adam": (Adam(0.7, 0.9, 0.1), lambda optim: (optim.Adam, {"betas": (0.7, 0.9), "eps": 0.1})),
    "amsgrad": (
        AMSGrad(0.7, 0.9, 0.1), lambda optim: (optim.Adam, {"betas": (0.7, 0.9), "eps": 0.1, "amsgrad": True})
    ),
    "adamax": (Adamax(0.7, 0.9, 0.1), lambda optim: (optim.Adamax, {"betas": (0.7, 0.9), "eps": 0.1})),
    "nadam": (
        NAdam(0.7, 0.9, 0.1, 0.5),
        lambda optim: (optim.NAdam, {"betas": (0.7, 0.9), "eps": 0.1, "momentum_decay": 0.5}),
    ),
    "radam": (RAdam(0.7, 0.9, 0.1), lambda optim: (optim.RAdam, {"betas": (0.7, 0.9), "eps": 0.1})),
    "rprop": (
        Rprop(1.5, 0.3, 1e-3, 0.1),
        lambda optim: (optim.Rprop, {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.1)}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RECURSIONS)
def test_hyperparameters_mean_what_they_mean_in_the_paper(name):
    (w, gradient), solver = noisy_quadratic(seed=1), another(SOLVERS[name]())
    names = list(inspect.signature(RECURSIONS[name]).parameters)[2:]
    options = dict(zip(names, (getattr(solver, field.name) for field in fields(solver)), strict=True))
    for eta in (step_size(name), 0.3 * step_size(name)):
        theirs = next(walk(name, gradient, w, eta, 60, **options))
        np.testing.assert_allclose(iterates(solver, gradient, w, eta), theirs, atol=1e-12, rtol=0)


def test_every_new_solver_has_a_reference():
    assert set(RECURSIONS) <= set(STEPPING)


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
    solver, rng = SOLVERS[name](), np.random.default_rng(0)
    w, g = rng.normal(size=(7, 3)), rng.normal(size=(60, 7, 3))
    # slopes beside which eps is nothing, after the first steps, which may be of another kind
    paths = (iterates(solver, lambda w, t, c=c: c * g[t - 1], w, 1e-4) for c in (1e3, 1e6))
    one, thousand = (path[-1] - path[9] for path in paths)
    if solver.scale_free:
        np.testing.assert_allclose(thousand, one, rtol=1e-4)
    else:
        assert np.abs(thousand).max() > 10 * np.abs(one).max()


# ---------------------------------------------------------------- columns


@every_solver
def test_a_column_is_a_fit(name):
    w, gradient = noisy_quadratic()
    # sums over features round otherwise for another number of columns
    eta, rounding = np.array([0.01, 0.02, 0.001]), 1e-12 if couples_features(name) else 0.0
    together = iterates(SOLVERS[name](), gradient, w, eta)
    for j in range(3):
        pick = np.s_[:, j : j + 1]

        def alone(v, t, j=j):
            return gradient(np.repeat(v, 3, axis=1), t)[:, j : j + 1]

        one = iterates(SOLVERS[name](), alone, w[pick], eta[j])
        np.testing.assert_allclose(together[:, *pick], one, rtol=0, atol=rounding)


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

#: Steps that are tried, from short to long, and powers of t that they are divided by.
LADDER, POWERS = 10.0 ** np.arange(-2, 2.01, 0.5), (0.0, 0.5, 1.0)


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
    # every step with every power and strength, side by side
    eta0, power, strength = (part.ravel() for part in np.meshgrid(LADDER, POWERS, strengths, indexing="ij"))
    penalty, best = ElasticNet(alpha=strength, l1_ratio=1.0), np.tile(best, len(LADDER) * len(POWERS))

    def objective(w):
        return 0.5 * (w * (A @ w)).sum(axis=0) - (b * w).sum(axis=0) + penalty.value(w)

    solver, theta, step = undecayed(name), np.zeros((7, len(eta0))), Step(penalty, np.zeros((7, len(eta0))), True)
    memory, excess = solver.allocate(theta, penalty, True), {}
    with np.errstate(all="ignore"):  # of steps that are too long
        for t in range(1, 4001):
            step.t, step.eta = t, eta0 * t**-power
            w = theta[:-1]
            solver.update(theta, np.vstack([A @ w - b, np.zeros((1, len(eta0)))]), step, *memory)
            if t in (1000, 4000):
                found = solver.solution(theta, *memory)[:-1]
                excess[t] = objective(found) - objective(best)
        away = np.abs(found - best).max(axis=0)
    there = (excess[4000] <= 1e-7) & (away <= 2e-4)
    on_the_way = (excess[4000] <= np.minimum(0.5 * excess[1000], 1e-5)) & (away <= 5e-3)
    zeros = ((found == 0) == (np.abs(best) < 1e-6)).all(axis=0)
    averaged = solver.solution.__func__ is not Solver.solution  # of which zeros are nearly so
    arrived = (there | on_the_way) & (zeros | averaged)
    assert arrived.reshape(-1, len(strengths)).any(axis=0).all()


# ---------------------------------------------------------------- penalties that are not implicit


@every_solver
def test_an_explicit_l2_is_part_of_the_gradient(torch, name):
    w, gradient = noisy_quadratic(seed=3)

    def with_l2(w, t):
        g = gradient(w, t)
        g[:-1] += 0.7 * w[:-1]
        return g

    ours = iterates(SOLVERS[name](), gradient, w, step_size(name), penalty=ElasticNet(0.7, 0.0), implicit=False)
    np.testing.assert_allclose(ours, reference(torch, name, with_l2, w), atol=1e-12, rtol=0)
    assert np.abs(ours - reference(torch, name, gradient, w)).max() > 1e-3


@pytest.mark.parametrize("name", ["gd", "minibatch"])
def test_an_explicit_l1_is_soft_thresholding_after_the_step(name):
    (w, gradient), eta, strength = noisy_quadratic(seed=4), 0.01, 3.0
    path = iterates(SOLVERS[name](), gradient, w, eta, penalty=ElasticNet(strength, 1.0), implicit=False)
    before = np.concatenate([w[None], path[:-1]])
    moved = np.array([v - eta * gradient(v, t) for t, v in enumerate(before, start=1)])
    moved[:, :-1] = np.sign(moved[:, :-1]) * np.maximum(np.abs(moved[:, :-1]) - eta * strength, 0)
    assert 0 < (path == 0).sum() < path.size
    np.testing.assert_allclose(path, moved, atol=1e-14)


def test_sgd_has_a_memory_where_there_is_l1_to_cumulate():
    theta, lasso, ridge = np.zeros((4, 3), np.float32), ElasticNet(0.1, 1.0), ElasticNet(0.1, 0.0)
    due, paid = SGD().allocate(theta, lasso, implicit=False)
    assert due is not paid
    for array in (due, paid):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, np.zeros((3, 3)))
    assert SGD().allocate(theta, lasso, implicit=True) == []
    assert SGD().allocate(theta, ridge, implicit=False) == []


@pytest.mark.parametrize("penalty", ["l1", "elasticnet", "l2"])
def test_explicit_penalties_of_sgd_are_scikit_learns(penalty):
    rng = np.random.default_rng(5)
    X, eta, alpha = rng.normal(size=(40, 6)), 0.02, 0.3
    y = X @ np.array([1.0, -1.0, 0, 0, 0, 0]) + rng.normal(size=40)
    model = SGDRegressor(
        penalty=penalty, alpha=alpha, l1_ratio=0.6, learning_rate="constant", eta0=eta, max_iter=1, tol=None,
        shuffle=False,
    ).fit(X, y)  # fmt: skip

    def gradient(theta, t):
        x = np.append(X[t - 1], 1.0)
        return (x @ theta - y[t - 1]) * x[:, None]

    elastic = ElasticNet(alpha, {"l1": 1.0, "elasticnet": 0.6, "l2": 0.0}[penalty])
    theta = iterates(SGD(), gradient, np.zeros((7, 1)), eta, 40, elastic, implicit=False)[-1]
    np.testing.assert_allclose(theta[:, 0], [*model.coef_, *model.intercept_], atol=1e-14)
    assert (np.count_nonzero(model.coef_) < 6) == (penalty != "l2")


# ---------------------------------------------------------------- passive-aggressive


@pytest.mark.parametrize(("cls", "power"), [(PassiveAggressiveI, 1), (PassiveAggressiveII, 2)])
@pytest.mark.parametrize("C", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("margin", [-2.0, 0.3, 0.99])
def test_passive_aggressive_steps_solve_their_problem(cls, power, C, margin):
    # argmin over w of |w - w0|^2 / 2 + C slack^power, sought along w = w0 + tau y x (the representer)
    square_norm, loss = 2.5, 1 - margin

    def problem(tau):
        return tau**2 * square_norm / 2 + C * max(0.0, loss - tau * square_norm) ** power

    tau = cls(C=C).tau(loss, square_norm)
    best = minimize_scalar(problem, bounds=(0, 5), method="bounded", options={"xatol": 1e-10})
    assert problem(tau) <= best.fun + 1e-12
    assert tau == pytest.approx(best.x, abs=1e-6)


@every_rule
def test_passive_aggressive_steps_are_elementwise(cls):
    values, norms, C = np.array([[0.0, 1.0], [3.0, 0.2]]), np.array([[2.0], [0.5]]), np.array([0.1, 4.0])
    taus = cls(C=C).tau(values, norms)
    alone = [[cls(C=float(C[j])).tau(values[i, j], norms[i, 0]) for j in range(2)] for i in range(2)]
    np.testing.assert_allclose(taus, alone, rtol=1e-15)
    assert taus[0, 0] == 0
    assert cls(C=1.0).tau(0.0, 2.0) == 0


@every_rule
def test_an_empty_sample_takes_no_infinite_step(cls):
    tau = cls(C=0.5).tau(np.array([[1.0]]), np.array([[0.0]]))
    assert np.isfinite(tau).all()


def test_passive_aggressive_i_leaves_an_empty_sample_alone():
    assert PassiveAggressiveI(C=1.0).tau(1.0, 0.0) == 0.0


class Row:
    """One row as the training loop hands it to a solver that needs rows."""

    weight = None

    def __init__(self, x, y, theta, loss):
        self.x, self.y, self.loss = np.append(x, 1.0), np.array([[y]]), loss
        self.z = (self.x @ theta)[None]
        self.r = loss.gradient(self.y, self.z, np.empty_like(self.z))

    def value(self):
        return self.loss.value(self.y, self.z)

    def square_norms(self):
        return np.array([[self.x[:-1] @ self.x[:-1]]])

    def gradient(self, r):
        return np.outer(self.x, r)


def passive_aggressive_step(rule, x, y, theta, loss, penalty=NOTHING, implicit=True):
    step, theta = Step(penalty, theta, implicit), theta.copy()
    step.t, step.batch = 1, Row(x, y, theta, loss)
    rule.update(theta, np.full_like(theta, np.nan), step)
    return theta


@every_rule
@pytest.mark.parametrize("C", [0.05, np.array([0.05, 4.0])], ids=["scalar", "columns"])
def test_passive_aggressive_updates_move_by_tau_against_the_derivative(cls, C):
    x, y, loss = np.array([1.0, -2.0]), 3.0, EpsilonInsensitive(epsilon=0.25)
    theta = np.array([[0.2, -0.4], [0.1, 3.0], [0.0, 12.0]])
    residual = y - np.append(x, 1.0) @ theta
    assert np.sign(residual).tolist() == [1, -1]
    tau = cls(C=C).tau(np.abs(residual) - 0.25, x @ x)
    expected = theta + np.outer(np.append(x, 1.0), tau * np.sign(residual))
    np.testing.assert_allclose(passive_aggressive_step(cls(C=C), x, y, theta, loss), expected, atol=1e-14)


def test_passive_aggressive_regression_ends_on_the_tube():
    x, w, y, loss = np.array([1.0, -2.0]), np.array([0.2, 0.1]), 3.0, EpsilonInsensitive(epsilon=0.25)
    residual = y - x @ w
    tau = PassiveAggressiveI(C=100.0).tau(loss.value(np.array([[y]]), np.array([[x @ w]])), x @ x)[0, 0]
    assert y - x @ (w + tau * np.sign(residual) * x) == pytest.approx(0.25, abs=1e-14)


@every_rule
def test_a_sample_without_loss_changes_nothing(cls):
    x, theta, loss = np.array([1.0, -2.0]), np.array([[0.2], [0.1], [0.0]]), EpsilonInsensitive(epsilon=0.25)
    np.testing.assert_array_equal(passive_aggressive_step(cls(), x, 0.1, theta, loss), theta)


@every_rule
@pytest.mark.parametrize("implicit", [True, False])
def test_the_penalty_of_a_passive_aggressive_step_takes_a_step_of_c(cls, implicit):
    # no loss, so that the penalty alone moves the weights
    x, theta, loss, C = np.array([1.0, -2.0]), np.array([[0.2], [0.1], [0.0]]), EpsilonInsensitive(epsilon=0.25), 0.5
    penalty = ElasticNet(alpha=0.4, l1_ratio=0.3)
    got, expected = passive_aggressive_step(cls(C=C), x, 0.1, theta, loss, penalty, implicit), theta.copy()
    if not implicit:
        penalty.decay(expected[:-1], C)
    penalty.prox(expected[:-1], C, smooth=implicit)
    np.testing.assert_array_equal(got, expected)
    assert np.all(np.abs(got[:-1]) < np.abs(theta[:-1]))


# ---------------------------------------------------------------- a user's own


class Halving(Solver):
    """A user's solver that is no direction and scale: halve the weights, and stand for their double."""

    memory = ("calls",)

    def update(self, theta, g, step, *memory):
        theta *= 0.5
        memory[0][...] += 1

    def solution(self, theta, *memory):
        return 2 * theta


class Signed(Solver):
    """A user's solver in one method, with a scale for every column."""

    def step(self, g, t, work, *memory):
        return np.sign(g, out=work), np.array([1.0, 2.0])


def test_a_rule_of_ones_own_takes_the_place_of_the_step():
    path = iterates(Halving(), lambda w, t: np.zeros_like(w), np.ones((2, 2)), 0.1, 3)
    np.testing.assert_array_equal(path[-1], 0.125)
    np.testing.assert_array_equal(Halving().solution(path[-1]), 0.25)


def test_a_direction_and_a_scale_by_column_are_enough():
    w, penalty = np.full((3, 2), 5.0), ElasticNet(alpha=np.array([1.0, 2.0]), l1_ratio=1.0)
    path = iterates(Signed(), lambda w, t: np.ones_like(w), w, np.array([0.1, 0.2]), 1, penalty)
    np.testing.assert_allclose(path[0], [[4.8, 3.8], [4.8, 3.8], [4.9, 4.6]], rtol=1e-14)


def test_the_defaults_of_the_interface_work_for_a_users_own():
    theta = np.ones((3, 2), np.float32)
    (calls,) = Halving().allocate(theta, NOTHING, True)
    assert calls.dtype == np.float32
    np.testing.assert_array_equal(calls, np.zeros((3, 2)))
    solver = Signed()
    assert solver.allocate(theta, NOTHING, True) == []
    assert solver.solution(theta) is theta
    assert (solver.method, solver.needs, solver.fixed_step, solver.is_gradient) == ("steps", frozenset(), False, False)


@pytest.mark.parametrize("cls", [Solver, QuasiNewton])
def test_a_solver_without_a_rule_says_so(cls):
    with pytest.raises(NotImplementedError, match=f"{cls.__name__} defines neither `step` nor `update`"):
        iterates(cls(), lambda w, t: w, np.ones((3, 2)), 0.1, 1)


@pytest.mark.parametrize("name", ["lion", "signum", "rprop"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_no_weight_moves_by_more_than_the_step_of_a_sign(name, l1_ratio):
    w, gradient = noisy_quadratic(seed=6)
    path = iterates(SOLVERS[name](), gradient, w, 0.01, penalty=ElasticNet(10.0, l1_ratio))
    moves = np.abs(np.diff(np.concatenate([w[None], path]), axis=0))
    most = 0.01 if name != "rprop" else 0.01 * 1.2 ** np.arange(60)[:, None, None]
    assert np.all(moves <= most + 1e-12)
    assert moves.max() > 0.009


@pytest.mark.parametrize("name", [name for name in STEPPING if SOLVERS[name].learning_rate_free])
def test_a_length_that_is_estimated_is_not_raced_and_can_be_multiplied(name):
    X, y = np.random.default_rng(0).normal(size=(80, 3)), np.arange(80.0)
    params = {"solver": name, "max_iter": 3, "tol": None, "random_state": 0}
    model = SGDVariantRegressor(**params).fit(X, y)
    assert (model.race_, model.eta0_) == (None, 1.0)
    one, half = (SGDVariantRegressor(**params, eta0=eta0).fit(X, y) for eta0 in (1.0, 0.5))
    assert np.abs(half.coef_ - one.coef_).max() > 1e-3 * np.abs(one.coef_).max()
    streamed = SGDVariantRegressor(solver=name, random_state=0).partial_fit(X, y).partial_fit(X, y)
    assert (streamed.race_, streamed.eta0_) == (None, 1.0)


# ---------------------------------------------------------------- arrays


@every_solver
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_zero_gradient_moves_nothing(name, dtype):
    w = np.ones((4, 2), dtype=dtype)
    with np.errstate(all="raise"):
        still = iterates(undecayed(name), lambda w, t: np.zeros_like(w), w, 0.1, 5)
    np.testing.assert_array_equal(still, 1.0)


@every_solver
def test_a_feature_that_is_never_seen_stays_where_it_is_and_is_as_good_as_absent(name):
    (w, gradient), seen = noisy_quadratic(), np.ones((7, 1))
    seen[[0, -1]] = 0.0
    start = w * (np.arange(7) > 0)[:, None]  # but for the intercept, as weights may decay
    path = iterates(SOLVERS[name](), lambda v, t: seen * gradient(v, t), start, 0.01)
    np.testing.assert_array_equal(path[:, [0, -1]], np.tile(start[[0, -1]], (60, 1, 1)))
    absent = iterates(SOLVERS[name](), lambda v, t: (seen * gradient(np.r_[w[:1], v], t))[1:], w[1:], 0.01)
    rounding = 1e-12 if couples_features(name) else 0.0
    np.testing.assert_allclose(path[:, 1:], absent, rtol=0, atol=rounding)


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
    if type(solver).step is Solver.step:
        return  # a rule of its own
    direction, scale = solver.step(g.copy(), 1, np.empty_like(g), *solver.allocate(g, NOTHING, True))
    assert direction.shape == g.shape
    assert scale is None or np.shape(scale) in ((), (3,), g.shape)
    assert (scale is None) or np.all(np.asarray(scale) > 0)


@every_solver
def test_gradient_solvers_are_those_whose_direction_is_the_gradient(name):
    w, gradient = noisy_quadratic()
    descent = iterates(SOLVERS["gd"](), gradient, w, 0.01)
    same = np.array_equal(iterates(SOLVERS[name](), gradient, w, 0.01), descent)
    assert SOLVERS[name].is_gradient == same


@pytest.mark.parametrize("cls", [*SOLVERS.values(), *PASSIVE_AGGRESSIVE.values()])
def test_what_a_class_says_of_itself_is_complete(cls):
    assert cls.cures
    assert cls.method in ("steps", "quasi-Newton", "interior point")
    assert cls.needs <= {"rows", "table"}
    assert cls.eta0 > 0
    assert cls.unit > 0
    assert set(cls.points) <= set(cls.memory)
    assert not (cls.learning_rate_free and cls.fixed_step)
    assert cls.batch_size == "full" or cls.batch_size >= 1
    assert len({*cls.memory, *cls.totals}) == len(cls.memory) + len(cls.totals)
