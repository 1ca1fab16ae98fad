"""How far to go: parabolas are exact on parabolas, the best rung wins, and steps that rise are shortened."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skvariants._quasi_newton.line_search import (
    ARMIJO,
    LADDER,
    parabola,
    raced_length,
    shortened,
    unit_length,
    wolfe_length,
)

#: Minima of three parabolas of curvature one from zero.
BEST = np.array([0.5, 1.0, 2.8])


def along(t):
    """Objectives of three models at one length each."""
    return 0.5 * (t - BEST) ** 2


F, SLOPE = along(np.zeros(3)), -BEST


# ------------------------------------------------------------------ the parabola


@pytest.mark.parametrize("t", [0.4, 1.0, 2.0])
def test_the_minimum_of_a_parabola_is_found_from_any_length(t):
    lengths = np.full(3, t)
    assert_allclose(parabola(lengths, F, along(lengths), SLOPE), BEST)


def test_a_guess_stays_within_a_factor_of_ten():
    t = np.array([0.01, 100.0])
    f, slope, best = np.full(2, 0.5), np.full(2, -1.0), np.ones(2)
    assert_allclose(parabola(t, f, 0.5 * (t - best) ** 2, slope), [0.1, 10.0])


def test_where_there_is_no_parabola_a_length_stays_or_falls():
    one = np.ones(1)
    # bends down or not at all: as far as it went
    assert parabola(one, one, 0 * one, -one) == 1.0
    assert parabola(one, one, -one, -one) == 1.0
    # infinitely high: much shorter
    assert parabola(one, one, np.array([np.inf]), -one) == 0.1


# ------------------------------------------------------------------ lengths


def test_a_race_takes_the_best_rung_of_each_model():
    t, ft, scores = raced_length(along, 3, 3)
    assert_array_equal(t, [0.5, 1.0, 2.0])
    assert_array_equal(ft, along(t))
    assert scores.shape == (len(LADDER), 3)
    assert_array_equal(scores, [along(np.full(3, rung)) for rung in LADDER])


def test_a_single_column_races_all_rungs_at_once():
    calls = []

    def one(t):
        calls.append(t)
        return 0.5 * (t - 2.8) ** 2

    t, ft, scores = raced_length(one, 1, 1)
    assert len(calls) == 1
    assert (t.item(), ft.item()) == (2.0, pytest.approx(0.32))
    assert_array_equal(scores[:, 0], 0.5 * (LADDER - 2.8) ** 2)


def test_a_step_has_length_one_or_that_of_a_better_parabola():
    t, ft = unit_length(along, F, SLOPE, True)
    assert_allclose(t, BEST)
    assert_allclose(ft, 0, atol=1e-15)
    assert_array_equal(unit_length(along, F, SLOPE, False)[0], np.ones(3))
    # a guess that is hardly another is not tried
    calls = []

    def near(t):
        calls.append(t)
        return 0.5 * (t - 1.1) ** 2

    t, _ = unit_length(near, near(np.zeros(1)), np.array([-1.1]), True)
    assert t == 1.0
    assert len(calls) == 2


def test_a_guess_that_is_worse_is_not_taken():
    def kinked(t):
        return np.where(t <= 1, 1 - t, 10 * t)

    slope = np.array([-4 / 3])
    assert parabola(np.ones(1), np.ones(1), kinked(np.ones(1)), slope) == pytest.approx(2.0)
    t, ft = unit_length(kinked, np.ones(1), slope, True)
    assert (t.item(), ft.item()) == (1.0, 0.0)


# ------------------------------------------------------------------ shorter


def test_a_length_is_shortened_until_the_decrease_is_a_share_of_what_was_foreseen():
    t = np.full(3, 16.0)
    t, ft = shortened(along, F, SLOPE, np.zeros(3), t, along(t))
    assert (t > 0).all()
    assert (t < 16).all()
    assert (ft <= F + ARMIJO * t * SLOPE).all()
    assert_array_equal(ft, along(t))


def test_a_model_that_descends_is_left_as_it_is_beside_one_that_does_not():
    t = np.array([0.5, 100.0, 3.0])
    shorter, ft = shortened(along, F, SLOPE, np.zeros(3), t, along(t))
    assert_array_equal(shorter[[0, 2]], t[[0, 2]])
    assert 0 < shorter[1] < 100
    assert_array_equal(ft, along(shorter))


@pytest.mark.parametrize("value", [2.0, np.inf, np.nan])
def test_a_model_that_cannot_descend_stays_where_it_is(value):
    def rising(t):
        return np.where(t > 0, value, 1.0)

    t, ft = shortened(rising, np.ones(1), -np.ones(1), np.zeros(1), np.ones(1), rising(np.ones(1)))
    assert (t.item(), ft.item()) == (0.0, 1.0)


def test_a_rise_within_the_noise_is_none():
    t, ft = shortened(
        lambda t: 1 + 1e-12 + 0 * t,
        np.ones(1),
        -np.full(1, 1e-15),
        np.full(1, 1e-11),
        np.ones(1),
        np.full(1, 1 + 1e-12),
    )
    assert (t.item(), ft.item()) == (1.0, 1 + 1e-12)


# ------------------------------------------------------------------ values and derivatives


def looks(value, slope):
    """What is looked at, in order."""
    seen = []

    def at(t):
        seen.append(t.copy())
        with np.errstate(over="ignore", invalid="ignore"):
            return value(t), slope(t)

    return at, seen


@pytest.mark.parametrize("flat", [0.1, 0.3, 0.9])
@pytest.mark.parametrize("first", [1e-3, 1.0, 50.0])
def test_lengths_meet_the_conditions_of_wolfe_and_are_looked_at_last(first, flat):
    at, seen = looks(along, lambda t: t - BEST)
    t, ft = wolfe_length(at, F, SLOPE, np.zeros(3), np.full(3, first), flat)
    assert_allclose(ft, along(t))
    assert_array_equal(seen[-1], t)
    assert (ft <= F + ARMIJO * t * SLOPE).all()
    assert (np.abs(t - BEST) <= flat * np.abs(SLOPE)).all()


def test_a_length_that_is_good_costs_one_look():
    at, seen = looks(along, lambda t: t - BEST)
    wolfe_length(at, F, SLOPE, np.zeros(3), BEST.copy(), 0.1)
    assert len(seen) == 1


def test_each_model_has_its_own_length_whatever_the_others_do():
    at, _ = looks(along, lambda t: t - BEST)
    together = wolfe_length(at, F, SLOPE, np.zeros(3), np.ones(3), 0.1)[0]
    for j in range(3):
        one = slice(j, j + 1)
        alone, _ = looks(lambda t, one=one: 0.5 * (t - BEST[one]) ** 2, lambda t, one=one: t - BEST[one])
        assert_array_equal(wolfe_length(alone, F[one], SLOPE[one], np.zeros(1), np.ones(1), 0.1)[0], together[one])


def test_a_cliff_of_infinity_is_backed_away_from():
    at, _ = looks(
        lambda t: np.where(t > 0.01, np.inf, -t + 50 * t * t), lambda t: np.where(t > 0.01, np.nan, -1 + 100 * t)
    )
    t, ft = wolfe_length(at, np.zeros(1), -np.ones(1), np.zeros(1), np.ones(1), 0.3)
    assert 0 < t <= 0.01
    assert ft < 0


def test_where_nothing_is_lower_the_length_is_zero():
    at, seen = looks(lambda t: t, lambda t: np.ones_like(t))  # the slope at zero was wrong
    t, ft = wolfe_length(at, np.zeros(2), -np.ones(2), np.zeros(2), np.ones(2), 0.3)
    assert_array_equal(t, 0)
    assert_array_equal(ft, 0)
    assert_array_equal(seen[-1], 0)
