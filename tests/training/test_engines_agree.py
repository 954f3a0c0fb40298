"""Whole trainings with both engines: the same losses, up to what rounding alone does."""

import numpy as np
import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.training import trainer

COLUMNS = ["train_loss", "test_loss", "weight_norm"]
CASES = {
    "one block, relu": {"task": {"p": 13}},
    "one block, relu, biases, minibatches": {
        "task": {"p": 11, "operation": "x-y", "layout": "a op b ="},
        "model": {"biases": "all", "d_head": 5, "d_mlp": 128},
        "train": {"batch_size": 32},
    },
    "two blocks, gelu, biases, minibatches": {
        "task": {"p": 11, "operation": "x/y", "layout": "a op b ="},
        "model": {"n_layers": 2, "activation": "gelu", "biases": "all", "d_head": 5, "causal": False},
        "train": {"batch_size": 32},
    },
}


def case(name, **train):
    changes = CASES[name]
    fixed = {"steps": 200, "eval_every": 5, "checkpoint_every": 200, "checkpoint_dense": 0, "resume_every": 1000}
    sections = {**changes, "train": {**changes.get("train", {}), **fixed, **train}}
    return small_config(**sections)


def metrics(folder, config):
    table = gi.train(config, folder, show_progress=False).metrics
    assert len(table) == 41
    return table[COLUMNS].to_numpy()


@pytest.mark.parametrize("name", CASES)
def test_200_steps_in_float64_agree_to_1e_9(tmp_path, name):
    fast, hooked = (
        metrics(tmp_path / engine, case(name, engine=engine, dtype="float64")) for engine in ("fast", "hooked")
    )
    assert np.abs(fast - hooked).max() < 1e-9
    assert fast[-1, 0] < 0.5 * fast[0, 0]  # it learnt something, so there was something to differ in


def _one_ulp_away(init_weights):
    def perturbed(*args, **kwargs):
        weights, stream = init_weights(*args, **kwargs), torch.Generator().manual_seed(8)
        for name, value in weights.items():
            up = torch.rand(value.shape, generator=stream) < 0.5
            towards = torch.where(up, torch.inf, -torch.inf).to(value.dtype)
            weights[name] = torch.where(value == 0, value, torch.nextafter(value, towards))
        return weights

    return perturbed


@pytest.mark.parametrize("name", CASES)
def test_in_float32_the_engines_differ_by_no_more_than_rounding_does(tmp_path, monkeypatch, name):
    fast, hooked, exact = (
        metrics(tmp_path / f"{engine}{dtype}", case(name, engine=engine, dtype=dtype))
        for engine, dtype in (("fast", "float32"), ("hooked", "float32"), ("hooked", "float64"))
    )
    monkeypatch.setattr(trainer, "init_weights", _one_ulp_away(trainer.init_weights))
    nudged = metrics(tmp_path / "nudged", case(name, engine="hooked", dtype="float32"))

    def deviation(one, other):
        return np.abs(one - other).max(axis=0) / np.abs(hooked).max(axis=0)

    yardstick = np.maximum(deviation(nudged, hooked), deviation(hooked, exact))
    assert (yardstick > 0).all()
    assert (deviation(fast, hooked) <= 10 * yardstick).all(), (deviation(fast, hooked), yardstick)
    assert (deviation(fast, exact) <= 10 * yardstick).all()
