"""Whether training steps commute, and the shape of the path that they take."""

from typing import TYPE_CHECKING

from grokinterp.errors import NotApplicableError
from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.landscape.two_steps import Commutator
    from grokinterp.run import Run
    from grokinterp.snapshots import Snapshot, TrainLoss
    from grokinterp.tables import Tables

N_COMPONENTS = 10


def _batch_losses(snapshot: "Snapshot", params: dict) -> "Iterator[tuple[TrainLoss, TrainLoss]]":
    """The losses of two disjoint batches of training pairs; the same pairs at every checkpoint."""
    from dataclasses import replace

    import numpy as np
    import torch

    from grokinterp.seeding import generator
    from grokinterp.snapshots import TrainLoss

    mask = snapshot.task.defined if snapshot.train_mask is None else snapshot.train_mask
    pairs = np.flatnonzero(mask)
    size = _batch_size(len(pairs), params)
    stream = generator("commutator batches", params["seed"])
    for _ in range(params["n_batch_pairs"]):
        order = torch.randperm(len(pairs), generator=stream).numpy()
        losses = []
        for chosen in (order[:size], order[size : 2 * size]):
            batch = np.zeros_like(mask)
            batch.flat[pairs[chosen]] = True
            losses.append(TrainLoss(replace(snapshot, train_mask=batch)))
        yield losses[0], losses[1]


