"""One run, completely: its sections, checked together, and its JSON and TOML."""

import json
from collections.abc import Mapping
from typing import Any, Self

import tomli_w
from pydantic import Field, ValidationError, field_validator, model_validator

from grokinterp.config.model import MLPConfig, ModelConfig, TransformerConfig, kind_of
from grokinterp.config.section import Section
from grokinterp.config.task import TaskConfig
from grokinterp.config.training import OptimizerConfig, RegularizerConfig, TrainConfig
from grokinterp.errors import ConfigError, GrokinterpError
from grokinterp.explain import problems

SCHEMA_VERSION = 1


class RunConfig(Section):
    """One run, completely: everything that decides its numbers."""

    schema_version: int = Field(SCHEMA_VERSION, ge=1, description="version of this layout")
    name: str = Field("run", min_length=1, max_length=200, description="title of the run")
    task: TaskConfig = Field(default_factory=lambda: TaskConfig.model_validate({}))
    model: ModelConfig = Field(default_factory=lambda: TransformerConfig.model_validate({}))
    optimizer: OptimizerConfig = Field(default_factory=lambda: OptimizerConfig.model_validate({}))
    regularizer: RegularizerConfig = Field(default_factory=lambda: RegularizerConfig.model_validate({}))
    train: TrainConfig = Field(default_factory=lambda: TrainConfig.model_validate({}))

    @field_validator("name")
    @classmethod
    def _printable_name(cls, value: str) -> str:
        if not value.isprintable() or not value.strip(" ."):
            raise ValueError("is not a name; use printable characters")
        return value

    @model_validator(mode="before")
    @classmethod
    def _operands_alone(cls, data: Any) -> Any:
        """An MLP reads the operands alone: its layout has no '=' unless one is asked for, and is then refused."""
        if not isinstance(data, Mapping) or kind_of(data.get("model")) != "mlp":
            return data
        task = data.get("task", {})
        return {**data, "task": {"layout": "a b", **task}} if isinstance(task, Mapping) else data

    @model_validator(mode="after")
    def _batches_fit(self) -> Self:
        if isinstance(self.train.batch_size, int) and self.train.batch_size > self.task.n_train:
            raise ValueError(
                f"batch_size {self.train.batch_size} exceeds the {self.task.n_train} training pairs; "
                "lower it or leave it out for full batches"
            )
        return self

    @model_validator(mode="after")
    def _window_fits(self) -> Self:
        extra = self.regularizer
        if extra.grokfast == "ma" and extra.grokfast_window > self.train.steps:
            raise ValueError(
                f"grokfast_window {extra.grokfast_window} is longer than the {self.train.steps} steps; "
                "with the plain mean nothing happens before the window is full"
            )
        return self

    @model_validator(mode="after")
    def _engine_fits(self) -> Self:
        why = self.why_not_fast
        if self.model.kind != "transformer" and self.train.engine != "auto":
            raise ValueError(f"an {self.model.kind} has one engine; leave out --train.engine {self.train.engine}")
        if self.train.engine == "fast" and why is not None:
            raise ValueError(f"the fast engine has no {why}; use --train.engine auto or hooked")
        return self

    @model_validator(mode="after")
    def _architecture_fits(self) -> Self:
        model = self.model
        if isinstance(model, MLPConfig) and self.task.layout != "a b":
            raise ValueError("an mlp reads the operands alone; use --task.layout 'a b'")
        if model.kind == "lstm" and self.regularizer.dropout:
            raise ValueError("dropout of an lstm is not offered; use --model.kind transformer or mlp")
        if self.optimizer.name == "muon" and isinstance(model, MLPConfig) and model.is_two_tables:
            raise ValueError("muon has no matrix to train in an mlp of one layer with one-hot input; use adamw")
        if self.train.loss_on == "sequence" and not (isinstance(model, TransformerConfig) and model.causal):
            raise ValueError("the loss on the sequence needs a causal transformer; use --train.loss-on answer")
        return self

    @property
    def why_not_fast(self) -> str | None:
        """What of this config the fast engine does not compute; None if it computes all of it."""
        if self.train.loss_on == "sequence":
            return "loss on the sequence"
        if self.regularizer.dropout:
            return "dropout"
        return why_not_fast(self.model)

    @property
    def batch_size(self) -> int | None:
        """Pairs per step; None for all of them. "auto" is min(512, half of them, rounded up)."""
        if self.train.batch_size == "auto":
            return min(512, -(-self.task.n_train // 2))
        return self.train.batch_size if isinstance(self.train.batch_size, int) else None

    def to_json(self) -> str:
        """The config as JSON text; `from_json` gives it back unchanged."""
        return self.model_dump_json(indent=2) + "\n"

    def to_toml(self) -> str:
        """The config as TOML text; fields that are None are left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def from_json(cls, text: str, *, source: str = "the config") -> Self:
        """Read `to_json`'s text, which is complete: the file of an operation of one's own is not looked at.

        Raises:
            GrokinterpError: not JSON, a field that does not validate, or a newer schema.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError
            raise GrokinterpError(f"{source} is not valid JSON ({error}); restore it from a copy") from None
        return cls._validated(data, source, saved=True)

    @classmethod
    def from_mapping(cls, data: Any, *, source: str = "the config") -> Self:
        """Validate a nested mapping; errors become one sentence each."""
        return cls._validated(data, source, saved=False)

    @classmethod
    def _validated(cls, data: Any, source: str, *, saved: bool) -> Self:
        if not isinstance(data, dict):
            raise GrokinterpError(f"{source} is not a table of sections; see `grokinterp train --help`")
        version = data.get("schema_version", SCHEMA_VERSION)
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise GrokinterpError(
                f"{source} has schema_version {version}, but this grokinterp reads up to "
                f"{SCHEMA_VERSION}; upgrade grokinterp to open it"
            )
        try:
            return cls.model_validate(data, context={"saved": saved})
        except ValidationError as error:
            found = tuple(problems(error, cls))
            said = "; ".join(problem.sentence() for problem in found)
            raise ConfigError(f"{source}: {said}", found) from None


def why_not_fast(model: ModelConfig) -> str | None:
    """What of an architecture the fast engine does not compute; None if it computes all of it."""
    if not isinstance(model, TransformerConfig):
        return f"{model.kind}, which has one engine"
    return "LayerNorm" if model.normalization != "none" else None
