"""Nanda et al.'s progress-measures-paper: files of its own transformer, whose matrices are transposed.

    {model, train_losses, test_losses}                       saved_runs; with optimizer, scheduler, config, epoch or not
    {state_dicts, epochs, train_losses, test_losses, config} a whole run
    {model, train_loss, test_loss, epoch}                    one checkpoint, taken after the update of that epoch
    {model, train_data, test_data}                           init.pth: the network as it began, and the split
    a bare state_dict, or a folder of any of these           `init.pth`, `0.pth`, `100.pth`, ..., `final.pth`

Epochs count from 0 and their losses are computed before the update, so those of epoch e are of step e. Test losses may
be recorded less often than train losses: the stride follows from the lengths. The network has p + 1 outputs; the last
one is '=', which is never an answer and is left out.

The split, where the file does not have it: the pairs (i, j), a-major, shuffled by Python's random.Random(seed), the
first floor(frac * p^2) of them. Seeds 0 to 9 are tried, and the one is taken whose losses agree with the recorded ones
where no other's do; else the split is not known.

**Paper:** arXiv 2301.05217, defaults of its code: p 113, frac_train 0.3, AdamW, lr 1e-3, weight decay 1, betas (0.9,
0.98), 10 steps of warm-up.
**Known values:** low_precision_mod_addition.pth: loss .0029, accuracy .99945, split of seed 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers.content import scalars, state_dict_of
from grokinterp.runs.importers.fields import against_shapes, tensor_of
from grokinterp.runs.importers.guess import guessed_config
from grokinterp.runs.importers.imported import Imported, in_file
from grokinterp.runs.importers.nanda_split import DEFAULT_FRACTION, find_split, split_of_pairs
from grokinterp.runs.importers.sections import laid_over, names_the_operation, section_of
from grokinterp.runs.importers.series import decay_in, series_of
from grokinterp.runs.importers.source import Source
from grokinterp.runs.importers.transposed import is_transposed, transposed_model, transposed_weights

NAME = "nanda"
SUMMARY = "files of Nanda et al.'s progress-measures-paper"

OPERATIONS = {"add": "x+y", "subtract": "x-y", "x2xyy2": "x^2+xy+y^2"}
ACTIVATIONS = {"ReLU": "relu", "GeLU": "gelu"}
LOSSES = ("train_loss", "test_loss")


@dataclass(frozen=True, eq=False)
class Files:
    """What was found: state_dicts by step, and the dict that has the most beside them.

    shiftable: The steps are the file's epochs, which may be one less than the steps.
    files: The name of the file of a step, where there are several.
    """

    steps: tuple[int, ...]
    state: Callable[[int], Mapping[str, Tensor]]
    about: Mapping[str, Any]
    rows: list[dict[str, Any]]
    notes: tuple[str, ...] = ()
    shiftable: bool = False
    files: Mapping[int, str] = field(default_factory=dict)


def recognise(source: Source) -> bool:
    """A state_dict in this layout with three positions, alone, under `model`, or in a list under `state_dicts`."""
    state = _first_state(source.first)
    return state is not None and is_transposed(state) and tuple(state["pos_embed.W_pos"].shape[:1]) == (3,)


def read(source: Source, given: Mapping[str, Any]) -> Imported:
    """The network's weights under TransformerLens's names, its curves, and the split if it can be found.

    Raises:
        GrokinterpError: tensors that do not fit each other, or curves that are no lists of numbers.
    """
    files = _files(source)
    settings = scalars(files.about.get("config"))
    with in_file(files.files.get(files.steps[-1])):
        last = files.state(files.steps[-1])
        if not is_transposed(last):
            raise GrokinterpError(f"the weights of step {files.steps[-1]} are of another layout; import them apart")
        p, shapes = tensor_of(last, "embed.W_E", 2).shape[1] - 1, transposed_model(last)
        said = _said(settings, given)
        assumed = {
            "task": {"p": p, "layout": "a b =", "frac_train": DEFAULT_FRACTION},
            "model": shapes,
            "train": {"steps": max(files.steps[-1], 1)},
        }
        config, guessed = guessed_config(laid_over(assumed, said), given, source.path, lambda _: _weights(last, p))
    notes = [*files.notes, *guessed, *_contradictions(settings, files.about, config, shapes | {"p": p})]
    notes.append("its output for '=' is left out, and losses are over the answers alone")
    if "train_losses" in files.about:
        said["train"] = {"steps": files.steps[-1]}
    imported = Imported(
        config, None, files.steps, lambda step: _weights(files.state(step), p), files.rows, tuple(notes), said=said
    )
    mask, later, about_split = _split(files, imported, settings)
    if mask is not None:
        config = _with_fraction(config, mask, given)
    steps = tuple(step + later for step in files.steps)
    if later and "steps" not in section_of(given, "train"):
        config = config.model_copy(update={"train": config.train.model_copy(update={"steps": steps[-1]})})
    return replace(
        imported,
        config=config,
        train_mask=mask,
        steps=steps,
        weights=lambda step: _weights(files.state(step - later), p),
        notes=(*notes, *about_split),
        files={step + later: name for step, name in files.files.items()},
    )


def _with_fraction(config: RunConfig, mask: Bool[np.ndarray, "n n"], given: Mapping[str, Any]) -> RunConfig:
    """The config with the split's own fraction, where that is another one."""
    if "frac_train" in section_of(given, "task") or config.task.n_train == mask.sum():
        return config
    return config.model_copy(update={"task": config.task.model_copy(update={"frac_train": float(mask.mean())})})


