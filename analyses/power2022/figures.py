"""The figures of this folder, from its tables alone."""

import re

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analyses.rows import median_steps
from analyses.study import Tables
from grokinterp import plotting

LABELS = {
    "adamw": "AdamW, decay 1",
    "to_init": "AdamW, decay to init",
    "adam": "Adam, minibatches",
    "full_batch": "Adam, full batch",
    "update_noise": "full batch + update noise",
    "weight_noise": "weight noise 0.01",
    "dropout": "dropout 0.1",
    "low_lr": "Adam, lr x 0.3",
    "high_lr": "Adam, lr x 3",
}
"""The interventions in a fixed order, which gives them their colours."""

MARKERS = "osD^vP*X<"
COLORS = (*plotting.CYCLE, plotting.INK)


def curves(tables: Tables) -> Figure:
    """Accuracy and loss on x/y over steps (log), one panel a way to train, every seed."""
    table = tables["curves"]
    variants = list(table["variant"].unique())
    fig, axes = plotting.figure(2, len(variants), width="text", height=1.7, grid=True)
    for column, variant in enumerate(variants):
        for row, quantity in enumerate(("accuracy", "loss")):
            axis = axes[row, column]
            for split in ("train", "test"):
                for seed, run in table[table["variant"] == variant].groupby("seed"):
                    style = plotting.split_style(split) | ({} if seed == 0 else {"label": None})
                    axis.plot(run["step"].clip(lower=1), run[f"{split}_{quantity}"], lw=0.9, **style)
            axis.set_xscale("log")
            axis.set_ylabel(quantity if quantity == "accuracy" else "loss (nats)")
            if quantity == "loss":
                axis.set_yscale("log")
                axis.set_xlabel("optimizer step")
        axes[0, column].set_title(LABELS.get(variant, variant), fontsize=8)
    plotting.legend(axes[0, 0])
    return fig


def steps_to_generalize(tables: Tables) -> Figure:
    """Median steps to 99 % over the share of the pairs; runs censored at the budget count as longer."""
    table = tables["fractions"]
    operations = list(table["operation"].unique())
    fig, axes = plotting.figure(1, len(operations), width="text", height=2.3, grid=True)
    for axis, operation in zip(axes.flat, operations, strict=True):
        rows = table[table["operation"] == operation]
        for event, split in (("memorization_step", "train"), ("generalization_step", "test")):
            medians = median_steps(rows, event)
            color = plotting.SPLIT_COLORS[split]
            known = medians[medians["median"].notna()]
            axis.plot(known["frac_train"], known["median"], "-", color=color, label=f"{split} accuracy 99 %, median")
            axis.plot(rows["frac_train"], rows[event], "o", ms=2.5, color=color, alpha=0.6)
            late = rows[rows[event].isna()]
            axis.plot(late["frac_train"], late["last_step"], "^", ms=4, mfc="white", color=color)
        axis.plot([], [], "^", ms=4, mfc="white", color=plotting.INK, label="not within the budget")
        axis.set_yscale("log")
        axis.set_xlabel(f"share of the pairs trained on, {operation}")
        axis.set_ylabel("optimizer step")
    fig.legend(
        *axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=6.5, frameon=False
    )
    return fig


def delay(tables: Tables) -> Figure:
    """Steps between 99 % train and 99 % test accuracy over the share of the pairs."""
    table = tables["fractions"]
    fig, axis = plotting.figure(height=2.2)
    for color, (operation, rows) in zip(plotting.CYCLE, table.groupby("operation", sort=False), strict=False):
        gap = (rows["generalization_step"] - rows["memorization_step"]).where(~rows["censored"])
        axis.plot(rows["frac_train"], gap.clip(lower=25), "o", ms=3, color=color, alpha=0.6)
        medians = gap.groupby(rows["frac_train"]).median()[~rows.groupby("frac_train")["censored"].any()]
        axis.plot(medians.index, medians, color=color, label=operation)
    axis.set_yscale("log")
    axis.set_xlabel("share of the pairs trained on")
    axis.set_ylabel("steps from 99 % train\nto 99 % test accuracy")
    plotting.legend(axis)
    return fig


