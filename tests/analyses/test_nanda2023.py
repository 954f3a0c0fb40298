"""The claims of nanda2023 on tables whose networks and phases are known."""

import numpy as np
import pandas as pd
import pytest

import grokinterp as gi
from analyses.nanda2023 import claims, figures, tables, timing
from analyses.study import Study, publish

ENDS = {"memorization": 140, "circuit formation": 6000, "cleanup": 10000, "stable": 40000}

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
    "restricted_all": 6e-8,
    "restricted_all_random": 4.7,
}
KEYS = {("mainline", 0): "14 35 41 42 52", ("seeds", 0): "2 9 19", ("seeds", 1): "4 5 23", ("seeds", 2): "1 7 11"}


def found(*, ends: dict[str, int] | None = None, rate: str = "cleanup", excluded: float = 1.0, **changes):
    """Tables of a mainline run and three seeds; `rate`: the phase in which weights fall and spectra sharpen fastest."""
    ends = ENDS if ends is None else ends
    marks = [0, *ends.values()]
    runs, phases, progress = [], [], []
    for (recipe, seed), keys in KEYS.items():
        names = {"recipe": recipe, "seed": seed}
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
    ablated = pd.DataFrame({"k": [None, 14.0, 14.0], "control": [False, False, True], "loss": [2e-7, 2e-4, 3e-7]})
    criteria = pd.DataFrame([{"recipe": "mainline", "claim": "c", "value": "1", "holds": True}])
    return {
        "runs": pd.DataFrame(runs),
        "phases": pd.DataFrame(phases),
        "progress": pd.concat(progress, ignore_index=True),
        "attention": attention,
        "keep_sets": pd.DataFrame(sets),
        "without_neurons": ablated.assign(recipe="mainline"),
        "criteria": criteria,
    }


ARGUMENTS = {
    "key_frequencies": {"low": 3, "high": 5},
    "logits_are_cosines": {"fve": 0.95},
    "neurons_of_one_frequency": {"share": 0.846, "tolerance": 0.05},
    "neuron_map_is_sparse": {"residual": 0.0055},
    "attention_of_one_frequency": {"lowest": 0.95},
    "projection_helps": {},
    "every_key_frequency_is_used": {"factor": 10},
    "ablation_is_worse_than_chance": {},
    "gini_in_range": {"embedding": 0.55, "neuron_map": 0.68},
    "criteria_hold": {},
}
"""Claims about the mainline's last network."""

CHANGES = [
    ("key_frequencies", {"n_keys": 9}, False),
    ("logits_are_cosines", {"cosine_fve": 0.9}, False),
    ("neurons_of_one_frequency", {"pure_neurons": 0.68}, False),
    ("neurons_of_one_frequency", {"pure_neurons": 0.93}, True),
    ("neuron_map_is_sparse", {"W_L_residual": 0.01}, False),
    ("projection_helps", {"full_all": 1e-9}, False),
    ("ablation_is_worse_than_chance", {"excluded_all": 0.1}, False),
    ("ablation_is_worse_than_chance", {"excluded_all": 6.0}, True),
    ("ablation_is_worse_than_chance", {"excluded_all": 12.0}, True),
    ("ablation_is_worse_than_chance", {"excluded_all_random": 5.0}, False),
    ("gini_in_range", {"gini_W_E": 0.3}, False),
    ("gini_in_range", {"gini_W_L": 0.92}, True),
]


@pytest.mark.parametrize("claim", ARGUMENTS)
def test_a_claim_about_the_network_holds_for_a_network_as_in_the_paper(claim):
    assert getattr(claims, claim)(found(), **ARGUMENTS[claim]).holds


@pytest.mark.parametrize(("claim", "changes", "holds"), CHANGES)
def test_a_claim_about_the_network_is_told_by_what_it_says(claim, changes, holds):
    assert getattr(claims, claim)(found(**changes), **ARGUMENTS[claim]).holds is holds


@pytest.mark.parametrize("claim", ARGUMENTS)
def test_a_network_that_never_generalised_tells_nothing(claim):
    assert getattr(claims, claim)(found(generalization_step=None), **ARGUMENTS[claim]).holds is None


