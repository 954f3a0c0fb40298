"""Progress bars with an ETA on a terminal, a line now and then elsewhere."""

import contextlib
import time
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

SECONDS_BETWEEN_LINES = 20
"""Where standard error is no terminal."""

Update = Callable[[int, str], None]
"""update(done, note)."""


@contextlib.contextmanager
def progress_bar(what: str, total: int, *, show: bool | None = None) -> Generator[Update]:
    """A bar for `total` units of `what` on standard error.

    Args:
        show: None shows it where standard error is a terminal, and plain lines elsewhere; False shows nothing.
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
    if not visible:
        yield _plain_lines(console, what, total, quiet=show is False)
        return
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, note="")
        yield lambda done, note="": bar.update(task, completed=done, note=note)


def _plain_lines(console: Console, what: str, total: int, *, quiet: bool) -> Update:
    """A line now and then, for logs and pipes."""
    last = time.monotonic()

    def update(done: int, note: str = "") -> None:
        nonlocal last
        if not quiet and time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            console.print(f"{what} {done}/{total} {note}", highlight=False, markup=False, soft_wrap=True)

    return update
