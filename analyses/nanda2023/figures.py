"""The figures of this folder, from its tables alone; the paper's boundaries, drawn by eye, are in expected.json."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analyses.nanda2023.claims import ORDER, drawn_by_eye
from analyses.study import Tables
from grokinterp import plotting

SHADED = (*ORDER, "stable")
NAMED = {name: name for name in SHADED} | {
    "memorised": "memorised, did not generalise by the end",
    "learning": "learning, train and test accuracy at once",
}
"""How phases are called in a legend."""

HATCHES = {"memorised": "////", "learning": "...."}
"""What tells phases whose colours are near those of others."""


def losses(tables: Tables) -> Figure:
    """Loss and accuracy of the mainline and of the seeds (paper: figure 2)."""
    fig, axes = plotting.figure(1, 3, width="text", height=2.2, grid=True)
    left, middle, right = axes.flat
    rows = _mainline(tables["curves"])
    for split in ("train", "test"):
        style = {"color": plotting.SPLIT_COLORS[split], "label": split}
        left.plot(rows["step"], rows[f"{split}_loss"], **style)
        middle.plot(rows["step"], rows[f"{split}_accuracy"], **style)
    others = tables["curves"]
    for _, one in others[others["recipe"] == "seeds"].groupby("seed"):
        for split in ("train", "test"):
            right.plot(one["step"], one[f"{split}_loss"], lw=0.8, color=plotting.SPLIT_COLORS[split], alpha=0.7)
    left.set_ylabel("loss (nats)")
    middle.set_ylabel("accuracy")
    right.set_ylabel("loss (nats)")
    for axis, title in ((left, "mainline"), (middle, "mainline"), (right, _of_seeds(tables))):
        axis.set_title(title, fontsize=7)
        axis.set_xlabel("optimizer step")
    left.set_yscale("log")
    right.set_yscale("log")
    _shade(fig, tables, [left, middle])
    plotting.legend(middle, "center right")
    return fig


def progress(tables: Tables) -> Figure:
    """The progress measures of the mainline over training (paper: figure 7)."""
    fig, axes = plotting.figure(2, 2, width="text", height=2.1, grid=True)
    rows = _mainline(tables["progress"])
    panels: list[tuple[Axes, str, dict[str, tuple[str, str, str]]]] = [
        (
            axes[0, 0],
            "loss on training pairs (nats)",
            {
                "excluded_train": ("excluded", plotting.CYCLE[2], "-"),
                "excluded_random": ("excluded, random K", plotting.CYCLE[2], ":"),
                "full_train": ("full", plotting.SPLIT_COLORS["train"], "-"),
            },
        ),
        (
            axes[0, 1],
            "loss on all or test pairs (nats)",
            {
                "restricted_all": ("restricted, all pairs", plotting.CYCLE[3], "-"),
                "restricted_own": ("restricted, K of its own", plotting.CYCLE[3], "--"),
                "restricted_random": ("restricted, random K", plotting.CYCLE[3], ":"),
                "full_test": ("full, test pairs", plotting.SPLIT_COLORS["test"], "-"),
            },
        ),
        (
            axes[1, 0],
            "Gini of Fourier norms",
            {
                "gini_W_E": ("$W_E$", plotting.CYCLE[0], "-"),
                "gini_W_L": ("$W_L$", plotting.CYCLE[1], "-"),
                "cosine_fve": ("logits' share in key cosines", plotting.INK, "--"),
            },
        ),
        (axes[1, 1], "sum of squared weights", {"sum_of_squares": ("total", plotting.INK, "-")}),
    ]
    for axis, label, lines in panels:
        for column, (name, color, style) in lines.items():
            axis.plot(rows["step"], rows[column], style, color=color, label=name, lw=1.1)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    for axis in axes[1]:
        axis.set_xlabel("optimizer step")
    _shade(fig, tables, list(axes.flat))
    for axis, place in ((axes[0, 0], "lower right"), (axes[0, 1], "upper right"), (axes[1, 0], "lower right")):
        plotting.legend(axis, place)
    return fig


def embedding_spectrum(tables: Tables) -> Figure:
    """Norms of the Fourier components of W_E and W_L over training, and those of the last network."""
    table, keys = tables["spectra"], _keys(tables)
    fig, axes = plotting.figure(2, 2, width="text", height=1.8, grid=True)
    colors = plotting.frequency_colors(keys)
    for row, matrix in zip(axes, ("W_E", "W_L"), strict=True):
        one = table[table["matrix"] == matrix]
        plotting.frequency_lines(row[0], one, "norm", keys)
        row[0].set_ylabel(f"norm in ${matrix}$")
        last = one[one["step"] == one["step"].max()]
        row[1].bar(last["k"], last["norm"], color=[colors.get(k, plotting.FAINT) for k in last["k"]])
        row[1].set_ylabel(f"norm in ${matrix}$, last step")
    axes[1, 0].set_xlabel("optimizer step")
    axes[1, 1].set_xlabel("frequency $k$")
    named = [Line2D([], [], color=color, label=f"$k = {k}$") for k, color in colors.items()]
    _shade(fig, tables, [axes[0, 0], axes[1, 0]], named)
    return fig


def logits(tables: Tables) -> Figure:
    """Coefficients of cos w_k(a + b - c) in the last network's logits, and each one's share of their power."""
    table, colors = tables["logits"], plotting.frequency_colors(_keys(tables))
    fig, axes = plotting.figure(1, 2, width="text", height=1.9, grid=True)
    for axis, column, label in (
        (axes.flat[0], "alpha", r"$\alpha_k$ (nats)"),
        (axes.flat[1], "cosine_fve", "share of the logits' power"),
    ):
        axis.bar(table["k"], table[column], color=[colors.get(k, plotting.FAINT) for k in table["k"]])
        axis.set_xlabel("frequency $k$")
        axis.set_ylabel(label)
    total = table[table["k"].isin(colors)]["cosine_fve"].sum()
    axes.flat[1].set_title(f"key frequencies together: {total:.1%}", fontsize=7)
    return fig


def neurons(tables: Tables) -> Figure:
    """Neurons by their best frequency, and how pure they are; the mainline's last network."""
    rows, colors = _mainline(tables["neurons"]), plotting.frequency_colors(_keys(tables))
    fig, axes = plotting.figure(1, 2, width="text", height=2.0, grid=True)
    left, right = axes.flat
    pure = rows[rows["fraction"] >= 0.85]["k"].value_counts().sort_index()
    names = [f"{k:.0f}" for k in pure.index] + ["below\n85 %"]
    counts = [*pure.tolist(), int((rows["fraction"] < 0.85).sum())]
    shades = [*(colors.get(int(k), plotting.INK) for k in pure.index), plotting.FAINT]
    left.bar(range(len(counts)), counts, color=shades)
    left.set_xticks(range(len(counts)), names)
    for x, count in enumerate(counts):
        left.text(x, count, str(count), ha="center", va="bottom", fontsize=6)
    left.set_xlabel("frequency $k$ with 85 % of the neuron's energy")
    left.set_ylabel("neurons")
    right.hist(rows["fraction"].dropna(), bins=np.linspace(0, 1, 41), color=plotting.CYCLE[0])
    right.axvline(0.85, color=plotting.INK, lw=0.8, ls="--")
    right.set_xlabel("best frequency's share of the neuron's energy")
    right.set_ylabel("neurons")
    return fig


