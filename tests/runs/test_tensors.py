"""Checkpoints, tasks and resume files: exact, and damage is named."""

import ast
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.models.weights import init_weights
from grokinterp.runs.rundir import RunDir
from grokinterp.runs.tensors import (
    read_checkpoint,
    read_resume,
    read_task,
    read_train_mask,
    write_checkpoint,
    write_resume,
    write_task,
)
from grokinterp.tasks import build_task, draw_train_mask


@pytest.fixture
def saved(tmp_path):
    config = small_config()
    weights = init_weights(config.model, build_task(config.task).layout, 7)
    rundir = RunDir(tmp_path)
    for step in (0, 30):
        write_checkpoint(rundir, step, weights)
    return rundir, weights


def test_a_checkpoint_comes_back_bit_for_bit_under_its_names(saved):
    rundir, weights = saved
    assert rundir.steps() == [0, 30]
    found = read_checkpoint(rundir, 30)
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert "blocks.0.attn.W_Q" in safetensors.torch.load_file(rundir.checkpoint_path(30))


@pytest.mark.parametrize("with_checksums", [True, False])
@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_truncated_checkpoint_is_refused_by_name(saved, keep, with_checksums):
    rundir, _ = saved
    path = rundir.checkpoint_path(30)
    path.write_bytes(path.read_bytes()[:keep])
    if not with_checksums:
        rundir.checksums_path.unlink()
    with pytest.raises(GrokinterpError, match=r"step_00000030\.safetensors .*(checksum|damaged).*restore"):
        read_checkpoint(rundir, 30)
    assert read_checkpoint(rundir, 0)


@pytest.mark.parametrize("where", [0.1, 0.5, 0.99])
def test_one_flipped_bit_in_a_checkpoint_is_found(saved, where):
    rundir, _ = saved
    path = rundir.checkpoint_path(30)
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(GrokinterpError, match=r"step_00000030\.safetensors does not match its checksum"):
        read_checkpoint(rundir, 30)


def test_a_missing_checkpoint_is_refused_by_its_step(saved):
    with pytest.raises(GrokinterpError, match="no checkpoint at step 17"):
        read_checkpoint(saved[0], 17)


def test_other_files_among_the_checkpoints_are_no_steps(saved):
    rundir, _ = saved
    for name in ("step_30.safetensors", ".step_00000040.safetensors.x.tmp", "step_00000050.pt", "notes.txt"):
        (rundir.ckpts / name).touch()
    assert rundir.steps() == [0, 30]


def test_dropping_checkpoints_drops_their_checksums(saved):
    rundir, _ = saved
    rundir.drop_checkpoints_from(30)
    assert rundir.steps() == [0]
    assert list(rundir.read_checksums()) == ["step_00000000.safetensors"]


@pytest.mark.parametrize(
    "task",
    [
        {"operation": "x/y", "p": 7, "layout": "a op b ="},
        {"operation": "x*y", "p": 12, "layout": "a b"},
        {"operation": "x.y", "group": "S3"},
    ],
)
def test_a_task_comes_back_without_the_code_that_made_it(task, tmp_path):
    built, rundir = build_task(gi.TaskConfig(**task)), RunDir(tmp_path)
    mask = draw_train_mask(built, 0.3, 4)
    write_task(rundir, built, mask)
    found = read_task(rundir)
    assert (found.table == built.table).all()
    assert (found.name, found.n_answers, found.layout) == (built.name, built.n_answers, built.layout)
    assert found.structure == built.structure
    assert (found.coordinates is None) == (built.coordinates is None)
    if built.coordinates is not None:
        for name in ("left", "right", "answer"):
            assert (getattr(found.coordinates, name) == getattr(built.coordinates, name)).all()
        assert found.coordinates.label == built.coordinates.label
    assert (read_train_mask(rundir) == mask).all()


def test_an_unknown_split_is_none(tmp_path):
    rundir = RunDir(tmp_path)
    write_task(rundir, build_task(gi.TaskConfig(p=5)), None)
    assert read_train_mask(rundir) is None


def test_equal_tasks_are_equal_files_in_every_process(tmp_path):
    code = (
        "import sys, grokinterp as gi; from grokinterp.runs.rundir import RunDir; "
        "from grokinterp.runs.tensors import write_task; "
        "write_task(RunDir(sys.argv[1]), gi.build_task(gi.TaskConfig(p=5)), None)"
    )
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True)
    one, two = (RunDir(tmp_path / name).task_path.read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_damaged_task_is_refused_by_name(tmp_path):
    rundir = RunDir(tmp_path)
    write_task(rundir, build_task(gi.TaskConfig(p=5)), np.ones((5, 5), dtype=bool))
    rundir.task_path.write_bytes(rundir.task_path.read_bytes()[:50])
    with pytest.raises(GrokinterpError, match=r"task\.safetensors is damaged"):
        read_task(rundir)
    rundir.task_path.unlink()
    with pytest.raises(GrokinterpError, match=r"task\.safetensors is missing"):
        read_task(rundir)


class Evil:
    def __reduce__(self):
        return (os.mkdir, (self.target,))


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_malicious_resume_file_is_refused_and_runs_nothing(writer, tmp_path):
    evil, rundir = Evil(), RunDir(tmp_path)
    evil.target = str(tmp_path / "owned")
    if writer == "torch":
        torch.save({"step": 3, "weights": evil}, rundir.resume_path)
    else:
        rundir.resume_path.write_bytes(pickle.dumps(evil, protocol=2))
    with pytest.raises(GrokinterpError, match=r"resume\.pt is damaged .*restore it from a copy, or train into another"):
        read_resume(rundir)
    assert not (tmp_path / "owned").exists()
    if writer == "torch":
        torch.load(rundir.resume_path, weights_only=False)
    else:
        pickle.loads(rundir.resume_path.read_bytes())
    assert (tmp_path / "owned").exists()  # it would have


def test_a_resume_state_comes_back_and_its_damage_is_named(tmp_path):
    rundir = RunDir(tmp_path)
    write_resume(rundir, {"step": 12, "weights": {"a": torch.arange(5.0)}, "optimizer": {"state": {0: {"x": 1.5}}}})
    found = read_resume(rundir)
    assert found["step"] == 12
    assert torch.equal(found["weights"]["a"], torch.arange(5.0))
    rundir.resume_path.write_bytes(rundir.resume_path.read_bytes()[:-40])
    with pytest.raises(GrokinterpError, match=r"resume\.pt is damaged"):
        read_resume(rundir)


def test_nothing_in_the_package_unpickles_with_code():
    from pathlib import Path

    found = 0
    for path in Path(gi.__file__).parent.rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            assert name not in ("pickle.load", "pickle.loads"), path
            if name == "torch.load":
                found += 1
                assert "weights_only=True" in [ast.unparse(keyword) for keyword in call.keywords], path
    assert found >= 2
