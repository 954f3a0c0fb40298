"""The tables of this folder, from its runs."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

import grokinterp as gi
from analyses.circuit_criteria.criteria import criteria, lead
from analyses.rows import CURVES, outcome_row
from analyses.study import Study

RECIPES = ("mainline", "seeds")
POINTS = {"mainline": 400, "seeds": 120}
SPECTRA = 60


def _runs(study: Study, *recipes: str) -> Iterator[tuple[dict[str, Any], gi.Run]]:
    """Each run with what tells it from the others."""
    for recipe in recipes or RECIPES:
        for run in study.trained(recipe):
            yield {"recipe": recipe, "seed": run.config.model.init_seed}, run


def _each(build: Callable[[gi.Run], pd.DataFrame], *recipes: str) -> Callable[[Study], pd.DataFrame]:
    """A table that is made run by run."""

    def table(study: Study) -> pd.DataFrame:
        parts = [build(run).assign(**names) for names, run in _runs(study, *recipes)]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    return table


def runs(study: Study) -> pd.DataFrame:
    """Events of each run, and what its last network looks like."""
    return pd.DataFrame([names | outcome_row(run) | _events(run) | _end(run) for names, run in _runs(study)])


def _events(run: gi.Run) -> dict[str, Any]:
    phases, crossing = run.phases, lead(run)
    return {
        "p": run.config.task.p,
        "half_accuracy_step": phases.step("half_accuracy"),
        "generalization_95_step": phases.step("generalization_95"),
        "small_test_loss_step": phases.step("small_test_loss"),
        "test_loss_peak_step": phases.double_descent.peak_step if phases.double_descent else None,
        "restricted_step": crossing["step"],
        "restricted_lead": crossing["lead_half_accuracy"],
        "restricted_lead_low": crossing["lead_half_accuracy_low"],
        "restricted_lead_high": crossing["lead_half_accuracy_high"],
    }


def _end(run: gi.Run) -> dict[str, Any]:
    """The last network: key frequencies, shares and losses."""
    step, keys = run.steps[-1], run.key_frequencies
    ks = keys.ks if keys is not None else ()
    spectrum = _at(run, "embedding_spectrum", step).set_index("matrix")["gini"]
    neurons = _at(run, "neuron_frequencies", step)
    whole = neurons[neurons["k"] == 0].iloc[0]
    found: dict[str, Any] = {
        "keys": " ".join(map(str, ks)),
        "n_keys": len(ks),
        "cosine_fve": float(_at(run, "logit_spectrum", step)["cosine_fve"].iloc[0]),
        "pure_neurons": float(whole["share"]),
        "pure_energy": float(whole["energy_share"]),
        "gini_W_E": float(spectrum["W_E"]),
        "gini_W_L": float(spectrum["W_L"]),
        "W_L_residual": residual(_at(run, "embedding_spectrum.components", step), ks),
    }
    losses = _at(run, "progress_measures", step)
    for kind in ("last", "random"):
        for split in ("all", "train"):
            row = losses[(losses["keys"] == kind) & (losses["split"] == split)].iloc[0]
            name = f"{split}" if kind == "last" else f"{split}_random"
            found |= {f"restricted_{name}": row["restricted_loss"], f"excluded_{name}": row["excluded_loss"]}
            found[f"full_{split}"] = row["full_loss"]
    return found


def residual(components: pd.DataFrame, ks: Iterable[int]) -> float:
    """Frobenius norm of W_L outside these frequencies over its norm, from the norms of its Fourier components.

    The constant is left out of both.
    """
    of_map = components[(components["matrix"] == "W_L") & (components["k"] > 0)]
    outside = of_map[~of_map["k"].isin(list(ks))]
    return float(np.linalg.norm(outside["norm"]) / np.linalg.norm(of_map["norm"]))


def _at(run: gi.Run, table: str, step: int) -> pd.DataFrame:
    rows = run.table(table)
    return rows[rows["step"] == step]


def _phases(run: gi.Run) -> pd.DataFrame:
    return pd.DataFrame(
        [{"phase": phase.name, "start": phase.start, "end": phase.end} for phase in run.phases.phases],
        columns=["phase", "start", "end"],
    )


def curves(study: Study) -> pd.DataFrame:
    """Accuracy, loss and sum of squared weights, at evenly spaced evaluations and, early on, log-spaced ones."""
    parts = []
    for names, run in _runs(study):
        metrics, n = run.metrics, POINTS[names["recipe"]]
        last = len(metrics) - 1
        even, early = np.linspace(0, last, n), np.geomspace(1, max(last, 2), n // 4)
        kept = np.unique(np.concatenate([even, early]).round().astype(int).clip(0, last))
        parts.append(metrics.iloc[kept][["step", *CURVES, "weight_norm"]].assign(**names))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _progress(run: gi.Run) -> pd.DataFrame:
    """Every checkpoint: losses of the progress measures, Gini, share of the logits, weight norm."""
    table = run.table("progress_measures")
    wide: pd.DataFrame | None = None
    for kind, split, column, name in (
        ("last", "train", "full_loss", "full_train"),
        ("last", "test", "full_loss", "full_test"),
        ("last", "all", "restricted_loss", "restricted_all"),
        ("last", "train", "excluded_loss", "excluded_train"),
        ("own", "all", "restricted_loss", "restricted_own"),
        ("random", "all", "restricted_loss", "restricted_random"),
        ("random", "train", "excluded_loss", "excluded_random"),
    ):
        rows = table[(table["keys"] == kind) & (table["split"] == split)]
        one = rows[["step", column]].rename(columns={column: name})
        wide = one if wide is None else wide.merge(one, on="step", how="outer")
    assert wide is not None
    spectrum = run.table("embedding_spectrum")
    for matrix in ("W_E", "W_L"):
        rows = spectrum[spectrum["matrix"] == matrix][["step", "gini"]]
        wide = wide.merge(rows.rename(columns={"gini": f"gini_{matrix}"}), on="step", how="left")
    norms = run.table("weight_norm")
    total = norms[norms["group"] == "total"][["step", "sum_of_squares"]]
    logits = run.table("logit_spectrum")[["step", "cosine_fve"]]
    return wide.merge(logits, on="step", how="left").merge(total, on="step", how="left").sort_values("step")


def _spectra(run: gi.Run) -> pd.DataFrame:
    """Norms of the Fourier components of W_E and W_L at about SPECTRA evenly spaced checkpoints; k = 0 left out."""
    table = run.table("embedding_spectrum.components")
    steps = np.array(sorted(table["step"].unique()))
    wanted = np.linspace(0, steps[-1], SPECTRA)
    kept = np.unique(np.append(steps[np.searchsorted(steps, wanted).clip(0, len(steps) - 1)], steps[-1]))
    chosen = table["step"].isin(kept) & table["matrix"].isin(["W_E", "W_L"]) & (table["k"] > 0)
    return table[chosen][["step", "matrix", "k", "norm"]]


def _logits(run: gi.Run) -> pd.DataFrame:
    """The last network's logits by frequency."""
    return _at(run, "logit_spectrum.frequencies", run.steps[-1])


