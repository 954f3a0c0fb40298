"""Discrete logarithms: the basis in which multiplication mod a prime is addition mod p - 1."""

import numpy as np
from jaxtyping import Int


def is_prime(n: int) -> bool:
    """Trial division; n is at most a few thousand here.

    >>> [n for n in range(12) if is_prime(n)]
    [2, 3, 5, 7, 11]
    """
    return n >= 2 and all(n % d for d in range(2, int(n**0.5) + 1))


def primitive_root(p: int) -> int:
    """The smallest generator of the multiplicative group mod the prime p.

    >>> primitive_root(113), primitive_root(97), primitive_root(7), primitive_root(2)
    (3, 5, 3, 1)
    """
    if not is_prime(p):
        raise ValueError(f"{p} is not prime")
    return next(g for g in range(1, p) if len(set(powers(g, p).tolist())) == p - 1)


def powers(g: int, p: int) -> Int[np.ndarray, " p_minus_1"]:
    """g^0, g^1, ..., g^(p-2) mod p."""
    values = [1]
    for _ in range(p - 2):
        values.append(values[-1] * g % p)
    return np.array(values[: p - 1], dtype=np.int64)
