"""Which pairs a number is over: all defined ones, the training pairs, the test pairs."""

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from grokinterp.snapshots.snapshot import Snapshot


def pair_splits(snapshot: Snapshot) -> dict[str, Bool[np.ndarray, "n_left n_right"]]:
    """Masks over (a, b): "all" defined pairs, and "train" and "test" where the split is known.

    A split without pairs (everything is trained on, or nothing) is left out.
    """
    defined, train = snapshot.task.defined, snapshot.train_mask
    splits = {"all": defined}
    if train is not None:
        splits |= {"train": defined & train, "test": defined & ~train}
    return {name: mask for name, mask in splits.items() if mask.any()}


def group_splits(snapshot: Snapshot) -> dict[str, Bool[Tensor, "n n"]]:
    """Masks over (g, h) in group order (natural order for Z_n): "all", and where known "train" and "test"."""
    g, device = snapshot.group, snapshot.logits.device
    masks = {"all": torch.ones(g.group.order, g.group.order, dtype=torch.bool, device=device)}
    if snapshot.train_mask is not None:
        train = torch.from_numpy(snapshot.train_mask[np.ix_(g.left, g.right)]).to(device)
        masks |= {"train": train, "test": ~train}
    return masks
