"""Runs grokinterp's commands in forked children that are disturbed; a script, not a test.

Reads a JSON line a command from standard input and answers with one on standard output. Everything slow is
imported once, before the first fork, so that a command costs its own time only.

    {"argv": [...], "cwd": "...", "fault": {...}, "signal": "SIGKILL", "after": 0.2, "patch": "import ..."}

fault: {"at": n, "do": "SIGKILL" | "SIGTERM" | "SIGINT" | "ENOSPC" | "EROFS" | "EIO"}: what happens at the n-th file
operation of the child, counted from 1; an error stays from then on, as on a disk that is full. signal and after:
sent from outside so many seconds after the start. patch: Python that the child runs first.

The answer: status (negative: the signal it died of), out, err, seconds, operations (how many file operations there
were), reached (whether the fault was met) and left (processes of the child that outlived it).
"""

import contextlib
import errno
import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

WRITES = ("mkstemp", "write", "append", "fsync", "replace", "mkdir")
"""What fails on a disk that is full or read-only; taking a file away may still work."""


class Fault:
    """Counts file operations, and does what it should at one of them."""

    def __init__(self, at: int = 0, do: str = "SIGKILL") -> None:
        self.at, self.do, self.count = at, do, 0

    def around(self, kind, function, half=None):
        """`function`, disturbed when its turn comes: before it (even), after it (odd), or half-way through it."""

        def disturbed(*args, **kwargs):
            self.count += 1
            if self.count == self.at and self.do.startswith("SIG"):
                return self._signal(function, half, args, kwargs)
            if self.at and self.count >= self.at and kind in WRITES and not self.do.startswith("SIG"):
                if half is not None and self.do != "EROFS":
                    half(*args, **kwargs)
                raise OSError(getattr(errno, self.do), os.strerror(getattr(errno, self.do)), "injected")
            return function(*args, **kwargs)

        return disturbed

    def _signal(self, function, half, args, kwargs):
        if self.do == "SIGKILL" and half is not None:
            half(*args, **kwargs)
        if self.at % 2 and self.do == "SIGKILL" and half is None:
            with contextlib.suppress(OSError):  # of a folder that is there already, or a file that is gone
                function(*args, **kwargs)
        os.kill(os.getpid(), getattr(signal, self.do))
        return function(*args, **kwargs)

    def install(self) -> None:
        """Wrap everything that the package changes a disk with."""
        from grokinterp.runs.metrics import MetricsLog

        write_bytes = Path.write_bytes

        def half_a_file(path, content):
            write_bytes(path, content[: len(content) // 2])

        def half_a_line(log, row):
            log._file.write(json.dumps(row)[:9])
            log._file.flush()

        tempfile.mkstemp = self.around("mkstemp", tempfile.mkstemp)
        Path.write_bytes = self.around("write", write_bytes, half_a_file)
        MetricsLog.append = self.around("append", MetricsLog.append, half_a_line)
        for kind in ("fsync", "replace", "unlink", "mkdir"):
            setattr(os, kind, self.around(kind, getattr(os, kind)))


def child(job: dict, report: int) -> None:
    """Run the command as its own process would, and say how many file operations it made."""
    from grokinterp.__main__ import main
    from grokinterp.interrupts import SIGNALS, heed_signals

    heed_signals()  # as a process's own first line; what comes before is `test_while_it_starts`
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.setsid()
    os.chdir(job["cwd"])
    fault = Fault(**job.get("fault") or {})
    fault.install()
    exec(job.get("patch") or "", {})
    sys.argv = ["grokinterp", *job["argv"]]
    try:
        main()
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
    except BaseException:
        traceback.print_exc()
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(report, json.dumps({"operations": fault.count, "reached": fault.count >= fault.at > 0}).encode())
    os._exit(status)


def run(job: dict) -> dict:
    """Fork, disturb, wait."""
    read, write = os.pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        pid = os.fork()
        if pid == 0:
            os.close(read)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            child(job, write)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        os.close(write)
        if job.get("signal"):  # the pipe closes when the child ends
            select.select([read], [], [], job["after"])
            os.kill(pid, getattr(signal, job["signal"]))
        _, status = os.waitpid(pid, 0)
        seconds = time.monotonic() - start
        told = os.read(read, 1000)
        os.close(read)
        left = outlived(pid)
        texts = [(f.seek(0), f.read().decode(errors="replace"))[1] for f in (out, err)]
    answer = {"status": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1], "seconds": seconds}
    return answer | {"left": left, "operations": None, "reached": None} | (json.loads(told) if told else {})


def outlived(session: int) -> list[int]:
    """Processes of the session that are still there half a second after its leader."""
    deadline, found = time.monotonic() + 0.5, [0]
    while found and time.monotonic() < deadline:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] != "Z":  # a dead orphan waits for init alone
                    found.append(int(path.name))
        if found:
            time.sleep(0.02)
    return found


def warm_up() -> None:
    """Import what commands import on the way, and let torch build what it builds once."""
    import torch

    import grokinterp.analysis
    import grokinterp.cli
    import grokinterp.figures
    import grokinterp.films
    import grokinterp.overrides
    import grokinterp.reports
    import grokinterp.show
    import grokinterp.sources
    from grokinterp.training import replicas  # noqa: F401

    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    for measure in grokinterp.figures.builtin_measures().values():
        grokinterp.sources.code_digest(measure)
    import pyarrow.parquet  # noqa: F401
    import scipy.sparse.linalg  # noqa: F401
    import sklearn.decomposition  # noqa: F401


def main() -> None:
    """Answer one line after the other until the input ends."""
    warm_up()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
