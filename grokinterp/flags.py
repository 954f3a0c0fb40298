"""The sections of a config as command-line flags."""

from collections.abc import Sequence
from typing import Any, Literal, Optional, get_args, get_origin

from pydantic import BaseModel, Field, create_model

from grokinterp.config import KINDS, OptimizerConfig, RegularizerConfig, TaskConfig, TrainConfig


def _overrides(*kinds: type[BaseModel], without: Sequence[str] = ()) -> Any:
    """The section with every field optional: what flags were given, to be laid over a preset.

    Of a section that may be of several kinds, the fields of all, with the choices of all.
    """
    annotations: dict[str, list[Any]] = {}
    descriptions: dict[str, str | None] = {}
    for kind in kinds:
        for name, field in kind.model_fields.items():
            annotations.setdefault(name, []).append(field.annotation)
            descriptions.setdefault(name, field.description)
    fields: dict[str, Any] = {
        name: (Optional[_any_of(found)], Field(None, description=descriptions[name]))  # noqa: UP045 # ty: ignore[invalid-type-form]
        for name, found in annotations.items()
        if name not in without
    }
    return create_model(kinds[0].__name__, **fields)


def _any_of(annotations: list[Any]) -> Any:
    """The first annotation, or the choices of all where they are choices."""
    if get_origin(annotations[0]) is not Literal:
        return annotations[0]
    return Literal[tuple(dict.fromkeys(choice for one in annotations for choice in get_args(one)))]


TaskFlags = _overrides(TaskConfig, without=["table"])
ModelFlags = _overrides(*KINDS.values())
OptimizerFlags = _overrides(OptimizerConfig)
RegularizerFlags = _overrides(RegularizerConfig)
TrainFlags = _overrides(TrainConfig)


def sections(**given: Any) -> dict[str, dict[str, Any]]:
    """What flags were given, by section."""
    return {name: flags.model_dump(exclude_unset=True) for name, flags in given.items() if flags}
