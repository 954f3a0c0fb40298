"""What of a run is not there, or is too much: checkpoints, and lines of the log.

A checkpoint that is damaged or gone is named by `verify` until it is there again, or until `forget` records that it is
lost. Then `verify` says so and finds no fault in it, and everything else goes on without it.
"""

from collections.abc import Iterator
from itertools import pairwise

from grokinterp.errors import GrokinterpError
from grokinterp.recompute import sound_weights
from grokinterp.run import Run
from grokinterp.runs.files import locked
from grokinterp.runs.finished import is_finished
from grokinterp.runs.metrics import Row, dropped_line, lost_end, read_metrics
from grokinterp.training.checkpointing import planned_steps

COLUMNS = ("step", "train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm")
"""Of a line of the log that `train` writes."""


def gone(run: Run) -> list[int]:
    """Steps whose checkpoint was written and is not there, and is not recorded as lost."""
    return sorted(set(run.rundir.written_steps()) - {*run.steps, *run.rundir.read_lost()})


def unwritten(run: Run) -> list[int]:
    """Steps before the end of the log for which a checkpoint was planned, but never written, nor recorded as lost."""
    rows = read_metrics(run.rundir.metrics_path)
    if not rows or not run.rundir.is_trained:
        return []
    planned = {step for step in planned_steps(run.config.train) if step < rows[-1]["step"]}
    return sorted(planned - {*run.steps, *run.rundir.written_steps(), *run.rundir.read_lost()})


def forget(run: Run) -> list[int]:
    """Delete the checkpoints that are damaged, and record with those that are gone that they are lost.

    Nothing else is changed: the lines of the log, the rows of the tables and the checksums stay, so that a copy which
    turns up later can be put back.

    Returns:
        The steps that are newly recorded.

    Raises:
        GrokinterpError: no checkpoint is sound, so that something else is wrong; a log or checksums that are damaged;
            something that is no file; or the run is in use.
    """
    rundir = run.rundir
    with locked(rundir.lock_path, str(rundir.root)):
        rundir.read_checksums()  # damaged, they say nothing about the checkpoints
        damaged = [step for step in run.steps if not _is_sound(run, step)]
        if len(damaged) == len(run.steps):
            raise GrokinterpError(
                f"no sound checkpoint of {run.path} would be left; restore some from a copy, "
                f"or see what `grokinterp verify {run.path}` says"
            )
        odd = next((path for path in map(rundir.checkpoint_path, damaged) if not path.is_file()), None)
        if odd is not None:
            raise GrokinterpError(f"{odd} is no file; move it away, then run the same command again")
        new = sorted({*gone(run), *unwritten(run), *damaged})
        if new:
            rundir.write_lost(sorted({*rundir.read_lost(), *new}))  # first, so that a kill leaves nothing unsaid
        for step in damaged:
            rundir.checkpoint_path(step).unlink()
    return new


def _is_sound(run: Run, step: int) -> bool:
    try:
        sound_weights(run, step)
    except GrokinterpError:
        return False
    return True


def log_problems(run: Run, rows: list[Row]) -> Iterator[str]:
    """What is wrong with the lines of metrics.jsonl by themselves, and against the config of a run that `train` made.

    Args:
        run: The run.
        rows: `read_metrics` of its log, in which each row is a line.
    """
    path, dropped = run.rundir.metrics_path, dropped_line(run.rundir.metrics_path)
    if dropped is not None and (dropped.endswith("\n") or is_finished(run.rundir, run.config)):
        alone = lost_end(path, rows, run.steps, run.config.train.eval_every) is None
        fix = "delete that line" if alone else run.rundir.copy_of(path.name)
        yield f"line {len(rows) + 1} of {path} is damaged; {fix}"
    steps = [row["step"] for row in rows]
    yield from (f"{path}: step {b} comes after {a}" for a, b in pairwise(steps) if b <= a)
    if run.rundir.is_trained:
        yield from _other_lines(run, rows)


def _other_lines(run: Run, rows: list[Row]) -> Iterator[str]:
    """Lines that training does not write, or has not written."""
    path, settings = run.rundir.metrics_path, run.config.train
    for number, row in enumerate(rows, start=1):
        step = row["step"]
        if step < 0 or step > settings.steps or (step % settings.eval_every and step != settings.steps):
            yield f"line {number} of {path} is of step {step}, at which nothing is evaluated; delete that line"
            continue
        odd = [name for name in (*COLUMNS, *row) if row.get(name) is None or name not in COLUMNS]
        if odd:
            verb = "lacks" if odd[0] in COLUMNS else "also has"
            yield f"line {number} of {path} {verb} {odd[0]}; restore the file from a copy"
    steps = [row["step"] for row in rows]
    short = lost_end(path, rows, run.steps, settings.eval_every)
    if short is not None:
        yield f"{short}; {run.rundir.copy_of(path.name)}"
    for step in sorted(set(range(0, steps[-1] if steps else 0, settings.eval_every)) - set(steps)):
        yield f"{path} has no line of step {step}"
