import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import (
    PRIMES_AND_OTHERS,
    build,
    clock_logits,
    measured,
    one,
    pizza_snapshot,
    snapshot_of_cube,
    untrained,
    wave_rows,
    wave_weights,
)

from grokinterp.harmonics.cyclic import frequencies, sum_means
from grokinterp.harmonics.keys import KeyFrequencies, agreement, logit_rule, matrix_rule, neuron_rule

few = settings(derandomize=True, deadline=None, max_examples=12)


@given(n=st.sampled_from(PRIMES_AND_OTHERS), data=st.data())
@few
def test_both_rules_find_any_single_frequency_the_last_one_too(n, data):
    k = data.draw(st.sampled_from(list(frequencies(n))))
    assert matrix_rule("W_L", wave_rows(n, {k: 2.0})).ks == (k,)
    assert logit_rule(sum_means(clock_logits(n, {k: 2.0}))).ks == (k,)


@pytest.mark.parametrize("n", [7, 12, 13, 31])
def test_the_last_frequency_is_found_beside_others(n):
    amplitudes = {1: 1.0, n // 2: 1.2}
    assert matrix_rule("W_E", wave_rows(n, amplitudes)).ks == (1, n // 2)
    assert logit_rule(sum_means(clock_logits(n, amplitudes))).ks == (1, n // 2)


@pytest.mark.parametrize(("weak", "found"), [(0.26, (2, 5)), (0.24, (5,))])
def test_a_frequency_is_key_above_a_quarter_of_the_largest_norm(weak, found):
    assert matrix_rule("W_L", wave_rows(13, {2: weak, 5: 1.0})).ks == found
    assert logit_rule(sum_means(clock_logits(13, {2: weak, 5: -1.0}))).ks == found


@given(n=st.sampled_from([5, 7, 12, 13]), shift=st.integers(1, 12), seed=st.integers(0, 99))
@few
def test_key_frequencies_do_not_depend_on_where_the_answers_start(n, shift, seed):
    rows = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert matrix_rule("W_L", rows.roll(shift, dims=0)).ks == matrix_rule("W_L", rows).ks


def test_cosine_and_sine_of_a_frequency_count_together():
    turns = torch.arange(13, dtype=torch.float64)[:, None] * 2 * torch.pi / 13
    strong = torch.cat([torch.cos(5 * turns), torch.sin(5 * turns)], dim=1)
    diagonal = torch.cat([strong, 0.3 * torch.cos(2 * turns + torch.pi / 4)], dim=1)
    along = torch.cat([strong, 0.3 * torch.cos(2 * turns)], dim=1)
    for rows in (diagonal, along):  # .3 beside sqrt 2; by single components it would be .21 or .3 beside 1
        assert matrix_rule("W_L", rows).ks == (5,)
    both = torch.cat([strong, 0.4 * torch.cos(2 * turns + torch.pi / 4)], dim=1)
    assert matrix_rule("W_L", both).ks == (2, 5)  # .4 beside sqrt 2


def test_the_constant_is_never_key_and_does_not_raise_the_bar():
    assert matrix_rule("W_L", wave_rows(13, {4: 1.0}) + 100).ks == (4,)


def test_nothing_has_no_key_frequencies():
    zero = torch.zeros(7, 7, dtype=torch.float64)
    assert matrix_rule("W_L", zero).ks == ()
    assert logit_rule(zero).ks == ()


def test_the_neuron_rule_takes_frequencies_with_one_pure_neuron():
    fraction = torch.tensor([0.85, 0.84, 0.99, 0.9], dtype=torch.float64)
    assert neuron_rule(fraction, torch.tensor([4, 2, 1, 4])).ks == (1, 4)


@given(a=st.sets(st.integers(1, 6)), b=st.sets(st.integers(1, 6)))
@few
def test_agreement_is_symmetric_one_for_equal_sets_and_zero_for_disjoint_ones(a, b):
    one, other = (KeyFrequencies(tuple(sorted(s)), "given", 0.25) for s in (a, b))
    assert agreement(one, other) == agreement(other, one)
    assert (agreement(one, other) == 1) == (a == b)
    assert (agreement(one, other) == 0) == (a != b and not a & b)
    if a | b:
        assert agreement(one, other) * len(a | b) == pytest.approx(len(a) + len(b) - len(a | b))


@given(p=st.sampled_from([7, 13, 31]), data=st.data())
@few
def test_relabelling_by_m_maps_key_frequencies_to_plus_or_minus_mk(p, data):
    m = data.draw(st.integers(2, p - 1))
    k, other = data.draw(st.permutations(list(frequencies(p))))[:2]
    amplitudes = {k: 2.0, other: 3.0}
    relabel = (torch.arange(p) * m) % p
    image = {min(m * k % p, -m * k % p) for k in amplitudes}
    cube = clock_logits(p, amplitudes)[relabel][:, relabel][:, :, relabel]
    assert set(logit_rule(sum_means(cube)).ks) == image
    assert set(matrix_rule("W_L", wave_rows(p, amplitudes)[relabel]).ks) == image


@pytest.mark.parametrize("operation", ["x+y", "x-y", "x*y", "x/y"])
def test_a_snapshot_finds_its_keys_in_natural_order(operation):
    task = build(operation, 13)
    amplitudes = {2: 1.0, 5: 1.5}
    cube = torch.zeros(13, 13, 13, dtype=torch.float64)
    neurons = torch.zeros(13, 13, 4, dtype=torch.float64)
    snapshot = snapshot_of_cube(task, cube, weights=wave_weights(task, amplitudes), neurons=neurons)
    assert snapshot.own_keys.ks == (2, 5)
    assert snapshot.own_keys.rule == "W_L"
    assert snapshot.keys == snapshot.own_keys


@pytest.mark.parametrize("p", [7, 12])
def test_a_pizza_has_the_keys_of_a_clock(p):
    snapshot = pizza_snapshot(p, {2: 8.0, 3: 9.0})
    assert snapshot.own_keys.ks == (2, 3)
    assert matrix_rule("W_E", snapshot.natural_rows("W_E")).ks == (2, 3)


def test_the_random_control_lies_outside_the_keys_and_is_smaller_where_too_few_are_left():
    snapshot = pizza_snapshot(13, {2: 8.0, 3: 9.0})
    assert len(snapshot.random_keys.ks) == 2
    assert not set(snapshot.random_keys.ks) & {2, 3}
    for used, left in (((1, 2), ()), ((1,), (2,))):
        crowded = untrained("x+y", 5).with_keys(matrix_rule("W_L", wave_rows(5, dict.fromkeys(used, 1.0))))
        assert crowded.random_keys.ks == left
    rows = measured("progress_measures", untrained("x+y", 5).with_keys(KeyFrequencies((1, 2), "given", 0.25)))
    control = one(rows, keys="random", split="all")
    assert control["n_keys"] == 0
    assert control["excluded_loss"] == pytest.approx(control["full_loss"])  # nothing is taken away


def test_an_untrained_network_has_most_frequencies_as_keys():
    assert len(untrained("x+y", 31).own_keys.ks) == 15
