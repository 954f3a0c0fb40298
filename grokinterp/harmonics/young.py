"""Young's orthogonal form: every irreducible representation of S_n, by partition."""

import math
from collections.abc import Iterator
from itertools import groupby

import numpy as np
from jaxtyping import Float

from grokinterp.harmonics.groups import FiniteGroup, symmetric_group

Partition = tuple[int, ...]


def partitions(n: int, largest: int | None = None) -> Iterator[Partition]:
    """Partitions of n, from (n) to (1, ..., 1).

    >>> list(partitions(4))
    [(4,), (3, 1), (2, 2), (2, 1, 1), (1, 1, 1, 1)]
    """
    if n == 0:
        yield ()
        return
    for first in range(min(n, largest or n), 0, -1):
        for rest in partitions(n - first, first):
            yield (first, *rest)


def partition_name(partition: Partition) -> str:
    """In the usual short notation.

    >>> partition_name((2, 1, 1, 1))
    '[2,1^3]'
    """
    runs = [(part, len(list(same))) for part, same in groupby(partition)]
    return "[" + ",".join(f"{part}^{count}" if count > 1 else f"{part}" for part, count in runs) + "]"


def standard_tableaux(partition: Partition) -> list[tuple[int, ...]]:
    """Standard Young tableaux of a shape; each as the row of 1, 2, ..., n.

    >>> standard_tableaux((2, 1))
    [(0, 0, 1), (0, 1, 0)]
    """
    found: list[tuple[int, ...]] = [()]
    for _ in range(sum(partition)):
        grown = []
        for rows in found:
            lengths = [rows.count(r) for r in range(len(partition))]
            for r, length in enumerate(lengths):
                if length < partition[r] and (r == 0 or lengths[r - 1] > length):
                    grown.append((*rows, r))
        found = grown
    return found


def transposition_matrix(partition: Partition, i: int) -> Float[np.ndarray, "d d"]:
    """The matrix of the transposition of i and i + 1 (counted from 0).

    On a tableau T with axial distance r = content(i + 1) - content(i), content = column - row:
    diagonal 1/r, and sqrt(1 - 1/r^2) between T and T with i and i + 1 exchanged.

    **Source:** Young 1931; James and Kerber 1981, section 3.4.
    """
    tableaux = standard_tableaux(partition)
    place = {rows: number for number, rows in enumerate(tableaux)}
    matrix = np.zeros((len(tableaux), len(tableaux)))
    for rows, t in place.items():
        r = _content(rows, i + 1) - _content(rows, i)
        matrix[t, t] = 1 / r
        exchanged = (*rows[:i], rows[i + 1], rows[i], *rows[i + 2 :])
        if exchanged in place and exchanged != rows:
            matrix[t, place[exchanged]] = math.sqrt(1 - 1 / r**2)
    return matrix


def _content(rows: tuple[int, ...], i: int) -> int:
    """Column minus row of the box that holds i."""
    return rows[:i].count(rows[i]) - rows[i]


def young_matrices(group: FiniteGroup, degree: int, partition: Partition) -> Float[np.ndarray, "order d d"]:
    """rho(g) for every g of the symmetric group, with rho(x.y) = rho(x) rho(y) for the group's product."""
    elements = symmetric_group(degree)
    index = {tuple(element): i for i, element in enumerate(elements.tolist())}
    generators = []
    for i in range(degree - 1):
        swap = list(range(degree))
        swap[i], swap[i + 1] = swap[i + 1], swap[i]
        generators.append((index[tuple(swap)], transposition_matrix(partition, i)))
    d = len(standard_tableaux(partition))
    matrices = np.zeros((group.order, d, d))
    matrices[group.identity] = np.eye(d)
    known, frontier = {group.identity}, [group.identity]
    while frontier:
        g = frontier.pop()
        for swap, matrix in generators:
            product = int(group.table[g, swap])
            if product not in known:
                known.add(product)
                matrices[product] = matrices[g] @ matrix
                frontier.append(product)
    return matrices
