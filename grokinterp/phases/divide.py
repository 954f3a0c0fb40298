"""Phases: the stretches between events (names from Nanda et al. 2023, who drew theirs by eye).

    memorization        0 .. memorization_step
    circuit formation   .. the last evaluation at which the test loss was still CLEANUP of its peak
    cleanup             .. test loss below 0.01 (or, if it never is, generalization_step)
    stable              .. the end

A run that memorised and never generalised has one phase "memorised" after the first; where test
accuracy came no later than train accuracy there is no gap to divide, and the phase is "learning".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grokinterp.phases.events import SUSTAIN, Event, Row

CLEANUP = 2 / 3
"""Circuit formation ends when the test loss leaves this share of its peak for good."""


@dataclass(frozen=True)
class Phase:
    """A named stretch of steps."""

    name: str
    start: int
    end: int


def divide(rows: Sequence[Row], events: Mapping[str, Event], last: int) -> tuple[Phase, ...]:
    """The phases of a run that ended at step `last`, in order, without empty ones.

    None where accuracy was looked at too seldom to tell events, as other people's curves may have losses alone.
    """
    memorised, grokked = events["memorization"].step, events["generalization"].step
    if not follows_accuracy(rows):
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


def follows_accuracy(rows: Sequence[Row]) -> bool:
    """Whether both accuracies were looked at often enough to tell events: SUSTAIN times, or always from step 0 on."""
    known = sum(row.get("train_accuracy") is not None and row.get("test_accuracy") is not None for row in rows)
    return known >= SUSTAIN or (0 < known == len(rows) and rows[0]["step"] == 0)


def _cleanup_start(rows: Sequence[Row], memorised: int, grokked: int) -> int:
    """The last evaluation in [memorised, grokked] with a test loss of CLEANUP times its peak there."""
    between = [row for row in rows if memorised <= row["step"] <= grokked and row.get("test_loss") is not None]
    if not between:
        return memorised
    peak = max(row["test_loss"] for row in between)
    return [row["step"] for row in between if row["test_loss"] >= CLEANUP * peak][-1]


def _drop_empty(phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
    return tuple(phase for phase in phases if phase.end > phase.start)
