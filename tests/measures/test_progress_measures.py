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
    clock_loss,
    in_natural_order,
    measured,
    one,
    pair_cross_entropy,
    pizza_share,
    pizza_snapshot,
    snapshot_of_cube,
    untrained,
)

import grokinterp as gi
from grokinterp.errors import NotApplicableError
from grokinterp.harmonics.cyclic import frequencies, keep_frequencies, sum_classes, sum_means

few = settings(derandomize=True, deadline=None, max_examples=12)


def last(snapshot, split: str = "all") -> dict:
    return one(measured("progress_measures", snapshot), keys="last", split=split)


@given(p=st.sampled_from(PRIMES_AND_OTHERS), seed=st.integers(0, 9), data=st.data())
@few
def test_for_a_clock_restricted_is_full_and_excluded_is_log_p_on_every_split(p, seed, data):
    ks = tuple(sorted(data.draw(st.sets(st.sampled_from(list(frequencies(p))), min_size=1))))
    task, amplitudes = build("x+y", p), {k: 2.0 + k for k in ks}
    mask = gi.draw_train_mask(task, 0.5, seed)
    snapshot = snapshot_of_cube(task, clock_logits(p, amplitudes), ks, train_mask=mask)
    for split in ("all", "train", "test"):
        row = last(snapshot, split)
        assert row["full_loss"] == pytest.approx(clock_loss(p, amplitudes))
        assert row["restricted_loss"] == pytest.approx(clock_loss(p, amplitudes))
        assert row["excluded_loss"] == pytest.approx(math.log(p))
        assert row["n_keys"] == len(ks)


def test_the_mean_over_pairs_is_in_both_losses():
    p, task = 7, build("x+y", 7)
    constant = torch.linspace(-2, 3, p, dtype=torch.float64)
    cube = clock_logits(p, {2: 6.0}) + constant
    row = last(snapshot_of_cube(task, cube, (2,)))
    labels = sum_classes(p)
    assert row["restricted_loss"] == pytest.approx(float(pair_cross_entropy(cube, labels).mean()))
    alone = float(pair_cross_entropy(constant.expand(p, p, p), labels).mean())
    assert row["excluded_loss"] == pytest.approx(alone)
    assert alone > math.log(p)


@pytest.mark.parametrize("operation", ["x*y", "x/y"])
@pytest.mark.parametrize("m0", [-20.0, 0.0, 3.0])
def test_a_clock_in_discrete_logarithms_leaves_the_zero_answer_when_excluded(operation, m0):
    p, amplitudes = 13, {5: 9.0, 6: 2.0}
    task = build(operation, p)
    cube = in_natural_order(task, clock_logits(p - 1, amplitudes), zero_column=m0)
    row = last(snapshot_of_cube(task, cube, (5, 6)))
    peak = sum(amplitudes.values())
    full = math.log(math.exp(clock_loss(p - 1, amplitudes)) + math.exp(m0 - peak))
    assert row["n_pairs"] == 144
    assert row["full_loss"] == pytest.approx(full)
    assert row["restricted_loss"] == pytest.approx(full)
    assert row["excluded_loss"] == pytest.approx(math.log(p - 1 + math.exp(m0)))


def test_subtraction_counts_b_backwards():
    p, task = 13, build("x-y", 13)
    natural = clock_logits(p, {4: 5.0})
    conjugate = natural[:, (-torch.arange(p)) % p]  # cos w(a - b - c)
    row = last(snapshot_of_cube(task, conjugate, (4,)))
    assert row["restricted_loss"] == pytest.approx(clock_loss(p, {4: 5.0}))
    assert row["excluded_loss"] == pytest.approx(math.log(p))
    wrong = last(snapshot_of_cube(build("x+y", p), conjugate, (4,)))
    assert wrong["restricted_loss"] == pytest.approx(math.log(p))  # nothing of it is a function of a + b


