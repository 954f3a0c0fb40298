"""Double descent of the test loss over training: it rises to a peak and falls again, for a second time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grokinterp.phases.events import Row

RISE = 1.5
"""Ratio of the peak to the lowest loss before it, and to the lowest after it, that makes a double descent."""

_LEAST = 1e-300
"""A loss of zero counts as this in ratios."""


@dataclass(frozen=True)
class DoubleDescent:
    """The peak of the test loss and what lies before and after it; losses in nats.

    height: peak_loss / first_minimum.
    second_descent: peak_loss / second_minimum.
    peak_after, peak_until: The evaluations beside the peak's.
    steps_after_memorization: peak_step - memorization_step; None if the run never memorised.
    """

    initial_loss: float
    first_minimum_step: int
    first_minimum: float
    peak_after: int
    peak_step: int
    peak_until: int
    peak_loss: float
    second_minimum_step: int
    second_minimum: float
    height: float
    second_descent: float
    steps_after_memorization: int | None


def find_double_descent(
    rows: Sequence[Row], memorised: int | None = None, grokked: int | None = None
) -> DoubleDescent | None:
    """The double descent of the test loss, or None where it does not rise and fall again by RISE.

    With L the median of each evaluation and its two neighbours (a lone spike is no peak), there is a
    double descent if the evaluation t, not after generalisation, with the largest

        min(L(t) / min_{s <= t} L(s),  L(t) / min_{s >= t} L(s))

    reaches RISE. The values are those of the log: the peak is the highest of t and its neighbours. The
    first minimum may be the initial loss: a network that memorises at once never sees a first descent.

    **Paper:** Power et al. 2022, appendix A.2 (the figure of the losses; no formula); Nakkiran et
    al. 2020 for the name.
    **Known values:** losses that only fall, or only rise, have none; a rise from 4 to 20 and a fall to
    0.001 has height 5 and second descent 20,000. White noise of 10 % in the loss makes one in a hundred
    runs of 300 evaluations.
    """
    known = [(row["step"], row["test_loss"]) for row in rows if row.get("test_loss") is not None]
    if not known:
        return None
    steps, losses = [step for step, _ in known], [loss for _, loss in known]
    rise = _rise(losses)
    if grokked is not None:  # what rises after generalisation are slingshots
        rise = rise[: max(sum(step <= grokked for step in steps), 1)]
    top = int(np.argmax(rise))
    if rise[top] < RISE:  # it is 1 at the first and at the last evaluation
        return None
    peak = max(range(max(top - 1, 1), min(top + 2, len(steps) - 1)), key=lambda i: losses[i])
    first = min(range(peak), key=lambda i: losses[i])
    second = min(range(peak + 1, len(steps)), key=lambda i: losses[i])
    return DoubleDescent(
        initial_loss=losses[0],
        first_minimum_step=steps[first],
        first_minimum=losses[first],
        peak_after=steps[peak - 1],
        peak_step=steps[peak],
        peak_until=steps[peak + 1],
        peak_loss=losses[peak],
        second_minimum_step=steps[second],
        second_minimum=losses[second],
        height=_ratio(losses[peak], losses[first]),
        second_descent=_ratio(losses[peak], losses[second]),
        steps_after_memorization=None if memorised is None else steps[peak] - memorised,
    )


def _rise(losses: list[float]) -> np.ndarray:
    """How far the smoothed loss at each evaluation is above its lowest before and after, as a ratio."""
    smooth = np.median([losses[:1] + losses[:-1], losses, losses[1:] + losses[-1:]], axis=0)
    smooth = np.maximum(smooth, _LEAST)
    before = np.minimum.accumulate(smooth)
    after = np.minimum.accumulate(smooth[::-1])[::-1]
    return np.minimum(smooth / before, smooth / after)


def _ratio(above: float, below: float) -> float:
    return above / max(below, _LEAST)
