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
from grokinterp.config import TransformerConfig
from grokinterp.errors import NotApplicableError
from grokinterp.harmonics.cyclic import frequencies, keep_frequencies, sum_classes, sum_means
from grokinterp.harmonics.keep_sets import KEEP_SETS
from grokinterp.harmonics.keys import KeyFrequencies
from grokinterp.models.forward import build_forward
from grokinterp.models.weights import init_weights
from grokinterp.snapshots import Snapshot

BIASES = {"blocks.0.mlp.b_out": 12, "unembed.b_U": 7, "blocks.0.mlp.b_in": 20}
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


def definition(snapshot, split: str = "all", *, keys: str = "last", **where) -> dict:
    return one(measured("progress_measures", snapshot, "definitions"), keys=keys, split=split, **where)


@pytest.mark.parametrize("keep_set", KEEP_SETS)
@pytest.mark.parametrize(("p", "ks"), [(13, (2, 6)), (12, (5, 6)), (7, (3,))])
def test_by_every_definition_a_clock_is_restricted_to_itself_and_leaves_log_p(keep_set, p, ks):
    amplitudes = dict.fromkeys(ks, 3.0)
    snapshot = snapshot_of_cube(build("x+y", p), clock_logits(p, amplitudes), ks)
    row = definition(snapshot, space="logits", keep_set=keep_set)
    assert row["restricted_loss"] == pytest.approx(clock_loss(p, amplitudes))
    assert row["excluded_loss"] == pytest.approx(math.log(p))
    if p > 7:  # else K is everything there is
        control = definition(snapshot, keys="random", space="logits", keep_set=keep_set)
        assert control["restricted_loss"] == pytest.approx(math.log(p))
        assert control["excluded_loss"] == pytest.approx(clock_loss(p, amplitudes))


def test_a_wave_of_the_difference_is_in_the_blocks_and_in_no_sum_direction():
    p, i = 13, torch.arange(13, dtype=torch.float64)
    wave = 4 * torch.cos(2 * math.pi * 5 * (i[:, None, None] - i[None, :, None] - i) / p)
    full = float(pair_cross_entropy(wave, sum_classes(p)).mean())
    for keep_set, restricted, excluded in [
        ("sum_directions", math.log(p), full),
        ("blocks_2x2", full, math.log(p)),
        ("blocks_3x3", full, math.log(p)),
    ]:
        row = definition(snapshot_of_cube(build("x+y", p), wave, (5,)), space="logits", keep_set=keep_set)
        assert row["restricted_loss"] == pytest.approx(restricted)
        assert row["excluded_loss"] == pytest.approx(excluded)


def test_a_wave_of_one_operand_is_in_the_3x3_block_alone():
    p, i = 12, torch.arange(12, dtype=torch.float64)
    wave = (4 * torch.cos(2 * math.pi * 5 * (i[:, None, None] - i) / p)).expand(p, p, p)
    full = float(pair_cross_entropy(wave, sum_classes(p)).mean())
    for keep_set, restricted in [("sum_directions", math.log(p)), ("blocks_2x2", math.log(p)), ("blocks_3x3", full)]:
        row = definition(snapshot_of_cube(build("x+y", p), wave, (5,)), space="logits", keep_set=keep_set)
        assert row["restricted_loss"] == pytest.approx(restricted)


def clock_of_neurons(operation: str, p: int, k: int, skip: torch.Tensor):
    """Two neurons cos w(i+j), sin w(i+j) that write 6 cos w(i+j-c), beside a skip over natural (i, j, c)."""
    task = build(operation, p)
    c = task.coordinates
    turn = 2 * math.pi * k * torch.arange(c.n, dtype=torch.float64) / c.n
    waves = torch.stack([turn.cos(), turn.sin()], dim=1)
    neurons = torch.zeros(*task.table.shape, 2, dtype=torch.float64)
    neurons[np.ix_(c.left, c.right)] = waves[sum_classes(c.n)]
    w_u = torch.zeros(2, task.n_answers, dtype=torch.float64)
    w_u[:, c.answer] = 6 * waves.T
    weights = {"blocks.0.mlp.W_out": torch.eye(2, dtype=torch.float64), "unembed.W_U": w_u}
    weights["blocks.0.mlp.b_out"] = torch.zeros(2, dtype=torch.float64)
    cube = in_natural_order(task, clock_logits(c.n, {k: 6.0}) + skip, zero_column=-800.0)
    return snapshot_of_cube(task, cube, (k,), neurons=neurons, weights=weights)


