"""The split: of the stated size, of defined pairs, disjoint, the same everywhere."""

import hashlib
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.tasks import build_task, draw_train_mask

TASKS = st.one_of(
    st.builds(
        lambda op, p: {"operation": op, "p": p},
        st.sampled_from(["x+y", "x-y", "x*y", "x/y", "mixed", "x^3+xy^2+y"]),
        st.sampled_from([2, 3, 5, 7, 12, 13]),
    ),
    st.sampled_from([2, 3, 5]).map(lambda p: {"operation": "x+y+z", "p": p}),
    st.sampled_from(["S3", "S4"]).map(lambda g: {"operation": "x.y", "group": g}),
    st.just({"operation": "custom", "table": ((0, 1, -1), (2, -1, 0), (1, 1, 2))}),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(task=TASKS, percent=st.integers(1, 99), seed=st.integers(0, 2**40))
def test_the_split_has_floor_frac_n_defined_pairs(task, percent, seed):
    try:
        config = gi.TaskConfig(**task, frac_train=percent / 100)
    except ValueError:
        assume(False)
    built = build_task(config)
    mask = draw_train_mask(built, config.frac_train, seed)
    n_pairs = int((built.table >= 0).sum())
    assert mask.dtype == bool
    assert mask.sum() == math.floor(Fraction(percent, 100) * n_pairs)
    assert not mask[built.table < 0].any()
    assert config.n_pairs == n_pairs


@pytest.mark.parametrize(("frac", "p", "size"), [(0.3, 113, 3830), (0.7, 10, 70), (0.29, 10, 29), (0.6, 7, 29)])
def test_known_sizes_are_not_one_off_by_rounding(frac, p, size):
    config = gi.TaskConfig(p=p, frac_train=frac)
    assert draw_train_mask(build_task(config), frac, 3).sum() == size


def test_seeds_give_different_splits_and_one_seed_always_the_same():
    task = build_task(gi.TaskConfig(p=13, frac_train=0.5))
    masks = [draw_train_mask(task, 0.5, seed) for seed in (0, 1, 2, 2)]
    assert not (masks[0] == masks[1]).all()
    assert not (masks[1] == masks[2]).all()
    assert (masks[2] == masks[3]).all()


def test_a_larger_share_keeps_the_pairs_of_a_smaller_one():
    task = build_task(gi.TaskConfig(p=12, operation="x/y", frac_train=0.5))
    small, large = draw_train_mask(task, 0.3, 9), draw_train_mask(task, 0.8, 9)
    assert (large | ~small).all()


def test_every_pair_is_drawn_about_equally_often():
    task = build_task(gi.TaskConfig(p=5, frac_train=0.4))
    counts = np.sum([draw_train_mask(task, 0.4, seed) for seed in range(1000)], axis=0)
    # binomial(1000, 0.4): mean 400, standard deviation 15.5; 25 cells
    assert (np.abs(counts - 400) < 5 * 15.5).all()
    assert 5 < counts.std() < 30


def test_another_process_draws_the_same_split():
    code = (
        "import hashlib, grokinterp as gi; "
        "c = gi.TaskConfig(p=13, operation='x/y', frac_train=0.37); "
        "print(hashlib.sha256(gi.draw_train_mask(gi.build_task(c), 0.37, 41).tobytes()).hexdigest())"
    )
    config = gi.TaskConfig(p=13, operation="x/y", frac_train=0.37)
    here = hashlib.sha256(draw_train_mask(build_task(config), 0.37, 41).tobytes()).hexdigest()
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_a_share_that_leaves_a_side_empty_is_refused():
    with pytest.raises(GrokinterpError, match="needs at least one"):
        gi.RunConfig.from_mapping({"task": {"p": 2, "frac_train": 0.2}})
