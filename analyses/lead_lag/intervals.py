"""Medians over runs of several tasks, with intervals that hold for other tasks too.

Runs of one task are alike, so 24 runs of six tasks are no 24 independent ones. Both levels are drawn again: as many
tasks as there are, with replacement, and in each of them as many of its runs, with replacement.
"""

import numpy as np
import pandas as pd

from grokinterp.cohort import LEVEL, Estimate

FEWEST_TASKS = 4
"""Tasks below which no interval is given."""


def by_task(
    values: pd.Series, tasks: pd.Series, *, level: float = LEVEL, n_resamples: int = 9999, seed: int = 0
) -> Estimate:
    """The median over all runs with a percentile interval over tasks and their runs; runs without a value are left out.

    **Known values:** with one run a task it is the ordinary bootstrap over tasks; equal values have an interval of no
    width.
    """
    known = values.notna()
    groups = [members.to_numpy(dtype=float) for _, members in values[known].groupby(tasks[known])]
    n, n_missing = int(known.sum()), int((~known).sum())
    if not groups:
        return Estimate(None, None, None, 0, n_missing, "", "no run has a value")
    value = float(np.median(np.concatenate(groups)))
    if len(groups) < FEWEST_TASKS:
        note = f"{len(groups)} tasks; an interval needs {FEWEST_TASKS}"
        return Estimate(value, None, None, n, n_missing, "", note)
    medians = _medians(groups, n_resamples, seed)
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), n, n_missing, "percentile", "over tasks and their runs")


def _medians(groups: list[np.ndarray], n_resamples: int, seed: int) -> np.ndarray:
    """The median of each resample."""
    rng = np.random.default_rng(seed)
    sizes = np.array([len(group) for group in groups])
    padded = np.full((len(groups), sizes.max()), np.nan)
    for row, group in zip(padded, groups, strict=True):
        row[: len(group)] = group
    chosen = rng.integers(len(groups), size=(n_resamples, len(groups)))
    size = sizes[chosen][:, :, None]
    runs = (rng.random((*chosen.shape, sizes.max())) * size).astype(int)
    drawn = np.where(np.arange(sizes.max()) < size, padded[chosen[:, :, None], runs], np.nan)
    ordered = np.sort(drawn.reshape(n_resamples, -1), axis=1)  # what is padded goes last
    count, rows = sizes[chosen].sum(axis=1), np.arange(n_resamples)
    return (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2
