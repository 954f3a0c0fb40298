"""Runs and the logits of their HookedTransformers, made under TransformerLens 3 for the tests under 4.

python tests/tl4/references.py FOLDER
"""

import sys
from pathlib import Path

import safetensors.torch
import torch

import grokinterp as gi

torch.set_num_threads(1)  # as in the tests: with another number of threads the weights differ by rounding

BASE = {
    "task": {"p": 7, "frac_train": 0.6},
    "model": {"d_model": 16, "n_heads": 2, "d_mlp": 32},
    "optimizer": {"lr": 1e-2, "weight_decay": 1.0},
    "train": {"steps": 60, "checkpoint_every": 30},
}
MODELS = {
    "plain": {},
    "biases": {"biases": "all", "n_layers": 2, "activation": "gelu"},
    "norm": {"normalization": "LN", "biases": "all", "n_layers": 2},
    "bidirectional": {"causal": False, "n_heads": 4, "d_head": 3},
    "mixed": {"attention_rate": 0.4, "n_layers": 2},
    "post_norm": {"normalization": "post-LN"},
    "float64": {"normalization": "LN", "biases": "all"},
}


def config(name: str) -> gi.RunConfig:
    dtype = {"dtype": "float64"} if name == "float64" else {}
    return gi.RunConfig.from_mapping(
        {**BASE, "name": name, "model": {**BASE["model"], **MODELS[name]}, "train": {**BASE["train"], **dtype}}
    )


def tokens_of(run: gi.Run) -> torch.Tensor:
    a, b = run.task.defined.nonzero()
    return torch.from_numpy(run.task.layout.tokens(a, b))


def main(folder: Path) -> None:
    for name in MODELS:
        run = gi.train(config(name), folder / name, show_progress=False)
        with torch.no_grad():
            logits = {str(step): run.model(step)(tokens_of(run)) for step in run.steps}
        safetensors.torch.save_file(logits, folder / f"{name}.logits.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
