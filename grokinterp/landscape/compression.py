"""How few bytes describe a network at a given loss: truncated factors, rounded, through bzip2."""

import bz2
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grokinterp.models.weights import Weights, is_bias

INTEGERS = {"<i1": 2**7 - 1, "<i2": 2**15 - 1, "<i4": 2**31 - 1}
"""Little-endian integer types and the largest number that each holds."""


@dataclass(frozen=True, eq=False)
class Factors:
    """A matrix (or a stack, one a head) as left @ right with sigma shared evenly between both sides."""

    whole: Tensor
    left: Tensor
    sigma: Tensor
    right: Tensor


@dataclass(frozen=True)
class Compressed:
    """The smallest description found.

    Attributes:
        n_bytes: Of the bzip2 stream.
        threshold: Share of the sum of singular values that was kept.
        delta: Bin width of the rounding.
        loss: Of the network rebuilt from it.
    """

    n_bytes: int
    threshold: float
    delta: float
    loss: float


class Grid:
    """All roundings of one network; sizes and losses are computed when asked for, and once."""

    def __init__(self, weights: Weights, loss: Callable[[Weights], float]) -> None:
        self.weights, self.loss_of = weights, loss
        matrices = {name: w for name, w in weights.items() if w.dim() >= 2 and not is_bias(name)}
        self.factors = {name: factorize(w) for name, w in matrices.items()}
        self.n_losses = 0
        self._sizes: dict[tuple[float, float], int] = {}
        self._losses: dict[tuple[float, float], float] = {}

    def codes(self, threshold: float, delta: float) -> dict[str, list[Tensor]]:
        """Each tensor's integers: one whole, or the left and right factors of each of its matrices."""
        return {name: self._codes(name, threshold, delta) for name in self.weights}

    def _codes(self, name: str, threshold: float, delta: float) -> list[Tensor]:
        if name not in self.factors:
            return [(self.weights[name] / delta).round()]
        f, parts = self.factors[name], []
        for i, sigma in enumerate(f.sigma):
            rank = kept_rank(sigma, threshold)
            rows, columns = f.whole[i].shape
            if rank * (rows + columns) < rows * columns:
                parts += [(f.left[i][:, :rank] / delta).round(), (f.right[i][:rank] / delta).round()]
            else:
                parts.append((f.whole[i] / delta).round())
        return parts

    def rebuilt(self, threshold: float, delta: float) -> Weights:
        """The weights that the integers describe."""
        return {name: self._rebuild(name, parts, delta) for name, parts in self.codes(threshold, delta).items()}

    def _rebuild(self, name: str, parts: list[Tensor], delta: float) -> Tensor:
        if name not in self.factors:
            return parts[0] * delta
        rows, columns = self.factors[name].whole.shape[1:]
        matrices, rest = [], iter(parts)
        for part in rest:
            matrices.append(part * delta if part.shape == (rows, columns) else (part @ next(rest)) * delta**2)
        return torch.stack(matrices).view(self.weights[name].shape)

    def size(self, threshold: float, delta: float) -> int:
        """Bytes of the stream; computed once."""
        if (threshold, delta) not in self._sizes:
            self._sizes[threshold, delta] = len(bz2.compress(packed(self.codes(threshold, delta))))
        return self._sizes[threshold, delta]

    def loss(self, threshold: float, delta: float) -> float:
        """The loss of the coarsened network; computed once."""
        if (threshold, delta) not in self._losses:
            self.n_losses += 1
            self._losses[threshold, delta] = self.loss_of(self.rebuilt(threshold, delta))
        return self._losses[threshold, delta]


def stored_matrices(weights: Weights) -> list[Tensor]:
    """The weight matrices as they are stored, those of all heads side by side; no biases."""
    found = []
    for name, weight in weights.items():
        if weight.dim() == 3:
            found.append(weight.flatten(0, 1) if name.endswith("W_O") else weight.transpose(0, 1).flatten(1))
        elif weight.dim() == 2 and not is_bias(name):
            found.append(weight)
    return found


def factorize(weight: Tensor) -> Factors:
    """The singular value decomposition of each matrix of a tensor."""
    whole = weight.reshape(-1, *weight.shape[-2:])
    u, sigma, vh = torch.linalg.svd(whole, full_matrices=False)
    root = sigma.sqrt()
    return Factors(whole, u * root[:, None, :], sigma, root[:, :, None] * vh)


def kept_rank(sigma: Tensor, threshold: float) -> int:
    """The fewest leading singular values whose sum is `threshold` of the sum of all."""
    total = sigma.cumsum(0)
    return min(int(torch.searchsorted(total, threshold * total[-1])) + 1, len(sigma))


def packed(codes: Mapping[str, Sequence[Tensor]]) -> bytes:
    """All integers one after the other, in the narrowest little-endian type that holds them."""
    flat = torch.cat([part.flatten() for parts in codes.values() for part in parts]).cpu().numpy()
    largest = np.abs(flat).max(initial=0)
    kind = next((kind for kind, limit in INTEGERS.items() if largest <= limit), "<i8")
    return flat.astype(kind).tobytes()


def smallest(
    weights: Weights,
    loss: Callable[[Weights], float],
    limit: float,
    thresholds: Sequence[float],
    deltas: Sequence[float],
) -> tuple[Compressed | None, int]:
    """The smallest description on the grid whose loss is at most `limit`, and the number of losses computed.

    Finer bins are taken to cost more bytes and to keep passing once a coarser bin passes; then, for each
    threshold, the coarsest bin that passes is found by halving, among the bins that are smaller than the
    best so far. The coarsest bin of all, which may round everything to 0, is tried by itself first: where
    chance is good enough it passes, whatever bins in between do.

    Args:
        weights: What is compressed.
        loss: The loss with these weights.
        thresholds, deltas: The grid; None is returned where no point of it passes.
    """
    grid = Grid(weights, loss)
    best: Compressed | None = None
    bins = sorted(deltas, reverse=True)
    for threshold in sorted(thresholds, reverse=True):

        def passes(delta: float, threshold: float = threshold) -> bool:
            return grid.loss(threshold, delta) <= limit

        def size(delta: float, threshold: float = threshold) -> int:
            return grid.size(threshold, delta)

        candidates = bins if best is None else bins[: bisect_left(bins, best.n_bytes, key=size)]
        if best is None and passes(bins[0]):
            delta = bins[0]
        elif not candidates or not passes(candidates[-1]):
            continue
        else:
            delta = candidates[bisect_left(candidates, True, key=passes)]
        best = Compressed(size(delta), threshold, delta, grid.loss(threshold, delta))
    return best, grid.n_losses
