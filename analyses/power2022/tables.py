"""The tables of this folder, from its runs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import grokinterp as gi
from analyses.rows import curves, outcomes
from analyses.study import Study
from grokinterp.harmonics.groups import parse_group
from grokinterp.harmonics.subgroups import coset_labels, nearest_neighbours, subgroups
from grokinterp.measures.registry import builtin_measures

EMBEDDED = {"fractions_add": "Z_97", "fractions_s5": "S5"}
"""The recipes from whose runs symbols are shown, and their group."""

SEED = 0


def sharpness(study: Study) -> pd.DataFrame:
    """Keskar's phi of the last network of each run of `sharpness` and `interventions`, and its accuracies."""
    return pd.DataFrame(
        [_phi(study, recipe, run) for recipe in ("sharpness", "interventions") for run in study.trained(recipe)]
    )


def _phi(study: Study, recipe: str, run: gi.Run) -> dict[str, Any]:
    flatness = builtin_measures()["flatness"]
    last = replace(flatness.parts["keskar"], steps="last")
    outcome = gi.analyze(run, [replace(flatness, name="keskar_last", parts={"": last}, series=())], show_progress=False)
    if outcome.failed or outcome.damaged:
        raise gi.GrokinterpError(f"{run.path}: {outcome.failed or outcome.damaged}")
    phi = run.table("keskar_last").iloc[-1]
    ends = run.metrics.iloc[-1]
    return {
        "recipe": recipe,
        "run": run.config.name,
        "variant": study.variant(recipe, run) or "adamw",
        "frac_train": run.config.task.frac_train,
        "seed": run.config.model.init_seed,
        "step": int(phi["step"]),
        "phi": float(phi["phi"]),
        "train_loss": float(ends["train_loss"]),
        "train_accuracy": float(ends["train_accuracy"]),
        "test_accuracy": float(ends["test_accuracy"]),
    }


def symbols(study: Study) -> pd.DataFrame:
    """t-SNE and PCA of the rows of W_U (a row an answer) in the last network of one grokked run a group."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    parts = []
    for recipe, group in EMBEDDED.items():
        run = next((run for run in study.trained(recipe) if run.phases.generalization_step is not None), None)
        if run is None:
            continue
        rows = run.weights(run.steps[-1])["unembed.W_U"].T.double().numpy()
        tsne = TSNE(perplexity=15, init="pca", random_state=SEED).fit_transform(rows)
        pcs = PCA(n_components=2, random_state=SEED).fit_transform(rows)
        table = pd.DataFrame(np.hstack([tsne, pcs]), columns=["tsne_1", "tsne_2", "pc_1", "pc_2"])
        colour = _cosets(run, rows) if run.task.group_name == "S5" else np.arange(len(rows))
        parts.append(table.assign(group=group, symbol=np.arange(len(rows)), colour=colour, run=run.config.name))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _cosets(run: gi.Run, rows: np.ndarray) -> np.ndarray:
    """The coset of each element, for the proper subgroup whose cosets hold most nearest neighbours."""
    group = parse_group(run.task.group_name)
    nearest, found = nearest_neighbours(rows), []
    for members in subgroups(group):
        if 2 <= members.sum() < group.order:
            for side in ("left", "right"):
                labels = coset_labels(group, members, side)
                n, chance = len(rows), (members.sum() - 1) / (group.order - 1)
                share = (labels[nearest] == labels).mean()
                found.append(((share - chance) / np.sqrt(chance * (1 - chance) / n), labels))
    return max(found, key=lambda pair: pair[0])[1]


def outliers(study: Study) -> pd.DataFrame:
    """Outcomes of the runs with outliers, by their number."""
    table = outcomes(study, "outliers")
    found = [run.config.task.outliers for run in study.trained("outliers")]
    return table.assign(outliers=found) if len(table) else table


def cosets(study: Study) -> pd.DataFrame:
    """How well clusters of S5's rows of W_U are cosets of a subgroup, in each grokked run; the measure coset_purity."""
    rows = []
    for run in study.trained("fractions_s5"):
        if run.phases.generalization_step is None:
            continue
        outcome = gi.analyze(run, ["coset_purity"], every=1000, show_progress=False)
        if outcome.failed or outcome.skipped:
            continue
        table = run.table("coset_purity")
        rows.append(table[table["step"] == table["step"].max()].assign(run=run.config.name))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


TABLES = {
    "curves": lambda study: curves(study, "curves"),
    "fractions": lambda study: outcomes(study, "fractions_s5", "fractions_add"),
    "interventions": lambda study: outcomes(study, "interventions"),
    "operations": lambda study: outcomes(study, "operations", "group_operations"),
    "outliers": outliers,
    "sharpness": sharpness,
    "symbols": symbols,
    "cosets": cosets,
}
