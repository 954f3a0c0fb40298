"""Steps to an event by factor, with the runs that ended before it: medians, curves, a test of two values."""

from collections.abc import Sequence
from typing import Any

from grokinterp.cohort import durations, kaplan_meier, log_rank
from grokinterp.comparison.entries import Entry
from grokinterp.comparison.factors import Factor
from grokinterp.phases import Phases

QUANTITIES = {
    "generalization": ("steps to grok", "generalization", None),
    "memorization": ("steps to memorise", "memorization", None),
    "delay": ("grokking delay in steps", "generalization", "memorization"),
}
"""Name: what it is called, the event, and the event from which steps are counted."""


def survival(entries: Sequence[Entry], factor: Factor | None) -> dict[str, Any]:
    """For each value of a factor, or for all runs, the medians of all quantities and the curve of the first.

    Runs whose events are not known are left out.
    """
    places = range(len(entries))
    if factor is None:
        groups = [list(places)]
    else:
        groups = [[i for i in places if factor.levels[i] == level] for level in range(len(factor.values))]
    cohorts = [known_phases([entries[i] for i in group]) for group in groups]
    return {
        "medians": {name: [_median(cohort, name) for cohort in cohorts] for name in QUANTITIES},
        "curves": [_curve(cohort) for cohort in cohorts],
        "pValue": _p_value(cohorts),
    }


def known_phases(entries: Sequence[Entry]) -> list[Phases]:
    """Events of the runs whose events are known."""
    return [entry.phases for entry in entries if entry.phases is not None and entry.is_known]


def _median(cohort: list[Phases], quantity: str) -> dict[str, Any]:
    _, event, since = QUANTITIES[quantity]
    found = kaplan_meier(durations(cohort, event, since))
    return {
        "n": found.n,
        "observed": found.n_observed,
        "median": found.median,
        "low": found.low,
        "high": found.high,
    }


def _curve(cohort: list[Phases]) -> dict[str, Any]:
    """The share of runs that have not grokked yet, from 1 at step 0 to where the last of them was watched."""
    data = durations(cohort)
    found = kaplan_meier(data)
    return {
        "steps": [0, *found.times],
        "shares": [1, *found.surviving],
        "end": max(data.times, default=0),
        "censored": sorted(time for time, seen in zip(data.times, data.observed, strict=True) if not seen),
    }


def _p_value(cohorts: list[list[Phases]]) -> float | None:
    """Of the log-rank test, where there are two values."""
    if len(cohorts) != 2:
        return None
    test = log_rank(durations(cohorts[0]), durations(cohorts[1]))
    return None if test is None else test.p_value
