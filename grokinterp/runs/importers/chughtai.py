"""Chughtai et al. 2023 (2302.03025): networks that learned a group's product, from rep-theory-mech-interp.

A run is a folder with the final `model.pt` and `cfg.json`, and perhaps `summary_metrics.json`, `metrics.csv` and
checkpoints/epoch_N.pt; or one file `NAME.pt` with `NAME.cfg.json` beside it (`NAME.summary_metrics.json`, ...).

- Transformer: a state_dict of HookedTransformer, tokens "a b =". x_embed and y_embed, which are embed.W_E again,
  and the buffers mask and IGNORE are dropped. Its biases are frozen at zero.
- OneLayerMLP: W_x, W_y (n, embed_dim), W (2 embed_dim, hidden_dim), W_U (hidden_dim, n), without biases:
  logits = relu([W_x[x] W_y[y]] W) W_U. W_x and W_y become the two halves of embed.W_E.
- BilinearNet (W_x, W_y, W_U) is refused: no architecture here multiplies embeddings.

Split: the pairs a-major in the order of torch.randperm under their seed, of which the first int(frac n^2) are
trained on; seed 0 leaves the pairs unshuffled. Elements are numbered as sympy lists them (see numbering.py).
Checkpoint and row `epoch` e are of the weights after update e + 1; the final ones after num_epochs.

**Differs:** losses over more than 15,000 pairs at once are sums of 8 means in their tables (those of S6), and are
not taken over.

**Known values:** C113_T_seed1, its published loss and split (tests/runs/importers/test_chughtai.py). The names of
the MLP's tensors are read in their code; no published MLP was at hand.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import Weights
from grokinterp.runs.importers.answers import answered_table
from grokinterp.runs.importers.archive import unchecked
from grokinterp.runs.importers.content import state_dict_of
from grokinterp.runs.importers.csv_rows import rows_of_csv
from grokinterp.runs.importers.fields import against_shapes, number_in, tensor_of, text_in, whole_in
from grokinterp.runs.importers.imported import Imported
from grokinterp.runs.importers.numbering import Numbering, as_it_is, settle
from grokinterp.runs.importers.sections import config_of, names_the_operation, said_of
from grokinterp.runs.importers.series import series_of
from grokinterp.runs.importers.source import Source, load_tensors

NAME = "chughtai"
SUMMARY = "Chughtai et al. 2023, rep-theory-mech-interp: model.pt with cfg.json, groups"

GROUPS = {"CyclicGroup": "C", "DihedralGroup": "D", "SymmetricGroup": "S", "AlternatingGroup": "A"}
LAYERS = {"W_x", "W_y", "W", "W_U"}
ALIASES = ("x_embed", "y_embed")
CURVES = {"train_loss": "train_loss", "test_loss": "test_loss", "train_acc": "train_accuracy"}
CURVES |= {"test_acc": "test_accuracy", "all_loss": "loss"}
SAID = {
    "task": {"operation": "group", "p": "group", "group": "group", "split_seed": "seed"},
    "optimizer": {"lr": "lr", "weight_decay": "weight_decay", "betas": "betas"},
    "train": {"steps": "num_epochs"},
}
"""Our fields, and theirs that say them."""

WHOLE_LOSS = 15_000
"""Pairs up to which a loss in their tables is one mean."""


def recognise(source: Source) -> bool:
    """By the tensors' names, or by the neighbour cfg.json that names a group."""
    state = _final_state(source)
    if state is None:
        return False
    if set(state) in (LAYERS, LAYERS - {"W"}) or any(name in state for name in ALIASES):
        return True
    found = _beside(source, "cfg.json")
    return "embed.W_E" in state and found is not None and {"group", "group_parameter"} <= set(found[1])


def read(source: Source, given: Mapping[str, Any]) -> Imported:
    """The final weights, the checkpoints where there are any, the split, and what was published of the last.

    Raises:
        GrokinterpError: no cfg.json and no task given, a network that cannot be mapped, or a damaged file.
    """
    state = _final_state(source)
    assert state is not None  # recognised
    if set(state) == LAYERS - {"W"}:
        raise GrokinterpError(
            f"{source.path} is a BilinearNet, which multiplies its embeddings; no architecture here does, so it "
            "can't be imported (their transformers and OneLayerMLPs can)"
        )
    name, cfg = _cfg(source, given)
    sections = _sections(state, cfg, name)
    config = config_of(sections, given, source.path)
    numbering, notes = as_it_is(config.task.n_elements), []
    if not names_the_operation(given):
        config, numbering, notes = _settled(config, state, sections, given, source.path)
    n_epochs = whole_in(cfg, "num_epochs", name, config.train.steps)
    states, files, left_out = _checkpoints(source, state, n_epochs)
    mask = _split(cfg, config.task.n_elements, name)
    rows, claims, about = _published(source, cfg, config, n_epochs)
    return Imported(
        config=config,
        train_mask=None if mask is None else numbering.pairs(mask),
        steps=tuple(sorted(states)),
        weights=lambda step: _weights(states[step], numbering),
        metrics=rows,
        notes=(*notes, *_shapes(state, cfg), *about, *left_out),
        claims=claims,
        said=said_of(sections, SAID, cfg),
        files=files,
    )


