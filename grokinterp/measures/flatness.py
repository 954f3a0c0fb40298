"""Flatness: loss under Gaussian noise, Keskar's worst case, SAM's, and along random lines."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
        base = snapshot.loss_at({})
        for form, sigmas in params["sigmas"].items():
            scale = noise_scale(weights, form)
            for sigma in sigmas:
                losses = [snapshot.loss_at(perturb(weights, scale, xi, sigma)) for xi in draws]
                values = torch.tensor(losses, dtype=torch.float64) - base
                low, median, high = values.quantile(torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)).tolist()
                rows.append(
                    {
                        "noise": form,
                        "sigma": float(sigma),
                        "loss": base,
                        "loss_increase": float(values.mean()),
                        "standard_error": float(values.std() / n**0.5) if n > 1 else None,
                        **{"increase_q05": low, "increase_median": median, "increase_q95": high},
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
    settings = {"epsilon": params["keskar_epsilon"], "subspace_dim": params["keskar_dim"]}
    losses = {"phi": found.phi, "loss": found.f_start, "worst_loss": found.f_max}
    return [{**losses, **settings, "n_evaluations": found.n_evaluations}]


def compute_sam(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The largest train loss found in a ball around the weights, raw and in two scale-invariant norms.

    loss_increase = max over |z|_2 <= rho of L(theta + T z) - L(theta), T = 1 (raw), |theta| (weight-proportional)
    or each neuron's root mean square (neuron-wise), as in the noise forms; found by projected gradient ascent
    (landscape.ball), one_step_increase at its first point. In float32. `sam_steps` points give a lower bound, and
    on a grokked network, which is flat along its gradient and less so elsewhere, a low one: compare with more.

    **Paper:** raw with one step: Foret et al. 2021, equation 2; weight-proportional: Kwon et al. 2021 (ASAM).
    **Known values:** quadratics: see landscape.ball. Per-neuron ReLU rescaling changes raw alone.
    """
    import torch

    from grokinterp.landscape.ball import value_and_gradient, worst_in_ball
    from grokinterp.landscape.noise import noise_scale
    from grokinterp.snapshots import TrainLoss

    loss = TrainLoss(snapshot.in_float32())
    start, gradient = value_and_gradient(loss, loss.start)
    weights, n = loss.unflatten(loss.start), params["sam_steps"]
    rows = []
    for form, radii in params["sam_radii"].items():
        scale = torch.cat([s.flatten() for s in noise_scale(weights, form).values()])
        for rho in radii:
            ball = {"start": start, "radius": float(rho), "n_steps": n, "seed": params["seed"]}
            found = worst_in_ball(loss, loss.start, gradient, scale, **ball)
            rows.append(
                {
                    "form": form,
                    "rho": float(rho),
                    "loss": start,
                    "worst_loss": found.worst,
                    "loss_increase": found.worst - start,
                    "one_step_increase": found.one_step - start,
                    "n_steps": n,
                }
            )
    return rows


