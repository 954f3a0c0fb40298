"""Knees: where a curve over steps bends from one straight line into another, if it does.

The curve is laid on at most GRID evenly spaced steps (medians of bins where it has more points, lines
between points where it has fewer). For one, two and three knees, `ruptures.Dynp("clinear")` finds the
continuous piecewise linear curve through points of it that misses the others least; from there the
knees move off the grid to where least squares leave less.

Lines with knees always fit better than one line, so knees are claimed only against a rival without any:
for m knees the polynomial of degree 2m + 1, which has as many parameters. The number of knees is the one
with the smallest ratio of the two residual sums of squares, and there are knees only where that ratio is
below KNEE_RATIO. Parabolas, power laws and wide sigmoids have none by this rule; a sigmoid or softplus
that turns within about a tenth of the window has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GRID = 120
"""Evenly spaced steps at most; the search costs their square."""

MAX_KNEES = 3

KNEE_RATIO = 0.5
"""Residual left by knees, as a share of what a polynomial with as many parameters leaves.

Of 200 seeded random walks at each of 8 to 60 points at most 11 came below it, of white noise none.
"""

Knots = tuple[float, ...]

_SHORTEST = 4
"""Grid points a straight piece, below which too few points decide."""


@dataclass(frozen=True)
class Knee:
    """One bend, at `step`, between the steps before and after it on the grid.

    (after, until] is what the spacing allows, not a confidence interval: a soft bend may be wider.
    """

    after: int
    step: int
    until: int


@dataclass(frozen=True)
class Knees:
    """The bends of one curve.

    knees: At least one, in step order.
    slopes: Change per step of each straight piece, one more than knees.
    ratio: Residual relative to the rival polynomial; below KNEE_RATIO.
    """

    knees: tuple[Knee, ...]
    slopes: tuple[float, ...]
    ratio: float

    @property
    def steepest(self) -> int:
        """Which piece is steepest, from 0."""
        return int(np.argmax(np.abs(self.slopes)))

    @property
    def onset(self) -> Knee | None:
        """Where the steepest piece begins; None if the curve begins with it."""
        return self.knees[self.steepest - 1] if self.steepest else None

    @property
    def change_point(self) -> Knee:
        """Where the steepest piece begins, or, if the curve begins with it, where it ends."""
        return self.onset or self.knees[0]


def find_knees(steps: Sequence[int], values: Sequence[float]) -> Knees | None:
    """The knees of a curve, or None where there are none by the rule above.

    **Differs:** texts that speak of a change point of the loss do not say how it was found.
    **Known values:** a hockey stick's knee is found at its step; a straight line, a parabola and noise
    have none.

    Args:
        steps: Ascending.
        values: Finite, one a step.
    """
    if len(steps) < 2 * _SHORTEST:
        return None
    known = np.asarray(steps, dtype=float)
    grid, curve = _on_grid(known, np.asarray(values, dtype=float))
    places = np.linspace(-1, 1, len(grid))
    if _residual(_lines(places, ()), curve) <= 1e-12 * float(((curve - curve.mean()) ** 2).sum()):
        return None  # a straight line but for rounding
    ratio, knots = min(_compared(places, curve, knots) for knots in _candidates(places, curve))
    if ratio >= KNEE_RATIO:
        return None
    half, middle = (grid[-1] - grid[0]) / 2, (grid[-1] + grid[0]) / 2
    slopes = np.cumsum(_solve(_lines(places, knots), curve)[1:]) / half
    knees = tuple(_knee(known, middle + half * knot, grid[1] - grid[0]) for knot in knots)
    return Knees(knees, tuple(slopes.tolist()), ratio)


def _on_grid(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve at evenly spaced steps: interpolated, or, where it has more points, medians of bins."""
    size = min(len(steps), GRID)
    grid = np.linspace(steps[0], steps[-1], size)
    if len(steps) <= GRID:
        return grid, np.interp(grid, steps, values)
    nearest = np.rint((steps - steps[0]) / (steps[-1] - steps[0]) * (size - 1)).astype(int)
    filled = np.unique(nearest)
    medians = [np.median(values[nearest == index]) for index in filled]
    return grid, np.interp(grid, grid[filled], medians)


