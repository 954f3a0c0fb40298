"""A recipe: which runs a sweep consists of, as a TOML file or in Python.

    name = "fractions"
    preset = "small"              # what all runs start from; a section [config] is laid over it
    seeds = 3                     # 0, 1, 2; or a list
    analyze = ["weight_norm"]     # measures of every run; "all"; nothing if left out

    [config.train]
    steps = 10_000

    [grid]                        # every combination of
    "task.frac_train" = [0.3, 0.4, 0.5]

    [[variants]]                  # ... and of these
    name = "adam"
    optimizer = { name = "adam" }

A seed is that of the split, the labels, the initial weights and the batches alike. The runs are called
VARIANT-FIELDVALUE-seedS; what is the same in all of them is left out.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.explain import explain, suggest
from grokinterp.overrides import override
from grokinterp.presets import PRESETS

SECTIONS = ("task", "model", "optimizer", "regularizer", "train")
SEEDED = (("task", "split_seed"), ("task", "label_seed"), ("model", "init_seed"), ("train", "seed"))
MAX_RUNS = 100_000
_UNSAFE = re.compile(r"[^A-Za-z0-9._+^=-]+")


class Recipe(BaseModel):
    """What a sweep trains, completely; `configs()` lists its runs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field("sweep", min_length=1, max_length=100, description="title of the sweep")
    preset: str | None = Field(None, description="what all runs start from; the defaults if not given")
    config: dict[str, Any] = Field({}, description="sections laid over the preset, in every run")
    grid: dict[str, list[Any]] = Field({}, description="section.field: its values; every combination is a run")
    variants: list[dict[str, Any]] = Field([], description="named sets of sections; each is combined with the grid")
    seeds: int | list[int] = Field(1, description="how many seeds, from 0 on, or which")
    analyze: Literal["all"] | list[str] | None = Field(None, description="measures of every run, or all of them")

    @field_validator("preset")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in PRESETS:
            raise ValueError(f"is not a preset; {suggest(value, PRESETS)}")
        return value

    @field_validator("grid")
    @classmethod
    def _fields_with_values(cls, value: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for path, values in value.items():
            if path.partition(".")[0] not in SECTIONS or path.count(".") != 1:
                raise ValueError(f"{path!r} in the grid is no section.field, such as task.frac_train")
            if not values:
                raise ValueError(f"{path!r} in the grid has no values; give at least one")
        return value

    @field_validator("variants")
    @classmethod
    def _named(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for one in value:
            if not isinstance(one.get("name"), str) or not one["name"]:
                raise ValueError('each of the variants needs a name = "..."')
            unknown = [key for key in one if key not in ("name", *SECTIONS)]
            if unknown:
                raise ValueError(
                    f"{unknown[0]!r} in variant {one['name']!r} is no section; {suggest(unknown[0], SECTIONS)}"
                )
        return value

    @field_validator("seeds")
    @classmethod
    def _some_seeds(cls, value: int | list[int]) -> int | list[int]:
        if isinstance(value, int) and value > MAX_RUNS:
            raise ValueError(f"{value:,} seeds are too many; take at most {MAX_RUNS:,} runs")
        found = list(range(value)) if isinstance(value, int) else value
        if not found or len(set(found)) != len(found) or min(found) < 0:
            raise ValueError("seeds is a number of at least 1, or a list of different seeds of at least 0")
        return value

    @model_validator(mode="after")
    def _seeds_in_one_place(self) -> Self:
        """`seeds` sets all of them in every run, so one that is set elsewhere would be overwritten in silence."""
        for section, name in SEEDED:
            varied = any(isinstance(one.get(section), Mapping) and name in one[section] for one in self.variants)
            base = self.config.get(section)
            set_below = isinstance(base, Mapping) and base.get(name, 0) != 0
            if varied or set_below or f"{section}.{name}" in self.grid:
                raise ValueError(f"{section}.{name} follows `seeds` in a recipe; take it out, and list seeds = [...]")
        return self

    @property
    def seed_list(self) -> list[int]:
        """The seeds."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    def configs(self) -> list[RunConfig]:
        """Every run's complete config, in order; their names are different folder names.

        Raises:
            GrokinterpError: one of them does not validate, or two are the same.
        """
        n_runs = len(self.seed_list) * max(1, len(self.variants))
        for values in self.grid.values():
            n_runs *= len(values)
        if n_runs > MAX_RUNS:
            raise GrokinterpError(f"the recipe has {n_runs:,} runs; take at most {MAX_RUNS:,}")
        base = PRESETS[self.preset]() if self.preset is not None else RunConfig()
        configs = [self._config(base, *choice) for choice in self._choices()]
        names = [config.name for config in configs]
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        if twice is not None:
            raise GrokinterpError(f"two runs of the recipe are called {twice}; give the variants different names")
        return configs

    def _choices(self) -> Iterator[tuple[dict[str, Any], dict[str, Any], int]]:
        """(variant, field: value, seed) of every run; the seed changes fastest."""
        grid = [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]
        return itertools.product(self.variants or [{}], grid, self.seed_list)

    def _config(self, base: RunConfig, variant: dict[str, Any], point: dict[str, Any], seed: int) -> RunConfig:
        cell: dict[str, Any] = {}
        for path, value in point.items():
            section, _, field = path.partition(".")
            cell.setdefault(section, {})[field] = value
        seeds: dict[str, Any] = {}
        for section, field in SEEDED:
            seeds.setdefault(section, {})[field] = seed
        sections = {name: fields for name, fields in variant.items() if name != "name"}
        name = self._name(variant, point, seed)
        return override(base, self.config, sections, cell, seeds, {"name": name}, source=f"run {name}")

    def _name(self, variant: dict[str, Any], point: dict[str, Any], seed: int) -> str:
        changing = [path for path, values in self.grid.items() if len(values) > 1]
        parts = [variant["name"]] if variant else [] if changing else [self.name]
        parts += [f"{path.partition('.')[2]}={_brief(point[path])}" for path in changing]
        return _UNSAFE.sub("_", "-".join([*parts, f"seed{seed}"]))[:200]


def _brief(value: Any) -> str:
    """A value in a name; x/y and x*y stay apart."""
    return f"{value:g}" if isinstance(value, float) else str(value).replace("/", "_over_").replace("*", "_times_")


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file.

    Raises:
        GrokinterpError: no such file, not TOML, or a field that does not validate; one sentence.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise GrokinterpError(f"there is no recipe {path}; check the path") from None
    except IsADirectoryError:
        raise GrokinterpError(f"{path} is a folder; a recipe is a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GrokinterpError(f"{path} is not valid TOML ({error}); fix that line") from None
    return recipe_from({"name": path.stem, **data}, source=str(path))


def recipe_from(data: Mapping[str, Any], *, source: str = "the recipe") -> Recipe:
    """A recipe from a nested mapping.

    Raises:
        GrokinterpError: a field that does not validate.
    """
    try:
        return Recipe.model_validate(dict(data))
    except ValidationError as error:
        raise GrokinterpError(f"{source}: {explain(error, Recipe)}") from None
