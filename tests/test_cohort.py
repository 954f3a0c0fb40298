"""Freireich et al. 1963, Blood 21: weeks in remission with 6-mercaptopurine and with placebo."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import run_with

from grokinterp.cohort import FEWEST, Durations, bootstrap, cohort_table, durations, kaplan_meier, log_rank
from grokinterp.errors import GrokinterpError

ENDED = (6, 6, 6, 7, 10, 13, 16, 22, 23)
STILL_WELL = (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)
TREATED = Durations(ENDED + STILL_WELL, (True,) * 9 + (False,) * 12)
PLACEBO_WEEKS = (1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)
PLACEBO = Durations(PLACEBO_WEEKS, (True,) * 21)


def slow_survival(data: Durations) -> list[tuple[int, float, float]]:
    """Time, S(t) and Greenwood's sum at each time with an event, by the formula."""
    runs, surviving, greenwood, found = list(zip(data.times, data.observed, strict=True)), 1.0, 0.0, []
    for time in sorted({t for t, seen in runs if seen}):
        at_risk = sum(t >= time for t, _ in runs)
        events = sum(t == time and seen for t, seen in runs)
        surviving *= 1 - events / at_risk
        greenwood += events / (at_risk * (at_risk - events)) if at_risk > events else math.inf
        found.append((time, surviving, greenwood))
    return found


def slow_interval(data: Durations) -> tuple[int | None, int | None]:
    """Where the bands S^exp(+-1.96 sqrt(greenwood) / log S) first are at most one half."""
    bounds = []
    for sign in (-1, 1):
        bounds.append(None)
        for time, surviving, greenwood in slow_survival(data):
            if 0 < surviving < 1:
                band = surviving ** math.exp(sign * 1.959964 * math.sqrt(greenwood) / math.log(surviving))
                if band <= 0.5:
                    bounds[-1] = time
                    break
    return min(bounds, key=lambda b: b or math.inf), max(bounds, key=lambda b: b or math.inf)


def slow_log_rank(one: Durations, other: Durations) -> float:
    """(O - E)^2 / V by the hypergeometric distribution at each time with an event."""
    first, both = zip(one.times, one.observed, strict=True), None
    first = list(first)
    both = first + list(zip(other.times, other.observed, strict=True))
    difference = variance = 0.0
    for time in sorted({t for t, seen in both if seen}):
        n, n1 = sum(t >= time for t, _ in both), sum(t >= time for t, _ in first)
        d = sum(t == time and seen for t, seen in both)
        difference += sum(t == time and seen for t, seen in first) - d * n1 / n
        variance += d * n1 / n * (1 - n1 / n) * (n - d) / (n - 1) if n > 1 else 0.0
    return difference**2 / variance


def test_the_median_remission_of_freireich_is_23_weeks_with_treatment_and_8_without():
    treated, placebo = kaplan_meier(TREATED), kaplan_meier(PLACEBO)
    assert (treated.median, treated.low, treated.high) == (23, 13, None)
    assert (placebo.median, placebo.low, placebo.high) == (8, 4, 11)
    assert (treated.n, treated.n_observed) == (21, 9)
    at_events = dict(zip(treated.times, treated.surviving, strict=True))
    textbook = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {time: round(at_events[time], 3) for time in textbook} == textbook


def test_leaving_out_censored_runs_would_halve_that_median():
    assert kaplan_meier(Durations(ENDED, (True,) * 9)).median == 10


def test_the_log_rank_test_of_freireich_is_the_textbooks():
    result = log_rank(TREATED, PLACEBO)
    assert result.z**2 == pytest.approx(16.79, abs=0.005)
    assert result.z**2 == pytest.approx(slow_log_rank(TREATED, PLACEBO))
    assert result.p_value == pytest.approx(4.17e-5, rel=0.01)
    assert result.z < 0  # fewer relapses than expected with treatment


cohorts = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=15).map(
    lambda runs: Durations(tuple(t for t, _ in runs), tuple(seen for _, seen in runs))
)


@given(cohorts)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_curve_median_and_interval_agree_with_the_formulas(data):
    survival, slow = kaplan_meier(data), slow_survival(data)
    curve = dict(zip(survival.times, survival.surviving, strict=True))
    assert [curve[time] for time, _, _ in slow] == pytest.approx([s for _, s, _ in slow])
    assert survival.median == next((time for time, s, _ in slow if s <= 0.5 + 1e-12), None)
    assert (survival.low, survival.high) == slow_interval(data)


