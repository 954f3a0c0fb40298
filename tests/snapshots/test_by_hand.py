"""A snapshot's numbers by the hand-written network are those of its forward, and of autograd through it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from oracles import untrained

import grokinterp as gi
from grokinterp.config import TransformerConfig
from grokinterp.landscape.ball import value_and_gradient, value_at
from grokinterp.models.fast_forward import FastForward
from grokinterp.models.forward import build_forward
from grokinterp.models.pair_logits import PairLogits, is_by_hand
from grokinterp.models.weights import init_weights
from grokinterp.snapshots import TrainLoss, ablation
from grokinterp.snapshots.ablation import Bench


def snapshot_of(layout: str, n_outputs: int = 7, **model) -> gi.Snapshot:
    """At initialisation, p = 7, with half of the pairs trained on."""
    task = gi.build_task(gi.TaskConfig(p=7, layout=layout))
    config = TransformerConfig(d_model=12, n_heads=2, d_mlp=20, biases="all", init_seed=3, **model)
    weights = init_weights(config, task.layout, n_outputs, torch.float64)
    forward = build_forward(config, task.layout, n_outputs, dtype=torch.float64)
    return gi.Snapshot(task, weights, forward, gi.draw_train_mask(task, 0.5, 4))


CASES = {
    "by hand": snapshot_of("a b ="),
    "by hand, four tokens": snapshot_of("a op b ="),
    "by hand, an output that is no answer": snapshot_of("a b =", n_outputs=8),
    "by autograd, read at b": snapshot_of("a b"),
    "by autograd, two blocks": snapshot_of("a b =", n_layers=2),
    "by autograd, LayerNorm": snapshot_of("a b =", normalization="LN"),
}
ALL = pytest.mark.parametrize("name", CASES)


def moved(snapshot, seed):
    """A network nearby, as a flat vector."""
    start = TrainLoss(snapshot).start
    return start + 0.05 * torch.randn(len(start), generator=torch.Generator().manual_seed(seed), dtype=start.dtype)


def test_the_cases_are_what_they_are_called():
    cpu = torch.device("cpu")
    assert {name: is_by_hand(snapshot.forward, cpu) for name, snapshot in CASES.items()} == {
        name: name.startswith("by hand") for name in CASES
    }


@ALL
def test_activations_are_those_of_the_forward(name):
    snapshot = CASES[name]
    left, right = (torch.from_numpy(x).flatten() for x in np.indices((7, 7)))
    truth = snapshot.forward.activations(snapshot.weights, left, right)
    torch.testing.assert_close(snapshot.logits.flatten(0, 1), truth.logits[:, :7], rtol=0, atol=1e-12)
    torch.testing.assert_close(snapshot.neuron_acts.flatten(0, 1), truth.neurons, rtol=0, atol=1e-12)
    torch.testing.assert_close(snapshot.attention.flatten(0, 1), truth.pattern, rtol=0, atol=1e-12)


@ALL
def test_the_loss_and_its_gradient_are_those_of_autograd_at_one_network_after_another(name):
    loss = TrainLoss(CASES[name])
    for seed in range(3):
        point = moved(CASES[name], seed).requires_grad_()
        truth = loss(point)
        (slope,) = torch.autograd.grad(truth, point)
        assert value_at(loss, point.detach()) == pytest.approx(truth.item(), abs=1e-12)
        value, gradient = value_and_gradient(loss, point.detach())
        assert value == pytest.approx(truth.item(), abs=1e-12)
        torch.testing.assert_close(gradient, slope, rtol=0, atol=1e-12)


@ALL
def test_logits_of_one_changed_network_outlive_those_of_the_next(name):
    bench = Bench(CASES[name])
    w_u = CASES[name].weights["unembed.W_U"]
    first = bench.logits({})
    kept = first.clone()
    second = bench.logits({"unembed.W_U": 2 * w_u})
    assert torch.equal(first, kept)
    assert not torch.equal(first, second)


def test_pieces_share_their_buffers_and_are_put_together_right(monkeypatch):
    monkeypatch.setattr(ablation, "CHUNK", 10)
    snapshot = CASES["by hand"]
    left, right = (torch.from_numpy(x).flatten() for x in np.indices((7, 7)))
    pieces = PairLogits.in_chunks(snapshot.forward, left, right, 10)
    first, second = (piece(snapshot.weights) for piece in pieces[:2])
    assert first.data_ptr() == second.data_ptr()
    whole = snapshot.forward(snapshot.weights, left, right)
    found = Bench(snapshot).logits({})
    torch.testing.assert_close(found.double(), whole.detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("lent", [False, True])
def test_a_snapshot_s_activations_outlive_every_other_forward_of_it(lent):
    snapshot = replace(CASES["by hand"], on_grid=CASES["by hand"].pairs_of_grid() if lent else None)
    logits, neurons = snapshot.logits.clone(), snapshot.neuron_acts.clone()
    changed = snapshot.with_weights({"unembed.W_U": 2 * snapshot.weights["unembed.W_U"]})
    assert not torch.equal(changed.logits, logits)
    low = snapshot.in_float32()
    lower = low.neuron_acts.clone()
    assert not torch.equal(
        low.with_weights({"blocks.0.mlp.W_in": -low.weights["blocks.0.mlp.W_in"]}).neuron_acts, lower
    )
    assert torch.equal(low.neuron_acts, lower)
    snapshot.loss_at({})
    assert torch.equal(snapshot.logits, logits)
    assert torch.equal(snapshot.neuron_acts, neurons)


def test_where_attention_is_too_peaked_the_forward_itself_is_asked():
    calm = untrained("x+y", 7)
    sharp = calm.with_weights({"blocks.0.attn.W_Q": 1e4 * calm.weights["blocks.0.attn.W_Q"]})
    left, right, _ = sharp.loss_pairs
    pairs = PairLogits(sharp.forward, left, right)
    torch.testing.assert_close(pairs(sharp.weights), sharp.forward(sharp.weights, left, right), rtol=0, atol=0)
    assert pairs.gradients(sharp.weights, lambda logits: logits) is None
    loss = TrainLoss(sharp)
    point = loss.start.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(point), point)
    assert torch.equal(value_and_gradient(loss, loss.start)[1], slope)


def test_a_loss_with_a_second_derivative_goes_through_autograd():
    loss = TrainLoss(replace(CASES["by hand"]))
    assert isinstance(loss.snapshot.forward, FastForward)
    direction = moved(loss.snapshot, 1) - loss.start
    slope = torch.func.grad(loss)
    product = torch.func.grad(lambda x: slope(x) @ direction)(loss.start)
    assert float(product.abs().max()) > 0
