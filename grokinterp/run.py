"""A run on disk as an object: config, checkpoints, metrics, phases, tables."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from grokinterp.config import RunConfig
from grokinterp.displays import run_html
from grokinterp.errors import GrokinterpError, NotApplicableError
from grokinterp.leads import LEAD_COLUMNS
from grokinterp.phases import Phases, find_phases, is_phases_json
from grokinterp.runs.files import TENSOR_SUFFIXES, read_json, refuse_file_in_the_way
from grokinterp.runs.folders import run_folders
from grokinterp.runs.metrics import read_metrics
from grokinterp.runs.rundir import RunDir
from grokinterp.tables import read_table

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from grokinterp.harmonics.keys import KeyFrequencies
    from grokinterp.snapshots import Snapshot
    from grokinterp.tasks import Task

T = TypeVar("T")


class Run:
    """A run directory, read lazily; see `open_run`."""

    def __init__(self, rundir: RunDir) -> None:
        self.rundir = rundir

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.config.task.operation}, {len(self.steps)} checkpoints)"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return run_html(self)

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.rundir.root

    @cached_property
    def config(self) -> RunConfig:
        """What decides the run's numbers."""
        return self.rundir.read_config()

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints, ascending."""
        return self.rundir.steps()

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.jsonl as a table: step, losses (nats), accuracies, weight_norm (sum of squares)."""
        return pd.DataFrame(read_metrics(self.rundir.metrics_path))

    @property
    def phases(self) -> Phases:
        """Events and phases."""
        return find_phases(read_metrics(self.rundir.metrics_path))

    @property
    def leads(self) -> pd.DataFrame:
        """When each measure's curves moved, against test accuracy, from the last analysis; empty before it.

        The columns are those of `grokinterp.leads.LEAD_COLUMNS`.
        """
        path = self.rundir.phases_path
        if not path.exists():
            return pd.DataFrame(columns=list(LEAD_COLUMNS))
        try:
            found = read_json(path)
        except GrokinterpError:
            found = {"leads": None}
        saved = found.get("leads", [])
        whole = isinstance(saved, list) and is_phases_json(found)
        if not whole or not all(isinstance(row, dict) and row.keys() >= {*LEAD_COLUMNS} for row in saved):
            raise GrokinterpError(f"{path} is damaged; `grokinterp analyze {self.path}` writes it anew")
        return pd.DataFrame(saved, columns=list(LEAD_COLUMNS))

    @cached_property
    def task(self) -> "Task":
        """The operation, as saved."""
        from grokinterp.runs.tensors import read_task

        return read_task(self.rundir)

    @cached_property
    def train_mask(self) -> "np.ndarray | None":
        """Training pairs (n_left, n_right), None where unknown."""
        from grokinterp.runs.tensors import read_train_mask

        return read_train_mask(self.rundir)

    @cached_property
    def trained_labels(self) -> "np.ndarray | None":
        """The labels (n_left, n_right) that were trained on where they are not the answers; None where they are."""
        from grokinterp.runs.tensors import read_labels

        return read_labels(self.rundir)

    def weights(self, step: int) -> "dict[str, Tensor]":
        """The checkpoint's flat dict of weights, in the dtype they were trained in."""
        from grokinterp.runs.tensors import read_checkpoint

        return read_checkpoint(self.rundir, step)

    def model(self, step: int | None = None) -> Any:
        """A module with hooks and the weights at `step` (default: the last checkpoint).

        A real HookedTransformer; a HookedMLP or HookedLSTM (HookedRootModules) for those architectures.
        """
        from grokinterp.models.load import load_model

        return load_model(self.config.model, self.task.layout, self.weights(self._step(step)))

    def bridge(self, step: int | None = None) -> Any:
        """TransformerLens 4's TransformerBridge with the weights at `step` (default: the last checkpoint).

        Raises:
            GrokinterpError: TransformerLens 4 is not installed, or it can't build this network.
        """
        from grokinterp.models.bridge import load_bridge

        return load_bridge(self.config.model, self.task.layout, self.weights(self._step(step)))

    def export_tables(self, folder: str | Path, kind: str = "csv", *, overwrite: bool = False) -> list[Path]:
        """Write all tables and metrics as "csv" or "parquet"; see `grokinterp.exports.export_tables`."""
        from grokinterp.exports import export_tables

        return export_tables(self, folder, kind, overwrite=overwrite)

    def export_checkpoint(
        self, step: int | None, file: str | Path, kind: str = "state_dict", *, overwrite: bool = False
    ) -> list[Path]:
        """Write the checkpoint at `step` (None: the last one) as a "state_dict" or "safetensors", its config beside it.

        See `grokinterp.exports.export_checkpoint`.
        """
        from grokinterp.exports import export_checkpoint

        return export_checkpoint(self, self._step(step), file, kind, overwrite=overwrite)

    def snapshot(self, step: int | None = None, *, device: str = "cpu") -> "Snapshot":
        """The network at `step` (default: the last checkpoint) under the run's key frequencies."""
        return self.bare_snapshot(step, device=device).with_keys(self.key_frequencies, self.key_irreps)

    def bare_snapshot(self, step: int | None = None, *, device: str = "cpu") -> "Snapshot":
        """The network at `step`, with no key frequencies but its own."""
        from grokinterp.snapshots import snapshot_of_weights

        step = self._step(step)
        weights = self.weights(step)
        return snapshot_of_weights(self.config, self.task, weights, self.train_mask, step, device, self.trained_labels)

    @property
    def key_frequencies(self) -> "KeyFrequencies | None":
        """Key frequencies of the last readable checkpoint; None where the operation has none."""
        return self._of_last(lambda snapshot: snapshot.own_keys)

    @property
    def key_irreps(self) -> tuple[str, ...] | None:
        """Key irreps of the last readable checkpoint; None for cyclic groups, which have frequencies, and no group."""
        if self.task.coordinates is not None:
            return None
        return self._of_last(lambda snapshot: snapshot.own_irreps)

    def _of_last(self, quantity: "Callable[[Snapshot], T]") -> "T | None":
        """Of the last checkpoint that can be read; None where the operation has no such quantity."""
        for step in reversed(self.steps):
            try:
                return quantity(self.bare_snapshot(step))
            except NotApplicableError:
                return None
            except GrokinterpError:
                continue  # a damaged checkpoint; analysis reports it by name
        return None

    def table(self, name: str) -> pd.DataFrame:
        """A table by name, "progress_measures" or with its part, "embedding_spectrum.components".

        Raises:
            GrokinterpError: it was not computed.
        """
        measure, _, part = name.partition(".")
        return read_table(self.rundir, measure, part)

    def table_or_none(self, name: str) -> pd.DataFrame | None:
        """As `table`; None where it was not computed."""
        try:
            return self.table(name)
        except GrokinterpError:
            return None

    def _step(self, step: int | None) -> int:
        if step is not None:
            return step
        if not self.steps:
            raise GrokinterpError(f"{self.path} has no checkpoints yet; train it first")
        return self.steps[-1]


