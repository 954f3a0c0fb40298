"""The exact maximum of a quadratic in a ball, by the eigenvalues: the slow twin of gradient ascent."""

import torch
from torch import Tensor


def largest_in_ball(matrix: Tensor, slope: Tensor, radius: float) -> float:
    """max of g z + z^T A z / 2 over |z|_2 <= radius, A positive definite and g not orthogonal to its top vectors.

    There z = (lambda - A)^-1 g with the lambda above all eigenvalues at which |z| = radius, found by bisection.
    """
    values, vectors = torch.linalg.eigh(matrix)
    g = vectors.T @ slope
    low, high = 0.0, float(g.norm()) / radius + 1.0  # lambda minus the largest eigenvalue
    for _ in range(200):
        middle = (low + high) / 2
        inside = float((g / (middle + values[-1] - values)).norm()) < radius
        low, high = (low, middle) if inside else (middle, high)
    z = g / (high + values[-1] - values)
    return float(g @ z + 0.5 * (values * z) @ z)
