"""Steppers to test: of a small real network, and of a quadratic loss with two tensors of weights."""

import copy
import io
from collections.abc import Mapping

import torch
from torch import Tensor

import grokinterp as gi
from grokinterp.models.forward import build_forward
from grokinterp.models.weights import init_weights, is_trained, weight_specs
from grokinterp.tasks import build_task, draw_train_mask
from grokinterp.training.data import Pairs, all_pairs, in_training
from grokinterp.training.differentiate import ByAutograd
from grokinterp.training.step import Stepper

W, B = "blocks.0.mlp.W_in", "unembed.b_U"
CURVES = torch.tensor([[3.0, -2.0, 1.0], [0.5, 1.5, 2.0]], dtype=torch.float64)
START = {
    W: torch.tensor([[0.3, -1.2, 0.7], [2.0, 0.1, -0.4]], dtype=torch.float64),
    B: torch.tensor([0.2, -0.1, 0.05, 0.0, 0.3, -0.6], dtype=torch.float64),
}
TARGET = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
ONE_PAIR = Pairs(torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long), torch.ones(1, dtype=torch.long))


class QuadraticForward:
    """logits = CURVES * W + b, whose squared error against TARGET is a quadratic in W and b.

    `seen` are the weights of each call, `values` copies of what they were then.
    """

    any_dtype = True

    def __init__(self):
        self.seen: list[Mapping[str, Tensor]] = []
        self.values: list[Mapping[str, Tensor]] = []

    def __call__(self, weights, left, right):
        self.seen.append(weights)
        self.values.append(copy_of(weights))
        return ((CURVES * weights[W]).flatten() + weights[B]).expand(len(left), -1)

    def activations(self, weights, left, right):
        raise NotImplementedError


def gradient_at(weights):
    """The gradient of QuadraticForward's loss by hand."""
    residual = ((CURVES * weights[W]).flatten() + weights[B] - TARGET) / 3  # 2 / 6 answers
    return {W: CURVES * residual.reshape(2, 3), B: residual}


def quadratic_config(optimizer=None, regularizer=None, steps=1000):
    """Gradient descent in float64 at a constant learning rate of 0.1, unless said otherwise."""
    return gi.RunConfig.from_mapping(
        {
            "task": {"p": 7, "frac_train": 0.6},
            "optimizer": {"name": "sgd", "lr": 0.1, "warmup_steps": 0, **(optimizer or {})},
            "regularizer": regularizer or {},
            "train": {"loss": "mse", "dtype": "float64", "steps": steps, "seed": 3},
        }
    )


def autograd_stepper(config, forward, weights, trained):
    """A stepper of the weights named in `trained`."""
    named = {name: weights[name] for name in trained}
    return Stepper(config, weights, named, ByAutograd(config, forward, named))


def quadratic_path(config, updates):
    """The weights before each update and after the last, and the forward with what it saw."""
    weights = {name: value.clone().requires_grad_() for name, value in START.items()}
    forward = QuadraticForward()
    stepper, path = autograd_stepper(config, forward, weights, [W, B]), [copy_of(weights)]
    for step in range(updates):
        stepper.update(ONE_PAIR, step)
        path.append(copy_of(weights))
    return path, forward


def config_of(optimizer=None, regularizer=None, model=None, train=None):
    """A network that does an update in a millisecond, with p = 7."""
    return gi.RunConfig.from_mapping(
        {
            "task": {"p": 7, "frac_train": 0.6},
            "model": model
            if model and "kind" in model
            else {"d_model": 16, "n_heads": 2, "d_mlp": 32, **(model or {})},
            "optimizer": {"lr": 1e-2, "warmup_steps": 3, **(optimizer or {})},
            "regularizer": regularizer or {},
            "train": {"steps": 40, **(train or {})},
        }
    )


class Network:
    """A small real network with its stepper and its training pairs, at its initial weights."""

    def __init__(self, config: gi.RunConfig):
        task, dtype = build_task(config.task), getattr(torch, config.train.dtype)
        self.config = config
        self.forward = build_forward(config.model, task.layout, task.n_answers, dtype=dtype)
        self.weights = init_weights(config.model, task.layout, task.n_answers, dtype)
        specs = weight_specs(config.model, task.layout, task.n_answers)
        self.trained = [name for name, spec in specs.items() if is_trained(spec, config.model)]
        for name in self.trained:
            self.weights[name].requires_grad_()
        mask = draw_train_mask(task, config.task.frac_train, config.task.split_seed)
        self.pairs = all_pairs(task).select(in_training(task, mask))
        self.stepper = autograd_stepper(config, self.forward, self.weights, self.trained)

    def batch(self, step: int) -> Pairs:
        """Every other step leaves pairs out."""
        return self.pairs.select(torch.arange(step % 2, len(self.pairs)))

    def train(self, start: int, stop: int) -> None:
        for step in range(start, stop):
            self.stepper.update(self.batch(step), step)

    def save(self) -> bytes:
        """What the resume file holds."""
        buffer = io.BytesIO()
        torch.save({"weights": copy_of(self.weights), "stepper": self.stepper.state()}, buffer)
        return buffer.getvalue()

    def load(self, saved: bytes) -> None:
        state = torch.load(io.BytesIO(saved), weights_only=True)
        with torch.no_grad():
            for name, value in self.weights.items():
                value.copy_(state["weights"][name])
        self.stepper.restore(state["stepper"])


def copy_of(weights):
    return copy.deepcopy({name: value.detach() for name, value in weights.items()})


def assert_same(one, other):
    """Bit for bit."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def largest_difference(one, other):
    assert one.keys() == other.keys()
    return max(float((value - other[name]).abs().max()) for name, value in one.items())
