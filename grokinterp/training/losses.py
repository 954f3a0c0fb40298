"""Cross-entropy in a stated precision."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def cross_entropy_each(
    logits: Float[Tensor, "batch answers"], labels: Int[Tensor, " batch"], dtype: torch.dtype = torch.float64
) -> Float[Tensor, " batch"]:
    """-log softmax(logits)[label] per row, in nats, computed in `dtype`.

    float64 by default: at a logit margin of 20 float32 already returns multiples of 1.2e-7, and at
    30 it returns 0 (known values: 1.19e-7 against 2.31e-7, 0 against 1.05e-11 at p = 113).
    """
    return F.cross_entropy(logits.to(dtype), labels, reduction="none")


def cross_entropy(
    logits: Float[Tensor, "batch answers"], labels: Int[Tensor, " batch"], dtype: torch.dtype = torch.float64
) -> Float[Tensor, ""]:
    """Mean of `cross_entropy_each`."""
    return F.cross_entropy(logits.to(dtype), labels)
