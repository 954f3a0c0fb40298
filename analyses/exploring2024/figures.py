"""The figures of this folder, from its tables alone."""

import pandas as pd
from matplotlib.figure import Figure

from analyses.study import Tables
from grokinterp import plotting

NETWORKS = {
    "two_layers": "transformer, 2 layers",
    "two_layers_simple_encoding": "2 layers, a b =",
    "one_layer": "1 layer",
    "one_layer_simple_encoding": "1 layer, a b =",
    "lstm20": "LSTM 20",
    "lstm128": "LSTM 128",
    "mlp": "MLP 2 x 512",
    "mlp_no_decay": "MLP 2 x 512, Adam",
    "mlp_embedding": "MLP on embeddings",
}
OPTIMIZERS = {"adamw": "AdamW", "adam": "Adam", "weight_noise": "weight noise", "update_noise": "update noise"}


def architectures(tables: Tables) -> Figure:
    """Steps to 99 % train and test accuracy of every run, by network and share of the pairs."""
    return _steps(tables["architectures"], NETWORKS)


def optimizers(tables: Tables) -> Figure:
    """The same by optimizer, on the simplified transformer."""
    return _steps(tables["optimizers"], OPTIMIZERS)


def _steps(table: pd.DataFrame, labels: dict[str, str]) -> Figure:
    fractions = sorted(table["frac_train"].unique())
    fig, axes = plotting.figure(1, len(fractions), width="text", height=2.8, grid=True)
    names = [name for name in labels if name in set(table["variant"])]
    for axis, fraction in zip(axes.flat, fractions, strict=True):
        for y, name in enumerate(reversed(names)):
            rows = table[(table["variant"] == name) & (table["frac_train"] == fraction)]
            for event, split, dy in (("memorization_step", "train", 0.12), ("generalization_step", "test", -0.12)):
                color, at = plotting.SPLIT_COLORS[split], rows[event]
                axis.plot(at, [y + dy] * len(at), "o", ms=3, color=color, alpha=0.8)
                late = rows[at.isna()]
                axis.plot(late["last_step"], [y + dy] * len(late), ">", ms=4, mfc="white", color=color)
        axis.set_xscale("log")
        axis.set_ylim(-0.6, len(names) - 0.4)
        axis.set_yticks(range(len(names)), [labels[name] for name in reversed(names)] if axis is axes.flat[0] else [])
        axis.set_title(f"{fraction:.0%} of the pairs", fontsize=8)
        axis.set_xlabel("optimizer step")
    for split in ("train", "test"):
        axes.flat[-1].plot([], [], "o", ms=3, color=plotting.SPLIT_COLORS[split], label=f"99 % {split} accuracy")
    axes.flat[-1].plot([], [], ">", ms=4, mfc="white", color=plotting.INK, label="not within the budget")
    fig.legend(loc="outside upper center", ncols=3, fontsize=6.5)
    return fig


def mechanism(tables: Tables) -> Figure:
    """Weight norm and sparsity of the spectra at the start and at the end, by network."""
    table = tables["mechanism"]
    quantities = {
        "sum_of_squares": "sum of squared weights",
        "gini_W_E": "Gini of the spectrum, $W_E$",
        "gini_W_L": "Gini of the spectrum, $W_L$",
    }
    names = [name for name in NETWORKS if name in set(table["variant"])]
    fig, axes = plotting.figure(1, len(quantities), width="text", height=2.6, grid=True)
    for axis, (column, label) in zip(axes.flat, quantities.items(), strict=True):
        for y, name in enumerate(reversed(names)):
            for when, marker, color in (("start", "o", plotting.FAINT), ("end", "o", plotting.CYCLE[0])):
                rows = table[(table["variant"] == name) & (table["when"] == when)]
                axis.plot(rows[column], [y] * len(rows), marker, ms=3, color=color, alpha=0.8)
        if column == "sum_of_squares":
            axis.set_xscale("log")
        axis.set_xlabel(label)
        axis.set_yticks(range(len(names)), [NETWORKS[name] for name in reversed(names)] if axis is axes.flat[0] else [])
    for when, color in (("initialisation", plotting.FAINT), ("end", plotting.CYCLE[0])):
        axes.flat[-1].plot([], [], "o", ms=3, color=color, label=when)
    fig.legend(loc="outside upper center", ncols=2, fontsize=6.5)
    return fig


FIGURES = {"architectures": architectures, "optimizers": optimizers, "mechanism": mechanism}