def _candidates(places: np.ndarray, curve: np.ndarray) -> list[Knots]:
    """For each number of knees that the points allow, the places that leave least."""
    return [_moved(places, curve, tuple(places[breaks].tolist())) for breaks in _breaks(curve)]


def _breaks(curve: np.ndarray) -> list[list[int]]:
    """For each number of knees that the points allow, the indices where ruptures puts them."""
    from ruptures import Dynp

    # every second point is enough to start from where there are many; the time grows as their square
    search = Dynp(model="clinear", min_size=_SHORTEST - 1, jump=1 if len(curve) <= GRID // 2 else 2).fit(curve)
    most = min(MAX_KNEES, len(curve) // _SHORTEST - 1)
    # a segment ends before its breakpoint, and the next one starts from the point that it ended with
    found = [[end - 1 for end in search.predict(n)[:-1]] for n in range(1, most + 1)]
    Dynp.seg.cache_clear()  # it would keep this search alive
    return found


def _moved(places: np.ndarray, curve: np.ndarray, knots: Knots) -> Knots:
    """The knots moved off the grid to where least squares leave less.

    A knot k with the bend b moves by g / b, g the coefficient of the step function -[x > k] beside it
    in a linear fit (Muggeo 2003), as far as that leaves less.
    """
    spacing = places[1] - places[0]
    left = _residual(_lines(places, knots), curve)
    for _ in range(10):
        jumps = -(places[:, None] > np.array(knots)).astype(float)
        solution = _solve(np.hstack([_lines(places, knots), jumps]), curve)
        bends, gaps = solution[2 : 2 + len(knots)], solution[2 + len(knots) :]
        with np.errstate(divide="ignore", invalid="ignore"):
            move = np.clip(np.nan_to_num(gaps / bends), -2 * spacing, 2 * spacing)
        tried = tuple((np.array(knots) + move).tolist())
        edges = np.diff([-1, *tried, 1])
        now = _residual(_lines(places, tried), curve)
        if edges.min() < 2 * spacing or now >= left * (1 - 1e-6):
            break
        knots, left = tried, now
    return knots


def _compared(places: np.ndarray, curve: np.ndarray, knots: Knots) -> tuple[float, Knots]:
    """What lines with these knots leave, relative to a polynomial with as many parameters."""
    polynomial = np.polynomial.legendre.legvander(places, 2 * len(knots) + 1)
    # where both follow the curve, rounding is left of both, which must not be compared
    least = 1e-20 * float(curve @ curve)
    return (_residual(_lines(places, knots), curve) + least) / (_residual(polynomial, curve) + least), knots


def _lines(places: np.ndarray, knots: Knots) -> np.ndarray:
    """Columns that span the continuous piecewise linear functions with these knots."""
    return np.stack([np.ones_like(places), places, *(np.maximum(places - knot, 0) for knot in knots)], axis=1)


def _solve(design: np.ndarray, curve: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(design, curve, rcond=None)[0]


def _residual(design: np.ndarray, curve: np.ndarray) -> float:
    left = curve - design @ _solve(design, curve)
    return float(left @ left)


def _knee(steps: np.ndarray, place: float, spacing: float) -> Knee:
    """The knee at a place, with the steps around it at which the curve is known, a grid spacing away at least."""
    # a grid point counts as reached that rounding puts just beyond
    after = steps[steps <= place - spacing * (1 - 1e-9)]
    until = steps[steps >= place + spacing * (1 - 1e-9)]
    nearest = steps[np.argmin(np.abs(steps - place))]
    return Knee(int(after[-1]), int(nearest), int(until[0]))
