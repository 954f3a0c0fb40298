"""Events of a run and the phases between them, by declared rules on metrics.jsonl.

An event is a threshold and a direction on one series. Its `first` crossing is the first evaluation
past the threshold, its `step` the first of SUSTAIN evaluations in a row past it; the truth lies in
(after, step], because nothing was looked at in between. Phases (names from Nanda et al. 2023, who drew
theirs by eye):

    memorization        0 .. memorization_step
    circuit formation   .. the last evaluation at which the test loss was still CLEANUP of its peak
    cleanup             .. test loss below 0.01 (or, if it never is, generalization_step)
    stable              .. the end

A run that memorised and never generalised has one phase "memorised" after the first; where test
accuracy came no later than train accuracy there is no gap to divide, and the phase is "learning".
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

SUSTAIN = 5
"""Evaluations in a row past a threshold that make a crossing a sustained one."""

CLEANUP = 2 / 3
"""Circuit formation ends when the test loss leaves this share of its peak for good."""

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


@dataclass(frozen=True)
class Phase:
    """A named stretch of steps."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Phases:
    """Events and phases of one run."""

    events: dict[str, Event]
    phases: tuple[Phase, ...]
    last_step: int

    def step(self, name: str) -> int | None:
        """The sustained crossing called `name`, or None."""
        event = self.events.get(name)
        return event.step if event else None

    @property
    def memorization_step(self) -> int | None:
        """Train accuracy at least 0.99, sustained."""
        return self.step("memorization")

    @property
    def generalization_step(self) -> int | None:
        """Test accuracy at least 0.99, sustained: the grokking point."""
        return self.step("generalization")

    @property
    def grokking_delay(self) -> int | None:
        """generalization_step - memorization_step, None where either is."""
        if self.memorization_step is None or self.generalization_step is None:
            return None
        return self.generalization_step - self.memorization_step

    @property
    def censored(self) -> bool:
        """The run ended before it generalised."""
        return self.generalization_step is None

    def landmarks(self, steps: Sequence[int]) -> dict[str, int]:
        """The checkpoints at init, memorised, grokked and end: the first at or after each event."""
        if not steps:
            return {}
        marks = {"init": steps[0]}
        for name, event in (("memorised", self.memorization_step), ("grokked", self.generalization_step)):
            later = [s for s in steps if event is not None and s >= event]
            if later:
                marks[name] = later[0]
        return marks | {"end": steps[-1]}

    def to_json(self) -> dict[str, Any]:
        """Everything, with the rules that made it."""
        return {
            "rules": {
                "sustain_evaluations": SUSTAIN,
                "cleanup_share_of_peak_test_loss": CLEANUP,
                **{name: f"{s} {op} {x}" for name, (s, op, x) in RULES.items()},
            },
            "memorization_step": self.memorization_step,
            "generalization_step": self.generalization_step,
            "grokking_delay": self.grokking_delay,
            "censored": self.censored,
            "last_step": self.last_step,
            "events": {name: asdict(event) for name, event in self.events.items()},
            "phases": [asdict(phase) for phase in self.phases],
        }


def find_phases(rows: Sequence[Row]) -> Phases:
    """Events and phases of a series of evaluations, in step order; empty rows give no events."""
    events = {name: find_event(rows, name, *rule) for name, rule in RULES.items()}
    last = rows[-1]["step"] if rows else 0
    return Phases(events, _divide(rows, events, last), last)


def find_event(rows: Sequence[Row], name: str, series: str, comparison: str, threshold: float) -> Event:
    """The first and the first sustained crossing of one series; null values do not count as past."""
    past = [_past(row.get(series), comparison, threshold) for row in rows]
    first = next((i for i, p in enumerate(past) if p), None)
    sustained = next((i for i in range(len(past) - SUSTAIN + 1) if all(past[i : i + SUSTAIN])), None)
    after = rows[sustained - 1]["step"] if sustained else None
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


def _divide(rows: Sequence[Row], events: dict[str, Event], last: int) -> tuple[Phase, ...]:
    memorised, grokked = events["memorization"].step, events["generalization"].step
    if not rows:
        return ()
    if memorised is None and grokked is None:
        return (Phase("memorization", 0, last),)
    if grokked is None:
        assert memorised is not None
        return _drop_empty((Phase("memorization", 0, memorised), Phase("memorised", memorised, last)))
    if memorised is None or grokked <= memorised:
        return _drop_empty((Phase("learning", 0, grokked), Phase("stable", grokked, last)))
    formed = _cleanup_start(rows, memorised, grokked)
    clean = events["small_test_loss"].step
    clean = grokked if clean is None else max(clean, formed)
    return _drop_empty(
        (
            Phase("memorization", 0, memorised),
            Phase("circuit formation", memorised, formed),
            Phase("cleanup", formed, clean),
            Phase("stable", clean, last),
        )
    )


def _cleanup_start(rows: Sequence[Row], memorised: int, grokked: int) -> int:
    """The last evaluation in [memorised, grokked] with a test loss of CLEANUP times its peak there."""
    between = [row for row in rows if memorised <= row["step"] <= grokked and row.get("test_loss") is not None]
    if not between:
        return memorised
    peak = max(row["test_loss"] for row in between)
    return [row["step"] for row in between if row["test_loss"] >= CLEANUP * peak][-1]


def _drop_empty(phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
    return tuple(phase for phase in phases if phase.end > phase.start)
