"""The learning rate, hand-written steps of each optimizer, decay towards the start, and what Muon trains."""

import math

import numpy as np
import pytest
import torch
from steppers import START as QUADRATIC_START
from steppers import B, Network, W, config_of, gradient_at, largest_difference, quadratic_config, quadratic_path

import grokinterp as gi
from grokinterp.training.optimizers import (
    Descent,
    build_optimizer,
    learning_rate,
    muon_matrices,
    set_rates,
    weight_decay,
)

START = np.array([0.5, -1.25, 2.0, 0.0])
SLOPES = [np.array([0.1, -3.0, 1e-4, 0.7]), np.array([-0.2, -1.0, 2e-4, 0.0]), np.array([0.3, 0.5, -1e-4, 4.0])]


def walk(config):
    """Weights after each of the SLOPES, in float64, with the warm-up of the config."""
    weights = torch.tensor(START, requires_grad=True)
    optimizer, seen = build_optimizer(config, [weights]), []
    for update, slope in enumerate(SLOPES):
        weights.grad = torch.tensor(slope)
        n = len(SLOPES)
        set_rates(optimizer, learning_rate(config, update, n), weight_decay(config, update, n))
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
        assert math.isclose(learning_rate(config, update, 1000), expected, rel_tol=1e-15)


@pytest.mark.parametrize(("warmup", "final", "steps"), [(0, 0.1, 40), (5, 0.0, 40), (10, 0.5, 12), (3, 1.0, 30)])
def test_the_cosine_is_that_of_torch_after_the_warm_up(warmup, final, steps):
    config = gi.OptimizerConfig(lr=0.02, warmup_steps=warmup, schedule="cosine", final_lr=final)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - 1 - warmup, eta_min=0.02 * final)
    for update in range(steps):
        if update < warmup:
            assert learning_rate(config, update, steps) == pytest.approx(0.02 * update / warmup)
            continue
        assert learning_rate(config, update, steps) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9, abs=1e-15)
        optimizer.step()
        schedule.step()
    assert learning_rate(config, steps - 1, steps) == pytest.approx(0.02 * final, abs=1e-18)


def test_a_cosine_without_room_after_the_warm_up_is_the_warm_up():
    config = gi.OptimizerConfig(lr=0.02, warmup_steps=9, schedule="cosine")
    assert [learning_rate(config, update, 10) for update in (0, 3, 9)] == pytest.approx([0.0, 0.02 / 3, 0.02])
    assert learning_rate(config, 4, 5) == pytest.approx(0.02 * 4 / 9)


def test_the_decay_falls_on_a_cosine_from_the_first_update_to_its_share_at_the_last():
    config = gi.OptimizerConfig(weight_decay=4.0, final_decay=0.25)
    assert [weight_decay(config, update, 5) for update in range(5)] == pytest.approx(
        [4.0, 4 - 3 * (1 - 0.5**0.5) / 2, 2.5, 1 + 3 * (1 - 0.5**0.5) / 2, 1.0]
    )
    assert weight_decay(config, 0, 1) == 4.0
    assert {weight_decay(gi.OptimizerConfig(weight_decay=2.0), update, 5) for update in range(5)} == {2.0}


def test_the_decay_of_each_update_enters_it():
    config = gi.OptimizerConfig(lr=0.1, weight_decay=2.0, final_decay=0.0, warmup_steps=0)
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer, kept = build_optimizer(config, [weight]), 1.0
    for update in range(4):
        weight.grad = torch.zeros(1, dtype=torch.float64)
        set_rates(optimizer, learning_rate(config, update, 4), weight_decay(config, update, 4))
        optimizer.step()
        kept *= 1 - 0.1 * weight_decay(config, update, 4)
        assert float(weight.detach()) == pytest.approx(kept, rel=1e-14)


def test_a_share_of_no_decay_is_refused():
    with pytest.raises(ValueError, match="final_decay needs a weight_decay above 0"):
        gi.OptimizerConfig(name="adam", final_decay=0.5)


def curvature():
    """The quadratic's Hessian and gradient at 0, from its linear gradient."""
    shapes = {W: (2, 3), B: (6,)}

    def gradient(x):
        parts = {W: x[:6].reshape(2, 3), B: x[6:]}
        return torch.cat([gradient_at(parts)[name].flatten() for name in shapes])

    at_zero = gradient(torch.zeros(12, dtype=torch.float64))
    return torch.stack([gradient(e) - at_zero for e in torch.eye(12, dtype=torch.float64)], dim=1), at_zero


