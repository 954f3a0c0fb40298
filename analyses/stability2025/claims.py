"""What was found about each claim of expected.json, from the tables alone."""

import numpy as np
import pandas as pd

from analyses.contrast import UNTOLD, contrast
from analyses.judging import claims_in
from analyses.rows import median_steps
from analyses.study import Answer, Tables

FIXES = ("stablemax", "perpgrad", "adamw")
"""What is to generalise: a control for whoever does not."""

COLLAPSED = 0.5
"""Share of the pairs without a gradient from which a network counts as collapsed."""


def collapse_without_decay(tables: Tables, *, share: float) -> Answer:
    """Without decay, by torch's float32 cross-entropy, this share of the right logits loses its gradient."""
    highest = _highest(tables, "torch_float32", "zero_gradient")
    return Answer(_spread(highest), bool(highest.median() >= share))


def collapse_comes_before_grokking(tables: Tables, *, share: float) -> Answer:
    """In every seed collapse reaches `share` at a step at which test accuracy is below 99 %."""
    steps = _first_past(tables, "torch_float32", "zero_gradient", share)
    events = _rows(tables, "mlp", "torch_float32").set_index("seed")["generalization_step"]
    ours = f"{_steps(steps)}; 99 % test accuracy in {events.notna().sum()} of {len(events)} seeds"
    before = [step < events.fillna(np.inf)[seed] for seed, step in steps.items()]
    return Answer(ours, all(before))


def precision_delays_collapse(tables: Tables, *, share: float) -> Answer:
    """The step at which `share` of the pairs have collapsed is later in float64 than in float32, in every seed."""
    low = _first_past(tables, "torch_float32", "zero_gradient", share)
    high = _first_past(tables, "torch_float64", "zero_gradient", share)
    ours = f"float32 {_steps(low)}; float64 {_steps(high)}"
    if np.isinf(low).any():
        return Answer(ours, None, "not even float32 collapses within the budget")
    return Answer(ours, bool((low < high).all()))


def float64_stalls_too(tables: Tables) -> Answer:
    """The same with the softmax in float64."""
    return _stalls(tables, "torch_float64")


def stalls_without_decay(tables: Tables) -> Answer:
    """By torch's float32 cross-entropy without decay no seed generalises, and one of the remedies does."""
    return _stalls(tables, "torch_float32")


def _stalls(tables: Tables, variant: str) -> Answer:
    stalled = _rows(tables, "mlp", variant)
    reached = {name: _rows(tables, "mlp", name)["generalization_step"].notna().sum() for name in FIXES}
    ours = f"{_reached(stalled)}, best test accuracy {_spread(stalled['best_test_accuracy'])}"
    if not any(reached.values()):
        return Answer(ours, None, "no remedy generalises within the budget either")
    return Answer(ours, bool(stalled["generalization_step"].isna().all()))


def absorption_is_the_cause(tables: Tables) -> Answer:
    """With the same loss and a gradient that nothing is absorbed in, networks generalise (most seeds)."""
    exact, torchs = _rows(tables, "mlp", "adam"), _rows(tables, "mlp", "torch_float32")
    highest = _highest(tables, "adam", "zero_gradient")
    ours = (
        f"without absorption {_reached(exact)}, best test accuracy {_spread(exact['best_test_accuracy'])}; "
        f"with it {_reached(torchs)}, {_spread(torchs['best_test_accuracy'])}"
    )
    if torchs["generalization_step"].notna().any():
        return Answer(ours, None, "there is nothing to explain: it generalises with absorption, too")
    note = f"share of pairs without a gradient in the runs without absorption: at most {highest.max():.2f}"
    if exact["generalization_step"].notna().mean() > 0.5:
        return Answer(ours, True, note)
    if not any(_rows(tables, "mlp", name)["generalization_step"].notna().any() for name in FIXES):
        return Answer(ours, None, "no remedy generalises within the budget either")
    if highest.median() >= COLLAPSED:
        return Answer(ours, None, f"{note}, so that gradients were lost there as well")
    return Answer(ours, False, note)


def stablemax_generalizes(tables: Tables, *, accuracy: float) -> Answer:
    """StableMax without decay: most seeds get to that test accuracy, and none with cross-entropy does."""
    return _enables(tables, "stablemax", accuracy)


def perpgrad_generalizes(tables: Tables, *, accuracy: float) -> Answer:
    """The orthogonal gradient without decay: most seeds get to that test accuracy, and none without it does."""
    return _enables(tables, "perpgrad", accuracy)


def perpgrad_is_fastest(tables: Tables) -> Answer:
    """Steps to 99 % of the transformer: orthogonal gradient < AdamW with decay; the MLP beside it."""
    return _faster(tables, "perpgrad", "adamw", "transformer", "mlp")


def stablemax_is_slower(tables: Tables) -> Answer:
    """Steps to 99 % of the MLP: orthogonal gradient < StableMax; the transformer beside it."""
    return _faster(tables, "perpgrad", "stablemax", "mlp", "transformer")


