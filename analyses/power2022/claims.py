"""What was found about each claim of expected.json, from the tables alone."""

from itertools import pairwise

import numpy as np
import pandas as pd

from analyses.judging import at_least, claims_in, interval, smallest_fraction
from analyses.power2022 import interventions as ways
from analyses.power2022.figures import NOT_SYMMETRIC, SYMMETRIC
from analyses.rows import median_steps
from analyses.study import Answer, Tables


def delayed_generalization(tables: Tables, *, factor: float) -> Answer:
    """99 % test accuracy at least `factor` times as late as 99 % train accuracy, in the median seed."""
    curves = tables["curves"]
    found = {}
    for variant, rows in curves.groupby("variant", sort=False):
        ratios = []
        for _, run in rows.groupby("seed"):
            train, test = _first(run, "train_accuracy"), _first(run, "test_accuracy")
            ratios.append((run["step"].max() if test is None else test) / max(train or run["step"].max(), 1))
        found[variant] = float(np.median(ratios))
    ours = ", ".join(f"{variant}: {ratio:.1f} times" for variant, ratio in found.items())
    return Answer(ours, all(ratio >= factor for ratio in found.values()), _censored_note(curves))


def _first(run: pd.DataFrame, column: str) -> int | None:
    past = run[run[column] >= 0.99]
    return None if past.empty else int(past["step"].iloc[0])


def _censored_note(curves: pd.DataFrame) -> str:
    open_ended = [
        f"{variant} {seed}"
        for (variant, seed), run in curves.groupby(["variant", "seed"])
        if _first(run, "test_accuracy") is None
    ]
    return f"not at 99 % within the budget, so a lower bound: {', '.join(open_ended)}" if open_ended else ""


def second_descent(tables: Tables, *, rise: float) -> Answer:
    """Test loss above its initial value by `rise` after the train loss fell, and then below the initial value."""
    found = []
    for (variant, seed), run in tables["curves"].groupby(["variant", "seed"], sort=False):
        if _first(run, "test_accuracy") is None:
            continue
        start, peak, end = run["test_loss"].iloc[0], run["test_loss"].max(), run["test_loss"].iloc[-1]
        found.append((f"{variant} {seed}: {start:.1f} -> {peak:.1f} -> {end:.2g}", peak >= rise * start > end))
    if not found:
        return Answer("no run generalised", None)
    return Answer("; ".join(text for text, _ in found), all(holds for _, holds in found))


def steps_grow_as_data_shrinks(tables: Tables) -> Answer:
    """Median steps to 99 % test accuracy rise at every step down in data, S5."""
    medians = _medians(tables, "S5", "generalization_step")
    values = medians["median"].fillna(np.inf).tolist()  # ascending in data
    ours = ", ".join(f"{f:.0%}: {_steps(m)}" for f, m in zip(medians["frac_train"], medians["median"], strict=True))
    return Answer(ours, all(a >= b for a, b in pairwise(values)))


def growth_per_point(tables: Tables, *, low: float, high: float) -> Answer:
    """Growth of the median steps for 1 % of the pairs less, from the two smallest fractions that have a median."""
    medians = _medians(tables, "S5", "generalization_step").dropna(subset="median").head(2)
    if len(medians) < 2:
        return Answer("fewer than two fractions have a median", None)
    (less, more), (slow, fast) = medians["frac_train"], medians["median"]
    growth = (slow / fast) ** (0.01 / (more - less)) - 1
    ours = f"{growth:.0%} per point between {less:.0%} and {more:.0%}"
    return Answer(ours, low <= growth <= high)


def memorization_hardly_changes(tables: Tables) -> Answer:
    """Median steps to 99 % train accuracy fall with less data, by little beside those to 99 % test accuracy."""
    train = _medians(tables, "S5", "memorization_step")["median"]
    ours = f"{_steps(train.iloc[0])} at the least data, {_steps(train.iloc[-1])} at the most"
    return Answer(ours, bool(train.iloc[0] <= train.iloc[-1]))


