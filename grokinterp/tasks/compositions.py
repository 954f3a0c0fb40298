"""Operations in a finite group: the product, conjugation, and x.y.x."""

import numpy as np
from jaxtyping import Int

from grokinterp.harmonics.groups import FiniteGroup


def group_operation_table(operation: str, group: FiniteGroup) -> Int[np.ndarray, "n n"]:
    """table[x, y] of x.y, x.y.x^-1 or x.y.x (Power et al. 2022, appendix A.1.1).

    >>> from grokinterp.harmonics.groups import parse_group
    >>> group_operation_table("x.y.x", parse_group("C5"))[3].tolist()  # 2 * 3 + y
    [1, 2, 3, 4, 0]
    """
    product, x = group.table, np.arange(group.order)[:, None]
    match operation:
        case "x.y":
            return product
        case "x.y.x^-1":
            return product[product, group.inverse[:, None]]
        case "x.y.x":
            return product[product, x]
    raise ValueError(f"no operation {operation!r} in a group")
