"""`verify` and `train --from` on the command line."""

import json
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


def test_verify_as_json_has_each_check_of_each_run_and_the_same_status(trained, tmp_path, capsys):
    for name in "ab":
        shutil.copytree(trained, tmp_path / name)
    (tmp_path / "b" / "split.safetensors").unlink()
    assert run_command(["verify", str(tmp_path), "--json"]) == 2
    rows = json.loads(capsys.readouterr().out)
    assert {row["run"] for row in rows} == {str(tmp_path / name) for name in "ab"}
    assert not any(row["problems"] for row in rows if row["run"] == str(tmp_path / "a"))
    (split,) = (row for row in rows if row["run"] == str(tmp_path / "b") and row["check"] == "split")
    assert "split.safetensors is missing" in split["problems"][0]
    assert run_command(["verify", str(tmp_path / "a"), "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_runs_of_one_name_in_two_folders_have_their_tables_apart(trained, tmp_path, capsys):
    for place in ("one/a", "two/a", "b"):
        shutil.copytree(trained, tmp_path / "runs" / place, ignore=shutil.ignore_patterns("measures"))
    out = tmp_path / "out"
    assert run_command(["analyze", str(tmp_path / "runs"), "--only", "weight_norm", "--out", str(out)]) == 0
    for place in ("one/a", "two/a", "b"):
        assert (out / place / "measures" / "weight_norm.parquet").exists()
    assert sorted(path.name for path in out.iterdir()) == ["b", "one", "two"]
    assert run_command(["figures", str(tmp_path / "runs"), "--out", str(out)]) == 0
    assert (out / "two" / "a" / "figures" / "weight_norm.png").exists()
    assert run_command(["verify", str(tmp_path / "runs"), "--out", str(out)]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "everything agrees"


def test_a_run_that_cannot_be_opened_is_one_of_a_folders_problems(trained, tmp_path, capsys):
    for name in "ab":
        shutil.copytree(trained, tmp_path / name)
    (tmp_path / "a" / "config.json").write_text("{")
    assert run_command(["verify", str(tmp_path), "--json"]) == 2
    rows = json.loads(capsys.readouterr().out)
    (config,) = (row for row in rows if row["run"] == str(tmp_path / "a"))
    assert (config["check"], len(config["problems"])) == ("config", 1)
    assert {row["check"] for row in rows if row["run"] == str(tmp_path / "b")} >= {"checkpoints", "losses"}
    assert run_command(["verify", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "1 disagree"


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
