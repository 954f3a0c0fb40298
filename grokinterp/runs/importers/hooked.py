"""What a HookedTransformer's state_dict says of the network, and what only its config can say."""

import re
from collections.abc import Mapping
from typing import Any, get_args

import torch
from torch import Tensor

from grokinterp.config import ModelConfig, TaskConfig, TransformerConfig
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers.content import without_prefix
from grokinterp.runs.importers.fields import tensor_of
from grokinterp.runs.importers.sections import Sections, section_of
from grokinterp.tasks.layouts import build_layout

LANDMARK = "embed.W_E"
BUFFERS = (".mask", ".IGNORE")
LAYOUTS = {name: build_layout(name, 0) for name in get_args(TaskConfig.model_fields["layout"].annotation)}
"""By name, for no elements: what is left of the vocabulary are the constant tokens."""


def is_hooked(weights: Mapping[str, Tensor] | None) -> bool:
    """Whether these are a HookedTransformer's tensors: per-head matrices, embedding by row."""
    if not weights:
        return False
    named = without_prefix(weights, LANDMARK)
    needed = (LANDMARK, "pos_embed.W_pos", "blocks.0.attn.W_Q", "blocks.0.attn.W_O", "unembed.W_U")
    if not all(name in named for name in needed):
        return False
    shapes = [tuple(named[name].shape) for name in needed]
    embed, pos, query, out, unembed = shapes
    if [len(shape) for shape in shapes] != [2, 2, 3, 3, 2]:
        return False
    return embed[1] == pos[1] == query[1] == out[2] == unembed[0] and query[2] == out[1]


