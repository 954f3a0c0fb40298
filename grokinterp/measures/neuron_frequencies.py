"""Which frequency each neuron computes, how purely, and with which phases."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row, Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Cluster sizes: how many neurons give at least `threshold` of their energy to each frequency.

    Of each post-activation neuron over all pairs (natural order, last position): fraction =
    (energy of the 3x3 block of k minus its constant entry) / (total energy minus the constant),
    k the best one. `k` = 0 is the row for all frequencies together. mean_residual is the mean of
    |phase_residual| (part "neurons") over the counted neurons: 0 if they compute i + j, pi/2 for random phases.
    A network may use few of its neurons: energy_share says how much of the energy the counted ones hold.

    **Paper:** Nanda et al. 2023, section 4.3 and appendix C (their threshold .85).
    **Known values:** Chughtai's C113 seed 1: 495 of 512 = 196 + 103 + 196.
    """
    from grokinterp.harmonics.cyclic import frequencies

    found = snapshot.neuron_spectrum
    fraction, best, energy = found.fraction, found.best, found.energy / found.energy.sum()
    pure = fraction >= params["threshold"]
    residual = _phases(snapshot)[-1].abs().cpu()
    rows = []
    for k in (0, *frequencies(snapshot.coordinates.n)):
        mine = pure & (best == k) if k else pure
        if k and not mine.any():
            continue
        rows.append(
            {
                "k": k,
                "threshold": float(params["threshold"]),
                "n_neurons": int(mine.sum()),
                "share": float(mine.double().mean()),
                "energy_share": float(energy[mine].sum().clamp(max=1.0)) if bool(energy.isfinite().all()) else None,
                "mean_fraction": float(fraction[mine].mean() if k else fraction.mean()),
                "mean_residual": float(residual[mine].mean()) if mine.any() else None,
            }
        )
    return rows


def _phases(snapshot: "Snapshot") -> "tuple[Tensor, Tensor, Tensor, Tensor]":
    """Of each neuron at its best frequency: phase_left, phase_right, phase_out and phase_residual."""
    import math

    import torch

    from grokinterp.harmonics.cyclic import fourier_basis

    n, found = snapshot.coordinates.n, snapshot.neuron_spectrum
    best, which = found.best.to(found.blocks.device), torch.arange(len(found.best))
    blocks = found.blocks[best - 1, :, :, which]  # [neuron, 3, 3]
    out_rows = fourier_basis(n).to(best.device) @ snapshot.natural_rows("W_L")
    sine = torch.where(2 * best == n, 0.0, out_rows[(2 * best).clamp(max=n - 1), which])
    out_rows = torch.stack([out_rows[2 * best - 1, which], sine], dim=1)

    def phase(pair: "Tensor") -> "Tensor":
        """Of A cos(w x + phase) = A cos(phase) cos(w x) - A sin(phase) sin(w x), per neuron."""
        return torch.atan2(-pair[:, 1], pair[:, 0])

    left, right, out = phase(blocks[:, 1:, 0]), phase(blocks[:, 0, 1:]), phase(out_rows)
    return left, right, out, torch.remainder(left + right - out + math.pi, 2 * math.pi) - math.pi


