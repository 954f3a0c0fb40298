"""metrics.jsonl: one line an evaluation, appended and flushed, without wall times.

A process killed while appending leaves half a line; readers drop it and resuming cuts it off.
"""

import json
import math
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


def dropped_line(path: Path) -> str | None:
    """The last line, where `read_metrics` drops it: without its end that of a killed process, else damage."""
    lines = _lines(path) if path.exists() else []
    return None if not lines or _row(lines[-1]) is not None else lines[-1]


def _complete_rows(path: Path) -> Iterator[Row]:
    lines = _lines(path)
    for number, line in enumerate(lines, start=1):
        row = _row(line)
        if row is not None:
            yield row
        elif number < len(lines):
            raise GrokinterpError(f"line {number} of {path} is damaged; delete that line to go on without it")


def _lines(path: Path) -> list[str]:
    require_file(path)
    return path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)


def _row(line: str) -> Row | None:
    """A line as training or a recorder writes it: a step, and numbers or nulls by name; None for any other."""
    if not line.endswith("\n"):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or type(row.get("step")) is not int:
        return None
    return row if all(value is None or _is_number(value) for value in row.values()) else None


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def lost_end(path: Path, rows: list[Row], steps: list[int], eval_every: int) -> str | None:
    """Says that the log ends before the last checkpoint, whose line is written before it; None where it does not.

    Args:
        path: The log.
        rows: Its rows.
        steps: Of the checkpoints, ascending.
        eval_every: Steps from line to line; a checkpoint may lie between two.
    """
    last = max((row["step"] for row in rows), default=-1)
    if not steps or steps[-1] < last + (eval_every if rows else 1):
        return None
    where = f"ends at step {last}" if rows else "is gone or empty"
    return f"{path} {where}, before the checkpoint of step {steps[-1]}"


def cut_metrics(path: Path, step: int) -> None:
    """Keep only the rows before `step`, for a run that goes on from there."""
    if path.exists():
        rows = [row for row in read_metrics(path) if row["step"] < step]
        write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
