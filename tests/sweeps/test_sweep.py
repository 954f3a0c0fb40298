"""A sweep gives the same bytes wherever its runs are trained and whoever dies meanwhile, and loses none."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import tomli_w
from conftest import small_config

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.sweeps import sweep as engine
from grokinterp.sweeps.executors import starter
from grokinterp.sweeps.slurm import slurm_executor
from grokinterp.sweeps.worker import carry_out

SECTIONS = small_config(
    train={"steps": 24, "checkpoint_every": 8, "checkpoint_log_points": 0, "checkpoint_dense": 0.0, "resume_every": 8}
).model_dump(exclude={"name", "schema_version"})
RECIPE = {
    "config": SECTIONS,
    "seeds": 2,
    "grid": {"task.frac_train": [0.5, 0.6], "optimizer.weight_decay": [0.0, 1.0]},
    "variants": [{"name": "tl"}, {"name": "wide", "model": {"d_mlp": 48}}, {"name": "fast", "optimizer": {"lr": 0.02}}],
}
"""24 runs."""


def content(folder: Path) -> dict[str, bytes]:
    """Checkpoints, metrics and summaries of all runs, and the results table."""
    gi.gather(folder)
    files = [*folder.glob("*/ckpts/*"), *folder.glob("*/metrics.jsonl"), *folder.glob("*/summary.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in [*files, *folder.glob("results/*")]}


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory) -> dict[str, bytes]:
    """What the runs are if each is trained in this process, one after another."""
    folder = tmp_path_factory.mktemp("reference") / "sweep"
    outcome = gi.sweep(RECIPE, folder, executor=InThisProcess(), show_progress=False)
    assert len(outcome.names("done")) == 24
    return content(folder)


class InThisProcess(Executor):
    """The simplest of executors; a user's own is as good as any."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_local_processes_give_the_same_bytes(tmp_path, one_by_one):
    outcome = gi.sweep(RECIPE, tmp_path / "sweep", show_progress=False)
    assert len(outcome.names("done")) == 24
    assert content(tmp_path / "sweep") == one_by_one


def test_a_dask_cluster_gives_the_same_bytes(tmp_path, one_by_one):
    pytest.importorskip("distributed")
    outcome = gi.sweep(RECIPE, tmp_path / "sweep", executor=starter("dask", 2), show_progress=False)
    assert len(outcome.names("done")) == 24
    assert content(tmp_path / "sweep") == one_by_one


@pytest.mark.slow
def test_submitit_gives_the_same_bytes(tmp_path, one_by_one):
    pytest.importorskip("submitit")
    with slurm_executor(tmp_path / "jobs", 2, cluster="local") as executor:
        recipe = {**RECIPE, "variants": RECIPE["variants"][:1], "grid": {}, "seeds": 2}
        recipe["config"] = {**SECTIONS, "task": {**SECTIONS["task"], "frac_train": 0.5}}
        outcome = gi.sweep(recipe, tmp_path / "sweep", executor=executor, show_progress=False)
    assert [o.state for o in outcome.outcomes.values()] == ["done", "done"]
    for seed in range(2):
        mine = (tmp_path / "sweep" / f"tl-seed{seed}" / "ckpts" / "step_00000024.safetensors").read_bytes()
        theirs = one_by_one[f"tl-frac_train=0.5-weight_decay=1-seed{seed}/ckpts/step_00000024.safetensors"]
        assert mine == theirs


def kill_children_once(begun: Path, killed: list[int]):
    """SIGKILL one worker as soon as a run is at work."""
    while not list(begun.glob("*/ckpts/step_00000008.safetensors")):
        time.sleep(0.01)
    for child in multiprocessing.active_children()[:1]:
        os.kill(child.pid, signal.SIGKILL)
        killed.append(child.pid)


@pytest.mark.parametrize("kind", ["local", pytest.param("dask", marks=pytest.mark.slow)])
def test_a_worker_that_is_killed_costs_no_run(tmp_path, one_by_one, kind):
    if kind == "dask":
        pytest.importorskip("distributed")
    killed: list[int] = []
    killer = threading.Thread(target=kill_children_once, args=(tmp_path / "sweep", killed))
    killer.start()
    outcome = gi.sweep(RECIPE, tmp_path / "sweep", executor=starter(kind, 2), show_progress=False)
    killer.join()
    assert killed
    assert len(outcome.names("done")) == 24
    assert content(tmp_path / "sweep") == one_by_one


def dies_with_seed_one(job):
    """A run that takes its worker with it, whatever is tried."""
    if "seed1" in job.names[0]:
        Path(job.log).parent.mkdir(parents=True, exist_ok=True)
        with Path(job.log).open("a") as file:
            file.write(job.begun_line)
        os.kill(os.getpid(), signal.SIGKILL)
    return carry_out(job)


@pytest.mark.slow
def test_a_run_that_kills_every_worker_fails_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "carry_out", dies_with_seed_one)
    recipe = {"name": "small", "config": SECTIONS, "seeds": 5}
    outcome = gi.sweep(recipe, tmp_path / "sweep", executor=starter("local", 2), show_progress=False)
    assert outcome.names("done") == [f"small-seed{s}" for s in (0, 2, 3, 4)]
    assert "lost 3 times" in outcome.outcomes["small-seed1"].why


def test_a_diverging_run_is_an_outcome_and_the_others_go_on(tmp_path):
    variants = [{"name": "good"}, {"name": "bad", "optimizer": {"lr": 1000.0, "name": "sgd", "weight_decay": 0.0}}]
    recipe = {"config": SECTIONS, "variants": variants}
    outcome = gi.sweep(recipe, tmp_path / "sweep", executor=InThisProcess(), show_progress=False)
    assert outcome.names("done") == ["good-seed0"]
    assert "no longer a number" in outcome.outcomes["bad-seed0"].why or "loss" in outcome.outcomes["bad-seed0"].why


