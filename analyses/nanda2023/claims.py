"""What was found about each claim of expected.json, from the tables alone; claims about time are in timing.py."""

import json
import math
from pathlib import Path

from analyses.judging import claims_in
from analyses.nanda2023 import timing
from analyses.nanda2023.chosen import ENOUGH, ORDER, TOO_FEW, if_grokked, mainline, seeds
from analyses.study import Answer, Tables


def drawn_by_eye() -> dict[str, int]:
    """Where the paper's phases of the mainline run end, from expected.json."""
    entries = json.loads((Path(__file__).parent / "expected.json").read_text(encoding="utf-8"))
    found = {entry["id"]: entry for entry in entries}
    ends = {ORDER[0]: found["memorization_ends_at_the_peak"]["end"], **found["boundaries"]["ends"]}
    return {name: ends[name] for name in ORDER}


def key_frequencies(tables: Tables, *, low: int, high: int) -> Answer:
    """The mainline's number of key frequencies, W_L rule."""
    row = mainline(tables)
    return Answer(f"{row['n_keys']}: {row['keys']}", if_grokked(row, low <= row["n_keys"] <= high))


def key_frequencies_of_seeds(tables: Tables, *, low: int, high: int) -> Answer:
    """The other seeds' numbers of key frequencies."""
    rows, counted = seeds(tables)
    ours = "; ".join([*(f"{row['n_keys']}: {row['keys']}" for _, row in rows.iterrows()), counted])
    return Answer(ours, None if rows.empty else bool(rows["n_keys"].between(low, high).all()))


def seeds_choose_other_frequencies(tables: Tables) -> Answer:
    """No two seeds have the same key frequencies."""
    rows, counted = seeds(tables)
    ours = "; ".join([*map(str, rows["keys"]), counted])
    return Answer(ours, None if len(rows) < 2 else rows["keys"].nunique() == len(rows))


def logits_are_cosines(tables: Tables, *, fve: float) -> Answer:
    """Share of the logits' power in the key cosines of a + b - c."""
    row = mainline(tables)
    return Answer(f"{row['cosine_fve']:.4f}", if_grokked(row, row["cosine_fve"] >= fve))


def neurons_of_one_frequency(tables: Tables, *, share: float, tolerance: float) -> Answer:
    """Neurons with 85 % of their energy in one frequency: the paper's share less a tolerance, or more."""
    row = mainline(tables)
    ours = f"{row['pure_neurons']:.1%} of the neurons, with {row['pure_energy']:.1%} of the neurons' energy"
    note = "counted by post-ReLU energy over all pairs; many of the others are nearly unused"
    return Answer(ours, if_grokked(row, row["pure_neurons"] >= share - tolerance), note)


def neuron_map_is_sparse(tables: Tables, *, residual: float) -> Answer:
    """Frobenius norm of W_L outside the key frequencies, as a share of its norm; the constant is left out."""
    row = mainline(tables)
    return Answer(f"{row['W_L_residual']:.2%}", if_grokked(row, row["W_L_residual"] < residual))


def attention_of_one_frequency(tables: Tables, *, lowest: float) -> Answer:
    """Attention from = to a: of each head, the best frequency's share of its variance over the pairs."""
    rows = tables["attention"]
    ours = ", ".join(f"k = {row['k']:.0f}: {row['k_share']:.2%}" for _, row in rows.iterrows())
    return Answer(ours, if_grokked(mainline(tables), bool((rows["k_share"] >= lowest).all())))


def projection_helps(tables: Tables) -> Answer:
    """Keeping the key components alone lowers the loss over all pairs, by sum directions and by 3x3 blocks."""
    row, table = mainline(tables), tables["keep_sets"]
    table = table[(table["keys"] == "last") & (table["space"] == "logits") & (table["split"] == "all")]
    losses = table.set_index("keep_set")["restricted_loss"]
    ours = f"full loss {row['full_all']:.3g}; " + ", ".join(f"{name} {loss:.3g}" for name, loss in losses.items())
    kept = losses[["sum_directions", "blocks_3x3"]]
    return Answer(ours, if_grokked(row, bool((kept < row["full_all"]).all())))


