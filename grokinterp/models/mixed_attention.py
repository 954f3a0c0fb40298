"""Attention mixed with a constant 1 at every position that is seen (Zhong et al. 2023), as a hook on the pattern."""

from collections.abc import Callable

import torch
from torch import Tensor


def mixing_hook(rate: float, n_ctx: int, *, causal: bool) -> Callable[..., Tensor]:
    """rate * pattern + (1 - rate) * seen, for the `hook_pattern` of either TransformerLens."""
    seen = torch.ones(n_ctx, n_ctx)
    seen = seen.tril() if causal else seen

    def mix(tensor: Tensor, *, hook: object) -> Tensor:
        del hook
        n_query, n_key = tensor.shape[-2:]  # a shorter prompt than the task's has fewer
        return rate * tensor + (1 - rate) * seen[:n_query, :n_key].to(tensor)

    return mix
