"""Replicas trained together against the same runs trained one at a time."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from together import assert_agrees, config_of, train_both

import grokinterp as gi
from grokinterp.runs.rundir import RunDir
from grokinterp.training import replica_group
from grokinterp.training.replica_group import ReplicaGroup
from grokinterp.training.trainer import build_trainer

R = 2


def rates_apart(config):
    """Two replicas with different seeds, learning rates and weight decays, one of which is 0."""
    one, other = (replica.model_dump() for replica in gi.replica_configs(config, R))
    other["optimizer"] |= {"lr": 0.4 * config.optimizer.lr, "weight_decay": 0.0}
    return [gi.RunConfig.from_mapping(one), gi.RunConfig.from_mapping(other)]


SGD = {"name": "sgd", "lr": 0.03, "momentum": 0.9, "weight_decay": 0.01}
CASES = {
    "one layer": config_of(),
    "two layers, a op b =": config_of(
        task={"layout": "a op b ="},
        model={"n_layers": 2, "biases": "all", "activation": "gelu"},
        optimizer={"schedule": "cosine", "warmup_steps": 5},
    ),
    "two layers, a b, not causal, sgd": config_of(
        task={"layout": "a b"}, model={"n_layers": 2, "causal": False}, optimizer=SGD
    ),
    "uniform attention, minibatches, adam, stablemax, outliers": config_of(
        task={"outliers": 4, "operation": "x/y"},
        model={"attention_rate": 0.5, "biases": "mlp"},
        optimizer={"name": "adam"},
        train={"batch_size": 9, "loss": "stablemax"},
    ),
    "three terms": config_of(task={"operation": "x+y+z", "p": 4}),
    "one-hot mlp, shuffled labels": config_of(
        task={"shuffle_labels": True}, model={"kind": "mlp", "d_hidden": 24}, train={"batch_size": "auto"}
    ),
    "mlp of embeddings, sgd, squared error": config_of(
        model={"kind": "mlp", "d_hidden": 24, "input": "embedding", "d_model": 12, "activation": "square"},
        optimizer=SGD,
        train={"loss": "mse"},
    ),
    "lstm": config_of(model={"kind": "lstm", "n_layers": 2, "d_hidden": 12, "d_model": 10}),
}


@pytest.mark.parametrize("name", CASES)
def test_in_float64_replicas_are_the_single_runs_to_1e_9(name, tmp_path):
    configs = rates_apart(CASES[name])
    runs = train_both(configs, tmp_path)
    for (one, other), config in zip(runs, configs, strict=True):
        assert_agrees(one, other, 1e-9)
        assert one.config == config
        mine, theirs = (load_file(run.rundir.checkpoint_path(100)) for run in (one, other))
        assert mine.keys() == theirs.keys()
        assert all(torch.allclose(mine[key], theirs[key], rtol=0, atol=1e-8) for key in mine)
    first, second = ([row.metrics["train_loss"].iloc[i] for row, _ in runs] for i in (0, -1))
    assert len(set(first)) == len(set(second)) == R  # seeds of their own
    assert all(end < start for start, end in zip(first, second, strict=True))


@pytest.mark.parametrize("name", ["one layer", "lstm", "one-hot mlp, shuffled labels"])
def test_in_float32_the_first_50_steps_agree_to_1e_4(name, tmp_path):
    data = CASES[name].model_dump()
    data["train"] |= {"steps": 50, "dtype": "float32"}
    for one, other in train_both(rates_apart(gi.RunConfig.from_mapping(data)), tmp_path):
        assert_agrees(one, other, 1e-4)


def test_losses_in_float32_are_those_of_single_runs_too(tmp_path):
    config = config_of(train={"steps": 30, "loss_dtype": "float32", "dtype": "float32"})
    for one, other in train_both(gi.replica_configs(config, 2), tmp_path):
        assert_agrees(one, other, 1e-4)


def test_one_evaluation_of_all_is_the_evaluation_of_each(tmp_path, monkeypatch):
    configs = gi.replica_configs(config_of(task={"outliers": 5}), R)
    task = gi.build_task(configs[0].task)
    trainers = [build_trainer(c, task, RunDir(tmp_path / c.name), torch.device("cpu")) for c in configs]
    for chunk in (1, 7, 4096):  # of 49 pairs
        monkeypatch.setattr(replica_group, "CHUNK", chunk * R)
        for row, trainer in zip(ReplicaGroup(trainers).evaluate(), trainers, strict=True):
            expected = trainer.evaluate()
            assert row.keys() == expected.keys()
            assert np.allclose(list(row.values()), list(expected.values()), rtol=1e-13, atol=0)
