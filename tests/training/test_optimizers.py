"""The warm-up and one hand-written step of each optimizer."""

import math

import numpy as np
import pytest
import torch

import grokinterp as gi
from grokinterp.training.optimizers import build_optimizer, learning_rate, set_learning_rate

START = np.array([0.5, -1.25, 2.0, 0.0])
SLOPES = [np.array([0.1, -3.0, 1e-4, 0.7]), np.array([-0.2, -1.0, 2e-4, 0.0]), np.array([0.3, 0.5, -1e-4, 4.0])]


def walk(config):
    """Weights after each of the SLOPES, in float64, with the warm-up of the config."""
    weights = torch.tensor(START, requires_grad=True)
    optimizer, seen = build_optimizer(config, [weights]), []
    for update, slope in enumerate(SLOPES):
        weights.grad = torch.tensor(slope)
        set_learning_rate(optimizer, learning_rate(config, update))
        optimizer.step()
        seen.append(weights.detach().numpy().copy())
    return np.array(seen)


def adam_by_hand(lrs, betas, eps, decay):
    """Loshchilov and Hutter 2019, algorithm 2: decay first, then the step of Adam."""
    w, m, v, seen = START.copy(), np.zeros(4), np.zeros(4), []
    for t, (g, lr) in enumerate(zip(SLOPES, lrs, strict=True), start=1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        w = w - lr * decay * w - lr * m_hat / (np.sqrt(v_hat) + eps)
        seen.append(w)
    return np.array(seen)


@pytest.mark.parametrize(
    ("lr", "decay", "betas"), [(0.01, 1.0, (0.9, 0.98)), (0.3, 0.0, (0.5, 0.999)), (5e-3, 2.0, (0.0, 0.9))]
)
def test_adamw_is_the_hand_written_update(lr, decay, betas):
    config = gi.OptimizerConfig(lr=lr, weight_decay=decay, betas=betas, eps=1e-6, warmup_steps=0)
    assert np.abs(walk(config) - adam_by_hand([lr] * 3, betas, 1e-6, decay)).max() < 1e-14


def test_adam_is_adamw_without_decay():
    config = gi.OptimizerConfig(name="adam", lr=0.02, eps=1e-7, warmup_steps=0)
    assert np.abs(walk(config) - adam_by_hand([0.02] * 3, (0.9, 0.98), 1e-7, 0.0)).max() < 1e-14


def test_sgd_decays_and_keeps_momentum_as_written():
    config = gi.OptimizerConfig(name="sgd", lr=0.1, weight_decay=0.01, momentum=0.9, warmup_steps=0)
    w, velocity, expected = START.copy(), np.zeros(4), []
    for slope in SLOPES:
        velocity = 0.9 * velocity + slope + 0.01 * w
        w = w - 0.1 * velocity
        expected.append(w)
    assert np.abs(walk(config) - np.array(expected)).max() < 1e-14


def test_the_warm_up_enters_the_updates():
    config = gi.OptimizerConfig(lr=0.1, weight_decay=1.0, eps=1e-6, warmup_steps=2)
    path = walk(config)
    assert np.array_equal(path[0], START)  # the first update runs at 0
    assert np.abs(path - adam_by_hand([0.0, 0.05, 0.1], (0.9, 0.98), 1e-6, 1.0)).max() < 1e-14


@pytest.mark.parametrize(
    ("warmup", "values"),
    [
        (10, {0: 0.0, 1: 0.002, 5: 0.01, 9: 0.018, 10: 0.02, 11: 0.02, 500: 0.02}),
        (0, {0: 0.02, 1: 0.02}),
        (1, {0: 0.0, 1: 0.02}),
    ],
)
def test_update_i_runs_at_lr_times_i_over_warmup(warmup, values):
    config = gi.OptimizerConfig(lr=0.02, warmup_steps=warmup)
    for update, expected in values.items():
        assert math.isclose(learning_rate(config, update), expected, rel_tol=1e-15)
