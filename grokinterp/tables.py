"""Tables: tidy rows in parquet files, one observation a row; a cell without meaning is null.

What figures, notebooks and other tools read. No torch here.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from grokinterp.errors import GrokinterpError
from grokinterp.measures.measure import Column
from grokinterp.phases import Phases
from grokinterp.runs.files import require_file, write_bytes
from grokinterp.runs.rundir import RunDir

Row = dict[str, Any]

_TYPES = {"int": pa.int64(), "float": pa.float64(), "str": pa.string(), "bool": pa.bool_()}


@dataclass(frozen=True, eq=False)
class Tables:
    """What a plot function sees: the parts of one measure, the phases and the key frequencies."""

    parts: Mapping[str, pd.DataFrame]
    phases: Phases
    keys: tuple[int, ...]

    @property
    def main(self) -> pd.DataFrame:
        """The part ""."""
        return self.parts[""]

    def __getitem__(self, part: str) -> pd.DataFrame:
        return self.parts[part]


def check_rows(rows: Sequence[Row], columns: Mapping[str, Column]) -> None:
    """Rows have the declared columns and no other, of the declared kinds, within range, never NaN.

    Raises:
        ValueError: the first thing that is wrong.
    """
    for row in rows:
        if row.keys() != columns.keys():
            odd = sorted(row.keys() ^ columns.keys())
            raise ValueError(f"columns {odd} are not declared, or declared and missing")
        for name, value in row.items():
            problem = columns[name].problem(value)
            if problem:
                raise ValueError(f"column {name}: {problem}")


def write_table(rundir: RunDir, measure: str, part: str, columns: Mapping[str, Column], rows: list[Row]) -> None:
    """Write one part, its columns in the declared order and type."""
    table = pa.table(
        {name: pa.array([row[name] for row in rows], type=_TYPES[column.kind]) for name, column in columns.items()}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    write_bytes(rundir.table_path(measure, part), buffer.getvalue())


def read_rows(rundir: RunDir, measure: str, part: str) -> list[Row] | None:
    """The rows of a table, nulls as None; None where there is no readable table."""
    path = rundir.table_path(measure, part)
    if not path.is_file():
        return None
    try:
        return _read(path).to_pylist()
    except (FileNotFoundError, pa.ArrowException, OSError):
        return None


def _read(path: Path) -> pa.Table:
    """Of a path, pyarrow would read an empty data set where there is a folder, and none that is no UTF-8.

    Looked through as a whole: a flipped bit in a text shows itself only when the text is taken out.
    """
    require_file(path)
    table = pq.read_table(io.BytesIO(path.read_bytes()))
    table.validate(full=True)
    return table


def read_table(rundir: RunDir, measure: str, part: str = "") -> pd.DataFrame:
    """A table as a data frame.

    Raises:
        GrokinterpError: it was never computed, or is damaged.
    """
    return read_whole_table(rundir, measure, part).to_pandas()


def read_whole_table(rundir: RunDir, measure: str, part: str = "") -> pa.Table:
    """A table in its declared types: as a data frame, integers with a null among them are floats.

    Raises:
        GrokinterpError: it was never computed, or is damaged.
    """
    path = rundir.table_path(measure, part)
    try:
        return _read(path)
    except FileNotFoundError:
        name = f"{measure}.{part}" if part else measure
        raise GrokinterpError(f"{rundir.out} has no table {name}; run `grokinterp analyze {rundir.root}`") from None
    except (pa.ArrowException, OSError) as error:
        raise GrokinterpError(f"{path} is damaged ({error}); analyze again with --force") from None
