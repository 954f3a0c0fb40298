"""What both engines offer: logits of pairs at the last position, from a dict of weights."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.config import ModelConfig
from grokinterp.models.weights import Weights
from grokinterp.tasks.layouts import Layout


@dataclass(frozen=True, eq=False)
class Activations:
    """What one forward leaves behind, all at the last position of the last block.

    neurons: post-activation MLP neurons (hook `mlp.hook_post`).
    pattern: attention of the last position to each position (hook `attn.hook_pattern`).
    """

    logits: Float[Tensor, "batch d_vocab_out"]
    neurons: Float[Tensor, "batch d_mlp"]
    pattern: Float[Tensor, "batch n_heads n_ctx"]


@runtime_checkable
class Forward(Protocol):
    """A function of weights and pairs; it holds no weights itself, so vmap and perturbations apply.

    any_dtype: whether it computes in whatever dtype the weights have, or in one dtype only.
    """

    any_dtype: bool

    def __call__(
        self, weights: Weights, left: Int[Tensor, " batch"], right: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch d_vocab_out"]:
        """Logits at the last position."""
        ...

    def activations(self, weights: Weights, left: Int[Tensor, " batch"], right: Int[Tensor, " batch"]) -> Activations:
        """Logits, neurons and attention at the last position."""
        ...


def fast_applies(config: ModelConfig) -> bool:
    """Whether the fast engine computes this model exactly: any depth and layout, no LayerNorm."""
    return config.normalization == "none"


def build_forward(
    config: ModelConfig,
    layout: Layout,
    n_answers: int,
    *,
    engine: str = "auto",
    dtype: torch.dtype = torch.float32,
) -> Forward:
    """The engine called `engine`; auto takes the fast one where it applies.

    Raises:
        ValueError: engine "fast" for a model with LayerNorm.
    """
    if engine == "auto":
        engine = "fast" if fast_applies(config) else "hooked"
    if engine == "fast":
        from grokinterp.models.fast_forward import FastForward

        return FastForward(config, layout)
    from grokinterp.models.transformer import HookedForward, build_hooked

    return HookedForward(build_hooked(config, layout, n_answers, dtype), layout)
