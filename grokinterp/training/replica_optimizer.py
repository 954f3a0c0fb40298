"""AdamW, Adam and SGD on weights with a leading replica axis, each replica at its own learning rate and decay."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.config import OptimizerConfig
from grokinterp.models.spec import Weights
from grokinterp.training.optimizers import learning_rate, weight_decay


class ReplicaOptimizer:
    """Updates weights (R, ...) element by element, as torch.optim would update each replica by itself.

    With g the gradient, lr and lambda the learning rate and the weight decay of each replica, t the update from 1:

        adamw   w <- (1 - lr lambda) w
                m <- m + (1 - beta_1) (g - m),   v <- beta_2 v + (1 - beta_2) g^2
                w <- w - lr / (1 - beta_1^t) m / (sqrt(v) / sqrt(1 - beta_2^t) + eps)
        adam    the same with lambda 0
        sgd     g <- g + lambda w,   b <- momentum b + g (b = g at first),   w <- w - lr b

    in the order in which torch computes them. What it keeps is what torch keeps, so that the state of a replica
    is that of its torch.optim, and the other way round.

    **Differs:** in the last digits from torch's fused kernels, which single runs use.
    **Known values:** torch.optim on each replica alone, to 1e-14 in float64.
    """

    def __init__(self, configs: Sequence[OptimizerConfig], trained: Weights, steps: int) -> None:
        """One config a replica, alike but for `lr` and `weight_decay`; `steps` is the length of the runs."""
        self._configs, self._trained, self._steps = configs, trained, steps
        self._kept: dict[str, dict[str, Tensor]] = {name: {} for name in trained}
        self._rates = [config.lr for config in configs]
        self._decays = [config.weight_decay for config in configs]
        self._done = 0

    @torch.no_grad()
    def step(self, update: int) -> None:
        """Do update number `update`, from 0, from the gradients that lie in the `.grad` of the weights."""
        self._rates = [learning_rate(config, update, self._steps) for config in self._configs]
        self._decays = [weight_decay(config, update, self._steps) for config in self._configs]
        self._done = update + 1
        if self._configs[0].name == "sgd":
            self._sgd_step()
        else:
            self._adam_step()

    def _adam_step(self) -> None:
        config, (beta_1, beta_2) = self._configs[0], self._configs[0].betas
        kept_share = self._numbers([1 - rate * decay for rate, decay in zip(self._rates, self._decays, strict=True)])
        sizes = self._numbers([rate / (1 - beta_1**self._done) for rate in self._rates])
        for name, weight, gradient in self._with_gradients():
            if not self._kept[name]:
                self._kept[name] = {key: torch.zeros_like(weight) for key in ("exp_avg", "exp_avg_sq")}
            if config.name != "adam":
                weight.mul_(_column(kept_share, weight))
            mean = self._kept[name]["exp_avg"].lerp_(gradient, 1 - beta_1)
            square = self._kept[name]["exp_avg_sq"].mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
            spread = square.sqrt().div_(math.sqrt(1 - beta_2**self._done)).add_(config.eps)
            weight.sub_(torch.div(mean, spread, out=spread).mul_(_column(sizes, weight)))

    def _sgd_step(self) -> None:
        momentum, decaying = self._configs[0].momentum, any(config.weight_decay for config in self._configs)
        decays, rates = self._numbers(self._decays), self._numbers(self._rates)
        for name, weight, direction in self._with_gradients():
            if decaying:
                direction = direction + _column(decays, weight) * weight
            if momentum and self._kept[name]:
                direction = self._kept[name]["momentum_buffer"].mul_(momentum).add_(direction)
            elif momentum:
                self._kept[name] = {"momentum_buffer": direction.clone()}
            weight.sub_(direction * _column(rates, weight))

    def _with_gradients(self) -> list[tuple[str, Tensor, Tensor]]:
        return [(name, weight, weight.grad) for name, weight in self._trained.items() if weight.grad is not None]

    def _numbers(self, values: list[float]) -> Float[Tensor, " R"]:
        """One number a replica; nothing waits for the device."""
        like = next(iter(self._trained.values()))
        return torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True)

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Go on from the state dict of each replica's torch.optim, all after the same number of updates."""
        self._rates = [state["param_groups"][0]["lr"] for state in states]
        for index, name in enumerate(self._trained):
            found = [state["state"].get(index, {}) for state in states]
            self._done = int(found[0].get("step", 0))
            self._kept[name] = {key: torch.stack([one[key] for one in found]) for key in found[0] if key != "step"}

    def state(self, replica: int, like: dict[str, Any]) -> dict[str, Any]:
        """The state dict of a replica's torch.optim; `like` is that of the same optimizer at any step."""
        kept: dict[int, dict[str, Tensor]] = {}
        for index, found in enumerate(self._kept.values()):
            if found:
                kept[index] = {key: value[replica].clone() for key, value in found.items()}
            if "exp_avg" in found:
                kept[index]["step"] = torch.tensor(float(self._done))
        groups = [
            group | {"lr": self._rates[replica], "weight_decay": self._decays[replica]}
            for group in like["param_groups"]
        ]
        return {"state": kept, "param_groups": groups}


def _column(numbers: Float[Tensor, " R"], weight: Tensor) -> Tensor:
    """One number a replica, in the shape (R, 1, ...) that multiplies a weight (R, ...)."""
    return numbers.view(-1, *[1] * (weight.dim() - 1))
