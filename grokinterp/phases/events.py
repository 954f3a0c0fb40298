"""Events: a threshold and a direction on one series of evaluations.

An event's `first` crossing is the first evaluation past the threshold, its `step` the first of SUSTAIN
evaluations in a row past it; the truth lies in (after, step], because nothing was looked at in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SUSTAIN = 5
"""Evaluations in a row past a threshold that make a crossing a sustained one."""

RULES: dict[str, tuple[str, str, float]] = {
    "memorization": ("train_accuracy", ">=", 0.99),
    "generalization": ("test_accuracy", ">=", 0.99),
    "generalization_95": ("test_accuracy", ">=", 0.95),
    "half_accuracy": ("test_accuracy", ">=", 0.5),
    "small_test_loss": ("test_loss", "<", 0.01),
}
"""Event name: series, comparison, threshold."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One crossing of one threshold.

    first: First evaluation past the threshold, or None.
    step: First of SUSTAIN evaluations in a row past it, or None (censored at the run's end).
    after: The last evaluation before `step` that was not past it; None if there is none.
    """

    name: str
    rule: str
    first: int | None
    step: int | None
    after: int | None


def find_event(rows: Sequence[Row], name: str, series: str, comparison: str, threshold: float) -> Event:
    """The first and the first sustained crossing of one series; null values do not count as past.

    Rows without the series are no evaluations of it: other people's curves may be logged at different steps.
    """
    rows = [row for row in rows if series in row]
    past = [_past(row.get(series), comparison, threshold) for row in rows]
    first = next((i for i, p in enumerate(past) if p), None)
    sustained = next((i for i in range(len(past) - SUSTAIN + 1) if all(past[i : i + SUSTAIN])), None)
    before = range((sustained or 0) - 1, -1, -1)
    after = next((rows[i]["step"] for i in before if rows[i].get(series) is not None), None)
    return Event(
        name,
        f"{series} {comparison} {threshold}",
        None if first is None else rows[first]["step"],
        None if sustained is None else rows[sustained]["step"],
        after,
    )


def _past(value: float | None, comparison: str, threshold: float) -> bool:
    if value is None:
        return False
    return value >= threshold if comparison == ">=" else value < threshold
