"""The maps over pairs and the circles, at up to FRAMES checkpoints, by the measures' own definitions.

A measure keeps these large tables at a few events only. Here the same functions are called at evenly spaced
checkpoints, with the parameters that the tables were computed with; where a checkpoint cannot be read, the
rows of the table stand in for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grokinterp.errors import GrokinterpError, NotApplicableError
from grokinterp.figures import skipped
from grokinterp.measures.registry import builtin_measures
from grokinterp.progress import progress_bar
from grokinterp.reports.arrays import grid, thinned
from grokinterp.run import Run
from grokinterp.runs.files import read_json

if TYPE_CHECKING:
    from grokinterp.snapshots import Snapshot

FRAMES, FEWEST = 40, 3
BUDGET = 3_000_000
"""Bytes of all maps together; more pairs mean fewer frames, and below FEWEST frames there are no maps."""

EVERY_CIRCLE = 127
"""Up to this n there is a circle for each frequency of Z_n, above it for the key frequencies alone."""

Arrays = dict[str, np.ndarray]


@dataclass
class Film:
    """Named arrays at some checkpoints, the reasons of what has none, and what was said about it.

    about: Whatever does not change over the checkpoints.
    """

    frames: dict[int, dict[str, Arrays]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def steps(self, source: str) -> list[int]:
        """The checkpoints that have this source."""
        return [step for step in sorted(self.frames) if source in self.frames[step]]

    def stacked(self, source: str, name: str) -> list[np.ndarray]:
        """One array a checkpoint."""
        return [self.frames[step][source][name] for step in self.steps(source)]


def _maps(rows: pd.DataFrame, about: dict[str, Any]) -> Arrays:
    placed = rows.dropna(subset=["i", "j"])
    natural = len(placed) > 0 and not (
        len(placed) == len(rows) and (placed["i"] == placed["a"]).all() and (placed["j"] == placed["b"]).all()
    )
    shown, axes = (placed, ("i", "j")) if natural else (rows, ("a", "b"))
    first, second = (shown[name].astype(int) for name in axes)
    shape = (int(first.max()) + 1, int(second.max()) + 1)
    about |= {"axes": axes, "answer": int(rows["answer"].iloc[0])}
    return {name: grid(first, second, shown[f"{name}_logit"], shape) for name in ("correct", "answer")}


def _cells(rows: pd.DataFrame, about: dict[str, Any]) -> Arrays:
    shape = (int(rows["a"].max()) + 1, int(rows["b"].max()) + 1)
    code = rows["split"].map({"train": 0, "test": 1, "unknown": 2})
    about |= {"right": grid(rows["a"], rows["b"], rows["answer"], shape), "axes": ("a", "b")}
    about |= {"split": grid(rows["a"], rows["b"], code, shape)}
    return {"predicted": grid(rows["a"], rows["b"], rows["predicted"], shape)}


def _pattern(rows: pd.DataFrame, about: dict[str, Any]) -> Arrays:
    shape = (int(rows["i"].max()) + 1, int(rows["j"].max()) + 1)
    about |= {"axes": ("i", "j")}
    heads = rows.groupby("head")
    return {f"head {head}": grid(mine["i"], mine["j"], mine["attention"], shape) for head, mine in heads}


def _circles(rows: pd.DataFrame, about: dict[str, Any]) -> Arrays:
    first = rows[rows["k"] == rows["k"].min()].sort_values("position")
    about |= {"symbol": [int(s) for s in first["symbol"]]}
    ordered = rows.sort_values(["k", "position"])
    return {f"k={k}": mine[["x", "y"]].to_numpy(dtype=float).T for k, mine in ordered.groupby("k")}


@dataclass(frozen=True)
class Source:
    """A part of a measure, what it asks of the snapshot, and how its rows become arrays."""

    measure: str
    part: str
    check: "Callable[[Snapshot], object]"
    arrays: Callable[[pd.DataFrame, dict[str, Any]], Arrays]


def _two_operands(snapshot: "Snapshot") -> None:
    snapshot.require_two_operands()


def _attention(snapshot: "Snapshot") -> None:
    snapshot.require_attention()
    snapshot.require_two_operands()


SOURCES = {
    "maps": Source("logit_map", "maps", _two_operands, _maps),
    "cells": Source("operation_table", "cells", _two_operands, _cells),
    "attention": Source("attention", "pattern", _attention, _pattern),
    "circles": Source("symbol_pca", "circles", lambda snapshot: snapshot.coordinates, _circles),
}


def film(run: Run, *, show_progress: bool | None = None) -> Film:
    """Every source at up to FRAMES checkpoints, fewer where the arrays would exceed BUDGET bytes."""
    found, params, reasons = Film(), _params(run), skipped(run)
    for name, source in SOURCES.items():
        if source.measure in reasons:
            found.absent[name] = reasons[source.measure]
    candidates = run.steps or _table_steps(run)
    if not candidates:
        return found
    _take(run, candidates[-1], params, found)
    size = sum(a.size for arrays in found.frames.get(candidates[-1], {}).values() for a in arrays.values())
    most = min(FRAMES, BUDGET // max(size, 1))
    if most < FEWEST:
        why = f"one checkpoint's maps hold {size} values, too many for a page"
        return Film(absent={name: found.absent.get(name, why) for name in SOURCES})
    chosen = thinned(candidates, most)
    with progress_bar("maps for the report", len(chosen), show=show_progress) as update:
        for done, step in enumerate(chosen, start=1):
            if step != candidates[-1]:
                _take(run, step, params, found)
            update(done, f"step {step}")
    found.notes.append(
        f"Maps and circles are drawn at {len(chosen)} of {len(candidates)} checkpoints, evenly spaced by their "
        f"number: at most {FRAMES}, and at most {BUDGET // 1_000_000} MB of values. Each value is rounded to one "
        "of 255 levels of its map's range over all frames. Every other number is as it stands in the tables "
        "(spectra, PCA scores and neurons in float32)."
    )
    return found


def _take(run: Run, step: int, params: Mapping[str, Mapping[str, Any]], found: Film) -> None:
    """Add one checkpoint's arrays; from the tables where the checkpoint is gone or damaged."""
    try:
        snapshot = _with_circles(run, run.bare_snapshot(step))
    except (GrokinterpError, NotApplicableError, OSError) as error:
        snapshot = None
        if run.rundir.checkpoint_path(step).exists():
            found.notes.append(f"Step {step} is left out of the maps where no table has it: {error}.")
    for name, source in SOURCES.items():
        if name in found.absent:
            continue
        try:
            rows = _rows(run, snapshot, step, source, params)
            if rows is not None and len(rows):
                arrays = source.arrays(rows, found.about.setdefault(name, {}))
                found.frames.setdefault(step, {})[name] = arrays
        except (NotApplicableError, ValueError) as error:
            if isinstance(error, GrokinterpError):
                raise
            found.absent[name] = str(error)


