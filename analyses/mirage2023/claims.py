"""What was found about each claim of expected.json, from the tables alone."""

import numpy as np
import pandas as pd

from analyses.judging import claims_in
from analyses.study import Answer, Tables
from grokinterp.cohort import bootstrap

CONTROLS = ("accuracy_power_2", "accuracy_power_10")
CONTINUOUS = ("p_correct", "brier", "reciprocal_rank", "rank", "circular_error")
"""Scores that are bounded, as accuracy is."""

MIRRORED = ("x+y", "x*y", "x^2+y^2", "x^2+xy+y^2")
"""Operations in which the mirrored pair b, a has the answer of a, b, so that memorising answers many test pairs."""


def width_ratios(tables: Tables) -> pd.DataFrame:
    """Runs and scores that have a transition, with width / accuracy's width, and whether pairs have mirrored ones."""
    table = tables["transitions"]
    mirrored = tables["runs"].set_index(["variant", "seed"])["operation"].str.split(" mod").str[0].isin(MIRRORED)
    table = table.join(mirrored.rename("mirrored"), on=["variant", "seed"])
    return table[table["width_ratio"].notna() & (table["width_ratio"] > 0)]


def accuracy_exaggerates(tables: Tables, *, factor: float) -> Answer:
    """The median width of every bounded continuous score is at least `factor` times accuracy's."""
    table = width_ratios(tables)
    found = _intervals(table, CONTINUOUS)
    apart = _intervals(table[~table["mirrored"]], CONTINUOUS)
    note = f"without mirrored pairs: {_sentence(apart)}"
    return Answer(_sentence(found), all(low is not None and low >= factor for _, low, _ in found.values()), note)


def control_is_sharper(tables: Tables, *, expected: float, tolerance: float) -> Answer:
    """accuracy^10 is sharper than accuracy, by about what one logistic curve gives.

    Where mirrored pairs are trained on, accuracy has a step at memorisation as well, and is no logistic curve.
    """
    table = width_ratios(tables)
    value, low, high = _intervals(table[~table["mirrored"]], CONTROLS)["accuracy_power_10"]
    every = _intervals(table, CONTROLS)["accuracy_power_10"][0]
    ours = f"{value:.2f} ({low:.2f} to {high:.2f}) of accuracy's width; a logistic curve gives {expected:.2f}"
    note = f"operations without mirrored pairs; {every:.2f} with the others"
    return Answer(ours, bool(high < 1 and abs(value - expected) <= tolerance), note)


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
    runs = tables["runs"]["memorization_step"]
    memorised = float(runs.median())
    late = {name: float(table[table["metric"] == name]["midpoint"].median()) for name in ("accuracy", *CONTINUOUS)}
    ours = f"memorised at {memorised:,.0f}; midpoints " + ", ".join(f"{name} {v:,.0f}" for name, v in late.items())
    return Answer(ours, all(value >= 5 * memorised for value in late.values()))


def _intervals(table: pd.DataFrame, names: tuple[str, ...]) -> dict[str, tuple[float, float | None, float | None]]:
    """Median width ratio over runs with its bootstrap interval, by score."""
    found = {}
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
