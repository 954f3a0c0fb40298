"""TransformerLens's grokking demo: one file with every checkpoint, the curves and the split.

    model                            state_dict of the HookedTransformer at the end
    config                           its HookedTransformerConfig; as a dict, because a pickled object is not loaded
    checkpoints, checkpoint_epochs   state_dicts, and the epochs after which they were taken
    train_losses, test_losses        one a epoch: train before its update, test after it
    train_indices, test_indices      of pairs, a * p + b

Epoch e counts from 0 before its update, so its checkpoint and its test loss are those of step e + 1, its train loss
that of step e. All biases are frozen at zero; AdamW, learning rate 1e-3, weight decay 1, no warm-up.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers.content import scalars
from grokinterp.runs.importers.fields import against_shapes
from grokinterp.runs.importers.guess import guessed_config
from grokinterp.runs.importers.hooked import (
    architecture,
    architecture_of_cfg,
    completed,
    is_hooked,
    shapes_of,
    tensors_of,
    token_layout,
)
from grokinterp.runs.importers.imported import Imported, mask_of_pairs
from grokinterp.runs.importers.source import Source

NAME = "tl_demo"
SUMMARY = "the file that TransformerLens's grokking demo saves"
KEYS = ("checkpoints", "checkpoint_epochs", "train_losses", "test_losses")


def recognise(source: Source) -> bool:
    """Its keys, with checkpoints that are a HookedTransformer's."""
    content = source.content
    if not isinstance(content, Mapping) or not set(KEYS) <= set(content):
        return False
    checkpoints = content["checkpoints"]
    first = checkpoints[0] if isinstance(checkpoints, list) and checkpoints else content.get("model")
    return isinstance(first, Mapping) and is_hooked(_only_tensors(first))


def read(source: Source, given: Mapping[str, Any]) -> Imported:
    """Every checkpoint with its curves; the split from the indices of the training pairs.

    Raises:
        GrokinterpError: lists of different lengths, or indices that are no split of the pairs.
    """
    content = source.content
    states = _checkpoints(content)
    tensors, notes = tensors_of(states[max(states)])
    cfg = scalars(content.get("config"))
    shapes, said = architecture(tensors), architecture_of_cfg(cfg)
    task = {"frac_train": 0.3, **token_layout(tensors, given)}
    mask = _train_mask(content)
    if mask is not None:
        task["frac_train"] = float(mask.mean())
    inferred = {
        "task": task,
        "model": {**shapes, **said},
        "optimizer": {"warmup_steps": 0},
        "train": {"steps": max(*states, 1)},
    }

    def weights(config: RunConfig, found: Mapping[str, Tensor] = tensors) -> dict[str, Tensor]:
        return completed(found, config.model)

    config, guessed = guessed_config(inferred, given, source.path, weights)
    if mask is not None and mask.shape[0] != config.task.n_elements:
        raise GrokinterpError(
            f"the split is of the pairs of {mask.shape[0]} elements, but the task has {config.task.n_elements}; "
            "check --task.p"
        )
    return Imported(
        config=config,
        train_mask=mask,
        steps=tuple(sorted(states)),
        weights=lambda step: weights(config, tensors_of(states[step])[0]),
        metrics=_rows(content),
        notes=(*notes, *guessed, *against_shapes(cfg, shapes_of(shapes))),
        said={"model": said, "train": inferred["train"]},
    )


def _only_tensors(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {str(name): value for name, value in state.items() if isinstance(value, Tensor)}


def _checkpoints(content: Mapping[str, Any]) -> dict[int, dict[str, Tensor]]:
    """State_dicts by step; the one under `model` is the last epoch's, if that is not among them."""
    epochs, states = content["checkpoint_epochs"], content["checkpoints"]
    if not isinstance(states, list) or not isinstance(epochs, list) or len(epochs) != len(states):
        raise GrokinterpError("checkpoints and checkpoint_epochs are not lists of one length; save the file again")
    if not all(isinstance(state, Mapping) for state in states) or not all(_is_epoch(epoch) for epoch in epochs):
        raise GrokinterpError("checkpoints and checkpoint_epochs are not state_dicts and epochs; save the file again")
    found = {int(epoch) + 1: _only_tensors(state) for epoch, state in zip(epochs, states, strict=True)}
    n_epochs = len(content["train_losses"]) if isinstance(content["train_losses"], list) else 0
    if n_epochs not in found and isinstance(content.get("model"), Mapping):
        found[n_epochs] = _only_tensors(content["model"])
    return found


def _is_epoch(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9


def _rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each loss at the step of the weights it was computed with."""
    rows: dict[int, dict[str, Any]] = {}
    for name, later in (("train_loss", 0), ("test_loss", 1)):
        values = content[f"{name[:-5]}_losses"]
        if not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
            raise GrokinterpError(f"{name[:-5]}_losses is no list of numbers; save it as one")
        for epoch, value in enumerate(values):
            rows.setdefault(epoch + later, {"step": epoch + later})[name] = float(value)
    return [rows[step] for step in sorted(rows)]


def _train_mask(content: Mapping[str, Any]) -> np.ndarray | None:
    """The training pairs; None where the file does not have them."""
    sides = {}
    for name in ("train_indices", "test_indices"):
        if not isinstance(content.get(name), Tensor | list):
            return None
        try:
            sides[name] = torch.as_tensor(content[name]).flatten().to(torch.int64).numpy()
        except (TypeError, ValueError, RuntimeError):
            raise GrokinterpError(f"{name} is no list of indices of pairs; save the file again") from None
    train = sides["train_indices"]
    both = np.concatenate([train, sides["test_indices"]])
    n = math.isqrt(len(both))
    if not np.array_equal(np.sort(both), np.arange(n * n)):
        raise GrokinterpError("train_indices and test_indices are not the pairs of p elements, each once")
    return mask_of_pairs(train // n, train % n, n)
