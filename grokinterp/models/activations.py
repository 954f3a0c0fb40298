"""What one forward leaves behind."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Activations:
    """All at the last position of the last block.

    neurons: what the logits are read from: post-activation MLP neurons (hook `mlp.hook_post`), or an
        LSTM's hidden state.
    pattern: attention of the last position to each position (hook `attn.hook_pattern`); no heads where
        there is no attention.
    """

    logits: Float[Tensor, "batch d_vocab_out"]
    neurons: Float[Tensor, "batch d_mlp"]
    pattern: Float[Tensor, "batch n_heads n_ctx"]
