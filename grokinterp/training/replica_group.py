"""Trainers of one shape as one: their weights stacked, one forward and one backward pass for all of them."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grokinterp.models.spec import Weights
from grokinterp.training.evaluate import CHUNK
from grokinterp.training.losses import cross_entropy_each, training_loss
from grokinterp.training.replica_optimizer import ReplicaOptimizer
from grokinterp.training.trainer import Trainer

StackedForward = Callable[[Weights, Tensor, Tensor], Float[Tensor, "R batch d_vocab_out"]]


class ReplicaGroup:
    """R trainers at one step, alike but for seeds, learning rates and weight decays, that go on together.

    The weights have a leading replica axis, and logits = vmap(forward)(weights, left, right) with pairs (R, batch).
    What is minimised is the sum of the replicas' mean losses; no weight enters the loss of another replica, so each
    gets its own gradient. Batches, checkpoint schedules and resume states are those of the trainers.

    **Differs:** from the trainers alone by floating-point reassociation: batched matrix products sum in another order.
    **Known values:** each trainer alone: losses to 1e-9 relative over 100 steps in float64.
    """

    def __init__(self, trainers: list[Trainer]) -> None:
        """The trainers keep their weights and their optimizers as they are until `hand_back`."""
        first = trainers[0]
        self.trainers, self._config = trainers, first.config
        self._weights = {name: torch.stack([t.weights[name].detach() for t in trainers]) for name in first.weights}
        trained = {name: w.requires_grad_() for name, w in self._weights.items() if first.weights[name].requires_grad}
        self._optimizer = ReplicaOptimizer([t.config.optimizer for t in trainers], trained, first.config.train.steps)
        self._optimizer.load([_optimizer_state(trainer) for trainer in trainers])
        self._trained = trained
        self._forward = torch.func.vmap(first.forward)
        self._same_pairs = torch.func.vmap(first.forward, in_dims=(0, None, None))
        self._train = [torch.stack([getattr(t.train_pairs, x) for t in trainers]) for x in ("left", "right", "label")]
        self._labels = torch.stack([t.pairs.label for t in trainers])
        self._is_train = torch.stack([t.is_train for t in trainers])

    @property
    def step(self) -> int:
        """Updates done."""
        return self.trainers[0].step

    def update(self) -> None:
        """One optimizer step of each replica."""
        left, right, labels = self._draw()
        logits = self._forward(self._weights, left, right)
        dtype = getattr(torch, self._config.train.loss_dtype)
        # batches are of one size, so R times the mean over all pairs is the sum of the replicas' means
        loss = training_loss(self._config.train.loss, logits.flatten(0, 1), labels.flatten(), dtype)
        for weight in self._trained.values():
            weight.grad = None
        (loss * len(self.trainers)).backward()
        self._optimizer.step(self.step)
        for trainer in self.trainers:
            trainer.step += 1

    def _draw(self) -> list[Int[Tensor, "R batch"]]:
        """Left operands, right operands and labels of each replica's next batch."""
        drawn = [trainer.batches.draw() for trainer in self.trainers]
        indices = [index for index in drawn if index is not None]
        if not indices:
            return self._train
        index = torch.stack(indices).to(self._labels.device, non_blocking=True)
        return [tensor.gather(1, index) for tensor in self._train]

    def evaluate(self) -> list[dict[str, float]]:
        """For each replica what its trainer's `evaluate` says."""
        first, dtype = self.trainers[0], getattr(torch, self._config.train.loss_dtype)
        pairs = (first.pairs.left, first.pairs.right)  # all pairs of the task, the same for all
        return evaluate_replicas(
            self._same_pairs, self._weights, *pairs, self._labels, self._is_train, dtype, first.task.n_answers
        )

    def weights_of(self, replica: int) -> Weights:
        """Its weights as they are now, in its trainer."""
        weights = self.trainers[replica].weights
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(self._weights[name][replica])
        return weights

    def hand_back(self) -> None:
        """Give each trainer the weights and the optimizer's state that it would have by now."""
        for replica, trainer in enumerate(self.trainers):
            self.weights_of(replica)
            state = trainer.stepper.state()
            optimizer = self._optimizer.state(replica, _optimizer_state(trainer))
            state["optimizer"] = state["optimizer"] | {"optimizers": [optimizer]}
            trainer.stepper.restore(state)


def _optimizer_state(trainer: Trainer) -> dict[str, Any]:
    """The state dict of its torch.optim, of which there is one without muon."""
    (state,) = trainer.stepper.state()["optimizer"]["optimizers"]
    return state


@torch.no_grad()
def evaluate_replicas(
    forward: StackedForward,
    weights: Weights,
    left: Int[Tensor, " n"],
    right: Int[Tensor, " n"],
    labels: Int[Tensor, "R n"],
    is_train: Bool[Tensor, "R n"],
    dtype: torch.dtype,
    n_answers: int | None = None,
) -> list[dict[str, float]]:
    """For each replica what `evaluate` says, of weights (R, ...) and a forward of all replicas on the same pairs.

    As many of the pairs are trained on in one replica as in another.
    """
    n_replicas, n = labels.shape
    size, losses, hits = max(1, CHUNK // n_replicas), [], []
    for start in range(0, n, size):
        part = slice(start, start + size)
        logits, answers = forward(weights, left[part], right[part])[..., :n_answers], labels[:, part]
        loss = cross_entropy_each(logits.flatten(0, 1), answers.flatten(), dtype)
        losses.append(loss.view(answers.shape))
        hits.append(logits.argmax(dim=-1) == answers)
    loss, hit = torch.cat(losses, dim=1), torch.cat(hits, dim=1).double()
    norms = [weight.double().square().flatten(1).sum(dim=1) for weight in weights.values()]
    columns = {
        "train_loss": _mean_over(loss, is_train),
        "test_loss": _mean_over(loss, ~is_train),
        "train_accuracy": _mean_over(hit, is_train),
        "test_accuracy": _mean_over(hit, ~is_train),
        "weight_norm": torch.stack(norms).sum(dim=0),
    }
    rows = torch.stack([column.double() for column in columns.values()], dim=1).tolist()
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _mean_over(values: Float[Tensor, "R n"], mask: Bool[Tensor, "R n"]) -> Float[Tensor, " R"]:
    return values[mask].view(len(values), -1).mean(dim=1)
