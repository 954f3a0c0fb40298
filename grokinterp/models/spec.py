"""What a network's weights are called, their shapes and roles, and how their initial values are drawn."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from grokinterp.seeding import generator

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class WeightSpec:
    """Shape of one tensor, what it is for, and its distribution at initialisation.

    role: embedding, position, attention, mlp, recurrent, unembedding or norm.
    init: normal with standard deviation `scale`, uniform in (-scale, scale), all 0 or all 1.
    """

    shape: tuple[int, ...]
    role: str
    init: Literal["normal", "uniform", "zeros", "ones"] = "zeros"
    scale: float = 1.0
    bias: bool = False


def is_bias(name: str) -> bool:
    """Whether the tensor called `name` is added and not multiplied (a bias of a head is a matrix by shape)."""
    last = name.rpartition(".")[2]
    return last == "b" or last.startswith("b_")


def draw_weights(specs: dict[str, WeightSpec], seed: int, factor: float, dtype: torch.dtype) -> Weights:
    """Initial weights, drawn on the CPU in float64 in the order of the specs, times `factor`, and then cast."""
    stream = generator("init", seed)
    return {name: _draw(spec, stream, factor).to(dtype) for name, spec in specs.items()}


def _draw(spec: WeightSpec, stream: torch.Generator, factor: float) -> Tensor:
    match spec.init:
        case "zeros":
            return torch.zeros(spec.shape, dtype=torch.float64)
        case "ones":
            return torch.ones(spec.shape, dtype=torch.float64)
        case "normal":
            drawn = torch.randn(spec.shape, dtype=torch.float64, generator=stream)
        case "uniform":
            drawn = 2 * torch.rand(spec.shape, dtype=torch.float64, generator=stream) - 1
    return drawn * (spec.scale * factor)
