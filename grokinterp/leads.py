"""Lead and lag: when each measure's curves move, against when the test accuracy does.

A measure declares its curves (`Measure.series`). A curve with a threshold moves where it crosses it for
good: of all crossings to the side on which the curve ends (the median of the last tenth of its
checkpoints), the one that leaves the curve on the wrong side, before or after, for the fewest steps.
So a curve that dips below and comes back moves where it comes back, and a spike late in training does
not move it; `n_crossings` says how many there were. A curve without a threshold moves at its change
point (`phases.find_knees`).

A curve is known at checkpoints only: it moved in (after, until]. With test accuracy's own interval
(t_after, t_step], the lead t - s lies between t_after - until and t_step - after. A positive lead means
that the measure moved first. Leads of curves that use the last checkpoint's key frequencies know the
end of the run; compare them with the random control's.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from grokinterp.errors import GrokinterpError
from grokinterp.measures.measure import Measure, Series
from grokinterp.phases import Event, Phases, find_knees

if TYPE_CHECKING:
    import pandas as pd

    from grokinterp.run import Run

PLATEAU = 0.1
"""Share of the checkpoints, counted from the end, whose median is the plateau value."""

TARGETS = ("half_accuracy", "generalization")
"""The events that moves are compared with: test accuracy at least 0.5 and 0.99."""

LEAD_COLUMNS = (
    "measure",
    "part",
    "label",
    "column",
    "where",
    "rule",
    "n_points",
    "n_crossings",
    "after",
    "step",
    "until",
    *(f"lead_{name}{end}" for name in TARGETS for end in ("", "_low", "_high")),
    "at_init",
    "at_grokking",
    "at_plateau",
    "share_by_grokking",
    "note",
)
"""Fields of a lead.

    measure, part, label, column, where: the curve, as its measure declares it.
    rule: which crossing or change point; n_points: checkpoints with a value.
    n_crossings: to either side, null for a change point.
    after, step, until: when it moved, null if it did not; note says why.
    lead_*, lead_*_low, lead_*_high: steps before the test accuracy, and the open interval of it.
    at_init, at_grokking, at_plateau: values at the first checkpoint, at the first one not before
        generalisation, and the median of the last tenth.
    share_by_grokking: (at_grokking - at_init) / (at_plateau - at_init), null where nothing changed.