def _medians(tables: Tables, group: str, event: str) -> pd.DataFrame:
    table = tables["fractions"]
    return median_steps(table[table["operation"].str.contains(group, regex=False)], event)


def _steps(value: float) -> str:
    return "not within the budget" if pd.isna(value) else f"{value:,.0f}"


def subtraction_like_division(tables: Tables, *, tolerance: float) -> Answer:
    """x-y and x/y first reach 99 % at the same share of those tried."""
    needed = _needed(tables)
    return at_least(needed, "x-y", "x/y", tolerance)


def symmetric_need_less(tables: Tables) -> Answer:
    """Each symmetric operation needs no more data than its asymmetric relative, and in the mean less."""
    means = _operation_means(tables)
    pairs = (("x+y", "x-y"), ("x*y", "x/y"), ("x^2+xy+y^2", "x^2+xy+y^2+x"))
    ours = "; ".join(f"{a} {means[a]:.2f} against {b} {means[b]:.2f}" for a, b in pairs)
    return Answer(ours, all(means[a] > means[b] for a, b in pairs), "mean over the shares of the best test accuracy")


def one_never_generalizes(tables: Tables) -> Answer:
    """x^3+xy^2+y stays below 99 % at every share, and does worse than any other operation mod p."""
    means, needed = _operation_means(tables), _needed(tables)
    rest = {name: value for name, value in means.items() if name != "x^3+xy^2+y" and " in " not in name}
    share, mean = _share(needed["x^3+xy^2+y"]), means["x^3+xy^2+y"]
    ours = f"needs {share}; mean accuracy {mean:.2f}, the next {min(rest.values()):.2f}"
    if all(needed[name] == np.inf for name in rest):
        return Answer(ours, None, "no operation generalises within this budget")
    return Answer(ours, needed["x^3+xy^2+y"] == np.inf)


def mixed_generalizes(tables: Tables) -> Answer:
    """The operation that is x/y for odd y and x-y for even y reaches 99 % at some share."""
    needed = _needed(tables)["x/y if y odd else x-y"]
    return Answer(f"needs {_share(needed)}", bool(np.isfinite(needed)))


def symbols_form_a_ring(tables: Tables, *, share: float) -> Answer:
    """In the first two PCs of W_U, or in t-SNE, the neighbours of most residues x are x + d and x - d for one d."""
    table = tables["symbols"]
    rows = table[table["group"].str.startswith("Z")].sort_values("symbol")
    if rows.empty:
        return Answer("no network of Z_p generalised", None)
    shares = {kind: _constant_step(rows[[f"{kind}_1", f"{kind}_2"]].to_numpy()) for kind in ("tsne", "pc")}
    ours = ", ".join(f"{kind}: {share:.0%} with d = {d}" for kind, (share, d) in shares.items())
    return Answer(ours, max(share for share, _ in shares.values()) >= share)


def _constant_step(points: np.ndarray) -> tuple[float, int]:
    """The share of residues whose nearest neighbour is x + d or x - d, for the d that has most."""
    n = len(points)
    distance = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    step = (distance.argmin(axis=1) - np.arange(n)) % n
    folded = np.minimum(step, n - step)
    d = int(np.bincount(folded).argmax())
    return float((folded == d).mean()), d


def cosets_cluster(tables: Tables) -> Answer:
    """In W_U of the grokked S5 networks, nearest neighbours share a coset more than for shuffled symbols."""
    rows = tables["cosets"]
    rows = rows[rows["matrix"] == "W_U"]
    ours = ", ".join(
        f"{row['purity']:.2f} (chance {row['chance']:.2f}, order {row['subgroup_order']}, "
        f"z {row['z']:.1f}, shuffled {row['z_null']:.1f})"
        for _, row in rows.head(4).iterrows()
    )
    return Answer(f"{len(rows)} networks: {ours}", bool((rows["z"] > rows["z_null"]).mean() >= 0.5))


