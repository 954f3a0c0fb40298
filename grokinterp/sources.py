"""What each table came from, and so which of its rows still hold.

measures/<name>.json records, beside the columns' meanings: the digest of the measure's code and of the
code it computes with, its parameters, the key frequencies, and for each part the digest of every
checkpoint that its rows are of.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from grokinterp.errors import GrokinterpError
from grokinterp.harmonics.keys import KeyFrequencies
from grokinterp.measures.measure import Measure
from grokinterp.runs.files import read_json, sha256, write_json
from grokinterp.runs.rundir import RunDir

Checkpoints = Mapping[str, Mapping[str, str]]
"""Part -> step (as JSON has it, a string) -> digest."""


class Sources:
    """The sources of one run's tables under given parameters and key frequencies."""

    def __init__(
        self,
        rundir: RunDir,
        settings: Mapping[str, Mapping[str, Any]],
        keys: KeyFrequencies | None,
        irreps: tuple[str, ...] | None = None,
    ) -> None:
        self._rundir, self._settings, self._keys, self._irreps = rundir, settings, keys, irreps

    def checkpoints(self, measure: Measure) -> Checkpoints:
        """From which checkpoints the rows on disk are; empty for tables that changed or whose other sources did."""
        info = self._read(measure)
        if any(info.get(name) != value for name, value in (self._now(measure) | description(measure)).items()):
            return {}
        parts, tables = info.get("checkpoints"), info.get("tables")
        if not isinstance(parts, dict) or not isinstance(tables, dict):
            return {}
        return {
            part: steps
            for part, steps in parts.items()
            if part in measure.parts and _is_steps(steps) and tables.get(part) == self._table(measure, part)
        }

    def write(self, measure: Measure, checkpoints: Checkpoints, skipped: str | None = None) -> None:
        """Record the sources of some parts, after their tables were written; those of the others stay.

        The digest of each table ties it to its record: whoever is killed between the two writes
        leaves a table that does not match, and its rows are computed again.
        """
        known, about = {**self.checkpoints(measure), **checkpoints}, description(measure)
        info = {
            "measure": about["measure"],
            "summary": about["summary"],
            "reference": about["reference"],
            "skipped": skipped,
            **self._now(measure),
            "columns": about["columns"],
            "checkpoints": known,
            "tables": {part: self._table(measure, part) for part in known},
        }
        write_json(self._rundir.table_info_path(measure.name), info)

    def _read(self, measure: Measure) -> dict[str, Any]:
        try:
            return read_json(self._rundir.table_info_path(measure.name))
        except GrokinterpError:
            return {}

    def _table(self, measure: Measure, part: str) -> str | None:
        path = self._rundir.table_path(measure.name, part)
        return sha256(path) if path.is_file() else None

    def _now(self, measure: Measure) -> dict[str, Any]:
        keys = None
        if measure.uses_keys and self._keys is not None:
            ks = list(self._keys.ks)
            keys = {"frequencies": ks, "rule": self._keys.rule, "threshold": self._keys.threshold}
        elif measure.uses_keys and self._irreps is not None:
            keys = {"irreps": list(self._irreps)}
        params = json.loads(json.dumps(self._settings[measure.name]))  # as it comes back from disk
        return {"code": code_digest(measure), "params": params, "keys": keys}


def description(measure: Measure) -> dict[str, Any]:
    """What measures/<name>.json says of a measure whatever the run, as it comes back from disk."""
    columns = {
        part_name: {c: vars(column) for c, column in part.all_columns.items()}
        for part_name, part in measure.parts.items()
    }
    about = {"measure": measure.name, "summary": measure.summary, "reference": measure.reference, "columns": columns}
    return json.loads(json.dumps(about))


def checkpoint_digests(rundir: RunDir) -> dict[int, str]:
    """What identifies the bytes of each checkpoint, read from the bytes."""
    return {step: _digest(rundir.checkpoint_path(step)) for step in rundir.steps()}


def _digest(path: Path) -> str:
    try:
        return sha256(path)[:16]
    except OSError:
        return "unreadable"


def _is_steps(value: Any) -> bool:
    return isinstance(value, dict) and all(step.isdigit() for step in value)


def code_digest(measure: Measure) -> str:
    """Changes whenever the file that a part is computed in does, or what all measures compute with."""
    sources = [_source(part.compute) for part in measure.parts.values()]
    return hashlib.sha256("".join([_shared_code(), *sources]).encode()).hexdigest()[:16]


def _source(function: Callable[..., Any]) -> str:
    """The file that the function stands in; in a notebook, the function's own source."""
    code = inspect.unwrap(function).__code__
    try:
        return Path(code.co_filename).read_text(encoding="utf-8")
    except OSError:
        pass
    try:
        return inspect.getsource(function)
    except OSError:
        return f"{code.co_code!r} {code.co_consts!r} {code.co_names!r}"


@cache
def _shared_code() -> str:
    """The source of the rooms that measures take their numbers from."""
    package = Path(__file__).parent
    rooms = [package / room for room in ("snapshots", "harmonics", "landscape", "models", "phases")]
    files = [file for room in rooms for file in sorted(room.glob("*.py"))]
    files += [package / "curves.py", package / "spikes.py"]
    return "".join(file.read_text(encoding="utf-8") for file in files)
