"""A series over steps as bars of block characters, one or more lines high."""

import math
from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:-=+*%#"
"""For terminals that know no other characters."""

Point = tuple[int, float]


def columns(points: Sequence[Point], last: int, width: int) -> list[float | None]:
    """The mean of the values that fall into each of `width` equal parts of the steps 0 to `last`.

    Parts without a value have that of the part before them; None before the first value.

    >>> columns([(0, 1.0), (1, 3.0), (9, 5.0)], 9, 5)
    [2.0, 2.0, 2.0, 2.0, 5.0]
    """
    sums, counts = [0.0] * width, [0] * width
    for step, value in points:
        place = min(step * width // (last + 1), width - 1)
        sums[place] += value
        counts[place] += 1
    result: list[float | None] = []
    for total, count in zip(sums, counts, strict=True):
        result.append(total / count if count else result[-1] if result else None)
    return result


def bars(values: Sequence[float | None], low: float, high: float, height: int, *, ascii_only: bool) -> list[str]:
    """Lines, the upper one first, of a bar a value; `low` is the smallest bar, `high` fills the height.

    >>> bars([0.0, 0.5, 1.0, None], 0, 1, 1, ascii_only=False)
    ['▁▄█ ']
    """
    ramp = ASCII if ascii_only else BLOCKS
    top = len(ramp) - 1
    levels = [0 if value is None else _level(value, low, high, height * top) for value in values]
    return ["".join(ramp[min(max(level - line * top, 0), top)] for level in levels) for line in reversed(range(height))]


def _level(value: float, low: float, high: float, most: int) -> int:
    share = (value - low) / (high - low) if high > low else 0.0
    return max(1, min(most, math.floor(share * most + 0.5)))
