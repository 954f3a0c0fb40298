"""`verify` and `train --from` on the command line."""

import shutil

import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp.cli import run_command


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return gi.train(small_config(), tmp_path_factory.mktemp("trained") / "run", show_progress=False).path


def test_verify_prints_a_line_a_check_and_exits_with_0_or_2(trained, tmp_path, capsys):
    run = shutil.copytree(trained, tmp_path / "run")
    assert run_command(["verify", str(run)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == (
        ["origin", "checkpoints", "task", "split", "log", "losses", "tables", "phases", "summary"]
    )
    assert lines[-1] == "everything agrees"
    path = gi.open(run).rundir.checkpoint_path(20)
    path.write_bytes(path.read_bytes()[:-1])
    assert run_command(["verify", str(run / "ckpts")]) == 2
    said = capsys.readouterr().err
    assert f"{path.name} does not match its checksum" in said
    assert said.splitlines()[-1] == "1 disagree"


def test_verify_takes_a_folder_of_runs(trained, tmp_path, capsys):
    for name in "ab":
        shutil.copytree(trained, tmp_path / name)
    (tmp_path / "b" / "split.safetensors").unlink()
    assert run_command(["verify", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"verifying {tmp_path / 'a'}" in said
    assert "split.safetensors is missing" in said


def test_train_from_says_that_the_bytes_are_the_same(trained, tmp_path, capsys):
    assert run_command(["train", "--from", str(trained), "--out", str(tmp_path / "twin")]) == 0
    assert f"have the bytes of {trained}" in capsys.readouterr().err


def test_train_from_names_what_is_otherwise(trained, tmp_path, capsys):
    run = gi.open(shutil.copytree(trained, tmp_path / "run"))
    path = run.rundir.checkpoint_path(20)
    path.write_bytes(path.read_bytes()[:-1])
    about = run.rundir.read_provenance()
    run.rundir.write_provenance(about | {"python": "2.7"})
    assert run_command(["train", "--from", str(run.path), "--out", str(tmp_path / "twin")]) == 1
    said = capsys.readouterr().err
    assert "warning: python was 2.7 and is " in said
    assert "differs from" in said
    assert "first in ckpts/step_00000020.safetensors" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ci"], "leave out the preset"),
        (["--replicas", "2"], "leave out --replicas"),
        (["--task.p", "11"], "leave out the other flags"),
        (["--device", "cpu"], "leave out the other flags"),
    ],
)
def test_what_would_change_the_run_is_refused(trained, tmp_path, words, says, capsys):
    assert run_command(["train", *words, "--from", str(trained), "--out", str(tmp_path / "twin")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "twin").exists()


def test_a_place_must_be_said_and_a_run_be_there(trained, tmp_path, capsys):
    assert run_command(["train", "--from", str(trained)]) == 2
    assert "--out" in capsys.readouterr().err
    assert run_command(["train", "--from", str(tmp_path / "none"), "--out", str(tmp_path / "twin")]) == 2
    assert "nothing at" in capsys.readouterr().err
