import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, ndtri
from scipy.stats import t as student

from grokinterp.curves import erf_fit, transition

STEPS = np.arange(0, 24_001, 4)
CENTRE, SCALE = 8000, 200.0
LOGISTIC = 1 / (1 + np.exp(-(STEPS - CENTRE) / SCALE))
GAUSSIAN = (1 + erf((STEPS - CENTRE) / (SCALE * math.sqrt(2)))) / 2
few = settings(derandomize=True, deadline=None, max_examples=25)


def logit(x: float) -> float:
    return math.log(x) - math.log1p(-x)


@pytest.mark.parametrize(
    ("curve", "quantile", "known"),
    [(LOGISTIC, logit, {2: 0.839, 10: 0.727}), (GAUSSIAN, ndtri, {2: 0.823, 10: 0.580})],
)
def test_a_power_of_accuracy_is_narrower_by_its_closed_form_and_later(curve, quantile, known):
    alone = transition(STEPS, curve)
    assert alone.width_steps == pytest.approx(2 * SCALE * quantile(0.9), rel=1e-4)
    assert alone.midpoint == pytest.approx(CENTRE, abs=1e-6)
    for L in (2, 3, 10, 100):
        power = transition(STEPS, curve**L)
        ratio = (quantile(0.9 ** (1 / L)) - quantile(0.1 ** (1 / L))) / (2 * quantile(0.9))
        assert power.width_steps / alone.width_steps == pytest.approx(ratio, rel=1e-3)
        assert power.midpoint - alone.midpoint == pytest.approx(SCALE * quantile(0.5 ** (1 / L)), rel=1e-3)
        if L in known:
            assert round(power.width_steps / alone.width_steps, 3) == known[L]


def test_no_power_of_a_logistic_curve_is_narrower_than_702_thousandths():
    ratios = []
    for L in (1, 2, 10, 100, 1000, 100_000):
        power, alone = transition(STEPS, LOGISTIC**L), transition(STEPS, LOGISTIC)
        ratios.append(power.width_steps / alone.width_steps)
    assert ratios == sorted(ratios, reverse=True)
    limit = math.log(math.log(0.1) / math.log(0.9)) / (2 * math.log(9))
    assert round(limit, 3) == 0.702
    assert all(ratio > limit - 1e-4 for ratio in ratios)
    assert ratios[-1] == pytest.approx(limit, abs=1e-4)


def test_crossings_are_interpolated_between_checkpoints():
    found = transition(np.array([0, 100, 300, 400, 1000]), np.array([0.0, 0.0, 0.8, 1.0, 1.0]))
    assert found.step_10 == pytest.approx(125)
    assert found.midpoint == pytest.approx(225)
    assert found.step_90 == pytest.approx(350)
    assert found.width_steps == pytest.approx(225)
    assert found.width_decades == pytest.approx(math.log10(350 / 125))
    assert found.resolution_steps == 200
    assert found.n_inside == 1


@given(scale=st.floats(0.01, 100), shift=st.floats(-100, 100), sign=st.sampled_from([-1, 1]), seed=st.integers(0, 99))
@few
def test_the_transition_depends_on_neither_the_unit_nor_the_direction(scale, shift, sign, seed):
    stream = np.random.default_rng(seed)
    steps = np.cumsum(stream.integers(1, 50, 30))
    values = np.linspace(0, 1, 30) ** 2 + 0.1 * stream.standard_normal(30)
    values[0], values[-1] = 0.0, 1.0
    one, other = transition(steps, values), transition(steps, sign * scale * values + shift)
    assert other.step_10 == pytest.approx(one.step_10)
    assert other.midpoint == pytest.approx(one.midpoint)
    assert other.step_90 == pytest.approx(one.step_90)
    assert one.step_10 < one.midpoint < one.step_90
    assert one.resolution_steps in np.diff(steps)


def test_an_early_bump_and_a_dip_are_before_and_a_collapse_is_after_the_transition():
    steps = np.arange(9) * 10
    values = np.array([0.0, 0.6, -3.0, 0.0, 1.0, 1.3, 0.2, 0.7, 1.0])
    found = transition(steps, values)
    assert (found.step_10, found.midpoint, found.step_90) == pytest.approx((31, 35, 39))
    assert found.resolution_steps == 10
    assert found.n_inside == 0


