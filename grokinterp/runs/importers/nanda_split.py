"""Which pairs Nanda et al. trained on: candidates from Python's shuffle, held against the recorded losses."""

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from grokinterp.config import train_size
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers.imported import Imported, mask_of_pairs
from grokinterp.runs.importers.judge import Judge
from grokinterp.tasks import build_task

SEEDS = range(10)
DEFAULT_FRACTION = 0.3
FRACTIONS = (0.25, 0.28, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Tried where the default does not give the losses; one seed's splits contain each other, and near ones look alike."""

MOMENTS = 6
"""Checkpoints that are held against the curves."""

CLOSE = 0.2
"""Mean |ln(recomputed / recorded loss)| up to which a candidate agrees."""

ALONE = 3.0
"""So many times worse must all other candidates be, and worse than DISTINCT."""

DISTINCT = 0.02
FLOOR = 1e-7
"""Nats; below, a loss recorded in float32 is noise."""


@dataclass(frozen=True)
class Candidate:
    """A split, and how far its losses are from the recorded ones."""

    seed: int
    fraction: float
    later: int
    error: float


def shuffled_mask(n: int, fraction: float, seed: int) -> Bool[np.ndarray, "n n"]:
    """The first floor(fraction * n^2) pairs of the a-major list that random.Random(seed) shuffled."""
    pairs = [(i, j) for i in range(n) for j in range(n)]
    random.Random(seed).shuffle(pairs)
    left, right = zip(*pairs[: train_size(fraction, n * n)], strict=True)
    return mask_of_pairs(left, right, n)


def split_of_pairs(train: Any, test: Any, n: int) -> Bool[np.ndarray, "n n"]:
    """The mask of a file's list of training pairs (i, j, '=').

    Raises:
        GrokinterpError: no such list, or together with the test pairs not every pair once.
    """
    mask = _mask_of(train, n)
    if test is not None and not np.array_equal(_mask_of(test, n), ~mask):
        raise GrokinterpError("train_data and test_data are not the pairs, each once; save the file again")
    return mask


def _mask_of(pairs: Any, n: int) -> Bool[np.ndarray, "n n"]:
    try:
        array = np.asarray(pairs)
    except (TypeError, ValueError, RuntimeError):
        array = np.zeros(())
    if array.ndim != 2 or array.dtype.kind != "i" or array.shape[1] < 2:
        raise GrokinterpError("train_data is no list of pairs; save the file again")
    return mask_of_pairs(array[:, 0], array[:, 1], n)


def find_split(
    imported: Imported, settings: Mapping[str, Any], *, shiftable: bool
) -> tuple[Bool[np.ndarray, "n n"] | None, int, list[str]]:
    """The split whose losses agree with the recorded ones where no other's do.

    Args:
        shiftable: The file does not say whether its weights are from before or after the update of their epoch.

    Returns:
        The mask or None, 1 if the weights are one step later than they are called, and a note.
    """
    task = build_task(imported.config.task)
    unknown = "the file does not say which pairs were trained on, and of Python's shuffles of seeds 0 to 9 none alone "
    curves = _curves(imported)
    if any(len(curves[name]) == 0 for name in curves) or not bool(task.defined.all()):
        return None, 0, ["the file does not say which pairs were trained on, nor enough losses to find it out"]
    judge, n = Judge(imported.config, task), imported.config.task.n_elements
    chosen = imported.steps[:: max(len(imported.steps) // MOMENTS, 1)]
    moments = {step: judge.pair_scores(imported.weights(step))[0] for step in {*chosen, imported.steps[-1]}}
    claimed = settings.get("frac_train")
    default = claimed if isinstance(claimed, float) and 0 < claimed < 1 else DEFAULT_FRACTION
    seeds = dict.fromkeys([settings["seed"], *SEEDS] if isinstance(settings.get("seed"), int) else SEEDS)
    for fractions in ([default], [] if default == claimed else FRACTIONS):
        found = list(_candidates(moments, curves, fractions, seeds, n, shiftable=shiftable))
        best = _alone(found)
        if best is not None:
            break
    else:
        return None, 0, [unknown + "gives the recorded losses"]
    note = (
        f"the split is taken to be that of Python's shuffle with seed {best.seed} and frac_train {best.fraction:g}: "
        f"of {len({(c.seed, c.fraction) for c in found})} tried it alone gives the recorded losses"
    )
    late = ["its checkpoints are of one step after their epochs: that gives the recorded losses"] if best.later else []
    return shuffled_mask(n, best.fraction, best.seed), best.later, [note, *late]


def _alone(found: list[Candidate]) -> Candidate | None:
    """The candidate that agrees, if no other one nearly does."""
    best = min(found, key=lambda c: c.error, default=None)
    if best is None or best.error > CLOSE:
        return None
    others = [c.error for c in found if (c.seed, c.fraction) != (best.seed, best.fraction)]
    return best if all(error >= max(ALONE * best.error, DISTINCT) for error in others) else None


def _curves(imported: Imported) -> dict[str, dict[int, float]]:
    return {
        name: {row["step"]: row[name] for row in imported.metrics if math.isfinite(row.get(name, math.nan))}
        for name in ("train_loss", "test_loss")
    }


def _candidates(
    moments: Mapping[int, Float[np.ndarray, " n_pairs"]],
    curves: Mapping[str, Mapping[int, float]],
    fractions: Iterable[float],
    seeds: Iterable[int],
    n: int,
    *,
    shiftable: bool,
) -> Iterator[Candidate]:
    for fraction in fractions:
        if not 0 < train_size(fraction, n * n) < n * n:
            continue
        for seed in seeds:
            mask = shuffled_mask(n, fraction, seed).ravel()
            for later in (0, 1) if shiftable else (0,):
                error = _error(moments, curves, mask, later)
                if error is not None:
                    yield Candidate(seed, fraction, later, error)


def _error(
    moments: Mapping[int, Float[np.ndarray, " n_pairs"]],
    curves: Mapping[str, Mapping[int, float]],
    mask: Bool[np.ndarray, " n_pairs"],
    later: int,
) -> float | None:
    """Mean |ln(recomputed / recorded)| over moments and sides; None where nothing was recorded near a moment."""
    errors = []
    for step, losses in moments.items():
        for name, side in (("train_loss", mask), ("test_loss", ~mask)):
            recorded = _near(curves[name], step + later)
            if recorded is not None:
                errors.append(abs(math.log((float(losses[side].mean()) + FLOOR) / (max(recorded, 0.0) + FLOOR))))
    return sum(errors) / len(errors) if errors else None


def _near(curve: Mapping[int, float], step: int) -> float | None:
    """The value at the step, or the last one not long before it."""
    before = [s for s in curve if s <= step]
    last = max(before, default=None)
    return None if last is None or step - last > max(10, step // 100) else curve[last]
