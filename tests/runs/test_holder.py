"""Whether a lock is held is found out without touching it."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from grokinterp.runs import holder
from grokinterp.runs.files import locked
from grokinterp.runs.holder import is_held

HOLD = """
import sys, time
from pathlib import Path
from grokinterp.runs.files import locked
with locked(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other_process(tmp_path):
    """A process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("kernel_has_a_list", [True, False])
def test_it_is_held_until_its_process_is_killed(kernel_has_a_list, other_process, tmp_path, monkeypatch):
    if not kernel_has_a_list:
        monkeypatch.setattr(holder, "KERNEL_LOCKS", tmp_path / "absent")
    assert is_held(tmp_path / "lock")
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    assert (tmp_path / "lock").exists()
    assert not is_held(tmp_path / "lock")


def test_a_lock_that_was_given_back_and_one_that_never_was_are_not_held(tmp_path):
    with locked(tmp_path / "lock", "x"):
        assert is_held(tmp_path / "lock")
    assert not is_held(tmp_path / "lock")
    assert not is_held(tmp_path / "absent")
    assert not is_held(tmp_path / "lock" / "below a file")
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_another_lock_of_the_same_process_is_not_this_one(tmp_path):
    (tmp_path / "other").write_text(f"{os.getpid()}\n")
    with locked(tmp_path / "lock", "x"):
        assert not is_held(tmp_path / "other")


def test_looking_takes_no_lock_itself(tmp_path, monkeypatch):
    with locked(tmp_path / "lock", "x"):
        before = (tmp_path / "lock").stat()

        def refuse(*_):
            raise AssertionError("it locked something")

        monkeypatch.setattr(fcntl, "flock", refuse)
        monkeypatch.setattr(fcntl, "lockf", refuse)
        assert is_held(tmp_path / "lock")
        assert (tmp_path / "lock").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("content", ["", "no number", "99999999999999999999999", "\u0663"])
def test_where_the_kernel_has_no_list_an_odd_owner_holds_nothing(content, tmp_path, monkeypatch):
    monkeypatch.setattr(holder, "KERNEL_LOCKS", tmp_path / "absent")
    (tmp_path / "lock").write_text(content)
    assert not is_held(tmp_path / "lock")


def test_lines_of_other_kinds_of_locks_are_passed_over(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    path.write_text("1\n")
    place = path.stat()
    where = f"{os.major(place.st_dev):02x}:{os.minor(place.st_dev):02x}:{place.st_ino}"
    kernel = tmp_path / "locks"
    monkeypatch.setattr(holder, "KERNEL_LOCKS", kernel)
    kernel.write_text(f"1: POSIX  ADVISORY  WRITE 1 {where} 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 1 {where} 0 EOF\n\n")
    assert not is_held(path)
    kernel.write_text(f"1: FLOCK  ADVISORY  WRITE 77 {where} 0 EOF\n")
    assert is_held(path)
    kernel.write_text(f"1: FLOCK  ADVISORY  WRITE 1 ff:ff:{place.st_ino} 0 EOF\n")  # the process tells
    assert is_held(path)