def _neurons(run: gi.Run) -> pd.DataFrame:
    """The last network's neurons: best frequency and the share of it."""
    return _at(run, "neuron_frequencies.neurons", run.steps[-1])[["neuron", "k", "fraction"]]


def _attention(run: gi.Run) -> pd.DataFrame:
    """Each head's attention from = to a in the last network: its best frequency and the share of it."""
    rows = _at(run, "attention", run.steps[-1])
    return rows[rows["slot"] == "a"][["head", "k", "k_share"]]


def _keep_sets(run: gi.Run) -> pd.DataFrame:
    """Losses of the last network with only the key components kept, by what is projected."""
    return _at(run, "progress_measures.definitions", run.steps[-1])


def _without_neurons(run: gi.Run) -> pd.DataFrame:
    """Loss over all pairs of the last network without the neurons of one key frequency; k is null for the whole one.

    control: without as many random neurons, the mean over several draws.
    """
    rows = _at(run, "causal", run.steps[-1])
    single = (rows["component"] == "neurons") & (rows["ablation"] == "zero") & (rows["target"] == "k")
    single &= rows["keys"] == "last"
    rows = rows[(rows["split"] == "all") & (single | (rows["component"] == "none"))]
    return rows[["k", "control", "n_removed", "loss", "loss_increase"]]


def _criteria(run: gi.Run) -> pd.DataFrame:
    """The claims of analyses/circuit_criteria about the last network."""
    return pd.DataFrame([vars(one) for one in criteria(run, run.steps[-1])])


TABLES = {
    "runs": runs,
    "phases": _each(_phases),
    "curves": curves,
    "progress": _each(_progress),
    "spectra": _each(_spectra, "mainline"),
    "logits": _each(_logits, "mainline"),
    "neurons": _each(_neurons),
    "attention": _each(_attention, "mainline"),
    "keep_sets": _each(_keep_sets, "mainline"),
    "without_neurons": _each(_without_neurons, "mainline"),
    "criteria": _each(_criteria),
}
