"""The figures of this folder, from its tables alone."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analyses.contrast import EVENT
from analyses.rows import median_steps
from analyses.study import Tables
from grokinterp import plotting

PUBLISHED = {
    "adam": "Adam, no decay",
    "adam_ema": "Grokfast-EMA, no decay",
    "adam_ma": "Grokfast-MA, no decay",
    "adamw": "AdamW, decay 1",
    "adamw_ema": "Grokfast-EMA, decay 1",
    "muon": "Muon, decay 1",
    "adamw_decay4": "AdamW, decay 4",
}
TUNED = {"adamw": "AdamW", "grokfast_ema": "Grokfast-EMA", "muon": "Muon"}
COLORS = {"adam": 7, "adamw": 0, "adamw_decay4": 0, "ema": 1, "ma": 2, "muon": 3}
"""Place in plotting.CYCLE, by method."""


def steps_to_grok(tables: Tables) -> Figure:
    """Steps to 99 % test accuracy: at lr 1e-3, tuned, and tuned in AdamW's steps (the cost of a step)."""
    fig, axes = plotting.figure(1, 2, width="text", height=2.5, grid=True)
    left, right = axes.flat
    _arms(left, tables["published"], PUBLISHED)
    left.set_title("all at lr 1e-3", fontsize=8)
    used = tables["tuned"].groupby("variant")[["lr", "weight_decay"]].first()
    labels = {
        name: f"{label}\nlr {used.loc[name, 'lr']:g}, decay {used.loc[name, 'weight_decay']:g}"
        for name, label in TUNED.items()
        if name in used.index
    }
    _arms(right, tables["tuned"], labels)
    _in_time(right, tables, list(labels))
    right.set_title("each at its best of the same grid", fontsize=8)
    handles = _keys(left) + _keys(right)
    fig.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=6.5, frameon=False)
    return fig


def _arms(axis: Axes, table: pd.DataFrame, labels: dict[str, str]) -> None:
    names = [name for name in labels if name in set(table["variant"])]
    medians = median_steps(table, EVENT, ["variant"]).set_index("variant")
    for y, name in enumerate(reversed(names)):
        rows, color = table[table["variant"] == name], _color(name)
        places = y + np.linspace(-0.22, 0.22, len(rows)) if len(rows) > 1 else np.array([float(y)])
        reached = rows[EVENT].notna().to_numpy()
        axis.plot(rows[EVENT][reached], places[reached], "o", ms=3, color=color, alpha=0.7)
        axis.plot(rows["last_step"][~reached], places[~reached], ">", ms=3.5, mfc="white", color=color)
        median = medians.loc[name, "median"]
        if pd.notna(median):
            axis.plot([median] * 2, [y - 0.35, y + 0.35], color=color, lw=1.6)
    _log_steps(axis)
    axis.set_yticks(range(len(names)), [labels[name] for name in reversed(names)], fontsize=6.5)
    axis.set_xlabel("optimizer step at 99 % test accuracy")


def _in_time(axis: Axes, tables: Tables, names: list[str]) -> None:
    """A diamond where the median lies once a step counts as many of AdamW's as it takes time."""
    cost = tables["cost"].set_index("variant")["relative"]
    medians = median_steps(tables["tuned"], EVENT, ["variant"]).set_index("variant")["median"]
    names = [name for name in names if name in medians.index]
    for y, name in enumerate(reversed(names)):
        if pd.notna(medians[name]):
            axis.plot([medians[name] * cost[name]], [y - 0.42], "D", ms=4, mfc="white", color=_color(name))


def _keys(axis: Axes) -> list[Any]:
    if axis.get_subplotspec().colspan.start:
        return list(axis.plot([], [], "D", ms=4, mfc="white", color=plotting.INK, label="median in AdamW's step times"))
    return [
        *axis.plot([], [], "o", ms=3, color=plotting.INK, label="a seed"),
        *axis.plot([], [], ">", ms=3.5, mfc="white", color=plotting.INK, label="not within the budget"),
        *axis.plot([], [], "|", ms=9, mew=1.6, color=plotting.INK, label="Kaplan-Meier median"),
    ]


