"""Loss and accuracy of a checkpoint, recomputed from its weights in float64."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Mean cross-entropy (nats, float64) and accuracy over train, test and all defined pairs.

    CE = mean over pairs of -log softmax(logits[a, b])[c]. For multiplication and division the pairs
    with a zero operand, which the discrete logarithm leaves out, are a split of their own, "zero".
    Where some labels are not the answers, "train" is scored by the labels, "all" and "test" by the answers, and
    the pairs in question are splits of their own: "outliers" (by their labels: memorised) and
    "outliers_answer" (by the answers: seen through).

    **Known values:** Chughtai et al.'s C113 transformer, seed 1: full loss 1.5852e-7.
    """
    import torch

    from grokinterp.harmonics.projected_loss import best_answers

    del params
    predicted, rows = best_answers(snapshot.logits), []
    for split, (mask, answers) in _splits(snapshot).items():
        if not mask.any():
            continue  # everything is trained on, or nothing
        chosen = torch.from_numpy(mask).to(predicted.device)
        right = torch.from_numpy(answers[mask]).to(predicted.device)
        rows.append(
            {
                "split": split,
                "loss": float(snapshot.losses(answers)[chosen].mean()),
                "accuracy": float((predicted[chosen] == right).double().mean()),
                "n_pairs": int(mask.sum()),
            }
        )
    return rows


def _splits(snapshot: "Snapshot") -> "dict[str, tuple[np.ndarray, np.ndarray]]":
    """Each split's pairs, and the table that they are scored by."""
    import numpy as np

    task, train, labels = snapshot.task, snapshot.train_mask, snapshot.trained_labels
    by_label = task.table if labels is None else labels
    splits = {"all": (task.defined, task.table)}
    if train is not None:
        splits |= {"train": (train, by_label), "test": (task.defined & ~train, task.table)}
    if task.coordinates is not None and task.coordinates.n < task.n_answers:
        natural = np.zeros(task.table.shape, dtype=bool)
        natural[np.ix_(task.coordinates.left, task.coordinates.right)] = True
        splits["zero"] = (task.defined & ~natural, task.table)
    if labels is not None:
        wrong = labels != task.table
        splits |= {"outliers": (wrong, labels), "outliers_answer": (wrong, task.table)}
    return splits


def plot(tables: "Tables") -> "Figure":
    """Accuracy above, loss below, train and test over steps."""
    from grokinterp import plotting

    fig, (top, bottom) = plotting.figure(rows=2, height=1.5)
    for split in ("train", "test"):
        rows = tables.main[tables.main["split"] == split]
        style = plotting.split_style(split)
        top.plot(rows["step"], rows["accuracy"], **style)
        bottom.plot(rows["step"], rows["loss"], **style)
    top.set_ylabel("accuracy")
    top.set_ylim(-0.03, 1.03)
    bottom.set_ylabel("loss (nats)")
    bottom.set_yscale("log")
    return plotting.over_steps(fig, tables.phases)


MEASURE = Measure(
    name="accuracy_loss",
    summary="Loss and accuracy recomputed from the weights, in float64.",
    reference="Power et al. 2022 (arXiv 2201.02177), figures 1 and 4.",
    parts={
        "": Part(
            {
                "split": Column(
                    "train, test, all, zero (pairs with a zero operand, for * and /), outliers or outliers_answer",
                    kind="str",
                ),
                "loss": Column("mean cross-entropy", "nats", low=0),
                "accuracy": Column("share of pairs answered right", low=0, high=1),
                "n_pairs": Column("pairs in the split", "pairs", "int", low=0),
            },
            compute,
        )
    },
    plot=plot,
    series=(Series("test loss", "loss", where={"split": "test"}, threshold=0.5, unit="log_answers"),),
)
