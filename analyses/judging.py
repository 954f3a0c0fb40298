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
    chosen = np.random.default_rng(seed).integers(len(x), size=(n_resamples, len(x)))
    rho, found = _spearman(x[None], y[None]), _spearman(x[chosen], y[chosen])
    low, high = np.nanquantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(rho[0]), float(low), float(high)


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rho of each row: Pearson's of the mean ranks; NaN where one of them is constant."""
    from scipy.stats import rankdata

    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (rankdata(x, axis=1), rankdata(y, axis=1)))
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.full(len(scale), np.nan), where=scale > 0)
