"""The commands `show` and `list`; heavy imports inside the functions."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from grokinterp.json_output import print_document


def show(
    path: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(help="Where the tables are, if not in the run.")] = None,
    json: Annotated[
        bool,
        Parameter(
            negative=(),
            help="One JSON document: path, name, operation, story, end, checkpoints, metrics, phases, key_frequencies, "
            "landmarks, leads, skipped, figures; null for what is not known.",
        ),
    ] = False,
) -> int:
    """Show what happened in a run: phases, key frequencies, landmarks.

    Parameters
    ----------
    path
        A run directory or its ckpts/ folder.
    """
    from grokinterp.run import open_run

    run = open_run(path, out=out)
    if json:
        from grokinterp.documents import run_document

        print_document(run_document(run))
        return 0
    from grokinterp.show import print_summary

    print_summary(run, Console())
    return 0


def list_measures(
    *,
    json: Annotated[
        bool, Parameter(negative=(), help="One JSON document: measures, each with its tables and their columns.")
    ] = False,
) -> int:
    """Show the measures with their tables, columns and references."""
    if json:
        from grokinterp.documents import measures_document

        print_document(measures_document())
        return 0
    from grokinterp.show import print_measures

    print_measures(Console())
    return 0
