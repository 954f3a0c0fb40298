"""The tables of this folder, from its runs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

import grokinterp as gi
from analyses.rows import outcome_row
from analyses.study import Study
from grokinterp.harmonics.subgroups import coset_labels, coset_ratio, has_cosets, subgroups

RECIPES = ("mlp", "transformer")
LEARNED = 0.05
"""Similarity with tr rho(a)rho(b)rho(c^-1) above which an irrep is learned, as in the paper's script of orders."""

ON_COSETS = 0.1
"""Variance within cosets, relative to a random function's, below which a neuron is constant on them."""


def _runs(study: Study) -> Iterator[tuple[dict[str, Any], gi.Run]]:
    """Every run with what names its row."""
    for recipe in RECIPES:
        for run in study.trained(recipe):
            about = {"variant": study.variant(recipe, run), "kind": recipe, "group": run.task.group_name}
            yield {**about, "seed": run.config.model.init_seed}, run


def _last(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["step"] == table["step"].max()]


def irreps(study: Study) -> pd.DataFrame:
    """Each nontrivial irrep in the last network of each run: similarity, shares, and when it was first learned."""
    parts = []
    for about, run in _runs(study):
        table = run.table("group_representations")
        first = table[table["trace_similarity"] > LEARNED].groupby("irrep")["step"].min()
        last = _last(table).drop(columns=["step", "is_key", "above_005"])
        last = last.assign(learned=last["trace_similarity"] > LEARNED, first_step=last["irrep"].map(first))
        parts.append(last.assign(**about))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def networks(study: Study) -> pd.DataFrame:
    """Each run: its outcome, how much its irreps explain, the losses without and with them alone, and its cosets."""
    rows = []
    for about, run in _runs(study):
        table = run.table("group_representations")
        first, last = table[table["step"] == table["step"].min()], _last(table)
        learned = last["trace_similarity"] > LEARNED
        rows.append(
            {**about, **outcome_row(run), "order": run.config.task.n_elements}
            | {"logit_share": last["logit_share"].sum(), "logit_share_start": first["logit_share"].sum()}
            | {"n_irreps": len(last), "n_learned": int(learned.sum())}
            | {"embedding_in_learned": last[learned]["embedding_share"].sum()}
            | {"unembedding_in_learned": last[learned]["unembedding_share"].sum()}
            | _losses(_last(run.table("group_representations.losses")))
        )
    return pd.DataFrame(rows)


def _losses(table: pd.DataFrame) -> dict[str, float]:
    """Losses on all pairs: whole, restricted to the key irreps, without them, and without as many others."""
    rows = table[table["split"] == "all"].set_index("keys")
    found = {name: float(rows.loc["last", name]) for name in ("full_loss", "restricted_loss", "excluded_loss")}
    others = rows.loc["random"]
    return {**found, "excluded_loss_random": float(others["excluded_loss"]) if others["n_keys"] else float("nan")}


def cosets(study: Study) -> pd.DataFrame:
    """The largest subgroup on whose cosets each neuron is constant: how many neurons, by its order; 0: on none.

    A neuron's function is its mean over the other operand. Constant on the cosets of a subgroup is constant on those of
    every smaller one within, so the largest is the one that says something. `n_null`: the same with the function's
    values shuffled.
    """
    rows = []
    for about, run in _runs(study):
        if run.task.coordinates is not None:
            continue
        snapshot = run.snapshot()
        g = snapshot.group
        if not has_cosets(g.group):
            continue
        acts = snapshot.neuron_acts[g.left.tolist()][:, g.right.tolist()].cpu().numpy()
        rng = np.random.default_rng(0)
        for operand, axis in (("left", 1), ("right", 0)):
            marginal = acts.mean(axis=axis)
            marginal = marginal[:, np.ptp(marginal, axis=0) > 1e-9 * max(float(np.abs(marginal).max()), 1e-300)]
            found, null = (_largest(g.group, values) for values in (marginal, rng.permuted(marginal, axis=0)))
            for size in sorted({*found.tolist(), *null.tolist()}):
                counts = {"n_neurons": int((found == size).sum()), "n_null": int((null == size).sum())}
                rows.append({**about, "operand": operand, "subgroup_order": int(size), **counts})
    return pd.DataFrame(rows)


def _largest(group: Any, values: np.ndarray) -> np.ndarray:
    largest = np.zeros(values.shape[1], dtype=int)
    for members in subgroups(group):
        size = int(members.sum())
        if 1 < size < group.order:
            for side in ("left", "right"):
                constant = coset_ratio(values, coset_labels(group, members, side)) < ON_COSETS
                largest = np.where(constant, np.maximum(largest, size), largest)
    return largest


def courses(study: Study) -> pd.DataFrame:
    """The similarity of each irrep over steps, in the runs of the groups with few irreps."""
    parts = []
    for about, run in _runs(study):
        table = run.table("group_representations")
        if about["group"] in SHOWN:
            kept = table[["step", "irrep", "dimension", "trace_similarity"]]
            parts.append(kept.assign(variant=about["variant"], seed=about["seed"]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


SHOWN = ("S5", "A5", "S3")
"""Groups whose irreps are shown over steps; S3 is of the smoke scale."""

TABLES = {"networks": networks, "irreps": irreps, "cosets": cosets, "courses": courses}
