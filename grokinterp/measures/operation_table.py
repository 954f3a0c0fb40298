"""The operation as the network sees it: which pairs it was shown, and which it answers right."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Counts of right answers, and how often the most frequent answer is given, for each split.

    The network's answer is argmax_c logits[a, b, c], the first on a tie. top_answer_share = its number of
    pairs / n_pairs: 1 for a network that answers always the same, and for the right table the share of its most
    frequent answer (1/p for x+y).

    **Known values:** clock logits of x+y mod p: all right, top_answer_share 1/p on all pairs; constant
    logits: answer 0 always, right on its p pairs of p^2.
    """
    import torch

    from grokinterp.harmonics.projected_loss import best_answers
    from grokinterp.snapshots.splits import pair_splits

    snapshot.require_two_operands()
    del params
    predicted = best_answers(snapshot.logits)
    hit = predicted == snapshot.labels
    rows = []
    for split, mask in pair_splits(snapshot).items():
        inside = torch.from_numpy(mask).to(hit.device)
        counts = predicted[inside].bincount(minlength=snapshot.task.n_answers)
        n_pairs, n_right = int(inside.sum()), int(hit[inside].sum())
        rows.append(
            {
                "split": split,
                "n_pairs": n_pairs,
                "n_right": n_right,
                "right_fraction": n_right / n_pairs,
                "top_answer": int(counts.argmax()),
                "top_answer_share": int(counts.max()) / n_pairs,
            }
        )
    return rows


def compute_cells(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """One row a defined pair, a-major: the answer, the network's, its split, and the margin.

    margin = correct logit - largest wrong logit; positive where the network is right.
    """
    import numpy as np

    del params
    task, train = snapshot.task, snapshot.train_mask
    left, right = task.pairs()
    logits = snapshot.logits[left, right]
    answer = snapshot.labels[left, right]
    predicted = logits.argmax(dim=1)
    correct = logits.gather(1, answer[:, None])[:, 0]
    wrong = logits.scatter(1, answer[:, None], -float("inf")).amax(dim=1)
    has_wrong = task.n_answers > 1
    split = np.full(len(left), "unknown") if train is None else np.where(train[left, right], "train", "test")
    columns = {
        "a": left.tolist(),
        "b": right.tolist(),
        "answer": answer.tolist(),
        "predicted": predicted.tolist(),
        "split": split.tolist(),
        "right": (predicted == answer).tolist(),
        "margin": (correct - wrong).tolist() if has_wrong else [None] * len(left),
    }
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def plot(tables: "Tables") -> "Figure":
    """The table at init, memorised, grokked and end: colour for the split, strong where right, pale where wrong."""
    import numpy as np
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    from grokinterp import plotting

    cells = tables["cells"]
    panels = tables.phases.landmark_names(sorted(int(step) for step in cells["step"].unique()))
    fig, axes = plotting.figure(columns=len(panels), width="text", height=2.6)
    found = [key for key in KINDS if ((cells["split"] == key[0]) & (cells["right"] == key[1])).any()]
    colors = ListedColormap([KINDS[key] for key in found])
    row = np.atleast_1d(axes)
    for axis, (step, names) in zip(row, panels.items(), strict=True):
        rows = cells[cells["step"] == step]
        image = np.full((cells["a"].max() + 1, cells["b"].max() + 1), np.nan)
        for code, (split, right) in enumerate(found):
            chosen = rows[(rows["split"] == split) & (rows["right"] == right)]
            image[chosen["a"], chosen["b"]] = code
        axis.imshow(image, cmap=colors, vmin=-0.5, vmax=len(found) - 0.5, interpolation="nearest")
        axis.set_title(f"{names}\nstep {step}: {100 * rows['right'].mean():.1f} % right", fontsize=7)
        axis.set_xlabel("b")
        axis.spines[["top", "right"]].set_visible(True)
        if axis is not row[0]:
            axis.set_yticks([])
    row[0].set_ylabel("a")
    handles = [
        Patch(
            facecolor=KINDS[key], edgecolor=plotting.FAINT, lw=0.5, label=f"{key[0]}, {'right' if key[1] else 'wrong'}"
        )
        for key in found
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=len(found), fontsize=6.5, frameon=False)
    return fig


KINDS = {
    ("train", True): "#0072B2",
    ("train", False): "#B3D4E8",
    ("test", True): "#D55E00",
    ("test", False): "#F6D5BD",
    ("unknown", True): "#555555",
    ("unknown", False): "#DDDDDD",
}
"""Colour of a cell by its split and by whether the answer is right."""

MEASURE = Measure(
    name="operation_table",
    summary="The operation's table with training and test pairs, and right and wrong answers.",
    reference="Power et al. 2022 (arXiv 2201.02177), figure 1 (the table with blanks).",
    parts={
        "": Part(
            {
                "split": Column("train, test or all (defined pairs)", kind="str"),
                "n_pairs": Column("pairs in the split", "pairs", "int", low=1),
                "n_right": Column("pairs answered right", "pairs", "int", low=0),
                "right_fraction": Column("n_right / n_pairs", low=0, high=1),
                "top_answer": Column("the network's most frequent answer (the first of equals)", kind="int", low=0),
                "top_answer_share": Column("share of the pairs on which it is given", low=0, high=1),
            },
            compute,
        ),
        "cells": Part(
            {
                "a": Column("left operand", kind="int", low=0),
                "b": Column("right operand", kind="int", low=0),
                "answer": Column("the right answer", kind="int", low=0),
                "predicted": Column("the network's answer", kind="int", low=0),
                "split": Column("train, test, or unknown", kind="str"),
                "right": Column("whether predicted is the answer", kind="bool"),
                "margin": Column(
                    "correct logit minus the largest wrong one; null if there is no other", "nats", null=True
                ),
            },
            compute_cells,
            steps="events",
        ),
    },
    plot=plot,
)
