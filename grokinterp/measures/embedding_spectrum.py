"""Fourier structure of the embedding, the unembedding and the neuron-logit map."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.harmonics.keys import KeyFrequencies
    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables

MATRICES = ("W_E", "W_U", "W_L")


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """How concentrated each matrix is in frequency space.

    The rows of a matrix (operand tokens of W_E, answers of W_U and of W_L = W_out W_U) in natural
    order are transformed with the orthonormal real Fourier basis; norm_r is the l2 norm over the
    features of component r = constant, cos 1, sin 1, cos 2, ...

    gini: G of the n component norms, the constant included (definition in harmonics.sparsity).
    ipr: mean over features of sum_k |x_k|^4 / (sum_k |x_k|^2)^2, full FFT without the constant.

    **Paper:** Nanda et al. 2023, section 5.1 (Gini); Doshi et al. 2023 (arXiv 2310.13061), IPR.
    **Differs:** Doshi et al.'s code uses the half-spectrum, which doubles the IPR.
    **Known values:** Gini of Chughtai's C113 seed 1: W_E .655, W_L .841; random initialisation
    about 1/sqrt(2 pi d_model) = .035 for W_E, .041 for W_L; a pure cosine has IPR 1/2, Gaussian
    noise 2/(n + 1).
    """
    from grokinterp.harmonics.cyclic import component_norms
    from grokinterp.harmonics.keys import matrix_rule
    from grokinterp.harmonics.sparsity import gini, inverse_participation_ratio

    del params
    rows = []
    for name in MATRICES:
        matrix = snapshot.natural_rows(name)
        keys = matrix_rule(name, matrix).ks
        rows.append(
            {
                "matrix": name,
                "gini": gini(component_norms(matrix)),
                "ipr": float(inverse_participation_ratio(matrix).mean()),
                "n_keys": len(keys),
                "keys": ",".join(map(str, keys)),
            }
        )
    return rows


def compute_components(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The norm of each matrix at each frequency: sqrt(cos^2 + sin^2); k = 0 is the constant."""
    from grokinterp.harmonics.cyclic import component_norms, frequency_norms, row_frequencies

    del params
    rows = []
    for name in MATRICES:
        component = component_norms(snapshot.natural_rows(name)).cpu()
        which = row_frequencies(len(component)).tolist()
        parts: dict[int, list[float]] = {}
        for k, value in zip(which, component.tolist(), strict=True):
            parts.setdefault(k, []).append(value)
        for k, norm in enumerate(frequency_norms(component).tolist()):
            sine = parts[k][1] if len(parts[k]) > 1 else None
            rows.append({"matrix": name, "k": k, "norm": norm, "cos_norm": parts[k][0], "sin_norm": sine})
    return rows


def _rules(snapshot: "Snapshot") -> "list[KeyFrequencies]":
    """The four rules' sets, the primary one first. Each looks at every k = 1..floor(n/2)."""
    from grokinterp.harmonics.keys import logit_rule, matrix_rule, neuron_rule

    neurons = snapshot.neuron_spectrum
    return [
        matrix_rule("W_L", snapshot.natural_rows("W_L")),
        matrix_rule("W_E", snapshot.natural_rows("W_E")),
        neuron_rule(neurons.fraction, neurons.best),
        logit_rule(snapshot.sum_means),
    ]


