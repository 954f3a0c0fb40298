"""The command line's part of exporting; heavy imports inside the function."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from grokinterp.arguments import whole
from grokinterp.errors import GrokinterpError
from grokinterp.exits import say


def export(
    path: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The folder of the tables, or the checkpoint's file.")],
    tables: Annotated[str | None, Parameter(help="Every table and the metrics, as csv or parquet.")] = None,
    step: Annotated[int | None, Parameter(help="The checkpoint; the last one if not given.", converter=whole)] = None,
    format: Annotated[  # noqa: A002
        str | None, Parameter(help="Of a checkpoint: state_dict (if not given) or safetensors.")
    ] = None,
    force: Annotated[bool, Parameter(negative=(), help="Write over files that are there.")] = False,
) -> int:
    """Write a run's tables as csv or parquet, or a checkpoint as a state_dict with its config, for other programs.

    A transformer's is the state_dict of a plain HookedTransformer.

    Parameters
    ----------
    path
        A run directory or its ckpts/ folder.
    """
    from grokinterp.run import open_run

    if tables is None and step is None and format is None:
        raise GrokinterpError("say what to export: --tables csv, or a checkpoint with --step N or --format state_dict")
    if tables is not None and (step is not None or format is not None):
        raise GrokinterpError("--tables and a checkpoint are two exports; give --tables, or --step and --format")
    run = open_run(path)
    if tables is not None:
        written = run.export_tables(out, tables, overwrite=force)
        if len(written) == 1:
            say(f"{path} has no tables yet, so this is the metrics alone; next: grokinterp analyze {path}")
    else:
        written = run.export_checkpoint(step, out, format or "state_dict", overwrite=force)
    for file in written:
        Console().print(str(file), soft_wrap=True, highlight=False, markup=False)
    return 0
