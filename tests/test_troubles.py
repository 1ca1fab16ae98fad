"""Troubles: each is found where it is, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from _references import isotropic, zipf
from skvariants._advice.facts import facts
from skvariants._advice.rules import MANY, RAVINE, SMALL
from skvariants._advice.troubles import NOISY, TROUBLES, UNEQUAL, troubles

#: A small table without a trouble.
NONE = replace(
    facts(*isotropic(200, 3), classification=True), ravine=1.0, rare_share=0.0, noise=0.0, scale_ratio=1.0, scaled=False
)


def found(facts):
    return [finding.name for finding in troubles(facts) if finding.present]


def test_every_trouble_says_what_helps_and_what_that_costs():
    for finding, trouble in zip(troubles(NONE), TROUBLES, strict=True):
        assert finding.measured
        assert (finding.cure, finding.price) == (trouble.cure, trouble.price)
        assert finding.cure
        assert finding.price


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        ({"n_samples": SMALL + 1}, ["a step costs a pass"]),
        ({"noise": NOISY}, ["noise"]),
        ({"noise": None}, []),
        ({"scale_ratio": UNEQUAL}, ["unequal units"]),
        ({"scale_ratio": UNEQUAL, "scaled": True}, []),
        ({"ravine": RAVINE}, ["a ravine"]),
        ({"rare_share": MANY}, ["rare features"]),
        ({"ravine": RAVINE, "rare_share": MANY}, ["a ravine", "rare features", "a ravine and rare features"]),
    ],
)
def test_each_threshold_is_a_trouble(changes, names):
    assert found(replace(NONE, **changes)) == names


def test_numbers_are_those_of_the_facts():
    text = {finding.name: finding.measured for finding in troubles(replace(NONE, ravine=1e9, noise=0.25, scaled=True))}
    assert "at least 1e9 steps" in text["a ravine"]
    assert f"{NONE.condition_number:.3g}" in text["a ravine"]
    assert any("do not tell it" in finding.measured for finding in troubles(replace(NONE, noise=None)))
    assert "25%" in text["noise"]
    assert "evened out by scaling" in text["unequal units"]
    assert f"{NONE.n_samples:,} rows" in text["a step costs a pass"]


def test_troubles_of_data():
    assert "rare features" in found(facts(*zipf(), classification=True, scaled=False))
    X, _ = isotropic(1000, 4)
    y = X @ np.arange(1.0, 5.0)
    assert "noise" not in found(facts(X, y, classification=False))
    noisy = y + 10 * np.random.default_rng(0).standard_normal(1000)
    assert "noise" in found(facts(X, noisy, classification=False))
