"""When to save a checkpoint: log-spaced, regular, and dense where the test loss moves fast."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from grokinterp.config import TrainConfig

EVENT = 0.99
"""Accuracy at which memorisation and generalisation are read; see phases.RULES."""


def planned_steps(config: TrainConfig) -> list[int]:
    """The checkpoints known before training: 0, the last step, log-spaced and regular ones.

    >>> from grokinterp.config import TrainConfig
    >>> planned_steps(TrainConfig(steps=100, checkpoint_log_points=5, checkpoint_every=50))
    [0, 1, 3, 10, 32, 50, 100]
    """
    logs = np.logspace(0, math.log10(config.steps), config.checkpoint_log_points)
    assert config.checkpoint_every is not None
    regular = range(0, config.steps + 1, config.checkpoint_every)
    return sorted({0, config.steps, *regular, *(round(s) for s in logs)})


class CheckpointSchedule:
    """Decides step by step; a function of the config and the test losses seen, so resume repeats it.

    Dense rule: at an evaluation, save if ln(test loss) has moved by `checkpoint_dense` since the
    last checkpoint that had a loss, but not within steps / 400 of the last dense one. Event rule: save
    where train or test accuracy is first seen at EVENT or above, so that the events have checkpoints.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._planned = set(planned_steps(config))
        self._threshold = config.checkpoint_dense
        self._gap = config.steps // 400
        self._last_log_loss: float | None = None
        self._last_dense = -self._gap
        self._crossed: list[bool] = [False, False]

    def wants(self, step: int, test_loss: float | None, accuracies: Sequence[float] = ()) -> bool:
        """Whether to save at `step`; between evaluations there is no test loss and no accuracy.

        Args:
            step: Optimizer steps done.
            test_loss: In nats.
            accuracies: On train and test pairs.
        """
        crossing = self._crosses(accuracies)
        log_loss = math.log(max(test_loss, 1e-300)) if test_loss is not None else None
        dense = crossing or (self._moved(log_loss) and step - self._last_dense >= self._gap)
        if dense:
            self._last_dense = step
        if log_loss is not None and (dense or step in self._planned or self._last_log_loss is None):
            self._last_log_loss = log_loss
        return dense or step in self._planned

    def _crosses(self, accuracies: Sequence[float]) -> bool:
        new = [a >= EVENT and not before for a, before in zip(accuracies, self._crossed, strict=False)]
        self._crossed = [before or now for before, now in zip(self._crossed, [*new, False, False], strict=False)]
        return any(new)

    def _moved(self, log_loss: float | None) -> bool:
        if log_loss is None or self._last_log_loss is None or not self._threshold:
            return False
        return abs(log_loss - self._last_log_loss) >= self._threshold

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        return {
            "last_log_loss": self._last_log_loss,
            "last_dense": self._last_dense,
            "crossed": list(self._crossed),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the schedule whose `state` this is."""
        self._last_log_loss, self._last_dense = state["last_log_loss"], state["last_dense"]
        self._crossed = list(state["crossed"])
