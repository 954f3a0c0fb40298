import bz2
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import build, measured, one, orthonormal_rows, pizza_snapshot, snapshot_of_cube, untrained
from scipy.integrate import quad

import grokinterp as gi
from grokinterp.measures.registry import builtin_measures
from grokinterp.snapshots import Snapshot

few = settings(derandomize=True, deadline=None, max_examples=15)
W_IN = "blocks.0.mlp.W_in"


def with_matrix(matrix: torch.Tensor) -> Snapshot:
    """A snapshot whose W_in is the matrix."""
    task = build("x+y", 5)
    return snapshot_of_cube(task, torch.zeros(5, 5, 5, dtype=torch.float64), (1,), weights={W_IN: matrix})


def row_of(matrix: torch.Tensor) -> dict:
    return one(measured("complexity", with_matrix(matrix)), matrix="W_in")


def with_spectrum(sigma: list[float], rows: int, columns: int, seed: int) -> torch.Tensor:
    """A matrix of random singular vectors with these singular values."""
    left, right = orthonormal_rows(len(sigma), rows, seed), orthonormal_rows(len(sigma), columns, seed + 1)
    return left.T @ torch.diag(torch.tensor(sigma, dtype=torch.float64)) @ right


@given(r=st.integers(1, 7), scale=st.sampled_from([1e-6, 1.0, 300.0]), seed=st.integers(0, 99))
@few
def test_equal_singular_values_and_zeros_have_their_number_as_every_rank(r, scale, seed):
    row = row_of(with_spectrum([scale] * r, 7, 9, seed))
    assert row["rank_bound"] == 7
    assert row["effective_rank"] == pytest.approx(r)
    assert row["effective_rank_energy"] == pytest.approx(r)
    assert row["stable_rank"] == pytest.approx(r)
    assert row["normalised_entropy"] == pytest.approx(math.log(r) / math.log(7), abs=1e-9)


@given(n=st.integers(2, 12))
@few
def test_the_identity_has_full_rank_and_the_largest_entropy(n):
    row = row_of(torch.eye(n, dtype=torch.float64))
    assert (row["effective_rank"], row["effective_rank_energy"]) == pytest.approx((n, n))
    assert row["normalised_entropy"] == pytest.approx(1)


def geometric_log_rank(q: float, n: int) -> float:
    total = (1 - q**n) / (1 - q)
    return math.log(total) - math.log(q) * math.fsum(i * q**i for i in range(n)) / total


@given(q=st.sampled_from([0.3, 0.7, 0.95]), n=st.integers(1, 8), seed=st.integers(0, 99))
@few
def test_a_geometric_spectrum_has_the_closed_form_in_both_conventions(q, n, seed):
    row = row_of(with_spectrum([5 * q**i for i in range(n)], 8, 11, seed))
    assert row["effective_rank"] == pytest.approx(math.exp(geometric_log_rank(q, n)))
    assert row["effective_rank_energy"] == pytest.approx(math.exp(geometric_log_rank(q * q, n)))
    assert row["stable_rank"] == pytest.approx((1 - q ** (2 * n)) / (1 - q * q))


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 999))
@few
def test_the_energy_convention_never_exceeds_the_other_and_neither_depends_on_the_scale(rows, columns, seed):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    row, scaled = row_of(matrix), row_of(-1e5 * matrix)
    assert 1 <= row["stable_rank"] <= row["effective_rank_energy"] + 1e-9
    assert row["effective_rank_energy"] <= row["effective_rank"] + 1e-9
    assert row["effective_rank"] <= min(rows, columns) + 1e-9
    assert {k: v for k, v in scaled.items() if v is not None} == pytest.approx(
        {k: v for k, v in row.items() if v is not None}
    )


def test_a_matrix_of_zeros_has_no_ranks_and_a_vector_no_normalised_entropy():
    zero = row_of(torch.zeros(4, 6, dtype=torch.float64))
    assert [zero[name] for name in ("effective_rank", "effective_rank_energy", "stable_rank")] == [None] * 3
    assert zero["normalised_entropy"] is None
    vector = row_of(torch.ones(1, 6, dtype=torch.float64))
    assert vector["effective_rank"] == pytest.approx(1)
    assert vector["normalised_entropy"] is None


