"""What both engines offer: logits of pairs at the last position, from a dict of weights."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.config import LSTMConfig, MLPConfig, ModelConfig, why_not_fast
from grokinterp.models.activations import Activations
from grokinterp.models.fast_forward import FastForward
from grokinterp.models.lstm import LSTMForward
from grokinterp.models.mlp import MLPForward
from grokinterp.models.spec import Weights
from grokinterp.tasks.layouts import Layout


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


def build_forward(
    config: ModelConfig,
    layout: Layout,
    n_answers: int,
    *,
    engine: str = "auto",
    dtype: torch.dtype = torch.float32,
) -> Forward:
    """The engine called `engine`; auto takes the fast one where it applies. An MLP or an LSTM has one alone.

    Raises:
        ValueError: engine "fast" for a transformer with LayerNorm.
    """
    match config:
        case MLPConfig():
            return MLPForward(config, layout)
        case LSTMConfig():
            return LSTMForward(config, layout)
    if engine == "auto":
        engine = "fast" if why_not_fast(config) is None else "hooked"
    if engine == "fast":
        return FastForward(config, layout)
    from grokinterp.models.transformer import HookedForward, build_hooked

    return HookedForward(build_hooked(config, layout, n_answers, dtype), layout)