def compute_neurons(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """One row a neuron: best frequency, fraction, and the phases of its inputs and output.

    With the first-order part of the neuron written A cos(w_k i + phase_left) + B cos(w_k j +
    phase_right) and its row of W_L as C cos(w_k c + phase_out), a neuron that computes i + j has
    phase_left + phase_right = phase_out mod 2 pi; phase_residual is that difference in [-pi, pi].

    **Paper:** Gromov 2023 (arXiv 2301.02679), whose weights satisfy it exactly (his output phase
    has the other sign).
    """
    del params
    neurons = snapshot.neuron_spectrum
    names = ("k", "fraction", "phase_left", "phase_right", "phase_out", "phase_residual")
    columns = [values.tolist() for values in (neurons.best, neurons.fraction, *_phases(snapshot))]
    cells = zip(*columns, strict=True)
    return [{"neuron": m, **dict(zip(names, values, strict=True))} for m, values in enumerate(cells)]


def plot(tables: "Tables") -> "Figure":
    """Cluster sizes over steps, stacked; fractions and phase residuals of the neurons at the last checkpoint."""
    import numpy as np

    from grokinterp import plotting

    fig, (left, middle, right) = plotting.figure(columns=3, width="text", height=2.2)
    table, neurons = tables.main, tables["neurons"]
    colors = plotting.frequency_colors(tables.keys)
    steps = np.sort(table["step"].unique())
    sizes = table.pivot_table(index="step", columns="k", values="n_neurons", fill_value=0)
    sizes = sizes.reindex(steps, fill_value=0)
    keys = [k for k in tables.keys if k in sizes]
    others = sizes[[k for k in sizes if k not in (0, *keys)]].sum(axis=1)
    labels = [f"k = {k}" for k in keys] + ["other"]
    shades = [colors[k] for k in keys] + [plotting.FAINT]
    left.stackplot(steps, [sizes[k] for k in keys] + [others], labels=labels, colors=shades)
    last = neurons["step"].max()
    rows, threshold = neurons[neurons["step"] == last], float(table["threshold"].iloc[-1])
    left.set_ylim(0, len(rows))
    left.set_ylabel(f"neurons of {len(rows)} in one frequency")
    parts = [rows[rows["k"] == k] for k in keys] + [rows[~rows["k"].isin(keys)]]
    middle.hist([part["fraction"] for part in parts], bins=np.linspace(0, 1, 41).tolist(), stacked=True, color=shades)
    middle.axvline(threshold, color=plotting.INK, lw=0.8, ls="--", label=f"counted from {threshold:g}")
    middle.set_xlabel(f"share of energy in one\nfrequency, step {last}")
    pure = [part[part["fraction"] >= threshold]["phase_residual"] for part in parts]
    right.hist(pure, bins=np.linspace(-np.pi, np.pi, 41).tolist(), stacked=True, color=shades)
    right.set_xticks([-np.pi, 0, np.pi], [r"$-\pi$", "0", r"$\pi$"])
    right.set_xlabel(f"phase left + right $-$ out\n(radians), step {last}")
    for axis, label in ((middle, "neurons"), (right, "counted neurons")):
        axis.set_ylabel(label)
    return plotting.over_steps(fig, tables.phases, axes=[left], legends={left: "upper left", middle: "upper left"})


MEASURE = Measure(
    name="neuron_frequencies",
    summary="Neurons that compute one frequency each: cluster sizes, purity and phases.",
    reference="Nanda et al. 2023 (arXiv 2301.05217), section 4.3; Gromov 2023 (arXiv 2301.02679).",
    parts={
        "": Part(
            {
                "k": Column("frequency; 0 for all frequencies together", kind="int", low=0),
                "threshold": Column("fraction from which a neuron is counted", low=0, high=1),
                "n_neurons": Column("neurons at or above the threshold", "neurons", "int", low=0),
                "share": Column("n_neurons / all neurons", low=0, high=1),
                "energy_share": Column(
                    "their share of all neurons' energy off the constant; null if all are dead",
                    low=0,
                    high=1,
                    null=True,
                ),
                "mean_fraction": Column("their mean fraction; of all neurons, pure or not, at k = 0", low=0, high=1),
                "mean_residual": Column("their mean |phase_residual|", "radians", low=0, high=3.2, null=True),
            },
            compute,
        ),
        "neurons": Part(
            {
                "neuron": Column("index in the last MLP", kind="int", low=0),
                "k": Column("best frequency", kind="int", low=1),
                "fraction": Column("share of the neuron's energy in the block of k", low=0, high=1),
                "phase_left": Column("phase in the left operand", "radians", low=-3.2, high=3.2),
                "phase_right": Column("phase in the right operand", "radians", low=-3.2, high=3.2),
                "phase_out": Column("phase of its row of W_L", "radians", low=-3.2, high=3.2),
                "phase_residual": Column("left + right - out, wrapped", "radians", low=-3.2, high=3.2),
            },
            compute_neurons,
            steps="landmarks",
        ),
    },
    plot=plot,
    params={"threshold": 0.85},
    uses_keys=True,
    series=(Series("neurons of one frequency", "share", where={"k": 0}, threshold=0.5),),
)
