"""What was found about each claim of expected.json, from the tables alone."""

from dataclasses import dataclass

import pandas as pd

from analyses.judging import claims_in
from analyses.rows import median_steps
from analyses.study import Answer, Tables
from grokinterp.cohort import Durations, log_rank

EVENT = "generalization_step"
LEVEL = 0.05
"""Of the log-rank test: a difference that it does not find is not called one."""


@dataclass(frozen=True)
class Contrast:
    """Two arms and what their runs say.

    ratio: Median steps of the baseline / those of the method; above 1 where the method is faster. A bound where the
        baseline has no median (at_least) or the method has none (at_most); None where neither has.
    """

    words: str
    ratio: float | None
    bound: str
    p_value: float | None

    @property
    def faster(self) -> bool | None:
        """Whether the method is faster, and the log-rank test finds it; None where neither gets there."""
        if self.ratio is None:
            return None
        return bool(self.ratio > 1 and self.bound != "at most" and self.p_value is not None and self.p_value < LEVEL)


def grokfast_ma_without_decay(tables: Tables) -> Answer:
    """Grokfast-MA against Adam, both without decay, lr 1e-3: the published comparison that changes nothing else."""
    return _judged(_published(tables, "adam_ma", "adam"))


def grokfast_and_decay_against_neither(tables: Tables) -> Answer:
    """Grokfast-EMA with decay against Adam without: the published comparison, which changes both."""
    return _judged(_published(tables, "adamw_ema", "adam"))


def grokfast_at_equal_decay(tables: Tables) -> Answer:
    """Grokfast-EMA against AdamW with the same decay and learning rate."""
    return _judged(_published(tables, "adamw_ema", "adamw"))


def decay_alone_against_neither(tables: Tables) -> Answer:
    """AdamW with decay against Adam without: what decay alone does."""
    return _judged(_published(tables, "adamw", "adam"))


def muon_against_default_adamw(tables: Tables) -> Answer:
    """Muon against AdamW, lr 1e-3 and decay 1 for both."""
    return _judged(_published(tables, "muon", "adamw"))


def high_decay_alone(tables: Tables) -> Answer:
    """AdamW with decay 4 against decay 1, lr 1e-3 for both."""
    return _judged(_published(tables, "adamw_decay4", "adamw"))


def tuning_alone(tables: Tables) -> Answer:
    """AdamW tuned over lr and decay against AdamW at lr 1e-3 and decay 1."""
    missing = _not_as_chosen(tables)
    if missing:
        return missing
    return _judged(contrast(_arm(tables["tuned"], "adamw"), _arm(tables["published"], "adamw")))


def grokfast_ema_against_tuned(tables: Tables) -> Answer:
    """Grokfast-EMA against AdamW, both tuned by the same procedure on the same grid."""
    return _tuned(tables, "grokfast_ema")


def muon_against_tuned(tables: Tables) -> Answer:
    """Muon against AdamW, both tuned."""
    return _tuned(tables, "muon")


def faster_in_seconds(tables: Tables) -> Answer:
    """Some method is faster than tuned AdamW in seconds: ratio of medians / relative cost of a step, above 1."""
    missing = _not_as_chosen(tables)
    if missing:
        return missing
    cost = tables["cost"].set_index("variant")["relative"]
    found, any_faster = [], False
    for name in ("grokfast_ema", "muon"):
        pair = _tuned_pair(tables, name)
        if pair.ratio is None:
            continue
        in_time = pair.ratio / cost[name]
        found.append(f"{name}: a step costs {cost[name]:.2f}, speed-up in seconds {pair.bound} {in_time:.2f}".strip())
        any_faster |= bool(pair.faster and in_time > 1)
    return Answer("; ".join(found), any_faster if found else None)


