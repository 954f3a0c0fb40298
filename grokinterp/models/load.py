"""A module with hooks for any architecture: HookedTransformer, HookedMLP or HookedLSTM."""

from typing import Any

import torch

from grokinterp.config import LSTMConfig, MLPConfig, ModelConfig, RunConfig
from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import Weights, init_weights, n_outputs, weight_specs
from grokinterp.tasks import build_task
from grokinterp.tasks.layouts import Layout


def load_model(config: ModelConfig, layout: Layout, weights: Weights) -> Any:
    """A module that holds these weights, in their dtype and on their device.

    Raises:
        GrokinterpError: the weights are not those of the config's model.
    """
    from grokinterp.models.hooked_networks import HookedLSTM, HookedMLP
    from grokinterp.models.transformer import load_hooked

    _check(config, layout, weights)
    match config:
        case MLPConfig():
            return HookedMLP(config, layout, weights)
        case LSTMConfig():
            return HookedLSTM(config, layout, weights)
    return load_hooked(config, layout, weights)


def _check(config: ModelConfig, layout: Layout, weights: Weights) -> None:
    """Each tensor that the model has is there in its shape, and no other."""
    outputs = weights["unembed.W_U"].shape[-1] if "unembed.W_U" in weights else 0
    wanted = {name: spec.shape for name, spec in weight_specs(config, layout, outputs).items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in {**wanted, **found}:
        if wanted.get(name) != found.get(name):
            raise GrokinterpError(
                f"the weights and config.model disagree about {name}; correct config.json's model section"
            )


def build_model(config: RunConfig) -> Any:
    """A module with the config's initial weights, for a training loop of your own.

    Biases that the config does not train are frozen at zero.
    """
    task = build_task(config.task)
    dtype = getattr(torch, config.train.dtype)
    return load_model(
        config.model, task.layout, init_weights(config.model, task.layout, n_outputs(config, task), dtype)
    )
