"""Which irreducible representations a network computes with, for any operation that is a group's product."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables

CHUGHTAI = 0.005
"""Trace similarity above which Chughtai et al. call an irrep key."""

SHARES = {"embedding_share": "W_E", "unembedding_share": "W_U", "neuron_map_share": "W_L"}


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """For each nontrivial real irrep its trace similarity with the logits, and its share of the weights.

    With T_rho[a, b, c] = tr rho(a) rho(b) rho(c^-1) over all triples,

        trace_similarity = cos(L - mean_c L, T_rho),      logit_share = trace_similarity^2;

    the T_rho are orthogonal, so the shares add up to the variance explained. embedding_share is the share of
    |W_E|^2 in the span of the matrix elements of rho, functions of the operand; W_U and W_L likewise, of
    the answer. Shares of the weights add up to 1 less that of the mean over symbols.

    **Paper:** Chughtai et al. 2023 (arXiv 2302.03025), section 4: logit similarity, %W_x, %W_U.
    **Differs:** real irreps, so a conjugate pair of complex ones is one row (m = 2).
    **Known values:** logits sum_rho A_rho T_rho: similarities A_rho sqrt(m_rho / sum A^2 m), together 1.
    C_p: logit_share adds up to the cosine FVE of `logit_spectrum`, centred over c only, and irrep "k=3"
    is frequency 3.
    """
    from grokinterp.harmonics.group_spectrum import nontrivial, span_shares

    del params
    group, keys = snapshot.group.group, snapshot.key_irreps
    similarity = snapshot.trace_similarities.tolist()
    shares = {column: span_shares(snapshot.natural_rows(name), group).tolist() for column, name in SHARES.items()}
    return [
        {
            "irrep": irrep.name,
            "dimension": irrep.dimension,
            "commutant": irrep.commutant,
            "is_key": irrep.name in keys,
            "trace_similarity": similarity[i],
            "logit_share": similarity[i] ** 2,
            "above_005": similarity[i] > CHUGHTAI,
            **{column: min(max(values[i], 0.0), 1.0) for column, values in shares.items()},
        }
        for i, irrep in enumerate(nontrivial(group))
    ]


def _sets(snapshot: "Snapshot") -> dict[str, tuple[str, ...]]:
    """K of the last checkpoint, of this one, and as many irreps drawn from the others, where there are."""
    import random

    from grokinterp.harmonics.group_spectrum import nontrivial

    keys = snapshot.key_irreps
    if snapshot.task.coordinates is not None:
        drawn = tuple(f"k={k}" for k in snapshot.random_keys.ks)
    else:
        names = [irrep.name for irrep in nontrivial(snapshot.group.group)]
        others = [name for name in names if name not in keys]
        drawn = tuple(random.Random(0).sample(others, min(len(keys), len(others))))
    return {"last": keys, "own": snapshot.own_irreps, "random": drawn}


def compute_losses(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Restricted and excluded loss for the key irreps, on train, test and all pairs.

    P_K projects each L[:, :, c], as a function of (a, b), on the functions of the product a.b in the
    span of the matrix elements of the irreps in K:

        restricted_loss = CE(P_K L + mean_ab L),      excluded_loss = CE(L - P_K L)      (nats, float64).

    keys: "last", K of the run's last checkpoint; "own", this checkpoint's; "random", as many irreps drawn
    from the others (fewer where there are not enough; they are of other dimensions).

    **Paper:** Chughtai et al. 2023, who project hidden activations instead of logits.
    **Known values:** logits sum_K A_rho T_rho: restricted = full, excluded = log |G|. C_p: `progress_measures`.
    """
    import torch

    from grokinterp.harmonics.group_spectrum import keep_irreps
    from grokinterp.harmonics.projected_loss import mean_loss, pair_losses
    from grokinterp.snapshots.splits import group_splits

    del params
    group, logits, means = snapshot.group.group, snapshot.group_logits, snapshot.product_means
    product = torch.from_numpy(group.table).to(logits.device)
    full = pair_losses(logits, product)
    rows = []
    for source, names in _sets(snapshot).items():
        kept = keep_irreps(means, group, names)
        restricted = pair_losses((kept + means.mean(dim=0))[product], product)
        excluded = pair_losses(logits - kept[product], product)
        for split, mask in group_splits(snapshot).items():
            rows.append(
                {
                    "keys": source,
                    "split": split,
                    "full_loss": mean_loss(full, mask),
                    "restricted_loss": mean_loss(restricted, mask),
                    "excluded_loss": mean_loss(excluded, mask),
                    "n_keys": len(names),
                    "n_pairs": int(mask.sum()),
                }
            )
    return rows


