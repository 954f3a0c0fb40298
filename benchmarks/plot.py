"""One plot of every figure that has a target, as a share of it."""

import json
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

OURS, MISSED = "#0072B2", "#D55E00"


def draw(folder: Path) -> None:
    """Read the json files of a folder and write benchmarks.png there.

    A bar is value / target where more is better and target / value where less is, so that 1 is the target.
    """
    rows = []
    for path in sorted(folder.glob("*.json")):
        for what, figure in json.loads(path.read_text())["figures"].items():
            if "target" in figure:
                less = figure.get("better") == "less"
                share = figure["target"] / figure["median"] if less else figure["median"] / figure["target"]
                rows.append((what, share, f"{figure['median']:.3g} {figure.get('unit', '')}".strip()))
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(6.5, 0.6 + 0.26 * len(rows)), layout="constrained")
    shares = [min(share, 3.0) for _, share, _ in rows]
    axes.barh(range(len(rows)), shares, color=[OURS if share >= 1 else MISSED for share in shares], height=0.7)
    for y, (_, share, text) in enumerate(rows):
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        said = f"{text} (share {share:.1f})" if share > 3 else text
        axes.text(min(share, 3.0) + 0.05, y, said, va="center", fontsize=7, bbox=box)
    axes.axvline(1, color="black", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(rows)), [what for what, _, _ in rows], fontsize=7)
    axes.tick_params(axis="x", labelsize=7)
    axes.invert_yaxis()
    axes.set_xlim(0, 3.9)
    axes.set_xlabel("share of the target (1: reached), with the measured value", fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(folder / "benchmarks.png", dpi=200)
    plt.close(figure)
