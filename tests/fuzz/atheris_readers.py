"""Coverage-guided fuzzing of the readers of a run's files, and of other people's checkpoints, with atheris.

    pip install atheris        # Linux, CPython 3.11 to 3.13; no part of constraints.txt
    python tests/fuzz/atheris_readers.py READER CORPUS_FOLDER -max_total_time=60 -rss_limit_mb=4096

READER is a name in READERS. The folder holds files to start from, and gets what atheris found worth keeping; a file
that breaks a reader is written as crash-... in the working directory, and belongs into tests/test_fuzz.py's
test_found. Any exception but GrokinterpError is a find. Not run by make test or make test-slow.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["grokinterp", "tomllib", "zipfile", "json", "csv"]):
    from grokinterp.config import RunConfig
    from grokinterp.config.custom import read_operation
    from grokinterp.errors import GrokinterpError
    from grokinterp.overrides import load_toml, override
    from grokinterp.runs.importers.source import load_tensors
    from grokinterp.runs.metrics import read_metrics
    from grokinterp.runs.rundir import RunDir
    from grokinterp.runs.tensors import read_checkpoint, read_resume, read_task, read_train_mask
    from grokinterp.tables import read_table

FOLDER = Path(tempfile.mkdtemp())
RUNDIR = RunDir(FOLDER)
for folder in (RUNDIR.ckpts, RUNDIR.measures):
    folder.mkdir()


def _csv(path: Path) -> None:
    try:
        read_operation(path, None)
    except ValueError as error:  # how a validator of pydantic refuses
        raise GrokinterpError(str(error)) from None


READERS: dict[str, tuple[Path, Callable[[Path], object]]] = {
    "toml": (FOLDER / "c.toml", lambda path: override(RunConfig(), load_toml(path))),
    "config": (RUNDIR.config_path, lambda _: RUNDIR.read_config()),
    "metrics": (RUNDIR.metrics_path, read_metrics),
    "csv": (FOLDER / "ops.csv", _csv),
    "task": (RUNDIR.task_path, lambda _: read_task(RUNDIR)),
    "split": (RUNDIR.split_path, lambda _: read_train_mask(RUNDIR)),
    "checkpoint": (RUNDIR.checkpoint_path(1), lambda _: read_checkpoint(RUNDIR, 1)),
    "resume": (RUNDIR.resume_path, lambda _: read_resume(RUNDIR)),
    "table": (RUNDIR.table_path("x"), lambda _: read_table(RUNDIR, "x")),
    "theirs": (FOLDER / "x.pt", load_tensors),
}
"""Where the bytes are put, and who reads them there."""


def main() -> None:
    """Fuzz the reader that is named first."""
    path, read = READERS[sys.argv.pop(1)]

    def one(content: bytes) -> None:
        path.write_bytes(content)
        try:
            read(path)
        except GrokinterpError:
            return

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
