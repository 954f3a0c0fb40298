"""The figures of this folder, from its tables alone.

Time is counted in grokking delays, from memorisation to 99 % test accuracy. What moves half of its way is shown
against the test accuracy's own half-way point, as it is judged; change points against 99 % test accuracy.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analyses.lead_lag import rules
from analyses.lead_lag.curves import REFERENCE
from analyses.lead_lag.tables import with_shares
from analyses.study import Tables
from grokinterp import plotting

COLORS = {
    "weights and training pairs": plotting.CYCLE[0],
    "test pairs": plotting.CYCLE[1],
    "the run's end": plotting.CYCLE[3],
}
PANELS = {"half_way": "half of its way", "change_point": "change point"}
AGAINST = {"half_way": "head_start", "change_point": "lead_share"}
"""What is drawn of each rule: the head start where that is judged, and the lead of change points."""

LABELS = {"half_way": "delays; 0: test accuracy's own", "change_point": "delays; 0: 99 % test accuracy"}
CONTROLS = {"shuffled_labels": ("o", "shuffled labels"), "too_few_pairs": ("s", "too few pairs")}
LIMITS = (-1.05, 0.45)
FARTHEST = 1.5
STRIPE = "#f6f6f6"


def leads(tables: Tables) -> Figure:
    """All curves, sorted: when they move in runs that generalise, and whether they do in runs that do not."""
    return _forest(tables, "all")


def operation(tables: Tables, variant: str) -> Figure:
    """The same for one operation, with every run as a dot."""
    table = tables["summary"]
    if not (table["group"] == variant).any():
        raise KeyError(variant)
    return _forest(tables, variant)


def _forest(tables: Tables, group: str) -> Figure:
    table = tables["summary"]
    table = table[table["group"] == group]
    order = _order(table)
    fig, axes = plotting.figure(1, 3 if group == "all" else 2, width="text", height=0.145 * len(order) + 1.2, grid=True)
    runs = with_shares(tables["leads"], tables["runs"])
    runs = runs[runs["generalization_step"].notna() & (runs["recipe"] != "controls")]
    runs = runs[(group == "all") | (runs["variant"] == group)]
    found = {*rules.leading(tables), *rules.leading_by_name(tables), *rules.lagging(tables)}
    judged = {REFERENCE, *found} if group == "all" else set(order)
    for axis, rule in zip(axes.flat, PANELS, strict=False):
        filled = judged if rule == "half_way" else set(order)
        _panel(axis, rule, table[table["rule"] == rule], order, runs[runs["rule"] == rule], filled)
    if group == "all":
        _control_panel(axes.flat[2], tables["controls"], order)
    first = axes.flat[0]
    needs = table.drop_duplicates("curve").set_index("curve")["needs"]
    first.set_yticks(range(len(order)), order, fontsize=6)
    for label in first.get_yticklabels():
        label.set_color(COLORS[needs[label.get_text()]])
    for name, color in COLORS.items():
        first.plot([], [], "D", ms=3.5, color=color, label=f"needs {name}")
    if group == "all":
        first.plot([], [], "D", ms=3.5, color=plotting.INK, mfc="white", label="left, open: neither leads nor lags")
    first.plot([], [], "|", ms=6, color=plotting.INK, label="a straight line")
    first.plot([], [], "<", ms=3.5, color=plotting.FAINT, label="beyond the axis")
    fig.legend(loc="outside upper center", ncols=4 if group == "all" else 3, fontsize=6, columnspacing=1.0)
    return fig


def _order(table: pd.DataFrame) -> list[str]:
    """Curves from the last to the first to move half of their way; those that never do, by change point, below."""
    half = table[table["rule"] == "half_way"].set_index("curve")["head_start"]
    knee = table[table["rule"] == "change_point"].set_index("curve")["lead_share"]
    never = knee[half.reindex(knee.index).isna()].sort_values(na_position="first")
    return [*never.index, *half.dropna().sort_values().index]


def _panel(axis: Axes, rule: str, table: pd.DataFrame, order: list[str], runs: pd.DataFrame, filled: set[str]) -> None:
    name, rows = AGAINST[rule], table.set_index("curve")
    for y, curve in enumerate(order):
        if y % 2:
            axis.axhspan(y - 0.5, y + 0.5, color=STRIPE, lw=0, zorder=0)
        if curve not in rows.index:
            continue
        row = rows.loc[curve]
        dots = -runs[runs["curve"] == curve][name].dropna().to_numpy()
        for at, height in zip(dots, y + np.linspace(-0.22, 0.22, len(dots)), strict=True):
            _mark(axis, at, height, ".", ms=1.8, color=plotting.FAINT, zorder=1)
        if rule == "half_way" and curve != REFERENCE and pd.notna(row["line_head_start"]):
            axis.plot([-row["line_head_start"]], [y], "|", ms=5, mew=0.7, color=plotting.INK, zorder=2)
        if pd.notna(row[name]):
            _median(axis, row, name, y, curve in filled)
        count = f"{row['n_moved']:.0f}/{row['n_runs']:.0f}"
        axis.text(1.02, y, count, fontsize=5, va="center", transform=axis.get_yaxis_transform(), color=plotting.INK)
    if rule == "change_point" and REFERENCE in rows.index and pd.notna(rows.loc[REFERENCE, name]):
        axis.axvline(-rows.loc[REFERENCE, name], color=COLORS["test pairs"], lw=0.8, ls="--", zorder=2)
    axis.axvline(0, color=plotting.INK, lw=0.7, zorder=2)
    axis.set_xlim(LIMITS[0] - 0.06, LIMITS[1] + 0.06)
    axis.set_ylim(-0.7, len(order) - 0.3)
    axis.set_yticks([])
    axis.set_title(PANELS[rule], fontsize=8)
    axis.set_xlabel(LABELS[rule], fontsize=8)


def _median(axis: Axes, row: pd.Series, name: str, y: int, filled: bool) -> None:
    """A curve's median with its 95 % interval, and thinner, where there is one, the interval for all curves at once."""
    color = COLORS[row["needs"]]
    for ends, width in (("_sure", 0.5), ("", 1.4)):
        low, high = row.get(f"{name}{ends}_low"), row.get(f"{name}{ends}_high")
        if pd.notna(low):
            axis.plot(np.clip([-high, -low], *LIMITS), [y, y], color=color, lw=width, zorder=3)
            for at in (-high, -low):
                if not LIMITS[0] <= at <= LIMITS[1]:
                    _mark(axis, at, y, "", ms=2.2, color=color, zorder=3)
    style = {"mfc": color, "mec": "white", "mew": 0.4} if filled else {"mfc": "white", "mec": color, "mew": 0.8}
    _mark(axis, -row[name], y, "D", ms=3.2, color=color, zorder=4, **style)


