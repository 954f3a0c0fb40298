"""Orthogonal gradient and Grokfast: closed forms, and pytorch-optimizer as the second opinion."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_optimizer import OrthoGrad
from pytorch_optimizer.optimizer.grokfast import gradfilter_ema, gradfilter_ma

from grokinterp.config import RegularizerConfig
from grokinterp.training.gradients import (
    ExponentialMean,
    WindowMean,
    build_grokfast,
    orthogonal_gradient,
    orthogonalize,
)

SHAPES = st.sampled_from([(2,), (5,), (3, 4), (2, 3, 4)])


def randn(shape, seed, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SHAPES, st.integers(0, 2**31), st.sampled_from([1e-60, 1e-12, 1.0, 1e12]), st.sampled_from([1e-8, 1.0, 1e8]))
def test_what_is_left_is_orthogonal_to_the_weights_and_as_long_as_before(shape, seed, size, scale):
    w, g = scale * randn(shape, seed), size * randn(shape, seed + 1)
    left = orthogonal_gradient(w, g)
    assert abs(float((w * left).sum())) <= 1e-12 * float(w.norm() * g.norm())
    assert float(left.norm()) == pytest.approx(float(g.norm()), rel=1e-12)
    # in the plane of w and g, and on g's side
    in_plane = torch.stack([w.flatten() / w.norm(), g.flatten() / g.norm(), left.flatten() / left.norm()])
    assert torch.linalg.det(in_plane @ in_plane.T).abs() < 1e-9
    assert (left * g).sum() >= 0


def test_the_gradient_3_4_at_the_weights_1_0_becomes_0_5():
    assert orthogonal_gradient(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 4.0])).tolist() == [0.0, 5.0]


def test_float32_gradients_whose_squares_underflow_keep_their_length():
    w, g = torch.tensor([1.0, 0.0]), torch.tensor([3e-30, 4e-30])
    assert torch.allclose(orthogonal_gradient(w, g), torch.tensor([0.0, 5e-30]), rtol=1e-6, atol=0)


def test_weights_that_are_zero_leave_their_gradient_alone():
    g = randn((3, 4), 0)
    assert torch.equal(orthogonal_gradient(torch.zeros(3, 4, dtype=torch.float64), g), g)


@pytest.mark.parametrize("w", [torch.tensor([0.7]), torch.tensor([0.1, -0.3, 1.7]), randn((4, 5), 1)])
def test_a_gradient_parallel_to_the_weights_becomes_zero_and_not_rounding_errors(w):
    for factor in (3.0, -1e-9):
        assert torch.equal(orthogonal_gradient(w, factor * w), torch.zeros_like(w))
    assert torch.equal(orthogonal_gradient(w, torch.zeros_like(w)), torch.zeros_like(w))


def test_a_gradient_that_is_no_number_stays_none():
    assert orthogonal_gradient(torch.ones(2), torch.tensor([torch.nan, 1.0])).isnan().all()


def test_biases_keep_their_gradients_and_the_rest_follows_pytorch_optimizer():
    weights = {
        "embed.W_E": randn((3, 4), 1),
        "blocks.0.attn.W_Q": randn((2, 3, 4), 2),
        "blocks.0.attn.b_Q": randn((2, 4), 3),
    }
    weights["ln_final.w"], weights["ln_final.b"] = randn((4,), 4), randn((4,), 5)
    gradients = {name: randn(w.shape, 9 + i) for i, (name, w) in enumerate(weights.items())}
    before = {name: g.clone() for name, g in gradients.items()}
    orthogonalize(weights, gradients)
    for name, w in weights.items():
        if name in ("blocks.0.attn.b_Q", "ln_final.b"):
            assert torch.equal(gradients[name], before[name])
            continue
        theirs = w.clone().requires_grad_()
        theirs.grad = before[name].clone()
        OrthoGrad(torch.optim.SGD([theirs], lr=1.0)).step()
        assert torch.allclose(w - theirs.detach(), gradients[name], rtol=1e-12, atol=1e-12)


def filtered(ours, n, shapes, scale=lambda i: 1.0):
    """n random gradients of each shape, and what the filter makes of them."""
    raw = [{name: scale(i) * randn(shape, 100 * i + len(name)) for name, shape in shapes.items()} for i in range(n)]
    out = [{name: g.clone() for name, g in gradients.items()} for gradients in raw]
    for gradients in out:
        ours.amplify(gradients)
    return raw, out


def theirs(gradfilter, raw, shapes, **options):
    """The same gradients through a filter of pytorch-optimizer."""
    module = torch.nn.Module()
    for name, shape in shapes.items():
        module.register_parameter(name, torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64)))
    kept, out = None, []
    for gradients in raw:
        for name, parameter in module.named_parameters():
            parameter.grad = gradients[name].clone()
        kept = gradfilter(module, grads=kept, **options)
        out.append({name: parameter.grad.clone() for name, parameter in module.named_parameters()})
    return out


NAMED = {"weight": (3, 4), "b": (4,)}
WEIGHTS = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in NAMED.items()}


@pytest.mark.parametrize(("alpha", "factor"), [(0.98, 2.0), (0.5, 5.0), (0.0, 1.0), (0.9, 0.0)])
def test_grokfast_ema_is_that_of_pytorch_optimizer(alpha, factor):
    raw, ours = filtered(ExponentialMean(alpha, factor, WEIGHTS), 20, NAMED)
    for mine, other in zip(ours, theirs(gradfilter_ema, raw, NAMED, alpha=alpha, lamb=factor), strict=True):
        assert all(torch.allclose(mine[name], other[name], rtol=1e-12, atol=1e-13) for name in NAMED)


@pytest.mark.parametrize(("window", "factor"), [(1, 2.0), (4, 5.0), (20, 1.0), (21, 1.0)])
def test_grokfast_ma_is_that_of_pytorch_optimizer(window, factor):
    raw, ours = filtered(WindowMean(window, factor, WEIGHTS), 20, NAMED)
    for mine, other in zip(ours, theirs(gradfilter_ma, raw, NAMED, window_size=window, lamb=factor), strict=True):
        assert all(torch.allclose(mine[name], other[name], rtol=1e-12, atol=1e-13) for name in NAMED)


def test_a_constant_gradient_is_multiplied_by_one_plus_lambda_from_the_first_update_on():
    g, ema = randn((3, 4), 0), ExponentialMean(0.98, 2.0, WEIGHTS)
    for _ in range(50):
        gradients = {"weight": g.clone()}
        ema.amplify(gradients)
        assert torch.allclose(gradients["weight"], 3 * g, rtol=1e-13, atol=0)


def test_after_a_jump_the_exponential_mean_follows_with_powers_of_alpha():
    ema, one = ExponentialMean(0.9, 2.0, WEIGHTS), torch.ones(4, dtype=torch.float64)
    ema.amplify({"b": 0 * one})
    for n in range(1, 30):
        gradients = {"b": one.clone()}
        ema.amplify(gradients)
        assert torch.allclose(gradients["b"], (1 + 2 * (1 - 0.9**n)) * one, rtol=1e-13, atol=0)


def test_the_window_waits_until_it_is_full_and_forgets_what_is_older():
    raw, ours = filtered(WindowMean(5, 3.0, WEIGHTS), 12, NAMED, scale=lambda i: 1e6 if i == 0 else 1.0)
    for i, (before, after) in enumerate(zip(raw, ours, strict=True)):
        if i < 4:
            assert torch.equal(after["weight"], before["weight"])
            continue
        mean = torch.stack([raw[j]["weight"] for j in range(i - 4, i + 1)]).mean(dim=0)
        assert torch.allclose(after["weight"], before["weight"] + 3 * mean, rtol=1e-12, atol=1e-12)
        assert (after["weight"].abs().max() > 1e4) == (i == 4)  # the large first gradient is gone after it


@pytest.mark.parametrize("stop", [1, 3, 5, 7, 13])
@pytest.mark.parametrize("build", [lambda: ExponentialMean(0.9, 2.0, WEIGHTS), lambda: WindowMean(5, 2.0, WEIGHTS)])
def test_a_filter_goes_on_from_its_state_bit_for_bit(build, stop):
    raw, whole = filtered(build(), 14, NAMED)
    first, second = build(), build()
    for gradients in raw[:stop]:
        first.amplify({name: g.clone() for name, g in gradients.items()})
    second.restore(first.state())
    for own, (gradients, expected) in enumerate(zip(raw[stop:], whole[stop:], strict=True)):
        again = {name: g.clone() for name, g in gradients.items()}
        second.amplify(again)
        assert all(torch.equal(again[name], expected[name]) for name in NAMED), own
        first.amplify({name: torch.full_like(g, 1e3) for name, g in gradients.items()})  # shares nothing


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, type(None)),
        ({"grokfast": "ema", "grokfast_alpha": 0.5}, ExponentialMean),
        ({"grokfast": "ma", "grokfast_window": 7}, WindowMean),
    ],
)
def test_the_config_chooses_the_filter(fields, kind):
    assert type(build_grokfast(RegularizerConfig(**fields), WEIGHTS)) is kind
