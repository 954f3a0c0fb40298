"""Straight lines through a network in random directions that are as long as the network's own parts."""

from grokinterp.landscape.noise import draw, noise_scale
from grokinterp.models.weights import Weights


def filter_normalised(weights: Weights, seed: int) -> Weights:
    """A random direction d whose part at each neuron has the norm of that neuron's weights.

    d = Gaussian, times |w_part| / |d_part| for each part: a column of W_in with its b_in, a row of W_out, and
    every other tensor as a whole (`noise_scale`, form neuron-wise, which has the root mean squares). At
    alpha = -1 and 1 along it, every part is perturbed by as much as it has. Parts that are zero stay zero.

    **Paper:** Li et al. 2018 (arXiv 1712.09913), section 4: filter-wise normalisation.
    **Differs:** they treat rows of fully connected layers as filters on one side only; here a neuron has
    both sides, so that rescaling a ReLU neuron (inputs by s, outputs by 1/s) changes no line.
    """
    gaussian = draw(weights, seed)
    own, drawn = noise_scale(weights, "neuron-wise"), noise_scale(gaussian, "neuron-wise")
    return {name: gaussian[name] * own[name] / drawn[name].clamp_min(1e-30) for name in weights}