def _final_state(source: Source) -> dict[str, Tensor] | None:
    path = _final_file(source)
    if path is None:
        return None
    return state_dict_of(source.content if path == source.path else load_tensors(path))


def _final_file(source: Source) -> Path | None:
    if source.path.is_file():
        return source.path
    named = [path for path in source.files if path.name == "model.pt"]
    if not named and len(source.files) == 1:
        named = list(source.files)
    return named[0] if named else None


def _beside(source: Source, name: str) -> tuple[str, dict[str, Any]] | None:
    """A JSON file of the run with its name: NAME.cfg.json, else cfg.json."""
    path = _final_file(source)
    for candidate in (f"{path.stem}.{name}", name) if path is not None else ():
        found = source.json_beside(candidate)
        if found is not None:
            return candidate, found
    return None


def _cfg(source: Source, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    found = _beside(source, "cfg.json")
    if found is not None:
        return found
    if not names_the_operation(given):
        raise GrokinterpError(
            f"there is no cfg.json beside {source.path.name} to say which group it learned; put it there, or say "
            "--task.operation x.y --task.group S5"
        )
    return "cfg.json", {}


def _sections(state: Mapping[str, Tensor], cfg: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The config that the file and the shapes say; cfg is empty where there is none."""
    task: dict[str, Any] = {"layout": "a b" if set(state) == LAYERS else "a b ="}
    if cfg:
        task |= _task(cfg, name) | {"frac_train": float(number_in(cfg, "frac_train", name))}
        task["split_seed"] = whole_in(cfg, "seed", name, 0)
    betas = cfg.get("betas", [0.9, 0.98])
    decay = float(number_in(cfg, "weight_decay", name, 1.0))
    return {
        "name": str(cfg.get("model", "chughtai"))[:200],
        "task": task,
        "model": _model(state),
        "optimizer": {
            "lr": float(number_in(cfg, "lr", name, 1e-3)),
            "weight_decay": decay,
            "betas": betas,
            "warmup_steps": 0,
        },
        "train": {"steps": max(1, whole_in(cfg, "num_epochs", name, 1))},
    }


def _task(cfg: Mapping[str, Any], name: str) -> dict[str, Any]:
    kind, n = text_in(cfg, "group", name), whole_in(cfg, "group_parameter", name)
    if kind not in GROUPS:
        raise GrokinterpError(f"{name} names the group {kind!r}; {', '.join(GROUPS)} can be imported")
    if kind == "CyclicGroup":
        return {"operation": "x+y", "p": n}
    return {"operation": "x.y", "group": f"{GROUPS[kind]}{n}"}


def _model(state: Mapping[str, Tensor]) -> dict[str, Any]:
    if set(state) == LAYERS:
        width, hidden = tensor_of(state, "W_x", 2).shape[1], tensor_of(state, "W", 2).shape[1]
        shape = {"kind": "mlp", "n_layers": 1, "input": "separate", "d_model": width, "d_hidden": hidden}
        return {**shape, "biases": "none"}
    heads, d_model, d_head = tensor_of(state, "blocks.0.attn.W_Q", 3).shape
    n_layers = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
    shape = {"n_layers": n_layers, "d_model": d_model, "n_heads": heads, "d_head": d_head}
    return {**shape, "kind": "transformer", "d_mlp": tensor_of(state, "blocks.0.mlp.W_in", 2).shape[1]}


def _settled(
    config: RunConfig, state: Mapping[str, Tensor], sections: Mapping[str, Any], given: Mapping[str, Any], path: Path
) -> tuple[RunConfig, Numbering, list[str]]:
    """The config with the operation that the network computes; nothing to settle for a cyclic group."""
    unchanged = as_it_is(config.task.n_elements)
    if config.task.group is None:
        return config, unchanged, []
    found = settle(answered_table(config, _weights(state, unchanged)), [config.task.group], "the network")
    kept = {key: value for key, value in sections["task"].items() if key not in ("operation", "group")}
    settled = {**sections, "task": {**kept, **found.task}}
    return config_of(settled, given, path), found.numbering, [found.note]


def _shapes(state: Mapping[str, Tensor], cfg: Mapping[str, Any]) -> list[str]:
    """Where cfg.json says other widths of a OneLayerMLP than its tensors have."""
    layers = cfg.get("layers")
    if set(state) != LAYERS or not isinstance(layers, Mapping):
        return []
    model = _model(state)
    return against_shapes(layers, {"embed_dim": model["d_model"], "hidden_dim": model["d_hidden"]})


def _weights(state: Mapping[str, Tensor], numbering: Numbering) -> Weights:
    """Under TransformerLens's names, in our numbering of the elements."""
    if set(state) == LAYERS:
        return _mlp_weights(state, numbering)
    buffers = (".mask", ".IGNORE")
    weights = {name: w for name, w in state.items() if name not in ALIASES and not name.endswith(buffers)}
    n = len(numbering.ours)
    if tensor_of(weights, "embed.W_E", 2).shape[0] < n or tensor_of(weights, "unembed.W_U", 2).shape[1] < n:
        raise GrokinterpError(f"the file has fewer tokens than the {n} elements of its group; correct cfg.json")
    weights["embed.W_E"] = numbering.rows(weights["embed.W_E"])
    weights["unembed.W_U"] = numbering.rows(weights["unembed.W_U"], dim=1)
    weights["unembed.b_U"] = numbering.rows(tensor_of(weights, "unembed.b_U", 1))
    return weights


def _mlp_weights(state: Mapping[str, Tensor], numbering: Numbering) -> Weights:
    n, w_u, w = len(numbering.ours), tensor_of(state, "W_U", 2), tensor_of(state, "W", 2)
    tables = [tensor_of(state, name, 2) for name in ("W_x", "W_y")]
    if {len(table) for table in tables} != {n} or w_u.shape[1] != n:
        raise GrokinterpError(f"W_x, W_y and W_U are not those of {n} elements; correct cfg.json")
    return {
        "embed.W_E": torch.cat([numbering.rows(table) for table in tables]),
        "blocks.0.mlp.W_in": w,
        "blocks.0.mlp.b_in": w.new_zeros(w.shape[1]),
        "unembed.W_U": numbering.rows(w_u, dim=1),
        "unembed.b_U": w_u.new_zeros(n),
    }


def _checkpoints(
    source: Source, final: dict[str, Tensor], n_epochs: int
) -> tuple[dict[int, dict[str, Tensor]], dict[int, str], tuple[str, ...]]:
    """State_dicts by step, the final one and those in checkpoints/ where they can be read, their files, and notes."""
    folder = (source.path if source.path.is_dir() else source.path.parent) / "checkpoints"
    if not folder.is_dir() or (source.path.is_file() and source.path.name != "model.pt"):
        return {n_epochs: final}, {}, ()
    inside = Source(folder)
    series = series_of(inside, later=1)
    try:
        found = {step: series.state_dict(step) for step in series.steps if step != n_epochs}
    except GrokinterpError as error:
        return {n_epochs: final}, {}, (f"the files in checkpoints/ are left out: {error}",)
    files = {step: f"checkpoints/{name}" for step, name in series.files.items() if step != n_epochs}
    return {**found, n_epochs: final}, files, (*series.notes, *unchecked(inside.files))


def _split(cfg: Mapping[str, Any], n: int, name: str) -> Bool[np.ndarray, "n n"] | None:
    """Their training pairs in their numbering; None where no cfg.json says how they were drawn."""
    if not cfg:
        return None
    seed, frac = whole_in(cfg, "seed", name, 0), float(number_in(cfg, "frac_train", name))
    if not 0 < frac < 1:
        raise GrokinterpError(
            f"{name} has frac_train {frac:g}, which is no share above 0 and below 1; correct the file"
        )
    drawn = torch.randperm(n * n, generator=torch.Generator().manual_seed(seed)) if seed else torch.arange(n * n)
    mask = np.zeros(n * n, dtype=bool)
    mask[drawn[: int(frac * n * n)].numpy()] = True
    return mask.reshape(n, n)


def _published(
    source: Source, cfg: Mapping[str, Any], config: RunConfig, n_epochs: int
) -> tuple[list[dict[str, Any]], dict[str, float], tuple[str, ...]]:
    """Rows of metrics.csv, what summary_metrics.json says of the final weights, and notes about both."""
    path = _final_file(source)
    assert path is not None
    summary = _beside(source, "summary_metrics.json")
    claims = (
        {CURVES[k]: v for k, v in summary[1].items() if k in CURVES and isinstance(v, float | int)} if summary else {}
    )
    rows, notes = [], []
    for name in (f"{path.stem}.metrics.csv", "metrics.csv"):
        if (path.parent / name).is_file():
            rows = rows_of_csv(path.parent / name, {"epoch": "epoch", **CURVES})
            break
    for row in rows:
        epoch = int(row.pop("epoch"))
        row["step"] = epoch if epoch == n_epochs else epoch + 1
        row.pop("loss", None)  # over all pairs; the weights say it
    if config.task.n_elements**2 > WHOLE_LOSS and cfg and (rows or claims):
        claims = {name: value for name, value in claims.items() if not name.endswith("loss")}
        rows = [{name: value for name, value in row.items() if not name.endswith("loss")} for row in rows]
        notes.append("their losses over so many pairs are sums of 8 means and are left out; the weights say them")
    if cfg and not whole_in(cfg, "seed", "cfg.json", 0):
        notes.append("their seed 0 shuffles nothing: the training pairs are those of the first left operands")
    return rows, claims, tuple(notes)
