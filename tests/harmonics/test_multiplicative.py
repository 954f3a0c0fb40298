import numpy as np
import pytest
from oracles import build

from grokinterp.harmonics.multiplicative import is_prime, powers, primitive_root


@pytest.mark.parametrize("p", [2, 3, 5, 7, 12, 13, 31])
@pytest.mark.parametrize("operation", ["x+y", "x-y", "x*y", "x/y"])
def test_in_natural_coordinates_every_operation_is_addition(operation, p):
    task = build(operation, p)
    c = task.coordinates
    if c is None:
        assert not is_prime(p)
        assert operation in ("x*y", "x/y")
        assert "not prime" in task.structure
        return
    i, j = np.arange(c.n)[:, None], np.arange(c.n)[None, :]
    assert np.array_equal(task.table[c.left[i], c.right[j]], c.answer[(i + j) % c.n])


@pytest.mark.parametrize("operation", ["x*y", "x/y"])
def test_discrete_logarithms_leave_out_zero_and_nothing_else(operation):
    c = build(operation, 13).coordinates
    for elements in (c.left, c.right, c.answer):
        assert sorted(elements.tolist()) == list(range(1, 13))


@pytest.mark.parametrize("p", [3, 5, 7, 13, 23, 41])
def test_the_primitive_root_is_the_smallest_generator(p):
    orders = {g: next(m for m in range(1, p) if pow(g, m, p) == 1) for g in range(1, p)}
    assert primitive_root(p) == min(g for g, order in orders.items() if order == p - 1)
    assert powers(primitive_root(p), p).tolist() == [pow(primitive_root(p), m, p) for m in range(p - 1)]


@pytest.mark.parametrize("n", [4, 9, 12])
def test_a_composite_modulus_has_no_primitive_root(n):
    with pytest.raises(ValueError, match=f"{n} is not prime"):
        primitive_root(n)
