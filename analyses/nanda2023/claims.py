"""What was found about each claim of expected.json, from the tables alone."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from analyses.judging import claims_in
from analyses.study import Answer, Tables

ORDER = ("memorization", "circuit formation", "cleanup")


def drawn_by_eye() -> dict[str, int]:
    """Where the paper's phases of the mainline run end, from expected.json."""
    entries = json.loads((Path(__file__).parent / "expected.json").read_text(encoding="utf-8"))
    (entry,) = [entry for entry in entries if entry["id"] == "boundaries"]
    return dict(zip(ORDER, entry["ends"], strict=True))


def key_frequencies(tables: Tables, *, low: int, high: int) -> Answer:
    """The mainline's number of key frequencies, W_L rule."""
    row = _mainline(tables)
    return Answer(f"{row['n_keys']}: {row['keys']}", _if_grokked(row, low <= row["n_keys"] <= high))


def key_frequencies_of_seeds(tables: Tables, *, low: int, high: int) -> Answer:
    """The other seeds' numbers of key frequencies."""
    rows = _seeds(tables)
    ours = "; ".join(f"{row['n_keys']}: {row['keys']}" for _, row in rows.iterrows())
    return Answer(ours, None if rows.empty else bool(rows["n_keys"].between(low, high).all()))


def seeds_choose_other_frequencies(tables: Tables) -> Answer:
    """No two seeds have the same key frequencies."""
    rows = _seeds(tables)
    ours = "; ".join(rows["keys"])
    return Answer(ours, None if len(rows) < 2 else rows["keys"].nunique() == len(rows))


def logits_are_cosines(tables: Tables, *, fve: float) -> Answer:
    """Share of the logits' power in the key cosines of a + b - c."""
    row = _mainline(tables)
    return Answer(f"{row['cosine_fve']:.4f}", _if_grokked(row, row["cosine_fve"] >= fve))


def neurons_of_one_frequency(tables: Tables, *, share: float, tolerance: float) -> Answer:
    """Neurons with 85 % of their energy in one frequency."""
    row = _mainline(tables)
    ours = f"{row['pure_neurons']:.1%} of the neurons, with {row['pure_energy']:.1%} of the neurons' energy"
    note = "counted by post-ReLU energy over all pairs; many of the others are nearly unused"
    return Answer(ours, _if_grokked(row, abs(row["pure_neurons"] - share) <= tolerance), note)


def neuron_map_is_sparse(tables: Tables, *, residual: float) -> Answer:
    """Share of |W_L|^2 outside the key frequencies; the constant is left out."""
    row = _mainline(tables)
    return Answer(f"{row['W_L_residual']:.2%}", _if_grokked(row, row["W_L_residual"] < residual))


def attention_of_one_frequency(tables: Tables, *, lowest: float) -> Answer:
    """Attention from = to a: of each head, the best frequency's share of its variance over the pairs."""
    rows = tables["attention"]
    ours = ", ".join(f"k = {row['k']:.0f}: {row['k_share']:.2%}" for _, row in rows.iterrows())
    return Answer(ours, _if_grokked(_mainline(tables), bool((rows["k_share"] >= lowest).all())))


def projection_helps(tables: Tables) -> Answer:
    """Keeping the key components alone lowers the loss over all pairs, by sum directions and by 3x3 blocks."""
    row, table = _mainline(tables), tables["keep_sets"]
    table = table[(table["keys"] == "last") & (table["space"] == "logits") & (table["split"] == "all")]
    losses = table.set_index("keep_set")["restricted_loss"]
    ours = f"full loss {row['full_all']:.3g}; " + ", ".join(f"{name} {loss:.3g}" for name, loss in losses.items())
    kept = losses[["sum_directions", "blocks_3x3"]]
    return Answer(ours, _if_grokked(row, bool((kept < row["full_all"]).all())))


def every_key_frequency_is_used(tables: Tables) -> Answer:
    """Without the neurons of any one key frequency the loss rises at least tenfold."""
    table = tables["without_neurons"]
    whole = table[table["k"].isna()]["loss"].iloc[0]
    rows = table[table["k"].notna()]
    ours = f"as it is {whole:.2g}; " + ", ".join(f"k = {row['k']:.0f}: {row['loss']:.2g}" for _, row in rows.iterrows())
    return Answer(ours, _if_grokked(_mainline(tables), bool((rows["loss"] >= 10 * whole).all())))


