"""Restricted and excluded loss: what the key frequencies' sum directions do, alone and missing."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Restricted and excluded loss for three choices of K, each on train, test and all pairs.

    With P_K the projector on the sum directions u_k ~ cos w_k(i+j), v_k ~ sin w_k(i+j), k in K,
    applied to each column L[:, :, c] (natural order; "all" are all natural pairs):

        restricted_loss = CE(P_K L + mean_ij L),    excluded_loss = CE(L - P_K L)   (nats, float64)

    The constant mean_ij L is in both. keys: "last", K of the run's last checkpoint; "own", this
    checkpoint's; "random", the control: as many frequencies, drawn outside K (fewer where not enough
    are left, see n_keys).

    **Paper:** Nanda et al. 2023, section 5.1 (they take restricted on all and excluded on train).
    **Differs:** their section 5.1 speaks of constant + 20 terms (2x2 blocks); their code keeps the 10 sum
    directions, as here.
    **Known values:** clock logits: restricted = full, excluded on all = log p; Chughtai's C113
    seed 1, restricted 5.568e-8, 5.378e-8, 5.650e-8 (all, train, test), excluded 9.347, 9.056, 9.472.
    At initialisation "restricted < full" and "excluded > log p" can hold by chance: compare with the
    random control.
    """
    import torch

    from grokinterp.harmonics import projected_loss as project
    from grokinterp.harmonics.cyclic import keep_frequencies, sum_classes
    from grokinterp.snapshots.splits import group_splits

    del params
    n, means = snapshot.coordinates.n, snapshot.sum_means
    sets = {"last": snapshot.keys, "own": snapshot.own_keys, "random": snapshot.random_keys}
    different = list(dict.fromkeys(keys.ks for keys in sets.values()))  # own are mostly the last's, late in a run
    removed = torch.stack([keep_frequencies(means, ks) for ks in different])
    kept, sums = removed + means.mean(dim=0), sum_classes(n, means.device)
    restricted = project.restricted_losses(kept)[:, sums]
    restricted_hit = (project.best_answers(kept) == torch.arange(n, device=means.device))[:, sums].double()
    cube, rows = project.order_by_sum(snapshot.natural_logits), []
    excluded = project.to_pairs(project.excluded_losses(cube, torch.cat([removed, torch.zeros_like(removed[:1])])))
    excluded_hit = project.to_pairs(torch.stack([project.excluded_hits(cube, r) for r in removed])).double()
    for source, keys in sets.items():
        index = different.index(keys.ks)
        for split, mask in group_splits(snapshot).items():
            rows.append(
                {
                    "keys": source,
                    "split": split,
                    "full_loss": project.mean_loss(excluded[-1], mask),
                    "restricted_loss": project.mean_loss(restricted[index], mask),
                    "excluded_loss": project.mean_loss(excluded[index], mask),
                    "restricted_accuracy": project.mean_loss(restricted_hit[index], mask),
                    "excluded_accuracy": project.mean_loss(excluded_hit[index], mask),
                    "n_keys": len(keys.ks),
                    "n_pairs": int(mask.sum()),
                }
            )
    return rows


