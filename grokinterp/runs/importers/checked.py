"""Whether what an importer read is one run that can be run: config, names, shapes, numbers."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import is_trained, n_outputs, weight_specs
from grokinterp.runs.importers.imported import Imported, in_file
from grokinterp.tasks import Task


def check_weights(weights: Mapping[str, Tensor], config: RunConfig, task: Task) -> None:
    """Each tensor that the config's network has is there in its shape, and no other; W_U may have more columns.

    Raises:
        GrokinterpError: the first that is not.
    """
    specs = weight_specs(config.model, task.layout, n_outputs(config, task))
    what = f"a {config.model.kind} for {task.name} with the layout {task.layout.name!r}"
    fix = "say what was trained with --task.* and --model.* flags"
    for name in weights:
        if name not in specs:
            raise GrokinterpError(f"the file has {name}, which {what} does not have; {fix}")
    for name, spec in specs.items():
        if name not in weights:
            raise GrokinterpError(f"the file has no {name}, which {what} needs; {fix}")
        found, wanted = tuple(weights[name].shape), spec.shape
        more = name.startswith("unembed.") and found[:-1] == wanted[:-1] and found[-1:] > wanted[-1:]
        if found != wanted and not more:
            raise GrokinterpError(f"{name} has shape {found} in the file, and {wanted} in {what}; {fix}")
    columns = {weights[name].shape[-1] for name in specs if name.startswith("unembed.")}
    if len(columns) > 1:
        raise GrokinterpError(
            f"unembed.W_U and its bias have {columns} outputs in the file; it is damaged, get it again"
        )


def plain(weights: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
    """The weights as contiguous tensors of floats; what has fewer bits than float32 becomes float32, exactly.

    Raises:
        GrokinterpError: a tensor of something else.
    """
    found = {}
    for name, value in weights.items():
        if value.layout != torch.strided or not value.is_floating_point() or value.device.type != "cpu":
            raise GrokinterpError(f"{name} of step {step} is no tensor of floats; save it as one and import again")
        wide = value.detach() if value.dtype == torch.float64 else value.detach().to(torch.float32)
        found[name] = wide.contiguous()
    return found


def usable(imported: Imported, task: Task, left_out: list[str]) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Each step with its weights, read one at a time; a step with weights that are no numbers is left out and named.

    Raises:
        GrokinterpError: weights that are not those of the config's network, or no step that is left.
    """
    kept = 0
    for step in imported.steps:
        name = imported.files.get(step)
        with in_file(name):
            weights = plain(imported.weights(step), step)
            check_weights(weights, imported.config, task)
        if not all(bool(value.isfinite().all()) for value in weights.values()):
            where = f"{step}" if name is None else f"{step} ({name})"
            left_out.append(f"the checkpoint of step {where} holds weights that are not numbers and is left out")
            continue
        kept += 1
        yield step, weights
    if not kept:
        raise GrokinterpError("no checkpoint holds weights that are numbers; there is nothing to import")


def frozen_but_set(weights: Mapping[str, Tensor], config: RunConfig, task: Task) -> list[str]:
    """A note where biases are set that the config does not train."""
    specs = weight_specs(config.model, task.layout, n_outputs(config, task))
    odd = [name for name, spec in specs.items() if not is_trained(spec, config.model) and weights[name].any()]
    if not odd:
        return []
    return [f"biases ({', '.join(odd[:3])}) are not zero, though model.biases is {config.model.biases!r}"]
