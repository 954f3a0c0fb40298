"""Films of training (GIF): the symbols in their principal plane, and the spectrum of the embedding.

Drawn from tables alone, on request. Every frame has the same axes, and the PCA scores are those that
`symbol_pca` has aligned to the last checkpoint, so what moves is the network and not the frame.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
from PIL import Image

from grokinterp import plotting
from grokinterp.errors import GrokinterpError
from grokinterp.figures import saved_keys
from grokinterp.progress import progress_bar
from grokinterp.run import Run
from grokinterp.runs.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MILLISECONDS = 120
"""A frame's time; the last one stays ten times as long."""

MAX_FRAMES = 60
DPI = 130


def draw_films(run: Run, names: Sequence[str] | None = None, *, show_progress: bool | None = None) -> list[Path]:
    """Write figures/symbol_pca.gif and figures/embedding_spectrum.gif, as far as there are tables.

    Args:
        run: An analyzed run.
        names: Measures; those of other names have no film. None for both.
        show_progress: None shows a bar on a terminal.

    Raises:
        GrokinterpError: no measure with a film was asked for, or none of its tables were computed.
    """
    films = {"symbol_pca": _pca_frames, "embedding_spectrum": _spectrum_frames}
    asked = [name for name in films if names is None or name in names]
    if not asked:
        raise GrokinterpError(f"films exist of {' and '.join(films)}; name one with --only, or leave out --films")
    found = {name: prepared for name in asked if (prepared := films[name](run)) is not None}
    if not found:
        raise GrokinterpError(
            f"{run.rundir.out} has no tables to film; run `grokinterp analyze {run.path} "
            f"--only {','.join(asked)}` first"
        )
    paths = []
    for name, (steps, draw) in found.items():
        path = run.rundir.figures / f"{name}.gif"
        with progress_bar(f"filming {name}", len(steps), show=show_progress) as report:
            images = []
            for done, step in enumerate(steps, start=1):
                images.append(_image(draw(step)))
                report(done, f"step {step}")
        _save(path, images)
        paths.append(path)
    return paths


Draw = Callable[[int], "Figure"]


def _pca_frames(run: Run) -> tuple[list[int], Draw] | None:
    """Scores of W_E on components 1, 2 and 3, 4 of the last checkpoint, one point a symbol."""
    table, components = run.table_or_none("symbol_pca.coordinates"), run.table_or_none("symbol_pca")
    if table is None or components is None:
        return None
    table = table[(table["matrix"] == "W_E") & table["pc2"].notna()]
    if not len(table):
        return None
    n = int(table["position"].max()) + 1
    pairs = [("pc1", "pc2"), ("pc3", "pc4")] if table["pc4"].notna().all() else [("pc1", "pc2")]
    reach = {pair: 1.08 * float(table[list(pair)].abs().to_numpy().max()) for pair in pairs}
    waves = [_frequency_of(components, 1 + 2 * i) for i in range(len(pairs))]

    def draw(step: int) -> "Figure":
        fig, axes = plotting.figure(columns=len(pairs), height=2.4, square=True)
        rows = table[table["step"] == step].sort_values("position")
        for axis, pair, k in zip(axes[0], pairs, waves, strict=True):
            order = rows["position"] * (k or 1) % n
            axis.scatter(rows[pair[0]], rows[pair[1]], c=order, cmap=plotting.RESIDUES, s=9, vmin=0, vmax=n, lw=0)
            axis.set(xlim=(-reach[pair], reach[pair]), ylim=(-reach[pair], reach[pair]), xticks=[], yticks=[])
            axis.set_xlabel(f"component {pair[0][2:]}" + (f"  (colour: {k} a mod {n})" if k else ""), fontsize=7)
            axis.set_ylabel(f"component {pair[1][2:]}", fontsize=7)
        _title(fig, run, step)
        return fig

    return _spread(table), draw


def _frequency_of(components: pd.DataFrame, component: int) -> int | None:
    """The frequency of a principal component of W_E at the last checkpoint; None without frequencies."""
    last = components[(components["step"] == components["step"].max()) & (components["matrix"] == "W_E")]
    cell = last[last["component"] == component]["k"]
    return None if not len(cell) or pd.isna(cell.iloc[0]) else int(cell.iloc[0])


def _spectrum_frames(run: Run) -> tuple[list[int], Draw] | None:
    """Norms of the Fourier components of W_E and W_L over frequency."""
    table = run.table_or_none("embedding_spectrum.components")
    if table is None:
        return None
    table = table[table["k"] > 0]
    matrices = ("W_E", "W_L")
    top = {matrix: 1.1 * float(table[table["matrix"] == matrix]["norm"].max()) for matrix in matrices}
    colors = plotting.frequency_colors(saved_keys(run))

    def draw(step: int) -> "Figure":
        fig, axes = plotting.figure(rows=2, height=1.5)
        for axis, matrix in zip(axes, matrices, strict=True):
            rows = table[(table["step"] == step) & (table["matrix"] == matrix)]
            axis.bar(rows["k"], rows["norm"], color=[colors.get(k, plotting.FAINT) for k in rows["k"]], width=0.85)
            axis.set_ylim(0, top[matrix])
            axis.set_ylabel(f"norm of ${matrix}$")
        for k, color in colors.items():
            axes[0].annotate(str(k), (k, 0.99 * top["W_E"]), ha="center", va="top", fontsize=6.5, color=color)
        axes[1].set_xlabel("frequency k")
        _title(fig, run, step)
        return fig

    return _spread(table), draw


def _spread(table: pd.DataFrame) -> list[int]:
    """Up to MAX_FRAMES of the table's steps, evenly chosen, the first and the last among them."""
    steps = sorted(int(step) for step in table["step"].unique())
    chosen = np.linspace(0, len(steps) - 1, min(MAX_FRAMES, len(steps))).round().astype(int)
    return [steps[i] for i in sorted(set(chosen.tolist()))]


def _title(fig: "Figure", run: Run, step: int) -> None:
    """The step, and the phase that it lies in."""
    phase = next((phase.name for phase in run.phases.phases if phase.start <= step < phase.end), "")
    ended = [phase.name for phase in run.phases.phases if step >= phase.end]
    name = phase or (ended[-1] if ended else "")
    fig.suptitle(f"step {step}" + (f"   {name}" if name else ""), fontsize=8)


def _image(fig: "Figure") -> Image.Image:
    """The figure as pixels."""
    with mpl.rc_context(plotting.STYLE):
        fig.set_dpi(DPI)
        fig.canvas.draw()
    pixels = np.asarray(fig.canvas.buffer_rgba())  # ty: ignore[missing-attribute]
    return Image.fromarray(pixels).convert("RGB")


def _save(path: Path, images: Sequence[Image.Image]) -> None:
    """All frames in one palette, looped."""
    first, *rest = [image.quantize(128, dither=Image.Dither.NONE) for image in images]
    durations = [MILLISECONDS] * len(rest) + [10 * MILLISECONDS]

    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)
    write_bytes(path, buffer.getvalue())
