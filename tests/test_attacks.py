"""Attacks that once lost data, gave wrong numbers in silence, or ended in a traceback."""

import json

import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import read_resume, write_resume
from grokinterp.training.loop import train_run
from grokinterp.training.stop import Interrupted

MINE = """
from grokinterp import Column, Measure, Part
{extra}
def compute(snapshot, *, params):
    {body}
    return [{{"x": 1.0}}]

MEASURE = Measure({name!r}, "A number.", "none", {{"": Part({{"x": Column("it")}}, compute)}}, plot=None)
"""


@pytest.fixture
def run(tmp_path):
    return gi.train(small_config(), tmp_path / "run", show_progress=False)


@pytest.fixture
def unfinished(tmp_path, monkeypatch):
    """A run that was asked to stop at step 24, with a resume file."""
    from grokinterp.training import loop

    rundir, config = RunDir(tmp_path / "half"), small_config()
    update = loop.Trainer.update

    def stop_at_24(trainer):
        if trainer.step == 24:
            raise Interrupted(24)
        update(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Trainer, "update", stop_at_24)
        with pytest.raises(Interrupted):
            train_run(config, rundir, show_progress=False)
    assert rundir.resume_path.exists()
    return rundir


@pytest.mark.parametrize("name", ["../config", "../../config", "", "a/b", "embedding_spectrum.components", "a b"])
def test_a_measure_named_like_a_path_is_refused_and_writes_nothing(run, tmp_path, name, capsys):
    before = run.rundir.config_path.read_bytes()
    (tmp_path / "mine.py").write_text(MINE.format(name=name, extra="", body="pass"))
    assert run_command(["analyze", str(run.path), "--measure-file", str(tmp_path / "mine.py")]) == 2
    assert "cannot name a measure" in capsys.readouterr().err
    assert run.rundir.config_path.read_bytes() == before


@pytest.mark.parametrize("body", ["raise SystemExit(0)", "raise MemoryError", "open('/nope/data.csv')"])
def test_whatever_a_measure_raises_it_fails_alone_with_status_1(run, tmp_path, body, capsys):
    (tmp_path / "mine.py").write_text(MINE.format(name="mine", extra="", body=body))
    command = ["analyze", str(run.path), "--only", "accuracy_loss", "--measure-file", str(tmp_path / "mine.py")]
    assert run_command(command) == 1
    assert "failed mine" in capsys.readouterr().err
    assert sorted(run.table("accuracy_loss")["step"].unique()) == run.steps


