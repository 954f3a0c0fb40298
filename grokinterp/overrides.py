"""Changes laid over a config: TOML files and command-line flags."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

from grokinterp.config import RunConfig, without_other_operands
from grokinterp.errors import ConfigError, GrokinterpError

MAX_BYTES = 64 * 2**20
"""Of a TOML file; the largest table of an operation takes 3 MB."""


class TomlFile(dict[str, Any]):
    """What was read from a TOML file, and where that is."""

    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        super().__init__(content)
        self.path = path


def load_toml(path: Path, what: str = "config") -> TomlFile:
    """Read a TOML file as a nested mapping, not yet validated.

    Args:
        path: The file.
        what: What the file is, for the sentences.

    Raises:
        GrokinterpError: no such file, or no TOML in it; says the line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise GrokinterpError(f"there is no {what} file {path}; check the path") from None
    except IsADirectoryError:
        raise GrokinterpError(f"{path} is a folder; a {what} file is a TOML file") from None
    except PermissionError:
        raise GrokinterpError(f"there is no permission to read {path}; change its permissions") from None
    if len(content) > MAX_BYTES:
        raise GrokinterpError(f"{path} has more than {MAX_BYTES // 2**20} MB; it is no {what}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise GrokinterpError(
            f"{path} is not valid TOML (byte {error.object[error.start]:#04x} in line {line} is no UTF-8); "
            "save it as UTF-8 text"
        ) from None
    try:
        return TomlFile(tomllib.loads(text), path)
    except tomllib.TOMLDecodeError as error:
        raise GrokinterpError(f"{path} is not valid TOML ({error}); fix that line") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets a thousand deep
        raise GrokinterpError(f"{path} is not valid TOML ({error}); it is no {what}") from None


def override(config: RunConfig, *changes: Mapping[str, Any], source: str = "the config") -> RunConfig:
    """`config` with nested mappings laid over it in order, validated again as a whole.

    Fields that were filled in from others (d_head, d_mlp, checkpoint_every) are filled in anew
    unless the preset or a change set them, so that a wider model also gets a wider MLP. Another kind of
    model, another operation or another optimizer starts from its own defaults.
    """
    data, change = _explicit(config), reduce(_merge, changes, {})
    for prepare in (_without_other_kind, _without_other_operands, _without_other_optimizer):
        data = prepare(data, change)  # of the preset alone: what a file says is not dropped for a flag
    data = _merge(data, change)
    try:
        return type(config).from_mapping(data, source=source)
    except ConfigError as error:
        raise _attributed(error, changes, source) from None


def _attributed(error: ConfigError, changes: Sequence[Mapping[str, Any]], source: str) -> ConfigError:
    """The error with the file that each wrong value came from."""
    found = []
    for problem in error.problems:
        file = next((change.path for change in reversed(changes) if isinstance(change, TomlFile)), None)
        if problem.name:
            holders = [change for change in reversed(changes) if _holds(change, problem.name.split("."))]
            # a section that is no table is refused, whatever fields a later change gives it
            odd = [change for change in holders if not isinstance(change.get(problem.name), Mapping)]
            holder = next(iter(odd or holders), None)
            file = holder.path if isinstance(holder, TomlFile) else None
        found.append(replace(problem, file=file, given=file is None))
    said = "; ".join(f"{problem.file or source}: {problem.sentence()}" for problem in found)
    return ConfigError(said, tuple(found))


def _holds(change: Any, path: Sequence[str]) -> bool:
    """Whether a nested mapping says something at this path, or at a list on the way."""
    if not path:
        return True
    if not isinstance(change, Mapping):
        return path[0].isdigit()
    return path[0] in change and _holds(change[path[0]], path[1:])


def _explicit(config: RunConfig) -> dict[str, Any]:
    """The config's fields less those that the before-validators would derive from the others."""
    data = config.model_dump()
    model, train = data["model"], data["train"]
    if model["kind"] == "transformer":
        if model["d_head"] * model["n_heads"] == model["d_model"]:
            del model["d_head"]
        if model["d_mlp"] == 4 * model["d_model"]:
            del model["d_mlp"]
    if train["checkpoint_every"] == max(1, train["steps"] // 40):
        del train["checkpoint_every"]
    return data


def _section(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The section, or an empty one where there is none or something else, which is refused later."""
    section = data.get(name)
    return section if isinstance(section, Mapping) else {}


def _without_other_kind(data: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`data` less the widths of another kind of model, and the layout if an mlp comes or goes."""
    before = _section(data, "model")
    kind = _section(change, "model").get("kind", before.get("kind"))
    if not before or kind == before["kind"]:
        return data
    data = {**data, "model": {name: value for name, value in before.items() if name in ("init_seed", "init_scale")}}
    if "mlp" in (kind, before["kind"]) and _section(data, "task"):
        data["task"] = {name: value for name, value in _section(data, "task").items() if name != "layout"}
    return data


def _without_other_operands(data: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`data` less the modulus, the group or the table of the operation that the change does away with."""
    before = _section(data, "task")
    return {**data, "task": without_other_operands(before, _section(change, "task"))} if before else data


def _without_other_optimizer(data: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`data` less what belongs to another optimizer, if the change asks for one."""
    before = _section(data, "optimizer")
    name = _section(change, "optimizer").get("name", before.get("name"))
    if not before or name == before.get("name"):
        return data
    others = {"momentum", "weight_decay", "final_decay", *(("betas", "eps") if name == "sgd" else ())}
    return {**data, "optimizer": {k: v for k, v in before.items() if k not in others}}


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """What is no section where one belongs stays, to be refused."""
    merged = dict(base)
    for name, value in change.items():
        if not isinstance(value, Mapping) or name not in merged:
            merged[name] = value
        elif isinstance(merged[name], Mapping):
            merged[name] = _merge(merged[name], value)
    return merged
