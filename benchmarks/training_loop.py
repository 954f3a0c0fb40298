"""The whole loop: the demo's, which has the test loss at every epoch, and ours, which has all curves every 10 steps."""

import tempfile
from pathlib import Path

import grokinterp as gi
from benchmarks.clock import interleaved, ratio, write
from benchmarks.usual import UsualLoop
from grokinterp.overrides import override

STEPS, ROUNDS = 200, 5


def main() -> None:
    """p = 113, the recipe of Nanda et al.; ours writes its run directory with checkpoints and all."""
    config = override(gi.presets.nanda2023(), {"train": {"steps": STEPS, "checkpoint_every": 100}})
    loop = UsualLoop(config)

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            gi.train(config, Path(folder) / "run", show_progress=False)

    def theirs() -> None:
        for _ in range(STEPS // 4):
            loop.epoch()

    seconds = interleaved({"50 epochs of the demo's loop": theirs, f"our loop, {STEPS} steps": ours}, rounds=ROUNDS)
    usual, mine = seconds.values()
    figures = {"demo's loop / ours, a step": {"target": 9, **ratio([4 * u for u in usual], mine)}}
    write("training_loop", seconds, figures, steps=STEPS)


if __name__ == "__main__":
    main()
