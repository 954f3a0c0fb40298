"""Checkpoints side by side give the same tables as one after the other."""

import threading

import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.analysis.analyze import _Analysis
from grokinterp.analysis.workers import AHEAD, default_jobs, in_order


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_come_in_the_order_of_the_steps(jobs):
    barrier = threading.Event()

    def slow_first(step: int) -> int:
        if step == 0 and jobs > 1:
            assert barrier.wait(20)
        barrier.set()
        return step * step

    assert list(in_order(slow_first, range(7), jobs)) == [(step, step * step) for step in range(7)]


def test_only_so_many_results_wait_for_the_reader():
    started = []
    results = in_order(lambda step: started.append(step), range(200), 3)
    next(results)
    results.close()
    assert len(started) <= 3 + AHEAD + 1


def test_an_error_in_a_thread_reaches_the_reader_and_threads_are_given_back():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda step: 1 // step, [1, 0, 2], 2))
    assert torch.get_num_threads() == before


def test_a_large_cube_or_a_gpu_takes_one_checkpoint_at_a_time():
    assert default_jobs(512**3, "cpu") == 1
    assert default_jobs(7**3, "cuda:0") == 1
    assert default_jobs(7**3, "cpu") >= 1


def test_tables_do_not_depend_on_the_number_of_jobs(tmp_path):
    run = gi.train(small_config(), tmp_path / "run", show_progress=False)
    names = ["accuracy_loss", "weight_norm", "progress_measures", "symbol_pca"]
    tables = {}
    for jobs in (1, 3):
        one = gi.open(run.path, out=tmp_path / str(jobs))
        assert not gi.analyze(one, names, jobs=jobs, show_progress=False).failed
        tables[jobs] = {path.name: path.read_bytes() for path in one.rundir.measures.glob("*.parquet")}
    assert tables[1] == tables[3]


def test_tables_do_not_depend_on_lent_buffers(tmp_path, monkeypatch):
    run, lend, tables = gi.train(small_config(), tmp_path / "run", show_progress=False), _Analysis._lend, {}
    lent = []
    ways = {
        "lent": lambda analysis, snapshot: lent.append(lend(analysis, snapshot)) or lent[-1],
        "own": lambda _, snapshot: snapshot,
    }
    for name, way in ways.items():
        monkeypatch.setattr(_Analysis, "_lend", way)
        one = gi.open(run.path, out=tmp_path / name)
        assert not gi.analyze(one, jobs=2, full=True, show_progress=False).failed
        tables[name] = {path.name: path.read_bytes() for path in one.rundir.measures.glob("*.parquet")}
    assert tables["lent"].keys() == tables["own"].keys()
    assert [name for name, table in tables["own"].items() if tables["lent"][name] != table] == []
    assert 1 <= len({id(snapshot.on_grid) for snapshot in lent}) <= 2  # one a thread


def test_a_measure_of_ones_own_may_keep_what_it_saw(tmp_path):
    run, kept = gi.train(small_config(), tmp_path / "run", show_progress=False), {}

    def compute(snapshot, *, params):
        del params
        kept[snapshot.step] = snapshot.neuron_acts
        return [{"value": 0.0}]

    parts = {"": gi.Part({"value": gi.Column("nothing", null=False)}, compute)}
    measure = gi.Measure(name="keeper", summary="A test's own.", reference="none", parts=parts, plot=lambda _: None)
    assert not gi.analyze(run, [measure, "accuracy_loss"], show_progress=False).failed
    assert len(kept) > 2
    for step, neurons in kept.items():
        assert torch.equal(neurons, run.bare_snapshot(step).neuron_acts)


def test_no_jobs_at_all_are_refused(tmp_path):
    run = gi.train(small_config(), tmp_path / "run", show_progress=False)
    with pytest.raises(gi.GrokinterpError, match="jobs = 0 must be at least 1"):
        gi.analyze(run, jobs=0)
