"""Sets of runs: survival times with runs that never got there, and bootstrap over seeds.

A run whose budget ended before an event is not a late run and not a missing one; it is censored at its
last step. Means and medians of the runs that did generalise are too early, so here

    durations      steps until an event, from step 0 or from another event, with who is censored
    kaplan_meier   the median of them with its confidence interval
    log_rank       whether two sets differ
    bootstrap      median or mean of any quantity that every run has (BCa interval over runs)
    cohort_table   the first two for every event, as a table

Events are known to (after, step] within a run; durations take `step`, so they are late by less than the
spacing of evaluations.

    runs = [gi.open(path).phases for path in paths]
    kaplan_meier(durations(runs)).median
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from grokinterp.errors import GrokinterpError
from grokinterp.phases import RULES, Phases

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.95
"""Confidence of all intervals, if not said otherwise."""

FEWEST = 3
"""Runs below which no bootstrap interval is given."""


@dataclass(frozen=True)
class Durations:
    """Steps until an event in each run.

    observed: False where the run ended first; its time is then how long it was watched.
    n_excluded: Runs that never reached the event from which time is counted.
    """

    times: tuple[int, ...]
    observed: tuple[bool, ...]
    n_excluded: int = 0

    def __post_init__(self) -> None:
        if len(self.times) != len(self.observed):
            raise GrokinterpError(f"{len(self.times)} times but {len(self.observed)} marks of what was observed")


@dataclass(frozen=True)
class Survival:
    """A Kaplan-Meier estimate.

    median: The first time at which at most half are still without the event; None if it never comes
        to that.
    low, high: Its interval; None where it is open.
    times, surviving: The curve, S(t) right after each time.
    """

    n: int
    n_observed: int
    median: float | None
    low: float | None
    high: float | None
    times: tuple[float, ...]
    surviving: tuple[float, ...]


@dataclass(frozen=True)
class LogRank:
    """A test of equal survival: (observed - expected events) / standard deviation of the first set."""

    z: float
    p_value: float


@dataclass(frozen=True)
class Estimate:
    """A statistic with its bootstrap interval.

    method: "BCa", "percentile" where BCa has no value, or "" where there is no interval.
    note: Why it is not BCa; empty otherwise.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_missing: int
    method: str
    note: str


def durations(cohort: Sequence[Phases], event: str = "generalization", since: str | None = None) -> Durations:
    """Steps until `event` in each run, from step 0 or from the event `since`.

    since="memorization" gives the grokking delay.

    Raises:
        GrokinterpError: an event that is not in phases.RULES.
    """
    for name in (event, since):
        if name is not None and name not in RULES:
            raise GrokinterpError(f"{name!r} is not an event; choose from {', '.join(RULES)}")
    times, observed = [], []
    for phases in cohort:
        start = phases.step(since) if since else 0
        if start is None:
            continue
        end = phases.step(event)
        times.append((phases.last_step if end is None else end) - start)
        observed.append(end is not None)
    return Durations(tuple(times), tuple(observed), len(cohort) - len(times))


def kaplan_meier(data: Durations, level: float = LEVEL) -> Survival:
    """The Kaplan-Meier curve and its median with a confidence interval.

        S(t) = prod_{t_i <= t} (1 - d_i / n_i),    median = min{t: S(t) <= 1/2}

    with d_i events at t_i and n_i runs not yet done before it. The interval is from the first time at
    which the lower band of S is at most 1/2 to the first at which the upper one is; the bands are
    Greenwood's on log(-log S).

    **Known values:** Freireich et al. 1963: median 23 weeks (interval from 13, open above) with 6-MP,
    8 (4 to 11) without.
    """
    n, n_observed = len(data.times), sum(data.observed)
    if not n_observed:
        return Survival(n, 0, None, None, None, (), ())
    from scipy.stats import ecdf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # log(0) where S is 0 or 1; those bands are left out below
        estimate = ecdf(_censored(data)).sf
        bands = estimate.confidence_interval(level, method="log-log")
    times = estimate.quantiles
    return Survival(
        n,
        n_observed,
        _first_half(times, estimate.probabilities),
        _first_half(times, bands.low.probabilities),
        _first_half(times, bands.high.probabilities),
        tuple(float(time) for time in times),
        tuple(float(share) for share in estimate.probabilities),
    )


def log_rank(one: Durations, other: Durations) -> LogRank | None:
    """The log-rank test of two sets of runs; None if no run of either reached the event.

    **Known values:** Freireich et al. 1963: chi-squared z^2 = 16.79.
    """
    if not one.times or not other.times or not (any(one.observed) or any(other.observed)):
        return None
    from scipy.stats import logrank

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = logrank(_censored(one), _censored(other))
    z, p_value = float(result.statistic), float(result.pvalue)
    return LogRank(z, p_value) if math.isfinite(z) and math.isfinite(p_value) else None


def bootstrap(
    values: Sequence[float | None],
    statistic: Literal["median", "mean"] = "median",
    *,
    level: float = LEVEL,
    n_resamples: int = 9999,
    seed: int = 0,
) -> Estimate:
    """A statistic over runs with its BCa bootstrap interval; runs without a value are left out and counted.

    Where runs are without a value because they were censored, use `kaplan_meier`.

    **Known values:** equal values have an interval of no width; the interval of the mean of many normal
    values is close to Student's.
    """
    import numpy as np
    from scipy.stats import bootstrap as resample

    known = np.array([value for value in values if value is not None], dtype=float)
    n, n_missing = len(known), len(values) - len(known)
    if not n:
        return Estimate(None, None, None, 0, n_missing, "", "no run has a value")
    function: Any = {"median": np.median, "mean": np.mean}[statistic]
    value = float(function(known))
    if n < FEWEST:
        return Estimate(value, None, None, n, n_missing, "", f"{n} runs; an interval needs {FEWEST}")
    if np.ptp(known) == 0:
        return Estimate(value, value, value, n, n_missing, "percentile", "all runs have the same value")
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a degenerate jackknife makes BCa NaN, which is handled here
            rng = np.random.default_rng(seed)
            settings: dict[str, Any] = {"n_resamples": n_resamples, "confidence_level": level, "method": method}
            found = resample((known,), function, rng=rng, **settings).confidence_interval
        if np.isfinite([found.low, found.high]).all():
            note = "" if method == "BCa" else "BCa has no value for these runs"
            return Estimate(value, float(found.low), float(found.high), n, n_missing, method, note)
    raise AssertionError("percentiles of finite values are finite")


def cohort_table(cohort: Sequence[Phases], level: float = LEVEL) -> "pd.DataFrame":
    """One row an event, and one for the grokking delay: runs, how many reached it, median and interval."""
    import pandas as pd

    kinds = {name: durations(cohort, name) for name in RULES}
    kinds["grokking_delay"] = durations(cohort, "generalization", since="memorization")
    rows = []
    for name, data in kinds.items():
        survival = kaplan_meier(data, level)
        rows.append(
            {
                "event": name,
                "n_runs": survival.n,
                "n_observed": survival.n_observed,
                "n_excluded": data.n_excluded,
                "median": survival.median,
                "low": survival.low,
                "high": survival.high,
            }
        )
    return pd.DataFrame(rows)


def _censored(data: Durations) -> Any:
    from scipy.stats import CensoredData

    return CensoredData.right_censored(data.times, [not seen for seen in data.observed])


def _first_half(times: Sequence[float], shares: Sequence[float]) -> float | None:
    """The first time with a share of at most one half, but for rounding; NaN is no share."""
    return next((float(time) for time, share in zip(times, shares, strict=True) if share <= 0.5 + 1e-12), None)
