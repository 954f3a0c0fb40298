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

A seed is that of the split, the labels, the initial weights and the batches alike. The grid and a variant may not set
the same field. The runs are called VARIANT-FIELDVALUE-seedS; what is the same in all of them is left out.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from grokinterp.config import RunConfig
from grokinterp.errors import ConfigError, GrokinterpError
from grokinterp.explain import Problem, explain, suggest
from grokinterp.measures.registry import select
from grokinterp.overrides import load_toml, override
from grokinterp.presets import PRESETS

SECTIONS = ("task", "model", "optimizer", "regularizer", "train")
SEEDED = (("task", "split_seed"), ("task", "label_seed"), ("model", "init_seed"), ("train", "seed"))
MAX_RUNS = 100_000
_UNSAFE = re.compile(r"[^A-Za-z0-9._+^=-]+")
_FLAG = re.compile(rf"--({'|'.join(SECTIONS)})\.([a-z-]+)")


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

    _source: str = PrivateAttr("the recipe")

    @field_validator("preset")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in PRESETS:
            raise ValueError(f"is not a preset; {suggest(value, PRESETS)}")
        return value

    @field_validator("config", mode="before")
    @classmethod
    def _sections(cls, value: Any) -> Any:
        for name, fields in value.items() if isinstance(value, dict) else ():
            _check_section(name, fields, "[config]")
        return value

    @field_validator("grid", mode="before")
    @classmethod
    def _fields_with_values(cls, value: Any) -> Any:
        for path, values in value.items() if isinstance(value, dict) else ():
            if path in SECTIONS and isinstance(values, dict):
                raise ValueError(
                    f'a field of the grid is written with quotes, such as "{path}.{next(iter(values), "")}"'
                )
            if str(path).partition(".")[0] not in SECTIONS or str(path).count(".") != 1:
                raise ValueError(f"{path!r} in the grid is no section.field, such as task.frac_train")
            if not isinstance(values, list):
                raise ValueError(f"{path!r} in the grid is {values!r}; give a list of values")
            if not values:
                raise ValueError(f"{path!r} in the grid has no values; give at least one")
        return value

    @field_validator("variants")
    @classmethod
    def _named(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for one in value:
            if not isinstance(one.get("name"), str) or not one["name"]:
                raise ValueError('each of the variants needs a name = "..."')
            for name, fields in one.items():
                if name != "name":
                    _check_section(name, fields, f"variant {one['name']!r}")
        return value

    @field_validator("seeds", mode="before")
    @classmethod
    def _some_seeds(cls, value: Any) -> Any:
        if type(value) is int and value > MAX_RUNS:
            raise ValueError(f"{value:,} seeds are too many; take at most {MAX_RUNS:,} runs")
        found = list(range(value)) if type(value) is int else value
        whole = isinstance(found, list) and all(type(seed) is int and seed >= 0 for seed in found)
        if not found or not whole or len(set(found)) != len(found):
            raise ValueError("seeds is a number of at least 1, or a list of different seeds of at least 0")
        return value

    @model_validator(mode="after")
    def _fields_in_one_place(self) -> Self:
        """The grid would win over a variant in silence, and runs of different names would be the same."""
        for path, variant in itertools.product(self.grid, self.variants):
            section, _, field = path.partition(".")
            if field in variant.get(section, {}):
                raise ValueError(f"both [grid] and variant {variant['name']!r} set {path}; take it out of one of them")
        return self

    @model_validator(mode="after")
    def _seeds_in_one_place(self) -> Self:
        """`seeds` sets all of them in every run, so one that is set elsewhere would be overwritten in silence."""
        for section, name in SEEDED:
            varied = any(name in one.get(section, {}) for one in self.variants)
            set_below = self.config.get(section, {}).get(name, 0) != 0
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
            raise GrokinterpError(f"{self._source}: it has {n_runs:,} runs; take at most {MAX_RUNS:,}")
        base = PRESETS[self.preset]() if self.preset is not None else RunConfig()
        configs = [self._config(base, *choice) for choice in self._choices()]
        names = [config.name for config in configs]
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        if twice is not None:
            raise GrokinterpError(
                f"{self._source}: two runs are called {twice}; "
                "give the variants different names, and the grid different values"
            )
        return configs

    def check_measures(self) -> None:
        """Refuse measures that are not there.

        Raises:
            GrokinterpError: as said.
        """
        if not isinstance(self.analyze, list):
            return
        try:
            select(self.analyze)
        except GrokinterpError as error:
            raise GrokinterpError(f"{self._source}: analyze: {error}") from None

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
        try:
            return override(base, self.config, sections, cell, seeds, {"name": name})
        except ConfigError as error:
            layers = {"[grid]": cell, f"variant {variant.get('name')!r}": sections, "[config]": self.config}
            said = (f"{_place(problem, layers) or f'run {name}'}: {problem.sentence()}" for problem in error.problems)
            raise GrokinterpError(f"{self._source}: {_FLAG.sub(_as_field, '; '.join(said))}") from None

    def _name(self, variant: dict[str, Any], point: dict[str, Any], seed: int) -> str:
        changing = [path for path, values in self.grid.items() if len(values) > 1]
        parts = [variant["name"]] if variant else [] if changing else [self.name]
        parts += [f"{path.partition('.')[2]}={_brief(point[path])}" for path in changing]
        return _UNSAFE.sub("_", "-".join([*parts, f"seed{seed}"]))[:200]


def _check_section(name: Any, fields: Any, where: str) -> None:
    """One of the sections of a config, with fields in it."""
    if name not in SECTIONS:
        raise ValueError(f"{name!r} in {where} is no section; {suggest(str(name), SECTIONS)}")
    if not isinstance(fields, dict):
        raise ValueError(f"{name} = {fields!r} in {where} is no section; write {name} = {{ field = value }}")


def _place(problem: Problem, layers: Mapping[str, Mapping[str, Any]]) -> str | None:
    """In which part of the recipe a wrong value stands; None where several together are wrong."""
    section, _, field = problem.name.partition(".")
    return next((where for where, layer in layers.items() if field.split(".")[0] in layer.get(section, {})), None)


def _as_field(flag: re.Match[str]) -> str:
    """--task.frac-train as task.frac_train, which a recipe knows."""
    return f"{flag[1]}.{flag[2].replace('-', '_')}"


def _brief(value: Any) -> str:
    """A value in a name; x/y and x*y stay apart."""
    return f"{value:g}" if isinstance(value, float) else str(value).replace("/", "_over_").replace("*", "_times_")


def read_recipe(path: Path | str) -> Recipe:
    """The recipe in a TOML file.

    Raises:
        GrokinterpError: no such file, not TOML, or a field that does not validate; one sentence.
    """
    path = Path(path)
    return recipe_from({"name": path.stem, **load_toml(path, "recipe")}, source=str(path))


def recipe_from(data: Mapping[str, Any], *, source: str = "the recipe") -> Recipe:
    """A recipe from a nested mapping; `source` is where it comes from, for the sentences.

    Raises:
        GrokinterpError: a field that does not validate.
    """
    try:
        recipe = Recipe.model_validate(dict(data))
    except ValidationError as error:
        raise GrokinterpError(f"{source}: {explain(error, Recipe)}") from None
    recipe._source = source
    return recipe
