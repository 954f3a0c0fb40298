"""The tables of this folder, from its runs."""

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import grokinterp as gi
from analyses.lead_lag.curves import REFERENCE, Curve, curves, measure_run
from analyses.lead_lag.intervals import by_task
from analyses.lead_lag.moves import RULES, moves_of
from analyses.rows import outcomes
from analyses.study import Study
from grokinterp.cohort import Estimate, bootstrap

RECIPES = ("operations", "group", "controls")
RESAMPLES = 1999
MOVED = 0.5
"""A control's curve moves if its net change, up or down, is this share of the median one in runs that generalise."""

SIZES = ("lead", "lead_share", "head_start", "beyond_line")
JUDGED = ("head_start", "beyond_line")
"""Of these, half-way, an interval is given that holds for all curves at once."""


@cache
def leads(study: Study) -> pd.DataFrame:
    """Each curve of each run under each rule: when it moved, and how long before the grokking point that was."""
    rows = [row for variant, run in _runs(study) for curve in curves() for row in _rows(variant, run, curve)]
    return pd.DataFrame(rows)


def _runs(study: Study) -> Iterator[tuple[str, gi.Run]]:
    for recipe in RECIPES:
        for run in study.trained(recipe):
            measure_run(run)
            yield study.variant(recipe, run), run


def _rows(variant: str, run: gi.Run, curve: Curve) -> list[dict[str, Any]]:
    """Empty where the measure has no meaning for the run, or says what another one says already."""
    table = run.table_or_none(curve.table)
    cyclic = run.task.coordinates is not None
    if table is None or (cyclic and curve.measure == "group_representations"):
        return []
    phases = run.phases
    found = moves_of(table, curve.series, phases, math.log(run.task.n_answers))
    if found is None:
        return []
    about = {"variant": variant, "seed": run.config.model.init_seed, "curve": curve.series.label}
    return rule_rows(about, found)


