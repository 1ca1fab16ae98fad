"""What solvers inherit, and what schedules leave out."""

import math

import numpy as np
import pytest
import scipy.sparse as sp

from skvariants import SGDVariantRegressor
from skvariants._step import Step
from skvariants.losses import LOSSES, MultinomialLogLoss
from skvariants.penalties import ElasticNet
from skvariants.schedules import SCHEDULES, Cosine
from skvariants.solvers import SOLVERS, AdaGrad, Solver
from skvariants.solvers.passive_aggressive import PASSIVE_AGGRESSIVE


@pytest.mark.parametrize("cls", [cls for cls in SOLVERS.values() if cls.lazy], ids=lambda cls: cls.__name__)
def test_who_changes_nothing_stays_lazy_and_who_changes_the_rule_says_so_again(cls):
    class Named(cls):
        """The same by another name."""

        cures = "nothing else"

    class Other(cls):
        def step(self, g, t, work, *memory):
            return g, 1.0

    class Lazy(Other):
        lazy = True

        def step(self, g, t, work, *memory):
            return g, 1.0

    assert (Named.lazy, Other.lazy, Lazy.lazy) == (True, False, True)
    for method in ("update", "prox", "idle"):
        assert not type("Overrides", (cls,), {method: getattr(Solver, method)}).lazy


def test_a_scale_by_column_is_made_up_for_too():
    """Steps on sparse rows, the penalty of other features postponed, are those on dense ones."""

    class Scaled(AdaGrad):
        lazy = True

        def step(self, g, t, work, *memory):
            return g, np.full(g.shape[1], 0.5)

    rng = np.random.default_rng(0)
    X = sp.random(200, 400, 0.01, format="csr", random_state=0)
    y = rng.standard_normal(200)
    params = dict(
        solver=Scaled(), eta0=0.1, learning_rate="constant", alpha=0.05, batch_size=4, max_iter=2, tol=None,
        penalty="elasticnet", shuffle=False, scale_features=False,
    )  # fmt: skip
    sparse = SGDVariantRegressor(**params).fit(X, y)
    dense = SGDVariantRegressor(**params).fit(X.toarray(), y)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-9, atol=1e-12)
    assert np.abs(sparse.coef_).max() > 0


@pytest.mark.parametrize("alpha", [1e-6, 1.0, 1e4])
def test_bottous_heuristic_never_divides_by_a_slope(alpha):
    """At minus a typical weight every loss pulls towards a target of one: its slope is no number above 1."""
    typical = alpha**-0.25
    for cls in LOSSES.values():
        assert cls().gradient_scalar(1.0, -typical) <= 0
    z = np.full((1, 3), -typical)
    assert (MultinomialLogLoss(n_classes=3).gradient(np.ones((1, 3)), z, np.empty((1, 3))) <= 0).all()


def test_half_a_cosine_is_symmetric_about_its_middle():
    schedule = Cosine(eta0=2.0, horizon=100)
    for t in range(1, 100):
        assert schedule(t) + schedule(100 - t) == pytest.approx(2.0, rel=1e-12)
    assert schedule(25) == pytest.approx(1 + math.sqrt(0.5), rel=1e-12)
    assert schedule(100) == schedule(10**9) == 0


class Remembers(Solver):
    """A rule whose direction and scale are its memory, as a user's may be."""

    memory = ("velocity", "scale")

    def step(self, g, t, work, *memory):
        velocity, scale = memory
        velocity *= 0.5
        velocity += g
        scale += 1
        return velocity, scale


@pytest.mark.parametrize("implicit", [False, True])
def test_a_memory_that_is_the_direction_is_read_and_not_overwritten(implicit):
    rng = np.random.default_rng(0)
    penalty, solver, theta = ElasticNet(alpha=0.1, l1_ratio=0.0), Remembers(), rng.standard_normal((4, 2))
    w, v, step = theta.copy(), np.zeros((4, 2)), Step(ElasticNet(alpha=0.1, l1_ratio=0.0), theta, implicit)
    memory = solver.allocate(theta, penalty, implicit)
    eta = np.array([0.1, 0.2])
    for t in range(1, 6):
        g = rng.standard_normal((4, 2))
        step.t, step.eta = t, eta
        solver.update(theta, g.copy(), step, *memory)
        if not implicit:
            g[:-1] += 0.1 * w[:-1]
        v = 0.5 * v + g
        w = w - eta * t * v
        if implicit:
            w[:-1] /= 1 + 0.1 * eta * t
        np.testing.assert_allclose(theta, w, rtol=1e-12)
        np.testing.assert_allclose(memory[0], v, rtol=1e-12)
        np.testing.assert_array_equal(memory[1], t)


@pytest.mark.parametrize(("name", "cls"), PASSIVE_AGGRESSIVE.items())
def test_a_passive_aggressive_rule_finds_its_own_length_under_either_name(name, cls):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    y = X[:, 0] + 0.3 * rng.standard_normal(60)
    params = dict(loss="epsilon_insensitive", max_iter=2, tol=None, random_state=0, penalty=None, scale_features=False)
    rule = SGDVariantRegressor(solver=cls(C=0.3), **params).fit(X, y)
    named = SGDVariantRegressor(solver="sgd", learning_rate=name, eta0=0.3, **params).fit(X, y)
    assert rule.race_ is None
    assert rule.t_ == 1 + 2 * 60
    np.testing.assert_allclose(rule.coef_, named.coef_, rtol=1e-9)
    with pytest.raises(ValueError, match=r"only works with the hinge loss .* not with SquaredError: change one"):
        SGDVariantRegressor(solver=cls()).fit(X, y)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name not in PASSIVE_AGGRESSIVE])
def test_the_defaults_of_a_schedule_are_within_its_own_ranges(name):
    SGDVariantRegressor(solver="minibatch", learning_rate=SCHEDULES[name]()).__skvariants_spec__()