@given(cohorts, cohorts)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_the_log_rank_test_agrees_with_the_formula_and_turns_around_with_its_groups(one, other):
    result, reverse = log_rank(one, other), log_rank(other, one)
    if result is None:
        assert reverse is None
        return
    assert result.z**2 == pytest.approx(slow_log_rank(one, other))
    assert reverse.z == pytest.approx(-result.z, abs=1e-9)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=15).filter(lambda times: len(times) % 2))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_without_censoring_the_median_is_the_middle_run(times):
    assert kaplan_meier(Durations(tuple(times), (True,) * len(times))).median == np.median(times)


def test_runs_that_never_grokked_are_censored_at_their_last_step():
    cohort = [run_with(30, 200, 1000), run_with(30, 400, 1000), run_with(50, None, 1500), run_with(None, None, 700)]
    assert durations(cohort) == Durations((200, 400, 1500, 700), (True, True, False, False))
    delays = durations(cohort, "generalization", since="memorization")
    assert delays == Durations((170, 370, 1450), (True, True, False), n_excluded=1)
    assert kaplan_meier(durations(cohort)).median == 400
    assert kaplan_meier(delays).median == 370


def test_a_set_in_which_fewer_than_half_grokked_has_no_median():
    survival = kaplan_meier(durations([run_with(30, 200, 1000), *[run_with(30, None, 1000)] * 3]))
    assert (survival.median, survival.n, survival.n_observed) == (None, 4, 1)


def test_sets_without_events_or_without_runs_have_no_numbers():
    never = durations([run_with(30, None, 1000)] * 3)
    assert kaplan_meier(never).median is None
    assert kaplan_meier(durations([])).n == 0
    assert log_rank(never, never) is None
    assert log_rank(never, durations([])) is None
    assert cohort_table([])["median"].isna().all()


def test_an_unknown_event_and_uneven_durations_are_refused():
    with pytest.raises(GrokinterpError, match="'grokking' is not an event; choose from memorization"):
        durations([], "grokking")
    with pytest.raises(GrokinterpError, match="2 times but 1 marks"):
        Durations((1, 2), (True,))


def test_the_table_of_a_set_has_every_event_and_the_delay():
    cohort = [run_with(30, 200 + 20 * i, 1000) for i in range(5)] + [run_with(30, None, 1000)]
    table = cohort_table(cohort).set_index("event")
    assert table.loc["generalization", ["n_runs", "n_observed", "median"]].tolist() == [6, 5, 240]
    assert table.loc["grokking_delay", "median"] == 210
    assert table.loc["memorization", ["median", "low", "high"]].tolist()[0] == 30


def test_bootstrap_covers_the_true_mean_about_as_often_as_it_says():
    hits = 0
    for seed in range(150):
        values = np.random.default_rng(seed).exponential(size=20).tolist()
        found = bootstrap(values, "mean", level=0.8, n_resamples=299, seed=seed)
        hits += found.low <= 1 <= found.high
    assert 0.68 < hits / 150 < 0.88  # 0.8, less what 20 skewed values cost; standard error 0.033


def test_the_interval_of_the_mean_of_normal_values_is_students():
    values = np.random.default_rng(0).normal(size=200)
    found = bootstrap(values.tolist(), "mean")
    half = 1.972 * values.std(ddof=1) / math.sqrt(200)
    assert found.method == "BCa"
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_the_bootstrap_is_seeded_and_counts_runs_without_a_value():
    values = [100.0, 140.0, None, 170.0, 260.0, 320.0]
    one = bootstrap(values, seed=1, n_resamples=999)
    assert one == bootstrap(values, seed=1, n_resamples=999)
    assert (one.n, one.n_missing, one.value) == (5, 1, 170)
    assert one.low <= one.value <= one.high


def test_where_no_bca_interval_exists_a_sentence_says_so():
    few = bootstrap([1.0, 2.0])
    assert (few.value, few.low, few.high, few.method) == (1.5, None, None, "")
    assert few.note == f"2 runs; an interval needs {FEWEST}"
    equal = bootstrap([5.0] * 4)
    assert (equal.low, equal.high, equal.note) == (5, 5, "all runs have the same value")
    degenerate = bootstrap([1.0, 2, 2, 2, 2, 2, 3], n_resamples=999)
    assert (degenerate.method, degenerate.note) == ("percentile", "BCa has no value for these runs")
    assert bootstrap([None, None]).note == "no run has a value"
    assert bootstrap([]).value is None
