"""Power et al. 2022 (2201.02177): Lightning checkpoints of openai/grok, `epoch_N.ckpt` (powers of 2) in a folder.

A checkpoint has state_dict, hyper_parameters, epoch, global_step. The network is a decoder that normalizes each
residual sum (model.normalization post-LN here), without biases, with fixed sinusoidal positions, over

    EOS a op b = c EOS        (layout "EOS a op b =", read at '=')

Its vocabulary of 239 is EOS, '=', 20 operators in the order of their characters, the numbers 0 to 96, and the 120
permutations of five in lexicographic order. Kept are the rows of the elements (numbers or permutations), and of op,
'=' and EOS; and the outputs for the elements.

| theirs, under transformer. | ours |
|---|---|
| embedding.weight (239, d) | embed.W_E, the rows kept |
| position_encoding (ctx, d), a buffer | pos_embed.W_pos, the first five rows |
| decoder.blocks.i.self_attn.attn_heads.h.Wq, Wk, Wv (d_head, d) | blocks.i.attn.W_Q, W_K, W_V, transposed |
| decoder.blocks.i.self_attn.Wo (d, d) | blocks.i.attn.W_O, by heads |
| decoder.blocks.i.self_attn_norm, ffn_norm | blocks.i.ln1, ln2 |
| decoder.blocks.i.ffn.ffn.0, ffn.2 | blocks.i.mlp.W_in, W_out, transposed |
| linear.weight (239, d) | unembed.W_U, the outputs kept |

Operations: those of their VALID_OPERATORS on pairs; with _noisy_N the N wrong labels are not known here, and said to
be so. sort, reverse and copy act on lists and are refused. Split: the equations in the order of their loops,
shuffled by numpy's RandomState(0), of which the first round(n train_data_pct / 100) are trained on.

What can't be mapped: the outputs that are no elements (their loss is over all 239, and over c and EOS together,
so it is not ours; accuracies can only be higher here), dropout of the MLPs alone, noise, and weight decay kinds
jiggle and honest. Their curves in metrics.csv are not taken over for the same reason.

Lightning before 1.5 wrote a class of its own into each checkpoint; lightning.py has it read by name alone.

**Known values:** a forward written out from their code, on synthetic checkpoints
(tests/runs/importers/test_openai_grok.py); no published checkpoint was at hand.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import Weights
from grokinterp.runs.importers.fields import against_shapes, number_in, tensor_of, text_in, whole_in
from grokinterp.runs.importers.imported import Imported
from grokinterp.runs.importers.openai_grok_task import VOCABULARY, operator_of, task_section, tokens_of, train_pairs
from grokinterp.runs.importers.sections import config_of, names_the_operation, said_of
from grokinterp.runs.importers.source import Source, load_tensors

NAME = "openai_grok"
SUMMARY = "Power et al. 2022, openai/grok: Lightning checkpoints epoch_N.ckpt"

BLOCKS = "decoder.blocks."
SAID = {
    "task": {"operation": "math_operator", "p": "math_operator", "group": "math_operator"},
    "model": {"activation": "non_linearity"},
    "optimizer": {"lr": "max_lr", "weight_decay": "weight_decay", "warmup_steps": "warmup_steps"},
}
"""Our fields, and theirs that say them."""

LANDMARKS = ("embedding.weight", "linear.weight", BLOCKS + "0.self_attn.Wo.weight", BLOCKS + "0.ffn_norm.weight")


def recognise(source: Source) -> bool:
    """By the names of the tensors, which stand under transformer."""
    state = _state(source.first)
    return state is not None and all(name in state for name in LANDMARKS)


def read(source: Source, given: Mapping[str, Any]) -> Imported:
    """The network in post-LN with the rows of its operation, the split, and what was left out.

    Raises:
        GrokinterpError: an operation on lists, another vocabulary, no hyper_parameters, or a damaged file.
    """
    files = _files(source)
    content = load_tensors(files[max(files)])
    state, hparams = _state(content), _hyper_parameters(content, source.path)
    if state is None:
        raise GrokinterpError(f"{files[max(files)]} holds no network of openai/grok; take it out of the folder")
    operator, n_noisy = operator_of(hparams, source.path)
    _check_vocabulary(state, source.path)
    sections = _sections(state, hparams, operator, source.path, max(files))
    config = config_of(sections, given, source.path)
    tokens = tokens_of(operator)
    shapes = {name: sections["model"][name] for name in ("n_layers", "n_heads", "d_model")}
    return Imported(
        config=config,
        train_mask=None if names_the_operation(given) else _split(config, train_pairs(operator, hparams, source.path)),
        steps=tuple(sorted(files)),
        weights=partial(_weights_of, files, tokens, config.model.n_layers),
        notes=(*against_shapes(hparams, shapes), *_notes(content, hparams, n_noisy)),
        said=said_of(sections, SAID, hparams),
        files={step: path.name for step, path in files.items()} if len(files) > 1 else {},
    )


def _state(content: Any) -> dict[str, Tensor] | None:
    """The tensors without the prefix transformer."""
    inner = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(inner, Mapping):
        return None
    return {str(name).removeprefix("transformer."): value for name, value in inner.items()}


def _files(source: Source) -> dict[int, Path]:
    """The checkpoints by optimizer step, which each says itself; of a file that does not, its epoch in the name."""
    found: dict[int, Path] = {}
    for path in source.files:
        content = source.content if path == source.path else load_tensors(path)
        said = content.get("global_step") if isinstance(content, Mapping) else None
        named = re.search(r"\d+", path.stem)
        step = said if isinstance(said, int) else int(named[0][:12]) if named else 0
        if step < 0 or step in found:
            raise GrokinterpError(
                f"{path} is of step {step}, as another file is, or of none; take it out of the folder"
            )
        found[step] = path
    return found


def _hyper_parameters(content: Any, path: Path) -> Mapping[str, Any]:
    found = content.get("hyper_parameters") if isinstance(content, Mapping) else None
    if not isinstance(found, Mapping) or "math_operator" not in found:
        raise GrokinterpError(
            f"{path} has no hyper_parameters with math_operator, which says what it learned; save them with it: "
            "torch.save({'state_dict': ..., 'hyper_parameters': {...}, 'global_step': ...}, path)"
        )
    return found


def _check_vocabulary(state: Mapping[str, Tensor], path: Path) -> None:
    sizes = {tensor_of(state, name, 2).shape[0] for name in ("embedding.weight", "linear.weight")}
    if sizes != {VOCABULARY}:
        raise GrokinterpError(
            f"{path} has a vocabulary of {sorted(sizes)} tokens, where openai/grok has {VOCABULARY}; which token is "
            "which is not known, so it can't be imported"
        )


def _sections(
    state: Mapping[str, Tensor], hparams: Mapping[str, Any], operator: str, path: Path, steps: int
) -> dict[str, Any]:
    number = partial(number_in, hparams, source=path)
    heads = {name.split(".")[5] for name in state if name.startswith(BLOCKS + "0.self_attn.attn_heads.")}
    d_mlp, d_model = tensor_of(state, BLOCKS + "0.ffn.ffn.0.weight", 2).shape
    d_head = tensor_of(state, BLOCKS + "0.self_attn.attn_heads.0.Wq.weight", 2).shape[0]
    shape = {"n_layers": _count_blocks(state), "d_model": d_model, "n_heads": len(heads), "d_head": d_head}
    decays_to = text_in(hparams, "weight_decay_kind", path, "to_zero")
    decay = float(number("weight_decay", default=0.0))
    optimizer: dict[str, Any] = {
        "lr": float(number("max_lr", default=1e-3)),
        "weight_decay": decay,
        "decay_to": "init" if decays_to == "to_init" and decay else "zero",
        "warmup_steps": whole_in(hparams, "warmup_steps", path, 10),
        "schedule": "cosine" if hparams.get("anneal_lr") is True else "constant",
    }
    kind = {"kind": "transformer", "normalization": "post-LN", "biases": "none", "d_mlp": d_mlp}
    return {
        "name": f"openai/grok {operator}"[:200],
        "task": task_section(operator, hparams, path),
        "model": {**shape, **kind, "activation": text_in(hparams, "non_linearity", path, "relu")},
        "optimizer": optimizer,
        "train": {"steps": max(steps, 1), "batch_size": "auto"},
    }


def _count_blocks(state: Mapping[str, Tensor]) -> int:
    return len({name.split(".")[2] for name in state if name.startswith(BLOCKS)})


def _split(config: RunConfig, pairs: list[tuple[int, int]]) -> Bool[np.ndarray, "n n"]:
    mask = np.zeros((config.task.n_elements, config.task.n_elements), dtype=bool)
    for pair in pairs:
        mask[pair] = True
    return mask


def _weights_of(files: Mapping[int, Path], tokens: list[int], n_layers: int, step: int) -> Weights:
    state = _state(load_tensors(files[step]))
    if state is None:
        raise GrokinterpError(f"{files[step]} holds no network of openai/grok; take it out of the folder")
    _check_vocabulary(state, files[step])
    kept, n = torch.tensor(tokens), len(tokens) - 3
    w_u = tensor_of(state, "linear.weight", 2)[kept[:n]].T.contiguous()
    weights = {
        "embed.W_E": tensor_of(state, "embedding.weight", 2)[kept],
        "pos_embed.W_pos": _positions(state, w_u.shape[0]),
        "unembed.W_U": w_u,
        "unembed.b_U": w_u.new_zeros(n),
    }
    for block in range(n_layers):
        weights |= _block(state, f"{BLOCKS}{block}.", f"blocks.{block}.")
    return weights


def _positions(state: Mapping[str, Tensor], d_model: int) -> Tensor:
    """The file's buffer; where it has none sin(t / 10000^(i/d)) for even i, cos(t / 10000^((i-1)/d)) for odd."""
    if "position_encoding" in state:
        return tensor_of(state, "position_encoding", 2)[:5].contiguous()
    i, t = torch.arange(d_model), torch.arange(5, dtype=torch.float64)[:, None]
    angle = t / 10000 ** ((i - i % 2) / d_model)
    return torch.where(i % 2 == 0, angle.sin(), angle.cos()).float()


