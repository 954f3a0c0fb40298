"""The MLP and the LSTM with hooks: names and shapes, patching, and what training may change."""

import copy

import pytest
import torch
from conftest import small_config
from twins import ModuleForward, assert_close, inputs, network, random_weights

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.models.forward import build_forward
from grokinterp.models.hooked_networks import HookedLSTM, HookedMLP
from grokinterp.models.load import build_model, load_model
from grokinterp.models.transformer import HookedRootModule
from grokinterp.models.weights import init_weights
from grokinterp.tasks import build_task

MLP = {"kind": "mlp", "n_layers": 2, "d_hidden": 9}
EMBEDDING = {**MLP, "input": "embedding", "d_model": 4}
LSTM = {"kind": "lstm", "n_layers": 2, "d_hidden": 6, "d_model": 5}
TRANSFORMER = {"d_model": 8, "n_heads": 2, "n_layers": 2}
KINDS = pytest.mark.parametrize("model", [MLP, EMBEDDING, LSTM], ids=["mlp", "mlp of embeddings", "lstm"])
EVERY_KIND = pytest.mark.parametrize("model", [MLP, EMBEDDING, LSTM, TRANSFORMER], ids=["mlp", "emb", "lstm", "tf"])


def of_kind(model, **task):
    """A hooked module of large weights, its fast twin, and its pairs."""
    config = network(model, {"p": 5, **task})
    task = build_task(config.task)
    weights = random_weights(config, task, 3, torch.float64)
    left, right, _ = inputs(task)
    module = load_model(config.model, task.layout, weights)
    return module, torch.stack(task.layout.columns(left, right), 1), config, task, weights


