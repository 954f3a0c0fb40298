"""Whether what lies in phases.json is what was written there."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from grokinterp.phases.divide import Phase
from grokinterp.phases.events import Event

Test = Callable[[Any], bool]


def _step(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _maybe_step(value: Any) -> bool:
    return value is None or _step(value)


def _rows_of(kind: type[Event] | type[Phase], value: Any) -> bool:
    names = {field.name for field in fields(kind)}
    return isinstance(value, list) and all(isinstance(row, dict) and row.keys() >= names for row in value)


def _events(value: Any) -> bool:
    return isinstance(value, dict) and _rows_of(Event, list(value.values()))


def _points(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(point, dict) and "step" in point for point in value.values())


FIELDS: dict[str, Test] = {
    "rules": lambda value: isinstance(value, dict),
    "memorization_step": _maybe_step,
    "generalization_step": _maybe_step,
    "grokking_delay": _maybe_step,
    "censored": lambda value: isinstance(value, bool),
    "last_step": _step,
    "events": _events,
    "grokking_points": _points,
    "double_descent": lambda value: value is None or isinstance(value, dict),
    "train_loss_spikes": lambda value: isinstance(value, list) and all(_step(step) for step in value),
    "phases": lambda value: _rows_of(Phase, value),
}
"""What `Phases.to_json` writes, and how each field is known to be whole."""


def is_phases_json(found: dict[str, Any]) -> bool:
    """Whether the fields of `Phases.to_json` that a JSON object has are each of its kind.

    Fields that it has not are those of a later grokinterp than the one that wrote it.
    """
    return all(whole(found[name]) for name, whole in FIELDS.items() if name in found)
