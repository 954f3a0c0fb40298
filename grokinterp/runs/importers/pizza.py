"""Zhong et al. 2023 (2306.17844), Clock and Pizza: `model_ID.pt` with `config_ID.json` beside it.

Transformer: the transposed layout (see transposed.py) over the two operands alone, read at the second, without a
causal mask, and with attention

    attn_coeff softmax(q k^T / sqrt(d_head)) + (1 - attn_coeff) 1,

ones and not 1/T, which is model.attention_rate here. Variants: eqn_sign 1 has an '=' (token C) at the end, and an
output for it that W_U keeps and no measure reads; diff_vocab 1 has a token of its own for each number as right
operand, which a transformer with one table can't hold, and is refused; act_fn Tanh is refused.

Linear networks (`model_type` in the config), with embed.weight, l1.weight, l1.bias, ... and ReLU, become an mlp of
embeddings E side by side, W_in in two halves:

| type | theirs | halves of W_in | b_in |
|---|---|---|---|
| A | l1(E_a + E_b) | W_1, W_1 | b_1 |
| B | l2(relu(l1(E_a + E_b))) | W_1, W_1 | b_1 |
| C | l2(relu(l1(E_a) + l1(E_b))) | W_1, W_1 | 2 b_1 |
| D | l1([E_a E_b]) | W_1 as it is | b_1 |
| X | l1(E1_a + E2_b) | W_1, W_1, a table each | b_1 |

The split was not seeded and is unknown. `attention_dir` in the config says "casual", but no mask is applied.

**Known values:** model A (p99zdpze5l), its published loss and norm (tests/runs/importers/test_pizza.py,
tests/test_foreign_pizza.py).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import Weights
from grokinterp.runs.importers.content import state_dict_of
from grokinterp.runs.importers.fields import against_shapes, number_in, tensor_of, text_in, whole_in
from grokinterp.runs.importers.imported import Imported
from grokinterp.runs.importers.sections import config_of, names_the_operation, said_of, section_of
from grokinterp.runs.importers.source import Source
from grokinterp.runs.importers.transposed import is_transposed, transposed_model, transposed_weights

NAME = "pizza"
SUMMARY = "Zhong et al. 2023, Clock and Pizza: model_ID.pt with config_ID.json"

ACTIVATIONS = {"relu": "relu", "gelu": "gelu"}
LINEAR = {
    "A": ("embed", "unembed", "l1"),
    "B": ("embed", "unembed", "l1", "l2"),
    "C": ("embed", "unembed", "l1", "l2"),
    "D": ("embed", "unembed", "l1"),
    "X": ("embed1", "embed2", "unembed", "l1"),
}
"""Modules of each linear network."""

SAID = {
    "task": {"operation": "funcs", "p": "C", "frac_train": "frac"},
    "model": {"attention_rate": "attn_coeff", "activation": "act_fn"},
    "optimizer": {"lr": "lr", "weight_decay": "weight_decay"},
    "train": {"steps": "epoch"},
}
"""Our fields, and theirs that say them."""

NO_MASK = "attention_dir in their config says 'casual', but their code applies no mask: the import has causal False"


def recognise(source: Source) -> bool:
    """A file in the transposed layout with a config of theirs, or with two positions; or a linear network."""
    state = state_dict_of(source.first)
    if state is None:
        return False
    if is_transposed(state):
        return len(state["pos_embed.W_pos"]) == 2 or "attn_coeff" in (_config(source) or {})
    return any(set(state) == _names(kind) for kind in LINEAR)


def read(source: Source, given: Mapping[str, Any]) -> Imported:
    """The final weights; the split is unknown.

    Raises:
        GrokinterpError: no config beside the file, a variant that can't be mapped, or a damaged file.
    """
    if len(source.files) > 1:
        raise GrokinterpError(
            f"{source.path} holds {len(source.files)} networks, each a run of its own; name one, such as "
            f"{source.files[0]}"
        )
    state = state_dict_of(source.first)
    assert state is not None  # recognised
    config, name = _config(source) or {}, f"config_{_id(source)}.json"
    if is_transposed(state):
        sections, notes = _transformer(state, config, name, given)
        weights = transposed_weights(state)
    else:
        sections, weights, notes = _linear(state, config, name, given)
    sections |= _training(config, name)
    settings = config_of(sections, given, source.path)
    # a function that is not the sum is not evaluated, so nothing is said of the operation
    known = set(config) if _is_sum(config, name, sections["task"]["p"]) else set(config) - {"funcs"}
    return Imported(
        config=settings,
        train_mask=None,
        steps=(sections["train"]["steps"] if "epoch" in config else settings.train.steps,),
        weights=lambda _: weights,
        notes=("their split was drawn without a seed", *notes),
        said=said_of(sections, SAID, known),
    )


def _id(source: Source) -> str:
    return source.files[0].stem.removeprefix("model_")


def _config(source: Source) -> dict[str, Any] | None:
    return source.json_beside(f"config_{_id(source)}.json")


def _names(kind: str) -> set[str]:
    """The tensors of a linear network."""
    parts = LINEAR[kind]
    return {f"{part}.weight" for part in parts} | {f"{part}.bias" for part in parts if part.startswith("l")}


def _training(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Sections on how it was trained; their defaults where there is no config."""
    linear = "model_type" in config
    return {
        "name": text_in(config, "runid", name, "pizza")[:200],
        "optimizer": {
            "lr": float(number_in(config, "lr", name, 1e-3)),
            "weight_decay": float(number_in(config, "weight_decay", name, 2.0)),
            "betas": (0.9, 0.999) if linear else (0.9, 0.98),
            "warmup_steps": 0 if linear else 10,
        },
        "train": {"steps": max(1, whole_in(config, "epoch", name, 20_000))},
    }


