"""Noise, sharpness-aware steps and the fixed norm: closed forms, hand-written loops, statistics."""

import itertools
import math

import pytest
import torch
from pytorch_optimizer import SAM
from steppers import (
    ONE_PAIR,
    START,
    B,
    Network,
    QuadraticForward,
    W,
    autograd_stepper,
    copy_of,
    gradient_at,
    largest_difference,
    quadratic_config,
    quadratic_path,
)

import grokinterp as gi
from grokinterp.seeding import generator
from grokinterp.training.losses import cross_entropy
from grokinterp.training.perturb import FixedNorm, GaussianNoise, sam_offsets, total_norm


def plus(weights, other, factor=1.0):
    return {name: value + factor * other[name] if name in other else value for name, value in weights.items()}


def draws(purpose, seed, names):
    """The standard normal numbers of each update, as documented: float64, in the order of the weights."""
    stream = generator(purpose, seed)
    while True:
        yield {name: torch.randn(START[name].shape, dtype=torch.float64, generator=stream) for name in names}


def test_sam_offsets_have_length_rho_along_the_gradient_of_all_weights_together():
    gradients = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([[4.0]])}
    found = sam_offsets(gradients, 0.5)
    assert found["a"].tolist() == pytest.approx([0.3, 0.0])
    assert found["b"].tolist() == [pytest.approx([0.4])]


def test_sam_offsets_of_tiny_float32_gradients_have_the_full_length():
    found = sam_offsets({"a": torch.tensor([3e-30, 4e-30])}, 0.05)
    assert found["a"].tolist() == pytest.approx([0.03, 0.04], rel=1e-6)


def test_where_the_gradient_is_zero_sam_stays():
    assert sam_offsets({"a": torch.zeros(3)}, 0.05) == {}


def test_sam_on_a_quadratic_takes_the_gradient_uphill():
    """x - lr A (x + rho A x / ||A x||), by hand for both tensors together."""
    path, forward = quadratic_path(quadratic_config(regularizer={"sam_rho": 0.3}), 30)
    for before, after in itertools.pairwise(path):
        g = gradient_at(before)
        uphill = plus(before, g, 0.3 / total_norm(g))
        assert largest_difference(after, plus(before, gradient_at(uphill), -0.1)) < 1e-14
    assert len(forward.seen) == 60


def test_sam_around_adamw_is_that_of_pytorch_optimizer():
    config = gi.RunConfig.from_mapping(
        {
            "task": {"p": 5, "frac_train": 0.6},
            "model": {"kind": "mlp", "d_hidden": 12},
            "optimizer": {"lr": 0.01, "warmup_steps": 0},
            "regularizer": {"sam_rho": 0.1},
            "train": {"dtype": "float64"},
        }
    )
    ours, theirs = Network(config), Network(config)
    leaves = [theirs.weights[name] for name in theirs.trained]
    # the network is theirs; of the optimizer only torch's AdamW is shared
    optimizer = SAM(leaves, torch.optim.AdamW, rho=0.1, lr=0.01, betas=(0.9, 0.98), weight_decay=1.0)

    def closure():
        optimizer.zero_grad()
        batch = theirs.pairs
        loss = cross_entropy(theirs.forward(theirs.weights, batch.left, batch.right), batch.label)
        loss.backward()
        return loss

    for step in range(20):
        ours.stepper.update(ours.pairs, step)
        closure()
        optimizer.step(closure)
    assert largest_difference(copy_of(ours.weights), copy_of(theirs.weights)) < 1e-8


def test_weight_noise_moves_where_the_gradient_is_taken_and_not_the_weights():
    path, forward = quadratic_path(quadratic_config(regularizer={"weight_noise": 0.2}), 10)
    noise = draws("weight noise", 3, [W])
    for before, after, seen in zip(path, path[1:], forward.values, strict=False):
        at = plus(before, next(noise), 0.2)
        assert largest_difference(after, plus(before, gradient_at(at), -0.1)) < 1e-14
        assert torch.equal(seen[B], before[B])  # biases have no noise
        assert torch.allclose(seen[W], at[W], rtol=0, atol=1e-15)


def test_sam_climbs_from_the_noisy_weights_with_the_same_noise_in_both_passes():
    path, forward = quadratic_path(quadratic_config(regularizer={"weight_noise": 0.2, "sam_rho": 0.3}), 10)
    noise = draws("weight noise", 3, [W])
    for before, after in itertools.pairwise(path):
        at = plus(before, next(noise), 0.2)
        uphill = plus(at, gradient_at(at), 0.3 / total_norm(gradient_at(at)))
        assert largest_difference(after, plus(before, gradient_at(uphill), -0.1)) < 1e-14
    assert len(forward.seen) == 20


