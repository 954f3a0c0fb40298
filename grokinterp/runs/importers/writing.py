"""A run directory that is there whole or not at all: written beside its place and renamed at the end."""

import contextlib
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.runs.files import locked, write_text
from grokinterp.runs.provenance import provenance
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import write_checkpoint, write_task
from grokinterp.tasks import Task


class Draft:
    """A run directory that is being written; see `draft_run`."""

    def __init__(self, root: Path) -> None:
        self._rundir = RunDir(root)
        self.steps: list[int] = []

    def write_task(self, config: RunConfig, task: Task, train_mask: np.ndarray | None) -> None:
        """Write the config, the operation, and where it is known the split."""
        self._rundir.write_config(config)
        write_task(self._rundir, task, train_mask)

    def add(self, step: int, weights: dict[str, Tensor]) -> None:
        """Write a checkpoint."""
        write_checkpoint(self._rundir, step, weights)
        self.steps.append(step)

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write the curves."""
        lines = (json.dumps(row, allow_nan=False) + "\n" for row in rows)
        write_text(self._rundir.metrics_path, "".join(lines))

    def finish(self, **about: Any) -> None:
        """Write where it came from."""
        versions = provenance(torch.device("cpu"), torch.get_num_threads(), engine="imported", init_scheme=None)
        self._rundir.write_provenance(versions | about)


@contextlib.contextmanager
def draft_run(target: Path) -> Generator[Draft]:
    """A draft that becomes the folder `target` when the block ends, and is deleted if it fails.

    A draft whose process was killed is deleted by the next one for the same target.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _delete_abandoned(target)
    folder = Path(tempfile.mkdtemp(prefix=_prefix(target), suffix=".tmp", dir=target.parent))
    try:
        with locked(RunDir(folder).lock_path, str(target)):
            yield Draft(folder)
            folder.chmod(0o777 & ~_umask())
            try:
                folder.replace(target)  # an empty folder there gives way
            except OSError:
                if target.exists():
                    raise GrokinterpError(f"{target} is there already; choose another --out") from None
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prefix(target: Path) -> str:
    return f".{target.name}.importing."


def _delete_abandoned(target: Path) -> None:
    for folder in target.parent.glob(f"{glob.escape(_prefix(target))}*.tmp"):
        with contextlib.suppress(GrokinterpError, OSError), locked(RunDir(folder).lock_path, str(target)):
            shutil.rmtree(folder, ignore_errors=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
