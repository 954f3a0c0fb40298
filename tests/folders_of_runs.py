"""Folders of run directories that nobody trained: configs and logs alone, with events where the tests want them."""

import json
from pathlib import Path

from conftest import small_config

from grokinterp.runs.rundir import RunDir

EVERY = 10


def write_run(
    folder: Path, name: str, *, memorised=None, grokked=None, last=400, budget=400, every=EVERY, **sections
) -> Path:
    """A run directory whose log says that it memorised and grokked at these steps, and ends at `last`."""
    config = small_config(**{**sections, "train": {"steps": budget, **sections.get("train", {})}})
    path = folder / name
    path.mkdir(parents=True)
    RunDir(path).write_config(config)
    rows = [_row(step, memorised, grokked) for step in range(0, last + 1, every)]
    RunDir(path).metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _row(step, memorised, grokked):
    train, test = (event is not None and step >= event for event in (memorised, grokked))
    return {
        "step": step,
        "train_loss": 1e-6 if train else 2.0 / (1 + step),
        "test_loss": 1e-4 if test else 3.0,
        "train_accuracy": 1.0 if train else 0.2,
        "test_accuracy": 1.0 if test else 0.1,
        "weight_norm": 100.0 + step,
    }


def seeded(seed: int) -> dict:
    """Config sections in which the seeds agree, as a sweep writes them."""
    return {
        "task": {"split_seed": seed, "label_seed": seed},
        "model": {"init_seed": seed},
        "train": {"seed": seed},
    }


def write_grid(folder: Path, fractions=(0.3, 0.6), optimizers=("adamw", "muon"), seeds=2, **options) -> None:
    """A run for each combination; with the smallest fraction none groks, and muon is faster."""
    for fraction in fractions:
        for optimizer in optimizers:
            for seed in range(seeds):
                sections = seeded(seed)
                sections["task"] |= {"frac_train": fraction}
                sections["optimizer"] = {"name": optimizer}
                late = 0 if fraction == min(fractions) else 200 if optimizer == "adamw" else 100
                grokked = late + 10 * seed if late else None
                name = f"{optimizer}-frac_train={fraction}-seed{seed}"
                write_run(folder, name, memorised=50, grokked=grokked, **sections, **options)


def write_troubles(folder: Path) -> None:
    """Beside a grid's runs: one unfinished, one that failed, one that was never begun, one damaged."""
    write_run(folder, "unfinished", memorised=50, last=100, **seeded(7))
    write_run(folder, "failed", memorised=50, last=60, **seeded(8))
    damaged = write_run(folder, "damaged", **seeded(9))
    RunDir(damaged).config_path.write_text("{")
    outcomes = {
        "failed": {"name": "failed", "state": "failed", "why": "the loss is not finite", "seconds": 1, "reused": False},
        "lost": {"name": "lost", "state": "failed", "why": "its worker was lost", "seconds": 1, "reused": False},
    }
    (folder / "outcomes.json").write_text(json.dumps(outcomes))
