"""The symbols as points: PCA of W_E and W_U, circles, and their motion over training."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from grokinterp.run import Run
    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables

MATRICES = ("W_E", "W_U")


def _symbols(snapshot: "Snapshot", matrix: str) -> "np.ndarray":
    """One row a symbol: in natural order where the operation has one, else in its own."""
    if snapshot.task.coordinates is not None:
        return snapshot.natural_rows(matrix).cpu().numpy()
    rows = snapshot.embedding if matrix == "W_E" else snapshot.unembedding
    return rows.cpu().numpy()


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Variance share and circularity of each principal component, beside what noise would give.

    The null is a Gaussian matrix of the same shape, `null_draws` draws, 95 % quantile.
    Circularity is null for operations that are not addition on some Z_n.
    """
    from grokinterp.harmonics.components import circularity, null_quantiles, principal_scores

    cyclic = snapshot.task.coordinates is not None
    rows = []
    for matrix in MATRICES:
        symbols = _symbols(snapshot, matrix)
        if len(symbols) < 3:
            continue
        scores, shares = principal_scores(symbols, params["n_components"])
        circle, frequency = circularity(scores)
        null = null_quantiles(*symbols.shape, params["n_components"], params["null_draws"], params["seed"])
        for i, share in enumerate(shares):
            rows.append(
                {
                    "matrix": matrix,
                    "component": i + 1,
                    "share": float(share),
                    "share_null_q95": null[0][i],
                    "circularity": float(circle[i]) if cyclic else None,
                    "circularity_null_q95": null[1][i] if cyclic else None,
                    "k": int(frequency[i]) if cyclic else None,
                }
            )
    return rows


