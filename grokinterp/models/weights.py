"""The flat dict of weights: names, shapes, roles and initialisation schemes.

Names and the row-vector convention are TransformerLens's, so that any HookedTransformer of the same
shape loads the dict. Every bias is in it; those that are not trained stay zero.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from grokinterp.config import ModelConfig
from grokinterp.seeding import generator
from grokinterp.tasks.layouts import Layout

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class WeightSpec:
    """Shape of one tensor and what it is for.

    role: embedding, position, attention, mlp, unembedding or norm.
    """

    shape: tuple[int, ...]
    role: str
    bias: bool = False


def weight_specs(config: ModelConfig, layout: Layout, n_answers: int) -> dict[str, WeightSpec]:
    """Every tensor of the model by name, in TransformerLens's order."""
    d, heads, d_head, d_mlp = config.d_model, config.n_heads, config.head_width, config.mlp_width
    specs = {
        "embed.W_E": WeightSpec((layout.d_vocab, d), "embedding"),
        "pos_embed.W_pos": WeightSpec((layout.n_ctx, d), "position"),
    }
    for block in range(config.n_layers):
        attn, mlp = f"blocks.{block}.attn.", f"blocks.{block}.mlp."
        if config.normalization == "LN":
            specs |= _norm_specs(f"blocks.{block}.ln1", d) | _norm_specs(f"blocks.{block}.ln2", d)
        for name in "QKV":
            specs[attn + f"W_{name}"] = WeightSpec((heads, d, d_head), "attention")
        specs[attn + "W_O"] = WeightSpec((heads, d_head, d), "attention")
        for name in "QKV":
            specs[attn + f"b_{name}"] = WeightSpec((heads, d_head), "attention", bias=True)
        specs[attn + "b_O"] = WeightSpec((d,), "attention", bias=True)
        specs[mlp + "W_in"] = WeightSpec((d, d_mlp), "mlp")
        specs[mlp + "b_in"] = WeightSpec((d_mlp,), "mlp", bias=True)
        specs[mlp + "W_out"] = WeightSpec((d_mlp, d), "mlp")
        specs[mlp + "b_out"] = WeightSpec((d,), "mlp", bias=True)
    if config.normalization == "LN":
        specs |= _norm_specs("ln_final", d)
    specs["unembed.W_U"] = WeightSpec((d, n_answers), "unembedding")
    specs["unembed.b_U"] = WeightSpec((n_answers,), "unembedding", bias=True)
    return specs


def _norm_specs(prefix: str, d_model: int) -> dict[str, WeightSpec]:
    return {
        f"{prefix}.w": WeightSpec((d_model,), "norm"),
        f"{prefix}.b": WeightSpec((d_model,), "norm", bias=True),
    }


def is_trained(spec: WeightSpec, config: ModelConfig) -> bool:
    """Whether training changes the tensor; decided by its role, never by its name."""
    if not spec.bias or spec.role == "norm":
        return True
    return config.biases == "all" or (config.biases == "mlp" and spec.role == "mlp")


def is_bias(name: str) -> bool:
    """Whether the tensor called `name` is added and not multiplied (a bias of a head is a matrix by shape)."""
    last = name.rpartition(".")[2]
    return last == "b" or last.startswith("b_")


def init_weights(config: ModelConfig, layout: Layout, n_answers: int, dtype: torch.dtype = torch.float32) -> Weights:
    """Initial weights, drawn on the CPU in float64 from `config.init_seed` and then cast.

    Biases are zero and LayerNorm scales one. The standard deviations of the schemes:

    tl: 0.8 / sqrt(d_model) for every matrix (HookedTransformer's default before 4.0).
    nanda: 1 / sqrt(d_model), and 1 / sqrt(d_vocab) for W_U (Nanda et al. 2023, their code).
    """
    stream = generator("init", config.init_seed)
    weights = {}
    for name, spec in weight_specs(config, layout, n_answers).items():
        if spec.bias:
            value = torch.zeros(spec.shape, dtype=torch.float64)
        elif spec.role == "norm":
            value = torch.ones(spec.shape, dtype=torch.float64)
        else:
            draw = torch.randn(spec.shape, dtype=torch.float64, generator=stream)
            value = draw * _init_std(config, spec, layout.d_vocab)
        weights[name] = value.to(dtype)
    return weights


def _init_std(config: ModelConfig, spec: WeightSpec, d_vocab: int) -> float:
    if config.init == "tl":
        return 0.8 / math.sqrt(config.d_model)
    return 1 / math.sqrt(d_vocab if spec.role == "unembedding" else config.d_model)
