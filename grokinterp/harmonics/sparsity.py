"""How concentrated a spectrum is: Gini coefficient and inverse participation ratio."""

import torch
from jaxtyping import Float
from torch import Tensor


def gini(x: Float[Tensor, " n"]) -> float:
    """Gini coefficient of non-negative values (Hurley and Rickard 2009, their definition).

    G = 1 - 2 sum_i (x_(i) / |x|_1) (n - i + 1/2) / n, with x sorted ascending and i = 1..n; no
    n/(n-1) correction. 0 for a constant, 1 - 1/n for a single spike. Null for the zero vector: 0.

    >>> gini(torch.ones(4, dtype=torch.float64)), gini(torch.tensor([0.0, 0, 0, 5.0]))
    (0.0, 0.75)
    """
    n = x.shape[0]
    total = x.sum()
    if not total > 0:
        return 0.0
    rank = torch.arange(n, dtype=x.dtype, device=x.device)
    return float(1 - 2 * ((x.sort().values / total) * (n - rank - 0.5) / n).sum())


def inverse_participation_ratio(x: Float[Tensor, "n features"]) -> Float[Tensor, " features"]:
    """IPR of each column over the full complex FFT without its constant term.

    IPR = sum_k |x_k|^4 / (sum_k |x_k|^2)^2, k = 1..n-1 (Doshi et al. 2023 with the full transform).
    A pure cosine has 1/2 (1 at Nyquist), Gaussian noise 2/(n + 1); `rfft` would give 1 and 4/(n+1).
    Columns with no energy off the constant get 0.
    """
    power = torch.fft.fft(x.double(), dim=0)[1:].abs() ** 2
    total = power.sum(0)
    return torch.where(total > 0, (power**2).sum(0) / total.clamp_min(1e-300) ** 2, 0.0)
