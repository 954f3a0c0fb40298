"""The file of TransformerLens's grokking demo."""

import json

import numpy as np
import pytest
import torch
from layouts import logits, losses, network, same_weights, save

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers import import_run

P, EPOCHS = 7, (1, 3, 5)
ADDITION = {"task": {"operation": "x+y"}}
CFG = {
    "n_layers": 1,
    "d_model": 16,
    "n_heads": 2,
    "d_head": 8,
    "d_mlp": 32,
    "act_fn": "relu",
    "normalization_type": None,
    "attention_dir": "causal",
    "dtype": torch.float32,
    "device": "cpu",
}


def split() -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """As they draw it: a permutation of the pairs, cut."""
    torch.manual_seed(598)
    order = torch.randperm(P * P)
    n_train = int(P * P * 0.3)
    mask = np.zeros(P * P, dtype=bool)
    mask[order[:n_train].numpy()] = True
    return order[:n_train], order[n_train:], mask.reshape(P, P)


def demo(**changes):
    """Six epochs; the network after update s has the seed s."""
    train, test, mask = split()
    found = [losses(*network(seed, model={"biases": "none"}), mask) for seed in range(7)]
    states = [_with_buffers(network(epoch + 1, model={"biases": "none"})[2]) for epoch in EPOCHS]
    return {
        "model": states[-1],
        "config": CFG,
        "checkpoints": states,
        "checkpoint_epochs": list(EPOCHS),
        "train_losses": [row["train_loss"] for row in found[:-1]],
        "test_losses": [row["test_loss"] for row in found[1:]],
        "train_indices": train,
        "test_indices": test,
        **changes,
    }


def _with_buffers(weights):
    buffers = {"blocks.0.attn.mask": torch.ones(3, 3).tril().bool(), "blocks.0.attn.IGNORE": torch.tensor(-torch.inf)}
    return {**weights, **buffers}


def test_every_checkpoint_is_of_the_step_after_its_epoch(tmp_path):
    report = import_run(save(demo(), tmp_path / "grok.pth"), tmp_path / "run", given=ADDITION)
    run = gi.open(tmp_path / "run")
    assert (report.format, run.steps) == ("tl_demo", [2, 4, 6])
    for step in run.steps:
        config, task, weights = network(step, model={"biases": "none"})
        assert same_weights(run, step, weights)
        assert torch.equal(logits(run.config, run.task, run.weights(step)), logits(config, task, weights))
    assert run.config.model == network(model={"biases": "none"})[0].model.model_copy(update={"init_seed": 0})
    assert run.config.optimizer.warmup_steps == 0


def test_its_split_and_its_curves_agree_with_its_weights(tmp_path):
    """A train loss is of the weights before the update, a test loss of those after it."""
    mask = split()[2]
    report = import_run(save(demo(), tmp_path / "grok.pth"), tmp_path / "run", given=ADDITION)
    run = gi.open(tmp_path / "run")
    assert (run.train_mask == mask).all()
    rows = run.metrics.set_index("step")
    for step in range(7):
        expected = losses(*network(step, model={"biases": "none"}), mask)
        for name in ("train_loss", "test_loss"):
            value = rows.loc[step, name]
            assert np.isnan(value) if (name, step) == ("test_loss", 0) else value == pytest.approx(expected[name])
    assert not [note for note in report.notes if "by the weights" in note]


def test_accuracies_that_it_does_not_have_are_recomputed_at_its_checkpoints(tmp_path):
    import_run(save(demo(), tmp_path / "grok.pth"), tmp_path / "run", given=ADDITION)
    rows = gi.open(tmp_path / "run").metrics.set_index("step")
    known = rows["test_accuracy"].dropna()
    assert list(known.index) == [2, 4, 6]
    expected = losses(*network(4, model={"biases": "none"}), split()[2])
    assert known[4] == expected["test_accuracy"]


def test_a_final_network_that_is_no_checkpoint_is_the_last_step(tmp_path):
    states = demo()["checkpoints"]
    content = demo(checkpoints=states[:2], checkpoint_epochs=[1, 3])
    import_run(save(content, tmp_path / "grok.pth"), tmp_path / "run")
    assert gi.open(tmp_path / "run").steps == [2, 4, 6]


def test_losses_that_the_weights_contradict_are_named_and_imported_all_the_same(tmp_path):
    content = demo(test_losses=[9.0] * 6)
    report = import_run(save(content, tmp_path / "grok.pth"), tmp_path / "run", given=ADDITION)
    (note,) = [note for note in report.notes if "by the weights" in note]
    assert note.startswith("test loss is 9 in the file")


def test_a_config_that_contradicts_the_shapes_is_named(tmp_path):
    report = import_run(save(demo(config={**CFG, "d_mlp": 512}), tmp_path / "grok.pth"), tmp_path / "run")
    assert "d_mlp is 512 in the file's config and 32 by the shapes of its tensors" in report.notes


def test_without_its_indices_the_split_is_not_known(tmp_path):
    content = demo()
    del content["train_indices"]
    report = import_run(save(content, tmp_path / "grok.pth"), tmp_path / "run", given=ADDITION)
    assert gi.open(tmp_path / "run").train_mask is None
    assert "train_loss" not in report.recomputed


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"checkpoint_epochs": [1, 3]}, "are not lists of one length"),
        ({"checkpoint_epochs": [1, 3, "last"]}, "are not state_dicts and epochs"),
        ({"train_indices": torch.arange(5)}, "are not the pairs of p elements, each once"),
        (
            {"train_indices": torch.arange(40), "test_indices": torch.arange(40, 64)},
            "pairs of 8 elements, but the task has 7",
        ),
        ({"train_indices": ["a"]}, "no list of indices"),
        ({"test_losses": [1.0, "x"]}, "test_losses is no list of numbers"),
        ({"config": {**CFG, "act_fn": "solu_ln"}}, "act_fn 'solu_ln', which no network here has"),
        ({"config": {**CFG, "normalization_type": "RMS"}}, "normalization_type 'RMS'"),
    ],
)
def test_what_is_no_file_of_the_demo_is_refused_in_a_sentence(tmp_path, change, sentence):
    with pytest.raises(GrokinterpError, match=sentence):
        import_run(save(demo(**change), tmp_path / "grok.pth"), tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grok.pth"]


def test_a_pickled_config_is_refused_with_the_line_that_saves_it_again(tmp_path):
    from transformer_lens import HookedTransformerConfig

    cfg = HookedTransformerConfig(n_layers=1, d_model=16, n_ctx=3, d_head=8, d_vocab=8, act_fn="relu")
    path = save(demo(config=cfg), tmp_path / "grok.pth")
    with pytest.raises(GrokinterpError, match=r"HookedTransformerConfig.*json.dumps\(vars") as refused:
        import_run(path, tmp_path / "run")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_config_saved_as_that_line_says_is_read(tmp_path):
    from transformer_lens import HookedTransformerConfig

    cfg = HookedTransformerConfig(
        n_layers=1, d_model=16, n_ctx=3, d_head=8, d_mlp=32, d_vocab=8, act_fn="gelu", attention_dir="bidirectional"
    )
    import_run(
        save(demo(config=json.loads(json.dumps(vars(cfg), default=str))), tmp_path / "grok.pth"), tmp_path / "run"
    )
    model = gi.open(tmp_path / "run").config.model
    assert (model.activation, model.causal) == ("gelu", False)
