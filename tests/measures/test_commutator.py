from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oracles import measured, one, pizza_snapshot, untrained
from torch.autograd.functional import hessian

from grokinterp.config import OptimizerConfig
from grokinterp.errors import NotApplicableError
from grokinterp.landscape.two_steps import gradient
from grokinterp.measures.registry import builtin_measures
from grokinterp.seeding import generator
from grokinterp.snapshots import Snapshot, TrainLoss
from grokinterp.tables import check_rows

ATTENTION, MLP = "blocks.0.attn.W_Q", "blocks.0.mlp.W_in"


def batches(snapshot: Snapshot, size: int, count: int, seed: int = 0) -> list[tuple[TrainLoss, TrainLoss]]:
    """The batch losses, drawn again by hand."""
    pairs = np.argwhere(snapshot.train_mask)
    stream, found = generator("commutator batches", seed), []
    for _ in range(count):
        order = torch.randperm(len(pairs), generator=stream).numpy()
        masks = []
        for chosen in (order[:size], order[size : 2 * size]):
            mask = np.zeros(snapshot.train_mask.shape, dtype=bool)
            mask[tuple(pairs[chosen].T)] = True
            masks.append(mask)
        assert not (masks[0] & masks[1]).any()
        assert masks[0].sum() == masks[1].sum() == size
        found.append(tuple(TrainLoss(replace(snapshot, train_mask=mask)) for mask in masks))
    return found


@pytest.mark.parametrize(("operation", "p"), [("x+y", 7), ("x-y", 12), ("x/y", 13)])
def test_the_defect_is_the_distance_of_the_two_end_points_over_the_product_of_the_steps(operation, p):
    snapshot, eta = untrained(operation, p, d_model=8, d_mlp=12), 0.1
    (row,) = measured("commutator", snapshot, eta=eta, batch_size=9, n_batch_pairs=3)
    defects, gradients = [], []
    for loss_a, loss_b in batches(snapshot, 9, 3):
        x, ends = loss_a.start, []
        for first, second in ((loss_a, loss_b), (loss_b, loss_a)):
            middle = x - eta * gradient(first, x)
            ends.append(middle - eta * gradient(second, middle))
        norms = [float(gradient(loss, x).norm()) for loss in (loss_a, loss_b)]
        gradients += norms
        defects.append(float((ends[0] - ends[1]).norm()) / (eta**2 * norms[0] * norms[1]))
    assert row["defect"] == pytest.approx(np.median(defects), rel=1e-6)
    assert (row["defect_q05"], row["defect_q95"]) == pytest.approx(tuple(np.quantile(defects, [0.05, 0.95])), rel=1e-6)
    assert row["gradient_norm"] == pytest.approx(np.median(gradients))
    assert (row["n_resolved"], row["n_batch_pairs"], row["batch_size"], row["eta"]) == (3, 3, 9, eta)


def test_the_limit_is_that_of_dense_hessians():
    snapshot = untrained("x+y", 5, d_model=4, d_mlp=4)
    (row,) = measured("commutator", snapshot, "infinitesimal", batch_size=6, n_batch_pairs=1)
    ((loss_a, loss_b),) = batches(snapshot, 6, 1)
    x = loss_a.start
    g_a, g_b = gradient(loss_a, x), gradient(loss_b, x)
    bracket = hessian(loss_b, x) @ g_a - hessian(loss_a, x) @ g_b
    assert row["commutator_norm"] == pytest.approx(float(bracket.norm()))
    assert row["defect"] == pytest.approx(float(bracket.norm() / g_a.norm() / g_b.norm()))


@pytest.mark.parametrize("p", [5, 12])
def test_short_steps_that_carry_no_neuron_across_zero_give_the_limit(p):
    snapshot = untrained("x+y", p, d_model=8, d_mlp=8)
    (short,) = measured("commutator", snapshot, eta=1e-7)
    (limit,) = measured("commutator", snapshot, "infinitesimal")
    assert short["defect"] == pytest.approx(limit["defect"], rel=1e-3)
    assert short["commutator_norm"] == pytest.approx(limit["commutator_norm"], rel=1e-3)


def test_batches_are_half_of_the_training_pairs_where_those_are_few_and_depend_on_the_seed_alone():
    snapshot = untrained("x+y", 5, d_model=8, d_mlp=8)
    (row,) = measured("commutator", snapshot)
    assert row["batch_size"] == int(snapshot.train_mask.sum()) // 2
    assert measured("commutator", snapshot) == [row]
    assert measured("commutator", snapshot, seed=1)[0]["defect"] != row["defect"]
    (unsplit,) = measured("commutator", replace(snapshot, train_mask=None))
    assert unsplit["batch_size"] == 12


