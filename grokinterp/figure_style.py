"""How figures look: on a screen, and in a paper.

    with gi.plotting.style("paper"):
        gi.plot(run, "progress_measures").savefig("progress.pdf")

A figure keeps the style that it was made in, also when it is saved later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

import matplotlib as mpl
from cycler import cycler

from grokinterp.errors import GrokinterpError

INK = "#222222"
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#7F7F7F")

Width = Literal["column", "text"]

WIDTHS: dict[str, float] = {"column": 3.4, "text": 6.9}
"""Inches: one column and the text width (both columns) of a two-column paper."""

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.facecolor": "white",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.75,
    "legend.fancybox": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "pdf.fonttype": 42,
    "svg.hashsalt": "grokinterp",
    "savefig.dpi": 200,
    "figure.dpi": 110,
}

PAPER: dict[Any, Any] = STYLE | {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that a figure is the same everywhere
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "axes.prop_cycle": cycler(color=CYCLE),
    "ps.fonttype": 42,
    "savefig.dpi": 300,
    "savefig.bbox": None,  # "tight" would cut the figure to another width
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
    "figure.constrained_layout.hspace": 0.03,
    "figure.constrained_layout.wspace": 0.03,
}


@dataclass(frozen=True)
class Look:
    """A style: matplotlib's settings, and what they cannot say.

    Attributes:
        widths: Inches of "column" and "text".
        smallest: Points; smaller text is enlarged when a figure is saved.
        is_exact: Every figure is as wide as a column or as the text.
        has_titles: Whether a figure may have a title; labels that tell panels apart are none.
    """

    name: str
    rc: Mapping[Any, Any]
    widths: Mapping[str, float]
    smallest: float = 0.0
    is_exact: bool = False
    has_titles: bool = True

    def width(self, inches: float) -> float:
        """The width of a figure that would like to have so many inches."""
        if not self.is_exact:
            return inches
        return self.widths["column"] if inches <= 1.1 * self.widths["column"] else self.widths["text"]


LOOKS = {
    "screen": Look("screen", STYLE, MappingProxyType(WIDTHS)),
    "paper": Look("paper", PAPER, MappingProxyType(WIDTHS), smallest=7.0, is_exact=True, has_titles=False),
}

_now = LOOKS["screen"]


def current() -> Look:
    """The style of figures that are made now."""
    return _now


class style:  # noqa: N801 (it is called like a function, and entered like matplotlib's style.context)
    """Make figures in a style from here on, or within a `with` block.

    "screen", the default, is for notebooks and reports. "paper" is for write-ups: exactly as wide as a column or the
    text, letters of 7 to 8 points that a PDF embeds as TrueType, no figure title, narrow margins; the colours are
    the same. Figures that you draw with matplotlib yourself follow it too, through its rcParams.

    Args:
        name: "screen" or "paper".
        column: Inches of a single column; 3.4 if not given.
        text: Inches of both columns together; 6.9 if not given.

    Raises:
        GrokinterpError: no such style, or widths that are none.
    """

    def __init__(self, name: str, *, column: float | None = None, text: float | None = None) -> None:
        global _now
        if name not in LOOKS:
            raise GrokinterpError(f"{name!r} is not a figure style; choose from {', '.join(LOOKS)}")
        given = {"column": column, "text": text}
        widths = WIDTHS | {place: float(inches) for place, inches in given.items() if inches is not None}
        if not 1 <= widths["column"] <= widths["text"] <= 40:
            raise GrokinterpError(
                f"a column of {widths['column']:g} and a text of {widths['text']:g} inches are no widths of a page; "
                "give 1 <= column <= text <= 40"
            )
        look = replace(LOOKS[name], widths=MappingProxyType(widths))
        rc: dict[Any, Any] = {**look.rc, "figure.figsize": (widths["column"], 0.65 * widths["column"])}
        plain: dict[Any, Any] = {key: mpl.rcParamsDefault[key] for key in PAPER}
        self._before = _now, {key: mpl.rcParams[key] for key in plain | rc}
        mpl.rcParams.update(plain | rc)
        _now = look

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Back to the style before."""
        global _now
        _now, rc = self._before
        mpl.rcParams.update(rc)
