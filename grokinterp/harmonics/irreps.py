"""Irreducible representations of finite groups, real and complex, and the bases that they span.

S_n: Young's orthogonal form. C_n and D_n: closed forms. Direct products: tensor products. Any other
group: by splitting the real regular representation. Real irreps have a commutant of dimension m = 1, 2
or 4 (real, complex or quaternionic type), and sum d^2 / m = |G|; complex ones satisfy sum d^2 = |G|.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float

from grokinterp.group_names import group_factors
from grokinterp.harmonics.groups import FiniteGroup, parse_group
from grokinterp.harmonics.irrep_cache import cached_on_disk
from grokinterp.harmonics.young import partition_name, partitions, young_matrices

SEED = 20_221
"""Of the generic elements that split representations; any seed gives the same irreps up to their basis."""


@dataclass(frozen=True, eq=False, repr=False)
class RealIrrep:
    """An irreducible real representation by orthogonal matrices, rho(x.y) = rho(x) rho(y).

    commutant: m, the dimension of the matrices that commute with it: 1, 2 or 4.
    """

    name: str
    matrices: Float[np.ndarray, "order d d"]
    commutant: int

    def __repr__(self) -> str:
        return f"RealIrrep({self.name}, dimension {self.dimension}, commutant {self.commutant})"

    @property
    def dimension(self) -> int:
        """d, of the real representation."""
        return self.matrices.shape[1]

    @property
    def span_dimension(self) -> int:
        """d^2 / m: how many functions on the group its matrix elements span."""
        return self.dimension**2 // self.commutant

    @property
    def character(self) -> Float[np.ndarray, " order"]:
        """tr rho(g)."""
        return np.trace(self.matrices, axis1=1, axis2=2)

    @property
    def trivial(self) -> bool:
        """Whether it is the trivial one, whose span are the constants."""
        return self.dimension == 1 and bool((self.matrices == 1).all())


def real_irreps(group: FiniteGroup) -> tuple[RealIrrep, ...]:
    """All irreducible real representations up to isomorphism, the trivial one first.

    **Known values:** |G| = sum d^2 / m; sum_g chi_r(g) chi_s(g) = m |G| if r = s, else 0.
    """
    return _named(group.name) if group.name else _of_table(group.table.tobytes(), group.order)


@lru_cache(maxsize=32)
def _named(name: str) -> tuple[RealIrrep, ...]:
    group = parse_group(name)
    return _load(group)


@lru_cache(maxsize=4)
def _of_table(data: bytes, order: int) -> tuple[RealIrrep, ...]:
    return _load(FiniteGroup("", np.frombuffer(data, dtype=np.int64).reshape(order, order)))


def _load(group: FiniteGroup) -> tuple[RealIrrep, ...]:
    found = cached_on_disk(
        "irreps", f"{group.name}{group.table.tobytes()!r}", lambda: [(r.name, r.matrices) for r in _build(group)]
    )
    irreps = [RealIrrep(name, matrices, _commutant(matrices)) for name, matrices in found]
    return tuple(sorted(irreps, key=lambda irrep: not irrep.trivial))


def _commutant(matrices: Float[np.ndarray, "order d d"]) -> int:
    """m = <chi, chi>."""
    return round(float((np.trace(matrices, axis1=1, axis2=2) ** 2).mean()))


def _build(group: FiniteGroup) -> list[RealIrrep]:
    factors = group.factors
    if len(factors) > 1:
        return _product_irreps([parse_group(factor) for factor in factors])
    kind, n = group_factors(group.name)[0] if group.name else ("", 0)
    if kind == "S":
        shapes = {partition_name(shape): shape for shape in partitions(n)}
        return [_irrep(name, young_matrices(group, n, shape)) for name, shape in shapes.items()]
    if kind == "C":
        return [_irrep(name, matrices) for name, matrices in _rotations(n).items()]
    if kind == "D":
        return _dihedral_irreps(n)
    return split_regular(group)


def _irrep(name: str, matrices: np.ndarray) -> RealIrrep:
    return RealIrrep(name, matrices, _commutant(matrices))


def _rotations(n: int) -> dict[str, np.ndarray]:
    """The real irreps of C_n: 1, rotations by w_k x for k = 1..floor((n-1)/2), and (-1)^x for even n."""
    x = np.arange(n)
    found = {"trivial": np.ones((n, 1, 1))}
    for k in range(1, n // 2 + 1):
        angle = 2 * math.pi * ((k * x) % n) / n
        if 2 * k == n:
            found[f"k={k}"] = (1.0 - 2.0 * (x % 2))[:, None, None]
        else:
            cos, sin = np.cos(angle), np.sin(angle)
            found[f"k={k}"] = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    return found


def _dihedral_irreps(n: int) -> list[RealIrrep]:
    """One-dimensional ones (r -> +-1, s -> +-1) and r -> rotation by w_k, s -> diag(1, -1)."""
    x, flip = np.arange(2 * n) % n, np.arange(2 * n) // n
    mirror = np.where(flip == 1, -1.0, 1.0)
    found = {"trivial": np.ones((2 * n, 1, 1)), "sign": mirror[:, None, None]}
    for name, turn in _rotations(n).items():
        if name == "trivial":
            continue
        turned = turn[x]
        if turned.shape[1] == 1:  # r -> -1
            found |= {name: turned, f"{name},sign": turned * mirror[:, None, None]}
        else:
            found[name] = turned * np.stack([np.ones(2 * n), mirror], axis=1)[:, None, :]
    return [_irrep(name, matrices) for name, matrices in found.items()]


def _product_irreps(groups: Sequence[FiniteGroup]) -> list[RealIrrep]:
    """Irreps of a direct product: tensor products of the factors' complex irreps, made real again.

    A tensor product is of real type exactly if both factors are (no group here has quaternionic
    ones); otherwise it and its conjugate make one real irrep of twice the dimension.
    """
    found = [(irrep.name, irrep.matrices, irrep.commutant) for irrep in real_irreps(groups[0])]
    for group in groups[1:]:
        grown: list[tuple[str, np.ndarray, int]] = []
        for left_name, left, left_type in found:
            for right in real_irreps(group):
                name = f"{left_name}*{right.name}"
                if left_type == right.commutant == 1:
                    grown.append((name, _tensor(left, right.matrices), 1))
                    continue
                first = complex_constituents(left, left_type)[0]
                for i, second in enumerate(complex_constituents(right.matrices, right.commutant)):
                    if i and left_type == 1:
                        break  # the conjugate of the one before
                    label = name if i == 0 else f"{left_name}*conj {right.name}"
                    grown.append((label, realified(_tensor(first, second)), 2))
        found = grown
    return [_irrep(name, matrices) for name, matrices, _ in found]


def _tensor(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """rho(g) (x) sigma(h) at index g |H| + h."""
    product = np.einsum("gij,hkl->ghikjl", left, right)
    d = left.shape[1] * right.shape[1]
    return product.reshape(len(left) * len(right), d, d)


def realified(matrices: Complex[np.ndarray, "order d d"]) -> Float[np.ndarray, "order 2*d 2*d"]:
    """rho + conj rho as one real representation: [[Re, -Im], [Im, Re]]."""
    real, imaginary = matrices.real, matrices.imag
    top, bottom = np.concatenate([real, -imaginary], axis=2), np.concatenate([imaginary, real], axis=2)
    return np.concatenate([top, bottom], axis=1)


def split_regular(group: FiniteGroup) -> list[RealIrrep]:
    """The real irreps of any group, from its regular representation.

    (L(g) f)(x) = f(g^-1 x) commutes with A[x, y] = a(x^-1 y), symmetric if a(g) = a(g^-1). For a
    generic a each eigenspace of A is irreducible; one of each isomorphism class, told apart by
    characters, is kept. Named by dimension and a letter.
    """
    n = group.order
    weights = np.random.default_rng(SEED).standard_normal(n)
    weights = weights + weights[group.inverse]
    values, vectors = np.linalg.eigh(weights[group.table[group.inverse]])
    breaks = np.nonzero(np.diff(values) > 1e-8 * np.abs(values).max())[0] + 1
    characters: list[np.ndarray] = []
    found: list[np.ndarray] = []
    for columns in np.split(np.arange(n), breaks):
        space = vectors[:, columns]
        moved = space[group.table[group.inverse]]  # [g, x, i] = space[g^-1 x, i]
        matrices = np.einsum("xi,gxj->gij", space, moved)
        character = np.trace(matrices, axis1=1, axis2=2)
        if all(np.abs(character - other).max() > 1e-6 for other in characters):
            characters.append(character)
            found.append(matrices)
    order = sorted(range(len(found)), key=lambda i: (found[i].shape[1], tuple(-np.round(characters[i], 6))))
    names: dict[int, int] = {}
    irreps = []
    for i in order:
        d = found[i].shape[1]
        names[d] = names.get(d, 0) + 1
        trivial = d == 1 and np.allclose(found[i], 1)
        label = "trivial" if trivial else f"{d}{chr(96 + names[d])}"
        irreps.append(_irrep(label, np.ones_like(found[i]) if trivial else found[i]))
    return irreps


def complex_constituents(matrices: np.ndarray, commutant: int) -> list[Complex[np.ndarray, "order d d"]]:
    """The complex irreps in a real one: itself (m = 1), a conjugate pair (m = 2), one of half size (m = 4).

    For m > 1 a generic skew matrix of the commutant is a multiple of some J with J^2 = -1, and the
    eigenspaces of J are invariant.
    """
    if commutant == 1:
        return [matrices.astype(np.complex128)]
    d = matrices.shape[1]
    generic = np.random.default_rng(SEED).standard_normal((d, d))
    mixed = np.einsum("gij,jk,glk->il", matrices, generic, matrices) / len(matrices)
    values, vectors = np.linalg.eigh(1j * (mixed - mixed.T))
    half = [vectors[:, values > 0], vectors[:, values < 0]]
    return [np.einsum("ia,gij,jb->gab", v.conj(), matrices, v) for v in half[: 2 if commutant == 2 else 1]]


def complex_irreps(group: FiniteGroup) -> list[Complex[np.ndarray, "order d d"]]:
    """All irreducible complex representations, by unitary matrices."""
    return [c for irrep in real_irreps(group) for c in complex_constituents(irrep.matrices, irrep.commutant)]


def span_basis(irrep: RealIrrep) -> Float[np.ndarray, "dim order"]:
    """Orthonormal basis of the span of an irrep's matrix elements; the rows of all irreps fill R^|G|.

    For m = 1 these are sqrt(d / |G|) rho_ij; for m > 1 matrix elements are dependent, and the
    right singular vectors of all of them are taken.
    """
    elements = irrep.matrices.reshape(len(irrep.matrices), -1).T
    if irrep.commutant == 1:
        return math.sqrt(irrep.dimension / len(irrep.matrices)) * elements
    return np.linalg.svd(elements, full_matrices=False)[2][: irrep.span_dimension]
