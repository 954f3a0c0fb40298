"""The tables of this folder, from its runs."""

import pandas as pd

import grokinterp as gi
from analyses.rows import outcomes, thinned
from analyses.study import Study

SCORES = ("accuracy", "p_correct", "brier", "reciprocal_rank", "margin", "normalized_margin", "log_prob")
POINTS = 80


def transitions(study: Study) -> pd.DataFrame:
    """The 10-90 % transition of every score on the test pairs, of every run; the measure smooth_metrics."""
    parts = []
    for run in study.trained("runs"):
        table = run.table("smooth_metrics.sharpness")
        parts.append(_named(study, run, table[table["split"] == "test"].drop(columns=["split", "step"])))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def scores(study: Study) -> pd.DataFrame:
    """The scores over steps of the first seed of each variant, for the figure."""
    parts = []
    for run in study.trained("runs"):
        if run.config.model.init_seed == 0:
            table = run.table("smooth_metrics")
            table = table[table["split"] == "test"].sort_values("step")
            table = table.iloc[thinned(table["step"].to_numpy(), POINTS)]
            parts.append(_named(study, run, table[["step", *SCORES]]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _named(study: Study, run: gi.Run, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(variant=study.variant("runs", run), seed=run.config.model.init_seed)


TABLES = {"runs": lambda study: outcomes(study, "runs"), "transitions": transitions, "scores": scores}
