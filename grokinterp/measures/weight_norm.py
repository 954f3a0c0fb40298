"""Sum of squared weights by tensor and role, and the margin it pays for."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables

ROLES = {
    "embed": "embedding",
    "pos_embed": "embedding",
    "attn": "attention",
    "mlp": "mlp",
    "lstm": "recurrent",
    "unembed": "unembedding",
}


def role_of(name: str) -> str:
    """embedding, attention, mlp, recurrent, unembedding or norm, from a TransformerLens name."""
    parts = name.split(".")
    return ROLES.get(parts[0]) or ROLES.get(parts[-2], "norm")


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """sum theta^2 of each tensor, of each role, and in total; biases count.

    **Paper:** Nanda et al. 2023, section 5.1 and figure 7 ("sum of squared weights").
    **Known values:** networks that grokked p = 113 have 839 to 894 (Chughtai's seed 1: 849.6).
    """
    del params
    by_role: dict[str, float] = {}
    rows = []
    for name, value in snapshot.weights.items():
        squares = float(value.square().sum())
        role = role_of(name)
        by_role[role] = by_role.get(role, 0.0) + squares
        rows.append({"group": name, "kind": "tensor", "sum_of_squares": squares, "n": value.numel()})
    sizes = {role: sum(v.numel() for n, v in snapshot.weights.items() if role_of(n) == role) for role in by_role}
    rows += [
        {"group": role, "kind": "role", "sum_of_squares": value, "n": sizes[role]} for role, value in by_role.items()
    ]
    total = sum(by_role.values())
    rows.append({"group": "total", "kind": "total", "sum_of_squares": total, "n": sum(sizes.values())})
    return rows


def compute_margin(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The smallest margin over the training pairs, raw and over the norm of the neurons.

    margin = min over training pairs of z_c - max_{j != c} z_j (logits). Each neuron of the last
    MLP is one vector (its column of W_in with b_in, its row of W_out; of W_E and W_U where those take their place);
    ||theta||_{2,3} = (sum over neurons of ||neuron||_2^3)^(1/3), and the MLP is homogeneous of
    degree h = 2 in it (ReLU), so normalized_margin = margin / ||theta||_{2,3}^2.

    **Paper:** Morwani et al. 2023 (arXiv 2311.07568), normalised L_{2,3} margin.
    **Differs:** their network has quadratic neurons over fixed one-hot inputs (h = 3); here the
    embedding is trained too, so compare within a run and not with their optimum.
    """
    import torch

    del params
    if snapshot.train_mask is None:
        pairs = torch.from_numpy(snapshot.task.defined)
    else:
        pairs = torch.from_numpy(snapshot.train_mask)
    pairs = pairs.to(snapshot.logits.device)
    logits, labels = snapshot.logits[pairs], snapshot.labels[pairs][:, None]
    right = logits.gather(1, labels).squeeze(1)
    wrong = logits.scatter(1, labels, -torch.inf).amax(dim=1)
    margin = float((right - wrong).min())
    norm = _neuron_norm(snapshot)
    return [
        {
            "margin": margin,
            "neuron_norm": norm,
            "normalized_margin": margin / norm**2 if norm else None,
            "split": "all" if snapshot.train_mask is None else "train",
        }
    ]


def _neuron_norm(snapshot: "Snapshot") -> float | None:
    """L_{2,3} norm of the last MLP layer's neurons; None for an LSTM, which has none."""
    w, mlp = snapshot.weights, f"blocks.{snapshot.n_layers - 1}.mlp."
    if mlp + "b_in" not in w:
        return None
    incoming, outgoing = w.get(mlp + "W_in", w["embed.W_E"]), w.get(mlp + "W_out", w["unembed.W_U"])
    squares = incoming.square().sum(0) + w[mlp + "b_in"].square() + outgoing.square().sum(1)
    return float(squares.sqrt().pow(3).sum().pow(1 / 3))


def plot(tables: "Tables") -> "Figure":
    """Total above, roles below, over steps."""
    from grokinterp import plotting

    fig, (top, bottom) = plotting.figure(rows=2, height=1.5)
    table = tables.main
    total = table[table["kind"] == "total"]
    top.plot(total["step"], total["sum_of_squares"], color=plotting.INK)
    top.set_ylabel(r"total $\Sigma\theta^2$")
    roles = table[table["kind"] == "role"]
    for i, (role, rows) in enumerate(roles.groupby("group", sort=False)):
        bottom.plot(rows["step"], rows["sum_of_squares"], label=role, color=plotting.CYCLE[i])
    bottom.set_ylabel(r"$\Sigma\theta^2$ by role")
    for axis in (top, bottom):
        axis.set_ylim(bottom=0)
    return plotting.over_steps(fig, tables.phases, legends={bottom: "best"})


MEASURE = Measure(
    name="weight_norm",
    summary="Sum of squared weights, by tensor and role, and the normalised margin.",
    reference="Nanda et al. 2023 (arXiv 2301.05217), figure 7; Morwani et al. 2023 (arXiv 2311.07568).",
    parts={
        "": Part(
            {
                "group": Column("tensor name, role, or total", kind="str"),
                "kind": Column("tensor, role or total", kind="str"),
                "sum_of_squares": Column("sum of squared entries", low=0),
                "n": Column("number of entries", kind="int", low=0),
            },
            compute,
        ),
        "margin": Part(
            {
                "margin": Column("smallest correct logit minus largest wrong one", "nats"),
                "neuron_norm": Column("L_{2,3} norm of the last MLP's neurons; null without", low=0, null=True),
                "normalized_margin": Column("margin / neuron_norm^2", null=True),
                "split": Column("the pairs it is over: train, or all where the split is unknown", kind="str"),
            },
            compute_margin,
        ),
    },
    plot=plot,
    series=(
        Series("sum of squared weights", "sum_of_squares", where={"group": "total"}, log=True),
        Series("normalised margin", "normalized_margin", "margin", threshold=0.0),
    ),
)
