"""openai/grok's checkpoints: the post-LN decoder as it is, its tokens, operations and split, and what is left out."""

import itertools
import math
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lookup_networks import logits_by_us

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers import import_run, openai_grok
from grokinterp.runs.importers.openai_grok_task import OPERATORS, equations, tokens_of
from grokinterp.runs.importers.source import Source
from grokinterp.tasks import build_task

HPARAMS = {
    "math_operator": "+",
    "train_data_pct": 50,
    "n_layers": 2,
    "n_heads": 2,
    "d_model": 8,
    "dropout": 0.0,
    "weight_noise": 0.0,
    "non_linearity": "relu",
    "max_context_len": 50,
    "max_lr": 1e-3,
    "warmup_steps": 10,
    "weight_decay": 0,
    "weight_decay_kind": "to_zero",
    "anneal_lr": False,
    "anneal_lr_steps": 100000,
    "noise_factor": 0,
    "batchsize": 0,
    "random_seed": -1,
}
TOKENS = ["<|eos|>", "=", *OPERATORS, *map(str, range(97))]
TOKENS += ["".join(map(str, g)) for g in itertools.permutations(range(5))]


def positions(n_ctx, d_model):
    """The sinusoids of Vaswani et al. 2017, one number at a time."""
    rows = [list(range(d_model)) for _ in range(n_ctx)]
    for t, i in itertools.product(range(n_ctx), range(d_model)):
        pair = i - i % 2
        rows[t][i] = (math.cos if i % 2 else math.sin)(t / 10000 ** (pair / d_model))
    return torch.tensor(rows)


