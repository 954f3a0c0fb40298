"""Spikes of a loss curve: rises by a factor over what came just before, and what happened next. Arrays in, rows out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Spike:
    """One spike.

    Attributes:
        before: Index of the last evaluation before it.
        onset: Index of the first evaluation above `factor` times the reference.
        peak: Index of the largest loss from onset until it recovers.
        recovery: Index of the first evaluation after onset at or below `recovery` times the reference;
            None if there is none.
        reference: The loss it is compared with: the median of the evaluations before.
        height: Loss at the peak.
    """

    before: int
    onset: int
    peak: int
    recovery: int | None
    reference: float
    height: float

    @property
    def ratio(self) -> float | None:
        """height / reference; None over a loss of 0."""
        return self.height / self.reference if self.reference > 0 else None


def references(losses: Float[np.ndarray, " n"], window: int) -> Float[np.ndarray, " n"]:
    """What each loss is compared with: the median of the up to `window` losses before it; inf for the first.

    >>> references(np.array([3.0, 1.0, 2.0, 9.0]), 2).tolist()
    [inf, 3.0, 2.0, 1.5]
    """
    found = np.full(len(losses), np.inf)
    for i in range(1, min(window, len(losses))):
        found[i] = np.median(losses[:i])
    if len(losses) > window:
        views = np.lib.stride_tricks.sliding_window_view(losses[:-1], window)
        found[window:] = np.median(views, axis=1)
    return found


def jumps(losses: Float[np.ndarray, " n"], factor: float, window: int = 1) -> Int[np.ndarray, " n_jumps"]:
    """Indices with loss[i] > factor * (median of the `window` losses before); with window 1, loss[i - 1].

    A rise over several evaluations is several jumps; `find_spikes` makes them one spike.

    **Known values:** 108 in Nanda et al. 2023's low-precision run (50,000 train losses, factor 10), the
    largest x5,487 from step 10,506 to 10,507.
    """
    return np.flatnonzero(losses > factor * references(losses, window))


def find_spikes(
    losses: Float[np.ndarray, " n"], *, factor: float = 10.0, window: int = 5, recovery: float = 2.0
) -> list[Spike]:
    """Spikes in order; one ends before the next begins.

    A spike begins at the first i with loss[i] > factor * reference, reference the median of the `window`
    evaluations before i, and ends at the first j > i with loss[j] <= recovery * reference. Jumps in between
    belong to it, and one that never recovers is the last. A descent, however steep, is no spike, and one low
    outlier makes none of the evaluations after it.
    """
    reference, found, free = references(losses, window), [], 0
    for onset in jumps(losses, factor, window).tolist():
        if onset < free:
            continue
        back = np.flatnonzero(losses[onset + 1 :] <= recovery * reference[onset])
        end = onset + 1 + int(back[0]) if len(back) else None
        peak = onset + int(np.argmax(losses[onset:end]))
        found.append(Spike(onset - 1, onset, peak, end, float(reference[onset]), float(losses[peak])))
        free = len(losses) if end is None else end
    return found
