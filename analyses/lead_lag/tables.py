"""The tables of this folder, from its runs."""

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import grokinterp as gi
from analyses.lead_lag.curves import REFERENCE, Curve, curves, measure_run
from analyses.lead_lag.moves import RULES, moves_of
from analyses.rows import outcomes
from analyses.study import Study
from grokinterp.cohort import bootstrap

RECIPES = ("operations", "group", "controls")
RESAMPLES = 1999
MOVED = 0.5
"""A control's curve moves if its net change is this share of the median one in runs that generalise."""


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
    values = {name: found[name] for name in ("start", "end", "top", "net", "n_points")}
    rows = []
    for rule in RULES:
        move = found[rule]
        times = {name: move.get(name) for name in ("after", "step", "until")}
        ends = {f"lead{end}": move.get(f"lead_generalization{end}") for end in ("", "_low", "_high")}
        rows.append(about | {"rule": rule} | times | ends | values | {"why_not": move.get("why_not")})
    return rows


def runs(study: Study) -> pd.DataFrame:
    """One row a run; its kind is what it was trained for."""
    table = outcomes(study, *RECIPES)
    return table if table.empty else table.assign(delay=table["generalization_step"] - table["memorization_step"])


def summary(study: Study) -> pd.DataFrame:
    """Medians over runs with bootstrap intervals, by curve and rule, over all operations and for each."""
    return summarize(leads(study), runs(study))


def summarize(leads: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """One row a curve, a rule and a group of runs that generalised.

    lead_share: lead / grokking delay; 0 at the grokking point, 1 where train accuracy came.
    head_start: how many steps before the test accuracy's own move (same rule, same run), over the delay.
    n_runs: runs in which the curve has a meaning; n_moved: with a move; resolution: median of until - after.
    """
    if leads.empty:
        return pd.DataFrame()
    found = with_shares(leads, runs)
    found = found[found["generalization_step"].notna()]
    groups = [("all", found), *((str(name), rows) for name, rows in found.groupby("variant", sort=False))]
    needs = {curve.series.label: (curve.measure, curve.needs) for curve in curves()}
    rows = []
    for group, members in groups:
        for (curve, rule), one in members.groupby(["curve", "rule"], sort=False):
            moved = one[one["step"].notna()]
            row = {"group": group, "curve": curve, "measure": needs[curve][0], "needs": needs[curve][1], "rule": rule}
            row |= {"n_runs": len(one), "n_moved": len(moved)}
            row["resolution"] = (moved["until"] - moved["after"]).median() if len(moved) else None
            for name in ("lead", "lead_share", "head_start"):
                estimate = bootstrap(_known(moved[name]), n_resamples=RESAMPLES)
                row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
            rows.append(row)
    return pd.DataFrame(rows)


def with_shares(leads: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Leads with their run's events, and lead_share and head_start."""
    events = runs[["variant", "seed", "memorization_step", "generalization_step", "delay"]]
    found = leads.merge(events, on=["variant", "seed"])
    own = found[found["curve"] == REFERENCE][["variant", "seed", "rule", "step"]]
    found = found.merge(own.rename(columns={"step": "own"}), on=["variant", "seed", "rule"], how="left")
    return found.assign(
        lead_share=found["lead"] / found["delay"], head_start=(found["own"] - found["step"]) / found["delay"]
    )


def _known(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in values]


def controls(study: Study) -> pd.DataFrame:
    """What each curve does in networks that only memorise, beside what it does in those that generalise."""
    return compare_controls(leads(study), runs(study))


def compare_controls(leads: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """One row a curve and a kind of control.

    change: median over the runs of (end - start) over the median of those of x+y that generalised; 1: as much.
    n_moved: runs with a net change of at least MOVED of that; n_change_points: of them, with a change point.
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
        moved = members[shares >= MOVED]
        row = {"curve": curve, "control": variant, "n_runs": len(members), "n_moved": len(moved)}
        row |= {"n_change_points": int(moved["step"].notna().sum())}
        rows.append(row | {"change": estimate.value, "change_low": estimate.low, "change_high": estimate.high})
    return pd.DataFrame(rows)


TABLES = {"runs": runs, "leads": leads, "summary": summary, "controls": controls}