def compute_slices(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Train loss at theta + alpha d along random lines d that are filter-normalised; see landscape.slices.

    The same draws at every checkpoint, `slice_directions` of them. standard_error is that of the mean.

    **Paper:** Li et al. 2018 (arXiv 1712.09913), section 4.
    **Known values:** a quadratic with Hessian A and one tensor of n weights: the mean over directions of the
    loss at alpha and -alpha is loss + alpha^2 |theta|^2 tr(A) / (2 n). ReLU rescaling changes nothing.
    """
    import torch

    from grokinterp.landscape.slices import filter_normalised

    snapshot = snapshot.in_float32()
    weights, n = snapshot.trained_weights, params["slice_directions"]
    lines = [filter_normalised(weights, params["seed"] + i) for i in range(n)]
    rows = []
    with torch.no_grad():
        for alpha in params["slice_alphas"]:
            moved = [{name: w + alpha * line[name] for name, w in weights.items()} for line in lines]
            values = [snapshot.loss_at(changed) for changed in (moved if alpha else moved[:1])]
            losses = torch.tensor(values if alpha else values * n, dtype=torch.float64)
            low, median, high = losses.quantile(torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)).tolist()
            rows.append(
                {
                    "alpha": float(alpha),
                    "loss": float(losses.mean()),
                    "standard_error": float(losses.std() / n**0.5) if n > 1 else None,
                    "loss_q05": low,
                    "loss_median": median,
                    "loss_q95": high,
                    "n_directions": n,
                }
            )
    return rows


def plot(tables: "Tables") -> "Figure":
    """At the events: noise over sigma, the worst case in a ball, random lines. Over steps: every noise form."""
    from grokinterp import plotting

    fig, ((sigmas, balls), (noise, lines)) = plotting.figure(rows=2, columns=2, width="text", height=2.1)
    _plot_noise(noise, tables)
    form, sam, slices = "weight-proportional", tables["sam"], tables["slices"]
    of_form = tables.main[tables.main["noise"] == form]
    marks = tables.phases.landmarks(sorted(int(step) for step in tables.main["step"].unique())).items()
    for (name, step), color in zip(marks, plotting.MARK_COLORS, strict=False):
        style = {"color": color, "ms": 3}
        rows = of_form[of_form["step"] == step]
        bars = rows["sigma"], rows["loss_increase"], rows["standard_error"]
        sigmas.errorbar(*bars, fmt="o-", label=f"{name} ({step})", **style)
        for which, marker in ((form, "o-"), ("raw", "s:")):
            rows = sam[(sam["form"] == which) & (sam["step"] == step)]
            balls.plot(rows["rho"], rows["loss_increase"], marker, **style)
        rows = slices[slices["step"] == step]
        lines.fill_between(rows["alpha"], rows["loss_q05"], rows["loss_q95"], color=color, alpha=0.2, lw=0)
        lines.plot(rows["alpha"], rows["loss"], "o-", **style)
    for label, marker in ((f"{form} norm", "o-"), ("raw norm", "s:")):
        balls.plot([], [], marker, ms=3, color=plotting.INK, label=label)
    for axis, values in ((sigmas, of_form["sigma"]), (balls, sam["rho"])):
        ticks = sorted(values.unique())
        axis.set_xscale("log")
        axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
        axis.minorticks_off()
    for axis in (sigmas, balls, lines):
        axis.set_yscale("log", nonpositive="clip")
        axis.set_ylabel("train loss (nats)" if axis is lines else "train loss increase (nats)")
    for axis, room in ((sigmas, 0.4), (balls, 0.25)):
        low, high = axis.get_ylim()
        axis.set_ylim(low, high * (high / low) ** room)  # for the legend
    sigmas.set_xlabel(rf"$\sigma$ of {form} noise")
    balls.set_xlabel(r"radius $\rho$ of the ball, worst case in it")
    lines.set_xlabel(r"$\alpha$ along filter-normalised random lines")
    legends = {noise: "lower left", sigmas: "upper left", balls: "upper left"}
    return plotting.over_steps(fig, tables.phases, axes=[noise], legends=legends)


def _plot_noise(axis: "Axes", tables: "Tables") -> None:
    """Loss increase over steps for each noise form at its largest sigma."""
    from grokinterp import plotting

    for i, (form, rows) in enumerate(tables.main.groupby("noise", sort=False)):
        rows = rows[rows["sigma"] == rows["sigma"].max()]
        label = rf"{form}, $\sigma$ = {rows['sigma'].iloc[0]:g}"
        axis.plot(rows["step"], rows["loss_increase"], "o-", ms=2, color=plotting.CYCLE[i], label=label)
        band = rows["step"], rows["increase_q05"], rows["increase_q95"]
        axis.fill_between(*band, color=plotting.CYCLE[i], alpha=0.2, lw=0)
    axis.set_yscale("log", nonpositive="clip")
    axis.set_ylabel("train loss increase (nats)")


SIGMAS = {"raw": [0.03], "weight-proportional": [0.03, 0.1, 0.3], "neuron-wise": [0.3], "layer-relative": [0.3]}
RADII = {"raw": [0.05, 0.5], "weight-proportional": [0.5, 3.0]}
ALPHAS = [-1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0]

MEASURE = Measure(
    name="flatness",
    summary="Train loss under Gaussian noise in four norms, in Keskar's box, in SAM's ball and along random lines.",
    reference="Keskar et al. 2017 (arXiv 1609.04836); Power et al. 2022 (arXiv 2201.02177), appendix A.5; "
    "Foret et al. 2021 (2010.01412); Li et al. 2018 (1712.09913).",
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
        "sam": Part(
            {
                "form": Column("norm of the ball: raw, weight-proportional or neuron-wise", kind="str"),
                "rho": Column("radius in units of the form", low=0),
                "loss": Column("train loss at the checkpoint", "nats", low=0),
                "worst_loss": Column("largest train loss found in the ball", "nats", low=0),
                "loss_increase": Column("worst_loss - loss", "nats", low=0),
                "one_step_increase": Column("of the first step along the gradient (SAM, ASAM)", "nats"),
                "n_steps": Column("points of the ascent", kind="int", low=1),
            },
            compute_sam,
            steps="events",
        ),
        "slices": Part(
            {
                "alpha": Column("place on the line; at 1 every part moves by its own norm"),
                "loss": Column("mean train loss over the directions", "nats", low=0),
                "standard_error": Column("of the mean over the directions", "nats", low=0, null=True),
                "loss_q05": Column("5 % quantile over the directions", "nats", low=0),
                "loss_median": Column("median over the directions", "nats", low=0),
                "loss_q95": Column("95 % quantile over the directions", "nats", low=0),
                "n_directions": Column("number of directions", kind="int", low=1),
            },
            compute_slices,
            steps="events",
        ),
    },
    plot=plot,
    params={
        "n_samples": 4,
        "seed": 0,
        "sigmas": SIGMAS,
        "keskar_dim": 10,
        "keskar_epsilon": 1e-3,
        "keskar_corners": 2,
        "keskar_iterations": 10,
        "keskar_evaluations": 10,
        "sam_radii": RADII,
        "sam_steps": 3,
        "slice_directions": 2,
        "slice_alphas": ALPHAS,
    },
    series=(
        Series("10 % noise adds", "loss_increase", "", {"noise": "weight-proportional", "sigma": 0.1}, threshold=0.01),
    ),
)
