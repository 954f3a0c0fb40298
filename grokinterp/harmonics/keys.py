"""Key frequencies: which frequencies a network uses, by four rules that papers do not agree on."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.harmonics.cyclic import component_norms, cosine_amplitudes, cosine_power, frequency_norms

THRESHOLD = 0.25
"""A frequency is key if its norm passes this share of the largest one's."""

NEURON_THRESHOLD = 0.85
"""Share of a neuron's energy that makes it a neuron of one frequency (Nanda et al. 2023)."""


@dataclass(frozen=True)
class KeyFrequencies:
    """A sorted set of frequencies, the rule that chose it and the rule's threshold."""

    ks: tuple[int, ...]
    rule: str
    threshold: float

    def __str__(self) -> str:
        return "{" + ", ".join(map(str, self.ks)) + "}"


def matrix_rule(name: str, rows: Float[Tensor, "n features"], threshold: float = THRESHOLD) -> KeyFrequencies:
    """Frequencies whose part of `rows` has a norm sqrt(cos^2 + sin^2) above `threshold` times the largest.

    For W_L this is the primary rule; on W_E it is nearly the rule of TransformerLens's demo, which names
    too many in two of four published networks. All k = 1..floor(n/2) are looked at.

    **Differs:** the demo looks at the cosine and the sine alone, so that its K depends on where the answers
    start to be counted; here K stays the same if all answers are shifted.
    **Known values:** Nanda et al.'s low-precision network: {3, 6, 9, 23, 39}; a sine alone would add 46.
    """
    norms = frequency_norms(component_norms(rows))[1:].cpu()
    found = torch.nonzero(norms > threshold * norms.max()).flatten() + 1
    return KeyFrequencies(tuple(found.tolist()), name, threshold)


def logit_rule(sum_means: Float[Tensor, "n n_answers"], threshold: float = THRESHOLD) -> KeyFrequencies:
    """Frequencies whose cos w_k(i + j - c) term in the logits has a norm above the threshold."""
    n = sum_means.shape[0]
    amplitude = cosine_amplitudes(sum_means[:, :n]).abs().cpu() * cosine_power(n).sqrt()
    found = torch.nonzero(amplitude > threshold * amplitude.max()).flatten() + 1
    return KeyFrequencies(tuple(found.tolist()), "logits", threshold)


def neuron_rule(
    fraction: Float[Tensor, " d_mlp"], best_k: Tensor, threshold: float = NEURON_THRESHOLD
) -> KeyFrequencies:
    """Frequencies to which at least one neuron gives `threshold` of its energy."""
    found = best_k[fraction >= threshold]
    return KeyFrequencies(tuple(sorted(set(found.tolist()))), "neurons", threshold)


def agreement(one: KeyFrequencies, other: KeyFrequencies) -> float:
    """Jaccard index |A n B| / |A u B| of two sets; 1 for two empty ones.

    >>> agreement(KeyFrequencies((1, 16, 30), "W_E", 0.25), KeyFrequencies((16, 30), "W_L", 0.25))
    0.6666666666666666
    """
    union = {*one.ks, *other.ks}
    return len(set(one.ks) & set(other.ks)) / len(union) if union else 1.0
