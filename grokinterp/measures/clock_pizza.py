"""Clock or pizza: how symmetric the gradients are, whether a - b matters, and what each circle computes alone."""

from functools import lru_cache
from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables

SHUFFLE_LIMIT = 4_000_000
"""Beyond so many triples (n = 158) they are sampled instead of shuffled: that would take minutes."""


@lru_cache(maxsize=16)
def shuffled_triples(n_left: int, n_right: int, n_answers: int, seed: int, n: int) -> "tuple[int, ...]":
    """The first of all triples (a, b, c), numbered a-major, in Python's shuffled order: ten times n, or all."""
    import random
    from array import array

    total = n_left * n_right * n_answers
    stream = random.Random(seed)
    if total > SHUFFLE_LIMIT:
        return tuple(stream.sample(range(total), min(10 * n, total)))
    order = array("q", range(total))
    stream.shuffle(order)
    return tuple(order[: 10 * n])


def _triples(snapshot: "Snapshot", n: int, seed: int) -> "tuple[Tensor, Tensor, Tensor]":
    """The first n shuffled triples whose pair has an answer."""
    import torch

    n_left, n_right = snapshot.task.table.shape
    order = torch.tensor(shuffled_triples(n_left, n_right, snapshot.task.n_answers, seed, n))
    left, right = (order // snapshot.task.n_answers) // n_right, (order // snapshot.task.n_answers) % n_right
    kept = torch.from_numpy(snapshot.task.defined)[left, right].nonzero().flatten()[:n]
    device = snapshot.weights["embed.W_E"].device
    return left[kept].to(device), right[kept].to(device), (order[kept] % snapshot.task.n_answers).to(device)


def gradient_cosines(snapshot: "Snapshot", n_triples: int, seed: int) -> "Tensor":
    """cos(dz_c/dE_a, dz_c/dE_b) of each triple, E_a and E_b the embeddings at their two positions.

    Every triple reads two rows of its own, appended to W_E, so one backward pass gives all the
    gradients, and a = b is no special case. Triples with a zero gradient are left out.
    """
    import copy
    from dataclasses import replace

    import torch

    snapshot.require_shared_embedding()
    left, right, answer = _triples(snapshot, n_triples, seed)
    embed, n = snapshot.weights["embed.W_E"], len(left)
    own = torch.cat([embed[left], embed[right]]).requires_grad_()
    rows = torch.arange(n, device=embed.device) + len(embed)
    forward = copy.copy(snapshot.forward)
    vocabulary = len(embed) + 2 * n
    layout = replace(snapshot.task.layout, n_operand_tokens=vocabulary, d_vocab=vocabulary)
    setattr(forward, "layout", layout)  # noqa: B010 (engines have one; the protocol does not say so)
    logits = forward({**snapshot.weights, "embed.W_E": torch.cat([embed, own])}, rows, rows + n)
    (gradient,) = torch.autograd.grad(logits.gather(1, answer[:, None]).sum(), own)
    at_left, at_right = gradient.double().split(n)
    size = at_left.norm(dim=1) * at_right.norm(dim=1)
    return ((at_left * at_right).sum(1)[size > 0] / size[size > 0]).clamp(-1, 1)


def _has_distance(snapshot: "Snapshot") -> bool:
    c = snapshot.task.coordinates
    return c is not None and c.n > 1


def distance_irrelevance(snapshot: "Snapshot") -> float | None:
    """mean_d std(M | i - j = d) / std(M) of the correct logit M; None where it is the same for all pairs."""
    import torch

    from grokinterp.harmonics.circles import rounding

    if not _has_distance(snapshot):
        return None
    n = snapshot.coordinates.n
    i = torch.arange(n, device=snapshot.logits.device)
    j = (i[:, None] - i[None, :]) % n  # i - d, indexed [i, d]
    correct = snapshot.natural_logits[i[:, None], j, (i[:, None] + j) % n].double()
    spread = float(correct.std(correction=0))
    if spread <= rounding(snapshot.natural_logits):
        return None
    return float(correct.std(dim=0, correction=0).mean()) / spread


def _both(snapshot: "Snapshot", params: dict) -> Row:
    cosines = gradient_cosines(snapshot, params["n_triples"], params["seed"])
    n = len(cosines)
    return {
        "gradient_symmetricity": float(cosines.mean()) if n else None,
        "standard_error": float(cosines.std() / n**0.5) if n > 1 else None,
        "distance_irrelevance": distance_irrelevance(snapshot),
        "n_triples": n,
    }


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Gradient symmetricity and distance irrelevance of the network.

        gradient_symmetricity = mean over triples of cos(dz_c/dE_a, dz_c/dE_b)
        distance_irrelevance = mean_d std_s(M[s, d]) / std(M),   M[i + j, i - j] = correct raw logit, ddof 0

    The triples are the first 100 of all (a, b, c) shuffled by Python's `random.Random(42)`; the
    standard error is that over the triples. The distance is taken in natural coordinates. (i + j,
    i - j) is one to one for odd n only; std_s is over the n pairs with i - j = d, which for odd n is
    the same. Null without natural coordinates, and where the correct logit is constant (0/0).
    Neither means anything alone: an untrained network is symmetric too (see the part "baseline").

    **Paper:** Zhong et al. 2023 (arXiv 2306.17844), section 4; definitions as in their published notebook.
    **Differs:** their table of runs has the irrelevance of the largest wrong logit, not of the correct one.
    **Known values:** pizza with uniform attention read at '=': 1 and 0. Clock z_c = Re(x_a x_b e^{-iwc}):
    mean of cos w(a - b), and null (0/0). M = f(i - j) + g(i + j), odd n: std(g) / sqrt(var f + var g).
    Model A of the paper: .99367 and .17174.
    """
    return [_both(snapshot, params)]


def compute_baseline(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The same two numbers for networks of this shape without structure, several draws of each.

    untrained: a new initialisation. shuffled: the entries of each tensor permuted, which keeps the
    norms. A tensor of zeros stays zero in both, so that what the architecture forces (symmetric
    gradients under fixed uniform attention) is seen in the baseline too. See landscape.baselines.

    **Known values:** a fixed uniform attention whose last position is no operand: symmetricity 1.
    """
    from grokinterp.landscape.baselines import shuffled_weights, untrained_weights

    snapshot = snapshot.in_float32()
    rows = []
    for draw in range(params["n_baselines"]):
        for network, weights in (
            ("untrained", untrained_weights(snapshot.weights, params["seed"] + draw)),
            ("shuffled", shuffled_weights(snapshot.weights, params["seed"] + draw)),
        ):
            found = _both(snapshot.with_weights(weights), params)
            rows.append({"network": network, "draw": draw, **found})
    return rows


def compute_circles(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """What the network computes from one circle of its embedding alone, by four formulas.

    The operands' rows of W_E are replaced by their mean plus one circle, and the network is run on
    all pairs. isolation "components" keeps principal components 2m - 1 and 2m (circle m, its k the
    Fourier component with most of their energy, a share `circularity` of it); "frequency" keeps the Fourier
    component of a key frequency k exactly (circle = k). With w = 2 pi k/n, d = i - j, t = i + j - c:

        clock         cos(w t)
        pizza         |cos(w d/2)| cos(w t)
        pizza_abs     |cos(w d/2)| (|cos(w t/2)| - |sin(w t/2)|)
        accompanying  -cos(w_h d) cos(w_h t),  2 h = k mod n  (odd n only)

    With r the correlation of the raw logits with a formula over all n^3 triples, fve = 2 r - 1 is the
    explained variance after z-scoring both, which can be negative, and fve_fitted = r^2 that of a
    least-squares fit. At most `n_circles` circles of each isolation; natural order; no rows for
    operations without natural coordinates.

    **Paper:** Zhong et al. 2023, section 4 and appendix; isolation "components", fve; pizza_abs is
    what their code calls pizza.
    **Differs:** "frequency" does not depend on circles of different frequency having different sizes.
    **Known values:** pizza oracle: pizza 1, clock r^2 = the share of a pizza on sum directions
    (-> 8/pi^2). Their model A, components: clock .754 to .756, pizza_abs .983 to .984, accompanying
    circles .972 to .977.
    """
    import torch

    from grokinterp.harmonics.circles import circle_correlations, component_circles, frequency_circles

    if not _has_distance(snapshot):
        return []
    snapshot, n, limit = snapshot.in_float32(), snapshot.coordinates.n, params["n_circles"]
    matrix, embed = snapshot.natural_rows("W_E").double(), snapshot.weights["embed.W_E"]
    operands = torch.from_numpy(snapshot.coordinates.left).to(embed.device)
    circles = [("frequency", circle.k, circle) for circle in frequency_circles(matrix, snapshot.keys.ks, limit)]
    circles += [("components", i, circle) for i, circle in enumerate(component_circles(matrix, limit), start=1)]
    rows = []
    for isolation, number, circle in circles:
        about = {
            "isolation": isolation,
            "circle": number,
            "k": circle.k,
            "circularity": circle.circularity,
            "embedding_share": circle.share,
        }
        alone = snapshot.with_weights({"embed.W_E": embed.index_copy(0, operands, circle.rows.to(embed))})
        for formula, r in circle_correlations(alone.natural_logits[:, :, :n], circle.k).items():
            fve = {"fve": None, "fve_fitted": None} if r is None else {"fve": 2 * r - 1, "fve_fitted": r * r}
            rows.append({**about, "formula": formula, **fve})
    return rows


def plot(tables: "Tables") -> "Figure":
    """The two numbers over steps beside their baselines; what each circle computes at the end."""
    from grokinterp import plotting

    circles = tables["circles"][lambda rows: rows["step"] == rows["step"].max()]
    wide = len(circles) > 0
    fig, axes = plotting.figure(columns=1 + wide, width="text" if wide else "column", height=2.4, grid=True)
    left = axes[0, 0]
    table, baseline = tables.main, tables["baseline"]
    for i, (column, label) in enumerate(NUMBERS.items()):
        color = plotting.CYCLE[i]
        left.plot(table["step"], table[column].astype(float), color=color, label=label)
        if table[column].notna().any():
            for network, style in (("untrained", ":"), ("shuffled", "--")):
                values = baseline[baseline["network"] == network][column].astype(float)
                left.axhline(values.mean(), color=color, ls=style, lw=0.8)
    value, error = (table[name].astype(float) for name in ("gradient_symmetricity", "standard_error"))
    left.fill_between(table["step"], value - error, value + error, color=plotting.CYCLE[0], alpha=0.3, lw=0)
    handles = [line for line in left.get_lines() if not str(line.get_label()).startswith("_")]
    for network, style in (("untrained", ":"), ("shuffled weights", "--")):
        handles += left.plot([], [], style, color=plotting.INK, lw=0.8, label=network)
    fig.legend(handles=handles, loc="outside lower left", ncols=4, fontsize=6.5, frameon=False)
    left.set_ylabel("symmetricity, irrelevance")
    if wide:
        _plot_circles(axes[0, 1], circles)
    return plotting.over_steps(fig, tables.phases, axes=[left], legends={})


def _plot_circles(axis: "Axes", circles: "pd.DataFrame") -> None:
    """Explained variance of each circle's logits by each formula; pairs of components that are circles."""
    from grokinterp import plotting

    circles = circles[circles["circularity"] >= 0.9]
    names = list(dict.fromkeys(zip(circles["isolation"], circles["circle"], circles["k"], strict=True)))
    for i, (formula, marker) in enumerate((("clock", "o"), ("pizza", "s"), ("accompanying", "^"))):
        rows = circles[circles["formula"] == formula]
        places = [names.index(key) for key in zip(rows["isolation"], rows["circle"], rows["k"], strict=True)]
        axis.plot(places, rows["fve_fitted"], marker, ms=4, color=plotting.CYCLE[i + 2], label=formula)
    exact = sum(how == "frequency" for how, _, _ in names)
    if 0 < exact < len(names):
        axis.axvline(exact - 0.5, color=plotting.FAINT, lw=0.6)
    labels = [f"k={k}" if how == "frequency" else f"PC {2 * m - 1},{2 * m}\nk={k}" for how, m, k in names]
    axis.set_xticks(range(len(names)), labels, fontsize=6)
    axis.set(xlim=(-0.5, len(names) - 0.5), ylim=(-0.02, 1.02))
    axis.set_xlabel(f"the one circle kept in $W_E$, step {circles['step'].max()}")
    axis.set_ylabel("explained variance\nof the logits")
    plotting.legend(axis)


NUMBERS = {"gradient_symmetricity": "gradient symmetricity", "distance_irrelevance": "distance irrelevance"}

VALUES = {
    "gradient_symmetricity": Column("mean cosine of the gradients at the two operands", low=-1, high=1, null=True),
    "standard_error": Column("of gradient_symmetricity over the triples", low=0, null=True),
    "distance_irrelevance": Column("share of the correct logit's spread at fixed i - j", low=0, null=True),
    "n_triples": Column("triples with gradients that are not zero", "triples", "int", low=0),
}

MEASURE = Measure(
    name="clock_pizza",
    summary="Clock or pizza: gradient symmetricity and distance irrelevance with baselines, circles one by one.",
    reference="Zhong et al. 2023, The Clock and the Pizza (arXiv 2306.17844).",
    parts={
        "": Part(VALUES, compute),
        "baseline": Part(
            {
                "network": Column("untrained or shuffled", kind="str"),
                "draw": Column("number of the draw", kind="int", low=0),
                **VALUES,
            },
            compute_baseline,
            steps="last",
        ),
        "circles": Part(
            {
                "isolation": Column("frequency (exact) or components (a pair of principal ones)", kind="str"),
                "circle": Column("its k, or the number of the pair", kind="int", low=1),
                "k": Column("frequency of the circle", kind="int", low=1),
                "circularity": Column("share of the circle's energy in k", low=0, high=1),
                "embedding_share": Column("share of the variance of W_E", low=0, high=1),
                "formula": Column("clock, pizza, pizza_abs or accompanying", kind="str"),
                "fve": Column("2 r - 1, explained variance of z-scored logits", low=-3, high=1, null=True),
                "fve_fitted": Column("r^2, explained variance with a fitted scale", low=0, high=1, null=True),
            },
            compute_circles,
            steps="events",
        ),
    },
    plot=plot,
    params={"n_triples": 100, "seed": 42, "n_baselines": 3, "n_circles": 5},
    uses_keys=True,
    series=(
        Series("gradient symmetricity", "gradient_symmetricity"),
        Series("distance irrelevance", "distance_irrelevance"),
    ),
)
