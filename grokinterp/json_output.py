"""What `--json` prints: one document on standard output, numbers unrounded, null for what is not known."""

import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any


def print_document(value: Any) -> None:
    """Print a value as one JSON document, ASCII alone; NaN and infinity become null."""
    sys.stdout.write(json.dumps(without_nan(value), indent=2, allow_nan=False) + "\n")


def print_rows(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as one JSON array, a line each, none of them kept in memory."""
    written = False
    for row in rows:
        sys.stdout.write((",\n" if written else "[\n") + json.dumps(without_nan(row), allow_nan=False))
        written = True
    sys.stdout.write("\n]\n" if written else "[]\n")


def without_nan(value: Any) -> Any:
    """Lists and mappings with null in place of every number that JSON has no word for.

    >>> without_nan({"a": [1, float("nan")], "b": float("-inf")})
    {'a': [1, None], 'b': None}
    """
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
