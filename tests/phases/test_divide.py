import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_runs import evaluations, grokking

from grokinterp.phases import find_phases


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
    phases = find_phases(evaluations([0.1] * 4 + [1.0] * 20, [0.2] * 24))
    assert phases.censored
    assert phases.generalization_step is None
    assert phases.grokking_delay is None
    assert [(p.name, p.start, p.end) for p in phases.phases] == [("memorization", 0, 40), ("memorised", 40, 230)]


def test_a_run_that_never_memorises_is_one_phase():
    phases = find_phases(evaluations([0.5] * 9, [0.1] * 9))
    assert [(p.name, p.start, p.end) for p in phases.phases] == [("memorization", 0, 80)]
    assert phases.memorization_step is None


def test_a_run_that_starts_memorised_has_no_phase_of_memorization():
    phases = find_phases(evaluations([1.0] * 10, [0.2] * 10))
    assert [(p.name, p.start, p.end) for p in phases.phases] == [("memorised", 0, 90)]


@pytest.mark.parametrize("lead", [0, 2])
def test_without_a_gap_between_train_and_test_the_run_is_learning(lead):
    phases = find_phases(evaluations([0.1] * 6 + [1.0] * 14, [0.1] * (6 - lead) + [1.0] * (14 + lead)))
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
    rows = evaluations(train[:size], test[:size], losses[:size])
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
    events = find_phases(evaluations(test, test)).events
    for event in events.values():
        if event.step is not None:
            assert event.first <= event.step
            assert event.after is None or event.after < event.step
    order = [events[name].first for name in ("half_accuracy", "generalization_95", "generalization")]
    known = [step for step in order if step is not None]
    assert known == sorted(known)
    assert order[len(known) :] == [None] * (3 - len(known))


def test_curves_with_too_few_accuracies_have_no_phases():
    losses = [{"step": 10 * i, "train_loss": 1.0, "test_loss": 2.0} for i in range(20)]
    known = {"train_accuracy": 1.0, "test_accuracy": 1.0}
    assert not find_phases(losses).follows_accuracy
    assert find_phases(losses).phases == ()
    assert find_phases([*losses[:-1], losses[-1] | known]).phases == ()
    assert find_phases([{"step": 500} | known]).phases == ()
    assert find_phases([row | known for row in losses]).follows_accuracy
