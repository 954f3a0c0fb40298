"""Irreps in logits and weights: sums of traces, coset circuits as near misses, and C_p against the Fourier code."""

import math

import numpy as np
import pytest
import torch
from oracles import (
    build,
    clock_logits,
    in_natural_order,
    measured,
    one,
    pair_cross_entropy,
    snapshot_of_cube,
    untrained,
)

import grokinterp as gi
from grokinterp.errors import NotApplicableError
from grokinterp.harmonics.groups import parse_group
from grokinterp.harmonics.irreps import real_irreps
from grokinterp.harmonics.subgroups import best_coset_ratio, closure, coset_labels, coset_ratio, subgroups

GROUPS = ("S3", "S4", "D5", "D6", "A4", "C2xS3", "C3xC3")


def task_of(name: str) -> gi.Task:
    return gi.build_task(gi.TaskConfig(operation="x.y", group=name, frac_train=0.5))


def quotients(name: str) -> np.ndarray:
    """a.b.c^-1 for every triple."""
    group = parse_group(name)
    return group.table[group.table[:, :, None], group.inverse[None, None, :]]


def trace_logits(name: str, amplitudes: dict[str, float]) -> torch.Tensor:
    """sum_rho A_rho tr rho(a) rho(b) rho(c)^-1, from products of matrices and not from characters."""
    total = 0
    for irrep in real_irreps(parse_group(name)):
        if irrep.name in amplitudes:
            rho = irrep.matrices
            total = total + amplitudes[irrep.name] * np.einsum("aij,bjk,cik->abc", rho, rho, rho, optimize=True)
    return torch.from_numpy(total)


def some_irreps(name: str, count: int) -> list[str]:
    return [irrep.name for irrep in real_irreps(parse_group(name))[1 : count + 1]]


@pytest.mark.parametrize("name", GROUPS)
def test_logits_that_are_traces_have_the_similarities_of_their_amplitudes(name):
    amplitudes = dict(zip(some_irreps(name, 2), (3.0, 1.5), strict=True))
    rows = measured("group_representations", snapshot_of_cube(task_of(name), trace_logits(name, amplitudes)))
    commutant = {row["irrep"]: row["commutant"] for row in rows}
    total = math.sqrt(sum(A**2 * commutant[irrep] for irrep, A in amplitudes.items()))
    for row in rows:
        expected = amplitudes.get(row["irrep"], 0.0) * math.sqrt(row["commutant"]) / total
        assert row["trace_similarity"] == pytest.approx(expected, abs=1e-12)
        assert row["is_key"] == (row["irrep"] in amplitudes)
    assert sum(row["logit_share"] for row in rows) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", GROUPS)
def test_for_a_sum_of_traces_restricted_is_full_and_excluded_is_log_n(name):
    amplitudes = dict(zip(some_irreps(name, 2), (4.0, 2.0), strict=True))
    cube = trace_logits(name, amplitudes)
    rows = measured("group_representations", snapshot_of_cube(task_of(name), cube), "losses")
    row = one(rows, keys="last", split="all")
    labels = torch.from_numpy(parse_group(name).table)
    assert row["full_loss"] == pytest.approx(float(pair_cross_entropy(cube, labels).mean()), abs=1e-12)
    assert row["restricted_loss"] == pytest.approx(row["full_loss"], abs=1e-10)
    assert row["excluded_loss"] == pytest.approx(math.log(parse_group(name).order), abs=1e-10)
    control = one(rows, keys="random", split="all")
    assert control["excluded_loss"] == pytest.approx(row["full_loss"], abs=1e-10)


def test_a_coset_circuit_depends_on_the_product_but_is_no_sum_of_traces():
    """The near miss: logit of c high if a.b and c share a coset of a subgroup that is not normal."""
    group = parse_group("S4")
    members = next(m for m in subgroups(group) if m.sum() == 6)
    labels = coset_labels(group, members, "left")
    cube = torch.from_numpy(6.0 * (labels[group.table][:, :, None] == labels[None, None, :]))
    snapshot = snapshot_of_cube(task_of("S4"), cube)
    rows = measured("group_representations", snapshot)
    assert 0.05 < sum(row["logit_share"] for row in rows) < 0.9
    loss = one(measured("group_representations", snapshot, "losses"), keys="last", split="all")
    assert loss["restricted_loss"] == pytest.approx(loss["full_loss"], abs=1e-9)  # all of it is a function of a.b
    assert loss["excluded_loss"] == pytest.approx(math.log(24), abs=1e-9)


