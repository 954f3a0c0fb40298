"""The sections that say how it is trained: optimizer, regularizer, train."""

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from grokinterp.config.section import Section


class OptimizerConfig(Section):
    """The optimizer, its weight decay and its learning-rate schedule."""

    name: Literal["adamw", "adam", "sgd", "muon"] = Field(
        "adamw", description="optimizer; muon: on matrices, with adamw on vectors and embeddings"
    )
    lr: float = Field(1e-3, gt=0, le=1000, description="learning rate after the warm-up, above 0")
    weight_decay: float = Field(1.0, ge=0, le=1000, description="decoupled decay (adamw) or L2 (sgd); adam takes none")
    final_decay: float = Field(1.0, ge=0, le=1, description="share of weight_decay left at the last step (a cosine)")
    decay_to: Literal["zero", "init"] = Field("zero", description="what the weights decay to: 0 or where they began")
    betas: tuple[float, float] = Field((0.9, 0.98), description="Adam's two decay rates")
    eps: float = Field(1e-8, gt=0, description="Adam's epsilon")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum of sgd and muon")
    warmup_steps: int = Field(10, ge=0, description="update i runs at lr min(i / warmup_steps, 1)")
    schedule: Literal["constant", "cosine"] = Field("constant", description="learning rate after the warm-up")
    final_lr: float = Field(0.1, ge=0, le=1, description="of cosine: share of lr that is left at the last step")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_others(cls, data: Any) -> Any:
        """adam and sgd have no decay unless it is given, muon has its usual momentum."""
        if isinstance(data, Mapping) and data.get("name") in ("adam", "sgd"):
            return {"weight_decay": 0.0, **data}
        if isinstance(data, Mapping) and data.get("name") == "muon":
            return {"momentum": 0.95, **data}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name == "adam" and self.weight_decay:
            raise ValueError("adam takes no weight_decay; use --optimizer.name adamw")
        if self.name not in ("sgd", "muon") and self.momentum:
            raise ValueError("momentum belongs to sgd and muon; Adam's is --optimizer.betas")
        if self.name == "sgd" and (self.betas, self.eps) != _OF_ADAM:
            raise ValueError("betas and eps belong to Adam; leave them out for sgd")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas} must both be at least 0 and below 1")
        if self.final_decay != 1 and not self.weight_decay:
            raise ValueError("final_decay needs a weight_decay above 0 to take a share of; set final_decay to 1")
        if self.decay_to == "init" and not self.weight_decay:
            raise ValueError("decay_to init needs a weight_decay above 0, and adamw, sgd or muon")
        if self.schedule == "constant" and self.final_lr != OptimizerConfig.model_fields["final_lr"].default:
            raise ValueError("final_lr belongs to the cosine schedule: --optimizer.schedule cosine")
        return self

    @property
    def shrinkage(self) -> float:
        """Share of a weight that decay takes away in a step; 0 where it varies or pulls elsewhere.

        Through sgd's momentum its decay, which is part of the gradient, acts 1 / (1 - momentum) times.
        """
        if self.decay_to != "zero" or self.schedule != "constant" or self.final_decay != 1:
            return 0.0
        heavy_ball = self.momentum if self.name == "sgd" else 0.0
        return min(self.lr * self.weight_decay / (1 - heavy_ball), 1.0)


_OF_ADAM = (OptimizerConfig.model_fields["betas"].default, OptimizerConfig.model_fields["eps"].default)


class RegularizerConfig(Section):
    """What is added to plain training, in the order in which a step applies it."""

    dropout: float = Field(0.0, ge=0, lt=1, description="dropout of what each sublayer adds to the residual stream")
    weight_noise: float = Field(
        0.0, ge=0, le=10, description="std of Gaussian noise on the weights of each forward pass"
    )
    sam_rho: float = Field(0.0, ge=0, le=10, description="radius of sharpness-aware minimisation; 0: none")
    orthogonal_gradient: bool = Field(False, description="take the part along the weights out of each gradient")
    grokfast: Literal["none", "ema", "ma"] = Field("none", description="amplify slow gradients by a running mean")
    grokfast_lambda: float = Field(2.0, ge=0, le=1000, description="how much of the slow gradient is added")
    grokfast_alpha: float = Field(0.98, ge=0, lt=1, description="decay rate of the exponential mean")
    grokfast_window: int = Field(100, ge=1, le=1000, description="steps of the plain mean")
    update_noise: float = Field(0.0, ge=0, le=1000, description="std of Gaussian noise on each update, times the lr")
    norm: Literal["free", "initial"] = Field("free", description="initial: the weights' norm is put back at each step")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        belongs = {"grokfast_lambda": ("ema", "ma"), "grokfast_alpha": ("ema",), "grokfast_window": ("ma",)}
        for name, kinds in belongs.items():
            if self.grokfast not in kinds and getattr(self, name) != RegularizerConfig.model_fields[name].default:
                raise ValueError(f"{name} belongs to --regularizer.grokfast {' or '.join(kinds)}")
        return self


class TrainConfig(Section):
    """How long, how, and what is kept."""

    steps: int = Field(1500, ge=1, le=100_000_000, description="optimizer steps")
    max_seconds: float | None = Field(None, gt=0, description="stop after this wall time, summed over resumes")
    stop_after_grokking: int | None = Field(
        None, ge=0, description="stop this many steps after test accuracy held 99 % for five evaluations"
    )
    batch_size: int | Literal["auto", "full"] | None = Field(
        None, description="pairs per step; full, or not given: all of them; auto: min(512, half of them)"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the batch order, of dropout and of noise")
    loss: Literal["cross_entropy", "stablemax", "mse"] = Field("cross_entropy", description="what is minimised")
    loss_on: Literal["answer", "sequence"] = Field("answer", description="the answer alone, or every next token")
    engine: Literal["auto", "fast", "hooked"] = Field(
        "auto", description="fast: the exact rewrite; hooked: HookedTransformer.forward itself"
    )
    dtype: Literal["float32", "float64"] = Field("float32", description="dtype of the weights")
    loss_dtype: Literal["float32", "float64"] = Field("float64", description="dtype of the loss")
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

    @field_validator("batch_size", mode="before")
    @classmethod
    def _at_least_one(cls, value: Any) -> Any:
        if value == "full":  # what a flag and TOML can say of a preset with minibatches; saved as null
            return None
        if value is not None and value != "auto" and (not isinstance(value, int) or value < 1):
            raise ValueError("is not a batch size; take at least 1, auto, or full")
        return value

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if value in ("auto", "cpu", "cuda") or re.fullmatch(r"cuda:[0-9]{1,3}", value):
            return value
        raise ValueError("is not a device; use auto, cpu, cuda or cuda:N")
