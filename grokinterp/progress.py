"""Progress bars with an ETA, on a terminal only."""

import contextlib
from collections.abc import Callable, Generator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Update = Callable[[int, str], None]
"""update(done, note)."""


@contextlib.contextmanager
def progress_bar(what: str, total: int, *, show: bool | None = None) -> Generator[Update]:
    """A bar for `total` units of `what` on standard error.

    Args:
        show: None shows it where standard error is a terminal.
    """
    console = Console(stderr=True)
    visible = console.is_terminal if show is None else show
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not visible, transient=True) as bar:
        task = bar.add_task(what, total=total, note="")
        yield lambda done, note="": bar.update(task, completed=done, note=note)