def test_one_head_one_frequency_or_one_criterion_is_enough_to_fail():
    table = found()
    table["attention"].loc[2, "k_share"] = 0.9
    assert not claims.attention_of_one_frequency(table, lowest=0.95).holds
    table["without_neurons"].loc[1, "loss"] = 1e-6
    assert not claims.every_key_frequency_is_used(table, factor=10).holds
    table["criteria"]["holds"] = False
    assert "not: c (1)" in claims.criteria_hold(table).note


def test_neurons_of_a_frequency_are_told_from_as_many_random_ones():
    table = found()
    table["without_neurons"].loc[2, "loss"] = 3e-4
    assert claims.every_key_frequency_is_used(table, factor=10).holds is False
    table["without_neurons"] = table["without_neurons"].iloc[:2]
    assert claims.every_key_frequency_is_used(table, factor=10).holds is None


def test_what_is_left_of_the_neuron_map_is_a_ratio_of_norms():
    norms = pd.DataFrame({"matrix": ["W_L"] * 3 + ["W_E"], "k": [0, 1, 2, 2], "norm": [7.0, 1.0, 0.05, 9.0]})
    left = tables.residual(norms, (1,))
    assert left == pytest.approx(0.05, rel=0.01)
    assert claims.neuron_map_is_sparse(found(W_L_residual=left), residual=0.0055).holds is False


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"excluded_all": 4.0}, False),
        ({"restricted_all": 3e-7}, False),
        ({"restricted_all": 0.6, "full_all": 0.7}, False),
        ({"restricted_all_random": 1e-7}, False),
        ({"excluded_all_random": 5.0}, False),
        ({"generalization_step": None}, None),
    ],
)
def test_every_seed_needs_its_frequencies_and_no_random_ones(changes, holds):
    answer = claims.seeds_use_their_frequencies(found(**changes), share=0.1)
    assert answer.holds is holds
    assert f"{0 if holds is None else 3} of 3 seeds generalised" in answer.ours


def test_one_seed_is_enough_to_fail_and_two_are_too_few():
    table = found()
    table["runs"].loc[2, "excluded_all"] = 1.0
    assert claims.seeds_use_their_frequencies(table, share=0.1).holds is False
    table["runs"].loc[2, "generalization_step"] = None
    assert claims.seeds_use_their_frequencies(table, share=0.1).holds is None


def test_seeds_differ_where_no_two_have_the_same_frequencies():
    assert claims.seeds_choose_other_frequencies(found()).holds
    assert not claims.seeds_choose_other_frequencies(found(keys="1 2 3")).holds
    assert claims.key_frequencies_of_seeds(found(), low=3, high=4).holds
    assert not claims.key_frequencies_of_seeds(found(n_keys=6), low=3, high=4).holds


DRAWN = {"circuit formation": 9400, "cleanup": 14000}


@pytest.mark.parametrize(("end", "holds"), [(9000, True), (3000, False)])
def test_boundaries_are_compared_one_by_one(end, holds):
    answer = timing.boundaries(found(ends=ENDS | {"circuit formation": end}), ends=DRAWN, factor=1.5)
    assert answer.holds is holds
    assert ("circuit formation" in answer.note) is not holds


def test_boundaries_and_replications_can_both_hold():
    table = found(ends=ENDS | {"memorization": 145, "circuit formation": 9000}, memorization_step=145)
    assert timing.boundaries(table, ends=DRAWN, factor=1.5).holds
    assert timing.replications(table, train=145, test=[6295, 8367], factor=1.5).holds
    assert timing.boundaries(found(ends={"memorization": 40000}), ends=DRAWN, factor=1.5).holds is None


def test_what_the_paper_drew_is_in_the_order_of_the_phases():
    assert claims.drawn_by_eye() == {"memorization": 1400, "circuit formation": 9400, "cleanup": 14000}


@pytest.mark.parametrize(("peak", "holds"), [(1410.0, True), (2000.0, True), (3000.0, False), (None, None)])
def test_the_peak_of_the_test_loss_is_compared_with_the_end_of_memorisation(peak, holds):
    table = found(test_loss_peak_step=peak)
    assert timing.memorization_ends_at_the_peak(table, end=1400, factor=1.5).holds is holds
    assert timing.seeds_peak_alike(table, end=1400, factor=1.5).holds is holds


