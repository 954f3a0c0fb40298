"""What all sections of a config have in common."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Section(BaseModel):
    """A frozen group of fields that refuses unknown names, non-finite numbers, and one kind of value for another.

    pydantic alone would read true as 1, "yes" as true, and 16.0 or "16" as 16, which validators that fill in
    other fields would not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and annotation is not bool:
            raise ValueError(f"is not a value for {info.field_name}, which is no switch")
        if annotation is bool and not isinstance(value, bool):
            raise ValueError("is not true or false")
        kinds = set(get_args(annotation)) or {annotation}
        if isinstance(value, float | str) and int in kinds and kinds <= {int, type(None)}:
            raise ValueError("is not a whole number")
        if isinstance(value, list | tuple):
            wrong = _wrong_item(value, _number_of(annotation))
            if wrong is not None:
                raise ValueError(
                    f"is not a list of {'whole ' if _number_of(annotation) is int else ''}numbers; {wrong}"
                )
        return value


def _number_of(annotation: Any) -> type | None:
    """int or float where the annotation is that of a (nested) tuple of it."""
    if annotation in (int, float):
        return annotation
    found = (_number_of(inner) for inner in get_args(annotation))
    return next((kind for kind in found if kind is not None), None)


def _wrong_item(items: Any, kind: type | None) -> str | None:
    """Where the first item is that is no number of this kind, however deep, and what it is.

    pydantic alone reads "1" and true as 1.
    """
    for i, item in enumerate(items):
        if isinstance(item, list | tuple):
            wrong = _wrong_item(item, kind)
            if wrong is not None:
                return f"[{i}]{wrong}"
        elif isinstance(item, bool | str) or (kind is int and isinstance(item, float)):
            return f"[{i}] is {item!r:.40}"
    return None
