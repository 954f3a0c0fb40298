"""The tables of this folder, from its runs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

import grokinterp as gi
from analyses.rows import CURVES, outcome_row, thinned
from analyses.stability2025.absorbing import train
from analyses.study import Study
from grokinterp.config import RunConfig
from grokinterp.measures.numerics import compute
from grokinterp.models.training_forward import build_training_forward
from grokinterp.models.weights import is_trained, n_outputs, weight_specs
from grokinterp.overrides import override
from grokinterp.snapshots import Snapshot
from grokinterp.training.data import all_pairs, in_training
from grokinterp.training.losses import loss_gradient, training_loss

RECIPES = ("mlp", "transformer")
PRECISIONS = ("float32", "float64")
PLAIN = "adam"
"""The variant of `mlp` that torch's own cross-entropy trains as well, in each precision."""

POINTS = 60
"""Evaluations and checkpoints kept of a run."""


def absorbing_configs(study: Study) -> list[RunConfig]:
    """The plain variant of `mlp`, each seed in each precision of the loss."""
    recipe = study.recipes["mlp"]
    plain = [config for config in recipe.configs() if config.name.startswith(f"{PLAIN}-")]
    return [
        override(
            config, {"name": f"torch_{precision}-seed{config.model.init_seed}", "train": {"loss_dtype": precision}}
        )
        for precision in PRECISIONS
        for config in plain
    ]


def trained(study: Study) -> Iterator[tuple[str, str, gi.Run]]:
    """(network, variant, run) of all runs; those by torch's own cross-entropy are trained where they are missing."""
    for recipe in RECIPES:
        for run in study.trained(recipe):
            yield recipe, study.variant(recipe, run), run
    for config in absorbing_configs(study):
        yield "mlp", config.name.rpartition("-")[0], train(config, study.folder("absorbing") / config.name)


def runs(study: Study) -> pd.DataFrame:
    """One row a run."""
    return pd.DataFrame([{"network": n, "variant": v, **outcome_row(run)} for n, v, run in trained(study)])


def curves(study: Study) -> pd.DataFrame:
    """Accuracy and loss over steps of every run."""
    parts = []
    for network, variant, run in trained(study):
        metrics = run.metrics
        kept = metrics.iloc[thinned(metrics["step"].to_numpy(), POINTS)][["step", *CURVES, "weight_norm"]]
        parts.append(kept.assign(network=network, variant=variant, seed=run.config.model.init_seed))
    return pd.concat(parts, ignore_index=True)


def numerics(study: Study) -> pd.DataFrame:
    """Collapse, the share of pairs without a gradient, and `direction`, at about POINTS checkpoints a run.

    zero_gradient is the share of training pairs whose gradient with respect to the logit of the right answer is
    exactly 0 in the training of that run: with its loss, in its precision, with its rounding.
    """
    parts = []
    for network, variant, run in trained(study):
        steps = [run.steps[i] for i in thinned(np.array(run.steps), POINTS)]
        plain = variant.startswith("torch_")
        rows = [{"step": step, **_at(run, step, plain=plain)} for step in steps]
        parts.append(pd.DataFrame(rows).assign(network=network, variant=variant, seed=run.config.model.init_seed))
    return pd.concat(parts, ignore_index=True)


def _at(run: gi.Run, step: int, *, plain: bool) -> dict[str, Any]:
    """One row of `numerics`."""
    snapshot = run.bare_snapshot(step)
    (collapse,) = compute(snapshot, params={})
    cosine, norm = direction(run, step)
    return {
        **{name: collapse[name] for name in ("float32_collapse_fraction", "float64_collapse_fraction", "float64_loss")},
        **{"nlm_cosine": cosine, "gradient_norm": norm},
        "zero_gradient": zero_gradient(run.config, snapshot, plain=plain),
    }


def direction(run: gi.Run, step: int) -> tuple[float | None, float]:
    """cos(-g, weights), None where either is 0, and |g|, of the gradient g of the loss that the run minimises.

    **Differs:** the measure numerics.gradient is of cross-entropy in any run, and float64 absorbs it from a margin of
    37 nats on; here it is the gradient that grokinterp trains with.
    """
    config, task = run.config, run.task
    specs = weight_specs(config.model, task.layout, n_outputs(config, task))
    weights = run.weights(step)
    trained = [weights[name].requires_grad_() for name, spec in specs.items() if is_trained(spec, config.model)]
    forward, _ = build_training_forward(config, task, getattr(torch, config.train.dtype))
    assert run.train_mask is not None
    batch = all_pairs(task).select(in_training(task, run.train_mask))
    loss = training_loss(config.train.loss, forward(weights, batch.left, batch.right), batch.label)
    gradients = torch.autograd.grad(loss, trained)
    g = torch.cat([gradient.flatten().double() for gradient in gradients])
    w = torch.cat([weight.detach().flatten().double() for weight in trained])
    product = float(g.norm() * w.norm())
    return (-float(g @ w) / product if product else None), float(g.norm())


def zero_gradient(config: RunConfig, snapshot: Snapshot, *, plain: bool) -> float:
    """Share of the training pairs whose right logit has a gradient of exactly 0.

    plain: By torch's own cross-entropy in the config's loss_dtype; else by the loss that grokinterp trains with.
    """
    left, right, label = snapshot.loss_pairs
    logits, dtype = snapshot.logits[left, right].float(), getattr(torch, config.train.loss_dtype)
    if plain:
        leaf = logits.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(leaf.to(dtype), label), leaf)
    else:
        gradient = loss_gradient(config.train.loss, logits.T.contiguous(), label, dtype).T
    return float((gradient.gather(1, label[:, None]) == 0).double().mean())


TABLES: dict[str, Any] = {"runs": runs, "curves": curves, "numerics": numerics}