def test_a_network_without_gradient_has_no_defect():
    snapshot = pizza_snapshot(5, {1: 1e5})
    for part in ("", "infinitesimal"):
        (row,) = measured("commutator", snapshot, part)
        assert (row["defect"], row["defect_q05"], row["commutator_norm"]) == (None, None, None)
        assert (row["n_resolved"], row["gradient_norm"]) == (0, 0.0)


def test_one_training_pair_makes_no_two_batches():
    mask = np.zeros((5, 5), dtype=bool)
    mask[2, 3] = True
    with pytest.raises(NotApplicableError, match="two disjoint batches"):
        measured("commutator", replace(untrained("x+y", 5), train_mask=mask))


# The path ------------------------------------------------------------------------------------


def run_of(points: np.ndarray, rest: np.ndarray, steps: list[int], **optimizer) -> SimpleNamespace:
    """A run whose attention weights are `points` and whose other weights are `rest`."""
    at = {s: {ATTENTION: torch.tensor(a), MLP: torch.tensor(b)} for s, a, b in zip(steps, points, rest, strict=True)}
    return SimpleNamespace(weights=at.__getitem__, config=SimpleNamespace(optimizer=OptimizerConfig(**optimizer)))


def of_run(part: str, run: SimpleNamespace, steps: list[int]) -> list[dict]:
    measure = builtin_measures()["commutator"]
    rows = measure.parts[part].compute(run, steps=steps, params=dict(measure.params))
    check_rows(rows, measure.parts[part].all_columns)
    return rows


def test_a_straight_path_is_one_component_and_its_coordinates_are_distances():
    steps = [0, 1, 5, 9]
    t = np.array([0.0, 1.0, 3.0, 4.0])[:, None]
    run = run_of(3 * t * np.ones((1, 4)) / 2, 4 * t * np.ones((1, 1)), steps)
    for group, length in (("all", 5.0), ("attention", 3.0)):
        row = one(of_run("trajectory", run, steps), weights=group, component=1)
        assert row["share"] == pytest.approx(1)
        assert row["null_share"] < 0.95
        assert (row["step"], row["n_checkpoints"]) == (9, 4)
        rows = [r for r in of_run("path", run, steps) if r["weights"] == group]
        assert [r["step"] for r in rows] == steps
        assert [r["pc1"] for r in rows] == pytest.approx(list(length * (t[:, 0] - 2)), abs=1e-6)
        assert [abs(r["pc2"]) for r in rows] == pytest.approx([0] * 4, abs=1e-5)


def walk(n: int, dimension: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sizes = rng.lognormal(0, 0.5, n - 1)[:, None] / dimension**0.5
    return np.vstack([np.zeros(dimension), (sizes * rng.standard_normal((n - 1, dimension))).cumsum(axis=0)])


def test_a_random_walk_has_the_shares_of_its_null():
    steps = list(range(50))
    rows = of_run("trajectory", run_of(walk(50, 9000, 1), walk(50, 9000, 2), steps, name="adam"), steps)
    assert [row["component"] for row in rows] == 2 * list(range(1, 11))
    for row in rows[:3] + rows[10:13]:
        assert row["share"] == pytest.approx(row["null_share"], abs=0.03)
        assert row["null_share_decay"] is None
    assert rows[0]["null_share"] > 0.5


def test_noise_around_a_point_has_the_shares_of_the_walk_with_decay_and_not_of_the_free_one():
    steps, rng = list(range(0, 40_000, 1000)), np.random.default_rng(0)
    cloud = rng.standard_normal((2, 40, 5000)) / 5000**0.5
    rows = of_run("trajectory", run_of(*cloud, steps, lr=1e-2, weight_decay=1.0), steps)
    row = one(rows, weights="all", component=1)
    assert row["share"] == pytest.approx(row["null_share_decay"], abs=0.02)
    assert row["share"] < 0.1
    assert row["null_share"] > 0.5


def test_fewer_points_have_fewer_components():
    steps = [0, 3]
    run = run_of(walk(2, 5, 1), walk(2, 5, 2), steps)
    assert [row["component"] for row in of_run("trajectory", run, steps)] == [1, 1]
    assert of_run("path", run, steps)[0]["pc3"] is None
    assert of_run("trajectory", run, [0]) == []
    assert len(of_run("path", run, [0])) == 2


def test_weights_that_stand_still_have_no_shares():
    steps = [0, 1, 2]
    run = run_of(np.ones((3, 4)), walk(3, 4, 1), steps)
    assert {row["weights"] for row in of_run("trajectory", run, steps)} == {"all"}
