"""`grokinterp watch` as it is run: once, into a pipe, and on a terminal."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.runs.files import locked
from watch.conftest import contents, lines, write_run

HOLD = """
import sys, time
from pathlib import Path
from grokinterp.runs.files import locked
with locked(Path(sys.argv[1]) / "lock", "x"):
    print("held", flush=True)
    time.sleep(60)
"""


class Writer:
    """A process that holds the lock of a run, as one that trains it does."""

    def __init__(self, root):
        command = [sys.executable, "-c", HOLD, str(root)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"held\n"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def writer(run):
    """One that is killed at the end."""
    found = Writer(run.root)
    yield found
    found.kill()


class Screen:
    """`grokinterp watch` on a terminal of its own; `text` is all that it wrote."""

    def __init__(self, *words):
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "30"}
            os.execve(sys.executable, [sys.executable, "-m", "grokinterp", "watch", *words], environment)
        self.text, self.status = "", None

    def read(self):
        if self.status is None and select.select([self._end], [], [], 0.1)[0]:
            try:
                new = os.read(self._end, 65536)
            except OSError:  # how Linux says that the other end is closed
                new = b""
            self.text += new.decode("utf-8", "replace")
            if not new:
                self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                os.close(self._end)

    def until(self, what, seconds=60):
        """Wait until it has written this; None waits for its end."""
        start = time.monotonic()
        while what not in self.text if what is not None else self.status is None:
            assert time.monotonic() - start < seconds, self.text[-3000:]
            assert what is None or self.status is None, self.text[-3000:]
            self.read()


def piped(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "grokinterp", "watch", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_once_prints_one_view_without_control_codes_and_changes_nothing(run, capsys):
    before = contents(run.root)
    assert run_command(["watch", str(run.root), "--once"]) == 0
    out, err = capsys.readouterr()
    assert "killed or failed at step 30 of 40" in " ".join(out.split())
    assert (err, "\x1b" in out) == ("", False)
    assert max(map(len, out.splitlines())) <= 80
    assert contents(run.root) == before


def test_a_finished_run_is_shown_and_that_is_all(tmp_path, capsys):
    run = gi.train(small_config(), tmp_path / "run", show_progress=False)
    before = contents(run.path)
    for words in ([], ["--once"]):
        assert run_command(["watch", str(run.path), *words]) == 0
        out, _ = capsys.readouterr()
        assert "finished at step 40" in out
        assert f"key frequencies {', '.join(map(str, run.key_frequencies.ks))} (W_L rule" in out
    assert run_command(["watch", str(run.rundir.ckpts), "--once"]) == 0
    assert capsys.readouterr().out == out
    assert contents(run.path) == before


@pytest.mark.parametrize("words", [[], ["--once"]])
def test_into_a_pipe_a_run_that_was_killed_ends_it_with_status_1_and_a_view_with_0(words, run, capsys):
    assert run_command(["watch", str(run.root), *words]) == (0 if words else 1)
    assert "--resume" in capsys.readouterr().out


def test_a_folder_of_runs_is_a_table(run, tmp_path, capsys):
    write_run(tmp_path / "other", range(0, 41, 10), checkpoints=(40,))
    assert run_command(["watch", str(tmp_path), "--once"]) == 0
    out = capsys.readouterr().out
    assert "2 runs begun 1 killed, 1 finished" in " ".join(out.split()).replace("begun,", "begun")
    assert run_command(["watch", str(tmp_path)]) == 1  # one of them was killed
    shutil.rmtree(run.root)
    assert run_command(["watch", str(tmp_path)]) == 0


def test_into_a_pipe_it_waits_then_writes_a_line_whenever_there_is_something_new(tmp_path):
    process = piped(str(tmp_path / "run"), "--every", "0.1")
    assert "waiting for a run" in process.stderr.readline()
    (tmp_path / "run").mkdir()
    writer = Writer(tmp_path / "run")
    rundir = write_run(tmp_path / "run", [], checkpoints=())
    said = [process.stdout.readline()]
    for step in (0, 10, 20):
        with rundir.metrics_path.open("a") as log:
            log.write(lines([step]))
        said.append(process.stdout.readline())
    assert [line.split(";")[0] for line in said] == [f"step {step} of 40" for step in (0, 0, 10, 20)]
    assert "steps/s" in said[-1]
    assert "test loss 3, accuracy 0.2500" in said[-1]
    writer.kill()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (1, "")
    assert "killed or failed at step 20 of 40" in " ".join(out.split())
    assert "\x1b" not in "".join(said) + out


def test_on_a_terminal_it_follows_a_run_through_a_kill_to_its_end(run, writer):
    screen = Screen(str(run.root), "--every", "0.1")
    screen.until("training, step 30 of 40")
    with run.metrics_path.open("a") as log:
        log.write(lines([33])[:20])
        log.flush()
        time.sleep(0.3)
        log.write(lines([33])[20:])
    screen.until("training, step 33 of 40")
    writer.kill()
    screen.until("killed or failed at step 33 of")
    screen.until("waiting in case it goes on")
    with locked(run.lock_path, "x"):
        replaced = run.root / "new"
        replaced.write_text(lines(range(0, 21, 10)))
        replaced.rename(run.metrics_path)
        screen.until("training, step 20 of 40")
        run.metrics_path.write_text(lines(range(0, 41, 10)))
        run.checkpoint_path(40).write_bytes(b"")
    screen.until(None)
    assert screen.status == 0
    assert "finished at step 40" in screen.text
    assert screen.text.rstrip().endswith("\x1b[?25h")  # the cursor is there again


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_quietly(how, tmp_path):
    screen = Screen(str(tmp_path / "absent"))
    screen.until("waiting for a run")
    os.kill(screen.pid, how)
    screen.until(None)
    assert screen.status == 130
    assert "stopped" not in screen.text
    assert screen.text.rstrip().endswith("\x1b[?25h")
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_taken_away_is_missed_and_may_come_again(run, writer):
    screen = Screen(str(run.root), "--every", "0.1")
    screen.until("training, step 30")
    shutil.rmtree(run.root)
    screen.until("there is no run at")
    write_run(run.root, range(0, 41, 10), checkpoints=(40,))
    screen.until("finished")
    screen.until(None)
    assert screen.status == 0


def test_a_run_or_sweep_that_has_only_just_begun_is_waited_for(tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    process = piped(str(tmp_path), "--every", "0.1")
    assert process.wait(timeout=60) == 2
    assert "holds no run" in process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    with locked(tmp_path / "lock", "x"):
        process = piped(str(tmp_path), "--every", "0.1")
        assert "waiting for a run" in process.stderr.readline()
        write_run(tmp_path / "a", range(0, 41, 10), checkpoints=(40,))
        assert "1 run begun, 1 finished" in process.stdout.readline()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "finished" in out
