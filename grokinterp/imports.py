"""Other people's checkpoints as runs: `gi.import_run`, and the import that `grokinterp analyze` does on the fly."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokinterp.errors import GrokinterpError
from grokinterp.run import Run, find_runs, open_run
from grokinterp.runs.rundir import RunDir

if TYPE_CHECKING:
    from grokinterp.runs.importers import ImportReport

SUFFIX = ".grokinterp"
"""Of the run directory beside the file that it was imported from."""


def import_run(
    path: str | Path,
    out: str | Path,
    *,
    format: str | None = None,  # noqa: A002
    given: Mapping[str, Any] | None = None,
) -> Run:
    """Turn checkpoints that other people trained into a run directory, and open it.

    Args:
        path: Their file or folder, in one of the formats of `grokinterp.runs.importers`.
        out: A new folder, or an empty one.
        format: The format's name; found out if not given.
        given: Sections of the config that win over what the file says: {"task": {"operation": "x-y"}}.

    Returns:
        The run; `run.rundir.read_provenance()` has the notes and what was recomputed.

    Raises:
        GrokinterpError: no known format, a damaged file, one that needs code to be read, or `out` is in the way.
    """
    from grokinterp.runs.importers import import_run as write_run

    write_run(path, out, format, given)
    return open_run(out)


def import_beside(path: Path, out: Path | None) -> "tuple[Path, ImportReport | None] | None":
    """The run directory of what other people trained, and what its import found; None where `path` holds runs of ours.

    It lies at `out`, else beside `path`. An import that is there already is used again, and then there is no report.

    Raises:
        GrokinterpError: the file changed after it was imported, or it cannot be imported.
    """
    if not path.exists() or _holds_runs(path):
        return None
    from grokinterp.runs.importers import import_run as write_run
    from grokinterp.runs.importers.registry import find_format
    from grokinterp.runs.importers.source import Source

    if path.is_dir() and not Source(path).files:
        return None  # refused as a folder without runs
    root = out if out is not None else path.with_name((path.stem if path.is_file() else path.name) + SUFFIX)
    if not RunDir(root).exists():
        return root, write_run(path, root)
    source = Source(path)
    about = RunDir(root).read_provenance().get("source")
    recorded = about.get("sha256") if isinstance(about, dict) else None
    if not isinstance(recorded, dict) or source.digests(recorded) != recorded:
        find_format(source)  # says what is wrong with the file, if it is damaged
        raise GrokinterpError(
            f"{path} is not what {root} was imported from; delete that folder or choose another --out"
        )
    return root, None


def _holds_runs(path: Path) -> bool:
    try:
        return bool(find_runs(path))
    except GrokinterpError:
        return False
