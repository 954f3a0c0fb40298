"""TransformerLens 4: state_dicts of a TransformerBridge, one file or a folder.

    embed.weight (d_vocab, d_model)            blocks.0.attn.q|k|v.weight (n_heads * d_head, d_model)
    pos_embed.weight (n_ctx, d_model)          blocks.0.attn.o.weight (d_model, n_heads * d_head)
    unembed.weight (d_vocab_out, d_model)      blocks.0.mlp.in.weight (d_mlp, d_model), out.weight (d_model, d_mlp)
    a bias beside each of the linear ones      blocks.0.ln1, blocks.0.ln2, ln_final: weight, bias

So `TransformerBridge.boot_native(cfg).state_dict()` of 4.3 has them; its named_parameters() are the same under
tok_embed, pos, layers, fc_in, fc_out, ln_out and head, with "_original_component" between. One matrix for queries,
keys and values ("qkv", rows in this order) is split. The number of heads is not to be seen: `cfg` or `config` in the
file, cfg.json or config.json beside it, or --model.n-heads say it, else the number that computes best is taken.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers.checked import check_weights, plain
from grokinterp.runs.importers.content import state_dict_of, without_prefix
from grokinterp.runs.importers.fields import tensor_of
from grokinterp.runs.importers.hooked_folder import cfg_beside, imported_series
from grokinterp.runs.importers.imported import Imported, in_file
from grokinterp.runs.importers.judge import Judge
from grokinterp.runs.importers.sections import section_of
from grokinterp.runs.importers.series import Series, series_of
from grokinterp.runs.importers.source import Source
from grokinterp.tasks import build_task

NAME = "tl4_bridge"
SUMMARY = "state_dicts of a TransformerLens 4 TransformerBridge"
HEADS = (4, 1, 2, 8, 16)
"""Numbers of heads that are tried; ties go to the first."""

RENAMED = (
    (r"(\._original_component)+(?=\.)", ""),
    (r"^(original_model\.|model\.)", ""),
    (r"^tok_embed\.", "embed."),
    (r"^pos\.", "pos_embed."),
    (r"^layers\.", "blocks."),
    (r"^ln_out\.", "ln_final."),
    (r"^head\.", "unembed."),
    (r"\.mlp\.fc_in\.", ".mlp.in."),
    (r"\.mlp\.fc_out\.", ".mlp.out."),
)
"""From the names of the module inside to the bridge's own."""

NORM = re.compile(r"(blocks\.\d+\.ln[12]|ln_final)\.(weight|bias)")
ATTENTION = re.compile(r"(blocks\.\d+\.attn)\.([qkvo])\.(weight|bias)")
MLP = re.compile(r"(blocks\.\d+\.mlp)\.(in|out)\.(weight|bias)")
OUTSIDE = {"embed.weight": "embed.W_E", "pos_embed.weight": "pos_embed.W_pos", "unembed.bias": "unembed.b_U"}


def recognise(source: Source) -> bool:
    """Embedding, unembedding and an MLP under the bridge's names."""
    found = state_dict_of(source.first)
    if not found:
        return False
    named = _bridge_names(found)
    needed = ("embed.weight", "pos_embed.weight", "blocks.0.mlp.in.weight", "unembed.weight")
    return all(name in named and named[name].ndim == 2 for name in needed)


def read(source: Source, given: Mapping[str, Any]) -> Imported:
    """As of a HookedTransformer's state_dicts, after their tensors are put into its names and orientation.

    Raises:
        GrokinterpError: a tensor that no HookedTransformer has, or a number of heads that does not divide the width.
    """
    series = series_of(source)
    known = section_of(given, "model").get("n_heads", cfg_beside(source, series).get("n_heads"))
    if isinstance(known, int) and not isinstance(known, bool):
        return _read_with(known, source, given, series)
    last = series.steps[-1]
    with in_file(series.files.get(last)):
        width = tensor_of(_bridge_names(series.state_dict(last)), "embed.weight", 2).shape[1]
    tried = {n: _read_with(n, source, given, series) for n in HEADS if width % n == 0}
    best = max(tried, key=lambda n: _quality(tried[n]))
    note = f"the number of heads is not in the file; of {', '.join(map(str, tried))} it fits {best} best"
    return replace(tried[best], notes=(*tried[best].notes, note))


