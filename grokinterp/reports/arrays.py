"""Arrays as the page holds them: base64 of little-endian numbers, maps rounded to 8 bits."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

LEVELS = 254
"""A map's values are rounded to this many equal parts of its range; 255 is a cell without a value."""

EMPTY = 255


def exact(values: Any, dtype: str = "<f4") -> dict[str, Any]:
    """An array as it is: float32 has seven digits, integers are whole. NaN is a cell without a value."""
    array = np.ascontiguousarray(np.asarray(values), dtype=dtype)
    text = base64.b64encode(array.tobytes()).decode("ascii")
    return {"dtype": dtype.lstrip("<|"), "shape": list(array.shape), "base64": text}


def rounded(frames: Sequence[np.ndarray]) -> dict[str, Any]:
    """Frames of one map on one scale: value = low + q (high - low) / 254 for q = 0..254.

    low and high are the smallest and largest finite value over all frames, so the largest rounding error is
    (high - low) / 508. A cell that is not finite is empty, 255.
    """
    stack = np.stack([np.asarray(frame, dtype=np.float64) for frame in frames])
    finite = np.isfinite(stack)
    low, high = (float(stack[finite].min()), float(stack[finite].max())) if finite.any() else (0.0, 0.0)
    span = high - low
    codes = np.zeros(stack.shape) if span == 0 else np.where(finite, (stack - low) / (span or 1) * LEVELS, 0).round()
    cells = np.where(finite, codes, EMPTY).astype(np.uint8)
    return {"low": low, "high": high, **exact(cells, "u1")}


def grid(first: Any, second: Any, values: Any, shape: tuple[int, int]) -> np.ndarray:
    """values at (first, second) of an array of that shape, NaN elsewhere."""
    image = np.full(shape, np.nan)
    image[np.asarray(first, dtype=int), np.asarray(second, dtype=int)] = np.asarray(values, dtype=float)
    return image


def thinned(steps: Sequence[int], most: int) -> list[int]:
    """At most `most` of the steps, evenly spaced by their place in the list, the first and the last among them."""
    if len(steps) <= most:
        return list(steps)
    if most < 1:
        return []
    places = np.linspace(0, len(steps) - 1, most).round().astype(int) if most > 1 else [len(steps) - 1]
    return sorted({steps[i] for i in places})
