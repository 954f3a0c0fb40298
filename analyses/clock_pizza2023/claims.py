"""What was found about each claim of expected.json, from the tables alone."""

import numpy as np
import pandas as pd

from analyses.judging import claims_in, interval
from analyses.study import Answer, Tables

UNIFORM, SOFTMAX = 0.0, 1.0
ENOUGH = 3
"""Networks without which nothing is said of all networks of a rate."""

NOTHING = "no network generalised at an end of the rates"
TOO_FEW = f"fewer than {ENOUGH} networks generalised at an end of the rates"
UNTRAINED_TOO = "untrained networks of the same rates do the same, so that it need not have been learned"


def generalised(tables: Tables) -> pd.DataFrame:
    """The runs that reached 99 % test accuracy."""
    table = tables["runs"]
    return table[table["generalization_step"].notna()]


def medians(tables: Tables, column: str) -> pd.Series:
    """Median over the generalising seeds of a rate."""
    return generalised(tables).groupby("attention_rate")[column].median()


def _counted(tables: Tables) -> str:
    return f"{len(generalised(tables))} of {len(tables['runs'])} networks generalised"


def symmetricity_falls(tables: Tables, *, swing: float) -> Answer:
    """Gradient symmetricity falls with the attention rate, by `swing` or more; so does its change from the start."""
    return _trend(tables, "gradient_symmetricity", -1, swing)


def irrelevance_rises(tables: Tables, *, swing: float) -> Answer:
    """Distance irrelevance rises, the same way."""
    return _trend(tables, "distance_irrelevance", 1, swing)


def _trend(tables: Tables, column: str, sign: int, swing: float) -> Answer:
    """None where the network's value follows the rate, and its value less that of untrained networks does not."""
    rows = generalised(tables).dropna(subset=[column])
    if not {UNIFORM, SOFTMAX} <= set(rows["attention_rate"]) or len(rows) < 5:
        return Answer(f"{NOTHING}; {_counted(tables)}", None)
    rows = rows.assign(change=rows[column] - rows[f"{column}_untrained"])
    found = {name: _follows(rows.dropna(subset=[name]), name, sign, swing) for name in (column, "change")}
    ours = f"{found[column][0]}; less untrained networks' {found['change'][0]}; {_counted(tables)}"
    if found[column][1] and not found["change"][1]:
        return Answer(ours, None, UNTRAINED_TOO)
    noise = float(np.sqrt(rows.groupby("attention_rate")[column].var().mean()))
    ends = medians(tables, column).iloc[[0, -1]]
    times = abs(float(ends.diff().iloc[-1])) / noise if noise else np.nan
    note = f"from the first to the last rate {times:.1f} times the seeds' standard deviation" if noise else ""
    return Answer(ours, found[column][1], note)


def _follows(rows: pd.DataFrame, column: str, sign: int, swing: float) -> tuple[str, bool]:
    """Spearman's rho with the rate, and whether its interval has that sign and the medians move by `swing` or more."""
    values = rows.groupby("attention_rate")[column].median()
    if len(values) < 2:
        return "are not known", False
    rho, low, high = interval(rows["attention_rate"].to_numpy(), rows[column].to_numpy(), n_resamples=1999)
    far = sign * float(values.iloc[-1] - values.iloc[0]) >= swing
    words = f"rho {rho:+.2f} ({low:+.2f} to {high:+.2f}), medians {_listed(values)}"
    return words, bool(far and (low > 0 if sign > 0 else high < 0))


def _listed(values: pd.Series) -> str:
    return ", ".join(f"{rate:g}: {value:.3f}" for rate, value in values.items())


def uniform_attention_is_symmetric(tables: Tables, *, least: float) -> Answer:
    """With uniform attention every network's symmetricity is at least that; None where untrained networks' is, too."""
    rows = generalised(tables)
    rows = rows[rows["attention_rate"] == UNIFORM]
    if rows.empty:
        return Answer(f"{NOTHING}; {_counted(tables)}", None)
    values, untrained = rows["gradient_symmetricity"], rows["gradient_symmetricity_untrained"].mean()
    trained = int((tables["runs"]["attention_rate"] == UNIFORM).sum())
    ours = f"{values.min():.3f} to {values.max():.3f}, {len(rows)} of {trained} networks generalised"
    ours += f"; untrained networks of this shape: {untrained:.3f}"
    if not (values >= least).all():
        return Answer(ours, False)
    if len(rows) < ENOUGH:
        return Answer(ours, None, TOO_FEW)
    return Answer(ours, None, UNTRAINED_TOO) if untrained >= least else Answer(ours, True)


