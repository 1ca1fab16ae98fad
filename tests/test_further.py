"""Solvers beyond the lecture's: advised where they are worth it, with where they are not."""

from dataclasses import replace

import pytest

from _references import isotropic
from skvariants._advice.facts import facts
from skvariants._advice.further import DENSE, FURTHER, LARGE, TABLE, further
from skvariants._advice.rules import LONG, MANY
from skvariants._advice.troubles import UNEQUAL
from skvariants.solvers import LECTURE, SOLVERS

#: A few rows of three classes, round, all columns alike.
FEW = replace(facts(*isotropic(200, 3), classification=True, random_state=0), n_columns=3, ravine=1.0, scale_ratio=1.0)


def test_every_line_names_solvers_beyond_the_lecture_once_and_says_where_not():
    named = [name for line in FURTHER for name in line.solvers]
    assert len(set(named)) == len(named)
    assert set(named) <= set(SOLVERS) - set(LECTURE)
    assert all(line.condition and line.worth and line.limits for line in FURTHER)


@pytest.mark.parametrize(
    ("changes", "solvers"),
    [
        ({}, []),
        ({"n_columns": 1}, ["prodigy"]),
        ({"n_samples": LARGE, "ravine": LONG}, ["dowg"]),
        ({"n_samples": LARGE - 1, "ravine": LONG}, []),
        ({"rare_share": MANY}, ["ftrl", "dual_averaging"]),
        ({"scaled": False, "scale_ratio": UNEQUAL}, ["nag", "implicit"]),
        ({"scale_ratio": UNEQUAL}, []),
        ({"n_samples": TABLE}, ["svrg", "saga"]),
        ({"n_samples": TABLE - 1}, []),
        ({"n_samples": TABLE, "ravine": LONG}, []),
        ({"n_samples": TABLE, "density": 0.99 * DENSE}, []),
    ],
)
def test_each_threshold_changes_what_is_advised(changes, solvers):
    assert [name for line in further(replace(FEW, **changes)) for name in line.solvers] == solvers
