"""Restricted and excluded loss: what the key frequencies' sum directions do, alone and missing."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def _splits(snapshot: "Snapshot") -> "dict[str, Tensor]":
    """Masks over natural pairs (i, j)."""
    import torch

    n = snapshot.coordinates.n
    everything = torch.ones(n, n, dtype=torch.bool, device=snapshot.natural_logits.device)
    train = snapshot.natural_train_mask
    if train is None:
        return {"all": everything}
    return {"all": everything, "train": train, "test": ~train}


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Restricted and excluded loss for three choices of K, each on train, test and all pairs.

    With P_K the projector on the sum directions u_k ~ cos w_k(i+j), v_k ~ sin w_k(i+j), k in K,
    applied to each column L[:, :, c] (natural order; "all" are all natural pairs):

        restricted_loss = CE(P_K L + mean_ij L),    excluded_loss = CE(L - P_K L)   (nats, float64)

    The constant mean_ij L is in both. keys: "last", K of the run's last checkpoint; "own", this
    checkpoint's; "random", the control: as many frequencies, drawn outside K.

    **Paper:** Nanda et al. 2023, section 5.1 (they take restricted on all and excluded on train).
    **Differs:** their section 5.1 speaks of constant + 20 terms (2x2 blocks); their code keeps the 10 sum
    directions, as here.
    **Known values:** clock logits: restricted = full, excluded on all = log p; Chughtai's C113
    seed 1, restricted 5.568e-8, 5.378e-8, 5.650e-8 (all, train, test), excluded 9.347, 9.056, 9.472.
    At initialisation "restricted < full" and "excluded > log p" can hold by chance: compare with the
    random control.
    """
    import torch

    from grokinterp.harmonics.cyclic import keep_frequencies, sum_classes
    from grokinterp.harmonics.projected_loss import excluded_losses, order_by_sum, restricted_losses, to_pairs

    del params
    n, means = snapshot.coordinates.n, snapshot.sum_means
    sets = {"last": snapshot.keys, "own": snapshot.own_keys, "random": snapshot.random_keys}
    removed = torch.stack([keep_frequencies(means, keys.ks) for keys in sets.values()])
    kept = removed + means.mean(dim=0)
    sums = sum_classes(n, means.device)
    restricted = restricted_losses(kept)[:, sums]
    cube = order_by_sum(snapshot.natural_logits)
    nothing = torch.zeros_like(removed[:1])
    excluded = to_pairs(excluded_losses(cube, torch.cat([removed, nothing])))
    restricted_hit = (kept.argmax(dim=2) == torch.arange(n, device=means.device))[:, sums]
    rows = []
    for index, (source, keys) in enumerate(sets.items()):
        excluded_hit = (snapshot.natural_logits - removed[index][sums]).argmax(dim=2) == sums
        for split, mask in _splits(snapshot).items():
            rows.append(
                {
                    "keys": source,
                    "split": split,
                    "full_loss": _mean(excluded[-1], mask),
                    "restricted_loss": _mean(restricted[index], mask),
                    "excluded_loss": _mean(excluded[index], mask),
                    "restricted_accuracy": _mean(restricted_hit[index].double(), mask),
                    "excluded_accuracy": _mean(excluded_hit.double(), mask),
                    "n_keys": len(keys.ks),
                    "n_pairs": int(mask.sum()),
                }
            )
    return rows


def _mean(values: "Tensor", mask: "Tensor") -> float | None:
    """Mean over the mask; the loss can be -1e-17 by rounding where it is 0."""
    return max(float(values[mask].mean()), 0.0) if mask.any() else None


def compute_frequencies(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Excluded loss of each frequency alone, K = {k} for every k = 1..floor(n/2), on train and all.

    **Paper:** Nanda et al. 2023, their code and footnote 3 (the model-independent variant is the
    maximum over k).
    """
    import torch

    from grokinterp.harmonics.cyclic import frequencies, keep_frequencies
    from grokinterp.harmonics.projected_loss import excluded_losses, order_by_sum, to_pairs

    del params
    means = snapshot.sum_means
    ks = frequencies(snapshot.coordinates.n)
    removed = torch.stack([keep_frequencies(means, (k,)) for k in ks])
    excluded = to_pairs(excluded_losses(order_by_sum(snapshot.natural_logits), removed))
    splits = {name: mask for name, mask in _splits(snapshot).items() if name != "test"}
    return [
        {"k": k, "split": split, "excluded_loss": _mean(loss, mask), "is_key": k in snapshot.keys.ks}
        for k, loss in zip(ks, excluded, strict=True)
        for split, mask in splits.items()
    ]


def plot(tables: "Tables") -> "Figure":
    """Full, restricted and excluded loss over steps, with the random control dotted."""
    from grokinterp import plotting

    fig, axis = plotting.figure(height=2.6)
    table = tables.main
    fixed = table[table["keys"] == "last"]
    control = table[table["keys"] == "random"]
    full_train, full_test = (fixed[fixed["split"] == split] for split in ("train", "test"))
    everything = fixed[fixed["split"] == "all"]
    if len(full_train):
        axis.plot(full_train["step"], full_train["full_loss"], **plotting.split_style("train"))
        axis.plot(full_test["step"], full_test["full_loss"], **plotting.split_style("test"))
    shown = full_train if len(full_train) else everything
    colors = {"restricted_loss": plotting.CYCLE[2], "excluded_loss": plotting.CYCLE[3]}
    axis.plot(everything["step"], everything["restricted_loss"], color=colors["restricted_loss"], label="restricted")
    axis.plot(shown["step"], shown["excluded_loss"], color=colors["excluded_loss"], label="excluded")
    for column, rows in (
        ("restricted_loss", control[control["split"] == "all"]),
        ("excluded_loss", control[control["split"] == shown["split"].iloc[0]]),
    ):
        axis.plot(rows["step"], rows[column], ":", lw=0.9, color=colors[column])
    axis.plot([], [], ":", color=plotting.INK, lw=0.9, label="random K")
    axis.set_yscale("log")
    axis.set_ylabel("loss (nats)")
    return plotting.over_steps(fig, tables.phases)


def _loss(meaning: str) -> Column:
    return Column(meaning, "nats", low=0, null=True)


MEASURE = Measure(
    name="progress_measures",
    summary="Restricted and excluded loss for the key frequencies, with a random control.",
    reference="Nanda et al. 2023 (arXiv 2301.05217), section 5.1.",
    parts={
        "": Part(
            {
                "keys": Column("which K: last (checkpoint's), own, or random (control)", kind="str"),
                "split": Column("train, test or all (natural pairs)", kind="str"),
                "full_loss": _loss("CE(L)"),
                "restricted_loss": _loss("CE(P_K L + mean_ij L)"),
                "excluded_loss": _loss("CE(L - P_K L)"),
                "restricted_accuracy": Column("accuracy of P_K L + mean_ij L", low=0, high=1, null=True),
                "excluded_accuracy": Column("accuracy of L - P_K L", low=0, high=1, null=True),
                "n_keys": Column("size of K", kind="int", low=0),
                "n_pairs": Column("pairs in the split", "pairs", "int", low=0),
            },
            compute,
        ),
        "frequencies": Part(
            {
                "k": Column("the one frequency taken out", kind="int", low=1),
                "split": Column("train or all (natural pairs)", kind="str"),
                "excluded_loss": _loss("CE(L - P_{k} L)"),
                "is_key": Column("whether k is a key frequency of the run", kind="bool"),
            },
            compute_frequencies,
            steps="landmarks",
        ),
    },
    plot=plot,
    uses_keys=True,
)