def tuning(tables: Tables) -> Figure:
    """Steps to 99 % over the grid, a panel a method: mean over the tuning seeds; the chosen setting has a frame."""
    table, chosen = tables["tuning"], tables["settings"].set_index("variant")
    names = [name for name in TUNED if name in set(table["variant"])]
    fig, axes = plotting.figure(1, len(names), width="text", height=1.9, grid=True)
    steps = table.assign(to=table[EVENT].fillna(table["last_step"]), late=table[EVENT].isna())
    span = np.log10(steps["to"].min()), np.log10(steps["to"].max())
    for axis, name in zip(axes.flat, names, strict=True):
        rows = steps[steps["variant"] == name]
        grid = rows.pivot_table(index="lr", columns="weight_decay", values="to", aggfunc="mean")
        late = rows.pivot_table(index="lr", columns="weight_decay", values="late", aggfunc="max")
        axis.imshow(np.log10(grid), cmap="Blues", vmin=span[0], vmax=span[1] * 1.05, aspect="auto", origin="lower")
        for (i, j), value in np.ndenumerate(grid.to_numpy()):
            dark = np.log10(value) > np.mean(span)
            text = f">{value:.0f}" if late.to_numpy()[i, j] else f"{value:.0f}"
            axis.text(j, i, text, ha="center", va="center", fontsize=5.5, color="white" if dark else plotting.INK)
        row, column = grid.index.get_loc(chosen.loc[name, "lr"]), grid.columns.get_loc(chosen.loc[name, "weight_decay"])
        axis.add_patch(_frame(column, row))
        axis.set_xticks(range(len(grid.columns)), [f"{value:g}" for value in grid.columns])
        axis.set_yticks(range(len(grid.index)), [f"{value:g}" for value in grid.index])
        axis.set_xlabel("decay")
        axis.set_title(TUNED[name], fontsize=8)
    axes.flat[0].set_ylabel("learning rate")
    return fig


def _frame(column: int, row: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, fill=False, ec=plotting.CYCLE[1], lw=1.6)


def curves(tables: Tables) -> Figure:
    """Test accuracy over steps, every seed, at lr 1e-3 and tuned."""
    fig, axes = plotting.figure(1, 2, width="text", height=2.1, grid=True)
    panels = (("published", PUBLISHED, "all at lr 1e-3"), ("tuned", TUNED, "each at its best of the same grid"))
    for axis, (recipe, labels, title) in zip(axes.flat, panels, strict=True):
        table = tables["curves"][tables["curves"]["recipe"] == recipe]
        names = [name for name in labels if name in set(table["variant"])]
        for name in names:
            style: dict[str, Any] = {"color": _color(name), "lw": 0.9, "ls": _line(name)}
            for i, (_, run) in enumerate(table[table["variant"] == name].groupby("seed")):
                label = None if i else labels[name]
                axis.plot(run["step"].clip(lower=10), run["test_accuracy"], label=label, **style)
        _log_steps(axis)
        axis.set_ylim(-0.03, 1.03)
        axis.set_xlabel("optimizer step")
        axis.set_title(title, fontsize=8)
    axes.flat[0].set_ylabel("test accuracy")
    for axis, place, columns in ((axes.flat[0], "upper left", 3), (axes.flat[1], "upper right", 2)):
        handles, labels = axis.get_legend_handles_labels()
        fig.legend(handles, labels, loc=f"outside {place}", ncols=columns, fontsize=6, frameon=False)
    return fig


def _log_steps(axis: Axes) -> None:
    """A logarithmic axis whose numbers are written out: 200, 500, 1,000."""
    axis.set_xscale("log")
    plotting.log_numbers(axis.xaxis)


def _color(variant: str) -> str:
    key = variant if variant in COLORS else variant.rpartition("_")[2]
    return plotting.CYCLE[COLORS[key]]


def _line(variant: str) -> str:
    return "--" if variant in ("adam_ema", "adam_ma", "adamw_decay4") else "-"


FIGURES = {"steps_to_grok": steps_to_grok, "tuning": tuning, "curves": curves}
