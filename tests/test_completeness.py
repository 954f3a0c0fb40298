"""A checkpoint that is lost, lines of the log that do not belong: named, with a way back to a clean `verify`."""

import json
import re
import shutil

import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp import completeness
from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.runs.rundir import RunDir
from grokinterp.training.stop import Interrupted
from grokinterp.training.trainer import Trainer
from grokinterp.verify import verify

MIDDLE = 20


def problems(run: gi.Run) -> list[str]:
    return [problem for check in verify(gi.open(run.path)) for problem in check.problems]


def said(run: gi.Run, name: str) -> str:
    return next(check.said for check in verify(gi.open(run.path)) if check.name == name)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    run = gi.train(small_config(), tmp_path_factory.mktemp("sound") / "run", show_progress=False)
    gi.analyze(run, ["accuracy_loss", "weight_norm"], show_progress=False)
    return run


@pytest.fixture
def run(sound, tmp_path):
    return gi.open(shutil.copytree(sound.path, tmp_path / "run"))


def damage(run: gi.Run, how: str, step: int = MIDDLE) -> None:
    path = run.rundir.checkpoint_path(step)
    if how == "deleted":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("how", ["deleted", "truncated"])
def test_a_lost_checkpoint_is_named_once_with_both_ways_back(run, how):
    damage(run, how)
    (problem,) = problems(run)
    assert f"step_{MIDDLE:08d}" in problem
    assert f"`grokinterp train --from {run.path} --out NEW`" in problem
    assert f"`grokinterp forget {run.path}`" in problem


@pytest.mark.parametrize("how", ["deleted", "truncated"])
def test_after_forget_verify_says_what_is_lost_and_finds_no_fault(run, how, capsys):
    damage(run, how)
    assert run_command(["forget", str(run.path)]) == 0
    assert "step 20" in capsys.readouterr().err
    assert problems(run) == []
    assert "1 recorded as lost: step 20" in said(run, "checkpoints")
    assert MIDDLE not in gi.open(run.path).steps
    assert run_command(["analyze", str(run.path), "--only", "weight_norm"]) == 0
    assert problems(run) == []
    assert run_command(["forget", str(run.path)]) == 0
    assert "no checkpoint" in capsys.readouterr().err


def test_a_planned_checkpoint_without_a_checksum_is_forgotten_too(run):
    damage(run, "deleted")
    checksums = run.rundir.read_checksums()
    run.rundir.write_checksums({n: d for n, d in checksums.items() if n != run.rundir.checkpoint_path(MIDDLE).name})
    (problem,) = problems(run)
    assert f"`grokinterp forget {run.path}`" in problem
    assert completeness.forget(gi.open(run.path)) == [MIDDLE]
    assert problems(run) == []


@pytest.mark.parametrize("how", ["deleted", "truncated"])
def test_train_from_gives_the_checkpoint_back_and_says_where_to_copy_it(run, how, tmp_path, capsys):
    damage(run, how)
    twin = tmp_path / "twin"
    assert run_command(["train", "--from", str(run.path), "--out", str(twin)]) == 1
    again, lost = twin / "ckpts" / f"step_{MIDDLE:08d}.safetensors", run.rundir.checkpoint_path(MIDDLE)
    assert f"copy it to {lost}" in capsys.readouterr().err
    shutil.copy(again, lost)
    assert problems(run) == []
    assert problems(gi.open(twin)) == []


def test_a_forgotten_checkpoint_that_turns_up_again_is_no_longer_lost(run, sound):
    damage(run, "truncated")
    assert completeness.forget(run) == [MIDDLE]
    shutil.copy(sound.rundir.checkpoint_path(MIDDLE), run.rundir.checkpoint_path(MIDDLE))
    assert problems(run) == []
    assert "lost" not in said(run, "checkpoints")


def test_an_unfinished_run_goes_on_without_the_checkpoint_that_was_forgotten(tmp_path, monkeypatch, sound):
    update = Trainer.update

    def stopped(trainer):
        if trainer.step == 35:
            raise Interrupted(35)
        update(trainer)

    monkeypatch.setattr(Trainer, "update", stopped)
    config = small_config()
    with pytest.raises(Interrupted):
        gi.train(config, tmp_path / "run", show_progress=False)
    monkeypatch.undo()
    rundir = RunDir(tmp_path / "run")
    early = rundir.steps()[1]
    rundir.checkpoint_path(early).unlink()
    with pytest.raises(GrokinterpError, match=r"is missing in .*or go on without it after `grokinterp forget"):
        gi.train(config, rundir.root, show_progress=False)
    assert completeness.forget(gi.open(rundir.root)) == [early]
    run = gi.train(config, rundir.root, show_progress=False)
    assert problems(run) == []
    assert f"recorded as lost: step {early}" in said(run, "checkpoints")
    assert run.steps == [step for step in sound.steps if step != early]
    assert run.rundir.metrics_path.read_bytes() == sound.rundir.metrics_path.read_bytes()


def test_a_recorded_run_has_no_training_to_repeat_and_can_forget(tmp_path):
    config = small_config()
    model = gi.build_model(config)
    with gi.record(tmp_path / "own", config) as recorder:
        for step in (0, 10, 20):
            recorder.save(step, model)
    run = gi.open(tmp_path / "own")
    damage(run, "truncated", 10)
    (problem,) = problems(run)
    assert "--from" not in problem
    assert completeness.forget(run) == [10]
    assert problems(run) == []


def test_a_run_without_one_sound_checkpoint_is_left_alone(run):
    run.rundir.write_checksums(dict.fromkeys(run.rundir.read_checksums(), "0" * 64))
    steps = run.steps
    with pytest.raises(GrokinterpError, match="grokinterp verify"):
        completeness.forget(run)
    assert run.steps == steps
    assert not run.rundir.lost_path.exists()


