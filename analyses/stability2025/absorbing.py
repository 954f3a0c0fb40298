"""The same training with torch's own cross-entropy, whose gradient floating point can absorb.

grokinterp's gradient of the right logit is minus the sum of the wrong probabilities, which keeps its digits however
sure the network is. torch's is p - 1, which is exactly 0 once p rounds to 1: at a margin of about 17 nats in float32
and 37 in float64. That is the softmax collapse of Prieto et al. 2025, so a test of what it does needs both gradients.
"""

import shutil
from pathlib import Path

import torch
import torch.nn.functional as F

import grokinterp as gi
from grokinterp.config import RunConfig
from grokinterp.models.training_forward import build_training_forward
from grokinterp.models.weights import Weights, init_weights, is_trained, n_outputs, weight_specs
from grokinterp.training.data import Pairs, all_pairs, in_training
from grokinterp.training.evaluate import Evaluator
from grokinterp.training.gradients import Gradients
from grokinterp.training.step import Stepper


class TorchCrossEntropy:
    """The gradient of torch's mean cross-entropy in the config's loss_dtype, with its rounding."""

    def __init__(self, config: RunConfig, weights: Weights, trained: Weights) -> None:
        """`trained` are those of the weights that are leaves and require gradients."""
        from grokinterp.tasks import build_task

        self.forward, _ = build_training_forward(config, build_task(config.task), getattr(torch, config.train.dtype))
        self._dtype, self._weights, self._trained = getattr(torch, config.train.loss_dtype), weights, trained

    def __call__(self, weights: Weights, batch: Pairs) -> Gradients:
        """The gradient over the batch, by the names of the trained weights."""
        logits = self.forward(weights, batch.left, batch.right)
        for weight in self._trained.values():
            weight.grad = None
        F.cross_entropy(logits.to(self._dtype), batch.label).backward()
        return {name: weight.grad for name, weight in self._trained.items() if weight.grad is not None}


def train(config: RunConfig, directory: Path) -> gi.Run:
    """Train a config on full batches with torch's cross-entropy into a run directory; a finished one is reused.

    Only what its measures need is kept: a checkpoint at each of `steps_kept`. An interrupted run starts over.

    Raises:
        GrokinterpError: a config with minibatches or with another loss, whose order or loss this loop has not.
    """
    if config.batch_size is not None or config.train.loss != "cross_entropy":
        raise gi.GrokinterpError(f"{config.name} is not a run of cross-entropy on full batches")
    if directory.exists():
        return gi.open(directory)
    part = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _loop(config, part)
    finally:
        torch.set_num_threads(threads)
    part.rename(directory)
    return gi.open(directory)


def steps_kept(config: RunConfig) -> set[int]:
    """Steps that are evaluated and saved: every eval_every, and a log-spaced few before."""
    last, every = config.train.steps, config.train.eval_every
    early = {round(last ** (i / 40)) for i in range(41)}
    return {0, last} | {step for step in early if step < 4 * every} | set(range(0, last, every))


def _loop(config: RunConfig, directory: Path) -> None:
    with gi.record(directory, config) as recorder:
        task, size = recorder.task, n_outputs(config, recorder.task)
        weights = init_weights(config.model, task.layout, size, getattr(torch, config.train.dtype))
        specs = weight_specs(config.model, task.layout, size)
        trained = {n: weights[n].requires_grad_() for n, spec in specs.items() if is_trained(spec, config.model)}
        gradient = TorchCrossEntropy(config, weights, trained)
        stepper = Stepper(config, weights, trained, gradient)
        pairs, is_train = all_pairs(task), in_training(task, recorder.train_mask)
        loss_dtype = getattr(torch, config.train.loss_dtype)
        evaluate = Evaluator(gradient.forward, pairs, is_train, loss_dtype, task.n_answers)
        batch, kept = pairs.select(is_train), steps_kept(config)
        for step in range(config.train.steps + 1):
            if step in kept:
                recorder.save(step, {name: weight.detach() for name, weight in weights.items()}, evaluate(weights))
            if step < config.train.steps:
                stepper.update(batch, step)
