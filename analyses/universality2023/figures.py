"""The figures of this folder, from its tables alone."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analyses.study import Tables
from analyses.universality2023.claims import generalised
from analyses.universality2023.tables import LEARNED
from grokinterp import plotting

NARROW = 12
"""More irreps than this are not named one by one."""


def representations(tables: Tables) -> Figure:
    """The share of the logits' variance in each irrep, a row a seed, a panel a group and architecture."""
    return _by_seed(tables, "logit_share", "share of the logits' variance")


def embeddings(tables: Tables) -> Figure:
    """The same for the embedding's variance (for the MLP, that of the left operand)."""
    return _by_seed(tables, "embedding_share", r"share of $|W_E|^2$")


def _by_seed(tables: Tables, column: str, label: str) -> Figure:
    table, variants = tables["irreps"], _variants(tables)
    rows = -(-len(variants) // 3)
    fig, axes = plotting.figure(rows, 3, width="text", height=1.75, grid=True)
    image = None
    for axis, variant in zip(axes.flat, variants, strict=False):
        found = table[table["variant"] == variant]
        wide = found.pivot(index="seed", columns="irrep", values=column)
        wide = wide[list(dict.fromkeys(found["irrep"]))]
        image = axis.imshow(wide, aspect="auto", cmap="Blues", vmin=0, vmax=table[column].max(), interpolation="none")
        _mark_open(axis, tables["networks"], variant, list(wide.index))
        axis.set_yticks(range(len(wide)), [str(seed) for seed in wide.index])
        _name_irreps(axis, found)
        axis.set_title(_title(variant), fontsize=7)
        axis.set_ylabel("seed")
    for axis in axes.flat[len(variants) :]:
        axis.set_axis_off()
    bar = fig.colorbar(image, ax=axes, shrink=0.6, pad=0.01)
    bar.set_label(label, fontsize=7)
    bar.ax.tick_params(labelsize=6)
    return fig


def _mark_open(axis: Axes, networks: pd.DataFrame, variant: str, seeds: Sequence[int]) -> None:
    """A cross beside the seeds that did not generalise."""
    rows = networks[(networks["variant"] == variant) & networks["generalization_step"].isna()]
    for seed in rows["seed"]:
        axis.text(1.01, seeds.index(seed), "x", transform=axis.get_yaxis_transform(), fontsize=6, va="center")


def _name_irreps(axis: Axes, rows: pd.DataFrame) -> None:
    names = list(dict.fromkeys(rows["irrep"]))
    dimensions = rows.drop_duplicates("irrep").set_index("irrep")["dimension"]
    if len(names) <= NARROW:
        labels = [f"{name} ({dimensions[name]})" for name in names]
        axis.set_xticks(range(len(names)), labels, fontsize=5.5, rotation=35, ha="right", rotation_mode="anchor")
        axis.set_xlabel("irrep (dimension)", fontsize=7)
    else:
        places = range(0, len(names), 5)
        axis.set_xticks(places, [names[i].removeprefix("k=") for i in places], fontsize=6)
        axis.set_xlabel("frequency k", fontsize=7)


def explained(tables: Tables) -> Figure:
    """Share of the logits' variance that characters explain, and how many irreps: each seed, and the median."""
    table, variants = tables["networks"], _variants(tables)
    fig, axes = plotting.figure(1, 2, width="text", height=2.5, grid=True)
    for axis, column in zip(axes.flat, ("logit_share", "n_learned"), strict=True):
        for x, variant in enumerate(variants):
            _points(axis, x, table[table["variant"] == variant], column)
        axis.set_xticks(range(len(variants)), [_title(name, "\n") for name in variants], fontsize=6)
        axis.tick_params(axis="x", labelsize=6)
    axes[0, 0].set(ylim=(0, 1.03), ylabel="share of the logits' variance\nexplained by characters")
    axes[0, 1].set(ylim=(0, 1.05 * table["n_learned"].max()), ylabel=f"irreps learned\n(similarity above {LEARNED:g})")
    if len(generalised(table)) < len(table):
        axes[0, 0].plot([], [], "^", ms=4, mfc="white", color=plotting.INK, label="did not generalise")
        plotting.legend(axes[0, 0], "lower left")
    return fig


def _points(axis: Axes, x: int, rows: pd.DataFrame, column: str) -> None:
    color = plotting.CYCLE[0] if rows["kind"].iloc[0] == "mlp" else plotting.CYCLE[1]
    seen = rows["generalization_step"].notna()
    places = x + np.linspace(-0.18, 0.18, len(rows))
    axis.plot(places[seen], rows[seen][column], "o", ms=3, color=color, alpha=0.7)
    axis.plot(places[~seen], rows[~seen][column], "^", ms=4, mfc="white", color=color)
    if seen.any():
        axis.plot([x - 0.3, x + 0.3], [rows[seen][column].median()] * 2, color=color)


def ablations(tables: Tables) -> Figure:
    """Loss of each network, with its key irreps alone, without them, and without as many others."""
    table, variants = generalised(tables["networks"]), _variants(tables)
    fig, axis = plotting.figure(width="text", height=2.5)
    for i, (column, (label, marker)) in enumerate(LOSSES.items()):
        for x, variant in enumerate(variants):
            values = table[table["variant"] == variant][column].dropna()
            place = np.full(len(values), x + 0.16 * (i - 1.5))
            color = plotting.CYCLE[i]
            axis.plot(place, values, marker, ms=3, color=color, alpha=0.7, label=None if x else label)
    for x, variant in enumerate(variants):
        order = tables["networks"].set_index("variant")["order"].loc[[variant]].iloc[0]
        axis.plot([x - 0.4, x + 0.4], [np.log(order)] * 2, color=plotting.FAINT, zorder=0)
    axis.set_yscale("log")
    axis.set_xticks(range(len(variants)), [_title(name, "\n") for name in variants])
    axis.set_ylabel("loss on all pairs (nats);\ngrey: log |G|")
    axis.figure.legend(loc="outside upper center", ncols=4, fontsize=6.5)
    return fig


LOSSES = {
    "full_loss": ("network", "o"),
    "restricted_loss": ("key irreps alone", "s"),
    "excluded_loss": ("without them", "^"),
    "excluded_loss_random": ("without as many others", "v"),
}


def order(tables: Tables) -> Figure:
    """Similarity of each irrep over steps, a panel a seed: what comes first, and what stays."""
    table = tables["courses"]
    variants = list(dict.fromkeys(table["variant"]))
    seeds = sorted(table["seed"].unique())
    fig, axes = plotting.figure(len(variants), len(seeds), width="text", height=1.35, grid=True)
    for row, variant in enumerate(variants):
        rows = table[table["variant"] == variant]
        names = list(dict.fromkeys(rows["irrep"]))
        for column, seed in enumerate(seeds):
            axis, run = axes[row, column], rows[rows["seed"] == seed]
            if run.empty:
                axis.set_axis_off()
                continue
            for i, name in enumerate(names):
                one = run[run["irrep"] == name]
                label = f"{name} ({one['dimension'].iloc[0]})"
                axis.plot(one["step"], one["trace_similarity"], lw=1, color=plotting.CYCLE[i], label=label)
            axis.set_ylim(-0.05, 1.0)
            axis.tick_params(labelsize=5.5)
            axis.set_title(f"seed {seed}", fontsize=6)
        axes[row, 0].set_ylabel(f"{_title(variant)}\nsimilarity", fontsize=6.5)
        handles, labels = axes[row, 0].get_legend_handles_labels()
        style = {"fontsize": 5, "handlelength": 1.0, "labelspacing": 0.3, "frameon": False, "borderaxespad": 0.2}
        axes[row, -1].legend(handles, labels, loc="center left", bbox_to_anchor=(1.02, 0.5), **style)
    fig.supxlabel("optimizer step", fontsize=8)
    return fig


def cosets(tables: Tables) -> Figure:
    """The largest subgroup on whose cosets a neuron is constant: share of the neurons, beside shuffled ones."""
    table = tables["cosets"].merge(generalised(tables["networks"])[["variant", "seed"]], on=["variant", "seed"])
    variants = [name for name in _variants(tables) if name in set(table["variant"])]
    fig, axes = plotting.figure(1, max(len(variants), 1), width="text", height=2.0, grid=True)
    for axis, variant in zip(axes.flat, variants, strict=False):
        counts = table[table["variant"] == variant].groupby("subgroup_order")[["n_neurons", "n_null"]].sum()
        shares = counts / counts.sum()
        places = np.arange(len(shares))
        axis.bar(places - 0.2, shares["n_neurons"], 0.4, color=plotting.CYCLE[0], label="neurons")
        axis.bar(places + 0.2, shares["n_null"], 0.4, color=plotting.FAINT, label="shuffled")
        axis.set_xticks(places, ["none" if not size else str(size) for size in shares.index], rotation=90, fontsize=6)
        axis.set(ylim=(0, 1.03), title=_title(variant))
        axis.title.set_fontsize(7)
    axes.flat[0].set_ylabel("share of the neurons")
    fig.supxlabel("order of the largest subgroup on whose cosets a neuron is constant", fontsize=7)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=6.5)
    return fig


def _variants(tables: Tables) -> list[str]:
    return list(dict.fromkeys(tables["networks"]["variant"]))


def _title(variant: str, between: str = ", ") -> str:
    kind, _, group = variant.partition("_")
    return f"{'MLP' if kind == 'mlp' else 'transf.' if between != ', ' else kind}{between}{group}"


FIGURES = {
    "representations": representations,
    "embeddings": embeddings,
    "explained": explained,
    "ablations": ablations,
    "order": order,
    "cosets": cosets,
}
