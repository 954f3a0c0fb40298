"""Sampling around a point by stochastic gradient Langevin dynamics, and the local learning coefficient."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.seeding import generator

GROWTH = 1.05
"""A mean distance of the last quarter of the draws above this times that of the quarter before, and by
more than GROWTH_ERRORS standard errors over the chains (if there are several), is still growing."""

GROWTH_ERRORS = 4.0

REACH = 1.5
"""A root mean square distance above this times the prior's radius is more than flat directions explain."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """What the chains saw after the burn-in.

    Attributes:
        losses: L at each draw; not finite from where a chain diverged.
        distances: |w - w0| at each draw.
        start_loss: L(w0).
        nbeta: Inverse temperature times the number of data, the factor of L.
        gamma: Strength of the pull to w0.
        epsilon: Step size.
        n_weights: Length of w.
    """

    losses: Float[Tensor, "n_chains n_draws"]
    distances: Float[Tensor, "n_chains n_draws"]
    start_loss: float
    nbeta: float
    gamma: float
    epsilon: float
    n_weights: int

    @property
    def finite(self) -> bool:
        """Whether no chain diverged."""
        return bool(self.losses.isfinite().all() and self.distances.isfinite().all())

    @property
    def mean_loss(self) -> float:
        """Mean of L over chains and draws."""
        return float(self.losses.mean())

    @property
    def llc(self) -> float:
        """nbeta (mean L - L(w0)); negative where the chains found lower losses than w0's."""
        return self.nbeta * (self.mean_loss - self.start_loss)

    @property
    def standard_error(self) -> float | None:
        """Of llc: standard deviation of the chains' own values over sqrt(n_chains); None for one chain."""
        n_chains = len(self.losses)
        if n_chains < 2:
            return None
        return self.nbeta * float(self.losses.mean(dim=1).std()) / math.sqrt(n_chains)

    @property
    def distance(self) -> float:
        """Root mean square of |w - w0|."""
        return math.sqrt(float(self.distances.square().mean()))

    @property
    def prior_radius(self) -> float:
        """Root mean square of |w - w0| under the pull alone, sqrt(d / (gamma (1 - epsilon gamma / 4))).

        Without a pull there is no such radius, and it is infinite.
        """
        if self.gamma == 0:
            return math.inf
        return math.sqrt(self.n_weights / (self.gamma * (1 - self.epsilon * self.gamma / 4)))


def sample(
    function: Callable[[Tensor], Tensor],
    w0: Float[Tensor, " n"],
    *,
    nbeta: float,
    gamma: float,
    epsilon: float,
    n_chains: int,
    n_draws: int,
    burn_in: int,
    seed: int,
) -> Sampling:
    """Chains that start at w0 and sample about exp(-nbeta L(w) - gamma |w - w0|^2 / 2):

        w <- w - (epsilon/2) [gamma (w - w0) + nbeta grad L(w)] + N(0, epsilon).

    All chains take each step in one vmapped call. Every step after the first `burn_in` is a draw. In the
    dtype of w0; the noise is drawn on the CPU, so it is the same on every device.

    **Paper:** Lau et al. 2023 (arXiv 2308.12108), algorithm 1; Welling and Teh 2011.
    **Differs:** L over all data, not minibatches, so the noise is the Langevin noise alone.
    **Known values:** L = sum_i h_i x_i^2 / 2, a_i = nbeta h_i + gamma. A step multiplies x_i by
    1 - epsilon a_i / 2 and adds variance epsilon; the stationary variance is
    epsilon / (1 - (1 - epsilon a_i / 2)^2) = 1 / (a_i (1 - epsilon a_i / 4)), so

        llc = 1/2 sum_i nbeta h_i / (a_i (1 - epsilon a_i / 4)),    E|w - w0|^2 = sum_i 1 / (a_i (1 - epsilon a_i / 4)),

    which is d / 2 only for gamma << nbeta h_i and epsilon -> 0, and unstable from epsilon a_i = 4 on.

    Raises:
        ValueError: epsilon gamma >= 4, where the pull itself is unstable.
    """
    if epsilon * gamma >= 4:
        raise ValueError(f"epsilon * gamma = {epsilon * gamma:g} must be below 4: the pull overshoots")
    stream = generator("sgld", seed)
    step = torch.func.vmap(torch.func.grad_and_value(function))
    with torch.no_grad():
        start_loss = float(function(w0))
    w = w0.expand(n_chains, -1).clone()
    losses = torch.full((n_chains, n_draws), torch.inf, dtype=torch.float64)
    distances = losses.clone()
    for i in range(burn_in + n_draws):
        gradient, loss = step(w)
        away = w - w0
        if not loss.isfinite().all():
            break
        if i >= burn_in:
            losses[:, i - burn_in] = loss
            distances[:, i - burn_in] = away.norm(dim=1)
        noise = torch.randn(w.shape, generator=stream, dtype=w.dtype).to(w.device)
        w = w - (epsilon / 2) * (gamma * away + nbeta * gradient) + math.sqrt(epsilon) * noise
    return Sampling(losses, distances, start_loss, nbeta, gamma, epsilon, len(w0))


def split_r_hat(values: Float[Tensor, "n_chains n_draws"]) -> float | None:
    """Split R-hat: do the chains, and the halves of each, agree?

    Each chain is cut into two halves of n draws (of an odd number the middle one is left out). With W the
    mean of the halves' variances and B/n the variance of their means (both with ddof = 1),

        R = sqrt(((n - 1) / n W + B / n) / W),

    near 1 where all agree. None for fewer than 4 draws a chain, or where W = 0.

    **Paper:** Gelman et al., Bayesian Data Analysis, 3rd edition, section 11.4.
    """
    n = values.shape[1] // 2
    if n < 2:
        return None
    halves = torch.cat([values[:, :n], values[:, -n:]])
    within = float(halves.var(dim=1).mean())
    between = float(halves.mean(dim=1).var())
    return math.sqrt(((n - 1) / n * within + between) / within) if within > 0 else None


def why_not_local(sampling: Sampling, loss_limit: float) -> str | None:
    """Why the chains do not describe the neighbourhood of w0, or None where they do.

    diverged: a loss or distance is not finite. loss: the mean sampled loss is above `loss_limit`.
    far: the root mean square distance is above REACH times the prior's radius; in a quadratic basin it is
    at most that radius (while epsilon (a_i + gamma) < 4, see `sample`), because the loss only pulls back.
    growing: the distance has not settled (GROWTH).
    """
    if not sampling.finite:
        return "diverged"
    if sampling.mean_loss > loss_limit:
        return "loss"
    if sampling.distance > REACH * sampling.prior_radius:
        return "far"
    return "growing" if _grows(sampling.distances) else None


def _grows(distances: Float[Tensor, "n_chains n_draws"]) -> bool:
    """Whether the last quarter is farther from w0 than the quarter before, beyond chance."""
    n_chains, n_draws = distances.shape
    n = n_draws // 4
    if n < 1:
        return False
    before, last = distances[:, -2 * n : -n].mean(dim=1), distances[:, -n:].mean(dim=1)
    change = last - before
    chance = GROWTH_ERRORS * float(change.std()) / math.sqrt(n_chains) if n_chains > 1 else 0.0
    return float(last.mean()) > GROWTH * float(before.mean()) and float(change.mean()) > chance
