"""Logits of pairs that are given once, for many weights, without autograd: evaluations, perturbations, ablations."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.models.activations import Activations
from grokinterp.models.fast_forward import FastForward
from grokinterp.models.forward import Forward
from grokinterp.models.fused import FusedNetwork, LossGradient, is_fusible
from grokinterp.models.spec import Weights


def is_by_hand(forward: Forward, device: torch.device) -> bool:
    """Whether a forward has a hand-written twin on this device."""
    return device.type == "cpu" and isinstance(forward, FastForward) and is_fusible(forward.config, forward.layout)


def by_hand(forward: Forward, device: torch.device) -> FusedNetwork | None:
    """The hand-written twin of a forward, with buffers of its own; None where there is none."""
    return FusedNetwork(forward.layout) if isinstance(forward, FastForward) and is_by_hand(forward, device) else None


class PairLogits:
    """A forward on some pairs, by the hand-written network where that is the same function; on a CPU only.

    **Known values:** the forward's own logits and gradients, to 1e-10 in float64.
    """

    def __init__(
        self,
        forward: Forward,
        left: Int[Tensor, " batch"],
        right: Int[Tensor, " batch"],
        network: FusedNetwork | None = None,
    ) -> None:
        """`network` is the forward's hand-written twin with the buffers to use; its own if not given."""
        self._forward, self._left, self._right = forward, left, right
        self._network = network or by_hand(forward, left.device)
        if self._network is not None:
            self._bags = self._network.bags(left, right)

    @classmethod
    def in_chunks(
        cls, forward: Forward, left: Int[Tensor, " n"], right: Int[Tensor, " n"], size: int
    ) -> "list[PairLogits]":
        """The pairs in pieces of `size`, which share their buffers: what one gave, the next overwrites."""
        network = by_hand(forward, left.device)
        pieces = zip(left.split(size), right.split(size), strict=True)
        return [cls(forward, *piece, network) for piece in pieces]

    @property
    def is_by_hand(self) -> bool:
        """Whether it has a hand-written network."""
        return self._network is not None

    @torch.no_grad()
    def __call__(self, weights: Weights) -> Float[Tensor, "batch d_vocab_out"]:
        """Logits at the last position; the next call may overwrite them."""
        found = None if self._network is None else self._network.logits(weights, self._bags)
        return self._forward(weights, self._left, self._right) if found is None else found

    @torch.no_grad()
    def activations(self, weights: Weights) -> Activations:
        """Logits, neurons and attention at the last position; the next call may overwrite them."""
        found = None if self._network is None else self._network.activations(weights, self._bags)
        return self._forward.activations(weights, self._left, self._right) if found is None else found

    def gradients(self, weights: Weights, loss_gradient: LossGradient) -> Weights | None:
        """The gradient of a loss of the logits with respect to each weight; None where autograd is to do it."""
        return None if self._network is None else self._network.gradients(weights, self._bags, loss_gradient)
