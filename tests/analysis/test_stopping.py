"""Ctrl-C and a batch system's SIGTERM stop an analysis with a sentence, whole tables and nothing to repair."""

import functools
import signal
import subprocess
import sys
import time

import pytest
from conftest import small_config

import grokinterp as gi

SLOW = """
import time
from grokinterp import Column, Measure, Part

def compute(snapshot, *, params):
    time.sleep(0.4)
    return [{"value": float(snapshot.step)}]

def plot(tables):
    raise NotImplementedError

MEASURE = Measure("slow", "Slow.", "none", {"": Part({"value": Column("the step")}, compute)}, plot)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_with_130_says_so_and_leaves_tables_that_go_on(how, tmp_path):
    run = gi.train(small_config(), tmp_path / "run", show_progress=False)
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "grokinterp.cli", "analyze", str(run.path)]
    command += ["--only", "weight_norm", "--measure-file", str(tmp_path / "slow.py")]
    # a shell's background jobs ignore Ctrl-C, and so would what they start
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    deadline = time.monotonic() + 60
    while not run.rundir.analysis_lock_path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "run the same command again to go on" in errors
    assert "Traceback" not in errors
    done = run.table("slow")["step"].tolist() if run.rundir.table_path("slow", "").exists() else []
    assert done == run.steps[: len(done)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert run.table("slow")["step"].tolist() == run.steps
    assert run.table("weight_norm")["step"].nunique() == len(run.steps)