def flat(weights):
    return torch.cat([weights[W].flatten(), weights[B].flatten()])


@pytest.mark.parametrize(("decay_to", "decay"), [("zero", 0.0), ("zero", 0.4), ("init", 0.4)])
def test_gradient_descent_on_a_quadratic_is_the_power_of_a_matrix(decay_to, decay):
    """p_t = p* + (1 - lr (A + wd))^t (p_0 - p*) with p* = (A + wd)^-1 (-g_0 + wd p_0), or wd 0 without p_0."""
    path, _ = quadratic_path(quadratic_config({"weight_decay": decay, "decay_to": decay_to}), 25)
    hessian, at_zero = curvature()
    start, eye = flat(QUADRATIC_START), torch.eye(12, dtype=torch.float64)
    pull = decay * start if decay_to == "init" else torch.zeros_like(start)
    limit = torch.linalg.lstsq(hessian + decay * eye, pull - at_zero).solution
    contraction = eye - 0.1 * (hessian + decay * eye)
    for t in (1, 2, 10, 25):
        expected = limit + torch.linalg.matrix_power(contraction, t) @ (start - limit)
        assert (flat(path[t]) - expected).abs().max() < 1e-13


def test_momentum_adds_up_the_decay_to_the_start_as_part_of_the_gradient():
    config = quadratic_config({"weight_decay": 0.4, "decay_to": "init", "momentum": 0.9})
    path, _ = quadratic_path(config, 20)
    weights, velocity = path[0], {W: 0.0, B: 0.0}
    for found in path[1:]:
        g = gradient_at(weights)
        velocity = {n: 0.9 * velocity[n] + g[n] + 0.4 * (weights[n] - QUADRATIC_START[n]) for n in g}
        weights = {n: weights[n] - 0.1 * velocity[n] for n in g}
        assert largest_difference(weights, found) < 1e-13


def test_adamw_that_decays_to_the_start_is_the_hand_written_loop():
    config = gi.OptimizerConfig(lr=0.1, weight_decay=0.5, decay_to="init", eps=1e-6, warmup_steps=2)
    leaf = torch.tensor(START, requires_grad=True)
    descent, w, m, v = Descent(config, {"embed.W_E": leaf}, 3), START.copy(), np.zeros(4), np.zeros(4)
    for t, g in enumerate(SLOPES, start=1):
        lr = (0.0, 0.05, 0.1)[t - 1]
        m, v = 0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g * g
        w = w + (START - w) * lr * 0.5
        w = w - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.98**t)) + 1e-6)
        leaf.grad = torch.tensor(g)
        assert descent.step(t - 1) == pytest.approx(lr)
        assert np.abs(leaf.detach().numpy() - w).max() < 1e-14


def test_with_gradients_of_zero_the_weights_stay_at_the_start_or_go_to_zero():
    for name in ("adamw", "sgd", "muon"):
        for decay_to, expected in (("init", 1.0), ("zero", 0.9**5)):
            config = gi.OptimizerConfig(name=name, lr=0.1, weight_decay=1.0, decay_to=decay_to, warmup_steps=0)
            config = config.model_copy(update={"momentum": 0.0})
            leaf = torch.ones(4, 4, requires_grad=True)
            descent = Descent(config, {W: leaf}, 5)
            for update in range(5):
                leaf.grad = torch.zeros(4, 4)
                descent.step(update)
            assert torch.allclose(leaf.detach(), torch.tensor(expected), rtol=1e-6), (name, decay_to)


MUON = {"name": "muon", "weight_decay": 0.0, "lr": 0.01, "warmup_steps": 0}


def with_gradients(network, seed):
    stream = torch.Generator().manual_seed(seed)
    for name in network.trained:
        weight = network.weights[name]
        weight.grad = torch.randn(weight.shape, generator=stream, dtype=weight.dtype)


