"""What was found about each claim of expected.json, from the tables alone."""

from itertools import combinations

import numpy as np
import pandas as pd

from analyses.judging import claims_in
from analyses.study import Answer, Tables
from grokinterp.cohort import Estimate, bootstrap

SIGN, STANDARD, OTHER_STANDARD = "[1^5]", "[4,1]", "[2,1^3]"
"""Irreps of S5: sign, the standard one, and the product of the two."""

NOTHING = "no network generalised within the budget"


def generalised(table: pd.DataFrame) -> pd.DataFrame:
    """The networks that reached 99 % test accuracy."""
    return table[table["generalization_step"].notna()]


def of_generalised(tables: Tables, name: str) -> pd.DataFrame:
    """The rows of a table that belong to such networks."""
    keys = generalised(tables["networks"])[["variant", "seed"]]
    return tables[name].merge(keys, on=["variant", "seed"])


def characters_explain_logits(tables: Tables, *, factor: float) -> Answer:
    """In every network the characters' share of the logits' variance is at least `factor` times that at the start."""
    rows = generalised(tables["networks"])
    if rows.empty:
        return Answer(NOTHING, None)
    ratio = rows["logit_share"] / rows["logit_share_start"].clip(lower=1e-12)
    return Answer(_medians(rows, "logit_share"), bool((ratio >= factor).all()))


def cyclic_is_explained_best(tables: Tables) -> Answer:
    """The share explained is larger for the cyclic group than for any other, for each kind of network."""
    return _cyclic_has_most(tables, "logit_share", 2)


def _cyclic_has_most(tables: Tables, column: str, digits: int) -> Answer:
    rows = generalised(tables["networks"])
    medians = rows.groupby(["kind", "variant"])[column].median()
    cyclic = rows[rows["group"].str.startswith("C")]["variant"].unique()
    found = []
    for _, group in medians.groupby(level="kind"):
        values = group.droplevel("kind")
        own, others = values[values.index.isin(cyclic)], values[~values.index.isin(cyclic)]
        if len(own) and len(others):
            found.append(bool(own.min() > others.max()))
    ours = _medians(rows, column, digits)
    if len(found) < 2:
        return Answer(ours or NOTHING, None, "not in both architectures a cyclic and another group")
    return Answer(ours, all(found))


def published_share(tables: Tables, *, expected: dict[str, float], tolerance: float) -> Answer:
    """The mean share explained is the published one, variant by variant."""
    means = generalised(tables["networks"]).groupby("variant")["logit_share"].mean()
    known = {name: value for name, value in expected.items() if name in means.index}
    ours = ", ".join(f"{name} {means[name]:.2f}" for name in known)
    if not known:
        return Answer(NOTHING, None)
    return Answer(ours, all(abs(means[name] - value) <= tolerance for name, value in known.items()))


def key_irreps_carry_the_answer(tables: Tables) -> Answer:
    """Alone they give a loss no larger than the network's; without them it is above log |G|; without others, below.

    A network whose irreps are all key has no others, and is judged by the first two.
    """
    rows = generalised(tables["networks"])
    if rows.empty:
        return Answer(NOTHING, None)
    chance = np.log(rows["order"])
    whole = (rows["restricted_loss"] <= rows["full_loss"]) & (rows["excluded_loss"] >= chance)
    has_others = rows["excluded_loss_random"].notna()
    control = ~has_others | (rows["excluded_loss_random"] < chance)
    ours = (
        f"in {int(whole.sum())} of {len(rows)} networks; median loss {rows['full_loss'].median():.2g}, with them alone "
        f"{rows['restricted_loss'].median():.2g}, without them {rows['excluded_loss'].median():.1f}, "
        f"without as many others {rows['excluded_loss_random'].median():.2g} ({int(has_others.sum())} have such)"
    )
    if not has_others.any():
        return Answer(ours, None, "no network has other irreps to compare with")
    failing = rows[~(whole & control)]
    named = [
        f"{row['run']}: {row['full_loss']:.3g}, alone {row['restricted_loss']:.3g}, without {row['excluded_loss']:.1f}"
        for _, row in failing.iterrows()
    ]
    return Answer(ours, failing.empty, f"not in {'; '.join(named)}" if named else "")


def embedding_is_in_their_span(tables: Tables, *, share: float) -> Answer:
    """The learned irreps' matrix elements hold at least this share of the embedding, in the median network."""
    return _in_span(tables, "embedding_in_learned", share)


def unembedding_is_in_their_span(tables: Tables, *, share: float) -> Answer:
    """The same of the unembedding, judged on the MLPs on S5, the others beside them."""
    return _in_span(tables, "unembedding_in_learned", share, "mlp_S5")


def _in_span(tables: Tables, column: str, share: float, judged: str = "") -> Answer:
    rows = generalised(tables["networks"])
    medians = rows.groupby("variant")[column].median()
    medians = medians[medians.index == judged] if judged else medians
    if medians.empty:
        return Answer(NOTHING, None)
    return Answer(_medians(rows, column), bool((medians >= share).all()))


def seeds_learn_different_sets(tables: Tables) -> Answer:
    """In most pairs of group and architecture, two seeds or more differ in the set of irreps they learn."""
    rows = of_generalised(tables, "irreps")
    sets = rows[rows["learned"]].groupby(["variant", "seed"])["irrep"].agg(frozenset)
    found = {name: (group.nunique(), len(group)) for name, group in sets.groupby(level="variant") if len(group) > 1}
    ours = ", ".join(f"{name}: {n} different of {total}" for name, (n, total) in found.items())
    if not found:
        return Answer(NOTHING, None)
    return Answer(ours, sum(n > 1 for n, _ in found.values()) > len(found) / 2)


