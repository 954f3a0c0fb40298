"""Flatness under perturbation: loss under Gaussian noise, and Keskar's worst case."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Train loss under Gaussian noise on the weights, for four noise forms and several sigmas.

    loss_increase = mean over n_samples of L(theta + sigma s(theta) xi) - L(theta), xi standard Gaussian,
    s the form's scale (landscape.noise). The same draws are used at every checkpoint, so differences
    between checkpoints are not sampling noise; standard_error is that of the mean over draws.
    Only weights that training changes are perturbed. The forward is in float32, the loss in float64.

    **Known values:** for a quadratic with Hessian A and raw noise, E[loss_increase] =
    sigma^2 tr(A) / 2. Per-neuron ReLU rescaling leaves weight-proportional and neuron-wise unchanged.
    """
    import torch

    from grokinterp.landscape.noise import draw, noise_scale, perturb

    snapshot = snapshot.in_float32()
    weights = snapshot.trained_weights
    n = params["n_samples"]
    draws = [draw(weights, params["seed"] + i) for i in range(n)]
    rows = []
    with torch.no_grad():
        base = float(snapshot.loss_under({}))
        for form, sigmas in params["sigmas"].items():
            scale = noise_scale(weights, form)
            for sigma in sigmas:
                losses = [float(snapshot.loss_under(perturb(weights, scale, xi, sigma))) for xi in draws]
                values = torch.tensor(losses, dtype=torch.float64) - base
                low, median, high = values.quantile(torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)).tolist()
                rows.append(
                    {
                        "noise": form,
                        "sigma": float(sigma),
                        "loss": base,
                        "loss_increase": float(values.mean()),
                        "standard_error": float(values.std() / n**0.5) if n > 1 else None,
                        "increase_q05": low,
                        "increase_median": median,
                        "increase_q95": high,
                        "n_samples": n,
                    }
                )
    return rows


def compute_keskar(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Keskar's phi of the train loss in a seeded random subspace; see landscape.keskar."""
    from grokinterp.landscape.keskar import keskar_phi, random_rows
    from grokinterp.snapshots import TrainLoss

    loss = TrainLoss(snapshot)
    found = keskar_phi(
        loss,
        loss.start,
        random_rows(params["keskar_dim"], len(loss.start), params["seed"]).to(loss.start.device),
        epsilon=params["keskar_epsilon"],
        n_corners=params["keskar_corners"],
        max_iterations=params["keskar_iterations"],
        max_evaluations=params["keskar_evaluations"],
        seed=params["seed"],
    )
    return [
        {
            "phi": found.phi,
            "loss": found.f_start,
            "worst_loss": found.f_max,
            "epsilon": params["keskar_epsilon"],
            "subspace_dim": params["keskar_dim"],
            "n_evaluations": found.n_evaluations,
        }
    ]


def plot(tables: "Tables") -> "Figure":
    """Loss increase over steps for each noise form at its largest sigma, and against sigma at events."""
    from grokinterp import plotting

    fig, (left, right) = plotting.figure(columns=2, width="text", height=2.2)
    table = tables.main
    for i, (form, rows) in enumerate(table.groupby("noise", sort=False)):
        rows = rows[rows["sigma"] == rows["sigma"].max()]
        label = rf"{form}, $\sigma$ = {rows['sigma'].iloc[0]:g}"
        left.plot(rows["step"], rows["loss_increase"], "o-", ms=2, color=plotting.CYCLE[i], label=label)
        left.fill_between(
            rows["step"],
            rows["increase_q05"],
            rows["increase_q95"],
            color=plotting.CYCLE[i],
            alpha=0.2,
            lw=0,
        )
    left.set_yscale("log", nonpositive="clip")
    left.set_ylabel("train loss increase (nats)")
    form = "weight-proportional"
    marks = tables.phases.landmarks(sorted(int(step) for step in table["step"].unique()))
    for i, (name, step) in enumerate(marks.items()):
        rows = table[(table["noise"] == form) & (table["step"] == step)]
        color = plotting.MARK_COLORS[i]
        right.errorbar(
            rows["sigma"],
            rows["loss_increase"],
            rows["standard_error"],
            fmt="o-",
            ms=3,
            color=color,
            label=f"{name} ({step})",
        )
    right.set_xscale("log")
    sigmas = sorted(table[table["noise"] == form]["sigma"].unique())
    right.set_xticks(sigmas, [f"{sigma:g}" for sigma in sigmas])
    right.minorticks_off()
    right.set_yscale("log", nonpositive="clip")
    low, high = right.get_ylim()
    right.set_ylim(low, high * (high / low) ** 0.4)  # room for the legend
    right.set_xlabel(rf"$\sigma$ of {form} noise")
    right.set_ylabel("train loss increase (nats)")
    return plotting.over_steps(fig, tables.phases, axes=[left], legends={left: "lower left", right: "upper left"})


SIGMAS = {
    "raw": [0.01, 0.03],
    "weight-proportional": [0.03, 0.1, 0.3],
    "neuron-wise": [0.1, 0.3],
    "layer-relative": [0.1, 0.3],
}

MEASURE = Measure(
    name="flatness",
    summary="Train loss under Gaussian noise in four norms, and Keskar's phi.",
    reference="Keskar et al. 2017 (arXiv 1609.04836); Power et al. 2022 (arXiv 2201.02177), appendix A.5.",
    parts={
        "": Part(
            {
                "noise": Column("raw, weight-proportional, neuron-wise or layer-relative", kind="str"),
                "sigma": Column("noise scale in units of the form", low=0),
                "loss": Column("train loss without noise", "nats", low=0),
                "loss_increase": Column("mean loss under noise minus loss", "nats"),
                "standard_error": Column("of loss_increase over the draws", "nats", low=0, null=True),
                "increase_q05": Column("5 % quantile over the draws", "nats"),
                "increase_median": Column("median over the draws", "nats"),
                "increase_q95": Column("95 % quantile over the draws", "nats"),
                "n_samples": Column("number of draws", kind="int", low=1),
            },
            compute,
            steps="landmarks",
        ),
        "keskar": Part(
            {
                "phi": Column("100 (worst_loss - loss) / (1 + loss)", low=0),
                "loss": Column("train loss at the checkpoint", "nats", low=0),
                "worst_loss": Column("largest loss found in the box", "nats", low=0),
                "epsilon": Column("relative half-width of the box", low=0),
                "subspace_dim": Column("dimension of the random subspace", kind="int", low=1),
                "n_evaluations": Column("loss evaluations spent", kind="int", low=1),
            },
            compute_keskar,
            steps="events",
        ),
    },
    plot=plot,
    params={
        "n_samples": 5,
        "seed": 0,
        "sigmas": SIGMAS,
        "keskar_dim": 10,
        "keskar_epsilon": 1e-3,
        "keskar_corners": 2,
        "keskar_iterations": 10,
        "keskar_evaluations": 10,
    },
)
