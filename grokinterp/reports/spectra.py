"""What the page draws over frequencies: the matrices' norms, the neurons' clusters, irreps."""

from typing import TYPE_CHECKING, Any

import numpy as np

from grokinterp.reports.absent import AbsentError, needed_table
from grokinterp.reports.arrays import exact, thinned
from grokinterp.reports.curves import View, curve
from grokinterp.run import Run

if TYPE_CHECKING:
    import pandas as pd

CHECKPOINTS = 400
"""Spectra and clusters of more checkpoints are thinned to so many, evenly."""


def spectrum(run: Run) -> View:
    """Norm of each matrix at each frequency and checkpoint, in float32."""
    table = needed_table(run, "embedding_spectrum.components", ("matrix", "k", "norm"))
    steps = thinned(sorted({int(step) for step in table["step"]}), CHECKPOINTS)
    matrices = {}
    for name, rows in table.groupby("matrix", sort=False):
        wide = rows.pivot_table(index="step", columns="k", values="norm").reindex(steps)
        matrices[str(name)] = {"k": [int(k) for k in wide.columns], "norms": exact(wide.to_numpy())}
    return {"steps": steps, "matrices": matrices}


def clusters(run: Run) -> View:
    """Neurons of one frequency each over steps: the key frequencies' clusters, the others together."""
    table = needed_table(run, "neuron_frequencies", ("k", "n_neurons", "share", "threshold"))
    steps = sorted({int(step) for step in table["step"]})
    sizes = table.pivot_table(index="step", columns="k", values="n_neurons", fill_value=0).reindex(steps)
    whole = table[(table["k"] == 0) & (table["share"] > 0)]
    n_neurons = round(float((whole["n_neurons"] / whole["share"]).iloc[-1])) if len(whole) else None
    ks = {int(k): [int(n) for n in sizes[k]] for k in sizes.columns if k}
    return {"steps": steps, "sizes": ks, "threshold": float(table["threshold"].iloc[-1]), "n_neurons": n_neurons}


def neurons(run: Run) -> View:
    """Each neuron's best frequency and its share of the energy, at the table's checkpoints."""
    table = needed_table(run, "neuron_frequencies.neurons", ("neuron", "k", "fraction"))
    steps = thinned(sorted({int(step) for step in table["step"]}), 40)
    frames = [table[table["step"] == step].sort_values("neuron") for step in steps]
    return {
        "steps": steps,
        "k": exact(_stacked(frames, "k"), "<u2"),
        "fraction": exact(_stacked(frames, "fraction")),
    }


def _stacked(frames: "list[pd.DataFrame]", column: str) -> np.ndarray:
    return np.stack([rows[column].to_numpy() for rows in frames])


def symbols(run: Run) -> View:
    """PCA scores of the symbols, aligned to the last checkpoint, at the table's own checkpoints."""
    scores = [f"pc{i}" for i in range(1, 5)]
    table = needed_table(run, "symbol_pca.coordinates", ("matrix", "symbol", "position", *scores))
    steps, matrices = sorted({int(step) for step in table["step"]}), {}
    for name, rows in table.groupby("matrix", sort=False):
        frames = [rows[rows["step"] == step].sort_values("position") for step in steps]
        points = np.stack([frame[scores].to_numpy(dtype=float) for frame in frames])
        matrices[str(name)] = {"symbol": [int(s) for s in frames[-1]["symbol"]], "points": exact(points)}
    return {"steps": steps, "matrices": matrices, "shares": _shares(run)}


def _shares(run: Run) -> dict[str, Any]:
    """Variance shares at the last checkpoint, by matrix; empty where not computed."""
    table = run.table_or_none("symbol_pca")
    if table is None or not {"step", "matrix", "component", "share"} <= set(table.columns) or not len(table):
        return {}
    last = table[table["step"] == table["step"].max()].sort_values("component")
    return {str(name): [float(x) for x in rows["share"]][:4] for name, rows in last.groupby("matrix")}


def irreps(run: Run) -> View:
    """Share of the logits' variance in each irrep, of groups that are not cyclic."""
    if run.task.coordinates is not None:
        raise AbsentError("the operation is addition on some Z_n, whose irreps are the frequencies shown")
    table = needed_table(run, "group_representations", ("irrep", "logit_share", "is_key"))
    last = table[table["step"] == table["step"].max()].sort_values("logit_share", ascending=False, kind="stable")
    curves = [
        curve(str(name), table[table["irrep"] == name], "logit_share", f"cycle:{i}" if key else "faint")
        for i, (name, key) in enumerate(zip(last["irrep"], last["is_key"], strict=True))
    ]
    return {"axis": "share of the logits' variance", "zero": True, "curves": curves[:24]}
