"""What is trained on where it is not the truth: outliers, and shuffled labels."""

import numpy as np
import torch
from jaxtyping import Bool, Int

from grokinterp.config import TaskConfig
from grokinterp.seeding import generator
from grokinterp.tasks.task import Task


def draw_labels(
    task: Task, train_mask: Bool[np.ndarray, "n_left n_right"], config: TaskConfig
) -> Int[np.ndarray, "n_left n_right"] | None:
    """The labels of all pairs as they are trained on, or None where they are the answers.

    Outliers: `config.outliers` training pairs, drawn at random, each get the answer of a pair drawn from all
    pairs with replacement, so that the labels keep the distribution of the answers; by chance one may be
    right (Power et al. 2022, appendix A.4, and their code). Shuffled: the training pairs exchange their answers.
    Test pairs keep the truth.
    """
    if not (config.outliers or config.shuffle_labels):
        return None
    stream, labels = generator("labels", config.label_seed), task.table.copy()
    left, right = np.nonzero(train_mask)
    order = torch.randperm(len(left), generator=stream).numpy()
    if config.shuffle_labels:
        labels[left, right] = labels[left[order], right[order]]
        return labels
    chosen = order[: config.outliers]
    answers = task.table[task.defined]
    drawn = torch.randint(len(answers), (len(chosen),), generator=stream).numpy()
    labels[left[chosen], right[chosen]] = answers[drawn]
    return labels
