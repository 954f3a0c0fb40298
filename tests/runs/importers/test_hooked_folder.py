"""Folders and files of HookedTransformer state_dicts: steps from names, the network from shapes and by trying."""

import json

import pytest
import safetensors.torch
import torch
from layouts import logits, network, same_weights, save
from oracles import pizza_model

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.models.transformer import build_hooked, load_hooked
from grokinterp.runs.importers import import_run

ADDITION = {"task": {"operation": "x+y"}, "model": {"activation": "relu"}}


def series(tmp_path, names, wrap=lambda weights, seed: weights):
    """A folder with a network of each seed under its name."""
    folder = tmp_path / "ckpts"
    folder.mkdir()
    for seed, name in enumerate(names):
        weights = wrap(network(seed)[2], seed)
        if name.endswith(".safetensors"):
            safetensors.torch.save_file(weights, folder / name)
        else:
            save(weights, folder / name)
    return folder


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["step_0.pt", "step_100.pt", "step_1000.pt"], [0, 100, 1000]),
        (["epoch=5.ckpt", "epoch=50.ckpt", "epoch=100.ckpt"], [5, 50, 100]),
        (["epoch=1-step=10.ckpt", "epoch=2-step=20.ckpt"], [10, 20]),
        (["model_0.safetensors", "model_100.safetensors"], [0, 100]),
        (["run2_7.pth", "run2_12.pth"], [7, 12]),
        (["init.pt", "3.pt", "final.pt"], [0, 3, 4]),
    ],
)
def test_steps_come_from_the_names(tmp_path, names, steps):
    report = import_run(series(tmp_path, names), tmp_path / "run", given=ADDITION)
    run = gi.open(tmp_path / "run")
    assert (report.format, run.steps) == ("hooked_folder", steps)
    order = sorted(
        range(len(names)), key=lambda seed: dict(zip(names, steps_of(names, steps), strict=True))[names[seed]]
    )
    assert all(same_weights(run, step, network(seed)[2]) for step, seed in zip(steps, order, strict=True))


def steps_of(names, steps):
    """The tests name their files in step order."""
    assert len(names) == len(steps)
    return steps


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights, seed: {"model": weights, "step": seed},
        lambda weights, seed: {"state_dict": {f"model.{name}": value for name, value in weights.items()}},
        lambda weights, seed: {"model_state_dict": weights, "epoch": 10 * seed, "optimizer": None},
        lambda weights, seed: {**weights, "blocks.0.attn.mask": torch.ones(3, 3).tril().bool()},
    ],
    ids=["model", "lightning", "model_state_dict", "buffers"],
)
def test_state_dicts_may_be_wrapped(tmp_path, wrap):
    import_run(series(tmp_path, ["step_1.pt", "step_2.pt"], wrap), tmp_path / "run", given=ADDITION)
    run = gi.open(tmp_path / "run")
    assert [same_weights(run, step, network(seed)[2]) for seed, step in enumerate(run.steps)] == [True, True]


def test_one_file_is_one_checkpoint_and_says_its_step(tmp_path):
    path = save({"model": network()[2], "epoch": 40, "train_loss": 0.5, "test_loss": 2.0}, tmp_path / "x.pt")
    import_run(path, tmp_path / "run", given=ADDITION)
    run = gi.open(tmp_path / "run")
    assert (run.steps, run.config.train.steps) == ([40], 40)
    assert run.metrics[["step", "train_loss", "test_loss"]].to_numpy().tolist() == [[40, 0.5, 2.0]]


@pytest.mark.parametrize("layout", ["a b", "a b =", "a op b ="])
@pytest.mark.parametrize("normalization", ["none", "LN"])
def test_the_network_follows_from_the_shapes(tmp_path, layout, normalization):
    changes = {"n_layers": 2, "d_model": 12, "n_heads": 3, "d_mlp": 20, "normalization": normalization, "biases": "all"}
    config, task, weights = network(3, task={"layout": layout, "p": 5}, model=changes)
    import_run(save(weights, tmp_path / "x.pt"), tmp_path / "run", given=ADDITION)
    run = gi.open(tmp_path / "run")
    assert run.config.model.model_copy(update={"init_seed": 3}) == config.model
    assert (run.config.task.p, run.config.task.layout) == (5, layout)
    assert same_weights(run, 0, weights)
    assert (logits(run.config, run.task, run.weights(0)) - logits(config, task, weights)).abs().max() <= 1e-12


