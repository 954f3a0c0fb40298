"""Whole processes: their wall time and their peak memory."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Finished:
    """A process that ended well: what it printed, seconds from start to end, and its largest size."""

    output: str
    seconds: float
    peak_bytes: int


def run(*command: str, threads: int | None = None) -> Finished:
    """Run a command of this interpreter's environment to its end; `threads` is what its libraries are told."""
    (finished,) = run_together([command], threads=threads)
    return finished


def run_together(commands: "list[tuple[str, ...]]", *, threads: int | None = None) -> list[Finished]:
    """Start commands at once and wait for all."""
    environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    start = time.perf_counter()
    children = [
        subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        for command in commands
    ]
    return [_wait(child, start) for child in children]


def _wait(child: "subprocess.Popen[str]", start: float) -> Finished:
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, child.args, output)
    unit = 1 if sys.platform == "darwin" else 1024
    return Finished(output, time.perf_counter() - start, usage.ru_maxrss * unit)
