import dataclasses
import itertools
import math

import pytest
import torch
from oracles import QuadraticLoss, build, measured, one, positive_matrix, untrained
from trust_region import largest_in_ball

from grokinterp.landscape.keskar import random_rows
from grokinterp.snapshots import Snapshot

MLP = "blocks.0.mlp."


def quadratic_snapshot(seed: int, n: int = 8, floor: float = 0.5) -> tuple[Snapshot, QuadraticLoss]:
    task = build("x+y", 2)
    forward = QuadraticLoss(
        positive_matrix(n, seed), torch.zeros(n, dtype=torch.float64), torch.from_numpy(task.table), floor
    )
    x = torch.randn(n, generator=torch.Generator().manual_seed(seed + 50), dtype=torch.float64)
    weights = {"embed.W_E": torch.zeros(3, 2, dtype=torch.float64), "x": x}
    return Snapshot(task, weights, forward, trained=("x",)), forward


@pytest.mark.parametrize("seed", [1, 2])
def test_the_loss_of_the_oracle_is_the_quadratic(seed):
    snapshot, forward = quadratic_snapshot(seed)
    assert float(snapshot.loss_under({})) == pytest.approx(float(forward.f(snapshot.weights["x"])))


@pytest.mark.parametrize(("seed", "sigma"), [(1, 0.05), (3, 0.4)])
def test_raw_noise_raises_a_quadratic_loss_by_half_sigma_squared_times_the_trace(seed, sigma):
    snapshot, forward = quadratic_snapshot(seed)
    rows = measured("flatness", snapshot, n_samples=600, sigmas={"raw": [sigma]}, seed=seed)
    (row,) = rows
    expected = sigma**2 * float(forward.matrix.trace()) / 2
    assert abs(row["loss_increase"] - expected) < 4 * row["standard_error"]
    x = snapshot.weights["x"]
    linear = sigma**2 * float((forward.matrix @ x).square().sum())  # variance of the first-order term
    second = sigma**4 * float(forward.matrix.square().sum()) / 2
    assert row["standard_error"] == pytest.approx(math.sqrt((linear + second) / 600), rel=0.15)
    assert row["increase_q05"] < row["increase_median"] < row["increase_q95"]
    assert row["loss"] == pytest.approx(float(forward.f(x)))


def test_proportional_noise_raises_it_by_the_weighted_trace():
    snapshot, forward = quadratic_snapshot(4)
    (row,) = measured("flatness", snapshot, n_samples=600, sigmas={"weight-proportional": [0.3]})
    expected = 0.3**2 / 2 * float((forward.matrix.diag() * snapshot.weights["x"].square()).sum())
    assert abs(row["loss_increase"] - expected) < 4 * row["standard_error"]


def test_every_form_and_sigma_has_a_row_and_one_sample_has_no_standard_error():
    snapshot, _ = quadratic_snapshot(1)
    rows = measured("flatness", snapshot, n_samples=1)
    assert len({(row["noise"], row["sigma"]) for row in rows}) == len(rows) == 6
    assert {row["noise"] for row in rows} == {"raw", "weight-proportional", "neuron-wise", "layer-relative"}
    assert {row["standard_error"] for row in rows} == {None}


def test_all_relative_forms_leave_a_network_of_zeros_alone():
    snapshot = untrained("x+y", 5, d_model=8, d_mlp=8)
    zeros = {name: torch.zeros_like(w) for name, w in snapshot.weights.items()}
    for row in measured("flatness", dataclasses.replace(snapshot, weights=zeros)):
        assert row["loss"] == pytest.approx(math.log(5), rel=1e-6)
        if row["noise"] != "raw":
            assert row["loss_increase"] == pytest.approx(0, abs=1e-12)


