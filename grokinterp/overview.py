"""One figure that tells a run: what it learned, when, and what moved first; drawn from tables alone."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from grokinterp import plotting
from grokinterp.errors import GrokinterpError
from grokinterp.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR = 1e-12
"""Losses below are drawn here: a logarithm has no zero."""


def overview(run: Run) -> "Figure":
    """Accuracy, loss, restricted and excluded loss, Gini, weight norm and flatness over steps.

    Phases are shaded. A triangle at the foot of a panel marks the step where its measure crossed its
    threshold or bent (`run.leads`), the dashed line the step where test accuracy passed one half. Panels
    whose tables were not computed are left out.

    Raises:
        GrokinterpError: the run has no evaluations and no tables.
    """
    drawn = [panel for panel in PANELS if panel(run, None)]
    if not drawn:
        raise GrokinterpError(f"{run.path} has no evaluations in metrics.jsonl and no tables; analyze it first")
    rows = -(-len(drawn) // 2)
    fig, axes = plotting.figure(rows=rows, columns=2, width="text", height=1.55, grid=True)
    shown = list(axes.flat)[: len(drawn)]
    for spare in list(axes.flat)[len(drawn) :]:
        spare.remove()
    half = run.phases.step("half_accuracy")
    for axis, panel in zip(shown, drawn, strict=True):
        panel(run, axis)
        if half is not None:
            axis.axvline(half, color=plotting.INK, lw=0.7, ls=(0, (4, 3)), zorder=1)
    keys = [Line2D([], [], marker="^", lw=0, ms=5, color=plotting.INK, label="crossing or knee")]
    if half is not None:
        keys.append(Line2D([], [], color=plotting.INK, lw=0.7, ls=(0, (4, 3)), label="test accuracy 1/2"))
    fig = plotting.over_steps(fig, run.phases, axes=shown, legends=dict.fromkeys(shown, "best"), keys=keys)
    for axis in shown[-2:]:
        axis.tick_params(labelbottom=True)
        axis.set_xlabel("optimizer step")
    return fig


def _mark(run: Run, axis: Axes, measure: str, column: str, color: str, **where: str | float) -> None:
    """A triangle where the leads say that this curve moved."""
    leads = run.leads
    if not len(leads):
        return
    rows = leads[(leads["measure"] == measure) & (leads["column"] == column)]
    for step, cells in zip(rows["step"], rows["where"], strict=True):
        if not pd.isna(step) and all(cells.get(name) == value for name, value in where.items()):
            foot = axis.get_xaxis_transform()
            axis.plot([step], [0.03], marker="^", ms=5, color=color, mec="white", mew=0.4, transform=foot, zorder=5)


def _curves(run: Run, quantity: str) -> dict[str, pd.DataFrame]:
    """Step and value by split: from metrics.jsonl, or from the checkpoints where that has none (as imported runs)."""
    metrics, table = run.metrics, run.table_or_none("accuracy_loss")
    found = {}
    for split in ("train", "test", "all"):
        column = f"{split}_{quantity}"
        if column in metrics:
            found[split] = metrics[["step", column]].dropna().set_axis(["step", "value"], axis=1)
        elif table is not None and (split != "all" or not found):
            rows = table.loc[table["split"] == split, ["step", quantity]]
            if len(rows):
                found[split] = rows.set_axis(["step", "value"], axis=1)
    return found


def _accuracy(run: Run, axis: Axes | None) -> bool:
    curves = _curves(run, "accuracy")
    if axis is not None:
        for split, rows in curves.items():
            axis.plot(rows["step"], rows["value"], **plotting.split_style(split))
        axis.set_ylabel("accuracy")
        axis.set_ylim(-0.03, 1.03)
    return bool(curves)


def _loss(run: Run, axis: Axes | None) -> bool:
    curves = _curves(run, "loss")
    if axis is not None:
        for split, rows in curves.items():
            axis.plot(rows["step"], rows["value"].clip(lower=FLOOR), **plotting.split_style(split))
        axis.set_yscale("log")
        axis.set_ylabel("loss (nats)")
    return bool(curves)


def _progress(run: Run, axis: Axes | None) -> bool:
    table = run.table_or_none("progress_measures")
    if table is None or axis is None:
        return table is not None
    excluded_on = "train" if (table["split"] == "train").any() else "all"
    for i, (column, split) in enumerate((("restricted_loss", "all"), ("excluded_loss", excluded_on))):
        color = plotting.CYCLE[2 + i]
        for keys, style in (("last", "-"), ("random", ":")):
            rows = table[(table["keys"] == keys) & (table["split"] == split)]
            label = f"{column.removesuffix('_loss')} ({split} pairs)" if keys == "last" else None
            axis.plot(rows["step"], rows[column].clip(lower=FLOOR), style, color=color, label=label)
        _mark(run, axis, "progress_measures", column, color, keys="last")
    axis.plot([], [], ":", color=plotting.INK, label="random frequencies")
    axis.set_yscale("log")
    axis.set_ylabel("loss (nats)")
    return True


def _gini(run: Run, axis: Axes | None) -> bool:
    table = run.table_or_none("embedding_spectrum")
    if table is None or axis is None:
        return table is not None
    for i, matrix in enumerate(("W_E", "W_L")):
        rows, color = table[table["matrix"] == matrix], plotting.CYCLE[5 + i]
        axis.plot(rows["step"], rows["gini"], color=color, label=f"${matrix}$")
        _mark(run, axis, "embedding_spectrum", "gini", color, matrix=matrix)
    axis.set_ylabel("Gini of the\nFourier norms")
    axis.set_ylim(0, 1)
    return True


def _weights(run: Run, axis: Axes | None) -> bool:
    table = run.table_or_none("weight_norm")
    if table is None or axis is None:
        return table is not None
    rows = table[table["group"] == "total"]
    axis.plot(rows["step"], rows["sum_of_squares"], color=plotting.INK)
    _mark(run, axis, "weight_norm", "sum_of_squares", plotting.INK)
    axis.set_ylabel("sum of squared\nweights")
    axis.set_ylim(0, None)
    return True


def _flatness(run: Run, axis: Axes | None) -> bool:
    table = run.table_or_none("flatness")
    if table is None or axis is None:
        return table is not None
    rows = table[(table["noise"] == "weight-proportional") & (table["loss_increase"] > 0)]
    for i, (sigma, mine) in enumerate(rows.groupby("sigma")):
        color = plotting.CYCLE[(0, 4, 1)[i % 3]]
        axis.plot(mine["step"], mine["loss_increase"], "o-", ms=2, color=color, label=rf"$\sigma$ = {sigma:g}")
        _mark(run, axis, "flatness", "loss_increase", color, sigma=sigma)
    axis.set_yscale("log")
    axis.set_ylabel("train loss increase\nunder noise (nats)")
    return True


PANELS: tuple[Callable[[Run, Axes | None], bool], ...] = (_accuracy, _loss, _progress, _gini, _weights, _flatness)
"""Each draws on its axes, or without any says whether it has what it needs."""