def _block(state: Mapping[str, Tensor], theirs: str, ours: str) -> Weights:
    """One block of a decoder under our names."""
    found: Weights = {}
    heads = sorted({int(name.split(".")[5]) for name in state if name.startswith(f"{theirs}self_attn.attn_heads.")})
    for ours_of_it, name in (("Q", "Wq"), ("K", "Wk"), ("V", "Wv")):
        each = [tensor_of(state, f"{theirs}self_attn.attn_heads.{head}.{name}.weight", 2).T for head in heads]
        if len({matrix.shape for matrix in each}) != 1:
            raise GrokinterpError(f"the heads of {theirs}self_attn are not alike; the file is damaged, get it again")
        found[f"{ours}attn.W_{ours_of_it}"] = torch.stack(each)
    n_heads, d_model, d_head = found[f"{ours}attn.W_Q"].shape
    w_o = tensor_of(state, f"{theirs}self_attn.Wo.weight", 2)
    if tuple(w_o.shape) != (d_model, n_heads * d_head):
        raise GrokinterpError(f"{theirs}self_attn.Wo is {tuple(w_o.shape)}; the file is damaged, get it again")
    found[f"{ours}attn.W_O"] = w_o.T.reshape(n_heads, d_head, d_model).contiguous()
    found |= {f"{ours}attn.b_{name}": w_o.new_zeros(n_heads, d_head) for name in "QKV"}
    found[f"{ours}attn.b_O"] = w_o.new_zeros(d_model)
    for ours_of_it, layer in (("in", 0), ("out", 2)):
        matrix = tensor_of(state, f"{theirs}ffn.ffn.{layer}.weight", 2)
        found[f"{ours}mlp.W_{ours_of_it}"] = matrix.T.contiguous()
        found[f"{ours}mlp.b_{ours_of_it}"] = matrix.new_zeros(len(matrix))
    for norm, name in (("ln1", "self_attn_norm"), ("ln2", "ffn_norm")):
        found[f"{ours}{norm}.w"] = tensor_of(state, f"{theirs}{name}.weight", 1)
        found[f"{ours}{norm}.b"] = tensor_of(state, f"{theirs}{name}.bias", 1)
    return found


