"""torch's optimizers from an OptimizerConfig, and the warm-up."""

import torch
from torch import Tensor

from grokinterp.config import OptimizerConfig


def build_optimizer(config: OptimizerConfig, parameters: list[Tensor]) -> torch.optim.Optimizer:
    """AdamW (decoupled decay on every parameter), Adam without decay, or SGD."""
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    match config.name:
        case "adamw":
            return torch.optim.AdamW(
                parameters,
                lr=config.lr,
                betas=config.betas,
                eps=config.eps,
                weight_decay=config.weight_decay,
                fused=fused,
            )
        case "adam":
            return torch.optim.Adam(parameters, lr=config.lr, betas=config.betas, eps=config.eps, fused=fused)
        case "sgd":
            return torch.optim.SGD(parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


def learning_rate(config: OptimizerConfig, update: int) -> float:
    """lr min(update / warmup_steps, 1) for update 0, 1, ...: the first update of a warm-up is at 0,
    as in the code of Nanda et al. 2023 and Power et al. 2022."""
    if update >= config.warmup_steps:
        return config.lr
    return config.lr * update / config.warmup_steps


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Use `lr` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = lr