def test_a_real_hooked_transformers_state_dict_has_buffers_that_say_nothing_of_its_attention(tmp_path):
    config, task, weights = network(model={"causal": False, "biases": "none", "n_layers": 2})
    path = save(load_hooked(config.model, task.layout, weights).state_dict(), tmp_path / "x.pt")
    report = import_run(path, tmp_path / "guessed", given=ADDITION)
    assert any("attention is taken to be causal" in note for note in report.notes)
    import_run(path, tmp_path / "run", given={**ADDITION, "model": {"activation": "relu", "causal": False}})
    run = gi.open(tmp_path / "run")
    assert same_weights(run, 0, weights)
    assert torch.equal(logits(run.config, run.task, run.weights(0)), logits(config, task, weights))


@pytest.mark.parametrize("name", ["cfg.json", "config.json"])
def test_a_config_beside_it_says_what_shapes_do_not(tmp_path, name):
    cfg = {"d_model": 16, "act_fn": "gelu", "normalization_type": "LNPre", "attention_dir": "bidirectional"}
    (tmp_path / name).write_text(json.dumps(cfg))
    report = import_run(save(network()[2], tmp_path / "x.pt"), tmp_path / "run", given={"task": {"operation": "x+y"}})
    run = gi.open(tmp_path / "run")
    model = run.config.model
    assert (model.activation, model.normalization, model.causal) == ("gelu", "LN", False)
    assert bool((run.weights(0)["ln_final.w"] == 1).all())
    assert any("folded" in note for note in report.notes)
    assert set(run.rundir.read_provenance()["source"]["sha256"]) == {"x.pt", name}


def test_the_operation_that_a_network_computes_is_found(tmp_path, grokked_run):
    """Of one that was trained; subtraction is the same network with the second operand's embedding turned round."""
    weights, p = grokked_run.weights(grokked_run.steps[-1]), grokked_run.config.task.p
    report = import_run(save(weights, tmp_path / "add.pt"), tmp_path / "add")
    assert gi.open(tmp_path / "add").config.task.operation == "x+y"
    assert gi.open(tmp_path / "add").config.model.activation == "relu"
    expected = grokked_run.table("accuracy_loss").query("split == 'all'").iloc[-1]
    assert report.recomputed["accuracy"] == expected["accuracy"]
    assert report.recomputed["loss"] == pytest.approx(expected["loss"], rel=1e-9)
    assert any(
        f"operation x+y; of those tried this fits best, with accuracy {expected['accuracy']:.4f}" in n
        for n in report.notes
    )
    assert p == gi.open(tmp_path / "add").config.task.p


def test_an_untrained_network_computes_nothing_that_could_be_recognised(tmp_path):
    config, _, weights = network(task={"p": 53})
    report = import_run(save(weights, tmp_path / "x.pt"), tmp_path / "run")
    assert report.recomputed["accuracy"] < 3 / config.task.p
    assert gi.open(tmp_path / "run").config.task.operation == "x+y"
    assert any("so this is a guess; the best is at chance" in note for note in report.notes)


def test_what_is_given_wins(tmp_path):
    given = {
        "task": {"operation": "x.y", "group": "C7"},
        "model": {"activation": "gelu"},
        "optimizer": {"weight_decay": 0.5},
    }
    import_run(save(network()[2], tmp_path / "x.pt"), tmp_path / "run", given=given)
    config = gi.open(tmp_path / "run").config
    assert (config.task.group, config.model.activation, config.optimizer.weight_decay) == ("C7", "gelu", 0.5)


def test_more_outputs_than_answers_are_kept(tmp_path):
    task = gi.build_task(gi.TaskConfig(p=7))
    model = build_hooked(network()[0].model, task.layout, 8)
    weights = {name: torch.randn(value.shape) for name, value in model.named_parameters()}
    import_run(save(weights, tmp_path / "x.pt"), tmp_path / "run", given=ADDITION)
    run = gi.open(tmp_path / "run")
    assert run.weights(0)["unembed.W_U"].shape == (16, 8)
    assert run.snapshot().logits.shape == (7, 7, 7)


def test_half_precision_becomes_single_exactly(tmp_path):
    weights = {name: value.half() for name, value in network()[2].items()}
    import_run(save(weights, tmp_path / "x.pt"), tmp_path / "run", given=ADDITION)
    found = gi.open(tmp_path / "run").weights(0)
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert all(torch.equal(found[name].half(), value) for name, value in weights.items())


