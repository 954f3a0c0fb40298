"""The claims of nanda2023 on tables whose networks and phases are known."""

import numpy as np
import pandas as pd
import pytest

import grokinterp as gi
from analyses.nanda2023 import claims, figures, tables
from analyses.study import Study, publish

ENDS = {"memorization": 140, "circuit formation": 6000, "cleanup": 10000, "stable": 40000}
RUNS = [("mainline", 0), ("seeds", 0), ("seeds", 1)]

ROW = {
    "p": 113,
    "last_step": 40000,
    "memorization_step": 140,
    "half_accuracy_step": 8600.0,
    "generalization_95_step": 8000.0,
    "generalization_step": 9000.0,
    "test_loss_peak_step": 1410.0,
    "restricted_step": 5000.0,
    "restricted_lead": 3600.0,
    "restricted_lead_low": 3500.0,
    "restricted_lead_high": 3700.0,
    "cosine_fve": 0.96,
    "pure_neurons": 0.84,
    "pure_energy": 0.93,
    "gini_W_E": 0.65,
    "gini_W_L": 0.80,
    "W_L_residual": 0.004,
    "full_all": 2e-7,
    "excluded_all": 8.5,
    "excluded_all_random": 2e-7,
}
KEYS = {("mainline", 0): "14 35 41 42 52", ("seeds", 0): "2 9 19", ("seeds", 1): "4 5 23"}


def found(*, ends: dict[str, int] | None = None, rate: str = "cleanup", excluded: float = 1.0, **changes):
    """Tables of a mainline run and two seeds; `rate`: the phase in which weights fall and spectra sharpen fastest."""
    ends = ENDS if ends is None else ends
    marks = [0, *ends.values()]
    runs, phases, progress = [], [], []
    for recipe, seed in RUNS:
        names = {"recipe": recipe, "seed": seed}
        keys = KEYS[recipe, seed]
        runs.append(names | ROW | {"keys": keys, "n_keys": len(keys.split())} | changes)
        for (name, end), start in zip(ends.items(), marks, strict=False):
            phases.append(names | {"phase": name, "start": start, "end": end})
        steps = np.arange(0, 40001, 100)
        slopes = np.zeros(len(steps))
        for (name, end), start in zip(ends.items(), marks, strict=False):
            slopes[(steps >= start) & (steps < end)] = 5.0 if name == rate else 1.0
        way = np.cumsum(slopes) / slopes.sum()
        progress.append(
            pd.DataFrame({"step": steps, "gini_W_E": way, "gini_W_L": way, "sum_of_squares": 1000 * (2 - way)}).assign(
                excluded_train=np.where(steps < 100, 5.0, np.where(steps < 5000, 0.0, excluded)), **names
            )
        )
    attention = pd.DataFrame({"recipe": "mainline", "head": range(4), "k": [35, 42, 52, 42], "k_share": 0.985})
    kept = {"recipe": "mainline", "keys": "last", "space": "logits", "split": "all"}
    sets = [kept | {"keep_set": name, "restricted_loss": 5e-8} for name in ("sum_directions", "blocks_3x3")]
    ablated = [{"recipe": "mainline", "k": None, "loss": 2e-7}, {"recipe": "mainline", "k": 14.0, "loss": 2e-4}]
    criteria = pd.DataFrame([{"recipe": "mainline", "claim": "c", "value": "1", "holds": True}])
    return {
        "runs": pd.DataFrame(runs),
        "phases": pd.DataFrame(phases),
        "progress": pd.concat(progress, ignore_index=True),
        "attention": attention,
        "keep_sets": pd.DataFrame(sets),
        "without_neurons": pd.DataFrame(ablated),
        "criteria": criteria,
    }


ARGUMENTS = {
    "key_frequencies": {"low": 3, "high": 5},
    "logits_are_cosines": {"fve": 0.95},
    "neurons_of_one_frequency": {"share": 0.846, "tolerance": 0.05},
    "neuron_map_is_sparse": {"residual": 0.0055},
    "attention_of_one_frequency": {"lowest": 0.979},
    "projection_helps": {},
    "every_key_frequency_is_used": {},
    "ablation_is_worse_than_chance": {"low": 6.5, "high": 11.0},
    "gini_in_range": {"embedding": [0.55, 0.8], "neuron_map": [0.68, 0.91]},
    "criteria_hold": {},
}
"""Claims about the mainline's last network."""

CHANGES = {
    "key_frequencies": {"n_keys": 9},
    "logits_are_cosines": {"cosine_fve": 0.9},
    "neurons_of_one_frequency": {"pure_neurons": 0.68},
    "neuron_map_is_sparse": {"W_L_residual": 0.01},
    "projection_helps": {"full_all": 1e-9},
    "ablation_is_worse_than_chance": {"excluded_all": 0.1},
    "gini_in_range": {"gini_W_E": 0.3},
}


