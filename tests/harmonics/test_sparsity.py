import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokinterp.harmonics.sparsity import gini, inverse_participation_ratio

few = settings(derandomize=True, deadline=None, max_examples=20)


def cosine(n: int, k: int, phase: float = 0.0) -> torch.Tensor:
    return torch.cos(2 * math.pi * k * torch.arange(n, dtype=torch.float64) / n + phase)[:, None]


@given(n=st.integers(1, 40), value=st.floats(1e-3, 1e3))
@few
def test_gini_of_a_constant_is_zero(n, value):
    assert gini(torch.full((n,), value, dtype=torch.float64)) == pytest.approx(0, abs=1e-12)


@given(n=st.integers(2, 40), spikes=st.integers(1, 40))
@few
def test_gini_of_equal_spikes_is_the_share_of_zeros(n, spikes):
    spikes = min(spikes, n)
    x = torch.zeros(n, dtype=torch.float64)
    x[-spikes:] = 3.0
    assert gini(x) == pytest.approx(1 - spikes / n, abs=1e-12)


@given(x=st.lists(st.floats(0.01, 100), min_size=1, max_size=12), scale=st.floats(0.1, 10))
@few
def test_gini_is_half_the_mean_difference_over_the_mean_and_ignores_scale_and_order(x, scale):
    values = torch.tensor(x, dtype=torch.float64)
    slow = float((values[:, None] - values[None, :]).abs().mean() / (2 * values.mean()))
    assert gini(values) == pytest.approx(slow, abs=1e-9)
    assert gini(scale * values.flip(0)) == pytest.approx(slow, abs=1e-9)


def test_gini_of_nothing_is_zero():
    assert gini(torch.zeros(5, dtype=torch.float64)) == 0


@pytest.mark.parametrize(("n", "k"), [(5, 2), (7, 3), (12, 5), (13, 1), (12, 4)])
def test_a_pure_cosine_has_ipr_one_half_whatever_its_phase(n, k):
    both = torch.cat([cosine(n, k), cosine(n, k, 0.7)], dim=1)
    torch.testing.assert_close(inverse_participation_ratio(both), torch.full((2,), 0.5, dtype=torch.float64))


@pytest.mark.parametrize("n", [2, 6, 12])
def test_the_nyquist_cosine_has_ipr_one(n):
    assert float(inverse_participation_ratio(cosine(n, n // 2))) == pytest.approx(1)


def test_two_equal_cosines_have_ipr_one_quarter_and_a_constant_does_not_count():
    x = cosine(13, 2) + cosine(13, 5, 1.1) + 40
    assert float(inverse_participation_ratio(x)) == pytest.approx(0.25)


def test_a_constant_column_has_ipr_zero():
    assert float(inverse_participation_ratio(torch.zeros(6, 1, dtype=torch.float64))) == 0


@pytest.mark.parametrize("n", [7, 31])
def test_gaussian_columns_have_mean_ipr_two_over_n_plus_one(n):
    draws = torch.randn(n, 20_000, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    ipr = inverse_participation_ratio(draws)
    error = float(ipr.std()) / math.sqrt(len(ipr))
    assert abs(float(ipr.mean()) - 2 / (n + 1)) < 4 * error
    assert error < 0.01 * 2 / (n + 1)
