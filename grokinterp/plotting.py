"""The parts of every figure: sizes, colours, axes over steps with shaded phases, and saving; `style` says how it looks.

Colours are from the Okabe-Ito palette, which colour-blind readers can tell apart. A key frequency's
colour depends on its rank among the run's key frequencies alone, so it is the same in every figure.
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from grokinterp.figure_style import CYCLE as CYCLE
from grokinterp.figure_style import INK as INK
from grokinterp.figure_style import STYLE as STYLE
from grokinterp.figure_style import WIDTHS as WIDTHS
from grokinterp.figure_style import Width, current
from grokinterp.figure_style import style as style
from grokinterp.phases import Phases
from grokinterp.runs.files import write_bytes

FAINT = "#c4c4c4"
KEY_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#A6761D")
MARK_COLORS = ("#9ecae1", "#E69F00", "#009E73", INK)
SPLIT_COLORS = {"train": "#0072B2", "test": "#D55E00", "all": INK}
PHASE_COLORS = {
    "memorization": "#fbe9d9",
    "memorised": "#f4f4f4",
    "learning": "#fbe9d9",
    "circuit formation": "#e3eef7",
    "cleanup": "#e4f3ea",
    "stable": "#ffffff",
}
RESIDUES = ListedColormap([tuple(hsv_to_rgb((i / 256, 0.8, 0.8))) for i in range(256)], name="residues")
"""Cyclic colours for residues; no shade of it is near white."""


class NotebookFigure(Figure):
    """A Figure that shows itself in a notebook without pyplot, and keeps the style that it was made in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.look = current()

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """As matplotlib's, in the figure's own style."""
        with mpl.rc_context({**self.look.rc}):
            if not self.look.has_titles:
                _drop_title(self)
            for text in self.findobj(Text):
                if isinstance(text, Text) and float(text.get_fontsize()) < self.look.smallest:
                    text.set_fontsize(self.look.smallest)
            super().savefig(*args, **kwargs)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.get_dpi())
        return buffer.getvalue()


def _drop_title(fig: Figure) -> None:
    """Take away the title of a figure, and of its only panel; several panels keep what tells them apart."""
    if fig.get_suptitle():
        fig.suptitle("")
    panels = [axis for axis in fig.axes if axis.get_subplotspec() is not None]
    for place in ("left", "center", "right") if len(panels) == 1 else ():
        panels[0].set_title("", loc=place)


def figure(
    rows: int = 1,
    columns: int = 1,
    *,
    width: Width = "column",
    height: float = 2.2,
    square: bool = False,
    grid: bool = False,
) -> tuple[Figure, Any]:
    """A figure of a paper's width and its axes: one, a row, a column, or a grid (always when square).

    Args:
        width: "column" (3.4 inches) or "text" (6.9 inches), unless `style` says otherwise.
        height: Inches a row.
        grid: Axes as a 2-D array, whatever their number.
        square: Cells of equal aspect, with a frame, without ticks; the width follows the height.
    """
    look = current()
    with mpl.rc_context({**look.rc}):
        fig = NotebookFigure(figsize=(look.widths[width], rows * height), layout="constrained")
        if square:
            resize(fig, max(columns * height + 0.5, 2.0), rows * height + 0.25)
        FigureCanvasAgg(fig)
        axes = fig.subplots(rows, columns, squeeze=not (square or grid))
        if square:
            for axis in axes.flat:
                axis.set_aspect("equal")
                axis.spines[["top", "right"]].set_visible(True)
                for spine in axis.spines.values():
                    spine.set_color(FAINT)
        return fig, axes


def resize(fig: Figure, width: float, height: float) -> None:
    """Set a figure's size in inches; in a paper's style it is scaled to the width of a column or of the text."""
    exact = current().width(width)
    fig.set_size_inches(exact, height * (exact / width))


