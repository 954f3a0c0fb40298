import json
import math

import numpy as np
import pandas as pd
import pytest
from conftest import small_config
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from synthetic_runs import grokking, run_with

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.leads import LEAD_COLUMNS, PLATEAU, find_leads, lead_of, plateau
from grokinterp.measures.measure import Column, Measure, Part, Series
from grokinterp.phases import find_phases

LOSS = Series("loss", "loss", threshold=1.0)
CHECKPOINTS = [0, 1, 2, 5, 10, 30, 60, 100, 130, 160, 200, 210, 220, 260, 300, 400, 500, 600, 700, 800]


def table(values, steps=CHECKPOINTS, **cells) -> pd.DataFrame:
    return pd.DataFrame({"step": steps, "loss": values, **{name: [cell] * len(steps) for name, cell in cells.items()}})


def falling_at(step: int, steps=CHECKPOINTS) -> list[float]:
    return [4.0 if s < step else 0.1 for s in steps]


def test_a_crossing_before_the_test_accuracy_leads_by_the_difference_with_its_interval():
    """Test accuracy is half right in (190, 200] and right in (210, 220]; the loss falls in (100, 130]."""
    lead = lead_of(table(falling_at(130)), LOSS, 1.0, find_phases(grokking()))
    assert tuple(lead) == LEAD_COLUMNS[1:]
    assert (lead["after"], lead["step"], lead["until"], lead["n_crossings"]) == (100, 130, 130, 1)
    assert (lead["lead_half_accuracy"], lead["lead_generalization"]) == (70, 90)
    assert (lead["lead_half_accuracy_low"], lead["lead_half_accuracy_high"]) == (190 - 130, 200 - 100)
    assert (lead["lead_generalization_low"], lead["lead_generalization_high"]) == (210 - 130, 220 - 100)
    assert lead["rule"] == "loss falls below 1"
    assert lead["note"] is None


def test_a_crossing_after_the_test_accuracy_lags():
    lead = lead_of(table(falling_at(400)), LOSS, 1.0, find_phases(grokking()))
    assert (lead["lead_half_accuracy"], lead["lead_generalization"]) == (-200, -180)


@given(
    moved=st.integers(1, 799),
    grokked=st.integers(1, 700),
    every=st.integers(1, 40),
    steps=st.sets(st.integers(1, 799), min_size=3, max_size=40),
)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_the_interval_of_the_lead_holds_the_true_one(moved, grokked, every, steps):
    checkpoints = sorted(steps | {0, 800})
    assume(moved <= checkpoints[-math.ceil(PLATEAU * len(checkpoints))])  # else the plateau is not yet reached
    phases = run_with(10, grokked, 1200, every)
    lead = lead_of(table(falling_at(moved, checkpoints), checkpoints), LOSS, 1.0, phases)
    assert lead["after"] < moved <= lead["until"]
    assert lead["lead_generalization_low"] < grokked - moved < lead["lead_generalization_high"]
    assert lead["lead_generalization_low"] <= lead["lead_generalization"] <= lead["lead_generalization_high"]


def test_a_curve_that_dips_and_comes_back_moves_where_it_comes_back():
    """As the excluded loss does: log p at first by chance, small while memorising, large in the end."""
    values = [5.0 if step < 10 or step >= 220 else 0.1 for step in CHECKPOINTS]
    lead = lead_of(table(values), LOSS, 1.0, find_phases(grokking()))
    assert (lead["after"], lead["step"], lead["n_crossings"]) == (210, 220, 2)
    assert lead["rule"] == "loss rises to 1"


def test_a_late_spike_does_not_move_the_crossing():
    values = falling_at(130)
    values[CHECKPOINTS.index(600)] = 4.0
    lead = lead_of(table(values), LOSS, 1.0, find_phases(grokking()))
    assert (lead["step"], lead["n_crossings"]) == (130, 3)


