"""Validation errors as sentences: the field, its value, what is wrong, and the nearest valid name."""

import difflib
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, Tag, ValidationError

MOST = 4
"""Sentences in one message; a table of a thousand wrong cells needs no thousand."""


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """A pydantic error as one sentence for each field: name, value, what is wrong, nearest name."""
    items = error.errors()
    sentences = [_explain_one(dict(item), model) for item in items[:MOST]]
    return "; ".join([*sentences, f"and {len(items) - MOST} more like these"] if len(items) > MOST else sentences)


def _explain_one(item: dict[str, Any], model: type[BaseModel]) -> str:
    path, kind = _without_tags([str(part) for part in item["loc"]], model)
    name = ".".join(path)
    if item["type"] == "extra_forbidden":
        of = f" of a model of kind {kind}" if kind else ""
        return f"{name} is not a field{of}; {suggest(path[-1], field_names(model, path[:-1], kind))}"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error" and not message.startswith("is not"):
        return message
    text = message[0].lower() + message[1:] if message else message
    found = item.get("input")
    if item["type"] == "kind":
        found, name = found.get("kind") if isinstance(found, Mapping) else getattr(found, "kind", None), f"{name}.kind"
    shown = repr(found)
    return f"{name} = {shown if len(shown) <= 80 else shown[:80] + '...'}: {text}"


def _members(model: type[BaseModel], name: str) -> dict[str, type[BaseModel]]:
    """Of a section that may be of several kinds: the classes by their tags."""
    field = model.model_fields.get(name)
    found: dict[str, type[BaseModel]] = {}
    for member in get_args(field.annotation) if field is not None else ():
        for tag in getattr(member, "__metadata__", ()):
            if isinstance(tag, Tag):
                found[tag.tag] = get_args(member)[0]
    return found


def _without_tags(path: list[str], model: type[BaseModel]) -> tuple[list[str], str]:
    """The path without the tag that pydantic puts after such a section, and the tag."""
    if len(path) > 1 and path[1] in _members(model, path[0]):
        return [path[0], *path[2:]], path[1]
    return path, ""


def field_names(model: type[BaseModel], path: list[str], kind: str = "") -> list[str]:
    """Names of the fields of the section that `path` leads to, of its `kind` where there are several."""
    for part in path:
        members = _members(model, part)
        field = model.model_fields.get(part)
        found = members.get(kind) if members else field.annotation if field is not None else None
        if not isinstance(found, type) or not issubclass(found, BaseModel):
            return []
        model = found
    return list(model.model_fields)


def suggest(word: str, names: Any) -> str:
    """The nearest name as a question, or all the choices where none is near."""
    names = list(names)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"choose from {', '.join(names)}"
