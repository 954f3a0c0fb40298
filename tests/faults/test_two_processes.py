"""Two processes on one run directory: whoever would write what the other writes is refused at once."""

import json
import subprocess
import sys
import time

import pytest

from faults.server import content
from faults.test_kills import goes_on

HOLD = """
import sys
from pathlib import Path
from grokinterp.runs.files import locked
with locked(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    sys.stdin.read()
"""

SLOWLY = """
import time
from grokinterp.training.trainer import Trainer
update = Trainer.update
def slow(trainer):
    if trainer.step == 30:
        Path = __import__("pathlib").Path
        Path("waiting").touch()
        while not Path("go").exists():
            time.sleep(0.01)
    update(trainer)
Trainer.update = slow
"""
"""Training waits at step 30 until there is a file `go`."""


@pytest.mark.parametrize(
    ("name", "lock"),
    [("train", "run/lock"), ("resume", "run/lock"), ("analyze", "run/measures/lock")],
)
def test_the_second_is_refused_at_once_and_changes_nothing(name, lock, server, stages, tmp_path, fault):
    stage = stages[name]
    work = stage.start(tmp_path)
    command = [sys.executable, "-c", HOLD, str(work / lock)]
    with (
        fault(f"a second process: {name}"),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder,
    ):
        assert holder.stdout.readline() == "held\n"
        before = content(work)
        answer = server(stage.words, work)
        assert answer["status"] == 2
        assert f"is in use by another process (pid {holder.pid})" in answer["err"]
        assert len(answer["err"].splitlines()) == 1
        assert content(work) == before
        holder.kill()
        holder.wait()
        goes_on(server, stage, work)


def test_analysis_beside_training_reads_what_is_there_and_is_completed_later(server, stages, tmp_path, fault):
    """Analysis takes no lock of training's: a long run is looked at while it goes on."""
    work = stages["train"].start(tmp_path)
    script = f"{SLOWLY}\nimport sys\nfrom grokinterp.cli import main\nmain()"
    command = [sys.executable, "-c", script, *stages["train"].words]
    with (
        fault("analyze beside train"),
        subprocess.Popen(command, cwd=work, stderr=subprocess.PIPE, text=True) as training,
    ):
        deadline = time.monotonic() + 60
        while not (work / "waiting").exists():
            assert training.poll() is None, training.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        analyze = ["analyze", "run", "--only", "accuracy_loss,weight_norm"]
        answer = server(analyze, work)
        assert answer["status"] == 0, answer["err"]
        assert json.loads((work / "run" / "summary.json").read_text())["last_step"] == 30
        refused = server(stages["resume"].words, work)
        assert (refused["status"], "in use by another process" in refused["err"]) == (2, True)
        (work / "go").touch()
        assert training.wait(timeout=60) == 0
        assert server(analyze, work)["status"] == 0
        found = content(work)
        for name, expected in stages["analyze"].after.items():
            if "accuracy_loss" in name or "weight_norm" in name or name in stages["train"].after:
                assert found[name] == expected, name
        assert server(["verify", "run"], work)["status"] == 0


RACE = """
from grokinterp.training import loop
from grokinterp.runs.rundir import RunDir
locked = loop.locked
def late(path, what):
    config = open("other.json").read()
    RunDir("run").config_path.parent.mkdir(exist_ok=True)
    RunDir("run").config_path.write_text(config)
    return locked(path, what)
loop.locked = late
"""
"""Another process begins a run between the look into the folder and the lock."""


def test_who_comes_between_the_look_and_the_lock_keeps_the_folder(server, stages, tmp_path, fault):
    stage = stages["train"]
    work = stage.start(tmp_path)
    other = json.loads(stage.after["run/config.json"])
    other["task"]["split_seed"] = 7
    (work / "other.json").write_text(json.dumps(other))
    with fault("a second process: between the look and the lock"):
        answer = server(stage.words, work, patch=RACE)
        assert answer["status"] == 2
        assert "holds a run of another config (task.split_seed is 7 there and 0 here)" in answer["err"]
        assert json.loads((work / "run" / "config.json").read_text()) == other
