"""One row a run, as the tables of the papers' folders have it; and curves thinned for a file."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

import grokinterp as gi
from analyses.study import Study

POINTS = 160
"""Evaluations kept of a curve, log-spaced."""

CURVES = ["train_accuracy", "test_accuracy", "train_loss", "test_loss"]


def outcome_row(run: gi.Run) -> dict[str, Any]:
    """Seed, events, censoring, and the accuracies at the end and at their best."""
    phases, metrics = run.phases, run.metrics
    return {
        "run": run.config.name,
        "seed": run.config.model.init_seed,
        "frac_train": run.config.task.frac_train,
        "n_train": run.config.task.n_train,
        "steps": run.config.train.steps,
        "last_step": phases.last_step,
        "memorization_step": phases.memorization_step,
        "generalization_step": phases.generalization_step,
        "censored": phases.censored,
        "train_accuracy": float(metrics["train_accuracy"].iloc[-1]),
        "test_accuracy": float(metrics["test_accuracy"].iloc[-1]),
        "best_test_accuracy": float(metrics["test_accuracy"].max()),
    }


def outcomes(study: Study, *recipes: str) -> pd.DataFrame:
    """`outcome_row` of every run of the recipes, with its recipe, variant and operation."""
    rows = [
        {"recipe": recipe, "variant": study.variant(recipe, run), "operation": run.task.name, **outcome_row(run)}
        for recipe in recipes
        for run in study.trained(recipe)
    ]
    return pd.DataFrame(rows)


def curves(study: Study, recipe: str) -> pd.DataFrame:
    """Accuracy and loss over steps of every run of a recipe, at about POINTS log-spaced evaluations."""
    parts = []
    for run in study.trained(recipe):
        metrics = run.metrics
        kept = metrics.iloc[thinned(metrics["step"].to_numpy(), POINTS)][["step", *CURVES]]
        parts.append(kept.assign(variant=study.variant(recipe, run), seed=run.config.model.init_seed))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def thinned(steps: np.ndarray, points: int) -> np.ndarray:
    """Indices of about `points` of the steps, log-spaced, with the first and the last."""
    if len(steps) <= points:
        return np.arange(len(steps))
    wanted = np.geomspace(1, max(steps[-1], 2), points)
    return np.unique(np.concatenate([[0], np.searchsorted(steps, wanted).clip(0, len(steps) - 1), [len(steps) - 1]]))


def median_steps(table: pd.DataFrame, event: str, by: Iterable[str] = ("frac_train",)) -> pd.DataFrame:
    """Kaplan-Meier median of the steps until an event with its 95 % interval, over the runs of each group.

    Runs that end before the event are censored at their last step.
    """
    from grokinterp.cohort import Durations, kaplan_meier

    rows = []
    by = list(by)
    for values, group in table.groupby(by):
        observed = group[event].notna()
        times = group[event].where(observed, group["last_step"]).astype(int)
        found = kaplan_meier(Durations(tuple(times), tuple(observed)))
        at = dict(zip(by, values, strict=True))
        rows.append(
            {**at, "n": found.n, "n_observed": found.n_observed, "median": found.median}
            | {"low": found.low, "high": found.high}
        )
    return pd.DataFrame(rows)
