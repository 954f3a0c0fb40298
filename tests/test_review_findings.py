"""What a review with fresh eyes found once; each would lose data or give wrong numbers in silence."""

import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.measures.registry import load_measure_file

MINE = """
from grokinterp import Column, Measure, Part

def compute(snapshot, *, params):
    return [{{"x": {value}}}]

MEASURE = Measure("mine", "A number.", "none", {{"": Part({{"x": Column("it")}}, compute)}}, plot=None)
"""


def recorded(folder, config):
    with gi.record(folder, config) as recorder:
        for step in (0, 500):
            recorder.save(step, gi.build_model(config), {"train_loss": 1.0})


def test_training_never_replaces_a_recorded_run(tmp_path):
    config = small_config()
    recorded(tmp_path / "mine", config)
    with pytest.raises(gi.GrokinterpError, match="recorded from another training loop"):
        gi.train(config, tmp_path / "mine")
    assert gi.open(tmp_path / "mine").steps == [0, 500]


def test_training_never_starts_over_where_results_lie_but_no_resume_file(tmp_path):
    config = small_config()
    run = gi.train(config, tmp_path / "run", show_progress=False)
    run.rundir.resume_path.unlink()
    run.rundir.checkpoint_path(config.train.steps).unlink()
    before = run.steps
    with pytest.raises(gi.GrokinterpError, match=r"no resume\.pt"):
        gi.train(config, tmp_path / "run")
    assert run.steps == before


def test_an_edited_measure_file_is_computed_again(tmp_path):
    run = gi.train(small_config(), tmp_path / "run", show_progress=False)
    for value in (1.0, 2.0):
        (tmp_path / "mine.py").write_text(MINE.format(value=value))
        outcome = gi.analyze(run, [load_measure_file(tmp_path / "mine.py")], show_progress=False)
        assert outcome.computed == {"mine": len(run.steps)}
        assert set(run.table("mine")["x"]) == {value}


def test_a_model_of_another_architecture_is_not_recorded(tmp_path):
    config = small_config()
    layernorm = gi.build_model(small_config(model={"normalization": "LN"}))
    gelu = gi.build_model(small_config(model={"activation": "gelu"}))
    for i, model in enumerate((layernorm, gelu)):
        with (
            gi.record(tmp_path / str(i), config) as recorder,
            pytest.raises(gi.GrokinterpError, match=r"config\.model"),
        ):
            recorder.save(0, model)


def test_the_hooked_engine_follows_its_weights_to_their_device():
    config = small_config(model={"normalization": "LN"})
    task = gi.build_task(config.task)
    from grokinterp.models.forward import build_forward
    from grokinterp.models.weights import init_weights

    forward = build_forward(config.model, task.layout, task.n_answers)
    weights = {name: w.to("meta") for name, w in init_weights(config.model, task.layout, task.n_answers).items()}
    pair = torch.zeros(3, dtype=torch.long, device="meta")
    assert forward(weights, pair, pair).device.type == "meta"


def test_key_frequencies_follow_a_run_that_grows(tmp_path, grokked_run):
    from grokinterp.runs.rundir import RunDir
    from grokinterp.runs.tensors import write_checkpoint, write_task

    rundir = RunDir(tmp_path / "grows")
    rundir.write_config(grokked_run.config)
    write_task(rundir, grokked_run.task, grokked_run.train_mask)
    write_checkpoint(rundir, 0, grokked_run.weights(0))
    run = gi.open(rundir.root)
    early = run.key_frequencies
    write_checkpoint(rundir, 1, grokked_run.weights(grokked_run.steps[-1]))
    assert run.key_frequencies == grokked_run.key_frequencies != early


def test_a_snapshot_of_a_models_run_trains_the_same_weights(grokked_run):
    step = grokked_run.steps[-1]
    mine = gi.snapshot(grokked_run.model(step), grokked_run.task, grokked_run.train_mask)
    assert set(mine.trained) == set(grokked_run.snapshot(step).trained)


def test_everything_may_be_trained_on(tmp_path):
    config = small_config()
    everything = gi.build_task(config.task).defined
    with gi.record(tmp_path / "run", config, train_mask=everything) as recorder:
        recorder.save(0, gi.build_model(config))
    outcome = gi.analyze(gi.open(tmp_path / "run"), ["accuracy_loss"], show_progress=False)
    assert not outcome.failed


def test_a_measure_that_misses_its_own_file_fails_alone(tmp_path):
    run = gi.train(small_config(), tmp_path / "run", show_progress=False)

    def compute(snapshot, *, params):
        raise FileNotFoundError("data.csv")

    broken = gi.Measure("broken", "-", "-", {"": gi.Part({"x": gi.Column("x")}, compute)}, plot=None)
    outcome = gi.analyze(run, [broken, "weight_norm"], show_progress=False)
    assert list(outcome.failed) == ["broken"]
    assert outcome.computed["weight_norm"] > 0


def test_both_events_have_checkpoints_of_their_own(grokked_run):
    marks = grokked_run.phases.landmarks(grokked_run.steps)
    assert marks["memorised"] == grokked_run.phases.memorization_step
    assert marks["grokked"] == grokked_run.phases.generalization_step
