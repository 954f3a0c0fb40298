"""Validation errors as sentences: the field, its value, what is wrong, and the nearest valid name."""

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """A pydantic error as one sentence for each field: name, value, what is wrong, nearest name."""
    return "; ".join(_explain_one(dict(item), model) for item in error.errors())


def _explain_one(item: dict[str, Any], model: type[BaseModel]) -> str:
    path = [str(part) for part in item["loc"]]
    name = ".".join(path)
    if item["type"] == "extra_forbidden":
        return f"{name} is not a field; {suggest(path[-1], field_names(model, path[:-1]))}"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error" and not message.startswith("is not"):
        return message
    text = message[0].lower() + message[1:] if message else message
    return f"{name} = {item.get('input')!r}: {text}"


def field_names(model: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields of the section that `path` leads to."""
    for part in path:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type):
            return []
        model = field.annotation
    return list(model.model_fields)


def suggest(word: str, names: Any) -> str:
    """The nearest name as a question, or all the choices where none is near."""
    names = list(names)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"choose from {', '.join(names)}"