def _notes(content: Any, hparams: Mapping[str, Any], n_noisy: int) -> list[str]:
    """What was left out, and what the optimizer's state says against the config."""
    notes = [
        f"of their {VOCABULARY} tokens the elements, op, '=' and EOS are kept, and of their outputs the elements': the "
        "loss here is of the answer among the elements, theirs the mean over the answer and EOS among all tokens",
        "their sinusoidal positions were never trained; here they are pos_embed.W_pos",
    ]
    if n_noisy:
        notes.append(f"{n_noisy} of their training labels are noise, which the task here is without")
    if hparams.get("dropout"):
        notes.append(f"their dropout of {hparams['dropout']} acted on the MLPs alone and is left out of the config")
    if hparams.get("weight_decay_kind", "to_zero") not in ("to_zero", "to_init"):
        notes.append(f"their weight_decay_kind {hparams['weight_decay_kind']!r} is not offered; the config has to zero")
    notes += [
        f"their {k} of {hparams[k]} is left out of the config"
        for k in ("weight_noise", "noise_factor")
        if hparams.get(k)
    ]
    groups = content.get("optimizer_states") if isinstance(content, Mapping) else None
    try:
        decay = groups[0]["param_groups"][0]["weight_decay"] if groups else None
    except (KeyError, IndexError, TypeError):
        decay = None
    said = hparams.get("weight_decay", 0)
    if isinstance(decay, int | float) and decay != said:
        notes.append(f"weight_decay is {said} in hyper_parameters, and {decay} in the optimizer's state, which acted")
    return notes
