"""Moves of curves whose moves are known, their leads, and the claims of lead_lag on tables made by hand."""

import numpy as np
import pandas as pd
import pytest

import grokinterp as gi
from analyses.lead_lag import claims, curves, figures, tables
from analyses.lead_lag.moves import moves_of
from analyses.study import Study, publish
from grokinterp.measures.measure import Series
from grokinterp.phases import find_phases

STEPS = np.arange(0, 1300, 25)


def phases(generalised: bool = True):
    """Memorised at 50, generalised at 1,000, evaluated every 10 steps."""
    rows = [
        {"step": step, "train_loss": 0.1, "test_loss": 1.0}
        | {"train_accuracy": float(step >= 50), "test_accuracy": float(generalised and step >= 1000)}
        for step in range(0, 1301, 10)
    ]
    return find_phases(rows)


def moved(values, series=None, generalised=True):
    table = pd.DataFrame({"step": STEPS, "value": values})
    return moves_of(table, series or Series("it", "value"), phases(generalised), np.log(47))


def ramp(begin, end):
    return np.interp(STEPS, [0, begin, end, 1300], [0.0, 0.0, 1.0, 1.0])


def test_a_ramp_has_its_change_point_where_it_begins_and_its_half_way_point_in_its_middle():
    found = moved(ramp(400, 600))
    assert found["change_point"]["after"] <= 400 <= found["change_point"]["until"]
    assert found["half_way"]["after"] < 500 <= found["half_way"]["until"]
    assert found["half_way"]["lead_generalization"] == pytest.approx(500, abs=25)


def test_what_moves_while_the_network_memorises_does_not_count():
    found = moved(np.where(STEPS < 50, 0.0, 1.0))
    assert found["half_way"]["step"] is None
    assert found["change_point"]["step"] is None


def test_a_curve_that_begins_with_its_steepest_piece_has_no_change_point_after_memorisation():
    found = moved(np.interp(STEPS, [50, 300, 1300], [0.0, 1.0, 1.1]))
    assert found["change_point"]["step"] is None
    assert found["change_point"]["why_not"] == "steepest from memorisation on"


def test_a_curve_that_comes_back_has_no_half_way_point():
    found = moved(ramp(300, 400) - ramp(700, 800))
    assert found["half_way"]["step"] is None
    assert found["half_way"]["why_not"] == "comes back"


def test_half_of_the_way_of_a_logarithm_is_the_geometric_mean():
    values = np.exp(8 * ramp(400, 600))
    found = moved(values, Series("it", "value", log=True))
    assert found["half_way"]["after"] < 500 <= found["half_way"]["until"]
    assert (found["start"], found["end"]) == pytest.approx((0, 8))


def test_a_declared_threshold_is_in_its_own_unit():
    falling = np.log(47) * (1 - ramp(200, 400))
    found = moved(falling, Series("it", "value", threshold=0.5, unit="log_answers"))
    assert found["declared"]["after"] <= 300 <= found["declared"]["until"]
    assert moved(falling)["declared"]["why_not"] == "no threshold declared"


def test_a_run_that_never_generalises_has_moves_and_no_leads():
    found = moved(ramp(400, 600), generalised=False)
    assert found["half_way"]["step"] == pytest.approx(500, abs=25)
    assert found["half_way"]["lead_generalization"] is None


def test_every_curve_has_a_label_of_its_own_and_a_table_of_its_measure():
    found = curves.curves()
    labels = [curve.series.label for curve in found]
    assert len(set(labels)) == len(labels) >= 40
    assert set(labels) >= curves.WITH_TEST - curves.SAME
    assert set(labels) >= curves.WITH_END
    assert set(labels) >= {curves.REFERENCE, *curves.THRESHOLDS}


RUNS = [("operations", "add", seed, 1000.0) for seed in range(6)]
RUNS += [("controls", kind, seed, None) for kind in ("shuffled_labels", "too_few_pairs") for seed in range(3)]


def made(steps: dict[str, float], still: tuple[str, ...] = (), top: float = 0.0) -> dict[str, pd.DataFrame]:
    """Tables of runs in which each curve moves at the given step by all rules; `still` ones not in controls."""
    runs, leads = [], []
    for recipe, variant, seed, grokked in RUNS:
        events = {"memorization_step": 50.0, "generalization_step": grokked, "last_step": 1300}
        delay = None if grokked is None else grokked - 50
        runs.append({"recipe": recipe, "variant": variant, "seed": seed, **events, "delay": delay})
        for curve, step in steps.items():
            at = step + 10 * seed
            times = {"after": at - 25, "step": at, "until": at, "lead": grokked and grokked - at}
            change = 0.0 if recipe == "controls" and curve in still else 1.0
            values = {"start": 0.0, "end": change, "top": top if grokked else 0.0, "net": 1.0}
            for rule in ("change_point", "half_way", "declared"):
                row = {"variant": variant, "seed": seed, "curve": curve, "rule": rule, **times, **values}
                leads.append(row | {"why_not": None})
    found = {"runs": pd.DataFrame(runs), "leads": pd.DataFrame(leads)}
    found["summary"] = tables.summarize(found["leads"], found["runs"])
    found["controls"] = tables.compare_controls(found["leads"], found["runs"])
    return found