def ablation_is_worse_than_chance(tables: Tables, *, low: float, high: float) -> Answer:
    """The loss over all pairs without the key frequencies, beside that of a random set."""
    row = _mainline(tables)
    ours = f"{row['excluded_all']:.2f}; a random set of as many: {row['excluded_all_random']:.2g}"
    return Answer(ours, _if_grokked(row, low <= row["excluded_all"] <= high))


def gini_in_range(tables: Tables, *, embedding: list[float], neuron_map: list[float]) -> Answer:
    """Gini coefficients of the Fourier norms of W_E and W_L at the end."""
    row = _mainline(tables)
    inside = embedding[0] <= row["gini_W_E"] <= embedding[1] and neuron_map[0] <= row["gini_W_L"] <= neuron_map[1]
    return Answer(f"W_E {row['gini_W_E']:.3f}, W_L {row['gini_W_L']:.3f}", _if_grokked(row, inside))


def criteria_hold(tables: Tables) -> Answer:
    """The claims of analyses/circuit_criteria, taken together, about the mainline's last network."""
    rows = tables["criteria"]
    rows = rows[rows["recipe"] == "mainline"]
    missed = rows[~rows["holds"].astype(bool)]
    ours = f"{len(rows) - len(missed)} of {len(rows)}"
    note = "; ".join(f"not: {row['claim']} ({row['value']})" for _, row in missed.iterrows())
    return Answer(ours, _if_grokked(_mainline(tables), missed.empty), note)


def replications(tables: Tables, *, train: int, test: list[int], factor: float) -> Answer:
    """Steps to 99 % train accuracy and to 95 % test accuracy, within a factor of those that others report."""
    row = _mainline(tables)
    ours = f"train 99 % at {_step(row['memorization_step'])}, test 95 % at {_step(row['generalization_95_step'])}"
    if pd.isna(row["generalization_95_step"]):
        return Answer(ours, False, "the run ended before")
    close = train / factor <= row["memorization_step"] <= train * factor
    return Answer(ours, bool(close and min(test) / factor <= row["generalization_95_step"] <= max(test) * factor))


def three_phases(tables: Tables) -> Answer:
    """Memorisation, circuit formation and cleanup in this order, in every run that generalised."""
    runs, table = tables["runs"], tables["phases"]
    grokked = runs[runs["generalization_step"].notna()]
    names = table.groupby(["recipe", "seed"], sort=False)["phase"].agg(list)
    found = [tuple(names[row["recipe"], row["seed"]][:3]) for _, row in grokked.iterrows()]
    ours = f"{sum(one == ORDER for one in found)} of {len(found)} runs that generalised, of {len(runs)}"
    return Answer(ours, None if not found else all(one == ORDER for one in found))


def boundaries(tables: Tables, *, ends: list[int], factor: float) -> Answer:
    """The ends of the mainline's phases by rule, each within a factor of where the paper drew them."""
    table = tables["phases"]
    table = table[(table["recipe"] == "mainline") & table["phase"].isin(ORDER)]
    if len(table) < len(ORDER):
        return Answer("the mainline run has not all of them", None)
    found = table.set_index("phase")["end"].loc[list(ORDER)].tolist()
    ours = ", ".join(f"{name} ends at {end:,}" for name, end in zip(ORDER, found, strict=True))
    close = [drawn / factor <= end <= drawn * factor for drawn, end in zip(ends, found, strict=True)]
    off = [name for name, near in zip(ORDER, close, strict=True) if not near]
    note = f"not within a factor of {factor:g}: {', '.join(off)}" if off else ""
    return Answer(ours, all(close), note)


def memorization_ends_at_the_peak(tables: Tables, *, step: int, tolerance: float) -> Answer:
    """The test loss of the mainline peaks where the paper drew the end of memorisation."""
    row = _mainline(tables)
    if pd.isna(row["test_loss_peak_step"]):
        return Answer("no double descent", None)
    peak = float(row["test_loss_peak_step"])
    ours = f"peak at {peak:,.0f}; train accuracy is 99 % at {_step(row['memorization_step'])}"
    return Answer(ours, bool(abs(peak - step) <= tolerance * step))


