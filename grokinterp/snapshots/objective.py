"""The train loss of a snapshot as a function of one flat vector: what sharpness, curvature and sampling need."""

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.models.weights import Weights
from grokinterp.snapshots.snapshot import Snapshot


class TrainLoss:
    """Mean cross-entropy over the training pairs (nats), of a flat vector of the trained weights.

    Differentiable, and free of state, so that grad, jvp and vmap apply.

    Attributes:
        start: The snapshot's own weights, flat, in the order of their names.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        _ = snapshot.loss_pairs  # a tensor that is first made inside a transform would escape from it
        weights = snapshot.trained_weights
        self._shapes = {name: w.shape for name, w in weights.items()}
        self._sizes = [w.numel() for w in weights.values()]
        self.start: Float[Tensor, " n"] = torch.cat([w.flatten() for w in weights.values()])

    @property
    def n_pairs(self) -> int:
        """Number of pairs that the loss is a mean over."""
        return len(self.snapshot.loss_pairs[0])

    def unflatten(self, flat: Float[Tensor, " n"]) -> Weights:
        """The trained weights by name."""
        parts = zip(self._shapes.items(), flat.split(self._sizes), strict=True)
        return {name: part.view(shape) for (name, shape), part in parts}

    def __call__(self, flat: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """The loss."""
        return self.snapshot.loss_under(self.unflatten(flat))

    def value(self, flat: Float[Tensor, " n"]) -> float:
        """The loss, where no gradient is wanted."""
        return self.snapshot.loss_at(self.unflatten(flat))

    def value_and_gradient(self, flat: Float[Tensor, " n"]) -> tuple[float, Float[Tensor, " n"]]:
        """The loss and its gradient, by hand where the engine can."""
        found = self.snapshot.loss_and_gradient(self.unflatten(flat))
        if found is not None:
            return found[0], torch.cat([found[1][name].flatten() for name in self._shapes])
        point = flat.detach().requires_grad_()
        value = self(point)
        (gradient,) = torch.autograd.grad(value, point)
        return float(value.detach()), gradient
