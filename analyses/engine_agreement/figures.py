"""The figure, from the table alone."""

from pathlib import Path

import pandas as pd

from grokinterp import plotting


def draw(folder: Path) -> None:
    """loss_differences.csv -> loss_differences.png."""
    table = pd.read_csv(folder / "loss_differences.csv")
    fig, axis = plotting.figure(height=2.4)
    for i, column in enumerate(table.columns[2:]):
        axis.plot(table["step"], table[column].clip(lower=1e-17), color=plotting.CYCLE[i], label=column, lw=1.0)
    axis.set_yscale("log")
    axis.set_ylim(1e-17, 1)
    axis.set_xlabel("optimizer step")
    axis.set_ylabel("relative difference of train loss")
    plotting.legend(axis, "center right")
    plotting.save_figure(fig, folder / "loss_differences", ["png"])
