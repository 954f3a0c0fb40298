"""The tables of this folder, from its runs."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from analyses.rows import CURVES, outcome_row, thinned
from analyses.study import Study
from grokinterp.config import RunConfig
from grokinterp.runs.rundir import RunDir
from grokinterp.tasks import build_task
from grokinterp.training.trainer import Trainer, build_trainer

METHODS = ("adamw", "grokfast_ema", "muon")
"""Variants of `tuning` and `tuned`; the first is the baseline."""

SETTINGS = ["lr", "weight_decay"]
POINTS = 60
ROUNDS, UPDATES = 12, 10
"""Of the timing: rounds over all methods, and updates of each in a round."""


def runs(study: Study, recipe: str) -> pd.DataFrame:
    """One row a run, with what was tuned."""
    rows = [
        {"variant": study.variant(recipe, run), "lr": run.config.optimizer.lr}
        | {"weight_decay": run.config.optimizer.weight_decay}
        | outcome_row(run)
        for run in study.trained(recipe)
    ]
    return pd.DataFrame(rows)


def curves(study: Study) -> pd.DataFrame:
    """Accuracy over steps of the runs at published and at tuned settings."""
    parts = []
    for recipe in ("published", "tuned"):
        for run in study.trained(recipe):
            metrics = run.metrics
            kept = metrics.iloc[thinned(metrics["step"].to_numpy(), POINTS)][["step", *CURVES]]
            named = {"recipe": recipe, "variant": study.variant(recipe, run), "seed": run.config.model.init_seed}
            parts.append(kept.assign(**named))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def cost(study: Study) -> pd.DataFrame:
    """Milliseconds an update takes, of each method and of Grokfast-MA, and that over AdamW's.

    All methods are timed in turn in the same process, so that what else the machine does falls on all alike; the
    shortest of the rounds is least disturbed, and the ratio is the median over rounds. One thread.
    """
    configs = {_method(config): config for config in study.recipes["tuned"].configs() if config.name.endswith("-seed0")}
    window = next(config for config in study.recipes["published"].configs() if config.name.startswith("adam_ma-"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = _times(configs | {"grokfast_ma": window})
    finally:
        torch.set_num_threads(threads)
    table = pd.DataFrame(times)
    ratios = table.div(table[METHODS[0]], axis=0)
    return pd.DataFrame(
        {
            "variant": table.columns,
            "ms_per_step": table.min().to_numpy(),
            "relative": ratios.median().to_numpy(),
            "relative_low": ratios.quantile(0.25).to_numpy(),
            "relative_high": ratios.quantile(0.75).to_numpy(),
        }
    )


def _times(configs: dict[str, RunConfig]) -> dict[str, list[float]]:
    """Milliseconds of an update in each round, by method, once buffers are there and windows are full."""
    with tempfile.TemporaryDirectory() as folder:
        trainers = {name: _trainer(config, Path(folder) / name) for name, config in configs.items()}
        for name, trainer in trainers.items():
            extra = configs[name].regularizer
            for _ in range(extra.grokfast_window if extra.grokfast == "ma" else UPDATES):
                trainer.update()
        times: dict[str, list[float]] = {name: [] for name in trainers}
        for _ in range(ROUNDS):
            for name, trainer in trainers.items():
                start = time.perf_counter()
                for _ in range(UPDATES):
                    trainer.update()
                times[name].append(1e3 * (time.perf_counter() - start) / UPDATES)
        return times


def _trainer(config: RunConfig, folder: Path) -> Trainer:
    return build_trainer(config, build_task(config.task), RunDir(folder), torch.device("cpu"))


def _method(config: RunConfig) -> str:
    return max((name for name in METHODS if config.name.startswith(f"{name}-")), key=len)


def tuning(study: Study) -> pd.DataFrame:
    """One row a run of the grid."""
    return runs(study, "tuning")


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Each method's best setting in the table `tuning`, and whether it lies at an edge of the grid.

    One procedure for all: most seeds at 99 % test accuracy, then the fewest steps in the mean over seeds, a run that
    does not get there counting with its length; then the higher mean of the best test accuracy.
    """
    table = table.assign(steps_to=table["generalization_step"].fillna(table["last_step"]))
    table = table.assign(reached=table["generalization_step"].notna())
    by = table.groupby(["variant", *SETTINGS])
    scores = by.agg(
        reached=("reached", "mean"), steps_to=("steps_to", "mean"), best=("best_test_accuracy", "mean")
    ).reset_index()
    scores = scores.sort_values(["reached", "steps_to", "best"], ascending=[False, True, False], kind="stable")
    best = scores.groupby("variant", sort=False).head(1).reset_index(drop=True)
    edges = [np.isin(best[name], [table[name].min(), table[name].max()]) for name in SETTINGS]
    return best.assign(lr_at_edge=edges[0], weight_decay_at_edge=edges[1])


def settings_of(study: Study) -> pd.DataFrame:
    """What the grid chooses, beside what the recipe `tuned` has."""
    table = tuning(study)
    if table.empty:
        return table
    used = {_method(config): config.optimizer for config in study.recipes["tuned"].configs()}
    best = chosen(table)
    found = [used[name] for name in best["variant"]]
    return best.assign(tuned_lr=[o.lr for o in found], tuned_weight_decay=[o.weight_decay for o in found])


TABLES: dict[str, Any] = {
    "tuning": tuning,
    "settings": settings_of,
    "tuned": lambda study: runs(study, "tuned"),
    "published": lambda study: runs(study, "published"),
    "curves": curves,
    "cost": cost,
}
