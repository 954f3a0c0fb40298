"""The training loop: one flat function of a config, resumable at any step, bit for bit."""

import math
from typing import Any, NoReturn

import torch

from grokinterp.config import RunConfig
from grokinterp.device import resolve_device, thread_count
from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import Weights
from grokinterp.progress import progress_bar
from grokinterp.runs.files import locked, remove_abandoned, sha256
from grokinterp.runs.metrics import MetricsLog, cut_metrics, read_metrics
from grokinterp.runs.provenance import provenance
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import read_resume, write_checkpoint, write_resume
from grokinterp.tasks import build_task
from grokinterp.trackers import Followers
from grokinterp.training.checkpointing import planned_steps
from grokinterp.training.stop import Interrupted, stop_on_signal
from grokinterp.training.trainer import Trainer, build_trainer


def train_run(
    config: RunConfig, rundir: RunDir, *, show_progress: bool | None = None, followers: Followers | None = None
) -> None:
    """Train to the end, starting or going on from what lies in `rundir`; `followers` are told each evaluation.

    Raises:
        Interrupted: asked to stop; what is needed to go on is saved.
        GrokinterpError: the loss is no longer a number, or another process writes here.
    """
    device = resolve_device(config.train.device)
    threads = config.train.threads or rundir.read_provenance().get("threads")
    with locked(rundir.lock_path, str(rundir.root)), thread_count(threads) as n_threads:
        _loop(prepare(config, rundir, device, n_threads), rundir, show_progress, followers or Followers())


def prepare(config: RunConfig, rundir: RunDir, device: torch.device, n_threads: int, **about: Any) -> Trainer:
    """A trainer at the step that is saved, or at 0, and the directory as it was then; its lock is held.

    Args:
        about: What else goes into the provenance.

    Raises:
        GrokinterpError: what is saved does not belong to this run, or something before that step is missing.
    """
    if rundir.exists():  # another process may have begun here since the caller looked, before the lock
        check_same(rundir, config)
    remove_abandoned(rundir.leftovers())
    rundir.write_config(config)
    trainer = build_trainer(config, build_task(config.task), rundir, device)
    about |= {"engine": trainer.engine, "init_scheme": config.model.init}
    rundir.write_provenance(provenance(device, n_threads, **about))
    if rundir.resume_path.exists():
        trainer.restore(read_resume(rundir))
        check_complete(rundir, trainer)
    cut_metrics(rundir.metrics_path, trainer.step)
    rundir.drop_checkpoints_from(trainer.step)
    rundir.end_path.unlink(missing_ok=True)
    return trainer


def _loop(trainer: Trainer, rundir: RunDir, show_progress: bool | None, followers: Followers) -> None:
    """Evaluate, save, step. "Step s" is the state after s updates; 0 is the initialisation.

    resume.pt of step s is written before step s is evaluated, so that whoever goes on from it
    drops every later line and checkpoint and writes them again, the same.
    """
    settings = trainer.config.train
    start, last = trainer.step, settings.steps
    log = MetricsLog(rundir.metrics_path)
    try:
        with stop_on_signal() as stop, progress_bar("training", last, show=show_progress) as report:
            followers.start(rundir.tracking, trainer.config.model_dump(mode="json"), read_metrics(rundir.metrics_path))
            while True:
                step, asked = trainer.step, bool(stop)
                if step > start and (step % settings.resume_every == 0 or step == last or asked):
                    log.sync()
                    write_resume(rundir, trainer.state())
                if asked and step < last:
                    raise Interrupted(step)
                row, over = None, None
                if step % settings.eval_every == 0 or step == last:
                    row = trainer.evaluate()
                    check_finite(row, step, trainer.config)
                    log.append({"step": step, **row})
                    followers.log({"step": step, **row})
                    report(step, f"test accuracy {row['test_accuracy']:.3f}")
                    over = trainer.ending.reason(step, row["test_accuracy"])
                accuracies = (row["train_accuracy"], row["test_accuracy"]) if row else ()
                wanted = trainer.schedule.wants(step, row["test_loss"] if row else None, accuracies)
                if wanted or over:
                    check_weights(trainer.weights, step, trainer.config)
                    write_checkpoint(rundir, step, trainer.weights)
                if over and step < last:
                    log.sync()
                    rundir.write_end(step, over)
                if over or step >= last:
                    return
                trainer.update()
    finally:
        log.close()
        followers.finish()


def _brief(value: object) -> str:
    """A value as it is shown; a table only by its beginning."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]} ..."


def check_same(rundir: RunDir, config: RunConfig) -> None:
    """The same numbers are asked for; on which device they are computed may differ."""
    what = difference(rundir.read_config(), config)
    if what is not None:
        raise GrokinterpError(f"{rundir.root} holds a run of another config ({what}); choose another --out")


def difference(found: RunConfig, config: RunConfig) -> str | None:
    """The first fields but the device in which two configs differ, in words; None where they are the same."""
    mine, theirs = config.model_dump(), found.model_dump()
    theirs["train"]["device"] = config.train.device
    if mine == theirs:
        return None
    differing = [
        f"{section}.{field} is {_brief(theirs[section].get(field))} there and {_brief(value)} here"
        for section, fields in mine.items()
        if isinstance(fields, dict)
        for field, value in fields.items()
        if theirs[section].get(field) != value
    ]
    return "; ".join(differing[:3]) or "its name differs"


def check_complete(rundir: RunDir, trainer: Trainer) -> None:
    """Everything before the step that training goes on from is there, or recorded as lost."""
    settings = trainer.config.train
    logged = {row["step"] for row in read_metrics(rundir.metrics_path)}
    saved = set(rundir.steps())
    known = saved | set(rundir.read_lost())
    for step in (s for s in range(0, trainer.step, settings.eval_every) if s not in logged):
        raise GrokinterpError(
            f"step {step} is missing in {rundir.metrics_path}, so the run cannot go on complete; "
            "restore it from a copy or train into another --out"
        )
    for step in (s for s in planned_steps(settings) if s < trainer.step and s not in known):
        raise GrokinterpError(
            f"step {step} is missing in {rundir.ckpts}, so the run cannot go on complete; {rundir.way_back()}"
        )
    checksums = rundir.read_checksums()
    for path in (rundir.checkpoint_path(step) for step in sorted(saved) if step < trainer.step):
        if path.name in checksums and sha256(path) != checksums[path.name]:
            raise GrokinterpError(
                f"{path} does not match its checksum (truncated or changed), so the run cannot go on complete; "
                f"{rundir.way_back()}"
            )


def check_weights(weights: Weights, step: int, config: RunConfig) -> None:
    """Refuse to save weights that are no longer numbers.

    Raises:
        GrokinterpError: one of them is not.
    """
    if not all(bool(w.isfinite().all()) for w in weights.values()):
        _diverged("a weight", step, config)


def check_finite(row: dict[str, float], step: int, config: RunConfig) -> None:
    """Refuse to log an evaluation that is no longer numbers.

    Raises:
        GrokinterpError: one of them is not.
    """
    if not all(math.isfinite(value) for value in row.values()):
        _diverged("the loss", step, config)


def _diverged(what: str, step: int, config: RunConfig) -> NoReturn:
    raise GrokinterpError(
        f"{what} is no longer a number at step {step}; what came before is kept; try a lower learning "
        f"rate than {config.optimizer.lr} in another --out"
    )
