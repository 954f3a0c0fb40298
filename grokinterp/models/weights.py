"""The flat dict of weights of any architecture: names, shapes, roles and initial values.

Names and the row-vector convention are TransformerLens's where it has a counterpart, so that any
HookedTransformer of the same shape loads the dict. Every bias is in it; those that are not trained stay zero.
"""

import math

import torch

from grokinterp.config import LSTMConfig, MLPConfig, ModelConfig, RunConfig, TransformerConfig
from grokinterp.models.lstm import lstm_specs
from grokinterp.models.mlp import mlp_specs
from grokinterp.models.spec import Weights, WeightSpec, draw_weights, is_bias
from grokinterp.tasks import Task
from grokinterp.tasks.layouts import Layout

__all__ = ["WeightSpec", "Weights", "init_weights", "is_bias", "is_trained", "n_outputs", "weight_specs"]


def weight_specs(config: ModelConfig, layout: Layout, n_answers: int) -> dict[str, WeightSpec]:
    """Every tensor of the model by name."""
    match config:
        case MLPConfig():
            return mlp_specs(config, layout, n_answers)
        case LSTMConfig():
            return lstm_specs(config, layout, n_answers)
    return transformer_specs(config, layout, n_answers)


def n_outputs(config: RunConfig, task: Task) -> int:
    """Columns of W_U: the answers, or the whole vocabulary where every next token is learned."""
    whole = config.train.loss_on == "sequence"
    return max(task.n_answers, task.layout.d_vocab) if whole else task.n_answers


def transformer_specs(config: TransformerConfig, layout: Layout, n_answers: int) -> dict[str, WeightSpec]:
    """Every tensor of a transformer, in TransformerLens's order.

    LayerNorm is ln1 and ln2 of a block and ln_final; of post-LN, ln1 after attention and ln2 after the MLP, as
    TransformerLens calls them in a BertBlock, and no ln_final.
    Biases are zero and LayerNorm scales one at initialisation; the standard deviations of the schemes:

    tl: 0.8 / sqrt(d_model) for every matrix (HookedTransformer's default before 4.0).
    nanda: 1 / sqrt(d_model), and 1 / sqrt(d_vocab) for W_U (Nanda et al. 2023, their code).
    """
    d, heads, d_head, d_mlp = config.d_model, config.n_heads, config.head_width, config.mlp_width
    std = (0.8 if config.init == "tl" else 1.0) / math.sqrt(d)
    std_u = std if config.init == "tl" else 1 / math.sqrt(layout.d_vocab)

    def matrix(*shape: int, role: str, std: float = std) -> WeightSpec:
        return WeightSpec(shape, role, "normal", std)

    def bias(*shape: int, role: str) -> WeightSpec:
        return WeightSpec(shape, role, bias=True)

    specs = {
        "embed.W_E": matrix(layout.d_vocab, d, role="embedding"),
        "pos_embed.W_pos": matrix(layout.n_ctx, d, role="position"),
    }
    for block in range(config.n_layers):
        attn, mlp = f"blocks.{block}.attn.", f"blocks.{block}.mlp."
        if config.normalization != "none":
            specs |= _norm_specs(f"blocks.{block}.ln1", d) | _norm_specs(f"blocks.{block}.ln2", d)
        specs |= {attn + f"W_{name}": matrix(heads, d, d_head, role="attention") for name in "QKV"}
        specs[attn + "W_O"] = matrix(heads, d_head, d, role="attention")
        specs |= {attn + f"b_{name}": bias(heads, d_head, role="attention") for name in "QKV"}
        specs[attn + "b_O"] = bias(d, role="attention")
        specs[mlp + "W_in"] = matrix(d, d_mlp, role="mlp")
        specs[mlp + "b_in"] = bias(d_mlp, role="mlp")
        specs[mlp + "W_out"] = matrix(d_mlp, d, role="mlp")
        specs[mlp + "b_out"] = bias(d, role="mlp")
    if config.normalization == "LN":
        specs |= _norm_specs("ln_final", d)
    specs["unembed.W_U"] = matrix(d, n_answers, role="unembedding", std=std_u)
    specs["unembed.b_U"] = bias(n_answers, role="unembedding")
    return specs


def _norm_specs(prefix: str, d_model: int) -> dict[str, WeightSpec]:
    return {
        f"{prefix}.w": WeightSpec((d_model,), "norm", "ones"),
        f"{prefix}.b": WeightSpec((d_model,), "norm", bias=True),
    }


def is_trained(spec: WeightSpec, config: ModelConfig) -> bool:
    """Whether training changes the tensor; decided by its role, never by its name."""
    if not spec.bias or spec.role == "norm":
        return True
    return config.biases == "all" or (config.biases == "mlp" and spec.role == "mlp")


def init_weights(config: ModelConfig, layout: Layout, n_answers: int, dtype: torch.dtype = torch.float32) -> Weights:
    """Initial weights, drawn from `config.init_seed`, times `config.init_scale`.

    The factor is that of Liu et al. 2022 (Omnigrok); it leaves LayerNorm scales alone.
    """
    return draw_weights(weight_specs(config, layout, n_answers), config.init_seed, config.init_scale, dtype)
