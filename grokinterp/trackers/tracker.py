"""The interface of a tracker: three methods."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable


@runtime_checkable
class Tracker(Protocol):
    """Follows one training run.

    A run that goes on tells its evaluations from the first one again, so that a tracker sees each step once and
    in order, and need not know what it saw in an earlier process. What a method raises ends the tracking, never
    the training.
    """

    def start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Training begins or goes on.

        Args:
            folder: RUN/tracking, not yet made; what belongs to the tracker may lie there from before.
            config: The run's config as JSON has it, with its name.
        """
        ...

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """One evaluation, the numbers of a line of metrics.jsonl."""
        ...

    def finish(self) -> None:
        """Training has ended or was stopped."""
        ...


Track: TypeAlias = str | Tracker | Sequence[str | Tracker] | None
"""What `gi.train(..., track=...)` takes: names of trackers, objects, or both."""
