"""Changes laid over a config: TOML files and command-line flags."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grokinterp.config import DEFAULT_P, GROUP_OPERATION, OPERATION_ALIASES, RunConfig
from grokinterp.errors import GrokinterpError


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of config sections as a nested mapping, not yet validated."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise GrokinterpError(f"there is no config file {path}; check the path") from None
    except IsADirectoryError:
        raise GrokinterpError(f"{path} is a folder; --config takes a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GrokinterpError(f"{path} is not valid TOML ({error}); fix that line") from None


def override(config: RunConfig, *changes: Mapping[str, Any], source: str = "the config") -> RunConfig:
    """`config` with nested mappings laid over it in order, validated again as a whole.

    Fields that were filled in from others (d_head, d_mlp, checkpoint_every, p) are filled in anew
    unless the preset or a change set them, so that a wider model also gets a wider MLP.
    """
    data = _explicit(config)
    for change in changes:
        data = _merge(_without_decay(_without_other_operands(data, change), change), change)
    return type(config).from_mapping(data, source=source)


def _explicit(config: RunConfig) -> dict[str, Any]:
    """The config's fields less those that the before-validators would derive from the others."""
    data = config.model_dump()
    model, train, task = data["model"], data["train"], data["task"]
    if model["d_head"] * model["n_heads"] == model["d_model"]:
        del model["d_head"]
    if model["d_mlp"] == 4 * model["d_model"]:
        del model["d_mlp"]
    if train["checkpoint_every"] == max(1, train["steps"] // 40):
        del train["checkpoint_every"]
    if task["p"] == DEFAULT_P:
        del task["p"]
    return data


def _without_other_operands(data: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`data` less the modulus if the change asks for a group, less the group if for a modular operation."""
    operation = task.get("operation") if isinstance(task := change.get("task"), Mapping) else None
    if not isinstance(operation, str):
        return data
    other = "p" if OPERATION_ALIASES.get(operation, operation) == GROUP_OPERATION else "group"
    return {**data, "task": {name: value for name, value in data["task"].items() if name != other}}


def _without_decay(data: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`data` less AdamW's decay if the change asks for another optimizer, whose default is none."""
    name = optimizer.get("name") if isinstance(optimizer := change.get("optimizer"), Mapping) else None
    if name not in ("adam", "sgd"):
        return data
    return {**data, "optimizer": {k: v for k, v in data["optimizer"].items() if k != "weight_decay"}}


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in change.items():
        if isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = _merge(merged[name], value)
        else:
            merged[name] = value
    return merged
