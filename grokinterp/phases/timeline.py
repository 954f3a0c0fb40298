"""Everything about one run's course that metrics.jsonl alone tells, and its JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

from grokinterp.phases.descent import RISE, DoubleDescent, find_double_descent
from grokinterp.phases.divide import CLEANUP, Phase, divide, follows_accuracy
from grokinterp.phases.events import RULES, SUSTAIN, Event, Row, find_event
from grokinterp.phases.knees import KNEE_RATIO, Knee, Knees, find_knees

CHANGE_POINT = (
    "the knee of the log of the lowest test_loss so far, from its peak on, where its steepest piece begins "
    f"(ruptures Dynp clinear; null where knees leave over {KNEE_RATIO} of a polynomial's residual)"
)

SPIKE = 10.0
"""A train loss that is this many times the median of the five evaluations before begins a spike."""

GROKKING_POINTS = ("generalization", "generalization_95", "small_test_loss", "change_point")
"""Definitions of the grokking point that are reported side by side; the first one is `generalization_step`."""


@dataclass(frozen=True)
class Phases:
    """Events and phases of one run.

    rows: The evaluations that all of it is read from.
    """

    events: dict[str, Event]
    phases: tuple[Phase, ...]
    last_step: int
    rows: tuple[Row, ...] = field(default=(), repr=False, compare=False)

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

    @property
    def follows_accuracy(self) -> bool:
        """Whether accuracy was looked at often enough to tell events from it; other people's curves may lack it."""
        return follows_accuracy(self.rows)

    @cached_property
    def test_loss_knees(self) -> Knees | None:
        """The knees of the log of the lowest test loss so far, from its peak on; None without knees.

        The lowest so far, because slingshots after generalisation are no part of the fall.
        """
        known = [(row["step"], row["test_loss"]) for row in self.rows if (row.get("test_loss") or 0) > 0]
        end = self._generalised if self._generalised is not None else self.last_step
        early = [(loss, -step) for step, loss in known if step <= end]
        if not early:
            return None
        peak = -max(early)[1]
        falling = [(step, loss) for step, loss in known if step >= peak]
        lowest = accumulate((math.log(loss) for _, loss in falling), min)
        return find_knees([step for step, _ in falling], list(lowest))

    @property
    def change_point(self) -> Knee | None:
        """Where the log of the test loss begins its steepest fall; None without a knee there."""
        return self.test_loss_knees.onset if self.test_loss_knees else None

    @cached_property
    def double_descent(self) -> DoubleDescent | None:
        """The double descent of the test loss, None where there is none."""
        return find_double_descent(self.rows, self.memorization_step, self._generalised)

    @cached_property
    def spike_steps(self) -> tuple[int, ...]:
        """The evaluations at which spikes of the train loss (slingshots) begin; see spikes.py."""
        import numpy as np

        from grokinterp.spikes import find_spikes

        known = [(row["step"], row["train_loss"]) for row in self.rows if row.get("train_loss") is not None]
        spikes = find_spikes(np.array([loss for _, loss in known], dtype=float), factor=SPIKE)
        return tuple(known[spike.onset][0] for spike in spikes)

    @property
    def _generalised(self) -> int | None:
        """Test accuracy at least 0.99 or test loss below 0.01, whichever came first."""
        known = [s for s in (self.generalization_step, self.step("small_test_loss")) if s is not None]
        return min(known, default=None)

    @property
    def grokking_points(self) -> dict[str, dict[str, Any]]:
        """GROKKING_POINTS side by side: the rule, the step, and the interval (after, until] of the truth."""
        points: dict[str, dict[str, Any]] = {}
        for name in GROKKING_POINTS[:-1]:
            event = self.events[name]
            points[name] = {"rule": event.rule, "after": event.after, "step": event.step, "until": event.step}
        knee = asdict(self.change_point) if self.change_point else {"after": None, "step": None, "until": None}
        return points | {"change_point": {"rule": CHANGE_POINT, **knee}}

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

    def landmark_names(self, steps: Sequence[int]) -> dict[int, str]:
        """The same turned round, in step order: events that share a checkpoint stand side by side."""
        names: dict[int, list[str]] = {}
        for name, step in self.landmarks(steps).items():
            names.setdefault(step, []).append(name)
        return {step: ", ".join(names[step]) for step in sorted(names)}

    def to_json(self) -> dict[str, Any]:
        """Everything, with the rules that made it."""
        return {
            "rules": {
                "sustain_evaluations": SUSTAIN,
                "cleanup_share_of_peak_test_loss": CLEANUP,
                "double_descent_rise": RISE,
                "knee_residual_ratio": KNEE_RATIO,
                "spike_factor": SPIKE,
                **{name: f"{s} {op} {x}" for name, (s, op, x) in RULES.items()},
            },
            "memorization_step": self.memorization_step,
            "generalization_step": self.generalization_step,
            "grokking_delay": self.grokking_delay,
            "censored": self.censored,
            "last_step": self.last_step,
            "events": {name: asdict(event) for name, event in self.events.items()},
            "grokking_points": self.grokking_points,
            "double_descent": asdict(self.double_descent) if self.double_descent else None,
            "train_loss_spikes": list(self.spike_steps),
            "phases": [asdict(phase) for phase in self.phases],
        }


def find_phases(rows: Sequence[Row]) -> Phases:
    """Events and phases of a series of evaluations, in step order; empty rows give no events."""
    events = {name: find_event(rows, name, *rule) for name, rule in RULES.items()}
    last = rows[-1]["step"] if rows else 0
    return Phases(events, divide(rows, events, last), last, tuple(rows))
