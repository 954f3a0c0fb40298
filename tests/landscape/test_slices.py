import pytest
import torch
from oracles import untrained

from grokinterp.landscape.slices import filter_normalised

MLP = "blocks.0.mlp."


def weights() -> dict[str, torch.Tensor]:
    w = dict(untrained("x+y", 7, d_model=8, d_mlp=10).weights)
    w[MLP + "b_in"] = torch.linspace(-1, 1, 10, dtype=torch.float64)
    return w


def test_every_neuron_and_every_other_tensor_moves_by_its_own_norm():
    w = weights()
    d = filter_normalised(w, 3)
    for m in range(10):
        incoming = [torch.cat([x[MLP + "W_in"][:, m], x[MLP + "b_in"][m : m + 1]]).norm() for x in (w, d)]
        outgoing = [x[MLP + "W_out"][m].norm() for x in (w, d)]
        torch.testing.assert_close(*incoming)
        torch.testing.assert_close(*outgoing)
    for name in ("embed.W_E", "blocks.0.attn.W_Q", "unembed.W_U"):
        torch.testing.assert_close(w[name].norm(), d[name].norm())
    assert not d["unembed.b_U"].any()  # zero, so it stays


def test_a_line_is_random_in_its_direction_alone_and_repeatable():
    w = weights()
    one, again, other = (filter_normalised(w, seed) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in w)
    first, second = one["embed.W_E"].flatten(), other["embed.W_E"].flatten()
    assert abs(float(first @ second / (first.norm() * second.norm()))) < 4 / len(first) ** 0.5


@pytest.mark.parametrize("factor", [0.1, 30.0])
def test_rescaling_a_neuron_rescales_its_line(factor):
    w = weights()
    changed = dict(w)
    for name, power in (("W_in", factor), ("b_in", factor), ("W_out", 1 / factor)):
        changed[MLP + name] = w[MLP + name] * power
    before, after = filter_normalised(w, 5), filter_normalised(changed, 5)
    torch.testing.assert_close(after[MLP + "W_in"], before[MLP + "W_in"] * factor)
    torch.testing.assert_close(after[MLP + "b_in"], before[MLP + "b_in"] * factor)
    torch.testing.assert_close(after[MLP + "W_out"], before[MLP + "W_out"] / factor)
