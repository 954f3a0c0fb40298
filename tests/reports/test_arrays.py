"""What the page holds as base64 reads back as it was, maps to half a level."""

import base64

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokinterp.reports.arrays import EMPTY, LEVELS, exact, grid, rounded, thinned

DTYPES = {"u1": "u1", "u2": "<u2", "f4": "<f4"}


def read(packed: dict) -> np.ndarray:
    """As the page's script reads it."""
    values = np.frombuffer(base64.b64decode(packed["base64"]), dtype=DTYPES[packed["dtype"]])
    return values.reshape(packed["shape"])


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4"])
def test_an_exact_array_reads_back_as_it_was(dtype):
    array = np.arange(24).reshape(2, 3, 4)
    assert (read(exact(array, dtype)) == array).all()


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=5))
def test_a_rounded_map_is_off_by_half_a_level_at_most(rows):
    frames = [np.array([row]) for row in rows]
    packed = rounded(frames)
    unit = (packed["high"] - packed["low"]) / LEVELS
    back = packed["low"] + read(packed) * unit
    assert np.abs(back - np.stack(frames)).max() <= 0.5 * unit + 1e-9 * max(1, abs(packed["high"]))


def test_a_cell_without_a_value_is_empty_and_does_not_stretch_the_scale():
    packed = rounded([np.array([[1.0, np.nan], [np.inf, 3.0]])])
    assert (packed["low"], packed["high"]) == (1.0, 3.0)
    assert read(packed).tolist() == [[[0, EMPTY], [EMPTY, LEVELS]]]


def test_a_map_of_one_value_or_of_none_has_a_scale():
    assert rounded([np.full((2, 2), 7.0)])["low"] == 7.0
    assert (read(rounded([np.full((2, 2), np.nan)])) == EMPTY).all()


def test_a_grid_is_empty_where_there_is_no_pair():
    image = grid([0, 1], [1, 0], [5, 6], (2, 2))
    assert image[0, 1] == 5
    assert image[1, 0] == 6
    assert np.isnan(image[[0, 1], [0, 1]]).all()


@pytest.mark.parametrize(("n", "most"), [(1, 40), (40, 40), (41, 40), (500, 40), (5, 2), (5, 1), (0, 3)])
def test_thinning_keeps_both_ends_and_no_more_than_asked(n, most):
    steps = [10 * i for i in range(n)]
    kept = thinned(steps, most)
    assert len(kept) == min(n, most)
    assert kept == sorted(set(kept) & set(steps))
    if n and most > 1:
        assert (kept[0], kept[-1]) == (steps[0], steps[-1])
