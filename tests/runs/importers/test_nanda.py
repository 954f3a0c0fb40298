"""Nanda et al.'s files: every layout of theirs, made from networks of ours, and the published one."""

import json

import pytest
import torch
from layouts import logits, losses, nanda_state, network, python_split, same_weights, save

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers import import_run
from grokinterp.runs.importers.nanda_split import shuffled_mask

P = 7


def curves(seeds: range, fraction: float = 0.6, split: int = 3):
    """Losses of some networks in turn on one of their splits."""
    _, mask = python_split(P, fraction, split)
    found = [losses(*network(seed), mask) for seed in seeds]
    return [row["train_loss"] for row in found], [row["test_loss"] for row in found], mask


def notes_of(run: gi.Run) -> str:
    return " | ".join(run.rundir.read_provenance()["notes"])


def test_a_saved_run_becomes_its_network_with_its_curves(tmp_path):
    config, task, weights = network(5)
    train, test, _ = curves(range(5))
    path = save(
        {"model": nanda_state(weights, torch.ones(16, 1)), "train_losses": train, "test_losses": test},
        tmp_path / "run.pth",
    )
    run = gi.import_run(path, tmp_path / "run", given={"task": {"operation": "x+y"}, "model": {"activation": "relu"}})
    assert run.steps == [5]
    assert same_weights(run, 5, weights)
    assert (run.config.task.p, run.config.model.biases, run.config.train.steps) == (P, "mlp", 5)
    assert torch.equal(logits(run.config, run.task, run.weights(5)), logits(config, task, weights))
    rows = run.metrics
    assert rows["train_loss"][:5].tolist() == train
    assert rows["test_loss"][:5].tolist() == test
    assert "its output for '=' is left out" in notes_of(run)


def test_test_losses_that_were_recorded_less_often_lie_at_their_epochs(tmp_path):
    train, test = [1.0 / (i + 1) for i in range(20)], [2.0, 1.0]
    path = save({"model": nanda_state(network()[2]), "train_losses": train, "test_losses": test}, tmp_path / "r.pth")
    rows = gi.import_run(path, tmp_path / "run").metrics
    known = rows[rows["test_loss"].notna()]
    assert dict(zip(known["step"], known["test_loss"], strict=True)) == {0: 2.0, 10: 1.0}
    assert rows["train_loss"][:20].tolist() == train


def test_a_bare_state_dict_has_an_unknown_step_and_split(tmp_path):
    weights = network()[2]
    run = gi.import_run(save(nanda_state(weights), tmp_path / "bare.pth"), tmp_path / "run")
    assert run.steps == [0]
    assert same_weights(run, 0, weights)
    assert run.train_mask is None
    assert "its step is not known" in notes_of(run)
    assert "which pairs were trained on is not known" in notes_of(run)


def test_a_whole_run_keeps_every_checkpoint_and_finds_its_split_and_its_step(tmp_path):
    """Weights that are called after epoch e but were taken after its update: the losses say so."""
    seeds = range(1, 9)
    train, test, mask = curves(seeds, split=4)
    content = {
        "state_dicts": [nanda_state(network(seed)[2]) for seed in seeds[1:]],
        "epochs": list(range(7)),
        "train_losses": train,
        "test_losses": test,
        "config": {"p": P, "fn_name": "add", "frac_train": 0.6, "act_type": "ReLU", "lr": 1e-3, "weight_decay": 1.0},
    }
    run = gi.import_run(save(content, tmp_path / "full_run_data.pth"), tmp_path / "run")
    assert run.steps == [1, 2, 3, 4, 5, 6, 7]
    assert all(same_weights(run, step, network(step + 1)[2]) for step in run.steps)
    assert (run.train_mask == mask).all()
    assert (run.config.task.frac_train, run.config.train.steps) == (0.6, 7)
    assert "one step after their epochs" in notes_of(run)
    assert "seed 4" in notes_of(run)


def test_a_whole_run_whose_weights_are_of_their_epoch_keeps_its_steps(tmp_path):
    train, test, mask = curves(range(6), split=0)
    content = {
        "state_dicts": [nanda_state(network(seed)[2]) for seed in range(6)],
        "epochs": list(range(6)),
        "train_losses": train,
        "test_losses": test,
        "config": {"fn_name": "add", "frac_train": 0.6, "act_type": "ReLU", "seed": 0},
    }
    run = gi.import_run(save(content, tmp_path / "full.pth"), tmp_path / "run")
    assert run.steps == [0, 1, 2, 3, 4, 5]
    assert (run.train_mask == mask).all()


def test_a_split_that_no_shuffle_gives_stays_unknown(tmp_path):
    content = {
        "state_dicts": [nanda_state(network(seed)[2]) for seed in range(4)],
        "epochs": [0, 1, 2, 3],
        "train_losses": [0.1, 0.1, 0.1, 0.1],
        "test_losses": [9.0, 9.0, 9.0, 9.0],
        "config": {"fn_name": "add", "act_type": "ReLU"},
    }
    run = gi.import_run(save(content, tmp_path / "full.pth"), tmp_path / "run")
    assert run.train_mask is None
    assert not run.rundir.split_path.exists()
    assert "none alone gives the recorded losses" in notes_of(run)


