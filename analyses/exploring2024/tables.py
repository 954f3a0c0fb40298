"""The tables of this folder, from its runs."""

from typing import Any

import pandas as pd

import grokinterp as gi
from analyses.rows import outcomes
from analyses.study import Study

RECIPES = ("transformers", "others")


def mechanism(study: Study) -> pd.DataFrame:
    """Weight norm and sparsity of the embedding's spectrum, of the first and the last network of each run."""
    rows = [
        {"recipe": recipe, "variant": study.variant(recipe, run), "run": run.config.name, "when": when}
        | {"frac_train": run.config.task.frac_train, "seed": run.config.model.init_seed}
        | _structure(run, step)
        for recipe in RECIPES
        for run in study.trained(recipe)
        for when, step in (("start", run.steps[0]), ("end", run.steps[-1]))
    ]
    return pd.DataFrame(rows)


def _structure(run: gi.Run, step: int) -> dict[str, Any]:
    norms, spectra = run.table("weight_norm"), run.table_or_none("embedding_spectrum")
    total = norms[(norms["step"] == step) & (norms["group"] == "total")]["sum_of_squares"].iloc[0]
    found: dict[str, Any] = {"step": step, "sum_of_squares": float(total), "gini_W_E": None, "gini_W_L": None}
    if spectra is not None:
        for matrix in ("W_E", "W_L"):
            row = spectra[(spectra["step"] == step) & (spectra["matrix"] == matrix)]
            found[f"gini_{matrix}"] = float(row["gini"].iloc[0]) if len(row) else None
    return found


TABLES = {
    "architectures": lambda study: outcomes(study, *RECIPES),
    "optimizers": lambda study: outcomes(study, "optimizers"),
    "mechanism": mechanism,
}
