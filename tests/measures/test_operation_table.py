import numpy as np
import pytest
import torch
from oracles import PRIMES_AND_OTHERS, build, clock_logits, in_natural_order, measured, one, snapshot_of_cube, untrained

import grokinterp as gi
from grokinterp.tasks import Task


@pytest.mark.parametrize("p", PRIMES_AND_OTHERS)
def test_a_clock_answers_every_pair_and_each_answer_equally_often(p):
    snapshot = snapshot_of_cube(build("x+y", p), clock_logits(p, {1: 9.0}))
    (row,) = measured("operation_table", snapshot)
    assert row == {
        "split": "all",
        "n_pairs": p * p,
        "n_right": p * p,
        "right_fraction": 1.0,
        "top_answer": 0,
        "top_answer_share": pytest.approx(1 / p),
    }


@pytest.mark.parametrize(("operation", "p"), [("x+y", 7), ("x-y", 12), ("x*y", 7), ("x/y", 7), ("x*y", 12)])
def test_a_network_that_always_gives_one_answer_is_right_where_the_table_has_it(operation, p):
    task, favourite = build(operation, p), p - 2
    cube = torch.zeros(p, p, p, dtype=torch.float64)
    cube[:, :, favourite] = 1.0
    (row,) = measured("operation_table", snapshot_of_cube(task, cube))
    assert (row["top_answer"], row["top_answer_share"]) == (favourite, 1.0)
    assert row["n_right"] == (task.table == favourite).sum()
    assert row["n_pairs"] == task.defined.sum()


def test_counts_are_per_split_and_the_splits_add_up():
    p, task = 7, build("x/y", 7)
    mask = gi.draw_train_mask(task, 0.4, 3)
    cube = torch.randn(p, p, p, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    cube[mask, task.table[mask]] += 50  # memorised, and nothing else
    rows = measured("operation_table", snapshot_of_cube(task, cube, train_mask=mask))
    train, test, everything = (one(rows, split=split) for split in ("train", "test", "all"))
    assert train["right_fraction"] == 1.0
    assert train["n_pairs"] == mask.sum()
    expected = (cube.argmax(2).numpy() == task.table)[task.defined & ~mask].sum()
    assert test["n_right"] == expected < test["n_pairs"] / 2
    assert everything["n_pairs"] == train["n_pairs"] + test["n_pairs"] == 42
    assert everything["n_right"] == train["n_right"] + test["n_right"]


def test_the_cells_are_the_table_again_with_the_margin_of_each_pair():
    p, task = 5, build("x/y", 5)
    mask = gi.draw_train_mask(task, 0.5, 0)
    cube = torch.randn(p, p, p, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    rows = measured("operation_table", snapshot_of_cube(task, cube, train_mask=mask), "cells")
    assert [(row["a"], row["b"]) for row in rows] == [(a, b) for a in range(p) for b in range(1, p)]
    for row in rows:
        a, b, c = row["a"], row["b"], row["answer"]
        logits = cube[a, b].tolist()
        assert c == task.table[a, b]
        assert row["predicted"] == int(np.argmax(logits))
        assert row["split"] == ("train" if mask[a, b] else "test")
        assert row["margin"] == logits[c] - max(logits[:c] + logits[c + 1 :])
        assert row["right"] == (row["margin"] > 0) == (row["predicted"] == c)


@pytest.mark.parametrize("p", [5, 12])
def test_the_margin_of_a_clock_is_that_of_the_nearest_wrong_answer(p):
    rows = measured("operation_table", snapshot_of_cube(build("x+y", p), clock_logits(p, {1: 3.0})), "cells")
    assert {row["split"] for row in rows} == {"unknown"}
    assert all(row["right"] for row in rows)
    for row in rows:
        assert row["margin"] == pytest.approx(3.0 * (1 - np.cos(2 * np.pi / p)))


def test_a_clock_of_a_frequency_that_shares_a_factor_with_p_answers_by_the_first_of_equals():
    p = 12  # k = 4: the answers c, c + 3, c + 6, c + 9 have equal logits
    cube = clock_logits(p, {4: 1.0}).round(decimals=9)
    (row,) = measured("operation_table", snapshot_of_cube(build("x+y", p), cube))
    assert row["right_fraction"] == pytest.approx(1 / 4)
    assert row["top_answer_share"] == pytest.approx(1 / 3)


def test_natural_order_plays_no_part():
    task = build("x*y", 7)
    cube = in_natural_order(task, clock_logits(6, {1: 5.0}), zero_column=-9.0)
    cells = measured("operation_table", snapshot_of_cube(task, cube), "cells")
    for cell in cells:
        assert cell["answer"] == cell["a"] * cell["b"] % 7
        assert cell["right"] or cell["a"] * cell["b"] == 0
    assert sum(cell["right"] for cell in cells) == 36 + 13  # on zero pairs all logits are 0, so is the answer


def test_an_untrained_network_is_right_about_as_often_as_chance():
    rows = measured("operation_table", untrained("x+y", 13))
    assert one(rows, split="all")["right_fraction"] < 0.25
    assert one(rows, split="all")["top_answer_share"] > 2 / 13  # and has favourites


def test_with_one_answer_there_is_no_margin():
    two = build("x+y", 2)
    task = Task("constant", np.zeros((2, 2), dtype=np.int64), 1, two.layout, None, "one answer")
    rows = measured("operation_table", snapshot_of_cube(task, torch.ones(2, 2, 1, dtype=torch.float64)), "cells")
    assert [row["margin"] for row in rows] == [None] * 4
    assert all(row["right"] for row in rows)
