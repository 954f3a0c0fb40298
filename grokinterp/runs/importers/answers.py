"""What a network answers to every pair, as a table like the operation's."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.runs.importers.checked import check_weights
from grokinterp.runs.importers.judge import Judge
from grokinterp.tasks import build_task


def answered_table(config: RunConfig, weights: Mapping[str, Tensor]) -> Int[np.ndarray, "n n"]:
    """`table[a, b]` is the answer with the largest logit, the first of equals; -1 where nothing is defined.

    Raises:
        GrokinterpError: the weights are not those of the config's network.
    """
    task = build_task(config.task)
    check_weights(weights, config, task)
    table = np.full(task.table.shape, -1, dtype=np.int64)
    left, right = task.pairs()
    for logits, piece in Judge(config, task).logits(weights):
        table[left[piece], right[piece]] = logits.argmax(dim=-1).numpy()
    return table
