"""The runs of a folder as the page has them, each from its config, its metrics.jsonl and its summary alone."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grokinterp.comparison.thinning import most_points, thinned
from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.phases import Phases, find_phases
from grokinterp.progress import progress_bar
from grokinterp.runs.files import read_json
from grokinterp.runs.folders import run_folders
from grokinterp.runs.metrics import Row, read_metrics
from grokinterp.runs.rundir import NOT_TRAINED, RunDir
from grokinterp.summary import read_summary
from grokinterp.sweeps.sweepdir import SweepDir

Curves = dict[str, list[float | None]]

CURVES = tuple(f"{split}_{quantity}" for quantity in ("accuracy", "loss") for split in ("train", "test", "all"))
"""What is drawn of metrics.jsonl, where it is there."""


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        name: Where it lies in the folder.
        path: The run directory; one that a sweep never made may not be there.
        state: finished, unfinished, failed, damaged, recorded or imported.
        why: What there is to say about the state; may be empty.
        fields: Of the config by name, "task.p"; None where it cannot be read.
        phases: Events, without the evaluations; None where there are none.
        is_known: Whether accuracy was looked at often enough to tell events and censoring.
        last: The last evaluation.
        curves: "step" and those of CURVES that there are, thinned.
        n_evaluations: Before thinning.
        keys: Key frequencies of the last checkpoint, from the summary.
    """

    name: str
    path: Path
    state: str
    why: str
    fields: dict[str, Any] | None = None
    phases: Phases | None = None
    is_known: bool = False
    last: Row = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)
    n_evaluations: int = 0
    keys: list[int] | None = None

    @property
    def is_as_planned(self) -> bool:
        """Whether nothing is to be said about how it ended."""
        return self.state in ("finished", *NOT_TRAINED) and not self.why


def read_entries(root: Path, *, show_progress: bool | None = None) -> list[Entry]:
    """All runs in a folder, and in the folders in it, by name; then those that a sweep lost before they were runs.

    Raises:
        GrokinterpError: none of them can be read.
    """
    folders = list(run_folders(root))
    outcomes = _outcomes({root, *(folder.parent for folder in folders)})
    most, entries = most_points(len(folders)), []
    with progress_bar("reading runs", len(folders), show=show_progress) as update:
        for done, folder in enumerate(folders, start=1):
            entries.append(_entry(root, folder, outcomes.pop(folder, {}), most))
            update(done, folder.name)
    if not any(entry.fields for entry in entries):
        raise GrokinterpError(f"none of the {len(entries)} runs in {root} can be read; {entries[0].why}")
    lost = sorted((folder.relative_to(root).as_posix(), folder) for folder in outcomes)
    return entries + [Entry(name, folder, outcomes[folder]["state"], outcomes[folder]["why"]) for name, folder in lost]


def _outcomes(folders: set[Path]) -> dict[Path, dict[str, str]]:
    """How the runs of sweeps ended, by folder, of those that are not done; a damaged record is no news of any run."""
    found = {}
    for place in map(SweepDir, sorted(folders)):
        try:
            rows = read_json(place.outcomes_path) if place.outcomes_path.exists() else {}
        except GrokinterpError:
            continue
        for name, row in rows.items():
            state = row.get("state") if isinstance(row, dict) else None
            if state in ("failed", "stopped"):
                shown = "unfinished" if state == "stopped" else "failed"
                found[place.run_path(name)] = {"state": shown, "why": str(row.get("why") or "")}
    return found


def _entry(root: Path, folder: Path, outcome: dict[str, str], most: int) -> Entry:
    rundir, name = RunDir(folder), folder.relative_to(root).as_posix()
    fields: dict[str, Any] | None = None
    try:
        config = rundir.read_config()
        fields = dict(_fields(config))
        rows = sorted(read_metrics(rundir.metrics_path), key=lambda row: row["step"])
        state, why = _state(rundir, config, rows, outcome)
    except GrokinterpError as error:
        # without the folder, whose spelling is no part of the page
        return Entry(name, folder, "damaged", str(error).replace(f"{root}{os.sep}", ""), fields)
    phases = find_phases(rows)
    events = [step for step in (phases.memorization_step, phases.generalization_step) if step is not None]
    kept = thinned(rows, most, events)
    return Entry(
        name,
        folder,
        state,
        why,
        fields,
        replace(phases, rows=()) if rows else None,  # of many runs the evaluations would fill the memory
        phases.follows_accuracy,
        rows[-1] if rows else {},
        _curves(kept),
        len(rows),
        _keys(rundir, phases.last_step),
    )


def _fields(config: RunConfig) -> Iterator[tuple[str, Any]]:
    for section, values in config.model_dump(mode="json").items():
        if isinstance(values, dict):
            yield from ((f"{section}.{name}", value) for name, value in values.items())


def _state(rundir: RunDir, config: RunConfig, rows: list[Row], outcome: dict[str, str]) -> tuple[str, str]:
    """The state of a run that can be read, and what there is to say about it."""
    engine = _provenance(rundir).get("engine")
    if engine in NOT_TRAINED:
        return str(engine), ""
    end, last = rundir.read_end(), rows[-1]["step"] if rows else None
    if last is not None and last == (config.train.steps if end is None else end["step"]):
        return "finished", outcome.get("why", "")
    where = "before its first evaluation" if last is None else f"at step {last} of {config.train.steps}"
    why = outcome.get("why", "")
    return outcome.get("state", "unfinished"), f"{where}; {why}" if why else where


def _provenance(rundir: RunDir) -> dict[str, Any]:
    """provenance.json; empty where there is none, or a damaged one, which `verify` names."""
    try:
        return rundir.read_provenance()
    except GrokinterpError:
        return {}


def _curves(rows: list[Row]) -> Curves:
    names = [name for name in CURVES if any(row.get(name) is not None for row in rows)]
    return {name: [row.get(name) for row in rows] for name in ("step", *names)} if names else {}


def _keys(rundir: RunDir, last_step: int) -> list[int] | None:
    """Key frequencies, where a summary of the run as it is now says them."""
    try:
        row = read_summary(rundir)
    except GrokinterpError:
        return None
    keys = row.get("key_frequencies")
    whole = isinstance(keys, list) and all(type(k) is int for k in keys)
    return keys if whole and row["last_step"] == last_step else None