def test_one_seed_without_a_peak_leaves_it_open_and_one_far_off_does_not():
    table = found()
    for row, peak, holds in ((1, np.nan, None), (2, 9000.0, False)):
        table["runs"].loc[row, "test_loss_peak_step"] = peak
        assert timing.seeds_peak_alike(table, end=1400, factor=1.5).holds is holds


@pytest.mark.parametrize(
    ("low", "high", "step", "holds"),
    [
        (3500.0, 3700.0, 5000.0, True),
        (0.0, 400.0, 5000.0, True),
        (-10.0, 490.0, 5000.0, None),
        (-490.0, 0.0, 9000.0, False),
        (None, None, None, False),
    ],
)
def test_the_circuit_forms_first_where_the_whole_interval_says_so(low, high, step, holds):
    leads = {"restricted_lead_low": low, "restricted_lead_high": high, "restricted_step": step}
    assert timing.circuit_forms_before_the_jump(found(**leads)).holds is holds


def test_one_run_whose_circuit_comes_late_decides_over_those_that_cannot_be_told():
    table = found(restricted_lead_low=-10.0, restricted_lead_high=490.0)
    table["runs"].loc[1, "restricted_lead_high"] = -5.0
    assert timing.circuit_forms_before_the_jump(table).holds is False


@pytest.mark.parametrize(("excluded", "holds"), [(1.0, True), (0.1, False)])
def test_the_excluded_loss_is_read_where_cleanup_begins(excluded, holds):
    answer = timing.excluded_rises_in_formation(found(excluded=excluded), share=0.1)
    assert answer.holds is holds
    assert ("never" in answer.ours) is not holds


def test_an_excluded_loss_that_is_high_throughout_does_not_rise():
    table = found()
    table["progress"]["excluded_train"] = 2.0
    answer = timing.excluded_rises_in_formation(table, share=0.1)
    assert (answer.holds, "at never" in answer.ours) == (False, True)
    late = found()["progress"]["step"].between(20000, 25000)
    table["progress"].loc[late, "excluded_train"] = 0.0
    assert timing.excluded_rises_in_formation(table, share=0.1).holds is False


@pytest.mark.parametrize(
    "claim", ["weights_fall_in_cleanup", "spectra_sharpen_in_cleanup", "embedding_sharpens_in_cleanup"]
)
def test_what_happens_fastest_in_cleanup_is_told_from_what_does_so_before(claim):
    claim = getattr(timing, claim)
    assert claim(found()).holds
    assert not claim(found(rate="circuit formation")).holds
    assert claim(found(ends={"memorization": 40000})).holds is None
    table = found()
    table["phases"] = table["phases"].drop(table["phases"].query("recipe == 'seeds' and seed == 1").index)
    assert (claim(table).holds, "3 of 4 runs have all phases" in claim(table).ours) == (True, True)


def test_weights_that_rise_throughout_do_not_fall_fastest_in_cleanup():
    table = found()
    table["progress"]["sum_of_squares"] = np.interp(
        table["progress"]["step"], [0, 140, 6000, 10000, 40000], [0.0, 10.0, 1012.0, 1212.0, 2982.0]
    )
    answer = timing.weights_fall_in_cleanup(table)
    assert (answer.holds, "-171, -50, -59" in answer.ours) == (False, True)


@pytest.mark.parametrize(("step", "holds"), [(8000.0, True), (20000.0, False), (None, False)])
def test_replications_bound_when_the_mainline_generalises(step, holds):
    answer = timing.replications(found(generalization_95_step=step), train=145, test=[6295, 8367], factor=1.5)
    assert answer.holds is holds


def test_phases_that_only_some_runs_have_are_in_the_legend():
    table = found()
    named = [[text.get_text() for text in figures.phases(table).legends[0].get_texts()]]
    other = table["phases"]["seed"].map({1: "memorised", 2: "learning"})
    table["phases"]["phase"] = other.fillna(table["phases"]["phase"])
    named.append([text.get_text() for text in figures.phases(table).legends[0].get_texts()])
    assert set(named[1]) - set(named[0]) == {figures.NAMED["memorised"], figures.NAMED["learning"]}


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
