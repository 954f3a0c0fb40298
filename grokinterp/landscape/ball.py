"""The worst loss in a ball around a network: what SAM descends on, with or without scale invariance."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.seeding import generator


@dataclass(frozen=True)
class WorstInBall:
    """Losses at the centre, after one step (SAM) and the largest found; all in the function's unit."""

    start: float
    one_step: float
    worst: float


@runtime_checkable
class HandDifferentiated(Protocol):
    """A function that has its value and its gradient without autograd."""

    def value(self, flat: Float[Tensor, " n"]) -> float:
        """f."""
        ...

    def value_and_gradient(self, flat: Float[Tensor, " n"]) -> tuple[float, Float[Tensor, " n"]]:
        """f and its gradient."""
        ...


def value_at(function: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """f at x."""
    if isinstance(function, HandDifferentiated):
        return function.value(x)
    with torch.no_grad():
        return float(function(x))


def value_and_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[float, Tensor]:
    """f and its gradient at x, by f's own means where it has them, by autograd otherwise."""
    if isinstance(function, HandDifferentiated):
        return function.value_and_gradient(x)
    point = x.detach().requires_grad_()
    value = function(point)
    (gradient,) = torch.autograd.grad(value, point)
    return float(value.detach()), gradient


def worst_in_ball(
    function: Callable[[Tensor], Tensor],
    x0: Float[Tensor, " n"],
    gradient: Float[Tensor, " n"],
    scale: Float[Tensor, " n"],
    *,
    start: float,
    radius: float,
    n_steps: int,
    seed: int,
) -> WorstInBall:
    """max f(x0 + T z) over |z|_2 <= radius, T = diag(scale), by projected gradient ascent.

    z_1 = radius T g / |T g| with g the gradient at x0, the one step of SAM (T = 1) and ASAM (T = |w|); then
    z_{t+1} = radius T g_t / |T g_t|, g_t the gradient at x0 + T z_t: ascent with an infinite step, projected
    on the sphere. For convex f no step goes down. The largest value seen is kept, the centre's among them, so
    the result is a lower bound of the maximum. Where T g is zero, z_1 is a seeded random direction.

    Args:
        function: f, differentiable, of a flat vector.
        x0: Centre.
        gradient: Of f at x0, computed once for all balls.
        scale: T's diagonal.
        start: f(x0).
        radius: rho, in units of the scale.
        n_steps: Points on the sphere that are looked at; 1 is SAM's.
        seed: Of the direction where there is no gradient.

    **Paper:** Foret et al. 2021 (arXiv 2010.01412), equation 2; Kwon et al. 2021 (2102.11600), T_w.
    **Differs:** they take one step; this goes on.
    **Known values:** f = (x-m)^T A (x-m) / 2, T = 1, g = A (x0-m): one step raises f by
    radius |g| + radius^2 g^T A g / (2 |g|^2); at x0 = m the maximum is radius^2 lambda_max / 2.
    """
    best, one_step, slope = start, start, gradient
    for step in range(n_steps):
        direction = scale * slope
        length = direction.double().norm()
        if not length > 0:
            if step or not scale.any():
                break  # f is flat here, or nothing may move
            draw = torch.randn(len(x0), generator=generator("ball", seed), dtype=torch.float64)
            direction = draw.to(x0) * (scale > 0)
            length = direction.double().norm()
        point = x0 + scale * (direction / length.to(x0.dtype) * radius)
        if step == n_steps - 1:
            value = value_at(function, point)
        else:
            value, slope = value_and_gradient(function, point)
        one_step = value if step == 0 else one_step
        best = max(best, value)
    return WorstInBall(start, one_step, best)
