"""Operations in groups against permutations as tuples, composed by hand."""

import itertools
import random

import pytest

import grokinterp as gi
from grokinterp.harmonics.groups import parse_group
from grokinterp.tasks import build_task
from grokinterp.tasks.compositions import group_operation_table

OPERATIONS = ("x.y", "x.y.x^-1", "x.y.x")


def then(x, y):
    """First x, then y."""
    return tuple(y[x[i]] for i in range(len(x)))


def undo(x):
    """The permutation that takes everything back, found by trying all places."""
    return tuple(next(i for i in range(len(x)) if x[i] == place) for place in range(len(x)))


def is_even(x):
    """An even number of cycles of even length."""
    seen, even_cycles = set(), 0
    for start in range(len(x)):
        length, i = 0, start
        while i not in seen:
            seen.add(i)
            i, length = x[i], length + 1
        even_cycles += length > 0 and length % 2 == 0
    return even_cycles % 2 == 0


def symmetric(n):
    return sorted(itertools.permutations(range(n)))


def dihedral(n):
    """Corner z goes to z + i, or to i - z: turns first, then reflections."""
    turns = [tuple((z + i) % n for z in range(n)) for i in range(n)]
    return turns + [tuple((i - z) % n for z in range(n)) for i in range(n)]


def slow_answer(operation, x, y, product, inverse):
    return {
        "x.y": lambda: product(x, y),
        "x.y.x^-1": lambda: product(product(x, y), inverse(x)),
        "x.y.x": lambda: product(product(x, y), x),
    }[operation]()


def slow_table(operation, elements, product, inverse):
    index = {element: i for i, element in enumerate(elements)}
    return [[index[slow_answer(operation, x, y, product, inverse)] for y in elements] for x in elements]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_in_a_symmetric_group_permutations_follow_each_other(operation, n):
    config = gi.TaskConfig(operation=operation, group=f"S{n}", frac_train=0.5)
    elements = symmetric(n)
    assert build_task(config).table.tolist() == slow_table(operation, elements, then, undo)
    assert config.n_elements == len(elements)


def test_s5_has_the_14400_equations_of_power_et_al():
    for operation in OPERATIONS:
        config = gi.TaskConfig(operation=operation, group="S5")
        assert config.n_pairs == len(build_task(config).pairs()[0]) == 14400


@pytest.mark.parametrize("operation", OPERATIONS)
def test_s6_too(operation):
    task, elements = build_task(gi.TaskConfig(operation=operation, group="S6")), symmetric(6)
    assert task.table.shape == (720, 720)
    stream = random.Random(6)
    for _ in range(2000):
        i, j = stream.randrange(720), stream.randrange(720)
        assert elements[task.table[i, j]] == slow_answer(operation, elements[i], elements[j], then, undo)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("n", [3, 4, 5])
def test_in_an_alternating_group_the_even_ones_do(operation, n):
    elements = [x for x in symmetric(n) if is_even(x)]
    task = build_task(gi.TaskConfig(operation=operation, group=f"A{n}", frac_train=0.5))
    assert task.table.tolist() == slow_table(operation, elements, then, undo)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("n", [3, 4, 5, 7, 12])
def test_in_a_dihedral_group_the_right_factor_moves_the_corners_first(operation, n):
    """r^i s^j . r^k s^l as maps of the corners is the second and then the first."""
    task = build_task(gi.TaskConfig(operation=operation, group=f"D{n}", frac_train=0.5))
    expected = slow_table(operation, dihedral(n), lambda x, y: then(y, x), undo)
    assert task.table.tolist() == expected


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("n", [2, 3, 5, 12])
def test_in_a_cyclic_group_it_is_arithmetic(operation, n):
    task = build_task(gi.TaskConfig(operation=operation, group=f"C{n}", frac_train=0.5))
    formula = {"x.y": lambda x, y: x + y, "x.y.x^-1": lambda x, y: y, "x.y.x": lambda x, y: x + y + x}[operation]
    assert task.table.tolist() == [[formula(x, y) % n for y in range(n)] for x in range(n)]
    assert (task.coordinates is not None) == (operation == "x.y")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_in_a_direct_product_each_part_goes_its_own_way(operation):
    elements = list(itertools.product(range(4), symmetric(3)))

    def product(x, y):
        return ((x[0] + y[0]) % 4, then(x[1], y[1]))

    def inverse(x):
        return (-x[0] % 4, undo(x[1]))

    task = build_task(gi.TaskConfig(operation=operation, group="C4xS3", frac_train=0.5))
    assert task.table.tolist() == slow_table(operation, elements, product, inverse)


@pytest.mark.parametrize("operation", ["x.y.x^-1", "x.y.x"])
def test_what_is_no_product_has_no_coordinates_and_no_named_group(operation):
    task = build_task(gi.TaskConfig(operation=operation, group="S3"))
    assert task.coordinates is None
    assert task.group_name == ""
    assert task.group is None
    assert "no product of a group" in task.structure


def test_another_operation_in_a_group_is_refused():
    with pytest.raises(ValueError, match="no operation"):
        group_operation_table("y.x", parse_group("S3"))