def _best_over_fractions(axis: Axes, table: pd.DataFrame, by: str, labels: dict[str, str]) -> None:
    names = [name for name in labels if name in set(table[by])] or list(table[by].unique())
    for i, name in enumerate(names):
        means = table[table[by] == name].groupby("frac_train")["best_test_accuracy"].mean()
        style = {"marker": MARKERS[i % len(MARKERS)], "ms": 3, "color": COLORS[i % len(COLORS)]}
        axis.plot(means.index, means, label=labels.get(name, name), **style)
    axis.set_xlabel("share of the pairs trained on")
    axis.set_ylabel("best test accuracy within\nthe budget, mean of seeds")
    axis.set_ylim(-0.03, 1.03)


def interventions(tables: Tables) -> Figure:
    """Best test accuracy over the share of the pairs for each way to train."""
    fig, axis = plotting.figure(width="text", height=2.6)
    _best_over_fractions(axis, tables["interventions"], "variant", LABELS)
    _legend_beside(axis)
    return fig


def operations(tables: Tables) -> Figure:
    """Best test accuracy over the share of the pairs for each operation: symmetric ones, the others, a group's."""
    table = tables["operations"]
    table = table.assign(operation=table["operation"].str.replace(r" mod \d+", "", regex=True))
    in_group = [name for name in table["operation"].unique() if " in " in name]
    kinds = {"symmetric": SYMMETRIC, "not symmetric": NOT_SYMMETRIC, "in a group": in_group}
    kinds = {kind: names for kind, names in kinds.items() if set(names) & set(table["operation"])}
    fig, axes = plotting.figure(1, len(kinds), width="text", height=3.0, grid=True)
    for axis, (kind, names) in zip(axes.flat, kinds.items(), strict=True):
        rows = table[table["operation"].isin(names)]
        _best_over_fractions(axis, rows, "operation", {name: _formula(name) for name in names})
        axis.set_title(kind, fontsize=8)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), fontsize=6.5, frameon=False)
    for axis in axes.flat[1:]:
        axis.set_ylabel("")
    return fig


def _formula(name: str) -> str:
    """An operation with raised exponents."""
    return re.sub(r"\^(-?\d)", r"$^{\1}$", name)


SYMMETRIC = ("x+y", "x*y", "x^2+y^2", "x^2+xy+y^2")
NOT_SYMMETRIC = ("x-y", "x/y", "x/y if y odd else x-y", "x^2+xy+y^2+x", "x^3+xy", "x^3+xy^2+y")


def outliers(tables: Tables) -> Figure:
    """Test and train accuracy over the number of random labels."""
    table = tables["outliers"]
    fig, axis = plotting.figure(height=2.2)
    share = table["outliers"] / table["n_train"]
    for split, column in (("train", "train_accuracy"), ("test", "best_test_accuracy")):
        means = table.groupby(share)[column].mean()
        axis.plot(share, table[column], "o", ms=2.5, alpha=0.6, color=plotting.SPLIT_COLORS[split])
        axis.plot(means.index, means, color=plotting.SPLIT_COLORS[split], label=f"{split} accuracy")
    axis.set_xlabel("share of the training labels that are random")
    axis.set_ylabel("accuracy")
    axis.set_ylim(-0.03, 1.03)
    plotting.legend(axis)
    return fig


def sharpness(tables: Tables) -> Figure:
    """Keskar's phi of the last network of each seed against its test accuracy, and against its train loss."""
    table = tables["sharpness"]
    seeds = table[table["recipe"] == "sharpness"]
    fig, axes = plotting.figure(1, 2, width="text", height=2.4, grid=True)
    for axis, column in zip(axes.flat, ("test_accuracy", "train_loss"), strict=True):
        _phi_marks(axis, seeds, column, "adamw", f"{len(seeds)} seeds of AdamW")
    axes.flat[0].set_xlabel("test accuracy")
    axes.flat[1].set_xlabel("train loss (nats)")
    axes.flat[1].set_xscale("log")
    axes.flat[0].set_ylabel(r"sharpness $\phi$ (%)")
    plotting.legend(axes.flat[0])
    return fig