def phases(tables: Tables) -> Figure:
    """The phases of every run by rule, beside those that the paper drew by eye, in units of its mainline's steps."""
    table, runs = tables["phases"], tables["runs"]
    bars = [(f"seed {row['seed']}", row) for _, row in runs.iterrows()]
    fig, axes = plotting.figure(1, 2, width="text", height=0.25 * max(len(bars), 4) + 0.9, grid=True)
    left, right = axes.flat
    main = [(name, row) for name, row in bars if row["recipe"] == "mainline"]
    rest = [(name, row) for name, row in bars if row["recipe"] != "mainline"]
    for axis, members in ((left, main), (right, rest)):
        for y, (_, row) in enumerate(reversed(members)):
            own = table[(table["recipe"] == row["recipe"]) & (table["seed"] == row["seed"])]
            _bar(axis, y, own)
            axis.plot([row["restricted_step"]], [y], "v", ms=4, color=plotting.CYCLE[3])
            axis.plot([row["half_accuracy_step"]], [y], "^", ms=4, color=plotting.SPLIT_COLORS["test"])
            axis.plot([row["test_loss_peak_step"]], [y], "o", ms=3.5, color=plotting.INK)
        axis.set_xlabel("optimizer step")
        axis.xaxis.set_major_locator(plotting.MaxNLocator(5, integer=True))
        axis.set_yticks(range(len(members)), [name for name, _ in reversed(members)])
        axis.set_ylim(-0.6, len(members) - 0.4)
    if main:
        ends = drawn_by_eye()
        starts = [0, *list(ends.values())[:-1]]
        drawn = pd.DataFrame({"phase": list(ends), "start": starts, "end": list(ends.values())})
        _bar(left, -1, drawn)
        left.set_yticks([-1, 0], ["paper, by eye", "by rule"])
        left.set_ylim(-1.6, 0.6)
        left.set_xlim(
            0,
            1.15
            * max(ends["cleanup"], table[(table["recipe"] == "mainline") & (table["phase"] != "stable")]["end"].max()),
        )
    left.set_title("mainline", fontsize=7)
    right.set_title(_of_seeds(tables), fontsize=7)
    if rest:
        ends_of_seeds = table[(table["recipe"] == "seeds") & (table["phase"] != "stable")]["end"].max()
        right.set_xlim(0, 1.15 * ends_of_seeds)
    seen = set(table["phase"])
    handles = [_patch(name, label) for name, label in NAMED.items() if name in SHADED or name in seen]
    for marker, color, label in (
        ("v", plotting.CYCLE[3], "restricted loss at half of log p"),
        ("^", plotting.SPLIT_COLORS["test"], "test accuracy 1/2"),
        ("o", plotting.INK, "peak of the test loss"),
    ):
        handles += left.plot([], [], marker, ms=4, color=color, label=label)
    fig.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=6)
    return fig


