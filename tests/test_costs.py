"""What an iteration and a Hessian cost: more costs more, and what is planned can be made."""

import itertools

import numpy as np
import pytest

from _references import features, problem
from skvariants._data.tasks import OneHotColumns
from skvariants._quasi_newton import costs as module
from skvariants._quasi_newton.batch import StageBatch
from skvariants._quasi_newton.costs import Costs
from skvariants._quasi_newton.descent import Descent
from skvariants.losses import LogLoss, MultinomialLogLoss

SIZES = (100, 5_000, 1_000_000), (2, 50, 1000), (1, 10)


def of(n, d, width):
    return Costs(n, d, n * d, width)


@pytest.mark.parametrize(("n", "d", "width"), [*itertools.product(*SIZES)])
def test_more_rows_features_and_columns_cost_more(n, d, width):
    costs = of(n, d, width)
    # several columns are classes that are coupled, whose loss is cheaper
    for other in (of(2 * n, d, width), of(n, 2 * d, width), of(n, d, 20 * width)):
        assert other.iteration() > costs.iteration()
        assert other.hessian(n, 1, False) >= costs.hessian(n, 1, False)
        assert other.affordable >= costs.affordable
    assert costs.hessian(2 * n, 1, False) > costs.hessian(n, 1, False)
    assert costs.hessian(n, width, False) >= costs.hessian(n, 1, False) >= costs.hessian(n, 1, True)


@pytest.mark.parametrize(("n", "d", "width"), [*itertools.product(*SIZES)])
def test_a_sample_has_some_of_the_rows_and_all_where_that_is_cheap(n, d, width):
    costs = of(n, d, width)
    for unit, brief in itertools.product((1, width), (False, True)):
        rows = costs.sample(unit, brief)
        assert 1 <= rows <= costs.sample(unit) <= n
        assert (rows == n) or costs.hessian(n, unit, False) > (module.BRIEF if brief else module.CHEAP)
        assert of(2 * n, d, width).sample(unit, brief) >= min(rows, 2 * n // module.SHARE)
    assert costs.worthwhile <= costs.affordable


def test_a_hessian_of_all_classes_is_that_of_as_many_features():
    assert of(1000, 10, 5).hessian(400, 5, False) == Costs(1000, 50, 50_000, 1).hessian(400, 1, False)


@pytest.mark.parametrize("cheap", [1e2, 1e4, 1e8])
@pytest.mark.parametrize("affordable", [1e3, 1e10])
@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("factored", [3, 1024])
def test_what_is_planned_can_be_made_and_renewed(monkeypatch, cheap, affordable, coupled, l1_ratio, factored):
    for name, value in (("CHEAP", cheap), ("AFFORDABLE", affordable), ("FACTORED", factored), ("LEAST_ROWS", 20)):
        monkeypatch.setattr(module, name, value)
    for name in ("READING", "COLUMN", "PREDICTION", "INTERPRETER", "PASSES"):
        monkeypatch.setattr(module, name, 1)
    rng = np.random.default_rng(0)
    n, d, k = 300, 6, 4
    loss, encoding, y = LogLoss(), None, rng.choice([-1.0, 1.0], (n, k))
    if coupled:
        loss, encoding, y = MultinomialLogLoss(n_classes=k), OneHotColumns(k), rng.integers(0, k, n)
    p, width = problem(features(rng, n, d), y, loss, encoding=encoding, l1_ratio=l1_ratio), k if coupled else 1
    batch = StageBatch(p, width, order=lambda: np.random.default_rng(1).permutation(n))
    models = k // width
    descent = Descent.begin(batch, np.zeros((d + 1, k)), not l1_ratio, np.arange(models), models, np.zeros(models))
    seen = [descent.state.f]
    for _ in range(12):
        plan = descent.state.plan
        assert 1 <= plan.rows <= n
        assert plan.unit in (1, width)
        assert not (plan.common and width == 1)
        assert not (plan.common and plan.unit > 1)
        assert descent.state.patience >= 1
        if descent.arrived(lambda descent: np.zeros(len(descent.state.f))).all():
            break
        descent.step(False)
        seen.append(descent.state.f)
    assert (np.diff(seen, axis=0) <= 1e-12).all()
    assert (seen[-1] < seen[0]).all()
