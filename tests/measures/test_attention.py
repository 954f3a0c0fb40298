import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import build, measured, one, untrained

import grokinterp as gi
from grokinterp.config import TransformerConfig
from grokinterp.models.forward import Activations, build_forward
from grokinterp.models.weights import init_weights
from grokinterp.snapshots import Snapshot

few = settings(derandomize=True, deadline=None, max_examples=12)


class PatternForward:
    """Looks the attention of each pair up; logits play no part."""

    any_dtype = True

    def __init__(self, pattern: torch.Tensor, n_answers: int) -> None:
        self.pattern, self.n_answers = pattern, n_answers

    def __call__(self, weights, left, right):
        return torch.zeros(len(left), self.n_answers, dtype=torch.float64)

    def activations(self, weights, left, right) -> Activations:
        return Activations(self(weights, left, right), torch.zeros(len(left), 1), self.pattern[left, right])


def network(task, **shape) -> Snapshot:
    config = TransformerConfig(d_model=8, n_heads=2, d_mlp=12, **shape)
    weights = init_weights(config, task.layout, task.n_answers, torch.float64)
    return Snapshot(task, weights, build_forward(config, task.layout, task.n_answers, dtype=torch.float64))


def snapshot_of_pattern(task, pattern: torch.Tensor) -> Snapshot:
    """A snapshot whose attention [a, b, head, position] is the given one."""
    return Snapshot(task, network(task).weights, PatternForward(pattern, task.n_answers))


def of_distance(task, k: int, mean: float, amplitude: float, phase: float) -> torch.Tensor:
    """Attention to a: m + A cos(w_k (i - j) + phase) in natural coordinates, to b: 1 minus that; 0 elsewhere."""
    c = task.coordinates
    x = torch.arange(c.n, dtype=torch.float64)
    wave = torch.zeros(task.table.shape, dtype=torch.float64)
    angle = 2 * math.pi * k * (x[:, None] - x[None, :]) / c.n + phase
    wave[np.ix_(c.left, c.right)] = amplitude * angle.cos()
    to_left = mean + wave
    return torch.stack([to_left, 1 - to_left, torch.zeros_like(wave)], dim=-1)[:, :, None]


@pytest.mark.parametrize("operation", ["x+y", "x-y", "x*y", "x/y"])
@pytest.mark.parametrize("p", [7, 13])
def test_a_wave_of_one_frequency_has_its_mean_its_spread_and_its_frequency(operation, p):
    task = build(operation, p)
    n, k = task.coordinates.n, 2
    rows = measured("attention", snapshot_of_pattern(task, of_distance(task, k, 0.4, 0.3, 0.5)))
    row = one(rows, head=0, slot="a")
    assert (row["k"], one(rows, head=0, slot="b")["k"]) == (k, k)
    assert row["k_share"] == pytest.approx(1.0)
    assert row["next_share"] == pytest.approx(0.0, abs=1e-12)
    assert row["mean"] == pytest.approx(0.4)
    assert row["std"] == pytest.approx(0.3 * math.sqrt(n * n / task.defined.sum() / 2))  # 0 at pairs with a zero


