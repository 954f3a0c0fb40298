"""What is done to the weights beside the optimizer's step: noise, sharpness-aware steps, a fixed norm."""

import math
from typing import Any

import torch
from torch import Tensor

from grokinterp.models.spec import Weights
from grokinterp.seeding import generator


class GaussianNoise:
    """Independent normal numbers of standard deviation `scale` for each entry of some weights, drawn anew each time.

    They come from a stream of their own, and from the CPU in float64, so that runs of either dtype and on
    any device have the same noise.
    """

    def __init__(self, purpose: str, seed: int, scale: float, weights: Weights) -> None:
        """`weights` give names, shapes, dtypes and devices."""
        self._scale, self._weights = scale, weights
        self._generator = generator(purpose, seed)

    def draw(self) -> Weights:
        """A fresh draw for each weight."""
        return {name: self._draw_like(weight) for name, weight in self._weights.items()}

    def _draw_like(self, weight: Tensor) -> Tensor:
        drawn = torch.randn(weight.shape, dtype=torch.float64, generator=self._generator)
        return drawn.mul_(self._scale).to(weight.device, weight.dtype)

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        return {"generator": self._generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the noise whose `state` this is."""
        self._generator.set_state(state["generator"])


def sam_offsets(gradients: Weights, rho: float) -> Weights:
    """The step of length `rho` up the gradient, rho g / ||g||, with the norm over all weights together.

    Nothing where the gradient is 0.

    **Paper:** Foret et al. 2021 (2010.01412), equation 2, p = 2.
    **Differs:** common code adds 1e-12 to the norm, which matters once a network is sure: gradients become as small.
    **Known values:** sgd on a quadratic x.Ax / 2 goes to x - lr A (x + rho Ax / ||Ax||).
    """
    norm = total_norm(gradients)
    if norm == 0:
        return {}
    return {name: gradient * (rho / norm) for name, gradient in gradients.items()}


class FixedNorm:
    """All weights together, rescaled to the L2 norm that they have now.

        w <- w ||w_0|| / ||w||

    **Paper:** Liu et al. 2023 (Omnigrok, 2210.01117), the runs at constant weight norm.
    **Differs:** biases count; theirs are of networks where all parameters are trained, so all of them count there too.
    **Known values:** the norm stays to the rounding of the weights.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights, self._norm = weights, total_norm(weights)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the norm back; weights that are all 0 stay so."""
        norm = total_norm(self._weights)
        if norm:
            for weight in self._weights.values():
                weight.mul_(self._norm / norm)

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        return {"norm": self._norm}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the norm in `state`."""
        self._norm = state["norm"]


def total_norm(tensors: Weights) -> float:
    """The L2 norm of all tensors together, in float64."""
    return math.sqrt(sum(float(t.detach().double().square().sum()) for t in tensors.values()))
