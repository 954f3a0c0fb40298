"""What the user gives and the file contradicts is named: by what it records, by its split, by its weights."""

import json

import numpy as np
import pytest
import test_chughtai
import test_openai_grok
import test_pizza
import test_stander
import torch
from layouts import nanda_state, network, save
from lookup_networks import lookup
from oracles import pizza_model

from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.harmonics.groups import parse_group
from grokinterp.runs.importers import import_run

P = 11
FREQUENCIES = ((1, 6.0), (2, 5.0), (4, 4.0))


def notes_of(path, tmp_path, **given):
    report = import_run(path, tmp_path / f"run {len(list(tmp_path.iterdir()))}", given=given)
    return "; ".join(report.notes)


def nanda_file(tmp_path, **config):
    state = nanda_state(network()[2])
    return save(
        {"model": state, "train_losses": [2.0] * 40, "test_losses": [2.0] * 40, "config": config}, tmp_path / "n.pth"
    )


def demo_file(tmp_path, seed=0):
    weights = network(seed, model={"biases": "none"})[2]
    order = torch.randperm(49, generator=torch.Generator().manual_seed(0))
    content = {
        "model": weights,
        "checkpoints": [weights],
        "checkpoint_epochs": [9],
        "train_losses": [2.0] * 10,
        "test_losses": [2.0] * 10,
        "train_indices": order[:20],
        "test_indices": order[20:],
        "config": {"act_fn": "relu", "attention_dir": "causal"},
    }
    return save(content, tmp_path / "demo.pth")


def pizza_file(tmp_path, **changes):
    return test_pizza.folder(tmp_path, test_pizza.network()[1], {**test_pizza.CONFIG, **changes})


def grok_file(tmp_path):
    content = {
        "state_dict": test_openai_grok.network(n_layers=1),
        "hyper_parameters": {**test_openai_grok.HPARAMS, "n_layers": 1},
        "global_step": 300,
    }
    return save(content, tmp_path / "epoch_2.ckpt")


FILES = {
    "nanda": lambda folder: nanda_file(
        folder, fn_name="add", frac_train=0.3, lr=1e-3, weight_decay=1.0, act_type="ReLU"
    ),
    "tl_demo": demo_file,
    "pizza": pizza_file,
    "chughtai": lambda folder: test_chughtai.folder(folder, test_chughtai.transformer()[2]),
    "openai_grok": grok_file,
}
CONTRADICTED = [
    ("nanda", "task", "operation", "x*y", "task.operation is x*y as given and x+y by the file"),
    ("nanda", "task", "frac_train", 0.5, "task.frac_train is 0.5 as given and 0.3 by the file"),
    ("nanda", "train", "steps", 20, "train.steps is 20 as given and 40 by the file"),
    ("nanda", "train", "steps", 50, "train.steps is 50 as given and 40 by the file"),
    ("nanda", "optimizer", "weight_decay", 2.0, "optimizer.weight_decay is 2.0 as given and 1.0 by the file"),
    ("nanda", "model", "activation", "gelu", "model.activation is gelu as given and relu by the file"),
    ("tl_demo", "task", "frac_train", 0.7, "task.frac_train is 0.7 as given and 0.4082 by the split"),
    ("tl_demo", "train", "steps", 4, "train.steps is 4 as given and 10 by the file"),
    ("tl_demo", "model", "causal", False, "model.causal is False as given and True by the file"),
    ("pizza", "task", "operation", "x-y", "task.operation is x-y as given and x+y by the file"),
    ("pizza", "task", "frac_train", 0.5, "task.frac_train is 0.5 as given and 0.7 by the file"),
    ("pizza", "train", "steps", 20, "train.steps is 20 as given and 300 by the file"),
    ("pizza", "model", "attention_rate", 0.5, "model.attention_rate is 0.5 as given and 0.25 by the file"),
    ("chughtai", "task", "operation", "x-y", "task.operation is x-y as given and x+y by the file"),
    ("chughtai", "task", "frac_train", 0.3, "task.frac_train is 0.3 as given and 0.5918 by the split"),
    ("chughtai", "train", "steps", 20, "train.steps is 20 as given and 500 by the file"),
    (
        "chughtai",
        "optimizer",
        "betas",
        (0.9, 0.98),
        "optimizer.betas is [0.9, 0.98] as given and [0.9, 0.97] by the file",
    ),
    ("openai_grok", "task", "operation", "x*y", "task.operation is x*y as given and x+y by the file"),
    ("openai_grok", "task", "frac_train", 0.7, "task.frac_train is 0.7 as given and 0.4999 by the split"),
    ("openai_grok", "train", "steps", 20, "train.steps is 20 as given and the last checkpoint is of step 300"),
]


@pytest.mark.parametrize(("kind", "section", "field", "value", "sentence"), CONTRADICTED)
def test_what_was_given_and_the_file_contradicts_is_named(tmp_path, kind, section, field, value, sentence):
    given = {section: {field: value}}
    assert sentence in notes_of(FILES[kind](tmp_path), tmp_path, **given)