def test_muon_trains_the_matrices_inside_the_blocks_and_adamw_the_rest():
    network = Network(config_of(MUON, model={"n_layers": 2, "biases": "all", "normalization": "LN"}))
    found = {name: len(muon_matrices(name, network.weights[name])) for name in network.trained}
    inside = {name.rpartition(".")[2]: n for name, n in found.items() if n}
    assert inside == {"W_Q": 2, "W_K": 2, "W_V": 2, "W_O": 2, "W_in": 1, "W_out": 1}
    assert not any(found[name] for name in ("embed.W_E", "pos_embed.W_pos", "unembed.W_U", "blocks.0.attn.b_Q"))
    lstm = Network(config_of(MUON, model={"kind": "lstm", "d_hidden": 5, "d_model": 6}))
    found = {name: len(muon_matrices(name, lstm.weights[name])) for name in lstm.trained}
    assert {name for name, n in found.items() if n} == {"blocks.0.lstm.W_ih", "blocks.0.lstm.W_hh"}


def test_muon_s_update_of_each_head_has_singular_values_near_one_by_the_shape_of_out_and_in():
    network = Network(config_of(MUON, model={"d_model": 16, "n_heads": 2, "d_mlp": 64}))
    descent = Descent(network.config.optimizer, {n: network.weights[n] for n in network.trained}, 5)
    before = {name: network.weights[name].detach().clone() for name in network.trained}
    with_gradients(network, 0)
    descent.step(0)
    factors = {"W_Q": 1.0, "W_K": 1.0, "W_V": 1.0, "W_O": math.sqrt(2), "W_in": 2.0, "W_out": 1.0}
    for name, factor in factors.items():
        full = next(n for n in network.trained if n.endswith(name))
        moved = (before[full] - network.weights[full].detach()) / 0.01
        for matrix in moved if moved.dim() == 3 else [moved]:
            values = torch.linalg.svdvals(matrix) / factor
            assert 0.6 < float(values.min()) <= float(values.max()) < 1.3, name
            g = network.weights[full].grad
            g = g if g.dim() == 3 else g[None]
            assert max(float((matrix * h).sum()) for h in g) > 0  # downhill


def test_muon_is_torch_s_muon_on_each_head_and_torch_s_adamw_on_the_rest():
    optimizer = {**MUON, "weight_decay": 0.5, "betas": (0.8, 0.9)}
    network = Network(config_of(optimizer, model={"biases": "all"}))
    trained = {name: network.weights[name] for name in network.trained}
    descent, muons, adams = Descent(network.config.optimizer, trained, 5), {}, {}
    for name, weight in trained.items():
        value = weight.detach().clone()
        if "blocks." in name and ".W_" in name:
            muons[name] = [head.T.clone() for head in (value if value.dim() == 3 else [value])]
        else:
            adams[name] = value
    matrices = [matrix for found in muons.values() for matrix in found]
    by_muon = torch.optim.Muon(matrices, lr=0.01, weight_decay=0.5, momentum=0.95)
    by_adam = torch.optim.AdamW(list(adams.values()), lr=0.01, betas=(0.8, 0.9), weight_decay=0.5)
    for update in range(5):
        with_gradients(network, update)
        for name, found in muons.items():
            gradient = trained[name].grad
            for matrix, part in zip(found, gradient if gradient.dim() == 3 else [gradient], strict=True):
                matrix.grad = part.T.clone()
        for name, value in adams.items():
            value.grad = trained[name].grad.clone()
        descent.step(update)
        by_muon.step()
        by_adam.step()
    for name, found in muons.items():
        ours = trained[name].detach()
        for matrix, part in zip(found, ours if ours.dim() == 3 else [ours], strict=True):
            assert torch.allclose(part.T, matrix, rtol=0, atol=1e-6), name  # strides differ, and bfloat16 rounds alike
    for name, value in adams.items():
        assert torch.allclose(trained[name].detach(), value, rtol=1e-5, atol=1e-7), name


def test_the_learning_rate_of_an_update_reaches_muon_and_adamw():
    network = Network(config_of({**MUON, "warmup_steps": 2, "lr": 0.05}))
    start = {name: network.weights[name].detach().clone() for name in network.trained}
    moved = []
    for step in range(3):
        network.train(step, step + 1)
        moved.append({name: float((network.weights[name].detach() - start[name]).norm()) for name in network.trained})
    assert set(moved[0].values()) == {0.0}
    assert all(value > 0 for value in moved[1].values())
