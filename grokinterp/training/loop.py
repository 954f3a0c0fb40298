"""The training loop: one flat function of a config, resumable at any step, bit for bit."""

import math
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.device import resolve_device, thread_count
from grokinterp.errors import GrokinterpError
from grokinterp.models.forward import Forward, build_forward, fast_applies
from grokinterp.models.weights import Weights, init_weights, is_trained, weight_specs
from grokinterp.progress import progress_bar
from grokinterp.runs.files import locked
from grokinterp.runs.metrics import MetricsLog, cut_metrics, read_metrics
from grokinterp.runs.provenance import provenance
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import read_resume, write_checkpoint, write_resume, write_task
from grokinterp.tasks import Task, build_task, draw_train_mask
from grokinterp.training.checkpointing import CheckpointSchedule, planned_steps
from grokinterp.training.data import BatchOrder, Pairs, all_pairs, in_training
from grokinterp.training.evaluate import evaluate
from grokinterp.training.losses import cross_entropy
from grokinterp.training.optimizers import build_optimizer, learning_rate, set_learning_rate
from grokinterp.training.stop import Interrupted, stop_on_signal


@dataclass(eq=False)
class Trainer:
    """Everything that changes while training, and the data that does not."""

    config: RunConfig
    forward: Forward
    weights: Weights
    optimizer: torch.optim.Optimizer
    pairs: Pairs
    is_train: Tensor
    train_pairs: Pairs
    batches: BatchOrder
    schedule: CheckpointSchedule
    step: int = 0

    def evaluate(self) -> dict[str, float]:
        """Losses, accuracies and norm of the weights now."""
        dtype = getattr(torch, self.config.train.loss_dtype)
        return evaluate(self.forward, self.weights, self.pairs, self.is_train, dtype)

    def update(self) -> None:
        """One optimizer step."""
        index = self.batches.draw()
        batch = self.train_pairs if index is None else self.train_pairs.select(index.to(self.is_train.device))
        logits = self.forward(self.weights, batch.left, batch.right)
        loss = cross_entropy(logits, batch.label, getattr(torch, self.config.train.loss_dtype))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        set_learning_rate(self.optimizer, learning_rate(self.config.optimizer, self.step))
        self.optimizer.step()
        self.step += 1

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on bit for bit."""
        return {
            "step": self.step,
            "weights": {name: value.detach() for name, value in self.weights.items()},
            "optimizer": self.optimizer.state_dict(),
            "batches": self.batches.state(),
            "schedule": self.schedule.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            GrokinterpError: it is not the state of this trainer.
        """
        try:
            weights = {name: value.shape for name, value in state["weights"].items()}
            fits = 0 <= state["step"] <= self.config.train.steps
            fits &= weights == {name: value.shape for name, value in self.weights.items()}
            fits &= all(state[part] is not None for part in ("optimizer", "batches", "schedule"))
        except (TypeError, KeyError, AttributeError):
            fits = False
        if not fits:
            raise GrokinterpError("resume.pt does not belong to this run; train into another --out")
        self.step = state["step"]
        with torch.no_grad():
            for name, value in self.weights.items():
                value.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.batches.restore(state["batches"])
        self.schedule.restore(state["schedule"])


def train_run(config: RunConfig, rundir: RunDir, *, show_progress: bool | None = None) -> None:
    """Train to the end, starting or going on from what lies in `rundir`.

    Raises:
        Interrupted: asked to stop; what is needed to go on is saved.
        GrokinterpError: the loss is no longer a number, or another process writes here.
    """
    device = resolve_device(config.train.device)
    threads = config.train.threads or rundir.read_provenance().get("threads")
    with locked(rundir.lock_path, str(rundir.root)), thread_count(threads) as n_threads:
        for path in rundir.leftovers():
            path.unlink()
        rundir.write_config(config)
        task = build_task(config.task)
        trainer = build_trainer(config, task, rundir, device)
        engine = type(trainer.forward).__name__
        rundir.write_provenance(provenance(device, n_threads, engine=engine, init_scheme=config.model.init))
        if rundir.resume_path.exists():
            trainer.restore(read_resume(rundir))
            _check_complete(rundir, trainer)
        cut_metrics(rundir.metrics_path, trainer.step)
        rundir.drop_checkpoints_from(trainer.step)
        _loop(trainer, rundir, show_progress)


