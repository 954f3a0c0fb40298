"""Ablations: a network with some of its parts taken out, and its loss and accuracy without them.

Every ablation is a change of weights, so that the network that is left is a network still. The forward
is in float32 where the engine can: the logits are then good to 1e-6 of their size, and losses to 1e-5 of
theirs, small ones too (see `Bench.score`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grokinterp.harmonics.cyclic import fourier_basis, frequencies, row_frequencies
from grokinterp.models.fast_forward import FastForward
from grokinterp.models.lstm import LSTMForward
from grokinterp.models.mlp import MLPForward
from grokinterp.models.pair_logits import PairLogits
from grokinterp.models.weights import Weights
from grokinterp.snapshots.network import CHUNK
from grokinterp.snapshots.snapshot import Snapshot
from grokinterp.snapshots.splits import pair_splits

COMPONENTS = {
    "embedding": ("embed.", "pos_embed."),
    "attention": ("attn.", "ln1."),
    "mlp": ("mlp.", "ln2."),
    "lstm": ("lstm.",),
    "unembedding": ("unembed.", "ln_final."),
}
"""Parts that can be swapped between networks; LayerNorms go with what reads them."""


def part_of(weights: Weights, component: str) -> Weights:
    """The weights of one of the COMPONENTS, in all blocks; nothing for any other name."""
    beginnings = COMPONENTS.get(component, ())
    return {name: w for name, w in weights.items() if _within_block(name).startswith(beginnings)}


def components_of(weights: Weights) -> list[str]:
    """Those of the COMPONENTS that a network has."""
    return [component for component in COMPONENTS if part_of(weights, component)]


def _within_block(name: str) -> str:
    """The name of a weight without its block: blocks.0.attn.W_Q -> attn.W_Q."""
    return name.split(".", 2)[2] if name.startswith("blocks.") else name


@dataclass(frozen=True, eq=False)
class Bench:
    """A snapshot and all its defined pairs, on which changed networks are scored."""

    snapshot: Snapshot

    @cached_property
    def fast(self) -> Snapshot:
        """The snapshot in the dtype of the forwards."""
        return self.snapshot.in_float32()

    @cached_property
    def pairs(self) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"], Int[Tensor, " n"]]:
        """Left, right and answer of all defined pairs, a-major."""
        task, device = self.snapshot.task, self.snapshot.weights["embed.W_E"].device
        left, right = task.pairs()
        columns = (left, right, task.table[left, right])
        return tuple(torch.from_numpy(column).long().to(device) for column in columns)  # ty: ignore

    @cached_property
    def splits(self) -> dict[str, Bool[Tensor, " n"]]:
        """Masks over the pairs by name: all, and train and test where the split is known."""
        defined, device = self.snapshot.task.defined, self.pairs[0].device
        return {name: torch.from_numpy(mask[defined]).to(device) for name, mask in pair_splits(self.snapshot).items()}

    def at_pairs(self, grid: Float[Tensor, "n_left n_right features"]) -> Float[Tensor, "n features"]:
        """A cached quantity of the snapshot at the defined pairs, in the dtype of the forwards."""
        complete = bool(self.snapshot.task.defined.all())  # then a view will do
        rows = grid.flatten(0, 1) if complete else grid[self.pairs[0], self.pairs[1]]
        return rows.to(self.fast.weights["embed.W_E"].dtype)

    @cached_property
    def _chunks(self) -> list[PairLogits]:
        left, right, _ = self.pairs
        return PairLogits.in_chunks(self.snapshot.forward, left, right, CHUNK)

    def logits(self, changed: Weights) -> Float[Tensor, "n n_answers"]:
        """Logits of all pairs with some weights replaced."""
        dtype = self.fast.weights["embed.W_E"].dtype
        weights = {**self.fast.weights, **{name: value.to(dtype) for name, value in changed.items()}}
        n = self.snapshot.task.n_answers
        return torch.cat([chunk(weights)[:, :n].clone() for chunk in self._chunks])  # the next chunk overwrites it

    def score(self, logits: Float[Tensor, "n n_answers"]) -> Float[Tensor, "n_splits 2"]:
        """Mean loss (nats) and accuracy of logits at the pairs, a row for each split.

        The loss is log(1 + sum over wrong c of exp(z_c - z_answer)), which no rounding of a sum
        near 1 spoils, so that a loss of 1e-8 comes out right of float32 logits.
        """
        answer = self.pairs[2][:, None]
        ratios = (logits - logits.gather(1, answer)).exp_().scatter_(1, answer, 0.0)
        loss = ratios.sum(dim=1).double().log1p()
        if not bool(loss.isfinite().all()):  # exp has run over
            loss = torch.nn.functional.cross_entropy(logits.double(), answer[:, 0], reduction="none")
        hit = logits.max(dim=1).indices == answer[:, 0]
        masks = torch.stack(list(self.splits.values())).double()
        return masks @ torch.stack([loss, hit.double()], dim=1) / masks.sum(dim=1, keepdim=True)


# Embedding -----------------------------------------------------------------------------------


def embedding_without(snapshot: Snapshot, ks: Sequence[int]) -> Weights:
    """W_E without the frequencies `ks`: their cosines and sines over the operand tokens in natural order.

    The constant stays, and so do the rows of tokens without natural coordinates (0 for x*y, '=').
    """
    return _project_embedding(snapshot, ks, keep=False)


def embedding_only(snapshot: Snapshot, ks: Sequence[int]) -> Weights:
    """W_E with the constant and the frequencies `ks` alone."""
    return _project_embedding(snapshot, ks, keep=True)


def _project_embedding(snapshot: Snapshot, ks: Sequence[int], *, keep: bool) -> Weights:
    coordinates = snapshot.coordinates
    w_e = snapshot.weights["embed.W_E"].clone()
    chosen = torch.isin(row_frequencies(coordinates.n), torch.tensor([0, *ks] if keep else ks, dtype=torch.long))
    basis = fourier_basis(coordinates.n)[~chosen if keep else chosen].to(w_e.device, w_e.dtype)
    for rows, order in zip(snapshot.operand_rows, (coordinates.left, coordinates.right), strict=False):
        natural = rows.start + torch.from_numpy(order).to(w_e.device)
        w_e[natural] -= basis.T @ (basis @ w_e[natural])
    return {"embed.W_E": w_e}


def has_frequencies(snapshot: Snapshot) -> bool:
    """Whether the operation has natural coordinates with at least one frequency."""
    coordinates = snapshot.task.coordinates
    return coordinates is not None and len(frequencies(coordinates.n)) > 0


def n_waves(n: int, ks: Sequence[int]) -> int:
    """How many real Fourier functions of Z_n the frequencies have: two each, one at Nyquist.

    >>> n_waves(7, [1, 3]), n_waves(12, [1, 6])
    (4, 3)
    """
    return sum(1 if 2 * k == n else 2 for k in ks)


# Heads ---------------------------------------------------------------------------------------


def without_head_rows(
    snapshot: Snapshot, block: int, rows: Int[Tensor, " n"], means: Float[Tensor, " heads_times_d_head"] | None = None
) -> Weights:
    """A block without some rows of its W_O, counted head by head; the rows of a head are the head.

    With `means` what the rows read (z) is set to these values instead of 0: b_O takes them over.
    """
    name = f"blocks.{block}.attn."
    w_o = snapshot.weights[name + "W_O"]
    flat = w_o.flatten(0, 1).clone()
    changed = {}
    if means is not None:
        changed[name + "b_O"] = snapshot.weights[name + "b_O"] + means[rows] @ flat[rows]
    flat[rows] = 0.0
    return {name + "W_O": flat.view_as(w_o), **changed}


def mean_head_outputs(snapshot: Snapshot) -> Float[Tensor, " heads_times_d_head"] | None:
    """z of each head at the last position, averaged over all defined pairs; None where it needs more.

    In a network of one block without LayerNorm, values depend on one token and its position, so the
    mean of z = sum_t pattern_t v_t needs only, for each position t and token there, the mean pattern.
    """
    if snapshot.n_layers > 1 or snapshot.task.layout.n_operands > 2 or not _is_plain(snapshot):
        return None
    weights, task = snapshot.weights, snapshot.task
    defined = torch.from_numpy(task.defined).to(snapshot.attention.device)
    pattern = snapshot.attention * (defined[:, :, None, None] / defined.sum())
    w_v, b_v = weights["blocks.0.attn.W_V"], weights["blocks.0.attn.b_V"]
    seen = torch.zeros(w_v.shape[:2], dtype=w_v.dtype, device=w_v.device)  # mean residual row that a head sees
    for t, slot in enumerate(task.layout.slots):
        over = {"left": (1,), "right": (0,), "constant": (0, 1)}[slot.kind]
        share = pattern[..., t].sum(dim=over).reshape(-1, w_v.shape[0])
        first = slot.token if slot.kind == "constant" else 0
        rows = weights["embed.W_E"][first : first + len(share)] + weights["pos_embed.W_pos"][t]
        seen = seen + share.T @ rows
    total = pattern.sum(dim=(0, 1, 3))  # 1 for a softmax
    return (torch.einsum("hd,hdk->hk", seen, w_v) + total[:, None] * b_v).flatten()


# Neurons -------------------------------------------------------------------------------------


def neurons_of(snapshot: Snapshot, ks: Sequence[int], threshold: float) -> list[Int[Tensor, " _"]]:
    """For each frequency, the last block's neurons with at least `threshold` of their energy in it."""
    pure, best = snapshot.neuron_spectrum.fraction >= threshold, snapshot.neuron_spectrum.best
    return [torch.nonzero(pure & (best == k)).flatten().to(snapshot.logits.device) for k in ks]


