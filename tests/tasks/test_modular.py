"""Modular operations against a slow definition that shares nothing with the code but the words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokinterp.tasks.modular import modular_coordinates, modular_table

MODULI = (2, 3, 5, 7, 12, 13)
SYMBOLS = ("x+y", "x-y", "x*y", "x/y")


def slow_answer(operation, x, y, n):
    """Counts; division is the one c with c y = x, and undefined where y has no inverse."""
    if operation == "x/y":
        if not any(y * z % n == 1 % n for z in range(n)):
            return -1
        (answer,) = [c for c in range(n) if c * y % n == x]
        return answer
    total = {"x+y": x + y, "x-y": x - y, "x*y": x * y}[operation]
    while total < 0:
        total += n
    while total >= n:
        total -= n
    return total


@pytest.mark.parametrize("n", [*MODULI, 6, 9, 15])
@pytest.mark.parametrize("operation", SYMBOLS)
def test_every_entry_is_the_slow_definition_s(operation, n):
    table = modular_table(operation, n)
    assert table.tolist() == [[slow_answer(operation, x, y, n) for y in range(n)] for x in range(n)]


@pytest.mark.parametrize(
    ("n", "units"), [(2, [1]), (7, [1, 2, 3, 4, 5, 6]), (12, [1, 5, 7, 11]), (9, [1, 2, 4, 5, 7, 8])]
)
def test_division_is_defined_exactly_for_invertible_divisors(n, units):
    defined = modular_table("x/y", n) >= 0
    assert np.flatnonzero(defined.all(axis=0)).tolist() == units
    assert defined.sum() == n * len(units)


def test_an_unknown_operation_is_refused():
    with pytest.raises(ValueError, match="no modular operation"):
        modular_table("x^y", 5)


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
