"""What was found about each claim of expected.json, from the tables alone."""

import numpy as np
import pandas as pd

from analyses.judging import claims_in
from analyses.lead_lag import rules
from analyses.lead_lag.curves import CIRCUIT, OPEN
from analyses.lead_lag.tables import with_shares
from analyses.study import Answer, Tables

UNKNOWN = "the test accuracy's own half-way point is not known"


def restricted_loss_leads(tables: Tables) -> Answer:
    """The restricted loss is half-way down before the test accuracy is half-way up, K of the run's end.

    In at least half of the runs, the interval of the median head start over tasks and runs above 0.
    """
    return _before(tables, "restricted loss (all)")


def restricted_loss_of_own_keys_leads(tables: Tables) -> Answer:
    """The same with each checkpoint's own key frequencies, which know nothing of the end."""
    return _before(tables, "restricted loss (own K)")


def random_keys_do_not_lead(tables: Tables) -> Answer:
    """The control, a random K of the same size, does not lead by the rule by which the others do."""
    answer = _before(tables, "restricted loss (random K)")
    return Answer(answer.ours, None if answer.holds is None else not answer.holds, answer.note)


def commutator_precedes(tables: Tables, *, share: float) -> Answer:
    """The defect begins to rise before 99 % test accuracy in at least `share` of the runs that have a change point."""
    runs, moved = _rises(tables)
    if runs.empty:
        return Answer("no run generalised", None)
    before = moved[moved["rises"] & (moved["lead"] > 0)]
    ours = f"{len(before)} of the {len(moved)} runs that have a change point, of {len(runs)}"
    if len(before):
        ours += f"; median lead {before['lead'].median():,.0f} steps, {before['lead_share'].median():.0%} of the delay"
    if len(moved) < len(runs) / 2:
        return Answer(ours, None, "fewer than half of the runs have a change point")
    return Answer(ours, len(before) >= share * len(moved))


def commutator_lead_in_steps(tables: Tables, *, low: float, high: float) -> Answer:
    """The median lead of the runs in which the defect has a change point at which it rises, in steps."""
    runs, moved = _rises(tables)
    rising = moved[moved["rises"]]
    if runs.empty or len(rising) < len(runs) / 2:
        return Answer(f"it begins to rise in {len(rising)} of {len(runs)} runs", None)
    lead = rising["lead"].median()
    return Answer(f"{lead:,.0f} steps, the median of {len(rising)} runs of {len(runs)}", bool(low <= lead <= high))


def commutator_is_larger_than_in_controls(tables: Tables, *, factor: float) -> Answer:
    """Its largest value after memorisation, in x+y's median run, over that of networks that only memorise x+y."""
    rows = _of_rule(tables, "commutator defect", "change_point")
    grokked = rows[rows["variant"] == "add"]
    ratios = {}
    for control, members in _memorisers(tables, "commutator defect", "change_point").groupby("variant", sort=False):
        ratios[str(control)] = float(np.exp(grokked["top"].median() - members["top"].median()))
    if grokked.empty or not ratios:
        return Answer("no runs to compare", None)
    ours = ", ".join(f"{control.replace('_', ' ')}: {ratio:.2g} times" for control, ratio in ratios.items())
    return Answer(ours, all(ratio >= factor for ratio in ratios.values()))


def entropy_falls_before(tables: Tables, *, threshold: float) -> Answer:
    """The neurons' spectral entropy falls below the threshold before 99 % test accuracy, in every run.

    Runs in which it was below when they had memorised have nothing left to cross; they are not judged.
    """
    runs = _of_rule(tables, "spectral entropy of the neurons", "declared")
    if runs.empty:
        return Answer("no run generalised", None)
    below = runs["end"] < threshold
    always = below & runs["why_not"].eq("on its final side from the first checkpoint on")
    judged, before = runs[~always], runs[~always & below & runs["lead"].gt(0)]
    controls = _memorisers(tables, "spectral entropy of the neurons", "declared")
    crossed = int((controls["end"] < threshold).sum())
    ours = (
        f"{len(before)} of {len(judged)} runs fall below it before, {int(always.sum())} more were below when they had "
        f"memorised; {crossed} of {len(controls)} networks that only memorise end below"
    )
    if judged.empty:
        return Answer(ours, None, "no run was above when it had memorised")
    return Answer(ours, len(before) == len(judged))


def some_curves_lead(tables: Tables) -> Answer:
    """A curve of weights and training pairs is half-way before the test accuracy is and a straight line would be."""
    found, rows = rules.leading(tables), _half_ways(tables, "needs", {OPEN})
    ours = f"{len(found)} of {len(rows)}: {_by(rows, found, 1)}" if found else f"none of {len(rows)}"
    return _of_many(tables, rows, ours, bool(found))


