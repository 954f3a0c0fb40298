"""How much of the logits is a function of the sum, and a sum of cosines of a + b - c."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def _centred(snapshot: "Snapshot") -> "tuple[Tensor, Tensor, float, float]":
    """Sum means of the logits centred over c and then freed of mean_ab; amplitudes; both powers."""
    from grokinterp.harmonics.cyclic import cosine_amplitudes

    n = snapshot.coordinates.n
    logits = snapshot.natural_logits[:, :, :n]
    over_c = logits.mean(dim=2)
    power = float(logits.square().sum() - n * over_c.square().sum())
    means = snapshot.sum_means[:, :n]
    means = means - means.mean(dim=1, keepdim=True)
    constant = means.mean(dim=0)
    free = power - n * n * float(constant.square().sum())
    return means - constant, cosine_amplitudes(means).cpu(), power, free


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Shares of logit power, over all pairs in natural order.

    L is first centred over c (a constant per pair changes nothing), then mean_ab L is removed:

    sum_share_K, sum_share_all: share of that power on the sum directions u_k, v_k of the key
    frequencies, and of all frequencies (that is: on functions of i + j mod n).
    cosine_fve: sum_{k in K} alpha_k^2 ||cos w_k(i+j-c)||^2 / power, alpha_k by least squares, of the
    logits centred over c alone; cosine_fve_centred has mean_ab removed from the power too.

    **Paper:** Nanda et al. 2023, section 4.4 ("fraction of variance explained" of the logits, 95 %).
    **Known values:** clock 1; iid logits have sum_share_all 2 floor(n/2)/(n^2 - 1); Chughtai's C113
    seed 1: sum_share_K .9869, cosine_fve .9685, cosine_fve_centred .97126 (.97119
    if L is not centred over c). A pizza network's full
    logits have .995 here, because its circles cancel each other's error: this does not tell clock
    from pizza.
    """
    from grokinterp.harmonics.cyclic import cosine_power, keep_frequencies

    del params
    n = snapshot.coordinates.n
    means, amplitude, power, free = _centred(snapshot)
    kept = float(keep_frequencies(means, snapshot.keys.ks).square().sum()) * n
    cosine = amplitude.square() * cosine_power(n)
    of_keys = float(sum(cosine[k - 1] for k in snapshot.keys.ks))
    return [
        {
            "sum_share_K": _share(kept, free),
            "sum_share_all": _share(float(means.square().sum()) * n, free),
            "cosine_fve": _share(of_keys, power),
            "cosine_fve_centred": _share(of_keys, free),
            "n_keys": len(snapshot.keys.ks),
        }
    ]


def _share(part: float, whole: float) -> float | None:
    return min(part / whole, 1.0) if whole > 0 else None


def compute_frequencies(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """For each k: alpha_k, its share of the power (cosine_fve's parts), the sum directions' share."""
    from grokinterp.harmonics.cyclic import component_norms, cosine_power, frequency_norms

    del params
    n = snapshot.coordinates.n
    means, amplitude, power, free = _centred(snapshot)
    on_sums = frequency_norms(component_norms(means)).square().cpu() * n
    cosine = amplitude.square() * cosine_power(n)
    return [
        {
            "k": k,
            "alpha": float(amplitude[k - 1]),
            "cosine_fve": _share(float(cosine[k - 1]), power),
            "sum_share": _share(float(on_sums[k]), free),
        }
        for k in range(1, n // 2 + 1)
    ]


def plot(tables: "Tables") -> "Figure":
    """Shares of logit power over steps, and the cosine amplitudes of each frequency."""
    from grokinterp import plotting

    fig, (left, right) = plotting.figure(columns=2, width="text", height=2.2)
    table = tables.main
    for column, label, style in (
        ("sum_share_all", "all sum directions", ":"),
        ("sum_share_K", "sum directions of K", "--"),
        ("cosine_fve", r"$\Sigma_K\,\alpha_k \cos w_k(a+b-c)$", "-"),
    ):
        left.plot(table["step"], table[column], style, color=plotting.INK, label=label)
    left.set_ylim(0, 1.03)
    left.set_ylabel("share of logit power")
    plotting.frequency_lines(right, tables["frequencies"], "alpha", tables.keys)
    right.set_ylabel(r"amplitude $\alpha_k$ (nats)")
    return plotting.over_steps(fig, tables.phases, legends={left: "lower right", right: "upper left"})


MEASURE = Measure(
    name="logit_spectrum",
    summary="Share of logit power on functions of a + b, and on cosines of a + b - c.",
    reference="Nanda et al. 2023 (arXiv 2301.05217), section 4.4 and appendix C.",
    parts={
        "": Part(
            {
                "sum_share_K": Column("share on the sum directions of the key frequencies", low=0, high=1, null=True),
                "sum_share_all": Column("share on all functions of i + j", low=0, high=1, null=True),
                "cosine_fve": Column("share of the key cosines; mean_ab kept", low=0, high=1, null=True),
                "cosine_fve_centred": Column("share of the key cosines; mean_ab removed", low=0, high=1, null=True),
                "n_keys": Column("number of key frequencies", kind="int", low=0),
            },
            compute,
        ),
        "frequencies": Part(
            {
                "k": Column("frequency", kind="int", low=1),
                "alpha": Column("least-squares coefficient of cos w_k(i + j - c)", "nats"),
                "cosine_fve": Column("its share of logit power, mean_ab kept", low=0, high=1, null=True),
                "sum_share": Column("share of u_k and v_k, mean_ab removed", low=0, high=1, null=True),
            },
            compute_frequencies,
        ),
    },
    plot=plot,
    uses_keys=True,
    series=(
        Series("cosine FVE of the logits", "cosine_fve", threshold=0.5),
        Series("logit share on sums of K", "sum_share_K", threshold=0.5),
    ),
)
