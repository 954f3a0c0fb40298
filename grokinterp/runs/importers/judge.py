"""Loss and accuracy of imported weights, computed here before anything is believed."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grokinterp.config import RunConfig
from grokinterp.models.forward import build_forward
from grokinterp.models.weights import n_outputs
from grokinterp.tasks import Task

CHUNK = 4096
"""Pairs in one forward."""

ROUNDING = 1e-6
"""Nats: a loss logged in float32 is not known better."""


class Judge:
    """Loss (nats, mean over pairs) and accuracy of weights on all pairs and on both sides of a split, in float64."""

    def __init__(self, config: RunConfig, task: Task) -> None:
        self.task = task
        self._forward = build_forward(config.model, task.layout, n_outputs(config, task), dtype=torch.float64)
        self.left, self.right = (torch.from_numpy(side) for side in task.pairs())
        self.answers = torch.from_numpy(task.table[task.defined])

    @torch.no_grad()
    def logits(self, weights: Mapping[str, Tensor]) -> Iterator[tuple[Tensor, slice]]:
        """Logits (pairs, n_answers) of the defined pairs, a-major, in pieces, each with its place among them."""
        doubles = {name: value.to(torch.float64) for name, value in weights.items()}
        for start in range(0, len(self.left), CHUNK):
            piece = slice(start, start + CHUNK)
            yield self._forward(doubles, self.left[piece], self.right[piece])[:, : self.task.n_answers], piece

    def pair_scores(
        self, weights: Mapping[str, Tensor]
    ) -> tuple[Float[np.ndarray, " n_pairs"], Bool[np.ndarray, " n_pairs"]]:
        """Cross-entropy of each defined pair, and whether the largest logit is the answer's."""
        losses, right = [], []
        for logits, piece in self.logits(weights):
            answers = self.answers[piece]
            losses.append(torch.nn.functional.cross_entropy(logits, answers, reduction="none"))
            right.append(logits.argmax(dim=-1) == answers)
        return torch.cat(losses).numpy(), torch.cat(right).numpy()

    def score(
        self, weights: Mapping[str, Tensor], train_mask: Bool[np.ndarray, "n_left n_right"] | None
    ) -> dict[str, float]:
        """`loss` and `accuracy` over all pairs; where the split is known also train_ and test_ of each."""
        losses, right = self.pair_scores(weights)
        sides: dict[str, Any] = {"": np.ones(len(losses), dtype=bool)}
        if train_mask is not None:
            chosen = train_mask[self.task.defined]
            sides |= {"train_": chosen, "test_": ~chosen}
        found: dict[str, float] = {}
        for name, side in sides.items():
            if side.any():
                found |= {f"{name}loss": float(losses[side].mean()), f"{name}accuracy": float(right[side].mean())}
        return found


def contradictions(claims: Mapping[str, float], found: Mapping[str, float], share: float) -> list[str]:
    """Sentences about claims that what was found contradicts: losses by more than `share`, accuracies by over 0.1 %.

    A claim about something that could not be computed contradicts nothing.
    """
    notes = []
    for name, claimed in claims.items():
        if name not in found:
            continue
        tolerance = 1e-3 if name.endswith("accuracy") else max(share * abs(claimed), ROUNDING)
        if not abs(found[name] - claimed) <= tolerance:
            notes.append(f"{name.replace('_', ' ')} is {claimed:.6g} in the file, {found[name]:.6g} by the weights")
    return notes
