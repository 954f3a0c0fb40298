"""The figures of this folder, from its tables alone."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analyses.study import Tables
from grokinterp import plotting

COLORS = "viridis"
OPEN = "did not generalise"
LABELS = {"gradient_symmetricity": "gradient symmetricity", "distance_irrelevance": "distance irrelevance"}


def plane(tables: Tables) -> Figure:
    """Symmetricity against irrelevance, a point a network, coloured by its attention rate."""
    table = tables["runs"]
    seen = table["generalization_step"].notna()
    fig, axis = plotting.figure(height=2.7)
    x, y = LABELS
    style = {"c": table[seen]["attention_rate"], "cmap": COLORS, "vmin": 0, "vmax": 1, "zorder": 3}
    points = axis.scatter(table[seen][x], table[seen][y], s=16, lw=0, **style)
    open_style = {"facecolors": "none", "edgecolors": plotting.INK, "marker": "^", "lw": 0.7}
    if (~seen).any():
        axis.scatter(table[~seen][x], table[~seen][y], s=18, **open_style, label=OPEN)
    untrained = table[[f"{x}_untrained", f"{y}_untrained"]]
    axis.plot(*untrained.to_numpy().T, "+", ms=4, mew=0.7, color=plotting.CYCLE[1], label="untrained")
    axis.set(xlabel=LABELS[x], ylabel=LABELS[y], ylim=(-0.03, 1.03))
    plotting.legend(axis, "lower left")
    _colorbar(fig, points, axis)
    return fig


def _colorbar(fig: Figure, points: object, axis: Axes) -> None:
    bar = fig.colorbar(points, ax=axis, pad=0.02)
    bar.set_label("attention rate", fontsize=7)
    bar.ax.tick_params(labelsize=6)


def rates(tables: Tables) -> Figure:
    """Both measures over the attention rate: every network, the median of a rate, untrained networks."""
    table = tables["runs"]
    fig, axes = plotting.figure(1, 2, width="text", height=2.3, grid=True)
    for i, (axis, (column, label)) in enumerate(zip(axes.flat, LABELS.items(), strict=True)):
        seen = table[table["generalization_step"].notna()]
        color = plotting.CYCLE[i]
        axis.plot(seen["attention_rate"], seen[column], "o", ms=3, alpha=0.6, color=color, label="a network")
        medians = seen.groupby("attention_rate")[column].median()
        axis.plot(medians.index, medians, color=color, label="median")
        late = table[table["generalization_step"].isna()]
        if len(late):
            axis.plot(late["attention_rate"], late[column], "^", ms=4, mfc="white", color=color, label=OPEN)
        untrained = table.groupby("attention_rate")[f"{column}_untrained"].mean()
        axis.plot(untrained.index, untrained, ":", color=plotting.INK, label="untrained")
        axis.set(xlabel="attention rate", ylabel=label, ylim=(None, 1.03))
        plotting.legend(axis)
    return fig


def courses(tables: Tables) -> Figure:
    """Both measures over training, mean over seeds, a line a rate."""
    table = tables["courses"]
    table = table[table["step"] > 0]
    fig, axes = plotting.figure(1, 2, width="text", height=2.3, grid=True)
    scale = ScalarMappable(Normalize(0, 1), COLORS)
    for axis, (column, label) in zip(axes.flat, LABELS.items(), strict=True):
        for rate, rows in table.groupby("attention_rate"):
            counts = rows.groupby("step")["seed"].nunique()
            shared = counts.index[counts == rows["seed"].nunique()]  # steps that every seed has
            means = rows[rows["step"].isin(shared)].groupby("step")[column].mean()
            axis.plot(means.index, means, color=scale.to_rgba(rate), label=f"{rate:g}")
        axis.set(xlabel="optimizer step", ylabel=f"{label},\nmean over seeds", ylim=(None, 1.03))
    _colorbar(fig, scale, axes[0, 1])
    return fig


def formulas(tables: Tables) -> Figure:
    """How near a single key circle's logits are to clock, pizza and accompanying pizza, over the attention rate."""
    table = tables["circles"]
    table = table[table["generalised"].astype(bool) & (table["isolation"] == "frequency")]
    fig, axis = plotting.figure(height=2.6)
    shapes = (("clock", "o", -0.02), ("pizza", "s", 0.0), ("accompanying", "^", 0.02))
    for i, (formula, marker, shift) in enumerate(shapes):
        rows = table[table["formula"] == formula]
        color = plotting.CYCLE[i]
        axis.plot(rows["attention_rate"] + shift, rows["fve"], marker, ms=2.5, alpha=0.5, color=color)
        medians = rows.groupby("attention_rate")["fve"].median()
        axis.plot(medians.index + shift, medians, color=color, marker=marker, ms=2.5, label=f"{formula}, median")
    axis.axhline(0, color=plotting.FAINT, lw=0.6, zorder=0)
    axis.set(xlabel="attention rate", ylim=(None, 1.06))
    axis.set_ylabel("explained variance $2r - 1$ of the\nz-scored logits of one circle alone")
    fig.legend(loc="outside upper center", ncols=3, fontsize=6)
    return fig


