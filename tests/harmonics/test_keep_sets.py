import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import PRIMES_AND_OTHERS, clock_logits

from grokinterp.harmonics.cyclic import frequencies
from grokinterp.harmonics.keep_sets import KEEP_SETS, keep, n_components

few = settings(derandomize=True, deadline=None, max_examples=12)


def functions(n: int, k: int, keep_set: str) -> list[torch.Tensor]:
    """Unit functions over (i, j) of one frequency, written out; those that vanish (sines at Nyquist) left out."""
    x = torch.arange(n, dtype=torch.float64)
    wave = [torch.cos(2 * math.pi * k * x / n)] + ([torch.sin(2 * math.pi * k * x / n)] if 2 * k != n else [])
    if keep_set == "sum_directions":
        turn = 2 * math.pi * k * (x[:, None] + x[None, :]) / n
        found = [turn.cos()] + ([turn.sin()] if 2 * k != n else [])
    else:
        found = [f[:, None] * g[None, :] for f in wave for g in wave]
        if keep_set == "blocks_3x3":
            found += [f[:, None].expand(n, n) for f in wave] + [f[None, :].expand(n, n) for f in wave]
    return [f / f.norm() for f in found]


def kept_slowly(x: torch.Tensor, ks: tuple[int, ...], keep_set: str) -> torch.Tensor:
    kept = torch.zeros_like(x)
    for f in (f for k in ks for f in functions(x.shape[0], k, keep_set)):
        kept += f[:, :, None] * (x * f[:, :, None]).sum((0, 1))
    return kept


@given(n=st.sampled_from(PRIMES_AND_OTHERS), seed=st.integers(0, 1000), data=st.data())
@few
def test_keeping_is_the_projection_on_the_explicit_functions(n, seed, data):
    ks = tuple(sorted(data.draw(st.sets(st.sampled_from(list(frequencies(n)))))))
    x = torch.randn(n, n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for keep_set in KEEP_SETS:
        torch.testing.assert_close(keep(x, ks, keep_set), kept_slowly(x, ks, keep_set), rtol=1e-10, atol=1e-10)
        assert n_components(n, ks, keep_set) == sum(len(functions(n, k, keep_set)) for k in ks)


@given(n=st.sampled_from(PRIMES_AND_OTHERS), seed=st.integers(0, 1000), data=st.data())
@few
def test_each_set_contains_the_one_before(n, seed, data):
    ks = tuple(sorted(data.draw(st.sets(st.sampled_from(list(frequencies(n))), min_size=1))))
    x = torch.randn(n, n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    smaller = keep(x, ks, KEEP_SETS[0])
    for larger in KEEP_SETS[1:]:
        torch.testing.assert_close(keep(smaller, ks, larger), smaller)
        smaller = keep(x, ks, larger)


@pytest.mark.parametrize("keep_set", KEEP_SETS)
def test_a_clock_of_other_frequencies_and_a_constant_leave_nothing(keep_set):
    nothing = keep(clock_logits(13, {2: 3.0, 6: 1.0}) + 7, (1, 3), keep_set)
    torch.testing.assert_close(nothing, torch.zeros_like(nothing), rtol=0, atol=1e-12)


def test_products_of_two_frequencies_are_in_no_set():
    x = 2 * math.pi * torch.arange(13, dtype=torch.float64) / 13
    product = (torch.cos(2 * x)[:, None] * torch.cos(5 * x)[None, :])[:, :, None]
    for keep_set in KEEP_SETS:
        kept = keep(product, (2, 5), keep_set)
        torch.testing.assert_close(kept, torch.zeros_like(kept), rtol=0, atol=1e-12)


@pytest.mark.parametrize("keep_set", KEEP_SETS)
def test_a_frequency_that_does_not_exist_is_refused(keep_set):
    with pytest.raises(ValueError, match=r"not all within 1\.\.3"):
        keep(torch.zeros(7, 7, 1, dtype=torch.float64), (4,), keep_set)
