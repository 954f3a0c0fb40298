"""A folder of runs, such as a sweep's, at one moment."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from grokinterp.errors import GrokinterpError
from grokinterp.explain import one_line
from grokinterp.runs.folders import run_folders
from grokinterp.runs.holder import is_held
from grokinterp.runs.rundir import RunDir
from grokinterp.watch.look import OVER, Look, Watcher

ORDER = ("training", "killed", "stopped", "damaged", "finished", "recorded", "imported")


@dataclass(frozen=True)
class Row:
    """One run: where it is, and what it has reached."""

    name: str
    state: str
    step: int = 0
    train_accuracy: float | None = None
    test_accuracy: float | None = None
    memorised: int | None = None
    grokked: int | None = None


class FolderWatcher:
    """Looks at a folder of runs again and again; runs that are over are read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._places = {root}
        self._watchers: dict[Path, Watcher] = {}
        self._over: dict[Path, Row] = {}

    def look(self) -> list[Row]:
        """A row for each run that has begun, those at work first."""
        folders = list(run_folders(self.root))
        self._places = {self.root, *(folder.parent for folder in folders)}
        rows = [self._row(folder) for folder in folders]
        return sorted(rows, key=lambda row: ORDER.index(row.state))

    def is_over(self, rows: list[Row]) -> bool:
        """Whether nothing more is to come: no sweep is at work here, and every run is through."""
        return not self._is_swept() and all(row.state in OVER for row in rows)

    def is_idle(self, rows: list[Row]) -> bool:
        """Whether nothing is going on here now."""
        return not self._is_swept() and all(row.state != "training" for row in rows)

    def _is_swept(self) -> bool:
        """Whether a sweep is at work in the folder, or in one in it; its lock lies where a run's does."""
        return any(is_held(RunDir(place).lock_path) for place in self._places)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _row(self, path: Path) -> Row:
        if path in self._over and not is_held(RunDir(path).lock_path):
            return self._over[path]
        watcher = self._watchers.setdefault(path, Watcher(RunDir(path), keys=False))
        try:
            look = watcher.look()
        except GrokinterpError:
            return Row(self._name(path), "damaged")
        if look is None:
            return Row(self._name(path), "killed")
        row = _row_of(self._name(path), look)
        if row.state in OVER:
            self._over[path] = row
            del self._watchers[path]  # and its rows of metrics
        return row


def folder_view(root: Path, rows: list[Row], width: int, lines: int) -> Text:
    """A line a run, as many as there is room for, below the counts; none wider than `width`."""
    room = max(lines - 4, 3)
    wide = max([len(one_line(row.name)) for row in rows[:room]] + [4])
    name_width = max(min(wide, width - 44), 8)
    head = f"{'run':<{name_width}} {'state':<8} {'step':>8} {'train':>6} {'test':>6} {'grokked':>8}"
    parts = [Text(line, style="bold") for line in headline(root, rows, width)]
    parts.append(Text(head[:width], style="dim"))
    for row in rows[:room]:
        parts.append(Text(_line(row, name_width)[:width]))
    if len(rows) > room:
        parts.append(Text(f"and {len(rows) - room} more", style="dim"))
    return Text("\n").join(parts)


def headline(root: Path, rows: list[Row], width: int = 0) -> list[str]:
    """How many runs have begun and how they are; on two lines where `width` is given and one is too narrow."""
    counts = Counter(row.state for row in rows)
    states = ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])
    name, count = one_line(str(root)), f"{len(rows)} {'run' if len(rows) == 1 else 'runs'} begun"
    whole = f"{name}: {count}, {states}"
    if not width or len(whole) <= width:
        return [whole]
    room = width - len(f": {count}")
    if len(name) > room:  # the end of a path says more than its beginning
        name = f"...{name[len(name) - room + 3 :]}" if room > 3 else ""
    return [f"{name}: {count}" if name else count[:width], states[:width]]


def _row_of(name: str, look: Look) -> Row:
    return Row(
        name,
        look.state,
        look.step or 0,
        look.last("train_accuracy"),
        look.last("test_accuracy"),
        look.phases.memorization_step,
        look.phases.generalization_step,
    )


def _line(row: Row, name_width: int) -> str:
    name = one_line(row.name)
    name = name if len(name) <= name_width else f"{name[: name_width - 3]}..."
    grokked = "-" if row.grokked is None else f"{row.grokked:,}"
    return (
        f"{name:<{name_width}} {row.state:<8} {row.step:>8,} {_share(row.train_accuracy):>6} "
        f"{_share(row.test_accuracy):>6} {grokked:>8}"
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