EXPECTED = {
    "mlp": {"hook_embed": (25, 10), "mlp.hook_pre": (25, 9), "mlp.hook_post": (25, 9)},
    "mlp of embeddings": {"hook_embed": (25, 8), "mlp.hook_pre": (25, 9), "mlp.hook_post": (25, 9)},
    "lstm": {"hook_embed": (25, 3, 5), "lstm.hook_h": (25, 3, 6), "lstm.hook_c": (25, 3, 6)},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_run_with_cache_keeps_what_each_hook_saw(name):
    model = {"mlp": MLP, "mlp of embeddings": EMBEDDING, "lstm": LSTM}[name]
    module, tokens, config, task, weights = of_kind(model)
    assert isinstance(module, HookedRootModule)
    logits, cache = module.run_with_cache(tokens)
    shapes = {hook: tuple(value.shape) for hook, value in cache.items()}
    expected = {"hook_embed": EXPECTED[name]["hook_embed"]}
    for layer in range(2):
        expected |= {f"blocks.{layer}.{hook}": s for hook, s in EXPECTED[name].items() if hook != "hook_embed"}
    assert shapes == expected
    assert set(shapes) == set(module.hook_dict)
    left, right, _ = inputs(task)
    found = build_forward(config.model, task.layout, 5).activations(weights, left, right)
    last = cache["blocks.1.lstm.hook_h"][:, -1] if name == "lstm" else cache["blocks.1.mlp.hook_post"]
    assert_close(found.neurons, last, 1e-12)
    assert_close(found.logits, logits, 1e-12)


@KINDS
def test_what_a_hook_returns_takes_the_place_of_what_it_saw(model):
    module, tokens, *_ = of_kind(model)
    last = "blocks.1.lstm.hook_h" if model is LSTM else "blocks.1.mlp.hook_post"
    logits = module.run_with_hooks(tokens, fwd_hooks=[(last, lambda value, hook: torch.zeros_like(value))])
    assert torch.equal(logits, module.unembed.b_U.expand(25, -1))
    assert not torch.equal(module(tokens), logits)


@KINDS
def test_the_names_are_those_of_the_weights_and_the_values_copies(model):
    module, _, config, _, weights = of_kind(model)
    assert {name for name, _ in module.named_parameters()} == set(weights)
    for name, value in module.named_parameters():
        assert torch.equal(value, weights[name])
        assert value.data_ptr() != weights[name].data_ptr()
    assert isinstance(module, {"mlp": HookedMLP, "lstm": HookedLSTM}[config.model.kind])


@KINDS
def test_a_copy_computes_the_same_and_apart(model):
    module, tokens, *_ = of_kind(model)
    twin = copy.deepcopy(module)
    assert torch.equal(twin(tokens), module(tokens))
    with torch.no_grad():
        twin.unembed.b_U += 1.0
    assert not torch.equal(twin(tokens), module(tokens))


@EVERY_KIND
@pytest.mark.parametrize("biases", ["none", "all"])
def test_biases_that_are_not_trained_are_zero_and_frozen(model, biases):
    module = build_model(network({**model, "biases": biases}, {"p": 5}))
    for name, value in module.named_parameters():
        if ".b_" in name:
            assert value.requires_grad == (biases == "all")
            assert biases == "all" or not value.any()
        else:
            assert value.requires_grad
            assert value.any()


@EVERY_KIND
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_build_model_holds_the_initial_weights_of_the_config(model, dtype):
    config = network({**model, "init_seed": 4}, {"p": 5}, train={"dtype": dtype})
    task = build_task(config.task)
    expected = init_weights(config.model, task.layout, 5, getattr(torch, dtype))
    found = dict(gi.build_model(config).named_parameters())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@EVERY_KIND
def test_weights_of_another_model_are_refused_by_name(model):
    _, _, config, task, weights = of_kind(model)
    name = "blocks.1.lstm.W_hh" if model is LSTM else "blocks.1.mlp.W_in"
    without = {key: value for key, value in weights.items() if key != name}
    wrong = [without, {**weights, "blocks.7.W": weights[name]}, {**weights, name: weights[name][:-1]}, {}]
    for other, odd in zip(wrong, (name, "blocks.7.W", name, "unembed.W_U"), strict=True):
        with pytest.raises(GrokinterpError, match=r"disagree about .*; correct config\.json"):
            load_model(config.model, task.layout, other)
        if other:
            with pytest.raises(GrokinterpError, match=odd.replace(".", r"\.")):
                load_model(config.model, task.layout, other)


@pytest.mark.parametrize("model", [MLP, LSTM], ids=["mlp", "lstm"])
def test_the_model_of_a_run_computes_what_was_trained(model, tmp_path):
    config = network({**model, "init_seed": 2}, {"p": 5}, train={"steps": 3, "checkpoint_every": 1})
    run = gi.train(config, tmp_path / "run", show_progress=False)
    left, right, _ = inputs(run.task)
    forward = build_forward(run.config.model, run.task.layout, 5)
    for step in (0, 3):
        module = ModuleForward(run.model(step), run.task.layout)
        weights = dict(module.module.named_parameters())
        assert_close(forward(run.weights(step), left, right), module(weights, left, right), 1e-5)
    assert any(not torch.equal(run.weights(0)[name], value) for name, value in run.weights(3).items())


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_attention_stays_mixed_in_copies_and_after_reset_hooks(rate):
    task = {"p": 5, "layout": "a op b =", "frac_train": 0.5}
    config = small_config(task=task, model={"attention_rate": rate, "n_layers": 2})
    model = build_model(config)
    built = build_task(config.task)
    left, right, _ = inputs(built)
    tokens = torch.stack(built.layout.columns(left, right), 1)
    plain = build_model(small_config(task=task, model={"n_layers": 2}))
    expected = build_forward(config.model, built.layout, 5)(dict(model.named_parameters()), left, right)

    def seen(module):
        logits, cache = module.run_with_cache(tokens)
        return logits[:, -1], cache["blocks.1.attn.hook_pattern"]

    twin, kept = copy.deepcopy(model), []
    model.add_hook("blocks.0.hook_resid_post", lambda value, hook: kept.append(hook.name))
    model.reset_hooks()
    for module in (model, twin, copy.deepcopy(twin)):
        module.reset_hooks()
        logits, pattern = seen(module)
        assert_close(logits, expected, 1e-5)
        assert torch.allclose(pattern[:, :, -1].sum(-1), torch.tensor(rate + (1 - rate) * 4), atol=1e-5)
        assert (pattern.triu(1) == 0).all()
    assert not kept
    assert (seen(plain)[0] - expected).abs().max() > 1e-3
    model.reset_hooks(including_permanent=True)
    assert_close(seen(model)[0], seen(plain)[0], 1e-5)
    assert_close(seen(twin)[0], expected, 1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_mixed_attention_takes_prompts_shorter_than_the_task_s(causal):
    model = build_model(small_config(task={"p": 5}, model={"attention_rate": 0.5, "causal": causal}))
    _, cache = model.run_with_cache(torch.tensor([[1, 2], [3, 4]]))
    pattern = cache["blocks.0.attn.hook_pattern"]
    assert pattern.shape == (2, 2, 2, 2)
    seen = torch.tensor([1.0, 2.0]) if causal else torch.tensor([2.0, 2.0])
    assert torch.allclose(pattern.sum(-1), (0.5 + 0.5 * seen).expand(2, 2, 2), atol=1e-6)


def test_a_snapshot_of_a_mixed_model_in_memory_has_its_attention():
    config = small_config(task={"p": 5, "frac_train": 0.5}, model={"attention_rate": 0.0})
    snapshot = gi.snapshot(build_model(config), config.task)
    assert (snapshot.attention == 1).all()