def few_outliers_hardly_hurt(tables: Tables, *, few: int, drop: float) -> Answer:
    """Best test accuracy with up to `few` outliers is within `drop` of that without, in the mean of seeds."""
    means = tables["outliers"].groupby("outliers")["best_test_accuracy"].mean()
    few = means[means.index <= few]
    ours = ", ".join(f"{k:,}: {value:.3f}" for k, value in means.items())
    return Answer(ours, bool(few.min() >= means.loc[0] - drop))


def many_outliers_hurt(tables: Tables) -> Answer:
    """More outliers, lower best test accuracy at the large end."""
    means = tables["outliers"].groupby("outliers")["best_test_accuracy"].mean()
    ours = f"{means.index[0]:,}: {means.iloc[0]:.3f}; {means.index[-1]:,}: {means.iloc[-1]:.3f}"
    return Answer(ours, bool(means.iloc[-1] < means.iloc[0] - 0.05))


def outliers_are_memorized(tables: Tables) -> Answer:
    """Train accuracy, outliers included, is 99 % or more at the end of every run."""
    low = tables["outliers"]["train_accuracy"].min()
    return Answer(f"the lowest of {len(tables['outliers'])} runs: {low:.4f}", bool(low >= 0.99))


def sharpness_falls_with_accuracy(tables: Tables) -> Answer:
    """Spearman's rho of phi and test accuracy over seeds of one way to train, with a bootstrap interval.

    Over ways to train it says little: phi follows the train loss, and the ways differ in that by orders of magnitude.
    """
    table = tables["sharpness"]
    table = table[table["train_accuracy"] >= 0.99]
    seeds, ways = table[table["recipe"] == "sharpness"], table[table["recipe"] == "interventions"]
    if len(seeds) < 22:
        return Answer(f"{len(seeds)} networks", None, "fewer than 22 seeds have memorised")
    rho, low, high = _rho(seeds, "test_accuracy")
    ours = f"rho = {rho:.2f} ({low:.2f} to {high:.2f}) over {len(seeds)} seeds"
    notes = [f"phi against train loss: {_rho(seeds, 'train_loss')[0]:.2f}"]
    if len(ways):
        notes.append(f"over the ways to train {_rho(ways, 'test_accuracy')[0]:.2f}")
        notes.append(f"and against train loss {_rho(ways, 'train_loss')[0]:.2f}, {len(ways)} networks")
    return Answer(ours, high < 0, ", ".join(notes))


def _rho(table: pd.DataFrame, column: str) -> tuple[float, float, float]:
    return interval(table["phi"].to_numpy(), table[column].to_numpy())


def delay_shrinks_with_data(tables: Tables) -> Answer:
    """Median steps from 99 % train to 99 % test accuracy fall as the share of the pairs grows, for each operation."""
    answers, holds = [], True
    for operation, rows in tables["fractions"].groupby("operation", sort=False):
        gap = (rows["generalization_step"] - rows["memorization_step"]).fillna(np.inf)
        medians = gap.groupby(rows["frac_train"]).median()
        answers.append(
            f"{operation}: " + ", ".join(f"{f:.0%}: {_steps(m) if np.isfinite(m) else '-'}" for f, m in medians.items())
        )
        holds &= bool(medians.iloc[-1] < medians.iloc[0])
    return Answer("; ".join(answers), holds)


def _operation_rows(tables: Tables) -> pd.DataFrame:
    table = tables["operations"]
    return table.assign(operation=table["operation"].str.replace(r" mod \d+", "", regex=True))


def _operation_means(tables: Tables) -> dict[str, float]:
    means = _operation_rows(tables).groupby("operation")["best_test_accuracy"].mean().to_dict()
    _ = [means[name] for name in (*SYMMETRIC, *NOT_SYMMETRIC)]  # a KeyError here says which one was not trained
    return means


def _needed(tables: Tables) -> dict[str, float]:
    return {str(name): smallest_fraction(rows) for name, rows in _operation_rows(tables).groupby("operation")}


def _share(value: float) -> str:
    return "more than was tried" if value == np.inf else f"{value:.0%}"


CLAIMS = claims_in(globals(), __name__) | ways.CLAIMS
