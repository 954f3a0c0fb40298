import math

import pytest
import torch
from oracles import positive_matrix, quadratic, untrained

from grokinterp.config import TransformerConfig
from grokinterp.landscape.noise import FORMS, draw, noise_scale, perturb
from grokinterp.models.forward import build_forward
from grokinterp.models.weights import init_weights
from grokinterp.snapshots import Snapshot

MLP = "blocks.0.mlp."


def network() -> Snapshot:
    """A small untrained network with biases in the MLP."""
    base = untrained("x+y", 7, d_model=8, d_mlp=10)
    config = TransformerConfig(d_model=8, n_heads=2, d_mlp=10, biases="mlp")
    weights = init_weights(config, base.task.layout, 7, torch.float64)
    stream = torch.Generator().manual_seed(2)
    for name in ("b_in", "b_out"):
        shape = weights[MLP + name].shape
        weights[MLP + name] = 0.3 * torch.randn(shape, generator=stream, dtype=torch.float64)
    return Snapshot(base.task, weights, build_forward(config, base.task.layout, 7), base.train_mask)


UNEVEN = torch.logspace(-1, 1, 10, dtype=torch.float64)


def rescaled(snapshot: Snapshot, s: torch.Tensor = UNEVEN) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """ReLU neuron m's inputs times s_m, its outputs over s_m; and the factor of every entry."""
    factors = {name: torch.ones_like(w) for name, w in snapshot.weights.items()}
    factors[MLP + "W_in"] = factors[MLP + "W_in"] * s
    factors[MLP + "b_in"] = s
    factors[MLP + "W_out"] = factors[MLP + "W_out"] / s[:, None]
    return {name: w * factors[name] for name, w in snapshot.weights.items()}, factors


def paired_increase(one: Snapshot, other: dict[str, torch.Tensor], form: str) -> torch.Tensor:
    """How much more the same draws raise the loss of `other` than of `one`."""
    first, second = noise_scale(one.weights, form), noise_scale(other, form)
    differences = []
    for seed in range(60):
        xi = draw(one.weights, seed)
        noisy = perturb(other, second, xi, 0.3), perturb(one.weights, first, xi, 0.3)
        differences.append(one.loss_under(noisy[0]) - one.loss_under(noisy[1]))
    return torch.stack(differences)


@pytest.mark.parametrize(("sigma", "seed"), [(0.1, 1), (0.5, 2)])
def test_raw_noise_raises_a_quadratic_by_half_sigma_squared_times_the_trace(sigma, seed):
    matrix = positive_matrix(6, seed)
    f, x = quadratic(matrix), {"x": torch.full((6,), 0.4, dtype=torch.float64)}
    scale = noise_scale(x, "raw")
    base = float(f(x["x"]))
    increases = torch.tensor([float(f(perturb(x, scale, draw(x, i), sigma)["x"])) - base for i in range(1500)])
    error = float(increases.std()) / math.sqrt(len(increases))
    expected = sigma**2 * float(matrix.trace()) / 2
    assert abs(float(increases.mean()) - expected) < 4 * error
    assert error < 0.5 * expected


@pytest.mark.parametrize("form", FORMS)
def test_noise_has_the_declared_standard_deviation(form):
    weights = {"a.W": torch.tensor([[3.0, -4.0], [0.0, 1.0]], dtype=torch.float64)}
    scale = noise_scale(weights, form)["a.W"]
    rms = math.sqrt(26 / 4)
    expected = {"raw": [[1, 1], [1, 1]], "weight-proportional": [[3, 4], [0, 1]]}.get(form, [[rms, rms]] * 2)
    torch.testing.assert_close(scale, torch.tensor(expected, dtype=torch.float64))
    moved = torch.stack([perturb(weights, {"a.W": scale}, draw(weights, i), 0.2)["a.W"] for i in range(1500)])
    torch.testing.assert_close(moved.std(0), 0.2 * scale, rtol=0.1, atol=0)


def test_neuron_wise_scales_are_the_norms_of_columns_with_biases_and_of_rows():
    weights = network().weights
    scale = noise_scale(weights, "neuron-wise")
    w_in, b_in, w_out = (weights[MLP + name] for name in ("W_in", "b_in", "W_out"))
    for m in range(10):
        incoming = torch.cat([w_in[:, m], b_in[m : m + 1]]).square().mean().sqrt()
        torch.testing.assert_close(scale[MLP + "W_in"][:, m], incoming.expand(8))
        torch.testing.assert_close(scale[MLP + "b_in"][m], incoming)
        torch.testing.assert_close(scale[MLP + "W_out"][m], w_out[m].square().mean().sqrt().expand(8))
    others = [name for name in weights if not name.startswith(MLP) or name.endswith("b_out")]
    relative = noise_scale(weights, "layer-relative")
    assert all(torch.equal(scale[name], relative[name]) for name in others)


@pytest.mark.parametrize("form", ["weight-proportional", "neuron-wise"])
def test_rescaling_relu_neurons_leaves_the_noise_of_the_relative_forms_the_same(form):
    snapshot = network()
    other, factors = rescaled(snapshot)
    before, after = noise_scale(snapshot.weights, form), noise_scale(other, form)
    for name, factor in factors.items():
        torch.testing.assert_close(after[name], before[name] * factor)
    for seed in range(5):
        xi = draw(snapshot.weights, seed)
        losses = [snapshot.loss_under(perturb(w, s, xi, 0.3)) for w, s in ((snapshot.weights, before), (other, after))]
        torch.testing.assert_close(losses[0], losses[1])


@pytest.mark.parametrize("form", ["raw", "layer-relative"])
def test_rescaling_relu_neurons_changes_raw_and_layer_relative_noise(form):
    snapshot = network()
    other, _ = rescaled(snapshot)
    torch.testing.assert_close(snapshot.loss_under({}), snapshot.loss_under(other))
    increase = paired_increase(snapshot, other, form)
    assert float(increase.mean()) > 5 * float(increase.std()) / math.sqrt(len(increase))


def test_rescaling_all_neurons_by_one_factor_leaves_layer_relative_noise_the_same():
    snapshot = network()
    other, _ = rescaled(snapshot, torch.full((10,), 3.0, dtype=torch.float64))
    same = paired_increase(snapshot, other, "layer-relative")
    torch.testing.assert_close(same, torch.zeros_like(same), rtol=0, atol=1e-12)
    raw = paired_increase(snapshot, other, "raw")
    assert float(raw.abs().min()) > 1e-3


def test_draws_are_repeatable_and_differ_by_seed():
    weights = network().weights
    one, again, other = draw(weights, 3), draw(weights, 3), draw(weights, 4)
    assert all(torch.equal(one[name], again[name]) for name in weights)
    assert not any(torch.equal(one[name], other[name]) for name in weights)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_noise_with_a_seed_is_not_the_initialisation_with_that_seed(seed):
    config = TransformerConfig(d_model=16, n_heads=1, init_seed=seed)
    weights = init_weights(config, network().task.layout, 7, torch.float64)
    xi = draw(weights, seed)
    for name in ("embed.W_E", MLP + "W_in", "unembed.W_U"):
        both = torch.stack([weights[name].flatten(), xi[name].flatten()])
        assert abs(float(torch.corrcoef(both)[0, 1])) < 4 / math.sqrt(both.shape[1])


def test_an_unknown_form_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'gaussian'; choose from raw, weight-proportional"):
        noise_scale(network().weights, "gaussian")
