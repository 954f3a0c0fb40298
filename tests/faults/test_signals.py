"""Ctrl-C and SIGTERM at any moment: exit 130, one line that says how to go on, and the same bytes after going on."""

import functools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults.conftest import COMMANDS
from faults.test_kills import goes_on

SIGNALS = ("SIGINT", "SIGTERM")


def says_how_to_go_on(answer: dict) -> None:
    """One line, before which a progress line of training's may stand."""
    assert answer["status"] == 130, answer
    lines = answer["err"].splitlines()
    assert len(lines) == 1, answer["err"]
    assert lines[0].startswith("stopped")
    assert "--resume" in lines[0] or "run the same command again" in lines[0]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 5), marks=pytest.mark.slow)], ids=["fast", "slow"])
def test_at_a_random_moment(name, how, seeds, server, stages, tmp_path, fault):
    stage = stages[name]
    for seed in seeds:
        share = random.Random(f"{name} {how} {seed}").random()
        for _ in range(10):
            work = stage.start(tmp_path / f"{seed} {share}")
            with fault(f"{how} at a random moment: {name}"):
                answer = server(stage.words, work, signal=how, after=share * stage.seconds)
                if answer["status"] != 0:  # it was not over by then
                    says_how_to_go_on(answer)
                goes_on(server, stage, work)
            if answer["status"] != 0:
                break
            share /= 2
        else:
            raise AssertionError("the command was always over before the signal came")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("how", SIGNALS)
@pytest.mark.parametrize("every", [97, pytest.param(11, marks=pytest.mark.slow)])
def test_at_a_file_operation(name, how, every, server, stages, tmp_path, fault):
    """Training notices it between two steps, and has nothing left to stop in the last ones."""
    stage = stages[name]
    for at in range(1 + random.Random(name + how).randrange(min(every, stage.operations)), stage.operations, every):
        work = stage.start(tmp_path / str(at))
        with fault(f"{how} at a file operation: {name}"):
            answer = server(stage.words, work, fault={"at": at, "do": how})
            if answer["status"] != 0 or stage.name not in ("train", "resume"):
                says_how_to_go_on(answer)
            goes_on(server, stage, work)


def starting(how: str, seconds: float, words: list[str], cwd: Path) -> dict:
    """A real process that is sent a signal so long after it began to heed them, and its end."""
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-m", "grokinterp", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=cwd, preexec_fn=heed, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)
    status, caught = Path(f"/proc/{process.pid}/status"), 1 << (signal.SIGTERM - 1)
    while not int(status.read_text().partition("SigCgt:")[2].split()[0], 16) & caught:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    time.sleep(seconds)
    process.send_signal(getattr(signal, how))
    _, err = process.communicate(timeout=120)
    return {"status": process.returncode, "err": err}


MOMENTS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.1, 1.6, 2.2)
SLOW = [(name, how, s) for name in ("train", "analyze") for how in SIGNALS for s in MOMENTS]


@pytest.mark.parametrize(
    ("name", "how", "seconds"),
    [
        ("train", "SIGINT", 0.3),
        ("analyze", "SIGTERM", 0.6),
        *(pytest.param(*moment, marks=pytest.mark.slow) for moment in SLOW),
    ],
)
def test_while_it_starts(name, how, seconds, server, stages, tmp_path, fault):
    """In a process of its own, from the first moment on: in the middle of imports too."""
    stage = stages[name]
    work = stage.start(tmp_path)
    with fault(f"{how} while it starts: {name}"):
        says_how_to_go_on(starting(how, seconds, stage.words, work))
        goes_on(server, stage, work)
