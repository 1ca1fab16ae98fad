"""How far to go: parabolas are exact on parabolas, the best rung wins, and steps that rise are shortened."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skvariants._quasi_newton.line_search import ARMIJO, LADDER, parabola, raced_length, shortened, unit_length

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
