"""One line of metrics.jsonl: losses, accuracies and weight norm of the weights at a step."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grokinterp.models.forward import Forward
from grokinterp.models.fused import FusedNetwork
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
        network: FusedNetwork | None = None,
    ) -> None:
        """`dtype` is that of the losses; outputs beyond `n_answers` are left out.

        `network` is the same function as `forward`, if that was written by hand, and faster.
        """
        self._forward, self._dtype, self._n_answers = forward, dtype, n_answers
        self._is_train = is_train
        whole = torch.arange(len(pairs), device=pairs.left.device)
        self._chunks = [pairs.select(index) for index in whole.split(CHUNK)]
        self._network = network
        self._bags = [] if network is None else [network.bags(chunk.left, chunk.right) for chunk in self._chunks]

    @torch.no_grad()
    def __call__(self, weights: Weights) -> dict[str, float]:
        """The line of these weights."""
        losses, hits = [], []
        for number, chunk in enumerate(self._chunks):
            logits = self._logits(weights, number)[:, : self._n_answers]
            losses.append(cross_entropy_each(logits, chunk.label, self._dtype))
            hits.append(logits.argmax(dim=1) == chunk.label)
        loss, hit, is_train = torch.cat(losses), torch.cat(hits).double(), self._is_train
        return {
            "train_loss": float(loss[is_train].mean()),
            "test_loss": float(loss[~is_train].mean()),
            "train_accuracy": float(hit[is_train].mean()),
            "test_accuracy": float(hit[~is_train].mean()),
            "weight_norm": float(sum(w.double().square().sum() for w in weights.values())),
        }

    def _logits(self, weights: Weights, number: int) -> Float[Tensor, "chunk d_vocab_out"]:
        found = None if self._network is None else self._network.logits(weights, self._bags[number])
        chunk = self._chunks[number]
        return self._forward(weights, chunk.left, chunk.right) if found is None else found
