import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokinterp.phases import SUSTAIN, find_event, find_phases


def series(train: list[float], test: list[float], losses: list[float] | None = None, every: int = 10) -> list[dict]:
    """Evaluations every `every` steps with these accuracies; the test loss is 1 - accuracy if not given."""
    losses = [1 - accuracy for accuracy in test] if losses is None else losses
    return [
        {"step": i * every, "train_accuracy": a, "test_accuracy": b, "test_loss": loss}
        for i, (a, b, loss) in enumerate(zip(train, test, losses, strict=True))
    ]


def crossing(accuracies: list[float], threshold: float = 0.99):
    return find_event(series(accuracies, accuracies), "generalization", "test_accuracy", ">=", threshold)


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


def grokking() -> list[dict]:
    train = [0.1] * 3 + [1.0] * 37
    test = [0.1] * 20 + [0.5] * 2 + [1.0] * 18
    losses = [3.0] * 3 + [6.0] * 12 + [5.0] * 2 + [3.0] * 5 + [0.5] * 4 + [0.001] * 14
    return series(train, test, losses)


def test_a_grokking_run_has_four_phases_at_the_declared_places():
    phases = find_phases(grokking())
    assert (phases.memorization_step, phases.generalization_step, phases.grokking_delay) == (30, 220, 190)
    assert phases.events["half_accuracy"].step == 200
    assert not phases.censored
    assert [(p.name, p.start, p.end) for p in phases.phases] == [
        ("memorization", 0, 30),
        ("circuit formation", 30, 160),  # the last evaluation at two thirds of the peak of 6
        ("cleanup", 160, 260),  # the test loss is below 0.01
        ("stable", 260, 390),
    ]


def test_cleanup_ends_at_generalisation_where_the_test_loss_never_gets_small():
    rows = [row | {"test_loss": max(row["test_loss"], 0.02)} for row in grokking()]
    assert [(p.name, p.end) for p in find_phases(rows).phases][-2:] == [("cleanup", 220), ("stable", 390)]


def test_a_run_that_never_generalises_is_censored():
    phases = find_phases(series([0.1] * 4 + [1.0] * 20, [0.2] * 24))
    assert phases.censored
    assert phases.generalization_step is None
    assert phases.grokking_delay is None
    assert [(p.name, p.start, p.end) for p in phases.phases] == [("memorization", 0, 40), ("memorised", 40, 230)]


def test_a_run_that_never_memorises_is_one_phase():
    phases = find_phases(series([0.5] * 9, [0.1] * 9))
    assert [(p.name, p.start, p.end) for p in phases.phases] == [("memorization", 0, 80)]
    assert phases.memorization_step is None


def test_a_run_that_starts_memorised_has_no_phase_of_memorization():
    phases = find_phases(series([1.0] * 10, [0.2] * 10))
    assert [(p.name, p.start, p.end) for p in phases.phases] == [("memorised", 0, 90)]


@pytest.mark.parametrize("lead", [0, 2])
def test_without_a_gap_between_train_and_test_the_run_is_learning(lead):
    phases = find_phases(series([0.1] * 6 + [1.0] * 14, [0.1] * (6 - lead) + [1.0] * (14 + lead)))
    generalised = 60 - 10 * lead
    assert [(p.name, p.end) for p in phases.phases] == [("learning", generalised), ("stable", 190)]
    assert phases.grokking_delay == -10 * lead


def test_nothing_has_no_events_and_no_phases():
    phases = find_phases([])
    assert phases.phases == ()
    assert phases.last_step == 0
    assert {event.step for event in phases.events.values()} == {None}


def stretches(values: list[float]):
    """Series that stay at a value for a while, as accuracies do."""
    stretch = st.tuples(st.sampled_from(values), st.integers(1, 9))
    return st.lists(stretch, min_size=1, max_size=6).map(lambda parts: [v for v, n in parts for _ in range(n)])


accuracies = stretches([0.1, 0.6, 0.97, 1.0])


@given(train=accuracies, test=accuracies, losses=stretches([5.0, 2.0, 0.005]))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_phases_partition_the_run_in_order(train, test, losses):
    size = min(len(train), len(test), len(losses))
    rows = series(train[:size], test[:size], losses[:size])
    phases = find_phases(rows)
    last = rows[-1]["step"]
    if last:
        assert phases.phases[0].start == 0
        assert phases.phases[-1].end == last
    for one, following in zip(phases.phases, phases.phases[1:], strict=False):
        assert one.end == following.start
    assert all(phase.start < phase.end for phase in phases.phases if last)


@given(test=accuracies)
@settings(derandomize=True, deadline=None, max_examples=100)
def test_sustained_crossings_are_never_before_first_ones_and_harder_thresholds_never_before_easier(test):
    events = find_phases(series(test, test)).events
    for event in events.values():
        if event.step is not None:
            assert event.first <= event.step
            assert event.after is None or event.after < event.step
    order = [events[name].first for name in ("half_accuracy", "generalization_95", "generalization")]
    known = [step for step in order if step is not None]
    assert known == sorted(known)
    assert order[len(known) :] == [None] * (3 - len(known))


def test_landmarks_are_the_first_checkpoints_at_or_after_the_events():
    phases = find_phases(grokking())
    assert phases.landmarks([0, 25, 100, 200, 300, 390]) == {"init": 0, "memorised": 100, "grokked": 300, "end": 390}
    assert phases.landmarks([0, 30, 220]) == {"init": 0, "memorised": 30, "grokked": 220, "end": 220}
    assert phases.landmarks([0, 10]) == {"init": 0, "end": 10}
    assert phases.landmarks([]) == {}


def test_the_json_says_events_with_their_rules_and_intervals():
    saved = find_phases(grokking()).to_json()
    assert saved["grokking_delay"] == 190
    assert saved["rules"]["generalization"] == "test_accuracy >= 0.99"
    assert saved["rules"]["sustain_evaluations"] == SUSTAIN
    assert saved["events"]["generalization"]["after"] == 210
    assert saved["phases"][0] == {"name": "memorization", "start": 0, "end": 30}
