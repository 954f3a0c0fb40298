"""Cross-entropy of logits from which functions of the sum are kept or taken away, for many sets at once.

Both projected logits differ from the full ones by a matrix R[s, c] of the sum s alone. So the restricted
loss is a loss over n sums, not n^2 pairs; and since

    sum_c exp(L[i,j,c] - R[s,c]) = sum_c exp(L[i,j,c] - m[i,j]) exp(-R[s,c]),

one exponential of the cube, ordered by s, serves every R through a small matrix product. The slow
twin, CE of the projected cube, is in the tests.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from grokinterp.harmonics.cyclic import sum_classes


@dataclass(frozen=True, eq=False)
class SumOrdered:
    """The logit cube ordered by sum: index [s, i] is the pair (i, s - i mod n)."""

    logits: Float[Tensor, "n n answers"]
    peak: Float[Tensor, "n n 1"]
    exp: Float[Tensor, "n n answers"]
    correct: Float[Tensor, "n n"]


def order_by_sum(logits: Float[Tensor, "n n answers"]) -> SumOrdered:
    """Reorder natural logits [i, j, c] as [s, i, c]; answer c = s is right."""
    n = logits.shape[0]
    i = torch.arange(n, device=logits.device)
    j = (i[:, None] - i[None, :]) % n  # s - i, indexed [s, i]
    ordered = logits[i[None, :], j]
    peak = ordered.amax(dim=2, keepdim=True)
    correct = ordered[i[:, None], i[None, :], i[:, None]]
    return SumOrdered(ordered, peak, (ordered - peak).exp(), correct)


def excluded_losses(cube: SumOrdered, removed: Float[Tensor, "sets n answers"]) -> Float[Tensor, "sets n n"]:
    """Loss of each pair [s, i] under L - R for each R[s, c] in `removed`.

    Where exp would lose everything (a logit range beyond 600) the cube is projected directly.
    """
    n = cube.exp.shape[0]
    low = removed.amin(dim=2, keepdim=True)
    s = torch.arange(n, device=removed.device)
    at_answer = removed[:, s, s]
    if float((removed - low).max()) > 600 or float((cube.peak - cube.logits).max()) > 600:
        total = torch.stack([(cube.logits - r[:, None, :]).logsumexp(dim=2) for r in removed])
        return total - (cube.correct[None] - at_answer[:, :, None])
    weight = (low - removed).exp().permute(1, 2, 0)
    total = torch.bmm(cube.exp, weight).permute(2, 0, 1).log() + cube.peak[None, :, :, 0] - low
    return total - (cube.correct[None] - at_answer[:, :, None])


def excluded_hits(cube: SumOrdered, removed: Float[Tensor, "n answers"]) -> Bool[Tensor, "n n"]:
    """Whether each pair [s, i] is answered right under L - R[s, c]."""
    s = torch.arange(len(removed), device=removed.device)
    return best_answers(cube.logits - removed[:, None]) == s[:, None]


def best_answers(logits: Float[Tensor, "... answers"]) -> Int[Tensor, "..."]:
    """The answer with the largest logit, the first of several; argmax takes twice as long."""
    return logits.max(dim=-1).indices


def restricted_losses(kept: Float[Tensor, "sets n answers"]) -> Float[Tensor, "sets n"]:
    """Loss at each sum s of logits that depend on s alone."""
    s = torch.arange(kept.shape[1], device=kept.device)
    return kept.logsumexp(dim=2) - kept[:, s, s]


def pair_losses(logits: Float[Tensor, "n n answers"], right: Int[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """Cross-entropy of each pair, for a cube that depends on more than the sum."""
    return logits.logsumexp(dim=2) - logits.gather(2, right[:, :, None])[:, :, 0]


def mean_loss(losses: Float[Tensor, "n n"], mask: Bool[Tensor, "n n"]) -> float | None:
    """Mean over the mask, None over no pair; a loss can be -1e-17 by rounding where it is 0."""
    return max(float(losses[mask].mean()), 0.0) if mask.any() else None


def mean_losses(losses: Float[Tensor, "sets n n"], mask: Bool[Tensor, "n n"]) -> list[float | None]:
    """`mean_loss` of many at once."""
    return losses[:, mask].mean(dim=1).clamp_(min=0.0).tolist() if mask.any() else [None] * len(losses)


def to_pairs(by_sum: Shaped[Tensor, "... n n"]) -> Shaped[Tensor, "... n n"]:
    """From [s, i] back to [i, j]."""
    n = by_sum.shape[-1]
    i: Int[Tensor, " n"] = torch.arange(n, device=by_sum.device)
    return by_sum[..., sum_classes(n, by_sum.device), i[:, None]]
