"""The split into train and test pairs, drawn once from its own generator and saved as a mask."""

import numpy as np
import torch
from jaxtyping import Bool

from grokinterp.config import train_size
from grokinterp.tasks.task import Task


def draw_train_mask(task: Task, frac_train: float, seed: int) -> Bool[np.ndarray, "n_left n_right"]:
    """A uniformly drawn set of floor(frac_train * n_pairs) defined pairs.

    The pairs are listed a-major and the first ones of `torch.randperm` under a generator of their
    own are kept; Chughtai et al. 2023 draw theirs the same way, so their splits come out.
    """
    left, right = task.pairs()
    order = torch.randperm(len(left), generator=torch.Generator().manual_seed(seed)).numpy()
    kept = order[: train_size(frac_train, len(left))]
    mask = np.zeros(task.table.shape, dtype=bool)
    mask[left[kept], right[kept]] = True
    return mask
