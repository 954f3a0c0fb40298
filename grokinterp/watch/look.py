"""What a run directory holds at one moment, read without touching it."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from grokinterp.config import RunConfig
from grokinterp.phases import Phases, find_phases
from grokinterp.runs.finished import is_finished
from grokinterp.runs.holder import is_held
from grokinterp.runs.metrics import read_metrics
from grokinterp.runs.rundir import NOT_TRAINED, RunDir
from grokinterp.watch.frequencies import Keys, key_frequencies

State = Literal["training", "finished", "stopped", "killed", "recorded", "imported"]

OVER = ("finished", "recorded", "imported")
"""States after which nothing more is to come."""

SPEED_SECONDS = 60.0
"""Steps per second are those of so long a time before the last line."""

ELSEWHERE_SECONDS = 60.0
"""A run whose log grows although nobody here holds its lock is trained on another machine, until so long after."""

T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """A run at one moment.

    Attributes:
        path: The run directory.
        config: Its config.
        state: Whether it is being trained, and if not why.
        why: The reason that training gave for an early end; else empty.
        total: Optimizer steps that are to be trained; None for a loop that somebody else wrote.
        phases: Its events so far, and its rows of metrics.
        keys: Key frequencies of the newest checkpoint; None where there are none.
        speed: Optimizer steps per second, from how the log grew while it was watched; None before it grew.
    """

    path: Path
    config: RunConfig
    state: State
    why: str
    total: int | None
    phases: Phases
    keys: Keys | None
    speed: float | None

    @property
    def step(self) -> int | None:
        """Of the last line of metrics; None before the first one."""
        return self.phases.rows[-1]["step"] if self.phases.rows else None

    @property
    def seconds_left(self) -> float | None:
        """Until the last step, at the present speed; None where that is not known."""
        if self.state != "training" or not self.speed or self.step is None or self.total is None:
            return None
        return max(self.total - self.step, 0) / self.speed

    def last(self, series: str) -> float | None:
        """The last value of a series of the metrics; None where it has none."""
        known = (row[series] for row in reversed(self.phases.rows) if row.get(series) is not None)
        return next(known, None)


class Watcher:
    """Looks at one run directory again and again; what has not changed is not read again."""

    def __init__(self, rundir: RunDir, *, keys: bool = True) -> None:
        self.rundir = rundir
        self._with_keys = keys
        self._config = Unchanged(lambda _: rundir.read_config())
        self._phases = Unchanged(lambda path: find_phases(read_metrics(path)))
        self._keys = Unchanged(self._read_keys)
        self._growth: deque[tuple[float, int]] = deque()
        self._newest = 0
        self._last: int | None = None
        self._was_held = True
        self._grew_unheld: float | None = None

    def look(self) -> Look | None:
        """The run as it is now; None where there is none (yet, or any more).

        Raises:
            GrokinterpError: its config, metrics or checksums are damaged, or from a newer version.
        """
        held = is_held(self.rundir.lock_path)  # first: what is written before the lock is given back is then seen
        try:
            config = self._config(self.rundir.config_path)
            phases = self._phases(self.rundir.metrics_path) or find_phases([])
            if config is None:
                return None
            grew = self._grew(phases)
            if grew and not held and not self._was_held:
                self._grew_unheld = time.monotonic()
            engine = self.rundir.read_provenance().get("engine")
            total = None if engine in NOT_TRAINED else config.train.steps
            state, why = ("training", "") if held else self._ended(engine, config, phases)
        except FileNotFoundError:  # taken away between two looks at it
            return None
        self._was_held = held
        self._time(phases, grew=grew, training=state == "training")
        keys, speed = self._current_keys(config), self._speed()
        return Look(self.rundir.root, config, state, why, total, phases, keys, speed)

    def _ended(self, engine: Any, config: RunConfig, phases: Phases) -> tuple[State, str]:
        """How a run stands whose lock nobody holds, from what it would have written last."""
        if engine in NOT_TRAINED:
            return engine, ""
        if is_finished(self.rundir, config, phases.rows):
            end = self.rundir.read_end()
            return "finished", "" if end is None else end["reason"]
        if self._grew_unheld is not None and time.monotonic() - self._grew_unheld < ELSEWHERE_SECONDS:
            return "training", ""
        return ("stopped" if self._stopped_in_order() else "killed"), ""

    def _stopped_in_order(self) -> bool:
        """Whether what is needed to go on was written after the last line of metrics, as when it is asked to stop.

        A process that is killed has mostly written more lines since.
        """
        saved, logged = _signature(self.rundir.resume_path), _signature(self.rundir.metrics_path)
        return saved is not None and logged is not None and saved[1] >= logged[1]

    def _current_keys(self, config: RunConfig) -> Keys | None:
        steps = self.rundir.steps()
        if not self._with_keys or config.model.kind != "transformer" or not steps:
            return None
        self._newest = steps[-1]
        return self._keys(self.rundir.checkpoint_path(steps[-1]))

    def _read_keys(self, _: Path) -> Keys | None:
        return key_frequencies(self.rundir, self._newest)

    def _grew(self, phases: Phases) -> bool:
        """Whether the log has become longer since the last look; going on from an earlier step is no growth."""
        step = phases.last_step if phases.rows else None
        before, self._last = self._last, step
        if step is not None and before is not None and step < before:
            self._growth.clear()
        return step is not None and before is not None and step > before

    def _time(self, phases: Phases, *, grew: bool, training: bool) -> None:
        """Keep when a line was written that came while it was watched, and forget what is long past."""
        written = _signature(self.rundir.metrics_path)
        if not training or written is None:
            self._growth.clear()
        elif grew:
            self._growth.append((written[1] / 1e9, phases.last_step))
            while len(self._growth) > 2 and self._growth[-1][0] - self._growth[1][0] > SPEED_SECONDS:
                self._growth.popleft()

    def _speed(self) -> float | None:
        if len(self._growth) < 2:
            return None
        (start, first), (end, last) = self._growth[0], self._growth[-1]
        return (last - first) / (end - start) if end > start else None


class Unchanged(Generic[T]):
    """Reads a file, and again only when it has changed; None where there is none."""

    def __init__(self, read: Callable[[Path], T]) -> None:
        self._read = read
        self._seen: Any = None
        self._value: T | None = None

    def __call__(self, path: Path) -> T | None:
        """What `read` made of the file as it is now."""
        now = (path, _signature(path))
        if now != self._seen:
            self._value = None if now[1] is None else self._read(path)
            self._seen = now
        return self._value


def _signature(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced: inode, time and size; None where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
