"""What every test shares: shapes checked at run time, one thread a worker, a few small runs."""

import contextlib
import fcntl
import os
import signal
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# A shell starts what runs in the background with Ctrl-C ignored, and children inherit that; here it is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["fuzz"]  # scripts for a fuzzer that is no dependency

CHECKED = (
    "curves",
    "harmonics",
    "landscape",
    "models",
    "seeding",
    "snapshots",
    "spikes",
    "tasks",
    "training",
)
install_import_hook([f"grokinterp.{name}" for name in CHECKED], "beartype.beartype")

import torch  # noqa: E402

import grokinterp as gi  # noqa: E402

torch.set_num_threads(1)


def small_config(**changes) -> gi.RunConfig:
    """A network that trains in a second; sections are given as keyword dictionaries."""
    base = {
        "name": "small",
        "task": {"p": 7, "frac_train": 0.6},
        "model": {"d_model": 16, "n_heads": 2, "d_mlp": 32},
        "optimizer": {"lr": 1e-2, "weight_decay": 1.0},
        "train": {"steps": 40, "checkpoint_log_points": 4, "checkpoint_every": 10, "resume_every": 7},
    }
    merged = {k: {**base.get(k, {}), **v} if isinstance(v, dict) else v for k, v in {**base, **changes}.items()}
    return gi.RunConfig.from_mapping(merged)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """A folder that all workers of one test run see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextlib.contextmanager
def one_at_a_time(path: Path):
    """Workers wait here for each other."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def grokked_run(shared_folder) -> gi.Run:
    """The ci preset, trained to the end and analyzed; read only."""
    with one_at_a_time(shared_folder / "grokked.lock"):
        run = gi.train(gi.presets.ci(), shared_folder / "grokked", show_progress=False)
        outcome = gi.analyze(run, show_progress=False)
    assert not outcome.failed, outcome.failed
    return gi.open(run.path)


@pytest.fixture(scope="session")
def foreign() -> Path:
    """The folder of other people's checkpoints, where there is one."""
    folder = os.environ.get("GROKINTERP_FOREIGN", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("GROKINTERP_FOREIGN names no folder of foreign checkpoints")
    return Path(folder)
