"""What was found about the claims of expected.json that say when something happens, from the tables alone."""

import math

import numpy as np
import pandas as pd

from analyses.nanda2023.chosen import ENOUGH, TOO_FEW, formed, mainline, of_all, seeds, step, together
from analyses.study import Answer, Tables


def replications(tables: Tables, *, train: int, test: list[int], factor: float) -> Answer:
    """Steps to 99 % train accuracy and to 95 % test accuracy, within a factor of those that others report."""
    row = mainline(tables)
    ours = f"train 99 % at {step(row['memorization_step'])}, test 95 % at {step(row['generalization_95_step'])}"
    if pd.isna(row["generalization_95_step"]):
        return Answer(ours, False, "the run ended before")
    close = train / factor <= row["memorization_step"] <= train * factor
    return Answer(ours, bool(close and min(test) / factor <= row["generalization_95_step"] <= max(test) * factor))


def boundaries(tables: Tables, *, ends: dict[str, int], factor: float) -> Answer:
    """The ends of the mainline's phases by rule, each within a factor of where the paper drew them."""
    table = tables["phases"]
    by_rule = table[table["recipe"] == "mainline"].set_index("phase")["end"]
    if not set(ends) <= set(by_rule.index):
        return Answer("the mainline run has not all of them", None)
    ours = ", ".join(f"{name} ends at {by_rule[name]:,}" for name in ends)
    off = [name for name, drawn in ends.items() if not drawn / factor <= by_rule[name] <= drawn * factor]
    note = f"not within a factor of {factor:g}: {', '.join(off)}" if off else ""
    return Answer(ours, not off, note)


def memorization_ends_at_the_peak(tables: Tables, *, end: int, factor: float) -> Answer:
    """The test loss of the mainline peaks within a factor of where the paper drew the end of memorisation."""
    row = mainline(tables)
    peak = row["test_loss_peak_step"]
    ours = f"peak at {step(peak)}; train accuracy is 99 % at {step(row['memorization_step'])}"
    return Answer(ours, _within(peak, end, factor), "no double descent" if pd.isna(peak) else "")


def seeds_peak_alike(tables: Tables, *, end: int, factor: float) -> Answer:
    """The same of every seed that generalised."""
    rows, counted = seeds(tables)
    ours = f"peaks at {', '.join(map(step, rows['test_loss_peak_step']))}; {counted}"
    if len(rows) < ENOUGH:
        return Answer(ours, None, TOO_FEW)
    return Answer(ours, together([_within(peak, end, factor) for peak in rows["test_loss_peak_step"]]))


def _within(found: float, wanted: float, factor: float) -> bool | None:
    return None if pd.isna(found) else bool(wanted / factor <= found <= wanted * factor)


def circuit_forms_before_the_jump(tables: Tables) -> Answer:
    """The restricted loss passes half of log p before test accuracy passes one half, in every run.

    A run whose interval lies on both sides of 0 cannot be told; checkpoints are too far apart for it.
    """
    everything = tables["runs"]
    rows = everything[everything["half_accuracy_step"].notna()]
    texts = [
        f"{row['recipe']} {row['seed']}: {step(row['restricted_step'])}, by {step(row['restricted_lead'])} steps "
        f"({step(row['restricted_lead_low'])} to {step(row['restricted_lead_high'])})"
        for _, row in rows.iterrows()
    ]
    ours = "; ".join([*texts, f"{len(rows)} of {len(everything)} runs pass half accuracy"])
    found = [_leads(row) for _, row in rows.iterrows()]
    unknown = f"{found.count(None)} runs cannot be told: the interval has 0 in it" if None in found else ""
    return Answer(ours, together(found), unknown)


def _leads(row: pd.Series) -> bool | None:
    """Whether the crossing came first: the interval of the lead is open, so that a bound of 0 is enough."""
    if pd.isna(row["restricted_step"]) or row["restricted_lead_high"] <= 0:
        return False
    return True if row["restricted_lead_low"] >= 0 else None


def excluded_rises_in_formation(tables: Tables, *, share: float) -> Answer:
    """The excluded loss on the training pairs, once below `share` of log p, is past it when cleanup begins."""
    texts, holds = [], []
    for name, progress, row, ends in formed(tables):
        bar, end = share * math.log(row["p"]), ends["circuit formation"]
        at_end = float(np.interp(end, progress["step"], progress["excluded_train"]))
        after = progress[progress["step"] >= row["memorization_step"]]
        low = after["excluded_train"].cummin() < bar  # it starts above, where the network has learned nothing yet
        passed = after[low & (after["excluded_train"] >= bar)]["step"]
        when = f"{passed.iloc[0]:,.0f}" if len(passed) else "never"
        texts.append(f"{name}: {at_end:.2g} at {end:,}, passes {bar:.2f} at {when}")
        holds.append(bool(at_end >= bar and low[after["step"] <= end].any()))
    ours = "; ".join([*texts, of_all(tables, len(texts))])
    return Answer(ours, all(holds) if holds else None)


def weights_fall_in_cleanup(tables: Tables) -> Answer:
    """The sum of squared weights falls in cleanup, and faster, per step, than before and after it, in every run."""
    return _fastest_in_cleanup(tables, "sum_of_squares", falls=True)


def spectra_sharpen_in_cleanup(tables: Tables) -> Answer:
    """The Gini coefficient of W_L's Fourier norms rises in cleanup, and faster, per step, than before and after it."""
    return _fastest_in_cleanup(tables, "gini_W_L", falls=False)


def embedding_sharpens_in_cleanup(tables: Tables) -> Answer:
    """The same of W_E."""
    return _fastest_in_cleanup(tables, "gini_W_E", falls=False)


def _fastest_in_cleanup(tables: Tables, column: str, *, falls: bool) -> Answer:
    texts, holds = [], []
    for name, progress, row, ends in formed(tables):
        marks = [row["memorization_step"], ends["circuit formation"], ends["cleanup"], row["last_step"]]
        known = progress[progress[column].notna()]
        values = np.interp(marks, known["step"], known[column])
        rates = 1000 * np.diff(values) / np.maximum(np.diff(marks), 1) * (-1 if falls else 1)
        texts.append(f"{name}: " + ", ".join(f"{rate:.3g}" for rate in rates))
        holds.append(bool(rates[1] > max(rates[0], rates[2], 0)))
    what = f"{'fall' if falls else 'rise'} per 1,000 steps in formation, cleanup, after: "
    ours = "; ".join([what + "; ".join(texts)] * bool(texts) + [of_all(tables, len(texts))])
    return Answer(ours, all(holds) if holds else None)
