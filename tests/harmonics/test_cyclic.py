import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import PRIMES_AND_OTHERS, clock_logits, grid

from grokinterp.harmonics.cyclic import (
    component_norms,
    cosine_amplitudes,
    cosine_power,
    fourier_basis,
    frequencies,
    frequency_norms,
    keep_frequencies,
    row_frequencies,
    sum_classes,
    sum_means,
)

moduli = st.sampled_from(PRIMES_AND_OTHERS)
seeds = st.integers(0, 2**20)
few = settings(derandomize=True, deadline=None, max_examples=12)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sum_directions(n: int, ks: tuple[int, ...]) -> list[torch.Tensor]:
    """u_k and v_k as explicit unit vectors on the grid; no v_k at the Nyquist frequency."""
    i, j = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)[None, :]
    found = []
    for k in ks:
        angle = 2 * math.pi * k * (i + j) / n
        found.append(angle.cos() / angle.cos().norm())
        if 2 * k != n:
            found.append(angle.sin() / angle.sin().norm())
    return found


def project_slowly(logits: torch.Tensor, ks: tuple[int, ...]) -> torch.Tensor:
    """P_K, one direction at a time: the slow twin of `keep_frequencies`."""
    kept = torch.zeros_like(logits)
    for u in sum_directions(logits.shape[0], ks):
        kept += u[:, :, None] * torch.einsum("ij,ijc->c", u, logits)
    return kept


@given(n=moduli)
@few
def test_the_fourier_basis_is_orthonormal_for_odd_and_even_n(n):
    basis = fourier_basis(n)
    torch.testing.assert_close(basis @ basis.T, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-13)


@given(n=moduli, seed=seeds)
@few
def test_component_norms_keep_the_power(n, seed):
    x = normal(n, 4, seed=seed)
    norms = component_norms(x)
    assert float(norms.square().sum()) == pytest.approx(float(x.square().sum()))
    assert float(frequency_norms(norms).square().sum()) == pytest.approx(float(x.square().sum()))


@given(n=moduli, seed=seeds, shift=st.integers(0, 12))
@few
def test_shifting_the_symbols_leaves_the_norm_at_each_frequency_alone(n, seed, shift):
    x = normal(n, 3, seed=seed)
    before, after = (frequency_norms(component_norms(y)) for y in (x, x.roll(shift, 0)))
    torch.testing.assert_close(before, after)


@given(n=moduli, data=st.data())
@few
def test_a_wave_has_its_norm_at_its_own_frequency_alone(n, data):
    k = data.draw(st.sampled_from(list(frequencies(n))))
    x = torch.cos(2 * math.pi * k * torch.arange(n, dtype=torch.float64) / n)[:, None]
    norms = frequency_norms(component_norms(x))
    expected = torch.zeros(n // 2 + 1, dtype=torch.float64)
    expected[k] = math.sqrt(n if 2 * k == n else n / 2)
    torch.testing.assert_close(norms, expected, rtol=0, atol=1e-12)


def test_every_frequency_up_to_half_of_n_has_rows():
    assert row_frequencies(7).tolist() == [0, 1, 1, 2, 2, 3, 3]
    assert row_frequencies(12).tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]


@given(n=moduli, seed=seeds, data=st.data())
@few
def test_keeping_frequencies_is_the_projection_on_the_explicit_sum_directions(n, seed, data):
    ks = tuple(sorted(data.draw(st.sets(st.sampled_from(list(frequencies(n))), min_size=1))))
    logits = normal(n, n, n + 1, seed=seed)
    fast = keep_frequencies(sum_means(logits), ks)[sum_classes(n)]
    torch.testing.assert_close(fast, project_slowly(logits, ks), rtol=0, atol=1e-12)


@given(n=moduli, seed=seeds, data=st.data())
@few
def test_keeping_frequencies_is_idempotent_and_kept_and_removed_make_the_whole(n, seed, data):
    every = frequencies(n)
    ks = tuple(sorted(data.draw(st.sets(st.sampled_from(list(every))))))
    means = normal(n, n, seed=seed)
    kept = keep_frequencies(means, ks)
    torch.testing.assert_close(keep_frequencies(kept, ks), kept)
    others = keep_frequencies(means, tuple(k for k in every if k not in ks))
    torch.testing.assert_close(kept + others + means.mean(0), means)
    assert float((kept * others).sum()) == pytest.approx(0, abs=1e-11)


def test_sum_means_average_over_the_pairs_with_a_sum():
    logits = normal(6, 6, 4, seed=8)
    for s in range(6):
        mean = torch.stack([logits[i, (s - i) % 6] for i in range(6)]).mean(0)
        torch.testing.assert_close(sum_means(logits)[s], mean)


@pytest.mark.parametrize("k", [0, 4, 7])
def test_a_frequency_beyond_half_of_n_is_refused(k):
    with pytest.raises(ValueError, match=r"within 1\.\.3"):
        keep_frequencies(normal(7, 7, seed=0), (2, k))


@given(n=moduli, seed=seeds)
@few
def test_cosine_amplitudes_are_the_least_squares_fit(n, seed):
    logits = normal(n, n, n, seed=seed)
    a, b, c = grid(n)
    columns = [torch.cos(2 * math.pi * k * (a + b - c) / n).flatten() for k in frequencies(n)]
    design = torch.stack(columns, dim=1)
    fitted = torch.linalg.lstsq(design, logits.flatten()[:, None]).solution[:, 0]
    torch.testing.assert_close(cosine_amplitudes(sum_means(logits)), fitted, rtol=0, atol=1e-11)
    torch.testing.assert_close(cosine_power(n), design.square().sum(0))


def test_cosine_amplitudes_give_a_clock_its_amplitudes_back_also_at_nyquist():
    found = cosine_amplitudes(sum_means(clock_logits(12, {2: 1.5, 5: -0.5, 6: 4.0})))
    expected = torch.tensor([0, 1.5, 0, 0, -0.5, 4.0], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
