"""Where floating point stops the learning: softmax collapse, the gradient's direction, spikes of the train loss."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.run import Run
    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Softmax collapse and exactly vanished losses of the training pairs, in float32 and float64.

    With z the logits of a pair, c its answer and top = max_j z_j, all computed in the named precision:

        collapse_fraction = mean 1[sum_j exp(z_j - top) == 1]: all but the largest logit have no weight
        zero_loss_fraction = mean 1[log(sum_j exp(z_j - top)) - (z_c - top) == 0]: the right logit has no gradient
        loss = the mean of that loss (nats), summed over pairs in float64

    The float64 logits are those of the snapshot; the float32 ones are the same, rounded, so this is the
    precision of the loss alone, not of the forward. A confident wrong answer collapses with a loss that is
    not zero. Without a known split, of all defined pairs. unembedding_norm is the Frobenius norm of W_U's answers.

    **Paper:** Prieto et al. 2025 (arXiv 2501.04697), section 3: softmax collapse.
    **Differs:** theirs is in the precision of training; both are given here for any run.
    **Known values:** every margin 30 at p = 113: float32 collapses with loss 0, float64 does not, with loss
    log(1 + 112 e^-30) = 1.05e-11; every margin 45: both collapse.
    """
    import torch

    del params
    left, right, label = snapshot.loss_pairs
    logits = snapshot.logits[left, right]
    row: Row = {"n_pairs": len(label)}
    for name, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        collapsed, loss = _collapse(logits.to(dtype), label)
        row[f"{name}_collapse_fraction"] = float(collapsed.double().mean())
        row[f"{name}_zero_loss_fraction"] = float((loss == 0).double().mean())
        row[f"{name}_loss"] = float(loss.double().mean())
    return [row | {"unembedding_norm": float(snapshot.unembedding.norm())}]


def _collapse(logits: "Tensor", label: "Tensor") -> "tuple[Tensor, Tensor]":
    """Whether the softmax of each pair has one term, and its loss, in the logits' own precision."""
    below = logits - logits.amax(dim=1, keepdim=True)
    total = below.exp().sum(dim=1)
    return total == 1, total.log() - below.gather(1, label[:, None])[:, 0]