def rescaled(snapshot: Snapshot) -> Snapshot:
    """ReLU neurons times 4 and 1/4 in turn at the input, back at the output: the same network."""
    weights = dict(snapshot.weights)
    s = torch.where(torch.arange(weights[MLP + "W_in"].shape[1]) % 2 == 0, 4.0, 0.25).double()
    weights[MLP + "W_in"] = weights[MLP + "W_in"] * s
    weights[MLP + "W_out"] = weights[MLP + "W_out"] / s[:, None]
    return dataclasses.replace(snapshot, weights=weights)


def test_rescaling_neurons_changes_raw_and_layer_relative_noise_and_no_other():
    snapshot = untrained("x+y", 7, d_model=16, d_mlp=32)
    sigmas = {form: [0.3] for form in ("raw", "weight-proportional", "neuron-wise", "layer-relative")}
    before, after = (measured("flatness", s, sigmas=sigmas, n_samples=20) for s in (snapshot, rescaled(snapshot)))
    for form in sigmas:
        old, new = (one(rows, noise=form)["loss_increase"] for rows in (before, after))
        assert one(after, noise=form)["loss"] == pytest.approx(one(before, noise=form)["loss"], abs=1e-6)
        if form in ("weight-proportional", "neuron-wise"):
            assert new == pytest.approx(old, abs=1e-5)  # the forward is in float32
        else:
            assert new > 1.2 * old


@pytest.mark.parametrize("part", ["", "keskar", "sam", "slices"])
def test_only_weights_that_training_changes_are_perturbed(part):
    snapshot, forward = quadratic_snapshot(2)
    frozen = dataclasses.replace(snapshot, trained=("embed.W_E",))  # the loss does not depend on it
    loss = float(forward.f(snapshot.weights["x"]))
    for row in measured("flatness", frozen, part, keskar_dim=2):
        column = {"": "loss_increase", "keskar": "phi", "sam": "loss_increase"}.get(part)
        assert row["loss"] == pytest.approx(loss)
        assert column is None or row[column] == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_worst_case_in_a_ball_of_a_quadratic_is_its_closed_form(seed):
    snapshot, forward = quadratic_snapshot(seed)
    x, matrix = snapshot.weights["x"], forward.matrix
    rows = measured("flatness", snapshot, "sam", sam_radii={"raw": [0.3], "weight-proportional": [0.3]}, sam_steps=300)
    for row in rows:
        scale = torch.ones_like(x) if row["form"] == "raw" else x.abs()
        g, bent = scale * (matrix @ x), scale[:, None] * matrix * scale
        one_step = 0.3 * g.norm() + 0.5 * 0.3**2 * (g @ bent @ g) / (g @ g)
        assert row["one_step_increase"] == pytest.approx(float(one_step))
        assert row["loss_increase"] == pytest.approx(largest_in_ball(bent, g, 0.3), rel=1e-9)
        assert row["loss_increase"] > row["one_step_increase"]
        assert row["worst_loss"] == pytest.approx(row["loss"] + row["loss_increase"])


def test_rescaling_neurons_changes_the_raw_ball_and_no_other_and_no_slice():
    snapshot = untrained("x+y", 7, d_model=16, d_mlp=32)
    radii = {form: [1.0] for form in ("raw", "weight-proportional", "neuron-wise")}
    before, after = (measured("flatness", s, "sam", sam_radii=radii) for s in (snapshot, rescaled(snapshot)))
    for form in radii:
        old, new = (one(rows, form=form) for rows in (before, after))
        for column in ("loss_increase", "one_step_increase"):
            if form == "raw":
                assert new[column] > 1.2 * old[column]
            else:
                assert new[column] == pytest.approx(old[column], rel=1e-3)  # the forward is in float32
    before, after = (measured("flatness", s, "slices") for s in (snapshot, rescaled(snapshot)))
    for old, new in zip(before, after, strict=True):
        assert new["loss"] == pytest.approx(old["loss"], rel=1e-5)


