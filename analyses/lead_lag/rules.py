"""When a curve leads or lags, from the summary alone; claims and figures judge by the same functions."""

import pandas as pd

from analyses.lead_lag.curves import CIRCUIT, OPEN, REFERENCE
from analyses.study import Tables

NAMED = ("restricted loss (all)", "restricted loss (own K)", "restricted loss (random K)")
"""Curves of which it was asked beforehand whether they lead."""


def of_all(tables: Tables, rule: str) -> pd.DataFrame:
    """The rows of a rule over all tasks, without the test accuracy's own."""
    table = tables["summary"]
    return table[(table["group"] == "all") & (table["rule"] == rule) & (table["curve"] != REFERENCE)]


def reference_moves(tables: Tables) -> bool:
    """Whether the test accuracy itself is half-way somewhere in at least half of the runs."""
    table = tables["summary"]
    own = table[(table["group"] == "all") & (table["rule"] == "half_way") & (table["curve"] == REFERENCE)]
    return bool(_mostly(own).any())


def leads(row: pd.Series) -> bool:
    """Half-way before the test accuracy in most runs, the 95 % interval above 0: one curve, named beforehand."""
    return bool(row["n_compared"] >= row["n_runs"] / 2 and row["head_start_low"] > 0)


def leading_by_name(tables: Tables) -> list[str]:
    """Those of `NAMED` that lead by the rule for a single curve."""
    rows = of_all(tables, "half_way")
    return [row["curve"] for _, row in rows[rows["curve"].isin(NAMED)].iterrows() if leads(row)]


def leading(tables: Tables) -> list[str]:
    """Of the curves of weights and training pairs those that lead, the one with the largest head start first.

    In most runs, and before the test accuracy and a straight line at the same checkpoints too, by intervals that hold
    for all curves at once.
    """
    rows = of_all(tables, "half_way")
    early = (rows["head_start_sure_low"] > 0) & (rows["beyond_line_sure_low"] > 0)
    rows = rows[(rows["needs"] == OPEN) & _mostly(rows) & early]
    return rows.sort_values("head_start", ascending=False)["curve"].tolist()


def lagging(tables: Tables) -> list[str]:
    """Of the curves of the circuit those that lag, in most runs, by such an interval; the latest first."""
    rows = of_all(tables, "half_way")
    rows = rows[rows["curve"].isin(CIRCUIT) & _mostly(rows) & (rows["head_start_sure_high"] < 0)]
    return rows.sort_values("head_start")["curve"].tolist()


def _mostly(rows: pd.DataFrame) -> pd.Series:
    return rows["n_compared"] >= rows["n_runs"] / 2
