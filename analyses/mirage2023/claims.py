"""What was found about each claim of expected.json, from the tables alone."""

import numpy as np
import pandas as pd

from analyses.judging import claims_in
from analyses.study import Answer, Tables
from grokinterp.cohort import bootstrap

CONTROLS = ("accuracy_power_2", "accuracy_power_10")
CONTINUOUS = ("p_correct", "brier", "reciprocal_rank", "rank", "circular_error")
"""Scores that are bounded, as accuracy is."""


def width_ratios(tables: Tables) -> pd.DataFrame:
    """Runs and scores that have a transition, with width / accuracy's width."""
    table = tables["transitions"]
    return table[table["width_ratio"].notna() & (table["width_ratio"] > 0)]


def accuracy_exaggerates(tables: Tables, *, factor: float) -> Answer:
    """The median width of every bounded continuous score is at least `factor` times accuracy's."""
    found = _intervals(tables, CONTINUOUS)
    return Answer(_sentence(found), all(low is not None and low >= factor for _, low, _ in found.values()))


def control_is_sharper(tables: Tables, *, expected: float, tolerance: float) -> Answer:
    """accuracy^10 is sharper than accuracy, by about what a logistic curve gives."""
    value, low, high = _intervals(tables, CONTROLS)["accuracy_power_10"]
    ours = f"{value:.2f} ({low:.2f} to {high:.2f}) of accuracy's width; a logistic curve gives {expected:.2f}"
    return Answer(ours, bool(high < 1 and abs(value - expected) <= tolerance))


def sharp_on_the_run(tables: Tables, *, share: float) -> Answer:
    """Continuous scores, too, change within a part of the time up to their midpoint: width / midpoint below `share`."""
    table = width_ratios(tables)
    parts = {}
    for name in ("accuracy", *CONTINUOUS):
        rows = table[table["metric"] == name]
        parts[name] = float((rows["width_steps"] / rows["midpoint"]).median())
    ours = ", ".join(f"{name} {value:.2f}" for name, value in parts.items())
    return Answer(ours, all(value <= share for name, value in parts.items() if name != "accuracy"))


def delay_survives(tables: Tables) -> Answer:
    """With p(correct) in place of accuracy, the midpoint on the test pairs is still far behind memorisation."""
    table = width_ratios(tables)
    runs = tables["runs"].set_index("run")["memorization_step"]
    memorised = float(runs.median())
    late = {name: float(table[table["metric"] == name]["midpoint"].median()) for name in ("accuracy", *CONTINUOUS)}
    ours = f"memorised at {memorised:,.0f}; midpoints " + ", ".join(f"{name} {v:,.0f}" for name, v in late.items())
    return Answer(ours, all(value >= 5 * memorised for value in late.values()))


def _intervals(tables: Tables, names: tuple[str, ...]) -> dict[str, tuple[float, float | None, float | None]]:
    """Median width ratio over runs with its bootstrap interval, by score."""
    table, found = width_ratios(tables), {}
    for name in names:
        values = table[table["metric"] == name]["width_ratio"].tolist()
        estimate = bootstrap(values)
        found[name] = (estimate.value if estimate.value is not None else np.nan, estimate.low, estimate.high)
    return found


def _sentence(found: dict[str, tuple[float, float | None, float | None]]) -> str:
    return ", ".join(
        f"{name} {value:.2f}" + ("" if low is None or high is None else f" ({low:.2f} to {high:.2f})")
        for name, (value, low, high) in found.items()
    )


CLAIMS = claims_in(globals(), __name__)