def compute_cosets(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """How nearly each neuron is constant on the cosets of some subgroup, as a function of either operand.

    A neuron's marginal over the other operand, u(a) = mean_b act(a, b), is compared with the cosets x.H
    and H.x of every proper subgroup: ratio = min_H (variance within cosets / variance) / (the same for a
    random function), 0 if it is constant on them. The null has each marginal's values shuffled (seeded).

    **Paper:** Stander et al. 2023 (arXiv 2312.06581), coset concentration: without the denominator,
    and for their MLP's embeddings.
    **Known values:** an indicator of a coset: 0. Groups without proper subgroups (C_p) and those of more
    than 128 elements: no rows.
    """
    import numpy as np

    from grokinterp.harmonics.subgroups import best_coset_ratio, has_cosets, subgroups

    g = snapshot.group
    if not has_cosets(g.group):
        return []
    sizes = subgroups(g.group).sum(axis=1)
    acts = snapshot.neuron_acts[g.left.tolist()][:, g.right.tolist()].cpu().numpy()
    rng = np.random.default_rng(params["seed"])
    rows = []
    for operand, axis in (("left", 1), ("right", 0)):
        marginal = acts.mean(axis=axis)
        marginal = marginal[:, np.ptp(marginal, axis=0) > 1e-12 * (np.abs(marginal).max() + 1e-300)]
        if not marginal.shape[1]:
            continue
        ratio, which = best_coset_ratio(g.group, marginal)
        null, _ = best_coset_ratio(g.group, rng.permuted(marginal, axis=0))
        orders, counts = np.unique(sizes[which], return_counts=True)
        rows.append(
            {
                "operand": operand,
                "n_neurons": marginal.shape[1],
                "ratio_median": float(np.median(ratio)),
                "null_median": float(np.median(null)),
                "null_q05": float(np.quantile(null, 0.05)),
                "concentrated_fraction": float((ratio < params["coset_threshold"]).mean()),
                "null_concentrated_fraction": float((null < params["coset_threshold"]).mean()),
                "subgroup_order": int(orders[counts.argmax()]),
            }
        )
    return rows


def plot(tables: "Tables") -> "Figure":
    """Logit share of each irrep over steps, and the losses of the key irreps."""
    from grokinterp import plotting

    fig, (upper, lower) = plotting.figure(rows=2, height=2.0)
    table, losses = tables.main, tables["losses"]
    last = table[table["step"] == table["step"].max()]
    keys = last[last["is_key"]]["irrep"].tolist()
    for name, rows in table.groupby("irrep", sort=False):
        if name not in keys:
            upper.plot(rows["step"], rows["logit_share"], color=plotting.FAINT, lw=0.5, zorder=1)
    for i, name in enumerate(keys):
        rows = table[table["irrep"] == name]
        color = plotting.KEY_COLORS[i % len(plotting.KEY_COLORS)]
        upper.plot(rows["step"], rows["logit_share"], color=color, label=name, zorder=3)
    upper.set_ylabel("share of the logits'\nvariance")
    shown = "train" if (losses["split"] == "train").any() else "all"
    for i, (column, split) in enumerate((("restricted_loss", "all"), ("excluded_loss", shown))):
        for keys_of, style in (("last", "-"), ("random", ":")):
            rows = losses[(losses["keys"] == keys_of) & (losses["split"] == split)]
            label = f"{column.removesuffix('_loss')} ({split})" if keys_of == "last" else None
            values = rows[column].clip(lower=1e-16)
            lower.plot(rows["step"], values, style, marker="o", ms=2, color=plotting.CYCLE[2 + i], label=label)
    lower.plot([], [], ":", color=plotting.INK, label="random irreps")
    lower.set_yscale("log")
    lower.set_ylabel("loss (nats)")
    return plotting.over_steps(fig, tables.phases, legends={upper: "best", lower: "best"})


def _share(meaning: str) -> Column:
    return Column(meaning, low=0, high=1)


def _loss(meaning: str) -> Column:
    return Column(meaning, "nats", low=0, null=True)


def _ratio(meaning: str) -> Column:
    return Column(meaning, low=0)


MEASURE = Measure(
    name="group_representations",
    summary="Irreps of the operation's group in logits and weights, with restricted and excluded loss; cosets.",
    reference="Chughtai et al. 2023 (arXiv 2302.03025); Stander et al. 2023 (2312.06581).",
    parts={
        "": Part(
            {
                "irrep": Column("name: k=3 for cyclic and dihedral groups, a partition for S_n", kind="str"),
                "dimension": Column("of the real irrep", kind="int", low=1),
                "commutant": Column("dimension m of its commutant: 1, 2 or 4", kind="int", low=1, high=4),
                "is_key": Column("whether it is a key irrep of the run", kind="bool"),
                "trace_similarity": Column("cosine of L - mean_c L and tr rho(a)rho(b)rho(c^-1)", low=-1, high=1),
                "logit_share": _share("its square: share of the logits' variance"),
                "above_005": Column("whether the similarity passes 0.005, Chughtai et al.'s rule", kind="bool"),
                "embedding_share": _share("of |W_E|^2 in the span of its matrix elements"),
                "unembedding_share": _share("the same of W_U"),
                "neuron_map_share": _share("the same of W_L"),
            },
            compute,
        ),
        "losses": Part(
            {
                "keys": Column("which K: last (checkpoint's), own, or random (control)", kind="str"),
                "split": Column("train, test or all (pairs of the group)", kind="str"),
                "full_loss": _loss("CE(L)"),
                "restricted_loss": _loss("CE(P_K L + mean_ab L)"),
                "excluded_loss": _loss("CE(L - P_K L)"),
                "n_keys": Column("number of irreps in K", kind="int", low=0),
                "n_pairs": Column("pairs in the split", "pairs", "int", low=0),
            },
            compute_losses,
            steps="landmarks",
        ),
        "cosets": Part(
            {
                "operand": Column("left or right", kind="str"),
                "n_neurons": Column("neurons that depend on it", "neurons", "int", low=0),
                "ratio_median": _ratio("median over neurons of the smallest coset ratio"),
                "null_median": _ratio("the same for shuffled values"),
                "null_q05": _ratio("5 % quantile for shuffled values"),
                "concentrated_fraction": _share("share of neurons with a ratio below coset_threshold"),
                "null_concentrated_fraction": _share("the same for shuffled values"),
                "subgroup_order": Column("order of the subgroup that most neurons prefer", "elements", "int", low=2),
            },
            compute_cosets,
            steps="events",
        ),
    },
    plot=plot,
    params={"coset_threshold": 0.1, "seed": 0},
    uses_keys=True,
    series=(
        Series(
            "restricted loss (irreps)",
            "restricted_loss",
            "losses",
            {"keys": "last", "split": "all"},
            0.5,
            "log_answers",
        ),
    ),
)
