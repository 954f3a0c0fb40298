"""Which pairs a number is over: all defined ones, the training pairs, the test pairs."""

import numpy as np
from jaxtyping import Bool

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
