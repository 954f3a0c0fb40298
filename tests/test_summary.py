import json

import pytest


def cells(run, table: str, step: int, column: str, **where) -> float:
    rows = run.table(table)
    rows = rows[rows["step"] == step]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    (value,) = rows[column]
    return value


@pytest.fixture(scope="module")
def summary(grokked_run) -> dict:
    return json.loads(grokked_run.rundir.summary_path.read_text())


def test_the_summary_holds_config_events_and_keys_in_one_flat_row(summary, grokked_run):
    assert summary["task.p"] == grokked_run.config.task.p
    assert summary["generalization_step"] == grokked_run.phases.generalization_step
    assert summary["grokking_delay"] == summary["generalization_step"] - summary["memorization_step"]
    assert summary["key_frequencies"] == list(grokked_run.key_frequencies.ks)
    assert not any(isinstance(value, dict) for value in summary.values())


@pytest.mark.parametrize("mark", ["init", "memorised", "grokked", "end"])
def test_landmark_values_are_the_cells_of_the_tables(mark, summary, grokked_run):
    step = summary[f"{mark}.step"]
    assert step == grokked_run.phases.landmarks(grokked_run.steps)[mark]
    expected = {
        "test_accuracy": cells(grokked_run, "accuracy_loss", step, "accuracy", split="test"),
        "restricted_loss": cells(grokked_run, "progress_measures", step, "restricted_loss", split="all", keys="last"),
        "gini_W_L": cells(grokked_run, "embedding_spectrum", step, "gini", matrix="W_L"),
        "weight_norm": cells(grokked_run, "weight_norm", step, "sum_of_squares", group="total"),
        "noise_loss_increase": cells(
            grokked_run, "flatness", step, "loss_increase", noise="weight-proportional", sigma=0.1
        ),
        "keskar_phi": cells(grokked_run, "flatness.keskar", step, "phi"),
    }
    assert {name: summary[f"{mark}.{name}"] for name in expected} == expected


def test_the_checkpoint_recomputes_what_the_training_log_says(grokked_run):
    """accuracy_loss from the saved weights in float64, against what training wrote in its own precision."""
    metrics, table = grokked_run.metrics.set_index("step"), grokked_run.table("accuracy_loss")
    both = [step for step in grokked_run.steps if step in metrics.index]
    assert len(both) > 10
    for step in both:
        for split in ("train", "test"):
            row = table[(table["step"] == step) & (table["split"] == split)].iloc[0]
            assert row["accuracy"] == pytest.approx(metrics.loc[step, f"{split}_accuracy"])
            assert row["loss"] == pytest.approx(metrics.loc[step, f"{split}_loss"], rel=1e-3, abs=1e-6)


def test_grokking_is_visible_in_the_landmarks(summary):
    """Directions that the papers agree on, between memorised and end of one seeded run."""
    assert summary["grokked.test_accuracy"] >= 0.99
    assert summary["memorised.test_accuracy"] < summary["grokked.test_accuracy"] - 0.2
    assert summary["end.gini_W_L"] > summary["init.gini_W_L"] + 0.2
    assert summary["end.excluded_loss"] > 10 * summary["end.full_loss"]
    assert summary["end.weight_norm"] < summary["memorised.weight_norm"]


def test_every_definition_of_the_grokking_point_and_the_descent_of_the_test_loss_are_in_the_row(summary, grokked_run):
    phases = grokked_run.phases
    points = phases.to_json()["grokking_points"]
    for name in ("generalization", "generalization_95", "small_test_loss", "change_point"):
        assert summary[f"{name}_step"] == points[name]["step"]
    assert summary["double_descent_height"] == phases.double_descent.height > 1.5
    assert summary["double_descent_peak_step"] == phases.double_descent.peak_step < summary["generalization_step"]
    assert summary["n_train_loss_spikes"] == len(phases.spike_steps)
