"""Weights without structure, of the shape of given ones: what a number means is seen beside theirs.

A tensor of zeros stays zero, so that what the architecture forces (fixed uniform attention, frozen
biases) is in the baseline too.
"""

import torch

from grokinterp.models.weights import Weights
from grokinterp.seeding import generator


def untrained_weights(weights: Weights, seed: int) -> Weights:
    """A new initialisation: W_* Gaussian with standard deviation 0.8 / sqrt(d_model) (the scheme "tl"),
    LayerNorm scales one, biases zero."""
    stream = generator("untrained baseline", seed)
    scale = 0.8 / weights["embed.W_E"].shape[1] ** 0.5
    drawn = {}
    for name, value in weights.items():
        last = name.rpartition(".")[2]
        draw = scale * torch.randn(value.shape, generator=stream, dtype=torch.float64)
        if last.startswith("W_") and value.any():
            drawn[name] = draw.to(value)
        else:
            drawn[name] = torch.ones_like(value) if last == "w" else torch.zeros_like(value)
    return drawn


def shuffled_weights(weights: Weights, seed: int) -> Weights:
    """The entries of each tensor permuted: the same norms, nothing else."""
    stream = generator("shuffled baseline", seed)
    orders = {name: torch.randperm(w.numel(), generator=stream) for name, w in weights.items()}
    return {name: w.flatten()[orders[name].to(w.device)].view(w.shape) for name, w in weights.items()}
