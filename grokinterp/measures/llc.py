"""Local learning coefficient of the train loss by Langevin sampling, with a verdict on locality."""

import json
import math
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from grokinterp.errors import NotApplicableError
from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.landscape.sgld import Sampling
    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables

LOSS_LIMIT = 0.5
"""A mean sampled loss above this times log(number of answers) is not near a solution any more."""

_SAMPLED: "WeakKeyDictionary[Snapshot, dict[str, Sampling]]" = WeakKeyDictionary()
"""The chains of the snapshots that are alive, by parameters: both parts read the same ones."""


def _sampled(snapshot: "Snapshot", params: dict) -> "Sampling":
    from grokinterp.landscape.sgld import sample
    from grokinterp.snapshots import TrainLoss

    known, key = _SAMPLED.setdefault(snapshot, {}), json.dumps(params, sort_keys=True)
    if key not in known:
        loss = TrainLoss(snapshot.in_float32())
        n = loss.n_pairs
        if n < 2:
            raise NotApplicableError(f"needs at least two training pairs for n / ln n; this split has {n}")
        options = {name: params[name] for name in ("gamma", "epsilon", "n_chains", "n_draws", "burn_in", "seed")}
        nbeta = n / math.log(n) if params["nbeta"] is None else params["nbeta"]
        known[key] = sample(loss, loss.start, nbeta=float(nbeta), **options)
    return known[key]


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """lambda-hat = nbeta (mean L over the chains - L(w0)), with nbeta = n / ln n for n training pairs.

    Chains, R-hat and the verdict `local` are those of landscape.sgld: full-batch L (mean cross-entropy,
    nats) of the trained weights, all chains from the checkpoint w0, burn-in dropped, in float32 with the
    softmax in float64. local is False, and why_not says why, where a chain diverged, the mean sampled
    loss is above LOSS_LIMIT log(number of answers), or the distance from w0 is too large or still growing;
    llc is then not about w0.

    **Paper:** Lau et al. 2023 (arXiv 2308.12108), equation 13; Panickssery and Vaintrob 2023 for grokking.
    **Differs:** full batch; the verdict; no projection of the gradient direction; gamma 3000 where public
    notebooks have 5, whose prior radius sqrt(d / gamma) is several times |w0|: chains leave w0 at once.
    **Known values:** see landscape.sgld.sample; reduced-rank regression.
    **Trap:** at these settings the pull decides the distance (`distance` = `prior_radius` to three digits):
    nearly all directions are flat on the scale of the pull, and llc is about nbeta tr H / (2 gamma) plus
    what is not quadratic, far below half the number of weights. It falls as gamma rises: compare
    checkpoints and runs at one gamma and epsilon only. Before there is a solution (at init) L(w0) is itself
    above the limit; where w0 is no minimum llc can be negative.
    """
    from grokinterp.landscape.sgld import split_r_hat, why_not_local

    chains = _sampled(snapshot, params)
    reason = why_not_local(chains, LOSS_LIMIT * math.log(snapshot.task.n_answers))
    finite = chains.finite
    return [
        {
            "llc": chains.llc if finite else None,
            "standard_error": chains.standard_error if finite else None,
            "r_hat": split_r_hat(chains.losses) if finite else None,
            "local": reason is None,
            "why_not": reason,
            "mean_loss": max(chains.mean_loss, 0.0) if finite else None,
            "loss": max(chains.start_loss, 0.0),
            "distance": chains.distance if finite else None,
            "prior_radius": chains.prior_radius if math.isfinite(chains.prior_radius) else None,
            "nbeta": chains.nbeta,
            "gamma": float(params["gamma"]),
            "epsilon": float(params["epsilon"]),
            "n_chains": params["n_chains"],
            "n_draws": params["n_draws"],
            "burn_in": params["burn_in"],
        }
    ]


