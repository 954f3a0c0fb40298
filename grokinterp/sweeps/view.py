"""The live view of a sweep: how many runs are done, at work, failed, and when the rest will be."""

import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from grokinterp.config import RunConfig
from grokinterp.progress import SECONDS_BETWEEN_LINES
from grokinterp.runs.rundir import RunDir
from grokinterp.sweeps.sweepdir import SweepDir
from grokinterp.sweeps.worker import Outcome

MOST_ROWS = 16
TAIL_BYTES = 4096


class SweepView:
    """Counts and the runs at work: a live table on a terminal, a line now and then elsewhere; a context manager."""

    def __init__(self, configs: Sequence[RunConfig], place: SweepDir, *, show: bool | None) -> None:
        self.names = [config.name for config in configs]
        self._steps = {config.name: config.train.steps for config in configs}
        self._place, self._console = place, Console(stderr=True)
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._is_live = self._console.is_terminal if show is None else show
        self._quiet = show is False
        self._started = self._last = time.monotonic()
        self._at_start: dict[str, int] = {}
        self._eta: deque[float] = deque(maxlen=5)

    def __enter__(self) -> Self:
        self._at_start = {name: self._step_of(name) for name in self.names}
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._is_live:
            self._live.stop()

    def show(self, outcomes: Mapping[str, Outcome]) -> None:
        """Look at the runs that are not through, and say where they are."""
        if self._quiet:
            return
        interval = 1.0 if self._is_live else SECONDS_BETWEEN_LINES
        if time.monotonic() - self._last < interval:
            return
        self._last = time.monotonic()
        at_work = self._at_work(outcomes)
        headline = self._headline(outcomes, at_work)
        if not self._is_live:
            self._console.print(headline, highlight=False, markup=False, soft_wrap=True)
            return
        table = Table(title=headline, box=None, title_justify="left", show_header=False)
        for name, step in list(at_work.items())[:MOST_ROWS]:
            table.add_row(name, f"step {step:,} of {self._steps[name]:,}")
        self._live.update(table, refresh=True)

    def _at_work(self, outcomes: Mapping[str, Outcome]) -> dict[str, int]:
        """Steps of the runs that have moved since the start and are not through."""
        steps = {name: self._step_of(name) for name in self.names if name not in outcomes}
        return {name: step for name, step in steps.items() if step > self._at_start[name]}

    def _headline(self, outcomes: Mapping[str, Outcome], at_work: Mapping[str, int]) -> str:
        failed = sum(outcome.state == "failed" for outcome in outcomes.values())
        done = sum(outcome.state == "done" for outcome in outcomes.values())
        now = dict(at_work) | {name: self._steps[name] for name in outcomes}
        fresh = {name: step - self._at_start[name] for name, step in now.items()}
        moved = sum(steps for name, steps in fresh.items() if not (name in outcomes and outcomes[name].reused))
        left = sum(self._steps[name] - now.get(name, self._at_start[name]) for name in self.names)
        eta = ""
        if moved and left:
            self._eta.append(left * (self._last - self._started) / moved)
            eta = f", about {_duration(sum(self._eta) / len(self._eta))} left"
        return f"{done} of {len(self.names)} runs done, {len(at_work)} at work, {failed} failed{eta}"

    def _step_of(self, name: str) -> int:
        return last_step(RunDir(self._place.run_path(name)).metrics_path)


def last_step(path: Path) -> int:
    """The step of the last complete line of a metrics file, read from its end; 0 where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            lines = file.read().split(b"\n")[:-1]
        return int(json.loads(lines[-1])["step"])
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        return 0


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {int(seconds % 60):02d} s"
