"""The figures of this folder, from its tables alone."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analyses.rows import median_steps
from analyses.study import Tables
from grokinterp import plotting

LABELS = {
    "torch_float32": "cross-entropy of torch, float32",
    "torch_float64": "cross-entropy of torch, float64",
    "adam": "cross-entropy, nothing absorbed",
    "stablemax": "StableMax",
    "perpgrad": r"$\perp$Grad",
    "adamw": "AdamW with decay",
}
"""The variants in a fixed order, which gives them their colours."""

NETWORKS = {"mlp": "MLP", "transformer": "transformer"}


def collapse(tables: Tables) -> Figure:
    """Test accuracy over steps, and the share of training pairs whose right logit has no gradient; every seed."""
    rows = (("curves", "test_accuracy", "test accuracy"), ("numerics", "zero_gradient", "pairs without\na gradient"))
    return _over_steps(tables, rows)


def alignment(tables: Tables) -> Figure:
    """cos(-gradient, weights) over steps, and the sum of squared weights; every seed."""
    rows = (
        ("numerics", "nlm_cosine", r"cos($-\nabla L$, $\theta$)"),
        ("curves", "weight_norm", "sum of\nsquared weights"),
    )
    fig = _over_steps(tables, rows)
    for axis in fig.axes[2:4]:
        axis.set_yscale("log")
        plotting.log_numbers(axis.yaxis)
    return fig


def _over_steps(tables: Tables, rows: tuple[tuple[str, str, str], ...]) -> Figure:
    fig, axes = plotting.figure(len(rows), len(NETWORKS), width="text", height=1.6, grid=True)
    for i, (name, column, label) in enumerate(rows):
        for j, (network, title) in enumerate(NETWORKS.items()):
            axis, table = axes[i, j], tables[name]
            for (variant, _), run in table[table["network"] == network].groupby(["variant", "seed"]):
                axis.plot(run["step"].clip(lower=1), run[column], color=_color(variant), lw=0.9, alpha=0.8)
            _log_steps(axis)
            if not j:
                axis.set_ylabel(label)
            if not i:
                axis.set_title(title, fontsize=8)
            if i == len(rows) - 1:
                axis.set_xlabel("optimizer step")
            if column in ("test_accuracy", "zero_gradient"):
                axis.set_ylim(-0.03, 1.03)
    _legend(fig)
    return fig


def steps_to_grok(tables: Tables) -> Figure:
    """Steps to 99 % test accuracy by variant: each seed, and the Kaplan-Meier median; open: not within the budget."""
    fig, axes = plotting.figure(1, len(NETWORKS), width="text", height=2.1, grid=True)
    for axis, (network, title) in zip(axes.flat, NETWORKS.items(), strict=True):
        table = tables["runs"][tables["runs"]["network"] == network]
        names = [name for name in LABELS if name in set(table["variant"])]
        medians = median_steps(table, "generalization_step", ["variant"]).set_index("variant")["median"]
        for y, name in enumerate(reversed(names)):
            rows = table[table["variant"] == name]
            _seeds(axis, rows, y, _color(name))
            if pd.notna(medians[name]):
                axis.plot([medians[name]] * 2, [y - 0.3, y + 0.3], color=_color(name), lw=1.6)
        axis.plot([], [], "o", ms=3.5, color=plotting.INK, label="99 % test accuracy")
        axis.plot([], [], ">", ms=4, mfc="white", color=plotting.INK, label="not by the end of the run")
        _log_steps(axis)
        axis.set_yticks(range(len(names)), [LABELS[name] for name in reversed(names)], fontsize=6.5)
        axis.set_xlabel("optimizer step")
        axis.set_title(title, fontsize=8)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=6.5, frameon=False)
    return fig


def _seeds(axis: Axes, rows: pd.DataFrame, y: int, color: str) -> None:
    places = y + np.linspace(-0.2, 0.2, len(rows)) if len(rows) > 1 else np.array([float(y)])
    reached = rows["generalization_step"].notna().to_numpy()
    axis.plot(rows["generalization_step"][reached], places[reached], "o", ms=3.5, color=color)
    axis.plot(rows["last_step"][~reached], places[~reached], ">", ms=4, mfc="white", color=color)


def _log_steps(axis: Axes) -> None:
    """A logarithmic axis of steps whose numbers are written out: 200, 500, 1,000."""
    axis.set_xscale("log")
    plotting.log_numbers(axis.xaxis)


def _color(variant: str) -> str:
    return plotting.CYCLE[list(LABELS).index(variant)]


def _legend(fig: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=_color(name), label=label) for name, label in LABELS.items()]
    fig.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=6.5, frameon=False)


FIGURES = {"collapse": collapse, "alignment": alignment, "steps_to_grok": steps_to_grok}
