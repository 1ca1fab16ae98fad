"""Fixtures of all tests."""

import pytest


@pytest.fixture
def global_random_seed():
    """What the tests that scikit-learn ships expect its own conftest to provide."""
    return 42
