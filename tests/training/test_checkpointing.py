"""When a checkpoint is saved."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.training.checkpointing import CheckpointSchedule, planned_steps

SETTINGS = st.builds(
    gi.TrainConfig,
    steps=st.integers(1, 3000),
    checkpoint_log_points=st.integers(0, 60),
    checkpoint_every=st.one_of(st.none(), st.integers(1, 4000)),
    checkpoint_dense=st.sampled_from([0.0, 0.1, 0.3, 2.0]),
    eval_every=st.integers(1, 40),
)
LOSSES = st.lists(st.floats(1e-12, 50), min_size=1, max_size=30)


def decisions(schedule, config, losses, steps):
    """What the schedule says at each step; losses are dealt out to the evaluations in turn."""
    saved = []
    for step in steps:
        evaluated = step % config.eval_every == 0 or step == config.steps
        if schedule.wants(step, losses[step // config.eval_every % len(losses)] if evaluated else None):
            saved.append(step)
    return saved


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SETTINGS)
def test_planned_steps_rise_strictly_from_0_to_the_last(config):
    planned = planned_steps(config)
    assert planned[0] == 0
    assert planned[-1] == config.steps
    assert all(a < b for a, b in pairwise(planned))
    assert set(range(0, config.steps, config.checkpoint_every)) <= set(planned)


@pytest.mark.parametrize(("steps", "points"), [(1000, 4), (512, 10), (12345, 7)])
def test_log_points_are_evenly_spaced_in_log_step(steps, points):
    config = gi.TrainConfig(steps=steps, checkpoint_log_points=points, checkpoint_every=steps)
    ideal = [steps ** (i / (points - 1)) for i in range(points)]
    assert planned_steps(config) == [0, *(round(s) for s in ideal)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SETTINGS, LOSSES)
def test_all_planned_steps_are_saved_and_others_only_where_the_loss_moved(config, losses):
    saved = decisions(CheckpointSchedule(config), config, losses, range(config.steps + 1))
    planned = set(planned_steps(config))
    assert planned <= set(saved)
    extra = [step for step in saved if step not in planned]
    assert all(step % config.eval_every == 0 for step in extra)
    assert all(b - a >= config.steps // 400 for a, b in pairwise(extra))
    if config.checkpoint_dense == 0:
        assert not extra


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SETTINGS, LOSSES, st.floats(0, 1))
def test_a_restored_schedule_decides_as_the_one_that_went_on(config, losses, where):
    cut = round(where * config.steps)
    whole, first, second = (CheckpointSchedule(config) for _ in range(3))
    everything = decisions(whole, config, losses, range(config.steps + 1))
    before = decisions(first, config, losses, range(cut))
    second.restore(first.state())
    assert before + decisions(second, config, losses, range(cut, config.steps + 1)) == everything


def test_the_dense_rule_saves_when_the_log_loss_has_moved_by_the_threshold():
    config = gi.TrainConfig(
        steps=100, checkpoint_log_points=0, checkpoint_every=100, checkpoint_dense=0.5, eval_every=10
    )
    logs = {
        0: 0.0,
        10: -0.4,
        20: -0.49,
        30: -0.51,
        40: -0.9,
        50: -1.1,
        60: -0.59,
        70: -0.62,
        80: -0.7,
        90: -0.3,
        100: 0.0,
    }
    schedule, saved = CheckpointSchedule(config), []
    for step in range(101):
        if schedule.wants(step, math.exp(logs[step]) if step in logs else None):
            saved.append(step)
    # from 0: 30 has moved 0.51; from -0.51: 50 has moved 0.59; from -1.1: 60 has moved 0.51; from -0.59: none by 0.5
    assert saved == [0, 30, 50, 60, 100]


def test_dense_checkpoints_keep_their_distance():
    config = gi.TrainConfig(
        steps=4000, checkpoint_log_points=0, checkpoint_every=4000, checkpoint_dense=0.1, eval_every=1
    )
    schedule = CheckpointSchedule(config)
    saved = [step for step in range(200) if schedule.wants(step, math.exp(step))]
    assert saved == [0, *range(1, 200, 10)]