def gradient_aligns_with_weights(tables: Tables, *, cosine: float) -> Answer:
    """cos(-gradient, weights) of Adam without decay: low at first, above `cosine` after memorising (last third)."""
    found, holds, gone = [], True, False
    for network in ("mlp", "transformer"):
        first, last = _cosines(tables, network, "adam")
        gone |= bool(last.isna().any())
        found.append(f"{network}: {first.median():.2f} at initialisation, {last.median():.2f} in the last third")
        holds &= bool(last.median() >= cosine and (last > first).all())
    if gone:
        return Answer("; ".join(found), None, "no gradient is left in the last third of some seed")
    return Answer("; ".join(found), holds)


def perpgrad_epochs(tables: Tables, *, steps: int, factor: float) -> Answer:
    """The MLP's median steps to 99 % with the orthogonal gradient, to within a factor."""
    median = _medians(tables, "mlp").loc["perpgrad", "median"]
    return Answer(f"{median:,.0f}", bool(steps / factor <= median <= steps * factor))


def _rows(tables: Tables, network: str, variant: str) -> pd.DataFrame:
    table = tables["runs"]
    found = table[(table["network"] == network) & (table["variant"] == variant)]
    if found.empty:
        raise KeyError(f"runs of {network}, {variant}")
    return found


def _of_mlp(tables: Tables, variant: str) -> pd.DataFrame:
    table = tables["numerics"]
    return table[(table["network"] == "mlp") & (table["variant"] == variant)]


def _highest(tables: Tables, variant: str, column: str) -> pd.Series:
    """The largest value of each seed of the MLP."""
    return _of_mlp(tables, variant).groupby("seed")[column].max()


def _first_past(tables: Tables, variant: str, column: str, share: float) -> pd.Series:
    """The first checkpoint of each seed with at least this share; inf: none."""
    table = _of_mlp(tables, variant)
    steps = table["step"].where(table[column] >= share, np.inf)
    return steps.groupby(table["seed"]).min()


def _cosines(tables: Tables, network: str, variant: str) -> tuple[pd.Series, pd.Series]:
    """Of each seed: at initialisation, and the median over the last third of the run, where there is a gradient."""
    table = tables["numerics"]
    table = table[(table["network"] == network) & (table["variant"] == variant)]
    late = table[table["step"] >= table.groupby("seed")["step"].transform("max") * 2 / 3]
    first = table[table["step"] == 0].set_index("seed")["nlm_cosine"]
    return first, late.dropna(subset="nlm_cosine").groupby("seed")["nlm_cosine"].median().reindex(first.index)


def _enables(tables: Tables, variant: str, accuracy: float) -> Answer:
    """Whether most seeds of the MLP are that accurate and none by torch's cross-entropy is; the transformer beside."""
    arms = [
        _rows(tables, network, name)["best_test_accuracy"]
        for network, plain in (("mlp", "torch_float32"), ("transformer", "adam"))
        for name in (variant, plain)
    ]
    rows, plain, *others = arms
    ours = f"MLP: best test accuracy {_spread(rows)}, with cross-entropy {_spread(plain)}; "
    ours += f"transformer: {_spread(others[0])}, with cross-entropy {_spread(others[1])}"
    if (plain >= accuracy).any():
        return Answer(ours, None, "cross-entropy generalises without it")
    exact = _rows(tables, "mlp", "adam")["best_test_accuracy"]
    note = f"with cross-entropy from which nothing is absorbed {_spread(exact)}"
    return Answer(ours, bool((rows >= accuracy).mean() > 0.5), note)


def _medians(tables: Tables, network: str) -> pd.DataFrame:
    table = tables["runs"]
    return median_steps(table[table["network"] == network], "generalization_step", ["variant"]).set_index("variant")


def _faster(tables: Tables, one: str, other: str, judged: str, beside: str) -> Answer:
    """Whether one gets to 99 % sooner than the other in a network: the medians, and a log-rank test that tells."""
    found = []
    for network in (judged, beside):
        medians = _medians(tables, network)
        found.append(f"{network}: {one} {_median(medians.loc[one])}, {other} {_median(medians.loc[other])}")
    pair = contrast(_rows(tables, judged, one), _rows(tables, judged, other))
    ours = f"{'; '.join(found)}; log-rank p = {'-' if pair.p_value is None else f'{pair.p_value:.2g}'}"
    if pair.ratio is None:
        return Answer(ours, None, f"neither gets there within the budget in most seeds of the {judged}")
    return Answer(ours, pair.faster, "" if pair.is_told else UNTOLD)


def _median(row: pd.Series) -> str:
    if pd.isna(row["median"]):
        return f"not within the budget ({row['n_observed']:.0f} of {row['n']:.0f})"
    high = "-" if pd.isna(row["high"]) else f"{row['high']:,.0f}"
    low = "-" if pd.isna(row["low"]) else f"{row['low']:,.0f}"
    return f"{row['median']:,.0f} ({low} to {high})"


def _reached(rows: pd.DataFrame) -> str:
    return f"{rows['generalization_step'].notna().sum()} of {len(rows)} seeds at 99 %"


def _spread(values: pd.Series) -> str:
    return f"{values.median():.2f} ({values.min():.2f} to {values.max():.2f})"


def _steps(values: pd.Series) -> str:
    return ", ".join("never" if np.isinf(value) else f"{value:,.0f}" for value in values)


CLAIMS = claims_in(globals(), __name__)