def test_a_checkpoint_that_is_no_longer_numbers_is_left_out_and_named(tmp_path):
    folder = series(tmp_path, ["step_1.pt", "step_2.pt"])
    broken = network(1)[2]
    broken["embed.W_E"][0, 0] = torch.nan
    save(broken, folder / "step_2.pt")
    report = import_run(folder, tmp_path / "run", given=ADDITION)
    assert gi.open(tmp_path / "run").steps == [1]
    assert "the checkpoint of step 2 (step_2.pt) holds weights that are not numbers and is left out" in report.notes


def test_nothing_but_nan_is_refused(tmp_path):
    weights = {name: torch.full_like(value, torch.nan) for name, value in network()[2].items()}
    with pytest.raises(GrokinterpError, match="no checkpoint holds weights that are numbers"):
        import_run(save(weights, tmp_path / "x.pt"), tmp_path / "run", given=ADDITION)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pt"]


def test_weight_decay_in_the_optimizers_state_is_held_against_the_config(tmp_path):
    state = {"state": {}, "param_groups": [{"weight_decay": 0.01}]}
    report = import_run(
        save({"model": network()[2], "optimizer": state}, tmp_path / "x.pt"), tmp_path / "run", given=ADDITION
    )
    assert "weight decay is 0.01 in the optimizer's state and 1 in the config" in report.notes


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"blocks.0.mlp.W_in": None}, "networks here have an MLP in each block"),
        ({"blocks.0.mlp.W_gate": torch.ones(16, 32)}, "W_gate, which no network here has"),
        ({"pos_embed.W_pos": torch.ones(9, 16)}, "its sequences have 9 tokens"),
        ({"unembed.W_U": torch.ones(16, 3)}, r"unembed.W_U has shape \(16, 3\) in the file, and \(16, 7\) in"),
        ({"blocks.0.attn.W_K": None}, "the file has no blocks.0.attn.W_K"),
        ({"blocks.0.attn.b_X": torch.ones(3)}, "the file has blocks.0.attn.b_X, which a transformer for"),
        ({"blocks.0.mlp.b_in": torch.ones(32, dtype=torch.int64)}, "b_in of step 0 is no tensor of floats"),
        ({"blocks.7.mlp.b_in": torch.ones(32)}, "n_layers"),
    ],
)
def test_a_network_that_is_none_of_ours_is_refused_in_a_sentence(tmp_path, change, sentence):
    weights = {name: value for name, value in {**network()[2], **change}.items() if value is not None}
    with pytest.raises(GrokinterpError, match=sentence):
        import_run(save(weights, tmp_path / "x.pt"), tmp_path / "run", given=ADDITION)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pt"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"task": {"p": 97}}, "embed.W_E has shape"),
        ({"model": {"d_mlp": 99}}, "W_in has shape"),
        ({"model": {"kind": "mlp"}}, "holds a network of kind transformer, not mlp"),
        ({"task": {"operation": "x?y"}}, "x\\?y"),
        ({"task": 3}, "task is no section of fields"),
        ({"model": {"normalization": "LN"}, "task": {"layout": "a b"}}, "shape"),
    ],
)
def test_what_is_given_against_the_shapes_is_refused(tmp_path, given, sentence):
    with pytest.raises(GrokinterpError, match=sentence):
        import_run(save(network()[2], tmp_path / "x.pt"), tmp_path / "run", given=given)


def test_two_files_of_one_step_are_refused_and_a_copy_without_a_number_is_left_out(tmp_path):
    folder = series(tmp_path, ["step_5.pt", "last.ckpt"], lambda weights, seed: {"model": weights, "step": 5})
    report = import_run(folder, tmp_path / "run", given=ADDITION)
    assert any("last.ckpt is left out: step_5.pt is of the same step 5" in note for note in report.notes)
    save(network()[2], folder / "epoch_5.pt")
    with pytest.raises(GrokinterpError, match="are of one step; take one away"):
        import_run(folder, tmp_path / "run2", given=ADDITION)


def test_a_pizza_that_was_built_by_hand_is_recognised_by_what_it_computes(tmp_path):
    """Its logits are known in closed form: x+y, right everywhere."""
    model = pizza_model(11, ((1, 6.0), (2, 5.0), (4, 4.0)))
    report = import_run(save(model.state_dict(), tmp_path / "pizza.pt"), tmp_path / "run")
    config = gi.open(tmp_path / "run").config
    assert (config.task.operation, config.task.p, config.task.layout) == ("x+y", 11, "a b =")
    assert report.recomputed["accuracy"] == 1