def test_a_measure_file_that_exits_on_import_is_refused(run, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(MINE.format(name="mine", extra="import sys; sys.exit(0)", body="pass"))
    assert run_command(["analyze", str(run.path), "--measure-file", str(tmp_path / "mine.py")]) == 2
    assert "fails to import" in capsys.readouterr().err


@pytest.mark.parametrize("spoil", ["step", "shape", "list", "incomplete"])
def test_a_resume_file_of_something_else_is_refused(unfinished, spoil):
    state = read_resume(unfinished)
    spoiled = {
        "step": {**state, "step": 1000},
        "shape": {**state, "weights": {name: w[..., :1] for name, w in state["weights"].items()}},
        "list": [1, 2],
        "incomplete": {"step": 5},
    }[spoil]
    write_resume(unfinished, spoiled)
    steps = unfinished.steps()
    with pytest.raises(gi.GrokinterpError, match=r"resume\.pt"):
        gi.train(small_config(), unfinished.root, show_progress=False)
    assert unfinished.steps() == steps


@pytest.mark.parametrize("lost", ["line", "checkpoint"])
def test_a_run_with_something_missing_does_not_go_on_as_if_complete(unfinished, lost):
    if lost == "line":
        lines = unfinished.metrics_path.read_text().splitlines(keepends=True)
        unfinished.metrics_path.write_text("".join(lines[:1]))
    else:
        unfinished.checkpoint_path(10).unlink()
    with pytest.raises(gi.GrokinterpError, match="step 10 is missing"):
        gi.train(small_config(), unfinished.root, show_progress=False)


@pytest.mark.parametrize("text", ["null", "[]", "5", "[" * 100_000])
@pytest.mark.parametrize("name", ["checksums.json", "provenance.json", "summary.json"])
def test_json_of_the_wrong_kind_is_one_sentence_or_no_matter_and_deletes_nothing(unfinished, name, text, capsys):
    (unfinished.root / name).write_text(text)
    steps = unfinished.steps()
    config = unfinished.root / "config.toml"
    config.write_text(small_config().to_toml())
    for command in (["analyze", str(unfinished.root)], ["show", str(unfinished.root)]):
        assert run_command(command) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err
    status = run_command(["train", "--config", str(config), "--out", str(unfinished.root), "--resume"])
    assert status in (0, 2)
    assert set(steps) <= set(unfinished.steps())


def test_a_diverged_checkpoint_is_named_and_the_others_are_measured(run, capsys):
    from grokinterp.runs.tensors import write_checkpoint

    last = run.steps[-1]
    broken = {name: torch.full_like(w, torch.nan) for name, w in run.weights(last).items()}
    write_checkpoint(run.rundir, last + 1, broken)
    assert run_command(["analyze", str(run.path), "--only", "accuracy_loss,progress_measures"]) == 2
    assert f"step {last + 1} holds weights that are not numbers" in capsys.readouterr().err
    assert run.table("progress_measures")["step"].max() == last


def test_a_bad_run_in_a_folder_is_named_and_the_others_are_analyzed(tmp_path, capsys):
    for name in ("a", "b", "c"):
        gi.train(small_config(), tmp_path / "runs" / name, show_progress=False)
    (tmp_path / "runs" / "b" / "task.safetensors").write_bytes(b"")
    assert run_command(["analyze", str(tmp_path / "runs"), "--only", "weight_norm"]) == 2
    assert "b: " in capsys.readouterr().err
    for name in ("a", "c"):
        assert len(gi.open(tmp_path / "runs" / name).table("weight_norm"))


def test_figures_say_which_table_is_of_the_wrong_kind(run, capsys):
    assert run_command(["analyze", str(run.path), "--only", "accuracy_loss,weight_norm"]) == 0
    run.rundir.table_path("accuracy_loss").write_bytes(run.rundir.table_path("weight_norm").read_bytes())
    for command in ("figures", "show", "report"):
        assert run_command([command, str(run.path)]) in (0, 2)
    assert "has no column" in capsys.readouterr().err
    run.rundir.table_path("accuracy_loss").unlink()
    run.rundir.table_path("accuracy_loss").mkdir()
    assert run_command(["figures", str(run.path)]) == 2


@pytest.mark.parametrize("step", [-1, 1.5, "3", None])
def test_a_step_that_is_none_is_not_recorded(tmp_path, step):
    config = small_config()
    with gi.record(tmp_path / "own", config) as recorder, pytest.raises(gi.GrokinterpError, match="step"):
        recorder.save(step, gi.build_model(config))


def test_numpy_steps_and_metrics_are_recorded(tmp_path):
    import numpy as np

    config = small_config()
    with gi.record(tmp_path / "own", config) as recorder:
        for step in np.arange(0, 20, 10):
            recorder.save(step, gi.build_model(config), {"train_loss": np.float32(1.5)})
        with pytest.raises(gi.GrokinterpError, match="cannot be recorded"):
            recorder.save(30, gi.build_model(config), {"train_loss": float("nan")})
        with pytest.raises(gi.GrokinterpError, match="'low' cannot be recorded"):
            recorder.save(30, gi.build_model(config), {"train_loss": "low"})
    assert gi.open(tmp_path / "own").steps == [0, 10]
    lines = (tmp_path / "own" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 10]


@pytest.mark.parametrize("name", ["..", " ", "a\nb", "\x00x"])
def test_a_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(gi.GrokinterpError, match="name"):
        small_config(name=name)
