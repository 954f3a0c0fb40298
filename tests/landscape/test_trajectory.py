import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokinterp.landscape.trajectory import (
    component_coordinates,
    component_shares,
    displacement_grams,
    squared_steps,
    walk_gram,
)

few = settings(derandomize=True, deadline=None, max_examples=10)


def gram_of(points: np.ndarray) -> np.ndarray:
    return points @ points.T


def pca_shares(points: np.ndarray) -> np.ndarray:
    """Squared singular values of the centred points, written out."""
    values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) ** 2
    return values / values.sum()


@given(n_points=st.integers(1, 9), entries=st.sampled_from([1, 20, 33, 10**6]), seed=st.integers(0, 99))
@few
def test_the_gram_matrices_do_not_depend_on_the_blocks(n_points, entries, seed):
    stream = torch.Generator().manual_seed(seed)
    small, large = torch.randn(n_points, 3, generator=stream), torch.randn(n_points, 8, generator=stream)
    grams = displacement_grams(lambda i: [small[i], large[i]], n_points, block_entries=entries)
    for gram, points in zip(grams, (small, large), strict=True):
        moved = (points.double() - points[0].double()).numpy()
        np.testing.assert_allclose(gram, moved @ moved.T, rtol=1e-12, atol=1e-12)


def test_no_more_than_two_blocks_of_points_are_read_for_one_piece():
    reads = []

    def read(i: int) -> list[torch.Tensor]:
        reads.append(i)
        return [torch.full((4,), float(i))]

    (gram,) = displacement_grams(read, 5, block_entries=8)  # blocks of two points
    assert reads == [0, 0, 1, 2, 3, 4, 2, 3, 4, 4]
    np.testing.assert_array_equal(gram, 4.0 * np.outer(range(5), range(5)))


@given(n=st.integers(3, 12), d=st.integers(1, 15), seed=st.integers(0, 99))
@few
def test_shares_steps_and_coordinates_are_those_of_the_points(n, d, seed):
    points = np.random.default_rng(seed).standard_normal((n, d))
    gram = gram_of(points - points[0])
    shares = pca_shares(points)
    np.testing.assert_allclose(component_shares(gram)[: len(shares)], shares, atol=1e-12)
    np.testing.assert_allclose(squared_steps(gram), (np.diff(points, axis=0) ** 2).sum(axis=1), rtol=1e-9)
    placed = component_coordinates(gram, n)
    distances = ((points[:, None] - points) ** 2).sum(axis=2)
    np.testing.assert_allclose(((placed[:, None] - placed) ** 2).sum(axis=2), distances, atol=1e-9)
    assert (placed[-1] >= placed[0]).all()


def test_a_straight_line_has_one_component_and_a_circle_two_equal_ones():
    t = np.linspace(0, 1, 40)[:, None]
    assert component_shares(gram_of(t * np.ones((1, 7))))[0] == pytest.approx(1)
    angle = 2 * np.pi * np.arange(40) / 40
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert component_shares(gram_of(circle))[:3] == pytest.approx([0.5, 0.5, 0])


def test_a_path_that_stands_still_has_no_shares():
    assert component_shares(np.zeros((5, 5))) is None


@pytest.mark.parametrize("n", [2, 3, 12, 65])
def test_a_walk_of_equal_steps_has_the_eigenvalues_of_a_path(n):
    j = np.arange(1, n)
    expected = 1 / (4 * np.sin(np.pi * j / (2 * n)) ** 2)
    found = component_shares(walk_gram(np.full(n - 1, 2.0)))
    np.testing.assert_allclose(found[:-1], expected / expected.sum(), rtol=1e-9)


@pytest.mark.parametrize("n", [50, 65, 400])
def test_a_long_walk_of_equal_steps_has_the_published_shares(n):
    found = component_shares(walk_gram(np.ones(n - 1)))[:3]
    assert found == pytest.approx([0.608, 0.152, 0.068], abs=1e-3)
    assert found == pytest.approx([6 / np.pi**2 / j**2 for j in (1, 2, 3)], abs=1e-3)


LOG_SPACED = np.unique(np.logspace(0, np.log10(40_000), 65).round()).astype(int)


def test_log_spaced_looks_at_a_steady_walk_give_sixty_five_percent():
    assert component_shares(walk_gram(np.diff(LOG_SPACED).astype(float)))[0] == pytest.approx(0.65, abs=0.01)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_expected_shares_are_those_of_a_simulated_walk_with_the_same_steps(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.lognormal(0, 1, 39)
    steps = rng.standard_normal((39, 20_000))
    steps *= lengths[:, None] / np.linalg.norm(steps, axis=1, keepdims=True)
    walk = np.vstack([np.zeros(20_000), steps.cumsum(axis=0)])
    found = component_shares(walk_gram(lengths**2))[:3]
    assert component_shares(gram_of(walk))[:3] == pytest.approx(found, abs=0.02)


def decaying_walk(steps: np.ndarray, rate: float, start: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of a walk with unit noise and decay at each optimizer step, seen at `steps`; factors between them."""
    rng, dimension = np.random.default_rng(seed), 10_000
    retained = (1 - rate) ** np.diff(steps)
    points = [start * rng.standard_normal(dimension) / dimension**0.5]
    for factor in retained:
        scale = ((1 - factor**2) / (1 - (1 - rate) ** 2) / dimension) ** 0.5
        points.append(factor * points[-1] + scale * rng.standard_normal(dimension))
    return np.array(points), retained


@pytest.mark.parametrize("start", [0.0, 30.0, 200.0])
def test_the_expected_shares_of_a_walk_with_decay_are_those_of_its_simulation(start):
    points, retained = decaying_walk(LOG_SPACED, 1e-3, start, 3)
    gram = gram_of(points)
    lengths = squared_steps(gram)
    expected = component_shares(walk_gram(lengths, retained=retained, start=float(points[0] @ points[0])))
    assert component_shares(gram)[:3] == pytest.approx(expected[:3], abs=0.02)


def test_decay_keeps_the_first_share_of_a_log_spaced_walk_far_below_that_of_a_free_one():
    points, _ = decaying_walk(LOG_SPACED, 1e-3, 0.0, 4)
    gram = gram_of(points)
    assert component_shares(gram)[0] < 0.2
    assert component_shares(walk_gram(squared_steps(gram)))[0] > 0.6