def _read_with(n_heads: int, source: Source, given: Mapping[str, Any], series: Series) -> Imported:
    return imported_series(source, given, series, lambda step: to_hooked(series.state_dict(step), n_heads))


def _quality(imported: Imported) -> tuple[float, float]:
    """Accuracy and the loss with its sign turned, of the last checkpoint."""
    task, last = build_task(imported.config.task), imported.steps[-1]
    with in_file(imported.files.get(last)):
        weights = plain(imported.weights(last), last)
        check_weights(weights, imported.config, task)
    found = Judge(imported.config, task).score(weights, None)
    return found["accuracy"], -found["loss"]


def to_hooked(state: Mapping[str, Tensor], n_heads: int) -> dict[str, Tensor]:
    """The tensors under HookedTransformer's names and in its orientation; the inverse of TransformerLens 4's
    `convert_tl_checkpoint`.

    Raises:
        GrokinterpError: a tensor that is not among them.
    """
    found: dict[str, Tensor] = {}
    for name, value in _split(_bridge_names(state)).items():
        is_matrix = name.endswith("weight") and not NORM.fullmatch(name)
        if value.ndim != (2 if is_matrix else 1) or not value.numel():
            raise GrokinterpError(
                f"the tensor {name} has shape {tuple(value.shape)}; the file is damaged, get it again"
            )
        if match := ATTENTION.fullmatch(name):
            letter = match[2].upper()
            new = f"{match[1]}.{'W' if match[3] == 'weight' else 'b'}_{letter}"
            found[new] = _by_head(value, letter, n_heads, name)
        elif match := MLP.fullmatch(name):
            found[f"{match[1]}.{'W' if match[3] == 'weight' else 'b'}_{match[2]}"] = (
                value.T if value.ndim == 2 else value
            )
        elif match := NORM.fullmatch(name):
            found[f"{match[1]}.{match[2][0]}"] = value
        elif name == "unembed.weight":
            found["unembed.W_U"] = value.T
        elif name in OUTSIDE:
            found[OUTSIDE[name]] = value
        else:
            raise GrokinterpError(f"the tensor {name} is none of a network that can be run here; it can't be imported")
    return found


def _bridge_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the bridge's own names, buffers left out."""
    found = {}
    for name, value in state.items():
        for pattern, new in RENAMED:
            name = re.sub(pattern, new, name)
        if not name.endswith(("mask", "IGNORE")):
            found[name] = value
    return without_prefix(found, "embed.weight") if "embed.weight" not in found else found


def _split(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with fused queries, keys and values split; left out where they are there split as well."""
    found = {}
    for name, value in state.items():
        match = re.fullmatch(r"(blocks\.\d+\.attn)\.qkv\.(weight|bias)", name)
        if match is None:
            found[name] = value
            continue
        if not value.ndim or value.shape[0] % 3:
            raise GrokinterpError(f"{name} has shape {tuple(value.shape)}, whose rows are no queries, keys and values")
        for letter, third in zip("qkv", value.chunk(3), strict=True):
            if f"{match[1]}.{letter}.{match[2]}" not in state:
                found[f"{match[1]}.{letter}.{match[2]}"] = third
    return found


def _by_head(value: Tensor, letter: str, n_heads: int, name: str) -> Tensor:
    """(n_heads d_head) rows, or columns of W_O, as one matrix a head."""
    if letter == "O" and value.ndim == 1:
        return value
    flat = value.shape[1] if letter == "O" else value.shape[0]
    if n_heads < 1 or flat % n_heads:
        raise GrokinterpError(f"{name} has {flat} rows, no multiple of {n_heads}; give the heads with --model.n-heads")
    if value.ndim == 1:
        return value.reshape(n_heads, -1)
    if letter == "O":
        return value.T.reshape(n_heads, -1, value.shape[0])
    return value.reshape(n_heads, -1, value.shape[1]).transpose(1, 2)
