"""The task section: the operation, how it is written as tokens, which pairs are trained on, with what labels."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from grokinterp.config.custom import UNDEFINED, OperationTable, check_table, read_operation
from grokinterp.config.operations import (
    CUSTOM_OPERATION,
    GROUP_OPERATIONS,
    MODULAR_OPERATIONS,
    OPERATION_ALIASES,
    OPERATIONS,
    count_pairs,
    n_operands,
)
from grokinterp.config.section import Section
from grokinterp.explain import suggest
from grokinterp.group_names import EXAMPLES, group_order

DEFAULT_P = 113
MAX_P = 720
"""As many as S6 has; the logits of all pairs, float64, take 8 p^3 bytes, 3 GB."""

MAX_LOGITS = 2**27
"""Of the logits of a sum of several terms: 1 GB."""


class TaskConfig(Section):
    """The operation, how it is written as tokens, which pairs are trained on, and with what labels."""

    operation: str = Field(
        "x+y", description="mod p: x+y, x-y, x*y, x/y, x^2+y^2, ...; in a group: x.y, x.y.x^-1, x.y.x; or custom"
    )
    p: int | None = Field(None, ge=2, le=MAX_P, description="modulus; 113 if not given")
    group: str | None = Field(None, description=f"for operations in a group: {EXAMPLES}")
    file: str | None = Field(None, description="your own operation: a CSV table, or a .py file with operation(x, y)")
    table: OperationTable | None = Field(None, description="the table of your own operation, read from the file")
    layout: Literal["a b =", "a op b =", "a b", "EOS a op b ="] = Field(
        "a b =", description="the tokens of one example; the last position is read"
    )
    frac_train: float = Field(0.3, gt=0, lt=1, description="share of the pairs that is trained on, above 0 and below 1")
    split_seed: int = Field(0, ge=0, lt=2**63, description="seed of the train/test split alone")
    outliers: int = Field(0, ge=0, description="training pairs whose label is drawn from the answers at random")
    shuffle_labels: bool = Field(False, description="train on shuffled labels: nothing to generalise, a null")
    label_seed: int = Field(0, ge=0, lt=2**63, description="seed of the outliers and of the shuffling alone")

    @field_validator("operation", mode="before")
    @classmethod
    def _known_operation(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name = OPERATION_ALIASES.get(value, value)
        if name not in OPERATIONS:
            raise ValueError(f"is not an operation; {suggest(value, (*OPERATIONS, *OPERATION_ALIASES))}")
        return name

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any, info: ValidationInfo) -> Any:
        """Fill in p for modular operations and the table of one's own, so that a saved config is complete.

        From a saved config no file is read: opening somebody's run directory must not run their code.
        """
        if not isinstance(data, Mapping):
            return data
        if isinstance(data.get("file"), str):
            data = {"operation": CUSTOM_OPERATION, **data}
            p: Any = data.get("p")
            n = p if isinstance(p, int) else None
            is_new = data.get("table") is None and not (info.context or {}).get("saved")
            # a p that is no size of a table is refused as such; no function is called a billion times first
            if is_new and (n is None or 2 <= n <= MAX_P):
                data = {**data, "table": read_operation(Path(data["file"]), n)}
        operation = str(data.get("operation", "x+y"))
        if data.get("p") is None and OPERATION_ALIASES.get(operation, operation) in MODULAR_OPERATIONS:
            data = {**data, "p": DEFAULT_P}
        return data

    @model_validator(mode="after")
    def _operands(self) -> Self:
        in_group, custom = self.operation in GROUP_OPERATIONS, self.operation == CUSTOM_OPERATION
        if in_group and self.p is not None:
            raise ValueError(f"p belongs to the modular operations; leave it out for {self.operation}")
        if in_group and self.group is None:
            raise ValueError(f"operation {self.operation} needs a group: --task.group {EXAMPLES}")
        if self.group is not None and not in_group:
            raise ValueError("a group needs operation x.y: --task.operation x.y")
        if self.group is not None and not 2 <= group_order(self.group) <= MAX_P:
            raise ValueError(f"{self.group} has {group_order(self.group)} elements; tasks take 2 to {MAX_P}")
        if not custom and (self.table is not None or self.file is not None):
            raise ValueError("a table or file of your own needs operation custom: --task.operation custom")
        if custom:
            self._check_own()
        return self

    def _check_own(self) -> None:
        if self.table is None:
            raise ValueError(
                "operation custom needs its table: --task.file ops.csv, or a .py file with operation(x, y)"
            )
        try:
            check_table(self.table, MAX_P)
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}" if self.file else str(error)) from None
        if self.p not in (None, len(self.table)):
            raise ValueError(f"p is {self.p}, but the operation's table has {len(self.table)} rows; leave p out")

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.n_operands > 2 and self.n_elements ** (self.n_operands + 1) > MAX_LOGITS:
            largest = math.floor(MAX_LOGITS ** (1 / (self.n_operands + 1)))
            raise ValueError(f"p = {self.p} is too large for {self.n_operands} terms; take at most {largest}")
        if not 0 < self.n_train < self.n_pairs:
            raise ValueError(
                f"frac_train {self.frac_train} of {self.n_pairs} pairs leaves "
                f"{self.n_train} to train on and {self.n_pairs - self.n_train} to test; each needs at least one"
            )
        if self.outliers > self.n_train:
            raise ValueError(f"outliers {self.outliers} exceeds the {self.n_train} training pairs; lower it")
        if self.outliers and self.shuffle_labels:
            raise ValueError("outliers among shuffled labels are no outliers; give one of the two")
        return self

    @property
    def n_elements(self) -> int:
        """Size of the set that the operands come from."""
        if self.table is not None:
            return len(self.table)
        return group_order(self.group) if self.group is not None else self.p or DEFAULT_P

    @property
    def n_operands(self) -> int:
        """How many operands there are: 2, or the terms of a sum."""
        return n_operands(self.operation)

    @property
    def n_pairs(self) -> int:
        """Number of pairs (or triples, quadruples) for which the operation is defined."""
        if self.table is not None:
            return sum(answer != UNDEFINED for row in self.table for answer in row)
        return count_pairs(self.operation, self.n_elements)

    @property
    def n_train(self) -> int:
        """Number of training pairs."""
        return train_size(self.frac_train, self.n_pairs)


def train_size(frac_train: float, n_pairs: int) -> int:
    """floor(frac_train * n_pairs), as the published code bases count (3,830 of 12,769 at 0.3)."""
    return math.floor(frac_train * n_pairs + 1e-9)
