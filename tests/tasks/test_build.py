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


@pytest.mark.parametrize(("group", "order"), [("S3", 6), ("S5", 120), ("A4", 12), ("D7", 14), ("C2xS3", 12)])
def test_a_group_has_its_order_and_no_fourier_coordinates(group, order):
    task = build_task(gi.TaskConfig(operation="compose", group=group))
    assert task.table.shape == (order, order)
    assert task.n_answers == order
    assert task.coordinates is None
    assert "irreducible representations" in task.structure
    assert task.group.group.name == group


@pytest.mark.parametrize(("operation", "p"), [("x/y", 12), ("x/y", 5), ("x*y", 3)])
def test_pairs_are_a_major_and_only_the_defined_ones(operation, p):
    task = build_task(gi.TaskConfig(operation=operation, p=p, frac_train=0.5))
    left, right = task.pairs()
    expected = [(a, b) for a in range(p) for b in range(p) if task.table[a, b] != -1]
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == expected


def test_a_cyclic_group_is_addition_and_has_frequencies():
    task, sums = build_task(gi.TaskConfig(operation="x.y", group="C12")), build_task(gi.TaskConfig(p=12))
    assert (task.table == sums.table).all()
    assert task.coordinates.n == 12
    assert task.group.group.name == sums.group.group.name == "C12"


@pytest.mark.parametrize(("operation", "p", "name"), [("x-y", 6, "C6"), ("x*y", 7, "C6"), ("x/y", 5, "C4")])
def test_the_group_of_a_modular_operation_is_cyclic_in_its_own_coordinates(operation, p, name):
    task = build_task(gi.TaskConfig(operation=operation, p=p, frac_train=0.5))
    g = task.group
    assert g.group.name == name
    assert (task.table[g.left[:, None], g.right[None, :]] == g.answer[g.group.table]).all()


def test_an_operation_without_a_group_has_none():
    assert build_task(gi.TaskConfig(operation="x*y", p=12)).group is None
