"""Which recipe may go into which folder: nothing of another sweep or of somebody else is replaced or mixed."""

import json
import shutil
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.sweeps.worker import Job, carry_out

SECTIONS = small_config(train={"steps": 8}).model_dump(exclude={"name", "schema_version"})
RECIPE = {
    "name": "small",
    "config": SECTIONS,
    "seeds": 1,
    "grid": {"task.frac_train": [0.5, 0.6]},
    "variants": [{"name": "a"}, {"name": "b", "optimizer": {"lr": 0.02}}],
}
"""4 runs."""


class InThisProcess(Executor):
    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def sweep(recipe, folder):
    return gi.sweep(recipe, folder, executor=InThisProcess(), show_progress=False)


def state(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder; locks are no content."""
    paths = [path for path in folder.rglob("*") if path.name != "lock"]
    return {str(path): path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    assert len(sweep(RECIPE, folder).names("done")) == 4
    return folder


@pytest.fixture
def folder(swept, tmp_path):
    return shutil.copytree(swept, tmp_path / "sweep")


@pytest.mark.parametrize(
    ("change", "n"),
    [
        ({}, 4),
        ({"seeds": 2}, 8),
        ({"grid": {"task.frac_train": [0.6, 0.4, 0.5]}}, 6),
        ({"variants": [*RECIPE["variants"], {"name": "c", "model": {"d_mlp": 48}}]}, 6),
        ({"analyze": ["weight_norm"]}, 4),
        ({"name": "another title"}, 4),
    ],
)
def test_the_same_recipe_and_one_that_has_grown_go_on(folder, change, n):
    outcome = sweep({**RECIPE, **change}, folder)
    assert len(outcome.names("done")) == n
    assert sum(one.reused for one in outcome.outcomes.values()) == 4
    assert len(json.loads((folder / "outcomes.json").read_text())) == n
    saved = json.loads((folder / "recipe.json").read_text())
    assert all(saved[name] == value for name, value in change.items())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"config": {**SECTIONS, "train": {**SECTIONS["train"], "steps": 9}}}, "train.steps is 8 there and 9 here"),
        ({"seeds": [1]}, "is no run of this recipe"),
        ({"grid": {}}, "is no run of this recipe"),
        ({"grid": {"task.frac_train": [0.5]}}, "is no run of this recipe"),
        ({"variants": RECIPE["variants"][:1]}, "b-frac_train=0.5-seed0 is no run of this recipe"),
        ({"variants": [{"name": "a"}, {"name": "b", "optimizer": {"lr": 0.5}}]}, "optimizer.lr is 0.02 there"),
    ],
)
def test_another_recipe_is_refused_and_nothing_is_written(folder, change, says):
    before = state(folder)
    with pytest.raises(GrokinterpError, match=rf"holds another sweep: .*{says}.*; choose another --out$"):
        sweep({**RECIPE, **change}, folder)
    assert state(folder) == before


def test_a_folder_of_other_runs_or_files_is_refused_and_nothing_is_written(swept, tmp_path):
    shutil.copytree(swept / "a-frac_train=0.5-seed0", tmp_path / "runs" / "mine")
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "recipe.toml").write_text("")
    for name in ("runs", "papers"):
        before = state(tmp_path / name)
        with pytest.raises(GrokinterpError, match="is there already and holds no sweep; choose another --out"):
            sweep(RECIPE, tmp_path / name)
        assert state(tmp_path / name) == before
        assert not (tmp_path / name / "lock").exists()


def test_a_run_of_somebody_else_among_those_of_a_sweep_is_refused(folder):
    shutil.copytree(folder / "a-frac_train=0.5-seed0", folder / "mine")
    with pytest.raises(GrokinterpError, match="mine is no run of this recipe"):
        sweep(RECIPE, folder)


def test_other_files_in_the_folder_of_a_sweep_do_not_matter(folder):
    (folder / "notes.txt").write_text("dear")
    (folder / "plots").mkdir()
    assert len(sweep(RECIPE, folder).names("done")) == 4


def test_what_a_sweep_killed_at_once_leaves_is_no_hindrance(tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "lock").write_text("1\n")
    (tmp_path / "sweep" / ".recipe.json.x1.tmp").write_text("{")
    assert len(sweep(RECIPE, tmp_path / "sweep").names("done")) == 4


def test_a_file_where_the_logs_are_to_lie_is_refused(folder):
    shutil.rmtree(folder / "logs")
    (folder / "logs").write_text("")
    before = state(folder)
    with pytest.raises(GrokinterpError, match="logs is a file, where the logs are to lie; move it away"):
        sweep(RECIPE, folder)
    assert state(folder) == before


def test_a_log_that_cannot_be_written_fails_its_run_and_is_no_lost_worker(tmp_path):
    (tmp_path / "NAME.log").mkdir()
    job = Job(("NAME",), ("{}",), (str(tmp_path / "NAME"),), str(tmp_path / "NAME.log"), None)
    (outcome,) = carry_out(job)
    assert outcome.state == "failed"
    assert "NAME.log cannot be written" in outcome.why


def test_retries_below_zero_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(GrokinterpError, match="retries = -1 must be at least 0"):
        gi.sweep(RECIPE, tmp_path / "sweep", retries=-1, show_progress=False)
    assert not (tmp_path / "sweep").exists()
