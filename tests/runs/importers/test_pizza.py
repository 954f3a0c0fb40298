"""Zhong et al.'s runs: transposed weights, attention mixed with ones, linear networks, and the published model A."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import small_config
from lookup_networks import logits_by_us
from oracles import measured, one
from torch import nn

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import init_weights
from grokinterp.runs.importers import import_run, pizza
from grokinterp.runs.importers.source import Source
from grokinterp.tasks import build_task

P = 7
CONFIG = {
    "name": "modadd_7",
    "funcs": "lambda x: (x[0]+x[1])%7",
    "C": P,
    "n_heads": 2,
    "d_model": 10,
    "n_layers": 1,
    "attention_dir": "casual",
    "act_fn": "ReLU",
    "epoch": 300,
    "lr": 0.002,
    "weight_decay": 1.5,
    "frac": 0.7,
    "attn_coeff": 0.25,
    "runid": "abc",
    "diff_vocab": 0,
    "eqn_sign": 0,
    "func": None,
}


def folder(tmp_path, state, config=CONFIG):
    torch.save(state, tmp_path / "model_abc.pt")
    if config is not None:
        (tmp_path / "config_abc.json").write_text(json.dumps(config))
    return tmp_path / "model_abc.pt"


def read(path, **given):
    source = Source(path)
    assert pizza.recognise(source)
    return pizza.read(source, given)


def theirs_of(weights, n_layers=1):
    """Our weights in their layout."""
    state = {"embed.W_E": weights["embed.W_E"].T, "pos_embed.W_pos": weights["pos_embed.W_pos"]}
    state["unembed.W_U"] = weights["unembed.W_U"]
    for block in range(n_layers):
        at, mlp = f"blocks.{block}.attn.", f"blocks.{block}.mlp."
        state |= {at + f"W_{n}": weights[at + f"W_{n}"].permute(0, 2, 1) for n in "QKV"}
        state[at + "W_O"] = weights[at + "W_O"].flatten(0, 1).T
        state[at + "mask"] = torch.ones(2, 2).tril()
        state |= {mlp + f"W_{n}": weights[mlp + f"W_{n}"].T for n in ("in", "out")}
        state |= {mlp + f"b_{n}": weights[mlp + f"b_{n}"] for n in ("in", "out")}
    return {name: w.contiguous() for name, w in state.items()}


def network(dtype=torch.float64, layout="a b", **model):
    """Our weights with random biases of the MLP, and their state_dict of them."""
    shape = {"d_model": 10, "n_heads": 2, "d_head": 3, "d_mlp": 12, "biases": "mlp", **model}
    config = small_config(task={"p": P, "layout": layout}, model=shape)
    task = build_task(config.task)
    weights = init_weights(config.model, task.layout, task.n_answers + (layout == "a b ="), dtype)
    stream = torch.Generator().manual_seed(1)
    for name, w in weights.items():
        if ".mlp.b_" in name:
            weights[name] = torch.randn(w.shape, generator=stream, dtype=dtype)
    return weights, theirs_of(weights, config.model.n_layers)


def slow(state, sequences, rate, act):
    """Their forward written out from the formulas: logits at the last position, one sequence and head at a time."""
    rows = []
    n_layers = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    for sequence in sequences:
        x = torch.stack([state["embed.W_E"][:, t] + state["pos_embed.W_pos"][i] for i, t in enumerate(sequence)])
        for block in range(n_layers):
            w = {n.split(".")[-1]: v for n, v in state.items() if n.startswith(f"blocks.{block}.")}
            z = []
            for head in range(len(w["W_Q"])):
                q, k, v = (x @ w[f"W_{n}"][head].T for n in "QKV")
                pattern = rate * (q @ k.T / math.sqrt(q.shape[1])).softmax(-1) + (1 - rate)
                z.append(pattern @ v)
            x = x + torch.cat(z, dim=1) @ w["W_O"].T
            x = x + act(x @ w["W_in"].T + w["b_in"]) @ w["W_out"].T + w["b_out"]
        rows.append(x[-1] @ state["unembed.W_U"])
    return torch.stack(rows)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_weights_are_bit_equal_through_their_layout_and_back(tmp_path, dtype):
    weights, state = network(dtype, n_layers=3)
    imported = read(folder(tmp_path, state))
    found = imported.weights(300)
    assert found.keys() == weights.keys()
    for name, w in weights.items():
        assert torch.equal(found[name], w), name
        assert found[name].dtype == dtype
        assert found[name].is_contiguous()


@pytest.mark.parametrize("rate", [0, 0.25, 1])
@pytest.mark.parametrize("act", ["ReLU", "GeLU"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_the_logits_are_those_of_their_forward(tmp_path, rate, act, n_layers):
    _, state = network(n_layers=n_layers)
    imported = read(folder(tmp_path, state, {**CONFIG, "attn_coeff": rate, "act_fn": act}))
    pairs = [(a, b) for a in range(P) for b in range(P)]
    expected = slow(state, pairs, rate, {"ReLU": F.relu, "GeLU": F.gelu}[act]).reshape(P, P, P)
    torch.testing.assert_close(logits_by_us(imported), expected, rtol=0, atol=1e-12)
    assert imported.config.model.causal is False


def test_with_an_equals_sign_the_logits_of_the_numbers_are_theirs(tmp_path):
    _, state = network(layout="a b =")
    imported = read(folder(tmp_path, state, {**CONFIG, "eqn_sign": 1}))
    assert imported.config.task.layout == "a b ="
    sequences = [(a, b, P) for a in range(P) for b in range(P)]
    expected = slow(state, sequences, 0.25, F.relu).reshape(P, P, P + 1)
    torch.testing.assert_close(logits_by_us(imported), expected, rtol=0, atol=1e-12)
    assert any("both sides of the split" in note for note in imported.notes)
    report = import_run(tmp_path / "model_abc.pt", tmp_path / "out")
    right = expected[..., :P].argmax(-1) == torch.from_numpy(build_task(imported.config.task).table)
    assert report.recomputed["accuracy"] == pytest.approx(float(right.double().mean()))


def test_the_config_says_how_it_was_trained_and_the_split_is_unknown(tmp_path):
    imported = read(folder(tmp_path, network()[1]))
    assert imported.train_mask is None
    assert imported.steps == (300,)
    config = imported.config
    assert (config.task.operation, config.task.p, config.task.frac_train) == ("x+y", P, 0.7)
    assert (config.optimizer.lr, config.optimizer.weight_decay, config.optimizer.warmup_steps) == (0.002, 1.5, 10)
    assert (config.name, config.model.attention_rate) == ("abc", 0.25)
    assert any("'casual'" in note for note in imported.notes)
    assert any("without a seed" in note for note in imported.notes)


class Linear(nn.Module):
    """Their linear networks, by type."""

    def __init__(self, kind, width=6, n=P):
        super().__init__()
        self.kind, e = kind, width // 2 if kind == "D" else width
        if kind == "X":
            self.embed1, self.embed2 = nn.Embedding(n, e), nn.Embedding(n, e)
        else:
            self.embed = nn.Embedding(n, e)
        self.unembed, self.l1 = nn.Embedding(n, width), nn.Linear(width, width)
        if kind in "BC":
            self.l2 = nn.Linear(width, width)

    def forward(self, a, b):
        left, right = (self.embed1(a), self.embed2(b)) if self.kind == "X" else (self.embed(a), self.embed(b))
        if self.kind == "C":
            x = self.l1(left) + self.l1(right)
        else:
            x = self.l1(torch.cat([left, right], dim=1) if self.kind == "D" else left + right)
        x = F.relu(x)
        x = F.relu(self.l2(x)) if self.kind in "BC" else x
        return x @ self.unembed.weight.T


LINEAR = {"C": P, "model_type": "A", "epoch": 200, "lr": 1e-3, "weight_decay": 2.0, "frac": 0.8, "runid": "abc"}


@pytest.mark.parametrize("kind", list("ABCDX"))
def test_a_linear_network_gives_its_own_logits(tmp_path, kind):
    torch.manual_seed(0)
    model = Linear(kind).double()
    imported = read(folder(tmp_path, model.state_dict(), {**LINEAR, "model_type": kind}))
    a, b = torch.arange(P).repeat_interleave(P), torch.arange(P).repeat(P)
    torch.testing.assert_close(logits_by_us(imported).reshape(P * P, P), model(a, b), rtol=0, atol=1e-12)
    assert imported.config.model.kind == "mlp"
    assert imported.config.optimizer.betas == (0.9, 0.999)
    assert any("l1 twice" in note for note in imported.notes) is (kind != "D")


def test_a_linear_network_of_two_layers_without_its_type_is_not_guessed(tmp_path):
    state = Linear("B").state_dict()
    with pytest.raises(GrokinterpError, match="by the tensors it is B or C"):
        read(folder(tmp_path, state, None))
    with pytest.raises(GrokinterpError, match="model_type 'A', by the tensors it is B or C"):
        read(folder(tmp_path, state, LINEAR))
    (tmp_path / "config_abc.json").unlink()
    assert read(folder(tmp_path, Linear("D").state_dict(), None)).config.model.n_layers == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"act_fn": "Tanh"}, "act_fn Tanh; networks here have relu or gelu"),
        ({"diff_vocab": 1}, "diff_vocab 1: a right operand has tokens of its own"),
        ({"C": 59}, "has C 59, but the tensors have 7 numbers"),
        ({"funcs": "lambda x: (x[0]*x[1])%7"}, "which is not run; say what was learned"),
        ({"funcs": "__import__('os').system('touch /tmp/ran')"}, "which is not run"),
        ({"attn_coeff": 1.5}, "attention_rate|attention-rate"),
        ({"attn_coeff": "half"}, "attention_rate|attention-rate"),
        ({"attn_coeff": None}, "there is no config_abc.json with attn_coeff"),
        ({"frac": 0}, "frac_train"),
        ({"epoch": "x"}, "has 'x' for epoch"),
        ({"eqn_sign": 1}, "has C 7, but the tensors have 6 numbers"),
        ({"use_linear": True}, "use_linear, but the file holds a transformer"),
        ({"weight_decay": -1}, "weight_decay"),
    ],
)
def test_what_cannot_be_mapped_is_refused_with_the_reason(tmp_path, changes, sentence):
    path = folder(tmp_path, network()[1], {**CONFIG, **changes})
    with pytest.raises(GrokinterpError, match=sentence) as caught:
        import_run(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_without_a_config_the_share_of_softmax_must_be_said(tmp_path):
    path = folder(tmp_path, network()[1], None)
    with pytest.raises(GrokinterpError, match=r"no config_abc.json with attn_coeff.*--model.attention-rate"):
        read(path)
    assert read(path, model={"attention_rate": 0.5}).config.model.attention_rate == 0.5


def test_the_user_may_say_another_operation(tmp_path):
    path = folder(tmp_path, network()[1], {**CONFIG, "funcs": "lambda x: (x[0]-x[1])%7"})
    assert read(path, task={"operation": "x-y", "p": P}).config.task.operation == "x-y"


@pytest.mark.parametrize("damage", ["a vector", "heads that do not fit", "no b_in", "truncated", "not a number"])
def test_a_damaged_file_gives_one_sentence(tmp_path, damage):
    state = network(torch.float32)[1]
    if damage == "a vector":
        state["blocks.0.attn.W_Q"] = state["blocks.0.attn.W_Q"].flatten()
    if damage == "heads that do not fit":
        state["blocks.0.attn.W_O"] = state["blocks.0.attn.W_O"][:, :5]
    if damage == "no b_in":
        del state["blocks.0.mlp.b_in"]
    if damage == "not a number":
        state["unembed.W_U"][0, 0] = np.nan
    path = folder(tmp_path, state)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(GrokinterpError) as caught:
        import_run(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_one_network_is_read_and_of_several_refused(tmp_path):
    path = folder(tmp_path, network()[1])
    assert read(tmp_path).steps == (300,)
    torch.save(network()[1], tmp_path / "model_def.pt")
    with pytest.raises(GrokinterpError, match="2 networks, each a run of its own; name one"):
        read(tmp_path)
    assert read(path).steps == (300,)


def test_three_positions_without_their_config_are_somebody_else_s(tmp_path):
    _, state = network(layout="a b =")
    torch.save(state, tmp_path / "other.pth")
    assert not pizza.recognise(Source(tmp_path / "other.pth"))
    torch.save({"model": 3}, tmp_path / "other.pth")
    assert not pizza.recognise(Source(tmp_path / "other.pth"))


def test_the_published_pizza_gives_its_published_numbers(foreign, tmp_path):
    report = import_run(foreign / "pizza" / "model_p99zdpze5l.pt", tmp_path / "A")
    assert (report.format, report.steps) == ("pizza", (20_000,))
    assert report.recomputed["loss"] == pytest.approx(1.3843e-7, rel=5e-5)
    assert report.recomputed["accuracy"] == 1
    run = gi.open(report.path)
    total = sum(float(w.double().square().sum()) for w in run.weights(20_000).values())
    assert total**0.5 == pytest.approx(22.854, abs=5e-4)
    (row,) = measured("clock_pizza", run.snapshot())
    assert row["gradient_symmetricity"] == pytest.approx(0.99367, abs=5e-6)
    assert row["distance_irrelevance"] == pytest.approx(0.17174, abs=5e-6)
    assert one(measured("accuracy_loss", run.snapshot()), split="all")["accuracy"] == 1
