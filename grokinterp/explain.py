"""Validation errors as sentences: the field, its value, what is wrong, and the nearest valid name."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Tag, ValidationError

MOST = 4
"""Sentences in one message; a table of a thousand wrong cells needs no thousand."""

_KIND = re.compile(r"int|float|str|bool|.*\[.*")
"""What pydantic puts after the name of a field of several kinds, for each of them."""

LONGEST = 200
"""Characters of one word that somebody else wrote; of a longer one the beginning and the end are shown."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a config.

    Attributes:
        name: The field, dotted; empty where several fields together are wrong.
        value: Its value as it is shown; None where the field itself is wrong.
        says: What is wrong.
        file: The file that the value was read from, where that is known.
        given: Whether the value was given directly, as by a flag.
    """

    name: str
    value: str | None
    says: str
    file: Path | None = None
    given: bool = False

    def sentence(self) -> str:
        """As it reads in a file or in Python: task.p = 1: ..."""
        if not self.name:
            return self.says
        return f"{self.name} {self.says}" if self.value is None else f"{self.name} = {self.value}: {self.says}"

    def flag_sentence(self) -> str:
        """As it reads on a command line: --task.p 1: ..."""
        if not self.name:
            return self.says
        parts = self.name.replace("_", "-").split(".")
        name = "--" + ".".join(part for part in parts if not part.isdigit())  # a list's items share its flag
        name = "--device" if name == "--train.device" else name
        return f"{name} {self.says}" if self.value is None else f"{name} {self.value}: {self.says}"


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """A pydantic error as one sentence for each field: name, value, what is wrong, nearest name."""
    return "; ".join(problem.sentence() for problem in problems(error, model))


def problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """A pydantic error as what is wrong with each field, the first MOST of them."""
    items = error.errors()
    found: list[Problem] = []
    for item in items[:MOST]:
        problem = _explain_one(dict(item), model)
        if found and problem.name and (found[-1].name, found[-1].value) == (problem.name, problem.value):
            # a field of several kinds, of which the value is none
            problem = replace(problem, says=f"{found.pop().says}, or {problem.says.removeprefix('input should be ')}")
        found.append(problem)
    more = f"and {len(items) - MOST} more like these"
    return [*found, Problem("", None, more)] if len(items) > MOST else found


def one_line(text: str) -> str:
    """Text that may hold other people's names as one line that a terminal shows: escaped, long words shortened."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return " ".join(
        word if len(word) <= LONGEST else f"{word[: LONGEST - 40]}...{word[-37:]}" for word in shown.split(" ")
    )


def _explain_one(item: dict[str, Any], model: type[BaseModel]) -> Problem:
    path, kind = _without_tags([str(part) for part in item["loc"]], model)
    if item["type"] != "extra_forbidden":
        path = [part for part in path if not _KIND.fullmatch(part)]
    name = ".".join(part if part.isidentifier() or part.isdigit() else repr(part) for part in path)
    if item["type"] == "extra_forbidden":
        of = f" of a model of kind {kind}" if kind else ""
        hint = suggest(path[-1], field_names(model, path[:-1], kind))
        return Problem(name, None, f"is not a field{of}; {hint}")
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error" and not message.startswith("is not"):
        return Problem("", None, message)
    found = item.get("input")
    if item["type"] == "kind":
        found, name = found.get("kind") if isinstance(found, Mapping) else getattr(found, "kind", None), f"{name}.kind"
    if item["type"] in ("model_type", "model_attributes_type"):
        message = f"is no section; write [{name}] and below it its fields"
    shown = repr(found)
    return Problem(name, shown if len(shown) <= 80 else shown[:80] + "...", message[:1].lower() + message[1:])


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
    """The nearest name as a question, whatever its case, or all the choices where none is near.

    >>> suggest("Qick", ["quick", "ci"]), suggest("zzz", ["quick", "ci"])
    ('did you mean quick?', 'choose from quick, ci')
    """
    names = list(names)
    by_lower = {name.lower(): name for name in reversed(names)}
    close = difflib.get_close_matches(word[:LONGEST].lower(), by_lower, n=1, cutoff=0.5)
    return f"did you mean {by_lower[close[0]]}?" if close else f"choose from {', '.join(names)}"
