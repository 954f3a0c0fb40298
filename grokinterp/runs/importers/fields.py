"""Values out of other people's dicts and state_dicts, each checked when it is taken."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from grokinterp.errors import GrokinterpError

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


def against_shapes(settings: Mapping[str, Any], by_shape: Mapping[str, int]) -> list[str]:
    """A note for each number in a file's config that the shapes of its tensors contradict."""
    return [
        f"{name} is {str(settings[name])[:60]} in the file's config and {found} by the shapes of its tensors"
        for name, found in by_shape.items()
        if name in settings and settings[name] != found
    ]