@pytest.mark.parametrize("name", ["S4", "D6"])
def test_random_logits_have_a_share_as_small_as_the_number_of_traces(name):
    n = parse_group(name).order
    cube = torch.randn(n, n, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = measured("group_representations", snapshot_of_cube(task_of(name), cube))
    assert sum(row["logit_share"] for row in rows) < 6 * len(rows) / (n**2 * (n - 1))


def test_an_untrained_network_uses_no_irrep():
    task = task_of("S4")
    config = gi.RunConfig.from_mapping(
        {"task": {"operation": "x.y", "group": "S4"}, "model": {"d_model": 24, "n_heads": 2}}
    )
    snapshot = gi.snapshot(gi.build_model(config), task)
    assert sum(row["logit_share"] for row in measured("group_representations", snapshot)) < 0.05
    loss = one(measured("group_representations", snapshot, "losses"), keys="last", split="all")
    assert abs(loss["restricted_loss"] - math.log(24)) < 0.2
    assert abs(loss["excluded_loss"] - loss["full_loss"]) < 0.2


@pytest.mark.parametrize(("operation", "p"), [("x+y", 7), ("x+y", 12), ("x-y", 13), ("x*y", 13), ("x/y", 7)])
def test_a_cyclic_group_gives_what_the_fourier_measures_give(operation, p):
    task = build(operation, p)
    n = task.coordinates.n
    noise = 0.1 * torch.randn(n, n, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    cube = in_natural_order(task, clock_logits(n, {1: 4.0, 2: 2.0}) + noise, zero_column=-50.0)
    snapshot = snapshot_of_cube(task, cube, (1, 2), train_mask=gi.draw_train_mask(task, 0.5, 0))
    ours = measured("group_representations", snapshot, "losses")
    for row in measured("progress_measures", snapshot):
        mine = one(ours, keys=row["keys"], split=row["split"])
        for column in ("full_loss", "restricted_loss", "excluded_loss", "n_keys", "n_pairs"):
            assert mine[column] == pytest.approx(row[column], abs=1e-10), (row["keys"], row["split"], column)


@pytest.mark.parametrize("p", [5, 12, 13])
def test_the_shares_of_a_cyclic_group_are_those_of_its_frequencies(p):
    snapshot = untrained("x+y", p)
    rows = measured("group_representations", snapshot)
    assert [row["irrep"] for row in rows] == [f"k={k}" for k in range(1, p // 2 + 1)]
    (spectrum,) = measured("logit_spectrum", snapshot)
    assert sum(row["logit_share"] for row in rows) == pytest.approx(spectrum["cosine_fve"], abs=1e-10)
    basis = torch.fft.rfft(snapshot.natural_rows("W_E"), dim=0).abs().square().sum(dim=1)[1:]
    basis[: (p - 1) // 2] *= 2
    expected = basis / p / snapshot.natural_rows("W_E").square().sum()
    assert torch.allclose(torch.tensor([row["embedding_share"] for row in rows]).double(), expected, atol=1e-10)


def test_trace_similarity_is_the_cosine_with_the_cube_of_traces():
    """The slow twin."""
    snapshot = untrained("x+y", 12)
    cube = snapshot.logits - snapshot.logits.mean(dim=2, keepdim=True)
    for row in measured("group_representations", snapshot):
        trace = trace_logits("C12", {row["irrep"]: 1.0})
        assert row["trace_similarity"] == pytest.approx(
            float((cube * trace).sum() / cube.norm() / trace.norm()), abs=1e-12
        )


def test_an_operation_that_is_no_group_product_is_skipped_with_a_reason():
    with pytest.raises(NotApplicableError, match="product of a group"):
        measured("group_representations", untrained("x*y", 12))


# Cosets --------------------------------------------------------------------------------------

SUBGROUPS = {"C1": 1, "C7": 2, "C12": 6, "S3": 6, "S4": 30, "A4": 10, "A5": 59, "S5": 156, "D7": 10, "D6": 16}


@pytest.mark.parametrize("name", SUBGROUPS)
def test_a_group_has_its_known_number_of_subgroups_and_each_is_closed(name):
    group = parse_group(name)
    masks = subgroups(group)
    assert len(masks) == SUBGROUPS[name]
    for members in masks[:: max(1, len(masks) // 20)]:
        elements = np.nonzero(members)[0].tolist()
        assert closure(group, tuple(elements)) == frozenset(elements)
        assert group.order % members.sum() == 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_indicator_of_a_coset_has_ratio_0_on_its_side_and_not_on_the_other(side):
    group = parse_group("S4")
    members = next(m for m in subgroups(group) if m.sum() == 3)
    labels = coset_labels(group, members, side)
    assert np.bincount(labels).tolist() == [3] * 8
    values = (labels == 5).astype(float)[:, None]
    assert coset_ratio(values, labels)[0] == pytest.approx(0, abs=1e-12)
    other = coset_labels(group, members, "right" if side == "left" else "left")
    assert coset_ratio(values, other)[0] > 0.1
    assert best_coset_ratio(group, values)[0][0] == pytest.approx(0, abs=1e-12)


def test_the_ratio_of_random_functions_is_1_on_average_for_every_subgroup():
    group = parse_group("S4")
    values = np.random.default_rng(0).standard_normal((24, 4000))
    for members in subgroups(group)[1:-1:4]:
        ratio = coset_ratio(values, coset_labels(group, members, "left"))
        assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(4000)


def test_neurons_on_cosets_are_concentrated_and_shuffled_ones_are_not():
    group, task = parse_group("S4"), task_of("S4")
    halves = [m for m in subgroups(group) if m.sum() in (6, 12)]
    neurons = torch.zeros(24, 24, len(halves), dtype=torch.float64)
    for i, members in enumerate(halves):
        labels = coset_labels(group, members, "right")
        neurons[:, :, i] = torch.from_numpy((labels == 0).astype(float)[:, None] + np.zeros((1, 24)))
    snapshot = snapshot_of_cube(task, torch.zeros(24, 24, 24, dtype=torch.float64), neurons=neurons)
    (row,) = measured("group_representations", snapshot, "cosets")  # the right operand plays no part
    assert row["operand"] == "left"
    assert row["n_neurons"] == len(halves)
    assert row["concentrated_fraction"] == 1
    assert row["null_concentrated_fraction"] < 0.2
    assert row["ratio_median"] < row["null_q05"]


def test_a_group_of_prime_order_has_no_coset_rows():
    assert measured("group_representations", untrained("x+y", 7), "cosets") == []
