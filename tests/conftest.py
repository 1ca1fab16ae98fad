"""Fixtures of all tests, and which of them are left to CI."""

import pytest

from skvariants.solvers import LECTURE, SOLVERS

#: Solvers over which the tests of the registry are repeated at every run: the lecture's, those with a method of their
#: own, and one of each further kind of step and memory. Those of the others are slow, but in the files about solvers.
REPRESENTATIVE = {*LECTURE, "quasi_newton", "interior_point", "lion", "prodigy", "schedule_free", "ftrl"}
SLOW = set(SOLVERS) - REPRESENTATIVE
THEIR_OWN = {"test_solvers", "test_solvers_rows", "test_spec", "test_race"}


@pytest.fixture
def global_random_seed():
    """What the tests that scikit-learn ships expect its own conftest to provide."""
    return 42


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        # a solver by its name, or an estimator that has one
        named = [getattr(value, "solver", value) for value in values]
        if item.path.stem not in THEIR_OWN and any(isinstance(name, str) and name in SLOW for name in named):
            item.add_marker(pytest.mark.slow)
