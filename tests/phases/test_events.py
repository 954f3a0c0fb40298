from synthetic_runs import evaluations

from grokinterp.phases import SUSTAIN, find_event


def crossing(accuracies: list[float], threshold: float = 0.99):
    return find_event(evaluations(accuracies, accuracies), "generalization", "test_accuracy", ">=", threshold)


def test_a_first_crossing_may_come_before_the_sustained_one():
    event = crossing([0, 0, 1, 0, 1, 1, 1, 0.5, 1, 1, 1, 1, 1, 1])
    assert (event.first, event.step, event.after) == (20, 80, 70)


def test_five_evaluations_in_a_row_are_sustained_and_four_are_not():
    assert crossing([0] * 3 + [1] * SUSTAIN).step == 30
    assert crossing([0] * 3 + [1] * (SUSTAIN - 1)).step is None
    assert crossing([0] * 3 + [1] * (SUSTAIN - 1)).first == 30


def test_the_interval_reaches_back_to_the_evaluation_before_the_crossing():
    event = find_event(
        [{"step": s, "x": v} for s, v in [(0, 0), (7, 0.2), (50, 1), (60, 1), (61, 1), (90, 1), (200, 1)]],
        "generalization",
        "x",
        ">=",
        0.99,
    )
    assert (event.after, event.step) == (7, 50)


def test_a_null_evaluation_before_the_crossing_is_no_end_of_the_interval():
    known = [(0, 0.1), (50, 0.2), (100, None), *[(150 + 10 * i, 1.0) for i in range(5)]]
    event = find_event([{"step": s, "x": v} for s, v in known], "e", "x", ">=", 0.99)
    assert (event.after, event.step) == (50, 150)


def test_a_series_past_the_threshold_from_the_start_has_no_interval():
    event = crossing([1] * 8)
    assert (event.first, event.step, event.after) == (0, 0, None)


def test_a_threshold_is_met_by_equality_above_and_not_below():
    rows = [{"step": i, "x": 0.01} for i in range(6)]
    assert find_event(rows, "e", "x", ">=", 0.01).step == 0
    assert find_event(rows, "e", "x", "<", 0.01).step is None


def test_a_null_value_breaks_a_run_of_crossings():
    rows = [{"step": i, "x": None if i == 3 else 1.0} for i in range(10)]
    event = find_event(rows, "e", "x", ">=", 0.99)
    assert (event.first, event.step) == (0, 4)
    assert find_event([{"step": 0}], "e", "x", ">=", 0.99).first is None


def test_a_row_that_lacks_the_series_is_no_evaluation_of_it():
    """Other people log their losses more often than their accuracies."""
    rows = [{"step": i, "y": 0} | ({"x": float(i >= 30)} if i % 10 == 0 else {}) for i in range(80)]
    event = find_event(rows, "e", "x", ">=", 0.99)
    assert (event.first, event.after, event.step) == (30, 20, 30)