def test_a_curve_on_its_final_side_from_the_start_does_not_move_at_a_spike():
    values = [5.0] * len(CHECKPOINTS)
    values[CHECKPOINTS.index(600)] = 0.1
    lead = lead_of(table(values), LOSS, 1.0, find_phases(grokking()))
    assert lead["step"] is None
    assert lead["note"] == "on its final side from the first checkpoint on"


def test_an_early_visit_to_the_other_side_is_no_crossing():
    values = falling_at(130)
    values[CHECKPOINTS.index(2)] = 0.1
    lead = lead_of(table(values), LOSS, 1.0, find_phases(grokking()))
    assert (lead["step"], lead["n_crossings"]) == (130, 3)


def test_the_random_control_that_never_crosses_has_no_lead_but_its_values():
    lead = lead_of(table([4.0] * len(CHECKPOINTS)), LOSS, 1.0, find_phases(grokking()))
    assert lead["step"] is lead["lead_generalization"] is lead["share_by_grokking"] is None
    assert (lead["at_init"], lead["at_grokking"], lead["at_plateau"]) == (4, 4, 4)
    assert lead["note"] == "on its final side from the first checkpoint on"


def test_values_are_taken_at_init_at_generalisation_and_on_the_plateau():
    values = [float(step) for step in CHECKPOINTS]
    lead = lead_of(table(values), LOSS, 1.0, find_phases(grokking()))
    assert (lead["at_init"], lead["at_grokking"], lead["at_plateau"]) == (0, 220, 750)
    assert lead["share_by_grokking"] == pytest.approx(220 / 750)


def test_the_plateau_is_the_median_of_the_last_tenth():
    for n in (1, 2, 9, 10, 11, 25, 60):
        values = list(np.random.default_rng(n).normal(size=n))
        assert plateau(values) == pytest.approx(np.median(values[n - math.ceil(n / 10) :]))


def test_without_grokking_there_are_crossings_and_no_leads():
    lead = lead_of(table(falling_at(130)), LOSS, 1.0, run_with(30, None, 1000))
    assert lead["step"] == 130
    assert lead["at_grokking"] is lead["lead_generalization"] is lead["lead_half_accuracy_low"] is None


def test_a_run_that_is_right_from_the_start_is_led_by_nothing():
    lead = lead_of(table(falling_at(130)), LOSS, 1.0, run_with(0, 0, 1000))
    assert (lead["lead_generalization"], lead["lead_generalization_low"], lead["lead_generalization_high"]) == (
        -130,
        -130,
        -100,
    )


@pytest.mark.parametrize("log", [False, True])
def test_a_curve_without_threshold_is_compared_by_its_change_point(log):
    steps = list(range(0, 1000, 20))
    straight = [0.0 if step < 400 else -0.01 * (step - 400) for step in steps]
    series = Series("norm", "loss", log=log)
    lead = lead_of(table([math.exp(v) if log else v for v in straight], steps), series, None, run_with(10, 600, 1000))
    assert (lead["after"], lead["step"], lead["until"]) == (380, 400, 420)
    assert (lead["lead_generalization"], lead["lead_generalization_low"]) == (200, 590 - 420)
    assert lead["rule"] == f"the steepest piece of {'log ' if log else ''}loss begins"
    assert lead["n_crossings"] is None


def test_a_smooth_curve_and_noise_have_no_change_point():
    steps = list(range(0, 1000, 20))
    curves = [[math.exp(-step / 400) for step in steps], np.random.default_rng(0).normal(size=50).tolist()]
    for values in curves:
        lead = lead_of(table(values, steps), Series("norm", "loss"), None, run_with(10, 600, 1000))
        assert (lead["step"], lead["lead_generalization"], lead["note"]) == (None, None, "no knee")


