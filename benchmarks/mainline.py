"""How long the recipe of Nanda et al. 2023 takes until its cleanup is over."""

import tempfile
import time
from pathlib import Path

import grokinterp as gi
from benchmarks.clock import write
from grokinterp.overrides import override

AFTER = 4000
"""Steps to go on for after grokking: the cleanup is over well before."""


def main() -> None:
    """The preset `nanda2023`, seed 0, with its checkpoints and evaluations."""
    config = override(gi.presets.nanda2023(), {"train": {"stop_after_grokking": AFTER}})
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = gi.train(config, Path(folder) / "run", show_progress=False)
        seconds = time.perf_counter() - start
        phases, last = run.phases, run.steps[-1]
    stable = next((phase.start for phase in phases.phases if phase.name == "stable"), last)
    minutes = seconds / 60 * stable / last
    figures = {
        "nanda2023 until its cleanup is over": {
            "target": 12,
            "better": "less",
            "unit": "min",
            "median": minutes,
            "q25": minutes,
            "q75": minutes,
            "n": 1,
        }
    }
    steps = {"generalization_step": phases.generalization_step, "cleanup_over": stable, "last_step": last}
    write("mainline", {f"{last} steps": [seconds]}, figures, **steps)


if __name__ == "__main__":
    main()