def _weights(state: Mapping[str, Tensor], p: int) -> dict[str, Tensor]:
    """Under TransformerLens's names, without the output for '='."""
    weights = transposed_weights(state)
    for name in ("unembed.W_U", "unembed.b_U"):
        weights[name] = weights[name][..., :p].contiguous()
    return weights


def _first_state(content: Any) -> dict[str, Tensor] | None:
    if isinstance(content, Mapping) and isinstance(content.get("state_dicts"), list) and content["state_dicts"]:
        return state_dict_of(content["state_dicts"][0])
    return state_dict_of(content)


def _files(source: Source) -> Files:
    content = source.first
    if source.path.is_file() and isinstance(content, Mapping) and "state_dicts" in content:
        return _whole_run(content)
    series = series_of(source, later=1)
    found: dict[int, int] = {}
    about: dict[str, Any] = {}
    rows: dict[int, dict[str, Any]] = {}
    for named in series.steps:
        inside = series.content(named)
        inside = inside if isinstance(inside, Mapping) else {}
        found[_step(named, inside)] = named
        for row in _curves(inside):
            rows.setdefault(row["step"], {}).update(row)
        about |= {name: value for name, value in inside.items() if name not in ("model", "state_dict")}
    known = "train_losses" in about or "epoch" in about or len(found) > 1
    notes = series.notes if len(found) == 1 and not known else ()
    ordered = [rows[step] for step in sorted(rows)]
    names = {step: series.files[named] for step, named in found.items() if named in series.files}
    return Files(tuple(sorted(found)), lambda step: series.state_dict(found[step]), about, ordered, notes, files=names)


def _step(named: int, inside: Mapping[str, Any]) -> int:
    """The updates behind a file's weights: all of its losses', none where the split is, else as it is called."""
    losses = inside.get("train_losses")
    if isinstance(losses, list) and losses:
        return len(losses)
    return 0 if "train_data" in inside else named


def _whole_run(content: Mapping[str, Any]) -> Files:
    states, epochs = content["state_dicts"], content.get("epochs")
    if not isinstance(epochs, list) or not all(isinstance(epoch, int) and 0 <= epoch < 10**9 for epoch in epochs):
        raise GrokinterpError("epochs is no list of whole numbers; save the file again")
    if len(epochs) != len(states) or epochs != sorted(set(epochs)):
        raise GrokinterpError("epochs and state_dicts are not lists of one length in order; save the file again")
    by_epoch = dict(zip(epochs, states, strict=True))
    return Files(tuple(epochs), lambda step: _state(by_epoch[step]), content, _curves(content), shiftable=True)


def _state(value: Any) -> Mapping[str, Tensor]:
    found = state_dict_of(value)
    if found is None:
        raise GrokinterpError("one of state_dicts is no state_dict; save the file again")
    return found


def _curves(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The losses of each epoch, or the one loss beside its number."""
    series = {name: content.get(f"{name[:-5]}_losses") for name in LOSSES}
    if all(values is None for values in series.values()):
        found = {name: float(content[name]) for name in LOSSES if isinstance(content.get(name), int | float)}
        epoch = content.get("epoch")
        return [{"step": epoch, **found}] if found and isinstance(epoch, int) else []
    longest = max(len(values) for values in series.values() if isinstance(values, list)) if series else 0
    rows: dict[int, dict[str, Any]] = {}
    for name, values in series.items():
        if values is None:
            continue
        if not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
            raise GrokinterpError(f"{name[:-5]}_losses is no list of numbers; save it as one")
        stride = max(round(longest / len(values)), 1) if values else 1
        for index, value in enumerate(values):
            rows.setdefault(index * stride, {"step": index * stride})[name] = float(value)
    return [rows[step] for step in sorted(rows)]


def _said(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The sections that the file's config says.

    Raises:
        GrokinterpError: an operation of another name, where the user does not say which one it is.
    """
    task: dict[str, Any] = {name: settings[name] for name in ("frac_train",) if name in settings}
    operation = OPERATIONS.get(str(settings.get("fn_name")))
    if operation is not None:
        task["operation"] = operation
    elif "fn_name" in settings and not names_the_operation(given):
        raise GrokinterpError(
            f"its config has fn_name {str(settings['fn_name'])[:60]!r}, which is none of {', '.join(OPERATIONS)}; "
            "say what was trained with --task.operation"
        )
    activation = ACTIVATIONS.get(str(settings.get("act_type")))
    numbers = {name: settings[name] for name in ("lr", "weight_decay") if isinstance(settings.get(name), int | float)}
    return {"task": task, "model": {} if activation is None else {"activation": activation}, "optimizer": numbers}


def _contradictions(
    settings: Mapping[str, Any], about: Mapping[str, Any], config: RunConfig, shapes: Mapping[str, Any]
) -> list[str]:
    """Where the config, the optimizer's state and the shapes disagree."""
    ours = {"p": "p", "d_model": "d_model", "num_heads": "n_heads", "num_layers": "n_layers"}
    notes = against_shapes(settings, {name: shapes[own] for name, own in ours.items()})
    decay, mine = decay_in(about), config.optimizer.weight_decay
    if decay is not None and decay != mine:
        notes.append(f"weight decay is {decay:g} in the optimizer's state and {mine:g} in the config")
    return notes


def _split(files: Files, imported: Imported, settings: Mapping[str, Any]) -> tuple[Any, int, list[str]]:
    """The training mask or None, how much later than the file's epochs its weights are, and notes."""
    if "train_data" in files.about:
        mask = split_of_pairs(files.about["train_data"], files.about.get("test_data"), imported.config.task.n_elements)
        return mask, 0, ["the split is the one in the file"]
    return find_split(imported, settings, shiftable=files.shiftable)
