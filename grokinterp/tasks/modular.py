"""Addition, subtraction, multiplication and division modulo n, prime or composite."""

import math

import numpy as np
from jaxtyping import Int

from grokinterp.harmonics.cyclic import CyclicCoordinates
from grokinterp.harmonics.multiplicative import is_prime, powers, primitive_root


def modular_table(operation: str, n: int) -> Int[np.ndarray, "n n"]:
    """table[x, y] = x op y mod n; division is x times the inverse of y, -1 where y has none.

    >>> modular_table("x/y", 5)[3].tolist()  # 3/1, 3/2 = 3 * 3, ...
    [-1, 3, 4, 1, 2]
    """
    x, y = np.arange(n)[:, None], np.arange(n)[None, :]
    match operation:
        case "x+y":
            return (x + y) % n
        case "x-y":
            return (x - y) % n
        case "x*y":
            return (x * y) % n
        case "x/y":
            inverse = np.array([pow(b, -1, n) if math.gcd(b, n) == 1 else -1 for b in range(n)])
            return np.where(inverse[None, :] >= 0, x * inverse[None, :] % n, -1)
    raise ValueError(f"no modular operation {operation!r}")


def modular_coordinates(operation: str, n: int) -> tuple[CyclicCoordinates | None, str]:
    """The isomorphism of the operation with addition on a cyclic group, and what it is.

    +: a, b, c themselves. -: b counted backwards. * and / mod a prime: discrete logarithms to the
    smallest primitive root, on the pairs without a zero. Composite n has no discrete logarithm.
    """
    residues = np.arange(n)
    if operation == "x+y":
        return CyclicCoordinates(residues, residues, residues, "additive"), f"addition on Z_{n}"
    if operation == "x-y":
        backwards = (-residues) % n
        return CyclicCoordinates(residues, backwards, residues, "additive"), f"addition on Z_{n}, b negated"
    if not is_prime(n):
        return None, f"{operation} mod {n} has no discrete logarithm, because {n} is not prime"
    root = primitive_root(n)
    logs = powers(root, n)
    right = logs if operation == "x*y" else logs[(-np.arange(n - 1)) % (n - 1)]
    what = f"discrete logarithm to the root {root}: addition on Z_{n - 1}, pairs without zero"
    return CyclicCoordinates(logs, right, logs, "multiplicative"), what
