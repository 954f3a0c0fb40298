"""Three projections on a frequency over pairs that papers call by one name: each keeps another set of functions.

For a key frequency k, of the functions of (i, j) that can be built from 1, cos w_k and sin w_k of each operand:

    sum_directions   cos w_k(i+j), sin w_k(i+j)                     2 functions
    blocks_2x2       {cos, sin}(i) x {cos, sin}(j)                  4: also cos and sin of w_k(i-j)
    blocks_3x3       {1, cos, sin}(i) x {1, cos, sin}(j) without 1  8: also waves of one operand alone

At the Nyquist frequency, which has no sine, they are 1, 1 and 3. None holds the constant. For several k the sets are
unions: products of two different frequencies are in none.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.harmonics.cyclic import (
    fourier_basis,
    frequencies,
    keep_frequencies,
    row_frequencies,
    sum_classes,
    sum_means,
)

KeepSet = Literal["sum_directions", "blocks_2x2", "blocks_3x3"]
KEEP_SETS: tuple[KeepSet, ...] = ("sum_directions", "blocks_2x2", "blocks_3x3")


def n_components(n: int, ks: tuple[int, ...], keep_set: KeepSet) -> int:
    """Dimension of the set: 2, 4 or 8 a frequency, and 1, 1 or 3 at Nyquist.

    >>> [n_components(113, (1, 2, 3, 4, 5), s) for s in KEEP_SETS], [n_components(12, (6,), s) for s in KEEP_SETS]
    ([10, 20, 40], [1, 1, 3])
    """
    whole = {"sum_directions": 2, "blocks_2x2": 4, "blocks_3x3": 8}[keep_set]
    nyquist = {"sum_directions": 1, "blocks_2x2": 1, "blocks_3x3": 3}[keep_set]
    return sum(nyquist if 2 * k == n else whole for k in ks)


def keep(x: Float[Tensor, "n n m"], ks: tuple[int, ...], keep_set: KeepSet) -> Float[Tensor, "n n m"]:
    """The orthogonal projection of each x[:, :, c] on the set; slow twin: the explicit unit functions, in the tests."""
    n, _, m = x.shape
    if keep_set == "sum_directions":
        return keep_frequencies(sum_means(x), ks)[sum_classes(n, x.device)]
    if any(k not in frequencies(n) for k in ks):
        raise ValueError(f"frequencies {ks} are not all within 1..{n // 2}")
    of_row = row_frequencies(n)
    chosen = torch.isin(of_row, torch.tensor((0, *ks)))
    rows, k = fourier_basis(n)[chosen].to(x.device, x.dtype), of_row[chosen].to(x.device)
    mask = (k[:, None] == k[None, :]) & (k[:, None] > 0)
    if keep_set == "blocks_3x3":
        mask |= (k[:, None] > 0) ^ (k[None, :] > 0)
    spectrum = rows @ (rows @ x.reshape(n, n * m)).reshape(len(rows), n, m)
    over_j = rows.T @ (spectrum * mask[:, :, None])
    return (rows.T @ over_j.reshape(len(rows), n * m)).reshape(n, n, m)
