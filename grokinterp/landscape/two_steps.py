"""Whether two gradient steps commute: the parallelogram of two losses at one point."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Loss = Callable[[Float[Tensor, " n"]], Float[Tensor, ""]]

RESOLUTION = 1e-3
"""Largest rounding error of a step, relative to the step, at which it still counts as taken."""


@dataclass(frozen=True)
class Commutator:
    """Two steps in both orders.

    Attributes:
        defect: |theta_AB - theta_BA| / (|eta g_A| |eta g_B|); None where a gradient vanishes or a step is
            lost in the rounding of the weights.
        norm: |theta_AB - theta_BA| / eta^2, the defect's numerator; None where the defect is.
        gradient_norms: |g_A| and |g_B| at the start.
    """

    defect: float | None
    norm: float | None
    gradient_norms: tuple[float, float]


def gradient(loss: Loss, at: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The gradient of a loss at a point."""
    point = at.detach().requires_grad_(True)
    with torch.enable_grad():
        (found,) = torch.autograd.grad(loss(point), point)
    return found


def two_step_defect(loss_a: Loss, loss_b: Loss, start: Float[Tensor, " n"], eta: float) -> Commutator:
    """How far two plain gradient steps of length eta end apart when their order is exchanged.

    theta_AB is a step on A and then one on B, theta_BA the other order;

        theta_AB - theta_BA = eta {[g_B(theta) - g_B(theta - eta g_A)] - [g_A(theta) - g_A(theta - eta g_B)]},

    which is computed in this form, because the two end points agree in most of their digits. For
    quadratic losses it is eta^2 (H_B g_A - H_A g_B) for every eta.
    """
    g_a, g_b = gradient(loss_a, start), gradient(loss_b, start)
    norms = float(g_a.norm()), float(g_b.norm())
    lost = torch.finfo(start.dtype).eps * float(start.norm())
    resolved = all(0 < norm < torch.inf and lost <= RESOLUTION * eta * norm for norm in norms)
    if not resolved:
        return Commutator(None, None, norms)
    turn_b = g_b - gradient(loss_b, start - eta * g_a)
    turn_a = g_a - gradient(loss_a, start - eta * g_b)
    return _commutator(float((turn_b - turn_a).norm()) / eta, norms)


def infinitesimal_defect(loss_a: Loss, loss_b: Loss, start: Float[Tensor, " n"]) -> Commutator:
    """The limit eta -> 0 of the defect, |H_B g_A - H_A g_B| / (|g_A| |g_B|), by Hessian-vector products.

    It has no cancellation, so it holds for any gradients that are not zero. At the kinks of a ReLU there is no second
    derivative: a step that carries neurons across zero turns the gradient by more than this.
    """
    point = start.detach().requires_grad_(True)
    with torch.enable_grad():
        (g_a,) = torch.autograd.grad(loss_a(point), point, create_graph=True)
        (g_b,) = torch.autograd.grad(loss_b(point), point, create_graph=True)
        (h_b_g_a,) = torch.autograd.grad(g_b @ g_a.detach(), point)
        (h_a_g_b,) = torch.autograd.grad(g_a @ g_b.detach(), point)
    norms = float(g_a.detach().norm()), float(g_b.detach().norm())
    if not all(0 < norm < torch.inf for norm in norms):
        return Commutator(None, None, norms)
    return _commutator(float((h_b_g_a - h_a_g_b).norm()), norms)


def _commutator(norm: float, norms: tuple[float, float]) -> Commutator:
    return Commutator(norm / norms[0] / norms[1], norm, norms)
