"""Networks of ours written in other people's layouts."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import grokinterp as gi
from grokinterp.models.forward import build_forward
from grokinterp.models.weights import init_weights
from grokinterp.tasks import Task

Weights = dict[str, Tensor]


def network(seed: int = 0, **changes: Any) -> tuple[gi.RunConfig, Task, Weights]:
    """A small config, its task, and initial weights with biases that are not zero where they are trained."""
    sections = {
        "task": {"p": 7, "frac_train": 0.6},
        "model": {"d_model": 16, "n_heads": 2, "d_mlp": 32, "biases": "mlp", "init_seed": seed},
    }
    merged = {name: {**sections.get(name, {}), **changes.get(name, {})} for name in {**sections, **changes}}
    config = gi.RunConfig.from_mapping(merged)
    task = gi.build_task(config.task)
    weights = init_weights(config.model, task.layout, task.n_answers)
    stream = torch.Generator().manual_seed(seed)
    for name, value in weights.items():
        in_mlp = name.endswith((".b_in", ".b_out"))
        if ".b_" in name and (config.model.biases == "all" or (config.model.biases == "mlp" and in_mlp)):
            weights[name] = torch.randn(value.shape, generator=stream)
    return config, task, weights


def logits(config: gi.RunConfig, task: Task, weights: Mapping[str, Tensor]) -> Tensor:
    """Logits (pairs, n_answers) in float64."""
    left, right = (torch.from_numpy(side) for side in task.pairs())
    doubles = {name: value.double() for name, value in weights.items()}
    forward = build_forward(config.model, task.layout, task.n_answers, dtype=torch.float64)
    return forward(doubles, left, right)[:, : task.n_answers]


def losses(config: gi.RunConfig, task: Task, weights: Weights, mask: np.ndarray) -> dict[str, float]:
    """Losses and accuracies on both sides of a split, by a plain formula."""
    found = logits(config, task, weights)
    answers = torch.from_numpy(task.table[task.defined])
    each = -found.log_softmax(dim=-1)[torch.arange(len(answers)), answers]
    right = (found.argmax(dim=-1) == answers).double()
    sides = {"train": torch.from_numpy(mask[task.defined]), "test": torch.from_numpy(~mask[task.defined])}
    return {
        f"{name}_{what}": float(values[side].mean())
        for name, side in sides.items()
        for what, values in (("loss", each), ("accuracy", right))
    }


def python_split(p: int, fraction: float, seed: int) -> tuple[list[tuple[int, int, int]], np.ndarray]:
    """Nanda et al.'s list of pairs in the order of their shuffle, and the mask of its first part."""
    pairs = [(i, j, p) for i in range(p) for j in range(p)]
    random.seed(seed)
    random.shuffle(pairs)
    mask = np.zeros((p, p), dtype=bool)
    for i, j, _ in pairs[: int(fraction * len(pairs))]:
        mask[i, j] = True
    return pairs, mask


def nanda_state(weights: Weights, sign_output: Tensor | None = None) -> Weights:
    """In the layout of progress-measures-paper: transposed, heads of W_O flattened, one more output for '='."""
    w_u = weights["unembed.W_U"]
    column = torch.zeros(len(w_u), 1) if sign_output is None else sign_output
    state = {
        "embed.W_E": weights["embed.W_E"].T,
        "pos_embed.W_pos": weights["pos_embed.W_pos"],
        "unembed.W_U": torch.cat([w_u, column.to(w_u)], dim=1),
    }
    for block in range(sum(name.endswith("W_in") for name in weights)):
        attn, mlp = f"blocks.{block}.attn.", f"blocks.{block}.mlp."
        state |= {attn + f"W_{n}": weights[attn + f"W_{n}"].transpose(1, 2) for n in "KQV"}
        state[attn + "W_O"] = torch.cat([head.T for head in weights[attn + "W_O"]], dim=1)
        state[attn + "mask"] = torch.ones(3, 3).tril()
        for name in ("in", "out"):
            state[mlp + f"W_{name}"] = weights[mlp + f"W_{name}"].T
            state[mlp + f"b_{name}"] = weights[mlp + f"b_{name}"]
    return {name: value.clone() for name, value in state.items()}


def bridge_state(weights: Weights) -> Weights:
    """As `TransformerBridge.boot_native(cfg).state_dict()` of TransformerLens 4 has them."""
    state = {
        "embed.weight": weights["embed.W_E"],
        "pos_embed.weight": weights["pos_embed.W_pos"],
        "unembed.weight": weights["unembed.W_U"].T,
        "unembed.bias": weights["unembed.b_U"],
    }
    for name, value in weights.items():
        start, _, last = name.rpartition(".")
        if start.endswith("attn") and last in ("W_Q", "W_K", "W_V"):
            state[f"{start}.{last[-1].lower()}.weight"] = torch.cat([head.T for head in value])
        elif start.endswith("attn") and last == "W_O":
            state[f"{start}.o.weight"] = torch.cat([head.T for head in value], dim=1)
        elif start.endswith("attn"):
            state[f"{start}.{last[-1].lower()}.bias"] = value.flatten()
        elif start.endswith("mlp"):
            kind, _, side = last.partition("_")
            state[f"{start}.{side}.{'weight' if kind == 'W' else 'bias'}"] = value.T if kind == "W" else value
        elif last in ("w", "b"):
            state[f"{start}.{'weight' if last == 'w' else 'bias'}"] = value
    return {name: value.clone() for name, value in state.items()}


def save(content: Any, path: Path) -> Path:
    """Save with torch, and return the path."""
    torch.save(content, path)
    return path


def same_weights(run: gi.Run, step: int, weights: Weights) -> bool:
    """Whether a run's checkpoint holds exactly these tensors."""
    found = run.weights(step)
    return set(found) == set(weights) and all(torch.equal(found[name], value) for name, value in weights.items())