def test_a_curve_that_ends_where_it_began_has_no_transition():
    assert transition(np.arange(5), np.full(5, 0.3)) is None
    assert transition(np.arange(5), np.array([0.5, 2.0, 2.0, 2.0, 0.5])) is None
    assert transition(np.array([7]), np.array([0.3])) is None


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (-3.0, 1.0), (0.01, -2.0)])
def test_an_erf_gives_its_parameters_back(a, b):
    steps = np.unique(np.concatenate([np.geomspace(1, 2000, 40).astype(int), np.arange(0, 2001, 50)]))
    values = a * erf(0.005 * (steps - 900)) + b
    fit = erf_fit(steps, values, transition(steps, values))
    assert fit["erf_s"] == pytest.approx(0.005, rel=1e-6)
    assert fit["erf_t"] == pytest.approx(900, rel=1e-6)
    assert fit["erf_s_high"] - fit["erf_s_low"] < 1e-8
    assert fit["erf_r2"] == pytest.approx(1)


def test_intervals_are_those_of_the_linearized_model():
    stream = np.random.default_rng(1)
    steps = np.arange(0, 1001, 100)
    values = 0.5 * erf(0.004 * (steps - 450)) + 0.5 + 0.02 * stream.standard_normal(len(steps))
    fit = erf_fit(steps, values, transition(steps, values))
    x = fit["erf_s"] * (steps - fit["erf_t"])
    bell = 2 / math.sqrt(math.pi) * np.exp(-(x**2))
    linear = np.stack([erf(x), np.ones(len(x))], axis=1)
    (a, _), residual, *_ = np.linalg.lstsq(linear, values, rcond=None)
    slopes = np.stack([erf(x), a * bell * (steps - fit["erf_t"]), -a * bell * fit["erf_s"], np.ones(len(x))], axis=1)
    free = len(steps) - 4
    error = student.ppf(0.975, free) * np.sqrt(np.diag(np.linalg.inv(slopes.T @ slopes)) * residual[0] / free)
    assert fit["erf_s_high"] - fit["erf_s"] == pytest.approx(error[1], rel=1e-3)
    assert fit["erf_s"] - fit["erf_s_low"] == pytest.approx(error[1], rel=1e-3)
    assert fit["erf_t_high"] - fit["erf_t"] == pytest.approx(error[2], rel=1e-3)
    assert fit["erf_r2"] == pytest.approx(1 - residual[0] / ((values - values.mean()) ** 2).sum(), rel=1e-6)


def test_intervals_cover_the_truth_19_times_in_20():
    stream = np.random.default_rng(0)
    steps = np.arange(0, 1001, 25)
    truth, hits, n = 0.5 * erf(0.008 * (steps - 450)) + 0.5, np.zeros(2), 300
    for _ in range(n):
        values = truth + 0.03 * stream.standard_normal(len(steps))
        fit = erf_fit(steps, values, transition(steps, values))
        hits += [fit["erf_s_low"] < 0.008 < fit["erf_s_high"], fit["erf_t_low"] < 450 < fit["erf_t_high"]]
    spread = 4 * math.sqrt(0.95 * 0.05 / n)
    assert all(abs(hits / n - 0.95) < spread)


def test_a_logistic_curve_is_nearly_an_erf_and_a_ramp_less():
    steps = STEPS[::50]
    ramp = np.clip((steps - 2000) / 12_000, 0, 1)
    near, far = (erf_fit(steps, y, transition(steps, y))["erf_r2"] for y in (LOGISTIC[::50], ramp))
    assert 0.999 < near < 1
    assert 0.99 < far < near


def test_there_is_no_fit_where_it_would_say_nothing():
    jump, at = np.array([0.0] * 10 + [1.0] * 10), np.arange(20)
    assert transition(at, jump).n_inside == 0
    assert erf_fit(at, jump, transition(at, jump)) is None  # every large s fits
    short = np.array([0.0, 0.2, 0.8, 1.0])
    assert erf_fit(np.arange(4), short, transition(np.arange(4), short)) is None  # as many parameters as points
    decay = 1 - np.exp(-STEPS / 3000)
    assert erf_fit(STEPS, decay, transition(STEPS, decay)) is None  # t* before the start: half an Erf


@pytest.mark.parametrize("before", [[0, 0, 0, 0.02, 0, 0.01, 0.02], [0, 0, 0.25, 0, 0.25, 0, 0.25]])
def test_there_is_no_fit_of_a_jump_between_two_steps(before):
    """Its t* may be anywhere between them, with s to suit: an interval of thousands of steps, another each time."""
    steps, values = np.arange(0, 45, 5), np.array([*before, 1.0, 1.0])
    assert erf_fit(steps, values, transition(steps, values)) is None
    values[6:] = 0.2, 0.9, 1.0  # with two points on the way it is told again
    assert erf_fit(steps, values, transition(steps, values))["erf_t"] == pytest.approx(32, abs=0.5)
