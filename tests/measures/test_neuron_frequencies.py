import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import PRIMES_AND_OTHERS, build, clock_logits, measured, one, pizza_snapshot, snapshot_of_cube, untrained

from grokinterp.harmonics.cyclic import frequencies
from grokinterp.harmonics.keys import NEURON_THRESHOLD
from grokinterp.measures.registry import builtin_measures
from grokinterp.tasks import Task

few = settings(derandomize=True, deadline=None, max_examples=12)
TURN = 2 * math.pi


def wrapped(x: float) -> float:
    return (x + math.pi) % TURN - math.pi


def natural_neurons(task: Task, natural: torch.Tensor) -> torch.Tensor:
    """Neurons over (a, b) from neurons over natural (i, j); pairs without natural coordinates get 7."""
    acts = torch.full((*task.table.shape, natural.shape[2]), 7.0, dtype=torch.float64)
    acts[np.ix_(task.coordinates.left, task.coordinates.right)] = natural
    return acts


def wave_neuron(n: int, k: int, left: float, right: float) -> torch.Tensor:
    """cos(w i + left) cos(w j + right) + cos(w i + left) + cos(w j + right), one pure neuron."""
    angle = TURN * k * torch.arange(n, dtype=torch.float64) / n
    f, g = torch.cos(angle + left)[:, None], torch.cos(angle + right)[None, :]
    return f * g + f + g


def snapshot_of_neurons(task: Task, natural: torch.Tensor, out: torch.Tensor | None = None):
    """With rows of W_L (natural answers x neurons) where they matter."""
    n, weights = task.coordinates.n, {}
    if out is not None:
        w_u = torch.zeros(natural.shape[2], task.n_answers, dtype=torch.float64)
        w_u[:, task.coordinates.answer] = out.T
        weights = {"blocks.0.mlp.W_out": torch.eye(natural.shape[2], dtype=torch.float64), "unembed.W_U": w_u}
    cube = torch.zeros(*task.table.shape, task.n_answers, dtype=torch.float64)
    assert natural.shape[:2] == (n, n)
    return snapshot_of_cube(task, cube, neurons=natural_neurons(task, natural), weights=weights)


