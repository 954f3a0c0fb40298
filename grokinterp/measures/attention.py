"""Where the last position looks, for every pair: by head and position, over pairs, in frequencies."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables

CONSTANT = 1e-10
"""A standard deviation below this share of the mean is rounding."""


def _slots(snapshot: "Snapshot") -> list[str]:
    """Names of the positions: "a", "op", "b", "=" as the layout has them."""
    return snapshot.task.layout.name.split()


def _operand_slots(snapshot: "Snapshot") -> tuple[int, int]:
    kinds = [slot.kind for slot in snapshot.task.layout.slots]
    return kinds.index("left"), kinds.index("right")


def _defined(snapshot: "Snapshot") -> "Tensor":
    """Attention of the defined pairs, (pairs, heads, positions)."""
    import torch

    return snapshot.attention[torch.from_numpy(snapshot.task.defined).to(snapshot.attention.device)].double()


def _frequency_shares(snapshot: "Snapshot") -> "Tensor | None":
    """Share of the variance over natural pairs in each frequency's 3x3 block, (k - 1, heads, positions)."""
    import torch

    from grokinterp.harmonics.neurons import block_energies, pair_spectrum

    c, (n_heads, n_slots) = snapshot.task.coordinates, snapshot.attention.shape[2:]
    if c is None or c.n < 2:
        return None
    device = snapshot.attention.device
    left, right = (torch.from_numpy(order).to(device) for order in (c.left, c.right))
    natural = snapshot.attention[left[:, None], right[None, :]].double()
    blocks, total = block_energies(pair_spectrum(natural.flatten(2)))
    constant = natural.flatten(0, 1).std(dim=0, correction=0) <= CONSTANT * natural.abs().amax(dim=(0, 1))
    shares = torch.where(constant.flatten(), torch.nan, blocks / total.clamp_min(1e-300))
    return shares.clamp(max=1.0).reshape(-1, n_heads, n_slots)


def _best(shares: "Tensor | None", head: int, slot: int) -> Row:
    """The best frequency with its share, and the runner-up's; null where there is nothing to divide."""
    if shares is None or bool(shares[:, head, slot].isnan().any()):
        return {"k": None, "k_share": None, "next_share": None}
    order = shares[:, head, slot].sort(descending=True)
    following = float(order.values[1]) if len(order.values) > 1 else None
    return {"k": int(order.indices[0]) + 1, "k_share": float(order.values[0]), "next_share": following}


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Mean and spread over pairs of each head's attention to each position, and its best frequency.

    Attention is the pattern of the last block's heads from the last position, post softmax, over all
    defined pairs. k_share is the share of its variance over natural pairs (i, j) in the 3x3 block
    {1, cos w_k, sin w_k}(i) x {1, cos w_k, sin w_k}(j) without the constant, for the best k;
    next_share that of the second best k, the control. Null without natural coordinates and where attention is constant.
    Rows of the pattern need not sum to one.

    **Paper:** Nanda et al. 2023, section 4.2: heads periodic in one frequency.
    **Differs:** they fit degree-2 polynomials of cos w_k, sin w_k, which also have the terms at 2 k.
    **Known values:** equal scores: 1/T at each of T positions. A pattern m + A cos w_k(i - j): mean m,
    std |A|/sqrt 2, share 1. Independent noise: 8/(n^2 - 1) expected at each k (not at the best one).
    """
    snapshot.require_attention()
    snapshot.require_two_operands()
    del params
    pattern, shares = _defined(snapshot), _frequency_shares(snapshot)
    mean, std = pattern.mean(dim=0), pattern.std(dim=0, correction=0)
    low, high = pattern.amin(dim=0), pattern.amax(dim=0)
    return [
        {
            "head": head,
            "slot": name,
            "mean": float(mean[head, slot]),
            "std": float(std[head, slot]),
            "min": float(low[head, slot]),
            "max": float(high[head, slot]),
            **_best(shares, head, slot),
        }
        for head in range(pattern.shape[1])
        for slot, name in enumerate(_slots(snapshot))
    ]


def compute_heads(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """One row a head, and head -1 for the mean over heads: how attention is divided.

    With A_t the attention to position t of T: row_sum = sum_t A_t, left_share = A_a / (A_a + A_b),
    entropy = - sum_t q_t log q_t with q = A / sum A; means over the defined pairs. k_share is that of the
    attention to a (main part).

    **Known values:** equal scores: left_share 1/2, entropy log T. Patterns of ones at two positions
    (Zhong et al. 2023, alpha = 0): row_sum 2, the rest the same.
    """
    import torch

    del params
    pattern, shares = _defined(snapshot), _frequency_shares(snapshot)
    left, right = _operand_slots(snapshot)
    total = pattern.sum(dim=2)
    share = (pattern[..., left] / (pattern[..., left] + pattern[..., right]).clamp_min(1e-300)).clamp(0, 1)
    entropy = torch.special.entr(pattern / total[..., None].clamp_min(1e-300)).sum(dim=2)
    rows = [
        {
            "head": head,
            "row_sum": float(total[:, head].mean()),
            "left_share": float(share[:, head].mean()),
            "left_share_std": float(share[:, head].std(correction=0)),
            "entropy": max(float(entropy[:, head].mean()), 0.0),
            "k_share": _best(shares, head, left)["k_share"],
        }
        for head in range(pattern.shape[1])
    ]
    mean: Row = {"head": -1}
    for name in list(rows[0])[1:]:
        known = [row[name] for row in rows if row[name] is not None]
        mean[name] = sum(known) / len(known) if known else None
    return [mean, *rows]


def compute_pattern(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Attention to the left operand for each head and pair, in natural order.

    i and j count the operands in natural order (in their own where there is none); pairs without
    natural coordinates or answer are left out. Where heads x pairs exceed `max_cells`, the first i
    and j are kept: a window shows every frequency as it is, thinning out would not.
    """
    import numpy as np

    c, (n_left, n_right) = snapshot.task.coordinates, snapshot.task.table.shape
    n_heads = snapshot.attention.shape[2]
    window = int((params["max_cells"] / n_heads) ** 0.5)
    left = (np.arange(n_left) if c is None else c.left)[:window]
    right = (np.arange(n_right) if c is None else c.right)[:window]
    defined = snapshot.task.defined[np.ix_(left, right)]
    slot = _operand_slots(snapshot)[0]
    shown = snapshot.attention[..., slot].double().cpu().numpy()[np.ix_(left, right)]
    i, j = np.nonzero(defined)
    pairs = list(zip(i.tolist(), j.tolist(), strict=True))
    return [
        {"head": head, "i": x, "j": y, "attention": value}
        for head in range(n_heads)
        for (x, y), value in zip(pairs, shown[..., head][defined].tolist(), strict=True)
    ]


