"""What an importer reads from other people's files, before it is written as a run directory."""

import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.errors import ConfigError, GrokinterpError


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
        said: Sections as far as the file itself has them, to be compared with what the user gave; no defaults.
        files: The name of the file of a step, where there are several.
    """

    config: RunConfig
    train_mask: Bool[np.ndarray, "n_left n_right"] | None
    steps: tuple[int, ...]
    weights: Callable[[int], dict[str, Tensor]]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    claims: Mapping[str, float] = field(default_factory=dict)
    said: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[int, str] = field(default_factory=dict)


@contextlib.contextmanager
def in_file(name: str | None) -> Generator[None]:
    """Put the file's name before what is refused about it; a wrong config is no file's fault."""
    try:
        yield
    except ConfigError:
        raise
    except GrokinterpError as error:
        if name is None or name in str(error):
            raise
        raise GrokinterpError(f"{name}: {error}") from None


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
