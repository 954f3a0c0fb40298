"""A transformer that normalizes each residual sum, against torch's own layers put together by hand."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from conftest import small_config
from twins import assert_close, inputs, random_weights

import grokinterp as gi
from grokinterp.models.dropout import Dropout
from grokinterp.models.forward import build_forward
from grokinterp.models.load import build_model, load_model
from grokinterp.models.transformer import drop_out, forward_of
from grokinterp.tasks import build_task

LAYOUTS = ["a b =", "EOS a op b ="]
MODEL = {"d_model": 12, "n_heads": 3, "d_head": 5, "d_mlp": 17, "normalization": "post-LN"}


def network(layout="a b =", **model):
    config = small_config(task={"p": 5, "layout": layout, "frac_train": 0.5}, model={**MODEL, **model})
    task = build_task(config.task)
    weights = random_weights(config, task, 3, torch.float64)
    return config, task, weights, *inputs(task)[:2]


def normalized(x, weights, name):
    return F.layer_norm(x, x.shape[-1:], weights[name + ".w"], weights[name + ".b"], eps=1e-5)


def slow(config, task, weights, left, right):
    """Logits at the last position, one pair, block and head at a time."""
    model, rows = config.model, []
    for tokens in torch.stack(task.layout.columns(left, right), dim=1):
        x = weights["embed.W_E"][tokens] + weights["pos_embed.W_pos"]
        for block in range(model.n_layers):
            at, mlp = f"blocks.{block}.attn.", f"blocks.{block}.mlp."
            total = weights[at + "b_O"].expand_as(x)
            for head in range(model.n_heads):
                q, k, v = (x @ weights[at + f"W_{n}"][head] + weights[at + f"b_{n}"][head] for n in "QKV")
                scores = q @ k.T / math.sqrt(model.head_width)
                if model.causal:
                    scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -math.inf)
                seen = torch.ones_like(scores).tril() if model.causal else torch.ones_like(scores)
                pattern = model.attention_rate * scores.softmax(-1) + (1 - model.attention_rate) * seen
                total = total + pattern @ v @ weights[at + "W_O"][head]
            x = normalized(x + total, weights, f"blocks.{block}.ln1")
            hidden = getattr(F, model.activation)(x @ weights[mlp + "W_in"] + weights[mlp + "b_in"])
            x = normalized(x + hidden @ weights[mlp + "W_out"] + weights[mlp + "b_out"], weights, f"blocks.{block}.ln2")
        rows.append(x[-1] @ weights["unembed.W_U"] + weights["unembed.b_U"])
    return torch.stack(rows)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "model",
    [
        {},
        {"n_layers": 2, "biases": "all"},
        {"n_layers": 3, "activation": "gelu"},
        {"causal": False, "attention_rate": 0.3},
    ],
    ids=["one block", "two with biases", "three, gelu", "mixed attention"],
)
def test_logits_are_those_of_blocks_put_together_by_hand(layout, model):
    config, task, weights, left, right = network(layout, **model)
    forward = build_forward(config.model, task.layout, 5, dtype=torch.float64)
    assert_close(forward(weights, left, right), slow(config, task, weights, left, right), 1e-12)


def test_the_order_of_norm_and_sum_matters():
    config, task, weights, left, right = network()
    before = small_config(task={"p": 5, "frac_train": 0.5}, model={**MODEL, "normalization": "LN"})
    final = {"ln_final.w": torch.ones(12).double(), "ln_final.b": torch.zeros(12).double()}
    pre = build_forward(before.model, task.layout, 5, dtype=torch.float64)({**weights, **final}, left, right)
    post = build_forward(config.model, task.layout, 5, dtype=torch.float64)(weights, left, right)
    assert (pre - post).abs().max() > 0.1


def test_hooks_see_the_normalized_stream_and_what_they_return_goes_on():
    config, task, weights, left, right = network(n_layers=2)
    model = load_model(config.model, task.layout, weights)
    tokens = torch.stack(task.layout.columns(left, right), dim=1)
    logits, cache = model.run_with_cache(tokens)
    sums = cache["blocks.1.hook_resid_mid"] + cache["blocks.1.hook_mlp_out"]
    assert_close(cache["blocks.1.hook_resid_post"], normalized(sums, weights, "blocks.1.ln2"), 1e-12)
    assert_close(logits[:, -1], cache["blocks.1.hook_resid_post"][:, -1] @ weights["unembed.W_U"], 1e-12)
    name = "blocks.1.hook_resid_post"
    none = model.run_with_hooks(tokens, fwd_hooks=[(name, lambda value, hook: torch.zeros_like(value))])
    assert none.abs().max() == 0


def test_a_copy_in_another_dtype_reads_its_own_norms():
    config, task, weights, left, right = network()
    model = load_model(config.model, task.layout, {name: w.float() for name, w in weights.items()})
    twin = forward_of(model, task.layout, torch.float64)
    found = twin({name: w.double() for name, w in copy.deepcopy(model).named_parameters()}, left, right)
    exact = {name: w.float().double() for name, w in weights.items()}
    assert_close(found, slow(config, task, exact, left, right), 1e-12)
    assert {w.dtype for w in model.parameters()} == {torch.float32}


def test_a_network_in_memory_is_measured_as_its_weights_are():
    config, task, weights, left, right = network("EOS a op b =", n_layers=2)
    snapshot = gi.snapshot(load_model(config.model, task.layout, weights), task)
    assert_close(snapshot.logits.reshape(25, 5), slow(config, task, weights, left, right), 1e-12)
    assert snapshot.attention.shape == (5, 5, 3, 5)


def test_the_preset_of_power_et_al_has_their_number_of_parameters():
    """2 (12 d^2 + 4 d) for d = 128: four matrices of attention, two of the MLP, two norms, no biases."""
    model = build_model(gi.presets.power2022())
    inside = [p for name, p in model.named_parameters() if p.requires_grad and name.startswith("blocks.")]
    assert sum(p.numel() for p in inside) == 394_240
    outside = {name for name, p in model.named_parameters() if p.requires_grad and not name.startswith("blocks.")}
    assert outside == {"embed.W_E", "pos_embed.W_pos", "unembed.W_U"}


def test_its_norms_are_trained_and_dropout_acts_before_the_sum():
    model = build_model(small_config(task={"p": 5, "frac_train": 0.5}, model=MODEL))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {f"blocks.0.ln{i}.{part}" for i in (1, 2) for part in "wb"} <= trained
    drop_out(model, Dropout(0.5, 0))
    model.train()
    _, cache = model.run_with_cache(torch.zeros(400, 3, dtype=torch.long))
    assert 0.4 < (cache["blocks.0.hook_attn_out"] == 0).double().mean() < 0.6
    assert (cache["blocks.0.hook_resid_mid"] == 0).double().mean() < 0.01


def test_a_run_trains_and_resumes_with_it(tmp_path):
    config = small_config(task={"layout": "EOS a op b ="}, model={"normalization": "post-LN"})
    run = gi.train(config, tmp_path / "run", show_progress=False)
    losses = run.metrics["train_loss"]
    assert losses.iloc[-1] < 0.9 * losses.iloc[0]
    again = gi.train(config, tmp_path / "again", show_progress=False)
    last = run.steps[-1]
    assert all(torch.equal(a, b) for a, b in zip(run.weights(last).values(), again.weights(last).values(), strict=True))
