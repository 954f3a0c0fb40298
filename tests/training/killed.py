"""Trains in forked children that die at their n-th step of writing files; a script, not a test.

Usage: python killed.py FOLDER CONFIG.json KILL...
Each KILL is the number of a system-level file operation (rename, flush of a line, fsync, unlink) of one
child, which SIGKILLs itself there: after the operation for an odd number, before it for an even one. The
next child goes on in the same folder; the last one is not killed. Prints how many were killed.
"""

import os
import signal
import sys
import traceback
from pathlib import Path

import torch

import grokinterp as gi
from grokinterp.runs.metrics import MetricsLog
from grokinterp.training.start import train


def killing(function, counter):
    """`function`, which dies when the counter runs out."""

    def wrapped(*args, **kwargs):
        counter["left"] -= 1
        if counter["left"] == 0 and counter["number"] % 2 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if counter["left"] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


def half_a_line(append, counter):
    """A line whose first half alone reaches the disk, when the counter says so."""

    def wrapped(log, row):
        if counter["left"] == 1 and counter["number"] % 2 == 0:
            log._file.write('{"step": 1')
            log._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        append(log, row)
        killing(lambda: None, counter)()

    return wrapped


def child(folder, config, kill):
    if kill:
        counter = {"left": kill, "number": kill}
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "write_bytes")):
            setattr(owner, name, killing(getattr(owner, name), counter))
        MetricsLog.append = half_a_line(MetricsLog.append, counter)
    train(config, folder, show_progress=False)


def main(folder, config_path, kills):
    torch.set_num_threads(1)
    config = gi.RunConfig.from_json(Path(config_path).read_text())
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # imports half a second's worth, once for all children
    killed = 0
    for kill in [*kills, 0]:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                child(folder, config, kill)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        killed += os.WIFSIGNALED(status)
        if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
            sys.exit(f"a child failed after {killed} kills")
    print(killed)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(k) for k in sys.argv[3:]])