def _bar(axis: Axes, y: float, table: pd.DataFrame) -> None:
    for _, phase in table.iterrows():
        color, hatch = plotting.PHASE_COLORS[phase["phase"]], HATCHES.get(phase["phase"])
        style = {"facecolor": color, "edgecolor": plotting.FAINT if hatch else plotting.INK, "lw": 0.4, "hatch": hatch}
        axis.barh(y, phase["end"] - phase["start"], left=phase["start"], height=0.6, **style)


def _patch(name: str, label: str) -> Patch:
    style = {"edgecolor": plotting.FAINT, "hatch": HATCHES.get(name)}
    return Patch(facecolor=plotting.PHASE_COLORS[name], label=label, **style)


def _shade(fig: Figure, tables: Tables, axes: list[Axes], named: Sequence[Line2D] = ()) -> None:
    """The mainline's phases as shades, the paper's boundaries as marks above the axes, and a legend of both."""
    table = _mainline(tables["phases"])
    last = _mainline(tables["runs"])["last_step"].iloc[0]
    for axis in axes:
        for _, phase in table.iterrows():
            axis.axvspan(phase["start"], phase["end"], color=plotting.PHASE_COLORS[phase["phase"]], lw=0, zorder=0)
        for end in (end for end in drawn_by_eye().values() if end <= last):  # further out they would have no axes
            axis.plot([end], [1], "v", ms=3.5, color=plotting.INK, transform=axis.get_xaxis_transform(), clip_on=False)
        axis.set_xlim(0, last)
        axis.xaxis.set_major_locator(plotting.MaxNLocator(4, integer=True))
    handles: list[Patch | Line2D] = [
        Patch(facecolor=plotting.PHASE_COLORS[name], edgecolor=plotting.FAINT, lw=0.5, label=name)
        for name in table["phase"]
    ]
    mark = {"marker": "v", "ms": 3.5, "color": plotting.INK, "lw": 0}
    handles += [Line2D([], [], label="ends of the phases in the paper, by eye", **mark), *named]
    style = {"fontsize": 5.5, "handlelength": 1.0, "columnspacing": 0.9, "handletextpad": 0.4}
    fig.legend(handles=handles, loc="outside upper center", ncols=len(handles), **style)


def _mainline(table: pd.DataFrame) -> pd.DataFrame:
    rows = table[table["recipe"] == "mainline"]
    if rows.empty:
        raise KeyError("mainline")
    return rows


def _keys(tables: Tables) -> list[int]:
    return [int(k) for k in str(_mainline(tables["runs"])["keys"].iloc[0]).split()]


def _of_seeds(tables: Tables) -> str:
    rows = tables["runs"]
    rows = rows[rows["recipe"] == "seeds"]
    return f"{len(rows)} seeds, p = {rows['p'].iloc[0]:.0f}" if len(rows) else "no seeds yet"


FIGURES = {
    "losses": losses,
    "progress": progress,
    "embedding_spectrum": embedding_spectrum,
    "logits": logits,
    "neurons": neurons,
    "phases": phases,
}
