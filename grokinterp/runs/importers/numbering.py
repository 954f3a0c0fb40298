"""Which element of a group other people's index i is: found by what the network computes, or by their table.

Index and order of elements are a choice. Ours are those of `harmonics.groups.parse_group`: r^i s^j at i + n j,
permutations in lexicographic order, x.y is first x, then y. Networks in another numbering are renumbered, so
that the group keeps its name and its irreducible representations theirs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from grokinterp.harmonics.groups import parities, parse_group, symmetric_group
from grokinterp.harmonics.groups import recognise as group_of_table

ENOUGH = 0.9
"""Agreement from which a named group is taken rather than the table that the network computes by itself."""


@dataclass(frozen=True, eq=False)
class Numbering:
    """Their element i is our element `ours[i]` of the group; `name` says it in words."""

    name: str
    ours: Int[np.ndarray, " order"]

    @property
    def is_ours(self) -> bool:
        """Whether nothing is to be renumbered."""
        return bool((self.ours == np.arange(len(self.ours))).all())

    def table(self, group: str) -> Int[np.ndarray, "order order"]:
        """The product in their numbering: i with `ours[i]` = ours[x] . ours[y]."""
        back = np.argsort(self.ours)
        return back[parse_group(group).table[np.ix_(self.ours, self.ours)]]

    def rows(self, values: Tensor, dim: int = 0) -> Tensor:
        """A tensor by their element as one by ours; rows past the elements ('=') stay where they are."""
        order = np.concatenate([np.argsort(self.ours), np.arange(len(self.ours), values.shape[dim])])
        return values.index_select(dim, torch.from_numpy(order))

    def pairs(self, mask: Bool[np.ndarray, "order order"]) -> Bool[np.ndarray, "order order"]:
        """A mask of their pairs as one of ours."""
        back = np.argsort(self.ours)
        return mask[np.ix_(back, back)]


@dataclass(frozen=True, eq=False)
class Settlement:
    """What is taken as the operation: the task section's fields, the renumbering, and a sentence about both."""

    task: dict[str, Any]
    numbering: Numbering
    note: str


def settle(table: Int[np.ndarray, "n n"], groups: Sequence[str], whose: str) -> Settlement:
    """The named group and numbering that agree with most of a table, or the table itself if it is a group's.

    Args:
        table: `table[x, y]` in their numbering: what the network answers, or what their data say.
        groups: Names to try, all of the table's order.
        whose: Who says the table, for the sentence: "the network", "data.parquet".
    """
    tried = [
        (float((numbering.table(group) == table).mean()), group, numbering)
        for group in groups
        for numbering in numberings(group)
    ]
    share, group, numbering = max(tried, key=lambda one: one[0])  # the first of equals
    if share < ENOUGH and group_of_table(table) is not None:
        task = {"operation": "custom", "table": table.tolist()}
        why = f"the best numbering of {group} agrees with {share:.1%}" if groups else "no group is named"
        note = f"{whose} computes the table of a group in a numbering of its own, which is taken as the task ({why})"
        return Settlement(task, as_it_is(len(table)), note)
    note = f"{whose} agrees with {share:.1%} of the products of {group}, with {numbering.name}"
    if not numbering.is_ours:
        note += "; elements are renumbered to ours: rows of W_E, columns of W_U, and the split"
    return Settlement({"operation": "x.y", "group": group}, numbering, note)


def groups_of_order(n: int) -> list[str]:
    """Names of groups with n elements: S, A, D, C, in this order.

    >>> groups_of_order(24), groups_of_order(5)
    (['S4', 'D12', 'C24'], ['C5'])
    """
    found = [f"S{k}" for k in range(3, 8) if math.factorial(k) == n]
    found += [f"A{k}" for k in range(4, 8) if math.factorial(k) == 2 * n]
    return found + ([f"D{n // 2}"] if n % 2 == 0 and n > 4 else []) + [f"C{n}"]


def numberings(group: str) -> Iterator[Numbering]:
    """Numberings that other people use, ours first; each also for the product y.x.

    With every element called by its inverse's name, y.x is x.y: (y.x)^-1 = x^-1 . y^-1.
    """
    inverse = parse_group(group).inverse
    abelian = bool((parse_group(group).table == parse_group(group).table.T).all())
    for name, ours in _orders(group):
        yield Numbering(name, ours)
        if not abelian:
            yield Numbering(f"{name}, and the product y.x (each element under its inverse's name)", inverse[ours])


def _orders(group: str) -> Iterator[tuple[str, Int[np.ndarray, " order"]]]:
    n = parse_group(group).order
    kind, degree = ("", 0) if "x" in group else (group[0], int(group[1:]))
    yield "elements in the order that grokinterp has", np.arange(n)
    if kind == "D":
        yield "rotation and reflection in turn", np.arange(n) // 2 + degree * (np.arange(n) % 2)
    if kind in ("S", "A") and degree > 2:
        ours = symmetric_group(degree)
        if kind == "S":
            yield "even permutations first", np.lexsort((np.arange(n), parities(ours)))
        else:
            ours = ours[parities(ours) == 0]
        cosets = _coset_order(kind, degree)
        if cosets is not None:
            rank = {tuple(row): i for i, row in enumerate(ours.tolist())}
            yield "permutations in sympy's order", np.array([rank[tuple(row)] for row in cosets])


def _coset_order(kind: str, degree: int) -> list[list[int]] | None:
    """The permutations as sympy's Schreier-Sims lists them, which Chughtai et al. 2023 number by.

    A5 from the two generators that they give it; sympy comes with torch.
    """
    try:
        from sympy.combinatorics import Permutation, PermutationGroup
        from sympy.combinatorics.named_groups import AlternatingGroup, SymmetricGroup
    except ImportError:
        return None
    if kind == "S":
        group = SymmetricGroup(degree)
    elif degree == 5:
        group = PermutationGroup(Permutation([1, 2, 3, 4, 0]), Permutation([0, 2, 1, 4, 3]))
    else:
        group = AlternatingGroup(degree)
    return [list(row) for row in group.generate_schreier_sims(af=True)]


def as_it_is(n: int) -> Numbering:
    """The numbering of n elements that changes nothing."""
    return Numbering("elements as they are", np.arange(n))
