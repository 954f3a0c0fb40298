"""Why a view of the page is not there."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from grokinterp.errors import GrokinterpError
from grokinterp.figures import skipped
from grokinterp.run import Run

if TYPE_CHECKING:
    import pandas as pd


class AbsentError(Exception):
    """A view without data in this run; the message says why, in one sentence without a full stop."""


def needed_table(run: Run, name: str, columns: Iterable[str] = ()) -> "pd.DataFrame":
    """A table with rows and these columns.

    Raises:
        AbsentError: it has no meaning for this run, was not computed, or is empty.
        GrokinterpError: it is damaged, or lacks a column.
    """
    measure, _, part = name.partition(".")
    path = run.rundir.table_path(measure, part)
    if not path.exists():
        reason = skipped(run).get(measure)
        raise AbsentError(reason or f"the table {name} was not computed; `grokinterp analyze` computes it")
    table = run.table(name)
    missing = sorted({"step", *columns} - set(table.columns))
    if missing:
        raise GrokinterpError(f"{path} has no column {missing[0]}; analyze again with --force")
    if not len(table):
        raise AbsentError(f"the table {name} has no rows for this run")
    return table
