"""What was found about each claim of expected.json, from the tables alone."""

from dataclasses import replace

import pandas as pd

from analyses.contrast import Contrast, contrast, judged
from analyses.judging import claims_in
from analyses.study import Answer, Tables


def grokfast_ma_without_decay(tables: Tables) -> Answer:
    """Grokfast-MA against Adam, both without decay, lr 1e-3: the published comparison that changes nothing else."""
    return judged(_published(tables, "adam_ma", "adam"))


def grokfast_ema_without_decay(tables: Tables) -> Answer:
    """Grokfast-EMA against Adam, both without decay: what the filter does by itself."""
    return judged(_published(tables, "adam_ema", "adam"))


def grokfast_and_decay_against_neither(tables: Tables) -> Answer:
    """Grokfast-EMA with decay against Adam without: the published comparison, which changes both."""
    return judged(_published(tables, "adamw_ema", "adam"))


def grokfast_at_equal_decay(tables: Tables) -> Answer:
    """Grokfast-EMA against AdamW with the same decay and learning rate."""
    return judged(_published(tables, "adamw_ema", "adamw"))


def decay_alone_against_neither(tables: Tables) -> Answer:
    """AdamW with decay against Adam without: what decay alone does."""
    return judged(_published(tables, "adamw", "adam"))


def muon_against_default_adamw(tables: Tables) -> Answer:
    """Muon against AdamW, lr 1e-3 and decay 1 for both."""
    return judged(_published(tables, "muon", "adamw"))


def high_decay_alone(tables: Tables) -> Answer:
    """AdamW with decay 4 against decay 1, lr 1e-3 for both."""
    return judged(_published(tables, "adamw_decay4", "adamw"))


def tuning_alone(tables: Tables) -> Answer:
    """AdamW tuned over lr and decay against AdamW at lr 1e-3 and decay 1."""
    missing = _not_as_chosen(tables)
    if missing:
        return missing
    answer = judged(contrast(_arm(tables["tuned"], "adamw"), _arm(tables["published"], "adamw")))
    return _with_edges(tables, answer)


def grokfast_ema_against_tuned(tables: Tables) -> Answer:
    """Grokfast-EMA against AdamW, both tuned by the same procedure on the same grid."""
    return _tuned(tables, "grokfast_ema")


def muon_against_tuned(tables: Tables) -> Answer:
    """Muon against AdamW, both tuned."""
    return _tuned(tables, "muon")


def faster_in_seconds(tables: Tables) -> Answer:
    """Some method is faster than tuned AdamW in seconds: ratio of medians / relative cost of a step, above 1.

    The cost is the upper quartile of the rounds: one that is not certain is no gain.
    """
    missing = _not_as_chosen(tables)
    if missing:
        return missing
    cost = tables["cost"].set_index("variant")
    found, gains = [], []
    for name in ("grokfast_ema", "muon"):
        pair = _tuned_pair(tables, name)
        if pair.ratio is None:
            continue
        median, high = cost.loc[name, ["relative", "relative_high"]]
        in_time = f"{pair.bound} {pair.ratio / median:.2f}".strip()
        found.append(f"{name}: a step costs {median:.2f} (up to {high:.2f}), speed-up in seconds {in_time}")
        gains.append(pair.faster if pair.ratio / high > 1 else False)
    holds = True if any(gains) else None if None in gains or not gains else False
    return Answer("; ".join(found), holds)


def published_factor(tables: Tables, *, variant: str, baseline: str, ratio: float, factor: float) -> Answer:
    """The ratio of median steps is the published one, to within a factor."""
    pair = _published(tables, variant, baseline)
    if pair.ratio is None:
        return Answer(pair.words, None, "neither gets to 99 % within the budget")
    low, high = ratio / factor, ratio * factor
    if (pair.bound == "at least" and pair.ratio <= high) or (pair.bound == "at most" and pair.ratio >= low):
        return Answer(pair.words, None, "only a bound is known, and it does not settle it")
    return Answer(pair.words, bool(low <= pair.ratio <= high))


def _published(tables: Tables, method: str, baseline: str) -> Contrast:
    table = tables["published"]
    return contrast(_arm(table, method), _arm(table, baseline))


def _tuned_pair(tables: Tables, method: str) -> Contrast:
    table = tables["tuned"]
    return contrast(_arm(table, method), _arm(table, "adamw"))


def _tuned(tables: Tables, method: str) -> Answer:
    return _not_as_chosen(tables) or _with_edges(tables, judged(_tuned_pair(tables, method)))


def _with_edges(tables: Tables, answer: Answer) -> Answer:
    """The answer, with a word on settings at the edge of the grid, beyond which there may be better ones."""
    rows = tables["settings"]
    edges = [
        f"{row.variant} at the {' and '.join(what)} edge"
        for row in rows.itertuples()
        if (what := [name for name, at in (("lr", row.lr_at_edge), ("decay", row.weight_decay_at_edge)) if at])
    ]
    said = f"chosen at an edge of the grid: {', '.join(edges)}" if edges else ""
    return replace(answer, note="; ".join(part for part in (answer.note, said) if part))


def _not_as_chosen(tables: Tables) -> Answer | None:
    """No verdict about tuned settings where the grid does not choose those that were trained."""
    table = tables["settings"]
    absent = sorted(set(tables["tuned"]["variant"]) - set(table["variant"]))
    if absent:
        return Answer("", None, f"the grid has no runs of {', '.join(absent)}")
    wrong = table[(table["lr"] != table["tuned_lr"]) | (table["weight_decay"] != table["tuned_weight_decay"])]
    if wrong.empty:
        return None
    names = ", ".join(f"{row.variant} (lr {row.lr:g}, decay {row.weight_decay:g})" for row in wrong.itertuples())
    return Answer("", None, f"the recipe tuned does not have what tuning chooses: {names}; correct it and train again")


def _arm(table: pd.DataFrame, variant: str) -> pd.DataFrame:
    rows = table[table["variant"] == variant]
    if rows.empty:
        raise KeyError(f"runs of {variant}")
    return rows


CLAIMS = claims_in(globals(), __name__)
CLAIMS |= dict.fromkeys(("grokfast_factor", "grokfast_ma_factor", "muon_factor"), CLAIMS["published_factor"])
del CLAIMS["published_factor"]