def _mark(axis: Axes, at: float, y: float, marker: str, **style: Any) -> None:
    """A marker, or an arrow at the edge for what lies beyond it."""
    inside = float(np.clip(at, *LIMITS))
    shown = marker if inside == at else ("<" if at < inside else ">")
    if inside != at:
        style |= {"ms": max(style["ms"], 2.2)}
    axis.plot([inside], [y], shown, **style)


def _control_panel(axis: Axes, table: pd.DataFrame, order: list[str]) -> None:
    for y in range(1, len(order), 2):
        axis.axhspan(y - 0.5, y + 0.5, color=STRIPE, lw=0, zorder=0)
    for i, (control, (marker, label)) in enumerate(CONTROLS.items()):
        rows = table[table["control"] == control].set_index("curve")
        style = {"color": plotting.INK, "mfc": "white" if i else plotting.INK, "label": f"control: {label}"}
        axis.plot([], [], marker, ms=3, **style)
        for y, curve in enumerate(order):
            if curve not in rows.index or pd.isna(rows.loc[curve, "change"]):
                continue
            change = rows.loc[curve, "change"]
            inside = float(np.clip(change, -FARTHEST, FARTHEST))
            shown = marker if inside == change else (">" if change > 0 else "<")
            axis.plot(
                [inside], [y + 0.18 * (1 - 2 * i)], shown, ms=2.6, color=style["color"], mfc=style["mfc"], mew=0.6
            )
    for at, style in ((0, "-"), (1, "--")):
        axis.axvline(at, color=plotting.FAINT, lw=0.8, ls=style, zorder=1)
    axis.set_xlim(-FARTHEST - 0.1, FARTHEST + 0.1)
    axis.set_ylim(-0.7, len(order) - 0.3)
    axis.set_yticks([])
    axis.set_title("networks that only memorise", fontsize=8)
    axis.set_xlabel("change / that of grokking runs", fontsize=8)


def curves(tables: Tables) -> Figure:
    """Steps to the events of every run, by operation: what the leads are relative to."""
    table = tables["runs"]
    names = list(table["variant"].unique())
    fig, axis = plotting.figure(height=0.28 * len(names) + 1.0)
    for y, name in enumerate(reversed(names)):
        rows = table[table["variant"] == name]
        for event, color in (("memorization_step", plotting.CYCLE[0]), ("generalization_step", plotting.CYCLE[1])):
            axis.plot(rows[event], [y] * len(rows), "o", ms=3, color=color, alpha=0.8)
        late = rows[rows["generalization_step"].isna()]
        axis.plot(late["last_step"], [y] * len(late), ">", ms=4, mfc="white", color=plotting.CYCLE[1])
    axis.plot([], [], "o", ms=3, color=plotting.CYCLE[0], label="99 % train accuracy")
    axis.plot([], [], "o", ms=3, color=plotting.CYCLE[1], label="99 % test accuracy")
    axis.plot([], [], ">", ms=4, mfc="white", color=plotting.CYCLE[1], label="not by its last step")
    axis.set_xscale("log")
    axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in reversed(names)])
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set_xlabel("optimizer step")
    fig.legend(loc="outside upper center", ncols=3, fontsize=5.5, columnspacing=0.8, handletextpad=0.2)
    return fig


FIGURES = {
    "events": curves,
    "leads": leads,
    "leads_add": lambda tables: operation(tables, "add"),
    "leads_subtract": lambda tables: operation(tables, "subtract"),
    "leads_multiply": lambda tables: operation(tables, "multiply"),
    "leads_divide": lambda tables: operation(tables, "divide"),
    "leads_squares": lambda tables: operation(tables, "squares"),
    "leads_group": lambda tables: operation(tables, "group"),
}
