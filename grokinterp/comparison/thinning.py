"""Which evaluations of a run are drawn, so that a page of many runs stays small: the same ones every time."""

import math
from collections.abc import Sequence

from grokinterp.runs.metrics import Row

ALL_POINTS, FEWEST, MOST = 60_000, 20, 400
"""Evaluations in a page, and the fewest and the most of one run."""


def most_points(n_runs: int) -> int:
    """How many evaluations of each run are drawn."""
    return max(FEWEST, min(MOST, ALL_POINTS // max(n_runs, 1)))


def thinned(rows: Sequence[Row], most: int, events: Sequence[int]) -> list[Row]:
    """At most about `most` of the rows, in step order: all if there are no more.

    Else the first, the last, those at the events, and those nearest to steps that are evenly spaced on a
    logarithmic axis.
    """
    if len(rows) <= most:
        return list(rows)
    steps = [row["step"] for row in rows]
    begin = next((i for i, step in enumerate(steps) if step > 0), 0)
    low, high = math.log(max(steps[begin], 1)), math.log(max(steps[-1], 1))
    places = {0, begin, len(rows) - 1} | {i for i, step in enumerate(steps) if step in set(events)}
    place = begin
    for i in range(most):
        wanted = math.exp(low + (high - low) * i / (most - 1))
        while place + 1 < len(steps) and abs(steps[place + 1] - wanted) <= abs(steps[place] - wanted):
            place += 1
        places.add(place)
    return [rows[i] for i in sorted(places)]
