"""The gradient of the training loss with respect to the trained weights, by autograd or by hand.

Either way the gradients lie in the `.grad` of the trained weights, and are returned by name.
"""

from typing import Protocol, runtime_checkable

import torch

from grokinterp.config import RunConfig
from grokinterp.models.forward import Forward
from grokinterp.models.fused import FusedNetwork, PairBags
from grokinterp.models.pair_logits import by_hand
from grokinterp.models.spec import Weights
from grokinterp.models.training_forward import TrainingForward
from grokinterp.training.data import Pairs
from grokinterp.training.gradients import Gradients
from grokinterp.training.losses import loss_gradient, training_loss


@runtime_checkable
class Differentiate(Protocol):
    """The gradient at some weights, which are the trained ones or these plus an offset."""

    def __call__(self, weights: Weights, batch: Pairs) -> Gradients:
        """The gradient of the mean loss over the batch, by the names of the trained weights."""
        ...


class ByAutograd:
    """One forward and one backward pass through any forward."""

    def __init__(self, config: RunConfig, forward: TrainingForward, trained: Weights) -> None:
        """`trained` are leaves that require gradients."""
        self._kind, self._dtype = config.train.loss, getattr(torch, config.train.loss_dtype)
        self._forward, self.trained = forward, trained

    def __call__(self, weights: Weights, batch: Pairs) -> Gradients:
        """The gradient of the mean loss over the batch."""
        logits = self._forward(weights, batch.left, batch.right)
        # at the last position, or at each: a row of logits for every label
        loss = training_loss(self._kind, logits.flatten(0, -2), batch.label.flatten(), self._dtype)
        for weight in self.trained.values():
            weight.grad = None
        loss.backward()
        return {name: weight.grad for name, weight in self.trained.items() if weight.grad is not None}


class ByHand:
    """The hand-written backward of `models.fused`, and autograd where attention is too peaked for it.

    **Known values:** ByAutograd's, to 1e-10 in float64.
    """

    def __init__(self, network: FusedNetwork, autograd: ByAutograd, config: RunConfig) -> None:
        """`autograd` is what it falls back on, and of the same trained weights."""
        self._network, self._autograd = network, autograd
        self._kind, self._dtype = config.train.loss, getattr(torch, config.train.loss_dtype)
        self._trained = autograd.trained
        self._last: tuple[Pairs, PairBags] | None = None

    def __call__(self, weights: Weights, batch: Pairs) -> Gradients:
        """The gradient of the mean loss over the batch."""
        bags = self._bags_of(batch)

        def of_loss(logits: torch.Tensor) -> torch.Tensor:
            return loss_gradient(self._kind, logits, batch.label, self._dtype)

        found = self._network.gradients(weights, bags, of_loss)
        if found is None:
            return self._autograd(weights, batch)
        for name, weight in self._trained.items():
            weight.grad = found[name]
        return {name: found[name] for name in self._trained}

    def _bags_of(self, batch: Pairs) -> PairBags:
        """Those of the last batch, if this is the same one."""
        if self._last is None or self._last[0] is not batch:
            self._last = (batch, self._network.bags(batch.left, batch.right))
        return self._last[1]


def build_differentiate(
    config: RunConfig, forward: TrainingForward, trained: Weights, device: torch.device
) -> Differentiate:
    """By hand where the forward has such a twin on this device, by autograd elsewhere."""
    autograd = ByAutograd(config, forward, trained)
    network = by_hand(forward, device) if isinstance(forward, Forward) else None
    return autograd if network is None else ByHand(network, autograd, config)
