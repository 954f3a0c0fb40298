import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import (
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

import grokinterp as gi
from grokinterp.harmonics.components import circularity

few = settings(derandomize=True, deadline=None, max_examples=10)


def polygon(operation: str, p: int, amplitudes: dict[int, float]):
    task = build(operation, p)
    weights = wave_weights(task, amplitudes)
    width = weights["blocks.0.mlp.W_out"].shape[0]
    neurons = torch.zeros(p, p, width, dtype=torch.float64)
    cube = torch.zeros(p, p, p, dtype=torch.float64)
    return snapshot_of_cube(task, cube, tuple(amplitudes), neurons=neurons, weights=weights)


@pytest.mark.parametrize(("operation", "p", "k"), [("x+y", 7, 3), ("x-y", 12, 5), ("x*y", 13, 2), ("x/y", 11, 4)])
def test_a_polygon_is_two_equal_components_that_are_one_circle(operation, p, k):
    rows = measured("symbol_pca", polygon(operation, p, {k: 2.0}))
    for matrix in ("W_E", "W_U"):
        first, second = (one(rows, matrix=matrix, component=i) for i in (1, 2))
        for row in (first, second):
            assert row["share"] == pytest.approx(0.5)
            assert row["circularity"] == pytest.approx(1)
            assert row["k"] == k
            assert row["circularity"] > row["circularity_null_q95"]


def test_components_come_by_size_with_the_shares_of_their_circles():
    rows = [row for row in measured("symbol_pca", polygon("x+y", 13, {2: 1.0, 5: 3.0})) if row["matrix"] == "W_E"]
    assert [row["share"] for row in rows[:4]] == pytest.approx([0.45, 0.45, 0.05, 0.05])
    assert [row["k"] for row in rows[:4]] == [5, 5, 2, 2]


@given(n=st.sampled_from([7, 12, 13]), k=st.integers(1, 3), phase=st.floats(0, 6))
@few
def test_circularity_of_a_cosine_is_one_at_any_phase(n, k, phase):
    wave = np.cos(2 * math.pi * k * np.arange(n) / n + phase)[:, None]
    share, frequency = circularity(wave)
    assert share[0] == pytest.approx(1)
    assert frequency[0] == k


def test_circularity_of_two_mixed_cosines_is_the_larger_share():
    t = 2 * math.pi * np.arange(13) / 13
    share, frequency = circularity((2 * np.cos(2 * t) + np.cos(5 * t))[:, None])
    assert share[0] == pytest.approx(4 / 5)
    assert frequency[0] == 2


def test_a_polygon_in_shuffled_order_is_no_circle():
    order = np.random.default_rng(2).permutation(31)
    share, _ = circularity(wave_rows(31, {4: 1.0}).numpy()[order])
    assert share.max() < 0.6


def test_a_line_of_symbols_is_no_circle():
    share, frequency = circularity(np.arange(31.0)[:, None] - 15)
    assert share[0] == pytest.approx(6 / math.pi**2, abs=0.01)  # a sawtooth's first harmonic
    assert frequency[0] == 1


def test_a_random_matrix_stays_below_the_null_quantiles_in_most_components():
    above = []
    for seed in range(6):
        rows = measured("symbol_pca", untrained("x+y", 31, init_seed=seed))
        above += [row["circularity"] > row["circularity_null_q95"] for row in rows]
        above += [row["share"] > row["share_null_q95"] for row in rows]
    assert len(above) == 6 * 2 * 2 * 10
    assert sum(above) / len(above) < 0.15


@pytest.mark.parametrize(("operation", "p", "k"), [("x+y", 7, 2), ("x-y", 13, 5), ("x*y", 13, 5)])
def test_circles_are_regular_polygons_visited_in_steps_of_k_from_the_cosine_side(operation, p, k):
    snapshot = polygon(operation, p, {k: 2.0})
    rows = measured("symbol_pca", snapshot, "circles")
    n = snapshot.coordinates.n
    assert [row["symbol"] for row in rows] == snapshot.coordinates.left.tolist()
    turns = 2 * math.pi * k * np.arange(n) / n
    assert [row["x"] for row in rows] == pytest.approx(2 * np.cos(turns))
    assert [row["y"] for row in rows] == pytest.approx(2 * np.sin(turns))


def test_there_is_no_circle_at_the_nyquist_frequency():
    rows = measured("symbol_pca", polygon("x+y", 12, {6: 1.0, 5: 1.0}), "circles")
    assert {row["k"] for row in rows} == {5}


def test_the_pizza_shows_the_same_circles_as_the_clock():
    rows = measured("symbol_pca", pizza_snapshot(13, {5: 4.0}), "circles")
    assert np.hypot([r["x"] for r in rows], [r["y"] for r in rows]) == pytest.approx(np.ones(13))


def embedded(operation: str, p: int, natural: torch.Tensor):
    """Whose operands are embedded as the given rows, in natural order."""
    task = build(operation, p)
    w_e = torch.zeros(task.layout.d_vocab, natural.shape[1], dtype=torch.float64)
    w_e[task.coordinates.left] = natural
    return snapshot_of_cube(task, torch.zeros(p, p, p, dtype=torch.float64), weights={"embed.W_E": w_e})


@pytest.mark.parametrize(("operation", "p"), [("x+y", 13), ("x-y", 12), ("x*y", 13), ("x/y", 11)])
def test_a_line_of_symbols_closes_the_parallelograms_that_do_not_wrap_around(operation, p):
    n = build(operation, p).coordinates.n
    line = 5.0 + 0.7 * torch.arange(n, dtype=torch.float64)[:, None] * torch.ones(1, 3, dtype=torch.float64)
    row = one(measured("symbol_pca", embedded(operation, p, line), "parallelograms"), delta=0.1)
    closed = everything = 0
    for s in range(n):
        below, above = s // 2 + 1, (2 * n - 2 - (s + n)) // 2 + 1  # unordered pairs with sum s, and s + n
        closed += math.comb(below, 2) + math.comb(above, 2)
        everything += math.comb(below + above, 2)
    assert row["rqi"] == pytest.approx(closed / everything)
    assert row["rqi"] > row["rqi_null_q95"] + 0.3


@pytest.mark.parametrize("k", [1, 4])
def test_circles_have_more_small_defects_than_noise_but_close_hardly_any_parallelogram(k):
    n = 31
    rows = measured("symbol_pca", embedded("x+y", n, wave_rows(n, {k: 3.0})), "parallelograms")
    half = [2 * math.cos(math.pi * k * d / n) for d in range(1, 2 * n, 2)]  # of pairs of one sum, by difference
    exact = [abs(a - b) for i, a in enumerate(half[: n // 2 + 1]) for b in half[i + 1 : n // 2 + 1]]
    for row in rows:
        share = sum(x <= row["delta"] for x in exact) / len(exact)
        assert row["rqi"] == pytest.approx(share, abs=1e-12)
    assert one(rows, delta=0.1)["rqi"] < 0.2


def test_noise_and_untrained_embeddings_close_as_many_parallelograms_as_the_null():
    snapshot = untrained("x+y", 31, d_model=64)
    for row in measured("symbol_pca", snapshot, "parallelograms"):
        assert row["rqi"] == row["rqi_null_q95"] == 0  # in 64 dimensions, defects are near twice the spread


def test_without_coordinates_or_without_spread_there_are_no_parallelograms():
    task = gi.build_task(gi.TaskConfig(operation="x.y", group="S3", frac_train=0.5))
    assert measured("symbol_pca", snapshot_of_cube(task, torch.zeros(6, 6, 6).double()), "parallelograms") == []
    same = torch.full((7, 3), 0.3, dtype=torch.float64)
    assert measured("symbol_pca", embedded("x+y", 7, same), "parallelograms") == []


def test_operations_without_frequencies_have_shares_but_no_circles():
    task = gi.build_task(gi.TaskConfig(operation="x.y", group="S3", frac_train=0.5))
    snapshot = snapshot_of_cube(task, torch.zeros(6, 6, 6, dtype=torch.float64))
    rows = measured("symbol_pca", snapshot)
    assert {row["circularity"] for row in rows} == {None}
    assert sum(row["share"] for row in rows if row["matrix"] == "W_E") == pytest.approx(1)
    assert measured("symbol_pca", snapshot, "circles") == []


def test_tsne_places_every_answer_and_neighbours_on_the_circle_near_each_other():
    rows = measured("symbol_pca", polygon("x*y", 31, {1: 1.0}), "tsne")
    assert sorted(row["symbol"] for row in rows) == list(range(1, 31))
    points = np.array([[row["x"], row["y"]] for row in rows])
    apart = np.hypot(*(points - points.mean(0)).T).mean()
    assert np.hypot(*np.diff(points, axis=0).T).mean() < apart


def test_aligned_coordinates_do_not_jump_between_checkpoints(grokked_run):
    table = grokked_run.table("symbol_pca.coordinates")
    steps = sorted(table["step"].unique())
    assert steps[-1] == grokked_run.steps[-1]
    scores = {
        step: table[(table["step"] == step) & (table["matrix"] == "W_E")][[f"pc{i}" for i in range(1, 5)]].to_numpy()
        for step in steps[-2:]
    }
    before, last = scores.values()
    assert np.linalg.norm(before - last) < 0.2 * np.linalg.norm(last)


def test_two_symbols_are_too_few_for_components():
    assert measured("symbol_pca", snapshot_of_cube(build("x+y", 2), clock_logits(2, {1: 1.0}))) == []
