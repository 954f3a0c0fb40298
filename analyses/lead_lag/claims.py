"""What was found about each claim of expected.json, from the tables alone."""

import numpy as np
import pandas as pd

from analyses.judging import claims_in
from analyses.lead_lag.curves import REFERENCE
from analyses.lead_lag.tables import with_shares
from analyses.study import Answer, Tables

OPEN = "weights and training pairs"


def restricted_loss_leads(tables: Tables) -> Answer:
    """The restricted loss is half-way down before the test accuracy is half-way up, K of the run's end."""
    return _before(tables, "restricted loss (all)")


def restricted_loss_of_own_keys_leads(tables: Tables) -> Answer:
    """The same with each checkpoint's own key frequencies, which know nothing of the end."""
    return _before(tables, "restricted loss (own K)")


def random_keys_do_not_lead(tables: Tables) -> Answer:
    """For a random K of the same size the restricted loss has no half-way point before the test accuracy's."""
    runs = _of_rule(tables, "restricted loss (random K)", "half_way")
    early = runs[runs["head_start"] > 0]
    return Answer(f"{len(early)} of {len(runs)} runs have one", None if runs.empty else len(early) <= len(runs) / 2)


def commutator_precedes(tables: Tables, *, share: float) -> Answer:
    """The commutator defect's change point lies before 99 % test accuracy in at least `share` of the runs."""
    runs = _of_rule(tables, "commutator defect", "change_point")
    if runs.empty:
        return Answer("no run generalised", None)
    moved = runs[runs["lead"].notna()]
    before = moved[moved["lead"] > 0]
    ours = f"{len(before)} of {len(runs)} runs, {len(moved)} of which have a change point"
    if len(before):
        ours += f"; median lead {before['lead'].median():,.0f} steps, {before['lead_share'].median():.0%} of the delay"
    return Answer(ours, len(before) >= share * len(runs))


def commutator_is_larger_than_in_controls(tables: Tables, *, factor: float) -> Answer:
    """Its largest value after memorisation, in the median run, over that of networks that only memorise."""
    table = tables["leads"]
    rows = table[(table["curve"] == "commutator defect") & (table["rule"] == "change_point")]
    rows = rows.merge(tables["runs"][["recipe", "variant", "seed", "generalization_step"]], on=["variant", "seed"])
    grokked = rows[rows["generalization_step"].notna()]["top"]
    ratios = {}
    for control, members in rows[rows["recipe"] == "controls"].groupby("variant", sort=False):
        ratios[str(control)] = float(np.exp(grokked.median() - members["top"].median()))
    ours = ", ".join(f"{control.replace('_', ' ')}: {ratio:.2g} times" for control, ratio in ratios.items())
    if grokked.empty or not ratios:
        return Answer(ours or "no runs to compare", None)
    return Answer(ours, all(ratio >= factor for ratio in ratios.values()))


def entropy_falls_before(tables: Tables, *, threshold: float) -> Answer:
    """The neurons' spectral entropy falls below the threshold before 99 % test accuracy, in every run."""
    runs = _of_rule(tables, "spectral entropy of the neurons", "declared")
    if runs.empty:
        return Answer("no run generalised", None)
    always = runs["why_not"].eq("on its final side from the first checkpoint on") & (runs["end"] < threshold)
    before = runs["lead"].gt(0)
    controls = _of_rule(tables, "spectral entropy of the neurons", "declared", generalised=False)
    crossed = int((controls["end"] < threshold).sum())
    ours = (
        f"{int(before.sum())} of {len(runs)} runs cross it before, {int(always.sum())} were below when they had "
        f"memorised; {crossed} of {len(controls)} networks that only memorise end below"
    )
    return Answer(ours, bool((before | always).all()))


def some_curves_lead(tables: Tables) -> Answer:
    """A curve drawn from weights and training pairs is half-way before the test accuracy is, interval and all."""
    found = _leading(tables)
    ours = f"{len(found)} of {_n_open(tables)}: {', '.join(found) or 'none'}"
    return Answer(ours, None if tables["summary"].empty else bool(found))


def most_curves_have_a_change_point(tables: Tables) -> Answer:
    """After memorisation, in at least half of the runs, by `grokinterp.phases.find_knees`."""
    rows = _pooled(tables, "change_point")
    often = rows[rows["n_moved"] >= rows["n_runs"] / 2]
    names = ", ".join(f"{row['curve']} {row['n_moved']:.0f}/{row['n_runs']:.0f}" for _, row in often.iterrows())
    ours = f"{len(often)} of {len(rows)}" + (f": {names}" if names else "")
    return Answer(ours, None if rows.empty else len(often) >= len(rows) / 2)


def some_leading_curve_is_still_in_controls(tables: Tables) -> Answer:
    """One of those moves in none of the networks that only memorise: only such a curve could predict."""
    found, table = _leading(tables), tables["controls"]
    if not found:
        return Answer("no curve leads", None)
    moved = {
        curve: f"{int(rows['n_moved'].sum())}/{int(rows['n_runs'].sum())}"
        for curve, rows in table[table["curve"].isin(found)].groupby("curve")
    }
    still = [curve for curve in found if curve in moved and moved[curve].startswith("0/")]
    ours = "; ".join(f"{curve}: moves in {count} controls" for curve, count in moved.items())
    return Answer(ours or "no controls", None if not moved else bool(still), f"still: {', '.join(still)}" * bool(still))


def some_curves_lag(tables: Tables) -> Answer:
    """Curves whose half-way point comes after the test accuracy's, interval and all."""
    rows = _pooled(tables, "half_way")
    late = rows[rows["head_start_high"] < 0].sort_values("head_start")
    ours = f"{len(late)} of {len(rows)}: " + ", ".join(
        f"{row['curve']} ({-row['head_start']:.0%} of the delay)" for _, row in late.iterrows()
    )
    return Answer(ours, None if rows.empty else len(late) > 0)


def _before(tables: Tables, curve: str) -> Answer:
    rows = _pooled(tables, "half_way")
    rows = rows[rows["curve"] == curve]
    if rows.empty or pd.isna(rows["head_start_low"].iloc[0]):
        return Answer("too few runs", None)
    row = rows.iloc[0]
    ours = (
        f"{row['head_start']:.0%} of the delay before ({row['head_start_low']:.0%} to {row['head_start_high']:.0%}), "
        f"{int(row['n_moved'])} of {int(row['n_runs'])} runs"
    )
    return Answer(ours, bool(row["head_start_low"] > 0))


def _leading(tables: Tables) -> list[str]:
    """Curves of weights and training pairs that are half-way before the test accuracy is, in most of the runs."""
    rows = _pooled(tables, "half_way")
    enough = rows["n_moved"] >= rows["n_runs"] / 2
    rows = rows[(rows["needs"] == OPEN) & (rows["head_start_low"] > 0) & enough]
    return rows.sort_values("head_start", ascending=False)["curve"].tolist()


def _n_open(tables: Tables) -> int:
    table = tables["summary"]
    return int(table[(table["group"] == "all") & (table["needs"] == OPEN)]["curve"].nunique())


def _pooled(tables: Tables, rule: str) -> pd.DataFrame:
    table = tables["summary"]
    return table[(table["group"] == "all") & (table["rule"] == rule) & (table["curve"] != REFERENCE)]


def _of_rule(tables: Tables, curve: str, rule: str, *, generalised: bool = True) -> pd.DataFrame:
    table = with_shares(tables["leads"], tables["runs"])
    table = table[table["generalization_step"].notna() == generalised]
    return table[(table["curve"] == curve) & (table["rule"] == rule)]


CLAIMS = claims_in(globals(), __name__)
