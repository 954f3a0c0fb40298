"""Run directories of an earlier schema are read by every command; those of a later one are refused by each."""

import json
import shutil
from pathlib import Path

import pytest

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.verify import verify

OLD = Path(__file__).with_name("data") / "schema_1"
KEPT = sorted(path.name for path in OLD.iterdir())


@pytest.fixture
def old(tmp_path):
    """Copies of the stored run directories."""
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def test_there_is_one_of_each_kind():
    assert KEPT == ["finished", "recorded", "unfinished"]
    for name in KEPT:
        assert json.loads((OLD / name / "config.json").read_text())["schema_version"] == 1


@pytest.mark.parametrize("name", KEPT)
def test_everything_in_it_is_read(name, old):
    run = gi.open(old / name)
    assert run.task.name == "x+y mod 5"
    assert run.train_mask.sum() == 15
    assert set(run.steps) >= {0}
    for step in run.steps:
        assert run.weights(step)["embed.W_E"].shape == (6, 8)
        assert run.snapshot(step).logits.shape == (5, 5, 5)
    assert run.metrics["step"].tolist()[0] == 0
    assert run.phases.censored
    model = run.model()
    assert model.cfg.d_model == 8


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("command", ["show", "analyze", "verify"])
def test_each_command_takes_it(name, command, old, capsys):
    only = ["--only", "accuracy_loss,weight_norm,embedding_spectrum"] if command == "analyze" else []
    status = run_command([command, str(old / name), *only])
    said = capsys.readouterr().err
    assert status == 0 or (command == "verify" and name == "recorded"), said
    assert "Traceback" not in said


def test_tables_figures_and_report_of_then_are_drawn_now(old):
    run = gi.open(old / "finished")
    assert sorted(set(run.table("weight_norm")["step"])) == run.steps
    assert len(run.table("embedding_spectrum.components")) > 0
    assert run_command(["figures", str(run.path), "--only", "weight_norm"]) == 0
    assert (run.path / "figures" / "weight_norm.png").stat().st_size > 1000
    assert run_command(["report", str(run.path)]) == 0
    assert "coset_purity" in (run.path / "report.html").read_text()


@pytest.mark.parametrize("name", ["finished", "unfinished"])
def test_its_checkpoints_losses_task_and_split_verify(name, old):
    checks = {check.name: check.problems for check in verify(gi.open(old / name))}
    assert not any(checks[name] for name in ("origin", "checkpoints", "task", "split", "log", "losses"))


def test_training_goes_on_from_its_resume_file(old):
    run = gi.open(old / "unfinished")
    before = {path.name: path.read_bytes() for path in run.rundir.ckpts.iterdir()}
    lines = run.rundir.metrics_path.read_text()
    run = gi.train(run.config, run.path, show_progress=False)
    assert run.steps == [0, 1, 20, 40]
    for name in ("step_00000000.safetensors", "step_00000001.safetensors"):
        assert (run.rundir.ckpts / name).read_bytes() == before[name]
    assert run.rundir.metrics_path.read_text().startswith(lines.partition('{"step": 20')[0])
    assert not [check.problems for check in verify(run) if check.problems]


def test_a_finished_one_is_reused_and_repeated(old, tmp_path, capsys):
    run = gi.open(old / "finished")
    assert gi.train(run.config, run.path, show_progress=False).steps == run.steps
    assert run_command(["train", "--from", str(run.path), "--out", str(tmp_path / "twin")]) in (0, 1)
    assert "Traceback" not in capsys.readouterr().err
    assert gi.open(tmp_path / "twin").steps == run.steps


COMMANDS = ("analyze", "figures", "report", "show", "verify")


@pytest.mark.parametrize("version", [2, 99, 10**30])
def test_a_newer_schema_is_refused_by_every_command_and_nothing_changes(version, old, tmp_path, capsys):
    path = old / "finished" / "config.json"
    (tmp_path / "same.toml").write_text(gi.open(old / "finished").config.to_toml())
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": version}))
    before = {file: file.read_bytes() for file in old.rglob("*") if file.is_file()}
    commands = [[command, str(path.parent)] for command in COMMANDS]
    commands += [["train", "--from", str(path.parent), "--out", str(tmp_path / "twin")]]
    commands += [["train", "--config", str(tmp_path / "same.toml"), "--out", str(path.parent), "--resume"]]
    for command in commands:
        assert run_command(command) == 2, command
        said = capsys.readouterr().err
        assert f"has schema_version {version}" in said
        assert "upgrade grokinterp" in said
    assert {file: file.read_bytes() for file in old.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("version", [0, -1, "one", None, 1.5, True, [1]])
def test_what_is_no_schema_version_is_refused(version, old, capsys):
    path = old / "finished" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": version}))
    assert run_command(["show", str(path.parent)]) == 2
    said = capsys.readouterr().err
    assert "schema_version" in said
    assert len(said.splitlines()) == 1
