import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import (
    PRIMES_AND_OTHERS,
    build,
    clock_logits,
    in_natural_order,
    measured,
    one,
    pizza_share,
    pizza_snapshot,
    snapshot_of_cube,
    untrained,
)

from grokinterp.harmonics.cyclic import frequencies

SHARES = ("sum_share_K", "sum_share_all", "cosine_fve", "cosine_fve_centred")
few = settings(derandomize=True, deadline=None, max_examples=12)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(p=st.sampled_from(PRIMES_AND_OTHERS), seed=st.integers(0, 99), data=st.data())
@few
def test_a_clock_is_all_cosines_of_the_sum_whatever_is_added_to_each_pair(p, seed, data):
    ks = tuple(sorted(data.draw(st.sets(st.sampled_from(list(frequencies(p))), min_size=1))))
    cube = clock_logits(p, {k: 1.0 + k for k in ks}) + 3 * normal(p, p, 1, seed=seed)
    (row,) = measured("logit_spectrum", snapshot_of_cube(build("x+y", p), cube, ks))
    assert [row[name] for name in SHARES] == pytest.approx([1] * 4)
    amplitudes = [
        r["alpha"] for r in measured("logit_spectrum", snapshot_of_cube(build("x+y", p), cube, ks), "frequencies")
    ]
    assert amplitudes == pytest.approx([1.0 + k if k in ks else 0 for k in frequencies(p)], abs=1e-10)


@pytest.mark.parametrize(("operation", "p"), [("x-y", 12), ("x-y", 7), ("x*y", 13), ("x/y", 7)])
def test_a_clock_of_another_operation_is_one_in_its_natural_order(operation, p):
    task = build(operation, p)
    n = task.coordinates.n
    cube = in_natural_order(task, clock_logits(n, {2: 3.0}), zero_column=-9.0)
    (row,) = measured("logit_spectrum", snapshot_of_cube(task, cube, (2,)))
    assert [row[name] for name in SHARES] == pytest.approx([1] * 4)


def test_a_clock_of_the_wrong_operation_has_nothing_on_sum_directions():
    (row,) = measured("logit_spectrum", snapshot_of_cube(build("x-y", 13), clock_logits(13, {5: 3.0}), (5,)))
    assert [row[name] for name in SHARES] == pytest.approx([0] * 4, abs=1e-12)


@pytest.mark.parametrize(("p", "k"), [(5, 2), (7, 3), (13, 4), (12, 5), (12, 1)])
def test_a_pizza_has_its_closed_form_share_on_sum_directions(p, k):
    snapshot = pizza_snapshot(p, {k: 6.0})
    assert snapshot.keys.ks == (k,)
    (row,) = measured("logit_spectrum", snapshot)
    assert row["sum_share_K"] == pytest.approx(pizza_share(p))
    assert row["cosine_fve"] == pytest.approx(pizza_share(p))


def test_a_pizza_of_many_symbols_tends_to_eight_over_pi_squared():
    assert pizza_share(1001) == pytest.approx(8 / math.pi**2, rel=1e-5)
    assert pizza_share(1000) == pytest.approx(8 / math.pi**2, rel=1e-5)
    (row,) = measured("logit_spectrum", pizza_snapshot(31, {7: 6.0}))
    assert row["sum_share_K"] == pytest.approx(pizza_share(31))
    assert row["sum_share_K"] < 0.82


@pytest.mark.parametrize("p", [5, 7, 13])
def test_iid_logits_have_the_share_of_their_dimensions(p):
    shares = []
    for seed in range(200):
        (row,) = measured("logit_spectrum", snapshot_of_cube(build("x+y", p), normal(p, p, p, seed=seed), (1,)))
        shares.append([row["sum_share_all"], row["sum_share_K"]])
    mean, error = np.mean(shares, axis=0), np.std(shares, axis=0) / math.sqrt(200)
    expected = np.array([2 * (p // 2), 2]) / (p**2 - 1)
    assert (np.abs(mean - expected) < 4 * error).all()
    assert (error < 0.1 * expected).all()


def test_shuffled_pairs_destroy_the_clock():
    cube = clock_logits(13, {5: 3.0}).reshape(169, 13)[np.random.default_rng(4).permutation(169)].reshape(13, 13, 13)
    (row,) = measured("logit_spectrum", snapshot_of_cube(build("x+y", 13), cube, (5,)))
    assert row["sum_share_K"] < 0.1


def test_an_untrained_network_has_almost_nothing_on_sum_directions():
    (row,) = measured("logit_spectrum", untrained("x+y", 31))
    assert row["sum_share_all"] < 2 * 15 / (31**2 - 1)
    assert row["cosine_fve"] < 0.01


def test_the_mean_over_pairs_counts_in_one_fve_and_not_in_the_other():
    p, constant = 7, 2 * normal(7, seed=1)
    constant = constant - constant.mean()
    cube = clock_logits(p, {3: 2.0}) + constant
    (row,) = measured("logit_spectrum", snapshot_of_cube(build("x+y", p), cube, (3,)))
    cosine, mean = 4.0 * p**3 / 2, p**2 * float(constant.square().sum())
    assert row["cosine_fve_centred"] == pytest.approx(1)
    assert row["cosine_fve"] == pytest.approx(cosine / (cosine + mean))


@given(p=st.sampled_from([5, 7, 12, 13]), seed=st.integers(0, 999))
@few
def test_shares_are_those_of_the_explicit_projection(p, seed):
    cube = normal(p, p, p, seed=seed)
    centred = cube - cube.mean(2, keepdim=True)
    free = centred - centred.mean((0, 1))
    snapshot = snapshot_of_cube(build("x+y", p), cube, (1, p // 2))
    (row,) = measured("logit_spectrum", snapshot)
    spectrum = torch.fft.fft2(free, dim=(0, 1)).abs().square()  # a function of i + j lies at (k, k)
    share = {k: float(spectrum[[k, -k], [k, -k]].sum() / spectrum.sum()) for k in range(1, (p + 1) // 2)}
    if p % 2 == 0:
        share[p // 2] = float(spectrum[p // 2, p // 2].sum() / spectrum.sum())
    assert row["sum_share_K"] == pytest.approx(share[1] + share[p // 2])
    assert row["sum_share_all"] == pytest.approx(sum(share.values()))
    for k, value in share.items():
        assert one(measured("logit_spectrum", snapshot, "frequencies"), k=k)["sum_share"] == pytest.approx(value)


def test_constant_logits_have_no_shares():
    rows = measured("logit_spectrum", snapshot_of_cube(build("x+y", 5), torch.zeros(5, 5, 5).double(), (2,)))
    assert [rows[0][name] for name in SHARES] == [None] * 4
