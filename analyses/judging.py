"""What claims of several papers are judged with."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analyses.study import Answer

Claim = Callable[..., Answer]


def claims_in(found: Mapping[str, Any], module: str) -> dict[str, Claim]:
    """The functions of a module that give an Answer, by name, but for those that it imports or keeps to itself."""
    return {
        name: value
        for name, value in found.items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and value.__module__ == module
        and inspect.signature(value).return_annotation is Answer
    }


def smallest_fraction(table: pd.DataFrame, accuracy: float = 0.99) -> float:
    """The smallest share of the pairs at which the seeds' median of the best test accuracy is that high; inf: none."""
    medians = table.groupby("frac_train")["best_test_accuracy"].median()
    enough = medians[medians >= accuracy]
    return float(enough.index.min()) if len(enough) else float("inf")


def at_least(needed: Mapping[str, float], one: str, other: str, tolerance: float) -> Answer:
    """Whether two operations need the same share of the pairs, to within a tolerance."""
    a, b = needed[one], needed[other]
    ours = f"{one}: {_share(a)}, {other}: {_share(b)}"
    if np.isinf(a) and np.isinf(b):
        return Answer(ours, None, "neither generalises at the shares that were tried")
    return Answer(ours, bool(abs(a - b) <= tolerance + 1e-9))


def _share(value: float) -> str:
    return "more than was tried" if np.isinf(value) else f"{value:.0%}"


def interval(
    x: np.ndarray, y: np.ndarray, *, n_resamples: int = 9999, level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """Spearman's rho with its percentile bootstrap interval over pairs (seeded)."""
    from scipy.stats import spearmanr

    rng = np.random.default_rng(seed)
    rho, found = float(spearmanr(x, y).statistic), []
    for _ in range(n_resamples):
        chosen = rng.integers(len(x), size=len(x))
        if np.ptp(x[chosen]) and np.ptp(y[chosen]):
            found.append(spearmanr(x[chosen], y[chosen]).statistic)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return rho, float(low), float(high)
