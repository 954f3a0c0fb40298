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
        return value
