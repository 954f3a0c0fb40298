"""One line of metrics.jsonl: losses, accuracies and weight norm of the weights at a step."""

import torch
from jaxtyping import Bool
from torch import Tensor

from grokinterp.models.forward import Forward
from grokinterp.models.pair_logits import PairLogits
from grokinterp.models.weights import Weights
from grokinterp.training.data import Pairs
from grokinterp.training.losses import cross_entropy_each

CHUNK = 4096
"""Pairs per forward: bounds memory, and twice as fast as all pairs of p = 113 at once."""


class Evaluator:
    """Mean loss (nats) and accuracy on train and test pairs, and the sum of squared weights.

    The loss is the cross-entropy among the answers, whatever is trained on, so that runs compare.
    """

    def __init__(
        self,
        forward: Forward,
        pairs: Pairs,
        is_train: Bool[Tensor, " n"],
        dtype: torch.dtype,
        n_answers: int | None = None,
    ) -> None:
        """`dtype` is that of the losses; outputs beyond `n_answers` are left out."""
        self._dtype, self._n_answers, self._is_train = dtype, n_answers, is_train
        self._chunks = PairLogits.in_chunks(forward, pairs.left, pairs.right, CHUNK)
        self._labels = pairs.label.split(CHUNK)

    @torch.no_grad()
    def __call__(self, weights: Weights) -> dict[str, float]:
        """The line of these weights."""
        losses, hits = [], []
        for chunk, labels in zip(self._chunks, self._labels, strict=True):
            logits = chunk(weights)[:, : self._n_answers]
            losses.append(cross_entropy_each(logits, labels, self._dtype))
            hits.append(logits.argmax(dim=1) == labels)
        loss, hit, is_train = torch.cat(losses), torch.cat(hits).double(), self._is_train
        return {
            "train_loss": float(loss[is_train].mean()),
            "test_loss": float(loss[~is_train].mean()),
            "train_accuracy": float(hit[is_train].mean()),
            "test_accuracy": float(hit[~is_train].mean()),
            "weight_norm": float(sum(w.double().square().sum() for w in weights.values())),
        }
