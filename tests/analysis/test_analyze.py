"""Measures x checkpoints: what is computed again, what is kept, and what one failure costs."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import small_config
from oracles import wave_rows

import grokinterp as gi
from grokinterp.runs.tensors import write_checkpoint

WIDTH = 16


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    return gi.train(small_config(task={"p": 13}), folder, show_progress=False).path


@pytest.fixture
def run(trained, tmp_path) -> gi.Run:
    shutil.copytree(trained, tmp_path / "run")
    return gi.open(tmp_path / "run")


class Counter:
    """A measure of one's own that notes the steps it is asked for."""

    def __init__(self, name: str = "counter", *, uses_keys: bool = False, bad_at: int | None = None, bad=None) -> None:
        self.asked: list[int] = []
        self.bad_at, self.bad = bad_at, bad
        column = gi.Column("sum of the squared embedding", null=False)
        self.measure = gi.Measure(
            name=name,
            summary="A test's own.",
            reference="none",
            parts={"": gi.Part({"value": column, "n_keys": gi.Column("size of K", kind="int")}, self.compute)},
            plot=lambda tables: None,
            params={"factor": 1.0},
            uses_keys=uses_keys,
        )

    def compute(self, snapshot, *, params):
        self.asked.append(snapshot.step)
        if snapshot.step == self.bad_at:
            if isinstance(self.bad, BaseException):
                raise self.bad
            return [{"value": self.bad, "n_keys": 0}]
        value = params["factor"] * float(snapshot.embedding.square().sum())
        return [{"value": value, "n_keys": len(snapshot.keys.ks)}]


def analyze(run: gi.Run, *measures, **settings):
    """In the way of a new process: nothing of the run is remembered."""
    return gi.analyze(gi.open(run.path), measures or None, show_progress=False, **settings)


def add_checkpoint(run: gi.Run, step: int, ks: tuple[int, ...] | None = None) -> None:
    """The last weights once more, or with other key frequencies in W_L."""
    weights = run.weights(run.steps[-1])
    if ks is not None:
        waves = wave_rows(13, dict.fromkeys(ks, 1.0)).float()
        w_u = torch.zeros_like(weights["unembed.W_U"])
        w_u[: waves.shape[1]] = waves.T
        w_out = torch.zeros_like(weights["blocks.0.mlp.W_out"])
        w_out[:WIDTH] = torch.eye(WIDTH)
        weights |= {"unembed.W_U": w_u, "blocks.0.mlp.W_out": w_out}
    write_checkpoint(run.rundir, step, weights)


def test_one_pass_gives_a_row_for_each_checkpoint_in_order(run):
    counter = Counter()
    outcome = analyze(run, counter.measure)
    table = run.table("counter")
    assert sorted(counter.asked) == run.steps == table["step"].tolist()
    assert list(table.columns) == ["step", "value", "n_keys"]
    expected = [float(run.weights(step)["embed.W_E"][:13].double().square().sum()) for step in run.steps]
    assert table["value"].tolist() == pytest.approx(expected)
    assert outcome.computed == {"counter": len(run.steps)}


@pytest.mark.parametrize("task", [{"p": 13}, {"operation": "x.y", "p": None, "group": "S3"}])
def test_a_second_call_computes_nothing(task, tmp_path):
    run = gi.train(small_config(task=task), tmp_path / "run", show_progress=False)
    first = analyze(run)
    tables = {path: path.read_bytes() for path in run.rundir.measures.glob("*.parquet")}
    second = analyze(run)
    applicable = {name for name in first.computed if name not in first.skipped}
    assert {name: second.computed[name] for name in applicable} == dict.fromkeys(applicable, 0)
    assert second.reused.keys() >= applicable
    assert second.skipped == first.skipped
    assert {path: path.read_bytes() for path in tables} == tables


def test_having_nothing_to_say_about_a_checkpoint_is_a_result_too(run):
    silent = Counter().measure
    silent = replace(silent, parts={"": replace(silent.parts[""], compute=lambda snapshot, *, params: [])})
    assert analyze(run, silent).computed == {"counter": len(run.steps)}
    assert analyze(run, silent).computed == {"counter": 0}


@pytest.mark.parametrize("table", ["symbol_pca.coordinates", "symbol_pca.circles", "symbol_pca"])
def test_a_deleted_table_is_made_again(run, table):
    analyze(run, "symbol_pca")
    before = run.table(table)
    run.rundir.table_path(*table.split(".")).unlink()
    analyze(run, "symbol_pca")
    assert run.table(table).equals(before)