def circles(tables: Tables) -> Figure:
    """Symbols in the planes of the largest circles, coloured by k x mod p; the correct logit of each circle alone."""
    points, patterns = tables["points"], tables["patterns"]
    low, high = (patterns["mean"] - patterns["std"]).min(), (patterns["mean"] + patterns["std"]).max()
    rates = sorted(points["attention_rate"].unique())
    columns = int(points.groupby("attention_rate")["k"].nunique().max())
    fig, axes = plotting.figure(2, columns * len(rates), width="text", height=1.45, grid=True)
    for half, rate in enumerate(rates):
        found = points[points["attention_rate"] == rate]
        ks = list(dict.fromkeys(found["k"]))
        for column in range(columns):
            upper, lower = axes[:, half * columns + column]
            if column >= len(ks):
                upper.set_axis_off()
                lower.set_axis_off()
                continue
            _circle(upper, found[found["k"] == ks[column]], rate, ks[column])
            chosen = (patterns["attention_rate"] == rate) & (patterns["k"] == ks[column])
            _pattern(lower, patterns[chosen])
            lower.set_ylim(low - 0.2, high + 0.2)
            lower.tick_params(labelleft=not half and not column)
    axes[1, 0].set_ylabel("correct logit\n(z-score)", fontsize=7)
    fig.supxlabel("angle between the operands on the circle (dashed: the pizza's |cos(angle/2)|, fitted)", fontsize=7)
    return fig


def _circle(axis: Axes, rows: pd.DataFrame, rate: float, k: int) -> None:
    axis.scatter(rows["x"], rows["y"], c=rows["turn"], cmap=plotting.RESIDUES, vmin=0, vmax=1, s=5, lw=0)
    axis.set(xticks=[], yticks=[], aspect="equal")
    axis.set_title(f"rate {rate:g}, k = {k},\n{rows['share'].iloc[0]:.0%} of $W_E$", fontsize=6.5)


def _pattern(axis: Axes, rows: pd.DataFrame) -> None:
    angle, mean, std = (rows[name].to_numpy() for name in ("angle", "mean", "std"))
    axis.fill_between(angle, mean - std, mean + std, color=plotting.CYCLE[0], alpha=0.25, lw=0)
    axis.plot(angle, mean, color=plotting.CYCLE[0])
    shape = np.abs(np.cos(angle / 2))
    slope, level = np.polyfit(shape, mean, 1)
    axis.plot(angle, level + slope * shape, "--", color=plotting.INK, lw=0.8)
    axis.set_xticks([-np.pi, 0, np.pi], [r"$-\pi$", "0", r"$\pi$"], fontsize=6)
    axis.tick_params(axis="y", labelsize=6)


FIGURES = {"plane": plane, "rates": rates, "courses": courses, "formulas": formulas, "circles": circles}