def rule_rows(about: dict[str, Any], found: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a rule, from what `moves_of` found; line with half_way and rises with change_point alone."""
    values = {name: found[name] for name in ("start", "end", "top", "net", "n_points")}
    rows = []
    for rule in RULES:
        move = found[rule]
        times = {name: move.get(name) for name in ("after", "step", "until")}
        times["line"] = found["line"] if rule == "half_way" else None
        ends = {f"lead{end}": move.get(f"lead_generalization{end}") for end in ("", "_low", "_high")}
        rises = found["rises"] if rule == "change_point" else None
        rows.append(about | {"rule": rule} | times | ends | values | {"rises": rises, "why_not": move.get("why_not")})
    return rows


def runs(study: Study) -> pd.DataFrame:
    """One row a run; its kind is what it was trained for."""
    table = outcomes(study, *RECIPES)
    return table if table.empty else table.assign(delay=table["generalization_step"] - table["memorization_step"])


def summary(study: Study) -> pd.DataFrame:
    """Medians over runs with bootstrap intervals, by curve and rule, over all operations and for each."""
    return summarize(leads(study), runs(study))


def summarize(leads: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """One row a curve, a rule and a group of runs that generalised; the group "all" has every task.

    lead_share: lead / grokking delay; 0 at the grokking point, 1 where train accuracy came.
    head_start: how many steps before the test accuracy's own move (same rule, same run), over the delay; both moves
        in the middle of the checkpoints that they lie between, so that sparse ones are not late.
    beyond_line: the same before the half-way point of a straight line at the curve's checkpoints; line_head_start:
        the median head start of that line.
    *_low, *_high: 95 % intervals, over tasks and their runs for "all", BCa over runs for one task.
    *_sure_low, *_sure_high: at 1 - .05 / curves compared, half-way and for "all" only.
    n_runs: runs in which the curve has a meaning; n_moved: with a move; n_compared: with a head start.
    resolution: median of until - after.
    """
    if leads.empty:
        return pd.DataFrame()
    found = with_shares(leads, runs)
    found = found[found["generalization_step"].notna() & (found["recipe"] != "controls")]
    n_curves = found[found["curve"] != REFERENCE]["curve"].nunique()
    groups = [("all", found), *((str(name), rows) for name, rows in found.groupby("variant", sort=False))]
    needs = {curve.series.label: (curve.measure, curve.needs) for curve in curves()}
    rows = []
    for group, members in groups:
        for (curve, rule), one in members.groupby(["curve", "rule"], sort=False):
            row = {"group": group, "curve": curve, "measure": needs[curve][0], "needs": needs[curve][1], "rule": rule}
            row |= _medians(one[one["step"].notna()], pooled=group == "all") | {"n_runs": len(one)}
            if group == "all" and rule == "half_way":
                row |= _sure(one, 1 - 0.05 / max(n_curves, 1))
            rows.append(row)
    return pd.DataFrame(rows)


def _medians(moved: pd.DataFrame, *, pooled: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"n_moved": len(moved), "n_compared": int(moved["head_start"].notna().sum())}
    row["resolution"] = (moved["until"] - moved["after"]).median() if len(moved) else None
    row["line_head_start"] = moved["line_head_start"].median() if len(moved) else None
    for name in SIZES:
        if pooled:
            estimate = by_task(moved[name], moved["variant"], n_resamples=RESAMPLES)
        else:
            estimate = bootstrap(_known(moved[name]), n_resamples=RESAMPLES)
        row |= _interval(name, estimate)
    return row


def _sure(one: pd.DataFrame, level: float) -> dict[str, float]:
    row: dict[str, float] = {}
    for name in JUDGED:
        found = _interval(f"{name}_sure", by_task(one[name], one["variant"], level=level))
        row |= {end: found[end] for end in found if end != f"{name}_sure"}
    return row


def _interval(name: str, estimate: Estimate) -> dict[str, float]:
    ends = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {end: math.nan if value is None else value for end, value in ends.items()}


def with_shares(leads: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Leads with their run's recipe and events, lead_share, and the head starts of the curve and of its line."""
    events = runs[["recipe", "variant", "seed", "memorization_step", "generalization_step", "delay"]]
    found = leads.merge(events, on=["variant", "seed"])
    found[["after", "until", "line"]] = found[["after", "until", "line"]].apply(pd.to_numeric)
    found = found.assign(middle=(found["after"] + found["until"]) / 2)
    own = found[found["curve"] == REFERENCE][["variant", "seed", "rule", "middle"]]
    found = found.merge(own.rename(columns={"middle": "own"}), on=["variant", "seed", "rule"], how="left")
    return found.assign(
        lead_share=found["lead"] / found["delay"],
        head_start=(found["own"] - found["middle"]) / found["delay"],
        beyond_line=(found["line"] - found["middle"]) / found["delay"],
        line_head_start=(found["own"] - found["line"]) / found["delay"],
    )


def _known(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in values]


def controls(study: Study) -> pd.DataFrame:
    """What each curve does in networks that only memorise, beside what it does in those that generalise."""
    return compare_controls(leads(study), runs(study))


def compare_controls(leads: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """One row a curve and a kind of control.

    change: median over the runs of (end - start) over the median of those of x+y that generalised; 1: as much.
    n_moved: runs with a net change of at least MOVED of that, in either direction; n_change_points: of them, with a
        change point. All null where no run of x+y generalised or the curve changes by nothing there.
    """
    if leads.empty:
        return pd.DataFrame()
    one = leads[leads["rule"] == "change_point"].merge(
        runs[["recipe", "variant", "seed", "generalization_step"]], on=["variant", "seed"]
    )
    one = one.assign(change=one["end"] - one["start"])
    grokked = one[(one["variant"] == "add") & one["generalization_step"].notna()]
    typical = grokked.groupby("curve")["change"].median()
    rows = []
    memorised = one[(one["recipe"] == "controls") & one["generalization_step"].isna()]
    for (curve, variant), members in memorised.groupby(["curve", "variant"], sort=False):
        usual = typical.get(curve, 0.0)
        shares = members["change"] / usual if usual else pd.Series(np.nan, index=members.index)
        estimate = bootstrap(_known(shares), n_resamples=RESAMPLES)
        moved = members[shares.abs() >= MOVED]
        known = estimate.value is not None
        row = {"curve": curve, "control": variant, "n_runs": len(members), "n_moved": len(moved) if known else None}
        row["n_change_points"] = int(moved["step"].notna().sum()) if known else None
        rows.append(row | _interval("change", estimate))
    return pd.DataFrame(rows)


TABLES = {"runs": runs, "leads": leads, "summary": summary, "controls": controls}
