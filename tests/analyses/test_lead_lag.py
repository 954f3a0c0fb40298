"""Moves of curves whose moves are known, their leads, and the claims of lead_lag on tables made by hand."""

import numpy as np
import pandas as pd
import pytest

import grokinterp as gi
from analyses.lead_lag import claims, curves, figures, intervals, rules, tables
from analyses.lead_lag.moves import moves_of
from analyses.study import Study, publish
from grokinterp.measures.measure import Series
from grokinterp.phases import find_phases

STEPS = np.arange(0, 1300, 25)


def phases(generalised: bool = True, at: int = 1000):
    """Memorised at 50, generalised at 1,000, evaluated every 10 steps."""
    rows = [
        {"step": step, "train_loss": 0.1, "test_loss": 1.0}
        | {"train_accuracy": float(step >= 50), "test_accuracy": float(generalised and step >= at)}
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


def test_a_straight_line_is_half_way_where_it_is_said_to_be_and_rises_or_falls():
    rising = moved(STEPS / 100.0 + 3 * (STEPS > 2000))
    assert rising["line"] == (rising["half_way"]["after"] + rising["half_way"]["until"]) / 2
    assert (moved(ramp(400, 600))["rises"], moved(1 - ramp(400, 600))["rises"]) == (True, False)
    assert rising["rises"] is None


def test_every_curve_has_a_label_of_its_own_and_a_table_of_its_measure():
    found = curves.curves()
    labels = [curve.series.label for curve in found]
    assert len(set(labels)) == len(labels) >= 40
    kinds = [curves.WITH_TEST - curves.SAME, curves.WITH_END, curves.WITH_NEITHER]
    assert sorted(labels) == sorted(label for kind in kinds for label in kind)
    assert set(labels) >= curves.CIRCUIT | {curves.REFERENCE, *curves.THRESHOLDS}


def test_a_curve_of_which_nobody_said_what_it_needs_is_refused():
    with pytest.raises(gi.GrokinterpError, match="'a new curve' needs"):
        curves._needs("a new curve")
    assert curves._needs("distance irrelevance") == curves._needs("logit share on all sums") == "test pairs"


def test_intervals_over_tasks_know_that_runs_of_a_task_are_alike():
    values, names = pd.Series(np.repeat([0.5, 0.5, 0.5, -0.5, -0.5, 0.5], 4)), np.repeat(list("abcdef"), 4)
    found = intervals.by_task(values, pd.Series(names))
    assert (found.value, found.low, found.high) == (0.5, -0.5, 0.5)
    assert intervals.by_task(values.abs(), pd.Series(names)).low == 0.5
    wide, narrow = (intervals.by_task(values.cumsum(), pd.Series(names), level=level) for level in (0.999, 0.95))
    assert wide.low < narrow.low < narrow.high < wide.high
    few = intervals.by_task(values[:12], pd.Series(names[:12]))
    assert (few.value, few.low, few.n) == (0.5, None, 12)


def test_with_one_run_a_task_intervals_are_those_of_the_ordinary_bootstrap():
    values = pd.Series(np.arange(30.0))
    found = intervals.by_task(values, pd.Series(range(30)), n_resamples=4999)
    drawn = np.random.default_rng(1).choice(values, size=(4999, 30))
    assert [found.low, found.high] == pytest.approx(np.quantile(np.median(drawn, axis=1), [0.025, 0.975]), abs=1)


TASKS = ("add", "subtract", "multiply", "divide", "squares", "group")
RUNS = [("operations", task, seed, 1000.0) for task in TASKS for seed in range(4)]
RUNS += [("controls", kind, seed, None) for kind in ("shuffled_labels", "too_few_pairs") for seed in range(3)]
NO = {"after": None, "step": None, "until": None, "lead": None}


def made(steps: dict[str, float], still: tuple[str, ...] = (), edit=None) -> dict[str, pd.DataFrame]:
    """Tables of runs in which each curve rises from 0 to 1 at its step by all rules; `still` ones not in controls.

    A straight line would be half-way at 675. `edit(leads, grokked, runs)` may change the tables before they are summed
    up; grokked marks the rows of runs that generalise.
    """
    runs, rows = [], []
    for recipe, variant, seed, grokked in RUNS:
        events = {"memorization_step": 50.0, "generalization_step": grokked, "last_step": 1300}
        delay = None if grokked is None else grokked - 50
        runs.append({"recipe": recipe, "variant": variant, "seed": seed, **events, "delay": delay})
        for curve, step in steps.items():
            at = step + 10 * seed
            times = {"after": at - 25, "step": at, "until": at, "lead": grokked and grokked - at, "line": 675.0}
            values = {"start": 0.0, "end": float(bool(grokked) or curve not in still), "top": 0.0, "net": 1.0}
            for rule in ("change_point", "half_way", "declared"):
                row = {"variant": variant, "seed": seed, "curve": curve, "rule": rule, **times, **values}
                rows.append(row | {"rises": True, "why_not": None, "control": recipe == "controls"})
    found = {"runs": pd.DataFrame(runs), "leads": pd.DataFrame(rows)}
    if edit is not None:
        edit(found["leads"], ~found["leads"]["control"], found["runs"])
    found["summary"] = tables.summarize(found["leads"], found["runs"])
    found["controls"] = tables.compare_controls(found["leads"], found["runs"])
    return found


def put(wanted, **cells):
    """An `edit` that writes cells into the rows that a function of (leads, grokked) picks."""

    def edit(leads, grokked, runs):
        leads.loc[wanted(leads, grokked), list(cells)] = list(cells.values())

    return edit


EARLY, LATE = {"test accuracy": 900.0, "Gini of W_L": 500.0}, {"test accuracy": 900.0, "Gini of W_L": 1000.0}


def drawn(shapes) -> dict[str, pd.DataFrame]:
    """Tables of runs whose curves are functions of (steps, middle), two a task; middle is the test accuracy's own."""
    runs, rows = [], []
    for i, task in enumerate(np.repeat(TASKS, 2)):
        middle = 800 + 10 * i
        found = phases(at=middle + 100)
        events = {"memorization_step": 50.0, "generalization_step": float(middle + 100), "delay": middle + 50.0}
        runs.append({"recipe": "operations", "variant": task, "seed": i % 2, **events})
        for curve, (every, shape) in shapes.items():
            table = pd.DataFrame({"step": STEPS[::every], "value": shape(STEPS[::every], middle)})
            moves = moves_of(table, Series(curve, "value"), found, np.log(47))
            rows += tables.rule_rows({"variant": task, "seed": i % 2, "curve": curve}, moves)
    found = {"runs": pd.DataFrame(runs), "leads": pd.DataFrame(rows)}
    return found | {"summary": tables.summarize(found["leads"], found["runs"])}


def sigmoid(steps, middle):
    return 1 / (1 + np.exp((middle - steps) / 30))


def test_a_straight_drift_has_a_head_start_and_does_not_lead_and_a_sparse_curve_is_not_late():
    shapes = {"test accuracy": (1, sigmoid), "Gini of W_E": (1, lambda steps, middle: steps / 1300)}
    found = drawn(shapes | {"gradient symmetricity": (3, sigmoid)})
    rows = rules.of_all(found, "half_way").set_index("curve")
    assert rows.loc["Gini of W_E", "head_start_sure_low"] > 0.1
    assert claims.some_curves_lead(found).holds is False
    assert rows.loc["gradient symmetricity", "resolution"] == 75
    assert claims.some_curves_lag(found).holds is False
    found = drawn(shapes | {"Gini of W_L": (1, lambda steps, middle: sigmoid(steps, middle - 400))})
    assert rules.leading(found) == ["Gini of W_L"]
    assert rules.lagging(drawn(shapes | {"IPR of W_L": (1, lambda s, m: sigmoid(s, m + 150))})) == ["IPR of W_L"]


def test_leads_are_medians_in_steps_and_in_delays():
    row = made(EARLY)["summary"].query("curve == 'Gini of W_L' and rule == 'half_way' and group == 'all'").iloc[0]
    assert row["lead"] == pytest.approx(1000 - 515)
    assert row["lead_share"] == pytest.approx((1000 - 515) / 950)
    assert row["head_start"] == pytest.approx(400 / 950)
    assert row["beyond_line"] == pytest.approx((675 - 502.5) / 950)
    assert row["lead_low"] <= row["lead"] <= row["lead_high"]
    assert row["beyond_line_sure_low"] <= row["beyond_line_low"] < row["beyond_line"]
    assert (row["n_runs"], row["n_moved"], row["n_compared"], row["resolution"]) == (24, 24, 24, 25)


def test_controls_are_compared_with_runs_of_the_same_operation_and_not_pooled_with_them():
    def edit(leads, grokked, runs):
        runs.loc[runs["variant"] == "too_few_pairs", ["generalization_step", "delay"]] = [1000.0, 950.0]

    found = made(EARLY, still=("Gini of W_L",), edit=edit)
    assert set(found["summary"]["group"]) == {"all", *TASKS}
    table = found["controls"].set_index(["curve", "control"])
    assert table.loc[("test accuracy", "shuffled_labels"), "change"] == 1
    assert table.loc[("Gini of W_L", "shuffled_labels"), "n_moved"] == 0
    assert set(found["controls"]["control"]) == {"shuffled_labels"}


def test_some_curve_leads_or_none_does():
    assert claims.some_curves_lead(made(EARLY)).holds
    assert claims.some_curves_lead(made(LATE)).holds is False
    few = made(EARLY, edit=put(lambda t, g: g & t["variant"].isin(TASKS[:3]) & (t["curve"] != "test accuracy"), **NO))
    assert claims.some_curves_lead(few).holds is None
    late = dict.fromkeys(("after", "until"), 950.0)
    two = made(EARLY, edit=put(lambda t, g: t["variant"].isin(TASKS[:2]) & (t["curve"] != "test accuracy"), **late))
    assert rules.of_all(two, "half_way")["head_start"].iloc[0] > 0.3
    assert claims.some_curves_lead(two).holds is False


def test_only_curves_of_the_circuit_that_move_in_most_runs_lag():
    assert claims.some_curves_lag(made(LATE)).holds
    assert claims.some_curves_lag(made(EARLY)).holds is False
    assert claims.some_curves_lag(made(LATE | {"test loss": 1000.0, "Gini of W_L": 500.0})).holds is False
    assert claims.some_curves_lag(made({"test accuracy": 900.0, "test loss": 1000.0})).holds is None
    rare = put(lambda t, g: (t["seed"] > 0) & (t["curve"] != "test accuracy"), **NO)
    assert not rules.lagging(made(LATE, edit=rare))


def test_change_points_are_counted_over_the_runs_that_generalised():
    found = made(EARLY)
    assert claims.most_curves_have_a_change_point(found).holds
    without = found["summary"]["rule"] == "change_point"
    found["summary"].loc[without, "n_moved"] = 2
    assert not claims.most_curves_have_a_change_point(found).holds


def test_only_a_leading_curve_that_controls_leave_alone_could_predict():
    judge = claims.some_leading_curve_is_still_in_controls
    assert judge(made(EARLY, still=("Gini of W_L",))).holds
    assert judge(made(EARLY)).holds is False
    assert judge(made(LATE)).holds is None
    backwards = put(lambda t, grokked: ~grokked, end=-3.0)
    assert judge(made(EARLY, edit=backwards)).holds is False
    no_add = made(EARLY, still=("Gini of W_L",), edit=put(lambda t, g: t["variant"] == "add", start=None, end=None))
    assert no_add["controls"]["n_moved"].isna().all()
    assert judge(no_add).holds is None


@pytest.mark.parametrize(("step", "holds"), [(500.0, True), (1000.0, False)])
def test_the_restricted_loss_leads_where_it_falls_first(step, holds):
    names = ("all", "own K", "random K")
    steps = {"test accuracy": 900.0} | {f"restricted loss ({name})": step for name in names}
    found = made(steps)
    assert claims.restricted_loss_leads(found).holds is holds
    assert claims.restricted_loss_of_own_keys_leads(found).holds is holds
    assert claims.random_keys_do_not_lead(found).holds is not holds
    assert claims.restricted_loss_leads(made(EARLY)).holds is None


@pytest.mark.parametrize(("seeds", "leads"), [(2, True), (1, False), (0, False)])
def test_the_control_is_judged_by_the_same_rule_as_the_rest_half_of_the_runs(seeds, leads):
    steps = {"test accuracy": 900.0, "restricted loss (all)": 450.0, "restricted loss (random K)": 450.0}
    found = made(steps, edit=put(lambda t, g: (t["seed"] >= seeds) & (t["curve"] != "test accuracy"), **NO))
    assert claims.restricted_loss_leads(found).holds is leads
    assert claims.random_keys_do_not_lead(found).holds is not leads


COMMUTATOR = {"test accuracy": 900.0, "commutator defect": 500.0}


def test_the_commutator_precedes_where_it_begins_to_rise_before_the_grokking_point():
    def holds(step=500.0, **changes):
        return claims.commutator_precedes(made(COMMUTATOR | {"commutator defect": step}, **changes), share=0.9).holds

    assert holds()
    assert holds(1100.0) is False
    assert holds(edit=put(lambda t, g: g, rises=False)) is False
    assert holds(edit=put(lambda t, g: t["seed"] > 1, **NO)) is True
    assert holds(edit=put(lambda t, g: t["seed"] > 0, **NO)) is None


def test_the_commutators_lead_in_steps_is_the_median_of_the_runs_in_which_it_rises():
    answer = claims.commutator_lead_in_steps(made(COMMUTATOR), low=400, high=600)
    assert answer.holds
    assert answer.ours.startswith("485 steps")
    assert claims.commutator_lead_in_steps(made(COMMUTATOR), low=600, high=1600).holds is False
    falls = made(COMMUTATOR, edit=put(lambda t, g: g, rises=False))
    assert claims.commutator_lead_in_steps(falls, low=400, high=600).holds is None


def test_the_commutator_is_compared_at_its_top_in_runs_of_one_operation():
    def holds(top, wanted):
        found = made(COMMUTATOR, edit=put(wanted, top=top))
        return claims.commutator_is_larger_than_in_controls(found, factor=10.0).holds

    assert holds(np.log(20.0), lambda t, g: t["variant"] == "add")
    assert holds(np.log(2.0), lambda t, g: t["variant"] == "add") is False
    assert holds(np.log(20.0), lambda t, g: g & (t["variant"] != "add")) is False


ENTROPY = {"test accuracy": 900.0, "spectral entropy of the neurons": 500.0}
BELOW = {**NO, "end": 0.5, "why_not": "on its final side from the first checkpoint on"}


def entropy(steps=500.0, edit=None):
    found = made(ENTROPY | {"spectral entropy of the neurons": steps}, edit=edit)
    return claims.entropy_falls_before(found, threshold=0.61)


def test_the_entropy_falls_before_the_grokking_point_in_every_run_or_not():
    falls = put(lambda t, g: g, end=0.5)
    assert entropy(edit=falls).holds
    assert entropy(1100.0, edit=falls).holds is False
    assert entropy(edit=put(lambda t, g: g, end=0.66)).holds is False
    assert entropy(edit=put(lambda t, g: g, **BELOW)).holds is None
    assert "0 of 24 runs fall" in entropy(edit=put(lambda t, g: g, end=0.66)).ours


def test_runs_that_did_not_generalise_in_time_are_no_networks_that_only_memorise():
    def censored(leads, grokked, runs):
        runs.loc[runs["variant"] == "divide", ["generalization_step", "delay"]] = None
        leads["end"] = 0.5

    answer = entropy(edit=censored)
    assert answer.holds
    assert answer.ours.startswith("20 of 20 runs")
    assert answer.ours.endswith("6 of 6 networks that only memorise end below")


def test_the_figures_are_drawn_from_tables_and_mark_what_is_off_the_axis():
    found = made(EARLY | {"restricted loss (all)": 300.0, "commutator defect": 2000.0})
    figure = figures.leads(found)
    assert len(figure.axes) == 3
    arrows = [line for line in figure.axes[0].lines if line.get_marker() == ">" and len(line.get_xdata())]
    assert {float(line.get_xdata()[0]) for line in arrows} == {figures.LIMITS[1]}
    assert len(figures.operation(found, "add").axes) == 2
    assert figures.curves(found).axes
    with pytest.raises(KeyError):
        figures.operation(found, "unknown")


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
