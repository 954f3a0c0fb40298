"""What was found about each claim of expected.json, from the tables alone."""

import numpy as np
import pandas as pd

from analyses.judging import claims_in, interval
from analyses.study import Answer, Tables

UNIFORM, SOFTMAX = 0.0, 1.0
NOTHING = "fewer than two rates have a network that generalised"


def generalised(tables: Tables) -> pd.DataFrame:
    """The runs that reached 99 % test accuracy."""
    table = tables["runs"]
    return table[table["generalization_step"].notna()]


def medians(tables: Tables, column: str) -> pd.Series:
    """Median over the generalising seeds of a rate."""
    return generalised(tables).groupby("attention_rate")[column].median()


def symmetricity_falls(tables: Tables) -> Answer:
    """Spearman's rho of gradient symmetricity with the attention rate, its interval below 0."""
    return _trend(tables, "gradient_symmetricity", -1)


def irrelevance_rises(tables: Tables) -> Answer:
    """The same of distance irrelevance, above 0."""
    return _trend(tables, "distance_irrelevance", 1)


def _trend(tables: Tables, column: str, sign: int) -> Answer:
    rows = generalised(tables)
    if rows["attention_rate"].nunique() < 2 or len(rows) < 5:
        return Answer(NOTHING, None)
    rho, low, high = interval(rows["attention_rate"].to_numpy(), rows[column].to_numpy(), n_resamples=1999)
    values = medians(tables, column)
    noise = float(np.sqrt(rows.groupby("attention_rate")[column].var().mean()))
    swing = abs(float(values.iloc[-1] - values.iloc[0]))
    ours = f"rho {rho:+.2f} ({low:+.2f} to {high:+.2f}), {len(rows)} networks; medians {_listed(values)}"
    note = f"from the first to the last rate {swing / noise:.1f} times the seeds' standard deviation" if noise else ""
    return Answer(ours, bool(low > 0 if sign > 0 else high < 0), note)


def _listed(values: pd.Series) -> str:
    return ", ".join(f"{rate:g}: {value:.3f}" for rate, value in values.items())


def uniform_attention_is_symmetric(tables: Tables, *, least: float) -> Answer:
    """With uniform attention every network's symmetricity is at least that; untrained networks' is said beside it."""
    rows = generalised(tables)
    rows = rows[rows["attention_rate"] == UNIFORM]
    if rows.empty:
        return Answer(NOTHING, None)
    values = rows["gradient_symmetricity"]
    ours = f"{values.min():.3f} to {values.max():.3f}, {len(rows)} networks"
    forced = f"untrained networks of this shape: {rows['gradient_symmetricity_untrained'].mean():.3f}"
    return Answer(ours, bool((values >= least).all()), forced)


def published_numbers(tables: Tables, *, circularity: float, expected: dict[str, list], tolerance: float) -> Answer:
    """Medians of both measures in bins of the rate, among accurate networks of at least that circularity."""
    rows = generalised(tables)
    rows = rows[rows["circularity"] >= circularity]
    found, parts = [], []
    for column, bins in expected.items():
        for low, high, value in bins:
            inside = rows[rows["attention_rate"].between(low, high)][column]
            if len(inside):
                found.append(abs(inside.median() - value) <= tolerance)
                parts.append(f"{column} {low:g} to {high:g}: {inside.median():.3f}")
    return Answer("; ".join(parts) or NOTHING, all(found) if found else None)


def changes_between(tables: Tables, *, low: float, high: float) -> Answer:
    """The rate at which median symmetricity crosses the middle between both ends lies there."""
    values = medians(tables, "gradient_symmetricity")
    if not {UNIFORM, SOFTMAX} <= set(values.index):
        return Answer(NOTHING, None)
    if values.iloc[0] <= values.iloc[-1]:
        return Answer(f"does not fall; medians {_listed(values)}", False)
    middle = (values.iloc[0] + values.iloc[-1]) / 2
    after = int(np.argmax(values.to_numpy() < middle))
    (a, b), (above, below) = values.index[after - 1 : after + 1], values.iloc[after - 1 : after + 1]
    crossing = a + (b - a) * (above - middle) / (above - below)
    return Answer(f"at {crossing:.2f}; medians {_listed(values)}", bool(low <= crossing <= high))


def circles_are_pizzas_without_attention(tables: Tables) -> Answer:
    """With uniform attention most single circles are nearer to a pizza or its accompanying one than to a clock."""
    best = best_formulas(tables)
    ends = best[best["attention_rate"] == UNIFORM]
    if ends.empty:
        return Answer(NOTHING, None)
    is_pizza = ends["best"] != "clock"
    counts = ends["best"].value_counts()
    ours = f"{is_pizza.mean():.0%} of {len(ends)} circles ({', '.join(f'{n} {name}' for name, n in counts.items())}); "
    medians = ends[["clock", "pizza", "accompanying"]].median()
    ours += "median 2r - 1 " + ", ".join(f"{name} {value:.2f}" for name, value in medians.items())
    return Answer(ours, bool(is_pizza.mean() > 0.5))


def circles_are_clocks_with_attention(tables: Tables) -> Answer:
    """With softmax attention most single circles are nearest to a clock, and more than with uniform attention."""
    best = best_formulas(tables)
    shares = (best["best"] == "clock").groupby(best["attention_rate"]).mean()
    if not {UNIFORM, SOFTMAX} <= set(shares.index):
        return Answer(NOTHING, None)
    ours = "clocks: " + ", ".join(f"{rate:g}: {share:.0%}" for rate, share in shares.items())
    return Answer(ours, bool(shares[SOFTMAX] > 0.5 and shares[SOFTMAX] > shares[UNIFORM]))


def best_formulas(tables: Tables) -> pd.DataFrame:
    """Each circle of a generalising network: 2 r - 1 by clock, pizza and accompanying pizza, and which is largest."""
    table = tables["circles"]
    table = table[table["generalised"].astype(bool) & table["fve"].notna()]
    wide = table.pivot_table(index=["attention_rate", "seed", "k"], columns="formula", values="fve").reset_index()
    kinds = [name for name in ("clock", "pizza", "accompanying") if name in wide.columns]
    return wide.assign(best=wide[kinds].idxmax(axis=1)) if kinds else wide.assign(best=[])


def seeds_differ(tables: Tables, *, spread: float) -> Answer:
    """At some rate the symmetricity of two seeds differs by at least that: other weights, another algorithm."""
    rows = generalised(tables).groupby("attention_rate")["gradient_symmetricity"]
    if rows.ngroups < 2:
        return Answer(NOTHING, None)
    found = rows.max() - rows.min()
    return Answer(f"spread over seeds {_listed(found)}", bool((found >= spread).any()))


CLAIMS = claims_in(globals(), __name__)
