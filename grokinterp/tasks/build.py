"""From a TaskConfig to a Task."""

from pathlib import Path

import numpy as np

from grokinterp.config import CUSTOM_OPERATION, GROUP_OPERATIONS, TaskConfig
from grokinterp.group_names import group_factors
from grokinterp.harmonics.groups import parse_group
from grokinterp.tasks.compositions import group_operation_table
from grokinterp.tasks.layouts import build_layout
from grokinterp.tasks.modular import modular_coordinates, modular_table, sum_table
from grokinterp.tasks.task import Task


def build_task(config: TaskConfig) -> Task:
    """The operation's table, layout and natural coordinates."""
    if config.operation == CUSTOM_OPERATION:
        return _own(config)
    if config.operation in GROUP_OPERATIONS:
        return _in_group(config)
    n, operation = config.n_elements, config.operation
    layout = build_layout(config.layout, n, config.n_operands)
    name = f"{operation} mod {n}"
    if config.n_operands > 2:
        why = f"a sum of {config.n_operands} terms is no operation on pairs"
        return Task(name, sum_table(n, config.n_operands), n, layout, None, why)
    coordinates, structure = modular_coordinates(operation, n)
    return Task(name, modular_table(operation, n), n, layout, coordinates, structure)


def _in_group(config: TaskConfig) -> Task:
    assert config.group is not None
    n, layout = config.n_elements, build_layout(config.layout, config.n_elements)
    name, table = (
        f"{config.operation} in {config.group}",
        group_operation_table(config.operation, parse_group(config.group)),
    )
    if config.operation != "x.y":
        return Task(name, table, n, layout, None, f"{config.operation} is no product of a group")
    why = f"{config.group} has no frequencies; it is read through its irreducible representations"
    coordinates = None
    if [kind for kind, _ in group_factors(config.group)] == ["C"]:
        coordinates, why = modular_coordinates("x+y", n)
    return Task(name, table, n, layout, coordinates, why, config.group)


def _own(config: TaskConfig) -> Task:
    """A user's table; one that is addition or subtraction mod n as it stands has their coordinates."""
    assert config.table is not None
    table, n = np.array(config.table, dtype=np.int64), config.n_elements
    name = f"custom operation {Path(config.file).name}" if config.file else "custom operation"
    coordinates, why = None, "the operation is the user's own"
    for operation in ("x/y", "x*y", "x-y", "x+y"):  # mod 2, x - y is x + y
        if np.array_equal(table, modular_table(operation, n)):
            coordinates, why = modular_coordinates(operation, n)
    layout = build_layout(config.layout, n)
    return Task(name, table, int(table.max()) + 1, layout, coordinates, why)
