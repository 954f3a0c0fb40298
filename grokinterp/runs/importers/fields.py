"""Values out of other people's dicts and state_dicts, each checked when it is taken."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers.imported import SET as WHAT_IS_LEARNED
from grokinterp.runs.importers.imported import laid_over, section_of

LARGEST = 2**63
"""No number in a config is as large as this; infinities and what is no number are not below it."""


def tensor_of(state: Mapping[str, Any], name: str, n_dims: int) -> Tensor:
    """The tensor called `name`, which has so many dimensions.

    Raises:
        GrokinterpError: there is none, or it has others.
    """
    value = state.get(name)
    if not isinstance(value, Tensor):
        raise GrokinterpError(f"the file has no tensor {name}; it is damaged or of another format, get it again")
    dense = value.layout == torch.strided and value.is_floating_point() and value.numel()
    if value.dim() != n_dims or not dense:
        raise GrokinterpError(
            f"{name} is a tensor {tuple(value.shape)} of {value.dtype}, where {n_dims} dimensions of floats are "
            "expected; the file is damaged or of another format, get it again"
        )
    return value


def number_in(values: Mapping[str, Any], name: str, source: str | Path, default: float | None = None) -> float:
    """The number called `name`; the default where there is none.

    Raises:
        GrokinterpError: something else, or nothing without a default.
    """
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        found = "nothing" if value is None else repr(value)[:60]
        raise GrokinterpError(f"{source} has {found} for {name}, where a number is expected; correct the file")
    return value


def whole_in(values: Mapping[str, Any], name: str, source: str | Path, default: int | None = None) -> int:
    """The whole number from 0 on called `name`; the default where there is none.

    Raises:
        GrokinterpError: something else, or nothing without a default.
    """
    value = number_in(values, name, source, default)
    if value != int(value) or value < 0:
        raise GrokinterpError(f"{source} has {value!r} for {name}, where a whole number is expected; correct the file")
    return int(value)


def text_in(values: Mapping[str, Any], name: str, source: str | Path, default: str | None = None) -> str:
    """The text called `name`; the default where there is none.

    Raises:
        GrokinterpError: something else, or nothing without a default.
    """
    value = values.get(name, default)
    if not isinstance(value, str):
        found = "nothing" if value is None else repr(value)[:60]
        raise GrokinterpError(f"{source} has {found} for {name}, where a text is expected; correct the file")
    return value


def names_the_operation(given: Mapping[str, Any]) -> bool:
    """Whether the sections that the user laid down say what was learned; who gives one such field means all."""
    return any(section_of(given, "task").get(name) is not None for name in WHAT_IS_LEARNED)


def config_of(inferred: Mapping[str, Any], given: Mapping[str, Any], source: str | Path) -> RunConfig:
    """The inferred sections, overlaid by those that the user laid down.

    Raises:
        GrokinterpError: they make no config; says why.
    """
    sections = dict(inferred)
    if names_the_operation(given):
        sections["task"] = {k: v for k, v in sections.get("task", {}).items() if k not in WHAT_IS_LEARNED}
    return RunConfig.from_mapping(laid_over(sections, given), source=str(source))