def compute_gradient(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Direction and size of the train loss's gradient g over all trained weights theta.

        nlm_cosine = cos(-g, theta),    gradient_norm = |g|_2 (nats)

    1: the naive loss minimisation direction, in which a step scales the weights and the logits up and leaves
    every answer as it is; null where g or theta is 0. Backward in float32 where the engine can, from a loss in
    float64, so that g does not vanish where a float32 loss does.

    **Paper:** Prieto et al. 2025 (arXiv 2501.04697), section 4: naive loss minimization.
    **Known values:** quadratic |theta|^2/2: -1; scale-invariant loss: 0; homogeneous of degree h:
    -h L / (|g| |theta|); softmax regression on one-hot answers with logits s (I - 1/p): 1, s I: sqrt(1 - 1/p).
    """
    from grokinterp.snapshots import TrainLoss

    del params
    loss = TrainLoss(snapshot.in_float32())
    cosine, norm = alignment(loss, loss.start)
    return [{"nlm_cosine": cosine, "gradient_norm": norm}]


def alignment(function: "Callable[[Tensor], Tensor]", at: "Tensor") -> tuple[float | None, float]:
    """cos(-gradient, at), None where either is 0, and the gradient's norm."""
    import torch

    point = at.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(function(point), point)
    gradient, place = gradient.double(), at.double()
    size = float(gradient.norm())
    product = size * float(place.norm())
    if product == 0:
        return None, size
    return min(max(float(-(gradient @ place)) / product, -1.0), 1.0), size


def compute_slingshots(run: "Run", *, steps: list[int], params: dict) -> list[Row]:
    """Spikes of the train loss, from the run's evaluations (metrics.jsonl), not from its checkpoints.

    A spike begins at the first evaluation whose train loss exceeds spike_factor times the median of the
    spike_window evaluations before it (the reference) and ends at the first one back at or below
    spike_recovery times the reference. height_ratio = largest train loss in between / reference. A spike
    between two evaluations is not seen. Weight norms are the sums of squares of metrics.jsonl, before: at the
    last evaluation before the spike, after: at recovery, or at the end of the run.

    **Paper:** Thilak et al. 2022 (arXiv 2206.04817): the slingshot, a spike that ends a stretch of norm growth.
    **Differs:** they take the norm of the last layer; that is unembedding_norm of the main table, at checkpoints.
    **Known values:** see `spikes.jumps`.
    """
    import numpy as np

    from grokinterp.spikes import find_spikes

    del steps
    table = run.metrics
    if "train_loss" not in table:
        return []
    table = table[np.isfinite(table["train_loss"].to_numpy(dtype=float))]
    at = [int(step) for step in table["step"]]
    squares = table["weight_norm"].to_numpy(dtype=float) if "weight_norm" in table else np.full(len(at), np.nan)

    def norm(index: int) -> float | None:
        return float(squares[index]) if np.isfinite(squares[index]) else None

    found = find_spikes(
        table["train_loss"].to_numpy(dtype=float),
        factor=params["spike_factor"],
        window=params["spike_window"],
        recovery=params["spike_recovery"],
    )
    return [
        {
            "step": at[spike.onset],
            "peak_step": at[spike.peak],
            "recovery_step": None if spike.recovery is None else at[spike.recovery],
            "reference_loss": spike.reference,
            "peak_loss": spike.height,
            "height_ratio": spike.ratio,
            "weight_norm_before": norm(spike.before),
            "weight_norm_after": norm(-1 if spike.recovery is None else spike.recovery),
        }
        for spike in found
    ]


def plot(tables: "Tables") -> "Figure":
    """Collapse and vanished losses, the gradient's direction, and the train loss with its spikes, over steps."""
    from grokinterp import plotting

    fig, (top, middle, bottom) = plotting.figure(rows=3, height=1.25)
    main, gradient, spikes = tables.main, tables["gradient"], tables["slingshots"]
    for i, precision in enumerate(("float32", "float64")):
        color = plotting.CYCLE[i]
        top.plot(main["step"], main[f"{precision}_collapse_fraction"], color=color, label=f"collapsed, {precision}")
        zero = main[f"{precision}_zero_loss_fraction"]
        top.plot(main["step"], zero, ":", color=color, label=f"loss 0, {precision}")
        loss = main[f"{precision}_loss"]
        bottom.plot(main["step"], loss.where(loss > 0), "-" if i else "--", color=color, label=precision, zorder=3 - i)
    top.set_ylim(-0.03, 1.03)
    top.set_ylabel("share of pairs")
    middle.plot(gradient["step"], gradient["nlm_cosine"], "o-", ms=2, color=plotting.CYCLE[2])
    middle.axhline(0, color=plotting.FAINT, lw=0.6, zorder=1)
    middle.set_ylabel(r"cos($-\nabla L$, $\theta$)")
    if len(spikes):
        bottom.plot(spikes["peak_step"], spikes["peak_loss"], "v", ms=3.5, color=plotting.CYCLE[3], label="spike")
    bottom.set_yscale("log")
    bottom.set_ylabel("train loss (nats)")
    return plotting.over_steps(fig, tables.phases, legends={top: "best", bottom: "best"})


def _share(meaning: str) -> Column:
    return Column(meaning, low=0, high=1)


def _square(meaning: str) -> Column:
    return Column(meaning, "squared weight", low=0, null=True)


MEASURE = Measure(
    name="numerics",
    summary="Softmax collapse, the gradient's alignment with the weights, and spikes of the train loss.",
    reference="Prieto et al. 2025 (arXiv 2501.04697); Thilak et al. 2022 (arXiv 2206.04817).",
    parts={
        "": Part(
            {
                "n_pairs": Column("training pairs", "pairs", "int", low=1),
                "float32_collapse_fraction": _share("pairs whose float32 softmax sum is exactly 1"),
                "float32_zero_loss_fraction": _share("pairs whose float32 loss is exactly 0"),
                "float32_loss": Column("mean of the float32 losses", "nats", low=0),
                "float64_collapse_fraction": _share("pairs whose float64 softmax sum is exactly 1"),
                "float64_zero_loss_fraction": _share("pairs whose float64 loss is exactly 0"),
                "float64_loss": Column("mean of the float64 losses", "nats", low=0),
                "unembedding_norm": Column("Frobenius norm of W_U (columns of answers)", low=0),
            },
            compute,
        ),
        "gradient": Part(
            {
                "nlm_cosine": Column("cos(-gradient of the train loss, weights)", low=-1, high=1, null=True),
                "gradient_norm": Column("l2 norm of the train loss's gradient", "nats", low=0),
            },
            compute_gradient,
            steps="landmarks",
        ),
        "slingshots": Part(
            {
                "peak_step": Column("evaluation with the spike's largest train loss", "steps", "int", low=0),
                "recovery_step": Column("first evaluation after it; null if none", "steps", "int", low=0, null=True),
                "reference_loss": Column("median train loss of the evaluations before", "nats", low=0),
                "peak_loss": Column("largest train loss of the spike", "nats", low=0),
                "height_ratio": Column("peak_loss / reference_loss; null over a loss of 0", low=1, null=True),
                "weight_norm_before": _square("sum of squared weights before the spike"),
                "weight_norm_after": _square("sum of squared weights at recovery, or at the end"),
            },
            compute_slingshots,
            scope="run",
        ),
    },
    plot=plot,
    params={"spike_factor": 10.0, "spike_window": 5, "spike_recovery": 2.0},
    series=(
        Series("float32 softmax collapse", "float32_collapse_fraction", threshold=0.5),
        Series("float32 losses of 0", "float32_zero_loss_fraction", threshold=0.5),
    ),
)
