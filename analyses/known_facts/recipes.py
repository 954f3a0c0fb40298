"""The runs: presets over seeds, and grids of learning rate and weight decay around them."""

from collections.abc import Iterator

from grokinterp.config import RunConfig
from grokinterp.overrides import override
from grokinterp.presets import PRESETS

SEEDS = (0, 1, 2)
ONE_CORE = {"train": {"threads": 1}}

DATA_FRACTIONS = (0.2, 0.25, 0.3, 0.35, 0.4)
"""Of `subtract` and `divide`: how much data each needs."""

LRS = (1e-3, 3e-3, 1e-2)
DECAYS = (0.5, 1.0, 2.0, 4.0)
"""Both grids are the same for the baseline and for what is compared with it."""

GRID_STEPS = 4000


def seeded(config: RunConfig, seed: int) -> RunConfig:
    """The config with this seed for its split, its labels, its initial weights and its batches, on one core."""
    seeds = {
        "task": {"split_seed": seed, "label_seed": seed},
        "model": {"init_seed": seed},
        "train": {"seed": seed, "threads": 1},
    }
    return override(config, seeds)


def singles() -> Iterator[tuple[str, RunConfig]]:
    """Each short preset, three seeds."""
    for name in ("small", "subtract", "divide", "a5", "outliers", "no_decay"):
        for seed in SEEDS:
            yield f"{name}-seed{seed}", seeded(PRESETS[name](), seed)


def fractions() -> Iterator[tuple[str, RunConfig]]:
    """x-y and x/y over data fractions."""
    for name in ("subtract", "divide"):
        for fraction in DATA_FRACTIONS:
            config = override(PRESETS[name](), {"task": {"frac_train": fraction}})
            for seed in SEEDS:
                yield f"{name}-frac{fraction:g}-seed{seed}", seeded(config, seed)


def architectures() -> Iterator[tuple[str, RunConfig]]:
    """MLPs and LSTMs on the task of `small`, as published and with more room."""
    shapes = {
        "mlp": {"kind": "mlp", "n_layers": 2, "d_hidden": 512},
        "mlp_embedding": {"kind": "mlp", "n_layers": 1, "d_hidden": 512, "input": "embedding"},
        "lstm20": {"kind": "lstm", "d_hidden": 20},
        "lstm128": {"kind": "lstm", "d_hidden": 128},
    }
    for name, model in shapes.items():
        config = override(PRESETS["small"](), {"name": name, "model": model})
        for seed in SEEDS:
            yield f"{name}-seed{seed}", seeded(config, seed)


def grids() -> Iterator[tuple[str, RunConfig]]:
    """Grokfast and StableMax against a baseline that is tuned over the same learning rates and decays."""
    budget = {"train": {"steps": GRID_STEPS, "stop_after_grokking": 0, "checkpoint_every": GRID_STEPS}}
    for name in ("small", "grokfast", "stablemax"):
        for lr in LRS:
            for decay in (0.0, *DECAYS) if name == "stablemax" else DECAYS:
                tuned = {"optimizer": {"name": "adamw", "lr": lr, "weight_decay": decay}}
                config = override(PRESETS[name](), tuned, budget)
                yield f"{name}-lr{lr:g}-wd{decay:g}-seed0", seeded(config, 0)


SETS = {"singles": singles, "architectures": architectures, "fractions": fractions, "grids": grids}