def compute_trace(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Loss and distance of each chain at every `thin`-th draw: have the chains settled, do they agree?"""
    chains = _sampled(snapshot, params)
    rows = []
    for chain, (losses, distances) in enumerate(zip(chains.losses.tolist(), chains.distances.tolist(), strict=True)):
        for draw in range(0, len(losses), params["thin"]):
            loss, distance = losses[draw], distances[draw]
            rows.append(
                {
                    "chain": chain,
                    "draw": draw,
                    "loss": max(loss, 0.0) if math.isfinite(loss) else None,
                    "distance": distance if math.isfinite(distance) else None,
                }
            )
    return rows


def plot(tables: "Tables") -> "Figure":
    """llc over steps, hollow where it is not local, and each chain's loss at four checkpoints."""
    from grokinterp import plotting

    fig, (left, right) = plotting.figure(columns=2, width="text", height=2.2)
    table = tables.main[tables.main["llc"].notna()]
    left.plot(table["step"], table["llc"], "-", lw=0.8, color=plotting.CYCLE[0])
    for local, fill, label in ((True, plotting.CYCLE[0], "local"), (False, "white", "not local")):
        rows = table[table["local"].astype(bool) == local]
        errors = 2 * rows["standard_error"].astype(float).fillna(0.0)
        style = {
            "fmt": "o",
            "ms": 3.5,
            "elinewidth": 0.7,
            "mfc": fill,
            "color": plotting.CYCLE[0],
            "zorder": 3,
        }
        if len(rows):
            left.errorbar(rows["step"], rows["llc"], errors, label=label, clip_on=False, **style)
    if len(table) and (table["llc"] > 0).all():
        left.set_yscale("log", nonpositive="clip")
    left.set_ylabel(r"$\hat\lambda$ (2 standard errors)")
    trace = tables["trace"]
    marks = tables.phases.landmarks(sorted(int(step) for step in trace["step"].unique()))
    for i, (name, step) in enumerate(marks.items()):
        for chain, rows in trace[(trace["step"] == step) & trace["loss"].notna()].groupby("chain"):
            label = f"{name} ({step})" if chain == 0 else None
            right.plot(rows["draw"], rows["loss"], lw=0.6, color=plotting.MARK_COLORS[i], label=label)
    right.set_yscale("log", nonpositive="clip")
    low, high = right.get_ylim()
    right.set_ylim(low, high * (high / low) ** 0.7)  # room for the legend
    right.set_xlabel("draw after burn-in")
    right.set_ylabel("sampled train loss (nats)")
    if right.get_legend_handles_labels()[1]:
        plotting.legend(right, "upper right")
    return plotting.over_steps(fig, tables.phases, axes=[left], legends={left: "best"})


MEASURE = Measure(
    name="llc",
    summary="Local learning coefficient by Langevin sampling, flagged where the chains leave the neighbourhood.",
    reference="Lau et al. 2023 (arXiv 2308.12108); Panickssery and Vaintrob 2023.",
    parts={
        "": Part(
            {
                "llc": Column("nbeta (mean_loss - loss); null where a chain diverged", null=True),
                "standard_error": Column("of llc over the chains", low=0, null=True),
                "r_hat": Column("split R-hat of the sampled losses", low=0, null=True),
                "local": Column("whether llc is about this checkpoint", kind="bool"),
                "why_not": Column("diverged, loss, far or growing; null where local", kind="str", null=True),
                "mean_loss": Column("mean sampled train loss", "nats", low=0, null=True),
                "loss": Column("train loss at the checkpoint", "nats", low=0),
                "distance": Column("root mean square distance of the draws from it", low=0, null=True),
                "prior_radius": Column("the same under the pull alone", low=0, null=True),
                "nbeta": Column("factor of the loss in the sampled density", low=0),
                "gamma": Column("strength of the pull to the checkpoint", low=0),
                "epsilon": Column("step size", low=0),
                "n_chains": Column("chains", kind="int", low=1),
                "n_draws": Column("draws a chain after the burn-in", kind="int", low=1),
                "burn_in": Column("steps a chain that are dropped", kind="int", low=0),
            },
            compute,
            steps="events",
        ),
        "trace": Part(
            {
                "chain": Column("which chain", kind="int", low=0),
                "draw": Column("steps since the burn-in", kind="int", low=0),
                "loss": Column("train loss at the draw", "nats", low=0, null=True),
                "distance": Column("distance from the checkpoint", low=0, null=True),
            },
            compute_trace,
            steps="events",
        ),
    },
    plot=plot,
    params={
        "nbeta": None,
        "gamma": 3000.0,
        "epsilon": 5e-5,
        "n_chains": 4,
        "n_draws": 250,
        "burn_in": 50,
        "seed": 0,
        "thin": 5,
    },
    series=(Series("LLC", "llc", where={"local": True}),),
    on_request=True,
)
