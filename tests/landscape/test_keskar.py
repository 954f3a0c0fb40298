import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import orthonormal_rows, positive_matrix, quadratic

from grokinterp.landscape.keskar import keskar_phi, random_rows

few = settings(derandomize=True, deadline=None, max_examples=8)


def normal(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def phi_of(function, x0, rows, *, epsilon=1e-2, corners=2, iterations=30, evaluations=60, seed=0):
    return keskar_phi(
        function,
        x0,
        rows,
        epsilon=epsilon,
        n_corners=corners,
        max_iterations=iterations,
        max_evaluations=evaluations,
        seed=seed,
    )


@given(h=st.sampled_from([0.3, 2.0, 50.0]), dim=st.integers(1, 4), n=st.integers(4, 9), seed=st.integers(0, 99))
@few
def test_phi_of_an_isotropic_quadratic_is_the_closed_form(h, dim, n, seed):
    x0, rows, epsilon = normal(n, seed), orthonormal_rows(dim, n, seed + 1), 1e-2
    c = (rows @ x0).abs()
    r = epsilon * (c + 1)
    expected = 100 * (h / 2) * float((2 * c * r + r**2).sum()) / (1 + h * float(x0 @ x0) / 2)
    found = phi_of(quadratic(h * torch.eye(n, dtype=torch.float64)), x0, rows, epsilon=epsilon, corners=40)
    assert found.phi == pytest.approx(expected, rel=1e-9)


def best_corner(function, x0, rows, epsilon) -> float:
    """The largest value over all 2^dim corners of the box, one by one."""
    radius = epsilon * ((rows @ x0).abs() + 1)
    inverse = torch.linalg.pinv(rows)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=len(radius))), dtype=torch.float64)
    return max(float(function(x0 + inverse @ (s * radius))) for s in signs)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_phi_of_a_convex_quadratic_is_its_best_corner_in_ten_dimensions(seed):
    f = quadratic(20 * positive_matrix(15, seed), normal(15, seed + 10))
    x0, rows = normal(15, seed + 20), random_rows(10, 15, seed)
    best = best_corner(f, x0, rows, 0.05)
    found = phi_of(f, x0, rows, epsilon=0.05, corners=20, seed=seed)
    start = float(f(x0))
    assert found.f_start == pytest.approx(start)
    assert found.f_max == pytest.approx(best, rel=1e-9)
    assert found.phi == pytest.approx(100 * (best - start) / (1 + start), rel=1e-8)


def test_corners_find_what_a_start_at_a_minimum_cannot():
    f = quadratic(torch.diag(torch.tensor([5.0, 1.0, 0.5], dtype=torch.float64)))
    x0, rows = torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    assert phi_of(f, x0, rows, corners=0).phi == 0
    assert phi_of(f, x0, rows, epsilon=0.1, corners=1).phi == pytest.approx(100 * 0.5 * 6.5 * 0.01)


@pytest.mark.parametrize("iterations", [1, 10])
def test_phi_is_never_negative_even_where_every_direction_goes_down(iterations):
    f = quadratic(-positive_matrix(6, 4))
    rows = random_rows(3, 6, 7)
    found = phi_of(lambda x: 30 + f(x), torch.zeros(6, dtype=torch.float64), rows, iterations=iterations)
    assert found.phi == 0
    assert found.f_max == found.f_start == 30


def test_phi_uses_the_pseudo_inverse_for_rows_that_are_not_orthogonal():
    rows = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]], dtype=torch.float64)
    x0 = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    f = quadratic(torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)))
    found = phi_of(f, x0, rows, epsilon=0.1, corners=10)
    assert found.f_max == pytest.approx(best_corner(f, x0, rows, 0.1))


def test_each_start_keeps_to_its_evaluations():
    calls = []
    f = quadratic(positive_matrix(8, 3))

    def counted(x):
        calls.append(1)
        return torch.sin(f(x))

    found = phi_of(counted, normal(8, 1), random_rows(4, 8, 2), corners=3, evaluations=5, iterations=100)
    assert found.n_evaluations == len(calls)
    assert len(calls) <= 1 + 4 * (5 + 20)  # a line search that has begun is finished


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e6])
def test_a_tiny_loss_is_climbed_in_as_few_evaluations_as_a_large_one(factor):
    """As on a grokked network: without scaling, first steps as small as the gradient use up all evaluations."""
    f = quadratic(factor * positive_matrix(12, 5), normal(12, 6))
    x0, rows = normal(12, 7), random_rows(4, 12, 8)
    found = phi_of(f, x0, rows, corners=4, iterations=10, evaluations=10)
    assert found.f_max == pytest.approx(best_corner(f, x0, rows, 1e-2), rel=1e-9)
    assert found.n_evaluations <= 5 * 4


def test_rows_have_length_one_and_depend_on_the_seed_alone():
    rows = random_rows(10, 50, 3)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(10, dtype=torch.float64))
    assert torch.equal(rows, random_rows(10, 50, 3))
    assert not torch.allclose(rows, random_rows(10, 50, 4))
    uniform = rows / rows.abs().amax(dim=1, keepdim=True)
    assert float(uniform.abs().mean()) == pytest.approx(0.5, abs=0.06)  # U(-1, 1); a Gaussian's is far lower