def network(n_layers=2, n_heads=2, d=8, dtype=torch.float64, seed=0):
    """A state_dict of theirs with random weights, norms among them."""
    stream = torch.Generator().manual_seed(seed)

    def draw(*shape, about=0.0):
        return about + torch.randn(shape, generator=stream, dtype=dtype) * 0.6

    state = {"embedding.weight": draw(239, d), "position_encoding": positions(50, d).to(dtype)}
    state["self_attn_mask"] = torch.ones(50, 50).tril()
    for i in range(n_layers):
        block = f"decoder.blocks.{i}."
        for head in range(n_heads):
            for name in ("Wq", "Wk", "Wv"):
                state[f"{block}self_attn.attn_heads.{head}.{name}.weight"] = draw(d // n_heads, d)
        state[f"{block}self_attn.Wo.weight"] = draw(d, d)
        state[f"{block}ffn.ffn.0.weight"], state[f"{block}ffn.ffn.2.weight"] = draw(4 * d, d), draw(d, 4 * d)
        for norm in ("self_attn_norm", "ffn_norm"):
            state[f"{block}{norm}.weight"], state[f"{block}{norm}.bias"] = draw(d, about=1.0), draw(d)
    state["linear.weight"] = draw(239, d)
    return {f"transformer.{name}": w for name, w in state.items()}


def slow(state, text, act=F.relu):
    """Their forward from the formulas: logits of all 239 tokens after a text such as "<|eos|> 3 + 5 ="."""
    w = {name.removeprefix("transformer."): value for name, value in state.items()}
    ids = [TOKENS.index(token) for token in text.split(" ")]
    x = w["embedding.weight"][ids] + w["position_encoding"][: len(ids)]
    d, later = x.shape[1], torch.ones(len(ids), len(ids)).triu(1).bool()
    n_layers = len({name.split(".")[2] for name in w if name.startswith("decoder.")})
    for i in range(n_layers):
        block = f"decoder.blocks.{i}."
        heads = []
        for h in range(sum(name.startswith(block) and name.endswith("Wq.weight") for name in w)):
            q, k, v = (x @ w[f"{block}self_attn.attn_heads.{h}.{n}.weight"].T for n in ("Wq", "Wk", "Wv"))
            scores = (q @ k.T / math.sqrt(q.shape[1])).masked_fill(later, -math.inf)
            heads.append(scores.softmax(-1) @ v)
        a = x + torch.cat(heads, dim=1) @ w[f"{block}self_attn.Wo.weight"].T
        a = F.layer_norm(a, (d,), w[f"{block}self_attn_norm.weight"], w[f"{block}self_attn_norm.bias"])
        b = a + act(a @ w[f"{block}ffn.ffn.0.weight"].T) @ w[f"{block}ffn.ffn.2.weight"].T
        x = F.layer_norm(b, (d,), w[f"{block}ffn_norm.weight"], w[f"{block}ffn_norm.bias"])
    return x[-1] @ w["linear.weight"].T


def save(tmp_path, state=None, epoch=64, step=1000, **hparams):
    """A checkpoint of theirs."""
    path = tmp_path / f"epoch_{epoch}.ckpt"
    content = {"epoch": epoch, "global_step": step, "pytorch-lightning_version": "1.0.8", "callbacks": {}}
    groups = [{"lr": 1e-3, "weight_decay": hparams.pop("acted", hparams.get("weight_decay", 0))}]
    content |= {"state_dict": state or network(), "hyper_parameters": {**HPARAMS, **hparams}}
    torch.save({**content, "optimizer_states": [{"state": {}, "param_groups": groups}]}, path)
    return path


def read(path, **given):
    source = Source(path)
    assert openai_grok.recognise(source)
    return openai_grok.read(source, given)


def written(operator, a, b):
    """An equation up to '=', as their data files have it."""
    if operator.startswith("s5"):
        a, b = ("".join(map(str, list(itertools.permutations(range(5)))[x])) for x in (a, b))
    return f"<|eos|> {a} {operator} {b} ="


@pytest.mark.parametrize(
    ("operator", "shape", "act"),
    [
        ("+", {}, "relu"),
        ("/", {"n_layers": 1, "n_heads": 4}, "gelu"),
        ("**2+", {"n_layers": 3}, "relu"),
        ("s5conj", {}, "relu"),
    ],
)
def test_the_logits_of_the_elements_are_those_of_their_decoder(tmp_path, operator, shape, act):
    state = network(**shape)
    imported = read(save(tmp_path, state, math_operator=operator, non_linearity=act))
    ours = logits_by_us(imported)
    n, first = (120, 119) if operator.startswith("s5") else (97, 22)
    for a, b in [(0, 0), (3, 5), (n - 1, 1), (11, n - 1), (50, 64), (2, 0)]:
        theirs = slow(state, written(operator, a, b), getattr(F, act))[first : first + n]
        torch.testing.assert_close(ours[a, b], theirs, rtol=0, atol=1e-12)


def test_the_weights_are_bit_equal_rows_and_transposes(tmp_path):
    state = network(dtype=torch.float32)
    imported = read(save(tmp_path, state))
    found, kept = imported.weights(1000), [*range(22, 119), TOKENS.index("+"), 1, 0]
    assert torch.equal(found["embed.W_E"], state["transformer.embedding.weight"][kept])
    assert torch.equal(found["unembed.W_U"], state["transformer.linear.weight"][22:119].T)
    assert torch.equal(found["pos_embed.W_pos"], state["transformer.position_encoding"][:5])
    block = "transformer.decoder.blocks.1."
    assert torch.equal(found["blocks.1.attn.W_K"][1], state[block + "self_attn.attn_heads.1.Wk.weight"].T)
    assert torch.equal(found["blocks.1.attn.W_O"].flatten(0, 1), state[block + "self_attn.Wo.weight"].T)
    assert torch.equal(found["blocks.1.mlp.W_out"], state[block + "ffn.ffn.2.weight"].T)
    assert torch.equal(found["blocks.1.ln1.w"], state[block + "self_attn_norm.weight"])
    assert torch.equal(found["blocks.1.ln2.b"], state[block + "ffn_norm.bias"])
    assert {w.dtype for w in found.values()} == {torch.float32}
    assert imported.config.model.normalization == "post-LN"


def test_without_their_buffer_the_positions_are_the_same_sinusoids(tmp_path):
    state = network(dtype=torch.float32)
    buffer = state.pop("transformer.position_encoding")
    found = read(save(tmp_path, state)).weights(1000)["pos_embed.W_pos"]
    torch.testing.assert_close(found, buffer[:5], rtol=0, atol=1e-7)


def slow_answer(operator, a, b):
    """Their answers, by the expressions in their data module; sympy's permutations and quotients mod 97."""
    if operator.startswith("s5"):
        from sympy.combinatorics import Permutation

        elements = list(itertools.permutations(range(5)))
        x, y = Permutation(elements[a]), Permutation(elements[b])
        product = {"s5": x * y, "s5conj": x * y * x**-1, "s5aba": x * y * x}[operator]
        return elements.index(tuple(product.array_form))
    if operator in ("/", "(x._value//y)if(y._value%2==1)else(x-y)_mod_97"):
        quotient = a * pow(b, -1, 97) if b else None
        return quotient % 97 if operator == "/" or b % 2 else (a - b) % 97
    if operator in ("+*", "+-"):
        return (a + b if a % 2 == 0 else a * b if operator == "+*" else a - b) % 97
    expression = operator.removesuffix("_mod_97") if "_mod_" in operator else f"x {operator} y"
    return eval(expression, {"x": a, "y": b}) % 97


@pytest.mark.parametrize("operator", [name for name in OPERATORS if name not in ("sort", "reverse", "copy")])
def test_every_operation_on_pairs_has_their_answers(tmp_path, operator):
    imported = read(save(tmp_path, math_operator=operator))
    task = build_task(imported.config.task)
    stream = np.random.default_rng(0)
    pairs = equations(operator)
    assert sorted(pairs) == sorted(zip(*map(list, task.pairs()), strict=True))
    for k in stream.choice(len(pairs), 300, replace=False):
        assert task.table[pairs[k]] == slow_answer(operator, *pairs[k]), (operator, pairs[k])
    assert task.layout.name == "EOS a op b ="
    assert TOKENS[tokens_of(operator)[-3]] == operator


def test_s5_is_also_what_numpy_s_indexing_gives():
    elements = list(itertools.permutations(range(5)))
    for a, b in [(3, 70), (119, 8), (55, 56)]:
        indexed = tuple(np.array(elements[b])[np.array(elements[a])])
        assert slow_answer("s5", a, b) == elements.index(indexed)


@pytest.mark.parametrize(("operator", "percent"), [("+", 50), ("/", 30), ("s5", 33.3), ("x**3+x*y_mod_97", 5)])
def test_the_split_is_that_of_their_shuffled_equations(tmp_path, operator, percent):
    imported = read(save(tmp_path, math_operator=operator, train_data_pct=percent))
    n = 120 if operator == "s5" else 97
    texts = []
    for a, b in itertools.product(range(n), range(n)):
        if operator != "/":
            texts.append(f"{a} {b}")
        elif b:
            texts.append(f"{b * a % 97} {b}")
    np.random.RandomState(seed=0).shuffle(texts)
    kept = texts[: round(len(texts) * (percent / 100.0))]
    assert sorted(map(tuple, np.argwhere(imported.train_mask))) == sorted(tuple(map(int, t.split())) for t in kept)
    assert imported.config.task.n_train == len(kept)


def test_a_folder_has_each_epoch_at_the_step_that_it_says(tmp_path):
    for epoch, step in ((1, 18), (2, 36), (16, 300)):
        save(tmp_path, network(seed=epoch), epoch, step)
    imported = read(tmp_path)
    assert imported.steps == (18, 36, 300)
    expected = network(seed=2)["transformer.linear.weight"][22:119].T
    assert torch.equal(imported.weights(36)["unembed.W_U"], expected)


def test_training_comes_from_the_hyper_parameters(tmp_path):
    path = save(tmp_path, weight_decay=1, max_lr=2e-3, anneal_lr=True, weight_decay_kind="to_init")
    config = read(path).config
    assert (config.optimizer.lr, config.optimizer.weight_decay, config.optimizer.decay_to) == (2e-3, 1.0, "init")
    assert (config.optimizer.schedule, config.train.steps, config.train.batch_size) == ("cosine", 1000, "auto")


@pytest.mark.parametrize(
    ("hparams", "sentence"),
    [
        ({"math_operator": "+_noisy_20"}, "20 of their training labels are noise"),
        ({"dropout": 0.1}, "dropout of 0.1 acted on the MLPs alone"),
        ({"weight_decay_kind": "jiggle"}, "weight_decay_kind 'jiggle' is not offered"),
        ({"noise_factor": 0.3}, "noise_factor of 0.3 is left out"),
        ({"weight_decay": 1, "acted": 0.5}, "weight_decay is 1 in hyper_parameters, and 0.5 in the optimizer's state"),
        ({}, "of their 239 tokens the elements, op, '=' and EOS are kept"),
    ],
)
def test_what_was_left_out_or_contradicts_is_said(tmp_path, hparams, sentence):
    assert any(sentence in note for note in read(save(tmp_path, **hparams)).notes)


@pytest.mark.parametrize(
    ("hparams", "sentence"),
    [
        ({"math_operator": "sort"}, "learned to sort lists, which is no operation on pairs"),
        ({"math_operator": "%"}, "math_operator '%', which openai/grok does not"),
        ({"math_operator": "+_noisy_x"}, "which openai/grok does not"),
        ({"math_operator": 3}, "where a text is expected"),
        ({"train_data_pct": 0}, "train_data_pct 0, which is no share"),
        ({"train_data_pct": "half"}, "where a number is expected"),
        ({"non_linearity": "tanh"}, "activation"),
        ({"warmup_steps": 2.5}, "whole number"),
    ],
)
def test_what_cannot_be_mapped_is_refused_with_the_reason(tmp_path, hparams, sentence):
    with pytest.raises(GrokinterpError, match=sentence) as caught:
        import_run(save(tmp_path, **hparams), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "damage", ["vocabulary", "a head", "Wo", "a norm", "no hyper_parameters", "truncated", "same step"]
)
def test_a_damaged_file_gives_one_sentence(tmp_path, damage):
    state = network()
    block = "transformer.decoder.blocks.0."
    if damage == "vocabulary":
        state["transformer.linear.weight"] = state["transformer.linear.weight"][:-1]
    if damage == "a head":
        state[block + "self_attn.attn_heads.1.Wv.weight"] = torch.zeros(3, 8)
    if damage == "Wo":
        state[block + "self_attn.Wo.weight"] = torch.zeros(8, 5)
    if damage == "a norm":
        del state[block + "ffn_norm.bias"]
    path = save(tmp_path, state)
    if damage == "no hyper_parameters":
        torch.save({"state_dict": state}, path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-500])
    if damage == "same step":
        save(tmp_path, state, epoch=128)
    with pytest.raises(GrokinterpError) as caught:
        import_run(tmp_path if damage == "same step" else path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def callback():
    """The class under which Lightning before 1.5 kept a callback's state; its modules are there only to save it."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    modules = {part: types.ModuleType(part) for part in ("pytorch_lightning", "pytorch_lightning.callbacks", name)}
    sys.modules.update(modules)
    modules[name].ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": name})
    yield modules[name].ModelCheckpoint
    for part in modules:
        sys.modules.pop(part, None)


def test_a_class_of_lightning_s_as_a_key_is_read_by_name_alone(tmp_path, callback):
    path = save(tmp_path)
    content = torch.load(path, weights_only=True)
    torch.save({**content, "callbacks": {callback: {"best_model_path": "x", "best_model_score": None}}}, path)
    for name in [name for name in sys.modules if name.startswith("pytorch_lightning")]:
        del sys.modules[name]
    imported = read(path)
    assert imported.steps == (1000,)
    assert imported.config.task.operation == "x+y"


def test_any_other_class_is_refused_with_the_reason(tmp_path, callback):
    path = save(tmp_path)
    other = type("Other", (), {"__module__": callback.__module__})
    sys.modules[callback.__module__].Other = other
    torch.save({"callbacks": {other: 1}, "state_dict": {}}, path)
    with pytest.raises(GrokinterpError, match="without running code in it"):
        Source(path).content  # noqa: B018, the reading is what is tested


def test_other_formats_are_not_claimed(tmp_path):
    torch.save({"state_dict": {"transformer.embedding.weight": torch.zeros(2, 2)}}, tmp_path / "a.ckpt")
    assert not openai_grok.recognise(Source(tmp_path / "a.ckpt"))
    torch.save([torch.zeros(2)], tmp_path / "a.ckpt")
    assert not openai_grok.recognise(Source(tmp_path / "a.ckpt"))


def test_an_imported_run_is_measured_and_its_network_patched(tmp_path):
    state = network()
    report = import_run(save(tmp_path, state), tmp_path / "out")
    assert report.format == "openai_grok"
    run = gi.open(report.path)
    assert (
        gi.analyze(run, measures=["accuracy_loss", "weight_norm", "embedding_spectrum"], show_progress=False).failed
        == {}
    )
    model = run.model()
    logits, cache = model.run_with_cache(torch.tensor([[99, 3, 97, 5, 98]]))
    assert cache["blocks.1.attn.hook_pattern"].shape == (1, 2, 5, 5)
    expected = slow(state, "<|eos|> 3 + 5 =")[22:119]
    torch.testing.assert_close(logits[0, -1].double(), expected, rtol=0, atol=1e-12)