def published_numbers(tables: Tables, *, circularity: float, expected: dict[str, list], tolerance: float) -> Answer:
    """Means in bins of the rate, among networks of at least that circularity; None unless every bin has some.

    A bin has its lower end; the last one has both.
    """
    rows = generalised(tables)
    rows = rows[rows["circularity"] >= circularity]
    found, parts = [], []
    for column, bins in expected.items():
        for low, high, value in bins:
            closed = "both" if high == bins[-1][1] else "left"
            inside = rows[rows["attention_rate"].between(low, high, inclusive=closed)][column]
            found.append(None if inside.empty else abs(inside.mean() - value) <= tolerance)
            parts.append(f"{low:g} to {high:g}: " + ("none" if inside.empty else f"{inside.mean():.3f}"))
    ours = f"means {', '.join(parts)}; {len(rows)} networks of {circularity:g} and more; {_counted(tables)}"
    return Answer(ours, None if None in found else all(found))


def changes_between(
    tables: Tables, *, rates: list[float], low: float, high: float, swing: float, begun: float
) -> Answer:
    """Median symmetricity crosses the middle between both ends in (low, high], having hardly fallen at rates[0].

    Args:
        tables: Of this folder.
        rates: At which, and at whatever was trained between them, networks have to generalise.
        low: The crossing lies after it.
        high: And not after this.
        swing: The least fall from the first rate to the last one.
        begun: The most of the fall that may have happened by rates[0].
    """
    values = medians(tables, "gradient_symmetricity")
    ours = f"medians {_listed(values)}; {_counted(tables)}"
    trained = tables["runs"]["attention_rate"]
    needed = {UNIFORM, SOFTMAX, *rates, *trained[trained.between(rates[0], rates[-1])]}
    if not needed <= set(values.index):
        lacking = ", ".join(f"{rate:g}" for rate in sorted(needed - set(values.index)))
        return Answer(ours, None, f"no network generalised at rate {lacking}")
    fall = values[UNIFORM] - values[SOFTMAX]
    if fall < swing:
        return Answer(f"falls by {fall:.3f}; {ours}", False)
    middle = (values[UNIFORM] + values[SOFTMAX]) / 2
    after = int(np.argmax(values.to_numpy() < middle))
    (a, b), (above, below) = values.index[after - 1 : after + 1], values.iloc[after - 1 : after + 1]
    crossing = a + (b - a) * (above - middle) / (above - below)
    early = (values[UNIFORM] - values[values.index <= rates[0]].min()) / fall
    ours = f"at {crossing:.3f}, {early:.0%} of the fall by {rates[0]:g}; {ours}"
    return Answer(ours, bool(low + 1e-9 < crossing <= high + 1e-9 and early <= begun))


def circles_are_pizzas_without_attention(tables: Tables, *, least: float) -> Answer:
    """With uniform attention most single circles are nearer to a pizza or its accompanying one than to a clock.

    Nearer: the larger of the two is at least `least` and above the clock. The share is taken of each network, then the
    median over networks.
    """
    best = best_formulas(tables, least)
    ends = best[best["attention_rate"] == UNIFORM]
    shares = _shares(ends, "pizza", "accompanying")
    if len(shares) < ENOUGH:
        return Answer(f"{len(shares)} networks with circles", None, TOO_FEW)
    counts = ends["best"].value_counts()
    ours = f"median {shares.median():.0%} of a network's circles ({shares.min():.0%} to {shares.max():.0%}, "
    ours += f"{len(shares)} networks; {len(ends)} circles: {', '.join(f'{n} {name}' for name, n in counts.items())}); "
    levels = ends[["clock", "pizza", "accompanying"]].median()
    ours += "median 2r - 1 " + ", ".join(f"{name} {value:.2f}" for name, value in levels.items())
    return Answer(ours, bool(shares.median() > 0.5))


