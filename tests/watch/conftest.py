"""Run directories written by hand, as training leaves them at one moment or another."""

import json
from pathlib import Path

import pytest
from conftest import small_config

from grokinterp.runs.rundir import RunDir


def lines(steps, **series) -> str:
    """Lines of metrics; a series is a function of the step, or a value."""
    rows = []
    for step in steps:
        row = {"step": step, "train_loss": 2 / (1 + step), "test_loss": 3.0, "train_accuracy": 1.0}
        row |= {"test_accuracy": 0.25, "weight_norm": 1234.5, **series}
        rows.append({name: value(step) if callable(value) else value for name, value in row.items()})
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_run(root: Path, steps=range(0, 31, 10), *, engine: str = "fast", checkpoints=(0, 30), **changes) -> RunDir:
    """A run of 40 steps whose log has these ones; its checkpoints are empty files."""
    rundir = RunDir(root)
    rundir.ckpts.mkdir(parents=True)
    rundir.write_config(small_config(**changes))
    rundir.write_provenance({"engine": engine})
    rundir.metrics_path.write_text(lines(steps))
    for step in checkpoints:
        rundir.checkpoint_path(step).write_bytes(b"")
    return rundir


def contents(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every path with what would change if somebody wrote it."""
    return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns, p.stat().st_size) for p in [root, *root.rglob("*")]}


@pytest.fixture
def run(tmp_path) -> RunDir:
    """A run at step 30 of 40."""
    return write_run(tmp_path / "run")
