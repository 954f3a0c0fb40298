"""Operations modulo n, prime or composite: their tables, and which of them are addition in disguise."""

import math
from collections.abc import Callable
from functools import reduce

import numpy as np
from jaxtyping import Int

from grokinterp.config import PARITY_OPERATION
from grokinterp.harmonics.cyclic import CyclicCoordinates
from grokinterp.harmonics.multiplicative import is_prime, powers, primitive_root

Grid = Int[np.ndarray, "..."]

POLYNOMIALS: dict[str, Callable[[Grid, Grid], Grid]] = {
    "x+y": lambda x, y: x + y,
    "x-y": lambda x, y: x - y,
    "x*y": lambda x, y: x * y,
    "x^2+y^2": lambda x, y: x**2 + y**2,
    "x^2+xy+y^2": lambda x, y: x**2 + x * y + y**2,
    "x^2+xy+y^2+x": lambda x, y: x**2 + x * y + y**2 + x,
    "x^3+xy": lambda x, y: x**3 + x * y,
    "x^3+xy^2+y": lambda x, y: x**3 + x * y**2 + y,
}
"""Those of Power et al. 2022 (appendix A.1.1) and x*y, over the integers; 720^3 fits an int64."""


def modular_table(operation: str, n: int) -> Int[np.ndarray, "n n"]:
    """table[x, y] = x op y mod n; division is x times the inverse of y, -1 where y has none.

    >>> modular_table("x/y", 5)[3].tolist()  # 3/1, 3/2 = 3 * 3, ...
    [-1, 3, 4, 1, 2]
    """
    x, y = np.arange(n)[:, None], np.arange(n)[None, :]
    if operation in POLYNOMIALS:
        return POLYNOMIALS[operation](x, y) % n
    if operation in ("x/y", PARITY_OPERATION):
        inverse = np.array([pow(b, -1, n) if math.gcd(b, n) == 1 else -1 for b in range(n)])[None, :]
        quotient = np.where(inverse >= 0, x * inverse % n, -1)
        return quotient if operation == "x/y" else np.where(y % 2 == 1, quotient, (x - y) % n)
    raise ValueError(f"no modular operation {operation!r}")


def sum_table(n: int, terms: int) -> Int[np.ndarray, "n_left n"]:
    """table[l, y] = the digits of l to the base n, and y, added up mod n; l has `terms` - 1 digits.

    >>> sum_table(3, 3)[5].tolist()  # 5 is 12 to the base 3: 1 + 2 + 0, ...
    [0, 1, 2]
    """
    grids = np.ogrid[tuple(slice(n) for _ in range(terms))]
    return (reduce(np.add, grids) % n).reshape(n ** (terms - 1), n)


def modular_coordinates(operation: str, n: int) -> tuple[CyclicCoordinates | None, str]:
    """The isomorphism of the operation with addition on a cyclic group, and what it is.

    +: a, b, c themselves. -: b counted backwards. * and / mod a prime: discrete logarithms to the
    smallest primitive root, on the pairs without a zero. Composite n has no discrete logarithm, and the
    other operations are no addition.
    """
    residues = np.arange(n)
    if operation == "x+y":
        return CyclicCoordinates(residues, residues, residues, "additive"), f"addition on Z_{n}"
    if operation == "x-y":
        backwards = (-residues) % n
        return CyclicCoordinates(residues, backwards, residues, "additive"), f"addition on Z_{n}, b negated"
    if operation not in ("x*y", "x/y"):
        return None, f"{operation} is no addition on a cyclic group in other coordinates"
    if not is_prime(n):
        return None, f"{operation} mod {n} has no discrete logarithm, because {n} is not prime"
    root = primitive_root(n)
    logs = powers(root, n)
    right = logs if operation == "x*y" else logs[(-np.arange(n - 1)) % (n - 1)]
    what = f"discrete logarithm to the root {root}: addition on Z_{n - 1}, pairs without zero"
    return CyclicCoordinates(logs, right, logs, "multiplicative"), what
