import dataclasses
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
    pizza_snapshot,
    snapshot_of_cube,
    untrained,
)

import grokinterp as gi
from grokinterp.harmonics.cyclic import frequencies


def splits(snapshot) -> dict[str, dict]:
    return {row["split"]: row for row in measured("accuracy_loss", snapshot)}


@given(p=st.sampled_from(PRIMES_AND_OTHERS), amplitude=st.sampled_from([0.5, 6.0, 30.0]), data=st.data())
@settings(derandomize=True, deadline=None, max_examples=12)
def test_a_clock_has_its_closed_form_loss_on_every_split(p, amplitude, data):
    k = data.draw(st.sampled_from([k for k in frequencies(p) if math.gcd(k, p) == 1 or p == 2]))
    task = build("x+y", p)
    mask = gi.draw_train_mask(task, 0.5, data.draw(st.integers(0, 9)))
    found = splits(snapshot_of_cube(task, clock_logits(p, {k: amplitude}), train_mask=mask))
    assert {name: row["n_pairs"] for name, row in found.items()} == {
        "all": p * p,
        "train": p * p // 2,
        "test": p * p - p * p // 2,
    }
    for row in found.values():
        assert row["loss"] == pytest.approx(clock_loss(p, {k: amplitude}), rel=1e-9)
        assert row["accuracy"] == 1


def test_train_and_test_are_told_apart():
    task = build("x-y", 7)
    mask = gi.draw_train_mask(task, 0.4, 3)
    right = torch.from_numpy(task.table)
    cube = 5.0 * torch.nn.functional.one_hot(torch.where(torch.from_numpy(mask), right, (right + 1) % 7), 7).double()
    found = splits(snapshot_of_cube(task, cube, train_mask=mask))
    base = math.log(math.exp(5) + 6)
    assert found["train"]["accuracy"] == 1
    assert found["test"]["accuracy"] == 0
    assert found["train"]["loss"] == pytest.approx(base - 5)
    assert found["test"]["loss"] == pytest.approx(base)
    share = mask.mean()
    assert found["all"]["loss"] == pytest.approx(share * (base - 5) + (1 - share) * base)


def test_without_a_split_there_is_one_row():
    found = splits(pizza_snapshot(7, {3: 12.0}))
    assert set(found) == {"all"}
    assert found["all"]["accuracy"] == 1


def test_a_clock_for_another_operation_is_right_only_where_the_two_agree():
    task = build("x-y", 13)
    found = splits(snapshot_of_cube(task, clock_logits(13, {5: 8.0})))
    assert found["all"]["accuracy"] == pytest.approx(1 / 13)  # a + b = a - b only at b = 0


@pytest.mark.parametrize("operation", ["x*y", "x/y"])
def test_pairs_with_a_zero_operand_are_a_split_of_their_own(operation):
    task = build(operation, 7)
    cube = in_natural_order(task, clock_logits(6, {1: 9.0}), zero_column=-50.0)
    rows = splits(snapshot_of_cube(task, cube))
    assert rows["zero"]["n_pairs"] == (13 if operation == "x*y" else 6)
    assert rows["zero"]["loss"] == pytest.approx(math.log(7))
    assert rows["all"]["n_pairs"] == (49 if operation == "x*y" else 42)
    parts = rows["zero"]["n_pairs"] * math.log(7) + 36 * clock_loss(6, {1: 9.0})
    assert rows["all"]["loss"] == pytest.approx(parts / rows["all"]["n_pairs"])


def test_undefined_pairs_do_not_count():
    task = build("x/y", 12)
    snapshot = untrained("x/y", 12)
    defined = torch.from_numpy(task.defined)
    each = pair_cross_entropy(snapshot.logits, snapshot.labels)[defined]
    row = one(measured("accuracy_loss", snapshot), split="all")
    assert row["n_pairs"] == 48  # 12 times the 4 units mod 12
    assert row["loss"] == pytest.approx(float(each.mean()))


def test_the_loss_keeps_its_digits_where_float32_has_none_left():
    found = splits(snapshot_of_cube(build("x+y", 13), clock_logits(13, {2: 20.0, 5: 20.0})))
    expected = clock_loss(13, {2: 20.0, 5: 20.0})
    assert 1e-10 < expected < 6e-8  # float32 knows multiples of 1.19e-7
    assert found["all"]["loss"] == pytest.approx(expected, rel=1e-6)


def test_shuffled_labels_are_chance_for_a_clock():
    task = build("x+y", 13)
    order = np.random.default_rng(3).permutation(13 * 13)
    shuffled = dataclasses.replace(task, table=task.table.flatten()[order].reshape(13, 13))
    row = splits(snapshot_of_cube(shuffled, clock_logits(13, {5: 8.0})))["all"]
    assert abs(row["accuracy"] - 1 / 13) < 4 * math.sqrt(1 / 13 * 12 / 13) / 13
    assert row["loss"] > math.log(13)


def test_an_untrained_network_has_a_loss_near_log_p_and_chance_accuracy():
    row = splits(untrained("x+y", 31))["all"]
    assert abs(row["loss"] - math.log(31)) < 0.2
    assert row["accuracy"] < 0.1


def test_outliers_count_by_their_labels_in_training_and_are_splits_of_their_own():
    p, (a, b) = 7, (2, 3)
    task = build("x+y", p)
    train = np.zeros((p, p), dtype=bool)
    train[:3] = True
    labels = task.table.copy()
    labels[a, b] = 6  # and not 5
    knows_labels = 40 * torch.nn.functional.one_hot(torch.from_numpy(labels), p).double()
    snapshot = dataclasses.replace(snapshot_of_cube(task, knows_labels, train_mask=train), trained_labels=labels)
    accuracies = {row["split"]: (row["accuracy"], row["n_pairs"]) for row in measured("accuracy_loss", snapshot)}
    assert accuracies == {
        "all": (48 / 49, 49),
        "train": (1.0, 21),
        "test": (1.0, 28),
        "outliers": (1.0, 1),
        "outliers_answer": (0.0, 1),
    }
