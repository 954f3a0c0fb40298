"""Covering arrays: few rows in which each value of each factor meets each value of every other factor."""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence


def pairwise(
    factors: Mapping[str, Sequence[str]], allowed: Callable[[dict[str, str]], bool], *, seed: int = 0, tries: int = 60
) -> list[dict[str, str]]:
    """Rows that are `allowed` and cover every pair of values that any allowed row has; greedy, the same each time.

    A row is filled in a random order, each factor with the value that covers most; the best of `tries` is kept.
    """
    stream, names = random.Random(seed), list(factors)
    wanted = {
        frozenset(((a, x), (b, y))) for a, b in itertools.combinations(names, 2) for x in factors[a] for y in factors[b]
    }
    rows: list[dict[str, str]] = []
    while wanted:
        found = [row for _ in range(tries) if (row := _row(factors, allowed, wanted, stream)) is not None]
        best = max(found, key=lambda row: len(_covered(row) & wanted), default=None)
        if best is None or not _covered(best) & wanted:
            break  # what is left can't be had
        rows.append(best)
        wanted -= _covered(best)
    return rows


def _covered(row: Mapping[str, str]) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}


def _row(
    factors: Mapping[str, Sequence[str]],
    allowed: Callable[[dict[str, str]], bool],
    wanted: set[frozenset[tuple[str, str]]],
    stream: random.Random,
) -> dict[str, str] | None:
    """One row that starts with a pair still wanted; None if it comes to a dead end."""
    row = dict(stream.choice(sorted(map(sorted, wanted))))
    if not allowed(row):
        return None
    for name in stream.sample([name for name in factors if name not in row], len(factors) - 2):
        choices = [value for value in factors[name] if allowed({**row, name: value})]
        if not choices:
            return None
        gain = {value: len(_covered({**row, name: value}) & wanted) for value in choices}
        row[name] = stream.choice([value for value in choices if gain[value] == max(gain.values())])
    return {name: row[name] for name in factors}
