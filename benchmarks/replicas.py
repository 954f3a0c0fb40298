"""Many seeds in one call against the same seeds one after another, on the device that there is."""

import tempfile
from pathlib import Path

import torch

import grokinterp as gi
from benchmarks.clock import interleaved, ratio, write
from grokinterp.overrides import override
from grokinterp.training.replicas import replica_configs

ROUNDS = 3


def main() -> None:
    """Runs an hour; on a GPU as many seeds of `quick` as fill it, on a CPU few of `ci`."""
    gpu = torch.cuda.is_available()
    name, n, steps = ("quick", 64, 200) if gpu else ("ci", 8, 100)
    train = {"steps": steps, "checkpoint_every": steps, "checkpoint_log_points": 0, "checkpoint_dense": 0.0}
    configs = replica_configs(override(gi.presets.PRESETS[name](), {"train": train}), n)

    def together() -> None:
        with tempfile.TemporaryDirectory() as folder:
            gi.train_replicas(configs, [Path(folder) / str(i) for i in range(n)], show_progress=False)

    few = configs[: max(1, n // 8)]

    def in_turn() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for i, config in enumerate(few):
                gi.train(config, Path(folder) / str(i), show_progress=False)

    seconds = interleaved({f"{len(few)} in turn": in_turn, f"{n} replicas": together}, rounds=ROUNDS)
    alone, all_at_once = ([x / k for x in s] for s, k in zip(seconds.values(), (len(few), n), strict=True))
    device = torch.cuda.get_device_name() if gpu else "CPU"
    figures = {f"runs an hour, {n} replicas / in turn ({device})": ratio(alone, all_at_once)}
    write("replicas", seconds, figures, preset=name, replicas=n, steps=steps, device=device)


if __name__ == "__main__":
    main()