def published_factor(tables: Tables, *, variant: str, baseline: str, ratio: float, factor: float) -> Answer:
    """The ratio of median steps is the published one, to within a factor."""
    pair = _published(tables, variant, baseline)
    if pair.ratio is None:
        return Answer(pair.words, None)
    return Answer(pair.words, bool(ratio / factor <= pair.ratio <= ratio * factor))


def contrast(method: pd.DataFrame, baseline: pd.DataFrame) -> Contrast:
    """The medians of two arms with their intervals, their ratio, and the log-rank test."""
    rows = [_median(arm) for arm in (method, baseline)]
    tested = log_rank(_durations(method), _durations(baseline))
    p_value = None if tested is None else tested.p_value
    (fast, slow), bound = [row["median"] for row in rows], ""
    if pd.isna(fast) and pd.isna(slow):
        ratio = None
    else:
        bound = "at least" if pd.isna(slow) else "at most" if pd.isna(fast) else ""
        ratio = _or_budget(slow, baseline) / _or_budget(fast, method)
    words = f"{_said(rows[0])} against {_said(rows[1])} steps"
    if ratio is not None:
        words += f"; x{' ' + bound if bound else ''} {ratio:.2f}, log-rank p = {_p(p_value)}"
    return Contrast(words, ratio, bound, p_value)


def _or_budget(median: float, rows: pd.DataFrame) -> float:
    return float(rows["last_step"].max()) if pd.isna(median) else float(median)


def _published(tables: Tables, method: str, baseline: str) -> Contrast:
    table = tables["published"]
    return contrast(_arm(table, method), _arm(table, baseline))


def _tuned_pair(tables: Tables, method: str) -> Contrast:
    table = tables["tuned"]
    return contrast(_arm(table, method), _arm(table, "adamw"))


def _tuned(tables: Tables, method: str) -> Answer:
    return _not_as_chosen(tables) or _judged(_tuned_pair(tables, method))


def _not_as_chosen(tables: Tables) -> Answer | None:
    """No verdict about tuned settings where the grid does not choose those that were trained."""
    table = tables["settings"]
    wrong = table[(table["lr"] != table["tuned_lr"]) | (table["weight_decay"] != table["tuned_weight_decay"])]
    if wrong.empty:
        return None
    names = ", ".join(f"{row.variant} (lr {row.lr:g}, decay {row.weight_decay:g})" for row in wrong.itertuples())
    return Answer("", None, f"the recipe tuned does not have what tuning chooses: {names}; correct it and train again")


def _judged(pair: Contrast) -> Answer:
    if pair.faster is None:
        return Answer(pair.words, None, "neither gets to 99 % within the budget")
    undecided = pair.p_value is not None and pair.p_value >= LEVEL
    return Answer(pair.words, pair.faster, "the runs do not tell the two apart" if undecided else "")


def _arm(table: pd.DataFrame, variant: str) -> pd.DataFrame:
    rows = table[table["variant"] == variant]
    if rows.empty:
        raise KeyError(f"runs of {variant}")
    return rows


def _median(rows: pd.DataFrame) -> pd.Series:
    return median_steps(rows, EVENT, ["variant"]).iloc[0]


def _durations(rows: pd.DataFrame) -> Durations:
    observed = rows[EVENT].notna()
    times = rows[EVENT].where(observed, rows["last_step"]).astype(int)
    return Durations(tuple(times), tuple(observed))


def _said(row: pd.Series) -> str:
    count = f"{row['n_observed']:.0f} of {row['n']:.0f}"
    if pd.isna(row["median"]):
        return f"no median ({count})"
    low, high = (f"{value:,.0f}" if pd.notna(value) else "-" for value in (row["low"], row["high"]))
    return f"{row['median']:,.0f} ({low} to {high}; {count})"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"


CLAIMS = claims_in(globals(), __name__)
CLAIMS |= dict.fromkeys(("grokfast_factor", "grokfast_ma_factor", "muon_factor"), CLAIMS["published_factor"])
del CLAIMS["published_factor"]