@pytest.mark.parametrize("claim", ARGUMENTS)
def test_a_claim_about_the_network_holds_for_a_network_as_in_the_paper(claim):
    assert getattr(claims, claim)(found(), **ARGUMENTS[claim]).holds


@pytest.mark.parametrize("claim", CHANGES)
def test_a_claim_about_the_network_does_not_hold_for_another_one(claim):
    assert not getattr(claims, claim)(found(**CHANGES[claim]), **ARGUMENTS[claim]).holds


@pytest.mark.parametrize("claim", ARGUMENTS)
def test_a_network_that_never_generalised_tells_nothing(claim):
    assert getattr(claims, claim)(found(generalization_step=None), **ARGUMENTS[claim]).holds is None


def test_one_head_one_frequency_or_one_criterion_is_enough_to_fail():
    table = found()
    table["attention"].loc[2, "k_share"] = 0.9
    assert not claims.attention_of_one_frequency(table, lowest=0.979).holds
    table["without_neurons"].loc[1, "loss"] = 1e-6
    assert not claims.every_key_frequency_is_used(table).holds
    table["criteria"]["holds"] = False
    assert "not: c (1)" in claims.criteria_hold(table).note


def test_seeds_differ_where_no_two_have_the_same_frequencies():
    assert claims.seeds_choose_other_frequencies(found()).holds
    assert not claims.seeds_choose_other_frequencies(found(keys="1 2 3")).holds
    assert claims.key_frequencies_of_seeds(found(), low=3, high=4).holds
    assert not claims.key_frequencies_of_seeds(found(n_keys=6), low=3, high=4).holds


def test_the_three_phases_are_looked_for_in_every_run_that_generalised():
    assert claims.three_phases(found()).holds
    memorised = {"memorization": 140, "cleanup": 10000, "stable": 40000}
    assert not claims.three_phases(found(ends=memorised)).holds
    assert claims.three_phases(found(generalization_step=None)).holds is None


@pytest.mark.parametrize(("end", "holds"), [(1400, True), (140, False)])
def test_boundaries_are_compared_one_by_one(end, holds):
    answer = claims.boundaries(
        found(ends=ENDS | {"memorization": end, "circuit formation": 9000}), ends=[1400, 9400, 14000], factor=1.5
    )
    assert answer.holds is holds
    assert ("memorization" in answer.note) is not holds


@pytest.mark.parametrize(("peak", "holds"), [(1410.0, True), (3000.0, False), (None, None)])
def test_the_peak_of_the_test_loss_is_compared_with_the_end_of_memorisation(peak, holds):
    answer = claims.memorization_ends_at_the_peak(found(test_loss_peak_step=peak), step=1400, tolerance=0.1)
    assert answer.holds is holds


@pytest.mark.parametrize(("low", "holds"), [(3500.0, True), (-10.0, False)])
def test_the_circuit_forms_first_where_the_whole_interval_says_so(low, holds):
    assert claims.circuit_forms_before_the_jump(found(restricted_lead_low=low)).holds is holds


@pytest.mark.parametrize(("excluded", "holds"), [(1.0, True), (0.1, False)])
def test_the_excluded_loss_is_read_where_cleanup_begins(excluded, holds):
    answer = claims.excluded_rises_in_formation(found(excluded=excluded), share=0.1)
    assert answer.holds is holds
    assert ("never" in answer.ours) is not holds


@pytest.mark.parametrize(
    "claim", ["weights_fall_in_cleanup", "spectra_sharpen_in_cleanup", "embedding_sharpens_in_cleanup"]
)
def test_what_happens_fastest_in_cleanup_is_told_from_what_does_so_before(claim):
    assert getattr(claims, claim)(found()).holds
    assert not getattr(claims, claim)(found(rate="circuit formation")).holds
    assert getattr(claims, claim)(found(ends={"memorization": 40000})).holds is None


@pytest.mark.parametrize(("step", "holds"), [(8000.0, True), (20000.0, False), (None, False)])
def test_replications_bound_when_the_mainline_generalises(step, holds):
    answer = claims.replications(found(generalization_95_step=step), train=145, test=[6295, 8367], factor=1.5)
    assert answer.holds is holds


@pytest.mark.slow
def test_the_smoke_scale_trains_draws_and_judges_nothing(tmp_path):
    study = Study("nanda2023", "smoke", tmp_path / "runs")
    for name, recipe in study.recipes.items():
        gi.sweep(recipe, study.folder(name))
    publish(study, "analyses.nanda2023", tmp_path / "out", fresh=True)
    verdicts = pd.read_csv(tmp_path / "out" / "verdicts.csv")
    assert set(verdicts["verdict"]) == {"not tested at this scale"}
    assert {path.stem for path in (tmp_path / "out").glob("*.csv")} == {*tables.TABLES, "verdicts"}
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == set(figures.FIGURES)
