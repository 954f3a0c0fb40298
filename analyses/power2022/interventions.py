"""What was found about the nine ways to train, from the tables alone."""

import numpy as np
import pandas as pd

from analyses.judging import claims_in, smallest_fraction
from analyses.power2022.figures import MATCHED
from analyses.study import Answer, Tables

WITHOUT_DECAY = ("adam", "full_batch", "update_noise", "weight_noise", "dropout", "low_lr", "high_lr")

CONTROL = {"adam": "full_batch", "update_noise": "full_batch", "weight_noise": "adam", "dropout": "adam"}
"""Each kind of noise, and the way to train that lacks nothing but it: weight noise and dropout are in minibatches."""

APART = 0.02
"""Two means of accuracies that are closer are not told apart: of few seeds, and near chance one is 1/60."""


def decay_halves_the_data(tables: Tables) -> Answer:
    """The least data at which decay 1 reaches 99 % is at most half of what most interventions without decay need."""
    needed = {name: smallest_fraction(rows) for name, rows in _by_variant(tables["interventions"])}
    others = sorted(needed[name] for name in WITHOUT_DECAY)
    typical = others[len(others) // 2]
    ours = f"decay: {_share(needed['adamw'])}; the median of seven others: {_share(typical)}"
    most = tables["interventions"]["frac_train"].max()
    if needed["adamw"] == np.inf:
        if others[0] == np.inf:
            return Answer(ours, None, "none of them reaches 99 % within the budget")
        return Answer(ours, False, "the network with decay reaches 99 % at no share that was tried")
    if typical == np.inf:
        note = f"the others need more than {most:.0%}, so only a bound is known"
        return Answer(ours, True if needed["adamw"] <= most / 2 else None, note)
    return Answer(ours, needed["adamw"] <= typical / 2)


def decay_to_init_is_between(tables: Tables) -> Answer:
    """Mean over the fractions of the best test accuracy: Adam < decay to the initial weights < decay to the origin."""
    means = _mean_accuracy(tables)
    ours = f"Adam {means['adam']:.3f}, to init {means['to_init']:.3f}, to the origin {means['adamw']:.3f}"
    return _all_above(ours, [means["to_init"] - means["adam"], means["adamw"] - means["to_init"]])


def learning_rate_window(tables: Tables) -> Answer:
    """Adam does worse with a third and with three times the learning rate."""
    means = _mean_accuracy(tables)
    ours = f"lr x 0.3: {means['low_lr']:.3f}, x 1: {means['adam']:.3f}, x 3: {means['high_lr']:.3f}"
    return _all_above(ours, [means["adam"] - means["low_lr"], means["adam"] - means["high_lr"]])


def noise_helps(tables: Tables) -> Answer:
    """Minibatches, update noise and weight noise each do better than the same without them (`CONTROL`)."""
    means = _mean_accuracy(tables)
    kinds = ("adam", "update_noise", "weight_noise")
    ours = "; ".join(f"{n} {means[n]:.3f} against {CONTROL[n]} {means[CONTROL[n]]:.3f}" for n in kinds)
    return _all_above(ours, [means[name] - means[CONTROL[name]] for name in kinds])


def dropout_helps(tables: Tables) -> Answer:
    """Dropout does better than Adam, both in minibatches."""
    means = _mean_accuracy(tables)
    ours = f"dropout {means['dropout']:.3f}, Adam {means['adam']:.3f}"
    return _all_above(ours, [means["dropout"] - means["adam"]])


def _all_above(ours: str, differences: list[float]) -> Answer:
    """Whether all differences of mean accuracies are positive; None where one is too small to tell."""
    if min(differences) <= -APART:
        return Answer(ours, False)
    if min(differences) >= APART:
        return Answer(ours, True)
    return Answer(ours, None, f"less than {APART} apart: not told")


def full_batch_generalizes_somewhat(tables: Tables, *, above: float) -> Answer:
    """Without noise and decay, the best test accuracy at the largest share is well above chance."""
    rows = dict(_by_variant(tables["interventions"]))["full_batch"]
    most = rows[rows["frac_train"] == rows["frac_train"].max()]
    best = most["best_test_accuracy"].mean()
    return Answer(f"{best:.2f} at {most['frac_train'].max():.0%} of the pairs", bool(best >= above))


def all_methods_memorize(tables: Tables) -> Answer:
    """Every run reaches 99 % train accuracy."""
    table = tables["interventions"]
    late = table[table["memorization_step"].isna()]["run"].tolist()
    ours = f"{len(table) - len(late)} of {len(table)} runs, the last at step {table['memorization_step'].max():,.0f}"
    return Answer(ours, not late, f"not: {', '.join(late[:6])}" if late else "")


def noise_finds_flatter_minima(tables: Tables) -> Answer:
    """At 99 % test accuracy and the same share of the pairs, phi with each kind of noise is below that without.

    The means of log phi over the shares at which both have such a network. phi follows the train loss, so the same
    for phi / train loss stands in the note: where that is not smaller, lower loss is all there is to it.
    """
    table = tables["sharpness"]
    table = table[(table["recipe"] == "interventions") & (table["test_accuracy"] >= MATCHED) & (table["phi"] > 0)]
    table = table.assign(per_loss=table["phi"] / table["train_loss"])
    found = {name: _against_control(table, name, "phi") for name in CONTROL}
    found = {name: ratio for name, ratio in found.items() if ratio is not None}
    ours = ", ".join(f"{name} x {ratio:.2g} of {CONTROL[name]}" for name, ratio in found.items())
    if len(found) < 2:
        return Answer(ours, None, "fewer than two kinds of noise and what lacks them get there at the same share")
    parts = (f"{name} x {_against_control(table, name, 'per_loss'):.2g}" for name in found)
    return Answer(ours, all(ratio < 1 for ratio in found.values()), f"phi / train loss: {', '.join(parts)}")


def _against_control(table: pd.DataFrame, name: str, column: str) -> float | None:
    """The geometric mean over shares of a quantity with noise over that without; None where no share has both."""
    logs = np.log(table.set_index(["variant", "frac_train"])[column]).groupby(level=[0, 1]).mean()
    both = [logs[logs.index.get_level_values(0) == one].droplevel(0) for one in (name, CONTROL[name])]
    difference = (both[0] - both[1]).dropna()
    return float(np.exp(difference.mean())) if len(difference) else None


def _by_variant(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), rows) for name, rows in table.groupby("variant", sort=False)]


def _mean_accuracy(tables: Tables) -> dict[str, float]:
    return tables["interventions"].groupby("variant")["best_test_accuracy"].mean().to_dict()


def _share(value: float) -> str:
    return "more than was tried" if value == np.inf else f"{value:.0%}"


CLAIMS = claims_in(globals(), __name__)
