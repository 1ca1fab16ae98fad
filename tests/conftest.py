"""Fixtures of all tests, which of them are left to CI, and which are not counted there."""

import sys
from collections import defaultdict

import pytest

from skvariants.solvers import SOLVERS

#: Solvers over which the tests of the registry are repeated at every run: one of each kind of batch, step and memory,
#: and those with a method of their own. Those of the others are slow, but in the files about solvers.
REPRESENTATIVE = set(
    "gd sgd minibatch momentum adagrad adam prodigy schedule_free ftrl quasi_newton interior_point".split()
)
SLOW = set(SOLVERS) - REPRESENTATIVE
#: Of these scikit-learn's checks of estimators, fifty each, are repeated at every run, and of the default.
CHECKED = {"sgd", "adam", "interior_point"}
THEIR_OWN = {"test_solvers", "test_solvers_rows", "test_spec", "test_race"}
#: Files that repeat their laws most: of a test of so many cases two in five are run every time, the others are slow.
#: Of five, as a stride of two or three would meet the same values of a parameter each time.
REPEATING = set(
    "test_estimators test_interior_point test_laws test_lazy test_losses_deviance test_model_selection"
    " test_stream_learner".split()
)
MANY, TURNS, TAKEN = 6, 5, (0, 3)
#: Files during which `coverage` pauses, as it makes tests up to twice as slow: they repeat much, whose lines the others
#: reach, or watch a clock.
NOT_COUNTED = set(
    "test_architecture test_benchmarks test_estimators test_fit test_laws test_properties test_sklearn_search"
    " test_sklearn_suite test_streams_named test_trust_interrupts test_trust_memory test_trust_time".split()
)


@pytest.fixture(scope="module", autouse=True)
def counted(request):
    coverage = sys.modules.get("coverage")
    counting = None if coverage is None else coverage.Coverage.current()
    # pytest-cov's count: a run of mutants counts all that a test reaches
    ours = counting is not None and request.config.pluginmanager.hasplugin("_cov")
    if not ours or request.path.stem not in NOT_COUNTED:
        yield
        return
    counting.stop()
    yield
    counting.start()


@pytest.fixture
def global_random_seed():
    """What the tests that scikit-learn ships expect its own conftest to provide."""
    return 42


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    repeated = defaultdict(list)
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        # a solver by its name, or an estimator that has one
        named = {name for value in values if isinstance(name := getattr(value, "solver", value), str)}
        checks = getattr(item, "originalname", "") == "test_scikit_learns_checks"
        slow = SOLVERS.keys() - CHECKED if checks else SLOW
        if item.path.stem not in THEIR_OWN and named & slow:
            item.add_marker(pytest.mark.slow)
        elif values and item.path.stem in REPEATING and not item.get_closest_marker("slow"):
            repeated[item.path, item.originalname].append(item)
    for cases in repeated.values():
        for i, item in enumerate(cases):
            if len(cases) >= MANY and i % TURNS not in TAKEN:
                item.add_marker(pytest.mark.slow)
