"""Every field of a config with type, default, range and meaning, from the pydantic models."""

from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs.generate.page import Pages, plain, prose, table
from grokinterp.config import KINDS, OptimizerConfig, RegularizerConfig, RunConfig, TaskConfig, TrainConfig
from grokinterp.sweeps.recipe import Recipe

HEAD = """# Config fields

A run is a [`RunConfig`][grokinterp.RunConfig]: a name and five sections. Each field is a line of TOML under its
section, a flag (`--task.frac-train 0.4`), and an argument in Python
(`gi.RunConfig.from_mapping({"task": {"frac_train": 0.4}})`). Unknown fields, values out of range and combinations that
cannot be trained are refused in one sentence.

```toml
name = "mine"

[task]
operation = "x*y"
p = 59

[train]
steps = 4000
```

"""
SIGNS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}


def pages(root: Path) -> Pages:
    """Config fields, section by section, and the fields of a recipe."""
    del root
    parts = [HEAD, _section("name and version", RunConfig, only=("schema_version", "name"))]
    parts.append(_section("task", TaskConfig))
    parts.append("## model\n\n`model.kind` chooses between three architectures.\n")
    parts += [_section(f"model.kind = {name}", kind, level=3) for name, kind in KINDS.items()]
    parts.append(_section("optimizer", OptimizerConfig))
    parts.append(_section("regularizer", RegularizerConfig))
    parts.append(_section("train", TrainConfig))
    parts.append("## Recipes of sweeps\n\n" + prose(Recipe.__doc__ or "") + "\n\n" + _fields(Recipe))
    return {"reference/config.md": "\n".join(parts)}


def _section(title: str, model: type[BaseModel], *, level: int = 2, only: tuple[str, ...] = ()) -> str:
    return f"{'#' * level} {title}\n\n{prose(model.__doc__ or '')}\n\n{_fields(model, only)}"


def _fields(model: type[BaseModel], only: tuple[str, ...] = ()) -> str:
    rows = [
        (f"`{name}`", _type(field), _default(field), plain(field.description or ""))
        for name, field in model.model_fields.items()
        if not only or name in only
    ]
    return table(("field", "type", "default", "meaning"), rows)


def _type(field: FieldInfo) -> str:
    limits = [_limit(limit) for limit in field.metadata if type(limit) in SIGNS]
    return _name(field.annotation) + (f", {' and '.join(limits)}" if limits else "")


def _limit(limit: Any) -> str:
    value = next(iter(vars(limit).values())) if hasattr(limit, "__dict__") else getattr(limit, limit.__slots__[0])
    number = "2^63" if value == 2**63 else f"{value:,}" if isinstance(value, int) and value >= 10_000 else f"{value:g}"
    return f"{SIGNS[type(limit)]} {number}"


def _name(annotation: Any) -> str:
    """An annotation in words: choices as code, optional ones without None."""
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    inner = [one for one in get_args(annotation) if one is not NoneType]
    if get_origin(annotation) is tuple:
        return "table of int" if get_origin(inner[0]) is tuple else f"{len(inner)} {inner[0].__name__}"
    if get_origin(annotation) in (list, dict):
        return get_origin(annotation).__name__
    return " or ".join(_name(one) for one in inner) if inner else getattr(annotation, "__name__", str(annotation))


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "its defaults" if field.default_factory is not None else "must be given"
    if field.default is None:
        return "not given"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
