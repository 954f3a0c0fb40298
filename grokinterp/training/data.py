"""The pairs as tensors on the training device, and the order of minibatches."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from grokinterp.seeding import generator
from grokinterp.tasks import Task


@dataclass(frozen=True, eq=False)
class Pairs:
    """A list of pairs and their answers, or the labels in their place; with a label at each position or at the last."""

    left: Int[Tensor, " n"]
    right: Int[Tensor, " n"]
    label: Int[Tensor, "n ..."]

    def select(self, index: Int[Tensor, " m"] | Bool[Tensor, " n"]) -> "Pairs":
        """The pairs at `index`, an index or a mask."""
        return Pairs(self.left[index], self.right[index], self.label[index])

    def __len__(self) -> int:
        return self.left.shape[0]


def all_pairs(
    task: Task, device: torch.device | str = "cpu", labels: Int[np.ndarray, "n_left n_right"] | None = None
) -> Pairs:
    """All defined pairs, a-major, with their answers, or with the labels that are trained on in their place."""
    left, right = task.pairs()
    arrays = (left, right, (task.table if labels is None else labels)[left, right])
    return Pairs(*(torch.from_numpy(np.ascontiguousarray(x)).to(device) for x in arrays))


def next_tokens(task: Task, pairs: Pairs) -> Pairs:
    """The same pairs with a label at each position: the next token, and at the last position the answer."""
    columns = [*task.layout.columns(pairs.left, pairs.right)[1:], pairs.label]
    return Pairs(pairs.left, pairs.right, torch.stack(columns, dim=1))


def in_training(task: Task, train_mask: Bool[np.ndarray, "n_left n_right"]) -> Bool[Tensor, " n"]:
    """For each of `all_pairs`, whether it is trained on."""
    return torch.from_numpy(train_mask[task.pairs()])


class BatchOrder:
    """Minibatches drawn without replacement, epoch after epoch; a short last batch is skipped.

    Without a batch size every batch is the whole training set, in a-major order.
    """

    def __init__(self, n: int, batch_size: int | None, seed: int) -> None:
        self._n, self._size = n, batch_size
        self._generator = generator("batches", seed)
        self._order, self._next = torch.empty(0, dtype=torch.long), 0

    def draw(self) -> Int[Tensor, " batch"] | None:
        """Indices of the next batch, or None for the whole set."""
        if self._size is None or self._size >= self._n:
            return None
        if self._next + self._size > len(self._order):
            self._order, self._next = torch.randperm(self._n, generator=self._generator), 0
        self._next += self._size
        return self._order[self._next - self._size : self._next]

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        return {"generator": self._generator.get_state(), "order": self._order, "next": self._next}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the order whose `state` this is."""
        self._generator.set_state(state["generator"])
        self._order, self._next = state["order"], state["next"]
