"""Four ways to say how large a perturbation of the weights is.

Each returns the standard deviation of the noise of every entry at sigma = 1; noise is sigma times that
times a standard Gaussian.
"""

from functools import lru_cache

import torch
from torch import Tensor

from grokinterp.models.weights import Weights
from grokinterp.seeding import generator

FORMS = ("raw", "weight-proportional", "neuron-wise", "layer-relative")


def noise_scale(weights: Weights, form: str) -> Weights:
    """Standard deviation of each entry's noise at sigma = 1.

    raw: 1. weight-proportional: |w|. layer-relative: the tensor's root mean square. neuron-wise:
    the root mean square of the neuron's part, which is a column of W_in with its b_in, or a row of
    W_out; tensors that hold no neurons take the layer-relative form (so do the tensors around an MLP without W_out).

    Rescaling a ReLU neuron (W_in and b_in by s, W_out by 1/s) does not change the network; under it
    the weight-proportional and the neuron-wise noise stay the same noise, the others do not. An
    all-zero tensor gets no noise in the relative forms.
    """
    if form == "raw":
        return {name: torch.ones_like(w) for name, w in weights.items()}
    if form == "weight-proportional":
        return {name: w.abs() for name, w in weights.items()}
    scale = {name: w.square().mean().sqrt().expand(w.shape) for name, w in weights.items()}
    if form == "layer-relative":
        return scale
    if form == "neuron-wise":
        for name in weights:
            if name.endswith("mlp.W_in"):
                scale |= _neuron_scales(weights, name.removesuffix("W_in"))
        return scale
    raise ValueError(f"no noise form {form!r}; choose from {', '.join(FORMS)}")


def _neuron_scales(weights: Weights, mlp: str) -> Weights:
    w_in, w_out, b_in = weights[mlp + "W_in"], weights.get(mlp + "W_out"), weights.get(mlp + "b_in")
    incoming, size = w_in.square().sum(0), w_in.shape[0]
    if b_in is not None:
        incoming, size = incoming + b_in.square(), size + 1
    rms_in = (incoming / size).sqrt()
    scales = {mlp + "W_in": rms_in.expand_as(w_in)}
    if w_out is not None:
        scales[mlp + "W_out"] = w_out.square().mean(1, keepdim=True).sqrt().expand_as(w_out)
    if b_in is not None:
        scales[mlp + "b_in"] = rms_in
    return scales


def draw(weights: Weights, seed: int) -> Weights:
    """A standard Gaussian for every entry, from a generator of its own on the CPU; not to be changed in place."""
    drawn = _gaussians(tuple(w.shape for w in weights.values()), seed)
    return {name: x.to(w.device, w.dtype) for (name, w), x in zip(weights.items(), drawn, strict=True)}


@lru_cache(maxsize=16)
def _gaussians(shapes: tuple[torch.Size, ...], seed: int) -> tuple[Tensor, ...]:
    """In float64; kept, as every checkpoint of a run is perturbed by the same ones."""
    stream = generator("weight noise", seed)
    return tuple(torch.randn(shape, generator=stream, dtype=torch.float64) for shape in shapes)


def perturb(weights: Weights, scale: Weights, gaussian: Weights, sigma: float) -> Weights:
    """weights + sigma * scale * gaussian."""
    return {name: w + sigma * scale[name] * gaussian[name] for name, w in weights.items()}
