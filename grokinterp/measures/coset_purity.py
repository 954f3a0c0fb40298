"""Do symbols of the same coset lie side by side? Nearest neighbours in W_E and W_U, for operations of a group."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables

MATRICES = ("W_E", "W_U")


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Share of symbols whose nearest other symbol is in their coset, for the subgroup that does best.

    The neighbour of a symbol is the nearest other row (Euclidean) of W_E or of W_U transposed; with
    c = (|H| - 1) / (n - 1) the purity by chance, the proper subgroup H and the side (x.H or H.x) with the
    largest z = (purity - c) / sqrt(c (1 - c) / n) are taken. Because the best of many is large by itself, z_null
    is the largest of `n_shuffles` shuffles of the symbols (seeded), best subgroup too.

    **Paper:** Power et al. 2022 (arXiv 2201.02177), figure 3 left: in t-SNE the answers of S5 cluster by cosets
    of <(0,3)(1,4), (1,2)(3,4)>. **Differs:** they show it; here neighbours are counted, in all dimensions.
    **Known values:** symbols at one point for each coset of H, moved a little: purity 1 for H.

    Raises:
        NotApplicableError: the operation is no group's product, or the group has no proper subgroup that is not
            trivial, or more than 128 elements.
    """
    import numpy as np

    from grokinterp.errors import NotApplicableError
    from grokinterp.harmonics.subgroups import coset_purity, has_cosets, nearest_neighbours

    group = snapshot.group.group
    if not has_cosets(group):
        name = group.name or "the group"
        raise NotApplicableError(f"needs a group of at most 128 elements with subgroups; {name} is none")
    rng, rows = np.random.default_rng(params["seed"]), []
    for matrix in MATRICES:
        nearest = nearest_neighbours(snapshot.natural_rows(matrix).cpu().numpy())
        best, null = coset_purity(group, nearest), []
        for _ in range(params["n_shuffles"]):
            place = rng.permutation(len(nearest))
            shuffled = np.empty_like(nearest)
            shuffled[place] = place[nearest]
            null.append(coset_purity(group, shuffled).z)
        rows.append(
            {
                "matrix": matrix,
                "purity": best.purity,
                "chance": best.chance,
                "z": best.z,
                "z_null": max(null),
                "subgroup_order": best.order,
                "side": best.side,
            }
        )
    return rows


def plot(tables: "Tables") -> "Figure":
    """z of the best subgroup over steps, with its null dotted."""
    from grokinterp import plotting

    fig, axis = plotting.figure(height=2.4)
    for i, (matrix, rows) in enumerate(tables.main.groupby("matrix")):
        color = plotting.CYCLE[i]
        axis.plot(rows["step"], rows["z"], "o-", ms=2.5, color=color, label=f"${matrix}$")
        axis.plot(rows["step"], rows["z_null"], ":", color=color)
    axis.plot([], [], ":", color=plotting.INK, label="largest of the shuffles")
    axis.set_ylabel("coset purity of nearest neighbours,\nbest subgroup (z-score)")
    return plotting.over_steps(fig, tables.phases)


MEASURE = Measure(
    name="coset_purity",
    summary="Whether symbols of the same coset of a subgroup are nearest neighbours in W_E and W_U.",
    reference="Power et al. 2022 (arXiv 2201.02177), figure 3.",
    parts={
        "": Part(
            {
                "matrix": Column("W_E (operands) or W_U (answers)", kind="str"),
                "purity": Column("share of symbols whose nearest neighbour shares their coset", low=0, high=1),
                "chance": Column("the same for random neighbours", low=0, high=1),
                "z": Column("(purity - chance) in standard errors, of the best subgroup"),
                "z_null": Column("the same for shuffled symbols, the largest of n_shuffles"),
                "subgroup_order": Column("order of that subgroup", "elements", "int", low=2),
                "side": Column("left (x.H) or right (H.x) cosets", kind="str"),
            },
            compute,
            steps="landmarks",
        ),
    },
    plot=plot,
    params={"n_shuffles": 5, "seed": 0},
    series=(Series("coset purity of W_U", "z", where={"matrix": "W_U"}),),
)
