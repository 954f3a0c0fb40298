"""The MLP is torch's nn.Linear layers on operands side by side, written out: one-hot vectors or embeddings."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch_networks import TorchMLP
from twins import (
    TASKS,
    TOLERANCE,
    ModuleForward,
    assert_close,
    assert_same_gradients,
    assert_vmap_is_a_loop,
    gradient_terms,
    gradients,
    initial_weights,
    inputs,
    network,
    random_weights,
)

from grokinterp.models.dropout import Dropout
from grokinterp.models.forward import build_forward
from grokinterp.models.hooked_networks import HookedMLP
from grokinterp.models.mlp import MLPForward
from grokinterp.tasks import build_task


@st.composite
def configs(draw):
    model = {
        "kind": "mlp",
        "n_layers": draw(st.integers(1, 4)),
        "d_hidden": draw(st.integers(1, 20)),
        "input": draw(st.sampled_from(["onehot", "embedding", "separate"])),
        "activation": draw(st.sampled_from(["relu", "gelu", "square"])),
        "biases": draw(st.sampled_from(["none", "all"])),
    }
    if model["input"] != "onehot":
        model["d_model"] = draw(st.integers(1, 9))
    return network(model, draw(TASKS))


def torch_twin(config, task, weights, after=None):
    module = TorchMLP(config.model, task.layout, task.n_answers, after or nn.Identity())
    return module.to(weights["unembed.W_U"].dtype).load(weights)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(config=configs(), seed=st.integers(0, 2**31), large=st.booleans())
def test_logits_and_gradients_are_those_of_torch_s_linear_layers(dtype, config, seed, large):
    task = build_task(config.task)
    left, right, label = inputs(task)
    weights = (random_weights if large else initial_weights)(config, task, seed, dtype)
    forward, twin = MLPForward(config.model, task.layout), torch_twin(config, task, weights)
    operands = torch.stack(task.layout.operands(left, right), dim=1)
    logits = twin(operands)
    assert_close(forward(weights, left, right), logits, TOLERANCE[dtype])
    F.cross_entropy(logits, label).backward()
    ours = gradients(forward, weights, left, right, label)
    assert_same_gradients(ours, twin.gradients(), TOLERANCE[dtype], gradient_terms(logits, label))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(config=configs(), seed=st.integers(0, 2**31))
def test_logits_and_gradients_are_those_of_the_hooked_module(dtype, config, seed):
    task = build_task(config.task)
    left, right, label = inputs(task)
    weights = initial_weights(config, task, seed, dtype)
    forward = MLPForward(config.model, task.layout)
    slow = ModuleForward(HookedMLP(config.model, task.layout, weights), task.layout)
    assert_close(forward(weights, left, right), slow(weights, left, right), TOLERANCE[dtype])
    ours, theirs = (gradients(f, weights, left, right, label) for f in (forward, slow))
    assert_same_gradients(ours, theirs, TOLERANCE[dtype], gradient_terms(slow(weights, left, right), label))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(config=configs(), seeds=st.lists(st.integers(0, 2**31), min_size=2, max_size=4))
def test_under_vmap_stacked_weights_give_the_numbers_of_a_loop(config, seeds):
    task = build_task(config.task)
    each = [random_weights(config, task, seed, torch.float64) for seed in seeds]
    assert_vmap_is_a_loop(MLPForward(config.model, task.layout), each, inputs(task))


ONE_HOT = {"kind": "mlp", "n_layers": 3, "d_hidden": 9}
EMBEDDING = {**ONE_HOT, "input": "embedding", "d_model": 4}
SEPARATE = {**EMBEDDING, "input": "separate"}


def of_size(model, p, dtype=torch.float64, **task):
    """A network with large weights, its task, and its pairs."""
    config = network(model, {"p": p, **task})
    task = build_task(config.task)
    return config, task, random_weights(config, task, 3, dtype), *inputs(task)[:2]


@pytest.mark.parametrize("model", [ONE_HOT, EMBEDDING, SEPARATE], ids=["onehot", "embedding", "separate"])
def test_neurons_are_the_last_hidden_layer_and_there_is_no_attention(model):
    config, task, weights, left, right = of_size(model, 5)
    found = build_forward(config.model, task.layout, 5).activations(weights, left, right)
    twin = torch_twin(config, task, weights)
    twin.layers = twin.layers[:-1]
    assert_close(found.neurons, twin(torch.stack([left, right], dim=1)), 1e-12)
    assert_close(found.logits, found.neurons @ weights["unembed.W_U"] + weights["unembed.b_U"], 1e-12)
    assert found.pattern.shape == (25, 0, 2)


def test_pairs_may_come_in_any_order_and_number():
    config, task, weights, left, right = of_size(ONE_HOT, 7, operation="x/y")
    forward = MLPForward(config.model, task.layout)
    some = torch.tensor([5, 2, 2, 30])
    assert_close(forward(weights, left[some], right[some]), forward(weights, left, right)[some], 1e-12)
    assert forward(weights, left[:0], right[:0]).shape == (0, 7)


@pytest.mark.parametrize("model", [ONE_HOT, SEPARATE], ids=["onehot", "separate"])
@pytest.mark.parametrize("operation", ["x+y", "x+y+z"])
def test_row_k_n_plus_x_of_the_embedding_is_operand_k_when_it_is_x(operation, model):
    config, task, weights, left, right = of_size({**model, "activation": "gelu"}, 4, operation=operation)
    forward, operands = MLPForward(config.model, task.layout), task.layout.operands(left, right)
    assert weights["embed.W_E"].shape == (4 * len(operands), 9 if model is ONE_HOT else 4)
    assert ("blocks.0.mlp.W_in" in weights) is (model is SEPARATE)
    for k, column in enumerate(operands):
        for x in range(4):
            other = weights["embed.W_E"].clone()
            other[4 * k + x] += 1.0
            changed = (forward({**weights, "embed.W_E": other}, left, right) != forward(weights, left, right)).any(1)
            assert torch.equal(changed, column == x)


@pytest.mark.parametrize("model", [ONE_HOT, EMBEDDING, SEPARATE], ids=["onehot", "embedding", "separate"])
def test_every_tensor_plays_a_part(model):
    config, task, weights, left, right = of_size(model, 5)
    forward, stream = MLPForward(config.model, task.layout), torch.Generator().manual_seed(4)
    for name, value in weights.items():
        other = value + 1e-3 * torch.randn(value.shape, dtype=torch.float64, generator=stream)
        assert (forward({**weights, name: other}, left, right) - forward(weights, left, right)).abs().max() > 1e-8, name


class Masks(nn.Module):
    """What Dropout says, with masks from a stream of its own of the same seed; keeps them."""

    def __init__(self, rate, seed):
        super().__init__()
        self.source, self.drawn = Dropout(rate, seed), []

    def forward(self, x):
        self.drawn.append(self.source(torch.ones_like(x)))
        return x * self.drawn[-1]


@pytest.mark.parametrize("model", [ONE_HOT, EMBEDDING, SEPARATE], ids=["onehot", "embedding", "separate"])
def test_with_dropout_some_hidden_neurons_are_zero_and_the_others_larger(model):
    config, task, weights, left, right = of_size({**model, "d_hidden": 40}, 7)
    masks = Masks(0.25, 9)
    expected = torch_twin(config, task, weights, masks)(torch.stack([left, right], dim=1))
    forward = MLPForward(config.model, task.layout, Dropout(0.25, 9))
    assert_close(forward(weights, left, right), expected, 1e-12)
    assert (forward(weights, left, right) != expected).any()  # drawn anew
    assert len(masks.drawn) == 3
    for mask in masks.drawn:
        assert set(mask.unique().tolist()) == {0.0, 1 / 0.75}
        # binomial(49 * 40, 1/4): standard deviation 0.0098 of the share
        assert abs(float((mask == 0).double().mean()) - 0.25) < 5 * 0.0098
    assert (masks.drawn[0] != masks.drawn[1]).any()


def test_what_is_measured_has_no_dropout():
    config, task, weights, left, right = of_size(ONE_HOT, 5)
    forward = build_forward(config.model, task.layout, 5)
    expected = torch_twin(config, task, weights)(torch.stack([left, right], dim=1))
    assert_close(forward(weights, left, right), expected, 1e-12)
    assert torch.equal(forward(weights, left, right), forward(weights, left, right))