def test_null_cells_widen_the_interval_and_rows_are_picked_by_the_cells_named():
    values = falling_at(130)
    values[CHECKPOINTS.index(100)] = None
    mine, other = table(values, split="all"), table([1e-9] * len(CHECKPOINTS), split="test")
    both = pd.concat([other, mine]).sample(frac=1, random_state=0)
    lead = lead_of(both, Series("loss", "loss", where={"split": "all"}, threshold=1.0), 1.0, find_phases(grokking()))
    assert (lead["after"], lead["step"], lead["n_points"]) == (60, 130, len(CHECKPOINTS) - 1)


@pytest.mark.parametrize(
    ("frame", "where", "note"),
    [
        (table([4.0] * 20), {"split": "all"}, "the table has no column split"),
        (table([4.0] * 20, split="test"), {"split": "all"}, "no values"),
        (table([None] * 20), {}, "no values"),
        (table(["x"] * 20), {}, "no values"),
        (pd.concat([table([4.0] * 20)] * 2), {}, "several rows a step; the series' `where` must pick one"),
    ],
)
def test_a_curve_that_cannot_be_read_says_why(frame, where, note):
    lead = lead_of(frame, Series("loss", "loss", where=where, threshold=1.0), 1.0, find_phases(grokking()))
    assert (lead["note"], lead["n_points"], lead["step"], lead["at_init"]) == (note, 0, None, None)


@pytest.mark.parametrize("threshold", [1.0, None])
def test_one_checkpoint_has_values_and_no_lead(threshold):
    lead = lead_of(table([4.0], [0]), LOSS, threshold, run_with(None, None, 0))
    assert (lead["n_points"], lead["at_init"], lead["at_plateau"], lead["step"]) == (1, 4, 4, None)
    assert lead["note"]


class FakeRun:
    """Tables by name and a task with 113 answers."""

    class task:  # noqa: N801
        n_answers = 113

    def __init__(self, **tables) -> None:
        self.tables = {name.replace("__", "."): frame for name, frame in tables.items()}

    def table(self, name):
        if name not in self.tables:
            raise GrokinterpError(f"no table {name}")
        return self.tables[name]


def measure(name: str, *series: Series) -> Measure:
    part = Part({"loss": Column("a loss")}, compute=list)
    return Measure(name, "", "", {"": part, "parts": part}, plot=print, series=series)


def test_thresholds_may_be_in_units_of_log_answers_and_missing_tables_are_left_out():
    half = Series("half", "loss", part="parts", threshold=0.5, unit="log_answers")
    measures = [measure("one", half, LOSS), measure("two"), measure("three", LOSS)]
    run = FakeRun(one__parts=table(falling_at(130)), three=table(falling_at(210)))
    leads = find_leads(run, find_phases(grokking()), measures)
    assert [(lead["measure"], lead["part"], lead["label"], lead["step"]) for lead in leads] == [
        ("one", "parts", "half", 130),
        ("three", "", "loss", 210),
    ]
    assert leads[0]["rule"] == f"loss falls below {math.log(113) / 2:.4g}"
    assert all(tuple(lead) == LEAD_COLUMNS for lead in leads)


def test_analysis_writes_the_leads_of_all_tables_and_the_run_reads_them(tmp_path):
    run = gi.train(small_config(), tmp_path / "run", show_progress=False)
    assert run.leads.empty
    assert tuple(run.leads.columns) == LEAD_COLUMNS
    gi.analyze(run, ["progress_measures"], show_progress=False)
    saved = json.loads(run.rundir.phases_path.read_text())
    assert set(run.leads["measure"]) == {"progress_measures"}
    assert set(saved["leads"][0]) == set(LEAD_COLUMNS)
    control = run.leads[[cells.get("keys") == "random" for cells in run.leads["where"]]]
    assert len(control) == 1
    assert (run.leads["n_points"] == len(run.steps)).all()
    gi.analyze(run, ["weight_norm"], show_progress=False)
    assert "progress_measures" in set(run.leads["measure"])  # its table is still there