def open_run(path: str | Path, *, out: str | Path | None = None) -> Run:
    """Open a run directory or its ckpts/ folder.

    Args:
        path: The run directory, or its ckpts/ folder.
        out: Where tables and figures go, if not into the run directory.

    Raises:
        GrokinterpError: nothing there, no run directory, or a file where `out` is to be.
    """
    if out is not None:
        refuse_file_in_the_way(Path(out))
    runs = find_runs(path)
    if len(runs) > 1:
        raise GrokinterpError(f"{path} holds {len(runs)} runs; name one of them, such as {runs[0]}")
    run = Run(RunDir(runs[0], out))
    _ = run.config  # fails here rather than later
    return run


def out_below(out: Path | None, path: Path, one: Path, *, alone: bool) -> Path | None:
    """Where the tables of a run in a folder go: to its place below `out`, or to `out` if it is the only one."""
    return out if out is None or alone else out / one.relative_to(path)


def find_runs(path: str | Path) -> list[Path]:
    """The run directories that a path names: itself, its parent if it is ckpts/, or those in it and in its folders.

    Raises:
        GrokinterpError: none.
    """
    path = Path(path)
    if not path.exists():
        raise GrokinterpError(f"there is nothing at {path}; check the path")
    if not path.is_dir():
        if path.suffix in TENSOR_SUFFIXES and not RunDir(path.resolve().parent.parent).exists():
            raise GrokinterpError(f"{path} is no run; `grokinterp import {path} --out DIR` makes one of a checkpoint")
        raise GrokinterpError(f"{path} is a file; give the run directory it belongs to")
    if RunDir(path).exists():
        return [path]
    resolved = path.resolve()
    if resolved.name == RunDir(resolved.parent).ckpts.name and RunDir(resolved.parent).exists():
        return [path.parent if path.name == resolved.name else resolved.parent]
    inside = list(run_folders(path))
    if inside:
        return inside
    if not RunDir(path).ckpts.is_dir() and any(child.suffix in TENSOR_SUFFIXES for child in path.iterdir()):
        raise GrokinterpError(f"{path} is no run; `grokinterp import {path} --out DIR` makes one of checkpoints")
    what = "is empty" if not any(path.iterdir()) else "holds no run (no config.json in it)"
    raise GrokinterpError(f"{path} {what}; give a run directory, such as the --out of `grokinterp train`")
