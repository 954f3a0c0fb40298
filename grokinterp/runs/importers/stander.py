"""Stander et al. 2024 (2312.06581): two-embedding MLPs that learned a group's product, from sn-grok.

A run is a folder: a checkpoint {model, optimizer, config, rng} per epoch in `EPOCH.pth`, `full_run.pth` {model,
config, checkpoints, checkpoint_epochs, ...}, and `data.parquet`, which has index_left, index_right, index_target and
in_train for every pair. One file of either kind can be imported alone; then the operation is what the network
computes, and the split is unknown.

SnMLP: lembed.weight, rembed.weight (n, embed_dim), linear.weight (model_dim, 2 embed_dim), unembed.weight
(n, model_dim) and unembed.bias; logits = act(linear([l r])) unembed^T + bias, act relu or gelu (silu is refused).

Steps: a checkpoint of epoch e was saved after update e + 1. The last weights of full_run.pth are of a step that it
does not say; they are left out where they are those of the last checkpoint, and else one step after it.

**Differs:** train_loss and test_loss in full_run.pth are sums over batches, and not the means of whole sides.

**Assumed:** all names are read in their code; no published checkpoint was at hand. Later versions of the code may
save losses under train_loss or train_losses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import Weights
from grokinterp.runs.files import require_file
from grokinterp.runs.importers.answers import answered_table
from grokinterp.runs.importers.fields import against_shapes, tensor_of, text_in
from grokinterp.runs.importers.imported import Imported
from grokinterp.runs.importers.numbering import Settlement, as_it_is, groups_of_order, settle
from grokinterp.runs.importers.sections import config_of, names_the_operation, said_of
from grokinterp.runs.importers.series import decay_in
from grokinterp.runs.importers.source import Source, load_tensors
from grokinterp.tasks import build_task

NAME = "stander"
SUMMARY = "Stander et al. 2024, sn-grok: EPOCH.pth or full_run.pth of an SnMLP, with data.parquet"

TENSORS = {"lembed.weight", "rembed.weight", "linear.weight", "unembed.weight", "unembed.bias"}
INDICES = ("index_left", "index_right", "index_target")
SAID = {"model": {"activation": "act_fn"}, "optimizer": {"weight_decay": "weight_decay"}}
"""Our fields, and theirs that say them."""


@dataclass(frozen=True, eq=False)
class Data:
    """data.parquet: the operation in their numbering, and which pairs were trained on."""

    table: Int[np.ndarray, "n n"]
    in_train: Bool[np.ndarray, "n n"]


def recognise(source: Source) -> bool:
    """A file, or a folder whose files are such, with the five tensors of an SnMLP under `model` or by themselves."""
    return _state(source.first) is not None


def read(source: Source, given: Mapping[str, Any]) -> Imported:
    """The checkpoints by epoch, the operation and the split of data.parquet, and what contradicts the config.

    Raises:
        GrokinterpError: an activation that is not offered, or a damaged file.
    """
    states, files, about = _checkpoints(source)
    last = states[max(states)]
    n = tensor_of(last, "unembed.weight", 2).shape[0]
    data = _data(source, n)
    sections, settings, notes = _sections(last, source)
    config = config_of(sections | {"task": {"operation": "x+y", "p": n, "layout": "a b"}}, given, source.path)
    settled = Settlement({}, as_it_is(config.task.n_elements), "the operation is the one that was given")
    if not names_the_operation(given):
        table = answered_table(config, _weights(last, as_it_is(n).rows)) if data is None else data.table
        settled = settle(table, groups_of_order(n), "the network" if data is None else "data.parquet")
        task: dict[str, Any] = {**settled.task, "layout": "a b"}
        if data is not None:
            task["frac_train"] = float(data.in_train.mean())
        config = config_of(sections | {"task": task}, given, source.path)
    elif data is not None:
        notes += _against_data(config, data)
    return Imported(
        config=config,
        train_mask=None if data is None else settled.numbering.pairs(data.in_train),
        steps=tuple(sorted(states)),
        weights=lambda step: _weights(states[step], settled.numbering.rows),
        notes=(settled.note, *notes, *about),
        said=said_of(sections, SAID, settings),
        files=files,
    )


def _state(content: Any) -> dict[str, Tensor] | None:
    """The five tensors under `model`, or by themselves."""
    if not isinstance(content, Mapping):
        return None
    inner = content.get("model", content)
    return dict(inner) if isinstance(inner, Mapping) and set(inner) == TENSORS else None


def _checkpoints(source: Source) -> tuple[dict[int, dict[str, Tensor]], dict[int, str], list[str]]:
    """State_dicts by step, the files of those that have one each, and notes about what was left out.

    They are small (a megabyte or less each), and full_run.pth holds all of them in one file anyway.
    """
    states: dict[int, dict[str, Tensor]] = {}
    ends: list[tuple[str, dict[str, Tensor]]] = []
    notes, files = [], {}
    for path in source.files:
        content = source.content if path == source.path else load_tensors(path)
        state = _state(content)
        if state is None:
            notes.append(f"{path.name} holds no SnMLP and is left out")
        elif path.stem.isdigit() and len(path.stem) <= 12:
            states[int(path.stem) + 1], files[int(path.stem) + 1] = state, path.name
        else:
            states |= _series_in(content, path)
            ends.append((path.name, state))
    for name, state in ends:
        if any(all(torch.equal(state[key], other[key]) for key in TENSORS) for other in states.values()):
            continue
        step = max(states, default=0) + 1
        states[step] = state
        notes.append(f"the step of the last weights in {name} is not known; it is called step {step}")
    return states, files, notes


def _series_in(content: Any, path: Path) -> dict[int, dict[str, Tensor]]:
    """The checkpoints in full_run.pth, by step; none where it has none."""
    states, epochs = content.get("checkpoints", []), content.get("checkpoint_epochs", [])
    if not isinstance(states, list) or not isinstance(epochs, list) or (states and len(epochs) < len(states)):
        raise GrokinterpError(f"{path} has checkpoints without an epoch for each; it is damaged, get it again")
    found = {}
    for epoch, content_of_it in zip(epochs, states, strict=False):
        state = _state(content_of_it)
        if state is None or isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 0:
            raise GrokinterpError(f"{path} has a checkpoint that is no SnMLP with an epoch; get it again")
        found[epoch + 1] = state
    return found


def _data(source: Source, n: int) -> Data | None:
    """data.parquet beside the file or in the folder; None where there is none.

    Raises:
        GrokinterpError: it can't be read, or has not every pair once.
    """
    path = (source.path if source.path.is_dir() else source.path.parent) / "data.parquet"
    if not path.is_file():
        return None
    require_file(path)
    try:
        rows = pd.read_parquet(path, columns=[*INDICES, "in_train"])
        values = np.stack([rows[name].to_numpy(dtype=np.int64) for name in (*INDICES, "in_train")])
    except (ValueError, TypeError, KeyError, OSError, ArithmeticError) as error:
        raise GrokinterpError(
            f"{path} can't be read ({type(error).__name__}); it needs the columns {', '.join(INDICES)} and in_train, "
            "whole numbers each; get it again or take it away"
        ) from None
    left, right, target, in_train = values
    whole = len(left) == n * n and values.min() >= 0 and values[:3].max() < n
    if not whole or len(np.unique(left * n + right)) != n * n:
        raise GrokinterpError(
            f"{path} has not each of the {n * n} pairs of {n} elements once; get it again or take it away"
        )
    table, mask = np.zeros((n, n), dtype=np.int64), np.zeros((n, n), dtype=bool)
    table[left, right], mask[left, right] = target, in_train != 0
    return Data(table, mask)


def _against_data(config: RunConfig, data: Data) -> list[str]:
    """A note where the operation that the user gave is not the one in data.parquet."""
    share = (
        float((build_task(config.task).table == data.table).mean()) if config.task.n_elements == len(data.table) else 0
    )
    if share == 1:
        return []
    return [f"task.operation is {config.task.operation} as given and data.parquet agrees with {share:.1%} of it"]


def _sections(state: Mapping[str, Tensor], source: Source) -> tuple[dict[str, Any], set[str], list[str]]:
    """The model that the shapes say, the settings that the file has, and notes on where the two disagree."""
    content = source.first
    config = content.get("config") if isinstance(content, Mapping) else None
    config = config if isinstance(config, Mapping) else {}
    model = config["model"] if isinstance(config.get("model"), Mapping) else config
    name = f"the config in {source.path.name}"
    act = text_in(model, "act_fn", name, "relu").lower()
    if act not in ("relu", "gelu"):
        raise GrokinterpError(f"{name} has act_fn {act}; an mlp here has relu or gelu, so it can't be imported")
    width, hidden = tensor_of(state, "lembed.weight", 2).shape[1], tensor_of(state, "linear.weight", 2).shape[0]
    n = tensor_of(state, "unembed.weight", 2).shape[0]
    notes = against_shapes(model, {"embed_dim": width, "model_dim": hidden, "vocab_size": n})
    notes.append("their first layer has no bias; ours is zero")
    shape = {"kind": "mlp", "n_layers": 1, "input": "separate", "d_model": width, "d_hidden": hidden}
    optimizer, settings, about = _optimizer(content, config)
    sections = {"name": "sn-grok", "model": {**shape, "activation": act, "biases": "all"}, "optimizer": optimizer}
    return sections, settings | ({"act_fn"} & set(model)), notes + about


def _optimizer(content: Any, config: Mapping[str, Any]) -> tuple[dict[str, Any], set[str], list[str]]:
    """The weight decay of the optimizer's state, whether anything says it, and a note where the config differs."""
    decay = decay_in(content)
    section = config.get("optimizer")
    said = section.get("weight_decay", section.get("wd")) if isinstance(section, Mapping) else None
    notes = []
    if decay is not None and isinstance(said, int | float) and said != decay:
        notes.append(f"weight_decay is {said:g} in the config, and {decay:g} in the optimizer's state, which acted")
    used = decay if decay is not None else said
    if not isinstance(used, int | float):
        return {"warmup_steps": 0, "weight_decay": 1.0}, set(), notes
    return {"warmup_steps": 0, "weight_decay": float(used)}, {"weight_decay"}, notes


def _weights(state: Mapping[str, Tensor], rows: Any) -> Weights:
    """Under our names; `rows` renumbers what is by element."""
    n, linear = tensor_of(state, "unembed.weight", 2).shape[0], tensor_of(state, "linear.weight", 2)
    tables = [tensor_of(state, f"{side}embed.weight", 2) for side in "lr"]
    if {len(table) for table in tables} != {n} or len(tensor_of(state, "unembed.bias", 1)) != n:
        raise GrokinterpError(f"the embeddings are not those of the {n} elements that are answered; get the file again")
    return {
        "embed.W_E": torch.cat([rows(table) for table in tables]),
        "blocks.0.mlp.W_in": linear.T.contiguous(),
        "blocks.0.mlp.b_in": linear.new_zeros(len(linear)),
        "unembed.W_U": rows(state["unembed.weight"]).T.contiguous(),
        "unembed.b_U": rows(state["unembed.bias"]),
    }
