"""One update of the weights, with all that a config may add to plain training, in a stated order."""

from typing import Any, Protocol

import torch

from grokinterp.config import RunConfig
from grokinterp.models.spec import Weights, is_bias
from grokinterp.training.data import Pairs
from grokinterp.training.differentiate import Differentiate
from grokinterp.training.gradients import Gradients, build_grokfast, orthogonalize
from grokinterp.training.optimizers import Descent
from grokinterp.training.perturb import FixedNorm, GaussianNoise, sam_offsets


class Stepper:
    """Updates the trained weights, a batch at a time.

    In this order, each only where the config asks for it:

    1. weight_noise: loss and gradient are those at W + sigma N(0, 1), drawn anew for each update and each trained
       weight that is no bias (Power et al. 2022, figure 2). W itself is what is updated.
    2. sam_rho: the gradient at W + noise + rho g / ||g|| takes the place of g, the gradient at W + noise; same
       batch, same noise, but dropout is drawn anew (Foret et al. 2021).
    3. orthogonal_gradient: the part of g along W goes, tensor by tensor (Prieto et al. 2025).
    4. grokfast: a running mean of the gradients, as they are by now, is added (Lee et al. 2024).
    5. optimizer: decay and step, at the learning rate of this update.
    6. update_noise: W <- W + lr sigma N(0, 1) on all trained weights (Power et al. 2022, figure 2).
    7. norm: all trained weights together get back the L2 norm of the initial ones (Liu et al. 2023).

    With nothing on: one forward pass, one backward pass, one step, and no copies.

    **Differs:** in the code of Power et al. weight noise also falls on LayerNorm's biases, and update noise is
    divided by Adam's bias correction 1 - beta_1^t, so that it is ten times as large at first.
    **Known values:** with nothing on and by autograd, bit for bit forward, loss, backward and torch's step in turn.
    """

    def __init__(self, config: RunConfig, weights: Weights, trained: Weights, differentiate: Differentiate) -> None:
        """`trained` are those of the weights that are leaves and require gradients, at their initial values."""
        self._config, self._weights, self._trained = config, weights, trained
        self._differentiate = differentiate
        extra, seed = config.regularizer, config.train.seed
        noisy = {name: weight for name, weight in self._trained.items() if not is_bias(name)}
        self._weight_noise = _noise("weight noise", seed, extra.weight_noise, noisy)
        self._update_noise = _noise("update noise", seed, extra.update_noise, self._trained)
        self._grokfast = build_grokfast(extra, self._trained)
        self._descent = Descent(config.optimizer, self._trained, config.train.steps)
        self._norm = FixedNorm(self._trained) if extra.norm == "initial" else None

    def update(self, batch: Pairs, step: int) -> None:
        """One update on `batch`; `step` counts the updates before it."""
        gradients = self._gradients(batch)
        with torch.no_grad():
            if self._config.regularizer.orthogonal_gradient:
                orthogonalize(self._trained, gradients)
            if self._grokfast is not None:
                self._grokfast.amplify(gradients)
            lr = self._descent.step(step)
            if self._update_noise is not None:
                for name, noise in self._update_noise.draw().items():
                    self._trained[name].add_(noise, alpha=lr)
            if self._norm is not None:
                self._norm.apply()

    def _gradients(self, batch: Pairs) -> Gradients:
        """Gradients where noise and SAM want them; they lie in the `.grad` of the weights as well."""
        noise = self._weight_noise.draw() if self._weight_noise is not None else {}
        gradients = self._gradients_at(noise, batch)
        rho = self._config.regularizer.sam_rho
        if not rho:
            return gradients
        return self._gradients_at(_sum(noise, sam_offsets(gradients, rho)), batch)

    def _gradients_at(self, offsets: Weights, batch: Pairs) -> Gradients:
        """Gradients of the loss at the weights plus `offsets`, one forward and one backward pass."""
        weights = self._weights
        if offsets:
            weights = weights | {name: weights[name] + offset for name, offset in offsets.items()}
        return self._differentiate(weights, batch)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on bit for bit, the weights apart.

        It is as things are now: to be written or copied before the next update.
        """
        return {name: part.state() for name, part in self._parts().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the stepper whose `state` this is.

        Raises:
            ValueError: it is that of a stepper of another config.
        """
        parts = self._parts()
        if set(state) != set(parts):
            raise ValueError(f"the state holds {sorted(state)}, but this config needs {sorted(parts)}")
        for name, part in parts.items():
            part.restore(state[name])

    def _parts(self) -> "dict[str, _Part]":
        """What has a state, under the name that it has there; of the rest only what is on."""
        optional = {
            "weight_noise": self._weight_noise,
            "grokfast": self._grokfast,
            "update_noise": self._update_noise,
            "norm": self._norm,
        }
        return {"optimizer": self._descent} | {name: part for name, part in optional.items() if part is not None}


class _Part(Protocol):
    """What is saved and goes on."""

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


def _noise(purpose: str, seed: int, scale: float, weights: Weights) -> GaussianNoise | None:
    return GaussianNoise(purpose, seed, scale, weights) if scale else None


def _sum(one: Weights, other: Weights) -> Weights:
    """Both offsets together; each may lack names."""
    return one | {name: one[name] + value if name in one else value for name, value in other.items()}
