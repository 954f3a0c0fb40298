"""The forward that is trained through, where it is not the one that is measured: dropout, the whole sequence."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from grokinterp.config import MLPConfig, RunConfig, TransformerConfig
from grokinterp.models.dropout import Dropout
from grokinterp.models.forward import build_forward
from grokinterp.models.mlp import MLPForward
from grokinterp.models.spec import Weights
from grokinterp.models.weights import n_outputs
from grokinterp.tasks import Task

TrainingForward = Callable[[Weights, Tensor, Tensor], Float[Tensor, "batch ... d_vocab_out"]]


def build_training_forward(config: RunConfig, task: Task, dtype: torch.dtype) -> tuple[TrainingForward, Dropout | None]:
    """Logits to train on, and what draws the dropout masks, if anything does.

    At the last position, or at every position with `loss_on` sequence.
    """
    rate, size = config.regularizer.dropout, n_outputs(config, task)
    dropout = Dropout(rate, config.train.seed) if rate else None
    if dropout is None and config.train.loss_on == "answer":
        engine = config.train.engine
        return build_forward(config.model, task.layout, size, engine=engine, dtype=dtype), None
    if isinstance(config.model, MLPConfig):
        return MLPForward(config.model, task.layout, dropout), dropout
    from grokinterp.models.transformer import HookedForward, build_hooked, drop_out

    assert isinstance(config.model, TransformerConfig)
    model = build_hooked(config.model, task.layout, size, dtype)
    if dropout is not None:
        drop_out(model, dropout)
    forward = HookedForward(model, task.layout)
    return (forward.sequence if config.train.loss_on == "sequence" else forward), dropout
