"""Loss and accuracy of a checkpoint, recomputed from its weights in float64."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Mean cross-entropy (nats, float64) and accuracy over train, test and all defined pairs.

    CE = mean over pairs of -log softmax(logits[a, b])[c]. For multiplication and division the pairs
    with a zero operand, which the discrete logarithm leaves out, are a split of their own, "zero".

    **Known values:** Chughtai et al.'s C113 transformer, seed 1: full loss 1.5852e-7.
    """
    import numpy as np
    import torch

    del params
    task = snapshot.task
    flat = snapshot.logits.reshape(-1, task.n_answers)
    each = torch.nn.functional.cross_entropy(flat, snapshot.labels.flatten(), reduction="none")
    loss = each.reshape(task.table.shape)
    hit = snapshot.logits.argmax(dim=2) == snapshot.labels
    splits = {"all": task.defined}
    if snapshot.train_mask is not None:
        splits |= {"train": snapshot.train_mask, "test": task.defined & ~snapshot.train_mask}
    if task.coordinates is not None and task.coordinates.n < task.n_answers:
        natural = np.zeros(task.table.shape, dtype=bool)
        natural[np.ix_(task.coordinates.left, task.coordinates.right)] = True
        splits["zero"] = task.defined & ~natural
    rows = []
    for split, mask in splits.items():
        if not mask.any():
            continue  # everything is trained on, or nothing
        chosen = torch.from_numpy(mask).to(loss.device)
        rows.append(
            {
                "split": split,
                "loss": float(loss[chosen].mean()),
                "accuracy": float(hit[chosen].double().mean()),
                "n_pairs": int(mask.sum()),
            }
        )
    return rows


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
                "split": Column("train, test, all, or zero (pairs with a zero operand, for * and /)", kind="str"),
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
