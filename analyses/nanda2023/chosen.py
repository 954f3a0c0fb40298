"""What the claims of this folder look at: the mainline, the seeds that generalised, the runs with all three phases."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analyses.study import Tables

ORDER = ("memorization", "circuit formation", "cleanup")

ENOUGH = 3
"""Seeds without which nothing is said of all seeds."""

TOO_FEW = f"fewer than {ENOUGH} seeds generalised"


def mainline(tables: Tables) -> pd.Series:
    """The row of the mainline run."""
    table = tables["runs"]
    rows = table[table["recipe"] == "mainline"]
    if rows.empty:
        raise KeyError("runs of mainline")
    return rows.iloc[0]


def seeds(tables: Tables) -> tuple[pd.DataFrame, str]:
    """The rows of the seeds that generalised, and how many of how many that are."""
    table = tables["runs"]
    table = table[table["recipe"] == "seeds"]
    rows = table[table["generalization_step"].notna()]
    return rows, f"{len(rows)} of {len(table)} seeds generalised"


def if_grokked(row: pd.Series, holds: bool) -> bool | None:
    """A run that never generalised tells nothing about the circuit."""
    return bool(holds) if pd.notna(row["generalization_step"]) else None


def together(found: list[bool | None]) -> bool | None:
    """Of all runs: False where one is False, else None where one cannot be told."""
    if False in found:
        return False
    return None if None in found or not found else True


def formed(tables: Tables) -> Iterator[tuple[str, pd.DataFrame, pd.Series, dict[str, Any]]]:
    """Each run with all three phases: its name, checkpoints, row, and the ends of the phases."""
    for _, row in tables["runs"].iterrows():
        chosen = {
            name: table[(table["recipe"] == row["recipe"]) & (table["seed"] == row["seed"])]
            for name, table in (("phases", tables["phases"]), ("progress", tables["progress"]))
        }
        ends = chosen["phases"].set_index("phase")["end"].to_dict()
        if set(ORDER) <= set(ends):
            yield f"{row['recipe']} {row['seed']}", chosen["progress"], row, ends


def of_all(tables: Tables, n: int) -> str:
    """How many of the runs have all three phases."""
    return f"{n} of {len(tables['runs'])} runs have all phases"


def step(value: float) -> str:
    """A step, in words."""
    return "never" if pd.isna(value) else f"{value:,.0f}"
