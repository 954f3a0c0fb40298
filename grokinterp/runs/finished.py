"""Whether a run has all that its training was to write; read from its files, without torch."""

from collections.abc import Sequence
from typing import Any

from grokinterp.config import RunConfig
from grokinterp.runs.metrics import read_metrics
from grokinterp.runs.rundir import RunDir


def is_finished(rundir: RunDir, config: RunConfig, rows: Sequence[dict[str, Any]] | None = None) -> bool:
    """Whether the run has its last checkpoint and its last line of metrics: those of its last step, or of its end.

    A checkpoint comes before its checksum: one that was killed between the two has still to write it.

    Args:
        rows: Its lines of metrics, where the caller has read them.
    """
    steps, end = rundir.steps(), rundir.read_end()
    rows = read_metrics(rundir.metrics_path) if rows is None else rows
    last = config.train.steps if end is None else end["step"]
    if not (steps and steps[-1] == last and rows and rows[-1]["step"] == last):
        return False
    checksums = rundir.read_checksums()
    return not checksums or rundir.checkpoint_path(last).name in checksums