def test_the_folder_of_a_run_has_the_split_in_its_first_file(tmp_path):
    pairs, mask = python_split(P, 0.6, 77)
    n_train, folder = int(mask.sum()), tmp_path / "grok_1"
    folder.mkdir()
    weights = {step: network(step)[2] for step in (0, 1, 101, 200)}
    save(
        {"model": nanda_state(weights[0]), "train_data": pairs[:n_train], "test_data": pairs[n_train:]},
        folder / "init.pth",
    )
    for epoch in (0, 100):
        saved = {"model": nanda_state(weights[epoch + 1]), "train_loss": 0.5, "test_loss": 0.7, "epoch": epoch}
        save(saved, folder / f"{epoch}.pth")
    optimizer = {"state": {}, "param_groups": [{"weight_decay": 0.1, "lr": 1e-3}]}
    final = {"model": nanda_state(weights[200]), "train_losses": [0.5] * 200, "test_losses": [0.7] * 200, "epoch": 200}
    save({**final, "optimizer": optimizer, "scheduler": {"last_epoch": 200}}, folder / "final.pth")
    run = gi.import_run(folder, tmp_path / "run")
    assert run.steps == [0, 1, 101, 200]
    assert all(same_weights(run, step, weights[step]) for step in run.steps)
    assert (run.train_mask == mask).all()
    assert "weight decay is 0.1 in the optimizer's state and 1 in the config" in notes_of(run)


def test_a_config_that_contradicts_the_weights_is_named(tmp_path):
    settings = {"p": 97, "d_model": 64, "fn_name": "subtract", "act_type": "GeLU", "frac_train": 0.5, "num_heads": 2}
    path = save({"model": nanda_state(network()[2]), "config": settings, "epoch": 9}, tmp_path / "run.pth")
    run = gi.import_run(path, tmp_path / "run")
    assert (run.config.task.operation, run.config.task.p, run.config.model.activation) == ("x-y", P, "gelu")
    assert run.steps == [10]
    assert "p is 97 in the file's config and 7 by the shapes" in notes_of(run)
    assert "d_model is 64 in the file's config and 16 by the shapes" in notes_of(run)
    assert "num_heads" not in notes_of(run)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"train_losses": "high"}, "train_losses is no list of numbers"),
        ({"train_losses": [1.0, None]}, "train_losses is no list of numbers"),
        ({"config": {"fn_name": "rand"}}, "fn_name 'rand', which is none of add, subtract, x2xyy2"),
        ({"train_data": [(0, 9, 7)]}, "outside of 0 to 6"),
        ({"train_data": [(0, 1, 7), (0, 1, 7)]}, "names a pair twice"),
        ({"train_data": 5}, "train_data is no list of pairs"),
        ({"train_data": [(0, 1, 7)], "test_data": [(0, 2, 7)]}, "are not the pairs, each once"),
    ],
)
def test_what_is_no_run_of_theirs_is_refused_in_a_sentence(tmp_path, change, sentence):
    content = {"model": nanda_state(network()[2]), "train_losses": [1.0], "test_losses": [1.0]} | change
    with pytest.raises(GrokinterpError, match=sentence):
        import_run(save(content, tmp_path / "run.pth"), tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.pth"]


@pytest.mark.parametrize(
    ("states", "epochs"), [(2, [0]), (2, None), (2, [1, 0]), (2, [0, 0.5])], ids=["short", "none", "order", "half"]
)
def test_epochs_that_do_not_fit_the_checkpoints_are_refused(tmp_path, states, epochs):
    content = {"state_dicts": [nanda_state(network(seed)[2]) for seed in range(states)], "epochs": epochs}
    with pytest.raises(GrokinterpError, match="save the file again"):
        import_run(save(content, tmp_path / "run.pth"), tmp_path / "run")


def test_the_split_is_that_of_pythons_own_shuffle():
    for seed in (0, 1, 12):
        assert (shuffled_mask(11, 0.3, seed) == python_split(11, 0.3, seed)[1]).all()


def test_the_published_run_in_low_precision(foreign, tmp_path):
    path = foreign / "nanda" / "low_precision_mod_addition.pth"
    report = import_run(path, tmp_path / "run")
    run = gi.open(tmp_path / "run")
    assert (report.format, report.steps) == ("nanda", (50000,))
    assert report.recomputed["loss"] == pytest.approx(0.0029, abs=5e-5)
    assert report.recomputed["accuracy"] == pytest.approx(0.99945, abs=1e-5)
    assert list(run.key_frequencies.ks) == [3, 6, 9, 23, 39]
    assert (run.config.task.operation, run.config.model.activation) == ("x+y", "relu")
    about = run.rundir.read_provenance()
    assert about["source"] == {"name": path.name, "sha256": {path.name: about["source"]["sha256"][path.name]}}
    rows = [json.loads(line) for line in run.rundir.metrics_path.read_text().splitlines()]
    assert [sum("test_loss" in row for row in rows), len(rows)] == [5001, 50001]


def test_its_split_is_that_of_seed_1(foreign, tmp_path):
    """Its losses go on where the recorded ones ended: .000290, .000297 on train, .00458, .00425 on test."""
    report = import_run(foreign / "nanda" / "low_precision_mod_addition.pth", tmp_path / "run")
    assert "Python's shuffle with seed 1 and frac_train 0.3" in " ".join(report.notes)
    assert report.recomputed["train_loss"] == pytest.approx(0.0003045, rel=1e-3)
    assert report.recomputed["test_loss"] == pytest.approx(0.003995, rel=1e-3)
    run = gi.open(tmp_path / "run")
    assert run.train_mask.sum() == run.config.task.n_train == 3830


def test_a_file_of_losses_alone_is_refused_and_said_to_hold_no_weights(foreign, tmp_path):
    with pytest.raises(GrokinterpError, match=r"no weights, only a list of 2 \(a list of 10 numbers; a list of 20"):
        import_run(foreign / "nanda" / "mod_addition_frac_train_sweep.pth", tmp_path / "run")
    assert not list(tmp_path.iterdir())
