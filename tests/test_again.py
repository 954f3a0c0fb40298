"""A run is repeated from what it kept, to the byte."""

import json

import numpy as np
import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.again import differences, first_difference, train_again
from grokinterp.runs.provenance import provenance

TABLE = ((np.arange(5)[:, None] * 2 + np.arange(5)) % 5).tolist()
CONFIGS = {
    "full batches": small_config(),
    "minibatches, dropout": small_config(train={"batch_size": 5}, regularizer={"dropout": 0.1}, optimizer={"lr": 1e-3}),
    "noise": small_config(regularizer={"weight_noise": 0.01, "update_noise": 0.01}),
    "outliers": small_config(task={"outliers": 3}),
    "an operation of one's own": gi.RunConfig.from_mapping(
        {
            "name": "own",
            "task": {"operation": "custom", "table": TABLE, "frac_train": 0.6},
            "model": {"d_model": 16, "n_heads": 2, "d_mlp": 32},
            "train": {"steps": 40, "threads": 1},
        }
    ),
    "ends by grokking": small_config(train={"steps": 120, "stop_after_grokking": 10, "eval_every": 2}),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_run_repeats_to_the_byte(name, tmp_path):
    source = gi.train(CONFIGS[name], tmp_path / "run", show_progress=False)
    before = {path: path.read_bytes() for path in source.path.rglob("*") if path.is_file()}
    twin = train_again(source, tmp_path / "twin", show_progress=False)
    assert twin.differs is None
    assert not twin.warnings
    assert twin.n_checkpoints == len(source.steps)
    assert {path: path.read_bytes() for path in source.path.rglob("*") if path.is_file()} == before
    for path, content in before.items():
        if path.name not in ("lock", "resume.pt"):  # resume.pt holds the seconds that it took
            assert (twin.run.path / path.relative_to(source.path)).read_bytes() == content, path.name


@pytest.mark.parametrize("name", CONFIGS)
def test_the_same_config_twice_gives_the_same_bytes(name, tmp_path):
    one, other = (gi.train(CONFIGS[name], tmp_path / folder, show_progress=False) for folder in "ab")
    assert first_difference(one, other) is None


def test_it_takes_the_threads_that_the_run_had(tmp_path):
    """Sums are split over threads: with two of them they round otherwise than with one."""
    config = small_config(model={"d_model": 128, "n_heads": 4}, task={"p": 31}, train={"steps": 5})
    torch.set_num_threads(2)
    try:
        source = gi.train(config, tmp_path / "run", show_progress=False)
    finally:
        torch.set_num_threads(1)
    twin = train_again(source, tmp_path / "twin", show_progress=False)
    assert twin.run.rundir.read_provenance()["threads"] == 2
    assert twin.differs is None
    assert torch.get_num_threads() == 1


def test_what_is_missing_in_the_twin_or_differs_is_named(tmp_path):
    one = gi.train(small_config(), tmp_path / "one", show_progress=False)
    other = gi.train(small_config(), tmp_path / "other", show_progress=False)
    path = other.rundir.checkpoint_path(20)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert first_difference(one, other) == "ckpts/step_00000020.safetensors"
    path.unlink()
    assert first_difference(one, other) == "ckpts/step_00000020.safetensors"
    assert first_difference(other, one) == "ckpts/step_00000020.safetensors"


def test_other_versions_and_another_machine_are_said(tmp_path):
    source = gi.train(small_config(), tmp_path / "run", show_progress=False)
    about = source.rundir.read_provenance()
    changed = about | {"versions": about["versions"] | {"torch": "1.0"}, "cpu_capability": "NONE"}
    source.rundir.write_provenance(changed)
    twin = train_again(source, tmp_path / "twin", show_progress=False)
    assert any(warning.startswith("torch was 1.0 and is ") for warning in twin.warnings)
    assert any(warning.startswith("cpu capability was NONE and is ") for warning in twin.warnings)
    assert twin.differs is None
    assert not differences(about, about)


def test_a_provenance_without_the_later_fields_is_enough(tmp_path):
    source = gi.train(small_config(), tmp_path / "run", show_progress=False)
    about = source.rundir.read_provenance()
    old = {name: about[name] for name in ("versions", "device", "device_type", "threads", "engine")}
    source.rundir.write_provenance(old)
    assert train_again(source, tmp_path / "twin", show_progress=False).differs is None


def test_a_replica_and_an_end_by_wall_time_are_said(tmp_path):
    configs = gi.replica_configs(small_config(train={"steps": 5}), 2)
    runs = gi.train_replicas(configs, [tmp_path / c.name for c in configs], show_progress=False)
    twin = train_again(runs[0], tmp_path / "twin", show_progress=False)
    assert any("one of 2 replicas" in warning for warning in twin.warnings)
    timed = gi.train(small_config(train={"max_seconds": 600.0}), tmp_path / "timed", show_progress=False)
    twin = train_again(timed, tmp_path / "twin2", show_progress=False)
    assert twin.warnings == ("max_seconds may end it at another step",)


def test_what_cannot_be_repeated_is_refused(tmp_path):
    config = small_config()
    with gi.record(tmp_path / "own", config) as recorder:
        recorder.save(0, gi.build_model(config))
    with pytest.raises(gi.GrokinterpError, match="was recorded, not trained here"):
        train_again(gi.open(tmp_path / "own"), tmp_path / "twin")
    run = gi.train(config, tmp_path / "run", show_progress=False)
    with pytest.raises(gi.GrokinterpError, match="into itself"):
        train_again(run, tmp_path / "run")
    run.rundir.write_provenance(run.rundir.read_provenance() | {"device_type": "cuda"})
    if not torch.cuda.is_available():
        with pytest.raises(gi.GrokinterpError, match="trained on cuda, and there is none here"):
            train_again(run, tmp_path / "twin")
    run.rundir.provenance_path.unlink()
    with pytest.raises(gi.GrokinterpError, match=r"no provenance\.json"):
        train_again(run, tmp_path / "twin")
    assert not (tmp_path / "twin").exists()


def test_provenance_says_all_that_decides_the_bytes(tmp_path):
    about = provenance(torch.device("cpu"), 3)
    needed = {"versions", "python", "platform", "device", "device_type", "threads", "interop_threads"}
    needed |= {
        "cpu_capability",
        "deterministic_algorithms",
        "default_dtype",
        "matmul_precision",
        "command",
        "git_commit",
    }
    assert needed <= about.keys()
    assert json.loads(json.dumps(about)) == about
