"""`gi.record`: a run directory around a training loop of the user's own."""

import math
import operator
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from grokinterp.config import RunConfig, TransformerConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import n_outputs, weight_specs
from grokinterp.runs.files import locked
from grokinterp.runs.metrics import MetricsLog
from grokinterp.runs.provenance import provenance
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import write_checkpoint, write_task
from grokinterp.tasks import Task, build_task, draw_labels, draw_train_mask


class Recorder:
    """Saves checkpoints and metrics of a loop that somebody else wrote; a context manager.

    Attributes:
        task: The operation; `task.table[a, b]` are the answers, `task.layout.tokens(a, b)` the tokens.
        train_mask: The pairs to train on, (n_left, n_right).
        labels: What to train on where the config has outliers or shuffled labels, (n_left, n_right); else None.
    """

    def __init__(self, directory: str | Path, config: RunConfig, train_mask: Any = None) -> None:
        self._rundir, self._config = RunDir(directory), config
        self.task: Task = build_task(config.task)
        drawn = draw_train_mask(self.task, config.task.frac_train, config.task.split_seed)
        self.train_mask = drawn if train_mask is None else np.asarray(train_mask)
        if self.train_mask.shape != self.task.table.shape or self.train_mask.dtype != bool:
            raise GrokinterpError(
                f"train_mask must be a boolean array of shape {self.task.table.shape} for {self.task.name}"
            )
        if (self.train_mask & ~self.task.defined).any():
            raise GrokinterpError(f"train_mask names pairs for which {self.task.name} is not defined")
        self.labels = draw_labels(self.task, self.train_mask, config.task)
        self._last: int | None = None

    def __enter__(self) -> Self:
        root = self._rundir.root
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise GrokinterpError(f"{root} is there already; record into a new folder")
        self._lock = locked(self._rundir.lock_path, str(root))
        self._lock.__enter__()
        self._rundir.write_config(self._config)
        write_task(self._rundir, self.task, self.train_mask, self.labels)
        about = provenance(torch.device("cpu"), torch.get_num_threads(), engine="recorded", init_scheme=None)
        self._rundir.write_provenance(about)
        self._log = MetricsLog(self._rundir.metrics_path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
        self._lock.__exit__(kind, error, trace)

    def save(self, step: int, model: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Save a checkpoint of `model` after `step` optimizer steps, and a line of metrics.

        Args:
            step: Larger than at the last call.
            model: A HookedTransformer (any module with TransformerLens's parameter names), or a
                dict of such tensors.
            metrics: train_loss, test_loss, train_accuracy, test_accuracy and what you like;
                phases are found from these four.

        Raises:
            GrokinterpError: steps not rising, or weights that are not those of the config's model.
        """
        try:
            step = operator.index(step)
        except TypeError:
            raise GrokinterpError(f"step {step!r} is not a whole number") from None
        if step < 0:
            raise GrokinterpError(f"step {step} is negative; 0 is the initialisation")
        if self._last is not None and step <= self._last:
            raise GrokinterpError(f"step {step} comes after step {self._last}; save in rising order")
        weights = dict(model) if isinstance(model, Mapping) else dict(model.named_parameters())
        self._check(weights)
        self._check_architecture(getattr(model, "cfg", None))
        row = _metrics_row(step, metrics or {})
        write_checkpoint(self._rundir, step, weights)
        self._last = step
        if metrics is not None:
            self._log.append(row)

    def _check(self, weights: Mapping[str, Tensor]) -> None:
        specs = weight_specs(self._config.model, self.task.layout, n_outputs(self._config, self.task))
        unknown = [name for name in weights if name not in specs]
        if unknown:
            raise GrokinterpError(f"config.model describes a model without {unknown[0]}; correct config.model")
        for name, spec in specs.items():
            if name not in weights:
                raise GrokinterpError(f"the model has no {name}; config.model describes another architecture")
            shape = tuple(weights[name].shape)
            outputs = name.startswith("unembed.")  # more columns than answers are allowed there
            if shape[:-1] != spec.shape[:-1] or (shape[-1] != spec.shape[-1] and not outputs):
                raise GrokinterpError(
                    f"{name} has shape {shape}, but the config's model has {spec.shape}; correct config.model"
                )

    def _check_architecture(self, cfg: Any) -> None:
        """What a HookedTransformer computes beyond its weights' shapes."""
        model = self._config.model
        if cfg is None or not isinstance(model, TransformerConfig):
            return
        expected = {
            "normalization_type": None if model.normalization == "none" else model.normalization,
            "act_fn": model.activation,
            "attention_dir": "causal" if model.causal else "bidirectional",
            "positional_embedding_type": "standard",
            "attn_only": False,
        }
        for name, value in expected.items():
            if getattr(cfg, name, value) != value:
                raise GrokinterpError(
                    f"the model has {name} {getattr(cfg, name)!r}, but config.model says {value!r}; correct one of them"
                )


def _metrics_row(step: int, metrics: Mapping[str, float]) -> dict[str, float]:
    row: dict[str, float] = {"step": step}
    for name, value in metrics.items():
        try:
            row[name] = float(value)
        except (TypeError, ValueError):
            row[name] = math.nan
        if name == "step" or not math.isfinite(row[name]):
            raise GrokinterpError(f"metrics[{name!r}] = {value!r} cannot be recorded; leave it out")
    return row


def record(directory: str | Path, config: RunConfig, *, train_mask: Any = None) -> Recorder:
    """Record a training loop of your own: `with gi.record(dir, config) as r: r.save(step, model, metrics)`.

    Args:
        directory: A new folder.
        config: Its task and model sections describe what is trained; the rest is kept as a note.
        train_mask: Training pairs, if not those that the config's split gives.
    """
    return Recorder(directory, config, train_mask)