def test_a_new_checkpoint_is_the_only_one_computed(run):
    counter = Counter()
    analyze(run, counter.measure)
    counter.asked.clear()
    add_checkpoint(run, 50)
    outcome = analyze(run, counter.measure)
    assert counter.asked == [50]
    assert outcome.reused == {"counter": len(run.steps) - 1}
    assert run.table("counter")["step"].tolist() == run.steps


def test_a_checkpoint_that_changed_is_computed_again(run):
    counter = Counter()
    analyze(run, counter.measure)
    counter.asked.clear()
    step = run.steps[2]
    write_checkpoint(run.rundir, step, {name: 2 * w for name, w in run.weights(step).items()})
    analyze(run, counter.measure)
    assert counter.asked == [step]


def test_the_rows_of_a_deleted_checkpoint_stay(run):
    counter, steps = Counter(), run.steps
    analyze(run, counter.measure)
    run.rundir.checkpoint_path(steps[1]).unlink()
    analyze(run, counter.measure)
    assert run.table("counter")["step"].tolist() == steps


def test_the_rows_of_a_checkpoint_that_was_damaged_later_stay(run):
    counter, steps = Counter(), run.steps
    analyze(run, counter.measure)
    path = run.rundir.checkpoint_path(steps[1])
    path.write_bytes(path.read_bytes()[:-100])
    outcome = analyze(run, counter.measure)
    assert len(outcome.damaged) == 1
    assert run.table("counter")["step"].tolist() == steps


def test_a_table_that_does_not_match_its_record_is_computed_again(run):
    counter = Counter()
    analyze(run, counter.measure, "weight_norm")
    run.rundir.table_path("counter").write_bytes(run.rundir.table_path("weight_norm").read_bytes())
    counter.asked.clear()
    analyze(run, counter.measure)
    assert sorted(counter.asked) == run.steps


def test_force_keeps_the_rows_that_it_does_not_compute(run):
    counter = Counter()
    analyze(run, counter.measure)
    analyze(run, counter.measure, every=4, force=True)
    assert run.table("counter")["step"].tolist() == run.steps


def test_changed_parameters_compute_everything_again(run):
    counter = Counter()
    analyze(run, counter.measure)
    before = run.table("counter")["value"]
    counter.asked.clear()
    analyze(run, counter.measure, params={"counter": {"factor": 3.0}})
    assert sorted(counter.asked) == run.steps
    assert run.table("counter")["value"].tolist() == pytest.approx((3 * before).tolist())


def test_other_key_frequencies_compute_again_what_depends_on_them_and_nothing_else(run):
    free, bound = Counter("free"), Counter("bound", uses_keys=True)
    analyze(run, free.measure, bound.measure)
    free.asked.clear()
    bound.asked.clear()
    add_checkpoint(run, 60, ks=(2, 5, 6))
    analyze(run, free.measure, bound.measure)
    assert free.asked == [60]
    assert sorted(bound.asked) == run.steps
    assert set(run.table("bound")["n_keys"]) == {3}


@pytest.mark.parametrize("every", [1, 3])
def test_key_frequencies_come_from_the_last_checkpoint_also_under_every(run, every):
    add_checkpoint(run, 61, ks=(4, 6))
    add_checkpoint(run, 62, ks=(1, 4, 6))
    if (len(run.steps) - 1) % 3 == 0:
        add_checkpoint(run, 63, ks=(1, 4, 6))
    analyze(run, "progress_measures", every=every)
    table = run.table("progress_measures")
    assert sorted(table["step"].unique()) == sorted({*run.steps[::every], run.steps[-1]})
    assert set(table[table["keys"] == "last"]["n_keys"]) == {3}
    keys = run.table("progress_measures.frequencies")
    assert set(keys[keys["is_key"]]["k"]) == {1, 4, 6}


def test_every_third_checkpoint_can_be_filled_up_later(run):
    counter = Counter()
    analyze(run, counter.measure, every=3)
    assert sorted(counter.asked) == sorted({*run.steps[::3], run.steps[-1]})
    analyze(run, counter.measure)
    assert sorted(counter.asked) == run.steps
    assert run.table("counter")["step"].tolist() == run.steps


