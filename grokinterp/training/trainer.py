"""What changes while training, and the data that does not: built from a config, saved, restored."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.dropout import Dropout
from grokinterp.models.forward import Forward, build_forward
from grokinterp.models.training_forward import build_training_forward
from grokinterp.models.weights import Weights, init_weights, is_trained, n_outputs, weight_specs
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import write_task
from grokinterp.tasks import Task, draw_labels, draw_train_mask
from grokinterp.training.checkpointing import CheckpointSchedule
from grokinterp.training.data import BatchOrder, Pairs, all_pairs, in_training, next_tokens
from grokinterp.training.differentiate import build_differentiate
from grokinterp.training.ending import Ending
from grokinterp.training.evaluate import Evaluator
from grokinterp.training.step import Stepper

FOREIGN_STATE = "resume.pt does not belong to this run; train into another --out"


@dataclass(eq=False)
class Trainer:
    """Everything that changes while training, and the data that does not.

    forward: What is measured.
    engine: What is trained through, for the record: FastForward, HookedForward, MLPForward or LSTMForward.
    """

    config: RunConfig
    task: Task
    forward: Forward
    evaluator: Evaluator
    weights: Weights
    stepper: Stepper
    dropout: Dropout | None
    pairs: Pairs
    is_train: Tensor
    train_pairs: Pairs
    batches: BatchOrder
    schedule: CheckpointSchedule
    ending: Ending
    engine: str
    step: int = 0

    def evaluate(self) -> dict[str, float]:
        """Losses, accuracies and norm of the weights now."""
        return self.evaluator(self.weights)

    def update(self) -> None:
        """One optimizer step."""
        index = self.batches.draw()
        batch = self.train_pairs if index is None else self.train_pairs.select(index.to(self.is_train.device))
        self.stepper.update(batch, self.step)
        self.step += 1

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on bit for bit."""
        return {
            "step": self.step,
            "weights": {name: value.detach() for name, value in self.weights.items()},
            "stepper": self.stepper.state(),
            "dropout": None if self.dropout is None else self.dropout.generator.get_state(),
            "batches": self.batches.state(),
            "schedule": self.schedule.state(),
            "ending": self.ending.state(),
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
            fits &= all(state[part] is not None for part in ("stepper", "batches", "schedule", "ending"))
            fits &= (state["dropout"] is None) == (self.dropout is None)
        except (TypeError, KeyError, AttributeError):
            fits = False
        if not fits:
            raise GrokinterpError(FOREIGN_STATE)
        self.step = state["step"]
        with torch.no_grad():
            for name, value in self.weights.items():
                value.copy_(state["weights"][name])
        try:
            self.stepper.restore(state["stepper"])
        except (ValueError, KeyError, TypeError, RuntimeError):
            raise GrokinterpError(FOREIGN_STATE) from None
        if self.dropout is not None:
            self.dropout.generator.set_state(state["dropout"])
        self.batches.restore(state["batches"])
        self.schedule.restore(state["schedule"])
        self.ending.restore(state["ending"])


def build_trainer(config: RunConfig, task: Task, rundir: RunDir, device: torch.device) -> Trainer:
    """A trainer at step 0; writes the task, the split and the labels to the run directory."""
    dtype, size = getattr(torch, config.train.dtype), n_outputs(config, task)
    weights = init_weights(config.model, task.layout, size, dtype)
    weights = {name: value.to(device) for name, value in weights.items()}
    specs = weight_specs(config.model, task.layout, size)
    trained = {name: weights[name].requires_grad_() for name, spec in specs.items() if is_trained(spec, config.model)}
    through, dropout = build_training_forward(config, task, dtype)
    mask = draw_train_mask(task, config.task.frac_train, config.task.split_seed)
    labels = draw_labels(task, mask, config.task)
    write_task(rundir, task, mask, labels)
    pairs, is_train = all_pairs(task, device, labels), in_training(task, mask).to(device)
    train_pairs = pairs.select(is_train)
    if config.train.loss_on == "sequence":
        train_pairs = next_tokens(task, train_pairs)
    measured = isinstance(through, Forward) and dropout is None
    forward = through if measured else build_forward(config.model, task.layout, size, dtype=dtype)
    return Trainer(
        config,
        task,
        forward,
        Evaluator(forward, pairs, is_train, getattr(torch, config.train.loss_dtype), task.n_answers),
        weights,
        Stepper(config, weights, trained, build_differentiate(config, through, trained, device)),
        dropout,
        pairs,
        is_train,
        train_pairs,
        BatchOrder(len(train_pairs), config.batch_size, config.train.seed),
        CheckpointSchedule(config.train),
        Ending(config.train),
        type(getattr(through, "__self__", through)).__name__,
    )
