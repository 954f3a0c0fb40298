"""Logits as functions of the pair: the correct one, and one answer's over all pairs."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables

ROUNDING = 1e-12
"""Spread below this share of the root mean square is rounding, and shares of it have no meaning."""


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Mean and spread of the correct logit and of the margin, and what the correct logit depends on.

    With M[a, b] = logits[a, b, answer] and margin = M - max over wrong c of logits[a, b, c], for each split.
    Logits have a free constant for each pair, margins have none. Over all natural pairs (i, j), and for split
    "all" alone, with C the logits less their mean over answers and less each answer's mean over these pairs,

        sum_share = Var_s(mean of M' over i+j = s) / Var(M'),  M'[i, j] = C[i, j, answer],

    difference_share the same for d = i-j; null where M' is constant up to rounding. Without that centring a
    network that gives all pairs the same logits, as one at initialisation nearly does, would depend on i+j.
    Iid logits give (n-2)/(n^2-2) and, for odd n, (n-1)/(n^2-2). For even n the function (-1)^(i+j) is of
    the sum and of the difference, otherwise the two add up to at most 1.

    **Paper:** the dependence on the difference is what Zhong et al. 2023 (section 4) tell clocks and pizzas
    apart by; their distance irrelevance is another statistic of the same matrix.
    **Known values:** clock: M constant, sum A_k, both shares null; pizza of one k coprime to p, p odd:
    difference_share 1, sum_share 0, mean A / (p sin(pi/2p)).
    """
    import torch

    from grokinterp.snapshots.splits import pair_splits

    snapshot.require_two_operands()
    del params
    correct, wrong = _correct_and_best_wrong(snapshot)
    shares = _shares(snapshot)
    rows = []
    for split, mask in pair_splits(snapshot).items():
        inside = torch.from_numpy(mask).to(correct.device)
        right, other = correct[inside], wrong[inside]
        margin = right - other
        of_sum, of_difference = shares if split == "all" else (None, None)
        rows.append(
            {
                "split": split,
                "correct_mean": float(right.mean()),
                "correct_std": float(right.std(correction=0)),
                "best_wrong_mean": float(other.mean()),
                "best_wrong_std": float(other.std(correction=0)),
                "margin_mean": float(margin.mean()),
                "margin_std": float(margin.std(correction=0)),
                "margin_min": float(margin.min()),
                "sum_share": of_sum,
                "difference_share": of_difference,
            }
        )
    return rows


def _correct_and_best_wrong(snapshot: "Snapshot") -> "tuple[Tensor, Tensor]":
    """logits[a, b, answer] and the largest of the others; meaningless where undefined."""
    from grokinterp.errors import NotApplicableError

    if snapshot.task.n_answers < 2:
        raise NotApplicableError("needs an operation with at least two answers, a right and a wrong one")
    answer = snapshot.labels[:, :, None]
    correct = snapshot.logits.gather(2, answer)[:, :, 0]
    return correct, snapshot.logits.scatter(2, answer, -float("inf")).amax(dim=2)


def _shares(snapshot: "Snapshot") -> tuple[float | None, float | None]:
    """Shares of the centred correct logit's variance over natural pairs on the sum, and on the difference."""
    import torch

    if snapshot.task.coordinates is None or snapshot.task.coordinates.n < 2:
        return None, None
    n, logits = snapshot.task.coordinates.n, snapshot.natural_logits
    place = torch.arange(n, device=logits.device)
    total, gap = (place[:, None] + place) % n, (place[:, None] - place) % n
    correct = logits.gather(2, total[:, :, None])[:, :, 0] - logits.mean(dim=2) - logits.mean(dim=(0, 1))[total]
    variance = correct.var(correction=0)
    if float(variance) <= ROUNDING**2 * float(logits.square().mean()):
        return None, None
    shares = []
    for classes in (total, gap):
        mean = torch.zeros(n, dtype=logits.dtype, device=logits.device)
        mean.index_add_(0, classes.flatten(), correct.flatten() / n)
        shares.append(min(float(mean.var(correction=0) / variance), 1.0))
    return shares[0], shares[1]


