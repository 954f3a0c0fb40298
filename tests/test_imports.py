"""Other people's checkpoints at the command line and in Python: imported, analyzed, shown, never trained on."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import pizza_model

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.imports import import_beside
from grokinterp.training.start import train

P = 11


@pytest.fixture
def theirs(tmp_path) -> Path:
    """A network whose logits are known in closed form, as a bare state_dict: no split, no curves, no step."""
    path = tmp_path / "theirs.pt"
    torch.save(pizza_model(P, ((1, 6.0), (2, 5.0), (4, 4.0))).state_dict(), path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_command_prints_what_was_recomputed_before_its_notes(theirs, tmp_path, capsys):
    assert run_command(["import", str(theirs), "--out", str(tmp_path / "run")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "format hooked_folder: one checkpoint, at step 0"
    assert lines[1].startswith("recomputed, all pairs: accuracy 1, loss 0.02178")
    assert lines[2:]
    assert all(line.startswith("note: ") for line in lines[2:])
    assert names(tmp_path) == ["run", "theirs.pt"]


def test_flags_win_over_a_file_of_settings_and_that_over_what_is_tried(theirs, tmp_path):
    (tmp_path / "what.toml").write_text('[task]\noperation = "x*y"\n[model]\nactivation = "gelu"\n')
    tokens = ["import", str(theirs), "--out", str(tmp_path / "run"), "--config", str(tmp_path / "what.toml")]
    assert run_command([*tokens, "--task.operation", "x-y", "--optimizer.weight-decay", "0.3"]) == 0
    config = gi.open(tmp_path / "run").config
    assert (config.task.operation, config.task.p, config.model.activation) == ("x-y", P, "gelu")
    assert config.optimizer.weight_decay == 0.3


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (["--format", "nnda"], "did you mean nanda?"),
        (["--format", "tl_demo"], "is not in the format tl_demo"),
        (["--task.p", "97"], "embed.W_E has shape"),
        (["--task.operaton", "x+y"], "--task.operation"),
        (["--config", "gone.toml"], "no config file gone.toml"),
        (["--model.n-layers", "3"], "blocks.1"),
        (["--task.frac-train", "3"], "frac"),
    ],
)
def test_a_wrong_flag_is_refused_in_a_sentence_and_writes_nothing(theirs, tmp_path, capsys, tokens, sentence):
    assert run_command(["import", str(theirs), "--out", str(tmp_path / "run"), *tokens]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
    assert names(tmp_path) == ["theirs.pt"]


def test_import_without_out_is_refused(theirs, tmp_path, capsys):
    assert run_command(["import", str(theirs)]) == 2
    assert "--out" in capsys.readouterr().err


def test_analyze_imports_on_the_fly_and_uses_the_import_again(theirs, tmp_path, capsys):
    tokens = ["analyze", str(theirs), "--only", "accuracy_loss"]
    assert run_command(tokens) == 0
    assert "is no run directory; imported to" in capsys.readouterr().err
    assert names(tmp_path) == ["theirs.grokinterp", "theirs.pt"]
    table = gi.open(tmp_path / "theirs.grokinterp").table("accuracy_loss")
    assert table[["split", "accuracy"]].to_numpy().tolist() == [["all", 1.0]]
    before = (tmp_path / "theirs.grokinterp" / "config.json").stat().st_mtime_ns
    assert run_command(tokens) == 0
    assert "imported to" in capsys.readouterr().err
    assert (tmp_path / "theirs.grokinterp" / "config.json").stat().st_mtime_ns == before


def test_analyze_refuses_an_import_of_another_file(theirs, tmp_path, capsys):
    assert run_command(["analyze", str(theirs), "--only", "accuracy_loss"]) == 0
    weights = torch.load(theirs, weights_only=True)
    weights["unembed.b_U"][0] += 1
    torch.save(weights, theirs)
    assert run_command(["analyze", str(theirs), "--only", "accuracy_loss"]) == 2
    assert "is not what" in capsys.readouterr().err
    assert run_command(["analyze", str(theirs), "--only", "accuracy_loss", "--out", str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "measures" / "accuracy_loss.parquet").is_file()


def test_a_folder_of_theirs_is_imported_beside_it_and_one_of_ours_is_not(theirs, tmp_path):
    folder = tmp_path / "ckpts.v1"
    folder.mkdir()
    shutil.copy(theirs, folder / "step_5.pt")
    found = import_beside(folder, None)
    assert found is not None
    assert found[0] == tmp_path / "ckpts.v1.grokinterp"
    assert gi.open(found[0]).steps == [5]
    assert import_beside(found[0], None) is None
    assert import_beside(tmp_path / "gone", None) is None


def test_a_file_of_something_else_is_refused_by_analyze_as_by_import(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("nothing")
    assert run_command(["analyze", str(tmp_path / "notes.txt")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    (tmp_path / "empty").mkdir()
    assert run_command(["analyze", str(tmp_path / "empty")]) == 2
    assert "is empty" in capsys.readouterr().err


def test_in_python_it_is_a_run(theirs, tmp_path):
    run = gi.import_run(theirs, tmp_path / "run", given={"task": {"operation": "x+y"}})
    assert isinstance(run, gi.Run)
    assert run.train_mask is None
    with pytest.raises(GrokinterpError, match="is there already"):
        gi.import_run(theirs, tmp_path / "run")


def test_every_measure_runs_without_a_split_or_says_why_not(theirs, tmp_path):
    run = gi.import_run(theirs, tmp_path / "run")
    outcome = gi.analyze(run, show_progress=False)
    assert not outcome.failed
    assert not outcome.damaged
    assert set(outcome.skipped) == {"coset_purity"}
    assert set(run.table("accuracy_loss")["split"]) == {"all"}
    assert gi.draw_figures(run, formats=["png"])
    page = gi.report(run).read_text()
    assert "Test accuracy is known at 0 steps, too few to say when it rose." in page


def test_an_imported_run_is_shown(theirs, tmp_path, capsys):
    gi.import_run(theirs, tmp_path / "run")
    assert run_command(["show", str(tmp_path / "run")]) == 0
    assert "too few to say when it rose" in capsys.readouterr().out


def test_training_does_not_go_on_from_an_import(theirs, tmp_path):
    run = gi.import_run(theirs, tmp_path / "run")
    with pytest.raises(GrokinterpError, match="was imported from other people's checkpoints; train into another --out"):
        train(run.config, run.path)
    assert run.steps == [0]


def test_a_series_with_its_split_has_phases_like_a_run_of_ours(tmp_path, grokked_run):
    """Our own checkpoints as the grokking demo saves them; accuracies are recomputed, and grokking is found again."""
    pairs, mask = np.arange(grokked_run.train_mask.size), grokked_run.train_mask.ravel()
    curves = grokked_run.metrics.set_index("step")
    last = grokked_run.steps[-1]
    steps = [step for step in grokked_run.steps if step > 0]
    filled = curves.reindex(range(last + 1)).interpolate()
    content = {
        "model": grokked_run.weights(last),
        "checkpoints": [grokked_run.weights(step) for step in steps],
        "checkpoint_epochs": [step - 1 for step in steps],
        "train_losses": filled["train_loss"].tolist()[:-1],
        "test_losses": filled["test_loss"].tolist()[1:],
        "train_indices": torch.from_numpy(pairs[mask]),
        "test_indices": torch.from_numpy(pairs[~mask]),
    }
    torch.save(content, tmp_path / "grok.pth")
    run = gi.import_run(tmp_path / "grok.pth", tmp_path / "run")
    assert run.steps == steps
    assert np.array_equal(run.train_mask, grokked_run.train_mask)
    found, truth = run.phases.generalization_step, grokked_run.phases.generalization_step
    assert found == min(step for step in steps if step >= truth)
    assert [phase.name for phase in run.phases.phases][-1] == grokked_run.phases.phases[-1].name
