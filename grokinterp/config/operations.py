"""The names of the operations, and how many elements and pairs they have."""

import math
from collections.abc import Mapping
from typing import Any

GROUP_OPERATIONS = ("x.y", "x.y.x^-1", "x.y.x")
SUM_OPERATIONS = {"x+y+z": 3, "x+y+z+w": 4}
"""Sums of several terms mod p, and how many."""

CUSTOM_OPERATION = "custom"
"""The user's own, from a table."""

PARITY_OPERATION = "x/y if y odd else x-y"
MODULAR_OPERATIONS = (
    "x+y",
    "x-y",
    "x*y",
    "x/y",
    PARITY_OPERATION,
    "x^2+y^2",
    "x^2+xy+y^2",
    "x^2+xy+y^2+x",
    "x^3+xy",
    "x^3+xy^2+y",
    *SUM_OPERATIONS,
)
"""Operations mod p: those of Power et al. 2022 (appendix A.1.1), x*y, and sums of more terms."""

OPERATIONS = (*MODULAR_OPERATIONS, *GROUP_OPERATIONS, CUSTOM_OPERATION)
OPERATION_ALIASES = {
    "add": "x+y",
    "subtract": "x-y",
    "multiply": "x*y",
    "divide": "x/y",
    "mixed": PARITY_OPERATION,
    "compose": "x.y",
    "conjugate": "x.y.x^-1",
}


def n_operands(operation: str) -> int:
    """How many elements the operation takes."""
    return SUM_OPERATIONS.get(operation, 2)


def count_pairs(operation: str, n: int) -> int:
    """How many combinations of operands have an answer, for the named operations on n elements.

    >>> [count_pairs(operation, 5) for operation in ("x+y", "x/y", "x/y if y odd else x-y", "x+y+z")]
    [25, 20, 25, 125]
    """
    units = [math.gcd(y, n) == 1 for y in range(n)]
    if operation == "x/y":
        return n * sum(units)
    if operation == PARITY_OPERATION:
        return n * sum(unit or y % 2 == 0 for y, unit in enumerate(units))
    return n ** n_operands(operation)


def without_other_operands(task: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A task section less the modulus, the group or the table of the operation that a change does away with.

    >>> without_other_operands({"operation": "x+y", "p": 7, "layout": "a b"}, {"operation": "x-y"})
    {'operation': 'x+y', 'p': 7, 'layout': 'a b'}
    >>> without_other_operands({"operation": "x+y", "p": 7, "layout": "a b"}, {"operation": "x.y", "group": "S3"})
    {'operation': 'x+y', 'layout': 'a b'}
    """
    operation = CUSTOM_OPERATION if "file" in change else change.get("operation")
    if not isinstance(operation, str):
        return dict(task)
    operation = OPERATION_ALIASES.get(operation, operation)
    if operation == task.get("operation") and not {"file", "table"} & set(change):
        return dict(task)
    others = {"p", "group", "file", "table"}
    if operation == CUSTOM_OPERATION:
        others.add("operation")  # the file says it
    elif operation in GROUP_OPERATIONS:
        others.discard("group")
    else:
        others.discard("p")
    return {name: value for name, value in task.items() if name not in others}