def test_only_the_measures_asked_for_are_computed(run):
    outcome = analyze(run, "weight_norm")
    assert set(outcome.computed) == {"weight_norm"}
    assert {path.name for path in run.rundir.measures.glob("*.parquet")} == {
        "weight_norm.parquet",
        "weight_norm.margin.parquet",
    }


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (RuntimeError("out of luck"), "RuntimeError: out of luck"),
        (float("nan"), "nan is not finite"),
        (None, "is null but declared never to be"),
        (3, "declared float"),
    ],
)
def test_a_measure_that_fails_loses_neither_the_others_nor_its_earlier_rows(run, bad, says):
    broken, sound = Counter("broken", bad_at=run.steps[3], bad=bad), Counter("sound")
    outcome = analyze(run, broken.measure, sound.measure)
    assert says in outcome.failed["broken"]
    assert set(outcome.failed) == {"broken"}
    assert run.table("sound")["step"].tolist() == run.steps
    assert run.table("broken")["step"].tolist() == run.steps[:3]
    assert np.isfinite(run.table("broken")["value"]).all()
    broken.asked.clear()
    broken.bad_at = None
    assert not analyze(run, broken.measure).failed
    assert sorted(broken.asked) == run.steps[3:]


def test_a_measure_without_meaning_is_skipped_with_its_reason(run):
    nothing = Counter("nothing", bad_at=run.steps[0], bad=gi.NotApplicableError("needs a seventh operand"))
    sound = Counter("sound")
    outcome = analyze(run, nothing.measure, sound.measure, jobs=1)
    assert outcome.skipped == {"nothing": "needs a seventh operand"}
    assert not outcome.failed
    assert nothing.asked == run.steps[:1]
    assert sorted(sound.asked) == run.steps
    with pytest.raises(gi.GrokinterpError, match="no table nothing"):
        run.table("nothing")


@pytest.mark.parametrize("which", [2, -1])
def test_a_truncated_checkpoint_is_reported_by_name_and_the_rest_analysed(run, which):
    step = run.steps[which]
    path = run.rundir.checkpoint_path(step)
    path.write_bytes(path.read_bytes()[:-100])
    outcome = analyze(run)
    assert len(outcome.damaged) == 1
    assert str(path) in outcome.damaged[0]
    assert not outcome.failed
    for name in ("accuracy_loss", "progress_measures", "symbol_pca"):
        assert sorted(run.table(name)["step"].unique()) == [s for s in run.steps if s != step]
    assert len(analyze(run).damaged) == 1


def test_a_measure_over_the_run_sees_the_readable_checkpoints_also_alone(run):
    path = run.rundir.checkpoint_path(run.steps[1])
    path.write_bytes(path.read_bytes()[:-100])

    def norms(run, *, steps, params):
        return [{"step": step, "value": float(run.weights(step)["embed.W_E"].norm()), "n_keys": 0} for step in steps]

    series = Counter().measure
    series = replace(series, parts={"": replace(series.parts[""], compute=norms, scope="run")})
    outcome = analyze(run, series)
    assert not outcome.failed
    assert [str(path) in sentence for sentence in outcome.damaged] == [True]
    assert run.table("counter")["step"].tolist() == [s for s in run.steps if s != run.steps[1]]
    path.unlink()
    assert analyze(run, series).computed == {"counter": len(run.steps)}
    assert analyze(run, series).computed == {"counter": 0}


def test_an_interrupted_analysis_goes_on_where_it_stopped(run):
    stopped = Counter(bad_at=run.steps[4], bad=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        analyze(run, stopped.measure)
    stopped.bad_at = None
    stopped.asked.clear()
    analyze(run, stopped.measure)
    assert sorted(stopped.asked) == run.steps[4:]
    assert run.table("counter")["step"].tolist() == run.steps


def test_force_computes_again_and_a_damaged_table_is_replaced(run):
    counter = Counter()
    analyze(run, counter.measure)
    for damage in (False, True):
        counter.asked.clear()
        if damage:
            run.rundir.table_path("counter").write_bytes(b"not a table")
        analyze(run, counter.measure, force=not damage)
        assert sorted(counter.asked) == run.steps
        assert run.table("counter")["step"].tolist() == run.steps


def test_what_cannot_be_meant_is_refused_in_one_sentence(run):
    for measures, settings, says in [
        (["acuracy_loss"], {}, "did you mean accuracy_loss?"),
        (["weight_norm"], {"params": {"flatness": {}}}, "not among the measures"),
        (["flatness"], {"params": {"flatness": {"samples": 3}}}, "no parameter 'samples'; it has n_samples"),
        (["weight_norm"], {"every": 0}, "must be at least 1"),
        ([Counter("weight_norm").measure], {}, "rename yours"),
    ]:
        with pytest.raises(gi.GrokinterpError, match=says.replace("?", r"\?")):
            analyze(run, *measures, **settings)
