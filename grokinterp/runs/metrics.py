"""metrics.jsonl: one line an evaluation, appended and flushed, without wall times.

A process killed while appending leaves half a line; readers drop it and resuming cuts it off.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grokinterp.errors import GrokinterpError
from grokinterp.runs.files import require_file, write_text

Row = dict[str, Any]


class MetricsLog:
    """Appends rows to a metrics file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def append(self, row: Row) -> None:
        """Write one row and flush it to the operating system."""
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Force everything appended so far to the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[Row]:
    """All complete rows, in order; an incomplete last line is dropped.

    Raises:
        GrokinterpError: a line before the last one is damaged.
    """
    return list(_complete_rows(path)) if path.exists() else []


def _complete_rows(path: Path) -> Iterator[Row]:
    require_file(path)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not isinstance(row.get("step"), int):
                raise ValueError
        except (ValueError, RecursionError):
            if number == len(lines):
                return
            raise GrokinterpError(f"line {number} of {path} is damaged; delete that line to go on without it") from None
        if line.endswith("\n"):
            yield row


def cut_metrics(path: Path, step: int) -> None:
    """Keep only the rows before `step`, for a run that goes on from there."""
    if path.exists():
        rows = [row for row in read_metrics(path) if row["step"] < step]
        write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
