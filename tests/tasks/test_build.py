"""From a config to a task."""

import pytest

import grokinterp as gi
from grokinterp.tasks import build_task


@pytest.mark.parametrize(
    ("alias", "name"), [("add", "x+y"), ("subtract", "x-y"), ("multiply", "x*y"), ("divide", "x/y")]
)
def test_an_alias_is_the_operation_itself(alias, name):
    config = gi.TaskConfig(operation=alias, p=7)
    assert config.operation == name
    assert (build_task(config).table == build_task(gi.TaskConfig(operation=name, p=7)).table).all()


@pytest.mark.parametrize(("group", "order"), [("S3", 6), ("S4", 24), ("S5", 120)])
def test_a_group_has_its_order_and_no_fourier_coordinates(group, order):
    task = build_task(gi.TaskConfig(operation="compose", group=group))
    assert task.table.shape == (order, order)
    assert task.n_answers == order
    assert task.coordinates is None
    assert "not cyclic" in task.structure


@pytest.mark.parametrize(("operation", "p"), [("x/y", 12), ("x/y", 5), ("x*y", 3)])
def test_pairs_are_a_major_and_only_the_defined_ones(operation, p):
    task = build_task(gi.TaskConfig(operation=operation, p=p, frac_train=0.5))
    left, right = task.pairs()
    expected = [(a, b) for a in range(p) for b in range(p) if task.table[a, b] != -1]
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == expected
