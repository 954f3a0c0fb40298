"""Symbols that cluster by cosets, symbols on a circle, and symbols that lie anywhere."""

import numpy as np
import pytest
import torch
from oracles import measured, one, snapshot_of_cube, untrained, wave_weights

import grokinterp as gi
from grokinterp.errors import NotApplicableError
from grokinterp.harmonics.groups import parse_group
from grokinterp.harmonics.subgroups import coset_labels, nearest_neighbours, subgroups


def snapshot_with(name: str, rows: torch.Tensor) -> gi.Snapshot:
    """A group's operation whose W_E and W_U have these rows for the elements."""
    task = gi.build_task(gi.TaskConfig(operation="x.y", group=name, frac_train=0.5))
    n, width = rows.shape
    w_e = torch.zeros(task.layout.d_vocab, width, dtype=torch.float64)
    w_e[:n] = rows
    weights = {"embed.W_E": w_e, "unembed.W_U": rows.T.contiguous()}
    return snapshot_of_cube(task, torch.zeros(n, n, n, dtype=torch.float64), weights=weights)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("name", "order"), [("S4", 3), ("S4", 8), ("D6", 2), ("A4", 3), ("C12", 4)])
def test_clusters_of_cosets_have_purity_one_for_their_subgroup(name, order, side):
    group = parse_group(name)
    members = next(m for m in subgroups(group) if m.sum() == order)
    labels = coset_labels(group, members, side)
    noise = torch.randn(group.order, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    centres = torch.randn(group.order, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    points = 10 * centres[labels] + 0.01 * noise
    nearest = nearest_neighbours(points.numpy())
    assert (labels == labels[nearest]).all()
    chance = (order - 1) / (group.order - 1)
    for row in measured("coset_purity", snapshot_with(name, points)):
        assert row["z"] >= (1 - chance) / np.sqrt(chance * (1 - chance) / group.order) > row["z_null"]
        if row["subgroup_order"] == order:
            assert row["purity"] == 1


@pytest.mark.parametrize("name", ["S4", "D12", "C12"])
def test_symbols_that_lie_anywhere_are_no_purer_than_shuffled_ones(name):
    n = parse_group(name).order
    higher = 0
    for seed in range(12):
        noise = torch.randn(n, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        row = one(measured("coset_purity", snapshot_with(name, noise)), matrix="W_E")
        higher += row["z"] > row["z_null"]
    assert higher <= 6  # one in six is expected: the largest of five shuffles and the one


def test_a_circle_of_residues_is_order_and_not_cosets():
    """The near miss: neighbours on the circle differ by one, which lies in no proper subgroup."""
    task = gi.build_task(gi.TaskConfig(p=12, frac_train=0.5))
    weights = wave_weights(task, {1: 1.0})
    snapshot = snapshot_of_cube(task, torch.zeros(12, 12, 12, dtype=torch.float64), weights=weights)
    assert one(measured("coset_purity", snapshot), matrix="W_E")["purity"] == 0


def test_the_nearest_neighbour_is_the_nearest():
    points = np.random.default_rng(0).standard_normal((9, 3))
    slow = [min((j for j in range(9) if j != i), key=lambda j: np.linalg.norm(points[i] - points[j])) for i in range(9)]
    assert nearest_neighbours(points).tolist() == slow


@pytest.mark.parametrize(("operation", "p", "says"), [("x+y", 7, "C7 is none"), ("x*y", 12, "product of a group")])
def test_without_proper_subgroups_it_is_skipped_with_a_reason(operation, p, says):
    with pytest.raises(NotApplicableError, match=says):
        measured("coset_purity", untrained(operation, p))
