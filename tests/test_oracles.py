"""The oracles are themselves what they say."""

import pytest
import torch
from oracles import clock_logits, clock_loss, pair_cross_entropy, pizza_logits, pizza_model, pizza_snapshot

import grokinterp as gi
from grokinterp.harmonics.cyclic import sum_classes


@pytest.mark.parametrize(
    ("p", "amplitudes"), [(2, {1: 3.0}), (5, {2: 4.0}), (7, {2: 4.0, 3: 9.0}), (12, {5: 6.0, 6: 2.0})]
)
def test_the_pizza_transformer_computes_the_pizza_formula_for_odd_and_even_moduli(p, amplitudes):
    snapshot = pizza_snapshot(p, amplitudes)
    torch.testing.assert_close(snapshot.logits, pizza_logits(p, amplitudes), rtol=0, atol=1e-11)
    assert not torch.allclose(snapshot.logits, clock_logits(p, amplitudes), atol=0.1)


def test_the_pizza_transformer_attends_uniformly_and_is_a_hooked_transformer():
    model = pizza_model(7, ((3, 5.0),))
    assert model(torch.tensor([[2, 6, 7]]))[0, -1].argmax() == 1
    pattern = gi.snapshot(model, gi.TaskConfig(p=7)).attention
    torch.testing.assert_close(pattern, torch.full_like(pattern, 1 / 3))


def test_the_clock_has_the_same_loss_at_every_pair():
    amplitudes = {2: 3.0, 5: 6.5}
    each = pair_cross_entropy(clock_logits(12, amplitudes), sum_classes(12))
    torch.testing.assert_close(each, torch.full_like(each, clock_loss(12, amplitudes)))
