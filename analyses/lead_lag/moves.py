"""When a curve moves, by three rules; and where that lies against the grokking point.

    change_point   where the steepest straight piece begins (`grokinterp.phases.find_knees`)
    half_way       where it passes, for good, the middle between its value at memorisation and its plateau
    declared       where it crosses the threshold that its measure declares

All three look at the checkpoints from memorisation on: while a network memorises, everything moves. A curve that
begins with its steepest piece has no change point after memorisation; one whose net change is less than half of its
range comes back, and has no half-way point.

The half-way point depends on where the curve is cut off: any straight drift has one, in the middle. So for each curve
the half-way point of a straight line at its own checkpoints is given too.
"""

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from grokinterp.leads import lead_of, plateau
from grokinterp.measures.measure import Series
from grokinterp.phases import Phases, find_knees

Rule = Literal["change_point", "half_way", "declared"]
RULES: tuple[Rule, ...] = ("change_point", "half_way", "declared")


def moves_of(table: pd.DataFrame, series: Series, phases: Phases, log_answers: float) -> dict[str, Any] | None:
    """For each rule the fields of `lead_of` under its name, and what is below; None where nothing is known.

    start, end, top: value at the first checkpoint after memorisation, of the plateau, and the largest, in the curve's
        scale (its logarithm where the series says so).
    net: |end - start| / range, the range without the outer 5 % of the values.
    line: where a straight line at the same checkpoints is half-way, in the middle of its interval.
    rises: whether the steepest straight piece goes up; None without a change point.
    """
    chosen = _after_memorization(table, series, phases)
    values = pd.to_numeric(chosen[series.column], errors="coerce").dropna().to_numpy(dtype=float)
    if series.log:
        values = np.log(values[values > 0])
    if len(values) < 3:
        return None
    start, end = float(values[0]), plateau(values.tolist())
    spread = float(np.ptp(np.quantile(values, [0.05, 0.95])))
    net = abs(end - start) / spread if spread > 0 else 0.0
    found: dict[str, Any] = {
        "start": start,
        "end": end,
        "top": float(values.max()),
        "net": net,
        "n_points": len(values),
    }
    for rule in RULES:
        found[rule] = _move(chosen, series, phases, rule, found, log_answers)
    steps = _steps(chosen, series)
    found["line"] = _line(steps, phases)
    knees = find_knees(steps, values.tolist()) if found["change_point"]["step"] is not None else None
    found["rises"] = None if knees is None else knees.slopes[knees.steepest] > 0
    return found


def _steps(chosen: pd.DataFrame, series: Series) -> list[int]:
    """Those at which the curve has a value in its scale."""
    values = pd.to_numeric(chosen[series.column], errors="coerce")
    return chosen["step"][values > 0 if series.log else values.notna()].tolist()


def _line(steps: list[int], phases: Phases) -> float | None:
    """Where a straight line over these steps passes half of its way to its plateau."""
    table = pd.DataFrame({"step": steps, "value": [float(step) for step in steps]})
    middle = (steps[0] + plateau(steps)) / 2
    row = lead_of(table, Series("a straight line", "value"), middle, phases)
    return None if row["step"] is None else (row["after"] + row["until"]) / 2


def _after_memorization(table: pd.DataFrame, series: Series, phases: Phases) -> pd.DataFrame:
    chosen = table[table["step"] >= (phases.memorization_step or 0)]
    for column, wanted in series.where.items():
        chosen = chosen[chosen[column] == wanted]
    return chosen.sort_values("step")


def _move(
    chosen: pd.DataFrame, series: Series, phases: Phases, rule: Rule, about: dict[str, Any], log_answers: float
) -> dict[str, Any]:
    nothing: dict[str, Any] = {"step": None, "after": None, "until": None}
    if rule == "change_point":
        row = lead_of(chosen, replace(series, threshold=None), None, phases)
        begins = str(row["rule"]).endswith("begins")
        if row["step"] is not None and not begins:
            return nothing | {"why_not": "steepest from memorisation on"}
        return row if row["step"] is not None else nothing | {"why_not": row["note"]}
    if rule == "half_way":
        if about["net"] < 0.5:
            return nothing | {"why_not": "comes back"}
        middle = (about["start"] + about["end"]) / 2
        row = lead_of(chosen, series, math.exp(middle) if series.log else middle, phases)
    else:
        if series.threshold is None:
            return nothing | {"why_not": "no threshold declared"}
        scale = log_answers if series.unit == "log_answers" else 1.0
        row = lead_of(chosen, series, series.threshold * scale, phases)
    return row if row["step"] is not None else nothing | {"why_not": row["note"]}
