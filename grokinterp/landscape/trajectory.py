"""The path of the weights over checkpoints: its Gram matrix, its principal components, and random walks."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

BLOCK_ENTRIES = 2**24
"""Numbers of float64 that a block of points may hold; two blocks are in memory at once."""


def displacement_grams(
    read: Callable[[int], Sequence[Float[Tensor, " n"]]], n_points: int, *, block_entries: int = BLOCK_ENTRIES
) -> list[Float[np.ndarray, "n_points n_points"]]:
    """G[s, t] = <theta_s - theta_0, theta_t - theta_0> in float64, for each of several groups of coordinates.

    `read(i)` is the i-th point, one vector a group. It is called again for each pair of blocks of points, so that
    memory does not grow with their number.
    """
    origin = read(0)
    size = max(1, block_entries // sum(len(part) for part in origin))
    blocks = [range(first, min(first + size, n_points)) for first in range(0, n_points, size)]
    grams = [np.empty((n_points, n_points)) for _ in origin]

    def displacements(points: range) -> list[Tensor]:
        found = [torch.empty(len(points), len(part), dtype=torch.float64) for part in origin]
        for row, point in enumerate(points):
            for part, start, target in zip(read(point), origin, found, strict=True):
                target[row].copy_(part).sub_(start)
        return found

    for i, rows in enumerate(blocks):
        left = displacements(rows)
        for columns in blocks[i:]:
            right = left if columns is rows else displacements(columns)
            for gram, x, y in zip(grams, left, right, strict=True):
                piece = (x @ y.T).numpy()
                gram[rows.start : rows.stop, columns.start : columns.stop] = piece
                gram[columns.start : columns.stop, rows.start : rows.stop] = piece.T
    return grams


def squared_steps(gram: Float[np.ndarray, "t t"]) -> Float[np.ndarray, " steps"]:
    """|theta_{t+1} - theta_t|^2 from the Gram matrix of the points."""
    diagonal = np.diag(gram)
    return np.maximum(diagonal[1:] + diagonal[:-1] - 2 * np.diag(gram, 1), 0.0)


def component_shares(gram: Float[np.ndarray, "t t"]) -> Float[np.ndarray, " t"] | None:
    """Shares of variance of the principal components, descending; None where nothing moves."""
    values = np.linalg.eigvalsh(_centred(gram))[::-1].clip(0)
    total = values.sum()
    return values / total if total > 0 else None


def component_coordinates(gram: Float[np.ndarray, "t t"], n_components: int) -> Float[np.ndarray, "t q"]:
    """The points along their first principal components, in units of the weights.

    The sign of a component is that which puts the last point above the first.
    """
    values, vectors = np.linalg.eigh(_centred(gram))
    points = vectors[:, ::-1][:, :n_components] * np.sqrt(values[::-1][:n_components].clip(0))
    return points * np.where(points[-1] < points[0], -1.0, 1.0)


def walk_gram(
    steps: Float[np.ndarray, " steps"], *, retained: Float[np.ndarray, " steps"] | None = None, start: float = 0.0
) -> Float[np.ndarray, "t t"]:
    """Expected Gram matrix of a random walk whose steps have these squared lengths.

    theta_{s+1} = a_s theta_s + xi_s with independent isotropic xi_s, a_s = `retained`[s] (1 without decay) and
    |theta_0|^2 = `start`. With V_s = E|theta_s|^2 the noise is what the step leaves for it:

        E|xi_s|^2 = max(|step_s|^2 - (1 - a_s)^2 V_s, 0),   V_{s+1} = a_s^2 V_s + E|xi_s|^2,
        G[s, t] = V_s a_s ... a_{t-1}   (s <= t).

    Without decay and up to the constant `start`, which centring removes, G[s, t] = sum_{u < min(s, t)} |step_u|^2.
    In a space of many more dimensions than points the Gram matrix of one walk is close to this one.
    """
    keep = np.ones(len(steps)) if retained is None else retained
    gram = np.empty((len(steps) + 1, len(steps) + 1))
    power = start
    for s in range(len(steps) + 1):
        gram[s, s:] = gram[s:, s] = power * np.concatenate([[1.0], np.cumprod(keep[s:])])
        if s < len(steps):
            noise = max(steps[s] - (1 - keep[s]) ** 2 * power, 0.0)
            power = keep[s] ** 2 * power + noise
    return gram


def _centred(gram: Float[np.ndarray, "t t"]) -> Float[np.ndarray, "t t"]:
    """The Gram matrix of the points minus their mean."""
    return gram - gram.mean(axis=0) - gram.mean(axis=1, keepdims=True) + gram.mean()
