"""Trackers see what metrics.jsonl holds, each step once, and the run is the same with and without them."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.trackers import Tracker, choose_trackers
from grokinterp.training.stop import Interrupted
from grokinterp.training.trainer import Trainer

CONFIG = small_config(train={"steps": 40, "eval_every": 3, "resume_every": 7})
ROWS = [*range(0, 40, 3), 40]


class Diary:
    """A tracker of one's own: all that it was told."""

    def __init__(self) -> None:
        self.told = []

    def start(self, folder, config):
        self.told.append(("start", folder, config["name"]))

    def log(self, step, metrics):
        self.told.append((step, metrics))

    def finish(self):
        self.told.append("finish")


class Failing(Diary):
    name = "failing"

    def __init__(self, method, at=0) -> None:
        super().__init__()
        self.method, self.at = method, at

    def start(self, folder, config):
        super().start(folder, config)
        if self.method == "start":
            raise RuntimeError("no room")

    def log(self, step, metrics):
        super().log(step, metrics)
        metrics.clear()  # which touches nobody else's
        if self.method == "log" and step >= self.at:
            raise OSError("no room\nat all")

    def finish(self):
        super().finish()
        if self.method == "finish":
            raise ValueError("no room")


def rows_of(run) -> list[tuple[int, dict[str, float]]]:
    lines = [json.loads(line) for line in run.rundir.metrics_path.read_text().splitlines()]
    return [(row.pop("step"), row) for row in lines]


def files_of(folder: Path) -> dict[str, bytes]:
    """All that training writes; the lock holds a process, and resume.pt is a zip with its time of writing."""
    paths = (p for p in folder.rglob("*") if p.is_file() and p.relative_to(folder).parts[0] != "tracking")
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths if p.name not in ("lock", "resume.pt")}


