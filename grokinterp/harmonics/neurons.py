"""Which frequency each neuron computes: its energy in the 3x3 Fourier blocks over pairs."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.harmonics.cyclic import fourier_basis, frequencies

AT_ONCE = 128
"""Neurons transformed at once: arrays above 32 MB come as new pages each time, which takes longer than the sums."""


@dataclass(frozen=True, eq=False)
class NeuronSpectrum:
    """The 3x3 blocks of every neuron's pair spectrum and the frequency that describes it best.

    blocks: `blocks[k - 1, r, s]` is the coefficient of the r-th of {1, cos w_k, sin w_k}(i) times the s-th
        of them (j), in the orthonormal basis; zero where there is no sine.
    fraction: largest share of a neuron's energy off the constant in one block; 0 if it is dead.
    best: the frequency of that block.
    energy: a neuron's energy off the constant, n^2 times its variance over pairs.
    """

    blocks: Float[Tensor, "n_frequencies 3 3 m"]
    fraction: Float[Tensor, " m"]
    best: Int[Tensor, " m"]
    energy: Float[Tensor, " m"]


def pair_spectrum(acts: Float[Tensor, "n n m"]) -> Float[Tensor, "n n m"]:
    """F X F^T over (i, j) in the orthonormal real Fourier basis."""
    n, _, m = acts.shape
    basis = fourier_basis(n).to(acts.device, acts.dtype)
    over_i = (basis @ acts.reshape(n, n * m)).reshape(n, n, m)
    return basis @ over_i


def block_energies(
    spectrum: Float[Tensor, "n n m"],
) -> tuple[Float[Tensor, "n_frequencies m"], Float[Tensor, " m"]]:
    """Energy of each frequency's 3x3 block without the constant, and the total without the constant.

    The block of k is {1, cos k, sin k}(i) x {1, cos k, sin k}(j), 2x2 at the Nyquist frequency. Cross
    terms between different frequencies belong to no block, so blocks need not sum to the total.
    """
    n = spectrum.shape[0]
    blocks = []
    for k in frequencies(n):
        own = slice(2 * k - 1, min(2 * k + 1, n))  # the rows cos k and sin k; cos alone at Nyquist
        alone = spectrum[own, 0].square().sum(0) + spectrum[0, own].square().sum(0)
        blocks.append(alone + spectrum[own, own].square().sum((0, 1)))
    return torch.stack(blocks), spectrum.square().sum(0).sum(0) - spectrum[0, 0].square()


def spectrum_blocks(acts: Float[Tensor, "n n m"]) -> Float[Tensor, "n_frequencies 3 3 m"]:
    """The coefficients of every frequency's 3x3 block, as in `NeuronSpectrum.blocks`.

    Half the work of `pair_spectrum`, its slow twin: over j only a block's own three functions are needed.
    """
    return torch.cat([_blocks(piece) for piece in acts.split(AT_ONCE, dim=2)], dim=3)


def _blocks(acts: Float[Tensor, "n n m"]) -> Float[Tensor, "n_frequencies 3 3 m"]:
    n, _, m = acts.shape
    basis = fourier_basis(n).to(acts.device, acts.dtype)
    over_i = torch.bmm(basis.expand(n, n, n), acts.transpose(0, 1)).transpose(0, 1)  # a product for each j: no copy
    blocks = torch.zeros(n // 2, 3, 3, m, dtype=acts.dtype, device=acts.device)
    constant = basis @ over_i[0]
    n_pairs = (n - 1) // 2
    paired = slice(1, 1 + 2 * n_pairs)
    functions = torch.cat([basis[:1].expand(n_pairs, 1, n), basis[paired].reshape(n_pairs, 2, n)], dim=1)
    for r in (1, 2):
        torch.bmm(functions, over_i[r : 1 + 2 * n_pairs : 2], out=blocks[:n_pairs, r])
    blocks[:n_pairs, 0, 1:] = constant[paired].reshape(n_pairs, 2, m)
    if n % 2 == 0:
        blocks[-1, 1, :2] = basis[[0, -1]] @ over_i[-1]
        blocks[-1, 0, 1] = constant[-1]
    blocks[:, 0, 0] = constant[0]
    return blocks


def neuron_spectrum(acts: Float[Tensor, "n n m"]) -> NeuronSpectrum:
    """Blocks, purity and frequency of neurons given over all pairs in natural order."""
    blocks = spectrum_blocks(acts)
    constant = blocks[0, 0, 0].square()
    energy = blocks.square().sum((1, 2)) - constant
    squares = torch.cat([piece.square().sum((0, 1)) for piece in acts.split(AT_ONCE, dim=2)])
    total = squares - constant  # Parseval
    alive = total > 1e-24 * constant
    share = torch.where(alive, energy / torch.where(alive, total, 1.0), 0.0)
    best = share.max(dim=0)
    return NeuronSpectrum(blocks, best.values.cpu().clamp(0.0, 1.0), best.indices.cpu() + 1, total.cpu().clamp(min=0.0))
