"""Every preset: its docstring, and what it sets, as TOML."""

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from docs.generate.page import Pages, prose
from grokinterp.config import KINDS, RunConfig
from grokinterp.presets import PRESETS

HEAD = """# Presets

A preset is a function that returns a complete config: `grokinterp train NAME`, or `gi.presets.NAME()` in Python. Below
each stands what differs from the [defaults](config.md). Flags, a TOML file, and
`gi.RunConfig.from_mapping` change it further.

"""
SECTIONS = ("task", "model", "optimizer", "regularizer", "train")


def pages(root: Path) -> Pages:
    """One page with all of them."""
    del root
    return {"reference/presets.md": HEAD + "\n".join(_preset(name) for name in PRESETS)}


def _preset(name: str) -> str:
    config = PRESETS[name]()
    changed = tomli_w.dumps(_changes(config))
    return f"## {name}\n\n{prose(PRESETS[name].__doc__ or '')}\n\n```toml\n{changed}```\n"


def _changes(config: RunConfig) -> dict[str, Any]:
    """The fields that differ from the defaults for this operation and architecture."""
    given = tomllib.loads(config.to_toml())
    usual = _usual(config)
    found = {}
    for section in SECTIONS:
        different = {
            key: value for key, value in given.get(section, {}).items() if usual.get(section, {}).get(key) != value
        }
        if different:
            found[section] = different
    return found


def _usual(config: RunConfig) -> dict[str, Any]:
    """The defaults, with the widths and the spacing that follow from what the preset sets."""
    model = tomllib.loads(RunConfig().to_toml())
    model["model"] = tomllib.loads(_with_model(config).to_toml())["model"]
    model["train"] = tomllib.loads(RunConfig.from_mapping({"train": {"steps": config.train.steps}}).to_toml())["train"]
    model["train"]["steps"] = RunConfig().train.steps
    for key in ("kind", "d_model", "n_heads"):
        model["model"].pop(key, None) if key in _unusual(config) else None
    return model


def _with_model(config: RunConfig) -> RunConfig:
    given = {key: getattr(config.model, key) for key in _unusual(config)}
    layout = {"task": {"layout": "a b"}} if config.model.kind == "mlp" else {}
    return RunConfig.from_mapping({"model": {**given, "kind": config.model.kind}, **layout})


def _unusual(config: RunConfig) -> set[str]:
    """Which of the fields that others follow from are not at their defaults."""
    default = KINDS[config.model.kind].model_fields
    unusual = {
        key for key in ("d_model", "n_heads") if key in default and getattr(config.model, key) != default[key].default
    }
    return unusual | ({"kind"} if config.model.kind != "transformer" else set())
