import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import PRIMES_AND_OTHERS, clock_logits, clock_loss, pair_cross_entropy, pizza_logits, pizza_share

from grokinterp.harmonics.cyclic import frequencies, keep_frequencies, sum_classes, sum_means
from grokinterp.harmonics.projected_loss import (
    best_answers,
    excluded_losses,
    mean_loss,
    mean_losses,
    order_by_sum,
    restricted_losses,
    to_pairs,
)

few = settings(derandomize=True, deadline=None, max_examples=15)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def excluded_slowly(logits: torch.Tensor, removed: torch.Tensor) -> torch.Tensor:
    """CE of the explicitly projected cube."""
    sums = sum_classes(logits.shape[0])
    return torch.stack([pair_cross_entropy(logits - r[sums], sums) for r in removed])


def removed_sets(logits: torch.Tensor) -> torch.Tensor:
    means = sum_means(logits)
    ks = frequencies(logits.shape[0])
    return torch.stack([keep_frequencies(means, s) for s in [(), tuple(ks), *((k,) for k in ks)]])


@given(
    n=st.sampled_from(PRIMES_AND_OTHERS),
    extra=st.integers(0, 1),
    scale=st.sampled_from([0.1, 3.0, 40.0]),
    seed=st.integers(0, 1000),
)
@few
def test_excluded_losses_are_those_of_the_projected_cube(n, extra, scale, seed):
    logits = scale * normal(n, n, n + extra, seed=seed)
    removed = removed_sets(logits)
    fast = to_pairs(excluded_losses(order_by_sum(logits), removed))
    torch.testing.assert_close(fast, excluded_slowly(logits, removed), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [150.0, 400.0, 1e4])
@pytest.mark.parametrize("n", [7, 12])
def test_excluded_losses_are_right_at_logit_ranges_where_exp_loses_everything(scale, n):
    logits = scale * normal(n, n, n + 1, seed=n)
    removed = removed_sets(logits)
    assert float(logits.max() - logits.min()) > 600
    fast = to_pairs(excluded_losses(order_by_sum(logits), removed))
    torch.testing.assert_close(fast, excluded_slowly(logits, removed), rtol=1e-9, atol=1e-9)


def test_a_large_range_of_the_removed_part_alone_is_caught_too():
    logits = normal(7, 7, 7, seed=2)
    removed = torch.stack([900 * normal(7, 7, seed=3), 0 * normal(7, 7, seed=3)])
    fast = to_pairs(excluded_losses(order_by_sum(logits), removed))
    torch.testing.assert_close(fast, excluded_slowly(logits, removed), rtol=1e-9, atol=1e-9)


@given(n=st.sampled_from(PRIMES_AND_OTHERS), seed=st.integers(0, 1000))
@few
def test_restricted_losses_are_those_of_the_kept_cube(n, seed):
    logits = 5 * normal(n, n, n + 1, seed=seed)
    means = sum_means(logits)
    kept = torch.stack([keep_frequencies(means, (k,)) + means.mean(0) for k in frequencies(n)])
    sums = sum_classes(n)
    slow = torch.stack([pair_cross_entropy(r[sums], sums) for r in kept])
    torch.testing.assert_close(restricted_losses(kept)[:, sums], slow)


@pytest.mark.parametrize(("p", "amplitudes"), [(7, {3: 4.0}), (12, {5: 9.0, 6: 1.0}), (13, {2: 30.0, 6: 30.0})])
def test_a_clock_keeps_its_loss_when_restricted_and_loses_everything_when_excluded(p, amplitudes):
    logits = clock_logits(p, amplitudes)
    kept = keep_frequencies(sum_means(logits), tuple(amplitudes))[None]
    expected = torch.full((1, p), clock_loss(p, amplitudes), dtype=torch.float64)
    torch.testing.assert_close(restricted_losses(kept), expected, rtol=1e-7, atol=1e-13)
    excluded = excluded_losses(order_by_sum(logits), kept)
    torch.testing.assert_close(excluded.exp(), torch.full_like(excluded, p))


@pytest.mark.parametrize(("p", "k"), [(7, 2), (13, 5), (12, 5)])
def test_a_restricted_pizza_is_a_clock_of_the_mean_amplitude_and_so_has_a_lower_loss(p, k):
    logits = pizza_logits(p, {k: 9.0})
    full = float(pair_cross_entropy(logits, sum_classes(p)).mean())
    restricted = restricted_losses(keep_frequencies(sum_means(logits), (k,))[None])
    mean_amplitude = 9.0 * math.sqrt(pizza_share(p) / 2)
    expected = torch.full((1, p), clock_loss(p, {k: mean_amplitude}), dtype=torch.float64)
    torch.testing.assert_close(restricted, expected)
    assert float(restricted.mean()) < full - 0.1


@given(n=st.sampled_from(PRIMES_AND_OTHERS), seed=st.integers(0, 1000))
@few
def test_ordering_by_sum_is_undone_by_to_pairs(n, seed):
    logits = normal(n, n, n + 1, seed=seed)
    ordered = order_by_sum(logits)
    back = to_pairs(ordered.logits.movedim(2, 0)).movedim(0, 2)
    assert torch.equal(back, logits)
    right = logits.gather(2, sum_classes(n)[:, :, None])[:, :, 0]
    assert torch.equal(to_pairs(ordered.correct), right)


def test_means_of_many_are_those_of_each_and_none_over_no_pair():
    losses, mask = torch.rand(3, 5, 5, dtype=torch.float64), torch.rand(5, 5) < 0.5
    mask[0, 0] = True
    assert mean_losses(losses, mask) == pytest.approx([mean_loss(each, mask) for each in losses], rel=1e-15)
    assert mean_losses(losses, torch.zeros(5, 5, dtype=torch.bool)) == [None] * 3


def test_of_several_largest_logits_the_first_answers():
    logits = torch.tensor([[0.0, 2.0, 2.0], [1.0, 1.0, 1.0], [0.0, 1.0, 3.0]])
    assert best_answers(logits).tolist() == logits.argmax(dim=1).tolist() == [1, 0, 2]
