"""The task: a table of answers, and the coordinates in which it is addition, if there are any."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int

from grokinterp.harmonics.cyclic import CyclicCoordinates
from grokinterp.harmonics.groups import GroupCoordinates, parse_group, recognise
from grokinterp.tasks.layouts import Layout


@dataclass(frozen=True, eq=False)
class Task:
    """A finite binary operation.

    Attributes:
        name: For people, "x+y mod 113".
        table: `table[a, b]` is the answer c, or -1 where the operation is not defined.
        n_answers: Answers are 0..n_answers-1.
        layout: How a pair is written as tokens.
        coordinates: The isomorphism with Z_n, or None.
        structure: One sentence: which basis the coordinates are, or why there are none.
        group_name: The group whose product the operation is, where it was built from one.
    """

    name: str
    table: Int[np.ndarray, "n_left n_right"]
    n_answers: int
    layout: Layout
    coordinates: CyclicCoordinates | None
    structure: str
    group_name: str = ""

    @property
    def defined(self) -> Bool[np.ndarray, "n_left n_right"]:
        """True where the operation has an answer."""
        return self.table >= 0

    @cached_property
    def group(self) -> GroupCoordinates | None:
        """The isomorphism with the product of a group, or None.

        Z_n where there are coordinates, else the named group, else whatever group the table is.
        """
        c = self.coordinates
        if c is not None:
            return GroupCoordinates(c.left, c.right, c.answer, parse_group(f"C{c.n}"))
        found = parse_group(self.group_name) if self.group_name else recognise(self.table)
        if found is None or not np.array_equal(found.table, self.table):
            return None
        own = np.arange(found.order)
        return GroupCoordinates(own, own, own, found)

    def pairs(self) -> tuple[Int[np.ndarray, " n_pairs"], Int[np.ndarray, " n_pairs"]]:
        """All defined pairs (left, right), a-major."""
        left, right = np.nonzero(self.defined)
        return left, right
