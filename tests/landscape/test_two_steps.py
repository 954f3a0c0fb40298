import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import positive_matrix, quadratic

from grokinterp.landscape.two_steps import gradient, infinitesimal_defect, two_step_defect

few = settings(derandomize=True, deadline=None, max_examples=12)


def normal(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def diagonal(n: int, seed: int) -> torch.Tensor:
    return torch.diag(normal(n, seed).abs() + 0.1)


@given(n=st.integers(2, 9), seed=st.integers(0, 99), eta=st.sampled_from([1e-3, 0.2, 3.0]))
@few
def test_for_quadratics_the_defect_is_the_bracket_of_hessians_and_gradients_at_every_eta(n, seed, eta):
    a, b, x = positive_matrix(n, seed), positive_matrix(n, seed + 1), normal(n, seed + 2)
    loss_a, loss_b = quadratic(a, normal(n, seed + 3)), quadratic(b, normal(n, seed + 4))
    g_a, g_b = a @ (x - normal(n, seed + 3)), b @ (x - normal(n, seed + 4))
    expected = float((b @ g_a - a @ g_b).norm() / g_a.norm() / g_b.norm())
    found = two_step_defect(loss_a, loss_b, x, eta)
    assert found.defect == pytest.approx(expected, rel=1e-8)
    assert found.norm == pytest.approx(float((b @ g_a - a @ g_b).norm()), rel=1e-8)
    assert found.gradient_norms == pytest.approx((float(g_a.norm()), float(g_b.norm())))
    assert infinitesimal_defect(loss_a, loss_b, x).defect == pytest.approx(expected, rel=1e-10)


def bend(matrix: torch.Tensor):
    """A loss that is not quadratic."""
    return lambda x: (matrix @ x).pow(4).sum() + (matrix @ x).cos().sum()


def test_the_defect_is_the_distance_between_the_two_end_points():
    loss_a, loss_b, x, eta = bend(positive_matrix(6, 1)), bend(positive_matrix(6, 2)), normal(6, 3), 0.05
    ends = []
    for first, second in ((loss_a, loss_b), (loss_b, loss_a)):
        middle = x - eta * gradient(first, x)
        ends.append(middle - eta * gradient(second, middle))
    lengths = [eta * float(gradient(loss, x).norm()) for loss in (loss_a, loss_b)]
    expected = float((ends[0] - ends[1]).norm()) / lengths[0] / lengths[1]
    assert two_step_defect(loss_a, loss_b, x, eta).defect == pytest.approx(expected, rel=1e-9)


def test_the_defect_of_smooth_losses_tends_to_its_limit_in_proportion_to_eta():
    loss_a, loss_b, x = bend(positive_matrix(5, 4)), bend(positive_matrix(5, 5)), normal(5, 6)
    limit = infinitesimal_defect(loss_a, loss_b, x).defect
    errors = [abs(two_step_defect(loss_a, loss_b, x, eta).defect - limit) for eta in (1e-5, 1e-6)]
    assert errors[0] > 0
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.05)


@given(n=st.integers(2, 9), seed=st.integers(0, 99))
@few
def test_it_is_zero_for_commuting_hessians_with_a_common_minimiser_and_only_then(n, seed):
    a, b, x, m = diagonal(n, seed), diagonal(n, seed + 1), normal(n, seed + 2), normal(n, seed + 3)
    assert two_step_defect(quadratic(a, m), quadratic(b, m), x, 0.1).defect == pytest.approx(0, abs=1e-10)
    other = normal(n, seed + 4)  # commuting, different minimisers
    expected = float((a @ b @ (m - other)).norm() / (a @ (x - m)).norm() / (b @ (x - other)).norm())
    assert expected > 0
    assert two_step_defect(quadratic(a, m), quadratic(b, other), x, 0.1).defect == pytest.approx(expected, rel=1e-8)
    c = positive_matrix(n, seed + 5)  # a common minimiser, not commuting
    bracket = float(((c @ a - a @ c) @ (x - m)).norm())
    assert bracket > 0
    assert two_step_defect(quadratic(a, m), quadratic(c, m), x, 0.1).norm == pytest.approx(bracket, rel=1e-7)


def test_it_grows_as_gradients_vanish_at_the_same_curvature_but_not_with_the_scale_of_the_loss():
    a, b, x = positive_matrix(5, 1), positive_matrix(5, 2), normal(5, 3)
    far = two_step_defect(quadratic(a), quadratic(b), x, 1e-2)
    near = two_step_defect(quadratic(a), quadratic(b), x / 1000, 1e-2)
    assert near.defect == pytest.approx(1000 * far.defect)
    assert near.norm == pytest.approx(far.norm / 1000)
    assert two_step_defect(quadratic(9 * a), quadratic(9 * b), x, 1e-2).defect == pytest.approx(far.defect)


def test_it_is_null_where_a_gradient_is_zero_or_a_step_is_lost_in_rounding():
    a, b, x = positive_matrix(4, 1), positive_matrix(4, 2), normal(4, 3)
    at_minimum = two_step_defect(quadratic(a, x), quadratic(b), x, 1e-3)
    assert (at_minimum.defect, at_minimum.norm, at_minimum.gradient_norms[0]) == (None, None, 0.0)
    assert infinitesimal_defect(quadratic(a, x), quadratic(b), x).defect is None
    far = x + 1e9
    slopes = [quadratic(matrix, far - 1e-3) for matrix in (a, b)]  # a step of 1e-6 at weights of 1e9
    assert two_step_defect(*slopes, far, 1e-3).defect is None
    assert infinitesimal_defect(*slopes, far).defect is not None


def test_the_start_is_left_as_it_was():
    x = normal(4, 1)
    before = x.clone()
    two_step_defect(quadratic(positive_matrix(4, 1)), quadratic(positive_matrix(4, 2)), x, 0.1)
    assert torch.equal(x, before)
    assert not x.requires_grad
