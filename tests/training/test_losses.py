"""Cross-entropy: known values at high margins, and its gradient."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from grokinterp.training.losses import SMALLEST, cross_entropy, cross_entropy_each


def confident(margin, p=113, dtype=torch.float32):
    """One row that is right by `margin`, at an answer that is not the first."""
    label = torch.tensor([p // 3])
    return margin * F.one_hot(label, p).to(dtype), label


@pytest.mark.parametrize(
    ("margin", "p", "in_float64"), [(15, 113, 3.426e-5), (20, 113, 2.31e-7), (30, 113, 1.05e-11), (30, 12, 1.03e-12)]
)
def test_float64_keeps_what_float32_loses_at_high_margins(margin, p, in_float64):
    logits, label = confident(margin, p)
    exact = math.log1p((p - 1) * math.exp(-margin))
    assert exact == pytest.approx(in_float64, rel=3e-3)
    for loss in (cross_entropy, cross_entropy_each):
        assert loss(logits, label).item() == pytest.approx(exact, rel=1e-4)
        # float32 sums the exponentials beside a 1, in units of 2^-23, in whichever order
        units = loss(logits, label, torch.float32).item() * 2**23
        assert units == pytest.approx(round(units), rel=1e-4)
        assert round(units) in {15: range(280, 300), 20: (0, 1, 2), 30: (0,)}[margin]
    assert cross_entropy(logits, label).dtype == torch.float64


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(1, 30),
    st.sampled_from([2, 3, 5, 7, 12, 13]),
    st.floats(0.01, 50),
    st.integers(0, 2**31),
)
def test_loss_and_gradient_are_those_of_torch(batch, p, scale, seed):
    stream = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(batch, p, generator=stream, dtype=torch.float64)
    label = torch.randint(p, (batch,), generator=stream)
    found = []
    for loss in (cross_entropy, F.cross_entropy):
        leaf = logits.clone().requires_grad_()
        value = loss(leaf, label)
        (3.0 * value).backward()  # 3: the gradient that comes from above counts
        found.append((value.detach(), leaf.grad))
    (ours, our_grad), (theirs, their_grad) = found
    assert abs(ours - theirs) <= 1e-12 * max(1.0, float(theirs))
    assert (our_grad - their_grad).abs().max() <= 1e-12
    assert ours == pytest.approx(cross_entropy_each(logits, label).mean().item(), rel=1e-12)


def test_the_gradient_of_a_sure_answer_keeps_its_digits():
    """p - 1 = -112 e^-30 / (1 + 112 e^-30); 1 - p rounded would have 4 digits."""
    logits, label = confident(30, dtype=torch.float64)
    logits.requires_grad_()
    cross_entropy(logits, label).backward()
    rest = 112 * math.exp(-30)
    assert logits.grad[0, label].item() == pytest.approx(-rest / (1 + rest), rel=1e-12)


def test_tiny_gradients_become_zero_and_no_gradient_is_subnormal():
    logits, label = confident(0)
    logits = logits - torch.linspace(0, 120, 113)[(torch.arange(113) - label) % 113]
    leaf = logits.clone().requires_grad_()
    cross_entropy(leaf, label).backward()
    softmax = logits.double().softmax(dim=1)
    assert (softmax < SMALLEST).sum() > 20
    assert ((softmax > 0) & (softmax < 1.2e-38)).sum() > 10  # subnormal in float32
    kept = leaf.grad[leaf.grad != 0].abs()
    assert kept.min() >= SMALLEST > torch.finfo(torch.float32).tiny
    assert torch.equal(leaf.grad == 0, softmax < SMALLEST)
    assert leaf.grad.dtype == torch.float32
