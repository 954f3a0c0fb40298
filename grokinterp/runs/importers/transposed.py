"""The layout of Nanda et al.'s own transformer, which Zhong et al. took over: most matrices transposed.

| theirs | ours |
|---|---|
| embed.W_E (d, vocab) | its transpose |
| pos_embed.W_pos (ctx, d) | the same |
| blocks.i.attn.W_Q, W_K, W_V (heads, d_head, d) | (heads, d, d_head) |
| blocks.i.attn.W_O (d, heads d_head) | (heads, d_head, d) |
| blocks.i.mlp.W_in (d_mlp, d), W_out (d, d_mlp) | their transposes |
| blocks.i.mlp.b_in, b_out | the same |
| unembed.W_U (d, outputs) | the same |

Attention and unembedding have no biases; ours are zero. blocks.i.attn.mask, a buffer, is left out.

**Known values:** the published networks C113 and pizza A give their published losses after it (tests/test_foreign*.py).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import Weights
from grokinterp.runs.importers.fields import tensor_of

LANDMARKS = ("embed.W_E", "pos_embed.W_pos", "unembed.W_U", "blocks.0.attn.W_O", "blocks.0.mlp.W_in")


def is_transposed(state: Mapping[str, Any]) -> bool:
    """Whether a state_dict is in this layout: its names are there, and W_O has its heads flattened."""
    found = [state.get(name) for name in LANDMARKS]
    return all(isinstance(value, Tensor) and value.dim() == 2 for value in found)


def transposed_model(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the model section that the shapes say.

    Raises:
        GrokinterpError: a tensor is missing or has another number of dimensions.
    """
    heads, d_head, d_model = tensor_of(state, "blocks.0.attn.W_Q", 3).shape
    d_mlp = tensor_of(state, "blocks.0.mlp.W_in", 2).shape[0]
    shape = {"n_layers": count_blocks(state), "d_model": d_model, "n_heads": heads, "d_head": d_head, "d_mlp": d_mlp}
    return {"kind": "transformer", **shape, "biases": "mlp", "init": "nanda"}


def transposed_weights(state: Mapping[str, Any]) -> Weights:
    """The weights under TransformerLens's names; every output of W_U is kept.

    Raises:
        GrokinterpError: a tensor is missing, or is none of this layout.
    """
    w_u = tensor_of(state, "unembed.W_U", 2)
    weights = {
        "embed.W_E": tensor_of(state, "embed.W_E", 2).T.contiguous(),
        "pos_embed.W_pos": tensor_of(state, "pos_embed.W_pos", 2).contiguous(),
        "unembed.W_U": w_u.contiguous(),
        "unembed.b_U": w_u.new_zeros(w_u.shape[1]),
    }
    for block in range(count_blocks(state)):
        weights |= _attention(state, f"blocks.{block}.attn.") | _mlp(state, f"blocks.{block}.mlp.")
    return weights


def count_blocks(state: Mapping[str, Any]) -> int:
    """How many blocks the names speak of.

    >>> count_blocks({"blocks.0.mlp.W_in": 0, "blocks.1.mlp.W_in": 0, "embed.W_E": 0})
    2
    """
    numbers = {name.split(".")[1] for name in state if name.startswith("blocks.") and name.count(".") > 1}
    return len([number for number in numbers if number.isdigit()])


def _attention(state: Mapping[str, Any], prefix: str) -> Weights:
    found, w_o = {}, tensor_of(state, prefix + "W_O", 2)
    heads, d_head, d_model = tensor_of(state, prefix + "W_Q", 3).shape
    if tuple(w_o.shape) != (d_model, heads * d_head):
        raise GrokinterpError(
            f"{prefix}W_O is {tuple(w_o.shape)}, but W_Q {(heads, d_head, d_model)} asks for "
            f"{(d_model, heads * d_head)}; the file is damaged, get it again"
        )
    for name in "QKV":
        found[prefix + f"W_{name}"] = tensor_of(state, prefix + f"W_{name}", 3).transpose(1, 2).contiguous()
        found[prefix + f"b_{name}"] = w_o.new_zeros(heads, d_head)
    found[prefix + "W_O"] = w_o.T.reshape(heads, d_head, d_model).contiguous()
    found[prefix + "b_O"] = w_o.new_zeros(d_model)
    return found


def _mlp(state: Mapping[str, Any], prefix: str) -> Weights:
    found: dict[str, torch.Tensor] = {}
    for name in ("in", "out"):
        found[prefix + f"W_{name}"] = tensor_of(state, prefix + f"W_{name}", 2).T.contiguous()
        found[prefix + f"b_{name}"] = tensor_of(state, prefix + f"b_{name}", 1).contiguous()
    return found
