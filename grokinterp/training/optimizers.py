"""torch's optimizers from an OptimizerConfig, decay towards the initial weights, and the learning rate."""

import copy
import math
from typing import Any

import torch
from torch import Tensor

from grokinterp.config import OptimizerConfig
from grokinterp.models.spec import Weights, is_bias


def build_optimizer(config: OptimizerConfig, parameters: list[Tensor]) -> torch.optim.Optimizer:
    """AdamW (decoupled decay on every parameter), Adam without decay, or SGD (L2 in the gradient).

    With decay_to "init" torch's own decay is off; `Descent` adds the other one. Of muon it is the AdamW part.
    """
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    decay = config.weight_decay if config.decay_to == "zero" else 0.0
    lr, betas, eps = config.lr, config.betas, config.eps
    match config.name:
        case "adamw" | "muon":
            return torch.optim.AdamW(parameters, lr=lr, betas=betas, eps=eps, weight_decay=decay, fused=fused)
        case "adam":
            return torch.optim.Adam(parameters, lr=lr, betas=betas, eps=eps, fused=fused)
        case "sgd":
            return torch.optim.SGD(parameters, lr=lr, momentum=config.momentum, weight_decay=decay)


def build_muon(config: OptimizerConfig, matrices: list[Tensor]) -> torch.optim.Muon:
    """Muon: each update of a matrix is its momentum with all singular values brought close to 1.

        B <- momentum B + G,   W <- W - lr weight_decay W - lr sqrt(max(1, out / in)) NS(G + momentum B)

    with torch's defaults for the rest: Nesterov, five steps NS of Newton and Schulz in bfloat16. W is (out, in),
    as in torch.nn.Linear; see `muon_matrices`. NS first divides by the norm, or by 1e-7 where that is smaller:
    updates shrink with the gradients once these are far below it.

    **Paper:** Jordan et al. 2024 (Muon); Tveit et al. 2025 (2504.16041) for grokking.
    **Differs:** from Tveit et al., of whom no code was found: another transformer ("modern" is their word), and
    here Muon and AdamW have one lr and one weight_decay, where Muon commonly has a larger lr of its own.
    **Known values:** singular values between 0.6 and 1.3 times lr sqrt(max(1, out / in)), for each head by itself.
    """
    decay = config.weight_decay if config.decay_to == "zero" else 0.0
    return torch.optim.Muon(matrices, lr=config.lr, weight_decay=decay, momentum=config.momentum)


def muon_matrices(name: str, weight: Tensor) -> list[Tensor]:
    """The matrices in a weight that Muon trains, as (out, in) views of it; none where AdamW trains it.

    AdamW trains embeddings, positions and the unembedding, as Jordan et al. advise for what is next to the
    tokens, and whatever is no matrix. An attention weight (heads, in, out) is one matrix per head. Ours are
    (in, out), and the factor sqrt(max(1, out / in)) tells the two apart, hence the transposes.
    """
    if not name.startswith("blocks.") or is_bias(name) or weight.dim() < 2:
        return []
    return [matrix.T for matrix in (weight if weight.dim() == 3 else [weight])]


