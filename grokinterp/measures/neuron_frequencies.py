"""Which frequency each neuron computes, how purely, and with which phases."""

from typing import TYPE_CHECKING

from grokinterp.measures.measure import Column, Measure, Part, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokinterp.snapshots import Snapshot
    from grokinterp.tables import Tables


def compute(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """Cluster sizes: how many neurons give at least `threshold` of their energy to each frequency.

    Of each post-activation neuron over all pairs (natural order, last position): fraction =
    (energy of the 3x3 block of k minus its constant entry) / (total energy minus the constant),
    k the best one. `frequency` 0 is the row for all frequencies together.

    **Paper:** Nanda et al. 2023, section 4.3 and appendix C (their threshold .85).
    **Known values:** Chughtai's C113 seed 1: 495 of 512 = 196 + 103 + 196.
    """
    from grokinterp.harmonics.cyclic import frequencies

    fraction, best = snapshot.neuron_spectrum.fraction, snapshot.neuron_spectrum.best
    pure = fraction >= params["threshold"]
    rows = [
        {
            "frequency": 0,
            "n_neurons": int(pure.sum()),
            "share": float(pure.double().mean()),
            "mean_fraction": float(fraction.mean()),
        }
    ]
    for k in frequencies(snapshot.coordinates.n):
        mine = pure & (best == k)
        if mine.any():
            rows.append(
                {
                    "frequency": k,
                    "n_neurons": int(mine.sum()),
                    "share": float(mine.double().mean()),
                    "mean_fraction": float(fraction[mine].mean()),
                }
            )
    return rows


def compute_neurons(snapshot: "Snapshot", *, params: dict) -> list[Row]:
    """One row a neuron: best frequency, fraction, and the phases of its inputs and output.

    With the first-order part of the neuron written A cos(w_k i + phase_left) + B cos(w_k j +
    phase_right) and its row of W_L as C cos(w_k c + phase_out), a neuron that computes i + j has
    phase_left + phase_right = phase_out mod 2 pi; phase_residual is that difference in [-pi, pi].

    **Paper:** Gromov 2023 (arXiv 2301.02679), whose weights satisfy it exactly (his output phase
    has the other sign).
    """
    import math

    import torch

    from grokinterp.harmonics.cyclic import fourier_basis

    del params
    n = snapshot.coordinates.n
    neurons = snapshot.neuron_spectrum
    spectrum, best = neurons.spectrum, neurons.best
    which = torch.arange(len(best), device=spectrum.device)
    cosine = (2 * best - 1).to(spectrum.device)
    has_sine = 2 * best.to(spectrum.device) != n
    sine = torch.where(has_sine, cosine + 1, cosine)

    def phase(table: "torch.Tensor") -> "torch.Tensor":
        """Of A cos(w x + phase) = A cos(phase) cos(w x) - A sin(phase) sin(w x), per neuron."""
        return torch.atan2(-torch.where(has_sine, table[sine, which], 0.0), table[cosine, which])

    left, right = phase(spectrum[:, 0]), phase(spectrum[0])
    out = phase(fourier_basis(n).to(spectrum.device) @ snapshot.natural_rows("W_L"))
    residual = torch.remainder(left + right - out + math.pi, 2 * math.pi) - math.pi
    fraction = neurons.fraction.tolist()
    columns = zip(best.tolist(), fraction, left.tolist(), right.tolist(), out.tolist(), strict=True)
    return [
        {
            "neuron": n,
            "frequency": k,
            "fraction": share,
            "phase_left": a,
            "phase_right": b,
            "phase_out": o,
            "phase_residual": r,
        }
        for n, ((k, share, a, b, o), r) in enumerate(zip(columns, residual.tolist(), strict=True))
    ]


def plot(tables: "Tables") -> "Figure":
    """Cluster sizes over steps, stacked, and the distribution of fractions at the last checkpoint."""
    import numpy as np

    from grokinterp import plotting

    fig, (left, right) = plotting.figure(columns=2, width="text", height=2.2)
    table, neurons = tables.main, tables["neurons"]
    colors = plotting.frequency_colors(tables.keys)
    steps = np.sort(table["step"].unique())
    sizes = table.pivot_table(index="step", columns="frequency", values="n_neurons", fill_value=0)
    sizes = sizes.reindex(steps, fill_value=0)
    keys = [k for k in tables.keys if k in sizes]
    others = sizes[[k for k in sizes if k not in (0, *keys)]].sum(axis=1)
    stack = [sizes[k] for k in keys] + [others]
    labels = [f"k = {k}" for k in keys] + ["other"]
    shades = [colors[k] for k in keys] + [plotting.FAINT]
    left.stackplot(steps, stack, labels=labels, colors=shades)
    total = len(neurons[neurons["step"] == neurons["step"].max()])
    left.set_ylim(0, total)
    left.set_ylabel(f"neurons of {total} in one frequency")
    last = neurons["step"].max()
    rows = neurons[neurons["step"] == last]
    bins = np.linspace(0, 1, 41)
    parts = [rows[rows["frequency"] == k]["fraction"] for k in keys]
    parts.append(rows[~rows["frequency"].isin(keys)]["fraction"])
    right.hist(parts, bins=bins, stacked=True, color=shades)
    right.axvline(0.85, color=plotting.INK, lw=0.8, ls="--")
    right.set_xlabel(f"share of energy in one frequency, step {last}")
    right.set_ylabel("neurons")
    return plotting.over_steps(fig, tables.phases, axes=[left], legends={left: "upper left"})


MEASURE = Measure(
    name="neuron_frequencies",
    summary="Neurons that compute one frequency each: cluster sizes, purity and phases.",
    reference="Nanda et al. 2023 (arXiv 2301.05217), section 4.3; Gromov 2023 (arXiv 2301.02679).",
    parts={
        "": Part(
            {
                "frequency": Column("k; 0 for all frequencies together", kind="int", low=0),
                "n_neurons": Column("neurons at or above the threshold", "neurons", "int", low=0),
                "share": Column("n_neurons / all neurons", low=0, high=1),
                "mean_fraction": Column("their mean fraction; of all neurons at frequency 0", low=0, high=1),
            },
            compute,
        ),
        "neurons": Part(
            {
                "neuron": Column("index in the last MLP", kind="int", low=0),
                "frequency": Column("best k", kind="int", low=1),
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
)
