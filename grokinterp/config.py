"""What a run is: five frozen, validated sections, read from and written to TOML and JSON.

A config that validates is one that trains what it says: every field is checked here, alone and
together with the others, so that nothing downstream has to. Field descriptions are the command
line's help text.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from grokinterp.errors import GrokinterpError
from grokinterp.explain import explain, suggest
from grokinterp.group_names import EXAMPLES, group_order

SCHEMA_VERSION = 1

MODULAR_OPERATIONS = ("x+y", "x-y", "x*y", "x/y")
GROUP_OPERATION = "x.y"
OPERATION_ALIASES = {
    "add": "x+y",
    "subtract": "x-y",
    "multiply": "x*y",
    "divide": "x/y",
    "compose": "x.y",
}
DEFAULT_P = 113
MAX_P = 512
"""The logits of all pairs, float64, take 8 p^3 bytes: 1 GB at 512."""


class Section(BaseModel):
    """A frozen group of fields that refuses unknown names and non-finite numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic would read true as 1."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError(f"is not a value for {info.field_name}, which is no switch")
        return value


class TaskConfig(Section):
    """The operation, how it is written as tokens, and which pairs are trained on."""

    operation: str = Field("x+y", description="x+y, x-y, x*y or x/y (mod p), or x.y (in a group)")
    p: int | None = Field(None, ge=2, le=MAX_P, description="modulus; 113 if not given")
    group: str | None = Field(None, description=f"for operation x.y: {EXAMPLES}")
    layout: Literal["a b =", "a op b =", "a b"] = Field(
        "a b =", description="the tokens of one example; the last position is read"
    )
    frac_train: float = Field(0.3, gt=0, lt=1, description="share of the pairs that is trained on, above 0 and below 1")
    split_seed: int = Field(0, ge=0, lt=2**63, description="seed of the train/test split alone")

    @field_validator("operation", mode="before")
    @classmethod
    def _known_operation(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name = OPERATION_ALIASES.get(value, value)
        names = (*MODULAR_OPERATIONS, GROUP_OPERATION)
        if name not in names:
            raise ValueError(f"is not an operation; {suggest(value, (*names, *OPERATION_ALIASES))}")
        return name

    @model_validator(mode="before")
    @classmethod
    def _default_modulus(cls, data: Any) -> Any:
        """Fill in p for modular operations, so that a saved config is complete."""
        if not isinstance(data, Mapping) or data.get("p") is not None:
            return data
        operation = data.get("operation", "x+y")
        if OPERATION_ALIASES.get(operation, operation) in MODULAR_OPERATIONS:
            return {**data, "p": DEFAULT_P}
        return data

    @model_validator(mode="after")
    def _operands(self) -> Self:
        if self.operation == GROUP_OPERATION:
            if self.p is not None:
                raise ValueError("p belongs to the modular operations; leave it out for x.y")
            if self.group is None:
                raise ValueError(f"operation x.y needs a group: --task.group {EXAMPLES}")
            if not 2 <= group_order(self.group) <= MAX_P:
                raise ValueError(f"{self.group} has {group_order(self.group)} elements; tasks take 2 to {MAX_P}")
        elif self.group is not None:
            raise ValueError("a group needs operation x.y: --task.operation x.y")
        n_train = train_size(self.frac_train, self.n_pairs)
        if not 0 < n_train < self.n_pairs:
            raise ValueError(
                f"frac_train {self.frac_train} of {self.n_pairs} pairs leaves "
                f"{n_train} to train on and {self.n_pairs - n_train} to test; each needs at least one"
            )
        return self

    @property
    def n_elements(self) -> int:
        """Size of the set that the operands come from."""
        return group_order(self.group) if self.group is not None else self.p or DEFAULT_P

    @property
    def n_pairs(self) -> int:
        """Number of pairs for which the operation is defined."""
        n = self.n_elements
        if self.operation != "x/y":
            return n * n
        return n * sum(math.gcd(y, n) == 1 for y in range(n))


class ModelConfig(Section):
    """A decoder-only transformer with TransformerLens names and conventions."""

    n_layers: int = Field(1, ge=1, le=4, description="number of blocks")
    d_model: int = Field(128, ge=1, le=4096, description="width of the residual stream")
    n_heads: int = Field(4, ge=1, le=64, description="attention heads per block")
    d_head: int | None = Field(None, ge=1, le=4096, description="width of a head; d_model / n_heads if not given")
    d_mlp: int | None = Field(None, ge=1, le=65536, description="neurons per block; 4 d_model if not given")
    activation: Literal["relu", "gelu"] = Field("relu", description="nonlinearity of the MLP")
    normalization: Literal["none", "LN"] = Field("none", description="LayerNorm before each sublayer")
    biases: Literal["none", "mlp", "all"] = Field("none", description="which biases are trained; the others stay zero")
    causal: bool = Field(True, description="causal attention mask")
    init: Literal["tl", "nanda"] = Field("tl", description="initialisation scheme")
    init_seed: int = Field(0, ge=0, lt=2**63, description="seed of the initial weights alone")

    @model_validator(mode="before")
    @classmethod
    def _default_widths(cls, data: Any) -> Any:
        """Fill in d_head and d_mlp, so that a saved config is complete."""
        if not isinstance(data, Mapping):
            return data
        data = dict(data)
        width, heads = data.get("d_model", 128), data.get("n_heads", 4)
        if data.get("d_head") is None and isinstance(width, int) and isinstance(heads, int) and heads:
            if width % heads:
                raise ValueError(f"d_model {width} is not a multiple of n_heads {heads}; give d_head")
            data["d_head"] = width // heads
        if data.get("d_mlp") is None and isinstance(width, int):
            data["d_mlp"] = 4 * width
        return data

    @property
    def head_width(self) -> int:
        """d_head, known to be set."""
        return self.d_head or self.d_model // self.n_heads

    @property
    def mlp_width(self) -> int:
        """d_mlp, known to be set."""
        return self.d_mlp or 4 * self.d_model


class OptimizerConfig(Section):
    """The optimizer and its learning-rate warm-up."""

    name: Literal["adamw", "adam", "sgd"] = Field("adamw", description="torch optimizer")
    lr: float = Field(1e-3, gt=0, le=1000, description="learning rate after the warm-up, above 0")
    weight_decay: float = Field(1.0, ge=0, le=1000, description="decoupled decay (adamw) or L2 (sgd); adam takes none")
    betas: tuple[float, float] = Field((0.9, 0.98), description="Adam's two decay rates")
    eps: float = Field(1e-8, gt=0, description="Adam's epsilon")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum of sgd")
    warmup_steps: int = Field(10, ge=0, description="update i runs at lr min(i / warmup_steps, 1)")

    @model_validator(mode="before")
    @classmethod
    def _adam_has_no_decay(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("name") in ("adam", "sgd"):
            return {"weight_decay": 0.0, **data}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name == "adam" and self.weight_decay:
            raise ValueError("adam takes no weight_decay; use --optimizer.name adamw")
        if self.name != "sgd" and self.momentum:
            raise ValueError("momentum belongs to sgd; Adam's is --optimizer.betas")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas} must both be at least 0 and below 1")
        return self


class TrainConfig(Section):
    """How long, how, and what is kept."""

    steps: int = Field(1500, ge=1, le=100_000_000, description="optimizer steps")
    batch_size: int | None = Field(None, ge=1, description="pairs per step; all of them if not given")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the batch order")
    engine: Literal["auto", "fast", "hooked"] = Field(
        "auto", description="fast: the exact rewrite; hooked: HookedTransformer.forward itself"
    )
    dtype: Literal["float32", "float64"] = Field("float32", description="dtype of the weights")
    loss_dtype: Literal["float32", "float64"] = Field("float64", description="dtype of the cross-entropy")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int | None = Field(None, ge=1, le=1024, description="torch threads; torch's default if not given")
    eval_every: int = Field(10, ge=1, description="steps between lines of metrics.jsonl")
    checkpoint_log_points: int = Field(40, ge=0, le=10_000, description="log-spaced checkpoints over the run")
    checkpoint_every: int | None = Field(
        None, ge=1, description="steps between regular checkpoints; steps / 40 if not given"
    )
    checkpoint_dense: float = Field(
        0.3, ge=0, description="one more checkpoint whenever ln(test loss) moved by this; 0: never"
    )
    resume_every: int = Field(100, ge=1, description="steps between writes of the resume file")

    @model_validator(mode="before")
    @classmethod
    def _default_spacing(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("checkpoint_every") is None:
            steps = data.get("steps", 1500)
            if isinstance(steps, int):
                return {**data, "checkpoint_every": max(1, steps // 40)}
        return data

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        kind, _, index = value.partition(":")
        if kind in ("auto", "cpu", "cuda") and (not index or (kind == "cuda" and index.isdigit())):
            return value
        raise ValueError("is not a device; use auto, cpu, cuda or cuda:N")


class RunConfig(Section):
    """One run, completely: everything that decides its numbers."""

    schema_version: int = SCHEMA_VERSION
    name: str = Field("run", min_length=1, max_length=200, description="title of the run")
    task: TaskConfig = Field(default_factory=lambda: TaskConfig.model_validate({}))
    model: ModelConfig = Field(default_factory=lambda: ModelConfig.model_validate({}))
    optimizer: OptimizerConfig = Field(default_factory=lambda: OptimizerConfig.model_validate({}))
    train: TrainConfig = Field(default_factory=lambda: TrainConfig.model_validate({}))

    @field_validator("name")
    @classmethod
    def _printable_name(cls, value: str) -> str:
        if not value.isprintable() or not value.strip(" ."):
            raise ValueError("is not a name; use printable characters")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.train.engine == "fast" and self.model.normalization != "none":
            raise ValueError("the fast engine has no LayerNorm; use --train.engine auto or hooked")
        n_train = train_size(self.task.frac_train, self.task.n_pairs)
        if self.train.batch_size is not None and self.train.batch_size > n_train:
            raise ValueError(
                f"batch_size {self.train.batch_size} exceeds the {n_train} training pairs; "
                "lower it or leave it out for full batches"
            )
        return self

    def to_json(self) -> str:
        """The config as JSON text; `from_json` gives it back unchanged."""
        return self.model_dump_json(indent=2) + "\n"

    def to_toml(self) -> str:
        """The config as TOML text; fields that are None are left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def from_json(cls, text: str, *, source: str = "the config") -> Self:
        """Read `to_json`'s text.

        Raises:
            GrokinterpError: not JSON, a field that does not validate, or a newer schema.
        """
        try:
            data = json.loads(text)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise GrokinterpError(f"{source} is not valid JSON ({error}); restore it from a copy") from None
        return cls.from_mapping(data, source=source)

    @classmethod
    def from_mapping(cls, data: Any, *, source: str = "the config") -> Self:
        """Validate a nested mapping; errors become one sentence each."""
        if not isinstance(data, dict):
            raise GrokinterpError(f"{source} is not a table of sections; see `grokinterp train --help`")
        version = data.get("schema_version", SCHEMA_VERSION)
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise GrokinterpError(
                f"{source} has schema_version {version}, but this grokinterp reads up to "
                f"{SCHEMA_VERSION}; upgrade grokinterp to open it"
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise GrokinterpError(f"{source}: {explain(error, cls)}") from None


def train_size(frac_train: float, n_pairs: int) -> int:
    """floor(frac_train * n_pairs), as the published code bases count (3,830 of 12,769 at 0.3)."""
    return math.floor(frac_train * n_pairs + 1e-9)
