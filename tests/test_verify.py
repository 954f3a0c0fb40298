"""`verify` finds nothing in an untouched run, and names what was changed in any other."""

import json
import shutil

import numpy as np
import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.runs.tensors import write_checkpoint, write_task
from grokinterp.verify import verify

MEASURES = ["accuracy_loss", "weight_norm", "embedding_spectrum"]
CONFIGS = {
    "float32": small_config(),
    "float64, float32 loss": small_config(train={"dtype": "float64", "loss_dtype": "float32"}),
    "float32 loss": small_config(train={"loss_dtype": "float32"}),
    "LayerNorm": small_config(model={"normalization": "LN", "n_layers": 2}),
    "outliers": small_config(task={"outliers": 3}),
    "shuffled": small_config(task={"shuffle_labels": True}),
    "group": small_config(task={"operation": "x.y", "group": "S3", "p": None}),
    "mse": small_config(train={"loss": "mse"}),
    "dropout": small_config(regularizer={"dropout": 0.1}),
    "large weights": small_config(model={"init_scale": 8.0}),
}


def problems(run: gi.Run) -> dict[str, list[str]]:
    """The checks that found something."""
    return {check.name: check.problems for check in verify(run) if check.problems}


@pytest.mark.parametrize("name", CONFIGS)
def test_an_untouched_run_has_no_problem(name, tmp_path):
    run = gi.train(CONFIGS[name], tmp_path / "run", show_progress=False)
    gi.analyze(run, MEASURES[:2], show_progress=False)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    checks = {check.name: check for check in verify(run)}
    assert not [check.problems for check in checks.values() if check.problems]
    assert list(checks) == ["origin", "checkpoints", "task", "split", "log", "losses", "tables", "phases", "summary"]
    assert "25 numbers at 5 checkpoints" in checks["losses"].said
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    run = gi.train(small_config(), tmp_path_factory.mktemp("sound") / "run", show_progress=False)
    gi.analyze(run, MEASURES, show_progress=False)
    return run


@pytest.fixture
def run(sound, tmp_path):
    return gi.open(shutil.copytree(sound.path, tmp_path / "run"))


def edit_log(run, step: int, **changes) -> None:
    rows = [json.loads(line) for line in run.rundir.metrics_path.read_text().splitlines()]
    rows = [row | changes if row["step"] == step else row for row in rows]
    run.rundir.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("column", "factor"), [("train_loss", 1 + 1e-4), ("test_loss", 1 - 1e-4), ("weight_norm", 1 + 1e-9)]
)
def test_a_number_of_the_log_that_was_changed_is_named(run, column, factor):
    row = run.metrics.set_index("step").loc[20]
    edit_log(run, 20, **{column: float(row[column]) * factor})
    (problem,) = problems(run)["losses"]
    assert problem.startswith(f"step 20: {column} is ")


def test_one_pair_more_or_less_is_named(run):
    n_test = int((~run.train_mask).sum())
    edit_log(run, 20, test_accuracy=float(run.metrics.set_index("step").loc[20]["test_accuracy"]) + 1 / n_test)
    (problem,) = problems(run)["losses"]
    assert problem.startswith("step 20: test_accuracy is ")


def test_a_checkpoint_whose_checksum_was_made_to_fit_still_disagrees_with_the_log(run):
    weights = {name: weight + 1e-3 * torch.randn_like(weight) for name, weight in run.weights(20).items()}
    write_checkpoint(run.rundir, 20, weights)
    found = problems(run)
    assert {"losses", "tables"} <= set(found)
    assert all(problem.startswith("step 20: ") for problem in found["losses"])
    assert "of another file at step 20" in found["tables"][0]


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone", "unlisted", "not numbers", "another model"])
def test_a_checkpoint_that_is_not_what_was_written_is_named(run, damage):
    path, content = run.rundir.checkpoint_path(20), run.rundir.checkpoint_path(20).read_bytes()
    match damage:
        case "flipped":
            path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        case "truncated":
            path.write_bytes(content[:-9])
        case "gone":
            path.unlink()
        case "unlisted":
            checksums = run.rundir.read_checksums()
            run.rundir.write_checksums({name: digest for name, digest in checksums.items() if name != path.name})
        case "not numbers":
            write_checkpoint(run.rundir, 20, {n: torch.full_like(w, torch.nan) for n, w in run.weights(20).items()})
        case "another model":
            write_checkpoint(run.rundir, 20, {n: w for n, w in run.weights(20).items() if n != "embed.W_E"})
    found = problems(run)["checkpoints"]
    assert len(found) == 1
    assert "step_00000020" in found[0] or "step 20" in found[0]


