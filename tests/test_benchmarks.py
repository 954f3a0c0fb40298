"""The baselines that the benchmarks compare with compute what they are said to, and each benchmark is there."""

import importlib

import pytest
import torch
from conftest import small_config

import grokinterp as gi
from benchmarks.__main__ import NAMES
from benchmarks.clock import interleaved, ratio, spread
from benchmarks.dense import DenseAnalysis
from benchmarks.training_step import by_autograd, trainer_of
from benchmarks.usual import UsualLoop, usual_model
from grokinterp.runs.rundir import RunDir


@pytest.mark.parametrize("name", NAMES)
def test_each_benchmark_is_a_module_with_a_main(name):
    assert callable(importlib.import_module(f"benchmarks.{name}").main)


def test_the_usual_step_is_ours():
    """From the same weights, the demo's loop has the same losses as our trainer, step by step."""
    config = small_config(
        task={"p": 13, "frac_train": 0.6},
        model={"d_model": 128, "n_heads": 4, "d_mlp": 512},
        optimizer={"lr": 1e-3, "weight_decay": 1.0, "warmup_steps": 0},
    )
    loop, trainer = UsualLoop(config), trainer_of(config)
    with torch.no_grad():
        for name, parameter in loop.model.named_parameters():
            parameter.copy_(trainer.weights[name])
    for _ in range(5):
        row = trainer.evaluate()
        assert loop.loss(loop.train, loop.train_labels).item() == pytest.approx(row["train_loss"], rel=1e-5)
        assert loop.loss(loop.test, loop.test_labels).item() == pytest.approx(row["test_loss"], rel=1e-5)
        loop.epoch()
        trainer.update()


def test_by_autograd_and_by_hand_take_the_same_step():
    config = small_config(task={"p": 13}, train={"dtype": "float64"})
    one, other = by_autograd(trainer_of(config)), trainer_of(config)
    for _ in range(3):
        one.update()
        other.update()
    for name, weight in one.weights.items():
        assert torch.allclose(weight, other.weights[name], rtol=0, atol=1e-12), name


def test_the_dense_code_has_the_columns_of_our_tables(grokked_run):
    """Same numbers, so the two are timed at the same work (its network is in float32, and read at its end)."""
    step = grokked_run.steps[-1]
    found = DenseAnalysis(grokked_run)(grokked_run.model(step))

    def at_end(table, **where):
        rows = grokked_run.table(table)
        rows = rows[rows["step"] == step]
        for column, value in where.items():
            rows = rows[rows[column] == value]
        return rows

    for i, split in enumerate(("train", "test")):
        (row,) = at_end("accuracy_loss", split=split).itertuples()
        assert found["losses"][i] == pytest.approx(row.loss, rel=1e-2)
        assert found["losses"][2 + i] == pytest.approx(row.accuracy)
    components = at_end("embedding_spectrum.components", matrix="W_E").sort_values("k")
    assert found["fourier_norms"][1::2].tolist() == pytest.approx(components["cos_norm"][1:].tolist(), rel=1e-4)
    (total,) = at_end("weight_norm", group="total").itertuples()
    assert found["squared_weights"] == pytest.approx(total.sum_of_squares, rel=1e-5)
    (logits,) = at_end("logit_spectrum").itertuples()
    assert float(found["cosine_fve"]) == pytest.approx(logits.cosine_fve, abs=1e-4)
    pure = int((found["neuron_share"].max(dim=0).values >= 0.85).sum())
    of_each = at_end("neuron_frequencies", threshold=0.85)
    of_each = of_each[of_each["k"] > 0]
    assert pure == int(of_each["n_neurons"].sum())


def test_the_usual_model_is_the_demos():
    model = usual_model(7)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if p.requires_grad}
    assert shapes["embed.W_E"] == (8, 128)
    assert shapes["unembed.W_U"] == (128, 7)
    assert not any("b_" in name for name in shapes)


def test_contenders_have_turns_and_ratios_are_taken_turn_by_turn():
    turns = []
    found = interleaved({"a": lambda: turns.append("a"), "b": lambda: turns.append("b")}, rounds=3, calls=2, warm_up=1)
    assert "".join(turns) == "aabb" * 4
    assert {name: len(values) for name, values in found.items()} == {"a": 3, "b": 3}
    assert ratio([2.0, 9.0, 8.0], [1.0, 3.0, 2.0]) == {"median": 3.0, "q25": 2.5, "q75": 3.5, "n": 3}
    assert spread([4.0])["q25"] == 4.0


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer_of(gi.presets.ci())
    assert not RunDir(tmp_path).exists()
    assert list(tmp_path.iterdir()) == []
