"""Cross-entropy: known values at high margins, and its gradient. StableMax and the squared error."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from grokinterp.training.losses import (
    SMALLEST,
    cross_entropy,
    cross_entropy_each,
    loss_gradient,
    squared_error,
    stablemax,
    training_loss,
)


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


def slow_stablemax(logits, labels):
    """As written in the paper, number by number."""

    def s(x):
        return x + 1 if x >= 0 else 1 / (1 - x)

    rows = [[s(x) for x in row] for row in logits.tolist()]
    return -sum(math.log(row[c] / sum(row)) for row, c in zip(rows, labels.tolist(), strict=True)) / len(rows)


def drawn(batch, p, scale, seed, dtype=torch.float64):
    stream = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(batch, p, generator=stream, dtype=torch.float64)
    return logits.to(dtype), torch.randint(p, (batch,), generator=stream)


def test_stablemax_of_1_0_minus_1_has_probabilities_of_4_2_1_sevenths():
    logits = torch.tensor([[1.0, 0.0, -1.0]]).expand(3, 3)
    for answer, share in enumerate((4, 2, 1)):
        assert stablemax(logits, torch.full((3,), answer)).item() == pytest.approx(-math.log(share / 7), rel=1e-14)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 20), st.sampled_from([2, 3, 5, 7, 12, 13]), st.floats(0.01, 1e6), st.integers(0, 2**31))
def test_stablemax_is_the_paper_s_formula(batch, p, scale, seed):
    logits, label = drawn(batch, p, scale, seed)
    assert stablemax(logits, label).item() == pytest.approx(slow_stablemax(logits, label), rel=1e-12)


@pytest.mark.parametrize("kind", ["stablemax", "mse", "cross_entropy"])
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_the_gradient_is_that_of_finite_differences(kind, scale):
    logits, label = drawn(6, 5, scale, 1)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: training_loss(kind, z, label), logits, atol=1e-9, rtol=1e-6)


def test_stablemax_has_its_gradient_at_logits_of_exactly_zero():
    """s'(0) = 1 from both sides: p - one-hot, as for the softmax."""
    logits = torch.zeros(1, 5, dtype=torch.float64, requires_grad=True)
    stablemax(logits, torch.tensor([2])).backward()
    assert logits.grad.tolist() == [pytest.approx([0.2, 0.2, -0.8, 0.2, 0.2], rel=1e-14)]


def test_stablemax_has_finite_gradients_at_logits_of_exactly_one_and_minus_one():
    """(p - one-hot) / (1 + |z|); the branch that is not taken has log 0 there."""
    logits = torch.tensor([[1.0, 0.0, -1.0]], dtype=torch.float64, requires_grad=True)
    stablemax(logits, torch.tensor([1])).backward()
    assert logits.grad.tolist() == [pytest.approx([4 / 7 / 2, 2 / 7 - 1, 1 / 7 / 2], rel=1e-14)]


def test_stablemax_goes_on_where_the_softmax_has_collapsed():
    """At a margin of 200 float32's softmax has no gradient; that of StableMax is 1 / 201^2 and the like."""
    gradients = {}
    for kind in ("cross_entropy", "stablemax"):
        logits = torch.full((1, 113), 0.0)
        logits[0, 5] = 200.0
        logits.requires_grad_()
        training_loss(kind, logits, torch.tensor([5]), torch.float32).backward()
        gradients[kind] = logits.grad
    assert not gradients["cross_entropy"].any()
    # dL/dz of the label = -(1 - p) / (1 + z) with 1 - p = 112 / 313; of the others p_c / (1 + 0)
    assert gradients["stablemax"][0, 5].item() == pytest.approx(-112 / 313 / 201, rel=1e-5)
    assert gradients["stablemax"][0, 6].item() == pytest.approx(1 / 313, rel=1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 20), st.sampled_from([2, 3, 5, 7, 12, 13]), st.floats(0.01, 100), st.integers(0, 2**31))
def test_the_squared_error_is_a_mean_over_batch_and_answers(batch, p, scale, seed):
    logits, label = drawn(batch, p, scale, seed)
    logits.requires_grad_()
    loss = squared_error(logits, label)
    loss.backward()
    rows = enumerate(logits.detach().tolist())
    squares = [(z - (c == int(label[i]))) ** 2 for i, row in rows for c, z in enumerate(row)]
    assert loss.item() == pytest.approx(sum(squares) / len(squares), rel=1e-12)
    expected = 2 * (logits.detach() - F.one_hot(label, p)) / (batch * p)
    assert torch.allclose(logits.grad, expected, rtol=1e-12, atol=0)


def test_the_squared_error_of_logits_of_zero_is_one_over_the_answers():
    assert squared_error(torch.zeros(4, 113), torch.arange(4)).item() == pytest.approx(1 / 113, rel=1e-14)


@pytest.mark.parametrize("kind", ["cross_entropy", "stablemax", "mse"])
def test_losses_are_computed_in_the_dtype_asked_for_and_gradients_come_back_in_that_of_the_logits(kind):
    for dtype in (torch.float32, torch.float64):
        logits, label = drawn(8, 7, 1.0, 2, torch.float32)
        logits.requires_grad_()
        loss = training_loss(kind, logits, label, dtype)
        loss.backward()
        assert loss.dtype == dtype
        assert logits.grad.dtype == torch.float32
    exact = {"cross_entropy": cross_entropy, "stablemax": stablemax, "mse": squared_error}[kind](logits, label)
    assert torch.equal(loss, exact)


@pytest.mark.parametrize("sure", [0.0, 1.0, 10.0, 40.0, 90.0, 300.0])
def test_the_gradient_in_place_keeps_the_digits_of_float64_however_sure_the_network_is(sure):
    stream = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 23, (50,), generator=stream)
    logits = 3 * torch.randn(50, 23, generator=stream) + sure * torch.nn.functional.one_hot(labels, 23)
    truth = logits.double().softmax(dim=1).scatter(1, labels[:, None], 0.0) / len(labels)
    truth.scatter_(1, labels[:, None], -truth.sum(dim=1, keepdim=True))  # autograd's 1 - p has lost its digits here
    found = loss_gradient("cross_entropy", logits.T.clone(), labels).T.double()
    spread = 1 + (logits.amax(dim=1) - logits.amin(dim=1)).double()[:, None]
    kept = truth.abs() > 1e-29
    assert bool(((found - truth).abs() <= 2e-7 * spread * truth.abs())[kept].all())
    assert float(found[~kept].abs().max() if (~kept).any() else 0) <= 1.1e-29


@pytest.mark.parametrize("kind", ["cross_entropy", "stablemax", "mse"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_of_each_loss_is_autograd_s(kind, dtype):
    logits = 3 * torch.randn(7, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 4, 0])
    leaf = logits.clone().requires_grad_()
    (truth,) = torch.autograd.grad(training_loss(kind, leaf, labels, dtype), leaf)
    torch.testing.assert_close(loss_gradient(kind, logits.T.clone(), labels, dtype).T, truth, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("sure", [10.0, 40.0, 60.0])
def test_autograd_s_gradient_keeps_its_digits_too(sure):
    stream = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 11, (20,), generator=stream)
    logits = torch.randn(20, 11, generator=stream, dtype=torch.float64) + sure * F.one_hot(labels, 11)
    leaf = logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(cross_entropy(leaf, labels), leaf)
    by_hand = loss_gradient("cross_entropy", logits.T.clone(), labels).T
    assert float(((found - by_hand).abs() / by_hand.abs()).max()) < 1e-12
