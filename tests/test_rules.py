"""The table of rules: its order, its thresholds, and the known answer to known problems."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from _references import isotropic, steep, zipf
from skvariants._advice.facts import facts
from skvariants._advice.rules import ENDLESS, LONG, MANY, RAVINE, RULES, SELDOM, SHORT, SMALL, first, recommend
from skvariants.solvers import SOLVERS

#: A large table of real targets, round and with all columns alike; then a ravine; then classes, too.
ROUND = replace(
    facts(*isotropic(), classification=True, random_state=0), ravine=1.0, rare_share=0.0, n_samples=10**6, classes=None
)
STEEP = replace(ROUND, ravine=RAVINE)
CLASSES = replace(STEEP, classes=2)
#: Facts to which each of the rules applies.
WITNESSES = [
    ROUND, STEEP, CLASSES, replace(STEEP, ravine=LONG), replace(STEEP, ravine=ENDLESS), replace(ROUND, n_samples=9),
    replace(STEEP, rare_share=MANY), replace(ROUND, rare_share=MANY, scaled=False), replace(STEEP, density=1e-5),
    replace(CLASSES, smooth=False), replace(STEEP, smooth=False),
]  # fmt: skip


def advised(X, y, classification=True, random_state=0, **options):
    return recommend(facts(X, y, classification=classification, random_state=random_state, **options))


# ------------------------------------------------------------------ the table


def test_every_rule_names_solvers_that_exist_and_says_why():
    assert RULES[-1].applies(ROUND)
    for rule in RULES:
        assert set(rule.solvers) <= set(SOLVERS)
        assert len(set(rule.solvers)) == len(rule.solvers) == 3
        assert rule.reason
        assert rule.condition
        assert "doi:" in rule.reference or "arXiv:" in rule.reference


def test_what_a_rule_costs_is_part_of_the_advice():
    for rule in RULES:
        f = next(f for f in WITNESSES if first(RULES, f) is rule)
        advice = recommend(f)
        assert (advice.seconds, advice.left) == (rule.seconds, rule.left)
        assert (rule.seconds is None) == (rule.left is None)


def test_the_first_rule_that_applies_gives_all_of_the_advice():
    advice = recommend(replace(ROUND, ravine=ENDLESS))
    rule = RULES[0]
    assert (advice.solver_name, advice.shortlist, advice.rule) == (rule.solvers[0], rule.solvers, rule.condition)
    assert (advice.reason, advice.reference) == (rule.reason, rule.reference)


@pytest.mark.parametrize(
    ("base", "changes", "solver"),
    [
        (ROUND, {}, "adagrad"),
        (ROUND, {"n_samples": SMALL}, "gd"),
        (ROUND, {"n_samples": SMALL, "ravine": 0.999 * SHORT}, "gd"),
        (ROUND, {"n_samples": SMALL, "ravine": SHORT}, "momentum"),
        (ROUND, {"n_samples": SMALL + 1}, "adagrad"),
        (ROUND, {"n_samples": SMALL, "smooth": False}, "gd"),
        (STEEP, {"smooth": False}, "adam"),
        (CLASSES, {"smooth": False}, "rmsprop"),
        (ROUND, {"smooth": False, "classes": 2}, "adagrad"),
        (ROUND, {"ravine": 0.999 * RAVINE}, "adagrad"),
        (ROUND, {"ravine": 0.999 * RAVINE, "classes": 2}, "adagrad"),
        (STEEP, {}, "momentum"),
        (STEEP, {"ravine": 0.999 * LONG}, "momentum"),
        (STEEP, {"ravine": LONG}, "nesterov"),
        (STEEP, {"ravine": 0.999 * ENDLESS}, "nesterov"),
        (STEEP, {"ravine": ENDLESS}, "adam"),
        (STEEP, {"ravine": 1e9}, "adam"),
        (STEEP, {"rare_share": MANY}, "adam"),
        (STEEP, {"rare_share": 0.999 * MANY}, "momentum"),
        (CLASSES, {}, "adam"),
        (CLASSES, {"ravine": LONG}, "adam"),
        (CLASSES, {"n_samples": SMALL}, "gd"),
        (ROUND, {"rare_share": MANY, "scaled": False}, "adadelta"),
        (STEEP, {"rare_share": MANY, "scaled": False}, "adadelta"),
        (STEEP, {"rare_share": 0.999 * MANY, "scaled": False}, "momentum"),
        (ROUND, {"rare_share": MANY, "scaled": False, "n_samples": SMALL}, "adadelta"),
        (STEEP, {"rare_share": MANY, "scaled": False, "ravine": ENDLESS}, "adam"),
        (STEEP, {"n_samples": 10**4, "density": 0.999 * SELDOM / 10**4}, "gd"),
        (STEEP, {"n_samples": 10**4, "density": SELDOM / 10**4}, "momentum"),
        (STEEP, {"n_samples": 10**4, "density": 1e-4, "scaled": False}, "momentum"),
        (CLASSES, {"n_samples": 10**4, "density": 1e-4, "smooth": False}, "gd"),
    ],
)
def test_each_threshold_changes_the_advice(base, changes, solver):
    assert recommend(replace(base, **changes)).solver_name == solver


@pytest.mark.parametrize("ravine", [1.0, 50.0, 1e4, 1e9])
@pytest.mark.parametrize("rare", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("n", [2, 1000, 10**7])
def test_some_rule_always_applies(ravine, rare, n):
    advice = recommend(replace(ROUND, ravine=ravine, rare_share=rare, n_samples=n))
    assert advice.solver_name in SOLVERS


def test_the_conditions_in_words_name_the_thresholds():
    words = " ".join(rule.condition for rule in RULES)
    for number in (
        f"{ENDLESS:g}", f"{LONG:g}", f"{RAVINE:g}", f"{MANY:.0%}", f"{SMALL:,}", f"{SHORT:g}", f"{SELDOM}"
    ):  # fmt: skip
        assert number in words


# ------------------------------------------------------------------ known problems


@pytest.mark.parametrize(
    ("data", "labels", "solvers"),
    [
        (isotropic, True, {"adagrad"}), (steep, False, {"momentum", "nesterov"}),
        (lambda: isotropic(200, 3), True, {"gd"}),
    ],
    ids=["neither", "ravine", "small"],
)  # fmt: skip
def test_known_problems_get_the_known_answer(data, labels, solvers):
    advice = advised(*data(), labels)
    assert advice.solver_name in solvers
    assert advice.shortlist[0] == advice.solver_name


def test_rare_features_get_a_rate_for_each_weight():
    advice = advised(*zipf(), scaled=False)
    assert advice.solver_name == "adadelta"
    assert "adagrad" in advice.shortlist


def test_ravine_and_rare_features_get_adam():
    X, _ = zipf(40_000)
    S, t = steep(40_000)
    assert advised(sp.hstack([X, sp.csr_matrix(S)], format="csr"), t, False).solver_name == "adam"


def test_raw_units_get_adam():
    X, y = isotropic()
    assert advised(X * np.geomspace(1e-3, 1e3, 20), y, scaled=False).solver_name == "adam"


def test_neither_units_nor_the_order_of_rows_change_the_advice():
    X, y = isotropic(3000)
    assert advised(X, y) == advised(X * np.geomspace(1e-4, 1e4, 20), y)
    X, y = steep(6000)
    order = np.random.default_rng(1).permutation(6000)
    assert advised(X, y, False) == advised(X[order], y[order], False, random_state=1)


@pytest.mark.parametrize("X", [np.zeros((10, 3)), np.full((10, 1), 5.0), np.arange(2.0)[:, None]])
def test_degenerate_data_get_advice(X):
    assert advised(X, np.arange(len(X)) % 2).solver_name in SOLVERS
