"""The fast engine is an exact rewrite of HookedTransformer.forward, over every shape that it claims."""

import pytest
import torch
from conftest import small_config
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import (
    MODULI,
    TOLERANCE,
    assert_close,
    assert_same_function,
    assert_vmap_is_a_loop,
    gradients,
    initial_weights,
    inputs,
    random_weights,
)

from grokinterp.models.fast_forward import FastForward
from grokinterp.models.forward import build_forward
from grokinterp.models.transformer import HookedForward
from grokinterp.tasks import build_task

OPERATIONS = ("x+y", "x-y", "x*y", "x/y")
MODULAR = st.builds(lambda op, p: {"operation": op, "p": p}, st.sampled_from(OPERATIONS), st.sampled_from(MODULI))
S3 = st.just({"operation": "x.y", "group": "S3"})
SUMS = st.sampled_from(
    [{"operation": "x+y+z", "p": 2}, {"operation": "x+y+z", "p": 5}, {"operation": "x+y+z+w", "p": 3}]
)
RATES = (0.0, 0.3, 1.0)


@st.composite
def models(draw):
    heads = draw(st.integers(1, 3))
    return {
        "d_model": draw(st.integers(2, 6)) * heads,
        "n_heads": heads,
        "d_head": draw(st.sampled_from([1, 3, 5, 8])),  # seldom d_model / n_heads
        "d_mlp": draw(st.integers(3, 20)),
        "n_layers": draw(st.integers(1, 4)),
        "activation": draw(st.sampled_from(["relu", "gelu"])),
        "biases": draw(st.sampled_from(["none", "mlp", "all"])),
        "causal": draw(st.booleans()),
        "attention_rate": draw(st.sampled_from([1.0, *RATES])),
    }


@st.composite
def configs(draw):
    task = draw(st.one_of(MODULAR, MODULAR, S3, SUMS))
    layout = draw(st.sampled_from(["a b =", "a op b =", "a b", "EOS a op b ="]))
    return small_config(task={"p": None, **task, "layout": layout, "frac_train": 0.5}, model=draw(models()))


def both_engines(config, task, dtype):
    return [build_forward(config.model, task.layout, task.n_answers, engine=e, dtype=dtype) for e in ("fast", "hooked")]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(config=configs(), seed=st.integers(0, 2**31))
def test_logits_activations_and_gradients_are_those_of_the_hooked_transformer(dtype, config, seed):
    task = build_task(config.task)
    weights = initial_weights(config, task, seed, dtype)
    assert_same_function(*both_engines(config, task, dtype), weights, inputs(task), TOLERANCE[dtype])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(config=configs(), seed=st.integers(0, 2**31))
def test_with_large_weights_the_engines_agree_in_float64_and_are_equally_exact_in_float32(config, seed):
    task = build_task(config.task)
    left, right, label = inputs(task)
    single = random_weights(config, task, seed, torch.float32)
    double = {name: value.double() for name, value in single.items()}
    fast, hooked = both_engines(config, task, torch.float32)
    _, exact = both_engines(config, task, torch.float64)
    truth = {"logits": exact(double, left, right), **gradients(exact, double, left, right, label)}
    scale = max(float(value.abs().max()) for name, value in truth.items() if name != "logits")
    ours, theirs, wide = (
        {"logits": f(w, left, right), **gradients(f, w, left, right, label)}
        for f, w in ((fast, single), (hooked, single), (fast, double))
    )
    error = {"ours": 0.0, "theirs": 2.0**-23}
    for name, value in truth.items():
        unit = float(value.abs().max()) if name == "logits" else scale
        assert_close(wide[name], value, 1e-10, unit)
        for whose, found in (("ours", ours), ("theirs", theirs)):
            error[whose] = max(error[whose], float((found[name] - value).abs().max()) / unit)
    assert error["ours"] <= 10 * error["theirs"], error


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("layout", ["a b =", "a op b =", "a b", "EOS a op b ="])
def test_each_tensor_s_gradient_agrees_on_its_own_scale(n_layers, layout):
    model = {"d_model": 12, "n_heads": 3, "d_head": 5, "d_mlp": 17, "n_layers": n_layers, "biases": "all"}
    config = small_config(task={"p": 5, "operation": "x-y", "layout": layout, "frac_train": 0.5}, model=model)
    task = build_task(config.task)
    weights = random_weights(config, task, 3, torch.float64)
    fast, hooked = both_engines(config, task, torch.float64)
    ours, theirs = gradients(fast, weights, *inputs(task)), gradients(hooked, weights, *inputs(task))
    for name, theirs_of_it in theirs.items():
        if not name.endswith("b_K"):  # a shift of all scores; softmax does not see it
            assert theirs_of_it.abs().max() > 1e-8, name
            assert_close(ours[name], theirs_of_it, 1e-10)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(config=configs(), seeds=st.lists(st.integers(0, 2**31), min_size=2, max_size=4))
def test_under_vmap_stacked_weights_give_the_numbers_of_a_loop(config, seeds):
    task = build_task(config.task)
    each = [random_weights(config, task, seed, torch.float64) for seed in seeds]
    forward = build_forward(config.model, task.layout, task.n_answers, engine="fast")
    assert_vmap_is_a_loop(forward, each, inputs(task))