@pytest.mark.parametrize(("operation", "p"), [("x+y", 13), ("x+y", 12), ("x-y", 13), ("x*y", 13), ("x/y", 11)])
def test_clusters_count_the_neurons_of_each_frequency(operation, p):
    task = build(operation, p)
    n = task.coordinates.n
    neurons = [wave_neuron(n, k, 0.3 * m, 1.0) for k, m in [(2, 1), (2, 2), (2, 3), (n // 2, 1)]]
    mixed = wave_neuron(n, 2, 0, 0) + wave_neuron(n, 3, 0, 0)
    rows = measured("neuron_frequencies", snapshot_of_neurons(task, torch.stack([*neurons, mixed], dim=2)))
    assert [(row["k"], row["n_neurons"]) for row in rows] == [(0, 4), (2, 3), (n // 2, 1)]
    assert one(rows, k=0)["share"] == pytest.approx(4 / 5)
    assert one(rows, k=2)["mean_fraction"] == pytest.approx(1)
    assert one(rows, k=0)["mean_fraction"] == pytest.approx((4 + 0.5) / 5)


@pytest.mark.parametrize(("threshold", "counted"), [(0.79, 1), (0.81, 0)])
def test_the_threshold_is_a_parameter(threshold, counted):
    angle = torch.arange(13, dtype=torch.float64) * TURN / 13
    neuron = (2 * torch.cos(4 * angle) + torch.cos(5 * angle))[:, None].expand(13, 13)
    rows = measured(
        "neuron_frequencies", snapshot_of_neurons(build("x+y", 13), neuron[:, :, None]), threshold=threshold
    )
    assert one(rows, k=0)["n_neurons"] == counted


@given(
    p=st.sampled_from([5, 7, 12, 13]),
    operation=st.sampled_from(["x+y", "x-y"]),
    left=st.floats(-3, 3),
    right=st.floats(-3, 3),
    off=st.floats(-3, 3),
    data=st.data(),
)
@few
def test_phases_are_read_off_and_the_residual_is_what_is_missing_to_the_sum(p, operation, left, right, off, data):
    task = build(operation, p)
    k = data.draw(st.sampled_from([k for k in frequencies(p) if 2 * k != p]))
    out = torch.cos(TURN * k * torch.arange(p, dtype=torch.float64) / p + left + right - off)
    snapshot = snapshot_of_neurons(task, wave_neuron(p, k, left, right)[:, :, None], out[:, None])
    (row,) = measured("neuron_frequencies", snapshot, "neurons")
    assert row["k"] == k
    assert row["fraction"] == pytest.approx(1)
    for name, phase in (("left", left), ("right", right), ("out", left + right - off), ("residual", off)):
        assert wrapped(row[f"phase_{name}"] - phase) == pytest.approx(0, abs=1e-7), name


def test_clusters_have_the_mean_size_of_their_neurons_residuals():
    p, offs = 13, (0.0, 0.4, -0.6, 3.0)
    natural = torch.stack([wave_neuron(p, 4, 0.2 * m, 1.0) for m in range(3)] + [torch.zeros(p, p).double()], dim=2)
    turns = TURN * 4 * torch.arange(p, dtype=torch.float64) / p
    out = torch.stack([torch.cos(turns + 0.2 * m + 1.0 - off) for m, off in enumerate(offs)], dim=1)
    rows = measured("neuron_frequencies", snapshot_of_neurons(build("x+y", p), natural, out))
    for k in (0, 4):
        assert one(rows, k=k)["n_neurons"] == 3
        assert one(rows, k=k)["mean_residual"] == pytest.approx((0.4 + 0.6) / 3)


def test_the_default_threshold_is_that_of_the_neuron_rule_and_stands_in_the_table():
    measure = builtin_measures()["neuron_frequencies"]
    assert measure.params["threshold"] == NEURON_THRESHOLD
    snapshot = pizza_snapshot(7, {2: 5.0})
    assert {row["threshold"] for row in measured("neuron_frequencies", snapshot)} == {NEURON_THRESHOLD}
    assert {row["threshold"] for row in measured("neuron_frequencies", snapshot, threshold=0.5)} == {0.5}


def test_random_phases_have_a_mean_residual_of_a_quarter_turn():
    stream = torch.Generator().manual_seed(4)
    left, right, off = (TURN * torch.rand(600, generator=stream, dtype=torch.float64) for _ in range(3))
    p, k = 7, 2
    natural = torch.stack([wave_neuron(p, k, float(a), float(b)) for a, b in zip(left, right, strict=True)], dim=2)
    turns = TURN * k * torch.arange(p, dtype=torch.float64) / p
    rows = measured(
        "neuron_frequencies", snapshot_of_neurons(build("x+y", p), natural, torch.cos(turns[:, None] + off))
    )
    error = math.pi / math.sqrt(12) / math.sqrt(600)  # |residual| is uniform in [0, pi]
    assert abs(one(rows, k=k)["mean_residual"] - math.pi / 2) < 4 * error


def test_at_nyquist_a_phase_is_zero_or_half_a_turn():
    sign = (-1.0) ** torch.arange(6, dtype=torch.float64)
    neuron = -sign[:, None] + 0.5 * sign[None, :]
    (row,) = measured(
        "neuron_frequencies", snapshot_of_neurons(build("x+y", 6), neuron[:, :, None], -sign[:, None]), "neurons"
    )
    assert row["k"] == 3
    assert abs(row["phase_left"]) == pytest.approx(math.pi)
    assert row["phase_right"] == pytest.approx(0)
    assert row["phase_residual"] == pytest.approx(0)


@pytest.mark.parametrize("p", [7, 13])
def test_pizza_neurons_belong_to_their_frequency_but_are_less_pure_than_cosines(p):
    rows = measured("neuron_frequencies", pizza_snapshot(p, {2: 5.0, 3: 5.0}), "neurons")
    assert [row["k"] for row in rows] == [2] * 2 * p + [3] * 2 * p
    fractions = [row["fraction"] for row in rows]
    assert min(fractions) > 0.8
    assert max(fractions) < 0.99
    residuals = [row["phase_residual"] for row in rows]
    assert residuals == pytest.approx([0] * 4 * p, abs=1e-6)  # relu(cos(w a - f) + cos(w b - f)) writes cos(w c - 2 f)


def test_neurons_of_a_product_of_two_frequencies_belong_to_none():
    angle = TURN * torch.arange(13, dtype=torch.float64) / 13
    product = torch.cos(2 * angle)[:, None] * torch.cos(5 * angle)[None, :]
    rows = measured("neuron_frequencies", snapshot_of_neurons(build("x+y", 13), product[:, :, None]))
    assert [(row["k"], row["n_neurons"]) for row in rows] == [(0, 0)]


def test_the_share_of_the_energy_weighs_neurons_by_their_variance():
    waves = [amplitude * wave_neuron(13, k, 0.2, 0.7) for k, amplitude in [(2, 3.0), (5, 1.0)]]
    mixed = 2.0 * (wave_neuron(13, 3, 0, 0) + wave_neuron(13, 4, 0, 0))
    natural = torch.stack([*waves, mixed], dim=2) + torch.tensor([0.0, 5.0, -7.0])
    rows = measured("neuron_frequencies", snapshot_of_neurons(build("x+y", 13), natural))
    variance = natural.var(dim=(0, 1), correction=0)
    for k, counted in [(0, [0, 1]), (2, [0]), (5, [1])]:
        expected = float(variance[counted].sum() / variance.sum())
        assert one(rows, k=k)["energy_share"] == pytest.approx(expected)


@given(p=st.sampled_from(PRIMES_AND_OTHERS))
@few
def test_dead_neurons_are_not_counted(p):
    rows = measured("neuron_frequencies", snapshot_of_cube(build("x+y", p), clock_logits(p, {1: 2.0})))
    assert [(row["k"], row["n_neurons"], row["mean_fraction"]) for row in rows] == [(0, 0, 0.0)]
    assert rows[0]["mean_residual"] is None
    assert rows[0]["energy_share"] is None


@pytest.mark.parametrize("p", [12, 13])
def test_noise_and_untrained_networks_have_no_pure_neurons(p):
    noise = torch.randn(p, p, 50, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for snapshot in (snapshot_of_neurons(build("x+y", p), noise), untrained("x+y", p)):
        assert one(measured("neuron_frequencies", snapshot), k=0)["n_neurons"] == 0