def _phi_marks(axis: Axes, rows: pd.DataFrame, column: str, name: str, label: str) -> None:
    place = list(LABELS).index(name)
    style = {"ms": 3.5, "color": COLORS[place]}
    below = rows["phi"] < SMALLEST
    axis.plot(rows[column][~below], rows["phi"][~below], MARKERS[place], label=label, **style)
    axis.plot(rows[column][below], rows["phi"][below].clip(lower=SMALLEST), MARKERS[place], mfc="none", **style)
    axis.set_yscale("log")


def symbols(tables: Tables) -> Figure:
    """Rows of W_U of a grokked network, by t-SNE and PCA: residues in a ring, elements of S5 by coset."""
    table = tables["symbols"]
    groups = list(table["group"].unique())
    fig, axes = plotting.figure(len(groups), 2, height=2.3, square=True)
    for row, group in enumerate(groups):
        rows = table[table["group"] == group]
        for column, kind in enumerate(("tsne", "pc")):
            axis = axes[row, column]
            cmap = plotting.RESIDUES if group.startswith("Z") else "tab20"
            axis.scatter(rows[f"{kind}_1"], rows[f"{kind}_2"], c=rows["colour"], cmap=cmap, s=7, lw=0)
            axis.set(xticks=[], yticks=[], aspect="auto")
            what = "residue" if group.startswith("Z") else "coset"
            axis.set_title(f"{group}, {'t-SNE' if kind == 'tsne' else 'PCA'}, colour: {what}", fontsize=7)
    return fig


def _legend_beside(axis: Axes) -> None:
    axis.figure.legend(*axis.get_legend_handles_labels(), loc="outside right center", fontsize=6.5, frameon=False)


def flat_minima(tables: Tables) -> Figure:
    """phi by way to train: against test accuracy, and of those that generalise. Is noise followed by flatness?"""
    fig, axes = plotting.figure(1, 2, width="text", height=2.6, grid=True)
    every, equal = axes.flat
    ways = tables["interventions"][["run"]].merge(tables["sharpness"])
    for name, label in LABELS.items():
        _phi_marks(every, ways[ways["variant"] == name], "test_accuracy", name, label)
    every.set_xlabel("test accuracy")
    every.set_ylabel(r"sharpness $\phi$ (%)")
    if (ways["phi"] < SMALLEST).any():
        every.set_ylabel("sharpness $\\phi$ (%);\nopen: below $10^{-12}$")
    _legend_beside(every)
    matched = ways[ways["test_accuracy"] >= MATCHED]
    names = [name for name in LABELS if name in set(matched["variant"])]
    for i, name in enumerate(names):
        rows = matched[matched["variant"] == name].assign(place=i)
        _phi_marks(equal, rows, "place", name, "")
        equal.plot([i - 0.25, i + 0.25], [rows["phi"].clip(lower=SMALLEST).median()] * 2, color="0.3")
    equal.set_xticks(range(len(names)), [LABELS[name] for name in names], rotation=40, ha="right", fontsize=6)
    equal.set_xlim(-0.6, len(names) - 0.4)
    equal.set_title(f"test accuracy at least {MATCHED:g}", fontsize=7)
    return fig


SMALLEST = 1e-12
"""A phi below is drawn here, open."""

MATCHED = 0.99
"""Test accuracy from which networks are compared in flatness."""

FIGURES = {
    "curves": curves,
    "steps_to_generalize": steps_to_generalize,
    "delay": delay,
    "interventions": interventions,
    "operations": operations,
    "outliers": outliers,
    "sharpness": sharpness,
    "flat_minima": flat_minima,
    "symbols": symbols,
}
