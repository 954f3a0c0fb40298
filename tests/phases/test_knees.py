import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokinterp.phases import KNEE_RATIO, find_knees
from grokinterp.phases.knees import _breaks, _candidates, _lines, _residual


def straight_pieces(steps, knees: list[float], slopes: list[float]) -> np.ndarray:
    """Continuous, with slopes[i] after knees[i - 1]."""
    steps = np.asarray(steps, dtype=float)
    changes = np.diff(slopes)
    bends = sum(change * np.maximum(steps - knee, 0) for change, knee in zip(changes, knees, strict=True))
    return slopes[0] * steps + bends


def brute_force_knee(curve: np.ndarray) -> int:
    """The slow twin of the search for one knee: each point in turn, lines from the first and to the last point."""

    def missed(knee: int) -> float:
        line = np.interp(np.arange(len(curve)), [0, knee, len(curve) - 1], curve[[0, knee, -1]])
        return float(((curve - line) ** 2).sum())

    return min(range(2, len(curve) - 3), key=missed)


@given(
    size=st.integers(40, 400),
    place=st.floats(0.15, 0.85),
    slope=st.sampled_from([-1.0, -0.3, 0.4, 2.0]),
    every=st.integers(1, 50),
    noise=st.sampled_from([0.0, 0.01]),
)
@settings(derandomize=True, deadline=None, max_examples=20)
def test_the_knee_of_a_hockey_stick_is_found_within_its_interval(size, place, slope, every, noise):
    steps = np.arange(size) * every
    knee = place * steps[-1]
    curve = straight_pieces(steps, [knee], [0.0, slope]) / steps[-1]
    curve += noise * abs(slope) * np.random.default_rng(size).normal(size=size) * 0.1
    found = find_knees(steps.tolist(), curve)
    assert found.onset.after <= knee <= found.onset.until
    assert found.ratio < KNEE_RATIO
    assert found.slopes[found.steepest] == pytest.approx(slope / steps[-1], rel=0.1)


def test_the_search_puts_one_knee_where_trying_every_point_does():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        curve = straight_pieces(range(30), [rng.uniform(6, 24)], [0.1, -0.5]) + 0.05 * rng.normal(size=30)
        assert _breaks(curve)[0] == [brute_force_knee(curve)]


def test_knees_move_to_where_a_fine_search_over_places_leaves_least():
    """The slow twin of moving a knee off the grid: least squares at each of many places."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        places = np.linspace(-1, 1, 40)
        curve = straight_pieces(places, [rng.uniform(-0.5, 0.5)], [0.0, 3.0]) + 0.02 * rng.normal(size=40)
        ((knot,), *_) = _candidates(places, curve)
        tried = np.linspace(-0.8, 0.8, 3201)
        least = tried[np.argmin([_residual(_lines(places, (place,)), curve) for place in tried])]
        assert knot == pytest.approx(least, abs=0.005)


def test_a_transition_between_two_levels_has_two_knees_and_its_onset_is_the_change_point():
    steps = list(range(0, 1000, 10))
    found = find_knees(steps, straight_pieces(steps, [400, 600], [0.0, 0.01, 0.0]))
    assert [knee.step for knee in found.knees] == [400, 600]
    assert found.slopes == pytest.approx([0.0, 0.01, 0.0], abs=1e-9)
    assert found.steepest == 1
    assert found.change_point == found.onset == found.knees[0]


def test_a_curve_that_begins_with_its_steepest_piece_changes_where_that_ends():
    steps = list(range(0, 1000, 10))
    found = find_knees(steps, straight_pieces(steps, [250], [-0.01, 0.0]))
    assert found.onset is None
    assert found.change_point.step == 250


def test_unevenly_spaced_steps_bend_where_evenly_spaced_ones_do():
    """Checkpoints spaced by logarithms: a knee in steps, and not in the number of the checkpoint."""
    steps = sorted({round(x) for x in np.geomspace(1, 5000, 40)} | set(range(0, 5001, 100)))
    found = find_knees(steps, straight_pieces(steps, [3000], [0.0, 1.0]))
    assert found.onset.after < 3000 <= found.onset.until
    assert found.onset.until - found.onset.after <= 300


smooth = {
    "line": lambda t: 3 - 2 * t,
    "constant": lambda t: 0 * t + 0.1,
    "parabola": lambda t: -(t**2),
    "power law": lambda t: -2 * np.log(1 + 8 * t),
    "slow exponential": lambda t: np.exp(-2 * t),
    "wide sigmoid": lambda t: 1 / (1 + np.exp(-(t - 0.5) / 0.1)),
    "wide softplus": lambda t: -np.log1p(np.exp((t - 0.6) / 0.1)),
    "wave": lambda t: np.sin(2 * math.pi * t),
}


@pytest.mark.parametrize("size", [10, 37, 120, 500])
@pytest.mark.parametrize("name", smooth)
def test_a_smooth_curve_has_no_knee(name, size):
    assert find_knees(list(range(size)), smooth[name](np.linspace(0, 1, size))) is None


@pytest.mark.parametrize("width", [0.02, 0.05])
def test_a_narrow_sigmoid_has_knees_on_both_sides_of_its_middle(width):
    found = find_knees(list(range(101)), 1 / (1 + np.exp(-(np.linspace(0, 1, 101) - 0.5) / width)))
    assert found.change_point.step < 50 < found.knees[-1].step
    assert found.change_point.step == pytest.approx(50 - 270 * width, abs=3)  # where a tangent of half its slope starts


@pytest.mark.parametrize("size", [8, 12, 24, 60])
def test_white_noise_has_no_knee_and_few_random_walks_do(size):
    walks = 0
    for seed in range(25):
        noise = np.random.default_rng(seed).normal(size=size)
        assert find_knees(list(range(size)), noise) is None
        walks += find_knees(list(range(size)), np.cumsum(noise)) is not None
    assert walks <= 3


@given(st.floats(0.1, 100), st.floats(-100, 100), st.integers(0, 100))
@settings(derandomize=True, deadline=None, max_examples=15)
def test_units_and_offsets_do_not_change_the_knees(scale, offset, seed):
    steps = list(range(60))
    curve = straight_pieces(steps, [35.0], [0.0, -0.2]) + 0.05 * np.random.default_rng(seed).normal(size=60)
    assert find_knees(steps, scale * curve + offset).knees == find_knees(steps, curve).knees


def test_too_few_points_have_no_knee():
    for size in range(8):
        assert find_knees(list(range(size)), [float(i > 3) for i in range(size)]) is None