def every_key_frequency_is_used(tables: Tables, *, factor: float) -> Answer:
    """Without the neurons of any one key frequency the loss is `factor` times as high, and above that without others.

    The others: as many random neurons. None where that is not known.
    """
    table = tables["without_neurons"]
    whole, control = table[table["k"].isna()]["loss"].iloc[0], table["control"].astype(bool)
    losses = {is_random: table[table["k"].notna() & (control == is_random)] for is_random in (False, True)}
    without, chance = (losses[name].set_index("k")["loss"] for name in (False, True))
    chance = chance.reindex(without.index)
    pairs = [f"k = {k:.0f}: {loss:.2g} ({chance[k]:.2g})" for k, loss in without.items()]
    ours = f"as it is {whole:.2g}; without the neurons of (as many random ones) {', '.join(pairs)}"
    if (without < factor * whole).any() or (without <= chance).any():
        return Answer(ours, if_grokked(mainline(tables), False))
    known = len(without) > 0 and chance.notna().all()
    return Answer(ours, if_grokked(mainline(tables), True) if known else None)


def ablation_is_worse_than_chance(tables: Tables) -> Answer:
    """The loss over all pairs without the key frequencies is above log p, and without a random set below it."""
    row = mainline(tables)
    bar = math.log(row["p"])
    ours = f"{row['excluded_all']:.2f}; a random set of as many: {row['excluded_all_random']:.2g}; log p {bar:.2f}"
    return Answer(ours, if_grokked(row, row["excluded_all"] > bar > row["excluded_all_random"]))


def seeds_use_their_frequencies(tables: Tables, *, share: float) -> Answer:
    """In every seed the loss without the key frequencies is above log p, and with them alone below the full loss.

    And below `share` of log p. A random set of as many does neither.
    """
    rows, counted = seeds(tables)
    texts, found = [], []
    for _, row in rows.iterrows():
        bar = math.log(row["p"])
        kept, lost, random = row["restricted_all"], row["excluded_all"], row["restricted_all_random"]
        low = min(share * bar, row["full_all"])
        texts.append(
            f"seed {row['seed']}: without {lost:.2f}, alone {kept:.2g} (full {row['full_all']:.2g}); "
            f"random {row['excluded_all_random']:.2g}, {random:.2g}"
        )
        found.append(bool(lost > bar and kept < low and random >= low and row["excluded_all_random"] <= bar))
    ours = "; ".join([*texts, counted])
    return Answer(ours, None, TOO_FEW) if len(rows) < ENOUGH else Answer(ours, all(found))


def gini_in_range(tables: Tables, *, embedding: float, neuron_map: float) -> Answer:
    """Gini coefficients of the Fourier norms of W_E and W_L at the end are at least these."""
    row = mainline(tables)
    sparse = row["gini_W_E"] >= embedding and row["gini_W_L"] >= neuron_map
    return Answer(f"W_E {row['gini_W_E']:.3f}, W_L {row['gini_W_L']:.3f}", if_grokked(row, sparse))


def criteria_hold(tables: Tables) -> Answer:
    """The claims of analyses/circuit_criteria, taken together, about the mainline's last network."""
    rows = tables["criteria"]
    rows = rows[rows["recipe"] == "mainline"]
    missed = rows[~rows["holds"].astype(bool)]
    ours = f"{len(rows) - len(missed)} of {len(rows)}"
    note = "; ".join(f"not: {row['claim']} ({row['value']})" for _, row in missed.iterrows())
    return Answer(ours, if_grokked(mainline(tables), missed.empty), note)


CLAIMS = claims_in(globals(), __name__) | claims_in(vars(timing), timing.__name__)