def marchenko_pastur(ratio: float, n: int) -> tuple[float, float]:
    """Effective ranks (of sigma, of sigma^2) of an n x (n / ratio) Gaussian matrix, by integration over its law."""
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2

    def mean(f) -> float:
        def density(x: float) -> float:
            return f(x) * math.sqrt((high - x) * (x - low)) / (2 * math.pi * ratio * x)

        return quad(density, low, high)[0]

    def rank(s) -> float:
        first = mean(s)
        return n * first * math.exp(-mean(lambda x: s(x) * math.log(s(x))) / first)

    assert mean(lambda _: 1.0) == pytest.approx(1)
    return rank(math.sqrt), rank(lambda x: x)


def test_gaussian_initial_weights_have_the_marchenko_pastur_value():
    rows = measured("complexity", untrained("x+y", 7, d_model=64, d_mlp=256))
    of_sigma, of_energy = marchenko_pastur(64 / 256, 64)
    for name in ("W_in", "W_out"):
        row = one(rows, matrix=name)
        assert row["effective_rank"] == pytest.approx(of_sigma, rel=0.01)
        assert row["effective_rank_energy"] == pytest.approx(of_energy, rel=0.01)
    assert of_energy < of_sigma < 64


@pytest.mark.parametrize("operation", ["x+y", "x-y", "x*y", "x/y"])
def test_every_matrix_of_the_network_is_there_with_the_rank_that_its_factors_allow(operation):
    snapshot = untrained(operation, 13, d_model=10, d_mlp=48)
    rows = measured("complexity", snapshot)
    bounds = {(row["matrix"], row["head"]): row["rank_bound"] for row in rows}
    head = snapshot.weights["blocks.0.attn.W_Q"].shape[2]
    circuits = {(name, h): head for name in ("OV", "QK") for h in (0, 1)}
    plain = {(name, None): 10 for name in ("W_E", "W_U", "W_in", "W_out", "W_L")}
    assert bounds == plain | circuits
    for row in rows:
        assert row["effective_rank"] <= row["rank_bound"] + 1e-9
    w = {name: value.numpy() for name, value in snapshot.weights.items()}
    qk = w["blocks.0.attn.W_Q"][1] @ w["blocks.0.attn.W_K"][1].T
    assert one(rows, matrix="QK", head=1)["effective_rank"] == pytest.approx(slow_rank(qk))
    w_l = w["blocks.0.mlp.W_out"] @ w["unembed.W_U"][:, :13]
    assert one(rows, matrix="W_L")["effective_rank"] == pytest.approx(slow_rank(w_l))
    assert one(rows, matrix="W_E")["effective_rank"] == pytest.approx(slow_rank(w["embed.W_E"][:13]))


def slow_rank(matrix: np.ndarray) -> float:
    s = np.linalg.svd(matrix, compute_uv=False)
    s = s[s > 1e-13 * s.max()] / s.sum()
    return math.exp(-sum(s * np.log(s)))


def test_the_network_row_is_the_mean_over_stored_matrices_with_heads_side_by_side():
    snapshot = untrained("x+y", 5, d_model=8, d_mlp=12)
    w = {name: value.numpy() for name, value in snapshot.weights.items()}
    attn = [np.concatenate(list(w[f"blocks.0.attn.W_{n}"]), axis=1) for n in "QKV"]
    matrices = [*attn, np.concatenate(list(w["blocks.0.attn.W_O"]))]
    matrices += [w[name] for name in ("embed.W_E", "pos_embed.W_pos", W_IN, "blocks.0.mlp.W_out", "unembed.W_U")]
    logs = [math.log(slow_rank(m)) for m in matrices]
    (row,) = measured("complexity", snapshot, "network")
    assert row["mean_entropy"] == pytest.approx(sum(logs) / 9)
    shares = [value / math.log(min(m.shape)) for value, m in zip(logs, matrices, strict=True)]
    assert row["mean_normalised_entropy"] == pytest.approx(sum(shares) / 9)
    assert row["n_matrices"] == 9


@pytest.mark.parametrize(("p", "m", "dead"), [(5, 3, 2), (7, 6, 0), (12, 1, 5), (13, 8, 30)])
def test_uncorrelated_neurons_of_equal_variance_count_themselves(p, m, dead):
    centred = torch.cat([torch.ones(1, p * p), torch.randn(m, p * p, generator=torch.Generator().manual_seed(p))])
    columns = torch.linalg.qr(centred.double().T)[0][:, 1:]  # orthonormal, each of mean zero
    neurons = torch.cat([3 * columns + 2, torch.ones(p * p, dead)], dim=1).view(p, p, -1)
    snapshot = snapshot_of_cube(build("x+y", p), torch.zeros(p, p, p, dtype=torch.float64), (1,), neurons=neurons)
    (row,) = measured("complexity", snapshot, "neurons")
    bound = min(m + dead, p * p - 1)
    assert row["effective_rank"] == pytest.approx(m)
    assert row["rank_bound"] == bound
    assert row["normalised_entropy"] == pytest.approx(math.log(m) / math.log(bound), abs=1e-9)