def is_finished(rundir: RunDir, config: RunConfig) -> bool:
    """Whether the run has its last checkpoint and its last line of metrics."""
    steps, rows = rundir.steps(), read_metrics(rundir.metrics_path)
    last = config.train.steps
    return bool(steps) and steps[-1] == last and bool(rows) and rows[-1]["step"] == last


def build_trainer(config: RunConfig, task: Task, rundir: RunDir, device: torch.device) -> Trainer:
    """A trainer at step 0; writes the task and the split to the run directory."""
    dtype = getattr(torch, config.train.dtype)
    engine = config.train.engine
    if engine == "auto":
        engine = "fast" if fast_applies(config.model) else "hooked"
    forward = build_forward(config.model, task.layout, task.n_answers, engine=engine, dtype=dtype)
    weights = init_weights(config.model, task.layout, task.n_answers, dtype)
    weights = {name: value.to(device) for name, value in weights.items()}
    specs = weight_specs(config.model, task.layout, task.n_answers)
    trained = [weights[name].requires_grad_() for name, spec in specs.items() if is_trained(spec, config.model)]
    mask = draw_train_mask(task, config.task.frac_train, config.task.split_seed)
    write_task(rundir, task, mask)
    pairs, is_train = all_pairs(task, device), in_training(task, mask).to(device)
    train_pairs = pairs.select(is_train)
    return Trainer(
        config,
        forward,
        weights,
        build_optimizer(config.optimizer, trained),
        pairs,
        is_train,
        train_pairs,
        BatchOrder(len(train_pairs), config.train.batch_size, config.train.seed),
        CheckpointSchedule(config.train),
    )


def _loop(trainer: Trainer, rundir: RunDir, show_progress: bool | None) -> None:
    """Evaluate, save, step. "Step s" is the state after s updates; 0 is the initialisation.

    resume.pt of step s is written before step s is evaluated, so that whoever goes on from it
    drops every later line and checkpoint and writes them again, the same.
    """
    settings = trainer.config.train
    start, last = trainer.step, settings.steps
    log = MetricsLog(rundir.metrics_path)
    try:
        with stop_on_signal() as stop, progress_bar("training", last, show=show_progress) as report:
            while True:
                step, asked = trainer.step, bool(stop)
                if step > start and (step % settings.resume_every == 0 or step == last or asked):
                    log.sync()
                    write_resume(rundir, trainer.state())
                if asked and step < last:
                    raise Interrupted(step)
                row = None
                if step % settings.eval_every == 0 or step == last:
                    row = trainer.evaluate()
                    _check_finite(row, step, trainer.config)
                    log.append({"step": step, **row})
                    report(step, f"test accuracy {row['test_accuracy']:.3f}")
                accuracies = (row["train_accuracy"], row["test_accuracy"]) if row else ()
                if trainer.schedule.wants(step, row["test_loss"] if row else None, accuracies):
                    _check_weights(trainer.weights, step, trainer.config)
                    write_checkpoint(rundir, step, trainer.weights)
                if step >= last:
                    return
                trainer.update()
    finally:
        log.close()


def _check_complete(rundir: RunDir, trainer: Trainer) -> None:
    """Everything before the step that training goes on from is there."""
    settings = trainer.config.train
    logged = {row["step"] for row in read_metrics(rundir.metrics_path)}
    saved = set(rundir.steps())
    lines = (s for s in range(0, trainer.step, settings.eval_every) if s not in logged)
    files = (s for s in planned_steps(settings) if s < trainer.step and s not in saved)
    for missing, where in ((lines, rundir.metrics_path), (files, rundir.ckpts)):
        step = next(missing, None)
        if step is not None:
            raise GrokinterpError(
                f"step {step} is missing in {where}, so the run cannot go on complete; "
                "restore it from a copy or train into another --out"
            )


def _check_weights(weights: Weights, step: int, config: RunConfig) -> None:
    if not all(bool(w.isfinite().all()) for w in weights.values()):
        _diverged("a weight", step, config)


def _check_finite(row: dict[str, float], step: int, config: RunConfig) -> None:
    if not all(math.isfinite(value) for value in row.values()):
        _diverged("the loss", step, config)


def _diverged(what: str, step: int, config: RunConfig) -> NoReturn:
    raise GrokinterpError(
        f"{what} is no longer a number at step {step}; what came before is kept; try a lower learning "
        f"rate than {config.optimizer.lr} in another --out"
    )
