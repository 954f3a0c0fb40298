"""`grokinterp train --from RUN`: a run once more from what it kept, and whether it came out the same."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from grokinterp.config import RunConfig
from grokinterp.device import resolve_device, thread_count
from grokinterp.errors import GrokinterpError
from grokinterp.run import Run
from grokinterp.runs.files import sha256
from grokinterp.runs.provenance import provenance
from grokinterp.runs.rundir import NOT_TRAINED, RunDir
from grokinterp.training.start import train

SAME_MACHINE = ("device", "cpu_capability", "platform", "python")
"""Fields of provenance.json that say on which machine a run was made."""


@dataclass(frozen=True)
class Repetition:
    """A run's twin.

    Attributes:
        run: The new run.
        warnings: What was otherwise the first time, one sentence each; numbers may differ for it.
        differs: The first file that has other bytes; None if all that training computes has the same.
        n_checkpoints: How many checkpoints were compared.
        restored: Checkpoints of the new run that have the checksum which the first recorded, and which are damaged or
            gone there.
    """

    run: Run
    warnings: tuple[str, ...]
    differs: str | None
    n_checkpoints: int
    restored: tuple[Path, ...] = ()


def train_again(
    source: Run, directory: str | Path, *, resume: bool = False, show_progress: bool | None = None
) -> Repetition:
    """Train a run's config once more into `directory`, with the threads and on the device that it had.

    On the same machine with the same versions every checkpoint, the log, the task and the split come out with the
    same bytes. What cannot be the same is said: other versions, another machine, replicas that trained beside others
    (whose sums round otherwise), and an end by wall time.

    Args:
        source: The run to repeat; it is not changed.
        directory: A new folder, or one where this was interrupted, with `resume`.
        resume: As in `train`.
        show_progress: As in `train`.

    Raises:
        GrokinterpError: somebody else's run, one without provenance or without its device here, or as in `train`.
        Interrupted: as in `train`.
    """
    about = source.rundir.read_provenance()
    _refuse_foreign(source, about)
    if RunDir(directory).root.resolve() == source.path.resolve():
        raise GrokinterpError(f"{source.path} cannot be repeated into itself; choose another --out")
    config, threads = _config(source, about), about.get("threads")
    with thread_count(threads if isinstance(threads, int) and threads > 0 else None) as n_threads:
        now = provenance(resolve_device(config.train.device), n_threads)
        run = train(config, directory, resume=resume, show_progress=show_progress)
    engine = run.rundir.read_provenance().get("engine")
    warnings = [*differences(about, now), *_circumstances(source, about)]
    if engine != about.get("engine"):
        warnings.append(f"the engine was {about.get('engine')} and is {engine}")
    return Repetition(run, tuple(warnings), first_difference(source, run), len(run.steps), tuple(restored(source, run)))


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Versions and machines that are others now, one sentence each."""
    versions, mine = before.get("versions"), now["versions"]
    known = versions if isinstance(versions, dict) else {}
    found = [f"{name} was {known.get(name)} and is {mine[name]}" for name in mine if known.get(name) != mine[name]]
    for name in SAME_MACHINE:
        if name in before and before[name] != now[name]:
            found.append(f"{name.replace('_', ' ')} was {before[name]} and is {now[name]}")
    if before.get("git_commit") and now["git_commit"] and before["git_commit"] != now["git_commit"]:
        found.append(f"the commit was {before['git_commit'][:12]} and is {now['git_commit'][:12]}")
    return found


def first_difference(one: Run, other: Run) -> str | None:
    """The first file, of those that training computes, that is missing or has other bytes in one of two runs."""
    steps = sorted({*one.steps, *other.steps})
    mine, theirs = (_computed(run.rundir, steps) for run in (one, other))
    for left, right in zip(mine, theirs, strict=True):
        if left.exists() != right.exists() or (left.exists() and sha256(left) != sha256(right)):
            return str(left.relative_to(one.path))
    return None


def restored(source: Run, twin: Run) -> list[Path]:
    """Checkpoints of the twin that have the checksum which `source` recorded, and which are damaged or gone there."""
    checksums, found = source.rundir.read_checksums(), []
    for step in twin.steps:
        lost, again = source.rundir.checkpoint_path(step), twin.rundir.checkpoint_path(step)
        expected = checksums.get(again.name)
        damaged = not lost.is_file() or sha256(lost) != expected
        if expected is not None and damaged and sha256(again) == expected:
            found.append(again)
    return found


def _computed(rundir: RunDir, steps: list[int]) -> list[Path]:
    """The files that training computes, in the order in which they arise."""
    checkpoints = [rundir.checkpoint_path(step) for step in steps]
    return [rundir.task_path, rundir.split_path, *checkpoints, rundir.metrics_path, rundir.end_path]


def _refuse_foreign(source: Run, about: dict[str, Any]) -> None:
    if not about:
        raise GrokinterpError(f"{source.path} has no provenance.json to repeat it from; train its config instead")
    if about.get("engine") in NOT_TRAINED:
        raise GrokinterpError(f"{source.path} was {about['engine']}, not trained here, so it cannot be repeated")


def _config(source: Run, about: dict[str, Any]) -> RunConfig:
    """The run's config, on the device that it was trained on."""
    kind = about.get("device_type", "cpu")
    if kind == "cuda" and not torch.cuda.is_available():
        raise GrokinterpError(f"{source.path} was trained on cuda, and there is none here; repeat it where there is")
    config = source.config
    if config.train.device == "auto" and torch.cuda.is_available() and kind == "cpu":
        train_section = config.train.model_copy(update={"device": "cpu"})
        return config.model_copy(update={"train": train_section})
    return config


def _circumstances(source: Run, about: dict[str, Any]) -> list[str]:
    """What of the first time cannot be made again."""
    found = []
    n = about.get("replicas")
    if isinstance(n, int) and n > 1:
        found.append(f"it was one of {n} replicas trained side by side, whose sums round otherwise")
    if source.config.train.max_seconds is not None:
        found.append("max_seconds may end it at another step")
    return found