def circles_are_clocks_with_attention(tables: Tables, *, least: float) -> Answer:
    """With softmax attention most single circles are nearest to a clock, and more than with uniform attention.

    Shares are taken as in `circles_are_pizzas_without_attention`.
    """
    shares = _shares(best_formulas(tables, least), "clock").groupby("attention_rate")
    found, n = shares.median(), shares.size()
    if min(n.get(UNIFORM, 0), n.get(SOFTMAX, 0)) < ENOUGH:
        return Answer("", None, TOO_FEW)
    ours = "clocks, median over networks: " + ", ".join(f"{rate:g}: {x:.0%} ({n[rate]})" for rate, x in found.items())
    return Answer(ours, bool(found[SOFTMAX] > 0.5 and found[SOFTMAX] > found[UNIFORM]))


def best_formulas(tables: Tables, least: float) -> pd.DataFrame:
    """Each key circle of a generalising network: 2 r - 1 by three formulas, and the largest; `none` below `least`."""
    wide = _wide(tables, "frequency")
    kinds = [name for name in ("clock", "pizza", "accompanying") if name in wide.columns]
    if not kinds:
        return wide.assign(best=[])
    return wide.assign(best=wide[kinds].idxmax(axis=1).where(wide[kinds].max(axis=1) >= least, "none"))


def _wide(tables: Tables, isolation: str) -> pd.DataFrame:
    """A row a circle of a generalising network, a column a formula."""
    table = tables["circles"]
    table = table[table["generalised"].astype(bool) & table["fve"].notna() & (table["isolation"] == isolation)]
    about = ["attention_rate", "seed", "circle", "circularity"]
    return table.pivot_table(index=about, columns="formula", values="fve").reset_index()


def _shares(best: pd.DataFrame, *names: str) -> pd.Series:
    """Of each network, the share of its circles that are one of these."""
    return best["best"].isin(names).groupby([best["attention_rate"], best["seed"]]).mean()


def circle_levels(tables: Tables, *, circularity: float, expected: dict[str, float], tolerance: float) -> Answer:
    """With uniform attention, how near circles are to formulas: medians over the networks' medians.

    Circles as the paper takes them, pairs of principal components, if they are circles and no accompanying ones.
    """
    wide = _wide(tables, "components")
    if not {*expected, "accompanying"} <= set(wide.columns):
        return Answer("no circles of generalising networks", None)
    wide = wide[(wide["attention_rate"] == UNIFORM) & (wide["circularity"] >= circularity)]
    chosen = wide[wide["pizza_abs"] >= wide["accompanying"]]
    found = chosen.groupby("seed")[list(expected)].median()
    if len(found) < ENOUGH:
        return Answer(f"{len(found)} networks with such circles", None, TOO_FEW)
    values = found.median()
    ours = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    ours += f"; {len(chosen)} circles of {len(found)} networks, {len(wide) - len(chosen)} accompanying ones left out"
    return Answer(ours, bool(((values - pd.Series(expected)).abs() <= tolerance).all()))


def seeds_differ(tables: Tables, *, spread: float) -> Answer:
    """At some rate two seeds differ in symmetricity by at least that, on both sides of the middle between the ends."""
    values = medians(tables, "gradient_symmetricity")
    if not {UNIFORM, SOFTMAX} <= set(values.index):
        return Answer(f"{NOTHING}; {_counted(tables)}", None)
    seeds = generalised(tables).groupby("attention_rate")["gradient_symmetricity"].agg(["min", "max"])
    found, middle = seeds["max"] - seeds["min"], float(values[UNIFORM] + values[SOFTMAX]) / 2
    ours = f"spread over seeds {_listed(found)}; {_counted(tables)}"
    if values[UNIFORM] - values[SOFTMAX] < spread:
        return Answer(ours, None, "the ends of the rates do not differ by that, so that nothing tells two algorithms")
    both = seeds[(found >= spread) & (seeds["min"] < middle) & (seeds["max"] > middle)]
    where = ", ".join(f"{rate:g}" for rate in both.index) or "no rate"
    return Answer(f"{ours}; on both sides of {middle:.3f} by {spread:g} or more at {where}", bool(len(both)))


CLAIMS = claims_in(globals(), __name__)