def _task(config: Mapping[str, Any], name: str, n: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """x + y mod C, unless the user says otherwise; whatever else `funcs` says is not evaluated.

    Raises:
        GrokinterpError: another C than the tensors have, or a function that is not the sum.
    """
    if whole_in(config, "C", name, n) != n:
        raise GrokinterpError(f"{name} has C {config['C']}, but the tensors have {n} numbers; correct the file")
    if not _is_sum(config, name, n) and not names_the_operation(given):
        raise GrokinterpError(
            f"{name} has the function {config['funcs'][:60]!r}, which is not run; say what was learned with "
            "--task.operation or --task.file"
        )
    return {"operation": "x+y", "p": n, "layout": "a b", "frac_train": float(number_in(config, "frac", name, 0.8))}


def _is_sum(config: Mapping[str, Any], name: str, n: int) -> bool:
    """Whether their function is x + y mod n, which it is where the config has none."""
    written = text_in(config, "funcs", name, f"lambda x: (x[0]+x[1])%{n}")
    return "".join(written.split()) == f"lambdax:(x[0]+x[1])%{n}"


def _transformer(
    state: Mapping[str, Tensor], config: Mapping[str, Any], name: str, given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    rate = config.get("attn_coeff")
    rate = section_of(given, "model").get("attention_rate") if rate is None else rate
    if rate is None:
        raise GrokinterpError(
            f"there is no {name} with attn_coeff, the share of softmax in its attention, which the weights do not "
            "show; put it beside the file, or say --model.attention-rate"
        )
    _refuse_variants(config, name)
    sign = bool(whole_in(config, "eqn_sign", name, 0))
    n = tensor_of(state, "embed.W_E", 2).shape[1] - sign
    task, notes = _task(config, name, n, given), [NO_MASK] if "attention_dir" in config else []
    if sign:
        task["layout"] = "a b ="
        notes.append(
            "with eqn_sign each pair was in their data C times, on both sides of the split; their loss was also over "
            "the output for '='"
        )
    model = transposed_model(state)
    notes += against_shapes(config, {name: model[name] for name in ("n_heads", "n_layers", "d_model")})
    model["activation"] = ACTIVATIONS[text_in(config, "act_fn", name, "ReLU").lower()]
    return {"task": task, "model": {**model, "causal": False, "attention_rate": rate}}, notes


def _refuse_variants(config: Mapping[str, Any], name: str) -> None:
    """Refuse what no architecture here computes.

    Raises:
        GrokinterpError: which, and why.
    """
    activation = text_in(config, "act_fn", name, "ReLU")
    if activation.lower() not in ACTIVATIONS:
        raise GrokinterpError(
            f"{name} has act_fn {activation}; networks here have relu or gelu, so it can't be imported"
        )
    if whole_in(config, "diff_vocab", name, 0):
        raise GrokinterpError(
            f"{name} has diff_vocab 1: a right operand has tokens of its own, which a transformer with one embedding "
            "can't hold, so it can't be imported (those with diff_vocab 0 can)"
        )
    if config.get("use_linear"):
        raise GrokinterpError(f"{name} has use_linear, but the file holds a transformer; correct one of them")


def _linear(
    state: Mapping[str, Tensor], config: Mapping[str, Any], name: str, given: Mapping[str, Any]
) -> tuple[dict[str, Any], Weights, list[str]]:
    """Sections, weights and notes of a network of nn.Embedding and nn.Linear (see the module's table)."""
    kind = _kind(state, config, name)
    table = torch.cat([tensor_of(state, f"{part}.weight", 2) for part in LINEAR[kind] if part.startswith("embed")])
    w_u, first = tensor_of(state, "unembed.weight", 2), tensor_of(state, "l1.weight", 2).T
    b_in = tensor_of(state, "l1.bias", 1)
    weights = {
        "embed.W_E": table,
        "blocks.0.mlp.W_in": first.contiguous() if kind == "D" else torch.cat([first, first]),
        "blocks.0.mlp.b_in": 2 * b_in if kind == "C" else b_in,
        "unembed.W_U": w_u.T.contiguous(),
        "unembed.b_U": w_u.new_zeros(len(w_u)),
    }
    if kind in "BC":
        weights["blocks.1.mlp.W_in"] = tensor_of(state, "l2.weight", 2).T.contiguous()
        weights["blocks.1.mlp.b_in"] = tensor_of(state, "l2.bias", 1)
    model = {"kind": "mlp", "n_layers": 2 if kind in "BC" else 1, "input": "separate" if kind == "X" else "embedding"}
    shape = {"d_model": table.shape[1], "d_hidden": first.shape[1], "biases": "all"}
    halves = [] if kind == "D" else ["W_in holds their l1 twice, once for each operand: the same logits"]
    return {"task": _task(config, name, len(w_u), given), "model": {**model, **shape}}, weights, halves


def _kind(state: Mapping[str, Tensor], config: Mapping[str, Any], name: str) -> str:
    """The type that the config says, if the tensors are those of it; A and D differ in the width of l1's input.

    Raises:
        GrokinterpError: the config does not say, or contradicts the tensors.
    """
    fitting = [kind for kind in LINEAR if set(state) == _names(kind)]
    width = tensor_of(state, f"{LINEAR[fitting[0]][0]}.weight", 2).shape[1]
    inputs = tensor_of(state, "l1.weight", 2).shape[1]
    fitting = [kind for kind in fitting if inputs == (2 * width if kind == "D" else width)]
    said = config.get("model_type")
    if said in fitting:
        return str(said)
    if said is None and len(fitting) == 1:
        return fitting[0]
    may = " or ".join(fitting) or "none that is known"
    raise GrokinterpError(f"{name} has model_type {said!r}, by the tensors it is {may}; put the right config beside it")
