"""The claims of exploring2024 on tables whose events are known."""

import pandas as pd
import pytest

from analyses.exploring2024 import claims

STEPS = {"memorization_step": 100.0, "generalization_step": 2000.0}
FULL = {"train_accuracy": 1.0, "test_accuracy": 1.0}


def architectures(**changed: dict) -> dict[str, pd.DataFrame]:
    """Two seeds of every variant at three shares; `changed` gives a variant other columns."""
    names = (*claims.TRANSFORMERS, "lstm20", "lstm128", "mlp", "mlp_no_decay", "mlp_embedding")
    rows = [
        {
            "variant": name,
            "run": f"{name}-{fraction}-{seed}",
            "frac_train": fraction,
            "train_accuracy": 1.0,
            "test_accuracy": 1.0,
            "last_step": 10_000,
            **STEPS,
        }
        | changed.get(name, {})
        for name in names
        for fraction in (0.3, 0.45, 0.6)
        for seed in (0, 1)
    ]
    return {"architectures": pd.DataFrame(rows)}


def optimizers(**medians: float | None) -> dict[str, pd.DataFrame]:
    rows = [
        {"variant": name, "frac_train": fraction, "generalization_step": float("nan" if step is None else step)}
        for name, step in medians.items()
        for fraction in (0.3, 0.45)
    ]
    return {"optimizers": pd.DataFrame(rows)}


@pytest.mark.parametrize(
    ("memorised", "generalised", "holds"),
    [(100, 2000, True), (100, 150, False), (100, None, True), (9000, None, None), (None, None, None)],
)
def test_a_gap_is_a_factor_of_two_and_a_budget_that_ended_before_tells_nothing(memorised, generalised, holds):
    found = architectures(two_layers={"memorization_step": memorised, "generalization_step": generalised})
    assert claims.gap_at(found, fractions=[0.45, 0.6]).holds is holds


@pytest.mark.parametrize(("step", "holds"), [(2000.0, True), (900.0, False), (None, None)])
def test_at_thirty_percent_late_means_ten_times_and_somebody_gets_there(step, holds):
    found = architectures(one_layer_simple_encoding={"generalization_step": step})
    assert claims.late_at_thirty(found, fraction=0.3).holds is holds


@pytest.mark.parametrize(("step", "holds"), [(2000.0, True), (150.0, False), (None, None)])
def test_transformers_grok_by_the_rule_that_is_asked_of_the_others(step, holds):
    assert claims.transformers_grok(architectures(one_layer={"generalization_step": step})).holds is holds


def test_a_network_that_never_memorised_is_no_evidence_that_it_does_not_grok():
    unfit = {"memorization_step": None, "generalization_step": None}
    found = claims.lstm_does_not_grok(architectures(lstm20=unfit, lstm128=unfit))
    assert found.holds is None
    assert "lstm20" in found.note
    assert not claims.lstm_does_not_grok(architectures(lstm20=unfit)).holds
    at_once = {"generalization_step": 120.0}
    assert claims.mlp_does_not_grok(architectures(mlp=at_once, mlp_no_decay=at_once, mlp_embedding=at_once)).holds


def test_the_mlp_fails_to_memorise_only_below_full_train_accuracy():
    assert not claims.mlp_fails_to_memorize(architectures()).holds
    assert claims.mlp_fails_to_memorize(architectures(mlp={"train_accuracy": 0.98})).holds


def test_adamw_is_best_only_where_it_generalises_and_nothing_is_faster():
    slow = {"adam": 5000.0, "weight_noise": None, "update_noise": 4000.0}
    assert claims.adamw_is_best(optimizers(adamw=2000.0, **slow)).holds
    assert not claims.adamw_is_best(optimizers(adamw=4500.0, **slow)).holds
    assert not claims.adamw_is_best(optimizers(adamw=None, **slow)).holds


def test_a_share_at_which_no_way_to_train_generalises_says_nothing_about_adamw():
    none = dict.fromkeys(("adamw", "adam", "weight_noise", "update_noise"))
    assert claims.adamw_is_best(optimizers(**none)).holds is None
    found = optimizers(**none | {"adamw": 2000.0})
    rows = found["optimizers"]
    rows.loc[rows["frac_train"] == 0.3, "generalization_step"] = None
    answer = claims.adamw_is_best(found)
    assert answer.holds
    assert "30%" in answer.note


def test_adam_against_noise_is_not_told_where_none_of_them_generalises():
    assert claims.adam_beats_noise(optimizers(adamw=1.0, adam=None, weight_noise=None, update_noise=None)).holds is None
    assert claims.adam_beats_noise(optimizers(adamw=1.0, adam=5.0, weight_noise=None, update_noise=9.0)).holds
    assert not claims.adam_beats_noise(optimizers(adamw=1.0, adam=5.0, weight_noise=4.0, update_noise=9.0)).holds


def test_half_of_the_pairs_is_the_key_where_the_delay_peaks_between():
    found = architectures()
    rows = found["architectures"]
    rows["generalization_step"] = rows["frac_train"].map({0.3: 3000.0, 0.45: 2000.0, 0.6: 1000.0})
    assert not claims.half_is_the_key(found).holds
    rows["generalization_step"] = rows["frac_train"].map({0.3: 1500.0, 0.45: 2000.0, 0.6: 1000.0})
    assert claims.half_is_the_key(found).holds
    rows["generalization_step"] = rows["frac_train"].map({0.3: float("nan"), 0.45: 2000.0, 0.6: 1000.0})
    assert claims.half_is_the_key(found).holds is False
    rows["generalization_step"] = rows["frac_train"].map({0.3: float("nan"), 0.45: float("nan"), 0.6: 1000.0})
    assert claims.half_is_the_key(found).holds is None


def test_without_transformers_nothing_is_said_of_them():
    rows = architectures()["architectures"]
    found = {"architectures": rows[~rows["variant"].isin(claims.TRANSFORMERS)]}
    for claim in (claims.half_is_the_key, claims.transformers_grok):
        assert claim(found).holds is None
    assert claims.gap_at(found, fractions=[0.45, 0.6]).holds is None


def mechanism(**gini: float) -> dict[str, pd.DataFrame]:
    """Each run's Gini at the end, by its variant; .3 at the start."""
    rows = [
        {"variant": name, "run": f"{name}-0.3-0", "when": when, "gini_W_E": value, "sum_of_squares": 1.0}
        for name, end in gini.items()
        for when, value in (("start", 0.3), ("end", end))
    ]
    return {"mechanism": pd.DataFrame(rows)}


@pytest.mark.parametrize(("end", "holds"), [(0.6, True), (0.2, False)])
def test_structure_appears_where_gini_rises(end, holds):
    found = architectures() | mechanism(mlp=end)
    assert claims.structure_appears(found).holds is holds


@pytest.mark.parametrize(("other", "holds"), [(0.35, True), (0.7, False)])
def test_structure_goes_with_generalising_only_where_it_is_less_without(other, holds):
    lost = {"generalization_step": None, "test_accuracy": 0.01}
    found = architectures(mlp_no_decay=lost) | mechanism(mlp=0.6, mlp_no_decay=other)
    assert claims.structure_appears(found).holds is holds
    alone = architectures(mlp=lost, mlp_no_decay=lost) | mechanism(mlp=0.6, mlp_no_decay=other)
    assert claims.structure_appears(alone).holds is None
