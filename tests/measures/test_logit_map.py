import math

import numpy as np
import pytest
import torch
from oracles import (
    PRIMES_AND_OTHERS,
    build,
    clock_logits,
    in_natural_order,
    measured,
    one,
    pizza_logits,
    pizza_snapshot,
    snapshot_of_cube,
    untrained,
)

import grokinterp as gi


def summary(snapshot, split: str = "all") -> dict:
    return one(measured("logit_map", snapshot), split=split)


@pytest.mark.parametrize("p", PRIMES_AND_OTHERS)
def test_the_correct_logit_of_a_clock_is_the_sum_of_its_amplitudes_everywhere(p):
    row = summary(snapshot_of_cube(build("x+y", p), clock_logits(p, {1: 4.0})))
    margin = 4.0 * (1 - math.cos(2 * math.pi / p))
    assert row["correct_mean"] == pytest.approx(4.0)
    assert row["correct_std"] == pytest.approx(0, abs=1e-12)
    assert row["margin_mean"] == pytest.approx(margin)
    assert row["margin_min"] == pytest.approx(margin)
    assert row["best_wrong_mean"] == pytest.approx(4.0 - margin)
    assert (row["sum_share"], row["difference_share"]) == (None, None)


@pytest.mark.parametrize(("p", "k"), [(5, 2), (7, 3), (13, 5)])
def test_the_correct_logit_of_a_pizza_depends_on_the_difference_alone(p, k):
    row = summary(pizza_snapshot(p, {k: 6.0}))
    mean = 1 / (p * math.sin(math.pi / (2 * p)))
    assert row["correct_mean"] == pytest.approx(6 * mean)
    assert row["correct_std"] == pytest.approx(6 * math.sqrt(0.5 - mean**2))
    assert row["difference_share"] == pytest.approx(1)
    assert row["sum_share"] == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("p", [6, 12])
def test_for_even_p_the_alternating_part_is_of_the_sum_and_of_the_difference(p):
    row = summary(snapshot_of_cube(build("x+y", p), pizza_logits(p, {1: 2.0})))
    values = np.abs(np.cos(np.pi * np.arange(p) / p))
    alternating = (values * (-1.0) ** np.arange(p)).mean() ** 2 / values.var()
    assert row["difference_share"] == pytest.approx(1)
    assert row["sum_share"] == pytest.approx(alternating)
    assert alternating > 1e-4


@pytest.mark.parametrize(("operation", "p"), [("x-y", 7), ("x*y", 7), ("x/y", 13)])
def test_shares_are_of_natural_sums_and_differences(operation, p):
    task = build(operation, p)
    n = task.coordinates.n
    stream = torch.Generator().manual_seed(p)
    by_sum, by_difference = torch.randn(2, n, generator=stream, dtype=torch.float64)
    i = torch.arange(n)
    total, gap = (i[:, None] + i) % n, (i[:, None] - i) % n
    for place, share in ((by_sum[total], "sum_share"), (by_difference[gap], "difference_share")):
        natural = torch.zeros(n, n, n, dtype=torch.float64).scatter_(2, total[:, :, None], place[:, :, None])
        row = summary(snapshot_of_cube(task, in_natural_order(task, natural)))
        assert row[share] == pytest.approx(1)


