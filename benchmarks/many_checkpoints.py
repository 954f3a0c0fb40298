"""A thousand checkpoints: whether time is linear in their number, and memory constant."""

import tempfile
from pathlib import Path

import grokinterp as gi
from benchmarks.children import run
from benchmarks.clock import spread, write
from grokinterp.overrides import override

CHEAP = ("accuracy_loss", "weight_norm", "embedding_spectrum", "logit_spectrum", "neuron_frequencies")
ROUNDS = 3

CHILD = """
import sys, time
import grokinterp as gi
run = gi.open(sys.argv[1])
start = time.perf_counter()
gi.analyze(run, measures=sys.argv[3].split(","), every=int(sys.argv[2]), force=True, show_progress=False)
print(time.perf_counter() - start)
"""


def main() -> None:
    """p = 59, 1,000 checkpoints or every tenth of them, each in a process of its own."""
    train = {"steps": 999, "checkpoint_every": 1, "checkpoint_log_points": 0, "checkpoint_dense": 0.0}
    config = override(gi.presets.quick(), {"task": {"p": 59, "frac_train": 0.4}, "train": train})
    seconds: dict[str, list[float]] = {"100 checkpoints": [], "1,000 checkpoints": []}
    memory: dict[str, list[float]] = {name: [] for name in seconds}
    with tempfile.TemporaryDirectory() as folder:
        saved = gi.train(config, Path(folder) / "run", show_progress=False)
        assert len(saved.steps) == 1000
        for _ in range(ROUNDS):
            for name, every in (("100 checkpoints", 10), ("1,000 checkpoints", 1)):
                done = run("-c", CHILD, str(Path(folder) / "run"), str(every), ",".join(CHEAP))
                seconds[name].append(float(done.output))
                memory[name].append(done.peak_bytes)
    few, many = seconds.values()
    sizes = [a / b for a, b in zip(memory["1,000 checkpoints"], memory["100 checkpoints"], strict=True)]
    times = [a / b / 10 for a, b in zip(many, few, strict=True)]
    figures = {
        "time a checkpoint, 1,000 / 100": {"target": 1.1, "better": "less", **spread(times)},
        "peak memory, 1,000 / 100": {"target": 1.3, "better": "less", **spread(sizes)},
    }
    megabytes = {name: spread([x / 2**20 for x in values]) for name, values in memory.items()}
    write("many_checkpoints", seconds, figures, measures=CHEAP, megabytes=megabytes)


if __name__ == "__main__":
    main()
