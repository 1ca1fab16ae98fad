"""What "auto" stands for: what a diagnosis says is what a fit does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from _references import isotropic
from skvariants import SGDVariantClassifier
from skvariants._advice.choice import CHOICES, Asked, choose, too_wide
from skvariants._advice.facts import facts
from skvariants._advice.rules import RULES, first, recommend
from skvariants.losses import LOSSES
from skvariants.solvers import SOLVERS

X, Y = isotropic(400, 4)
EVIDENCE = Path(__file__).parent.parent / "docs" / "choosing_evidence.md"
CLASSIFICATION = [name for name, loss in LOSSES.items() if not loss.regression]


def measured(**options):
    return facts(X, Y, classification=True, random_state=0, **options)


def unasked():
    raise AssertionError("the data need not be looked at")


def test_every_choice_names_solvers_that_exist_and_says_why():
    for rule in CHOICES:
        assert set(rule.solvers) <= {*SOLVERS, "recursive"}
        assert rule.condition
        assert rule.reason
        assert rule.reference


@pytest.mark.parametrize("loss", CLASSIFICATION)
@pytest.mark.parametrize("given", [{}, {"batch_size": 50}, {"eta0": 0.1}, {"average": True}])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_does_what_is_chosen(loss, given):
    smooth = LOSSES[loss].smooth
    pieces = LOSSES[loss].piecewise_linear
    chosen = choose(Asked(smooth, pieces, free=not given), lambda: measured(smooth=smooth))
    model = SGDVariantClassifier(loss=loss, max_iter=3, random_state=0, scale_features=True, **given).fit(X, Y)
    assert type(model.solver_) is SOLVERS[chosen.solver_name]


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize(("given", "d", "summable"), [({}, 4, True), ({}, 1100, False), ({"batch_size": 50}, 4, True)])
def test_a_stream_does_what_is_chosen(loss, given, d, summable):
    smooth = LOSSES[loss].smooth
    asked = Asked(smooth, not smooth, streaming=True, summable=summable, free=not given)
    more = np.random.default_rng(0).standard_normal((len(X), d - X.shape[1]))  # rows too long to be kept
    wide = np.hstack([X, more])
    model = SGDVariantClassifier(loss=loss, random_state=0, **given).partial_fit(wide, Y, classes=np.unique(Y))
    assert type(model.solver_).__name__.lower() == choose(asked, unasked).solver_name


def test_the_data_are_looked_at_only_where_no_choice_applies():
    assert choose(Asked(smooth=False, piecewise_linear=True), unasked).solver_name == "interior_point"
    for asked in (Asked(False, True, modelled=False), Asked(False), Asked(False, True, free=False)):
        assert choose(asked, measured) == recommend(measured())
    chosen = choose(Asked(smooth=True), unasked)
    assert chosen.shortlist == (chosen.solver_name,)
    rule = next(rule for rule in CHOICES if rule.solvers[0] == chosen.solver_name)
    assert (chosen.rule, chosen.reason, chosen.reference) == (rule.condition, rule.reason, rule.reference)
    for seen in (measured(), replace(measured(), ravine=1e9)):
        assert choose(Asked(smooth=True, free=False), lambda seen=seen: seen) == recommend(seen)


def test_l1_on_a_kinked_loss_is_exact_where_rows_or_features_are_few_enough_for_a_factor():
    assert not too_wide(10**6, 4096, True)
    assert not too_wide(4096, 10**6, True)
    assert not too_wide(10**6, 10**6, False)
    assert too_wide(5000, 5000, True)
    assert too_wide(100, 5000, True, grouped=True)
    assert not too_wide(10**6, 4096, True, grouped=True)
    wide = Asked(smooth=False, piecewise_linear=True, wide=True)
    narrow = Asked(smooth=False, piecewise_linear=True)
    assert choose(narrow, dict).solver_name == "interior_point"
    assert first(CHOICES, wide) is None


def test_rules_cost_what_the_page_has_measured():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in EVIDENCE.read_text().splitlines()]
    measured = {
        row[0]: (row[1].strip("`"), float(row[4]), float(row[5])) for row in rows if len(row) == 6 and "e-" in row[5]
    }
    assert {rule.condition: (rule.solvers[0], rule.seconds, rule.left) for rule in RULES if rule.seconds} == {
        condition: found for condition, found in measured.items() if condition in {rule.condition for rule in RULES}
    }
