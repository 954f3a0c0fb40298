"""Where the numbers of artifacts/ come from, and whether they come out again.

Beside its tables each folder keeps made_with.json: the command, a digest of every recipe as read (comments do not
count), how many of its runs there were, and the versions, processor features and threads that the runs recorded.
"""

import hashlib
import json
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import grokinterp as gi
from analyses.rows import outcome_row
from analyses.study import HERE, Study
from grokinterp.sweeps.worker import Job, carry_out

MADE_WITH = "made_with.json"

RECORDED = ("versions", "python", "device", "threads", "cpu_capability", "engine")
"""What is kept of the runs' own provenance."""

EVENTS = ("memorization_step", "generalization_step", "last_step")

FACTOR = 1.5
"""How far off events may lie on another processor, where training in float32 soon takes another path."""


def digests(paper: str, scale: str) -> dict[str, str]:
    """SHA-256 of each recipe's content, by name."""
    found = {}
    for path in sorted((HERE / paper / "recipes" / scale).glob("*.toml")):
        content = json.dumps(tomllib.loads(path.read_text(encoding="utf-8")), sort_keys=True)
        found[path.stem] = hashlib.sha256(content.encode()).hexdigest()
    return found


def made_with(study: Study) -> dict[str, Any]:
    """The command, the recipes and what the runs recorded about the machine."""
    recorded: dict[str, list[Any]] = {}
    recipes = {}
    for name, digest in digests(study.name, study.scale).items():
        done = 0
        for run in study.trained(name):
            done += 1
            provenance = run.rundir.read_provenance()
            for key in RECORDED:
                if provenance.get(key) not in recorded.setdefault(key, []):
                    recorded[key].append(provenance.get(key))
        recipes[name] = {"sha256": digest, "runs": done, "of": len(study.recipes[name].configs())}
    command = f"python -m analyses.{study.name} --scale {study.scale}"
    return {"command": command, "recipes": recipes, "runs_recorded": recorded}


def write_made_with(study: Study, out: Path) -> None:
    """Write made_with.json beside the tables."""
    text = json.dumps(made_with(study), indent=1, ensure_ascii=False, sort_keys=True)
    (out / MADE_WITH).write_text(text + "\n", encoding="utf-8")


def again(study: Study, tables: Mapping[str, pd.DataFrame], n: int) -> list[str]:
    """Train n runs of the tables again, evenly spread over them, and say how each row compares."""
    rows = pd.concat([table for table in tables.values() if {"recipe", "run", *EVENTS} <= set(table)])
    rows = rows.sort_values(["recipe", "run"]).drop_duplicates(["recipe", "run"])
    chosen = rows.iloc[[int((i + 0.5) * len(rows) / n) for i in range(min(n, len(rows)))]]
    return [_compare(study, row) for row in chosen.to_dict("records")]


def _compare(study: Study, row: dict[str, Any]) -> str:
    config = {config.name: config for config in study.recipes[row["recipe"]].configs()}[row["run"]]
    with tempfile.TemporaryDirectory() as folder:
        place, log = Path(folder) / config.name, Path(folder) / "log"
        (outcome,) = carry_out(Job((config.name,), (config.model_dump_json(),), (str(place),), str(log), None))
        if outcome.state == "stopped":
            raise KeyboardInterrupt
        said = outcome.why or verdict(row, outcome_row(gi.open(place)))
    return f"{row['recipe']}/{row['run']}: {said}"


def verdict(kept: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """'the same', 'within a factor of 1.5: ...' or 'differs: ...' for the events of a run."""
    pairs = {name: (kept[name], found[name]) for name in EVENTS}
    different = {name: pair for name, pair in pairs.items() if not _same(*pair)}
    if not different:
        return "the same"
    near = all(_near(*pair) for pair in different.values())
    text = ", ".join(f"{name} {_step(old)} before, {_step(new)} now" for name, (old, new) in different.items())
    return f"within a factor of {FACTOR}: {text}" if near else f"differs: {text}"


def _same(old: Any, new: Any) -> bool:
    return (pd.isna(old) and pd.isna(new)) or (not pd.isna(old) and not pd.isna(new) and int(old) == int(new))


def _near(old: Any, new: Any) -> bool:
    if pd.isna(old) or pd.isna(new):
        return False
    low, high = sorted((max(int(old), 1), max(int(new), 1)))
    return high <= FACTOR * low


def _step(value: Any) -> str:
    return "never" if pd.isna(value) else f"{int(value):,}"
