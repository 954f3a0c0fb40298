"""Curvature of the train loss: eigenvalues of its Hessian at both ends, and the trace."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The n_largest and n_smallest (most negative) eigenvalues of the Hessian of the train loss.

    H = d^2 L / d theta^2 over the trained weights theta, L the mean cross-entropy of the training pairs;
    H v by landscape.hessian, eigenpairs by Lanczos (ARPACK). residual = |H v - eigenvalue v| says how
    well: an eigenvalue of H lies within it, and the one meant is nearer still, by about residual^2 over
    the gap. `tolerance` is relative to the eigenvalue for the largest, to the largest for the smallest.
    Those that do not converge in max_products have no row.

    Products are in float32 with the softmax in float64 where the engine allows it, which is enough: at every
    stage, down to a train loss of 3e-7, they agree with float64 to 2e-6 of |H v|, at half the cost.

    **Paper:** Panickssery and Vaintrob 2023 (their code takes the top eigenvalues of the train loss).
    **Known values:** a quadratic's eigenvalues; the dense Hessian of a small network.
    **Trap:** rescaling ReLU neurons leaves the network the same and changes H, so "flat" by eigenvalues
    is no property of the function; compare checkpoints of one run. Away from a minimum (gradient_norm)
    H says little about the neighbourhood.
    """
    from grokinterp.landscape.hessian import hessian_product, outer_eigenvalues
    from grokinterp.snapshots import TrainLoss

    loss = TrainLoss(snapshot.in_float32())
    float(loss(loss.start))  # what the snapshot caches must not be made inside a transform
    product = hessian_product(loss, loss.start)
    options = {name: params[name] for name in ("tolerance", "max_products", "seed")}
    rows, shift = [], 0.0
    for end, k in (("largest", params["n_largest"]), ("smallest", params["n_smallest"])):
        if not k:
            continue
        found = outer_eigenvalues(product, loss.start, k=k, end=end, shift=shift, **options)
        shift = max(float(found.values.max(initial=0.0)), 0.0)
        for rank, (value, residual) in enumerate(zip(found.values, found.residuals, strict=True), start=1):
            rows.append({"end": end, "rank": rank, "eigenvalue": float(value), "residual": float(residual)})
    return rows


def compute_trace(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The trace of the Hessian of the train loss by Hutchinson's estimator; see landscape.hessian.trace.

    **Known values:** a quadratic's trace; for small raw noise the loss increase is sigma^2 trace / 2.
    """
    import torch

    from grokinterp.landscape.hessian import hessian_product, trace
    from grokinterp.snapshots import TrainLoss

    loss = TrainLoss(snapshot.in_float32())
    value = max(float(loss(loss.start)), 0.0)
    gradient = torch.func.grad(loss)(loss.start)
    found = trace(hessian_product(loss, loss.start), loss.start, n_probes=params["n_probes"], seed=params["seed"])
    return [
        {
            "trace": found.value,
            "standard_error": found.standard_error,
            "loss": value,
            "gradient_norm": float(gradient.double().norm()),
            "n_probes": params["n_probes"],
            "n_weights": len(loss.start),
        }
    ]


def plot(tables: "Tables") -> "Figure":
    """The largest eigenvalues over steps with the size of the most negative one, and the trace."""
    from grokinterp import plotting

    fig, (left, right) = plotting.figure(columns=2, width="text", height=2.2)
    table = tables.main
    largest = table[table["end"] == "largest"]
    ranks = sorted(largest["rank"].unique())
    for rank in reversed(ranks):
        rows = largest[largest["rank"] == rank]
        label = {ranks[0]: "largest", ranks[-1]: f"{ranks[-1]}th largest"}.get(rank)
        shade = 0.25 + 0.75 * (1 - ranks.index(rank) / len(ranks))
        style = {"ms": 2, "lw": 0.7, "alpha": shade, "color": plotting.CYCLE[0]}
        left.plot(rows["step"], rows["eigenvalue"], "o-", clip_on=False, label=label, **style)
    rows = table[(table["end"] == "smallest") & (table["rank"] == 1)]
    if len(rows):
        style = {"fmt": "s--", "ms": 2, "lw": 0.9, "elinewidth": 0.6, "color": plotting.CYCLE[1]}
        left.errorbar(rows["step"], -rows["eigenvalue"], rows["residual"], label="most negative, size", **style)
    left.set_ylabel("Hessian eigenvalue (nats)")
    trace = tables["trace"]
    right.errorbar(
        trace["step"],
        trace["trace"],
        2 * trace["standard_error"].astype(float).fillna(0.0),
        fmt="o-",
        ms=2,
        elinewidth=0.6,
        color=plotting.CYCLE[2],
        label="2 standard errors",
    )
    right.set_ylabel("Hessian trace (nats)")
    for axis in (left, right):
        axis.set_yscale("log", nonpositive="clip")
    return plotting.over_steps(fig, tables.phases, legends={left: "best", right: "best"})


MEASURE = Measure(
    name="curvature",
    summary="Largest and most negative Hessian eigenvalues of the train loss, and the trace with its error.",
    reference="Panickssery and Vaintrob 2023 (top eigenvalues); Hutchinson 1990 (trace).",
    parts={
        "": Part(
            {
                "end": Column("largest or smallest (most negative) eigenvalues", kind="str"),
                "rank": Column("1 for the outermost", kind="int", low=1),
                "eigenvalue": Column("v^T H v of the unit vector v found", "nats"),
                "residual": Column("|H v - eigenvalue v|", "nats", low=0),
            },
            compute,
            steps="events",
        ),
        "trace": Part(
            {
                "trace": Column("estimate of tr H", "nats"),
                "standard_error": Column("of trace over the probes", "nats", low=0, null=True),
                "loss": Column("train loss", "nats", low=0),
                "gradient_norm": Column("Euclidean norm of the train loss's gradient", "nats", low=0),
                "n_probes": Column("probes of random signs", kind="int", low=1),
                "n_weights": Column("trained weights: eigenvalues in the trace", kind="int", low=1),
            },
            compute_trace,
            steps="events",
        ),
    },
    plot=plot,
    params={"n_largest": 10, "n_smallest": 1, "tolerance": 1e-3, "max_products": 200, "n_probes": 20, "seed": 0},
    series=(
        Series("largest eigenvalue", "eigenvalue", where={"end": "largest", "rank": 1}, log=True),
        Series("Hessian trace", "trace", part="trace", log=True),
    ),
    on_request=True,
)
