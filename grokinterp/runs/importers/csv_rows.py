"""Curves from other people's CSV files."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from grokinterp.errors import GrokinterpError
from grokinterp.runs.files import require_file


def rows_of_csv(path: Path, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """One dict a line, of the columns that are there, under our names; empty cells and what is no number are left out.

    The first of `columns` orders the lines, and a line without it is left out.

    Raises:
        GrokinterpError: no permission to read it, no CSV text, or none of the first column.
    """
    require_file(path)
    order = next(iter(columns))
    try:
        table = pd.read_csv(path, usecols=lambda name: name in columns, low_memory=False)
    except (ValueError, OSError, UnicodeDecodeError, OverflowError) as error:  # ValueError: pandas's own kinds
        raise GrokinterpError(f"{path} is no CSV table ({type(error).__name__}); correct it or take it away") from None
    if order not in table:
        raise GrokinterpError(f"{path} has no column {order}; correct it or take it away")
    numbers = table.apply(pd.to_numeric, errors="coerce").rename(columns=dict(columns))
    rows = numbers[numbers[columns[order]].map(math.isfinite)].sort_values(columns[order])
    return [
        {str(name): value for name, value in row.items() if math.isfinite(value)} for row in rows.to_dict("records")
    ]
