import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import PRIMES_AND_OTHERS

from grokinterp.harmonics.parallelograms import defects, gaussian_quality, quality

few = settings(derandomize=True, deadline=None, max_examples=12)


def defects_slowly(rows: torch.Tensor) -> list[float]:
    """Every quadruple with i <= j, m <= n, one sum and two different pairs, each couple of pairs once."""
    n = len(rows)
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    return [
        float((rows[i] + rows[j] - rows[a] - rows[b]).norm())
        for (i, j), (a, b) in itertools.combinations(pairs, 2)
        if (i + j - a - b) % n == 0
    ]


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(n=st.sampled_from(PRIMES_AND_OTHERS), d=st.integers(1, 4), seed=st.integers(0, 99))
@few
def test_defects_are_those_of_all_parallelograms_one_by_one(n, d, seed):
    rows = normal(n, d, seed)
    assert sorted(defects(rows).tolist()) == pytest.approx(sorted(defects_slowly(rows)))


@given(n=st.sampled_from([5, 7, 12]), scale=st.floats(1e-3, 1e3), shift=st.floats(-5, 5), seed=st.integers(0, 99))
@few
def test_quality_sees_neither_scale_nor_place_nor_rotation(n, scale, shift, seed):
    rows = normal(n, 3, seed)
    rotation = torch.linalg.qr(normal(3, 3, seed + 1))[0]
    deltas = (0.3, 0.9, 1.7)
    assert quality(scale * rows @ rotation + shift, deltas) == quality(rows, deltas)


def test_an_alternating_embedding_closes_every_parallelogram_of_odd_sum():
    n = 12
    rows = ((-1.0) ** torch.arange(n, dtype=torch.float64))[:, None]
    odd = n // 2 * math.comb(n // 2, 2)  # every pair of odd sum adds to 0
    even = n // 2
    per_sum = []
    for s in range(0, n, 2):
        pairs = [(i, (s - i) % n) for i in range(n) if i <= (s - i) % n]
        same = sum(i % 2 == 0 for i, _ in pairs)  # both even or both odd
        per_sum.append(math.comb(same, 2) + math.comb(len(pairs) - same, 2))
    everything = odd + even * math.comb(n // 2 + 1, 2)
    assert quality(rows, (0.1,)) == [pytest.approx((odd + sum(per_sum)) / everything)]


def test_one_element_alone_or_equal_rows_have_no_quality():
    assert quality(torch.ones(5, 2, dtype=torch.float64), (0.5,)) is None
    assert quality(torch.tensor([[0.0], [1.0]], dtype=torch.float64), (0.5,)) == [0.0]
    assert quality(torch.zeros(1, 2, dtype=torch.float64), (0.5,)) is None


@pytest.mark.parametrize(("n", "d"), [(7, 2), (12, 64)])
def test_the_null_is_larger_in_few_dimensions_and_the_same_twice(n, d):
    deltas = (0.5, 1.0, 2.5)
    found = gaussian_quality(n, d, deltas, 9, 1)
    assert found == sorted(found)
    gaussian_quality.cache_clear()
    assert gaussian_quality(n, d, deltas, 9, 1) == found
    assert (found[0] > 0.02) == (d == 2)
    assert found[2] > 0.5
