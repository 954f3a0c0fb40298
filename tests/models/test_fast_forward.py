"""The fast engine is an exact rewrite of HookedTransformer.forward, over every shape that it claims."""

import pytest
import torch
import torch.nn.functional as F
from conftest import small_config
from hypothesis import given, settings
from hypothesis import strategies as st

from grokinterp.models.fast_forward import FastForward
from grokinterp.models.forward import build_forward
from grokinterp.models.transformer import HookedForward
from grokinterp.models.weights import init_weights, is_trained, weight_specs
from grokinterp.tasks import build_task

MODULI = (2, 3, 5, 7, 12, 13)
OPERATIONS = ("x+y", "x-y", "x*y", "x/y")
MODULAR = st.builds(lambda op, p: {"operation": op, "p": p}, st.sampled_from(OPERATIONS), st.sampled_from(MODULI))
S3 = st.just({"operation": "x.y", "group": "S3"})
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


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
    }


@st.composite
def configs(draw):
    task = draw(st.one_of(MODULAR, MODULAR, S3))
    layout = draw(st.sampled_from(["a b =", "a op b =", "a b"]))
    return small_config(task={"p": None, **task, "layout": layout, "frac_train": 0.5}, model=draw(models()))


def initial_weights(config, task, seed, dtype):
    """The model's own initialisation, with random biases where biases are trained."""
    model = config.model.model_copy(update={"init_seed": seed})
    weights = init_weights(model, task.layout, task.n_answers, torch.float64)
    stream = torch.Generator().manual_seed(seed)
    for name, spec in weight_specs(model, task.layout, task.n_answers).items():
        if spec.bias and is_trained(spec, model):
            weights[name] = 0.3 * torch.randn(spec.shape, generator=stream, dtype=torch.float64)
    return {name: value.to(dtype) for name, value in weights.items()}


def random_weights(config, task, seed, dtype):
    """Larger weights than at initialisation: attention is sharp, and four blocks amplify a lot."""
    stream = torch.Generator().manual_seed(seed)
    weights = {}
    for name, spec in weight_specs(config.model, task.layout, task.n_answers).items():
        scale = 0.5 if spec.bias else spec.shape[-2] ** -0.5
        draw = torch.randn(spec.shape, generator=stream, dtype=torch.float64) * scale
        weights[name] = draw.to(dtype) if is_trained(spec, config.model) else torch.zeros(spec.shape, dtype=dtype)
    return weights


def inputs(task):
    left, right = task.pairs()
    return torch.from_numpy(left), torch.from_numpy(right), torch.from_numpy(task.table[left, right])


def both_engines(config, task, dtype):
    return [build_forward(config.model, task.layout, task.n_answers, engine=e, dtype=dtype) for e in ("fast", "hooked")]


def gradients(forward, weights, left, right, label):
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    loss = F.cross_entropy(forward(leaves, left, right), label)
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {n: torch.zeros_like(w) if g is None else g for (n, w), g in zip(leaves.items(), found, strict=True)}


def assert_close(ours, theirs, tolerance, scale=None):
    scale = float(theirs.abs().max()) if scale is None else scale
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= tolerance * scale


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(config=configs(), seed=st.integers(0, 2**31))
def test_logits_activations_and_gradients_are_those_of_the_hooked_transformer(dtype, config, seed):
    task, tolerance = build_task(config.task), TOLERANCE[dtype]
    left, right, label = inputs(task)
    weights = initial_weights(config, task, seed, dtype)
    fast, hooked = both_engines(config, task, dtype)
    assert_close(fast(weights, left, right), hooked(weights, left, right), tolerance)
    ours, theirs = fast.activations(weights, left, right), hooked.activations(weights, left, right)
    for name in ("logits", "neurons", "pattern"):
        scale = max(1.0, float(getattr(theirs, name).abs().max()))
        assert_close(getattr(ours, name), getattr(theirs, name), tolerance, scale)
    g_ours = gradients(fast, weights, left, right, label)
    g_theirs = gradients(hooked, weights, left, right, label)
    # One scale for all tensors: some, b_K above all, have gradients that are zero but for rounding.
    largest = max(float(g.abs().max()) for g in g_theirs.values())
    for name, theirs in g_theirs.items():
        assert_close(g_ours[name], theirs, tolerance, largest)


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
@pytest.mark.parametrize("layout", ["a b =", "a op b =", "a b"])
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
    left, right, label = inputs(task)
    each = [random_weights(config, task, seed, torch.float64) for seed in seeds]
    stacked = {name: torch.stack([w[name] for w in each]) for name in each[0]}
    forward = build_forward(config.model, task.layout, task.n_answers, engine="fast")

    def loss(weights):
        return F.cross_entropy(forward(weights, left, right), label)

    logits = torch.func.vmap(lambda w: forward(w, left, right))(stacked)
    slopes = torch.func.vmap(torch.func.grad(loss))(stacked)
    for i, weights in enumerate(each):
        assert_close(logits[i], forward(weights, left, right), 1e-12)
        alone = gradients(forward, weights, left, right, label)
        largest = max(float(g.abs().max()) for g in alone.values())
        for name, slope in alone.items():
            assert_close(slopes[name][i], slope, 1e-12, largest)


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
