"""One line of metrics.jsonl: losses, accuracies and weight norm of the weights at a step."""

import torch
from jaxtyping import Bool
from torch import Tensor

from grokinterp.models.forward import Forward
from grokinterp.models.weights import Weights
from grokinterp.training.data import Pairs
from grokinterp.training.losses import cross_entropy_each

CHUNK = 4096
"""Pairs per forward: bounds memory, and twice as fast as all pairs of p = 113 at once."""


@torch.no_grad()
def evaluate(
    forward: Forward,
    weights: Weights,
    pairs: Pairs,
    is_train: Bool[Tensor, " n"],
    dtype: torch.dtype,
    n_answers: int | None = None,
) -> dict[str, float]:
    """Mean loss (nats) and accuracy on train and test pairs, and the sum of squared weights.

    The loss is the cross-entropy among the answers, whatever is trained on, so that runs compare.
    """
    losses, hits = [], []
    for start in range(0, len(pairs), CHUNK):
        chunk = pairs.select(torch.arange(start, min(start + CHUNK, len(pairs)), device=pairs.left.device))
        logits = forward(weights, chunk.left, chunk.right)[:, :n_answers]
        losses.append(cross_entropy_each(logits, chunk.label, dtype))
        hits.append(logits.argmax(dim=1) == chunk.label)
    loss, hit = torch.cat(losses), torch.cat(hits).double()
    return {
        "train_loss": float(loss[is_train].mean()),
        "test_loss": float(loss[~is_train].mean()),
        "train_accuracy": float(hit[is_train].mean()),
        "test_accuracy": float(hit[~is_train].mean()),
        "weight_norm": float(sum(w.double().square().sum() for w in weights.values())),
    }
