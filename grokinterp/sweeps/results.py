"""One tidy row a run: config, events, values at the landmarks, censoring, from the summaries alone.

A parquet dataset of parts with one schema, which pandas, polars and DuckDB read as one table. Two passes over
the summaries, so that memory does not grow with the number of runs: the first finds the columns, the second
writes CHUNK rows at a time.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokinterp.errors import GrokinterpError
from grokinterp.runs.files import refuse_file_in_the_way, write_atomically
from grokinterp.runs.folders import run_folders
from grokinterp.runs.rundir import RunDir
from grokinterp.summary import read_summary

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHUNK = 2000
"""Rows of a part."""

_PART = re.compile(r"part-\d{4,}\.parquet")

LEFT_OUT = ("task.table",)
"""The table of an operation of one's own is no cell."""


def gather(directory: str | Path, out: str | Path | None = None) -> tuple[Path, int, list[str]]:
    """Write the results table of all runs in a folder.

    Args:
        directory: A sweep's folder, or any folder of runs (also one of several sweeps).
        out: The dataset's folder; `directory`/results if not given.

    Returns:
        The folder of the dataset, the number of its rows, and the runs left out: one sentence each.

    Raises:
        GrokinterpError: no runs there.
    """
    root = Path(directory)
    if not root.is_dir():
        raise GrokinterpError(f"there is no folder {root}; give the --out of `grokinterp sweep`")
    target = Path(out) if out is not None else root / "results"
    check_dataset(target)
    folders, left_out = list(run_folders(root)), []
    if not folders:
        raise GrokinterpError(f"{root} holds no runs; give the --out of `grokinterp sweep`")
    schema = _schema(_rows(folders, root, left_out))
    if not len(schema):
        raise GrokinterpError(f"none of the {len(folders)} runs in {root} has a summary; {left_out[0]}")
    return target, _write(target, _rows(folders, root, []), schema), left_out


def check_dataset(target: Path) -> None:
    """Refuse a place for the dataset where something else lies; nothing is written.

    Raises:
        GrokinterpError: as said.
    """
    refuse_file_in_the_way(target)
    if target.exists() and not all(_PART.fullmatch(path.name) for path in target.iterdir()):
        raise GrokinterpError(f"{target} holds more than tables of results; choose another --out")


def read_results(directory: str | Path) -> "pd.DataFrame":
    """The results table of a sweep, gathered if it is not there.

    Raises:
        GrokinterpError: no runs there.
    """
    import pandas as pd

    target = Path(directory) / "results"
    if not target.exists():
        gather(directory)
    return pd.read_parquet(target)


def _rows(folders: Iterable[Path], root: Path, left_out: list[str]) -> Iterator[dict[str, Any]]:
    """The summary of each run that has one, with where it lies."""
    for folder in folders:
        if not RunDir(folder).summary_path.exists():
            left_out.append(_why_none(folder))
            continue
        try:
            row = read_summary(RunDir(folder))
        except GrokinterpError as error:
            left_out.append(str(error))
            continue
        yield {"path": str(folder.relative_to(root))} | {
            name: value for name, value in row.items() if name not in ("path", *LEFT_OUT)
        }


def _why_none(folder: Path) -> str:
    """Why a run has no summary."""
    try:
        RunDir(folder).read_config()
    except GrokinterpError as error:
        return str(error)
    return f"{folder} has no summary: it is unfinished, or `grokinterp analyze` was not run"


def _schema(rows: Iterable[dict[str, Any]]) -> "pa.Schema":
    """The columns of all rows in order of appearance, each of a type that holds all its values."""
    import pyarrow as pa

    kinds: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(name, set()).add(_kind(value))
    return pa.schema([(name, _type(found - {"null"})) for name, found in kinds.items()])


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        found = {_kind(item) for item in value} - {"null"}
        return f"list:{found.pop()}" if len(found) == 1 else "list" if not found else "text"
    return type(value).__name__


def _type(kinds: set[str]) -> "pa.DataType":
    import pyarrow as pa

    simple = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "str": pa.string()}
    if kinds <= {"int", "float"} and kinds:
        return pa.float64() if "float" in kinds else pa.int64()
    if len(kinds) == 1 and (only := next(iter(kinds))) in simple:
        return simple[only]
    lists = {kind.partition(":")[2] for kind in kinds if kind.startswith("list")} - {""}
    if all(kind.startswith("list") for kind in kinds) and kinds and lists <= {"int", "float"}:
        return pa.list_(pa.float64() if "float" in lists else pa.int64())
    return pa.string()


def _write(target: Path, rows: Iterator[dict[str, Any]], schema: "pa.Schema") -> int:
    """Write the parts beside the old ones and put them in their place."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fresh, total = target.with_name(f".{target.name}.new"), 0
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    columns = {field.name: field.type for field in schema}
    for number in range(2**31):
        chunk = list(islice(rows, CHUNK))
        if not chunk:
            break
        data = {
            name: pa.array([_cell(row.get(name), kind) for row in chunk], type=kind) for name, kind in columns.items()
        }
        table = pa.table(data, schema=schema)
        write_atomically(fresh / f"part-{number:04d}.parquet", lambda path, table=table: pq.write_table(table, path))
        total += len(chunk)
    shutil.rmtree(target, ignore_errors=True)
    fresh.replace(target)
    return total


def _cell(value: Any, kind: "pa.DataType") -> Any:
    """A value as its column has it."""
    import pyarrow as pa

    if value is not None and kind == pa.string() and not isinstance(value, str):
        return json.dumps(value)
    return float(value) if isinstance(value, int) and kind == pa.float64() else value
