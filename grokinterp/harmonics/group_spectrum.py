"""Logits over a group: traces of irreps, and the parts that depend on the product alone.

Everything is in group order: logits[g, h, c] with the right answer c = g.h. For C_n these are the
quantities of `cyclic.py`: irrep "k=3" is frequency 3.
"""

from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grokinterp.harmonics.groups import FiniteGroup
from grokinterp.harmonics.irreps import RealIrrep, real_irreps, span_basis

KEY_SHARE = 0.25
"""An irrep is key if its trace similarity passes this share of the largest one's."""


def product_means(logits: Float[Tensor, "n n answers"], table: Int[Tensor, "n n"]) -> Float[Tensor, "n answers"]:
    """D[s, c], the mean of logits[g, h, c] over the pairs with g.h = s."""
    n, _, n_answers = logits.shape
    total = torch.zeros(n, n_answers, dtype=logits.dtype, device=logits.device)
    return total.index_add_(0, table.flatten(), logits.reshape(n * n, n_answers)) / n


def quotient_means(means: Float[Tensor, "n n"], table: Int[Tensor, "n n"]) -> Float[Tensor, " n"]:
    """f(g), the mean of the logits over the triples with a.b.c^-1 = g: mean_c D[g.c, c]."""
    return means.gather(0, table).mean(dim=1)


def trace_similarities(
    logits: Float[Tensor, "n n n"], means: Float[Tensor, "n n"], group: FiniteGroup
) -> Float[Tensor, " n_irreps"]:
    """cos(L - mean_c L, tr rho(a) rho(b) rho(c^-1)) over all triples, for each nontrivial real irrep.

    <L, T_rho> = n^2 sum_g f(g) chi(g) and |T_rho|^2 = n^3 m. The T_rho are orthogonal, so the squares
    add up to the share of variance that they explain together.
    """
    irreps = nontrivial(group)
    n = group.order
    table = torch.from_numpy(group.table).to(means.device)
    by_quotient = quotient_means(means, table)
    power = (logits - logits.mean(dim=2, keepdim=True)).square().sum()
    if not irreps or not power > 0:
        return torch.zeros(len(irreps), dtype=means.dtype)
    characters = torch.stack([torch.from_numpy(irrep.character) for irrep in irreps]).to(means.device)
    commutants = torch.tensor([irrep.commutant for irrep in irreps], dtype=means.dtype, device=means.device)
    inner = n**2 * (characters @ by_quotient)
    return (inner / (power * n**3 * commutants).sqrt()).clamp(-1, 1).cpu()


def nontrivial(group: FiniteGroup) -> tuple[RealIrrep, ...]:
    """The real irreps but the trivial one."""
    return real_irreps(group)[1:]


@lru_cache(maxsize=64)
def span(irrep: RealIrrep) -> Float[Tensor, "dim n"]:
    """Orthonormal rows that span the irrep's matrix elements."""
    return torch.from_numpy(span_basis(irrep))


def span_shares(rows: Float[Tensor, "n features"], group: FiniteGroup) -> Float[Tensor, " n_irreps"]:
    """Share of the squared norm of `rows`, one row an element, in the span of each nontrivial irrep.

    They and the trivial one's (the mean's) add up to 1. For C_n the squared norm of frequency k.
    """
    total = rows.square().sum()
    parts = torch.stack([(span(irrep).to(rows.device) @ rows).square().sum() for irrep in nontrivial(group)])
    return (parts / total).cpu() if total > 0 else torch.zeros(len(parts), dtype=rows.dtype)


def keep_irreps(means: Float[Tensor, "n answers"], group: FiniteGroup, names: tuple[str, ...]) -> Tensor:
    """P_K D: the part of D[s, c], as a function of s, in the span of the irreps called `names`."""
    kept = torch.zeros_like(means)
    for irrep in nontrivial(group):
        if irrep.name in names:
            rows = span(irrep).to(means.device)
            kept = kept + rows.T @ (rows @ means)
    return kept


def key_irreps(similarities: Float[Tensor, " n_irreps"], group: FiniteGroup) -> tuple[str, ...]:
    """Names of the irreps whose trace similarity passes KEY_SHARE of the largest."""
    largest = float(similarities.max()) if len(similarities) else 0.0
    pairs = zip(nontrivial(group), similarities.tolist(), strict=True)
    return tuple(irrep.name for irrep, value in pairs if largest > 0 and value > KEY_SHARE * largest)
