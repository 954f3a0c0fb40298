"""The tables of this folder, from its runs."""

from typing import Any

import numpy as np
import pandas as pd

import grokinterp as gi
from analyses.rows import outcome_row
from analyses.study import Study
from grokinterp.harmonics.circles import frequency_circles
from grokinterp.harmonics.components import circularity, principal_scores

NUMBERS = ["gradient_symmetricity", "distance_irrelevance"]

N_COMPONENTS = 4
"""Principal components whose circularity the paper averages."""

N_CIRCLES = 3
"""Circles shown of a network, the largest."""


def _about(run: gi.Run) -> dict[str, Any]:
    return {"attention_rate": run.config.model.attention_rate, "seed": run.config.model.init_seed}


def _shown(study: Study) -> list[gi.Run]:
    """The first seed that generalised at each end of the rates."""
    found: dict[float, gi.Run] = {}
    for run in study.trained("rates"):
        rate = run.config.model.attention_rate
        if rate in (0.0, 1.0) and rate not in found and run.phases.generalization_step is not None:
            found[rate] = run
    return [found[rate] for rate in sorted(found)]


def runs(study: Study) -> pd.DataFrame:
    """Each run: outcome, symmetricity and irrelevance at the end, those of untrained networks, circularity."""
    rows = []
    for run in study.trained("rates"):
        table = run.table("clock_pizza").sort_values("step")
        last = table.iloc[-1]
        baseline = run.table("clock_pizza.baseline")
        untrained = baseline[baseline["network"] == "untrained"][NUMBERS].astype(float).mean()
        scores, _ = principal_scores(run.snapshot().natural_rows("W_E").cpu().numpy(), N_COMPONENTS)
        rows.append(
            {**_about(run), **outcome_row(run), **last[[*NUMBERS, "standard_error"]].to_dict()}
            | {f"{name}_untrained": value for name, value in untrained.items()}
            | {"circularity": float(circularity(scores)[0].mean())}
            | {"symmetricity_when_generalised": _when_generalised(run, table)}
        )
    return pd.DataFrame(rows)


def _when_generalised(run: gi.Run, table: pd.DataFrame) -> float | None:
    """Symmetricity at the first checkpoint from the generalisation step on."""
    step = run.phases.generalization_step
    after = table if step is None else table[table["step"] >= step]
    return None if step is None or after.empty else float(after["gradient_symmetricity"].iloc[0])


def courses(study: Study) -> pd.DataFrame:
    """Symmetricity and irrelevance over steps."""
    parts = [run.table("clock_pizza")[["step", *NUMBERS]].assign(**_about(run)) for run in study.trained("rates")]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def circles(study: Study) -> pd.DataFrame:
    """What each circle of the last network computes alone: explained variance of its logits by each formula.

    isolation: frequency, exactly one key frequency; or components, pairs of principal components as in the paper.
    """
    parts = []
    for run in study.trained("rates"):
        table = run.table("clock_pizza.circles")
        last = table[table["step"] == table["step"].max()]
        kept = last[["isolation", "circle", "k", "circularity", "embedding_share", "formula", "fve", "fve_fitted"]]
        generalised = run.phases.generalization_step is not None
        parts.append(kept.assign(**_about(run), generalised=generalised))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def points(study: Study) -> pd.DataFrame:
    """The symbols, rows of W_E less their mean, in the plane of each of the largest circles, at both ends of the rates.

    `turn` is the place on the circle, k x mod n over n, that a symbol x has on a circle of frequency k.
    """
    parts = []
    for run in _shown(study):
        matrix = run.snapshot().natural_rows("W_E").double().cpu().numpy()
        centred, n = matrix - matrix.mean(axis=0), len(matrix)
        for circle in _largest(run):
            rows = circle.rows.cpu().numpy()
            axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:2]
            table = pd.DataFrame(centred @ axes.T, columns=["x", "y"])
            turn = circle.k * np.arange(n) % n / n
            parts.append(table.assign(symbol=np.arange(n), turn=turn, **_about(run), k=circle.k, share=circle.share))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _largest(run: gi.Run) -> list[Any]:
    snapshot = run.snapshot()
    found = frequency_circles(snapshot.natural_rows("W_E").double(), snapshot.keys.ks, N_CIRCLES)
    return sorted(found, key=lambda circle: -circle.share)


def patterns(study: Study) -> pd.DataFrame:
    """The correct logit that one circle alone gives, over the angle between the operands on it.

    For each circle and difference d = i - j: the angle of k d in (-pi, pi], and mean and standard deviation over i of
    the correct logit, z-scored with the mean and the standard deviation of all n^3 logits of the circle.
    A pizza gives |cos(angle / 2)| up to scale; a clock a constant.
    """
    import torch

    parts = []
    for run in _shown(study):
        snapshot = run.snapshot()
        n, embed = snapshot.coordinates.n, snapshot.weights["embed.W_E"]
        operands = torch.from_numpy(snapshot.coordinates.left)
        i = np.arange(n)
        j = (i[:, None] - i[None, :]) % n  # i - d, indexed [i, d]
        for circle in _largest(run):
            alone = snapshot.with_weights({"embed.W_E": embed.index_copy(0, operands, circle.rows.to(embed))})
            logits = alone.natural_logits[:, :, :n].double().cpu().numpy()
            correct = (logits[i[:, None], j, (i[:, None] + j) % n] - logits.mean()) / logits.std()
            turn = (circle.k * i % n) / n
            angle = 2 * np.pi * np.where(turn > 0.5, turn - 1, turn)
            table = pd.DataFrame({"angle": angle, "mean": correct.mean(axis=0), "std": correct.std(axis=0)})
            parts.append(table.sort_values("angle").assign(**_about(run), k=circle.k))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


TABLES = {"runs": runs, "courses": courses, "circles": circles, "points": points, "patterns": patterns}
