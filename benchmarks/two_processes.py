"""Runs an hour: two processes of one thread each against one."""

import tempfile

from benchmarks.children import run_together
from benchmarks.clock import ratio, write

ROUNDS = 5

CHILD = """
import sys
import grokinterp as gi
from grokinterp.overrides import override
train = {"steps": 600, "threads": 1, "checkpoint_every": 300, "checkpoint_log_points": 0, "checkpoint_dense": 0.0}
config = override(gi.presets.quick(), {"task": {"p": 59, "frac_train": 0.4}, "train": train})
gi.train(config, sys.argv[1], show_progress=False)
"""


def main() -> None:
    """p = 59, 600 steps, each run from the start of its process to its end."""
    seconds: dict[str, list[float]] = {"one process": [], "two processes": []}
    for turn in range(ROUNDS + 1):
        for name, n in (("one process", 1), ("two processes", 2)):
            with tempfile.TemporaryDirectory() as folder:
                children = run_together([("-c", CHILD, f"{folder}/{i}") for i in range(n)], threads=1)
            if turn:  # the first warms up the disk's cache
                seconds[name].append(max(child.seconds for child in children))
    one, two = seconds.values()
    write(
        "two_processes",
        seconds,
        {"runs an hour, two processes / one": {"target": 1.8, **ratio([2 * x for x in one], two)}},
    )


if __name__ == "__main__":
    main()