def test_a_finished_sweep_is_reused_and_a_longer_recipe_adds_its_runs(tmp_path):
    recipe = {"name": "small", "config": SECTIONS, "seeds": 1}
    gi.sweep(recipe, tmp_path / "sweep", executor=InThisProcess(), show_progress=False)
    before = (tmp_path / "sweep" / "small-seed0" / "config.json").stat().st_mtime_ns
    outcome = gi.sweep({**recipe, "seeds": 2}, tmp_path / "sweep", executor=InThisProcess(), show_progress=False)
    assert [o.reused for o in outcome.outcomes.values()] == [True, False]
    assert (tmp_path / "sweep" / "small-seed0" / "config.json").stat().st_mtime_ns == before


def test_a_damaged_config_fails_its_run_alone(tmp_path):
    recipe = {"name": "small", "config": SECTIONS, "seeds": 2}
    gi.sweep({**recipe, "seeds": [1]}, tmp_path / "sweep", executor=InThisProcess(), show_progress=False)
    (tmp_path / "sweep" / "small-seed1" / "config.json").write_text("{")
    outcome = gi.sweep(recipe, tmp_path / "sweep", executor=InThisProcess(), show_progress=False)
    assert outcome.names("done") == ["small-seed0"]
    assert "config.json is not valid JSON" in outcome.outcomes["small-seed1"].why


def test_replicas_train_one_shape_together_and_lose_none(tmp_path):
    recipe = {"config": SECTIONS, "seeds": 3, "variants": [{"name": "a"}, {"name": "b", "model": {"d_mlp": 48}}]}
    outcome = gi.sweep(recipe, tmp_path / "sweep", replicas=8, executor=InThisProcess(), show_progress=False)
    assert len(outcome.names("done")) == 6
    assert gi.open(tmp_path / "sweep" / "a-seed2").config.model.init_seed == 2
    assert len(gi.read_results(tmp_path / "sweep")) == 6


def test_measures_that_the_recipe_asks_for_are_in_every_run(tmp_path):
    recipe = {"name": "small", "config": SECTIONS, "seeds": 2, "analyze": ["weight_norm"]}
    gi.sweep(recipe, tmp_path / "sweep", executor=InThisProcess(), show_progress=False)
    for seed in range(2):
        assert len(gi.open(tmp_path / "sweep" / f"small-seed{seed}").table("weight_norm"))


def test_a_sweep_in_a_threads_executor_of_the_callers_works_too(tmp_path):
    with ThreadPoolExecutor(1) as executor:
        outcome = gi.sweep({"config": SECTIONS}, tmp_path / "sweep", executor=executor, show_progress=False)
    assert len(outcome.names("done")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_is_stopped_goes_on_to_the_same_bytes(tmp_path, one_by_one, how):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(tomli_w.dumps({**RECIPE, "config": without_none(SECTIONS)}))
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "interrupted.py"), recipe, tmp_path / "sweep"]
    )
    while not list((tmp_path / "sweep").glob("*/ckpts/step_00000008.safetensors")):
        time.sleep(0.01)
        assert child.poll() is None
    workers = children_of(child.pid)
    assert workers
    child.send_signal(how)
    assert child.wait(60) == (130 if how != signal.SIGKILL else -9)
    outcome = gi.sweep(RECIPE, tmp_path / "sweep", show_progress=False)
    assert len(outcome.names("done")) == 24, [o.why for o in outcome.outcomes.values()]
    assert content(tmp_path / "sweep") == one_by_one
    deadline = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "workers outlive the sweep that started them"
        time.sleep(0.1)


def children_of(pid):
    """Process ids of its direct children."""
    return [int(i) for i in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def without_none(sections):
    """TOML has no null."""
    return {n: {k: v for k, v in s.items() if v is not None} for n, s in sections.items() if isinstance(s, dict)}


def test_two_sweeps_in_one_folder_at_once_are_refused(tmp_path):
    from grokinterp.runs.files import locked

    (tmp_path / "sweep").mkdir()
    with locked(tmp_path / "sweep" / "lock", "it"), pytest.raises(GrokinterpError, match="in use by another process"):
        gi.sweep({"config": SECTIONS}, tmp_path / "sweep", show_progress=False)


def test_a_run_directory_or_a_file_is_no_place_for_a_sweep(tmp_path):
    gi.train(small_config(), tmp_path / "run", show_progress=False)
    (tmp_path / "file").write_text("")
    for place in ("run", "file"):
        with pytest.raises(GrokinterpError, match="choose another --out"):
            gi.sweep({"config": SECTIONS}, tmp_path / place, show_progress=False)


def test_an_unknown_measure_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(GrokinterpError, match="weight_norm"):
        gi.sweep({"config": SECTIONS, "analyze": ["weight_nrom"]}, tmp_path / "sweep", show_progress=False)
    assert not (tmp_path / "sweep").exists()


def test_no_slurm_is_one_sentence(tmp_path):
    pytest.importorskip("submitit")
    with pytest.raises(GrokinterpError, match="there is no Slurm here"), slurm_executor(tmp_path / "jobs", 1):
        raise AssertionError


def test_wrong_executors_are_refused_in_one_sentence():
    for arguments, says in [
        (("lokal",), "choose from local, dask, slurm"),
        (("local", 0), "at least 1"),
        (("local", 1, "tcp://x:1"), "belongs to dask"),
    ]:
        with pytest.raises(GrokinterpError, match=says):
            starter(*arguments)