class Descent:
    """The optimizer of a config on named weights: one step from the gradients that lie in their `.grad`.

    With p0 the initial weights and lr that of this update, decay_to "init" is

        p <- p + lr weight_decay (p0 - p), then the step       (adamw and muon)
        g <- g + weight_decay (p - p0), then the step          (sgd, whose decay to 0 is in the gradient as well)

    **Paper:** Power et al. 2022, figure 2, "weight decay towards the initialization" (their code: to_init).
    **Known values:** sgd on a quadratic goes to the closed form; adamw is the hand-written loop.
    """

    def __init__(self, config: OptimizerConfig, trained: Weights, steps: int) -> None:
        """`trained` has the initial values, copied where the decay goes to them; `steps` is the length of the run."""
        self._config, self._trained, self._steps = config, trained, steps
        to_init = config.decay_to == "init" and config.weight_decay > 0
        self._start = {name: w.detach().clone() for name, w in trained.items()} if to_init else {}
        self._views: list[tuple[Tensor, list[Tensor]]] = []
        by_adam = list(trained.values())
        if config.name == "muon":
            views = {name: muon_matrices(name, w.detach()) for name, w in trained.items()}
            self._views = [(trained[name], found) for name, found in views.items() if found]
            by_adam = [w for name, w in trained.items() if not views[name]]
        matrices = [view for _, found in self._views for view in found]
        self._optimizers: list[torch.optim.Optimizer] = [build_muon(config, matrices)] if matrices else []
        if by_adam:
            self._optimizers.append(build_optimizer(config, by_adam))

    @torch.no_grad()
    def step(self, update: int) -> float:
        """Do update number `update`, from 0; returns its learning rate."""
        lr, decay = learning_rate(self._config, update, self._steps), weight_decay(self._config, update, self._steps)
        self._decay_to_start(lr, decay)
        for weight, views in self._views:
            for view, gradient in zip(views, _as_views(weight), strict=True):
                view.grad = gradient
        for optimizer in self._optimizers:
            set_rates(optimizer, lr, decay if self._config.decay_to == "zero" else 0.0)
            optimizer.step()
        return lr

    def _decay_to_start(self, lr: float, decay: float) -> None:
        for name, start in self._start.items():
            weight, gradient = self._trained[name], self._trained[name].grad
            if self._config.name != "sgd":
                weight.add_(start - weight, alpha=lr * decay)
            elif gradient is not None:
                gradient.add_(weight - start, alpha=decay)

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as it is now: to be written or copied before the next step."""
        return {"optimizers": [optimizer.state_dict() for optimizer in self._optimizers], "start": self._start}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the descent whose `state` this is.

        Raises:
            ValueError: it is that of other weights.
        """
        for name, start in self._start.items():
            start.copy_(state["start"][name])
        for optimizer, found in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(copy.deepcopy(found))  # it would keep these very tensors


def _as_views(weight: Tensor) -> list[Tensor | None]:
    """The gradient of a weight, cut as `muon_matrices` cuts the weight."""
    gradient = weight.grad
    if gradient is None:
        return [None] * (len(weight) if weight.dim() == 3 else 1)
    return [matrix.T for matrix in (gradient if gradient.dim() == 3 else [gradient])]


def learning_rate(config: OptimizerConfig, update: int, steps: int) -> float:
    """The learning rate of update 0, 1, ..., steps - 1: a linear warm-up, then constant or a cosine.

        lr i / warmup_steps                                        for i < warmup_steps
        lr (final_lr + (1 - final_lr) (1 + cos(pi t)) / 2)         cosine, from there on

    with t going from 0 at update warmup_steps to 1 at the last one (0 where that is the same one). The first
    update of a warm-up is at 0, as in the code of Nanda et al. 2023 and Power et al. 2022.

    **Differs:** the cosine in the code of Power et al. takes 10^5 updates after the warm-up, however long the run.
    **Known values:** torch's CosineAnnealingLR with T_max = steps - 1 - warmup_steps.
    """
    if update < config.warmup_steps:
        return config.lr * update / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    t = (update - config.warmup_steps) / max(1, steps - 1 - config.warmup_steps)
    return config.lr * _cosine(t, config.final_lr)


def weight_decay(config: OptimizerConfig, update: int, steps: int) -> float:
    """The weight decay of update 0, 1, ..., steps - 1: constant, or from the first on a cosine to its last share.

        weight_decay (final_decay + (1 - final_decay) (1 + cos(pi t)) / 2),   t = update / (steps - 1)

    Strong decay hastens grokking, and keeps the logits of the network that grokked small: the loss stays where it is.
    """
    if config.final_decay == 1:
        return config.weight_decay
    return config.weight_decay * _cosine(update / max(1, steps - 1), config.final_decay)


def _cosine(t: float, last: float) -> float:
    """From 1 at t = 0 to `last` at t = 1."""
    return last + (1 - last) * (1 + math.cos(math.pi * t)) / 2


def set_rates(optimizer: torch.optim.Optimizer, lr: float, decay: float) -> None:
    """Use this learning rate and this decay from the next step on."""
    for group in optimizer.param_groups:
        group["lr"], group["weight_decay"] = lr, decay
