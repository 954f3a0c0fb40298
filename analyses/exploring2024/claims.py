"""What was found about each claim of expected.json, from the tables alone."""

import numpy as np
import pandas as pd

from analyses.judging import claims_in
from analyses.study import Answer, Tables

TRANSFORMERS = ("two_layers", "two_layers_simple_encoding", "one_layer", "one_layer_simple_encoding")


LATE = 2.0
"""Grokking: 99 % test accuracy comes at least so many times as late as 99 % train accuracy."""

ONLY_MEMORISED = 0.1
"""Test accuracy at the end below which a network that fits its training pairs has learned nothing else."""


def gap_at(tables: Tables, *, fractions: list[float]) -> Answer:
    """At these shares the two-layer transformer reaches 99 % test accuracy at least twice as late as 99 % train."""
    return _lateness(_of(tables, "two_layers", fractions), LATE)


def late_at_thirty(tables: Tables, *, fraction: float) -> Answer:
    """At the least data the simplified encoding memorises early and generalises, over ten times as late."""
    rows = _of(tables, "one_layer_simple_encoding", [fraction])
    found = _lateness(rows, 10)
    if found.holds and rows["generalization_step"].isna().all():
        return Answer(found.ours, None, "none generalises within the budget, so whether they do later is not known")
    return found


def transformers_grok(tables: Tables) -> Answer:
    """At 30 % every transformer generalises, and at least twice as late as it memorises.

    One that has not within the budget is no evidence against it, and none for it.
    """
    table = tables["architectures"]
    rows = table[table["variant"].isin(TRANSFORMERS) & (table["frac_train"] <= 0.31)]
    seen = rows["generalization_step"] >= LATE * rows["memorization_step"]
    open_ = rows["generalization_step"].isna()
    at_once = rows[~seen & ~open_]
    ours = f"{int(seen.sum())} of {len(rows)} runs"
    note = f"within the budget not told: {_names(rows[open_])}" if open_.any() else ""
    if len(at_once):
        return Answer(ours, False, f"without a delay: {_names(at_once)}")
    return Answer(ours, True if len(rows) and not open_.any() else None, note)


def _lateness(rows: pd.DataFrame, factor: float) -> Answer:
    """Whether every run that memorises generalises at least `factor` times as late.

    A run whose budget ended first counts from when its budget is that long; before, it decides nothing.
    """
    fit = rows[rows["memorization_step"].notna()]
    ratio = fit["generalization_step"].fillna(fit["last_step"]) / fit["memorization_step"]
    early = ratio < factor
    ours = ", ".join(
        f"{f:.0%}: train {_step(t)}, test {_step(g)}"
        for f, t, g in zip(rows["frac_train"], rows["memorization_step"], rows["generalization_step"], strict=True)
    )
    unfit = rows[rows["memorization_step"].isna()]
    note = f"never at 99 % train accuracy, and not counted: {_names(unfit)}" if len(unfit) else ""
    if (early & fit["generalization_step"].notna()).any():
        return Answer(ours, False, note)
    return Answer(ours, True if len(fit) and not early.any() else None, note)


def _names(rows: pd.DataFrame) -> str:
    return ", ".join(rows["run"])


def mlp_does_not_grok(tables: Tables) -> Answer:
    """No MLP goes from 99 % train accuracy to 99 % test accuracy much later."""
    return _no_grokking(tables, ("mlp", "mlp_no_decay", "mlp_embedding"))


def lstm_does_not_grok(tables: Tables) -> Answer:
    """No LSTM does."""
    return _no_grokking(tables, ("lstm20", "lstm128"))


def _no_grokking(tables: Tables, names: tuple[str, ...]) -> Answer:
    table = tables["architectures"]
    rows = table[table["variant"].isin(names)]
    memorised = rows[rows["memorization_step"].notna()]
    grokked = memorised[memorised["generalization_step"] >= LATE * memorised["memorization_step"]]
    parts = []
    for name, found in rows.groupby("variant", sort=False):
        n = int(found["run"].isin(grokked["run"]).sum())
        full = int(found["memorization_step"].notna().sum())
        parts.append(f"{name}: {n} of {len(found)} grok, {full} reach 99 % train accuracy")
    unfit = rows[rows["memorization_step"].isna()]["variant"].unique()
    note = f"never at 99 % train accuracy, so no evidence either way: {', '.join(unfit)}" if len(unfit) else ""
    if memorised.empty:
        return Answer("; ".join(parts), None, note)
    return Answer("; ".join(parts), grokked.empty, note)


def mlp_fails_to_memorize(tables: Tables) -> Answer:
    """The MLP of two layers of 512 is below 100 % train accuracy at the end."""
    rows = tables["architectures"]
    rows = rows[rows["variant"] == "mlp"]
    ours = f"train accuracy {rows['train_accuracy'].min():.3f} to {rows['train_accuracy'].max():.3f}, {len(rows)} runs"
    return Answer(ours, bool((rows["train_accuracy"] < 1).all()) if len(rows) else None)


