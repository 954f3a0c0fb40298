"""What there is to do: for each part of each measure the rows that still hold, and the steps that are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grokinterp.errors import GrokinterpError
from grokinterp.measures.measure import Measure, Part
from grokinterp.phases import Phases
from grokinterp.tables import Row

N_LANDMARKS = 6
"""How many checkpoints the default subset "landmarks" holds besides the events."""


@dataclass
class Work:
    """One part of one measure: rows by step with their checkpoint's digest, and the steps still to do.

    changed: rows of checkpoints whose file is another one now.
    """

    measure: Measure
    name: str
    part: Part
    params: dict[str, Any]
    rows: dict[int, list[Row]]
    todo: set[int]
    digests: dict[int, str] = field(default_factory=dict)
    changed: dict[int, list[Row]] = field(default_factory=dict)
    dirty: bool = False

    def keep(self, saved: Sequence[Row], old: Mapping[str, str], digests: Mapping[int, str]) -> set[int]:
        """Take over saved rows whose checkpoint is unchanged or gone; set aside those whose file differs.

        Returns:
            The steps whose rows still hold.
        """
        self.digests = {int(step): digest for step, digest in old.items()}
        kept = {step for step, digest in self.digests.items() if digests.get(step, digest) == digest}
        everything: dict[int, list[Row]] = {step: [] for step in self.digests}  # some may have no rows
        for row in saved:
            everything.setdefault(row["step"], []).append(row)
        self.rows = {step: rows for step, rows in everything.items() if step in kept}
        self.changed = {step: rows for step, rows in everything.items() if step not in kept}
        self.dirty = bool(self.changed)
        return kept

    def take(self, step: int, rows: list[Row], digest: str) -> None:
        """The rows of one checkpoint, computed now."""
        self.rows[step], self.digests[step], self.dirty = rows, digest, True


def settings_of(chosen: Mapping[str, Measure], params: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Each measure's parameters with the overrides.

    Raises:
        GrokinterpError: an override for another measure, or for a parameter that it has not.
    """
    for name, overrides in params.items():
        if name not in chosen:
            raise GrokinterpError(f"params for {name!r}, which is not among the measures asked for")
        unknown = sorted(set(overrides) - set(chosen[name].params))
        if unknown:
            known = ", ".join(chosen[name].params) or "none"
            raise GrokinterpError(f"{name} has no parameter {unknown[0]!r}; it has {known}")
    return {name: {**measure.params, **params.get(name, {})} for name, measure in chosen.items()}


def subsets(phases: Phases, steps: Sequence[int]) -> dict[str, list[int]]:
    """The default subsets: events, and landmarks (the events and N_LANDMARKS evenly spaced ones)."""
    events = sorted(set(phases.landmarks(steps).values()))
    positions = np.linspace(0, len(steps) - 1, min(N_LANDMARKS, len(steps))).round().astype(int)
    spread = {steps[i] for i in positions}
    return {
        "all": list(steps),
        "events": events,
        "landmarks": sorted(spread | set(events)),
        "last": list(steps[-1:]),
    }
