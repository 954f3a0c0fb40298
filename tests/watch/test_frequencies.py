"""The key frequencies in numpy are those that everything else finds with torch."""

import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp.harmonics import keys
from grokinterp.watch import frequencies
from grokinterp.watch.frequencies import key_frequencies
from grokinterp.watch.look import Watcher

SHORT = {"steps": 20, "checkpoint_log_points": 0, "checkpoint_every": 10}


def trained(place, **changes):
    return gi.train(small_config(train=SHORT, **changes), place / "run", show_progress=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"task": {"p": 13, "frac_train": 0.6}},
        {"task": {"p": 12, "frac_train": 0.6}},
        {"task": {"p": 2, "frac_train": 0.6}},
        {"task": {"p": 13, "frac_train": 0.6, "operation": "x-y", "layout": "a op b ="}},
        {"task": {"p": 13, "frac_train": 0.6, "operation": "x*y"}},
        {"task": {"p": 13, "frac_train": 0.6, "operation": "x/y"}},
        {"task": {"p": None, "frac_train": 0.6, "operation": "x.y", "group": "C9"}},
        {"model": {"n_layers": 2, "d_model": 16, "n_heads": 2, "d_mlp": 32}},
        {"train": SHORT | {"dtype": "float64"}},
    ],
    ids=str,
)
def test_they_are_those_of_the_snapshot_at_every_checkpoint(changes, tmp_path):
    if "train" in changes:
        run = gi.train(small_config(**changes), tmp_path / "run", show_progress=False)
    else:
        run = trained(tmp_path, **changes)
    assert run.steps == [0, 10, 20]
    for step in run.steps:
        found = key_frequencies(run.rundir, step)
        assert (found.ks, found.step) == (run.bare_snapshot(step).own_keys.ks, step)
        assert found.n == run.task.coordinates.n // 2


def test_the_threshold_is_the_same():
    assert frequencies.THRESHOLD == keys.THRESHOLD


@pytest.mark.parametrize(
    "changes",
    [
        {"task": {"operation": "x^2+y^2"}},
        {"task": {"p": None, "operation": "x.y", "group": "D5"}},
        {"model": {"kind": "mlp", "d_model": None, "n_heads": None, "d_mlp": None}},
    ],
    ids=str,
)
def test_where_there_are_none_nothing_is_said(changes, tmp_path):
    if "model" in changes:
        config = gi.RunConfig.from_mapping(
            {"task": {"p": 7, "frac_train": 0.6}, "model": {"kind": "mlp"}, "train": SHORT}
        )
        run = gi.train(config, tmp_path / "run", show_progress=False)
    else:
        run = trained(tmp_path, **changes)
    assert Watcher(run.rundir).look().keys is None


@pytest.mark.parametrize("damage", ["checkpoint", "task", "checkpoint gone", "task gone", "empty"])
def test_damaged_files_have_none(damage, tmp_path):
    rundir = trained(tmp_path).rundir
    path = rundir.task_path if "task" in damage else rundir.checkpoint_path(20)
    if "gone" in damage:
        path.unlink()
    else:
        path.write_bytes(b"" if damage == "empty" else b"\x00" * 40)
    assert key_frequencies(rundir, 20) is None
