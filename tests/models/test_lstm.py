"""The LSTM is torch.nn.LSTM on torch.nn.Embedding, read by a torch.nn.Linear at the last position."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_networks import TorchLSTM
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

from grokinterp.models.forward import build_forward
from grokinterp.models.hooked_networks import HookedLSTM
from grokinterp.models.lstm import LSTMForward
from grokinterp.tasks import build_task


@st.composite
def configs(draw):
    model = {
        "kind": "lstm",
        "n_layers": draw(st.integers(1, 3)),
        "d_hidden": draw(st.integers(1, 12)),
        "d_model": draw(st.integers(1, 9)),
        "biases": draw(st.sampled_from(["none", "all"])),
    }
    return network(
        model, {**draw(TASKS), "layout": draw(st.sampled_from(["a b =", "a op b =", "a b", "EOS a op b ="]))}
    )


def torch_twin(config, task, weights):
    module = TorchLSTM(config.model, task.layout, task.n_answers)
    return module.to(weights["unembed.W_U"].dtype).load(weights)


def tokens_of(task, left, right):
    return torch.stack(task.layout.columns(left, right), dim=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(config=configs(), seed=st.integers(0, 2**31), large=st.booleans())
def test_logits_and_gradients_are_those_of_torch_s_lstm(dtype, config, seed, large):
    task = build_task(config.task)
    left, right, label = inputs(task)
    weights = (random_weights if large else initial_weights)(config, task, seed, dtype)
    forward, twin = LSTMForward(config.model, task.layout), torch_twin(config, task, weights)
    logits = twin(tokens_of(task, left, right))
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
    forward = LSTMForward(config.model, task.layout)
    slow = ModuleForward(HookedLSTM(config.model, task.layout, weights), task.layout)
    assert_close(forward(weights, left, right), slow(weights, left, right), TOLERANCE[dtype])
    ours, theirs = (gradients(f, weights, left, right, label) for f in (forward, slow))
    assert_same_gradients(ours, theirs, TOLERANCE[dtype], gradient_terms(slow(weights, left, right), label))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(config=configs(), seeds=st.lists(st.integers(0, 2**31), min_size=2, max_size=4))
def test_under_vmap_stacked_weights_give_the_numbers_of_a_loop(config, seeds):
    task = build_task(config.task)
    each = [random_weights(config, task, seed, torch.float64) for seed in seeds]
    assert_vmap_is_a_loop(LSTMForward(config.model, task.layout), each, inputs(task))


LSTM = {"kind": "lstm", "n_layers": 2, "d_hidden": 6, "d_model": 5}


def of_size(p, **task):
    """A network with large weights, its task, and its pairs."""
    config = network(LSTM, {"p": p, **task})
    task = build_task(config.task)
    return config, task, random_weights(config, task, 3, torch.float64), *inputs(task)[:2]


def test_neurons_are_the_last_hidden_state_and_there_is_no_attention():
    config, task, weights, left, right = of_size(5)
    found = build_forward(config.model, task.layout, 5).activations(weights, left, right)
    twin = torch_twin(config, task, weights)
    assert_close(found.logits, twin(tokens_of(task, left, right)), 1e-12)
    assert_close(found.neurons, twin.states[:, -1], 1e-12)
    assert found.pattern.shape == (25, 0, 3)


@pytest.mark.parametrize("layout", ["a b =", "a op b =", "a b", "EOS a op b ="])
def test_hooks_see_the_hidden_states_and_cells_of_torch_s_lstm_at_each_position(layout):
    config, task, weights, left, right = of_size(5, layout=layout)
    tokens, twin = tokens_of(task, left, right), torch_twin(config, task, weights)
    _, cache = HookedLSTM(config.model, task.layout, weights).run_with_cache(tokens)
    assert_close(cache["hook_embed"], twin.embed(tokens), 1e-15)
    for t in range(task.layout.n_ctx):
        _, (states, cells) = twin.lstm(twin.embed(tokens[:, : t + 1]))
        for layer in range(2):
            assert_close(cache[f"blocks.{layer}.lstm.hook_h"][:, t], states[layer], 1e-12)
            assert_close(cache[f"blocks.{layer}.lstm.hook_c"][:, t], cells[layer], 1e-12)


def test_pairs_may_come_in_any_order_and_number():
    config, task, weights, left, right = of_size(7, operation="x/y", layout="a op b =")
    forward = LSTMForward(config.model, task.layout)
    some = torch.tensor([5, 2, 2, 30])
    assert_close(forward(weights, left[some], right[some]), forward(weights, left, right)[some], 1e-12)
    assert forward(weights, left[:0], right[:0]).shape == (0, 7)


def test_the_order_of_the_operands_matters():
    config, task, weights, left, right = of_size(5)
    forward = LSTMForward(config.model, task.layout)
    assert (forward(weights, left, right) - forward(weights, right, left)).abs().max() > 1e-3


def test_every_tensor_plays_a_part():
    config, task, weights, left, right = of_size(5)
    forward, stream = LSTMForward(config.model, task.layout), torch.Generator().manual_seed(4)
    for name, value in weights.items():
        other = value + 1e-3 * torch.randn(value.shape, dtype=torch.float64, generator=stream)
        assert (forward({**weights, name: other}, left, right) - forward(weights, left, right)).abs().max() > 1e-8, name
