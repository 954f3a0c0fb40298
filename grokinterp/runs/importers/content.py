"""What other people's files hold, looked at without knowing their format."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from grokinterp.runs.importers.source import Source, tensors_in

WRAPPERS = ("model", "state_dict", "model_state_dict")
"""Keys under which a file keeps its state_dict."""


def state_dict_of(content: Any) -> dict[str, Tensor] | None:
    """The flat dict of tensors that `content` is, or wraps under one of WRAPPERS; None where there is none."""
    if not isinstance(content, Mapping):
        return None
    for inner in (content, *(content.get(name) for name in WRAPPERS)):
        if isinstance(inner, Mapping) and inner and all(isinstance(value, Tensor) for value in inner.values()):
            return {str(name): value for name, value in inner.items()}
    return None


def without_prefix(weights: Mapping[str, Tensor], landmark: str) -> dict[str, Tensor]:
    """The tensors without what stands before `landmark` in its name, as wrappers such as Lightning's leave it."""
    whole = (name for name in weights if name == landmark or name.endswith(f".{landmark}"))
    prefix = next(whole, landmark).removesuffix(landmark)
    return {name.removeprefix(prefix): value for name, value in weights.items()}


def scalars(value: Any) -> dict[str, Any]:
    """The texts, numbers, switches and Nones of a dict; nothing where it is none, as a config saved as an object."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): inner for name, inner in value.items() if inner is None or isinstance(inner, str | int | float)}


def describe(source: Source) -> str:
    """What a source holds, for a sentence that refuses it."""
    if source.path.is_dir():
        if not source.files:
            return "no file of tensors (.pth, .pt, .ckpt, .safetensors)"
        names = ", ".join(path.name for path in source.files[:3])
        return (
            f"{len(source.files)} files ({names}{', ...' if len(source.files) > 3 else ''}) with {shape(source.first)}"
        )
    whole = shape(source.content)
    return whole if next(tensors_in(source.content), None) is not None else f"no weights, only {whole}"


def shape(value: Any, depth: int = 2) -> str:
    """A value's kind and, to some depth, what is in it.

    >>> shape({"train_losses": [0.5, 0.1], "epoch": 3})
    'a dict of train_losses (a list of 2 numbers), epoch (a number)'
    """
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, bool | int | float):
        return "a number"
    if isinstance(value, Mapping):
        return f"a dict of {_some(value, depth)}" if value else "an empty dict"
    if isinstance(value, list | tuple):
        kinds = {type(inner) for inner in value}
        if kinds and kinds <= {int, float, bool}:
            return f"a list of {len(value)} numbers"
        inner = f" ({'; '.join(shape(one, depth - 1) for one in value[:3])})" if depth and value else ""
        return f"a list of {len(value)}{inner}"
    return f"a {type(value).__name__}"


def _some(value: Mapping[Any, Any], depth: int) -> str:
    """The first keys, with what is under them where they are few."""
    keys = [str(key)[:60] for key in list(value)[:8]]
    if depth > 1 and len(value) <= 8:
        keys = [f"{key} ({shape(inner, 0)})" for key, inner in zip(keys, value.values(), strict=True)]
    return ", ".join(keys) + (", ..." if len(value) > 8 else "")
