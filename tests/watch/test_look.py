"""A look at a run directory says how the run stands, whatever state it is in, and changes nothing."""

import os
import shutil

import pytest

from grokinterp.errors import GrokinterpError
from grokinterp.runs.files import locked
from grokinterp.watch import look
from grokinterp.watch.look import Watcher
from watch.conftest import contents, lines, write_run


def state_of(rundir):
    return Watcher(rundir).look().state


def at(path, seconds):
    """The file was written then."""
    os.utime(path, (seconds, seconds))


def test_a_run_whose_lock_is_held_is_trained(run):
    with locked(run.lock_path, "x"):
        found = Watcher(run).look()
    assert (found.state, found.step, found.total, found.last("test_accuracy")) == ("training", 30, 40, 0.25)


def test_one_that_has_its_last_line_and_checkpoint_is_finished(tmp_path):
    assert state_of(write_run(tmp_path / "a", range(0, 41, 10), checkpoints=(0, 40))) == "finished"
    assert state_of(write_run(tmp_path / "b", range(0, 41, 10), checkpoints=(0, 30))) == "killed"


def test_one_that_was_killed_between_its_last_checkpoint_and_its_checksum_is_not_finished(tmp_path):
    rundir = write_run(tmp_path / "run", range(0, 41, 10), checkpoints=(0, 40))
    first, last = rundir.checkpoint_path(0).name, rundir.checkpoint_path(40).name
    rundir.write_checksums({first: ""})
    assert state_of(rundir) == "killed"
    rundir.write_checksums({first: "", last: ""})
    assert state_of(rundir) == "finished"


def test_one_that_ended_early_is_finished_and_says_why(run):
    run.write_end(30, "its 5 seconds were over")
    found = Watcher(run).look()
    assert (found.state, found.why) == ("finished", "its 5 seconds were over")


def test_one_that_was_asked_to_stop_saved_itself_after_its_last_line_and_a_killed_one_before(run):
    assert state_of(run) == "killed"
    run.resume_path.write_bytes(b"")
    at(run.metrics_path, 1000)
    at(run.resume_path, 1001)
    assert state_of(run) == "stopped"
    at(run.resume_path, 999)
    assert state_of(run) == "killed"


@pytest.mark.parametrize("engine", ["recorded", "imported"])
def test_a_loop_of_somebody_else_has_no_last_step(engine, tmp_path):
    rundir = write_run(tmp_path / "run", engine=engine)
    found = Watcher(rundir).look()
    assert (found.state, found.total, found.seconds_left) == (engine, None, None)


def test_a_run_without_a_line_yet_has_no_step(tmp_path):
    rundir = write_run(tmp_path / "run", steps=(), checkpoints=())
    rundir.metrics_path.unlink()
    with locked(rundir.lock_path, "x"):
        found = Watcher(rundir).look()
    assert (found.state, found.step, found.last("train_loss"), found.keys) == ("training", None, None, None)


def test_half_a_line_is_passed_over_until_it_is_whole(run):
    watcher, text = Watcher(run), lines([40])
    with run.metrics_path.open("a") as log:
        log.write(text[:25])
        log.flush()
        assert watcher.look().step == 30
        log.write(text[25:])
    assert watcher.look().step == 40


def test_a_damaged_line_in_the_middle_is_refused_by_its_number(run):
    run.metrics_path.write_text(lines([0]) + "{}\n" + lines([20]))
    with pytest.raises(GrokinterpError, match=r"line 2 of .* is damaged"):
        Watcher(run).look()


def test_speed_is_that_of_the_lines_that_came_while_it_was_watched(run):
    watcher = Watcher(run)
    with locked(run.lock_path, "x"):
        for step, written, speed in (
            (30, 1000, None),
            (32, 5000, None),
            (34, 5002, 1.0),
            (34, 5002, 1.0),
            (36, 5003, 4 / 3),
        ):
            run.metrics_path.write_text(lines(range(0, step + 1, 2)))
            at(run.metrics_path, written)
            found = watcher.look()
            assert found.speed == (None if speed is None else pytest.approx(speed))
    assert found.seconds_left == pytest.approx(4 * 3 / 4)


def test_a_run_that_goes_on_from_an_earlier_step_is_timed_anew(run):
    watcher = Watcher(run)
    with locked(run.lock_path, "x"):
        for step, written in ((10, 1), (20, 2), (30, 3)):
            run.metrics_path.write_text(lines(range(0, step + 1, 10)))
            at(run.metrics_path, written)
            before = watcher.look()
        replaced = run.root / "other"
        replaced.write_text(lines(range(0, 11, 10)))
        replaced.rename(run.metrics_path)
        after = watcher.look()
    assert (before.step, before.speed) == (30, 10)
    assert (after.step, after.speed) == (10, None)


def test_time_in_which_it_was_stopped_is_no_part_of_its_speed(run):
    watcher = Watcher(run)
    for held, step, written in (
        (True, 10, 1),
        (True, 20, 2),
        (False, 20, 2),
        (True, 20, 2),
        (True, 30, 1000),
        (True, 40, 1001),
    ):
        run.metrics_path.write_text(lines(range(0, step + 1, 10)))
        at(run.metrics_path, written)
        if held:
            with locked(run.lock_path, "x"):
                found = watcher.look()
        else:
            found = watcher.look()
    assert found.speed == 10


def test_a_log_that_grows_without_a_lock_here_is_trained_on_another_machine(run, monkeypatch):
    watcher = Watcher(run)
    assert watcher.look().state == "killed"
    with run.metrics_path.open("a") as log:
        log.write(lines([35]))
    assert watcher.look().state == "training"
    assert watcher.look().state == "training"
    monkeypatch.setattr(look, "ELSEWHERE_SECONDS", 0.0)
    assert watcher.look().state == "killed"


def test_the_last_lines_of_a_killed_process_are_no_sign_of_life(run):
    watcher = Watcher(run)
    with locked(run.lock_path, "x"):
        watcher.look()
        with run.metrics_path.open("a") as log:
            log.write(lines([35]))
    assert watcher.look().state == "killed"


def test_a_run_that_is_taken_away_is_none_and_may_come_again(run, tmp_path):
    watcher = Watcher(run)
    assert watcher.look().step == 30
    shutil.rmtree(run.root)
    assert watcher.look() is None
    write_run(run.root, range(0, 21, 10))
    assert watcher.look().step == 20


def test_looking_changes_nothing(run):
    run.write_end(30, "x")
    before = contents(run.root)
    for held in (True, False):
        watcher = Watcher(run)
        if held:
            with locked(run.lock_path, "x"):
                watcher.look()
            run.lock_path.unlink()
            at_start = contents(run.root)
        else:
            watcher.look()
            watcher.look()
            assert contents(run.root) == at_start
    assert before.keys() == at_start.keys()


def test_what_has_not_changed_is_not_read_again(run, monkeypatch):
    watcher, reads = Watcher(run), []
    read = look.read_metrics
    monkeypatch.setattr(look, "read_metrics", lambda path: reads.append(path) or read(path))
    for _ in range(3):
        watcher.look()
    assert len(reads) == 1