@pytest.mark.parametrize("alpha", [0.1, 0.4])
def test_a_quadratic_along_random_lines_rises_by_the_mean_curvature(alpha):
    snapshot, forward = quadratic_snapshot(3, floor=2.0)
    x, n = snapshot.weights["x"], 400
    up, down = measured("flatness", snapshot, "slices", slice_alphas=[alpha, -alpha], slice_directions=n)
    mean = (up["loss"] + down["loss"]) / 2  # the slopes of a line at alpha and -alpha cancel
    expected = float(x @ x * forward.matrix.trace()) / len(x) * alpha**2 / 2
    spread = float(x @ x) * alpha**2 / 2 * float(torch.linalg.eigvalsh(forward.matrix).std()) / math.sqrt(n)
    assert abs(mean - float(forward.f(x)) - expected) < 4 * spread
    assert up["loss_q05"] < up["loss_median"] < up["loss_q95"]
    slope = float((forward.matrix @ x).square().sum() * (x @ x)) / len(x) * alpha**2
    assert up["standard_error"] == pytest.approx(math.sqrt(slope / n), rel=0.2)


def test_on_a_line_the_network_itself_is_in_the_middle():
    snapshot = untrained("x+y", 7, d_model=16, d_mlp=32)
    rows = measured("flatness", snapshot, "slices", slice_directions=2)
    middle = one(rows, alpha=0.0)
    assert middle["loss"] == pytest.approx(float(snapshot.loss_under({})), rel=1e-5)
    assert middle["standard_error"] == pytest.approx(0, abs=1e-12)
    assert [row["alpha"] for row in rows] == [-1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0]


@pytest.mark.parametrize("seed", [1, 5])
def test_keskars_phi_of_a_quadratic_is_that_of_its_best_corner(seed):
    snapshot, forward = quadratic_snapshot(seed, floor=0.3)
    params = {"keskar_dim": 4, "keskar_epsilon": 0.05, "keskar_corners": 30, "seed": seed, "keskar_evaluations": 60}
    (row,) = measured("flatness", snapshot, "keskar", **params)
    x, rows = snapshot.weights["x"], random_rows(4, 8, seed)
    inverse, radius = torch.linalg.pinv(rows), 0.05 * ((rows @ x).abs() + 1)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4)), dtype=torch.float64)
    worst = max(float(forward.f(x + inverse @ (s * radius))) for s in signs)
    assert row["worst_loss"] == pytest.approx(worst)
    assert row["phi"] == pytest.approx(100 * (worst - row["loss"]) / (1 + row["loss"]))


def test_a_flat_loss_has_phi_zero():
    snapshot, forward = quadratic_snapshot(1)
    flat = dataclasses.replace(snapshot, forward=dataclasses.replace(forward, matrix=0 * forward.matrix))
    (row,) = measured("flatness", flat, "keskar", keskar_dim=3)
    assert row["phi"] == 0


def test_a_grokked_network_is_flatter_than_the_memorised_one_by_every_part(grokked_run):
    marks = grokked_run.phases.landmarks(grokked_run.steps)
    for part, column, where in (
        ("", "loss_increase", {"noise": "weight-proportional", "sigma": 0.1}),
        ("sam", "loss_increase", {"form": "weight-proportional", "rho": 0.5}),
        ("slices", "loss", {"alpha": 0.2}),
    ):
        table = grokked_run.table(f"flatness.{part}" if part else "flatness").to_dict("records")
        memorised, end = (one(table, step=marks[name], **where)[column] for name in ("memorised", "end"))
        assert end < 0.5 * memorised, part


def test_a_grokked_network_has_a_positive_phi_although_its_gradient_is_nearly_zero(grokked_run):
    table = grokked_run.table("flatness.keskar")
    assert (table["phi"] >= 0).all()
    last = table[table["step"] == grokked_run.steps[-1]].iloc[0]
    assert last["phi"] > 0
    assert last["worst_loss"] > last["loss"]