def tensors_of(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The parameters under TransformerLens's names, and notes on what was left out.

    Buffers (the attention mask) are no parameters. A tensor with a name of its own that equals the embedding
    is an alias of it.
    """
    named, notes = without_prefix(weights, LANDMARK), []
    embedding = tensor_of(named, LANDMARK, 2)
    kept = {}
    for name, value in named.items():
        if name.endswith(BUFFERS):
            continue
        if re.match(r"(embed|pos_embed|unembed|ln_final|blocks\.\d+)\.", name):
            kept[name] = value
        elif not torch.equal(value, embedding):
            notes.append(f"the tensor {name} is no part of a HookedTransformer and is left out")
    return kept, notes


def completed(weights: Mapping[str, Tensor], model: ModelConfig) -> dict[str, Tensor]:
    """The weights with zeros for biases, and ones for LayerNorm scales, that the file does not have.

    A HookedTransformer whose LayerNorm was folded ("LNPre") has neither scale nor bias there: 1 and 0.

    Raises:
        GrokinterpError: the model was given as no transformer.
    """
    if not isinstance(model, TransformerConfig):
        raise GrokinterpError(f"the file holds a transformer, not an {model.kind}; leave out --model.kind")
    d, heads, width = model.d_model, model.n_heads, model.head_width
    like = tensor_of(weights, "unembed.W_U", 2)
    full = {"unembed.b_U": like.new_zeros(like.shape[-1])}
    for block in range(model.n_layers):
        attn, mlp = f"blocks.{block}.attn.", f"blocks.{block}.mlp."
        full |= {f"{attn}b_{name}": like.new_zeros(heads, width) for name in "QKV"}
        full |= {f"{attn}b_O": like.new_zeros(d), f"{mlp}b_in": like.new_zeros(model.mlp_width)}
        full[f"{mlp}b_out"] = like.new_zeros(d)
    if model.normalization == "LN":
        norms = [f"blocks.{block}.{name}" for block in range(model.n_layers) for name in ("ln1", "ln2")]
        for norm in (*norms, "ln_final"):
            full |= {f"{norm}.w": like.new_ones(d), f"{norm}.b": like.new_zeros(d)}
    return {**full, **weights}


def architecture(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The model section that the tensors imply: widths, LayerNorm, which biases are set.

    Not whether attention is causal: the mask among the buffers is the same for a bidirectional one, or empty.

    Raises:
        GrokinterpError: a part that no network here has.
    """
    for name in ("blocks.0.attn._W_K", "blocks.0.mlp.W_gate", "blocks.0.ln1_post.w"):
        if name in weights:
            raise GrokinterpError(f"the network has {name}, which no network here has; it can't be imported")
    if "blocks.0.mlp.W_in" not in weights:
        raise GrokinterpError("the network has attention alone; networks here have an MLP in each block")
    heads, d_model, d_head = tensor_of(weights, "blocks.0.attn.W_Q", 3).shape
    return {
        "kind": "transformer",
        "n_layers": 1 + max(int(match[1]) for name in weights if (match := re.match(r"blocks\.(\d+)\.", name))),
        "d_model": d_model,
        "n_heads": heads,
        "d_head": d_head,
        "d_mlp": tensor_of(weights, "blocks.0.mlp.W_in", 2).shape[1],
        "normalization": "LN" if "blocks.0.ln1.w" in weights else "none",
        "biases": biases_of(weights),
    }


def biases_of(weights: Mapping[str, Tensor]) -> str:
    """Which biases are set: none, those of the MLPs alone, or all; LayerNorm's do not count."""
    last = {name: name.rpartition(".")[2] for name in weights}
    in_mlp = any(value.any() for name, value in weights.items() if last[name] in ("b_in", "b_out"))
    others = any(value.any() for name, value in weights.items() if re.fullmatch("b_[QKVOU]", last[name]))
    return "all" if others else "mlp" if in_mlp else "none"


def architecture_of_cfg(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the model section that a HookedTransformerConfig says and shapes do not.

    Raises:
        GrokinterpError: something that no network here has.
    """
    wanted = {
        "act_fn": ("relu", "gelu"),
        "normalization_type": (None, "LN", "LNPre"),
        "attention_dir": ("causal", "bidirectional"),
        "positional_embedding_type": ("standard",),
        "attn_only": (False,),
        "gated_mlp": (False,),
        "parallel_attn_mlp": (False,),
    }
    for name, values in wanted.items():
        if name in cfg and cfg[name] not in values:
            raise GrokinterpError(
                f"its config has {name} {cfg[name]!r}, which no network here has; it can't be imported"
            )
    model: dict[str, Any] = {}
    if "act_fn" in cfg:
        model["activation"] = cfg["act_fn"]
    if "normalization_type" in cfg:
        model["normalization"] = "LN" if cfg["normalization_type"] else "none"
    if "attention_dir" in cfg:
        model["causal"] = cfg["attention_dir"] == "causal"
    return model


def shapes_of(model: Mapping[str, Any]) -> dict[str, int]:
    """What shapes say of a network, under HookedTransformerConfig's names."""
    return {name: model[name] for name in ("n_layers", "d_model", "n_heads", "d_head", "d_mlp")}


def token_layout(weights: Mapping[str, Tensor], given: Sections) -> dict[str, Any]:
    """The task section's layout and p, from the length of a sequence and the size of the vocabulary.

    Raises:
        GrokinterpError: a length that no layout has.
    """
    n_ctx, d_vocab = (tensor_of(weights, name, 2).shape[0] for name in ("pos_embed.W_pos", LANDMARK))
    fitting = [name for name, layout in LAYOUTS.items() if layout.n_ctx == n_ctx]
    asked = section_of(given, "task").get("layout")
    if asked is None and not fitting:
        known = ", ".join(f"{layout.n_ctx} ({name})" for name, layout in LAYOUTS.items())
        raise GrokinterpError(f"its sequences have {n_ctx} tokens; layouts have {known}")
    name = asked if asked is not None else fitting[0]
    known_name = isinstance(name, str) and name in LAYOUTS  # another one is refused by the config
    constants = LAYOUTS[name].d_vocab if known_name else 0
    return {"layout": name, "p": max(d_vocab - constants, 0)}
