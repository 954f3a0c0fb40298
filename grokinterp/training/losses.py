"""The losses that training minimises, in a stated precision; cross-entropy has a gradient free of subnormal numbers."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.models.fused import SMALLEST, cross_entropy_gradient_

LossName = Literal["cross_entropy", "stablemax", "mse"]


def training_loss(
    kind: LossName,
    logits: Float[Tensor, "batch answers"],
    labels: Int[Tensor, " batch"],
    dtype: torch.dtype = torch.float64,
) -> Float[Tensor, ""]:
    """The loss called `kind`, a mean over the batch: `cross_entropy`, `stablemax` or `squared_error`."""
    match kind:
        case "cross_entropy":
            return cross_entropy(logits, labels, dtype)
        case "stablemax":
            return stablemax(logits, labels, dtype)
        case "mse":
            return squared_error(logits, labels, dtype)


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
    """Mean of `cross_entropy_each`, for training.

    The gradient with respect to a logit is (softmax - one-hot) / batch. Once a network is sure of
    itself, most of its entries are near 1e-40, subnormal in float32, and matrix products with such
    numbers take several times as long on a CPU. Entries below SMALLEST become 0; beside entries of
    1e-11 and more, which make up the same sums, float32 cannot tell.
    """
    return _MeanCrossEntropy.apply(logits, labels, dtype)


def stablemax(
    logits: Float[Tensor, "batch answers"], labels: Int[Tensor, " batch"], dtype: torch.dtype = torch.float64
) -> Float[Tensor, ""]:
    """Mean over the batch of -log p[label] with p_c = s(z_c) / sum_j s(z_j), in nats, computed in `dtype`.

        s(x) = x + 1 for x >= 0,   1 / (1 - x) for x < 0

    As p is the softmax of log s, this is `cross_entropy` of log s(z) = sign(z) log(1 + |z|). Its gradients fall
    off as a power of the logits and not exponentially, so they do not become tiny.

    **Paper:** Prieto et al. 2025 (2501.04697), equations of StableMax.
    **Differs:** their code adds 1e-30 to 1 - x.
    **Known values:** logits (1, 0, -1) have p = (4, 2, 1) / 7.
    """
    z = logits.to(dtype)
    # either branch is clamped to where it is defined: a NaN there would reach the gradient of the other
    log_s = torch.where(z >= 0, z.clamp(min=0).log1p(), -(-z.clamp(max=0)).log1p())
    return cross_entropy(log_s, labels, dtype)


def squared_error(
    logits: Float[Tensor, "batch answers"], labels: Int[Tensor, " batch"], dtype: torch.dtype = torch.float64
) -> Float[Tensor, ""]:
    """Mean over the batch and the answers of (logit - one-hot)^2, computed in `dtype`.

    **Paper:** Gromov 2023 (2301.02679); normalised as in the code of Doshi et al. 2023 (2310.13061), which has
    torch's MSELoss on one-hot labels.
    **Differs:** where a text sums over the answers, its loss is n_answers times this one, and its learning rate
    of gradient descent is to be multiplied by n_answers.
    **Known values:** all logits 0 give 1 / n_answers.
    """
    return F.mse_loss(logits.to(dtype), F.one_hot(labels, logits.shape[1]).to(dtype))


def loss_gradient(
    kind: LossName,
    logits: Float[Tensor, "answers batch"],
    labels: Int[Tensor, " batch"],
    dtype: torch.dtype = torch.float64,
) -> Float[Tensor, "answers batch"]:
    """The gradient of `training_loss` with respect to the logits, answers first; may overwrite them.

    Of a cross-entropy in float64 it is `cross_entropy_gradient_`, of any other loss autograd's.
    """
    if kind == "cross_entropy" and dtype == torch.float64:
        return cross_entropy_gradient_(logits, labels)
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        return torch.autograd.grad(training_loss(kind, leaf.T, labels, dtype), leaf)[0]


class _MeanCrossEntropy(torch.autograd.Function):
    """Forward in `dtype`, gradient (softmax - one-hot) / batch with tiny entries set to 0."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, dtype: torch.dtype) -> Tensor:
        log_p = logits.to(dtype).log_softmax(dim=1)
        ctx.save_for_backward(log_p, labels)
        ctx.logits_dtype = logits.dtype
        return F.nll_loss(log_p, labels)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, None, None]:
        log_p, labels = ctx.saved_tensors
        gradient = log_p.exp()
        # p - 1 of the right answer as a sum over the wrong ones, which keeps its digits however close p is to 1
        gradient.scatter_(1, labels[:, None], 0.0)
        gradient.scatter_(1, labels[:, None], -gradient.sum(dim=1, keepdim=True))
        gradient.mul_(grad_outputs[0] / len(labels))
        gradient = gradient.to(ctx.logits_dtype)
        return gradient.masked_fill_(gradient.abs() < SMALLEST, 0.0), None, None
