"""Parallelograms among embedded elements of Z_n: how far E_i + E_j and E_m + E_n are apart where i + j = m + n."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def defects(rows: Float[Tensor, "n d"]) -> Float[Tensor, " parallelograms"]:
    """|E_i + E_j - E_m - E_n| for every two different unordered pairs {i, j}, {m, n} with the same sum mod n.

    i = j is allowed. All of them, so that nothing is sampled: about n^3/8.
    """
    n = rows.shape[0]
    i = torch.arange(n, device=rows.device)
    found = []
    for s in range(n):
        j = (s - i) % n
        once = i <= j
        sums = rows[i[once]] + rows[j[once]]
        a, b = torch.triu_indices(len(sums), len(sums), offset=1, device=rows.device)
        found.append((sums[a] - sums[b]).norm(dim=1))
    return torch.cat(found)


def quality(rows: Float[Tensor, "n d"], deltas: tuple[float, ...]) -> list[float] | None:
    """Share of parallelograms with a defect of at most delta times the spread of the rows, for each delta.

    spread = sqrt(mean_i |E_i - mean E|^2). None where all rows are the same or there is no parallelogram.

    **Paper:** Liu et al. 2022 (arXiv 2205.10343), representation quality index RQI.
    **Differs:** sums are mod n; delta is relative to the spread, so that the scale of E does not matter.
    """
    spread = float((rows - rows.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    found = defects(rows)
    if not spread > 1e-12 * float(rows.norm(dim=1).max()) or not len(found):
        return None
    return [float((found <= (delta + 1e-9) * spread).double().mean()) for delta in deltas]


@lru_cache(maxsize=16)
def gaussian_quality(n: int, d: int, deltas: tuple[float, ...], draws: int, seed: int) -> list[float]:
    """The null: 95 % quantile of each share of `quality` over Gaussian rows of the same shape."""
    rng = np.random.default_rng(seed)
    found = [quality(torch.from_numpy(rng.standard_normal((n, d))), deltas) for _ in range(draws)]
    return np.quantile(np.array(found, dtype=float), 0.95, axis=0).tolist()