@given(p=st.sampled_from([5, 7, 12, 13]), scale=st.sampled_from([1.0, 10.0]), seed=st.integers(0, 99), data=st.data())
@few
def test_losses_and_accuracies_are_those_of_the_projected_cubes(p, scale, seed, data):
    ks = tuple(sorted(data.draw(st.sets(st.sampled_from(list(frequencies(p))), min_size=1))))
    task = build("x+y", p)
    stream = torch.Generator().manual_seed(seed)
    cube = scale * torch.randn(p, p, p, generator=stream, dtype=torch.float64) + clock_logits(p, {ks[0]: scale})
    mask = gi.draw_train_mask(task, 0.3, seed)
    removed = keep_frequencies(sum_means(cube), ks)[sum_classes(p)]
    kept, rest = removed + cube.mean((0, 1)), cube - removed
    labels, train = sum_classes(p), torch.from_numpy(mask)
    row = last(snapshot_of_cube(task, cube, ks, train_mask=mask), "train")
    assert row["full_loss"] == pytest.approx(float(pair_cross_entropy(cube, labels)[train].mean()))
    assert row["restricted_loss"] == pytest.approx(float(pair_cross_entropy(kept, labels)[train].mean()))
    assert row["excluded_loss"] == pytest.approx(float(pair_cross_entropy(rest, labels)[train].mean()))
    assert row["restricted_accuracy"] == pytest.approx(float((kept.argmax(2) == labels)[train].double().mean()))
    assert row["excluded_accuracy"] == pytest.approx(float((rest.argmax(2) == labels)[train].double().mean()))


def test_splits_follow_the_pairs_also_where_natural_order_is_not_theirs():
    task = build("x*y", 7)
    mask = gi.draw_train_mask(task, 0.5, 6)
    stream = torch.Generator().manual_seed(1)
    cube = torch.randn(7, 7, 7, generator=stream, dtype=torch.float64)
    each = pair_cross_entropy(cube, torch.from_numpy(task.table))
    inside = np.zeros((7, 7), dtype=bool)
    inside[1:, 1:] = True
    for split, chosen in (("all", inside), ("train", inside & mask), ("test", inside & ~mask)):
        row = last(snapshot_of_cube(task, cube, (1,), train_mask=mask), split)
        assert row["n_pairs"] == chosen.sum()
        assert row["full_loss"] == pytest.approx(float(each[torch.from_numpy(chosen)].mean()))


@pytest.mark.parametrize(("p", "k"), [(7, 2), (13, 5), (12, 5)])
def test_a_pizza_is_restricted_to_a_clock_of_its_mean_amplitude(p, k):
    row = last(pizza_snapshot(p, {k: 9.0}))
    assert row["restricted_loss"] == pytest.approx(clock_loss(p, {k: 9.0 * math.sqrt(pizza_share(p) / 2)}))
    assert row["restricted_loss"] < row["full_loss"] - 0.1
    assert row["excluded_loss"] > math.log(p) + 0.1  # not log p: what is left is not constant


def test_frequencies_are_excluded_one_at_a_time_the_last_one_too():
    p, amplitudes = 13, {2: 4.0, 6: 7.0}
    rows = measured(
        "progress_measures", snapshot_of_cube(build("x+y", p), clock_logits(p, amplitudes), (2, 6)), "frequencies"
    )
    assert [row["k"] for row in rows] == [1, 2, 3, 4, 5, 6]
    for row in rows:
        left = {k: A for k, A in amplitudes.items() if k != row["k"]}
        assert row["excluded_loss"] == pytest.approx(clock_loss(p, left))
        assert row["is_key"] == (row["k"] in amplitudes)


def test_the_random_control_keeps_nothing_of_a_clock():
    p, amplitudes = 13, {2: 9.0, 6: 9.0}
    rows = measured("progress_measures", snapshot_of_cube(build("x+y", p), clock_logits(p, amplitudes), (2, 6)))
    control = one(rows, keys="random", split="all")
    assert control["n_keys"] == 2
    assert control["restricted_loss"] == pytest.approx(math.log(p))
    assert control["excluded_loss"] == pytest.approx(clock_loss(p, amplitudes))


def test_an_untrained_network_gains_and_loses_no_more_than_the_control():
    snapshot = untrained("x+y", 13)
    rows = measured("progress_measures", snapshot.with_keys(pizza_snapshot(13, {5: 2.0}).own_keys))
    for source in ("last", "random"):
        row = one(rows, keys=source, split="all")
        assert abs(row["restricted_loss"] - math.log(13)) < 0.1
        assert abs(row["excluded_loss"] - row["full_loss"]) < 0.1


def test_excluding_without_reason_raises_a_sentence():
    for operation in ("x*y", "x/y"):
        with pytest.raises(NotApplicableError, match="no discrete logarithm, because 12 is not prime"):
            measured("progress_measures", untrained(operation, 12))