def most_curves_have_a_change_point(tables: Tables) -> Answer:
    """After memorisation, in at least half of the runs, by `grokinterp.phases.find_knees`."""
    rows = rules.of_all(tables, "change_point")
    often = rows[rows["n_moved"] >= rows["n_runs"] / 2]
    names = ", ".join(f"{row['curve']} {row['n_moved']:.0f}/{row['n_runs']:.0f}" for _, row in often.iterrows())
    ours = f"{len(often)} of {len(rows)}" + (f": {names}" if names else "")
    return Answer(ours, None if rows.empty else len(often) >= len(rows) / 2)


def some_leading_curve_is_still_in_controls(tables: Tables) -> Answer:
    """One of those moves in none of the networks that only memorise: only such a curve could predict."""
    found, table = rules.leading(tables), tables["controls"]
    if not found:
        return Answer("no curve leads", None)
    table = table[table["curve"].isin(found)]
    unknown = set(table[table["change"].isna() | table["n_moved"].isna()]["curve"])
    kinds = tables["controls"]["control"].nunique()
    known = {
        str(curve): (int(rows["n_moved"].sum()), int(rows["n_runs"].sum()))
        for curve, rows in table[~table["curve"].isin(unknown)].groupby("curve")
        if len(rows) == kinds
    }
    if not known:
        return Answer("no controls to compare them with", None)
    still = [curve for curve in found if known.get(curve, (1, 1))[0] == 0]
    ours = "; ".join(f"{curve}: moves in {moved}/{n} controls" for curve, (moved, n) in known.items())
    return Answer(ours, bool(still), f"still: {', '.join(still)}" * bool(still))


def some_curves_lag(tables: Tables) -> Answer:
    """A curve that tells of the circuit is half-way after the test accuracy is, in most runs."""
    found, rows = rules.lagging(tables), _half_ways(tables, "curve", CIRCUIT)
    ours = f"{len(found)} of {len(rows)}: {_by(rows, found, -1)}" if found else f"none of {len(rows)}"
    return _of_many(tables, rows, ours, bool(found))


def _half_ways(tables: Tables, column: str, wanted: set[str]) -> pd.DataFrame:
    rows = rules.of_all(tables, "half_way")
    return rows[rows[column].isin(wanted)]


def _of_many(tables: Tables, rows: pd.DataFrame, ours: str, holds: bool) -> Answer:
    """Not to be told where no curve has an interval."""
    if rows.empty or not rules.reference_moves(tables):
        return Answer(ours, None, UNKNOWN)
    if rows["head_start_sure_low"].isna().all():
        return Answer(ours, None, "too few tasks for an interval")
    return Answer(ours, holds)


def _by(rows: pd.DataFrame, curves: list[str], sign: int) -> str:
    """Each curve with its head start, or how late it is, and the straight line's head start where that matters."""
    said, table = [], rows.set_index("curve")
    for curve in curves:
        row = table.loc[curve]
        line = f", a line {row['line_head_start']:.0%}" if sign > 0 else ""
        said.append(f"{curve} ({sign * row['head_start']:.0%} of the delay{line})")
    return ", ".join(said)


def _before(tables: Tables, curve: str) -> Answer:
    rows = rules.of_all(tables, "half_way")
    rows = rows[rows["curve"] == curve]
    if rows.empty or not rules.reference_moves(tables):
        return Answer("no runs to compare" if rows.empty else "", None, "" if rows.empty else UNKNOWN)
    row = rows.iloc[0]
    ours = f"half-way somewhere in {row['n_compared']:.0f} of {row['n_runs']:.0f} runs"
    if pd.notna(row["head_start"]):
        ours += f", head start {row['head_start']:.0%} of the delay"
    if pd.notna(row["head_start_low"]):
        ours += f" ({row['head_start_low']:.0%} to {row['head_start_high']:.0%})"
    elif row["n_compared"] >= row["n_runs"] / 2:
        return Answer(ours, None, "too few tasks for an interval")
    return Answer(ours, rules.leads(row))


def _rises(tables: Tables) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The commutator defect's rows of the runs that generalised; and of them those that have a change point."""
    runs = _of_rule(tables, "commutator defect", "change_point")
    moved = runs[runs["lead"].notna()]
    return runs, moved.assign(rises=moved["rises"].eq(True))


def _of_rule(tables: Tables, curve: str, rule: str) -> pd.DataFrame:
    """The rows of runs that generalised, controls left out."""
    table = with_shares(tables["leads"], tables["runs"])
    table = table[table["generalization_step"].notna() & (table["recipe"] != "controls")]
    return table[(table["curve"] == curve) & (table["rule"] == rule)]


def _memorisers(tables: Tables, curve: str, rule: str) -> pd.DataFrame:
    """The rows of the controls, but for those that generalised after all."""
    table = with_shares(tables["leads"], tables["runs"])
    table = table[table["generalization_step"].isna() & (table["recipe"] == "controls")]
    return table[(table["curve"] == curve) & (table["rule"] == rule)]


CLAIMS = claims_in(globals(), __name__)
