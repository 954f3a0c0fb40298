"""What a file does not say, found by trying: the operation and the activation that the weights compute best."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from grokinterp.config import MODULAR_OPERATIONS, RunConfig
from grokinterp.runs.importers.checked import check_weights, plain
from grokinterp.runs.importers.judge import Judge
from grokinterp.runs.importers.sections import Sections, config_of, section_of
from grokinterp.tasks import build_task
from grokinterp.tasks.modular import modular_table

OPERATIONS = tuple(name for name in MODULAR_OPERATIONS if name not in ("x+y+z", "x+y+z+w"))
"""Those on two elements."""

CLEARLY = (0.01, 0.5)
"""Clearly better: so much more accuracy, or no less and this share of the loss."""

CHANCE = 3.0
"""An accuracy below so many times 1 / p says nothing."""

SURE = 0.9
"""From this accuracy on no other operation can be computed much better."""

Trial = tuple[tuple[float, float], str | None, str]
"""Accuracy and the loss with its sign turned; the activation; the operation."""


def guessed_config(
    inferred: Sections, given: Sections, path: Path, weights: Callable[[RunConfig], Mapping[str, Tensor]]
) -> tuple[RunConfig, list[str]]:
    """The config, and a note on what of it was found by trying.

    An operation that is not known is the modular one with the highest accuracy over its own pairs, ties by loss.
    An activation that is not known is ReLU, unless GELU is clearly better (see CLEARLY): a network computes nearly
    the same with either.

    Args:
        inferred: Sections as far as they are known; given ones win.
        path: What is imported; the run is called after it.
        weights: The last checkpoint's, complete under a config.

    Raises:
        GrokinterpError: the sections are no config, or the weights are not its network's.
    """
    known: dict[str, Any] = {"name": path.stem or "imported", **inferred}
    task = {**known.get("task", {}), **section_of(given, "task")}
    model = {**known.get("model", {}), **section_of(given, "model")}
    operations = [] if {"operation", "group", "file", "table"} & set(task) else list(OPERATIONS)
    activations = [] if "activation" in model else ["relu", "gelu"]
    tried: list[Trial] = []
    for activation in activations or [None]:
        change = {} if activation is None else {"activation": activation}
        config = config_of({**known, "model": {**known.get("model", {}), **change}}, given, path)
        if not operations and not activations:
            return config, []
        scores = _scores(config, weights(config), operations)
        tried += [(score, activation, operation) for operation, score in scores.items()]
    (accuracy, _), activation, operation = _best(tried)
    fits = "of those tried this fits best"
    if operations and accuracy < CHANCE / config.task.n_elements:
        operation, fits = OPERATIONS[0], "nothing that was tried fits, so this is a guess; the best is at chance"
    found = {
        "model": {} if activation is None else {"activation": activation},
        "task": {"operation": operation} if operations else {},
    }
    merged = {**known, **{key: {**known.get(key, {}), **fields} for key, fields in found.items()}}
    words = [f"{field} {value}" for fields in found.values() for field, value in sorted(fields.items())]
    note = f"the file does not say {' and '.join(words)}; {fits}, with accuracy {accuracy:.4f} over all pairs"
    return config_of(merged, given, path), [note]


def doubted(config: RunConfig, weights: Mapping[str, Tensor], accuracy: float) -> list[str]:
    """A note where the weights compute another operation clearly better than the config's, or nothing at all."""
    task, chance = config.task, CHANCE / config.task.n_elements
    what = f"task.operation {task.operation} is answered with accuracy {accuracy:.4f}"
    if task.p is not None and task.operation in OPERATIONS and accuracy < SURE:
        (best, _), operation = max((score, name) for name, score in _scores(config, weights, OPERATIONS).items())
        if best >= max(chance, accuracy + CLEARLY[0]):
            return [f"{what}, but {operation} with {best:.4f}"]
    return [f"{what}, no better than chance"] if accuracy < chance else []


def _best(tried: list[Trial]) -> Trial:
    """The best of the first activation's, unless another activation's is clearly better."""
    best = {activation: max(t for t in tried if t[1] == activation) for _, activation, _ in tried}
    first, *others = best.values()
    for other in others:
        (accuracy, loss), (base_accuracy, base_loss) = other[0], first[0]
        if accuracy > base_accuracy + CLEARLY[0] or (accuracy >= base_accuracy and -loss < -base_loss * CLEARLY[1]):
            first = other
    return first


def _scores(
    config: RunConfig, weights: Mapping[str, Tensor], operations: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Accuracy and the loss with its sign turned, by operation; of the config's own where none are to be tried."""
    task = build_task(config.task)
    check_weights(weights, config, task)
    judge, floats = Judge(config, task), plain(weights, 0)
    if not operations:
        found = judge.score(floats, None)
        return {config.task.operation: (found["accuracy"], -found["loss"])}
    tables = {name: torch.from_numpy(modular_table(name, config.task.n_elements)) for name in operations}
    totals = {name: torch.zeros(3, dtype=torch.float64) for name in operations}
    for logits, piece in judge.logits(floats):
        left, right = judge.left[piece], judge.right[piece]
        log_shares, guesses = logits.log_softmax(dim=-1), logits.argmax(dim=-1)
        for name, table in tables.items():
            answers = table[left, right]
            known = answers >= 0
            gained = log_shares.gather(1, answers.clamp(min=0)[:, None])[known, 0].sum()
            hits = (guesses == answers)[known].sum()
            totals[name] += torch.stack([hits.double(), gained, known.sum().double()])
    return {name: (float(t[0] / t[2]), float(t[1] / t[2])) for name, t in totals.items()}
