"""Checkpoints that lie in one file or in a folder of files: which step each is of, read one at a time."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers.content import state_dict_of
from grokinterp.runs.importers.source import Source, load_tensors

NAMED = (r"(?:global_?)?step[=_\- ]*(\d+)", r"epoch[=_\- ]*(\d+)", r"(\d+)(?!.*\d)")
"""How a file's name gives its step: after "step", else after "epoch", else its last number."""

INSIDE = ("global_step", "step", "epoch")
"""Keys under which a file says its step."""

CURVES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


@dataclass(frozen=True)
class Series:
    """Checkpoints by step.

    Attributes:
        steps: Ascending.
        content: What the file of a step holds, read when it is asked for.
        notes: About steps that were guessed and files left out.
        files: The name of the file of a step; empty where there is but one.
    """

    steps: tuple[int, ...]
    content: Callable[[int], Any]
    notes: tuple[str, ...] = ()
    files: Mapping[int, str] = field(default_factory=dict)

    def state_dict(self, step: int) -> dict[str, Tensor]:
        """The tensors of a step.

        Raises:
            GrokinterpError: its file holds something else.
        """
        found = state_dict_of(self.content(step))
        if found is None:
            name = self.files.get(step, "the file")
            raise GrokinterpError(f"{name} holds no state_dict; take it out of the folder")
        return found


def series_of(source: Source, later: int = 0) -> Series:
    """The checkpoints of a source.

    A step stands in the file's name; else in the file under one of INSIDE. A name without a number that says
    "init" is step 0; another one comes after all the others.

    Args:
        later: Added to a step that counts epochs from 0 before the update.

    Raises:
        GrokinterpError: two files of one step.
    """
    if source.path.is_file():
        return _of_one(source, later)
    numbered: dict[int, Path] = {}
    unnumbered: list[Path] = []
    for path in source.files:
        step = step_in_name(path.stem)
        if step is None:
            unnumbered.append(path)
        elif step + later in numbered:
            raise GrokinterpError(f"{path.name} and {numbered[step + later].name} are of one step; take one away")
        else:
            numbered[step + later] = path
    notes = []
    for path in unnumbered:
        step = _step_of_unnumbered(path, numbered)
        if step in numbered:
            notes.append(f"{path.name} is left out: {numbered[step].name} is of the same step {step}")
            continue
        numbered[step] = path
        notes.append(f"the step of {path.name} is taken to be {step}")
    names = {step: path.name for step, path in numbered.items()}
    return Series(tuple(sorted(numbered)), lambda step: load_tensors(numbered[step]), tuple(notes), names)


def _of_one(source: Source, later: int) -> Series:
    inside = step_inside(source.content)
    step = step_in_name(source.path.stem, words_only=True) if inside is None else inside
    if step is None:
        return Series((0,), lambda _: source.content, ("its step is not known; it is called step 0",))
    return Series((step + later,), lambda _: source.content)


def step_in_name(stem: str, *, words_only: bool = False) -> int | None:
    """The step that a file's name says; with `words_only` only where it says "step" or "epoch".

    >>> [step_in_name(stem) for stem in ("step_100", "epoch=3-step=100", "epoch=7", "model_12", "last")]
    [100, 100, 7, 12, None]
    """
    for pattern in NAMED[:2] if words_only else NAMED:
        match = re.search(pattern, stem, flags=re.IGNORECASE)
        if match and len(match[1]) <= 12:
            return int(match[1])
    return None


def step_inside(content: Any) -> int | None:
    """The step that a file's content says."""
    if isinstance(content, Mapping):
        for name in INSIDE:
            value = content.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return value
    return None


def _step_of_unnumbered(path: Path, numbered: Mapping[int, Path]) -> int:
    if "init" in path.stem.lower():
        return 0
    inside = step_inside(load_tensors(path))
    return inside if inside is not None else max(numbered, default=-1) + 1


def curve_rows(series: Series) -> list[dict[str, Any]]:
    """Losses and accuracies that stand in the files beside the weights, as rows of metrics."""
    rows = []
    for step in series.steps:
        content = series.content(step)
        if isinstance(content, Mapping):
            found = {name: float(content[name]) for name in CURVES if isinstance(content.get(name), int | float)}
            rows += [{"step": step, **found}] if found else []
    return rows


def decay_in(content: Any) -> float | None:
    """The weight decay of the first group of an optimizer's state_dict beside the weights; None where there is none."""
    for name in ("optimizer", "optimizer_state_dict", "opt"):
        state = content.get(name) if isinstance(content, Mapping) else None
        groups = state.get("param_groups") if isinstance(state, Mapping) else None
        first = groups[0] if isinstance(groups, list) and groups else None
        value = first.get("weight_decay") if isinstance(first, Mapping) else None
        if isinstance(value, int | float):
            return float(value)
    return None