def compute_keys(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Four rules for the key frequencies side by side, and how far each agrees with W_L's.

    W_L, W_E: a norm sqrt(cos^2 + sin^2) above a quarter of the largest; neurons: a neuron with
    at least .85 of its energy in the block of k; logits: the norm of cos w_k(i+j-c) in the logits above a quarter
    of the largest. agreement = |A n B| / |A u B| (Jaccard) with the W_L rule's set.

    **Paper:** Nanda et al. 2023, section 4.1 (W_E), appendix C (W_L), their code (neurons).
    **Differs:** their code never looks at k = floor(p/2), and takes the best k of every neuron, pure or not.
    **Known values:** Chughtai's C113 seed 1: {16, 30, 56} by three rules, and 1 more by W_E's;
    Nanda et al.'s low-precision network: {3, 6, 9, 23, 39} by W_L's, {6, 23, 39} by the neurons'.
    """
    from grokinterp.harmonics.keys import agreement

    del params
    primary, *others = _rules(snapshot)
    return [
        {
            "rule": rule.rule,
            "threshold": rule.threshold,
            "n_keys": len(rule.ks),
            "keys": ",".join(map(str, rule.ks)),
            "agreement": agreement(rule, primary),
        }
        for rule in (primary, *others)
    ]


def compute_agreement(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The Jaccard index of each pair of rules, and how many frequencies only one of the two names."""
    from itertools import combinations

    from grokinterp.harmonics.keys import agreement

    del params
    return [
        {
            "rule_a": a.rule,
            "rule_b": b.rule,
            "agreement": agreement(a, b),
            "n_common": len(set(a.ks) & set(b.ks)),
            "n_only_a": len(set(a.ks) - set(b.ks)),
            "n_only_b": len(set(b.ks) - set(a.ks)),
        }
        for a, b in combinations(_rules(snapshot), 2)
    ]


def plot(tables: "Tables") -> "Figure":
    """Spectrum of W_E and W_L at the last checkpoint above; their norms and Gini over steps below."""
    from grokinterp import plotting

    fig, axes = plotting.figure(rows=2, columns=2, width="text", height=1.9)
    components, last = tables["components"], tables["components"]["step"].max()
    colors = plotting.frequency_colors(tables.keys)
    for axis, matrix in zip(axes[0], ("W_E", "W_L"), strict=True):
        rows = components[(components["matrix"] == matrix) & (components["step"] == last)]
        bars = [colors.get(k, plotting.FAINT) for k in rows["k"]]
        axis.bar(rows["k"], rows["norm"], color=bars, width=0.85)
        for k in tables.keys:
            height = float(rows[rows["k"] == k]["norm"].iloc[0])
            axis.annotate(str(k), (k, height), ha="center", va="bottom", fontsize=6.5, color=colors[k])
        axis.margins(y=0.15)
        axis.set_xlabel("frequency k")
        axis.set_ylabel(f"norm of ${matrix}$, step {last}")
    spectrum = components[components["matrix"] == "W_L"]
    plotting.frequency_lines(axes[1][0], spectrum, "norm", tables.keys)
    axes[1][0].set_ylabel("norm of $W_L$ at each k")
    for matrix, style in (("W_E", "-"), ("W_U", "--"), ("W_L", ":")):
        rows = tables.main[tables.main["matrix"] == matrix]
        axes[1][1].plot(rows["step"], rows["gini"], style, color=plotting.INK, label=f"${matrix}$")
    axes[1][1].set_ylabel("Gini coefficient")
    axes[1][1].set_ylim(0, 1)
    return plotting.over_steps(fig, tables.phases, axes=list(axes[1]), legends={axes[1][1]: "best"})


MEASURE = Measure(
    name="embedding_spectrum",
    summary="Fourier norms, Gini and IPR of W_E, W_U and W_L; key frequencies by four rules.",
    reference="Nanda et al. 2023 (arXiv 2301.05217), sections 4.1 and 5.1; Doshi et al. 2023 (2310.13061).",
    parts={
        "": Part(
            {
                "matrix": Column("W_E, W_U or W_L", kind="str"),
                "gini": Column("Gini coefficient of the component norms", low=0, high=1),
                "ipr": Column("mean inverse participation ratio of the features", low=0, high=1),
                "n_keys": Column("frequencies above a quarter of the largest norm", kind="int", low=0),
                "keys": Column("those frequencies, comma-separated", kind="str"),
            },
            compute,
        ),
        "components": Part(
            {
                "matrix": Column("W_E, W_U or W_L", kind="str"),
                "k": Column("frequency; 0 is the constant", kind="int", low=0),
                "norm": Column("sqrt(cos_norm^2 + sin_norm^2)", low=0),
                "cos_norm": Column("l2 norm of the cosine component (of the constant at k = 0)", low=0),
                "sin_norm": Column("of the sine; null at k = 0 and at the Nyquist frequency", low=0, null=True),
            },
            compute_components,
        ),
        "keys": Part(
            {
                "rule": Column("W_L, W_E, neurons or logits", kind="str"),
                "threshold": Column("share of the largest norm, or of a neuron's energy", low=0, high=1),
                "n_keys": Column("size of the set", kind="int", low=0),
                "keys": Column("the frequencies, comma-separated", kind="str"),
                "agreement": Column("Jaccard index with the W_L rule's set", low=0, high=1),
            },
            compute_keys,
        ),
        "agreement": Part(
            {
                "rule_a": Column("W_L, W_E or neurons", kind="str"),
                "rule_b": Column("W_E, neurons or logits", kind="str"),
                "agreement": Column("Jaccard index of the two sets", low=0, high=1),
                "n_common": Column("frequencies that both name", kind="int", low=0),
                "n_only_a": Column("frequencies that rule_a alone names", kind="int", low=0),
                "n_only_b": Column("frequencies that rule_b alone names", kind="int", low=0),
            },
            compute_agreement,
        ),
    },
    plot=plot,
    series=(
        Series("Gini of W_L", "gini", where={"matrix": "W_L"}),
        Series("Gini of W_E", "gini", where={"matrix": "W_E"}),
        Series("rules agree (W_L, neurons)", "agreement", "agreement", {"rule_a": "W_L", "rule_b": "neurons"}, 0.5),
    ),
)
