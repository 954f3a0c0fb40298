import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import positive_matrix, quadratic, untrained

from grokinterp.landscape.hessian import DENSE_BELOW, hessian_product, outer_eigenvalues, trace
from grokinterp.snapshots import TrainLoss

few = settings(derandomize=True, deadline=None, max_examples=10)

forward_mode = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
"""torch's own forward-mode differentiation warns."""


def normal(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ends(product, x, k=3, end="largest", tolerance=1e-6, max_products=600, seed=0, shift=0.0):
    return outer_eigenvalues(
        product, x, k=k, end=end, tolerance=tolerance, max_products=max_products, seed=seed, shift=shift
    )


def of_matrix(matrix: torch.Tensor):
    """The product with a matrix, and a point where it is the Hessian."""
    x = normal(len(matrix), 3)
    return hessian_product(quadratic(matrix), x), x


def dense_hessian(loss: TrainLoss) -> torch.Tensor:
    """Every second derivative of a network's loss, by torch.func.hessian."""
    assert loss.n_pairs
    return torch.func.hessian(loss)(loss.start)


def small_loss(p: int = 5, seed: int = 5) -> TrainLoss:
    loss = TrainLoss(untrained("x+y", p, init_seed=seed, d_model=4, d_mlp=8))
    assert loss.n_pairs
    return loss


@pytest.mark.parametrize("n", [5, DENSE_BELOW, DENSE_BELOW + 1, 120])
@pytest.mark.parametrize("seed", [1, 2])
def test_both_ends_of_an_indefinite_quadratic_are_its_eigenvalues(n, seed):
    matrix = positive_matrix(n, seed) - 0.5 * torch.eye(n, dtype=torch.float64)
    product, x = of_matrix(matrix)
    known = torch.linalg.eigvalsh(matrix).numpy()
    top, bottom = ends(product, x), ends(product, x, end="smallest", max_products=3000)
    np.testing.assert_allclose(top.values, known[::-1][:3], rtol=1e-9)
    np.testing.assert_allclose(bottom.values, known[:3], rtol=1e-9)
    assert bottom.values[0] < 0
    assert max(top.residuals.max(), bottom.residuals.max()) < 1e-5


@given(scale=st.sampled_from([1e-16, 1e-7, 1.0, 1e9]), seed=st.integers(0, 99))
@few
def test_a_hessian_that_is_tiny_or_huge_as_a_whole_has_eigenvalues_as_exact(scale, seed):
    matrix = scale * positive_matrix(90, seed)
    found = ends(*of_matrix(matrix))
    np.testing.assert_allclose(found.values, torch.linalg.eigvalsh(matrix).flip(0)[:3].numpy(), rtol=1e-9)


@pytest.mark.parametrize("n", [9, 90])
def test_equal_eigenvalues_are_all_found(n):
    matrix = 2.5 * torch.eye(n, dtype=torch.float64)
    found = ends(*of_matrix(matrix), k=4)
    np.testing.assert_allclose(found.values, [2.5] * 4)


@pytest.mark.parametrize("n", [9, 90])
def test_a_linear_function_has_eigenvalues_and_trace_zero(n):
    slope, x = normal(n, 1), normal(n, 2)
    product = hessian_product(lambda w: slope @ w + 0 * w @ w, x)
    found = ends(product, x)
    assert found.values.tolist() == found.residuals.tolist() == [0, 0, 0]
    assert trace(product, x, n_probes=3, seed=0).value == 0


@forward_mode
@pytest.mark.parametrize("seed", [5, 6])
def test_a_networks_products_eigenvalues_and_trace_are_those_of_its_dense_hessian(seed):
    loss = small_loss(seed=seed)
    dense = dense_hessian(loss)
    n = len(loss.start)
    assert n > 2 * DENSE_BELOW
    product = hessian_product(loss, loss.start)
    v = normal(n, 8)
    torch.testing.assert_close(product(v), dense @ v, rtol=1e-9, atol=1e-12)
    known = torch.linalg.eigvalsh(dense).numpy()
    np.testing.assert_allclose(ends(product, loss.start, k=5).values, known[::-1][:5], rtol=1e-6)
    np.testing.assert_allclose(ends(product, loss.start, k=2, end="smallest").values, known[:2], rtol=1e-6)
    found = trace(product, loss.start, n_probes=400, seed=0)
    assert abs(found.value - float(dense.trace())) < 4 * found.standard_error
    spread = 2 * float(dense.square().sum() - dense.diag().square().sum())
    assert found.standard_error == pytest.approx(math.sqrt(spread / 400), rel=0.2)


@forward_mode
def test_products_run_forward_give_the_same_as_back_through_the_gradient():
    loss = small_loss(p=7)
    v = normal(len(loss.start), 4)
    forward = torch.func.jvp(torch.func.grad(loss), (loss.start,), (v,))[1]
    torch.testing.assert_close(hessian_product(loss, loss.start)(v), forward, rtol=1e-10, atol=1e-12)


def test_single_precision_changes_eigenvalues_by_millionths():
    snapshot = untrained("x+y", 7, d_model=8, d_mlp=16)
    exact, single = TrainLoss(snapshot), TrainLoss(snapshot.in_float32())
    assert exact.n_pairs == single.n_pairs
    a, b = (ends(hessian_product(f, f.start), f.start, tolerance=1e-4) for f in (exact, single))
    np.testing.assert_allclose(b.values, a.values, rtol=1e-5)
    assert single.start.dtype == torch.float32


def test_a_smallest_eigenvalue_of_almost_zero_is_found_with_a_shift_and_not_without():
    crowd = 1e-6 * normal(280, 1)  # as in a network: few large ones, the rest next to nothing
    values = torch.cat([torch.linspace(1, 9, 20, dtype=torch.float64), crowd])
    product, x = of_matrix(torch.diag(values))
    options = {"k": 1, "end": "smallest", "tolerance": 1e-3, "max_products": 100}
    assert len(ends(product, x, **options).values) == 0
    found = ends(product, x, **options, shift=9.0)
    assert abs(found.values[0] - float(values.min())) < 9e-3
    assert found.residuals[0] < 9e-3


def test_with_too_few_products_fewer_eigenvalues_come_back_and_none_is_wrong():
    matrix = positive_matrix(300, 1)
    product, x = of_matrix(matrix)
    few_found = ends(product, x, k=10, max_products=40)
    known = torch.linalg.eigvalsh(matrix).numpy()
    assert len(few_found.values) < 10
    assert few_found.n_products < 100
    for value in few_found.values:
        assert abs(known - value).min() < 1e-5
    assert len(ends(product, x, k=10, max_products=2000).values) == 10


def test_residuals_bound_the_distance_to_an_eigenvalue():
    matrix = positive_matrix(200, 4)
    found = ends(*of_matrix(matrix), k=6, tolerance=0.1)
    known = torch.linalg.eigvalsh(matrix).numpy()
    assert found.residuals.max() > 1e-4  # a loose tolerance, seen in the residuals
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert abs(known - value).min() <= residual + 1e-12


def test_the_start_vector_and_the_probes_depend_on_the_seed_alone():
    product, x = of_matrix(positive_matrix(150, 2))
    assert np.array_equal(ends(product, x, seed=1).values, ends(product, x, seed=1).values)
    np.testing.assert_allclose(ends(product, x, seed=1).values, ends(product, x, seed=2).values, rtol=1e-9)
    first = trace(product, x, n_probes=5, seed=1)
    assert first == trace(product, x, n_probes=5, seed=1)
    assert first.value != trace(product, x, n_probes=5, seed=2).value


def test_the_trace_of_a_diagonal_hessian_takes_one_probe():
    values = normal(40, 6)
    product, x = of_matrix(torch.diag(values))
    assert trace(product, x, n_probes=1, seed=3).value == pytest.approx(float(values.sum()))
    assert trace(product, x, n_probes=1, seed=3).standard_error is None
    assert trace(product, x, n_probes=4, seed=3).standard_error == pytest.approx(0, abs=1e-12)


def test_the_traces_error_is_as_large_as_its_standard_error_says():
    matrix = positive_matrix(60, 3)
    product, x = of_matrix(matrix)
    found = [trace(product, x, n_probes=20, seed=seed) for seed in range(120)]
    scores = np.array([(t.value - float(matrix.trace())) / t.standard_error for t in found])
    assert abs(scores.mean()) < 4 * math.sqrt(19 / 17 / 120)
    assert scores.var() == pytest.approx(19 / 17, rel=0.4)  # Student's t with 19 degrees of freedom


def test_a_networks_products_are_those_of_curvlinops():
    curvlinops = pytest.importorskip("curvlinops")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 10), torch.nn.Tanh(), torch.nn.Linear(10, 4)).double()
    inputs, labels = normal(6 * 30, 1).view(30, 6), torch.arange(30) % 4
    names, parameters = zip(*model.named_parameters(), strict=True)
    start = torch.cat([w.detach().flatten() for w in parameters])

    def loss(flat):
        parts = flat.split([w.numel() for w in parameters])
        weights = {name: part.view_as(w) for name, part, w in zip(names, parts, parameters, strict=True)}
        logits = torch.func.functional_call(model, weights, (inputs,))
        return torch.nn.functional.cross_entropy(logits, labels)

    other = curvlinops.HessianLinearOperator(
        model, torch.nn.CrossEntropyLoss(), list(parameters), [(inputs, labels)], check_deterministic=False
    )
    product, v = hessian_product(loss, start), normal(len(start), 2)
    np.testing.assert_allclose(product(v).numpy(), (other @ v).detach().numpy(), rtol=1e-8, atol=1e-12)
    theirs = np.linalg.eigvalsh((other @ torch.eye(len(start), dtype=torch.float64)).detach().numpy())
    np.testing.assert_allclose(ends(product, start, k=3).values, theirs[::-1][:3], rtol=1e-7)