@pytest.mark.parametrize(("operation", "p", "k"), [("x+y", 13, 6), ("x-y", 12, 5), ("x*y", 13, 5)])
def test_in_neuron_space_the_skip_is_kept_or_dropped_as_the_name_says(operation, p, k):
    n = build(operation, p).coordinates.n
    skip = 2 * torch.randn(n, n, n, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    snapshot = clock_of_neurons(operation, p, k, skip)
    full = float(pair_cross_entropy(clock_logits(n, {k: 6.0}) + skip, sum_classes(n)).mean())
    kept = definition(snapshot, space="neurons")
    assert kept["restricted_loss"] == pytest.approx(full)
    alone = float(pair_cross_entropy(skip, sum_classes(n)).mean())
    assert kept["excluded_loss"] == pytest.approx(alone)
    dropped = definition(snapshot, space="neurons_no_skip")
    extra = 1 if operation == "x*y" else 0  # the zero answer, whose logit is 0 where nothing writes it
    clock = math.log(math.exp(clock_loss(n, {k: 6.0})) + extra * math.exp(-6.0))
    assert dropped["restricted_loss"] == pytest.approx(clock)
    assert dropped["excluded_loss"] is None


def test_projecting_the_neurons_and_then_mapping_them_is_what_neuron_space_means():
    """The slow twin: activations on the explicit sum directions and their mean, through W_out and W_U."""
    base = untrained("x-y", 7, d_model=12, d_mlp=20)
    stream = torch.Generator().manual_seed(3)
    biases = {name: torch.randn(size, generator=stream, dtype=torch.float64) for name, size in BIASES.items()}
    snapshot = Snapshot(base.task, base.weights | biases, base.forward, base.train_mask)
    snapshot = snapshot.with_keys(KeyFrequencies((1, 3), "given", 0.25))
    w, c = snapshot.weights, snapshot.coordinates
    acts = snapshot.neuron_acts[c.left][:, c.right]
    i = torch.arange(7, dtype=torch.float64)
    near = torch.zeros_like(acts)
    for k in (1, 3):
        for wave in (torch.cos, torch.sin):
            grid = wave(2 * math.pi * k * (i[:, None] + i[None, :]) / 7)
            grid = grid / grid.norm()
            near += grid[:, :, None] * (acts * grid[:, :, None]).sum((0, 1))
    w_l = w["blocks.0.mlp.W_out"] @ w["unembed.W_U"]
    bias = w["blocks.0.mlp.b_out"] @ w["unembed.W_U"] + w["unembed.b_U"]
    skip = snapshot.natural_logits - acts @ w_l
    constant = acts.mean((0, 1))
    for space, restricted, excluded in [
        ("neurons", skip + (near + constant) @ w_l, skip + (acts - near) @ w_l),
        ("neurons_no_skip", (near + constant) @ w_l + bias, None),
    ]:
        for split, mask in (("train", snapshot.natural_train_mask), ("test", ~snapshot.natural_train_mask)):
            row = definition(snapshot, split, space=space)
            for name, cube in (("restricted_loss", restricted), ("excluded_loss", excluded)):
                slow = None if cube is None else float(pair_cross_entropy(cube, sum_classes(7))[mask].mean())
                assert row[name] == (slow if slow is None else pytest.approx(slow))


def test_sum_directions_among_the_definitions_are_those_of_the_main_table():
    snapshot = untrained("x+y", 12).with_keys(KeyFrequencies((2, 6), "given", 0.25))
    main = measured("progress_measures", snapshot)
    for row in measured("progress_measures", snapshot, "definitions"):
        if row["space"] == "logits" and row["keep_set"] == "sum_directions":
            twin = one(main, keys=row["keys"], split=row["split"])
            assert row["restricted_loss"] == pytest.approx(twin["restricted_loss"])
            assert row["excluded_loss"] == pytest.approx(twin["excluded_loss"])


def test_an_untrained_network_is_near_chance_by_every_definition_and_the_control_says_the_same():
    snapshot = untrained("x+y", 13).with_keys(KeyFrequencies((2, 5), "given", 0.25))
    for row in measured("progress_measures", snapshot, "definitions"):
        assert abs(row["restricted_loss"] - math.log(13)) < 0.25, row
        assert row["excluded_loss"] is None or abs(row["excluded_loss"] - math.log(13)) < 0.25, row


def test_with_layernorm_there_is_no_neuron_space():
    config = TransformerConfig(d_model=8, n_heads=2, d_mlp=10, normalization="LN")
    task = build("x+y", 5)
    forward = build_forward(config, task.layout, 5, dtype=torch.float64)
    snapshot = Snapshot(task, init_weights(config, task.layout, 5, torch.float64), forward)
    rows = measured("progress_measures", snapshot, "definitions")
    assert {row["space"] for row in rows} == {"logits"}


def test_excluding_without_reason_raises_a_sentence():
    for operation in ("x*y", "x/y"):
        with pytest.raises(NotApplicableError, match="no discrete logarithm, because 12 is not prime"):
            measured("progress_measures", untrained(operation, 12))