@pytest.mark.parametrize("layout", ["a b =", "a op b =", "a b", "EOS a op b ="])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("operation", ["x-y", "x+y+z"])
def test_attention_of_every_rate_is_that_of_the_hooked_transformer(operation, rate, causal, n_layers, layout):
    model = {"d_model": 12, "n_heads": 3, "d_head": 5, "d_mlp": 17, "biases": "all"}
    config = small_config(
        task={"p": 4, "operation": operation, "layout": layout, "frac_train": 0.5},
        model={**model, "attention_rate": rate, "causal": causal, "n_layers": n_layers},
    )
    task = build_task(config.task)
    weights = random_weights(config, task, 5, torch.float64)
    assert_same_function(*both_engines(config, task, torch.float64), weights, inputs(task), 1e-10)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_at_rate_0_every_position_has_weight_1_and_at_rate_1_attention_is_a_share(n_layers, causal):
    for rate in RATES:
        changes = {"n_layers": n_layers, "causal": causal, "attention_rate": rate}
        config = small_config(task={"p": 5, "layout": "a op b =", "frac_train": 0.5}, model=changes)
        task = build_task(config.task)
        left, right, _ = inputs(task)
        weights = random_weights(config, task, 2, torch.float64)
        for forward in both_engines(config, task, torch.float64):
            pattern = forward.activations(weights, left, right).pattern
            if rate == 0:
                assert (pattern == 1).all()
            total = rate + (1 - rate) * task.layout.n_ctx
            assert torch.allclose(
                pattern.sum(-1), torch.full(pattern.shape[:2], total, dtype=torch.float64), atol=1e-12
            )
            assert (pattern.std() > 1e-3) == (rate > 0)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("causal", [True, False])
def test_the_mixture_is_that_of_the_formula_from_one_position_to_the_next(rate, causal):
    """A slow twin of one head in one block: r softmax(q k) + 1 - r at each position that is seen."""
    changes = {"n_heads": 1, "d_model": 6, "d_mlp": 9, "causal": causal, "attention_rate": rate}
    config = small_config(task={"p": 5, "layout": "a b", "frac_train": 0.5}, model=changes)
    task = build_task(config.task)
    left, right, _ = inputs(task)
    w = random_weights(config, task, 8, torch.float64)
    at = "blocks.0.attn."
    for engine, forward in zip(("fast", "hooked"), both_engines(config, task, torch.float64), strict=True):
        logits = forward(w, left, right)
        for a, b, found in zip(left.tolist(), right.tolist(), logits, strict=True):
            stream = [w["embed.W_E"][token] + w["pos_embed.W_pos"][t] for t, token in enumerate((a, b))]
            q = stream[1] @ w[at + "W_Q"][0]
            scores = torch.stack([q @ (x @ w[at + "W_K"][0]) / 6**0.5 for x in stream])
            shares = scores.exp() / scores.exp().sum()
            z = sum((rate * share + 1 - rate) * (x @ w[at + "W_V"][0]) for share, x in zip(shares, stream, strict=True))
            mid = stream[1] + z @ w[at + "W_O"][0]
            end = mid + (mid @ w["blocks.0.mlp.W_in"]).clamp(min=0) @ w["blocks.0.mlp.W_out"]
            assert torch.allclose(found, end @ w["unembed.W_U"], atol=1e-10), engine


def test_pairs_may_come_in_any_order_and_number():
    config = small_config(task={"p": 7, "operation": "x/y", "layout": "a op b ="}, model={"n_layers": 2})
    task = build_task(config.task)
    left, right, _ = inputs(task)
    weights = random_weights(config, task, 11, torch.float64)
    forward = build_forward(config.model, task.layout, task.n_answers, engine="fast")
    everything = forward(weights, left, right)
    some = torch.tensor([5, 2, 2, 30])
    assert_close(forward(weights, left[some], right[some]), everything[some], 1e-12)
    assert forward(weights, left[:0], right[:0]).shape == (0, 7)


def test_a_perturbed_weight_is_noticed():
    config = small_config(task={"p": 5, "frac_train": 0.5}, model={"n_layers": 2, "biases": "all"})
    task = build_task(config.task)
    left, right, _ = inputs(task)
    weights = random_weights(config, task, 1, torch.float64)
    fast, hooked = both_engines(config, task, torch.float64)
    for name in weights:
        if not name.endswith("b_K"):
            other = {**weights, name: weights[name] + 1e-3 * torch.randn(weights[name].shape, dtype=torch.float64)}
            assert (fast(other, left, right) - hooked(weights, left, right)).abs().max() > 1e-8, name


def test_with_layer_norm_fast_refuses_and_auto_takes_the_hooked_engine():
    config = small_config(model={"normalization": "LN"}).model
    layout = build_task(small_config().task).layout
    with pytest.raises(ValueError, match="LayerNorm"):
        build_forward(config, layout, 7, engine="fast")
    assert isinstance(build_forward(config, layout, 7, engine="auto"), HookedForward)
    assert isinstance(build_forward(small_config().model, layout, 7, engine="auto"), FastForward)
