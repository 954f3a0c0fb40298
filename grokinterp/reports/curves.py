"""What the page draws as lines over steps: from metrics.jsonl and the tables, every number as it is."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from grokinterp.measures.measure import Measure, Series
from grokinterp.measures.registry import builtin_measures
from grokinterp.reports.absent import AbsentError, needed_table
from grokinterp.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

EVALUATIONS = 4000
"""Of a longer metrics.jsonl each Nth evaluation is drawn, so that at most so many are."""

View = dict[str, Any]


def curve(label: str, rows: pd.DataFrame, column: str, color: str, dash: str = "solid") -> View:
    """One line: steps and values, null where there is none."""
    rows = rows.sort_values("step", kind="stable")
    numbers = pd.to_numeric(rows[column], errors="coerce").astype(float)
    values = [value if abs(value) < float("inf") else None for value in numbers.tolist()]
    steps = [int(step) for step in rows["step"]]
    return {"label": label, "color": color, "dash": dash, "steps": steps, "values": values}


def losses(run: Run) -> View:
    """Train and test loss of the evaluations, of the checkpoints where there are none."""
    return {"axis": "loss (nats)", "log": True, "curves": _evaluated(run, "loss")}


def accuracies(run: Run) -> View:
    """The same for accuracy."""
    return {"axis": "accuracy", "range": [-0.03, 1.03], "curves": _evaluated(run, "accuracy")}


def _evaluated(run: Run, quantity: str) -> list[View]:
    metrics, curves = run.metrics, []
    for split in ("train", "test", "all"):
        name = f"{split}_{quantity}"
        if name in metrics and metrics[name].notna().any():
            rows = metrics[metrics[name].notna()]
            every = -(-len(rows) // EVALUATIONS)
            curves.append(curve(split, rows.iloc[::every], name, f"split:{split}"))
    if curves:
        return curves
    table = needed_table(run, "accuracy_loss", ("split", quantity))
    found = [(split, table[table["split"] == split]) for split in ("train", "test", "all")]
    return [curve(split, rows, quantity, f"split:{split}") for split, rows in found if len(rows)]


def progress(run: Run) -> View:
    """Full, restricted and excluded loss, the control with random frequencies, and each frequency's excluded loss."""
    names = ("keys", "split", "full_loss", "restricted_loss", "excluded_loss")
    source = "progress_measures"
    try:
        table = needed_table(run, source, names)
    except AbsentError:
        source = "group_representations.losses"
        table = needed_table(run, source, names)
    on = "train" if (table["split"] == "train").any() else "all"
    curves = []
    for column, split, color in (
        ("full_loss", "all", "ink"),
        ("restricted_loss", "all", "cycle:2"),
        ("excluded_loss", on, "cycle:3"),
    ):
        for keys, dash in (("last", "solid"), ("random", "dot")):
            rows = table[(table["keys"] == keys) & (table["split"] == split)]
            if len(rows) and not (keys == "random" and column == "full_loss"):
                what = "random frequencies" if keys == "random" else f"{split} pairs"
                curves.append(curve(f"{column.removesuffix('_loss')} ({what})", rows, column, color, dash))
    view: View = {"axis": "loss (nats)", "log": True, "curves": curves, "source": source}
    each = run.table_or_none("progress_measures.frequencies") if source == "progress_measures" else None
    if each is not None:
        each = each[each["split"] == on]
        view["followed"] = {
            int(k): curve(f"excluded (k = {k} alone, {on} pairs)", rows, "excluded_loss", "followed", "dash")
            for k, rows in each.groupby("k")
        }
    return view


def weight_norm(run: Run) -> View:
    """Sum of squared weights, in total and by role."""
    table = needed_table(run, "weight_norm", ("group", "kind", "sum_of_squares"))
    curves = [curve("total", table[table["kind"] == "total"], "sum_of_squares", "ink")]
    roles = table[table["kind"] == "role"]
    for i, (role, rows) in enumerate(roles.groupby("group", sort=False)):
        curves.append(curve(str(role), rows, "sum_of_squares", f"cycle:{i}"))
    return {"axis": "sum of squared weights", "zero": True, "curves": curves}


def flatness(run: Run) -> View:
    """Train loss under weight-proportional noise of each size, less the loss without noise."""
    table = needed_table(run, "flatness", ("noise", "sigma", "loss_increase"))
    rows = table[table["noise"] == "weight-proportional"]
    curves = [
        curve(f"{100 * float(str(sigma)):g} % noise", mine, "loss_increase", f"cycle:{(0, 4, 1)[i % 3]}")
        for i, (sigma, mine) in enumerate(rows.groupby("sigma"))
    ]
    return {"axis": "train loss increase (nats)", "log": True, "marked": True, "curves": curves}


def _declared(run: Run) -> "Iterator[tuple[Measure, Series, View]]":
    """Each curve that a measure declares and that has values, with its line."""
    for measure in builtin_measures().values():
        for series in measure.series:
            table = run.table_or_none(f"{measure.name}.{series.part}" if series.part else measure.name)
            if table is None or not {"step", series.column, *series.where} <= set(table.columns):
                continue
            for column, wanted in series.where.items():
                table = table[table[column] == wanted]
            if table[series.column].notna().any() and not table["step"].duplicated().any():
                yield measure, series, curve(series.label, table, series.column, "cycle:0")


def declared(run: Run) -> View:
    """Every curve that lead and lag compare with the test accuracy, to choose one from."""
    choices = []
    for measure, series, line in _declared(run):
        column = measure.parts[series.part].columns[series.column]
        unit = f" ({column.unit})" if column.unit else ""
        about = f"{measure.name}: {series.label}. {series.column} is {column.meaning}."
        choices.append({**line, "measure": measure.name, "axis": series.column + unit, "about": about})
    if not choices:
        raise AbsentError("no measure with a declared curve was computed; `grokinterp analyze` computes them")
    return {"choices": choices}


def moves(run: Run) -> View:
    """When each declared curve moved: (after, until] and the rule, in the order of time."""
    leads = run.leads
    moved = leads[leads["step"].notna()].sort_values(["until", "after"], kind="stable").to_dict("records")
    if not moved:
        raise AbsentError("no curve was seen to move, or the run was not analyzed")
    rows = []
    for row in moved:
        lead = row["lead_half_accuracy"]
        known = lead is not None and lead == lead
        ends = [int(row[f"lead_half_accuracy{end}"]) for end in ("", "_low", "_high")] if known else None
        numbers = {name: int(row[name]) for name in ("after", "step", "until")}
        rows.append({"label": row["label"], "measure": row["measure"], "rule": row["rule"], "lead": ends, **numbers})
    return {"rows": rows}
