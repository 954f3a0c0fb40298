"""The trackers of one run, none of which can stop it."""

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from grokinterp.explain import one_line
from grokinterp.trackers.tracker import Tracker


class Followers:
    """Tells each tracker what happens; one that fails is named once and left out from then on."""

    def __init__(self, trackers: Iterable[Tracker] = ()) -> None:
        self._trackers = list(trackers)

    def start(self, folder: Path, config: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> None:
        """Begin, with the evaluations that are there already."""
        self._tell("start", folder, config)
        for row in rows:
            self.log(row)

    def log(self, row: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl."""
        metrics = {name: value for name, value in row.items() if name != "step"}
        self._tell("log", row["step"], metrics)

    def finish(self) -> None:
        """The end of training, or of this process's part of it."""
        self._tell("finish")

    def _tell(self, method: str, *arguments: Any) -> None:
        left = []
        for tracker in self._trackers:
            try:
                getattr(tracker, method)(*copy.deepcopy(arguments))  # whatever it does to them stays with it
            except Exception as error:
                _say_without(tracker, error)
            else:
                left.append(tracker)
        self._trackers = left


def _say_without(tracker: Tracker, error: Exception) -> None:
    name = getattr(tracker, "name", type(tracker).__name__)
    sentence = one_line(f"the tracker {name} failed ({type(error).__name__}: {error}); the run goes on without it")
    Console(stderr=True).print(sentence, soft_wrap=True, highlight=False, markup=False)