def test_another_split_or_table_or_other_labels_are_named(run):
    task, mask = run.task, run.train_mask.copy()
    a, b = np.argwhere(mask)[0]
    mask[a, b] = False
    write_task(run.rundir, task, mask)
    assert "split.safetensors is not the split that the config draws" in problems(gi.open(run.path))["split"][0]
    labels = task.table.copy()
    labels[a, b] += 1
    write_task(run.rundir, task, run.train_mask, labels)
    assert "labels" in problems(gi.open(run.path))["split"][0]
    write_task(run.rundir, gi.build_task(gi.TaskConfig(operation="x-y", p=7)), run.train_mask)
    assert "42 cells are not those of the config's x+y mod 7" in problems(gi.open(run.path))["task"][0]
    task.table[0, 0] += 1
    write_task(run.rundir, task, run.train_mask)
    assert "its coordinates are not those of its table" in problems(gi.open(run.path))["task"][0]


@pytest.mark.parametrize("name", ["split.safetensors", "task.safetensors", "provenance.json", "metrics.jsonl"])
@pytest.mark.parametrize("damage", ["gone", "half", "empty"])
def test_a_damaged_or_missing_file_is_named_and_the_other_checks_go_on(run, name, damage):
    path = run.path / name
    content = path.read_bytes()
    path.unlink() if damage == "gone" else path.write_bytes(content[: len(content) // 2 if damage == "half" else 0])
    checks = list(verify(gi.open(run.path)))
    assert len(checks) == 9
    assert any(name in problem for check in checks for problem in check.problems)


def test_a_line_that_is_missing_and_one_that_stands_twice_are_named(run):
    lines = run.rundir.metrics_path.read_text().splitlines(keepends=True)
    run.rundir.metrics_path.write_text("".join([lines[0], *lines[2:], lines[-1]]))
    found = problems(run)["log"]
    assert any("has no line of step 10" in problem for problem in found)
    assert any("step 40 comes after 40" in problem for problem in found)


@pytest.mark.parametrize("name", ["weight_norm.parquet", "weight_norm.json"])
def test_a_table_that_is_not_what_was_computed_is_named(run, name):
    path = run.rundir.measures / name
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:] if "parquet" in name else content[:50])
    (problem,) = problems(run)["tables"]
    assert name in problem
    assert "analyze again" in problem


@pytest.mark.parametrize(("name", "check"), [("phases", "phases"), ("summary", "summary")])
def test_a_field_that_is_not_what_the_run_gives_is_named(run, name, check):
    path = run.path / f"{name}.json"
    saved = json.loads(path.read_text())
    path.write_text(json.dumps(saved | {"memorization_step": 3}))
    (problem,) = problems(run)[check]
    assert "memorization_step" in problem


def test_an_analysis_from_before_the_run_went_on_is_older_and_not_wrong(run):
    for name in ("phases", "summary"):
        path = run.path / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"last_step": 20}))
    checks = {check.name: check for check in verify(run)}
    assert not checks["phases"].problems
    assert "before the run went on to step 40" in checks["summary"].said


def test_a_recorded_run_has_a_split_and_numbers_of_its_own(tmp_path):
    config = small_config()
    model = gi.build_model(config)
    mask = np.zeros((7, 7), dtype=bool)
    mask[:, :3] = True
    with gi.record(tmp_path / "run", config, train_mask=mask) as recorder:
        recorder.save(0, model, {"train_loss": 5.0})
    checks = {check.name: check for check in verify(gi.open(tmp_path / "run"))}
    assert "its own" in checks["split"].said
    assert not checks["split"].problems
    assert checks["losses"].problems[0].startswith("step 0: train_loss is 5 in the log")


def test_where_the_split_is_unknown_it_says_so(run):
    run.rundir.split_path.unlink()
    about = run.rundir.read_provenance()
    run.rundir.write_provenance(about | {"engine": "imported"})
    checks = {check.name: check for check in verify(gi.open(run.path))}
    assert "unknown" in checks["split"].said
    assert not checks["split"].problems
    assert "5 numbers" in checks["losses"].said  # the norms alone