def over_steps(
    fig: Figure,
    phases: Phases,
    *,
    axes: Sequence[Axes] | None = None,
    legends: Mapping[Axes, str] | None = None,
    keys: Sequence[Artist] = (),
) -> Figure:
    """Finish axes whose x is the step: shade the phases, name them once, label the lowest, add legends.

    Args:
        axes: The axes over steps; all of the figure's if None.
        legends: Axes with a legend and its place; the first axes and "best" if None.
        keys: Further entries of the row that names the phases.
    """
    axes = list(axes if axes is not None else fig.axes)
    with mpl.rc_context({**current().rc}):
        for axis in axes:
            _show_single_points(axis)
            shade_phases(axis, phases)
            if phases.last_step:
                axis.set_xlim(0, phases.last_step)
                axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            place = axis.get_subplotspec()
            if place is None or place.is_last_row():
                axis.set_xlabel("optimizer step")
            else:
                axis.tick_params(labelbottom=False)
        name_phases(fig, phases, keys)
        for axis, place in ({axes[0]: "best"} if legends is None else legends).items():
            if axis.get_legend_handles_labels()[1]:
                axis.legend(loc=place)  # ty: ignore[invalid-argument-type]
    return fig


def log_numbers(axis: Axis) -> None:
    """Write out the numbers of a logarithmic axis: 200, 500, 1,000; decades alone where there are many.

    Called once the data are drawn: how many numbers there are depends on the range.
    """
    low, high = axis.get_view_interval()
    subs = (1, 2, 3, 4, 5) if high / low < 5 else (1, 2, 5) if high / low < 100 else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def _show_single_points(axis: Axes) -> None:
    """A dot for a line of one point, which is all that a run with one checkpoint has."""
    for line in axis.lines:
        if len(np.atleast_1d(line.get_xdata())) == 1 and line.get_marker() in ("", " ", "None", None):
            line.set(marker="o", markersize=3, clip_on=False)


def legend(axis: Axes, place: str = "best") -> None:
    """A legend in the figures' style."""
    with mpl.rc_context({**current().rc}):
        axis.legend(loc=place)  # ty: ignore[invalid-argument-type]


def shade_phases(axis: Axes, phases: Phases) -> None:
    """Colour the background by phase."""
    for phase in phases.phases:
        axis.axvspan(phase.start, phase.end, color=PHASE_COLORS[phase.name], lw=0, zorder=0)


def name_phases(fig: Figure, phases: Phases, keys: Sequence[Artist] = ()) -> None:
    """Name the phases' colours, and whatever else is the same in all axes, in a row above the axes."""
    patches: list[Artist] = [
        Patch(facecolor=PHASE_COLORS[phase.name], edgecolor=FAINT, lw=0.5, label=phase.name) for phase in phases.phases
    ]
    patches += keys
    if patches:
        size = max(6.0, current().smallest)
        ems = sum(2.4 + 0.55 * len(str(patch.get_label())) for patch in patches)
        lines = math.ceil(ems * size / 72 / fig.get_figwidth())
        fig.legend(
            handles=patches,
            loc="outside upper center",
            ncols=math.ceil(len(patches) / lines),
            fontsize=size,
            handlelength=1.0,
            handletextpad=0.4,
            columnspacing=1.0,
        )


def split_style(split: str) -> dict[str, Any]:
    """Line style of train, test and all."""
    return {"label": split, "color": SPLIT_COLORS[split]}


def frequency_colors(keys: Sequence[int]) -> dict[int, str]:
    """A colour for each key frequency, steady over all figures of a run."""
    return {k: KEY_COLORS[i % len(KEY_COLORS)] for i, k in enumerate(sorted(keys))}


def frequency_lines(axis: Axes, table: pd.DataFrame, value: str, keys: Sequence[int]) -> None:
    """A line over steps for each frequency k of the table: key ones coloured, the others faint behind."""
    colors = frequency_colors(keys)
    for k in sorted(table["k"].unique()):
        rows = table[table["k"] == k]
        if k in colors:
            axis.plot(rows["step"], rows[value], color=colors[k], lw=1.3, label=f"k = {k}", zorder=3)
        else:
            axis.plot(rows["step"], rows[value], color=FAINT, lw=0.5, zorder=1)


def save_figure(fig: Figure, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write `stem`.png, .pdf, .svg as asked, atomically and without dates in them."""
    paths = []
    with mpl.rc_context({**current().rc}):
        for form in formats:
            path = stem.with_name(f"{stem.name}.{form}")
            metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)

            buffer = io.BytesIO()  # in memory first: the libraries' writers hide a full disk behind errors of their own
            fig.savefig(buffer, format=form, metadata=metadata)
            write_bytes(path, buffer.getvalue())
            paths.append(path)
    return paths
