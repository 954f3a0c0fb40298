"""Elements of groups under other people's indices: found from a table, and renumbered without changing the product."""

import itertools

import numpy as np
import pytest
import torch

from grokinterp.harmonics.groups import parse_group, symmetric_group
from grokinterp.runs.importers.numbering import groups_of_order, numberings, settle

NAMES = ("C6", "D4", "S3", "S4", "A4", "A5", "C2xS3")


def compose(x, y):
    """First x, then y."""
    return tuple(y[i] for i in x)


def sympy_order(degree):
    """What Chughtai et al. number by: the elements that sympy lists."""
    from sympy.combinatorics.named_groups import SymmetricGroup

    return [tuple(g.array_form) for g in SymmetricGroup(degree).elements]


@pytest.mark.parametrize("group", NAMES)
def test_every_numbering_names_each_element_once_and_has_a_group_s_table(group):
    order = parse_group(group).order
    found = list(numberings(group))
    assert found[0].is_ours
    for numbering in found:
        assert sorted(numbering.ours) == list(range(order))
        table, product = numbering.table(group), parse_group(group).table
        for i, j in itertools.product(range(0, order, 3), range(order)):
            assert numbering.ours[table[i, j]] == product[numbering.ours[i], numbering.ours[j]]


@pytest.mark.parametrize("degree", [4, 5])
def test_permutations_as_sympy_lists_them_are_found_by_their_products(degree):
    elements = sympy_order(degree)
    index = {g: i for i, g in enumerate(elements)}
    table = np.array([[index[compose(x, y)] for y in elements] for x in elements])
    found = settle(table, [f"S{degree}"], "it")
    assert "sympy" in found.note
    assert "agrees with 100.0%" in found.note
    assert found.task == {"operation": "x.y", "group": f"S{degree}"}
    assert [tuple(symmetric_group(degree)[i]) for i in found.numbering.ours] == elements


@pytest.mark.parametrize(("group", "sign"), [("S4", "even permutations first"), ("D5", "rotation and reflection")])
def test_other_orders_are_found(group, sign):
    (numbering,) = [found for found in numberings(group) if found.name.startswith(sign) and "y.x" not in found.name]
    assert settle(numbering.table(group), [group], "it").note.count(sign) == 1


def test_the_even_permutations_come_first_each_side_in_lexicographic_order():
    (numbering,) = [found for found in numberings("S3") if found.name == "even permutations first"]
    assert symmetric_group(3)[numbering.ours].tolist() == [
        [0, 1, 2],
        [1, 2, 0],
        [2, 0, 1],
        [0, 2, 1],
        [1, 0, 2],
        [2, 1, 0],
    ]


def test_the_product_in_the_other_order_is_the_product_of_the_inverses_names():
    table = parse_group("S3").table.T
    found = settle(table, ["S3"], "it")
    assert "y.x" in found.note
    assert "100.0%" in found.note
    assert np.array_equal(found.numbering.table("S3"), table)


def test_a_group_in_an_order_of_its_own_keeps_its_table():
    shuffled = np.random.default_rng(0).permutation(24)
    table = np.argsort(shuffled)[parse_group("S4").table[np.ix_(shuffled, shuffled)]]
    found = settle(table, ["S4"], "the network")
    assert found.task["operation"] == "custom"
    assert np.array_equal(found.task["table"], table)
    assert found.numbering.is_ours
    assert "numbering of its own" in found.note


def test_a_table_that_is_no_group_s_gets_the_best_candidate_with_its_share():
    table = np.random.default_rng(0).integers(0, 6, (6, 6))
    found = settle(table, ["S3", "C6"], "the network")
    best = max((n.table(g) == table).mean() for g in ("S3", "C6") for n in numberings(g))
    assert f"agrees with {best:.1%}" in found.note
    assert found.task["operation"] == "x.y"


def test_a_few_wrong_answers_change_neither_group_nor_numbering():
    (numbering,) = [n for n in numberings("S4") if n.name == "permutations in sympy's order"]
    table = numbering.table("S4").copy()
    table[3, :] = 0
    found = settle(table, groups_of_order(24), "the network")
    assert found.task["group"] == "S4"
    assert np.array_equal(found.numbering.ours, numbering.ours)


def test_rows_and_pairs_follow_their_elements_and_other_rows_stay():
    for numbering in numberings("S3"):
        values = torch.arange(8.0)
        moved = numbering.rows(values)
        assert all(moved[numbering.ours[i]] == i for i in range(6))
        assert moved[6:].tolist() == [6, 7]
        assert torch.equal(numbering.rows(values[None], dim=1)[0], moved)
        mask = np.zeros((6, 6), dtype=bool)
        mask[1, 4] = True
        assert np.argwhere(numbering.pairs(mask)).tolist() == [[numbering.ours[1], numbering.ours[4]]]


@pytest.mark.parametrize(
    ("n", "names"), [(6, ["S3", "D3", "C6"]), (60, ["A5", "D30", "C60"]), (7, ["C7"]), (4, ["C4"])]
)
def test_groups_are_proposed_by_their_order(n, names):
    assert groups_of_order(n) == names
    assert all(parse_group(name).order == n for name in names)