def compute_frequencies(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Excluded loss of each frequency alone, K = {k} for every k = 1..floor(n/2), on train and all.

    **Paper:** Nanda et al. 2023, their code and footnote 3 (the model-independent variant is the
    maximum over k).
    """
    import torch

    from grokinterp.harmonics.cyclic import frequencies, keep_frequencies
    from grokinterp.harmonics.projected_loss import excluded_losses, mean_losses, order_by_sum, to_pairs
    from grokinterp.snapshots.splits import group_splits

    del params
    means = snapshot.sum_means
    ks = frequencies(snapshot.coordinates.n)
    removed = torch.stack([keep_frequencies(means, (k,)) for k in ks])
    excluded = to_pairs(excluded_losses(order_by_sum(snapshot.natural_logits), removed))
    splits = {name: mask for name, mask in group_splits(snapshot).items() if name != "test"}
    means_of = {split: mean_losses(excluded, mask) for split, mask in splits.items()}
    return [
        {"k": k, "split": split, "excluded_loss": means_of[split][i], "is_key": k in snapshot.keys.ks}
        for i, k in enumerate(ks)
        for split in splits
    ]


def _through_neurons(snapshot: "Snapshot") -> "tuple[Tensor, Tensor] | None":
    """What the last MLP's neurons add to the natural logits, X W_L; and the biases after it (answers).

    None with LayerNorm before the unembedding, where the logits are no sum of parts, and without an MLP.
    """
    import numpy as np
    import torch

    weights, answer, mlp = snapshot.weights, snapshot.coordinates.answer, f"blocks.{snapshot.n_layers - 1}.mlp."
    if "ln_final.w" in weights or mlp + "W_out" not in weights:
        return None
    order = np.concatenate([answer, np.setdiff1d(np.arange(snapshot.task.n_answers), answer)])
    which = torch.from_numpy(order).to(snapshot.natural_logits.device)
    bias = weights[mlp + "b_out"] @ snapshot.unembedding[which].T
    through = snapshot.natural_pairs(snapshot.neuron_acts @ snapshot.neuron_logit_map.T)[:, :, which]
    return through, bias + weights["unembed.b_U"][which]


def compute_definitions(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Restricted and excluded loss by every definition in use, side by side, for K and for a random K.

    With P the projector on a keep-set (harmonics.keep_sets: sum_directions, blocks_2x2, blocks_3x3), the
    logits' part M = X W_L that comes through the last MLP's neurons X, and the rest S = L - M ("skip"):

        space             restricted_loss               excluded_loss
        logits            CE(P L + mean_ij L)           CE(L - P L)
        neurons           CE(P M + mean_ij M + S)       CE(M - P M + S) = CE(L - P M)
        neurons_no_skip   CE(P M + mean_ij M + biases)  null

    P acts on pairs and W_L on neurons, so P M = (P X) W_L: projecting activations and then mapping them is
    the same. Neuron spaces take the sum directions alone, and are left out with LayerNorm.

    **Paper:** Nanda et al. 2023: section 5.1 speaks of blocks_2x2 ("constant + 20 terms"), their code keeps
    sum_directions, their ablation of 113^2 - 40 terms keeps blocks_3x3. TransformerLens's demo: restricted is
    neurons_no_skip on test, excluded is neurons on train.
    **Known values:** clock logits: all three restricted = full, excluded = log p; logits cos w(i - j - c) are
    outside of sum_directions and inside of both blocks. Chughtai's C113 seed 1, restricted on all: 5.568e-8,
    1.431e-7, 1.636e-7.
    """
    from grokinterp.harmonics.cyclic import sum_classes
    from grokinterp.harmonics.keep_sets import KEEP_SETS, KeepSet, keep, n_components
    from grokinterp.harmonics.projected_loss import mean_loss, pair_losses
    from grokinterp.snapshots.splits import group_splits

    del params
    cube, n = snapshot.natural_logits, snapshot.coordinates.n
    sums, through, splits = sum_classes(n, cube.device), _through_neurons(snapshot), group_splits(snapshot)
    rows = []
    for source, keys in (("last", snapshot.keys), ("random", snapshot.random_keys)):
        found: dict[tuple[str, KeepSet], tuple[Tensor, Tensor | None]] = {}
        for name in KEEP_SETS:
            kept = keep(cube, keys.ks, name)
            found["logits", name] = pair_losses(kept + cube.mean((0, 1)), sums), pair_losses(cube - kept, sums)
        if through is not None:
            mlp, bias = through
            gone = keep(mlp, keys.ks, "sum_directions")
            kept = gone + mlp.mean((0, 1))
            both = pair_losses(cube - mlp + kept, sums), pair_losses(cube - gone, sums)
            found["neurons", "sum_directions"] = both
            found["neurons_no_skip", "sum_directions"] = pair_losses(kept + bias, sums), None
        for (space, name), (restricted, excluded) in found.items():
            about = {"keys": source, "space": space, "keep_set": name, "n_components": n_components(n, keys.ks, name)}
            for split, mask in splits.items():
                losses = {
                    "restricted_loss": mean_loss(restricted, mask),
                    "excluded_loss": None if excluded is None else mean_loss(excluded, mask),
                }
                rows.append({**about, "split": split, **losses})
    return rows


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
    axis.plot(
        everything["step"], everything["restricted_loss"], color=colors["restricted_loss"], label="restricted (all)"
    )
    label = f"excluded ({shown['split'].iloc[0]})"
    axis.plot(shown["step"], shown["excluded_loss"], color=colors["excluded_loss"], label=label)
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
        "definitions": Part(
            {
                "keys": Column("which K: last (checkpoint's) or random (control)", kind="str"),
                "space": Column("what is projected: logits, neurons, or neurons_no_skip", kind="str"),
                "keep_set": Column("sum_directions, blocks_2x2 or blocks_3x3", kind="str"),
                "n_components": Column("functions of (i, j) in the set, without the constant", kind="int", low=0),
                "split": Column("train, test or all (natural pairs)", kind="str"),
                "restricted_loss": _loss("CE with the set and the constant kept"),
                "excluded_loss": _loss("CE with the set taken out; null for neurons_no_skip"),
            },
            compute_definitions,
            steps="events",
        ),
    },
    plot=plot,
    uses_keys=True,
    series=(
        Series(
            "restricted loss (all)",
            "restricted_loss",
            where={"keys": "last", "split": "all"},
            threshold=0.5,
            unit="log_answers",
        ),
        Series(
            "restricted loss (random K)",
            "restricted_loss",
            where={"keys": "random", "split": "all"},
            threshold=0.5,
            unit="log_answers",
        ),
        Series(
            "excluded loss (train)",
            "excluded_loss",
            where={"keys": "last", "split": "train"},
            threshold=1.0,
            unit="log_answers",
        ),
    ),
)
