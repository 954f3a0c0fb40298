"""Keskar et al.'s sharpness phi in a random subspace, maximised."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

from grokinterp.landscape.ball import value_and_gradient
from grokinterp.seeding import generator

STEEP = 1e3
"""Length of the scaled gradient at a start, where the box has half-width 1."""


@dataclass(frozen=True)
class Sharpness:
    """phi = 100 (f_max - f_start) / (1 + f_start), and what it took."""

    phi: float
    f_start: float
    f_max: float
    n_evaluations: int


def random_rows(dim: int, n: int, seed: int) -> Float[Tensor, "dim n"]:
    """A+: `dim` rows of U(-1, 1) entries, each normalised to length 1."""
    rows = 2 * torch.rand(dim, n, generator=generator("subspace", seed), dtype=torch.float64) - 1
    return rows / rows.norm(dim=1, keepdim=True)


def keskar_phi(
    function: Callable[[Tensor], Tensor],
    x0: Float[Tensor, " n"],
    rows: Float[Tensor, "dim n"],
    *,
    epsilon: float,
    n_corners: int,
    max_iterations: int,
    max_evaluations: int,
    seed: int,
) -> Sharpness:
    """phi(x0) = 100 (max_{y in C} f(x0 + A y) - f(x0)) / (1 + f(x0)).

    A = pinv(A+) for the given rows A+, and C is the box |y_i| <= epsilon (|(A+ x0)_i| + 1). L-BFGS-B
    maximises from y = 0 and from `n_corners` random corners of the box with tolerances 0, and the
    largest value seen is kept: from y = 0 alone it stops at once on a grokked network, whose gradient
    is zero to rounding. Each start may take `max_evaluations`. The result is a lower bound of the
    maximum, exact for a convex quadratic if some start reaches the best corner.

    Args:
        function: f, differentiable, of a flat float64 vector.
        x0: Where.
        rows: A+.
        epsilon: Relative half-width of the box.
        n_corners: Random starts besides y = 0.
        max_iterations: Of L-BFGS-B, for each start.
        max_evaluations: Of f and its gradient, for each start.
        seed: Of the corners.

    **Paper:** Keskar et al. 2017 (arXiv 1609.04836), metric 2.1; Power et al. 2022, appendix A.5
    (epsilon 1e-3, 10 dimensions, 10 iterations).
    **Differs:** Power et al.'s released code minimises the loss; this maximises it.
    **Known values:** f = h |x|^2 / 2, orthonormal rows, c = A+ x0, r = epsilon (|c| + 1):
    phi = 100 (h/2) sum(2 |c| r + r^2) / (1 + h |x0|^2 / 2).
    """
    inverse = rows.T @ torch.linalg.inv(rows @ rows.T)
    radius = epsilon * ((rows @ x0).abs() + 1)
    best, calls = -np.inf, 0

    def at(u: np.ndarray) -> tuple[float, np.ndarray]:
        """f and its gradient at y = radius * u."""
        nonlocal best, calls
        value, gradient = value_and_gradient(function, x0 + inverse @ (radius * torch.from_numpy(u).to(x0.device)))
        best, calls = max(best, value), calls + 1
        return value, (radius * (inverse.T @ gradient)).cpu().numpy()

    starts = [np.zeros(len(radius)), *np.random.default_rng(seed).choice([-1.0, 1.0], size=(n_corners, len(radius)))]
    f_start, *_ = (_ascend(at, start, max_iterations, max_evaluations) for start in starts)
    return Sharpness(100 * (best - f_start) / (1 + f_start), f_start, best, calls)


def _ascend(
    at: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    max_iterations: int,
    max_evaluations: int,
) -> float:
    """L-BFGS-B upwards in the box |u_i| <= 1; returns the value at the start.

    f is scaled so that its gradient at the start has length STEEP: the first step then reaches the sides
    of the box however small f is, and a line search shortens it where that is too far. Without it, the
    first steps are as small as the gradient, and most of the evaluations are spent on them.
    """
    value_there, slope = at(start)
    length = float(np.linalg.norm(slope))
    scale = STEEP / length if length > 0 else 1.0
    stored = [(value_there, slope)]  # L-BFGS-B asks for it again

    def negated(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = stored.pop() if stored else at(u)
        return -scale * value, -scale * gradient

    options = {"maxiter": max_iterations, "maxfun": max_evaluations, "ftol": 0.0, "gtol": 0.0}
    minimize(negated, start, jac=True, method="L-BFGS-B", bounds=[(-1.0, 1.0)] * len(start), options=options)
    return value_there
