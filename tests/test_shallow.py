"""Copies of plain data."""

import copy
import pickle

import numpy as np
import pytest

from skvariants import SGDVariantClassifier, losses, solvers
from skvariants._shallow import Shallow


@pytest.mark.parametrize("component", [losses.Huber(epsilon=2.0), solvers.Adam(beta_1=0.8)], ids=["loss", "solver"])
def test_a_copy_has_the_same_values_and_goes_its_own_way(component):
    other = copy.copy(component)
    assert isinstance(component, Shallow)
    assert type(other) is type(component)
    assert vars(other) == vars(component)
    assert other is not component
    other.note = "mine"
    assert not hasattr(component, "note")


def test_a_copied_component_is_pickled_with_all_it_has():
    adam = copy.copy(solvers.Adam(beta_1=0.8))
    assert pickle.loads(pickle.dumps(adam)).beta_1 == 0.8


def test_an_estimator_of_which_a_part_was_copied_is_as_before():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    y = (X[:, 0] > 0).astype(int)
    model = SGDVariantClassifier().partial_fit(X[:50], y[:50], classes=[0, 1])
    solver = model.solver_
    model.partial_fit(X[50:], y[50:])
    assert vars(solver) == vars(model.solver_)
