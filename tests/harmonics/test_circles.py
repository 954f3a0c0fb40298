import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import grid, wave_rows

from grokinterp.harmonics.circles import circle_correlations, circle_formulas, component_circles, frequency_circles

few = settings(derandomize=True, deadline=None, max_examples=12)


def candidates(p: int, k: int) -> dict[str, torch.Tensor]:
    """The formulas as cubes over (a, b, c), written out."""
    a, b, c = grid(p)
    w = 2 * math.pi * k / p
    clock, middle = torch.cos(w * (a + b - c)), torch.cos(w * (a - b) / 2).abs()
    error = w * (a + b - c) / 2
    cubes = {"clock": clock, "pizza": middle * clock, "pizza_abs": middle * (error.cos().abs() - error.sin().abs())}
    if p % 2:
        (h,) = [h for h in range(p) if 2 * h % p == k]
        v = 2 * math.pi * h / p
        cubes["accompanying"] = -torch.cos(v * (a - b)) * torch.cos(v * (a + b - c))
    return cubes


@given(p=st.sampled_from([3, 5, 7, 12, 13]), seed=st.integers(0, 99), data=st.data())
@few
def test_correlations_are_those_of_the_cubes(p, seed, data):
    k = data.draw(st.integers(1, p // 2))
    logits = torch.randn(p, p, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    logits = logits + candidates(p, k)["pizza"]
    expected = {
        name: float(np.corrcoef(logits.flatten(), cube.flatten())[0, 1]) for name, cube in candidates(p, k).items()
    }
    assert circle_correlations(logits, k) == pytest.approx(expected)


@pytest.mark.parametrize(("p", "k"), [(7, 3), (12, 5), (13, 1)])
def test_each_formula_explains_itself(p, k):
    for name, cube in candidates(p, k).items():
        assert circle_correlations(3 * cube - 2, k)[name] == pytest.approx(1.0)
    assert list(circle_formulas(p, k)) == list(candidates(p, k))
    assert set(circle_correlations(torch.full((p, p, p), 4.0), k).values()) == {None}


def test_circles_of_a_matrix_keep_its_mean_and_add_up():
    n, stream = 9, torch.Generator().manual_seed(2)
    matrix = torch.randn(n, 20, generator=stream, dtype=torch.float64)
    found = frequency_circles(matrix, (1, 2, 3, 4), limit=9)
    parts = sum((circle.rows - matrix.mean(0) for circle in found), matrix.mean(0))
    assert torch.allclose(parts, matrix)
    assert sum(circle.share for circle in found) == pytest.approx(1.0)
    assert [c.k for c in frequency_circles(matrix, (1, 2, 3, 4), limit=2)] == sorted(
        c.k for c in sorted(found, key=lambda c: -c.share)[:2]
    )
    pairs = component_circles(matrix, limit=9)
    assert len(pairs) == 4
    assert torch.allclose(sum((c.rows - matrix.mean(0) for c in pairs), matrix.mean(0)), matrix)
    assert max(c.circularity for c in pairs) < 0.95


def test_the_last_frequency_of_even_n_is_no_circle():
    matrix = wave_rows(12, {6: 1.0, 5: 1.0})
    assert [circle.k for circle in frequency_circles(matrix, (5, 6), limit=4)] == [5]
