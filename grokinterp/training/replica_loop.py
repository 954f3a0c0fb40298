"""The training loop of several run directories at once; each is written as if its run were alone."""

import contextlib
from dataclasses import dataclass

from grokinterp.config import RunConfig
from grokinterp.device import resolve_device, thread_count
from grokinterp.errors import GrokinterpError
from grokinterp.progress import progress_bar
from grokinterp.runs.files import locked
from grokinterp.runs.metrics import MetricsLog
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import write_checkpoint, write_resume
from grokinterp.training.loop import check_finite, check_weights, prepare
from grokinterp.training.replica_group import ReplicaGroup
from grokinterp.training.stop import Interrupted, stop_on_signal
from grokinterp.training.trainer import Trainer


@dataclass(eq=False)
class Replica:
    """One run among several: its directory, its trainer and its log of metrics."""

    rundir: RunDir
    trainer: Trainer
    log: MetricsLog


def train_together(configs: list[RunConfig], rundirs: list[RunDir], *, show_progress: bool | None = None) -> list[str]:
    """Train all to the end, starting or going on, all from one step; what went wrong, a sentence a failed replica.

    A replica whose loss or weights are no longer numbers stops alone, and what it has is kept.

    Raises:
        Interrupted: asked to stop; what is needed to go on is saved in each directory.
        GrokinterpError: another process writes in one of them, or something is missing there to go on.
    """
    device = resolve_device(configs[0].train.device)
    known = [rundir.read_provenance().get("threads") for rundir in rundirs]
    threads = configs[0].train.threads or next((n for n in known if n), None)
    with contextlib.ExitStack() as stack:
        for rundir in rundirs:
            stack.enter_context(locked(rundir.lock_path, str(rundir.root)))
        n_threads = stack.enter_context(thread_count(threads))
        replicas = []
        for index, (config, rundir) in enumerate(zip(configs, rundirs, strict=True)):
            trainer = prepare(config, rundir, device, n_threads, replicas=len(configs), replica=index)
            log = stack.enter_context(contextlib.closing(MetricsLog(rundir.metrics_path)))
            replicas.append(Replica(rundir, trainer, log))
        if len({replica.trainer.step for replica in replicas}) > 1:
            raise GrokinterpError("another process has trained some of these replicas; call again to go on")
        return _loop(replicas, show_progress)


def _loop(replicas: list[Replica], show_progress: bool | None) -> list[str]:
    """The steps of the loop of a single run, in its order, for all replicas that have not failed."""
    group, failures = ReplicaGroup([replica.trainer for replica in replicas]), []
    settings, start = replicas[0].trainer.config.train, group.step
    what = f"training {len(replicas)} replicas"
    with stop_on_signal() as stop, progress_bar(what, settings.steps, show=show_progress) as report:
        while True:
            step, last, asked = group.step, group.step == settings.steps, bool(stop)
            if step > start and (step % settings.resume_every == 0 or last or asked):
                group.hand_back()
                for replica in replicas:
                    replica.log.sync()
                    write_resume(replica.rundir, replica.trainer.state())
            if asked and not last:
                raise Interrupted(step)
            rows = group.evaluate() if step % settings.eval_every == 0 or last else None
            over = _visit_all(replicas, group, rows)
            failures += [sentence for sentence in over.values() if sentence is not None]
            if rows is not None:
                accuracies = [row["test_accuracy"] for row in rows]
                report(step, f"test accuracy {min(accuracies):.3f} to {max(accuracies):.3f}")
            if last or len(over) == len(replicas):
                return failures
            if over:
                group.hand_back()
                replicas = [replica for i, replica in enumerate(replicas) if i not in over]
                group = ReplicaGroup([replica.trainer for replica in replicas])
            group.update()


def _visit_all(
    replicas: list[Replica], group: ReplicaGroup, rows: list[dict[str, float]] | None
) -> dict[int, str | None]:
    """Log and save what is due at this step.

    Returns, for each replica that goes no further, by its number: None where it has grokked as long ago as its config
    asks for, and a sentence where it can't go on.
    """
    over: dict[int, str | None] = {}
    for i, replica in enumerate(replicas):
        try:
            if _visit(replica, group, i, rows[i] if rows is not None else None):
                over[i] = None
        except GrokinterpError as error:
            over[i] = f"{replica.rundir.root}: {error}"
    return over


def _visit(replica: Replica, group: ReplicaGroup, index: int, row: dict[str, float] | None) -> bool:
    """Whether the replica ends here, before its last step."""
    trainer, step, reason = replica.trainer, group.step, None
    if row is not None:
        check_finite(row, step, trainer.config)
        replica.log.append({"step": step, **row})
        reason = trainer.ending.reason(step, row["test_accuracy"])
    ends = reason is not None and step < trainer.config.train.steps
    accuracies = (row["train_accuracy"], row["test_accuracy"]) if row else ()
    if trainer.schedule.wants(step, row["test_loss"] if row else None, accuracies) or ends:
        weights = group.weights_of(index)
        check_weights(weights, step, trainer.config)
        write_checkpoint(replica.rundir, step, weights)
    if ends:
        replica.log.sync()
        replica.rundir.write_end(step, str(reason))
    return ends
