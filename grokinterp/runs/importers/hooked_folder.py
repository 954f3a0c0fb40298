"""A HookedTransformer's state_dict (TransformerLens 1 to 3), or a folder of them, one a checkpoint.

    step_100.pt  epoch=100.ckpt  model_100.safetensors   {name: tensor}, or that under "model", "state_dict" or
                                                         "model_state_dict", under any prefix such as Lightning's
    config.json, cfg.json or cfg inside                  a HookedTransformerConfig as a dict, where there is one

Widths, depth and LayerNorm follow from the tensors, the layout from the length of a sequence. The operation and the
activation do not: they are tried. A folded LayerNorm, attention that is not causal, and the split are not to be seen.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.runs.importers.content import scalars, state_dict_of
from grokinterp.runs.importers.fields import against_shapes
from grokinterp.runs.importers.guess import guessed_config
from grokinterp.runs.importers.hooked import (
    architecture,
    architecture_of_cfg,
    completed,
    is_hooked,
    shapes_of,
    tensors_of,
    token_layout,
)
from grokinterp.runs.importers.imported import Imported, in_file
from grokinterp.runs.importers.sections import section_of
from grokinterp.runs.importers.series import Series, curve_rows, decay_in, series_of
from grokinterp.runs.importers.source import Source

NAME = "hooked_folder"
SUMMARY = "a HookedTransformer's state_dict, or a folder of them"


def recognise(source: Source) -> bool:
    """A state_dict under TransformerLens's names and in its orientation."""
    return is_hooked(state_dict_of(source.first))


def read(source: Source, given: Mapping[str, Any]) -> Imported:
    """The checkpoints under their steps; the config from the last one's shapes, from a config beside them, and `given`.

    Raises:
        GrokinterpError: no network that can be run here, or `given` does not fit the shapes.
    """
    series = series_of(source)
    return imported_series(source, given, series, lambda step: series.state_dict(step))


def imported_series(
    source: Source, given: Mapping[str, Any], series: Series, state_dict: Callable[[int], Mapping[str, Tensor]]
) -> Imported:
    """A series of HookedTransformer state_dicts as one run.

    Args:
        state_dict: The tensors at a step, in TransformerLens's names and orientation, buffers among them.
    """
    last = series.steps[-1]
    cfg = cfg_beside(source, series)
    said = architecture_of_cfg(cfg)
    with in_file(series.files.get(last)):
        tensors, notes = tensors_of(state_dict(last))
        shapes = architecture(tensors)
        inferred = {
            "task": token_layout(tensors, given),
            "model": {**shapes, **said},
            "train": {"steps": max(last, 1)},
        }

    def weights(config: RunConfig, found: Mapping[str, Tensor] = tensors) -> dict[str, Tensor]:
        return completed(found, config.model)

    with in_file(series.files.get(last)):
        config, guessed = guessed_config(inferred, given, source.path, weights)
    notes += [*series.notes, *guessed, *against_shapes(cfg, shapes_of(shapes)), *_decay_notes(series, config)]
    if config.model.kind == "transformer" and config.model.normalization == "LN" and "ln_final.w" not in tensors:
        notes.append("the file has no LayerNorm scales: they are taken to be folded into the weights")
    if shapes["n_layers"] > 1 and "causal" not in {**said, **section_of(given, "model")}:
        notes.append("attention is taken to be causal, which the tensors do not say; if not, give --model.no-causal")
    return Imported(
        config=config,
        train_mask=None,
        steps=series.steps,
        weights=lambda step: weights(config, tensors_of(state_dict(step))[0]),
        metrics=curve_rows(series),
        notes=tuple(notes),
        said={"model": said},
        files=series.files,
    )


def cfg_beside(source: Source, series: Series) -> dict[str, Any]:
    """The HookedTransformerConfig as a dict: in the last file under cfg or config, else in a JSON file beside it."""
    content = series.content(series.steps[-1])
    for name in ("cfg", "config"):
        inside = scalars(content.get(name)) if isinstance(content, Mapping) else {}
        found = inside or scalars(source.json_beside(f"{name}.json"))
        if "d_model" in found:
            return found
    return {}


def _decay_notes(series: Series, config: RunConfig) -> list[str]:
    """What an optimizer's state beside the weights says against the config."""
    decay = decay_in(series.content(series.steps[-1]))
    if decay is None or decay == config.optimizer.weight_decay:
        return []
    return [f"weight decay is {decay:g} in the optimizer's state and {config.optimizer.weight_decay:g} in the config"]
