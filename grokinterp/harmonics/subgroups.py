"""All subgroups of a small group, and how nearly a function is constant on their cosets."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

from grokinterp.harmonics.groups import FiniteGroup, parse_group
from grokinterp.harmonics.irrep_cache import cached_on_disk

MAX_ORDER = 128
"""Larger groups can have more subgroups than anybody wants to wait for."""


def subgroups(group: FiniteGroup) -> Bool[np.ndarray, "n_subgroups order"]:
    """The members of every subgroup, by order, from the trivial one to the whole group.

    **Known values:** S_3 has 6, S_4 30, S_5 156, A_5 59, D_7 10, and C_n one for each divisor of n.

    Raises:
        ValueError: more than MAX_ORDER elements.
    """
    if group.order > MAX_ORDER:
        raise ValueError(f"{group} has more than {MAX_ORDER} elements")
    return _of_name(group.name) if group.name else _find(group)


@lru_cache(maxsize=16)
def _of_name(name: str) -> Bool[np.ndarray, "n_subgroups order"]:
    return cached_on_disk("subgroups", name, lambda: [("members", _find(parse_group(name)))])[0][1]


def has_cosets(group: FiniteGroup) -> bool:
    """Whether there are proper subgroups other than the trivial one, in a group small enough to list them."""
    if group.order > MAX_ORDER:
        return False
    sizes = subgroups(group).sum(axis=1)
    return bool(((sizes > 1) & (sizes < group.order)).any())


def _find(group: FiniteGroup) -> Bool[np.ndarray, "n_subgroups order"]:
    """Grow from the trivial subgroup: each subgroup joined with each cyclic one."""
    cyclic = {closure(group, (g,)): g for g in range(group.order)}
    trivial = closure(group, ())
    found, frontier = {trivial}, [trivial]
    while frontier:
        members = frontier.pop()
        for generated, g in cyclic.items():
            if not generated <= members:
                larger = closure(group, (*sorted(members), g))
                if larger not in found:
                    found.add(larger)
                    frontier.append(larger)
    masks = np.zeros((len(found), group.order), dtype=bool)
    for row, members in enumerate(sorted(found, key=lambda m: (len(m), sorted(m)))):
        masks[row, sorted(members)] = True
    return masks


def closure(group: FiniteGroup, generators: tuple[int, ...]) -> frozenset[int]:
    """The subgroup that some elements generate."""
    inside = np.zeros(group.order, dtype=bool)
    inside[[group.identity, *generators]] = True
    while True:
        members = np.nonzero(inside)[0]
        inside[group.table[np.ix_(members, members)].ravel()] = True
        if inside.sum() == len(members):
            return frozenset(members.tolist())


def coset_labels(group: FiniteGroup, members: Bool[np.ndarray, " order"], side: str) -> Int[np.ndarray, " order"]:
    """Which coset each element is in: x.H (side "left") or H.x ("right"), numbered from 0."""
    inside = np.nonzero(members)[0]
    cosets = group.table[:, inside] if side == "left" else group.table[inside, :].T
    return np.unique(cosets.min(axis=1), return_inverse=True)[1]


def coset_ratio(
    values: Float[np.ndarray, "order functions"], labels: Int[np.ndarray, " order"]
) -> Float[np.ndarray, " functions"]:
    """Variance within cosets over variance, divided by what a random function has; 1 for a constant.

    ratio = [sum_cosets sum_x (f(x) - mean_coset f)^2 / sum_x (f(x) - mean f)^2] / [(n - q) / (n - 1)] for
    q cosets of n elements. 0: constant on each coset; 1 on average: no relation.

    **Source:** Stander et al. 2023 (arXiv 2312.06581), coset concentration, without the denominator.
    """
    n, q = len(labels), int(labels.max()) + 1
    centred = values - values.mean(axis=0)
    total = (centred**2).sum(axis=0)
    member = np.zeros((q, n))
    member[labels, np.arange(n)] = 1
    sizes = member.sum(axis=1, keepdims=True)
    between = ((member @ centred) ** 2 / sizes).sum(axis=0)
    alive = total > 1e-24 * n * (values**2).max(initial=1e-300)
    share = np.where(alive, (total - between).clip(min=0) / np.where(alive, total, 1), (n - q) / (n - 1))
    return share / ((n - q) / (n - 1))


def best_coset_ratio(
    group: FiniteGroup, values: Float[np.ndarray, "order functions"]
) -> tuple[Float[np.ndarray, " functions"], Int[np.ndarray, " functions"]]:
    """The smallest `coset_ratio` of each function over proper subgroups and sides, and that subgroup's row.

    Subgroups that are neither trivial nor everything are looked at; -1 where there is none.
    """
    masks = subgroups(group)
    best = np.full(values.shape[1], np.inf)
    which = np.full(values.shape[1], -1)
    for row, members in enumerate(masks):
        if not 1 < members.sum() < group.order:
            continue
        for side in ("left", "right"):
            ratio = coset_ratio(values, coset_labels(group, members, side))
            which = np.where(ratio < best, row, which)
            best = np.minimum(ratio, best)
    return best, which


def nearest_neighbours(points: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
    """The index of the nearest other point, in Euclidean distance."""
    norms = (points**2).sum(axis=1)
    distance = norms[:, None] + norms[None, :] - 2 * points @ points.T
    np.fill_diagonal(distance, np.inf)
    return distance.argmin(axis=1)


@dataclass(frozen=True, order=True)
class CosetPurity:
    """How far neighbours share a coset of the best subgroup, in standard errors (z) and as a share."""

    z: float
    purity: float
    chance: float
    order: int
    side: str


def coset_purity(group: FiniteGroup, nearest: Int[np.ndarray, " order"]) -> CosetPurity:
    """How far neighbours share a coset, for the proper subgroup and side for which they do most.

    purity = share of elements x whose neighbour lies in the same coset (x.H or H.x); by chance it is
    c = (|H| - 1) / (n - 1). Of all proper subgroups the one with the largest (purity - c) / sqrt(c (1 - c) / n).
    """
    n, best = group.order, CosetPurity(-np.inf, 0.0, 0.0, 0, "")
    for members in subgroups(group):
        size = int(members.sum())
        if not 1 < size < n:
            continue
        chance = (size - 1) / (n - 1)
        for side in ("left", "right"):
            labels = coset_labels(group, members, side)
            purity = float((labels == labels[nearest]).mean())
            z = (purity - chance) / np.sqrt(chance * (1 - chance) / n)
            best = max(best, CosetPurity(float(z), purity, chance, size, side))
    return best