def interrupted_at(step, monkeypatch, folder, track):
    """Train until a crash before this step's update."""

    def update(trainer, real=Trainer.update):
        if trainer.step == step:
            raise KeyboardInterrupt
        real(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", update)
        with pytest.raises((KeyboardInterrupt, Interrupted)):
            gi.train(CONFIG, folder, show_progress=False, track=track)


@pytest.fixture(scope="module")
def untracked(tmp_path_factory):
    return gi.train(CONFIG, tmp_path_factory.mktemp("untracked") / "run", show_progress=False)


def test_an_object_of_ones_own_is_told_what_the_log_holds(tmp_path, untracked):
    diary = Diary()
    assert isinstance(diary, Tracker)
    run = gi.train(CONFIG, tmp_path / "run", show_progress=False, track=diary)
    assert diary.told == [("start", tmp_path / "run" / "tracking", "small"), *rows_of(run), "finish"]
    assert [step for step, _ in rows_of(run)] == ROWS
    assert files_of(run.path) == files_of(untracked.path)
    assert not run.rundir.tracking.exists()


@pytest.mark.parametrize(("method", "at"), [("start", 0), ("log", 0), ("log", 12), ("finish", 0)])
def test_a_tracker_that_fails_is_named_once_and_sinks_nothing(method, at, tmp_path, untracked, capsys):
    failing, diary = Failing(method, at), Diary()
    run = gi.train(CONFIG, tmp_path / "run", show_progress=False, track=[failing, diary])
    assert diary.told[1:-1] == rows_of(run)
    assert files_of(run.path) == files_of(untracked.path)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("the tracker failing failed (")
    assert "no room" in said[0]
    assert said[0].endswith("the run goes on without it")
    last = {"start": ("start", tmp_path / "run" / "tracking", "small"), "log": (at, {}), "finish": "finish"}
    assert failing.told[-1] == last[method]


def test_going_on_tells_each_step_once_from_the_first(tmp_path, monkeypatch, untracked):
    interrupted_at(25, monkeypatch, tmp_path / "run", None)  # resume.pt of step 21; rows up to 24
    diary = Diary()
    run = gi.train(CONFIG, tmp_path / "run", show_progress=False, track=diary)
    assert diary.told[1:-1] == rows_of(run) == rows_of(untracked)
    again = Diary()
    assert gi.train(CONFIG, tmp_path / "run", show_progress=False, track=again).path == run.path
    assert again.told == diary.told  # of a finished run as well


@pytest.mark.parametrize(
    ("track", "sentence"),
    [
        ("tensorbord", "'tensorbord' is not a tracker; did you mean tensorboard?"),
        (["wandb", "x"], "'x' is not a tracker; choose from tensorboard, wandb"),
        ("tensorboard,wandb", "give --track once for each"),
        ([3], "track=3 is no tracker"),
        (5, "track=5 is no tracker"),
        ([dict], "is no tracker; give 'tensorboard' or 'wandb', or an object with the methods start"),
        ([Diary], "is no tracker"),
    ],
)
def test_what_is_no_tracker_is_refused(track, sentence):
    with pytest.raises(GrokinterpError, match=sentence):
        choose_trackers(track)


def test_it_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(GrokinterpError, match="did you mean wandb"):
        gi.train(CONFIG, tmp_path / "run", show_progress=False, track="wanb")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_package_is_one_sentence_with_its_command_before_training(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, name, None)
    assert run_command(["train", "ci", "--out", str(tmp_path / "run"), "--track", name]) == 2
    said = capsys.readouterr().err
    assert f'--track {name} needs the package {name}; run: pip install "grokinterp[{name}]"' in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_name_given_twice_is_one_tracker():
    assert [one.name for one in choose_trackers(["wandb", "wandb", "tensorboard"])] == ["wandb", "tensorboard"]


# TensorBoard -------------------------------------------------------------------------------------


def scalars(run) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads from the folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.rundir.tracking / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def as_scalars(run) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for step, metrics in rows_of(run):
        for name, value in metrics.items():
            found.setdefault(name, []).append((step, struct.unpack("f", struct.pack("f", value))[0]))
    return found


@pytest.fixture
def tensorboard():
    return pytest.importorskip(
        "tensorboard", reason="tensorboard is not installed (pip install grokinterp[tensorboard])"
    )


def test_tensorboard_reads_the_metrics_back(tensorboard, tmp_path, untracked, capsys):
    run = gi.train(CONFIG, tmp_path / "run", show_progress=False, track="tensorboard")
    assert scalars(run) == as_scalars(run)
    assert len(scalars(run)["test_loss"]) == len(ROWS)
    assert files_of(run.path) == files_of(untracked.path)
    assert capsys.readouterr().err == ""


def test_a_resumed_run_has_each_step_once_in_tensorboard(tensorboard, tmp_path, monkeypatch):
    interrupted_at(25, monkeypatch, tmp_path / "run", "tensorboard")
    halted = scalars(gi.open(tmp_path / "run"))["train_loss"]
    assert halted[-1][0] == 24  # three steps past what training goes on from
    run = gi.train(CONFIG, tmp_path / "run", show_progress=False, track="tensorboard")
    assert scalars(run) == as_scalars(run)
    assert len(list((run.rundir.tracking / "tensorboard").iterdir())) == 1


def test_the_command_line_tracks_too(tensorboard, tmp_path):
    (tmp_path / "c.toml").write_text(CONFIG.to_toml())
    command = ["train", "--config", str(tmp_path / "c.toml"), "--out", str(tmp_path / "run"), "--track", "tensorboard"]
    assert run_command(command) == 0
    run = gi.open(tmp_path / "run")
    assert scalars(run) == as_scalars(run)
    assert run.config == CONFIG
    assert run_command(["verify", str(run.path)]) == 0


# wandb -------------------------------------------------------------------------------------------

OFFLINE = """
import socket, sys

connect = socket.socket.connect

def local_only(self, address):
    assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"), address
    return connect(self, address)

def refuse(*args, **kwargs):
    raise AssertionError(f"a look-up of {args}")

socket.socket.connect, socket.getaddrinfo = local_only, refuse
import grokinterp as gi

gi.train(gi.RunConfig.from_json(sys.argv[1]), sys.argv[2], show_progress=False, track="wandb")
"""
"""Training in a process that can look up no name and reach no other machine; wandb's own service is on this one."""


def history(run) -> tuple[list[str], list[tuple[int, dict[str, float]]]]:
    """The ids of the wandb runs and their rows, read from the .wandb files once their process has ended."""
    from wandb.proto import wandb_internal_pb2

    ids, rows = [], []
    for path in sorted((run.rundir.tracking / "wandb").glob("*run-*-*/*.wandb")):
        for content in log_records(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            if record.WhichOneof("record_type") == "run":
                ids.append(record.run.run_id)
            elif record.WhichOneof("record_type") == "history":
                items = {".".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
                step = json.loads(items["_step"]) if "_step" in items else record.history.step.num
                rows.append((step, {k: json.loads(v) for k, v in items.items() if not k.startswith("_")}))
    return ids, rows


def log_records(content: bytes) -> list[bytes]:
    """The records of a LevelDB log, which is what a .wandb file is after its header of 7 bytes."""
    records, parts, at = [], [], 7
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:  # a block's end, too short for a record's head
            at += 32768 - at % 32768
            continue
        size, kind = struct.unpack("<HB", content[at + 4 : at + 7])
        parts.append(content[at + 7 : at + 7 + size])
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            records.append(b"".join(parts))
            parts = []
    return records


@pytest.fixture
def wandb(monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    return pytest.importorskip("wandb", reason="wandb is not installed (pip install grokinterp[wandb])")


def test_wandb_keeps_the_metrics_offline_and_a_resumed_run_has_each_step_once(wandb, tmp_path, monkeypatch, untracked):
    interrupted_at(25, monkeypatch, tmp_path / "run", "wandb")
    (first,) = (tmp_path / "run" / "tracking" / "wandb").glob("offline-run-*")
    arguments = [sys.executable, "-c", OFFLINE, CONFIG.to_json(), str(tmp_path / "run")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    run = gi.open(tmp_path / "run")
    ids, rows = history(run)
    assert rows == rows_of(run) == rows_of(untracked)
    assert ids == [first.name.rpartition("-")[2]]
    found = {name: content for name, content in files_of(run.path).items() if name != "provenance.json"}
    assert found == {name: files_of(untracked.path)[name] for name in found}