"""


def find_leads(run: "Run", phases: Phases, measures: Iterable[Measure]) -> list[dict[str, Any]]:
    """One row (LEAD_COLUMNS) for each declared curve of each measure that has its table."""
    found = []
    for measure in measures:
        for series in measure.series:
            try:
                table = run.table(f"{measure.name}.{series.part}" if series.part else measure.name)
            except GrokinterpError:
                continue  # never computed, or skipped, with the reason in the measure's JSON
            scale = math.log(run.task.n_answers) if series.unit == "log_answers" else 1.0
            threshold = None if series.threshold is None else series.threshold * scale
            found.append({"measure": measure.name} | lead_of(table, series, threshold, phases))
    return found


def lead_of(table: "pd.DataFrame", series: Series, threshold: float | None, phases: Phases) -> dict[str, Any]:
    """The fields of one curve, null where they have no meaning.

    Args:
        table: With a column `step` and those that the series names.
        threshold: In the column's own unit; None for the change point.
        phases: When the test accuracy moved.
    """
    import pandas as pd

    row: dict[str, Any] = dict.fromkeys(LEAD_COLUMNS[1:])
    row |= {"part": series.part, "label": series.label, "column": series.column, "where": dict(series.where)}
    row["n_points"] = 0
    missing = sorted({"step", series.column, *series.where} - set(table.columns))
    if missing:
        return row | {"note": f"the table has no column {missing[0]}"}
    chosen = table
    for column, wanted in series.where.items():
        chosen = chosen[chosen[column] == wanted]
    numbers = pd.to_numeric(chosen[series.column], errors="coerce")
    chosen = chosen.assign(**{series.column: numbers})[numbers.notna()].sort_values("step")
    if chosen["step"].duplicated().any():
        return row | {"note": "several rows a step; the series' `where` must pick one"}
    steps = [int(step) for step in chosen["step"]]
    values = [float(value) for value in chosen[series.column]]
    if not steps:
        return row | {"note": "no values"}
    row["n_points"] = len(steps)
    row |= _landmark_values(steps, values, phases.generalization_step)
    move = _crossing(steps, values, series, threshold) if threshold is not None else _change(steps, values, series)
    return row | move | _leads(move, phases)


def plateau(values: Sequence[float]) -> float:
    """The median of the last PLATEAU of the values, at least of one."""
    last = sorted(values[-math.ceil(PLATEAU * len(values)) :])
    return (last[(len(last) - 1) // 2] + last[len(last) // 2]) / 2


def _landmark_values(steps: Sequence[int], values: Sequence[float], grokked: int | None) -> dict[str, float | None]:
    later = [value for step, value in zip(steps, values, strict=True) if grokked is not None and step >= grokked]
    at_init, at_grokking, at_plateau = values[0], later[0] if later else None, plateau(values)
    change = at_plateau - at_init
    share = None if at_grokking is None or change == 0 else (at_grokking - at_init) / change
    return {
        "at_init": at_init,
        "at_grokking": at_grokking,
        "at_plateau": at_plateau,
        "share_by_grokking": share if share is not None and math.isfinite(share) else None,
    }


def _crossing(steps: Sequence[int], values: Sequence[float], series: Series, threshold: float) -> dict[str, Any]:
    """The crossing to the final side that leaves the curve on the wrong side for the fewest steps."""
    rises = plateau(values) >= threshold
    past = [(value >= threshold) == rises for value in values]
    changes = [i for i in range(1, len(past)) if past[i] != past[i - 1]]
    rule = f"{series.column} {'rises to' if rises else 'falls below'} {threshold:.4g}"
    row: dict[str, Any] = {"rule": rule, "n_crossings": len(changes)}
    arrivals = [i for i in (0, *changes) if past[i]]
    lasts = [1, *(later - earlier for earlier, later in pairwise(steps))]

    def wrong(arrival: int) -> int:
        return sum(last for i, last in enumerate(lasts) if past[i] != (i >= arrival))

    best = min(arrivals, key=wrong)
    if best == 0:
        return row | {"note": "on its final side from the first checkpoint on"}
    return row | {"after": steps[best - 1], "step": steps[best], "until": steps[best]}


def _change(steps: Sequence[int], values: Sequence[float], series: Series) -> dict[str, Any]:
    """The change point of the curve or of its logarithm."""
    name = f"log {series.column}" if series.log else series.column
    known = list(zip(steps, values, strict=True))
    if series.log:
        known = [(step, math.log(value)) for step, value in known if value > 0]
    knees = find_knees([step for step, _ in known], [value for _, value in known])
    if knees is None:
        return {"rule": f"change point of {name}", "note": "no knee"}
    where = "begins" if knees.onset else "ends"
    change = knees.change_point
    return {
        "rule": f"the steepest piece of {name} {where}",
        "after": change.after,
        "step": change.step,
        "until": change.until,
    }


def _leads(move: Mapping[str, Any], phases: Phases) -> dict[str, int | None]:
    """How far the move lies before each target, with the open interval of that."""
    leads: dict[str, int | None] = {}
    for name in TARGETS:
        event: Event = phases.events[name]
        if event.step is None or move.get("step") is None:
            continue
        after = event.step if event.after is None else event.after  # past it at the first evaluation
        leads |= {
            f"lead_{name}": event.step - move["step"],
            f"lead_{name}_low": after - move["until"],
            f"lead_{name}_high": event.step - move["after"],
        }
    return leads