@pytest.mark.parametrize("p", [7, 13])
def test_noise_has_the_shares_that_counting_gives(p):
    task, found = build("x+y", p), []
    for seed in range(200):
        cube = torch.randn(p, p, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        row = summary(snapshot_of_cube(task, cube))
        found.append((row["sum_share"], row["difference_share"]))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(len(found))
    assert np.all(np.abs(mean - np.array([p - 2, p - 1]) / (p**2 - 2)) < 3 * error)


@pytest.mark.parametrize("operation", ["x+y", "x*y"])
def test_what_all_pairs_have_in_common_is_no_dependence_on_the_sum(operation):
    p, task = 7, build(operation, 7)
    stream = torch.Generator().manual_seed(3)
    common = torch.randn(p, generator=stream, dtype=torch.float64).expand(p, p, p)
    noise = 1e-3 * torch.randn(p, p, p, generator=stream, dtype=torch.float64)
    assert summary(snapshot_of_cube(task, common))["sum_share"] is None
    alone, both = (summary(snapshot_of_cube(task, cube)) for cube in (noise, noise + common))
    for share in ("sum_share", "difference_share"):
        assert both[share] == pytest.approx(alone[share])


def test_margins_are_free_of_what_each_pair_adds_to_all_its_logits():
    p, task = 7, build("x+y", 7)
    mask = gi.draw_train_mask(task, 0.4, 1)
    stream = torch.Generator().manual_seed(5)
    cube = torch.randn(p, p, p, generator=stream, dtype=torch.float64)
    shift = torch.randn(p, p, 1, generator=stream, dtype=torch.float64)
    plain, moved = (measured("logit_map", snapshot_of_cube(task, c, train_mask=mask)) for c in (cube, cube + shift))
    for split, inside in (("all", task.defined), ("train", mask), ("test", ~mask)):
        before, after = one(plain, split=split), one(moved, split=split)
        for column in ("margin_mean", "margin_std", "margin_min"):
            assert after[column] == pytest.approx(before[column])
        chosen = cube[inside], task.table[inside]
        right = [logits[c].item() for logits, c in zip(*chosen, strict=True)]
        wrong = [max(x for d, x in enumerate(logits.tolist()) if d != c) for logits, c in zip(*chosen, strict=True)]
        assert before["correct_mean"] == pytest.approx(np.mean(right))
        assert before["correct_std"] == pytest.approx(np.std(right))
        assert before["best_wrong_mean"] == pytest.approx(np.mean(wrong))
        assert before["best_wrong_std"] == pytest.approx(np.std(wrong))
        assert before["margin_min"] == pytest.approx(np.min(np.subtract(right, wrong)))
        assert after["correct_mean"] != pytest.approx(before["correct_mean"])
        assert (before["sum_share"] is None) == (split != "all")


@pytest.mark.parametrize("operation", ["x+y", "x-y", "x*y", "x/y"])
def test_in_the_map_one_answer_of_a_clock_is_a_band_along_its_sum(operation):
    task, answer = build(operation, 7), 2
    n = task.coordinates.n
    cube = in_natural_order(task, clock_logits(n, {1: 5.0}), zero_column=-1.0)
    rows = measured("logit_map", snapshot_of_cube(task, cube), "maps", answer=answer)
    assert len(rows) == task.defined.sum()
    placed = [row for row in rows if row["i"] is not None and row["j"] is not None]
    assert len(placed) == n * n
    for row in placed:
        i, j = row["i"], row["j"]
        assert (task.coordinates.left[i], task.coordinates.right[j]) == (row["a"], row["b"])
        assert row["correct_logit"] == pytest.approx(5.0)
        assert row["answer_logit"] == pytest.approx(5.0 * math.cos(2 * math.pi * (i + j - answer) / n))
        assert row["answer"] == task.coordinates.answer[answer]


def test_without_natural_order_the_map_is_in_the_tables_own_and_shares_are_null():
    task = gi.build_task(gi.TaskConfig(operation="x.y", group="S3"))
    stream = torch.Generator().manual_seed(0)
    cube = torch.randn(*task.table.shape, task.n_answers, generator=stream, dtype=torch.float64)
    snapshot = snapshot_of_cube(task, cube)
    assert summary(snapshot)["sum_share"] is None
    rows = measured("logit_map", snapshot, "maps", answer=4)
    assert [row["answer_logit"] for row in rows] == cube[:, :, 4].flatten().tolist()
    assert {(row["i"], row["j"], row["answer"]) for row in rows} == {(None, None, 4)}


def test_an_answer_that_there_is_none_of_is_named():
    for answer in (7, -1):
        with pytest.raises(ValueError, match=f"answer = {answer} is none of the 7 answers"):
            measured("logit_map", untrained("x+y", 7), "maps", answer=answer)


def test_an_untrained_network_has_no_margin_to_speak_of():
    row = summary(untrained("x+y", 13))
    assert row["margin_mean"] < 0
    assert abs(row["correct_mean"]) < 0.2
    assert row["sum_share"] < 0.3
    assert row["difference_share"] < 0.3
