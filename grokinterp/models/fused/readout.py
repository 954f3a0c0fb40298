"""From attention's z to the logits and back: the products that cost most, over buffers that stay.

    pre = z W_O W_in + const,   logits = z W_O W_U + relu(pre) W_out W_U + const

z carries a column of ones, so that the constants are a row of the folded maps and their gradients come out of the
same products. Gradients of the folded maps are unfolded at the end, where they are small. Logits are kept with the
answers first: products with as few and as odd a number of columns as there are answers take up to twice as long
the other way round.

Shape letters: B pairs, Z n_heads d_head, D d_model, M d_mlp, C outputs.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.models.spec import Weights

W_O, B_O = "blocks.0.attn.W_O", "blocks.0.attn.b_O"
MLP = "blocks.0.mlp."


@dataclass(eq=False)
class Buffers:
    """Room for B pairs: z with its column of ones, neurons, logits, gradients, and two of z's size to work in.

    Allocating such sizes anew costs as much as filling them. d_neurons is allocated once it is needed.
    """

    z1: Float[Tensor, "B Z1"]
    neurons: Float[Tensor, "B M"]
    logits: Float[Tensor, "C B"]
    dz: Float[Tensor, "B Z"]
    spare: Float[Tensor, "B Z"]
    d_neurons: Float[Tensor, "B M"] | None = None

    @classmethod
    def for_pairs(cls, n: int, weights: Weights) -> "Buffers":
        """Room for n pairs of a network of this shape and dtype."""
        w_o, width, size = weights[W_O], weights[MLP + "W_in"].shape[1], weights["unembed.W_U"].shape[1]
        n_z = w_o.shape[0] * w_o.shape[1]
        shapes = ((n, width), (size, n), (n, n_z), (n, n_z))
        return cls(w_o.new_ones(n, n_z + 1), *(w_o.new_empty(shape) for shape in shapes))

    def heads(self, x: Float[Tensor, "B Z"], weights: Weights) -> Float[Tensor, "B H K"]:
        """A tensor of z's size with an axis for the heads."""
        return x.unflatten(1, weights[W_O].shape[:2])

    @property
    def z(self) -> Float[Tensor, "B Z"]:
        """z1 without the ones."""
        return self.z1[:, :-1]


@dataclass(frozen=True, eq=False)
class Folded:
    """z1 -> pre, z1 -> logits and (transposed) neurons -> logits; the last row of the first two is the constant."""

    to_pre: Float[Tensor, "Z1 M"]
    to_logits: Float[Tensor, "Z1 C"]
    w_l: Float[Tensor, "C M"]


def fold(weights: Weights, skip: Float[Tensor, " D"]) -> Folded:
    """The folded maps, for a constant residual stream `skip` at the last position, without b_O."""
    w_in, w_u, w_o = weights[MLP + "W_in"], weights["unembed.W_U"], weights[W_O].flatten(0, 1)
    rows = torch.cat([w_o, (skip + weights[B_O])[None]])
    to_pre, to_logits = rows @ w_in, rows @ w_u
    to_pre[-1] += weights[MLP + "b_in"]
    to_logits[-1] += torch.mv(w_u.T, weights[MLP + "b_out"]).add_(weights["unembed.b_U"])
    return Folded(to_pre, to_logits, w_u.T @ weights[MLP + "W_out"].T)


def read(room: Buffers, folded: Folded) -> None:
    """Neurons and logits from z."""
    torch.mm(room.z1, folded.to_pre, out=room.neurons).relu_()
    torch.mm(folded.to_logits.T, room.z1.T, out=room.logits).addmm_(folded.w_l, room.neurons.T)


def read_backward(
    room: Buffers, folded: Folded, weights: Weights, skip: Float[Tensor, " D"], dlogits: Float[Tensor, "C B"]
) -> tuple[Weights, Float[Tensor, " D"]]:
    """Fills room.dz; gradients of W_O, the MLP, the unembedding and their biases, and that of the skip."""
    if room.d_neurons is None:
        room.d_neurons = torch.empty_like(room.neurons)
    d_neurons = room.d_neurons
    d_w_l, d_to_logits = dlogits @ room.neurons, dlogits @ room.z1
    torch.mm(dlogits.T, folded.w_l, out=d_neurons)
    torch.ops.aten.threshold_backward.grad_input(d_neurons, room.neurons, 0.0, grad_input=d_neurons)
    d_to_pre = room.z1.T @ d_neurons
    torch.mm(d_neurons, folded.to_pre[:-1].T, out=room.dz).addmm_(dlogits.T, folded.to_logits[:-1].T)
    return _unfold(weights, skip, d_to_pre, d_to_logits, d_w_l)


def _unfold(
    weights: Weights,
    skip: Float[Tensor, " D"],
    d_to_pre: Float[Tensor, "Z1 M"],
    d_to_logits: Float[Tensor, "C Z1"],
    d_w_l: Float[Tensor, "C M"],
) -> tuple[Weights, Float[Tensor, " D"]]:
    """Gradients of the weights, and of the skip, from those of the folded maps, the last two transposed."""
    w_in, w_out, w_u = weights[MLP + "W_in"], weights[MLP + "W_out"], weights["unembed.W_U"]
    rows = torch.cat([weights[W_O].flatten(0, 1), (skip + weights[B_O])[None]])
    d_rows = (d_to_pre @ w_in.T).addmm_(d_to_logits.T, w_u.T)
    constant = d_to_logits[:, -1].contiguous()
    d_w_u = (d_w_l @ w_out).addmm_(d_to_logits, rows).addr_(constant, weights[MLP + "b_out"])
    gradients = {
        W_O: d_rows[:-1].view_as(weights[W_O]),
        B_O: d_rows[-1],
        MLP + "W_in": rows.T @ d_to_pre,
        MLP + "b_in": d_to_pre[-1],
        MLP + "W_out": d_w_l.T @ w_u.T,
        MLP + "b_out": torch.mv(w_u, constant),
        "unembed.W_U": d_w_u.T.contiguous(),
        "unembed.b_U": constant,
    }
    return gradients, d_rows[-1]
