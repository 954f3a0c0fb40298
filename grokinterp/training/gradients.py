"""What is done to the gradients before the optimizer sees them: orthogonal gradient, Grokfast.

Gradients are a dict from the names of the trained weights to tensors of their shapes.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.config import RegularizerConfig
from grokinterp.models.spec import Weights, is_bias

Gradients = dict[str, Tensor]

PARALLEL = 16.0
"""A gradient whose share orthogonal to the weights is fewer units of rounding (of its dtype) is parallel to them."""


def orthogonal_gradient(weight: Float[Tensor, "*shape"], gradient: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The part of a gradient that is orthogonal to the weights, as long as the gradient was.

        u = g - (w.g / w.w) w,   returned: u ||g|| / ||u||

    g itself where w = 0, and 0 where g is parallel to w. Computed in float64: small gradients have squares that
    float32 cannot hold.

    **Paper:** Prieto et al. 2025 (2501.04697), perp-Grad; the rescaling is in their code alone.
    **Differs:** their code adds 1e-30 to w.w and to ||u||, which makes rounding errors of a parallel g as long as g.
    **Known values:** orthogonal and of the same norm to 1e-12 in float64; w = (1, 0), g = (3, 4) gives (0, 5).
    """
    w, g = weight.double(), gradient.double()
    squared = w.square().sum()
    part = g - (w * g).sum() / squared.where(squared > 0, 1.0) * w
    length, left = torch.linalg.vector_norm(g), torch.linalg.vector_norm(part)
    rounding = PARALLEL * torch.finfo(gradient.dtype).eps * length
    # what is no number compares false and stays so, and training notices
    scale = torch.where(left <= rounding, 0.0, length / left)
    return (part * scale).to(gradient.dtype)


def orthogonalize(weights: Weights, gradients: Gradients) -> None:
    """Replace each gradient by its `orthogonal_gradient`, tensor by tensor; biases keep theirs.

    All heads of an attention weight are one tensor, as in their code. A bias does not scale the logits; their
    code projects biases too, but their networks, the transformer apart, have none.
    """
    for name, gradient in gradients.items():
        if not is_bias(name):
            gradient.copy_(orthogonal_gradient(weights[name].detach(), gradient))


class ExponentialMean:
    """Grokfast-EMA: h <- alpha h + (1 - alpha) g, and the optimizer gets g + lambda h; h starts as the first g.

    **Paper:** Lee et al. 2024 (2405.20233), algorithm 2 (their mu, alpha, lambda).
    **Differs:** the paper's listing starts h elsewhere; this is their code.
    **Known values:** a constant gradient becomes (1 + lambda) g at once; otherwise pytorch-optimizer's gradfilter_ema.
    """

    def __init__(self, alpha: float, factor: float, weights: Weights) -> None:
        """`factor` is lambda; `weights` are what the gradients belong to."""
        self._alpha, self._factor, self._weights = alpha, factor, weights
        self._mean: Gradients = {}

    def amplify(self, gradients: Gradients) -> None:
        """Take in these gradients and change them in place."""
        for name, gradient in gradients.items():
            if name not in self._mean:
                self._mean[name] = gradient.clone()
            else:
                self._mean[name].mul_(self._alpha).add_(gradient, alpha=1 - self._alpha)
            gradient.add_(self._mean[name], alpha=self._factor)

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as it is now: to be written or copied before the next update."""
        return {"mean": self._mean}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the mean whose `state` this is."""
        self._mean = {name: value.to(self._weights[name].device, copy=True) for name, value in state["mean"].items()}


class WindowMean:
    """Grokfast-MA: the optimizer gets g + lambda times the mean of the last `window` gradients, this one included.

    Until there are that many, it gets g.

    **Paper:** Lee et al. 2024 (2405.20233), algorithm 1, with the warm-up of their code.
    **Known values:** pytorch-optimizer's gradfilter_ma.
    """

    def __init__(self, window: int, factor: float, weights: Weights) -> None:
        """`factor` is lambda; `weights` are what the gradients belong to."""
        self._window, self._factor, self._weights = window, factor, weights
        self._seen = 0
        self._last: Gradients = {}  # (window, *shape); gradient number i lies in row i modulo window

    def amplify(self, gradients: Gradients) -> None:
        """Take in these gradients and change them in place."""
        row = self._seen % self._window
        self._seen += 1
        for name, gradient in gradients.items():
            if name not in self._last:
                self._last[name] = self._rows(name)
            self._last[name][row] = gradient
            if self._seen >= self._window:
                gradient.add_(self._last[name].mean(dim=0), alpha=self._factor)

    def state(self) -> dict[str, Any]:
        """What `restore` needs; rows without a gradient are left out."""
        filled = min(self._seen, self._window)
        return {"seen": self._seen, "last": {name: rows[:filled].clone() for name, rows in self._last.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the mean whose `state` this is."""
        self._seen, self._last = state["seen"], {}
        for name, rows in state["last"].items():
            self._last[name] = self._rows(name)
            self._last[name][: len(rows)] = rows

    def _rows(self, name: str) -> Tensor:
        weight = self._weights[name].detach()
        return weight.new_zeros(self._window, *weight.shape)


def build_grokfast(config: RegularizerConfig, weights: Weights) -> ExponentialMean | WindowMean | None:
    """The filter that a config asks for, if any."""
    match config.grokfast:
        case "ema":
            return ExponentialMean(config.grokfast_alpha, config.grokfast_lambda, weights)
        case "ma":
            return WindowMean(config.grokfast_window, config.grokfast_lambda, weights)
    return None