@given(p=st.sampled_from([5, 7, 12, 13]), seed=st.integers(0, 99), data=st.data())
@few
def test_the_share_of_a_sum_of_waves_is_that_of_the_largest(p, seed, data):
    ks = data.draw(st.lists(st.integers(1, (p - 1) // 2), min_size=2, max_size=2, unique=True))
    task = build("x+y", p)
    pattern = of_distance(task, ks[0], 0.5, 0.3, float(seed)) + of_distance(task, ks[1], 0.0, 0.1, 1.0)
    row = one(measured("attention", snapshot_of_pattern(task, pattern)), head=0, slot="a")
    assert row["k"] == ks[0]
    assert row["k_share"] == pytest.approx(0.9)
    assert row["next_share"] == pytest.approx(0.1)


def test_a_product_of_two_frequencies_belongs_to_none():
    p, task = 13, build("x+y", 13)
    x = torch.arange(p, dtype=torch.float64)
    mixed = 0.5 + 0.4 * torch.cos(2 * math.pi * 2 * x / p)[:, None] * torch.cos(2 * math.pi * 5 * x / p)[None, :]
    row = one(measured("attention", snapshot_of_pattern(task, mixed[:, :, None, None].repeat(1, 1, 1, 3))), slot="a")
    assert row["k_share"] == pytest.approx(0.0, abs=1e-12)


def test_independent_attention_has_the_share_of_its_eight_directions_at_each_frequency():
    p, task = 13, build("x+y", 13)
    noise = torch.rand(p, p, 60, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    rows = measured("attention", snapshot_of_pattern(task, noise))
    best = np.mean([row["k_share"] for row in rows])
    expected = 8 / (p * p - 1)
    assert expected < np.mean([row["next_share"] for row in rows]) < best < 3 * expected


@pytest.mark.parametrize(
    ("layout", "names"),
    [("a b =", "a b ="), ("a op b =", "a op b ="), ("a b", "a b"), ("EOS a op b =", "EOS a op b =")],
)
def test_equal_scores_share_the_attention_equally(layout, names):
    task = gi.build_task(gi.TaskConfig(operation="x+y", p=7, layout=layout))
    snapshot = network(task)
    zero = torch.zeros_like(snapshot.weights["blocks.0.attn.W_Q"])
    snapshot = snapshot.with_weights({"blocks.0.attn.W_Q": zero})
    rows = measured("attention", snapshot)
    assert [row["slot"] for row in rows] == 2 * names.split()
    for row in rows:
        assert row["mean"] == pytest.approx(1 / task.layout.n_ctx)
        assert row["std"] == pytest.approx(0.0, abs=1e-15)
        assert (row["k"], row["k_share"], row["next_share"]) == (None, None, None)
    for row in measured("attention", snapshot, "heads"):
        assert row["entropy"] == pytest.approx(math.log(task.layout.n_ctx))
        assert row["left_share"] == pytest.approx(0.5)
        assert row["row_sum"] == pytest.approx(1.0)
        assert row["k_share"] is None


def test_rows_of_a_pattern_need_not_sum_to_one():
    task = gi.build_task(gi.TaskConfig(operation="x+y", p=7, layout="a b"))
    ones = torch.ones(7, 7, 4, 2, dtype=torch.float64)
    snapshot = snapshot_of_pattern(task, ones)
    assert {row["mean"] for row in measured("attention", snapshot)} == {1.0}
    for row in measured("attention", snapshot, "heads"):
        assert row["row_sum"] == 2.0
        assert row["left_share"] == 0.5
        assert row["entropy"] == pytest.approx(math.log(2))


@given(share=st.floats(0, 1), total=st.sampled_from([1.0, 2.0]), rest=st.floats(0, 0.5))
@few
def test_heads_divide_their_attention_as_they_say(share, total, rest):
    task = build("x+y", 5)
    operands = total * (1 - rest)
    row_of = torch.tensor([operands * share, operands * (1 - share), total * rest], dtype=torch.float64)
    pattern = torch.stack([row_of, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)]).expand(5, 5, 2, 3)
    mean, first, second = measured("attention", snapshot_of_pattern(task, pattern), "heads")
    q = [float(x) / total for x in row_of]
    assert first["left_share"] == pytest.approx(share)
    assert first["left_share_std"] == pytest.approx(0.0, abs=1e-12)
    assert first["entropy"] == pytest.approx(-sum(x * math.log(x) for x in q if x > 0))
    assert first["row_sum"] == pytest.approx(total)
    assert second["entropy"] == 0.0
    assert (mean["head"], second["head"]) == (-1, 1)
    assert mean["row_sum"] == pytest.approx((total + 1) / 2)


def test_the_mean_over_heads_leaves_out_heads_without_a_frequency():
    task = build("x+y", 7)
    wave = of_distance(task, 3, 0.5, 0.2, 0.0)
    constant = torch.full((7, 7, 1, 3), 1 / 3, dtype=torch.float64)
    rows = measured("attention", snapshot_of_pattern(task, torch.cat([wave, constant], dim=2)), "heads")
    assert [row["k_share"] for row in rows] == [pytest.approx(1.0), pytest.approx(1.0), None]


def test_undefined_pairs_count_nowhere():
    task = build("x/y", 7)
    pattern = torch.full((7, 7, 1, 3), 1 / 3, dtype=torch.float64)
    pattern[:, 0] = 5.0
    snapshot = snapshot_of_pattern(task, pattern)
    assert [row["mean"] for row in measured("attention", snapshot)] == pytest.approx([1 / 3] * 3)
    assert measured("attention", snapshot, "heads")[0]["row_sum"] == pytest.approx(1.0)
    assert max(row["attention"] for row in measured("attention", snapshot, "pattern")) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("operation", "p"), [("x+y", 7), ("x*y", 7), ("x/y", 7), ("x/y", 12)])
def test_the_map_is_the_attention_to_a_in_natural_order(operation, p):
    task = build(operation, p)
    c, snapshot = task.coordinates, untrained(operation, p)
    rows = measured("attention", snapshot, "pattern")
    left = np.arange(p) if c is None else c.left
    right = np.arange(p) if c is None else c.right
    expected = {
        (head, i, j): float(snapshot.attention[a, b, head, 0])
        for head in range(2)
        for i, a in enumerate(left)
        for j, b in enumerate(right)
        if task.defined[a, b]
    }
    assert {(row["head"], row["i"], row["j"]): row["attention"] for row in rows} == expected


def test_a_large_map_is_a_window_and_the_right_operand_of_a_long_layout_is_not_a():
    task = gi.build_task(gi.TaskConfig(operation="x+y", p=13, layout="a op b ="))
    snapshot = network(task)
    rows = measured("attention", snapshot, "pattern", max_cells=60)
    assert len(rows) == 2 * 5 * 5
    row = one(rows, head=1, i=4, j=2)
    assert row["attention"] == float(snapshot.attention[4, 2, 1, 0])
    share = one(measured("attention", snapshot, "heads"), head=1)["left_share"]
    both = snapshot.attention[..., 1, 0] / (snapshot.attention[..., 1, 0] + snapshot.attention[..., 1, 2])
    assert share == pytest.approx(float(both.mean()))


def test_an_untrained_network_attends_almost_equally():
    rows = measured("attention", untrained("x+y", 13))
    assert all(abs(row["mean"] - 1 / 3) < 0.1 and row["std"] < 0.1 for row in rows)
    assert max(row["k_share"] for row in rows) < 0.75  # tokens differ at random: no frequency of six stands out


def test_without_natural_coordinates_there_are_no_frequencies():
    task = gi.build_task(gi.TaskConfig(operation="x.y", group="S3"))
    snapshot = network(task)
    assert {row["k_share"] for row in measured("attention", snapshot)} == {None}
    assert len(measured("attention", snapshot, "pattern")) == 2 * 36
