import pytest
import torch
from oracles import untrained

from grokinterp.landscape.baselines import shuffled_weights, untrained_weights


def test_a_baseline_keeps_shapes_zeros_and_norms():
    weights = untrained("x+y", 7).weights | {"ln_final.w": torch.full((24,), 2.0, dtype=torch.float64)}
    weights["blocks.0.attn.W_Q"] = torch.zeros_like(weights["blocks.0.attn.W_Q"])
    weights["blocks.0.mlp.b_in"] = torch.linspace(0, 1, 48, dtype=torch.float64)
    new, shuffled = untrained_weights(weights, 1), shuffled_weights(weights, 1)
    for name, value in weights.items():
        assert new[name].shape == value.shape
        assert torch.equal(shuffled[name].flatten().sort().values, value.flatten().sort().values)
    assert not new["blocks.0.attn.W_Q"].any()
    assert not new["blocks.0.mlp.b_in"].any()
    assert bool((new["ln_final.w"] == 1).all())
    assert float(new["blocks.0.mlp.W_in"].std()) == pytest.approx(0.8 / 24**0.5, rel=0.1)
    assert not torch.equal(new["embed.W_E"], untrained_weights(weights, 2)["embed.W_E"])
    assert not torch.equal(shuffled["embed.W_E"], weights["embed.W_E"])