def test_neurons_at_undefined_pairs_do_not_count_and_constant_ones_have_no_entropy():
    task = build("x/y", 7)
    neurons = torch.ones(7, 7, 4, dtype=torch.float64)
    neurons[torch.from_numpy(~task.defined)] = 1e3
    snapshot = snapshot_of_cube(task, torch.zeros(7, 7, 7, dtype=torch.float64), (1,), neurons=neurons)
    (row,) = measured("complexity", snapshot, "neurons")
    assert row["n_pairs"] == 42
    assert row["normalised_entropy"] is None


def test_neurons_of_fewer_pairs_than_neurons_are_those_of_the_whole_covariance():
    snapshot = untrained("x+y", 5, d_mlp=60)
    acts = snapshot.neuron_acts.reshape(25, 60).numpy()
    values = np.linalg.eigvalsh(np.cov(acts.T)).clip(0)
    s = values[values > 1e-13 * values.max()] / values.sum()
    (row,) = measured("complexity", snapshot, "neurons")
    assert row["rank_bound"] == 24
    assert row["normalised_entropy"] == pytest.approx(-sum(s * np.log(s)) / math.log(24))


def zero_bytes(n_weights: int) -> int:
    """Size of the stream of that many zeros."""
    return len(bz2.compress(bytes(n_weights)))


@pytest.mark.parametrize("p", [7, 12])
def test_an_untrained_network_compresses_to_nothing_and_one_that_computes_does_not(p):
    (nothing,) = measured("complexity", untrained("x+y", p, d_model=64), "compressed")
    assert nothing["bytes"] <= zero_bytes(nothing["n_weights"])
    assert nothing["loss"] <= nothing["loss_before"] + 0.125
    (pizza,) = measured("complexity", pizza_snapshot(p, {1: 30.0, 2: 30.0}), "compressed")
    assert pizza["bytes"] > 4 * zero_bytes(pizza["n_weights"])
    assert pizza["loss"] <= pizza["loss_before"] + 0.125
    assert pizza["loss_before"] < 0.1
    assert pizza["bits_per_weight"] == pytest.approx(8 * pizza["bytes"] / pizza["n_weights"])


def test_a_wider_tolerance_never_costs_more_bytes():
    snapshot = pizza_snapshot(7, {1: 30.0, 2: 30.0})
    deltas = [2.0**k for k in range(-8, 9)]
    rows = [measured("complexity", snapshot, "compressed", loss_tolerance=t, deltas=deltas) for t in (0.06, 0.5, 2.0)]
    found = [one(row)["bytes"] for row in rows]
    assert found == sorted(found, reverse=True)
    assert found[-1] <= zero_bytes(rows[0][0]["n_weights"]) < found[0] / 4  # 2 nats are more than log 7


def test_a_grid_that_is_too_coarse_gives_nulls():
    snapshot = pizza_snapshot(7, {1: 30.0, 2: 30.0})
    (row,) = measured("complexity", snapshot, "compressed", deltas=[64.0])
    assert [row[name] for name in ("bytes", "bits_per_weight", "threshold", "delta", "loss")] == [None] * 5
    assert row["n_tried"] == 4


def test_it_serves_a_group_and_several_blocks(tmp_path):
    config = gi.RunConfig.from_mapping(
        {
            "task": {"operation": "x.y", "p": None, "group": "S3"},
            "model": {"d_model": 8, "n_heads": 2, "d_mlp": 16, "n_layers": 2},
            "train": {"steps": 2, "checkpoint_every": 1},
        }
    )
    snapshot = gi.train(config, tmp_path / "run", show_progress=False).snapshot()
    rows = measured("complexity", snapshot)
    assert {(row["matrix"], row["block"]) for row in rows} == {
        ("W_E", None),
        ("W_U", None),
        ("W_L", 1),
        *[(name, block) for name in ("W_in", "W_out", "OV", "QK") for block in (0, 1)],
    }
    for part in builtin_measures()["complexity"].parts:
        assert measured("complexity", snapshot, part)
