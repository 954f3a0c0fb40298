"""Fourier analysis on Z_n: real basis, component norms, and the "sum directions" of a logit cube.

Frequencies are the integers k = 1..floor(n/2), the last one included; angular ones are
w_k = 2 pi k / n. For even n the Nyquist frequency k = n/2 has a cosine and no sine.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class CyclicCoordinates:
    """An isomorphism of an operation with addition on Z_n.

    `table[left[i], right[j]] == answer[(i + j) % n]` for all i, j: `left`, `right` and `answer`
    list the elements in the order in which the operation is addition.
    """

    left: Int[np.ndarray, " n"]
    right: Int[np.ndarray, " n"]
    answer: Int[np.ndarray, " n"]
    label: str

    @property
    def n(self) -> int:
        """Order of the cyclic group."""
        return len(self.left)


def frequencies(n: int) -> range:
    """All frequencies of Z_n: 1..floor(n/2).

    >>> list(frequencies(7)), list(frequencies(6)), list(frequencies(1))
    ([1, 2, 3], [1, 2, 3], [])
    """
    return range(1, n // 2 + 1)


@lru_cache(maxsize=32)
def fourier_basis(n: int) -> Float[Tensor, "n n"]:
    """Orthonormal real Fourier basis of R^n in float64, one function a row.

    Rows: constant, then cos w_k, sin w_k for k = 1, 2, ...; for even n the last row is the
    alternating function (cos at the Nyquist frequency).
    """
    x = torch.arange(n, dtype=torch.float64)
    rows = [torch.full((n,), 1 / math.sqrt(n), dtype=torch.float64)]
    for k in frequencies(n):
        scale = math.sqrt((1 if 2 * k == n else 2) / n)
        angle = 2 * math.pi * ((k * x) % n) / n
        rows.append(scale * angle.cos())
        if 2 * k != n:
            rows.append(scale * angle.sin())
    return torch.stack(rows)


@lru_cache(maxsize=32)
def row_frequencies(n: int) -> Int[Tensor, " n"]:
    """The frequency of each row of `fourier_basis(n)`: 0, 1, 1, 2, 2, ..."""
    return (torch.arange(n) + 1) // 2


def component_norms(x: Float[Tensor, "n features"]) -> Float[Tensor, " n"]:
    """l2 norm over the features of each Fourier component of x along its first axis.

    norm_r = || F_r x ||_2 with F the rows of `fourier_basis`; Parseval: sum norm_r^2 = ||x||_F^2.
    """
    return (fourier_basis(x.shape[0]).to(x.device) @ x.double()).norm(dim=1)


def frequency_norms(component: Float[Tensor, " n"]) -> Float[Tensor, " n_frequencies_plus_1"]:
    """sqrt(cos^2 + sin^2) for each k = 0..floor(n/2), from `component_norms`."""
    n = component.shape[0]
    energy = torch.zeros(n // 2 + 1, dtype=torch.float64, device=component.device)
    return energy.index_add_(0, row_frequencies(n).to(component.device), component**2).sqrt()


def sum_classes(n: int, device: torch.device | str = "cpu") -> Int[Tensor, "n n"]:
    """s[i, j] = (i + j) mod n, the right answer in natural coordinates."""
    i = torch.arange(n, device=device)
    return (i[:, None] + i[None, :]) % n


def sum_means(logits: Float[Tensor, "n n answers"]) -> Float[Tensor, "n answers"]:
    """Mean of the logits over each class of pairs with the same sum: D[s, c].

    A function of (i + j) mod n is what all sum directions and the constant together span, so D is
    the projection of the logits on them; the Fourier transform of D over s separates them.
    """
    n, _, n_answers = logits.shape
    total = torch.zeros(n, n_answers, dtype=logits.dtype, device=logits.device)
    total.index_add_(0, sum_classes(n, logits.device).flatten(), logits.reshape(n * n, n_answers))
    return total / n


def keep_frequencies(means: Float[Tensor, "n answers"], ks: tuple[int, ...]) -> Float[Tensor, "n answers"]:
    """The part of D[s, c] at the frequencies `ks` of s: the projection P_K as a function of s.

    P_K projects on u_k ~ cos w_k(i+j) and v_k ~ sin w_k(i+j) for k in K; at the Nyquist frequency
    only u_k exists. Slow twin: the explicit unit vectors on the grid, in the tests.
    """
    n = means.shape[0]
    if any(k not in frequencies(n) for k in ks):
        raise ValueError(f"frequencies {ks} are not all within 1..{n // 2}")
    basis = fourier_basis(n).to(means.device)
    rows = basis[torch.isin(row_frequencies(n), torch.tensor(ks, dtype=torch.long)).to(means.device)]
    return rows.T @ (rows @ means)


def cosine_amplitudes(means: Float[Tensor, "n n"]) -> Float[Tensor, " n_frequencies"]:
    """alpha_k, the least-squares coefficient of cos w_k(i + j - c) in the logits, k = 1..floor(n/2).

    The functions cos w_k(i + j - c) are orthogonal, with squared norm n^3/2 (n^3 at Nyquist), and
    depend on s = i + j alone, so D[s, c] is all that is needed.
    """
    n = means.shape[0]
    t = torch.arange(n, device=means.device)
    by_difference = torch.zeros(n, dtype=means.dtype, device=means.device)
    by_difference.index_add_(0, ((t[:, None] - t[None, :]) % n).flatten(), means.flatten())
    spectrum = torch.fft.rfft(by_difference / n).real[1:] / n
    weights = torch.full_like(spectrum, 2.0)
    if n % 2 == 0:
        weights[-1] = 1.0
    return spectrum * weights


def cosine_power(n: int) -> Float[Tensor, " n_frequencies"]:
    """Squared norm of cos w_k(i + j - c) over the n^3 triples: n^3/2, and n^3 at Nyquist."""
    power = torch.full((n // 2,), n**3 / 2, dtype=torch.float64)
    if n % 2 == 0 and n:
        power[-1] = float(n**3)
    return power
