"""What varies among the configs of runs: factors with their values, and the settings that seeds repeat."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grokinterp.comparison.entries import Entry

BOOKKEEPING = (
    "train.device",
    "train.threads",
    "train.eval_every",
    "train.checkpoint_log_points",
    "train.checkpoint_every",
    "train.checkpoint_dense",
    "train.resume_every",
)
"""Fields that decide where a run is computed and what is kept of it, not what is learned: no factors."""

CHOOSERS = ("task.operation", "model.kind", "optimizer.name")
"""A field of the same section that is the same wherever one of these is, such as muon's momentum, follows from it."""

MOST_SETTINGS = 60
"""With more of them the setting as a whole is no factor to choose."""

_ABSENT = object()


@dataclass(frozen=True)
class Factor:
    """A field that varies, or seeds that vary together.

    Attributes:
        label: The field's name, with its section where the name alone is not enough.
        fields: The config's names of it.
        values: Its values as text, in order.
        levels: For each run the place of its value; None where the run has no such field.
        is_seed: Whether it only repeats a setting.
        is_number: Whether all its values are numbers.
    """

    label: str
    fields: tuple[str, ...]
    values: tuple[str, ...]
    levels: tuple[int | None, ...]
    is_seed: bool = False
    is_number: bool = False


def find_factors(entries: Sequence[Entry]) -> list[Factor]:
    """The factors, seeds last; `entries` that have no config have no level."""
    following = followers(entries)
    varying = [name for name in _varying(entries) if name not in (*BOOKKEEPING, *following)]
    seeds = [name for name in varying if _is_seed(name)]
    others = [name for name in varying if name not in seeds]
    found = [_factor((name,), _label(name, varying), entries) for name in others]
    as_one = all(len({entry.fields.get(name) for name in seeds}) == 1 for entry in entries if entry.fields)
    if seeds and as_one:
        return [*found, _factor(tuple(seeds), "seed", entries, is_seed=True)]
    return found + [_factor((name,), name, entries, is_seed=True) for name in seeds]


def other_fields(entries: Sequence[Entry]) -> list[str]:
    """Fields that vary too, and decide nothing of what is learned."""
    return [name for name in _varying(entries) if name in BOOKKEEPING]


def followers(entries: Sequence[Entry]) -> dict[str, str]:
    """Fields that follow from another one, with a text that says how; they are no factors of their own."""
    configs, varying = [entry.fields for entry in entries if entry.fields], _varying(entries)
    found = {}
    for chooser in (name for name in CHOOSERS if name in varying):
        for name in (name for name in varying if name.split(".")[0] == chooser.split(".")[0]):
            pairs = sorted({(_text(config[chooser]), _text(config.get(name, _ABSENT))) for config in configs})
            chosen = len({value for value, _ in pairs})
            if name != chooser and not _is_seed(name) and len(pairs) == chosen < len(configs):
                found[name] = f"{name} follows from {chooser} ({', '.join(f'{a}: {b}' for a, b in pairs)})"
    return found


def shared_fields(entries: Sequence[Entry]) -> dict[str, str]:
    """Fields that are the same in all runs, with their values."""
    configs = [entry.fields for entry in entries if entry.fields]
    varying = set(_varying(entries))
    return {name: _text(value) for name, value in configs[0].items() if name not in varying}


def find_settings(factors: Sequence[Factor], n_runs: int) -> Factor:
    """What runs have apart from seeds, as one factor; of one value where nothing but seeds varies."""
    varied = [factor for factor in factors if not factor.is_seed]
    rows = [tuple(factor.levels[i] for factor in varied) for i in range(n_runs)]
    seeds_too = [tuple(factor.levels[i] for factor in factors) for i in range(n_runs)]
    known = [not factors or any(level is not None for level in levels) for levels in seeds_too]
    distinct = sorted({row for row, is_there in zip(rows, known, strict=True) if is_there}, key=_with_none_last)
    places = {row: place for place, row in enumerate(distinct)}
    values = tuple(_setting_text(varied, row) or "all runs" for row in distinct)
    levels = tuple(places[row] if is_there else None for row, is_there in zip(rows, known, strict=True))
    return Factor("setting", (), values, levels)


def _varying(entries: Sequence[Entry]) -> list[str]:
    """Names of fields with more than one value, in the order of the configs; not to have it is a value too."""
    configs = [entry.fields for entry in entries if entry.fields]
    names = dict.fromkeys(name for config in configs for name in config)
    return [name for name in names if len({_text(config.get(name, _ABSENT)) for config in configs}) > 1]


def _is_seed(name: str) -> bool:
    return name.rpartition(".")[2].rpartition("_")[2] == "seed"


def _label(name: str, varying: Sequence[str]) -> str:
    section, _, last = name.partition(".")
    if last in ("name", "kind"):
        return section
    times = Counter(other.partition(".")[2] for other in varying)
    return last if times[last] == 1 else name


def _factor(fields: tuple[str, ...], label: str, entries: Sequence[Entry], *, is_seed: bool = False) -> Factor:
    values = [(entry.fields or {}).get(fields[0], _ABSENT) for entry in entries]
    by_text = {_text(value): value for value in values if value is not _ABSENT}
    texts = sorted(by_text, key=lambda text: _order(by_text[text]))
    levels = tuple(None if value is _ABSENT else texts.index(_text(value)) for value in values)
    numbers = all(type(value) in (int, float) for value in by_text.values())
    return Factor(label, fields, tuple(texts), levels, is_seed, numbers)


def _setting_text(factors: Sequence[Factor], levels: tuple[int | None, ...]) -> str:
    pairs = zip(factors, levels, strict=True)
    return ", ".join(f"{factor.label} = {factor.values[level]}" for factor, level in pairs if level is not None)


def _with_none_last(levels: tuple[int | None, ...]) -> list[tuple[bool, int]]:
    return [(level is None, level or 0) for level in levels]


def _text(value: Any) -> str:
    """A value as a label; a whole table is named by its digest."""
    if value is _ABSENT:
        return "absent"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and any(isinstance(item, list) for item in value):
        return f"table {hashlib.sha256(json.dumps(value).encode()).hexdigest()[:8]}"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return "none" if value is None else json.dumps(value)


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then everything else by its text."""
    is_number = type(value) in (int, float)
    return (0 if is_number else 1, value if is_number else 0, _text(value))
