"""Token layouts: how a pair (a, b) becomes the sequence whose last position is read.

Operands share the tokens 0..n-1; the operation sign, if any, and '=' follow.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class Slot:
    """One position: the left operand, the right one, or a constant token."""

    kind: Literal["left", "right", "constant"]
    token: int = -1


@dataclass(frozen=True)
class Layout:
    """A named sequence of slots over `n_operand_tokens` operand tokens."""

    name: str
    n_operand_tokens: int
    slots: tuple[Slot, ...]
    d_vocab: int

    @property
    def n_ctx(self) -> int:
        """Length of a sequence."""
        return len(self.slots)

    def tokens(
        self, left: Int[np.ndarray, " batch"], right: Int[np.ndarray, " batch"]
    ) -> Int[np.ndarray, "batch n_ctx"]:
        """The token sequences of the pairs."""
        columns = {"left": left, "right": right}
        return np.stack([columns.get(s.kind, np.full(len(left), s.token, dtype=np.int64)) for s in self.slots], axis=1)


def build_layout(name: str, n: int) -> Layout:
    """The layout called `name` for operands 0..n-1.

    "a b =": Nanda et al. 2023. "a op b =": Power et al. 2022, without their end-of-sequence
    tokens. "a b": Zhong et al. 2023, read at b.
    """
    left, right = Slot("left"), Slot("right")
    match name:
        case "a b =":
            return Layout(name, n, (left, right, Slot("constant", n)), n + 1)
        case "a op b =":
            return Layout(name, n, (left, Slot("constant", n), right, Slot("constant", n + 1)), n + 2)
        case "a b":
            return Layout(name, n, (left, right), n)
    raise ValueError(f"no layout {name!r}")
