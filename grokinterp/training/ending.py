"""When a run ends before its last step: a while after it grokked, or after so much wall time."""

import time
from typing import Any

from grokinterp.config import TrainConfig
from grokinterp.phases import RULES, SUSTAIN


class Ending:
    """Watches the evaluations; its state is saved, so that a resumed run ends where it would have.

    grokked: test accuracy past the rule of the event `generalization` for SUSTAIN evaluations in a row; the
    run ends `stop_after_grokking` steps after the first of them. Wall time is that of the loop, summed over
    resumes, and is looked at where the network is evaluated; it is the one thing that two runs of a config may
    differ in. A run that ends by time without having grokked is censored, not failed.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._after, self._limit = config.stop_after_grokking, config.max_seconds
        self._first: int | None = None
        self._in_a_row = 0
        self._seconds_before, self._started = 0.0, time.monotonic()

    def reason(self, step: int, test_accuracy: float) -> str | None:
        """Why training ends with the evaluation at `step`, or None."""
        _, _, threshold = RULES["generalization"]
        if self._in_a_row < SUSTAIN:
            past = test_accuracy >= threshold
            self._first = (self._first if self._in_a_row else step) if past else None
            self._in_a_row = self._in_a_row + 1 if past else 0
        grokked = self._first if self._in_a_row >= SUSTAIN else None
        if self._after is not None and grokked is not None and step >= grokked + self._after:
            return f"it grokked at step {grokked}, and {self._after} more steps were asked for"
        if self._limit is not None and self.seconds >= self._limit:
            return f"its {self._limit:g} seconds were over"
        return None

    @property
    def seconds(self) -> float:
        """Wall time of the loop so far, summed over resumes."""
        return self._seconds_before + time.monotonic() - self._started

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        return {"first": self._first, "in_a_row": self._in_a_row, "seconds": self.seconds}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the ending whose `state` this is."""
        self._first, self._in_a_row = state["first"], state["in_a_row"]
        self._seconds_before, self._started = state["seconds"], time.monotonic()