EARLY, LATE = {"test accuracy": 900.0, "Gini of W_L": 500.0}, {"test accuracy": 900.0, "Gini of W_L": 1000.0}


def test_leads_are_medians_in_steps_and_in_delays():
    row = made(EARLY)["summary"].query("curve == 'Gini of W_L' and rule == 'half_way' and group == 'all'").iloc[0]
    assert row["lead"] == pytest.approx(1000 - 525)
    assert row["lead_share"] == pytest.approx((1000 - 525) / 950)
    assert row["head_start"] == pytest.approx(400 / 950)
    assert row["lead_low"] <= row["lead"] <= row["lead_high"]
    assert (row["n_runs"], row["n_moved"], row["resolution"]) == (6, 6, 25)


def test_controls_are_compared_with_runs_of_the_same_operation():
    found = made(EARLY, still=("Gini of W_L",))["controls"].set_index(["curve", "control"])
    assert found.loc[("test accuracy", "shuffled_labels"), "change"] == 1
    assert found.loc[("Gini of W_L", "shuffled_labels"), "n_moved"] == 0


def test_some_curve_leads_or_none_does():
    assert claims.some_curves_lead(made(EARLY)).holds
    assert not claims.some_curves_lead(made(LATE)).holds
    assert claims.some_curves_lag(made(LATE)).holds
    assert not claims.some_curves_lag(made(EARLY)).holds


def test_change_points_are_counted_over_the_runs_that_generalised():
    found = made(EARLY)
    assert claims.most_curves_have_a_change_point(found).holds
    without = found["summary"]["rule"] == "change_point"
    found["summary"].loc[without, "n_moved"] = 2
    assert not claims.most_curves_have_a_change_point(found).holds


def test_only_a_leading_curve_that_controls_leave_alone_could_predict():
    assert claims.some_leading_curve_is_still_in_controls(made(EARLY, still=("Gini of W_L",))).holds
    assert not claims.some_leading_curve_is_still_in_controls(made(EARLY)).holds
    assert claims.some_leading_curve_is_still_in_controls(made(LATE)).holds is None


@pytest.mark.parametrize(("step", "holds"), [(500.0, True), (1000.0, False)])
def test_the_restricted_loss_leads_where_it_falls_first(step, holds):
    steps = {"test accuracy": 900.0, "restricted loss (all)": step, "restricted loss (own K)": step}
    steps["restricted loss (random K)"] = step
    found = made(steps)
    assert claims.restricted_loss_leads(found).holds is holds
    assert claims.restricted_loss_of_own_keys_leads(found).holds is holds
    assert claims.random_keys_do_not_lead(found).holds is not holds
    assert claims.restricted_loss_leads(made(EARLY)).holds is None


@pytest.mark.parametrize(("step", "holds"), [(500.0, True), (1100.0, False)])
def test_the_commutator_precedes_where_it_moves_before_the_grokking_point(step, holds):
    found = made({"test accuracy": 900.0, "commutator defect": step})
    assert claims.commutator_precedes(found, share=0.9).holds is holds


@pytest.mark.parametrize(("top", "holds"), [(np.log(20.0), True), (np.log(2.0), False)])
def test_the_commutator_is_compared_at_its_top(top, holds):
    found = made({"test accuracy": 900.0, "commutator defect": 500.0}, top=top)
    assert claims.commutator_is_larger_than_in_controls(found, factor=10.0).holds is holds


@pytest.mark.parametrize(("step", "holds"), [(500.0, True), (1100.0, False)])
def test_the_entropy_falls_before_the_grokking_point_in_every_run_or_not(step, holds):
    found = made({"test accuracy": 900.0, "spectral entropy of the neurons": step})
    assert claims.entropy_falls_before(found, threshold=0.61).holds is holds


def test_the_figures_are_drawn_from_tables():
    found = made(EARLY | {"restricted loss (all)": 300.0, "commutator defect": 2000.0})
    assert len(figures.leads(found).axes) == 3
    assert len(figures.operation(found, "add").axes) == 2
    assert figures.curves(found).axes
    with pytest.raises(KeyError):
        figures.operation(found, "divide")


@pytest.mark.slow
def test_the_smoke_scale_trains_measures_draws_and_judges_nothing(tmp_path):
    study = Study("lead_lag", "smoke", tmp_path / "runs")
    for name, recipe in study.recipes.items():
        gi.sweep(recipe, study.folder(name))
    publish(study, "analyses.lead_lag", tmp_path / "out", fresh=True)
    verdicts = pd.read_csv(tmp_path / "out" / "verdicts.csv")
    assert set(verdicts["verdict"]) == {"not tested at this scale"}
    assert {path.stem for path in (tmp_path / "out").glob("*.csv")} == {*tables.TABLES, "verdicts"}
    assert {"events", "leads"} <= {path.stem for path in (tmp_path / "out").glob("*.png")}