def test_update_noise_is_added_to_all_trained_weights_times_the_learning_rate():
    config = quadratic_config({"warmup_steps": 4}, {"update_noise": 0.5})
    path, _ = quadratic_path(config, 10)
    noise = draws("update noise", 3, [W, B])
    for update, (before, after) in enumerate(itertools.pairwise(path)):
        lr = 0.1 * min(update / 4, 1)
        expected = plus(plus(before, gradient_at(before), -lr), next(noise), lr * 0.5)
        assert largest_difference(after, expected) < 1e-14


def test_without_a_gradient_update_noise_is_a_random_walk_of_known_width():
    """After n updates each of m entries is lr sigma sqrt(n) N(0, 1); their mean square has a relative error
    of sqrt(2 / m), 0.004 here."""
    weights = {"embed.W_E": torch.zeros(300, 400)}
    noise, walked = GaussianNoise("update noise", 0, 0.5, weights), torch.zeros(300, 400, dtype=torch.float64)
    for _ in range(9):
        walked += noise.draw()["embed.W_E"]
    assert float(walked.square().mean()) == pytest.approx(9 * 0.25, rel=0.02)
    assert abs(float(walked.mean())) < 4 * 1.5 / math.sqrt(walked.numel())


def test_noise_is_the_same_in_float32_as_in_float64_and_differs_by_purpose_and_seed():
    def first(purpose, seed, dtype):
        return GaussianNoise(purpose, seed, 0.1, {"w": torch.zeros(5, dtype=dtype)}).draw()["w"]

    base = first("weight noise", 0, torch.float64)
    assert torch.equal(first("weight noise", 0, torch.float32), base.float())
    assert not torch.equal(first("update noise", 0, torch.float64), base)
    assert not torch.equal(first("weight noise", 1, torch.float64), base)


def test_noise_goes_on_from_its_state():
    weights = {"w": torch.zeros(5), "v": torch.zeros(2, 2)}
    one, other = GaussianNoise("weight noise", 0, 0.1, weights), GaussianNoise("weight noise", 9, 0.1, weights)
    one.draw()
    other.restore(one.state())
    for _ in range(3):
        a, b = one.draw(), other.draw()
        assert all(torch.equal(a[name], b[name]) for name in weights)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-15), (torch.float32, 1e-7)])
def test_the_fixed_norm_comes_back_after_any_change_and_directions_stay(dtype, tolerance):
    stream = torch.Generator().manual_seed(0)
    weights = {
        n: torch.randn(s, generator=stream, dtype=torch.float64).to(dtype)
        for n, s in {"w": (30, 40), "b": (7,)}.items()
    }
    fixed, norm = FixedNorm(weights), total_norm(weights)
    for factor in (3.0, 1e-4, 1e6):
        before = {name: w.mul_(factor).clone() for name, w in weights.items()}
        fixed.apply()
        assert total_norm(weights) == pytest.approx(norm, rel=tolerance)
        share = weights["b"].double() / before["b"].double()
        assert torch.allclose(share, share[0], rtol=2 * torch.finfo(dtype).eps, atol=0)
        assert float(weights["w"][0, 0] / before["w"][0, 0]) == pytest.approx(
            float(share[0]), rel=4 * torch.finfo(dtype).eps
        )


def test_total_norm_is_that_of_all_entries_in_one_vector():
    assert total_norm({"a": torch.tensor([2.0, 3.0]), "b": torch.tensor([[6.0]])}) == 7.0


def test_weights_that_all_vanish_stay_zero():
    weights = {"w": torch.ones(3)}
    fixed = FixedNorm(weights)
    weights["w"].zero_()
    fixed.apply()
    assert weights["w"].tolist() == [0.0, 0.0, 0.0]


def test_training_at_a_fixed_norm_is_descent_and_rescaling_in_turn():
    path, _ = quadratic_path(quadratic_config(regularizer={"norm": "initial"}), 40)
    norm = total_norm(START)
    for before, after in itertools.pairwise(path):
        free = plus(before, gradient_at(before), -0.1)
        expected = {name: value * (norm / total_norm(free)) for name, value in free.items()}
        assert largest_difference(after, expected) < 1e-14
        assert total_norm(after) == pytest.approx(norm, rel=1e-15)


def test_the_norm_is_that_of_the_weights_that_are_trained():
    weights = {W: START[W].clone().requires_grad_(), B: START[B].clone()}
    stepper = autograd_stepper(quadratic_config(regularizer={"norm": "initial"}), QuadraticForward(), weights, [W])
    for step in range(5):
        stepper.update(ONE_PAIR, step)
    assert float(weights[W].detach().norm()) == pytest.approx(float(START[W].norm()), rel=1e-15)
    assert torch.equal(weights[B], START[B])
