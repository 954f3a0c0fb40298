"""Dropout from a generator of its own, so that a resumed run drops the same."""

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.seeding import generator


class Dropout:
    """x -> x m / (1 - rate), m 0 with probability `rate` and else 1, drawn anew at each call.

    The masks are drawn on the CPU: slower on a GPU, and the same there.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self.rate, self.generator = rate, generator("dropout", seed)

    def __call__(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Some entries 0, the others larger."""
        kept = torch.rand(x.shape, generator=self.generator) >= self.rate
        return x * kept.to(x.device) / (1 - self.rate)
