import json
import math
import random

import pytest
from synthetic_runs import evaluations, grokking, losses_with_knees

from grokinterp.phases import GROKKING_POINTS, RULES, SUSTAIN, find_phases


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
    assert json.loads(json.dumps(saved, allow_nan=False)) == saved


def test_definitions_of_the_grokking_point_stand_side_by_side_with_their_rules_and_intervals():
    points = find_phases(grokking()).to_json()["grokking_points"]
    assert tuple(points) == GROKKING_POINTS
    assert points["generalization"] == {"rule": "test_accuracy >= 0.99", "after": 210, "step": 220, "until": 220}
    assert points["generalization_95"]["step"] == 220
    assert points["small_test_loss"] == {"rule": "test_loss < 0.01", "after": 250, "step": 260, "until": 260}
    assert "ruptures" in points["change_point"]["rule"]


@pytest.mark.parametrize("onset", [600, 1500, 2730])
def test_the_change_point_is_where_the_log_of_the_test_loss_begins_its_steepest_fall(onset):
    rows = losses_with_knees([300, onset, onset + 400], [0.002, -1e-4, -0.02, -0.001], range(0, 4000, 10))
    point = find_phases(rows).change_point
    assert point.after < onset <= point.until
    assert point.until - point.after <= 2 * (4000 / 119 + 10)


def test_slingshots_after_generalisation_do_not_move_the_change_point():
    rows = losses_with_knees([1500, 1900], [-1e-4, -0.02, 0.0], range(0, 4000, 10))
    spiked = [row | {"test_loss": 5.0 if row["step"] % 500 < 150 else row["test_loss"]} for row in rows[200:]]
    assert find_phases(rows[:200] + spiked).change_point == find_phases(rows).change_point


def test_a_loss_that_falls_from_its_peak_on_has_no_change_point():
    rows = losses_with_knees([400], [-0.02, 0.0], range(0, 2000, 10))
    phases = find_phases(rows)
    assert phases.test_loss_knees.knees[0].step == pytest.approx(400, abs=20)
    assert phases.change_point is None


@pytest.mark.parametrize(
    "loss",
    [
        lambda step: 20 * math.exp(-step / 300),
        lambda step: 20 / (1 + step / 300) ** 3,
        lambda step: 20 * math.exp(-((step / 900) ** 2)),
    ],
    ids=["exponential", "power law", "Gaussian"],
)
def test_a_smooth_decay_has_no_change_point(loss):
    phases = find_phases([{"step": step, "test_loss": loss(step)} for step in range(0, 3000, 10)])
    assert phases.change_point is None
    assert phases.to_json()["grokking_points"]["change_point"]["step"] is None


def test_losses_of_noise_alone_have_no_change_point():
    for seed in range(10):
        noise = random.Random(seed)
        rows = [{"step": 10 * i, "test_loss": 5 * math.exp(noise.gauss(0, 0.1))} for i in range(300)]
        assert find_phases(rows).change_point is None


def test_spikes_of_the_train_loss_are_counted_where_they_begin():
    losses = [1e-3] * 50
    losses[20:22] = [0.5, 0.6]
    losses[40] = 0.1
    rows = [{"step": 10 * i, "train_loss": loss} for i, loss in enumerate(losses)]
    assert find_phases(rows).spike_steps == (200, 400)
    assert find_phases(rows).to_json()["train_loss_spikes"] == [200, 400]
    assert find_phases(rows[:20]).spike_steps == ()


@pytest.mark.parametrize("n", [0, 1, 2, 4, 7, 12])
def test_short_runs_and_runs_without_a_test_loss_have_a_json_too(n):
    rows = [
        {"step": i, "train_loss": 0.0, "test_loss": None if i % 2 else 0.0, "test_accuracy": None} for i in range(n)
    ]
    for known in (rows, [{"step": row["step"]} for row in rows]):
        saved = json.loads(json.dumps(find_phases(known).to_json(), allow_nan=False))
        assert saved["double_descent"] is None
        assert saved["grokking_points"]["change_point"]["step"] is None
        assert set(saved["events"]) == set(RULES)


def test_the_intervals_hold_what_a_finer_series_shows():
    """The same run looked at every step: each event lies in the interval of the coarse one."""
    test = [min(1.0, 0.1 + 0.9 * max(step - 137, 0) / 40) for step in range(400)]
    train = [min(1.0, step / 23) for step in range(400)]
    fine = find_phases(evaluations(train, test, every=1))
    coarse = find_phases(evaluations(train[::7], test[::7], every=7))
    for name, event in coarse.events.items():
        if event.after is not None:
            assert event.after < fine.events[name].step <= event.step
