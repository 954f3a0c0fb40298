"""Names of finite groups: C7, D5, S4, A5, and direct products such as C2xS3."""

import math
import re

FACTOR = re.compile(r"([CDSA])([1-9]\d{0,3})")
EXAMPLES = "C7, D5, S4, A5, or a product such as C2xS3"


def group_factors(name: str) -> list[tuple[str, int]]:
    """Kind and number of each direct factor.

    Raises:
        ValueError: not a name of a group.

    >>> group_factors("C2xS3")
    [('C', 2), ('S', 3)]
    """
    matches = [FACTOR.fullmatch(factor) for factor in name.split("x")]
    if not all(matches):
        raise ValueError(f"{name!r} names no group; say {EXAMPLES}")
    return [(match[1], int(match[2])) for match in matches if match]


def group_order(name: str) -> int:
    """Number of elements; D_n has 2n.

    Raises:
        ValueError: not a name of a group.

    >>> [group_order(name) for name in ("C7", "D5", "S4", "A5", "C2xS3")]
    [7, 10, 24, 60, 12]
    """
    order = 1
    for kind, n in group_factors(name):
        if kind in "SA" and n > 9:
            raise ValueError(f"{name!r} is too large; symmetric groups go up to S9")
        order *= {"C": n, "D": 2 * n}.get(kind) or max(math.factorial(n) // (2 if kind == "A" else 1), 1)
    return order