def without_neurons(bench: Bench, groups: Sequence[Int[Tensor, " _"]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits without each group of the last block's neurons, and last without all groups together.

    Yields logits with the group at 0 (its rows of W_out are 0) and with it at its mean over all defined
    pairs (b_out takes over the mean). Without a final LayerNorm a group adds acts W_L to the logits,
    which is taken away with no forward; the groups' sum then serves all of them.
    """
    acts = bench.at_pairs(bench.snapshot.neuron_acts)
    together = torch.cat(list(groups)) if groups else torch.empty(0, dtype=torch.long, device=acts.device)
    if not _is_plain(bench.snapshot):
        for group in (*groups, together):
            yield bench.logits(_zeroed(bench, group)), bench.logits(_zeroed(bench, group, acts.mean(dim=0)))
        return
    logits = bench.at_pairs(bench.snapshot.logits)
    w_l = bench.snapshot.neuron_logit_map.T.to(acts.dtype)
    total = torch.zeros_like(logits)
    for group in groups:
        added = acts[:, group] @ w_l[group]
        total += added
        yield logits - added, logits - (added - added.mean(dim=0))
    yield logits - total, logits - (total - total.mean(dim=0))


def _zeroed(bench: Bench, group: Int[Tensor, " m"], means: Float[Tensor, " d_mlp"] | None = None) -> Weights:
    """The last block's MLP without the group, its output replaced by that of the means if given."""
    name = f"blocks.{bench.snapshot.n_layers - 1}.mlp."
    w_out = bench.snapshot.weights[name + "W_out"].clone()
    b_out = bench.snapshot.weights[name + "b_out"]
    if means is not None:
        b_out = b_out + means[group].to(w_out.dtype) @ w_out[group]
    w_out[group] = 0.0
    return {name + "W_out": w_out, name + "b_out": b_out}


def _is_plain(snapshot: Snapshot) -> bool:
    """Whether the residual stream is read linearly: no LayerNorm (with or without weights), no cap."""
    if isinstance(snapshot.forward, FastForward | MLPForward | LSTMForward):
        return True
    cfg = getattr(getattr(snapshot.forward, "model", None), "cfg", None)
    return (
        cfg is not None
        and cfg.normalization_type is None
        and cfg.positional_embedding_type == "standard"
        and cfg.output_logits_soft_cap <= 0
    )
