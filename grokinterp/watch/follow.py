"""Showing a run again and again until it is over: live on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from grokinterp.errors import GrokinterpError
from grokinterp.exits import say
from grokinterp.runs.holder import is_held
from grokinterp.runs.rundir import RunDir
from grokinterp.watch.folder import FolderWatcher, folder_view, headline
from grokinterp.watch.look import OVER, Watcher
from grokinterp.watch.view import one_liner, run_view, standing

BUSY = 9.0
"""Reading may take one part in so many of the time: the trainer wants the machine too."""


class RunScreen:
    """What is shown of one run."""

    def __init__(self, path: Path) -> None:
        self._watcher = Watcher(RunDir(path))
        self._path = path
        self.is_over = self.is_idle = False

    def look(self) -> None:
        """Look at it now.

        Raises:
            GrokinterpError: it is damaged.
        """
        self._look = self._watcher.look()
        self.is_over = self._look is not None and self._look.state in OVER
        self.is_idle = self._look is None or self._look.state != "training"

    def view(self, console: Console) -> Text:
        """All of it."""
        if self._look is None:
            return Text(f"there is no run at {self._path} any more")
        return run_view(
            self._look, console.width, lines=console.height, ascii_only=not console.encoding.startswith("utf")
        )

    def line(self) -> str:
        """One line."""
        if self._look is None:
            return f"there is no run at {self._path} any more"
        return one_liner(self._look) if self._look.state == "training" else standing(self._look)


class FolderScreen:
    """What is shown of a folder of runs."""

    def __init__(self, path: Path) -> None:
        self._watcher, self._path = FolderWatcher(path), path
        self.is_over = self.is_idle = False

    def look(self) -> None:
        """Look at them now."""
        self._rows = self._watcher.look()
        self.is_over = self._watcher.is_over(self._rows)
        self.is_idle = self._watcher.is_idle(self._rows)

    def view(self, console: Console) -> Text:
        """All of it."""
        return folder_view(self._path, self._rows, console.width, console.height)

    def line(self) -> str:
        """One line."""
        return headline(self._path, self._rows)[0]


def find(path: Path) -> RunScreen | FolderScreen | None:
    """What there is to watch at a path; None where it may still come.

    Raises:
        GrokinterpError: there is something, and it is neither a run nor a folder of runs.
    """
    rundir = RunDir(path)
    if rundir.exists():
        return RunScreen(path)
    if rundir.is_free():
        return None
    from grokinterp.run import find_runs

    try:
        found = find_runs(path)
    except GrokinterpError:
        if path.is_dir() and is_held(rundir.lock_path):  # a sweep or a run that has only just begun
            return None
        raise
    return FolderScreen(path) if path in found[0].parents else RunScreen(found[0])


def show_once(path: Path) -> int:
    """Print one view.

    Raises:
        GrokinterpError: there is nothing to show.
    """
    screen = find(path)
    if screen is None:
        raise GrokinterpError(f"there is no run at {path} yet; check the path, or leave out --once to wait for it")
    console = Console()
    screen.look()
    _print(console, screen.view(console))
    return 0


def follow(path: Path, every: float) -> int:
    """Show a run, or wait for it, until it is over; 0 then, and 1 if it stopped before and nobody can look on.

    On a terminal a run that stopped is watched on: it may be resumed.
    """
    if sys.stdout.isatty() and not Console().is_dumb_terminal:
        return _live(path, every)
    return _lines(path, every)


def _live(path: Path, every: float) -> int:
    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        screen, shown = _wait(path, every, lambda: live.update(_waiting(path), refresh=True)), None
        while True:
            began = time.monotonic()
            screen.look()
            text = screen.view(console)
            if screen.is_idle and not screen.is_over:
                text.append("\nwaiting in case it goes on; Ctrl-C to leave", style="dim")
            if (text, console.size) != shown:
                live.update(text, refresh=True)
                shown = (text, console.size)
            if screen.is_over:
                return 0
            _pause(every, began)


def _lines(path: Path, every: float) -> int:
    console, told = Console(), ""
    screen = _wait(path, every, lambda: say(str(_waiting(path))), once=True)
    while True:
        began = time.monotonic()
        screen.look()
        if screen.is_idle:
            _print(console, screen.view(console))
            return 0 if screen.is_over else 1
        if screen.line() != told:
            told = screen.line()
            _print(console, Text(told))
        _pause(every, began)


def _wait(path: Path, every: float, tell: Callable[[], None], *, once: bool = False) -> RunScreen | FolderScreen:
    """Wait for a run, and say so each time that there is none."""
    told = False
    while (screen := find(path)) is None:
        if not (told and once):
            tell()
        told = True
        time.sleep(every)
    return screen


def _waiting(path: Path) -> Text:
    return Text(f"waiting for a run at {path}; Ctrl-C to leave")


def _pause(every: float, began: float) -> None:
    time.sleep(max(every, BUSY * (time.monotonic() - began)))


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
    console.file.flush()