@pytest.mark.parametrize("kind", FILES)
def test_nothing_is_named_where_nothing_is_given_or_the_file_agrees(tmp_path, kind):
    path = FILES[kind](tmp_path)
    assert " as given" not in notes_of(path, tmp_path)
    agreeing = {
        "nanda": {"task": {"operation": "add", "frac_train": 0.3}, "train": {"steps": 40}},
        "tl_demo": {"task": {"frac_train": 20 / 49}, "train": {"steps": 10}},
        "pizza": {"task": {"operation": "x+y", "frac_train": 0.7}, "train": {"steps": 300}},
        "chughtai": {"task": {"operation": "x+y", "frac_train": 0.6}, "optimizer": {"betas": (0.9, 0.97)}},
        "openai_grok": {"task": {"operation": "x+y"}, "train": {"steps": 300}},
    }
    assert " as given" not in notes_of(path, tmp_path, **agreeing[kind])


def test_an_operation_that_the_weights_do_not_compute_is_named_with_the_one_they_do(tmp_path, capsys):
    path = save(pizza_model(P, FREQUENCIES).state_dict(), tmp_path / "theirs.pt")
    command = ["import", str(path), "--out", str(tmp_path / "run"), "--task.operation", "x*y"]
    assert run_command(command) == 0
    said = capsys.readouterr().out
    assert "note: task.operation x*y is answered with accuracy 0.0826, but x+y with 1.0000\n" in said
    assert "is answered with" not in notes_of(path, tmp_path, task={"operation": "x+y"})


def test_an_operation_that_the_file_records_and_the_weights_do_not_compute_is_named(tmp_path):
    theirs = nanda_state(dict(pizza_model(P, FREQUENCIES).state_dict()))
    path = save({"model": theirs, "config": {"fn_name": "subtract", "act_type": "ReLU"}}, tmp_path / "n.pth")
    notes = notes_of(path, tmp_path)
    assert "task.operation x-y is answered with accuracy 0.0909, but x+y with 1.0000" in notes


def test_an_operation_that_is_no_better_than_chance_is_said_to_be(tmp_path):
    path = save(network(0)[2], tmp_path / "theirs.pt")
    assert "no better than chance" in notes_of(path, tmp_path, task={"operation": "x-y"})


def test_the_modulus_stays_where_another_operation_is_given(tmp_path):
    report = import_run(pizza_file(tmp_path), tmp_path / "out", given={"task": {"operation": "x-y"}})
    assert json.loads((report.path / "config.json").read_text())["task"]["p"] == test_pizza.P


def test_an_operation_of_another_name_in_the_config_can_be_given(tmp_path):
    path = nanda_file(tmp_path, fn_name="mystery")
    with pytest.raises(GrokinterpError, match=r"fn_name 'mystery'.*--task.operation"):
        import_run(path, tmp_path / "out")
    report = import_run(path, tmp_path / "out", given={"task": {"operation": "x*y"}})
    assert json.loads((report.path / "config.json").read_text())["task"]["operation"] == "x*y"


def test_a_pizza_whose_config_does_not_record_its_length_is_as_long_as_is_given(tmp_path):
    config = {name: value for name, value in test_pizza.CONFIG.items() if name != "epoch"}
    path = test_pizza.folder(tmp_path, test_pizza.network()[1], config)
    report = import_run(path, tmp_path / "out", given={"train": {"steps": 77}})
    assert report.steps == (77,)
    assert not any("train.steps" in note for note in report.notes)


def test_a_function_that_is_not_evaluated_contradicts_nothing(tmp_path):
    path = pizza_file(tmp_path, funcs="lambda x: (x[0]-x[1])%7")
    assert "task.operation is x-y as given" not in notes_of(path, tmp_path, task={"operation": "x-y"})


@pytest.mark.parametrize(("name", "value"), [("n_heads", 4), ("n_layers", 2), ("d_model", 128)])
def test_a_pizza_whose_config_contradicts_its_shapes_is_named(tmp_path, name, value):
    path = pizza_file(tmp_path, **{name: value})
    true = {"n_heads": 2, "n_layers": 1, "d_model": 10}[name]
    assert f"{name} is {value} in the file's config and {true} by the shapes of its tensors" in notes_of(path, tmp_path)


def test_other_configs_that_contradict_their_shapes_are_named(tmp_path):
    hparams = {**test_openai_grok.HPARAMS, "n_layers": 1, "n_heads": 8}
    content = {"state_dict": test_openai_grok.network(n_layers=1), "hyper_parameters": hparams}
    assert "n_heads is 8 in the file's config and 2 by" in notes_of(save(content, tmp_path / "1.ckpt"), tmp_path)
    cfg = {"n_heads": 4, "d_model": 16, "act_fn": "relu", "n_layers": 1}
    path = save({"model": network()[2], "cfg": cfg}, tmp_path / "x.pt")
    assert "n_heads is 4 in the file's config and 2 by" in notes_of(path, tmp_path)
    cfg = {**test_chughtai.CFG, "group": "SymmetricGroup", "group_parameter": 3}
    path = test_chughtai.folder(tmp_path, lookup(parse_group("S3").table.tolist()), cfg)
    assert "embed_dim is 256 in the file's config and" in notes_of(path, tmp_path)


def test_a_given_group_that_the_data_contradict_is_named(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    table = parse_group("S3").table
    torch.save(test_stander.checkpoint(test_stander.SnMLP(6)), folder / "3.pth")
    test_stander.data(table).to_parquet(folder / "data.parquet")
    assert "data.parquet agrees with" not in notes_of(folder, tmp_path, task={"operation": "x.y", "group": "S3"})
    share = np.mean(parse_group("C6").table == table)
    expected = f"task.operation is x.y as given and data.parquet agrees with {share:.1%} of it"
    assert expected in notes_of(folder, tmp_path, task={"operation": "x.y", "group": "C6"})
