"""Which frequency each neuron computes: its energy in the 3x3 Fourier blocks over pairs."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.harmonics.cyclic import fourier_basis, frequencies


@dataclass(frozen=True, eq=False)
class NeuronSpectrum:
    """The pair spectrum of every neuron and the frequency that describes it best.

    spectrum: F X F^T over (i, j) in the orthonormal real Fourier basis.
    fraction: largest share of a neuron's energy off the constant in one block; 0 if it is dead.
    best: the frequency of that block.
    """

    spectrum: Float[Tensor, "n n m"]
    fraction: Float[Tensor, " m"]
    best: Int[Tensor, " m"]


def pair_spectrum(acts: Float[Tensor, "n n m"]) -> Float[Tensor, "n n m"]:
    """F X F^T over (i, j) in the orthonormal real Fourier basis."""
    n, _, m = acts.shape
    basis = fourier_basis(n).to(acts.device, acts.dtype)
    over_i = (basis @ acts.reshape(n, n * m)).reshape(n, n, m)
    return basis @ over_i


def from_spectrum(spectrum: Float[Tensor, "n n m"]) -> Float[Tensor, "n n m"]:
    """F^T S F: the inverse of `pair_spectrum`."""
    n, _, m = spectrum.shape
    back = fourier_basis(n).to(spectrum.device, spectrum.dtype).T
    return back @ (back @ spectrum.reshape(n, n * m)).reshape(n, n, m)


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


def neuron_spectrum(acts: Float[Tensor, "n n m"]) -> NeuronSpectrum:
    """Spectrum, purity and frequency of neurons given over all pairs in natural order."""
    spectrum = pair_spectrum(acts)
    blocks, total = block_energies(spectrum)
    share = torch.where(total > 0, blocks / total.clamp_min(1e-300), 0.0)
    best = share.max(dim=0)
    return NeuronSpectrum(spectrum, best.values.cpu().clamp(max=1.0), best.indices.cpu() + 1)
