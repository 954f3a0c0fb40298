"""From a TaskConfig to a Task."""

from grokinterp.config import GROUP_OPERATION, TaskConfig
from grokinterp.tasks.groups import composition_table, symmetric_group
from grokinterp.tasks.layouts import build_layout
from grokinterp.tasks.modular import modular_coordinates, modular_table
from grokinterp.tasks.task import Task


def build_task(config: TaskConfig) -> Task:
    """The operation's table, layout and natural coordinates."""
    n = config.n_elements
    layout = build_layout(config.layout, n)
    if config.operation == GROUP_OPERATION:
        assert config.group is not None
        table = composition_table(symmetric_group(int(config.group[1:])))
        why = f"{config.group} is not cyclic, so the Fourier measures have no meaning for it"
        return Task(f"x.y in {config.group}", table, n, layout, None, why)
    coordinates, structure = modular_coordinates(config.operation, n)
    table = modular_table(config.operation, n)
    return Task(f"{config.operation} mod {n}", table, n, layout, coordinates, structure)