def _batch_size(n_pairs: int, params: dict) -> int:
    """Pairs in a batch: half of the training pairs where that is fewer than asked for."""
    size = min(params["batch_size"], n_pairs // 2)
    if size < 1:
        raise NotApplicableError(f"needs two disjoint batches of training pairs; there is {n_pairs} pair to train on")
    return size


def _quantiles(values: list[float]) -> list[float | None]:
    """5 %, 50 % and 95 %; nulls where there are no values."""
    import numpy as np

    return np.quantile(values, [0.05, 0.5, 0.95]).tolist() if values else [None] * 3


def _row(found: "list[Commutator]", batch_size: int) -> Row:
    """One row from the commutators of all pairs of batches."""
    low, median, high = _quantiles([c.defect for c in found if c.defect is not None])
    return {
        "defect": median,
        "defect_q05": low,
        "defect_q95": high,
        "commutator_norm": _quantiles([c.norm for c in found if c.norm is not None])[1],
        "gradient_norm": _quantiles([norm for c in found for norm in c.gradient_norms])[1],
        "n_resolved": sum(c.defect is not None for c in found),
        "n_batch_pairs": len(found),
        "batch_size": batch_size,
    }


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The commutator defect of plain gradient steps on two disjoint batches of training pairs.

        defect = |theta_AB - theta_BA| / (|eta g_A| |eta g_B|),

    theta_AB after a step on batch A and one on B, theta_BA in the other order; the median over
    n_batch_pairs pairs of batches, drawn once from the seed. float64. commutator_norm = |theta_AB - theta_BA| / eta^2
    is its numerator and gradient_norm the median of |g_A|, |g_B|.

    The defect is not free of scale: for gradients c times as large at the same curvature it is 1/c times
    as large, so it rises wherever gradients vanish. Read it beside gradient_norm and commutator_norm. It is null
    where a step is lost in the rounding of the weights.

    **Paper:** Xu 2026 (2602.16746), delta, eta = 1e-3, median of K = 5. **Differs:** batches of 128 pairs by default
    (half of the training pairs if fewer).
    **Known values:** quadratic losses: |H_B g_A - H_A g_B| / (|g_A| |g_B|) for every eta, which is 0 if the Hessians
    commute and the minimisers agree; for commuting Hessians the numerator is |H_A H_B (m_A - m_B)|, m the minimisers.
    """
    from grokinterp.landscape.two_steps import two_step_defect

    losses, eta = list(_batch_losses(snapshot, params)), float(params["eta"])
    found = [two_step_defect(a, b, a.start, eta) for a, b in losses]
    return [_row(found, losses[0][0].n_pairs) | {"eta": eta}]


def compute_infinitesimal(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The defect's limit for eta -> 0 on the same batches, |H_B g_A - H_A g_B| / (|g_A| |g_B|), by Hessian products.

    It needs no step and so is not lost in rounding. The two differ where the steps are long and, in a ReLU network,
    where they carry neurons across zero: a p = 31 network at initialisation had 2.5 here and a defect of 48.
    """
    from grokinterp.landscape.two_steps import infinitesimal_defect

    losses = list(_batch_losses(snapshot, params))
    return [_row([infinitesimal_defect(a, b, a.start) for a, b in losses], losses[0][0].n_pairs)]


def _grams(run: "Run", steps: list[int]) -> "dict[str, tuple[np.ndarray, float]]":
    """For each group of weights: Gram matrix of the displacements since the first checkpoint, squared norm there."""
    import torch

    from grokinterp.landscape.trajectory import displacement_grams

    def read(i: int) -> "list[Tensor]":
        weights = run.weights(steps[i])
        groups = [[w.flatten() for name, w in weights.items() if (".attn." in name) == mine] for mine in (True, False)]
        return [torch.cat(group) if group else torch.empty(0) for group in groups]

    attention, rest = displacement_grams(read, len(steps))
    of_attention, of_rest = (float(part.double().square().sum()) for part in read(0))
    found = {"all": (attention + rest, of_attention + of_rest)}
    return found | {"attention": (attention, of_attention)} if len(read(0)[0]) else found


def compute_trajectory(run: "Run", *, steps: list[int], params: dict) -> list[Row]:
    """Shares of variance of the principal components of the weights over checkpoints, beside two random walks.

    PCA of theta_t over the checkpoints t, weights all alike, mean removed, not weighted by their spacing; for
    all weights and for those of attention alone. The nulls are exact expectations in high dimension for walks whose
    steps between checkpoints have the lengths |theta_{t+1} - theta_t| of this run (landscape.trajectory.walk_gram):
    null_share without decay, null_share_decay with the run's weight decay, which pulls the walk to 0 by
    a = (1 - lr weight_decay)^(steps between) from where the run started; null where the run has none, or one that is
    not constant (a cosine schedule) or pulls elsewhere (decay to the initial weights).

    **Paper:** Xu 2026 (2602.16746): 70 to 94 % on PC 1 for attention weights. **Differs:** with nulls.
    **Known values:** equal steps, T >= 50 checkpoints: null shares .608, .152, .068 ((6/pi^2)/j^2); equal noise at each
    optimizer step, log-spaced checkpoints: .65; the same with decay, from 0: .15. A straight line: 1.
    """
    import numpy as np

    from grokinterp.landscape.trajectory import component_shares, squared_steps, walk_gram

    del params
    if len(steps) < 2:
        return []
    rate, rows = run.config.optimizer.shrinkage, []
    retained = (1 - rate) ** np.diff(steps)
    for group, (gram, start) in _grams(run, steps).items():
        shares = component_shares(gram)
        if shares is None:
            continue
        lengths = squared_steps(gram)
        walk = component_shares(walk_gram(lengths))
        decayed = component_shares(walk_gram(lengths, retained=retained, start=start)) if rate else None
        for i, share in enumerate(shares[: min(N_COMPONENTS, len(steps) - 1)]):
            rows.append(
                {
                    "step": steps[-1],
                    "weights": group,
                    "component": i + 1,
                    "share": float(share),
                    "null_share": None if walk is None else float(walk[i]),
                    "null_share_decay": None if decayed is None else float(decayed[i]),
                    "n_checkpoints": len(steps),
                }
            )
    return rows


def compute_path(run: "Run", *, steps: list[int], params: dict) -> list[Row]:
    """Where each checkpoint lies along the first three principal components of the path, in units of the weights."""
    from grokinterp.landscape.trajectory import component_coordinates

    del params
    rows = []
    for group, (gram, _) in _grams(run, steps).items():
        points = component_coordinates(gram, 3)
        for step, point in zip(steps, points, strict=True):
            cells = {f"pc{j + 1}": float(point[j]) if j < len(point) else None for j in range(3)}
            rows.append({"step": step, "weights": group, **cells})
    return rows


def plot(tables: "Tables") -> "Figure":
    """The defect and its parts over steps; shares of components against the nulls; the path in its plane."""
    from grokinterp import plotting

    fig, (left, middle, right) = plotting.figure(columns=3, width="text", height=2.3)
    table, limit = tables.main, tables["infinitesimal"]
    left.fill_between(
        table["step"],
        table["defect_q05"].astype(float),
        table["defect_q95"].astype(float),
        color=plotting.CYCLE[0],
        alpha=0.2,
        lw=0,
    )
    left.plot(table["step"], table["defect"].astype(float), "o-", ms=2.5, color=plotting.CYCLE[0], label="defect")
    left.plot(
        limit["step"], limit["defect"].astype(float), "x", ms=4, color=plotting.INK, label=r"its limit $\eta \to 0$"
    )
    left.plot(
        table["step"], table["commutator_norm"].astype(float), "--", color=plotting.CYCLE[1], label="its numerator"
    )
    left.plot(table["step"], table["gradient_norm"].astype(float), ":", color=plotting.CYCLE[7], label="gradient norm")
    left.set_yscale("log")
    low, high = left.get_ylim()
    left.set_ylim(low * (low / high) ** 0.5, high)  # room for the legend
    left.set_ylabel("commutator of two steps")
    _plot_shares(middle, tables)
    _plot_path(right, tables)
    return plotting.over_steps(fig, tables.phases, axes=[left], legends={left: "lower left", middle: "upper right"})


def _plot_shares(axis: "Axes", tables: "Tables") -> None:
    from grokinterp import plotting

    table = tables["trajectory"]
    for i, (group, rows) in enumerate(table.groupby("weights", sort=False)):
        label = "all weights" if group == "all" else str(group)
        axis.plot(rows["component"], rows["share"], "o-", ms=2.5, color=plotting.CYCLE[i], label=label)
    rows = table[table["weights"] == "all"]
    for column, style, label in (("null_share", "--", "random walk"), ("null_share_decay", ":", "walk with decay")):
        if rows[column].notna().any():
            axis.plot(rows["component"], rows[column].astype(float), style, color=plotting.INK, lw=0.9, label=label)
    axis.set_yscale("log")
    axis.set_xticks(range(2, 2 + N_COMPONENTS, 2))
    axis.set_xlabel("principal component of the path")
    axis.set_ylabel("share of variance")


def _plot_path(axis: "Axes", tables: "Tables") -> None:
    from grokinterp import plotting

    rows = tables["path"]
    rows = rows[rows["weights"] == "all"].sort_values("step")
    axis.plot(rows["pc1"], rows["pc2"].astype(float), "-", color=plotting.FAINT, lw=0.8)
    axis.plot(rows["pc1"], rows["pc2"].astype(float), "o", ms=1.5, color=plotting.CYCLE[0])
    marks = tables.phases.landmarks([int(step) for step in rows["step"]])
    for color, (name, step) in zip(plotting.MARK_COLORS, marks.items(), strict=False):
        point = rows[rows["step"] == step]
        axis.plot(point["pc1"], point["pc2"].astype(float), "o", ms=4.5, color=color, label=name)
    axis.set_xlabel("PC 1 (units of the weights)")
    axis.set_ylabel("PC 2 (units of the weights)")
    plotting.legend(axis)


DEFECT = {
    "defect": Column("median over pairs of batches; null where no pair is resolved", low=0, null=True),
    "defect_q05": Column("5 % quantile over the pairs of batches", low=0, null=True),
    "defect_q95": Column("95 % quantile over the pairs of batches", low=0, null=True),
    "commutator_norm": Column("median of the defect's numerator over eta^2", low=0, null=True),
    "gradient_norm": Column("median of the batches' gradient norms", "nats", low=0),
    "n_resolved": Column("pairs of batches whose steps are not lost in rounding", kind="int", low=0),
    "n_batch_pairs": Column("pairs of batches drawn", kind="int", low=1),
    "batch_size": Column("training pairs in a batch", kind="int", low=1),
}

MEASURE = Measure(
    name="commutator",
    summary="How far two gradient steps end apart in the other order; PCA of the weights' path with its null.",
    reference="Xu 2026 (arXiv 2602.16746), commutator defect delta and trajectory PCA.",
    parts={
        "": Part({**DEFECT, "eta": Column("length of the steps, in gradients", low=0)}, compute, steps="landmarks"),
        "infinitesimal": Part(DEFECT, compute_infinitesimal, steps="events"),
        "trajectory": Part(
            {
                "weights": Column("all, or attention", kind="str"),
                "component": Column("principal component, from 1", kind="int", low=1),
                "share": Column("share of the variance over checkpoints", low=0, high=1),
                "null_share": Column("the same for a random walk with steps as long", low=0, high=1, null=True),
                "null_share_decay": Column("and with the run's weight decay", low=0, high=1, null=True),
                "n_checkpoints": Column("checkpoints of the path", kind="int", low=2),
            },
            compute_trajectory,
            scope="run",
        ),
        "path": Part(
            {
                "weights": Column("all, or attention", kind="str"),
                **{f"pc{j}": Column(f"coordinate {j} along the path's components", null=True) for j in (1, 2, 3)},
            },
            compute_path,
            scope="run",
        ),
    },
    plot=plot,
    params={"eta": 1e-3, "batch_size": 128, "n_batch_pairs": 5, "seed": 0},
    series=(Series("commutator defect", "defect", log=True),),
)
