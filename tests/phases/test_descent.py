import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import grokking

from grokinterp.phases import RISE, find_double_descent, find_phases


def rows(losses, every: int = 10) -> list[dict]:
    return [{"step": i * every, "test_loss": float(loss)} for i, loss in enumerate(losses)]


def line(start: float, end: float, n: int) -> list[float]:
    """From start towards end in equal ratios, without the end."""
    return [start * (end / start) ** (i / n) for i in range(n)]


def test_height_position_and_second_descent_are_those_of_a_hand_made_curve():
    losses = line(8, 4, 10) + line(4, 20, 20) + line(20, 0.001, 40) + [0.001] * 10
    found = find_double_descent(rows(losses), memorised=250)
    assert (found.initial_loss, found.first_minimum_step, found.first_minimum) == (8, 100, 4)
    assert (found.peak_after, found.peak_step, found.peak_until) == (290, 300, 310)
    assert found.peak_loss == 20
    assert found.height == pytest.approx(5)
    assert found.second_minimum == pytest.approx(0.001)
    assert found.second_descent == pytest.approx(20_000)
    assert found.steps_after_memorization == 50


def test_a_network_that_memorises_at_once_has_its_first_minimum_at_the_start():
    found = find_phases(grokking()).double_descent
    assert (found.first_minimum_step, found.first_minimum, found.initial_loss) == (0, 3, 3)
    assert (found.peak_step, found.height, found.steps_after_memorization) == (30, 2, 0)
    assert (found.second_minimum, found.second_descent) == (0.001, 6000)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=60), st.booleans())
@settings(derandomize=True, deadline=None, max_examples=100)
def test_a_monotone_loss_has_no_double_descent(losses, rising):
    assert find_double_descent(rows(sorted(losses, reverse=not rising))) is None


def test_a_rise_that_is_too_small_on_either_side_is_none():
    for factor, expected in ((RISE * 1.01, True), (RISE * 0.99, False)):
        hump = line(1, factor, 10) + [factor] * 3 + line(factor, 1, 10)
        before = line(4, 1, 10) + [1.0] * 3 + hump + line(1, 0.001, 10)
        assert (find_double_descent(rows(before)) is not None) == expected
        risen = line(1, 10, 10) + [10.0] * 3 + line(10, 10 / factor, 10) + [10 / factor] * 5
        assert (find_double_descent(rows(risen)) is not None) == expected


def test_a_lone_spike_is_no_peak():
    losses = [4.0] * 50
    losses[20] = 400.0
    assert find_double_descent(rows(losses)) is None


def test_what_rises_after_generalisation_is_no_double_descent():
    slingshot = line(5, 1e-5, 30) + line(1e-5, 1, 5) + line(1, 1e-5, 5)
    assert find_double_descent(rows(slingshot)).peak_step == 350
    assert find_double_descent(rows(slingshot), grokked=250) is None
    assert find_phases(rows(slingshot)).double_descent is None  # the test loss was below 0.01 before


def test_noise_of_five_percent_makes_no_double_descent():
    for seed in range(50):
        noise = random.Random(seed)
        assert find_double_descent(rows([4 * math.exp(noise.gauss(0, 0.05)) for _ in range(300)])) is None


def test_losses_of_zero_have_finite_ratios():
    found = find_double_descent(rows([1.0, 1.0, 4.0, 4.0, 4.0, 0.0, 0.0, 0.0, 0.0]))
    assert found.height == 4
    assert math.isfinite(found.second_descent)
    assert find_double_descent([]) is None
    assert find_double_descent([{"step": 0, "test_loss": None}, {"step": 1}]) is None
