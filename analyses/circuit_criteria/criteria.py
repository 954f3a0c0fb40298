"""The criteria, read from the tables of one checkpoint."""

import math
from dataclasses import dataclass

import pandas as pd

import grokinterp as gi

MEASURES = ("accuracy_loss", "embedding_spectrum", "logit_spectrum", "neuron_frequencies", "progress_measures")


@dataclass(frozen=True)
class Criterion:
    """One claim, the value that decides it, and whether it holds."""

    claim: str
    value: str
    holds: bool


def criteria(run: gi.Run, step: int, *, fve: float = 0.95) -> list[Criterion]:
    """The claims for an analyzed run at one checkpoint; all of them together say that the circuit is there.

    Args:
        run: With the tables of MEASURES.
        step: Which checkpoint.
        fve: Least share of the logits' variance in cosines of a + b - c (0.90 for short runs).
    """
    log_n = math.log(run.task.n_answers)
    n_keys = int(_row(run, "embedding_spectrum.keys", step, rule="W_L")["n_keys"])
    cosine = float(_row(run, "logit_spectrum", step)["cosine_fve"])
    neurons = _row(run, "neuron_frequencies", step, k=0)
    pure, energy = float(neurons["share"]), float(neurons["energy_share"])
    found = [
        Criterion("3 to 6 key frequencies", str(n_keys), 3 <= n_keys <= 6),
        Criterion(f"cosine FVE of the logits >= {fve}", f"{cosine:.4f}", cosine >= fve),
        Criterion(
            "80 % of neurons with 85 % in one frequency", f"{pure:.3f} (with {energy:.3f} of the energy)", pure >= 0.8
        ),
    ]
    for keys in ("last", "random"):
        everything = _row(run, "progress_measures", step, keys=keys, split="all")
        restricted, full = float(everything["restricted_loss"]), float(everything["full_loss"])
        excluded = float(_row(run, "progress_measures", step, keys=keys, split="train")["excluded_loss"])
        low, high = restricted < min(0.1 * log_n, full), excluded > log_n
        if keys == "last":
            text = f"{restricted:.3g} (full {full:.3g})"
            found.append(Criterion("restricted loss, all pairs < 0.1 log p and < full loss", text, low))
            found.append(Criterion("excluded loss, train pairs > log p", f"{excluded:.3f}", high))
        else:
            text = f"restricted {restricted:.3g}, excluded {excluded:.3g}"
            found.append(Criterion("neither of the two holds for a random K", text, not low and not high))
    return found


def lead(run: gi.Run) -> dict[str, float | None]:
    """Steps by which the restricted loss passed half of log p before test accuracy passed 0.5, and its interval."""
    leads = run.leads
    rows = leads[(leads["measure"] == "progress_measures") & (leads["column"] == "restricted_loss")]
    (row,) = [row for row in rows.to_dict("records") if row["where"] == {"keys": "last", "split": "all"}]
    names = ("step", "lead_half_accuracy", "lead_half_accuracy_low", "lead_half_accuracy_high")
    return {name: None if row[name] is None or math.isnan(row[name]) else float(row[name]) for name in names}


def _row(run: gi.Run, table: str, step: int, **where: object) -> pd.Series:
    rows = run.table(table)
    for column, wanted in {"step": step, **where}.items():
        rows = rows[rows[column] == wanted]
    (index,) = rows.index
    return rows.loc[index]
