"""Is grokking sharp only because accuracy is a step? Continuous scores of the same logits, and how fast they move."""

from typing import TYPE_CHECKING, Any

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.run import Run
    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables

METRICS = {
    "accuracy": "accuracy",
    "accuracy_power_2": "accuracy$^2$",
    "accuracy_power_10": "accuracy$^{10}$",
    "p_correct": "p(correct)",
    "reciprocal_rank": "1 / rank",
    "rank": "rank",
    "brier": "Brier score",
    "log_prob": "log p(correct)",
    "margin": "margin",
    "normalized_margin": "margin / std",
    "circular_error": "circular error",
}
"""Column and its name in the figure: accuracy, the positive control, then the continuous rivals."""

CHUNK = 512
"""Pairs at a time: their float64 logits stay in the cache."""


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Continuous scores of the answers beside accuracy, as means over train, test and all defined pairs.

    With z the logits of a pair, c its answer, p = softmax(z) and m = max_{j != c} z_j:

        p_correct = p_c,    log_prob = log p_c (nats),    brier = sum_j (p_j - 1[j = c])^2
        margin = z_c - m,   normalized_margin = margin / std_j(z_j) (population std; 0 where all z_j are equal)
        rank = 1 + #{z_j > z_c} + #{j != c: z_j = z_c} / 2,    reciprocal_rank = 1 / rank
        circular_error = E_{j ~ p}[min(|j - c|, n - |j - c|)] / (n / 4),  in the order in which answers add
        accuracy = 1[margin > 0] (a tie is no right answer), accuracy_power_L = accuracy^L after the mean

    circular_error is that of pairs and of p among answers with a place on the circle (0 has none for x*y and
    x/y), and null where the operation has no circle. accuracy^L is what L independent answers in a row would
    score: the positive control, sharper by construction.

    **Paper:** Schaeffer et al. 2023, section 2: Brier score for Multiple Choice Grade; circular_error for
    token edit distance; accuracy^L for exact match of L tokens.
    **Differs:** one answer token, so nothing is multiplied over tokens.
    **Known values:** equal logits: 1/p, -log p, 1 - 1/p, 0, (p+1)/2, and circular error 1 (even p) or
    1 - 1/p^2 (odd p); clock with one k: normalized margin sqrt2 (1 - cos(2 pi / p)), whatever its amplitude.
    """
    import torch

    from grokinterp.snapshots.splits import pair_splits

    del params
    with torch.no_grad():
        scores = _scores(snapshot)
    rows = []
    for split, mask in pair_splits(snapshot).items():
        chosen = torch.from_numpy(mask.flatten()).to(snapshot.logits.device)
        row: Row = {"split": split, "n_pairs": int(mask.sum()), "circular_error": None}
        for name, values in scores.items():
            placed = values[chosen & ~values.isnan()]  # nan: not on the circle
            row[name] = float(placed.mean()) if len(placed) else None
        accuracy = row["accuracy"]
        rows.append(row | {f"accuracy_power_{power}": accuracy**power for power in (2, 10)})
    return rows


def _scores(snapshot: "Snapshot") -> "dict[str, Tensor]":
    """Each score of each pair of the grid, a-major; circular_error is nan off the circle."""
    import torch

    logits, labels = snapshot.logits.reshape(-1, snapshot.task.n_answers), snapshot.labels.flatten()
    circle = _circle(snapshot)
    parts = []
    for start in range(0, len(labels), CHUNK):
        z, label = logits[start : start + CHUNK], labels[start : start + CHUNK]
        own = z.gather(1, label[:, None])
        others = z.scatter(1, label[:, None], -torch.inf)
        odds, correct, top = _odds(others, own)
        wrong = odds.sum(dim=1)
        total = wrong + correct
        margin = (own - others.amax(dim=1, keepdim=True))[:, 0]
        spread = (z - z.mean(dim=1, keepdim=True)).square_().mean(dim=1).sqrt()
        rank = 1 + (z.shape[1] + (others - own).sign_().sum(dim=1)) / 2  # signs: above 1, equal 0, below -1
        scores = {
            "accuracy": (margin > 0).to(z.dtype),
            "p_correct": correct / total,
            "log_prob": (own - top)[:, 0] - total.log(),
            "brier": (odds.square().sum(dim=1) + wrong.square()) / total.square(),
            "margin": margin,
            "normalized_margin": torch.where(spread > 0, margin / spread, 0.0),
            "rank": rank,
            "reciprocal_rank": 1 / rank,
        }
        if circle is not None:
            distance, outside = circle
            if len(outside):  # probabilities given that the answer is on the circle
                odds, correct, _ = _odds(others.index_fill(1, outside, -torch.inf), own)
                total = odds.sum(dim=1) + correct
            scores["circular_error"] = torch.einsum("pj,pj->p", odds, distance[label]) / total
        parts.append(scores)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _odds(others: "Tensor", own: "Tensor") -> "tuple[Tensor, Tensor, Tensor]":
    """exp(z - top) of the wrong answers (0 at the right one, -inf in `others`) and of the right one; top."""
    import torch

    top = torch.maximum(others.amax(dim=1, keepdim=True), own)
    return (others - top).exp_(), (own - top).exp_()[:, 0], top


def _circle(snapshot: "Snapshot") -> "tuple[Tensor, Tensor] | None":
    """distance[c, j] / (n/4) between answers (nan from, 0 to those off the circle), and those off it."""
    import numpy as np
    import torch

    coordinates, size = snapshot.task.coordinates, snapshot.task.n_answers
    if coordinates is None:
        return None
    n, answer = coordinates.n, coordinates.answer
    gap = np.abs(np.arange(n)[:, None] - np.arange(n)[None, :])
    distance = np.zeros((size, size))
    outside = np.setdiff1d(np.arange(size), answer)
    distance[outside] = np.nan
    distance[np.ix_(answer, answer)] = np.minimum(gap, n - gap) / (n / 4)
    device = snapshot.logits.device
    return torch.from_numpy(distance).to(device, snapshot.logits.dtype), torch.from_numpy(outside).to(device)


def compute_sharpness(run: "Run", *, steps: list[int], params: dict) -> list[Row]:
    """How wide the transition of each score is, on each split, in steps and in decades of steps.

    width_steps = step_90 - step_10 and width_decades = log10(step_90 / step_10), crossings and Erf fit as in
    grokinterp.curves; width_ratio = width_steps / that of accuracy on the same split. A width below
    resolution_steps is an upper bound, not a measurement. Where accuracy changes by less than
    min_accuracy_change there is no transition, and all of these are null. variation = sum of all moves /
    |end - start|: 1 for a monotone curve, and the farther above it, the less a width says. `step` is the last
    checkpoint.

    **Paper:** Schaeffer et al. 2023 for the question (their test is for scale, not for training steps);
    Miller et al. 2024 for the Erf fit.
    **Known values:** see `curves.transition`.
    """
    rows = []
    for split, series in _main_table(run, steps).groupby("split", sort=False):
        accuracy = series["accuracy"]
        moved = bool(abs(accuracy.iloc[-1] - accuracy.iloc[0]) >= params["min_accuracy_change"])
        width = None
        for metric in METRICS:
            if series[metric].isna().any():
                continue
            row = _sharpness(series["step"].to_numpy(), series[metric].to_numpy(dtype=float), moved=moved)
            width = row["width_steps"] if metric == "accuracy" else width
            ratio = row["width_steps"] / width if width and row["width_steps"] is not None else None
            rows.append({"step": int(steps[-1]), "split": str(split), "metric": metric, **row, "width_ratio": ratio})
    return rows


def _main_table(run: "Run", steps: list[int]) -> "pd.DataFrame":
    """The rows of `compute` at these steps: as the analysis has just written them, or computed now."""
    import pandas as pd

    from grokinterp.errors import GrokinterpError

    try:
        table = run.table(MEASURE.name)
    except GrokinterpError:
        table = pd.DataFrame({"step": []})
    if not set(steps) <= set(table["step"]):
        rows = [{"step": s, **row} for s in steps for row in compute(run.bare_snapshot(s), params={})]
        table = pd.DataFrame(rows)
    return table[table["step"].isin(steps)].sort_values("step", kind="stable")


def _sharpness(steps: "np.ndarray", values: "np.ndarray", *, moved: bool) -> dict[str, Any]:
    """The transition of one series; null where it has none."""
    from dataclasses import asdict

    import numpy as np

    from grokinterp.curves import ERF_FIT, TRANSITION, erf_fit, transition

    row: dict[str, Any] = {"start": float(values[0]), "end": float(values[-1]), "variation": None}
    found = transition(steps, values) if moved else None
    if found is None:
        return row | dict.fromkeys((*TRANSITION, *ERF_FIT))
    row["variation"] = float(np.abs(np.diff(values)).sum()) / abs(row["end"] - row["start"])
    return row | asdict(found) | (erf_fit(steps, values, found) or dict.fromkeys(ERF_FIT))


def plot(tables: "Tables") -> "Figure":
    """Every score on its way from its first (0) to its last value (1), and when each is on the way."""
    from grokinterp import plotting

    sharpness = tables["sharpness"]
    split = "test" if (sharpness["split"] == "test").any() else "all"
    sharpness = sharpness[sharpness["split"] == split].set_index("metric")
    series = tables.main[tables.main["split"] == split]
    fig, (left, right) = plotting.figure(columns=2, width="text", height=2.6)
    for i, (metric, row) in enumerate(sharpness.iterrows()):
        style = _style(str(metric))
        change = row["end"] - row["start"]
        if change:
            left.plot(series["step"], (series[metric] - row["start"]) / change, **style)
        if row["width_steps"] > 0:
            right.plot([row["step_10"], row["step_90"]], [-i, -i], marker="|", ms=5, **style | {"lw": 2.0})
            right.plot([row["midpoint"]], [-i], "o", ms=3.5, color="white", mec=style["color"], zorder=5)
            right.text(row["step_90"], -i, f" {row['width_ratio']:.2f}", va="center", size=6)
    left.set_ylim(-0.35, 1.25)
    left.set_ylabel(f"way from first to last value ({split} pairs)")
    right.set_yticks([-i for i in range(len(sharpness))], [METRICS[str(metric)] for metric in sharpness.index])
    for tick, metric in zip(right.get_yticklabels(), sharpness.index, strict=True):  # in place of a legend
        tick.set_color(_style(str(metric))["color"])
    right.set_ylabel("score (number: width / accuracy's)")
    return plotting.over_steps(fig, tables.phases)


def _style(metric: str) -> dict[str, Any]:
    """Accuracy black, its powers black and broken, the rivals in colours."""
    from grokinterp import plotting

    index = list(METRICS).index(metric)
    if index < 3:
        return {"color": plotting.INK, "ls": ("-", "--", ":")[index], "lw": 1.6, "zorder": 4}
    return {"color": plotting.CYCLE[index - 3], "ls": "-", "lw": 1.0, "zorder": 3}


def _null(meaning: str, unit: str = "", low: float | None = None, high: float | None = None) -> Column:
    return Column(meaning, unit, low=low, high=high, null=True)


ENDS = ("low", "high")
SPLIT = Column("train, test or all (defined pairs)", kind="str")

MEASURE = Measure(
    name="smooth_metrics",
    summary="Continuous rivals of accuracy on the same logits, and how sharply each of them changes.",
    reference="Schaeffer et al. 2023 (arXiv 2304.15004); Miller et al. 2024 (arXiv 2402.08946) for the Erf fit.",
    parts={
        "": Part(
            {
                "split": SPLIT,
                "n_pairs": Column("pairs in the split", "pairs", "int", low=1),
                "accuracy": Column("share of pairs whose right answer has the largest logit, alone", low=0, high=1),
                **{f"accuracy_power_{L}": Column(f"accuracy^{L}, a control", low=0, high=1) for L in (2, 10)},
                "p_correct": Column("mean probability of the right answer", low=0, high=1),
                "log_prob": Column("mean log-probability of the right answer", "nats", high=0),
                "brier": Column("mean of sum_j (p_j - 1[j = c])^2", low=0, high=2),
                "margin": Column("mean of the right logit minus the largest other", "nats"),
                "normalized_margin": Column("mean of margin / std of the pair's logits"),
                "rank": Column("mean rank of the right answer, 1 the best; ties count half", low=1),
                "reciprocal_rank": Column("mean of 1 / rank", low=0, high=1),
                "circular_error": _null("expected distance on the circle / (n/4)", low=0, high=2),
            },
            compute,
        ),
        "sharpness": Part(
            {
                "split": SPLIT,
                "metric": Column("column of the main table", kind="str"),
                "start": Column("value at the first checkpoint, in the metric's unit"),
                "end": Column("value at the last checkpoint, in the metric's unit"),
                "variation": _null("sum of all moves / |end - start|; 1 if monotone", low=1),
                "step_10": _null("last upward crossing of 10 % of the way before step_90", "steps", 0),
                "midpoint": _null("last upward crossing of 50 % of the way before step_90", "steps", 0),
                "step_90": _null("first crossing of 90 % of the way", "steps", 0),
                "width_steps": _null("step_90 - step_10", "steps", 0),
                "width_decades": _null("log10(step_90 / step_10)", "decades", 0),
                "width_ratio": _null("width_steps / that of accuracy on the same split", "", 0),
                "resolution_steps": Column("between the checkpoints around the midpoint", "steps", "int", 1, null=True),
                "n_inside": Column("checkpoints between step_10 and step_90", "checkpoints", "int", 0, null=True),
                "erf_s": _null("s of the fit a Erf(s (t - t*)) + b", "1/steps", 0),
                "erf_t": _null("t* of the fit", "steps"),
                **{f"erf_s_{end}": _null(f"{end} end of the 95 % interval of s", "1/steps") for end in ENDS},
                **{f"erf_t_{end}": _null(f"{end} end of the 95 % interval of t*", "steps") for end in ENDS},
                "erf_r2": _null("share of the curve's variance that the fit explains", high=1),
            },
            compute_sharpness,
            scope="run",
        ),
    },
    plot=plot,
    params={"min_accuracy_change": 0.2},
    series=(
        Series("test p(correct)", "p_correct", where={"split": "test"}, threshold=0.5),
        Series("test margin", "margin", where={"split": "test"}, threshold=0.0),
        Series("test 1 / rank", "reciprocal_rank", where={"split": "test"}, threshold=0.5),
    ),
)
