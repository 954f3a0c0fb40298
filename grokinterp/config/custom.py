"""A user's own operation: a table from a CSV file, or from a function in a Python file."""

import csv
import operator
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

UNDEFINED = -1
MAX_BYTES = 16 * 2**20

OperationTable = tuple[tuple[int, ...], ...]


def read_operation(path: Path, n: int | None) -> OperationTable:
    """The table in `path`: rows are left operands, columns right ones, cells answers.

    A CSV file (or one of another ending) has one line a row, and an empty cell where there is no answer.
    A .py file defines `operation(x, y)`, called for x, y = 0..n-1, that returns an answer or None.

    Raises:
        ValueError: no such file, or no table in it.
    """
    try:
        return _read(path, n)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); task.file takes a CSV table or a .py file"
        ) from None


def _read(path: Path, n: int | None) -> OperationTable:
    if not path.is_file():
        raise ValueError(f"there is no file {path}; task.file takes a CSV table or a .py file with operation(x, y)")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has more than {MAX_BYTES // 2**20} MB; it is no table of an operation")
    if path.suffix != ".py":
        return _from_csv(path)
    if n is None:
        raise ValueError(f"how many elements {path.name} works on is not in it; add --task.p N")
    return table_of(_function_in(path), n)


def table_of(function: Callable[[int, int], int | None], n: int) -> OperationTable:
    """The table of a function of 0..n-1 twice; None where it has no answer.

    Raises:
        ValueError: it fails, or returns something else than a whole number from 0 on.
    """
    return tuple(tuple(_answer(function, x, y) for y in range(n)) for x in range(n))


def check_table(table: OperationTable, largest: int) -> None:
    """Refuse what is no square table of answers 0, 1, ... (UNDEFINED where there is none).

    Raises:
        ValueError: it is not; says where.
    """
    n = len(table)
    if n == 1:
        raise ValueError("the table of the operation has one row; write a line for each left operand, at least 2")
    if not 2 <= n <= largest:
        raise ValueError(f"the table of the operation has {n} rows; tasks take 2 to {largest}")
    for x, row in enumerate(table):
        if len(row) != n:
            raise ValueError(f"row {x} of the operation's table has {len(row)} cells, but it has {n} rows")
        for y, answer in enumerate(row):
            if not UNDEFINED <= answer < largest:
                raise ValueError(f"the operation's answer to ({x}, {y}) is {answer}; answers are 0 to {largest - 1}")
    if len({answer for row in table for answer in row} - {UNDEFINED}) < 2:
        raise ValueError("the operation's table has fewer than two different answers; there is nothing to learn")


def _from_csv(path: Path) -> OperationTable:
    try:
        lines = csv.reader(path.read_text(encoding="utf-8-sig").splitlines())
        rows = [row for row in lines if len(row) > 1 or "".join(row).strip()]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV text ({error})") from None
    table = tuple(tuple(_cell(path, x, y, text) for y, text in enumerate(row)) for x, row in enumerate(rows))
    odd = next((x for x, row in enumerate(table) if len(row) != len(table)), None)
    if odd is not None and len(table) > 1:
        n = len(table[odd])
        raise ValueError(f"{path}, row {odd} has {n} cells, but the file has {len(table)} rows; it must be a square")
    return table


def _cell(path: Path, x: int, y: int, text: str) -> int:
    if not text.strip():
        return UNDEFINED
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):  # int would read 1_0 and -1 as well
        return int(text)
    raise ValueError(
        f"{path}, row {x}, column {y}: {text.strip()[:40]!r} is no whole number from 0 on; leave a cell empty where "
        "the operation has no answer, and write no header"
    )


def _function_in(path: Path) -> Callable[[int, int], int | None]:
    try:
        found = runpy.run_path(str(path)).get("operation")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(f"{path} does not run: {_named(error)}") from None
    if not callable(found):
        raise ValueError(f"{path} defines no function operation(x, y)")
    return found


def _answer(function: Callable[[int, int], Any], x: int, y: int) -> int:
    try:
        answer = function(x, y)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ValueError(f"operation({x}, {y}) fails: {_named(error)}") from None
    if answer is None:
        return UNDEFINED
    try:
        number = -1 if isinstance(answer, bool) else operator.index(answer)  # numpy's integers too, no floats
    except TypeError:
        number = -1
    if number < 0:
        shown = _one_line(repr(answer))
        raise ValueError(f"operation({x}, {y}) = {shown} is no whole number from 0 on, and not None")
    return number


def _named(error: BaseException) -> str:
    return _one_line(f"{type(error).__name__}: {error}")


def _one_line(text: str) -> str:
    """Other people's text inside a sentence."""
    return " ".join(text.split())[:200]
