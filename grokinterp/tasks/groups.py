"""Symmetric groups as composition tables."""

from itertools import permutations

import numpy as np
from jaxtyping import Int


def symmetric_group(degree: int) -> Int[np.ndarray, "order degree"]:
    """All permutations of 0..degree-1 in lexicographic order, one a row; the first is the identity."""
    return np.array(list(permutations(range(degree))), dtype=np.int64)


def composition_table(elements: Int[np.ndarray, "order degree"]) -> Int[np.ndarray, "order order"]:
    """table[x, y] = index of x.y, where (x.y)(i) = y(x(i)): first x, then y, as in Power et al. 2022.

    >>> s3 = symmetric_group(3)
    >>> table = composition_table(s3)
    >>> bool((table == table.T).all()), sorted(table[4].tolist())
    (False, [0, 1, 2, 3, 4, 5])
    """
    index = {tuple(e): i for i, e in enumerate(elements.tolist())}
    products = [[index[tuple(y[x].tolist())] for y in elements] for x in elements]
    return np.array(products, dtype=np.int64)
