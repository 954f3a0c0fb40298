"""How complex the weights are: effective ranks, spectral entropies, and the bytes that describe the network."""

import math
from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def entropy(spectrum: "Tensor") -> float | None:
    """-sum_i s_i log s_i of a non-negative spectrum, s its shares of the sum (nats); None if it is all zero."""
    import torch

    total = float(spectrum.sum())
    return float(torch.special.entr(spectrum / total).sum()) if total > 0 else None


def normalised(value: float | None, bound: int) -> float | None:
    """An entropy in units of the largest that `bound` shares can have; None where that is 0."""
    return None if value is None or bound < 2 else min(value / math.log(bound), 1.0)


def _matrices(snapshot: "Snapshot") -> "list[tuple[str, int | None, int | None, Tensor, int]]":
    """Name, block, head, matrix and the rank that its shape (for a product, its factors' shapes) allows."""
    weights = snapshot.weights
    found: list[tuple[str, int | None, int | None, Tensor, int]] = [
        (name, None, None, matrix, min(matrix.shape))
        for name, matrix in (("W_E", snapshot.embedding), ("W_U", snapshot.unembedding))
    ]
    for block in range(snapshot.n_layers):
        attn, mlp = f"blocks.{block}.attn.", f"blocks.{block}.mlp."
        for name in ("W_in", "W_out"):
            if mlp + name in weights:
                found.append((name, block, None, weights[mlp + name], min(weights[mlp + name].shape)))
        for name in ("W_ih", "W_hh"):
            if (of_lstm := f"blocks.{block}.lstm.{name}") in weights:
                found.append((name, block, None, weights[of_lstm], min(weights[of_lstm].shape)))
        if attn + "W_V" not in weights:
            continue
        rank = min(weights[attn + "W_V"].shape[1:])
        circuits = {
            "OV": weights[attn + "W_V"] @ weights[attn + "W_O"],
            "QK": weights[attn + "W_Q"] @ weights[attn + "W_K"].transpose(1, 2),
        }
        found += [(name, block, head, m, rank) for name, heads in circuits.items() for head, m in enumerate(heads)]
    if mlp + "W_out" in weights:
        w_l = snapshot.neuron_logit_map
        found.append(("W_L", block, None, w_l, min(*w_l.shape, snapshot.unembedding.shape[1])))
    return found


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Effective ranks, normalised spectral entropy and stable rank of each matrix of the network.

    With the singular values sigma_i of a matrix, r the largest rank that its shape allows, and
    H(s) = -sum_i s_i log s_i (nats):

        effective_rank = exp H(sigma_i / sum sigma),    effective_rank_energy = exp H(sigma_i^2 / sum sigma^2),
        normalised_entropy = H(sigma / sum sigma) / log r,    stable_rank = sum sigma^2 / max sigma^2.

    OV = W_V W_O and QK = W_Q W_K^T of each head, W_L = W_out W_U of the last block.

    **Paper:** Roy and Vetterli 2007 for the effective rank; DeMoss et al. 2024 take it of sigma, Khanh 2026 of
    sigma^2. **Differs:** nothing is added inside the logarithm.
    **Known values:** r equal singular values and zeros: r in all, so n for the identity and 1 for rank one; singular
    values q^i, i < n, with s = (1 - q^n)/(1 - q): log effective_rank = log s - log(q) sum_i i q^i / s, and with q^2
    for the energy. effective_rank_energy <= effective_rank. Gaussian matrices: the Marchenko-Pastur value.
    """
    import torch

    del params
    rows = []
    for name, block, head, matrix, bound in _matrices(snapshot):
        sigma = torch.linalg.svdvals(matrix)
        of_sigma, of_energy = entropy(sigma), entropy(sigma**2)
        rows.append(
            {
                "matrix": name,
                "block": block,
                "head": head,
                "rank_bound": bound,
                "effective_rank": None if of_sigma is None else math.exp(of_sigma),
                "effective_rank_energy": None if of_energy is None else math.exp(of_energy),
                "normalised_entropy": normalised(of_sigma, bound),
                "stable_rank": None if of_energy is None else float((sigma**2).sum() / sigma.max() ** 2),
            }
        )
    return rows


def compute_network(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The mean spectral entropy of all weight matrices as they are stored: DeMoss's penalty.

    mean_entropy = mean over matrices of H(sigma / sum sigma) (nats); mean_normalised_entropy divides each by
    log of its smaller side first. W_Q, W_K, W_V and W_O are taken with all heads side by side; biases are
    not matrices.

    **Paper:** DeMoss et al. 2024, section on regularisation and their `spectral_entropy_penalty`.
    **Differs:** a matrix that is all zero is left out; their code adds 1e-10 inside the logarithm.
    """
    import torch

    from grokinterp.landscape.compression import stored_matrices

    del params
    found = [(entropy(torch.linalg.svdvals(matrix)), min(matrix.shape)) for matrix in stored_matrices(snapshot.weights)]
    plain = [value for value, _ in found if value is not None]
    shares = [share for value, bound in found if (share := normalised(value, bound)) is not None]
    return [
        {
            "mean_entropy": sum(plain) / len(plain) if plain else None,
            "mean_normalised_entropy": sum(shares) / len(shares) if shares else None,
            "n_matrices": len(plain),
        }
    ]


