"""What an importer reads from other people's files, before it is written as a run directory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from grokinterp.config import CUSTOM_OPERATION, GROUP_OPERATIONS, OPERATION_ALIASES, RunConfig
from grokinterp.errors import GrokinterpError

SET = ("operation", "p", "group", "file", "table")
"""Fields of the task that say which elements there are."""


@dataclass(frozen=True, eq=False)
class Imported:
    """One run of other people's, under grokinterp's names.

    Attributes:
        config: What the file and its neighbours say was trained; its model section fits the weights exactly.
        train_mask: `train_mask[a, b]` is True for training pairs; None where the split is unknown.
        steps: Optimizer steps of the checkpoints, ascending.
        weights: The flat dict of TransformerLens names at a step, read when it is asked for.
        metrics: Rows for metrics.jsonl: step, train_loss, test_loss, train_accuracy, test_accuracy where known.
        notes: Sentences about what was assumed, left out or found to contradict; printed and kept.
        claims: What the file says of its last checkpoint, such as train_loss, to be compared with what the
            weights give.
    """

    config: RunConfig
    train_mask: Bool[np.ndarray, "n_left n_right"] | None
    steps: tuple[int, ...]
    weights: Callable[[int], dict[str, Tensor]]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    claims: Mapping[str, float] = field(default_factory=dict)


def config_from(inferred: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any], name: str) -> RunConfig:
    """The config of a run called `name`: what was inferred, with the given sections laid over it field by field.

    Raises:
        GrokinterpError: together they are no config.
    """
    known = {"name": name, **{section: dict(fields) for section, fields in inferred.items()}}
    task = section_of(given, "task")
    if "task" in known and _is_of_another_set(task):
        known["task"] = {key: value for key, value in known["task"].items() if key not in SET}
    return RunConfig.from_mapping(laid_over(known, given), source="what is to be imported")


def laid_over(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Sections with others laid over them, field by field."""
    merged = dict(base)
    for section, fields in change.items():
        below = merged.get(section)
        both = isinstance(below, Mapping) and isinstance(fields, Mapping)
        merged[section] = {**below, **fields} if both else fields
    return merged


def section_of(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A given section; empty where there is none (and where it is no section, which the config refuses)."""
    found = given.get(name)
    return found if isinstance(found, Mapping) else {}


def _is_of_another_set(task: Mapping[str, Any]) -> bool:
    """Whether a given task says where its elements come from, so that an inferred modulus or group is void."""
    operation = OPERATION_ALIASES.get(str(task.get("operation")), task.get("operation"))
    return bool({"group", "file", "table"} & set(task)) or operation in (*GROUP_OPERATIONS, CUSTOM_OPERATION)


def mask_of_pairs(left: Any, right: Any, n: int) -> Bool[np.ndarray, "n n"]:
    """The mask of a list of training pairs (left[i], right[i]) of elements 0..n-1.

    Raises:
        GrokinterpError: an element that is none, or a pair that is there twice.
    """
    pairs = np.stack([np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64)])
    if pairs.size and not 0 <= pairs.min() <= pairs.max() < n:
        raise GrokinterpError(f"the file's split names elements outside of 0 to {n - 1}; check --task.p")
    mask = np.zeros((n, n), dtype=bool)
    mask[pairs[0], pairs[1]] = True
    if mask.sum() != pairs.shape[1]:
        raise GrokinterpError("the file's split names a pair twice; it is no split of the pairs")
    return mask
