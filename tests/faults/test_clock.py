"""A clock that jumps: results, refusals and what is kept do not depend on the time of day."""

import os
import time

import pytest

from faults.conftest import COMMANDS
from faults.server import content

JUMPS = """
import itertools, os, time
now = itertools.cycle([4e9, -5.0, 0.0, 1.7e9, 2.0**33])
time.time = lambda: next(now)
time.time_ns = lambda: int(next(now) * 10**9)
write = os.replace
def replace(source, target, **options):
    write(source, target, **options)
    when = abs(next(now))
    os.utime(target, (when, when))
os.replace = replace
"""
"""Each look at the clock tells another year, and files come from the past and the future."""

MONOTONIC = """
import itertools, time
hour = itertools.count(step=3600.0)
time.monotonic = lambda: next(hour)
"""
"""As of a machine that sleeps for an hour between any two looks."""


@pytest.mark.parametrize("patch", ["JUMPS", "MONOTONIC"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_clock_that_jumps_changes_nothing(name, patch, server, stages, tmp_path, fault):
    stage = stages[name]
    work = stage.start(tmp_path)
    with fault(f"a clock that jumps: {name}"):
        answer = server(stage.words, work, patch=globals()[patch])
        assert answer["status"] == 0, answer["err"]
        assert content(work) == stage.after


@pytest.mark.parametrize("years", [-30, 30])
def test_files_from_the_past_or_the_future_are_what_their_bytes_are(years, server, stages, tmp_path, fault):
    """Nothing is computed again for its date, and nothing that changed is kept for it."""
    work = stages["figures"].start(tmp_path)
    when = time.time() + years * 3.15e7
    for path in work.rglob("*"):
        os.utime(path, (when, when))
    with fault("files of another time"):
        again = server(stages["analyze"].words, work)
        assert again["status"] == 0
        assert ": 0 parts of checkpoints computed" in again["err"]
        reused = server(stages["train"].words, work)
        assert reused["status"] == 0
        assert content(work) == content(stages["figures"].before)
