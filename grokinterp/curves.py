"""How fast a curve over steps moves: its 10-90 % transition, and an Erf fit. Arrays in, numbers out."""

import math
import warnings
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int

ERF_FIT = ("erf_s", "erf_s_low", "erf_s_high", "erf_t", "erf_t_low", "erf_t_high", "erf_r2")
"""What `erf_fit` gives."""


@dataclass(frozen=True)
class Transition:
    """Where a curve passes 10 %, 50 % and 90 % of the way from its first to its last value.

    Attributes:
        width_steps: step_90 - step_10.
        width_decades: log10(step_90 / step_10).
        resolution_steps: Between the two points of the curve around the midpoint.
        n_inside: Points of the curve strictly between step_10 and step_90.
    """

    step_10: float
    midpoint: float
    step_90: float
    width_steps: float
    width_decades: float
    resolution_steps: int
    n_inside: int


TRANSITION = tuple(field.name for field in fields(Transition))


def transition(steps: Int[np.ndarray, " n"], values: Float[np.ndarray, " n"]) -> Transition | None:
    """The 10-90 % transition of a rising or falling curve; None for one that ends where it began.

    r = (y - y_first) / (y_last - y_first). step_90 is the first crossing of r = 0.9, step_10 and midpoint
    are the last upward crossings of 0.1 and 0.5 before it, all interpolated linearly. So a dip below the
    start (the test log-prob of a network that memorises) counts as before, an overshoot or a later
    collapse as after the transition. The end is the last checkpoint: a run cut short has another one.

    **Known values:** logistic accuracy, for accuracy^L in units of the accuracy's width
    [logit(.9^{1/L}) - logit(.1^{1/L})] / (2 ln 9): .839 (L = 2), .727 (L = 10), above .702 for every L, and
    a delay of logit(.5^{1/L}); Gaussian CDF: .823 and .580.
    """
    change = values[-1] - values[0]
    if abs(change) <= 1e-12 * np.abs(values).max():
        return None
    way = (values - values[0]) / change
    reached = int(np.argmax(way >= 0.9))

    def crossing(level: float) -> tuple[float, int]:
        before = int(np.flatnonzero(way[:reached] < level)[-1])
        share = (level - way[before]) / (way[before + 1] - way[before])
        return float(steps[before] + share * (steps[before + 1] - steps[before])), before

    (step_10, _), (midpoint, before), (step_90, _) = crossing(0.1), crossing(0.5), crossing(0.9)
    return Transition(
        step_10=step_10,
        midpoint=midpoint,
        step_90=step_90,
        width_steps=step_90 - step_10,
        width_decades=math.log10(step_90 / step_10),
        resolution_steps=int(steps[before + 1] - steps[before]),
        n_inside=int(((steps > step_10) & (steps < step_90)).sum()),
    )


def erf_fit(
    steps: Int[np.ndarray, " n"], values: Float[np.ndarray, " n"], found: Transition
) -> dict[str, float] | None:
    """Least-squares fit of A(t) = a Erf(s (t - t*)) + b, each point weighing the same.

    The intervals are 95 %, from the covariance and Student's t with n - 4 degrees of freedom: they hold for
    independent residuals, so read them with erf_r2, which says whether the curve is an Erf at all. None if
    there are fewer than 5 points, if the fit does not converge, or if its t* lies outside the steps or has an interval
    wider than they are: then too few of them are inside the transition to say where it is, and how steep.

    **Paper:** Miller et al. 2024 (arXiv 2402.08946), their s and t*.
    """
    from scipy.optimize import curve_fit
    from scipy.special import erf
    from scipy.stats import t as student

    width, free = found.width_steps, len(steps) - 4
    if free < 1:
        return None
    x = (np.asarray(steps, dtype=np.float64) - found.midpoint) / width
    half = (values[-1] - values[0]) / 2
    y = (values - values[0]) / half - 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # no covariance, or overflow on the way to no minimum
            best, covariance = curve_fit(lambda u, a, s, c, b: a * erf(s * (u - c)) + b, x, y, p0=(1, 1.8, 0, 0))
    except (RuntimeError, RuntimeWarning, UserWarning):
        return None
    a, s, centre, b = best
    error = student.ppf(0.975, free) * np.sqrt(np.diag(covariance))
    residual = ((a * erf(s * (x - centre)) + b - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    s = abs(s)  # a and s may both be negative
    found_values = {"erf_s": s / width, "erf_s_low": (s - error[1]) / width, "erf_s_high": (s + error[1]) / width}
    at = {"erf_t": centre, "erf_t_low": centre - error[2], "erf_t_high": centre + error[2]}
    found_values |= {name: found.midpoint + value * width for name, value in at.items()} | {"erf_r2": 1 - residual}
    sound = all(np.isfinite(value) for value in found_values.values())
    told = 2 * error[2] * width <= steps[-1] - steps[0]  # along a flat valley rounding decides where the fit ends
    if not sound or not told or not steps[0] <= found_values["erf_t"] <= steps[-1]:
        return None
    return {name: float(value) for name, value in found_values.items()}
