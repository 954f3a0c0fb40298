import dataclasses

import numpy as np
import pytest
import torch
from oracles import QuadraticLoss, build, measured, one, orthonormal_rows, positive_matrix, untrained

from grokinterp.snapshots import Snapshot, TrainLoss

MLP = "blocks.0.mlp."
LOOSE = {"n_probes": 300, "tolerance": 1e-6}

forward_mode = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
"""torch's own forward-mode differentiation warns."""


def quadratic_snapshot(matrix: torch.Tensor, away: float) -> Snapshot:
    task, n = build("x+y", 2), len(matrix)
    centre = torch.linspace(-1, 1, n, dtype=torch.float64)
    forward = QuadraticLoss(matrix, centre, torch.from_numpy(task.table))
    weights = {"embed.W_E": torch.zeros(3, 2, dtype=torch.float64), "x": centre + away}
    return Snapshot(task, weights, forward, trained=("x",))


@pytest.mark.parametrize("n", [8, 90])
@pytest.mark.parametrize("away", [0.0, 0.1])
def test_a_quadratic_loss_has_its_matrixs_eigenvalues_trace_and_gradient(n, away):
    rotation = orthonormal_rows(n, n, 3)
    matrix = rotation.T @ torch.diag(torch.linspace(-1, 5, n, dtype=torch.float64)) @ rotation
    snapshot = quadratic_snapshot(matrix, away)
    rows = measured("curvature", snapshot, n_largest=5, n_smallest=2, max_products=2000, **LOOSE)
    known = torch.linalg.eigvalsh(matrix).numpy()
    top = [row["eigenvalue"] for row in rows if row["end"] == "largest"]
    bottom = [row["eigenvalue"] for row in rows if row["end"] == "smallest"]
    np.testing.assert_allclose(top, known[::-1][:5], rtol=1e-6)
    np.testing.assert_allclose(bottom, known[:2], rtol=1e-4)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5, 1, 2]
    (row,) = measured("curvature", snapshot, "trace", **LOOSE)
    assert abs(row["trace"] - float(matrix.trace())) < 4 * row["standard_error"]
    spread = 2 * float(matrix.square().sum() - matrix.diag().square().sum())
    assert row["standard_error"] == pytest.approx((spread / 300) ** 0.5, rel=0.2)
    slope = matrix @ torch.full((n,), away, dtype=torch.float64)
    assert row["gradient_norm"] == pytest.approx(float(slope.norm()), abs=1e-9)
    assert row["loss"] == pytest.approx(0.5 + away / 2 * float(slope.sum()))
    assert row["n_weights"] == n


@forward_mode
@pytest.mark.parametrize(("operation", "p"), [("x+y", 5), ("x/y", 5), ("x*y", 6)])
def test_a_networks_eigenvalues_and_trace_are_those_of_its_dense_hessian(operation, p):
    snapshot = untrained(operation, p, d_model=4, d_mlp=8)
    loss = TrainLoss(snapshot)
    assert loss.n_pairs
    dense = torch.func.hessian(loss)(loss.start)
    known = torch.linalg.eigvalsh(dense).numpy()
    rows = measured("curvature", snapshot, n_largest=4, n_smallest=2)
    found = np.array([[row["eigenvalue"], row["residual"]] for row in rows])
    np.testing.assert_allclose(found[:, 0], [*known[::-1][:4], *known[:2]], rtol=2e-3)
    for value, residual in found:
        assert abs(known - value).min() <= residual + 1e-6
    (row,) = measured("curvature", snapshot, "trace", n_probes=300)
    assert abs(row["trace"] - float(dense.trace())) < 4 * row["standard_error"]
    assert row["gradient_norm"] == pytest.approx(float(torch.func.grad(loss)(loss.start).norm()), rel=1e-5)


def test_an_untrained_network_is_at_a_saddle_not_at_a_minimum():
    rows = measured("curvature", untrained("x+y", 7))
    assert one(rows, end="largest", rank=1)["eigenvalue"] > 0
    bottom = one(rows, end="smallest", rank=1)
    assert bottom["eigenvalue"] < -10 * bottom["residual"]


def test_a_network_of_zeros_is_a_saddle_with_eigenvalues_in_closed_form():
    """Near zero the logits are (W_E['='] + W_pos[-1]) W_U up to fourth order, so H couples each of the two
    with W_U by the mean residual r, 1/p minus the answer's share: eigenvalues +-sqrt(2) |r|, each
    d_model times, and 0."""
    snapshot = untrained("x+y", 5, d_model=8, d_mlp=8)
    zeros = {name: torch.zeros_like(w) for name, w in snapshot.weights.items()}
    without_biases = tuple(name for name in zeros if ".b_" not in name)
    flat = dataclasses.replace(snapshot, weights=zeros, trained=without_biases)
    rows = measured("curvature", flat, n_largest=4)
    answers = snapshot.task.table[snapshot.train_mask]
    residual = 1 / 5 - np.bincount(answers, minlength=5) / len(answers)
    expected = np.sqrt(2) * np.linalg.norm(residual)
    assert expected > 0.01
    signs = [1, 1, 1, 1, -1]
    assert [row["eigenvalue"] for row in rows] == pytest.approx([sign * expected for sign in signs], rel=1e-4)
    (row,) = measured("curvature", flat, "trace")
    assert abs(row["trace"]) < 4 * row["standard_error"]
    assert row["gradient_norm"] == 0
    assert row["loss"] == pytest.approx(np.log(5))


def test_rescaling_neurons_leaves_the_loss_and_changes_the_curvature():
    snapshot = untrained("x+y", 7, d_model=8, d_mlp=16)
    changed = {MLP + "W_in": 4 * snapshot.weights[MLP + "W_in"], MLP + "W_out": snapshot.weights[MLP + "W_out"] / 4}
    before, after = (
        measured("curvature", s, "trace", n_probes=100)[0] for s in (snapshot, snapshot.with_weights(changed))
    )
    assert after["loss"] == pytest.approx(before["loss"], rel=1e-5)
    assert abs(after["trace"] - before["trace"]) > 4 * (after["standard_error"] + before["standard_error"])


def test_only_trained_weights_count():
    matrix = positive_matrix(8, 1)
    frozen = dataclasses.replace(quadratic_snapshot(matrix, 0.1), trained=("embed.W_E",))  # the loss ignores it
    assert {row["eigenvalue"] for row in measured("curvature", frozen, n_largest=2)} == {0}
    assert measured("curvature", frozen, "trace")[0]["n_weights"] == 6


def test_parameters_say_how_many_and_one_probe_has_no_standard_error():
    snapshot = untrained("x+y", 5, d_model=8, d_mlp=8)
    rows = measured("curvature", snapshot, n_largest=2, n_smallest=0)
    assert [(row["end"], row["rank"]) for row in rows] == [("largest", 1), ("largest", 2)]
    (row,) = measured("curvature", snapshot, "trace", n_probes=1)
    assert row["standard_error"] is None