def compute_parallelograms(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """RQI: share of the parallelograms i + j = m + n that the embedding closes up to delta times its spread.

    rqi = |{|E_i + E_j - E_m - E_n| <= delta s}| / |P|, P all pairs of different unordered pairs {i, j}, {m, n} of
    operands with one sum mod n, in natural order; s^2 = mean_i |E_i - mean E|^2. All of P is counted, so there
    is no sampling error. The null is a Gaussian matrix of the same shape, whose defects are near 2 s.
    No rows for operations that are not addition on some Z_n.

    **Paper:** Liu et al. 2022 (arXiv 2205.10343), section 3: RQI, their delta .01 of normalised rows.
    **Differs:** sums mod n. A circle is no parallelogram: there E_i + E_j has length 2 |cos(w_k(i-j)/2)|, so a
    network that adds on circles has an RQI near the null's. High values mean a straight line of symbols.
    **Known values:** symbols on a line: the share of parallelograms whose sums agree as integers.
    """
    from grokinterp.harmonics.parallelograms import gaussian_quality, quality

    if snapshot.task.coordinates is None:
        return []
    rows, deltas = snapshot.natural_rows("W_E"), tuple(params["rqi_deltas"])
    found = quality(rows, deltas)
    if found is None:
        return []
    null = gaussian_quality(*rows.shape, deltas, params["rqi_draws"], params["seed"])
    cells = zip(deltas, found, null, strict=True)
    return [{"delta": float(delta), "rqi": share, "rqi_null_q95": q95} for delta, share, q95 in cells]


def compute_circles(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """The symbols in the plane of each key frequency: where the circle forms.

    The plane of k is spanned by W_E^T cos_k and W_E^T sin_k; x and y are the centred rows of W_E along the
    orthonormal pair nearest to these two (polar decomposition), so that x is the cosine side at every
    checkpoint. A regular polygon visited in steps of k if the embedding uses k. Null table for
    operations without frequencies, and no plane for the Nyquist frequency.
    """
    import numpy as np

    from grokinterp.harmonics.cyclic import fourier_basis

    del params
    if snapshot.task.coordinates is None:
        return []
    n = snapshot.coordinates.n
    order = snapshot.coordinates.left
    basis = fourier_basis(n).numpy()
    matrix = snapshot.natural_rows("W_E").cpu().numpy()
    centred = matrix - matrix.mean(axis=0)
    rows = []
    for k in snapshot.keys.ks:
        if 2 * k == n:
            continue
        left, _, right = np.linalg.svd((basis[2 * k - 1 : 2 * k + 1] @ centred).T, full_matrices=False)
        points = centred @ (left @ right)
        for i, (x, y) in enumerate(points):
            rows.append({"k": k, "symbol": int(order[i]), "position": i, "x": float(x), "y": float(y)})
    return rows


def compute_coordinates(run: "Run", *, steps: list[int], params: dict) -> list[Row]:
    """PCA scores of each symbol, aligned to the last checkpoint so that a film does not jump.

    The scores S_t (n, q) are rotated by the orthogonal R that minimises ||S_t R - S_last||_F
    (Procrustes), among evenly spaced checkpoints.
    """
    import numpy as np
    from scipy.linalg import orthogonal_procrustes

    from grokinterp.harmonics.components import principal_scores

    chosen = sorted({steps[i] for i in np.linspace(0, len(steps) - 1, params["n_frames"]).round().astype(int)})
    reference: dict[str, np.ndarray] = {}
    rows = []
    for step in reversed(chosen):
        snapshot = run.bare_snapshot(step)
        c = snapshot.task.coordinates
        for matrix in MATRICES:
            symbols = _symbols(snapshot, matrix)
            scores, _ = principal_scores(symbols, 4)
            last = reference.setdefault(matrix, scores)
            rotation, _ = orthogonal_procrustes(scores, last)
            order = np.arange(len(symbols)) if c is None else c.left if matrix == "W_E" else c.answer
            for i, point in enumerate(scores @ rotation):
                cells = {f"pc{j + 1}": float(point[j]) if j < len(point) else None for j in range(4)}
                rows.append({"step": step, "matrix": matrix, "symbol": int(order[i]), "position": i, **cells})
    return sorted(rows, key=lambda row: (row["step"], row["matrix"], row["position"]))


def compute_tsne(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """t-SNE of the unembedding, one point an answer (Power et al. 2022, figure 3)."""
    from sklearn.manifold import TSNE

    symbols = _symbols(snapshot, "W_U")
    if len(symbols) < 5 or symbols.shape[1] < 2:
        return []
    perplexity = min(params["perplexity"], (len(symbols) - 1) / 3)
    points = TSNE(perplexity=perplexity, init="pca", random_state=params["seed"]).fit_transform(symbols)
    c = snapshot.task.coordinates
    order = range(len(symbols)) if c is None else c.answer.tolist()
    return [
        {"symbol": int(symbol), "position": i, "x": float(x), "y": float(y)}
        for i, (symbol, (x, y)) in enumerate(zip(order, points, strict=True))
    ]


def plot(tables: "Tables") -> "Figure":
    """Circles of the key frequencies at init, memorised, grokked and end; PCA where there are none."""
    circles = tables["circles"]
    return _plot_circles(tables) if len(circles) else _plot_components(tables)


def _plot_circles(tables: "Tables") -> "Figure":
    from grokinterp import plotting

    circles = tables["circles"]
    keys = sorted(circles["k"].unique())[:5]
    steps = sorted(int(step) for step in circles["step"].unique())
    marks = tables.phases.landmarks(steps)
    names = {step: name for name, step in reversed(marks.items())}
    shown = sorted(names)
    fig, axes = plotting.figure(rows=len(shown), columns=len(keys), width="text", height=1.35, square=True)
    for k, column in zip(keys, axes.T, strict=True):
        mine = circles[circles["k"] == k]
        reach = 1.08 * float(mine[["x", "y"]].abs().to_numpy().max())
        n = int(mine["position"].max()) + 1
        for step, axis in zip(shown, column, strict=True):
            rows = mine[mine["step"] == step].sort_values("position")
            order = rows["position"] * k % n
            axis.scatter(rows["x"], rows["y"], c=order, cmap=plotting.RESIDUES, s=5, vmin=0, vmax=n, linewidths=0)
            axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
        column[0].set_title(f"k = {k}", fontsize=8)
    for step, axis in zip(shown, axes[:, 0], strict=True):
        axis.set_ylabel(f"{names[step]}\nstep {step}")
    return fig


def _plot_components(tables: "Tables") -> "Figure":
    from grokinterp import plotting

    fig, axes = plotting.figure(columns=2, width="text", height=2.6)
    table = tables["coordinates"]
    last = table[table["step"] == table["step"].max()]
    for axis, matrix in zip(axes, MATRICES, strict=True):
        rows = last[last["matrix"] == matrix]
        axis.scatter(rows["pc1"], rows["pc2"], c=rows["position"], cmap="viridis", s=8, linewidths=0)
        axis.set_xlabel(f"PC 1 of ${matrix}$")
        axis.set_ylabel(f"PC 2 of ${matrix}$")
    return fig


POINT = {
    "symbol": Column("the operand or answer", kind="int", low=0),
    "position": Column("its place in natural order (its own where there is none)", kind="int", low=0),
}

MEASURE = Measure(
    name="symbol_pca",
    summary="PCA of the symbols: variance shares, circularity, circles per key frequency, t-SNE.",
    reference="Power et al. 2022 (arXiv 2201.02177), figure 3; Zhong et al. 2023 (2306.17844), circularity.",
    parts={
        "": Part(
            {
                "matrix": Column("W_E (operands) or W_U (answers)", kind="str"),
                "component": Column("principal component, from 1", kind="int", low=1),
                "share": Column("share of variance", low=0, high=1),
                "share_null_q95": Column("95 % quantile of the share for noise", low=0, high=1),
                "circularity": Column("how much it is one cosine", low=0, high=1, null=True),
                "circularity_null_q95": Column("95 % quantile for noise", low=0, high=1, null=True),
                "k": Column("frequency of that cosine", kind="int", low=1, null=True),
            },
            compute,
        ),
        "parallelograms": Part(
            {
                "delta": Column("largest defect that counts, in units of the embedding's spread", low=0),
                "rqi": Column("share of parallelograms with at most that defect", low=0, high=1),
                "rqi_null_q95": Column("95 % quantile of the share for noise", low=0, high=1),
            },
            compute_parallelograms,
            steps="events",
        ),
        "circles": Part(
            {
                "k": Column("key frequency", kind="int", low=1),
                **POINT,
                "x": Column("coordinate in the plane of k, cosine side"),
                "y": Column("coordinate in the plane of k, sine side"),
            },
            compute_circles,
            steps="events",
        ),
        "coordinates": Part(
            {
                "matrix": Column("W_E (operands) or W_U (answers)", kind="str"),
                **POINT,
                **{f"pc{i}": Column(f"aligned score {i}", null=True) for i in range(1, 5)},
            },
            compute_coordinates,
            scope="run",
        ),
        "tsne": Part(
            {**POINT, "x": Column("t-SNE coordinate"), "y": Column("t-SNE coordinate")},
            compute_tsne,
            steps="last",
        ),
    },
    plot=plot,
    params={
        "n_components": 10,
        "null_draws": 20,
        "seed": 0,
        "n_frames": 40,
        "perplexity": 30.0,
        "rqi_deltas": [0.1, 0.5, 1.0],
        "rqi_draws": 5,
    },
    uses_keys=True,
    series=(Series("circularity of PC 1", "circularity", "", {"matrix": "W_E", "component": 1}, threshold=0.5),),
)