def plot(tables: "Tables") -> "Figure":
    """Attention to a over all pairs, a map a head, at the last event."""
    import math

    import numpy as np

    from grokinterp import plotting

    table, main = tables["pattern"], tables.main
    step = int(table["step"].max())
    table, main = table[table["step"] == step], main[(main["step"] == step) & (main["slot"] == "a")]
    heads = sorted(int(head) for head in table["head"].unique())
    columns = min(len(heads), 4)
    n_rows, high = math.ceil(len(heads) / columns), float(table["attention"].max())
    fig, axes = plotting.figure(n_rows, columns, height=1.9, square=True)
    plotting.resize(fig, min(1.55 * columns + 1.2, plotting.WIDTHS["text"]), 1.9 * n_rows + 0.1)
    for axis, head in zip(axes.flat, heads, strict=False):
        rows = table[table["head"] == head]
        grid = np.full((int(rows["i"].max()) + 1, int(rows["j"].max()) + 1), np.nan)
        grid[rows["i"], rows["j"]] = rows["attention"]
        axis.imshow(grid, vmin=0, vmax=high, cmap="viridis", origin="lower", interpolation="nearest")
        best = main[main["head"] == head].iloc[0]
        known = best["k"] == best["k"] and best["k"] is not None
        found = f", k = {int(best['k'])} ({best['k_share']:.0%})" if known else ""
        axis.set_title(f"head {head}{found}", fontsize=7)
        axis.tick_params(labelsize=6)
        axis.set_xlabel("right operand j")
        if axis in axes[:, 0]:
            axis.set_ylabel("left operand i")
        else:
            axis.set_yticks([])
    for axis in axes.flat[len(heads) :]:
        axis.set_axis_off()
    bar = fig.colorbar(axes.flat[0].images[0], ax=axes, shrink=0.8, aspect=15, pad=0.01)
    bar.set_label(f"attention to a, step {step}", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    return fig


def _share(meaning: str, null: bool = False) -> Column:
    return Column(meaning, low=0, high=1, null=null)


MEASURE = Measure(
    name="attention",
    summary="Where each head of the last block looks: means, spread, frequencies and the map over pairs.",
    reference="Nanda et al. 2023 (arXiv 2301.05217), section 4.2; Zhong et al. 2023 (arXiv 2306.17844).",
    parts={
        "": Part(
            {
                "head": Column("head of the last block", kind="int", low=0),
                "slot": Column("position looked at: a, op, b or =", kind="str"),
                "mean": Column("mean attention over the defined pairs", low=0),
                "std": Column("standard deviation over the pairs", low=0),
                "min": Column("smallest over the pairs", low=0),
                "max": Column("largest over the pairs", low=0),
                "k": Column("frequency that describes it best", kind="int", low=1, null=True),
                "k_share": _share("share of its variance in the block of k", null=True),
                "next_share": _share("the same for the second best frequency", null=True),
            },
            compute,
        ),
        "heads": Part(
            {
                "head": Column("head of the last block; -1 for their mean", kind="int", low=-1),
                "row_sum": Column("attention summed over positions", low=0),
                "left_share": _share("attention to a over that to a and b"),
                "left_share_std": Column("standard deviation of left_share over the pairs", low=0),
                "entropy": Column("entropy over the positions", "nats", low=0),
                "k_share": _share("best frequency's share of the variance of attention to a", null=True),
            },
            compute_heads,
            steps="landmarks",
        ),
        "pattern": Part(
            {
                "head": Column("head of the last block", kind="int", low=0),
                "i": Column("left operand, its place in natural order", kind="int", low=0),
                "j": Column("right operand, its place in natural order", kind="int", low=0),
                "attention": Column("to the left operand", low=0),
            },
            compute_pattern,
            steps="events",
        ),
    },
    plot=plot,
    params={"max_cells": 60_000},
    series=(
        Series("attention entropy", "entropy", "heads", {"head": -1}),
        Series("attention in one frequency", "k_share", "heads", {"head": -1}),
    ),
)
