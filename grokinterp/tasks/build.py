"""From a TaskConfig to a Task."""

from grokinterp.config import GROUP_OPERATION, TaskConfig
from grokinterp.group_names import group_factors
from grokinterp.harmonics.groups import parse_group
from grokinterp.tasks.layouts import build_layout
from grokinterp.tasks.modular import modular_coordinates, modular_table
from grokinterp.tasks.task import Task


def build_task(config: TaskConfig) -> Task:
    """The operation's table, layout and natural coordinates."""
    n = config.n_elements
    layout = build_layout(config.layout, n)
    if config.operation == GROUP_OPERATION:
        assert config.group is not None
        why = f"{config.group} has no frequencies; it is read through its irreducible representations"
        coordinates = None
        if [kind for kind, _ in group_factors(config.group)] == ["C"]:
            coordinates, why = modular_coordinates("x+y", n)
        table = parse_group(config.group).table
        return Task(f"x.y in {config.group}", table, n, layout, coordinates, why, config.group)
    coordinates, structure = modular_coordinates(config.operation, n)
    table = modular_table(config.operation, n)
    return Task(f"{config.operation} mod {n}", table, n, layout, coordinates, structure)
