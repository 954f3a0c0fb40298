"""What an importer reads from other people's files, before it is written as a run directory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from grokinterp.config import RunConfig


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
