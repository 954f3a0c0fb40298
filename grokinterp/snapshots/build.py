"""Snapshots of a checkpoint's weights, and of a model in memory."""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Bool, Int

from grokinterp.config import RunConfig, TaskConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.forward import build_forward
from grokinterp.models.weights import Weights, WeightSpec, is_trained, n_outputs, weight_specs
from grokinterp.snapshots.snapshot import Snapshot
from grokinterp.tasks import Task, build_task
from grokinterp.tasks.layouts import build_layout


def snapshot_of_weights(
    config: RunConfig,
    task: Task,
    weights: Weights,
    train_mask: Bool[np.ndarray, "n_left n_right"] | None,
    step: int,
    device: str | torch.device = "cpu",
    labels: Int[np.ndarray, "n_left n_right"] | None = None,
) -> Snapshot:
    """A snapshot of a checkpoint's weights, cast to float64."""
    size = n_outputs(config, task)
    if train_mask is not None and train_mask.shape != task.table.shape:
        raise GrokinterpError(f"the split is of {train_mask.shape} pairs, but {task.name} has {task.table.shape}")
    forward = build_forward(config.model, task.layout, size, dtype=torch.float64)
    weights = {name: value.to(device, torch.float64) for name, value in weights.items()}
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise GrokinterpError(
            f"the checkpoint of step {step} holds weights that are not numbers; "
            "restore it from a copy or take it out with `grokinterp forget`"
        )
    specs = weight_specs(config.model, task.layout, size)
    _check_weights(weights, specs, step)
    trained = tuple(name for name, spec in specs.items() if is_trained(spec, config.model))
    return Snapshot(task, weights, forward, train_mask, step, trained=trained, trained_labels=labels)


def snapshot_of_model(
    model: Any,
    task: Task | TaskConfig,
    split: Bool[np.ndarray, "n_left n_right"] | None = None,
    *,
    step: int = 0,
) -> Snapshot:
    """Measure any HookedTransformer that is in memory; the model itself is not touched.

    Args:
        model: A HookedTransformer (or HookedMLP, HookedLSTM) that reads `task`'s layout, with as many tokens
            (cfg.d_vocab) and positions (cfg.n_ctx); more output columns than answers (an '=' column) are dropped.
        task: The operation, as a Task or as a TaskConfig.
        split: Training mask (n_left, n_right), or None where it is unknown.
        step: What to call this moment.

    Raises:
        GrokinterpError: not a HookedTransformer, or its shape contradicts the task or the split.
    """
    from grokinterp.models.hooked_networks import forward_of_network
    from grokinterp.models.transformer import forward_of, parameters_of

    if isinstance(task, TaskConfig):
        task = build_task(task)
    if not isinstance(task, Task):
        raise GrokinterpError(f"task is a {type(task).__name__}; pass a Task or a TaskConfig")
    mask = None if split is None else np.asarray(split, dtype=bool)
    if mask is not None and mask.shape != task.table.shape:
        raise GrokinterpError(
            f"the split is a mask of shape {mask.shape}, but {task.name} has {task.table.shape}; "
            "give True for each training pair (a, b)"
        )
    _check_layout(model, task)
    forward = forward_of_network(model, task.layout) or forward_of(model, task.layout, torch.float64)
    weights = {name: value.double() for name, value in parameters_of(model).items()}
    if weights["unembed.W_U"].shape[1] < task.n_answers:
        raise GrokinterpError(
            f"the model has {weights['unembed.W_U'].shape[1]} outputs, but {task.name} has "
            f"{task.n_answers} answers; pass the task it was trained on"
        )
    trained = tuple(name for name, value in model.named_parameters() if value.requires_grad)
    return Snapshot(task, weights, forward, mask, step, trained=trained)


def _check_weights(weights: Weights, specs: Mapping[str, WeightSpec], step: int) -> None:
    """Refuse a checkpoint of another network than the config's; W_U may have more columns than there are answers.

    Raises:
        GrokinterpError: as said.
    """
    fix = "restore it from a copy, take it out with `grokinterp forget`, or correct config.json's model section"
    odd = sorted(weights.keys() ^ specs.keys())
    if odd:
        verb = "lacks" if odd[0] in specs else "also holds"
        raise GrokinterpError(f"the checkpoint of step {step} {verb} {odd[0]!r}; {fix}")
    for name, spec in specs.items():
        shape, outputs = tuple(weights[name].shape), name.startswith("unembed.")
        fits = len(shape) == len(spec.shape) and shape[:-1] == spec.shape[:-1]
        if not fits or (shape[-1] < spec.shape[-1] if outputs else shape[-1] != spec.shape[-1]):
            raise GrokinterpError(
                f"in the checkpoint of step {step} {name} has shape {shape} and not {spec.shape}; {fix}"
            )


def _check_layout(model: Any, task: Task) -> None:
    """Refuse a model of another layout, which would read other tokens at other positions than it learned.

    Raises:
        GrokinterpError: as said.
    """
    cfg, layout = getattr(model, "cfg", None), task.layout
    found = (getattr(cfg, "d_vocab", layout.d_vocab), getattr(cfg, "n_ctx", layout.n_ctx))
    if found == (layout.d_vocab, layout.n_ctx):
        return
    names = get_args(TaskConfig.model_fields["layout"].annotation)
    others = (build_layout(name, layout.n_operand_tokens, layout.n_operands) for name in names)
    fits = next((other.name for other in others if found == (other.d_vocab, other.n_ctx)), None)
    hint = f"pass a task with layout {fits!r}" if fits else "pass the task it was trained on"
    raise GrokinterpError(
        f"the model has d_vocab {found[0]} and n_ctx {found[1]}, but the layout {layout.name!r} of {task.name} has "
        f"{layout.d_vocab} tokens in {layout.n_ctx} positions; {hint}"
    )
