"""One update: the plain path bit for bit, the order of what is added, and going on from a saved state."""

import pytest
import torch
from steppers import (
    B,
    Network,
    W,
    assert_same,
    autograd_stepper,
    config_of,
    copy_of,
    gradient_at,
    largest_difference,
    quadratic_config,
    quadratic_path,
)

from grokinterp.seeding import generator
from grokinterp.training.losses import cross_entropy
from grokinterp.training.optimizers import build_optimizer, learning_rate, set_rates, weight_decay

MLP = {"kind": "mlp", "d_hidden": 20}
PLAIN = {
    "adamw": config_of(),
    "adam in float64": config_of({"name": "adam", "weight_decay": 0.0}, train={"dtype": "float64"}),
    "sgd": config_of({"name": "sgd", "momentum": 0.9, "weight_decay": 0.01}, model={"biases": "all"}),
    "mlp": config_of(model=MLP, train={"loss_dtype": "float32"}),
}
ALL = {
    "weight_noise": 0.01,
    "sam_rho": 0.05,
    "orthogonal_gradient": True,
    "grokfast": "ema",
    "update_noise": 0.1,
    "norm": "initial",
}


@pytest.mark.parametrize("name", PLAIN)
def test_with_nothing_on_an_update_is_forward_backward_and_torch_s_step_bit_for_bit(name):
    config = PLAIN[name]
    ours, plain = Network(config), Network(config)
    leaves = [plain.weights[n] for n in plain.trained]
    optimizer = build_optimizer(config.optimizer, leaves)
    for step in range(14):
        ours.train(step, step + 1)
        batch = plain.batch(step)
        logits = plain.forward(plain.weights, batch.left, batch.right)
        loss = cross_entropy(logits, batch.label, getattr(torch, config.train.loss_dtype))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        set_rates(optimizer, learning_rate(config.optimizer, step, 40), weight_decay(config.optimizer, step, 40))
        optimizer.step()
        assert_same(ours.weights, plain.weights)


@pytest.mark.parametrize(
    ("regularizer", "passes"), [({}, 1), ({"grokfast": "ema", "norm": "initial"}, 1), ({"sam_rho": 0.1}, 2)]
)
def test_only_sam_takes_a_second_pass_and_the_plain_pass_copies_no_weights(regularizer, passes):
    path, forward = quadratic_path(quadratic_config(regularizer=regularizer), 5)
    assert len(path) == 6
    assert len(forward.seen) == 5 * passes
    first = forward.seen[::passes]
    assert all(weights is first[0] for weights in first)


def test_all_that_a_step_can_add_acts_in_the_stated_order():
    """A second implementation of an update, in plain arithmetic, with everything on at once."""
    optimizer = {"weight_decay": 0.3, "decay_to": "init", "warmup_steps": 3, "schedule": "cosine", "final_lr": 0.2}
    extra = {**ALL, "weight_noise": 0.2, "sam_rho": 0.3, "grokfast_lambda": 1.5, "grokfast_alpha": 0.7}
    config = quadratic_config(optimizer, extra, steps=20)
    path, _ = quadratic_path(config, 20)
    weights, mean = path[0], None
    start, norm = path[0], norm_of(path[0])
    weight_noise, update_noise = generator("weight noise", 3), generator("update noise", 3)
    for update, found in enumerate(path[1:]):
        noisy = {W: weights[W] + 0.2 * draw(weight_noise, weights[W]), B: weights[B]}
        uphill = gradient_at(noisy)
        g = gradient_at({name: noisy[name] + 0.3 * uphill[name] / norm_of(uphill) for name in noisy})
        flat, long = weights[W], g[W].norm()
        part = g[W] - (flat * g[W]).sum() / (flat * flat).sum() * flat
        g[W] = part * long / part.norm()  # the bias keeps its gradient
        mean = g if mean is None else {name: 0.7 * mean[name] + 0.3 * g[name] for name in g}
        g = {name: g[name] + 1.5 * mean[name] for name in g}
        g = {name: g[name] + 0.3 * (weights[name] - start[name]) for name in g}
        lr = learning_rate(config.optimizer, update, 20)
        weights = {name: weights[name] - lr * g[name] for name in g}
        weights = {name: value + lr * 0.1 * draw(update_noise, value) for name, value in weights.items()}
        weights = {name: value * norm / norm_of(weights) for name, value in weights.items()}
        assert largest_difference(weights, found) < 1e-12, update


def draw(stream, like):
    return torch.randn(like.shape, dtype=torch.float64, generator=stream)


def norm_of(weights):
    return torch.cat([value.flatten() for value in weights.values()]).norm()


