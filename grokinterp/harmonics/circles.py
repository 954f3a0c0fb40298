"""Circles in an embedding, and what a network may compute from one of them: a clock, or a pizza.

A circle of frequency k has each element x of Z_n at the angle w x, w = 2 pi k/n. What can be computed
from two of its points depends on d = i - j and on the error t = i + j - c of an answer c.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.harmonics.cyclic import fourier_basis, frequencies


@dataclass(frozen=True, eq=False)
class Circle:
    """One circle of an embedding.

    rows: the embedding with this circle alone around its mean.
    circularity: share of the circle's energy in its frequency k.
    share: its share of the embedding's variance.
    """

    k: int
    rows: Float[Tensor, "n d_model"]
    circularity: float
    share: float


def frequency_circles(matrix: Float[Tensor, "n d_model"], ks: tuple[int, ...], limit: int) -> list[Circle]:
    """The Fourier components of `ks`, the `limit` largest, by frequency; Nyquist's is no circle."""
    n, mean = matrix.shape[0], matrix.mean(dim=0)
    total = float((matrix - mean).square().sum())
    planes = {k: _component(matrix, k) for k in ks if 2 * k != n}
    energy = {k: float(plane.square().sum()) for k, plane in planes.items()}
    largest = sorted(sorted(planes, key=lambda k: -energy[k])[:limit])
    return [Circle(k, planes[k] + mean, 1.0, energy[k] / total) for k in largest if energy[k] > 0]


def component_circles(matrix: Float[Tensor, "n d_model"], limit: int) -> list[Circle]:
    """Principal components 1 and 2, 3 and 4, ...: circles where two of a frequency follow each other."""
    n, mean = matrix.shape[0], matrix.mean(dim=0)
    left, size, right = torch.linalg.svd(matrix - mean, full_matrices=False)
    total, found = float(size.square().sum()), []
    for i in range(min(limit, len(size) // 2, (n - 1) // 2)):
        if not size[2 * i + 1] > 1e-9 * size[0]:
            break
        pair = slice(2 * i, 2 * i + 2)
        rows, energy = left[:, pair] * size[pair] @ right[pair], float(size[pair].square().sum())
        power = [float(_component(rows, k).square().sum()) for k in frequencies(n)]
        best = max(range(len(power)), key=power.__getitem__)
        found.append(Circle(best + 1, rows + mean, min(power[best] / energy, 1.0), energy / total))
    return found


def _component(matrix: Float[Tensor, "n d_model"], k: int) -> Float[Tensor, "n d_model"]:
    basis = fourier_basis(matrix.shape[0])[2 * k - 1 : 2 * k + 1].to(matrix.device)
    return basis.T @ (basis @ matrix)


def circle_formulas(n: int, k: int) -> dict[str, Float[Tensor, "n n"]]:
    """What one circle of frequency k may compute, indexed [d, t]; see `measures/clock_pizza.py`."""
    x = torch.arange(n, dtype=torch.float64)
    half = math.pi * k * x / n  # w x / 2
    clock, distance = (2 * half).cos()[None, :], half.cos().abs()[:, None]
    found = {
        "clock": clock.repeat(n, 1),
        "pizza": distance * clock,
        "pizza_abs": distance * (half.cos().abs() - half.sin().abs())[None, :],
    }
    if n % 2:
        h = k * (n + 1) // 2 % n  # 2 h = k mod n
        wave = (2 * math.pi * h * x / n).cos()
        found["accompanying"] = -wave[:, None] * wave[None, :]
    return found


def circle_correlations(logits: Float[Tensor, "n n n"], k: int) -> dict[str, float | None]:
    """Correlation of logits [i, j, c] with each formula over the n^3 triples; None if they are constant.

    The formulas depend on d and t alone, so the mean logit at each (d, t) is all that is needed.
    """
    n = logits.shape[0]
    x = torch.arange(n, device=logits.device)
    j = (x[:, None] - x[None, :]) % n  # i - d, indexed [i, d]
    answer = (x[:, None, None] + j[:, :, None] - x) % n  # i + j - t, indexed [i, d, t]
    means = logits[x[:, None, None], j[:, :, None], answer].double().mean(dim=0).cpu()
    spread, formulas = float(logits.double().std(correction=0)), circle_formulas(n, k)
    if spread <= rounding(logits):
        return dict.fromkeys(formulas)
    centred = means - means.mean()
    return {name: float((centred * q).mean() / (spread * q.std(correction=0))) for name, q in formulas.items()}


def rounding(logits: Tensor) -> float:
    """A standard deviation that rounding alone may give them."""
    return 64 * torch.finfo(logits.dtype).eps * float(logits.abs().max())
