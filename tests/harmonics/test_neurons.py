import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import PRIMES_AND_OTHERS

from grokinterp.harmonics.cyclic import fourier_basis, frequencies
from grokinterp.harmonics.neurons import block_energies, neuron_spectrum, pair_spectrum

few = settings(derandomize=True, deadline=None, max_examples=12)


def normal(n: int, m: int, seed: int) -> torch.Tensor:
    return torch.randn(n, n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def waves_of(n: int, k: int) -> list[torch.Tensor]:
    """Unit vectors 1, cos k, sin k of R^n; no sine at the Nyquist frequency."""
    x = torch.arange(n, dtype=torch.float64)
    vectors = [torch.ones(n, dtype=torch.float64), torch.cos(2 * math.pi * k * x / n)]
    if 2 * k != n:
        vectors.append(torch.sin(2 * math.pi * k * x / n))
    return [v / v.norm() for v in vectors]


def block_slowly(neuron: torch.Tensor, k: int) -> float:
    """The slow twin: inner products with the up to 9 unit functions of the block but the constant."""
    vectors = waves_of(neuron.shape[0], k)
    pairs = [(f, g) for i, f in enumerate(vectors) for j, g in enumerate(vectors) if (i, j) != (0, 0)]
    return sum(float(f @ neuron @ g) ** 2 for f, g in pairs)


@given(n=st.sampled_from(PRIMES_AND_OTHERS), seed=st.integers(0, 1000))
@few
def test_block_energies_are_sums_of_squared_inner_products(n, seed):
    acts = normal(n, 2, seed)
    blocks, total = block_energies(pair_spectrum(acts))
    for m in range(2):
        slow = [block_slowly(acts[:, :, m], k) for k in frequencies(n)]
        assert blocks[:, m].tolist() == pytest.approx(slow)
        variance = float((acts[:, :, m] - acts[:, :, m].mean()).square().sum())
        assert float(total[m]) == pytest.approx(variance)


@given(n=st.sampled_from(PRIMES_AND_OTHERS), seed=st.integers(0, 1000))
@few
def test_the_pair_spectrum_keeps_the_power_and_is_undone_by_the_basis(n, seed):
    acts = normal(n, 3, seed)
    spectrum, basis = pair_spectrum(acts), fourier_basis(n)
    back = torch.einsum("ri,rsm,sj->ijm", basis, spectrum, basis)
    torch.testing.assert_close(back, acts, rtol=0, atol=1e-11)


@given(n=st.sampled_from(PRIMES_AND_OTHERS), seed=st.integers(0, 1000))
@few
def test_the_blocks_are_those_of_the_pair_spectrum(n, seed):
    """pair_spectrum, read entry by entry, is the slow twin."""
    acts = normal(n, 3, seed)
    spectrum, found = pair_spectrum(acts), neuron_spectrum(acts)
    energy, total = block_energies(spectrum)
    for k in frequencies(n):
        rows = [0, 2 * k - 1] + ([2 * k] if 2 * k != n else [])
        for r in range(3):
            for s in range(3):
                inside = r < len(rows) and s < len(rows)
                expected = spectrum[rows[r], rows[s]] if inside else torch.zeros(3, dtype=torch.float64)
                torch.testing.assert_close(found.blocks[k - 1, r, s], expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(found.fraction, (energy / total).max(dim=0).values.clamp(max=1), rtol=0, atol=1e-11)


@pytest.mark.parametrize(("n", "k"), [(5, 2), (7, 3), (12, 5), (12, 6), (2, 1)])
def test_a_neuron_of_one_frequency_has_fraction_one(n, k):
    i, j = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)[None, :]
    w = 2 * math.pi * k / n
    acts = 3 + torch.cos(w * i) + 0.5 * torch.cos(w * j) * torch.cos(w * i)
    found = neuron_spectrum(acts[:, :, None])
    assert float(found.fraction) == pytest.approx(1)
    assert int(found.best) == k


def test_terms_between_two_frequencies_belong_to_neither():
    i, j = torch.arange(13, dtype=torch.float64)[:, None], torch.arange(13, dtype=torch.float64)[None, :]
    acts = torch.cos(2 * math.pi * 2 * i / 13) * torch.cos(2 * math.pi * 5 * j / 13)
    found = neuron_spectrum(acts[:, :, None])
    assert float(found.fraction) == pytest.approx(0, abs=1e-12)


def test_a_neuron_of_two_frequencies_has_the_larger_share():
    i = torch.arange(13, dtype=torch.float64)[:, None].expand(13, 13)
    acts = 2 * torch.cos(2 * math.pi * 2 * i / 13) + torch.cos(2 * math.pi * 5 * i / 13)
    found = neuron_spectrum(acts[:, :, None])
    assert float(found.fraction) == pytest.approx(4 / 5)
    assert int(found.best) == 2


def test_dead_and_constant_neurons_have_fraction_zero():
    acts = torch.stack([torch.zeros(7, 7), torch.full((7, 7), 2.0)], dim=2).double()
    assert neuron_spectrum(acts).fraction[0] == 0
    blocks, total = block_energies(pair_spectrum(acts))
    assert float(blocks[:, 1].max()) == pytest.approx(0, abs=1e-24)
    assert float(total[1]) == pytest.approx(0, abs=1e-12)


def test_iid_neurons_share_their_energy_evenly():
    blocks, total = block_energies(pair_spectrum(normal(13, 4000, 6)))
    share = blocks / total
    error = float(share[2].std()) / math.sqrt(4000)
    assert abs(float(share[2].mean()) - 8 / (13**2 - 1)) < 4 * error