def circuit_forms_before_the_jump(tables: Tables) -> Answer:
    """The restricted loss passes half of log p before test accuracy passes one half, in every run, interval and all."""
    rows = tables["runs"]
    rows = rows[rows["half_accuracy_step"].notna()]
    ours = "; ".join(
        f"{row['recipe']} {row['seed']}: {_step(row['restricted_step'])}, by {_step(row['restricted_lead'])} steps "
        f"({_step(row['restricted_lead_low'])} to {_step(row['restricted_lead_high'])})"
        for _, row in rows.iterrows()
    )
    return Answer(ours, None if rows.empty else bool((rows["restricted_lead_low"] > 0).all()))


def excluded_rises_in_formation(tables: Tables, *, share: float) -> Answer:
    """The excluded loss on the training pairs is past `share` of log p when cleanup begins, in every run."""
    texts, holds = [], []
    for name, progress, row, ends in _formed(tables):
        bar = share * math.log(row["p"])
        at_end = float(np.interp(ends["circuit formation"], progress["step"], progress["excluded_train"]))
        after = progress[progress["step"] >= row["memorization_step"]]
        low = after["excluded_train"].cummin() < bar  # it starts above, where the network has learned nothing yet
        passed = after[low & (after["excluded_train"] >= bar)]["step"]
        when = f"{passed.iloc[0]:,.0f}" if len(passed) else "never"
        texts.append(f"{name}: {at_end:.2g} at {ends['circuit formation']:,}, passes {bar:.2f} at {when}")
        holds.append(at_end >= bar)
    return Answer("; ".join(texts) or "no run generalised", all(holds) if holds else None)


def weights_fall_in_cleanup(tables: Tables) -> Answer:
    """The sum of squared weights falls faster, per step, in cleanup than before and after it, in every run."""
    return _fastest_in_cleanup(tables, "sum_of_squares", falls=True)


def spectra_sharpen_in_cleanup(tables: Tables) -> Answer:
    """The Gini coefficient of W_L's Fourier norms rises faster, per step, in cleanup than before and after it."""
    return _fastest_in_cleanup(tables, "gini_W_L", falls=False)


def embedding_sharpens_in_cleanup(tables: Tables) -> Answer:
    """The same of W_E."""
    return _fastest_in_cleanup(tables, "gini_W_E", falls=False)


def _fastest_in_cleanup(tables: Tables, column: str, *, falls: bool) -> Answer:
    texts, holds = [], []
    for name, progress, row, ends in _formed(tables):
        marks = [row["memorization_step"], ends["circuit formation"], ends["cleanup"], row["last_step"]]
        known = progress[progress[column].notna()]
        values = np.interp(marks, known["step"], known[column])
        rates = 1000 * np.diff(values) / np.maximum(np.diff(marks), 1) * (-1 if falls else 1)
        texts.append(f"{name}: " + ", ".join(f"{rate:.3g}" for rate in rates))
        holds.append(rates[1] > max(rates[0], rates[2]))
    what = "fall" if falls else "rise"
    ours = f"{what} per 1,000 steps in formation, cleanup, after: {'; '.join(texts)}" if texts else "no run generalised"
    return Answer(ours, all(holds) if holds else None)


def _formed(tables: Tables):  # noqa: ANN202
    """Each run with all three phases: its name, checkpoints, row, and the ends of the phases."""
    for _, row in tables["runs"].iterrows():
        chosen = {
            name: table[(table["recipe"] == row["recipe"]) & (table["seed"] == row["seed"])]
            for name, table in (("phases", tables["phases"]), ("progress", tables["progress"]))
        }
        ends = chosen["phases"].set_index("phase")["end"].to_dict()
        if set(ORDER) <= set(ends):
            yield f"{row['recipe']} {row['seed']}", chosen["progress"], row, ends


def _mainline(tables: Tables) -> pd.Series:
    table = tables["runs"]
    rows = table[table["recipe"] == "mainline"]
    if rows.empty:
        raise KeyError("runs of mainline")
    return rows.iloc[0]


def _seeds(tables: Tables) -> pd.DataFrame:
    table = tables["runs"]
    return table[(table["recipe"] == "seeds") & table["generalization_step"].notna()]


def _if_grokked(row: pd.Series, holds: bool) -> bool | None:
    """A run that never generalised tells nothing about the circuit."""
    return bool(holds) if pd.notna(row["generalization_step"]) else None


def _step(value: float) -> str:
    return "never" if pd.isna(value) else f"{value:,.0f}"


CLAIMS = claims_in(globals(), __name__)
