import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import positive_matrix, quadratic
from trust_region import largest_in_ball

from grokinterp.landscape.ball import value_and_gradient, worst_in_ball

few = settings(derandomize=True, deadline=None, max_examples=10)


def normal(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def worst(function, x0, scale=None, *, radius: float, steps: int = 300, seed: int = 0):
    start, gradient = value_and_gradient(function, x0)
    scale = torch.ones_like(x0) if scale is None else scale
    return worst_in_ball(function, x0, gradient, scale, start=start, radius=radius, n_steps=steps, seed=seed)


@given(n=st.integers(1, 8), radius=st.sampled_from([0.01, 0.5, 20.0]), seed=st.integers(0, 99))
@few
def test_one_step_and_the_maximum_of_a_quadratic_are_exact_in_any_metric(n, radius, seed):
    matrix, centre, x0, scale = (
        positive_matrix(n, seed),
        normal(n, seed + 1),
        normal(n, seed + 2),
        normal(n, seed).abs(),
    )
    f = quadratic(matrix, centre)
    g, bent = scale * (matrix @ (x0 - centre)), scale[:, None] * matrix * scale
    one_step = float(radius * g.norm() + radius**2 / 2 * (g @ bent @ g) / (g @ g))
    found = worst(f, x0, scale, radius=radius, steps=1)
    assert found.start == pytest.approx(float(f(x0)))
    assert found.one_step - found.start == pytest.approx(one_step)
    assert found.worst == found.one_step
    most = worst(f, x0, scale, radius=radius, steps=800)
    assert most.worst - most.start == pytest.approx(largest_in_ball(bent, g, radius), rel=1e-6)


@pytest.mark.parametrize("seed", [1, 2])
def test_at_a_minimum_the_maximum_is_half_radius_squared_times_the_top_eigenvalue(seed):
    matrix = positive_matrix(6, seed)
    found = worst(quadratic(matrix, normal(6, 3)), normal(6, 3), radius=0.4)
    assert found.worst == pytest.approx(0.5 * 0.16 * float(torch.linalg.eigvalsh(matrix)[-1]))
    assert 0 < found.one_step < found.worst


def test_for_a_convex_function_more_steps_are_never_worse():
    f = quadratic(positive_matrix(10, 4), normal(10, 5))
    values = [worst(lambda x: torch.exp(f(x)), normal(10, 6), radius=0.3, steps=n).worst for n in (1, 2, 4, 16)]
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_a_place_that_only_goes_down_is_its_own_worst_case():
    f = quadratic(-positive_matrix(5, 1))
    found = worst(f, torch.zeros(5, dtype=torch.float64), radius=0.5)
    assert found.worst == found.start == 0
    assert found.one_step < 0


def test_entries_of_scale_zero_do_not_move_and_none_at_all_leave_the_loss_alone():
    f = quadratic(torch.diag(torch.tensor([1.0, 9.0], dtype=torch.float64)))
    x0 = torch.tensor([2.0, 3.0], dtype=torch.float64)
    found = worst(f, x0, torch.tensor([1.0, 0.0], dtype=torch.float64), radius=0.5)
    assert found.worst - found.start == pytest.approx(0.5 * (2.5**2 - 2**2))
    still = worst(f, x0, torch.zeros(2, dtype=torch.float64), radius=0.5)
    assert still.worst == still.one_step == still.start
    minimum = worst(f, torch.zeros(2, dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64), radius=0.5)
    assert minimum.worst == pytest.approx(0.125)


def test_the_direction_where_there_is_no_gradient_depends_on_the_seed_alone():
    f = quadratic(positive_matrix(6, 2))
    zero = torch.zeros(6, dtype=torch.float64)
    one, again, other = (worst(f, zero, radius=1.0, steps=1, seed=seed).worst for seed in (3, 3, 4))
    assert one == again
    assert one != other
