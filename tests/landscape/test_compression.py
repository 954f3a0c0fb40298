import bz2
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import orthonormal_rows, pizza_snapshot

from grokinterp.landscape.compression import Grid, kept_rank, packed, smallest

few = settings(derandomize=True, deadline=None, max_examples=10)
THRESHOLDS, DELTAS = (0.6, 0.8, 1.0), tuple(2.0**-k for k in range(8))


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def error_of(weights: dict[str, torch.Tensor]):
    """Squared distance to the weights, relative to their square: a loss without a network."""
    total = sum(float(w.square().sum()) for w in weights.values())
    return lambda changed: sum(float((changed[name] - w).square().sum()) for name, w in weights.items()) / total


def low_rank(rows: int, columns: int, rank: int, seed: int) -> torch.Tensor:
    matrix = normal(rows, rank, seed=seed) @ normal(rank, columns, seed=seed + 1)
    return matrix * (rows * columns) ** 0.5 / matrix.norm()


@pytest.mark.parametrize("tolerance", [0.03, 0.003])
def test_a_low_rank_matrix_compresses_smaller_than_a_random_one_at_the_same_tolerance(tolerance):
    found = []
    for matrix in (low_rank(40, 60, 3, 1), low_rank(40, 60, 40, 1)):
        weights = {"w": matrix}
        best, _ = smallest(weights, error_of(weights), tolerance, THRESHOLDS, DELTAS)
        assert best.loss <= tolerance
        found.append(best.n_bytes)
    assert found[0] < found[1] / 2


@given(ranks=st.tuples(st.integers(1, 12), st.integers(1, 20)), tolerance=st.sampled_from([0.3, 0.02]))
@few
def test_the_search_finds_what_looking_at_the_whole_grid_finds(ranks, tolerance):
    weights = {"a": low_rank(12, 30, ranks[0], 5), "heads": low_rank(60, 20, ranks[1], 7).view(3, 20, 20)}
    best, n_tried = smallest(weights, error_of(weights), tolerance, THRESHOLDS, DELTAS)
    grid = Grid(weights, error_of(weights))
    points = [point for point in itertools.product(THRESHOLDS, DELTAS) if grid.loss(*point) <= tolerance]
    assert best.n_bytes == min(grid.size(*point) for point in points)
    assert grid.loss(best.threshold, best.delta) == best.loss
    assert n_tried <= grid.n_losses


@pytest.mark.parametrize(("p", "tolerance"), [(5, 0.1), (7, 0.5)])
def test_the_search_finds_the_minimum_over_the_grid_for_a_real_network(p, tolerance):
    snapshot = pizza_snapshot(p, {1: 20.0, 2: 20.0})

    def loss(changed):
        return float(snapshot.loss_under(changed))

    limit = loss({}) + tolerance
    best, _ = smallest(snapshot.weights, loss, limit, THRESHOLDS, DELTAS)
    grid = Grid(snapshot.weights, loss)
    passing = [point for point in itertools.product(THRESHOLDS, DELTAS) if grid.loss(*point) <= limit]
    assert 0 < len(passing) < len(THRESHOLDS) * len(DELTAS)
    assert best.n_bytes == min(grid.size(*point) for point in passing)


@given(delta=st.sampled_from([0.5, 0.1]), seed=st.integers(0, 99))
@few
def test_without_truncation_each_weight_moves_by_at_most_half_a_bin(delta, seed):
    weights = {"w": normal(6, 9, seed=seed), "heads": normal(2, 4, 5, seed=seed), "b": normal(7, seed=seed)}
    rebuilt = Grid(weights, error_of(weights)).rebuilt(1.0, delta)
    assert all(rebuilt[name].shape == w.shape for name, w in weights.items())
    assert all(float((rebuilt[name] - w).abs().max()) <= delta / 2 + 1e-12 for name, w in weights.items())


def test_where_the_factors_are_smaller_they_are_what_is_rounded():
    matrix = low_rank(20, 30, 2, 3)
    grid = Grid({"w": matrix}, error_of({"w": matrix}))
    left, right = grid.codes(0.999999, 1e-4)["w"]
    assert (left.shape, right.shape) == ((20, 2), (2, 30))
    assert torch.allclose(grid.rebuilt(0.999999, 1e-4)["w"], matrix, atol=5e-3)
    assert float(left.norm()) == pytest.approx(float(right.norm()), rel=1e-3)  # sigma shared evenly


@pytest.mark.parametrize(("threshold", "rank"), [(0.0, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.81, 3), (1.0, 3)])
def test_the_fewest_singular_values_that_reach_the_threshold_are_kept(threshold, rank):
    sigma = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    assert kept_rank(sigma, threshold) == rank


@pytest.mark.parametrize(("largest", "width"), [(127, 1), (128, 2), (32767, 2), (32768, 4), (2**31, 8)])
def test_integers_are_packed_in_the_narrowest_type(largest, width):
    codes = {"w": [torch.tensor([[-float(largest), 3.0]], dtype=torch.float64), torch.zeros(2, 1)]}
    assert len(packed(codes)) == 4 * width


def test_zeros_cost_next_to_nothing_and_the_size_is_that_of_the_stream():
    weights = {"w": 0.1 * orthonormal_rows(10, 30, 2)}
    best, n_tried = smallest(weights, lambda _: 0.0, 0.0, [1.0], DELTAS)
    assert best.n_bytes == len(bz2.compress(bytes(300)))
    assert best.delta == 1.0
    assert n_tried <= len(DELTAS)


def test_a_tolerance_that_nothing_on_the_grid_meets_gives_none():
    weights = {"w": normal(4, 4, seed=1)}
    assert smallest(weights, error_of(weights), 0.0, THRESHOLDS, DELTAS)[0] is None


def test_the_same_network_gives_the_same_bytes_and_is_left_alone():
    weights = {"w": normal(8, 9, seed=1)}
    before = weights["w"].clone()
    found = [smallest(weights, error_of(weights), 0.01, THRESHOLDS, DELTAS) for _ in range(2)]
    assert found[0] == found[1]
    assert torch.equal(weights["w"], before)


def test_where_chance_is_good_enough_everything_is_rounded_away_whatever_finer_bins_do():
    weights = {"w": normal(8, 9, seed=1)}

    def loss(changed: dict[str, torch.Tensor]) -> float:
        return 1.0 if not changed["w"].any() else 9.0 if float((changed["w"] - weights["w"]).abs().max()) > 0.1 else 0.0

    best, _ = smallest(weights, loss, 1.5, THRESHOLDS, (16.0, *DELTAS))
    assert (best.delta, best.loss) == (16.0, 1.0)
