"""Two arms of runs: median steps to generalisation, how many times sooner, and whether a test tells them apart."""

from dataclasses import dataclass

import pandas as pd

from analyses.rows import median_steps
from analyses.study import Answer
from grokinterp.cohort import Durations, log_rank

EVENT = "generalization_step"
LEVEL = 0.05
"""Of the log-rank test: where it finds no difference, none is claimed, and none denied."""
UNTOLD = "the runs do not tell the two apart"


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
        """Whether the method is faster; None where neither gets there or the log-rank test tells no difference."""
        if self.ratio is None or not self.is_told:
            return None
        return bool(self.ratio > 1 and self.bound != "at most")

    @property
    def is_told(self) -> bool:
        """Whether the log-rank test tells the two arms apart."""
        return self.p_value is not None and self.p_value < LEVEL


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


def judged(pair: Contrast) -> Answer:
    """Whether the method is faster, as an answer."""
    if pair.ratio is None:
        return Answer(pair.words, None, "neither gets to 99 % within the budget")
    return Answer(pair.words, pair.faster, "" if pair.is_told else UNTOLD)


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
