"""The figures of this folder, from its tables alone."""

import numpy as np
from matplotlib.figure import Figure

from analyses.mirage2023.claims import CONTINUOUS, CONTROLS, width_ratios
from analyses.study import Tables
from grokinterp import plotting

NAMES = {
    "accuracy": "accuracy",
    "accuracy_power_2": "accuracy$^2$ (control)",
    "accuracy_power_10": "accuracy$^{10}$ (control)",
    "p_correct": "p(correct)",
    "brier": "Brier score",
    "reciprocal_rank": "1 / rank",
    "rank": "rank",
    "circular_error": "circular error",
    "normalized_margin": "margin / std",
    "margin": "margin",
    "log_prob": "log p(correct)",
}


def scores(tables: Tables) -> Figure:
    """Each score on its way from its first (0) to its last value (1), the first seed of each variant."""
    table = tables["scores"]
    variants = list(table["variant"].unique())
    fig, axes = plotting.figure(-(-len(variants) // 3), 3, width="text", height=1.9, grid=True)
    shown = ["accuracy", "p_correct", "brier", "reciprocal_rank", "normalized_margin", "log_prob"]
    for axis, variant in zip(axes.flat, variants, strict=True):
        rows = table[table["variant"] == variant]
        for i, score in enumerate(shown):
            values = rows[score].to_numpy()
            if values[-1] == values[0]:
                continue
            way = (values - values[0]) / (values[-1] - values[0])
            style = (
                {"color": plotting.INK, "lw": 1.6} if score == "accuracy" else {"color": plotting.CYCLE[i - 1], "lw": 1}
            )
            axis.plot(rows["step"], way, label=NAMES[score], **style)
        axis.set_ylim(-0.4, 1.2)
        axis.set_title(variant.replace("_times_", "*").replace("_over_", "/").replace("_", ", ") + " %", fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("optimizer step")
    for axis in axes[:, 0]:
        axis.set_ylabel("way from first to last")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=len(shown), fontsize=6)
    return fig


def widths(tables: Tables) -> Figure:
    """Width of the 10-90 % transition over that of accuracy: each run, the median and its interval, by score."""
    ratios = width_ratios(tables)
    names = [name for name in NAMES if name in set(ratios["metric"]) and name != "accuracy"]
    fig, axis = plotting.figure(width="text", height=2.8)
    for y, name in enumerate(reversed(names)):
        color = plotting.INK if name in CONTROLS else plotting.CYCLE[0] if name in CONTINUOUS else plotting.CYCLE[1]
        for mirrored, shift in ((False, 0.18), (True, -0.18)):
            rows = ratios[(ratios["metric"] == name) & (ratios["mirrored"] == mirrored)]
            fill = "white" if mirrored else color
            spread = y + shift + np.linspace(-0.1, 0.1, len(rows))
            axis.plot(rows["width_ratio"], spread, "o", ms=2.2, color=color, mfc=fill, mew=0.5, alpha=0.5)
            axis.plot([rows["width_ratio"].median()], [y + shift], "D", ms=4.5, color=color, mfc=fill)
    axis.axvline(1, color=plotting.FAINT, zorder=0)
    axis.set_xscale("log")
    axis.set_yticks(range(len(names)), [NAMES[name] for name in reversed(names)])
    axis.set_xlabel("width of the transition / that of accuracy (diamonds: medians; hollow: x+y and x*y)")
    return fig


FIGURES = {"scores": scores, "widths": widths}
