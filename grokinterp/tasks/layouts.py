"""Token layouts: how a pair (a, b) becomes the sequence whose last position is read.

Operands share the tokens 0..n-1; the operation sign, if any, and '=' follow. Operations of more than two
operands are pairs too: the left one is then the number whose digits, to the base n, are all operands but
the last.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class Slot:
    """One position: (a digit of) the left operand, the right one, or a constant token."""

    kind: Literal["left", "right", "constant"]
    token: int = -1
    digit: int = 0


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

    @property
    def n_operands(self) -> int:
        """Number of operands."""
        return sum(slot.kind != "constant" for slot in self.slots)

    def column(self, slot: Slot, left: Any, right: Any) -> Any:
        """The tokens at a slot that is not constant, for arrays or tensors of pairs."""
        if slot.kind == "right":
            return right
        if self.n_operands == 2:
            return left
        return left // self.n_operand_tokens**slot.digit % self.n_operand_tokens

    def operands(self, left: Any, right: Any) -> list[Any]:
        """The tokens of each operand in turn, for arrays or tensors of pairs."""
        return [self.column(slot, left, right) for slot in self.slots if slot.kind != "constant"]

    def columns(self, left: Any, right: Any) -> list[Any]:
        """The tokens at each position, for arrays or tensors of pairs."""
        return [
            0 * left + slot.token if slot.kind == "constant" else self.column(slot, left, right) for slot in self.slots
        ]

    def tokens(
        self, left: Int[np.ndarray, " batch"], right: Int[np.ndarray, " batch"]
    ) -> Int[np.ndarray, "batch n_ctx"]:
        """The token sequences of the pairs."""
        return np.stack(self.columns(left, right), axis=1)


def build_layout(name: str, n: int, n_operands: int = 2) -> Layout:
    """The layout called `name` for operands 0..n-1; with more operands, a sign between any two of them.

    "a b =": Nanda et al. 2023. "EOS a op b =": Power et al. 2022. "a op b =": theirs without the end-of-sequence
    token in front. "a b": Zhong et al. 2023, read at b.
    """
    operands = [*(Slot("left", digit=n_operands - 2 - k) for k in range(n_operands - 1)), Slot("right")]
    match name:
        case "a b =":
            return Layout(name, n, (*operands, Slot("constant", n)), n + 1)
        case "a op b =" | "EOS a op b =":
            sign = Slot("constant", n)
            between = [slot for operand in operands for slot in (sign, operand)][1:]
            written = (*between, Slot("constant", n + 1))
            if name == "a op b =":
                return Layout(name, n, written, n + 2)
            return Layout(name, n, (Slot("constant", n + 2), *written), n + 3)
        case "a b":
            return Layout(name, n, tuple(operands), n)
    raise ValueError(f"no layout {name!r}")
