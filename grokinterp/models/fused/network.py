"""The network as a function of its weights for pairs that are given once: logits, activations and gradients."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.config import ModelConfig, TransformerConfig
from grokinterp.models.activations import Activations
from grokinterp.models.fused.attention import Tables, attend, attend_backward, pattern_of
from grokinterp.models.fused.pairs import PairBags
from grokinterp.models.fused.readout import Buffers, Folded, fold, read, read_backward
from grokinterp.models.spec import Weights
from grokinterp.tasks.layouts import Layout

LossGradient = Callable[[Float[Tensor, "C B"]], Float[Tensor, "C B"]]
"""The gradient of a loss with respect to the logits, answers first, which may be overwritten."""


def is_fusible(config: ModelConfig, layout: Layout) -> bool:
    """Whether there is a hand-written backward: one ReLU block without LayerNorm, read at a constant token."""
    return (
        isinstance(config, TransformerConfig)
        and config.n_layers == 1
        and config.normalization == "none"
        and config.activation == "relu"
        and config.attention_rate == 1
        and layout.slots[-1].kind == "constant"
    )


class FusedNetwork:
    """Forward and backward without autograd, over buffers that are allocated once for each number of pairs.

    None is returned where attention is too peaked (`attention.PEAKED`); FastForward computes the same there.

    **Known values:** FastForward and its gradients by autograd, to 1e-10 in float64 and to 1e-5 in float32.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._room: dict[tuple[object, ...], Buffers] = {}

    def bags(self, left: Int[Tensor, " B"], right: Int[Tensor, " B"]) -> PairBags:
        """What the other methods want to know of the pairs; worth keeping."""
        return PairBags.of(self._layout, left, right)

    @torch.no_grad()
    def logits(self, weights: Weights, bags: PairBags) -> Float[Tensor, "B C"] | None:
        """Logits of the pairs, in a buffer that the next call overwrites."""
        found = self._forward(weights, bags)
        return None if found is None else found[0].logits.T

    @torch.no_grad()
    def activations(self, weights: Weights, bags: PairBags) -> Activations | None:
        """Logits, neurons and attention; logits and neurons in buffers that the next call overwrites."""
        found = self._forward(weights, bags)
        if found is None:
            return None
        room, _, tables = found
        return Activations(room.logits.T, room.neurons, pattern_of(tables, bags))

    @torch.no_grad()
    def gradients(self, weights: Weights, bags: PairBags, loss_gradient: LossGradient) -> Weights | None:
        """The gradient of the loss with respect to each weight, trained or not."""
        found = self._forward(weights, bags)
        if found is None:
            return None
        room, folded, tables = found
        dlogits = loss_gradient(room.logits)
        of_readout, d_skip = read_backward(room, folded, weights, tables.x[-1], dlogits)
        return of_readout | attend_backward(weights, self._layout, bags, tables, room, d_skip)

    def _forward(self, weights: Weights, bags: PairBags) -> tuple[Buffers, Folded, Tables] | None:
        room = self._room_for(len(bags), weights)
        tables = attend(weights, self._layout, bags, room)
        if tables is None:
            return None
        folded = fold(weights, tables.x[-1])
        read(room, folded)
        return room, folded, tables

    def _room_for(self, n: int, weights: Weights) -> Buffers:
        key = (n, *weights["unembed.W_U"].shape, *weights["blocks.0.mlp.W_in"].shape, weights["unembed.W_U"].dtype)
        if key not in self._room:
            self._room[key] = Buffers.for_pairs(n, weights)
        return self._room[key]