def order_differs(tables: Tables) -> Answer:
    """In most pairs of group and architecture, some two seeds have no irrep in common among those learned first.

    Of seeds that learned two irreps or more; what comes up between two checkpoints counts as learned at once, so that
    sets that overlap may well be of the same order.
    """
    rows = of_generalised(tables, "irreps")
    rows = rows[rows["learned"] & rows["first_step"].notna()]
    found = {}
    for name, group in rows.groupby("variant"):
        group = group[group.groupby("seed")["irrep"].transform("size") > 1]
        earliest = group["first_step"] == group.groupby("seed")["first_step"].transform("min")
        pairs = list(combinations(group[earliest].groupby("seed")["irrep"].agg(frozenset), 2))
        if pairs:
            found[name] = (sum(not a & b for a, b in pairs), len(pairs))
    ours = ", ".join(f"{name}: {n} of {total} pairs of seeds" for name, (n, total) in found.items())
    if not found:
        return Answer(NOTHING, None)
    return Answer(ours, sum(n > 0 for n, _ in found.values()) > len(found) / 2)


def sign_and_standard(tables: Tables) -> Answer:
    """Every network on S5 learns sign and one of standard and standard x sign."""
    rows = of_generalised(tables, "irreps")
    rows = rows[(rows["group"] == "S5") & rows["learned"]]
    sets = rows.groupby(["kind", "seed"])["irrep"].agg(set)
    if sets.empty:
        return Answer(NOTHING, None)
    sign = [SIGN in found for found in sets]
    both = [SIGN in found and bool(found & {STANDARD, OTHER_STANDARD}) for found in sets]
    return Answer(f"sign in {sum(sign)}, both in {sum(both)} of {len(sets)} networks", all(both))


def simpler_more_often(tables: Tables) -> Answer:
    """Learned irreps have a smaller mean dimension than all of the group's: difference with its interval below 0.

    Over networks that learned some of their group's irreps; one that learned all had no choice.
    """
    rows = of_generalised(tables, "irreps")
    differences = [
        float(run[run["learned"]]["dimension"].mean() - run["dimension"].mean())
        for _, run in rows.groupby(["variant", "seed"])
        if run["dimension"].nunique() > 2 and run["learned"].any() and not run["learned"].all()
    ]
    found = bootstrap(differences, "mean")
    if found.low is None or found.high is None:
        return Answer(f"{found.n} networks that learned a part of a group with three dimensions or more", None)
    return Answer(_interval(found), bool(found.high < 0))


def _interval(found: Estimate) -> str:
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f}), {found.n} networks"


def mlp_learns_more(tables: Tables) -> Answer:
    """On S5 and on the cyclic group the mean number of irreps is larger in the MLP than in the transformer."""
    rows = generalised(tables["networks"])
    means = rows.groupby(["group", "kind"])["n_learned"].mean().unstack()
    if {"mlp", "transformer"} - set(means.columns):
        return Answer("one of the two has no network that generalised", None)
    means = means.dropna()
    ours = ", ".join(f"{group}: {row['mlp']:.1f} against {row['transformer']:.1f}" for group, row in means.iterrows())
    judged = means[means.index.str.fullmatch(r"S5|C\d+")]
    return Answer(ours, bool((judged["mlp"] > judged["transformer"]).all()) if len(judged) else None)


def neurons_sit_on_cosets(tables: Tables, *, share: float, orders: list[int]) -> Answer:
    """In MLPs on S5 at least `share` of the neurons, not of shuffled ones, are constant on these subgroups' cosets.

    The medians over networks; transformers beside them.
    """
    rows = of_generalised(tables, "cosets")
    rows = rows[rows["group"] == "S5"]
    found = {kind: _on_cosets(group, orders) for kind, group in rows.groupby("kind")}
    ours = "; ".join(
        f"{kind}: {shares['all']:.0%} of the neurons on cosets of some subgroup ({shares['null']:.0%} shuffled), "
        f"{shares['large']:.0%} on those of order {', '.join(map(str, orders))}"
        for kind, shares in found.items()
    )
    if "mlp" not in found:
        return Answer(ours or NOTHING, None)
    return Answer(ours, bool(found["mlp"]["large"] >= share and found["mlp"]["null"] < share))


def _on_cosets(rows: pd.DataFrame, orders: list[int]) -> pd.Series:
    """Shares of neurons in the median network: on any subgroup's cosets, shuffled ones, and on those of some orders."""
    by = [rows["variant"], rows["seed"]]
    any_order, large = rows["subgroup_order"] > 0, rows["subgroup_order"].isin(orders)
    counts = {
        "all": rows["n_neurons"] * any_order,
        "null": rows["n_null"] * any_order,
        "large": rows["n_neurons"] * large,
    }
    return pd.DataFrame(counts).groupby(by).sum().div(rows["n_neurons"].groupby(by).sum(), axis=0).median()


def _medians(rows: pd.DataFrame, column: str, digits: int = 2) -> str:
    parts = rows.groupby("variant", sort=False)[column].agg(["median", "min", "max"])
    return ", ".join(
        f"{name} {row['median']:.{digits}f} ({row['min']:.{digits}f} to {row['max']:.{digits}f})"
        for name, row in parts.iterrows()
    )


CLAIMS = claims_in(globals(), __name__)
