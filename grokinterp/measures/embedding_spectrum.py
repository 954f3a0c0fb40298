"""Fourier structure of the embedding, the unembedding and the neuron-logit map."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


def compute_keys(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Four rules for the key frequencies side by side, and how far each agrees with W_L's.

    agreement = |A n B| / |A u B| (Jaccard) of the rule's set with the W_L rule's.

    **Differs:** Nanda et al.'s code never looks at k = floor(p/2); here every k is.
    """
    from grokinterp.harmonics.keys import logit_rule, matrix_rule, neuron_rule

    del params
    primary = matrix_rule("W_L", snapshot.natural_rows("W_L"))
    neurons = snapshot.neuron_spectrum
    rules = [
        primary,
        matrix_rule("W_E", snapshot.natural_rows("W_E")),
        neuron_rule(neurons.fraction, neurons.best),
        logit_rule(snapshot.sum_means),
    ]
    rows = []
    for rule in rules:
        union = set(rule.ks) | set(primary.ks)
        rows.append(
            {
                "rule": rule.rule,
                "threshold": rule.threshold,
                "n_keys": len(rule.ks),
                "keys": ",".join(map(str, rule.ks)),
                "agreement": len(set(rule.ks) & set(primary.ks)) / len(union) if union else 1.0,
            }
        )
    return rows


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
    },
    plot=plot,
)
