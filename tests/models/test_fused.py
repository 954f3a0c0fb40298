"""The hand-written network is FastForward, forward and backward, over every shape that it claims."""

import pytest
import torch
from conftest import small_config
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import TOLERANCE, assert_close, gradients, initial_weights, inputs, network, random_weights

from grokinterp.models.fast_forward import FastForward
from grokinterp.models.fused import FusedNetwork, PairBags, is_fusible
from grokinterp.tasks import build_task
from grokinterp.training.losses import loss_gradient

TASKS = [{"operation": op, "p": p} for op in ("x+y", "x/y", "x*y") for p in (2, 5, 7, 12, 13) if op != "x/y" or p != 12]
TASKS += [{"operation": "x.y", "group": "S3", "p": None}, {"operation": "x+y+z", "p": 3}]


@st.composite
def configs(draw):
    heads = draw(st.integers(1, 3))
    model = {
        "d_model": draw(st.integers(2, 6)) * heads,
        "n_heads": heads,
        "d_head": draw(st.sampled_from([1, 3, 5, 8])),
        "d_mlp": draw(st.integers(3, 20)),
        "biases": draw(st.sampled_from(["none", "mlp", "all"])),
        "causal": draw(st.booleans()),
    }
    layout = draw(st.sampled_from(["a b =", "a op b ="]))
    return small_config(task={**draw(st.sampled_from(TASKS)), "layout": layout, "frac_train": 0.5}, model=model)


def fused(config, pairs):
    task = build_task(config.task)
    assert is_fusible(config.model, task.layout)
    return FusedNetwork(task.layout), PairBags.of(task.layout, *pairs)


def cross_entropy(label):
    return lambda logits: loss_gradient("cross_entropy", logits, label)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(config=configs(), seed=st.integers(0, 2**31), share=st.floats(0.1, 1))
def test_logits_activations_and_gradients_are_those_of_the_fast_engine(dtype, config, seed, share):
    task = build_task(config.task)
    left, right, label = (x[: max(1, int(share * len(x)))] for x in inputs(task))
    weights = initial_weights(config, task, seed, dtype)
    forward = FastForward(config.model, task.layout)
    net, bags = fused(config, (left, right))
    truth, found = forward.activations(weights, left, right), net.activations(weights, bags)
    for name in ("logits", "neurons", "pattern"):
        assert_close(getattr(found, name), getattr(truth, name), TOLERANCE[dtype])
    theirs = gradients(forward, weights, left, right, label)
    ours = net.gradients(weights, bags, cross_entropy(label))
    scale = max(float(g.abs().max()) for g in theirs.values())
    assert set(ours) == set(theirs)
    for name, gradient in theirs.items():
        assert_close(ours[name], gradient, TOLERANCE[dtype], scale)


@pytest.mark.parametrize("layout", ["a b =", "a op b ="])
def test_each_tensor_s_gradient_agrees_on_its_own_scale(layout):
    model = {"d_model": 12, "n_heads": 3, "d_head": 5, "d_mlp": 17, "biases": "all"}
    config = small_config(task={"p": 5, "operation": "x-y", "layout": layout, "frac_train": 0.5}, model=model)
    task = build_task(config.task)
    left, right, label = inputs(task)
    weights = random_weights(config, task, 3, torch.float64)
    net, bags = fused(config, (left, right))
    ours = net.gradients(weights, bags, cross_entropy(label))
    theirs = gradients(FastForward(config.model, task.layout), weights, left, right, label)
    for name, theirs_of_it in theirs.items():
        if name.endswith("b_K"):
            assert not ours[name].any()
        else:
            assert theirs_of_it.abs().max() > 1e-8, name
            assert_close(ours[name], theirs_of_it, 1e-10)


def test_attention_that_is_too_peaked_for_exp_is_left_to_autograd():
    config = small_config(task={"p": 5, "layout": "a b ="}, model={"d_model": 8, "n_heads": 2, "d_mlp": 9})
    task = build_task(config.task)
    left, right, label = inputs(task)
    weights = random_weights(config, task, 0, torch.float32)
    net, bags = fused(config, (left, right))
    sharp = weights | {"blocks.0.attn.W_Q": 1e4 * weights["blocks.0.attn.W_Q"]}
    assert net.logits(weights, bags) is not None
    assert net.logits(sharp, bags) is None
    assert net.gradients(sharp, bags, cross_entropy(label)) is None


@pytest.mark.parametrize(
    ("model", "layout"),
    [
        ({"n_layers": 2}, "a b ="),
        ({"normalization": "LN"}, "a b ="),
        ({"activation": "gelu"}, "a b ="),
        ({"attention_rate": 0.5}, "a b ="),
        ({}, "a b"),
        ({"kind": "mlp", "n_layers": 1, "d_hidden": 8}, "a b"),
    ],
)
def test_other_shapes_are_not_claimed(model, layout):
    config = network(model, {"p": 5, "layout": layout})
    assert not is_fusible(config.model, build_task(config.task).layout)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(config=configs(), seed=st.integers(0, 2**31))
def test_bags_gather_and_scatter_are_products_with_a_matrix_of_ones_and_zeros_and_its_transpose(config, seed):
    task = build_task(config.task)
    left, right, _ = inputs(task)
    bags = PairBags.of(task.layout, left, right)
    n_rows = task.layout.n_operands * task.layout.n_operand_tokens + bags.n_constants
    table = torch.randn(n_rows, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ones = torch.zeros(len(left), n_rows, dtype=torch.float64)
    for pair, rows in enumerate(bags.rows.tolist()):
        for row in rows:
            ones[pair, row] = 1
    assert_close(bags.gather(table), ones @ table, 1e-12)
    out, spare = torch.empty(2, len(left), 3, dtype=torch.float64)
    assert_close(bags.gather_into(out, table, spare), ones @ table, 1e-12)
    assert_close(bags.scatter(ones @ table), ones.T @ ones @ table, 1e-12)
