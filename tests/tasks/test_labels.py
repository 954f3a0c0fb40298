"""Outliers and shuffled labels: as many as asked for, where asked for, with the answers' distribution."""

import hashlib
import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from conftest import small_config
from hypothesis import given, settings
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import read_labels, read_train_mask, write_task
from grokinterp.tasks import build_task, draw_labels, draw_train_mask

ALL_DIFFERENT = tuple(tuple(7 * x + y for y in range(7)) for x in range(7))
"""A table in which a label that is drawn anew differs nearly always."""
SKEWED = tuple(tuple(min(x, y, 2) for y in range(8)) for x in range(8))
"""Answers 0, 1, 2 with probabilities 15/64, 13/64, 36/64."""
TASKS = st.sampled_from(
    [
        {"operation": "x+y", "p": 7},
        {"operation": "x/y", "p": 12},
        {"operation": "mixed", "p": 9},
        {"operation": "x+y+z", "p": 4},
        {"operation": "x.y.x^-1", "group": "S3"},
        {"operation": "custom", "table": SKEWED},
    ]
)


def drawn(**task):
    """The task, its training mask and its labels."""
    config = gi.TaskConfig(**{"frac_train": 0.6, **task})
    built = build_task(config)
    mask = draw_train_mask(built, config.frac_train, config.split_seed)
    return built, mask, draw_labels(built, mask, config)


def test_without_outliers_and_shuffling_there_are_no_labels_but_the_answers():
    assert drawn(p=7, label_seed=3)[2] is None


@settings(max_examples=60, deadline=None, derandomize=True)
@given(task=TASKS, percent=st.integers(1, 100), seed=st.integers(0, 2**40))
def test_at_most_k_labels_are_wrong_and_all_of_them_are_trained_on(task, percent, seed):
    n_train = gi.TaskConfig(**task, frac_train=0.6).n_train
    k = max(1, n_train * percent // 100)
    built, mask, labels = drawn(**task, outliers=k, label_seed=seed)
    wrong = labels != built.table
    assert wrong.sum() <= k
    assert not wrong[~mask].any()
    assert (labels[built.table < 0] == -1).all()
    assert set(labels[built.defined].tolist()) <= set(built.table[built.defined].tolist())


@settings(max_examples=30, deadline=None, derandomize=True)
@given(task=TASKS, seed=st.integers(0, 2**40))
def test_shuffling_keeps_each_training_label_as_often_as_it_was_there(task, seed):
    built, mask, labels = drawn(**task, shuffle_labels=True, label_seed=seed)
    assert Counter(labels[mask].tolist()) == Counter(built.table[mask].tolist())
    assert (labels[~mask] == built.table[~mask]).all()


@pytest.mark.parametrize("noise", [{"outliers": 9}, {"shuffle_labels": True}])
def test_one_seed_gives_one_set_of_labels_and_another_another(noise):
    first, again, other = (drawn(p=13, label_seed=seed, **noise)[2] for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).any()


def test_another_process_draws_the_same_labels():
    code = (
        "import hashlib, grokinterp as gi; from grokinterp.tasks import draw_labels; "
        "c = gi.TaskConfig(p=13, outliers=20, label_seed=7); t = gi.build_task(c); "
        "m = gi.draw_train_mask(t, c.frac_train, c.split_seed); "
        "print(hashlib.sha256(draw_labels(t, m, c).tobytes()).hexdigest())"
    )
    here = hashlib.sha256(drawn(p=13, frac_train=0.3, outliers=20, label_seed=7)[2].tobytes()).hexdigest()
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_exactly_k_labels_are_drawn_anew():
    """Each differs from the truth with probability 48/49; in 300 times 10 draws most are seen."""
    wrong = []
    for seed in range(300):
        built, _, labels = drawn(operation="custom", table=ALL_DIFFERENT, outliers=10, label_seed=seed)
        wrong.append(int((labels != built.table).sum()))
    assert max(wrong) == 10
    # binomial(3000, 48/49): mean 2938.8, standard deviation 7.7
    assert abs(sum(wrong) - 3000 * 48 / 49) < 5 * math.sqrt(3000 * 48) / 49


def test_every_training_pair_is_an_outlier_about_equally_often():
    counts = np.zeros((7, 7))
    for seed in range(1000):
        built, mask, labels = drawn(operation="custom", table=ALL_DIFFERENT, outliers=7, label_seed=seed)
        counts += labels != built.table
    # binomial(1000, 7/29 * 48/49)
    share = 7 / int(mask.sum()) * 48 / 49
    spread = math.sqrt(1000 * share * (1 - share))
    assert (np.abs(counts[mask] - 1000 * share) < 5 * spread).all()
    assert 0.5 * spread < counts[mask].std() < 2 * spread
    assert (counts[~mask] == 0).all()


def test_the_labels_drawn_have_the_distribution_of_the_answers_of_all_pairs():
    share = np.array([15, 13, 36]) / 64
    table = np.array(SKEWED)
    assert (np.bincount(table.flatten()) == 64 * share).all()
    found, n = np.zeros(3), 0
    for seed in range(300):
        _, mask, labels = drawn(operation="custom", table=SKEWED, outliers=38, frac_train=0.6, label_seed=seed)
        assert mask.sum() == 38  # all of them
        found += np.bincount(labels[mask], minlength=3)
        n += 38
    assert (np.abs(found - n * share) < 5 * np.sqrt(n * share * (1 - share))).all()


def test_shuffled_labels_are_right_as_often_as_by_chance():
    """A permutation of N labels keeps each in place with probability 1/N and else hits an equal one by chance."""
    right = []
    for seed in range(300):
        built, mask, labels = drawn(p=12, shuffle_labels=True, label_seed=seed)
        right.append((labels[mask] == built.table[mask]).mean())
    counts = np.bincount(built.table[mask])
    expected = (counts**2).sum() / counts.sum() ** 2
    assert abs(np.mean(right) - expected) < 5 * np.std(right) / math.sqrt(300)
    assert 0.05 < expected < 0.12


def test_the_drawn_labels_are_saved_beside_the_split_and_come_back(tmp_path):
    built, mask, labels = drawn(p=7, outliers=11)
    write_task(RunDir(tmp_path), built, mask, labels)
    assert (read_labels(RunDir(tmp_path)) == labels).all()
    assert (read_train_mask(RunDir(tmp_path)) == mask).all()


def test_where_the_labels_are_the_answers_none_are_saved(tmp_path):
    built, mask, labels = drawn(p=7)
    write_task(RunDir(tmp_path), built, mask, labels)
    assert read_labels(RunDir(tmp_path)) is None
    write_task(RunDir(tmp_path / "unknown"), built, None)
    assert read_labels(RunDir(tmp_path / "unknown")) is None


@pytest.mark.parametrize("noise", [{"outliers": 5, "label_seed": 4}, {"shuffle_labels": True, "label_seed": 4}])
def test_a_run_keeps_the_labels_that_it_was_trained_on(noise, tmp_path):
    config = small_config(task={"p": 7, **noise}, train={"steps": 2})
    run = gi.train(config, tmp_path / "run", show_progress=False)
    built, mask, labels = drawn(p=7, **noise)
    assert (read_labels(run.rundir) == labels).all()
    assert (run.train_mask == mask).all()
    assert (run.task.table == built.table).all()