RESUMED = {
    "adamw": config_of(),
    "sgd with momentum": config_of({"name": "sgd", "momentum": 0.9}),
    "sgd towards the start": config_of({"name": "sgd", "weight_decay": 0.1, "decay_to": "init"}),
    "adamw towards the start": config_of({"decay_to": "init"}),
    "cosine": config_of({"schedule": "cosine"}),
    "muon": config_of({"name": "muon"}, model={"n_layers": 2, "biases": "all"}),
    "muon towards the start": config_of({"name": "muon", "decay_to": "init"}),
    "weight noise": config_of(regularizer={"weight_noise": 0.01}),
    "update noise": config_of(regularizer={"update_noise": 0.1}),
    "sam": config_of(regularizer={"sam_rho": 0.05}),
    "orthogonal gradient": config_of(regularizer={"orthogonal_gradient": True}),
    "grokfast ema": config_of(regularizer={"grokfast": "ema"}),
    "grokfast ma, full": config_of(regularizer={"grokfast": "ma", "grokfast_window": 5}),
    "grokfast ma, filling": config_of(regularizer={"grokfast": "ma", "grokfast_window": 10}),
    "fixed norm": config_of(regularizer={"norm": "initial"}),
    "stablemax": config_of(train={"loss": "stablemax"}),
    "squared error": config_of(train={"loss": "mse"}),
    "all at once": config_of({"decay_to": "init", "schedule": "cosine"}, ALL, model={"biases": "all"}),
    "all at once, muon": config_of(
        {"name": "muon", "decay_to": "init"}, {**ALL, "grokfast": "ma", "grokfast_window": 4}, train={"loss": "mse"}
    ),
    "all at once, mlp in float64": config_of(
        {"name": "sgd", "momentum": 0.5, "weight_decay": 0.1, "decay_to": "init"},
        ALL,
        model=MLP,
        train={"dtype": "float64", "loss": "stablemax"},
    ),
}


@pytest.mark.parametrize("name", RESUMED)
def test_seven_updates_saved_and_seven_more_are_fourteen_bit_for_bit(name):
    whole, first, second = (Network(RESUMED[name]) for _ in range(3))
    whole.train(0, 14)
    first.train(0, 7)
    saved = first.save()
    first.train(7, 14)  # what was saved does not change with it
    second.load(saved)
    second.train(7, 14)
    assert_same(second.weights, whole.weights)
    assert_same(first.weights, whole.weights)


@pytest.mark.parametrize("name", [name for name in RESUMED if name != "adamw"])
def test_each_of_the_cases_trains_something_else_than_plain_adamw(name):
    config = RESUMED[name]
    other = Network(config)
    plain = Network(config.model_copy(update={p: getattr(RESUMED["adamw"], p) for p in ("optimizer", "regularizer")}))
    start = copy_of(other.weights)
    assert_same(start, copy_of(plain.weights))
    train = config.train.model_copy(update={"loss": "cross_entropy"})
    plain = Network(plain.config.model_copy(update={"train": train}))
    other.train(0, 12)
    plain.train(0, 12)
    assert largest_difference(copy_of(other.weights), copy_of(plain.weights)) > 1e-5
    assert all(value.isfinite().all() for value in other.weights.values())


def test_two_steppers_restored_from_one_state_share_nothing():
    config = RESUMED["all at once"]
    source, one, other = (Network(config) for _ in range(3))
    source.train(0, 7)
    state = source.stepper.state()
    for network in (one, other):
        with torch.no_grad():
            for name, value in network.weights.items():
                value.copy_(source.weights[name])
        network.stepper.restore(state)
    one.train(7, 12)
    other.train(7, 12)
    assert_same(one.weights, other.weights)


@pytest.mark.parametrize("name", ["adamw towards the start", "sgd towards the start", "fixed norm", "all at once"])
def test_start_and_norm_come_with_the_state_and_not_from_the_weights_that_a_stepper_is_built_on(name):
    whole, first, second = (Network(RESUMED[name]) for _ in range(3))
    whole.train(0, 14)
    first.train(0, 7)
    with torch.no_grad():
        for weight in second.weights.values():
            weight.mul_(2.0)
    second.stepper = autograd_stepper(second.config, second.forward, second.weights, second.trained)
    second.load(first.save())
    second.train(7, 14)
    assert_same(second.weights, whole.weights)


def test_weights_that_are_not_trained_never_change():
    network = Network(RESUMED["all at once, muon"])
    frozen = {n: v.clone() for n, v in network.weights.items() if n not in network.trained}
    assert frozen
    network.train(0, 5)
    assert_same(frozen, {name: network.weights[name] for name in frozen})


def test_the_state_of_another_config_is_refused():
    state = Network(RESUMED["adamw"]).stepper.state()
    with pytest.raises(ValueError, match="holds \\['optimizer'\\], but this config needs"):
        Network(RESUMED["weight noise"]).stepper.restore(state)


def test_the_gradients_stay_finite_and_the_loss_falls_with_everything_on():
    config = quadratic_config({"lr": 0.05}, {**ALL, "norm": "free", "update_noise": 0.01, "orthogonal_gradient": False})
    path, _ = quadratic_path(config, 300)
    losses = [float(gradient_at(weights)[B].square().mean()) for weights in path]  # in proportion to it
    assert losses[-1] < 0.01 * losses[0]
