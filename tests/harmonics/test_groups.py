"""The symmetric groups are groups, and x.y means first x, then y."""

from itertools import permutations

import numpy as np
import pytest

from grokinterp.harmonics.groups import composition_table, symmetric_group

ORDERS = {3: 6, 4: 24, 5: 120}


@pytest.fixture(scope="module", params=list(ORDERS), ids=lambda degree: f"S{degree}")
def group(request):
    elements = symmetric_group(request.param)
    return elements, composition_table(elements)


def test_the_elements_are_all_permutations_once(group):
    elements, _ = group
    degree = elements.shape[1]
    assert len(elements) == ORDERS[degree]
    assert {tuple(e) for e in elements.tolist()} == set(permutations(range(degree)))


def test_the_identity_comes_first_and_does_nothing(group):
    elements, table = group
    assert elements[0].tolist() == list(range(elements.shape[1]))
    everything = np.arange(len(table))
    assert (table[0] == everything).all()
    assert (table[:, 0] == everything).all()


def test_each_row_and_column_holds_each_answer_once(group):
    _, table = group
    everything = np.arange(len(table))
    assert (np.sort(table, axis=0) == everything[:, None]).all()
    assert (np.sort(table, axis=1) == everything[None, :]).all()


def test_composition_is_associative(group):
    _, table = group
    triples = np.random.default_rng(5).integers(len(table), size=(3, 4000))
    x, y, z = triples
    assert (table[table[x, y], z] == table[x, table[y, z]]).all()


def test_inverses_work_on_both_sides(group):
    elements, table = group
    index = {tuple(e): i for i, e in enumerate(elements.tolist())}
    for i, element in enumerate(elements.tolist()):
        inverse = index[tuple(element.index(j) for j in range(len(element)))]
        assert table[i, inverse] == 0 == table[inverse, i]


def test_the_table_applies_the_first_operand_first(group):
    elements, table = group
    letters = "abcde"[: elements.shape[1]]
    for x, y in np.random.default_rng(7).integers(len(table), size=(50, 2)):
        for position in range(len(letters)):
            after_x = elements[x][position]
            assert elements[table[x, y]][position] == elements[y][after_x]


def test_two_transpositions_of_s3_compose_as_by_hand():
    elements = symmetric_group(3)
    swap01, swap12 = [1, 0, 2], [0, 2, 1]
    i, j = elements.tolist().index(swap01), elements.tolist().index(swap12)
    # first swap 0 and 1, then swap 1 and 2: 0 -> 1 -> 2, 1 -> 0 -> 0, 2 -> 2 -> 1
    assert elements[composition_table(elements)[i, j]].tolist() == [2, 0, 1]
    assert elements[composition_table(elements)[j, i]].tolist() == [1, 2, 0]
