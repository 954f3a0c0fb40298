"""When a run ends before its last step."""

import math

import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp.config import TrainConfig
from grokinterp.phases import SUSTAIN, find_phases
from grokinterp.training.ending import Ending
from grokinterp.training.loop import Trainer


def ends_at(accuracies: list[float], **settings) -> int | None:
    """The evaluation, one every ten steps, with which training ends."""
    ending = Ending(TrainConfig(steps=10_000, **settings))
    return next((10 * i for i, a in enumerate(accuracies) if ending.reason(10 * i, a) is not None), None)


@pytest.mark.parametrize("after", [0, 5, 40, 1000])
def test_it_ends_so_many_steps_after_the_first_of_five_evaluations_in_a_row(after):
    curve = [0.1, 0.99, 0.5, *[0.995] * 300]  # one alone is no grokking
    assert ends_at(curve, stop_after_grokking=after) == max(30 + 10 * math.ceil(after / 10), 30 + 10 * (SUSTAIN - 1))
    assert ends_at(curve) is None


def test_falling_back_after_grokking_does_not_undo_it():
    assert ends_at([0.99] * SUSTAIN + [0.2] * 50, stop_after_grokking=100) == 100


@pytest.mark.parametrize("accuracy", [0.0, 0.989])
def test_what_never_groks_goes_on_to_its_last_step(accuracy):
    assert ends_at([accuracy] * 500, stop_after_grokking=0) is None


def test_a_restored_ending_ends_where_the_one_that_was_saved_would_have():
    curve = [0.1] * 4 + [0.999] * 60
    for cut in range(len(curve)):
        first = Ending(TrainConfig(steps=10_000, stop_after_grokking=70))
        before = [first.reason(10 * i, a) is not None for i, a in enumerate(curve[:cut])]
        second = Ending(TrainConfig(steps=10_000, stop_after_grokking=70))
        second.restore(first.state())
        after = [second.reason(10 * i, a) is not None for i, a in enumerate(curve[cut:], start=cut)]
        assert (before + after).index(True) == 4 + 7


def test_wall_time_adds_up_over_resumes(monkeypatch):
    clock = iter([100.0, 103.0, 500.0, 501.0, 508.0])
    monkeypatch.setattr("grokinterp.training.ending.time.monotonic", lambda: next(clock))
    first = Ending(TrainConfig(steps=10, max_seconds=10.0))
    state = first.state()
    assert state["seconds"] == 3
    second = Ending(TrainConfig(steps=10, max_seconds=10.0))
    second._seconds_before, second._started = state["seconds"], 500.0
    assert second.reason(0, 0.0) is None  # 3 + 1
    assert second.reason(10, 0.0) == "its 10 seconds were over"  # 3 + 8


SOON = small_config(
    task={"p": 37, "frac_train": 0.7},
    model={"d_model": 64, "d_mlp": 256},
    optimizer={"lr": 5e-3, "weight_decay": 3.0},
    train={"steps": 4000, "stop_after_grokking": 30, "checkpoint_every": 1000, "eval_every": 5},
)
"""Generalises at step 85 to 370 with five of six seeds of the initial weights, and later with the other."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> gi.Run:
    return gi.train(SOON, tmp_path_factory.mktemp("stopped") / "run", show_progress=False)


def test_a_run_that_grokked_ends_soon_after_and_says_so(stopped):
    grokked = stopped.phases.generalization_step
    last = stopped.phases.last_step
    assert grokked is not None
    assert last < SOON.train.steps
    assert last - grokked == max(30, 5 * (SUSTAIN - 1))
    assert stopped.steps[-1] == last
    assert stopped.rundir.read_end() == {
        "step": last,
        "reason": f"it grokked at step {grokked}, and 30 more steps were asked for",
    }


def test_it_is_finished_and_reused(stopped):
    before = {path: path.stat().st_mtime_ns for path in stopped.path.rglob("*") if path.is_file()}
    again = gi.train(SOON, stopped.path, show_progress=False)
    assert again.steps == stopped.steps
    assert before == {path: path.stat().st_mtime_ns for path in stopped.path.rglob("*") if path.is_file()}


def test_an_interrupted_run_ends_at_the_same_step_with_the_same_bytes(stopped, tmp_path, monkeypatch):
    update, crashes = Trainer.update, iter([7, 150, stopped.phases.last_step - 1])
    crash_at = next(crashes)

    def crashing(trainer):
        nonlocal crash_at
        if trainer.step == crash_at:
            crash_at = next(crashes, None)
            raise KeyboardInterrupt
        update(trainer)

    monkeypatch.setattr(Trainer, "update", crashing)
    for _ in range(4):
        try:
            run = gi.train(SOON, tmp_path / "run", show_progress=False)
            break
        except KeyboardInterrupt:
            continue
    assert (run.path / "metrics.jsonl").read_bytes() == (stopped.path / "metrics.jsonl").read_bytes()
    assert run.steps == stopped.steps
    assert (
        run.rundir.checkpoint_path(run.steps[-1]).read_bytes()
        == stopped.rundir.checkpoint_path(stopped.steps[-1]).read_bytes()
    )


def test_a_run_without_time_is_censored_and_can_be_analyzed(tmp_path):
    config = small_config(train={"steps": 100_000, "max_seconds": 0.01, "checkpoint_every": 50_000})
    run = gi.train(config, tmp_path / "run", show_progress=False)
    assert run.phases.last_step < 100_000
    assert run.phases.censored
    assert "0.01 seconds" in run.rundir.read_end()["reason"]
    assert not gi.analyze(run, ["accuracy_loss", "weight_norm"], show_progress=False).failed
    assert find_phases(run.metrics.to_dict("records")).generalization_step is None