def _rows(
    run: Run, snapshot: "Snapshot | None", step: int, source: Source, params: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame | None:
    if snapshot is not None:
        source.check(snapshot)
        part = builtin_measures()[source.measure].parts[source.part]
        return pd.DataFrame(part.compute(snapshot, params=params[source.measure]))
    table = run.table_or_none(f"{source.measure}.{source.part}")
    return None if table is None or "step" not in table else table[table["step"] == step]


def _with_circles(run: Run, snapshot: "Snapshot") -> "Snapshot":
    """Under all frequencies of a small Z_n, so that each can be followed; else under the run's key frequencies."""
    from grokinterp.harmonics.cyclic import frequencies

    c = snapshot.task.coordinates
    if c is None or not frequencies(c.n):
        return snapshot
    if c.n > EVERY_CIRCLE:
        return snapshot.with_keys(run.key_frequencies)
    keys = snapshot.own_keys
    return snapshot.with_keys(replace(keys, ks=tuple(frequencies(c.n))))


def _params(run: Run) -> dict[str, dict[str, Any]]:
    """The parameters that each table was computed with; the measure's own where there is none."""
    known = {}
    for source in SOURCES.values():
        path = run.rundir.table_info_path(source.measure)
        try:
            used = read_json(path).get("params") if path.exists() else None
        except GrokinterpError:
            used = None
        known[source.measure] = {**builtin_measures()[source.measure].params, **(used or {})}
    return known


def _table_steps(run: Run) -> list[int]:
    """Of a run without checkpoints: where its tables have maps."""
    steps: set[int] = set()
    for source in SOURCES.values():
        table = run.table_or_none(f"{source.measure}.{source.part}")
        if table is not None and "step" in table:
            steps |= {int(step) for step in table["step"]}
    return sorted(steps)
