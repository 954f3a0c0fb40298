"""Files that may not be read, and files of a folder that can't be imported: the cause and the file are named."""

import json
import shlex
from pathlib import Path

import pytest
import safetensors.torch
import test_chughtai
import test_pizza
import test_stander
import torch
from conftest import small_config
from layouts import nanda_state, network, save

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.harmonics.groups import parse_group
from grokinterp.runs.importers import import_run

GIVEN = {"task": {"operation": "x+y"}, "model": {"activation": "relu"}}


def forbid(monkeypatch, path):
    """What mode 000 does to one who is not root."""
    real = Path.open

    def refuse(self, *args, **keywords):
        if self.resolve() == path.resolve():
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *args, **keywords)

    monkeypatch.setattr(Path, "open", refuse)


def torch_file(folder):
    return save(network()[2], folder / "theirs.pt"), folder / "theirs.pt"


def legacy_file(folder):
    torch.save(network()[2], folder / "old.pt", _use_new_zipfile_serialization=False)
    return folder / "old.pt", folder / "old.pt"


def safetensors_file(folder):
    safetensors.torch.save_file(network()[2], folder / "x.safetensors")
    return folder / "x.safetensors", folder / "x.safetensors"


def one_of_a_folder(folder):
    (folder / "ckpts").mkdir()
    for step in range(3):
        save(network(step)[2], folder / "ckpts" / f"step_{step}.pt")
    return folder / "ckpts", folder / "ckpts" / "step_1.pt"


def config_beside(folder):
    path = test_pizza.folder(folder, test_pizza.network()[1])
    return path, folder / "config_abc.json"


def curves_beside(folder):
    root = test_chughtai.folder(folder, test_chughtai.transformer()[2], metrics="epoch,train_loss\n0,1.0\n")
    return root, root / "metrics.csv"


def data_beside(folder):
    torch.save(test_stander.checkpoint(test_stander.SnMLP(6)), folder / "3.pth")
    test_stander.data(parse_group("S3").table).to_parquet(folder / "data.parquet")
    return folder / "3.pth", folder / "data.parquet"


