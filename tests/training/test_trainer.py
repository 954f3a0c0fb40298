"""What is trained on and what is measured, where the two are not the same."""

import numpy as np
import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.models.dropout import Dropout
from grokinterp.overrides import override
from grokinterp.runs.rundir import RunDir
from grokinterp.training.evaluate import Evaluator
from grokinterp.training.trainer import Trainer, build_trainer


def trainer_of(tmp_path, **changes) -> Trainer:
    config = override(small_config(), changes)
    return build_trainer(config, gi.build_task(config.task), RunDir(tmp_path / "run"), torch.device("cpu"))


@pytest.mark.parametrize("layout", ["a b =", "a op b =", "a b"])
def test_the_sequence_has_the_next_token_at_each_position_and_the_answer_at_the_last(layout, tmp_path):
    trainer = trainer_of(tmp_path, task={"layout": layout}, train={"loss_on": "sequence"})
    task, pairs = trainer.task, trainer.train_pairs
    tokens = task.layout.tokens(pairs.left.numpy(), pairs.right.numpy())
    answers = task.table[pairs.left.numpy(), pairs.right.numpy()]
    assert pairs.label.tolist() == np.concatenate([tokens[:, 1:], answers[:, None]], axis=1).tolist()


def test_the_loss_on_the_sequence_is_the_mean_of_the_cross_entropies_at_all_positions(tmp_path):
    trainer = trainer_of(tmp_path, train={"loss_on": "sequence", "dtype": "float64"})
    pairs = trainer.train_pairs
    model = gi.build_model(trainer.config).double()
    logits = model(torch.from_numpy(trainer.task.layout.tokens(pairs.left.numpy(), pairs.right.numpy())))
    assert logits.shape[2] == trainer.task.layout.d_vocab
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), pairs.label.flatten())
    loss.backward()
    trainer.stepper.update(pairs, 0)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(trainer.weights[name].grad, parameter.grad, rtol=1e-9, atol=1e-12)


def test_measured_is_the_answer_among_the_answers(tmp_path):
    trainer = trainer_of(tmp_path, train={"loss_on": "sequence", "dtype": "float64"})
    before = trainer.evaluate()
    with torch.no_grad():
        trainer.weights["unembed.b_U"][trainer.task.n_answers :] = 50.0  # '=' would win if it were an answer
    assert trainer.evaluate()["test_loss"] == before["test_loss"]
    assert trainer.evaluate()["test_accuracy"] == before["test_accuracy"]


@pytest.mark.parametrize("model", [{}, {"kind": "mlp", "d_hidden": 16}])
def test_dropout_is_trained_through_and_not_measured(model, tmp_path):
    dropped = trainer_of(tmp_path / "a", model=model, regularizer={"dropout": 0.5})
    plain = trainer_of(tmp_path / "b", model=model)
    assert dropped.evaluate()["test_loss"] == pytest.approx(plain.evaluate()["test_loss"], rel=1e-6)
    for trainer in (dropped, plain):
        trainer.update()
        trainer.update()
    one, other = (next(w for n, w in t.weights.items() if n.endswith("W_in")) for t in (dropped, plain))
    assert float((one - other).detach().norm()) > 1e-3 * float(other.detach().norm())
    assert dropped.evaluate() == dropped.evaluate()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_a_share_and_keeps_the_mean(rate):
    drop, x = Dropout(rate, seed=3), torch.ones(200, 200)
    y = drop(x)
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)])
    assert float((y == 0).double().mean()) == pytest.approx(rate, abs=4 * (rate * (1 - rate)) ** 0.5 / 200)
    assert not torch.equal(drop(x), y)
    assert torch.equal(Dropout(rate, seed=3)(x), y)


def test_residual_dropout_acts_on_what_each_sublayer_adds(tmp_path):
    """With everything dropped but nothing, the stream is the embedding alone."""
    trainer = trainer_of(tmp_path, model={"n_layers": 2}, regularizer={"dropout": 0.5})
    trainer.dropout.rate = 1 - 1e-12  # so that all masks are 0
    left, right = trainer.pairs.left, trainer.pairs.right
    w = trainer.weights
    with torch.no_grad():
        logits = trainer.stepper._differentiate._forward(w, left, right)
    last = (w["embed.W_E"][trainer.task.layout.slots[-1].token] + w["pos_embed.W_pos"][-1]) @ w["unembed.W_U"]
    torch.testing.assert_close(logits, last.detach().expand_as(logits), rtol=1e-5, atol=1e-5)


def test_training_metrics_are_by_the_labels_and_test_metrics_by_the_answers(tmp_path):
    trainer = trainer_of(tmp_path, task={"outliers": 8})
    truth = torch.from_numpy(trainer.task.table[trainer.task.pairs()])
    changed = trainer.pairs.label != truth
    assert 0 < int(changed.sum()) <= 8
    assert bool(trainer.is_train[changed].all())
    knows = Knows(torch.nn.functional.one_hot(trainer.pairs.label, trainer.task.n_answers).float() * 50)
    row = Evaluator(knows, trainer.pairs, trainer.is_train, torch.float64)(trainer.weights)
    assert (row["train_accuracy"], row["test_accuracy"]) == (1.0, 1.0)


class Knows:
    """A network with these logits."""

    any_dtype = True

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits

    def __call__(self, weights, left, right):
        return self.logits[left * 7 + right]

    def activations(self, weights, left, right):
        raise NotImplementedError