def test_a_sound_run_has_nothing_to_forget(run):
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path.name != "lock"}
    assert completeness.forget(run) == []
    after = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path.name != "lock"}
    assert after == before


@pytest.mark.parametrize("text", ["{", "[]", '{"steps": 3}', '{"steps": ["20"]}'])
def test_a_damaged_record_of_what_is_lost_is_named(run, text):
    run.rundir.lost_path.write_text(text)
    assert any("lost.json" in problem for problem in problems(run))


def lines_of(run: gi.Run) -> list[str]:
    return run.rundir.metrics_path.read_text().splitlines(keepends=True)


def line(step: int, **changes) -> str:
    row = {"step": step, "train_loss": 1.0, "test_loss": 1.0, "train_accuracy": 0.5, "test_accuracy": 0.5}
    row = row | {"weight_norm": 1.0} | changes
    return json.dumps({name: value for name, value in row.items() if value != "left out"}) + "\n"


@pytest.mark.parametrize(
    ("at", "junk", "says"),
    [
        (-1, "garbage\n", "line 6 of .* is damaged; delete that line"),
        (-1, "\x00\x00\n", "line 6 of .* is damaged; delete that line"),
        (-1, '{"step": 40, "train_lo', "line 6 of .* is damaged; delete that line"),
        (-1, "{}\n", "line 6 of .* is damaged; delete that line"),
        (2, "garbage\n", "line 3 of .* is damaged; delete that line"),
        (2, line(20, train_loss="low"), "line 3 of .* is damaged; delete that line"),
        (2, line(15), "line 3 of .* is of step 15, at which nothing is evaluated; delete that line"),
        (-1, line(50), "line 6 of .* is of step 50, at which nothing is evaluated; delete that line"),
        (-1, line(41), "line 6 of .* is of step 41, at which nothing is evaluated; delete that line"),
        (0, line(-10), "line 1 of .* is of step -10, at which nothing is evaluated; delete that line"),
    ],
)
def test_a_line_of_the_log_that_does_not_belong_is_named_and_deleting_it_mends_the_run(run, at, junk, says):
    lines = lines_of(run)
    lines.insert(at if at >= 0 else len(lines), junk)
    run.rundir.metrics_path.write_text("".join(lines))
    found = problems(run)
    assert any(re.search(says, problem) for problem in found), found
    lines.remove(junk)
    run.rundir.metrics_path.write_text("".join(lines))
    assert problems(run) == []


@pytest.mark.parametrize(
    ("changes", "says"), [({"test_loss": "left out"}, "lacks test_loss"), ({"x": 1}, "also has x")]
)
def test_a_line_with_other_columns_is_named(run, changes, says):
    lines = lines_of(run)
    row = json.loads(lines[2]) | changes
    lines[2] = json.dumps({name: value for name, value in row.items() if value != "left out"}) + "\n"
    run.rundir.metrics_path.write_text("".join(lines))
    (problem,) = problems(run)
    assert says in problem
    assert problem.startswith("line 3 of")


def test_half_a_line_of_a_run_that_was_killed_is_said_and_no_fault(run):
    lines = lines_of(run)
    run.rundir.metrics_path.write_text("".join(lines[:-1]) + lines[-1][:30])
    run.rundir.checkpoint_path(40).unlink()
    run.rundir.write_checksums(
        {n: d for n, d in run.rundir.read_checksums().items() if n != run.rundir.checkpoint_path(40).name}
    )
    for path in (run.rundir.phases_path, run.rundir.summary_path):
        path.unlink()
    shutil.rmtree(run.rundir.measures)
    assert problems(run) == []
    assert "half a line of a process that was killed" in said(run, "log")


def test_a_run_killed_before_its_last_checksum_goes_on_and_writes_it(run):
    checksums = run.rundir.read_checksums()
    *others, last = checksums
    run.rundir.write_checksums({name: checksums[name] for name in others})
    gi.train(run.config, run.path, show_progress=False)
    assert run.rundir.read_checksums() == checksums
    assert last == run.rundir.checkpoint_path(run.steps[-1]).name


@pytest.mark.parametrize("content", ["", "garbage\n"])
def test_a_lost_log_is_named_with_what_has_it_and_analysis_does_not_replace_the_summary(run, content, capsys):
    summary = run.rundir.summary_path.read_bytes()
    run.rundir.metrics_path.write_text(content)
    assert any(f"metrics.jsonl of `grokinterp train --from {run.path} --out NEW`" in said for said in problems(run))
    assert run_command(["analyze", str(run.path)]) == 2
    assert "metrics.jsonl is gone or empty, before the checkpoint of step" in capsys.readouterr().err
    assert run.rundir.summary_path.read_bytes() == summary


@pytest.mark.parametrize("content", ['{"x":', "[]", '{"step_00000000.safetensors": 5}'])
def test_damaged_checksums_are_not_blamed_on_the_checkpoints(run, content, capsys):
    run.rundir.checksums_path.write_text(content)
    assert run_command(["forget", str(run.path)]) == 2
    assert "checksums.json" in capsys.readouterr().err
    assert gi.open(run.path).steps == run.steps


def test_checksums_that_are_gone_are_one_problem(run):
    run.rundir.checksums_path.unlink()
    (problem,) = problems(run)
    assert "checksums.json is gone or empty; restore it from a copy, or copy checksums.json of" in problem


def test_the_last_checkpoint_is_not_forgotten(run, capsys):
    shutil.rmtree(run.rundir.ckpts)
    assert run_command(["forget", str(run.path)]) == 2
    assert "no sound checkpoint" in capsys.readouterr().err
    assert not run.rundir.lost_path.exists()