@pytest.mark.parametrize("command", ["import", "analyze"])
@pytest.mark.parametrize(
    "arrange",
    [torch_file, legacy_file, safetensors_file, one_of_a_folder, config_beside, curves_beside, data_beside],
)
def test_a_file_that_may_not_be_read_is_called_that(tmp_path, monkeypatch, capsys, arrange, command):
    path, forbidden = arrange(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    forbid(monkeypatch, forbidden)
    assert run_command([command, str(path), "--out", str(tmp_path / "new")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"there is no permission to read {forbidden}" in line
    assert not {"damaged", "read-only", "--out"} & set(line.replace(";", " ").split())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "task.safetensors"])
def test_a_run_s_file_that_may_not_be_read_is_called_that(tmp_path, monkeypatch, capsys, name):
    run = gi.train(small_config(train={"steps": 5}), tmp_path / "run", show_progress=False)
    forbid(monkeypatch, run.path / name)
    assert run_command(["analyze", str(run.path), "--only", "weight_norm"]) == 2
    said = capsys.readouterr().err
    assert "there is no permission to read" in said
    assert str(run.path / name) in said


def test_a_toml_file_that_may_not_be_read_is_called_that(tmp_path, monkeypatch, capsys):
    path, config = save(network()[2], tmp_path / "x.pt"), tmp_path / "c.toml"
    config.write_text("[task]\np = 7\n")
    forbid(monkeypatch, config)
    assert run_command(["import", str(path), "--config", str(config), "--out", str(tmp_path / "run")]) == 2
    assert f"there is no permission to read {config}" in capsys.readouterr().err


def test_a_folder_that_may_not_be_read_is_called_that(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "ckpts"
    folder.mkdir()
    save(network()[2], folder / "step_1.pt")
    real = Path.iterdir

    def refuse(self):
        if self == folder:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert run_command(["import", str(folder), "--out", str(tmp_path / "run")]) == 2
    assert f"there is no permission to read or write at {folder}" in capsys.readouterr().err


def without(name):
    weights = dict(network(1)[2])
    del weights[name]
    return weights


ODD = {
    "no state_dict": ({"a": 3}, "no state_dict"),
    "of another modulus": (network(1, task={"p": 5})[2], "embed.W_E has shape"),
    "of another width": (network(1, model={"d_model": 8})[2], "has shape"),
    "without its embedding": (without("embed.W_E"), "no tensor embed.W_E"),
    "without a layer": (without("blocks.0.mlp.W_out"), "blocks.0.mlp.W_out"),
    "whole numbers": ({name: value.int() for name, value in network(1)[2].items()}, "torch.int32|no tensor of floats"),
}


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("step", [1, 2])
def test_an_odd_file_in_a_folder_is_named(tmp_path, step, what):
    content, sentence = ODD[what]
    folder = tmp_path / "ckpts"
    folder.mkdir()
    for other in range(3):
        save(network(other)[2], folder / f"step_{other}.pt")
    save(content, folder / f"step_{step}.pt")
    with pytest.raises(GrokinterpError, match=sentence) as caught:
        import_run(folder, tmp_path / "run", given=GIVEN)
    if not (step == 2 and what.startswith("of another")):  # the last one sets the shapes, so another one is odd
        assert f"step_{step}.pt" in str(caught.value)
    assert ".pt" in str(caught.value)


def test_an_odd_file_among_nanda_s_is_named(tmp_path):
    folder = tmp_path / "ckpts"
    folder.mkdir()
    for epoch in (0, 100, 200):
        save({"model": nanda_state(network(epoch)[2])}, folder / f"{epoch}.pth")
    torch.save({"model": {**nanda_state(network()[2]), "embed.W_E": torch.zeros(16, 5)}}, folder / "100.pth")
    with pytest.raises(GrokinterpError, match=r"100\.pth: embed.W_E has shape"):
        import_run(folder, tmp_path / "run", given=GIVEN)


def test_an_odd_file_among_stander_s_is_named(tmp_path):
    for epoch in (1, 2):
        torch.save(test_stander.checkpoint(test_stander.SnMLP(6)), tmp_path / f"{epoch}.pth")
    state = test_stander.checkpoint(test_stander.SnMLP(6))
    state["model"]["linear.weight"] = torch.zeros(3, 3)
    torch.save(state, tmp_path / "1.pth")
    with pytest.raises(GrokinterpError, match=r"1\.pth: "):
        import_run(tmp_path, tmp_path / "run")


def test_weights_that_are_no_numbers_are_left_out_under_their_file_s_name(tmp_path):
    folder = tmp_path / "ckpts"
    folder.mkdir()
    for step in range(3):
        weights = network(step)[2]
        save(
            {**weights, "unembed.W_U": weights["unembed.W_U"] * (1 if step != 1 else float("nan"))},
            folder / f"{step}.pt",
        )
    report = import_run(folder, tmp_path / "run", given=GIVEN)
    assert "the checkpoint of step 1 (1.pt) holds weights that are not numbers and is left out" in report.notes
    assert json.loads((report.path / "provenance.json").read_text())["notes"] == list(report.notes)


@pytest.mark.parametrize("command", ["show {}", "report {}", "verify {}", "figures {}", "train --from {} --out new"])
def test_a_checkpoint_where_a_run_belongs_is_refused_with_the_way_to_import_it(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    Path("ckpts").mkdir()
    for name in ("theirs.pt", "ckpts/step_1.ckpt"):
        save(network()[2], tmp_path / name)
    for name in ("theirs.pt", "ckpts"):
        assert run_command(shlex.split(command.format(name))) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{name} is no run; `grokinterp import {name} --out DIR` makes one of" in line


def test_a_pipe_is_not_waited_for(tmp_path, capsys):
    import os

    os.mkfifo(tmp_path / "pipe.pt")
    assert run_command(["import", str(tmp_path / "pipe.pt"), "--out", str(tmp_path / "run")]) == 2
    assert "is no file" in capsys.readouterr().err
