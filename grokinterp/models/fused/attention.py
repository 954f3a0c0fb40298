"""Attention of the first block at a constant last token, over tables, with its backward.

The query is one vector a head, and the score of a token at a position depends on neither operand, so with

    e_r = exp(s_r - s_last),    z(pair) = sum over the pair's rows r of e_r v_r / sum of e_r

the softmax of every pair is two sums of gathered rows and a division. Shifting by the score of the last token makes
every denominator at least 1. Keys and queries are never formed but for the last: s_r = x_r . (W_K q) / sqrt(d_head).

Shape letters: B pairs, R rows of the tables, H heads, K d_head, D d_model.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.models.fused.pairs import PairBags
from grokinterp.models.fused.readout import Buffers
from grokinterp.models.spec import Weights
from grokinterp.tasks.layouts import Layout

ATTN = "blocks.0.attn."
PEAKED = 60.0
"""Scores further above that of the last token are left to autograd: exp would overflow not far from there."""


@dataclass(eq=False)
class Tables:
    """What the backward needs: of each row the residual stream, exp(score) and value; of each pair 1 / sum."""

    x: Float[Tensor, "R D"]
    query: Float[Tensor, "H K"]
    key_query: Float[Tensor, "H D"]
    exp_score: Float[Tensor, "R H"]
    value: Float[Tensor, "R H K"]
    inverse: Float[Tensor, "B H"]


def residual_rows(weights: Weights, layout: Layout) -> Float[Tensor, "R D"]:
    """resid_pre of each token at each position, in the order of `PairBags`."""
    embed, pos = weights["embed.W_E"], weights["pos_embed.W_pos"]
    operands = [embed[: layout.n_operand_tokens] + pos[t] for t, s in enumerate(layout.slots) if s.kind != "constant"]
    constants = [(embed[s.token] + pos[t])[None] for t, s in enumerate(layout.slots) if s.kind == "constant"]
    return torch.cat(operands + constants)


def attend(weights: Weights, layout: Layout, bags: PairBags, room: Buffers) -> Tables | None:
    """Fills room.z; None, and nothing filled, where attention is too peaked for exp."""
    x = residual_rows(weights, layout)
    w_k, w_v = weights[ATTN + "W_K"], weights[ATTN + "W_V"]
    n_heads, d_model, d_head = w_k.shape
    query = torch.matmul(x[-1], weights[ATTN + "W_Q"]).add_(weights[ATTN + "b_Q"])
    key_query = torch.matmul(w_k, query[:, :, None])[:, :, 0].div_(math.sqrt(d_head))
    score = x @ key_query.T
    score -= score[-1].clone()
    if float(score.max()) > PEAKED:
        return None
    exp_score = score.exp_()
    value = (x @ w_v.transpose(0, 1).reshape(d_model, -1)).view(-1, n_heads, d_head).add_(weights[ATTN + "b_V"])
    inverse = bags.gather(exp_score).reciprocal_()
    summed = bags.gather_into(room.dz, (exp_score[:, :, None] * value).flatten(1), room.spare)
    torch.mul(room.heads(summed, weights), inverse[:, :, None], out=room.heads(room.z, weights))
    return Tables(x, query, key_query, exp_score, value, inverse)


def pattern_of(tables: Tables, bags: PairBags) -> Float[Tensor, "B H T"]:
    """Attention of the last position to each position."""
    return (tables.exp_score[bags.rows] * tables.inverse[:, None]).transpose(1, 2)


def attend_backward(
    weights: Weights,
    layout: Layout,
    bags: PairBags,
    tables: Tables,
    room: Buffers,
    from_skip: Float[Tensor, " D"],
) -> Weights:
    """Gradients of the embeddings and of the attention's weights; overwrites room.dz.

    With u = e v and t the sums of gathered rows, z = t_u / t_e, so that dt_u = dz / t_e and dt_e = -(dz . z) / t_e.
    The key bias shifts all scores of a head alike and has no gradient; autograd finds rounding errors there.

    Args:
        from_skip: Gradient of the last position's residual stream by way of the skip.
    """
    w_q, w_k, w_v = (weights[ATTN + f"W_{name}"] for name in "QKV")
    n_heads, d_model, d_head = w_k.shape
    z, dz, spare = (room.heads(x, weights) for x in (room.z, room.dz, room.spare))
    d_denominator = torch.mul(dz, z, out=spare).sum(dim=2).mul_(tables.inverse).neg_()
    d_summed = dz.mul_(tables.inverse[:, :, None])
    du = bags.scatter(d_summed.flatten(1)).view(-1, n_heads, d_head)
    d_score = bags.scatter(d_denominator).add_((du * tables.value).sum(dim=2)).mul_(tables.exp_score)
    dv = du.mul_(tables.exp_score[:, :, None])
    dv_flat, joint = dv.flatten(1), w_v.transpose(0, 1).reshape(d_model, -1)
    dx = (dv_flat @ joint.T).addmm_(d_score, tables.key_query)
    d_key_query = (d_score.T @ tables.x).div_(math.sqrt(d_head))
    dq = torch.matmul(d_key_query[:, None], w_k)[:, 0]
    dx[-1] += from_skip
    dx[-1] += torch.matmul(w_q, dq[:, :, None]).sum(dim=(0, 2))
    return _embedding_gradients(layout, dx, weights) | {
        ATTN + "W_Q": tables.x[-1][None, :, None] * dq[:, None],
        ATTN + "W_K": d_key_query[:, :, None] * tables.query[:, None],
        ATTN + "W_V": (tables.x.T @ dv_flat).view(d_model, n_heads, d_head).transpose(0, 1).contiguous(),
        ATTN + "b_Q": dq,
        ATTN + "b_K": torch.zeros_like(dq),
        ATTN + "b_V": dv.sum(dim=0),
    }


def _embedding_gradients(layout: Layout, dx: Float[Tensor, "R D"], weights: Weights) -> Weights:
    """Those of W_E and W_pos from that of each token at each position."""
    n, n_operands = layout.n_operand_tokens, layout.n_operands
    blocks = dx[: n * n_operands].view(n_operands, n, -1)
    d_embed, d_pos = torch.zeros_like(weights["embed.W_E"]), torch.zeros_like(weights["pos_embed.W_pos"])
    torch.sum(blocks, dim=0, out=d_embed[:n])
    sums, constants = iter(blocks.sum(dim=1)), iter(dx[n * n_operands :])
    for t, slot in enumerate(layout.slots):
        if slot.kind == "constant":
            d_pos[t] = next(constants)
            d_embed[slot.token] += d_pos[t]
        else:
            d_pos[t] = next(sums)
    return {"embed.W_E": d_embed, "pos_embed.W_pos": d_pos}
