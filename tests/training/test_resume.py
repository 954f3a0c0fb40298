"""A run that stops at any moment goes on to the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import small_config
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.training.loop import Trainer
from grokinterp.training.stop import Interrupted

CLI = [sys.executable, "-m", "grokinterp.cli"]
CASES = {
    "full batches": small_config(train={"steps": 60, "eval_every": 3}),
    "minibatches": small_config(
        task={"p": 12, "operation": "x/y"},
        model={"n_layers": 2, "biases": "all"},
        train={"steps": 60, "batch_size": 9, "resume_every": 13},
    ),
    "hooked, LayerNorm": small_config(model={"normalization": "LN"}, train={"steps": 45, "resume_every": 5}),
    "sgd": small_config(
        optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0},
        train={"steps": 60, "batch_size": 5, "dtype": "float64"},
    ),
}


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of all that training computes (resume.pt by its tensors, through what follows from it)."""
    names = ["metrics.jsonl", "checksums.json", "config.json", "split.safetensors", "task.safetensors"]
    found = {name: (folder / name).read_bytes() for name in names}
    return found | {path.name: path.read_bytes() for path in sorted((folder / "ckpts").iterdir())}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The content of each case's run, trained in one go."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return {name: content(gi.train(config, folder / name, show_progress=False).path) for name, config in CASES.items()}


class Crash(BaseException):
    """As sudden as an exception can be."""


def stopping_at(stops):
    """An `update` that crashes at the first step of the list, or is sent a signal there."""
    step_at, how = stops
    update = Trainer.update

    def wrapped(trainer):
        if trainer.step == step_at and how == "crash":
            raise Crash
        if trainer.step == step_at:
            os.kill(os.getpid(), how)
        update(trainer)

    return wrapped


STOPS = st.lists(
    st.tuples(st.integers(0, 59), st.sampled_from(["crash", signal.SIGINT, signal.SIGTERM])), min_size=1, max_size=4
)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=6, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(stops=STOPS)
def test_an_interrupted_run_ends_with_the_bytes_of_an_uninterrupted_one(name, stops, uninterrupted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted") / "run"
    for stop in stops:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "update", stopping_at(stop))
            try:
                gi.train(CASES[name], folder, show_progress=False)
            except (Crash, Interrupted):
                continue
    gi.train(CASES[name], folder, show_progress=False)
    assert content(folder) == uninterrupted[name]
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_between_two_steps_and_loses_none(how, tmp_path, monkeypatch):
    before = signal.getsignal(how)
    monkeypatch.setattr(Trainer, "update", stopping_at((23, how)))
    with pytest.raises(Interrupted) as stop:
        gi.train(CASES["full batches"], tmp_path / "run", show_progress=False)
    assert stop.value.step == 24
    assert signal.getsignal(how) == before
    went_on = []
    update = Trainer.update
    monkeypatch.setattr(Trainer, "update", lambda trainer: (went_on.append(trainer.step), update(trainer)))
    gi.train(CASES["full batches"], tmp_path / "run", show_progress=False)
    assert went_on[0] == 24


def run_killed(folder, config, kills) -> int:
    config_path = folder.parent / f"{folder.name}.json"
    config_path.write_text(config.to_json())
    command = [sys.executable, str(Path(__file__).with_name("killed.py")), str(folder), str(config_path)]
    done = subprocess.run([*command, *map(str, kills)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        ("minibatches", range(1, 60, 3)),
        pytest.param("full batches", range(1, 80), marks=pytest.mark.slow),
        pytest.param("minibatches", range(1, 80), marks=pytest.mark.slow),
        pytest.param("sgd", range(1, 60, 2), marks=pytest.mark.slow),
    ],
)
def test_kills_at_file_operations_one_after_another_change_nothing(name, kills, uninterrupted, tmp_path):
    """Each child of `killed.py` dies at another rename, sync, unlink or line of metrics."""
    assert run_killed(tmp_path / "run", CASES[name], kills) > 0.8 * len(kills)
    assert content(tmp_path / "run") == uninterrupted[name]
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_a_folder_of_others_with_a_file_named_lock_is_still_refused(tmp_path):
    (tmp_path / "lock").touch()
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(GrokinterpError, match="holds no run"):
        gi.train(CASES["sgd"], tmp_path, show_progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "thesis.tex"]


@pytest.mark.parametrize("kill", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 50))])
def test_sigkill_at_a_random_moment_leaves_the_same_bytes(kill, killable_reference, tmp_path):
    folder, rng = tmp_path / "run", random.Random(1000 + kill)
    process = subprocess.Popen(killable(folder), stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    wait_for(folder / "metrics.jsonl", process)
    time.sleep(rng.uniform(0, 0.8))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
    again = subprocess.run([*killable(folder), "--resume"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert content(folder) == killable_reference


@pytest.fixture(scope="module")
def killable_reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killable") / "run"
    subprocess.run(killable(folder), capture_output=True, check=True)
    return content(folder)


def killable(folder) -> list[str]:
    """A command that trains for a few seconds after its start."""
    text = "--task.p 11 --model.d-model 24 --model.n-heads 2 --model.d-mlp 40 --task.split-seed 5 --device cpu"
    text += " --train.threads 1 --train.steps 1200 --train.resume-every 37 --train.checkpoint-every 50"
    return [*CLI, "train", "ci", "--out", str(folder), *text.split()]


def wait_for(path, process):
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_on_the_command_line_a_signal_stops_with_130_and_says_how_to_go_on(how, tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(killable(folder), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_for(folder / "metrics.jsonl", process)
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("stopped at step ")
    assert "--resume" in line
    refused = subprocess.run(killable(folder), capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr


def test_a_finished_run_is_reused_and_nothing_in_it_changes(tmp_path):
    config = CASES["full batches"]
    run = gi.train(config, tmp_path / "run", show_progress=False)
    times = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    again = gi.train(config, tmp_path / "run", show_progress=False)
    assert again.steps == run.steps
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == times


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"task": {"split_seed": 1}}, "task.split_seed is 0 there and 1 here"),
        ({"optimizer": {"lr": 0.02}}, "optimizer.lr is 0.01 there and 0.02 here"),
        ({"name": "another"}, "its name differs"),
    ],
)
def test_another_config_in_the_same_folder_is_refused_by_what_differs(change, names, tmp_path):
    gi.train(small_config(train={"steps": 5}), tmp_path / "run", show_progress=False)
    before = content(tmp_path / "run")
    with pytest.raises(GrokinterpError, match=names):
        gi.train(small_config(train={"steps": 5}, **change), tmp_path / "run", show_progress=False)
    assert content(tmp_path / "run") == before


def test_a_loss_that_is_no_number_stops_with_a_sentence_and_keeps_what_came_before(tmp_path):
    config = small_config(optimizer={"name": "sgd", "lr": 1000.0, "warmup_steps": 0}, train={"eval_every": 1})
    with pytest.raises(GrokinterpError, match=r"no longer a number at step .*lower learning rate"):
        gi.train(config, tmp_path / "run", show_progress=False)
    assert gi.open(tmp_path / "run").metrics["step"].tolist()[:1] == [0]
