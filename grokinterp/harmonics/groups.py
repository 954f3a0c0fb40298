"""Finite groups as multiplication tables: C_n, D_n, S_n, A_n and their direct products."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import permutations

import numpy as np
from jaxtyping import Int

from grokinterp.group_names import group_factors


@dataclass(frozen=True, eq=False, repr=False)
class FiniteGroup:
    """A group by its table: `table[x, y]` is the index of x.y.

    name: "S5", "C2xD3", ...; empty for a group that was recognised from its table alone.
    """

    name: str
    table: Int[np.ndarray, "order order"]

    def __repr__(self) -> str:
        return f"FiniteGroup({self.name or 'unnamed'}, order {self.order})"

    @property
    def order(self) -> int:
        """Number of elements."""
        return len(self.table)

    @cached_property
    def identity(self) -> int:
        """Index of the neutral element."""
        return int(np.nonzero((self.table == np.arange(self.order)[None, :]).all(axis=1))[0][0])

    @cached_property
    def inverse(self) -> Int[np.ndarray, " order"]:
        """`inverse[x]` is the index of x^-1."""
        return (self.table == self.identity).argmax(axis=1)

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of the direct factors; empty for an unnamed group."""
        return tuple(self.name.split("x")) if self.name else ()


@dataclass(frozen=True, eq=False)
class GroupCoordinates:
    """An isomorphism of an operation with the product of a group.

    `table[left[g], right[h]] == answer[g.h]` for all g, h.
    """

    left: Int[np.ndarray, " order"]
    right: Int[np.ndarray, " order"]
    answer: Int[np.ndarray, " order"]
    group: FiniteGroup


@lru_cache(maxsize=32)
def parse_group(name: str) -> FiniteGroup:
    """The group of a name: C7, D5 (order 10), S4, A5, or a product such as C2xS3.

    Elements of D_n are r^i s^j at index i + n j; permutations are in lexicographic order, and x.y is
    first x, then y, as in Power et al. 2022. In a product the last factor runs fastest.

    Raises:
        ValueError: no such name.

    >>> [parse_group(name).order for name in ("C7", "D5", "S4", "A5", "C2xS3")]
    [7, 10, 24, 60, 12]
    """
    tables = [_factor_table(kind, n) for kind, n in group_factors(name)]
    table = tables[0]
    for other in tables[1:]:
        n = len(other)
        table = (table[:, None, :, None] * n + other[None, :, None, :]).reshape(len(table) * n, -1)
    return FiniteGroup(name, table)


def _factor_table(kind: str, n: int) -> Int[np.ndarray, "order order"]:
    if kind == "C":
        return (np.arange(n)[:, None] + np.arange(n)[None, :]) % n
    if kind == "D":
        return _dihedral_table(n)
    elements = symmetric_group(n)
    return composition_table(elements if kind == "S" else elements[parities(elements) == 0])


def _dihedral_table(n: int) -> Int[np.ndarray, "order order"]:
    """r^i s^j . r^k s^l = r^(i + (-1)^j k) s^(j + l)."""
    i, j = np.arange(2 * n) % n, np.arange(2 * n) // n
    turn = (i[:, None] + np.where(j[:, None] == 1, -1, 1) * i[None, :]) % n
    return turn + n * ((j[:, None] + j[None, :]) % 2)


def symmetric_group(degree: int) -> Int[np.ndarray, "order degree"]:
    """All permutations of 0..degree-1 in lexicographic order, one a row; the first is the identity."""
    return np.array(list(permutations(range(degree))), dtype=np.int64)


def parities(elements: Int[np.ndarray, "order degree"]) -> Int[np.ndarray, " order"]:
    """0 for even permutations, 1 for odd ones: the number of inversions mod 2."""
    degree = elements.shape[1]
    inversions = sum(elements[:, i] > elements[:, j] for i in range(degree) for j in range(i + 1, degree))
    return np.zeros(len(elements), dtype=np.int64) + inversions % 2


def composition_table(elements: Int[np.ndarray, "order degree"]) -> Int[np.ndarray, "order order"]:
    """table[x, y] = index of x.y, where (x.y)(i) = y(x(i)): first x, then y, as in Power et al. 2022.

    >>> table = composition_table(symmetric_group(3))
    >>> bool((table == table.T).all()), sorted(table[4].tolist())
    (False, [0, 1, 2, 3, 4, 5])
    """
    degree = elements.shape[1]
    code = degree ** np.arange(degree)
    codes = elements @ code
    order = np.argsort(codes)
    products = np.stack([y[elements] for y in elements], axis=1)  # [x, y, i] = y(x(i))
    return order[np.searchsorted(codes[order], products @ code)]


def recognise(table: Int[np.ndarray, "n_left n_right"]) -> FiniteGroup | None:
    """The group whose table this is, without a name, or None if it is none.

    Neutral element, inverses and associativity are checked; elements are any numbering of 0..n-1.
    """
    n = len(table)
    if table.shape != (n, n) or table.min(initial=0) < 0 or table.max(initial=0) >= n:
        return None
    here = np.arange(n)
    neutral = np.nonzero((table == here[None, :]).all(axis=1) & (table == here[:, None]).all(axis=0))[0]
    if len(neutral) != 1 or not (np.sort(table, axis=1) == here[None, :]).all():
        return None
    associative = all(np.array_equal(table[table[x]], table[x][table]) for x in range(n))
    return FiniteGroup("", table) if associative else None
