"""From other people's files to a run directory: detect, read, recompute, compare, write."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers.archive import unchecked
from grokinterp.runs.importers.checked import frozen_but_set, usable
from grokinterp.runs.importers.guess import doubted
from grokinterp.runs.importers.imported import Imported
from grokinterp.runs.importers.judge import Judge, contradictions
from grokinterp.runs.importers.registry import find_format
from grokinterp.runs.importers.sections import overruled, section_of
from grokinterp.runs.importers.source import Source
from grokinterp.runs.importers.writing import Draft, draft_run
from grokinterp.tasks import build_task

CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


@dataclass(frozen=True)
class ImportReport:
    """What was imported, and what it was found to be.

    Attributes:
        path: The run directory.
        format: The name of the format.
        steps: The checkpoints.
        recomputed: `loss` (nats) and `accuracy` of the last checkpoint over all pairs, train_ and test_ of each
            where the split is known; in float64.
        notes: Sentences about what was assumed, left out, or found to contradict.
    """

    path: Path
    format: str
    steps: tuple[int, ...]
    recomputed: Mapping[str, float]
    notes: tuple[str, ...]


def import_run(
    path: str | Path,
    out: str | Path,
    format: str | None = None,  # noqa: A002
    given: Mapping[str, Any] | None = None,
) -> ImportReport:
    """Write what other people trained as a run directory; nothing is left behind if that fails.

    Args:
        path: A file or a folder in one of the formats.
        out: A new folder, or an empty one.
        format: The format's name; found out if not given.
        given: Sections of the config (task, model, ...) that win over what the file says or its shapes imply.

    Raises:
        GrokinterpError: no known format, a damaged file, one that needs code to be read, weights that are not
            those of the config, or `out` is in the way.
    """
    target, source = Path(out), Source(path)
    refuse_occupied(target)
    for name, fields in (given or {}).items():
        if not isinstance(fields, Mapping):
            raise GrokinterpError(f"{name} is no section of fields; give task, model, optimizer or train")
    module = find_format(source, format)
    imported: Imported = module.read(source, dict(given or {}))
    if not imported.steps:
        raise GrokinterpError(f"{source.path} holds no checkpoint; there is nothing to import")
    with draft_run(target) as draft:
        recomputed, notes = _fill(draft, imported, given or {})
        notes += unchecked(source.files)
        about = {"name": source.path.name, "sha256": source.digests()}
        draft.finish(format=module.NAME, source=about, notes=notes, recomputed=recomputed)
    return ImportReport(target, module.NAME, tuple(draft.steps), recomputed, tuple(notes))


def refuse_occupied(target: Path) -> None:
    """Import into a new folder or an empty one alone.

    Raises:
        GrokinterpError: something is there.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise GrokinterpError(f"{target} is there already; choose another --out")


def _fill(draft: Draft, imported: Imported, given: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Write everything but the provenance; what the last checkpoint was found to do, and the notes."""
    config, task, mask = imported.config, build_task(imported.config.task), imported.train_mask
    if mask is not None and (mask.shape != task.table.shape or (mask & ~task.defined).any()):
        raise GrokinterpError(f"the split in the file is not one of the pairs of {task.name}; check --task")
    notes, found, recomputed, weights = [*imported.notes, *_against_given(imported, given)], {}, {}, {}
    draft.write_task(config, task, mask)
    judge = Judge(config, task)
    for step, weights in usable(imported, task, notes):
        recomputed = judge.score(weights, mask)
        found[step] = {name: value for name, value in recomputed.items() if name in CURVES}
        draft.add(step, weights)
    rows, odd = _rows(imported.metrics, found)
    draft.write_metrics(rows)
    if mask is None:
        notes.append("which pairs were trained on is not known, so nothing is measured on train or test pairs apart")
        notes.append(f"task.frac_train {config.task.frac_train:g} is not checked against anything")
    if {"operation", "p"} & set(section_of(given, "task")) or "operation" in section_of(imported.said, "task"):
        notes += doubted(config, weights, recomputed["accuracy"])
    notes += odd + frozen_but_set(weights, config, task) + _compare(imported, recomputed, draft.steps[-1])
    return recomputed, list(dict.fromkeys(notes))


def _against_given(imported: Imported, given: Mapping[str, Any]) -> list[str]:
    """Notes about what the user gave that the file, its split or its checkpoints contradict."""
    config, mask, last = imported.config, imported.train_mask, imported.steps[-1]
    notes = overruled(imported.said, given, config)
    if mask is not None and "frac_train" in section_of(given, "task") and config.task.n_train != mask.sum():
        share = mask.sum() / config.task.n_pairs
        notes.append(f"task.frac_train is {config.task.frac_train:g} as given and {share:.4g} by the split")
    if "steps" in section_of(given, "train") and config.train.steps < last:
        notes.append(f"train.steps is {config.train.steps} as given and the last checkpoint is of step {last}")
    return notes


def _rows(
    metrics: list[dict[str, Any]], found: Mapping[int, Mapping[str, float]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows by step: what the file has, and at the checkpoints what it lacks; no value that is no number."""
    rows: dict[int, dict[str, Any]] = {}
    n_odd = n_filled = 0
    for row in metrics:
        numbers = {name: value for name, value in row.items() if _is_number(value)}
        n_odd += len(row) - len(numbers)
        rows.setdefault(int(row["step"]), {}).update(numbers)
    for step, values in found.items():
        if not values:
            continue
        row = rows.setdefault(step, {"step": step})
        missing = {name: value for name, value in values.items() if name not in row}
        row |= missing
        n_filled += bool(missing)
    notes = []
    if n_filled:
        notes.append(
            f"of the curves in metrics.jsonl, what the file does not say at {n_filled} checkpoints was recomputed"
        )
    if n_odd:
        notes.append(f"{n_odd} values of its curves are not numbers and were left out")
    return [rows[step] for step in sorted(rows)], notes


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _compare(imported: Imported, recomputed: Mapping[str, float], last: int) -> list[str]:
    """Notes about what the file says of its last checkpoint, and of its curves' ends, that the weights contradict."""
    claims = {name.removeprefix("all_").removeprefix("full_"): value for name, value in imported.claims.items()}
    notes = contradictions(claims, recomputed, share=0.01)
    for name in CURVES:
        logged = [(row["step"], row[name]) for row in imported.metrics if _is_number(row.get(name))]
        if not logged or name in claims:
            continue
        step, value = max(logged)
        share = 0.01 if step == last else 0.5  # of another network, though of the same run
        if abs(step - last) <= max(10, last // 100):
            where = f" (logged at step {step}, weights of step {last})"
            notes += [note + where for note in contradictions({name: value}, recomputed, share)]
    return notes
