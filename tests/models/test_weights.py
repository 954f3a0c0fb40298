"""Names, shapes and initial values, against torch's own modules and against draws one by one."""

import math

import pytest
import scipy.stats
import torch
from conftest import small_config
from torch import nn
from torch_networks import TorchLSTM, TorchMLP
from twins import network

from grokinterp.models.weights import init_weights, is_bias, is_trained, weight_specs
from grokinterp.seeding import generator
from grokinterp.tasks import build_task
from grokinterp.tasks.layouts import build_layout

MLP = {"kind": "mlp", "n_layers": 3, "d_hidden": 60}
EMBEDDING = {**MLP, "input": "embedding", "d_model": 50}
LSTM = {"kind": "lstm", "n_layers": 2, "d_hidden": 30, "d_model": 40}
TRANSFORMER = {"n_layers": 2, "d_model": 48, "n_heads": 4, "normalization": "LN"}
KINDS = pytest.mark.parametrize("model", [MLP, EMBEDDING, LSTM, TRANSFORMER], ids=["mlp", "emb", "lstm", "tf"])


def weights_of(model, seed=0, dtype=torch.float64, **task):
    config = network({**model, "init_seed": seed}, {"p": 23, **task})
    task = build_task(config.task)
    specs = weight_specs(config.model, task.layout, task.n_answers)
    return init_weights(config.model, task.layout, task.n_answers, dtype), specs, config, task


@pytest.mark.parametrize("normalization", ["none", "LN"])
def test_a_bias_is_known_by_the_name_of_its_tensor(normalization):
    config = small_config(model={"n_layers": 2, "normalization": normalization})
    specs = weight_specs(config.model, build_layout(config.task.layout, 7), 7)
    assert {name for name in specs if is_bias(name)} == {name for name, spec in specs.items() if spec.bias}
    assert any(spec.bias and len(spec.shape) == 2 for spec in specs.values())


@KINDS
def test_so_it_is_in_every_architecture(model):
    _, specs, _, _ = weights_of(model)
    assert {name for name in specs if is_bias(name)} == {name for name, spec in specs.items() if spec.bias} != set()


@pytest.mark.parametrize("model", [MLP, EMBEDDING, LSTM], ids=["mlp", "embedding", "lstm"])
@pytest.mark.parametrize("operation", ["x+y", "x+y+z"])
def test_initial_values_are_distributed_as_those_of_torch_s_modules(model, operation):
    """Two samples of each tensor, ours and torch's own: the same shape, bounds, deviation and distribution."""
    ours, _, config, task = weights_of(model, seed=3, operation=operation)
    with torch.random.fork_rng():
        torch.manual_seed(17)
        args = config.model, task.layout, task.n_answers
        theirs = (TorchLSTM(*args) if model is LSTM else TorchMLP(*args, nn.Identity())).values()
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        other = theirs[name].double()
        assert value.shape == other.shape
        assert scipy.stats.ks_2samp(value.flatten(), other.flatten()).pvalue > 1e-3, name
        if name == "embed.W_E" and model is not MLP:  # normal
            n = value.numel()
            assert abs(float(value.std()) - 1) < 5 / math.sqrt(2 * n)
            continue
        inputs = {"embed.W_E": value.shape[0], "blocks.0.mlp.b_in": _inputs(ours)}.get(name)
        bound = 1 / math.sqrt(30 if model is LSTM else inputs or (value.shape[0] if value.ndim == 2 else 60))
        for found in (value, other):
            assert float(found.abs().max()) <= bound
            if found.numel() > 200:
                assert float(found.abs().max()) > 0.95 * bound
                # of a uniform: std bound / sqrt(3), and its sample's deviation sqrt(1 / 5 n) of that
                assert abs(float(found.std()) * math.sqrt(3) / bound - 1) < 5 / math.sqrt(5 * found.numel()), name


def _inputs(weights):
    """Of an MLP's first layer."""
    return weights.get("blocks.0.mlp.W_in", weights["embed.W_E"]).shape[0]


@pytest.mark.parametrize("init", ["tl", "nanda"])
@pytest.mark.parametrize("layout", ["a b =", "a op b ="])
def test_a_transformer_s_matrices_are_normal_with_the_deviations_of_the_schemes(init, layout):
    weights, specs, _, _ = weights_of({**TRANSFORMER, "init": init}, layout=layout)
    for name, value in weights.items():
        if specs[name].bias:
            assert not value.any()
        elif specs[name].role == "norm":
            assert (value == 1).all()
        else:
            tokens = {"a b =": 24, "a op b =": 25}[layout]
            expected = {"tl": 0.8 / math.sqrt(48), "nanda": 1 / math.sqrt(tokens if name == "unembed.W_U" else 48)}
            assert abs(float(value.std()) / expected[init] - 1) < 5 / math.sqrt(2 * value.numel()), name
            assert scipy.stats.kstest(value.flatten() / expected[init], "norm").pvalue > 1e-3, name


@KINDS
def test_values_are_drawn_one_tensor_after_the_other_from_the_seed_of_the_initialisation(model):
    weights, specs, _, _ = weights_of(model, seed=8)
    stream = generator("init", 8)
    for name, spec in specs.items():
        match spec.init:
            case "zeros" | "ones":
                assert (weights[name] == (spec.init == "ones")).all()
            case "normal":
                drawn = torch.randn(spec.shape, dtype=torch.float64, generator=stream)
                assert torch.equal(weights[name], drawn * spec.scale)
            case "uniform":
                drawn = torch.rand(spec.shape, dtype=torch.float64, generator=stream)
                assert torch.allclose(weights[name], -spec.scale + drawn * 2 * spec.scale, atol=1e-15)


@KINDS
def test_a_seed_gives_the_same_values_in_every_dtype_and_another_seed_others(model):
    double, single, other = (
        weights_of(model, seed, dtype)[0]
        for seed, dtype in ((1, torch.float64), (1, torch.float32), (2, torch.float64))
    )
    for name, value in double.items():
        assert torch.equal(single[name], value.float())
        assert torch.equal(other[name], value) == (value.unique().numel() == 1), name


@KINDS
@pytest.mark.parametrize("factor", [0.5, 8.0])
def test_init_scale_multiplies_all_that_is_drawn_and_no_layer_norm(model, factor):
    weights, specs, _, _ = weights_of({**model, "biases": "all"})
    scaled, *_ = weights_of({**model, "biases": "all", "init_scale": factor})
    for name, value in weights.items():
        if specs[name].role == "norm":
            assert torch.equal(scaled[name], value)
        else:
            assert torch.allclose(scaled[name], factor * value, rtol=1e-15)
    assert any(specs[name].bias and value.any() for name, value in scaled.items()) == (model is not TRANSFORMER)


@pytest.mark.parametrize(
    ("model", "biases"),
    [
        *((model, biases) for model in (MLP, EMBEDDING, LSTM, TRANSFORMER) for biases in ("none", "all")),
        (TRANSFORMER, "mlp"),
    ],
)
def test_which_biases_are_trained_is_decided_by_their_role(model, biases):
    weights, specs, config, _ = weights_of({**model, "biases": biases})
    for name, spec in specs.items():
        trained = is_trained(spec, config.model)
        if not spec.bias or name.endswith((".ln1.b", ".ln2.b", "ln_final.b")):
            assert trained
        elif biases == "mlp":
            assert trained == (".mlp." in name)
        else:
            assert trained == (biases == "all")
        assert trained or not weights[name].any()