def adamw_is_best(tables: Tables) -> Answer:
    """Median steps to 99 % test accuracy: AdamW < Adam and the noise variants, wherever one of them gets there."""
    medians = _medians(tables["optimizers"])
    told = medians[np.isfinite(medians).any(axis=1)]
    if told.empty:
        return Answer(_sentence(medians), None, "none of them generalises within the budget")
    holds = told.drop(columns="adamw").gt(told["adamw"], axis=0).all(axis=None)
    silent = ", ".join(f"{share:.0%}" for share in medians.index.difference(told.index))
    return Answer(_sentence(medians), bool(holds), f"at {silent} none does within the budget" if silent else "")


def adam_beats_noise(tables: Tables) -> Answer:
    """The same, Adam against weight noise and update noise."""
    medians = _medians(tables["optimizers"])
    if not np.isfinite(medians.drop(columns="adamw").to_numpy()).any():
        return Answer(_sentence(medians), None, "none of them generalises within the budget")
    others = medians[["weight_noise", "update_noise"]]
    return Answer(_sentence(medians), bool(others.gt(medians["adam"], axis=0).all(axis=None)))


def half_is_the_key(tables: Tables) -> Answer:
    """The delay is largest near half of the pairs: at the middle share longer than at the others.

    Of a run whose budget ended before it generalised only a lower bound is known, and so of a median that it makes.
    """
    table = tables["architectures"]
    rows = table[table["variant"].isin(TRANSFORMERS) & table["memorization_step"].notna()]
    if rows.empty:
        return Answer("", None, "no transformer was trained")
    seen = rows["generalization_step"].notna()
    shares = rows["frac_train"]
    bound = (rows["generalization_step"].where(seen, rows["last_step"]) - rows["memorization_step"]).groupby(shares)
    delays, is_bound = bound.median(), seen.groupby(shares).mean() <= 0.5
    if len(delays) < 3:
        return Answer("", None, "fewer than three shares were tried")
    ours = ", ".join(f"{f:.0%}: {'at least ' if is_bound[f] else ''}{_step(m)}" for f, m in delays.items())
    middle = delays.index[1]
    others = delays.index.drop(middle)
    holds = None
    if (delays[others] < delays[middle]).all() and not is_bound[others].any():
        holds = True
    elif (delays[others] >= delays[middle]).any() and not is_bound[middle]:
        holds = False
    return Answer(f"median delay {ours}", holds, "" if holds is not None else "the budget is too short to tell")


def structure_appears(tables: Tables) -> Answer:
    """The embedding's spectrum gets sparser (Gini) in every network that generalises.

    More so than in any that memorised its training pairs and knows next to none of the test pairs at the end. How the
    weight norm changes is told and not judged: with decay it rises where the initial weights are small.
    """
    table, outcome = tables["mechanism"], tables["architectures"].set_index("run")
    wide = table.pivot(index=["variant", "run"], columns="when", values=["gini_W_E", "sum_of_squares"])
    sparser = (wide["gini_W_E"]["end"] - wide["gini_W_E"]["start"]).dropna()
    norm = wide["sum_of_squares"]["end"] / wide["sum_of_squares"]["start"]
    runs = sparser.index.get_level_values("run")
    grokked = sparser[outcome["generalization_step"].reindex(runs).notna().to_numpy()]
    only_memorised = outcome["memorization_step"].notna() & (outcome["test_accuracy"] < ONLY_MEMORISED)
    others = sparser[only_memorised.reindex(runs, fill_value=False).to_numpy()]
    if grokked.empty:
        return Answer("", None, "none of them generalises within the budget")
    parts = [
        f"{name}: Gini {grokked.xs(name).median():+.2f}, norm x {norm[grokked.index].xs(name).median():.2f}"
        for name in dict.fromkeys(grokked.index.get_level_values("variant"))
    ]
    if len(others):
        parts.append(f"{len(others)} that only memorised: Gini {others.min():+.2f} to {others.max():+.2f}")
    return Answer("; ".join(parts), bool(grokked.min() > max(0.0, others.max() if len(others) else 0.0)))


def _of(tables: Tables, variant: str, fractions: list[float]) -> pd.DataFrame:
    table = tables["architectures"]
    return table[(table["variant"] == variant) & table["frac_train"].round(4).isin(fractions)]


def _medians(table: pd.DataFrame) -> pd.DataFrame:
    steps = table["generalization_step"].fillna(np.inf)
    return steps.groupby([table["frac_train"], table["variant"]]).median().unstack()


def _sentence(medians: pd.DataFrame) -> str:
    return "; ".join(
        f"{f:.0%}: " + ", ".join(f"{name} {_step(value)}" for name, value in row.items())
        for f, row in medians.iterrows()
    )


def _step(value: float) -> str:
    return "-" if pd.isna(value) or np.isinf(value) else f"{value:,.0f}"


CLAIMS = claims_in(globals(), __name__)