def compute_maps(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """One row a defined pair: the correct logit, and the logit of one fixed answer.

    `answer` counts answers in natural order where there is one (then 0 is the answer of i = j = 0), else in
    their own. The logit of one answer is a band along i + j = answer for a network that computes the sum.
    """
    import numpy as np

    task, index = snapshot.task, params["answer"]
    coordinates = task.coordinates
    in_order = np.arange(task.n_answers) if coordinates is None else coordinates.answer
    if not 0 <= index < len(in_order):
        raise ValueError(f"answer = {index} is none of the {len(in_order)} answers; take 0..{len(in_order) - 1}")
    answer = int(in_order[index])
    left, right = task.pairs()
    n_left, n_right = task.table.shape
    i = _places(n_left, None if coordinates is None else coordinates.left)
    j = _places(n_right, None if coordinates is None else coordinates.right)
    logits = snapshot.logits[left, right]
    correct = logits.gather(1, snapshot.labels[left, right][:, None])[:, 0]
    columns = {
        "a": left.tolist(),
        "b": right.tolist(),
        "i": [i[a] for a in left],
        "j": [j[b] for b in right],
        "correct_logit": correct.tolist(),
        "answer": [answer] * len(left),
        "answer_logit": logits[:, answer].tolist(),
    }
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _places(n: int, order: "np.ndarray | None") -> list[int | None]:
    """Where each element stands in natural order; None where it does not."""
    places: list[int | None] = [None] * n
    for place, element in enumerate([] if order is None else order.tolist()):
        places[element] = place
    return places


def plot(tables: "Tables") -> "Figure":
    """Heat maps at init, memorised, grokked and end: the correct logit above, one answer's below."""
    import numpy as np

    from grokinterp import plotting

    maps = tables["maps"]
    names = _axes_names(maps)
    maps = maps.dropna(subset=list(names))
    steps = sorted(int(step) for step in maps["step"].unique())
    panels = tables.phases.landmark_names(steps)
    fig, axes = plotting.figure(rows=2, columns=len(panels), width="text", height=1.75)
    shown = maps[maps["step"].isin(panels)]
    labels = ("correct logit (nats)", f"logit of answer {maps['answer'].iloc[0]} (nats)")
    grid = np.reshape(axes, (2, len(panels)))
    for row, column, label in zip(grid, ("correct_logit", "answer_logit"), labels, strict=True):
        low, high = shown[column].min(), shown[column].max()
        for axis, step in zip(row, panels, strict=True):
            image = _image(shown[shown["step"] == step], names, column)
            drawn = axis.imshow(image, cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
            axis.spines[["top", "right"]].set_visible(True)
            axis.set(xticks=[], yticks=[])
        bar = fig.colorbar(drawn, ax=list(row), pad=0.01, aspect=14)
        bar.set_label(label, fontsize=7)
        bar.ax.tick_params(labelsize=6.5)
    for axis, (step, name) in zip(grid[0], panels.items(), strict=True):
        axis.set_title(f"{name} (step {step})", fontsize=7)
    ticks = _ticks(image.shape)
    for axis in grid[-1]:
        axis.set_xticks(ticks[1])
        axis.set_xlabel(NAMES[names[1]])
    for axis in grid[:, 0]:
        axis.set_yticks(ticks[0])
        axis.set_ylabel(NAMES[names[0]])
    return fig


NAMES = {"a": "a", "b": "b", "i": "i (a in natural order)", "j": "j (b in natural order)"}


def _axes_names(maps: "pd.DataFrame") -> tuple[str, str]:
    """a and b, unless natural order is there and is another one."""
    placed = maps.dropna(subset=["i", "j"])
    same = len(placed) == len(maps) and (placed["i"] == placed["a"]).all() and (placed["j"] == placed["b"]).all()
    return ("a", "b") if same or placed.empty else ("i", "j")


def _ticks(shape: tuple[int, ...]) -> list[list[int]]:
    """0, the middle and the last place of each axis."""
    return [sorted({0, (n - 1) // 2, n - 1}) for n in shape]


def _image(rows: "pd.DataFrame", names: tuple[str, str], column: str) -> "np.ndarray":
    """The column over two axes, NaN (no colour) where there is no pair."""
    import numpy as np

    first, second = (rows[name].astype(int) for name in names)
    image = np.full((first.max() + 1, second.max() + 1), np.nan)
    image[first, second] = rows[column]
    return image


def _logit(meaning: str, low: float | None = None) -> Column:
    return Column(meaning, "nats", low=low)


MEASURE = Measure(
    name="logit_map",
    summary="The correct logit, and one answer's logit, as functions of the pair.",
    reference="Nanda et al. 2023 (arXiv 2301.05217), section 4; Zhong et al. 2023 (arXiv 2306.17844), section 4.",
    parts={
        "": Part(
            {
                "split": Column("train, test or all (defined pairs)", kind="str"),
                "correct_mean": _logit("mean of the correct logit"),
                "correct_std": _logit("its standard deviation over the pairs", low=0),
                "best_wrong_mean": _logit("mean of the largest wrong logit"),
                "best_wrong_std": _logit("its standard deviation over the pairs", low=0),
                "margin_mean": _logit("mean of correct minus largest wrong logit"),
                "margin_std": _logit("its standard deviation over the pairs", low=0),
                "margin_min": _logit("smallest margin; positive if all pairs are right"),
                "sum_share": Column("share of the centred correct logit's variance on i+j", low=0, high=1, null=True),
                "difference_share": Column("the same on i-j", low=0, high=1, null=True),
            },
            compute,
        ),
        "maps": Part(
            {
                "a": Column("left operand", kind="int", low=0),
                "b": Column("right operand", kind="int", low=0),
                "i": Column("place of a in natural order; null without", kind="int", low=0, null=True),
                "j": Column("place of b in natural order; null without", kind="int", low=0, null=True),
                "correct_logit": _logit("logits[a, b, right answer]"),
                "answer": Column("the fixed answer", kind="int", low=0),
                "answer_logit": _logit("logits[a, b, answer]"),
            },
            compute_maps,
            steps="events",
        ),
    },
    plot=plot,
    params={"answer": 0},
    series=(Series("mean test margin", "margin_mean", where={"split": "test"}, threshold=0.0),),
)
