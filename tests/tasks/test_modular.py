"""Modular operations against slow definitions that share nothing with the code but the words."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.config import MAX_P, MODULAR_OPERATIONS, PARITY_OPERATION
from grokinterp.config.operations import SUM_OPERATIONS, count_pairs
from grokinterp.tasks import build_task
from grokinterp.tasks.modular import modular_coordinates, modular_table, sum_table

MODULI = (2, 3, 5, 7, 12, 13)
MORE_MODULI = (*MODULI, 4, 6, 9, 10, 15)
SYMBOLS = ("x+y", "x-y", "x*y", "x/y")
TWO_OPERANDS = tuple(operation for operation in MODULAR_OPERATIONS if operation not in SUM_OPERATIONS)
POWER_2022 = (
    "x+y",
    "x-y",
    "x/y",
    PARITY_OPERATION,
    "x^2+y^2",
    "x^2+xy+y^2",
    "x^2+xy+y^2+x",
    "x^3+xy",
    "x^3+xy^2+y",
)
"""The nine operations mod 97 of appendix A.1.1."""

WHOLE_NUMBERS = {
    "x+y": lambda x, y: x + y,
    "x-y": lambda x, y: x - y,
    "x*y": lambda x, y: sum(x for _ in range(y)),
    "x^2+y^2": lambda x, y: x * x + y * y,
    "x^2+xy+y^2": lambda x, y: (x + y) * (x + y) - x * y,
    "x^2+xy+y^2+x": lambda x, y: (x + y) * (x + y) - x * y + x,
    "x^3+xy": lambda x, y: x * (x * x + y),
    "x^3+xy^2+y": lambda x, y: x * (x * x + y * y) + y,
}


def remainder(total, n):
    """The one c in 0..n-1 that differs from the total by a multiple of n."""
    (answer,) = [c for c in range(n) if divmod(total - c, n)[1] == 0]
    return answer


def quotient(x, y, n):
    """The c with c y = x, found by trying all; -1 where y has no inverse."""
    if not any(y * z % n == 1 % n for z in range(n)):
        return -1
    (answer,) = [c for c in range(n) if c * y % n == x]
    return answer


def slow_answer(operation, x, y, n):
    if operation == PARITY_OPERATION:
        return quotient(x, y, n) if y in range(1, n, 2) else remainder(x - y, n)
    if operation == "x/y":
        return quotient(x, y, n)
    return remainder(WHOLE_NUMBERS[operation](x, y), n)


def slow_table(operation, n):
    return [[slow_answer(operation, x, y, n) for y in range(n)] for x in range(n)]


@pytest.mark.parametrize("n", MORE_MODULI)
@pytest.mark.parametrize("operation", TWO_OPERANDS)
def test_every_entry_is_the_slow_definition_s(operation, n):
    assert modular_table(operation, n).tolist() == slow_table(operation, n)


@pytest.mark.parametrize("operation", POWER_2022)
def test_mod_97_the_tables_and_their_numbers_of_equations_are_those_of_power_et_al(operation):
    config = gi.TaskConfig(operation=operation, p=97)
    task = build_task(config)
    assert task.table.tolist() == slow_table(operation, 97)
    equations = {"x/y": 97 * 96}.get(operation, 97 * 97)
    assert equations in (9312, 9409)
    assert config.n_pairs == len(task.pairs()[0]) == equations
    assert task.n_answers == 97


@pytest.mark.parametrize("operation", WHOLE_NUMBERS)
def test_at_the_largest_modulus_nothing_overflows(operation):
    table = modular_table(operation, MAX_P)
    for x, y in itertools.product((0, 1, 359, 718, 719), repeat=2):
        assert table[x, y] == remainder(WHOLE_NUMBERS[operation](x, y), MAX_P)


@pytest.mark.parametrize(
    ("n", "units"), [(2, [1]), (7, [1, 2, 3, 4, 5, 6]), (12, [1, 5, 7, 11]), (9, [1, 2, 4, 5, 7, 8])]
)
def test_division_is_defined_exactly_for_invertible_divisors(n, units):
    defined = modular_table("x/y", n) >= 0
    assert np.flatnonzero(defined.all(axis=0)).tolist() == units
    assert defined.sum() == n * len(units)


def test_the_mixed_operation_divides_by_odd_y_alone_and_zero_is_even():
    table = modular_table(PARITY_OPERATION, 7)
    assert table[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert table[3].tolist() == [3, 3, 1, 1, 6, 2, 4]  # 3-0, 3/1, 3-2, 3/3, 3-4, 3/5 = 3*3, 3-6
    assert modular_table(PARITY_OPERATION, 15)[4, 3] == -1  # 3 has no inverse mod 15


def test_an_unknown_operation_is_refused():
    with pytest.raises(ValueError, match="no modular operation"):
        modular_table("x^y", 5)


@pytest.mark.parametrize(("n", "terms"), [(2, 3), (5, 3), (6, 3), (2, 4), (3, 4), (5, 4)])
def test_a_sum_of_several_terms_has_every_combination_of_operands_in_order(n, terms):
    operation = {3: "x+y+z", 4: "x+y+z+w"}[terms]
    config = gi.TaskConfig(operation=operation, p=n, frac_train=0.5)
    task = build_task(config)
    combinations = list(itertools.product(range(n), repeat=terms))
    assert sum_table(n, terms).tolist() == task.table.tolist()
    assert task.table.shape == (n ** (terms - 1), n)
    assert task.table.flatten().tolist() == [remainder(sum(operands), n) for operands in combinations]
    assert config.n_pairs == len(combinations)
    assert config.n_operands == task.layout.n_operands == terms
    columns = task.layout.operands(*task.pairs())
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == combinations
    assert task.coordinates is None
    assert f"{terms} terms" in task.structure


@pytest.mark.parametrize("n", [*MORE_MODULI, 97, 113])
def test_pairs_are_counted_without_the_table_as_in_the_table(n):
    for operation in TWO_OPERANDS:
        assert count_pairs(operation, n) == int((modular_table(operation, n) >= 0).sum()), operation
    if n <= 12:
        assert count_pairs("x+y+z", n) == sum_table(n, 3).size
    if n <= 6:
        assert count_pairs("x+y+z+w", n) == sum_table(n, 4).size


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.sampled_from(SYMBOLS), st.sampled_from(MODULI))
def test_the_coordinates_turn_the_operation_into_addition(operation, n):
    """coordinate i holds residue left[i]; answers[i + j mod m] must be left[i] op right[j]."""
    coordinates, structure = modular_coordinates(operation, n)
    if coordinates is None:
        assert n == 12
        assert operation in ("x*y", "x/y")
        assert "not prime" in structure
        return
    table, size = modular_table(operation, n), len(coordinates.answer)
    for i, x in enumerate(coordinates.left):
        for j, y in enumerate(coordinates.right):
            assert table[x, y] == coordinates.answer[(i + j) % size]
    zeros = 0 if coordinates.label == "additive" else 1
    assert size == n - zeros
    for order in (coordinates.left, coordinates.right, coordinates.answer):
        assert sorted(order.tolist()) == list(range(zeros, n))


@pytest.mark.parametrize("operation", [name for name in TWO_OPERANDS if name not in SYMBOLS])
def test_the_other_operations_have_no_coordinates_and_say_so(operation):
    coordinates, why = modular_coordinates(operation, 13)
    assert coordinates is None
    assert "no addition on a cyclic group" in why
