"""A disk that is full, read-only or broken: one sentence, nothing half-written, and the same bytes once it is mended.

Errors are injected at one file operation after the other, and stay from there on; where the system lets us mount a
small or a read-only file system, real ones are met too.
"""

import functools
import os
import random
import shlex
import shutil
import subprocess
import sys

import pytest

from faults.conftest import COMMANDS
from faults.server import content, temporaries
from faults.test_kills import goes_on

ERRORS = {"ENOSPC": "the disk is full", "EROFS": "choose another place with --out", "EIO": "check the disk"}


def refused_in_one_sentence(status: int, err: str, says: str) -> None:
    assert status == 2, err
    lines = [line for line in err.splitlines() if line.startswith("grokinterp: ")]
    assert len(lines) == 1, err
    assert says in lines[0]
    assert "Traceback" not in err


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("every", [97, pytest.param(5, marks=pytest.mark.slow)])
def test_an_error_at_a_file_operation(name, error, every, server, stages, tmp_path, fault):
    stage = stages[name]
    for at in range(1 + random.Random(name + error).randrange(min(every, 13)), stage.operations, every):
        work = stage.start(tmp_path / str(at))
        with fault(f"{error} at a file operation: {name}"):
            answer = server(stage.words, work, fault={"at": at, "do": error})
            refused_in_one_sentence(answer["status"], answer["err"], ERRORS[error])
            assert not temporaries(work)
            goes_on(server, stage, work)
        shutil.rmtree(work)


@functools.cache
def may_mount() -> bool:
    """Whether a user namespace with mounts of its own is allowed here."""
    mount = 'd=$(mktemp -d) && mount -t tmpfs -o size=64k tmpfs "$d" && umount "$d" && rmdir "$d"'
    return subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, check=False).returncode == 0


def in_a_small_disk(folder, size: str, first: str, then: str, *, mend: str, options: str = "") -> list[int]:
    """Copy `folder`/before to a disk of that size, run a command, mend the disk, run the next, copy it all back."""
    grokinterp = f"{shlex.quote(sys.executable)} -m grokinterp"
    script = f"""
        mkdir disk && mount -t tmpfs -o size=10m tmpfs disk && cp -r before/. disk && cd disk || exit 90
        mount -o remount,{size}{options} . || exit 91
        {grokinterp} {first} 2>../first.err; echo $?
        ls -R . | grep -c '[.]tmp$'
        mount -o remount,{mend} . || exit 92
        {grokinterp} {then} 2>../then.err; echo $?
        cd .. && cp -r disk after"""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split() if line.isdigit()]


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        ("train", "size=100k", "the disk is full"),
        *(
            pytest.param(name, size, says, marks=pytest.mark.slow)
            for name, size, says in [
                ("analyze", "ro", "choose another place with --out"),
                ("train", "size=16k", "the disk is full"),
                ("train", "size=64k", "the disk is full"),
                ("resume", "ro", "choose another place with --out"),
                ("analyze", "size=136k", "the disk is full"),
                ("figures", "size=320k", "the disk is full"),
                ("figures", "ro", "choose another place with --out"),
                ("report", "size=320k", "the disk is full"),
                ("report", "ro", "choose another place with --out"),
            ]
        ),
    ],
)
def test_a_real_disk(name, size, says, stages, tmp_path, fault):
    if not may_mount():
        pytest.skip("no file system may be mounted here; errors are injected instead")
    stage = stages[name]
    shutil.copytree(stage.before, tmp_path / "before")
    with fault(f"a real disk, {size}: {name}"):
        status, left, then = in_a_small_disk(
            tmp_path, size, shlex.join(stage.words), shlex.join(stage.again), mend="size=10m,rw"
        )
        refused_in_one_sentence(status, (tmp_path / "first.err").read_text(), says)
        assert left == 0
        assert then == 0, (tmp_path / "then.err").read_text()
        assert content(tmp_path / "after") == stage.after
