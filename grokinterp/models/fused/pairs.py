"""Pairs as bags of table rows: sums of gathered rows, and their transpose, each in one pass.

A table has one row for each token at each position: those of the operands first, a block of `n_operand_tokens`
rows for each operand in turn, and then a row for each constant token.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.tasks.layouts import Layout


@dataclass(frozen=True, eq=False)
class PairBags:
    """Which rows each of B pairs reads, and which pairs read each row.

    rows: the rows of each pair, one a position.
    operands: the tokens of each operand, which are rows of its block.
    readers: the pairs that read the first operand row, then the second, and so on.
    starts: where in `readers` each operand row begins.
    n_constants: rows that all pairs read.
    """

    rows: Int[Tensor, "B T"]
    operands: list[Int[Tensor, " B"]]
    readers: Int[Tensor, " n_operands_times_B"]
    starts: Int[Tensor, " n_operand_rows"]
    n_constants: int

    @classmethod
    def of(cls, layout: Layout, left: Int[Tensor, " B"], right: Int[Tensor, " B"]) -> "PairBags":
        """The bags of the pairs in a layout."""
        n, columns, operands = layout.n_operand_tokens, [], []
        constant = layout.n_operands * n
        for slot in layout.slots:
            if slot.kind == "constant":
                columns.append(torch.full_like(left, constant))
                constant += 1
                continue
            tokens = layout.column(slot, left, right)
            columns.append(tokens + n * len(operands))
            operands.append(tokens)
        readers = torch.cat([tokens.argsort(stable=True) for tokens in operands])
        ends = torch.cat([torch.bincount(tokens, minlength=n) for tokens in operands]).cumsum(0)
        starts = torch.cat([ends.new_zeros(1), ends[:-1]])
        return cls(torch.stack(columns, dim=1), operands, readers, starts, constant - layout.n_operands * n)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_tokens(self) -> int:
        """Rows of one operand."""
        return len(self.starts) // len(self.operands)

    def gather(self, table: Float[Tensor, "R F"]) -> Float[Tensor, "B F"]:
        """For each pair the sum of its rows."""
        return F.embedding_bag(self.rows, table, mode="sum")

    def gather_into(
        self, out: Float[Tensor, "B F"], table: Float[Tensor, "R F"], spare: Float[Tensor, "B F"]
    ) -> Float[Tensor, "B F"]:
        """`gather` into `out`, for rows so wide that allocating the result costs as much as the sums; uses `spare`."""
        first, *others = table[: len(self.starts)].split(self.n_tokens)
        torch.index_select(first + table[len(self.starts) :].sum(dim=0), 0, self.operands[0], out=out)
        for block, tokens in zip(others, self.operands[1:], strict=True):
            out.add_(torch.index_select(block, 0, tokens, out=spare))
        return out

    def scatter(self, values: Float[Tensor, "B F"]) -> Float[Tensor, "R F"]:
        """For each row the sum over the pairs that read it; the transpose of `gather`."""
        sums = F.embedding_bag(self.readers, values, self.starts, mode="sum")
        return torch.cat([sums, sums[: self.n_tokens].sum(dim=0).expand(self.n_constants, -1)])