def compute_neurons(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Normalised spectral entropy of the covariance of the neurons over all defined pairs.

    normalised_entropy = H(lambda / sum lambda) / log min(d_mlp, n_pairs - 1), lambda the eigenvalues of the
    covariance of the last block's neurons (after the activation) at the last position.

    **Paper:** Truong et al. 2026 (2604.13123), H tilde; they report 0.61 as a threshold crossed before every grokking,
    with an MLP as a counter-example. **Differs:** the neurons are our choice of representation. A p = 113
    network of 512 neurons starts at .610, has .65 once it memorised and passes .61 while it groks.
    **Known values:** m uncorrelated neurons of equal variance: log m / log bound.
    """
    import torch

    del params
    acts = snapshot.neuron_acts
    defined = torch.from_numpy(snapshot.task.defined).to(acts.device)
    flat = acts.flatten(0, 1) if bool(defined.all()) else acts[defined]
    centred = flat - flat.mean(dim=0)
    small = centred.T @ centred if len(centred) >= centred.shape[1] else centred @ centred.T
    spectrum = torch.linalg.eigvalsh(small).clamp_min(0)
    value, bound = entropy(spectrum), min(flat.shape[1], len(flat) - 1)
    return [
        {
            "effective_rank": None if value is None else math.exp(value),
            "normalised_entropy": normalised(value, bound),
            "rank_bound": bound,
            "n_pairs": len(flat),
        }
    ]


def compute_compressed(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The fewest bytes that describe the network up to a loss tolerance, over a grid of coarsenings.

    Each matrix (each head's) keeps the fewest singular values whose sum reaches `threshold` of the sum of
    all; where r (m + n) < m n its factors U sqrt(S) and sqrt(S) V^T are rounded to multiples of
    delta, else the matrix itself is, as are vectors. The integers go through bzip2. bytes is the smallest over
    thresholds x deltas with loss <= L0 + loss_tolerance, L0 and loss on the training pairs in float32.

    **Paper:** DeMoss et al. 2024, complexity by coarse-graining; their tolerances are 2^2 ... 2^-4.
    **Differs:** a declared grid instead of 60 evaluations of Bayesian optimisation, so the same bytes each time; a
    singular value shared evenly by both factors (they give it to U); integers and not floats are compressed; shapes and
    ranks are not counted.
    **Known values:** a network no better than chance within the tolerance compresses to nothing (47 bytes,
    bzip2 of zeros): compare the rise from there to memorisation with the fall to generalisation.
    """
    import torch

    from grokinterp.landscape.compression import smallest

    snapshot = snapshot.in_float32()
    weights, tolerance = snapshot.trained_weights, params["loss_tolerance"]

    def loss(changed: "dict[str, Tensor]") -> float:
        return snapshot.loss_at(changed)

    with torch.no_grad():
        before = loss({})
        best, n_tried = smallest(weights, loss, before + tolerance, params["thresholds"], params["deltas"])
    n_weights = sum(weight.numel() for weight in weights.values())
    return [
        {
            "bytes": best.n_bytes if best else None,
            "bits_per_weight": 8 * best.n_bytes / n_weights if best else None,
            "threshold": best.threshold if best else None,
            "delta": best.delta if best else None,
            "loss": best.loss if best else None,
            "loss_before": before,
            "loss_tolerance": float(tolerance),
            "n_weights": n_weights,
            "n_tried": n_tried,
        }
    ]


def plot(tables: "Tables") -> "Figure":
    """Effective ranks (means over blocks and heads), entropies and compressed size over steps."""
    from grokinterp import plotting

    fig, (ranks, entropies, size) = plotting.figure(rows=3, height=1.6)
    table = tables.main
    share = table["effective_rank"].astype(float) / table["rank_bound"]
    for i, (name, rows) in enumerate(share.groupby(table["matrix"], sort=False)):
        curve = rows.groupby(table["step"]).mean()
        label = f"${name.replace('_', '_{')}}}$" if "_" in name else name
        ranks.plot(curve.index, curve, color=plotting.CYCLE[i], lw=1, label=label)
    ranks.legend(loc="upper center", ncols=4, fontsize=6.5, frameon=False, columnspacing=1.2, handlelength=1.5)
    ranks.set_ylim(0, 1.55)  # room for the legend
    ranks.set_yticks([0, 0.5, 1])
    ranks.set_yticks([0, 0.5, 1])
    ranks.set_ylabel("effective rank /\nmaximum")
    parts = (("network", "mean_normalised_entropy", "weights"), ("neurons", "normalised_entropy", "neurons"))
    for i, (part, column, label) in enumerate(parts):
        table, style = tables[part], {"marker": "o", "ms": 2.5} if i else {}
        entropies.plot(table["step"], table[column].astype(float), color=plotting.CYCLE[7 * i], label=label, **style)
    entropies.set_ylim(0, 1.05)
    entropies.set_ylabel("entropy / maximum")
    table = tables["compressed"]
    size.plot(table["step"], table["bytes"].astype(float) / 1000, "o-", ms=3, color=plotting.CYCLE[2])
    size.set_yscale("log")
    size.set_ylabel("compressed (kB)")
    return plotting.over_steps(fig, tables.phases, legends={entropies: "lower left"})


MEASURE = Measure(
    name="complexity",
    summary="Effective ranks and spectral entropies of the weights, and their compressed size at a loss tolerance.",
    reference="DeMoss et al. 2024 (arXiv 2412.09810); Truong et al. 2026 (2604.13123); Khanh 2026 (2607.06639).",
    parts={
        "": Part(
            {
                "matrix": Column("W_E (operands), W_U (answers), W_in, W_out, OV, QK, W_L, W_ih or W_hh", kind="str"),
                "block": Column("block of the matrix", kind="int", low=0, null=True),
                "head": Column("head of OV and QK", kind="int", low=0, null=True),
                "rank_bound": Column("largest rank that the shapes allow", kind="int", low=1),
                "effective_rank": Column("exp of the entropy of the singular values' shares", low=1, null=True),
                "effective_rank_energy": Column("the same of the squared singular values", low=1, null=True),
                "normalised_entropy": Column(
                    "entropy / log rank_bound; null for rank 1 and for zero", low=0, high=1, null=True
                ),
                "stable_rank": Column("squared Frobenius norm / squared largest singular value", low=1, null=True),
            },
            compute,
        ),
        "network": Part(
            {
                "mean_entropy": Column("mean spectral entropy of the stored matrices", "nats", low=0, null=True),
                "mean_normalised_entropy": Column("mean of entropy / log(smaller side)", low=0, high=1, null=True),
                "n_matrices": Column("matrices in the mean of the entropy", kind="int", low=0),
            },
            compute_network,
            steps="landmarks",
        ),
        "neurons": Part(
            {
                "effective_rank": Column("exp of the entropy of the covariance's eigenvalues", low=1, null=True),
                "normalised_entropy": Column("that entropy / log rank_bound", low=0, high=1, null=True),
                "rank_bound": Column("min(d_mlp, n_pairs - 1)", kind="int", low=0),
                "n_pairs": Column("pairs in the covariance", kind="int", low=1),
            },
            compute_neurons,
            steps="events",
        ),
        "compressed": Part(
            {
                "bytes": Column("smallest bzip2 stream within the tolerance", "bytes", "int", low=0, null=True),
                "bits_per_weight": Column("8 bytes / n_weights", "bits", low=0, null=True),
                "threshold": Column("share of the sum of singular values kept", low=0, high=1, null=True),
                "delta": Column("bin width of the rounding", low=0, null=True),
                "loss": Column("train loss of the coarsened network", "nats", low=0, null=True),
                "loss_before": Column("train loss of the network", "nats", low=0),
                "loss_tolerance": Column("allowed rise of the train loss", "nats", low=0),
                "n_weights": Column("weights that training changes", kind="int", low=1),
                "n_tried": Column("coarsened networks whose loss was computed", kind="int", low=1),
            },
            compute_compressed,
            steps="events",
        ),
    },
    plot=plot,
    params={
        "loss_tolerance": 0.125,
        "thresholds": [0.6, 0.75, 0.9, 1.0],
        "deltas": [2.0**-k for k in range(9)],
    },
    series=(
        Series("spectral entropy of the weights", "mean_normalised_entropy", part="network"),
        Series("effective rank of W_L", "effective_rank", where={"matrix": "W_L"}),
        Series("spectral entropy of the neurons", "normalised_entropy", part="neurons"),
    ),
)
