import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import (
    build,
    clock_logits,
    in_natural_order,
    measured,
    one,
    pizza_snapshot,
    snapshot_of_cube,
    untrained,
    wave_weights,
)

from grokinterp.config import TransformerConfig
from grokinterp.harmonics.cyclic import component_norms
from grokinterp.harmonics.sparsity import gini
from grokinterp.models.weights import init_weights
from grokinterp.tasks import Task

OPERATIONS = ("x+y", "x-y", "x*y", "x/y")


def clock_snapshot(task: Task, amplitudes: dict[int, float]):
    """Logits, embedding, unembedding and neurons of a clock, in the operation's natural order."""
    n = task.coordinates.n
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    waves = [torch.cos(k * (angle[:, None] + angle[None, :])) for k in amplitudes for _ in range(2)]
    neurons = torch.zeros(*task.table.shape, len(waves), dtype=torch.float64)
    neurons[np.ix_(task.coordinates.left, task.coordinates.right)] = torch.stack(waves, dim=2)
    cube = in_natural_order(task, clock_logits(n, amplitudes))
    return snapshot_of_cube(task, cube, neurons=neurons, weights=wave_weights(task, amplitudes))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("p", [7, 13])
def test_a_clock_has_the_spectrum_of_its_frequencies_in_every_operation(operation, p):
    task = build(operation, p)
    snapshot = clock_snapshot(task, {2: 1.0})
    n = task.coordinates.n
    for row in measured("embedding_spectrum", snapshot):
        assert row["keys"] == "2"
        assert row["gini"] == pytest.approx(1 - 2 / n)  # cosine and sine alone, equally
        assert row["ipr"] == pytest.approx(0.5)
    for row in measured("embedding_spectrum", snapshot, "components"):
        assert row["norm"] == pytest.approx(math.sqrt(n) if row["k"] == 2 else 0, abs=1e-12)


@pytest.mark.parametrize(("operation", "p"), [("x+y", 13), ("x-y", 12), ("x*y", 13), ("x/y", 11)])
def test_all_four_rules_agree_on_a_clock(operation, p):
    rows = measured("embedding_spectrum", clock_snapshot(build(operation, p), {2: 1.0, 4: 1.3}), "keys")
    assert [row["rule"] for row in rows] == ["W_L", "W_E", "neurons", "logits"]
    assert {row["keys"] for row in rows} == {"2,4"}
    assert {row["agreement"] for row in rows} == {1.0}


def test_agreement_is_the_shared_part_of_both_sets():
    task = build("x+y", 13)
    weights = wave_weights(task, {2: 1.0, 5: 1.0}) | {"embed.W_E": wave_weights(task, {2: 1.0, 3: 1.0})["embed.W_E"]}
    cube = clock_logits(13, {2: 4.0})
    rows = measured(
        "embedding_spectrum",
        snapshot_of_cube(task, cube, weights=weights, neurons=torch.zeros(13, 13, 4).double()),
        "keys",
    )
    agreement = {row["rule"]: row["agreement"] for row in rows}
    assert agreement == {"W_L": 1.0, "W_E": pytest.approx(1 / 3), "neurons": 0.0, "logits": 0.5}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_pair_of_rules_is_compared_with_what_only_one_of_them_names(operation):
    task = build(operation, 13)
    weights = wave_weights(task, {2: 1.0, 5: 1.0}) | {"embed.W_E": wave_weights(task, {2: 1.0, 3: 1.0})["embed.W_E"]}
    cube = in_natural_order(task, clock_logits(task.coordinates.n, {2: 4.0}))
    snapshot = snapshot_of_cube(task, cube, weights=weights, neurons=torch.zeros(13, 13, 4).double())
    columns = ("rule_a", "rule_b", "n_common", "n_only_a", "n_only_b", "agreement")
    found = [tuple(row[c] for c in columns) for row in measured("embedding_spectrum", snapshot, "agreement")]
    assert found == [
        ("W_L", "W_E", 1, 1, 1, pytest.approx(1 / 3)),
        ("W_L", "neurons", 0, 2, 0, 0.0),
        ("W_L", "logits", 1, 1, 0, 0.5),
        ("W_E", "neurons", 0, 2, 0, 0.0),
        ("W_E", "logits", 1, 1, 0, 0.5),
        ("neurons", "logits", 0, 0, 1, 0.0),
    ]


@pytest.mark.parametrize(("operation", "p"), [("x+y", 13), ("x-y", 12), ("x+y", 7), ("x*y", 13)])
def test_every_rule_looks_at_the_last_frequency(operation, p):
    task = build(operation, p)
    last = task.coordinates.n // 2
    for row in measured("embedding_spectrum", clock_snapshot(task, {last: 1.0}), "keys"):
        assert row["keys"] == str(last), row["rule"]
    assert {
        row["agreement"] for row in measured("embedding_spectrum", clock_snapshot(task, {last: 1.0}), "agreement")
    } == {1}


def test_components_hold_cosine_and_sine_apart_and_no_sine_where_there_is_none():
    task = build("x+y", 12)
    w_e = torch.zeros(13, 1, dtype=torch.float64)
    x = torch.arange(12, dtype=torch.float64)
    w_e[:12, 0] = 3 * torch.cos(math.pi * x / 6 * 5) + 4 * torch.sin(math.pi * x / 6 * 5) + 2 * torch.cos(math.pi * x)
    snapshot = snapshot_of_cube(task, clock_logits(12, {1: 1.0}), weights={"embed.W_E": w_e})
    rows = [row for row in measured("embedding_spectrum", snapshot, "components") if row["matrix"] == "W_E"]
    assert [row["k"] for row in rows] == list(range(7))
    fifth = one(rows, k=5)
    assert [fifth[c] for c in ("cos_norm", "sin_norm", "norm")] == pytest.approx([math.sqrt(6) * v for v in (3, 4, 5)])
    assert one(rows, k=6)["norm"] == pytest.approx(math.sqrt(12) * 2)
    assert [row["k"] for row in rows if row["sin_norm"] is None] == [0, 6]


@given(p=st.sampled_from([7, 12, 13]), m=st.integers(2, 11))
@settings(derandomize=True, deadline=None, max_examples=8)
def test_the_spectrum_does_not_see_in_which_column_a_wave_lies(p, m):
    snapshot = untrained("x+y", p, d_model=12)
    before = measured("embedding_spectrum", snapshot)
    rotation = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(m)).double())[0]
    snapshot.weights["embed.W_E"] = snapshot.weights["embed.W_E"] @ rotation
    after = untrained("x+y", p, d_model=12)
    after.weights.update(snapshot.weights)
    found = one(measured("embedding_spectrum", after), matrix="W_E")
    assert found["gini"] == pytest.approx(one(before, matrix="W_E")["gini"])
    assert found["keys"] == one(before, matrix="W_E")["keys"]


@pytest.mark.parametrize("p", [7, 12, 13])
def test_the_embedding_cannot_tell_a_pizza_from_a_clock(p):
    pizza = one(measured("embedding_spectrum", pizza_snapshot(p, {2: 5.0})), matrix="W_E")
    clock = one(measured("embedding_spectrum", clock_snapshot(build("x+y", p), {2: 5.0})), matrix="W_E")
    assert pizza["gini"] == pytest.approx(clock["gini"])
    assert pizza["keys"] == clock["keys"] == "2"


def test_a_random_initialisation_has_a_small_gini_that_width_decides():
    """Component norms are chi with d degrees of freedom: Gini about 1/sqrt(2 pi d)."""
    found = {"W_E": [], "W_L": []}
    for seed in range(4):
        config = TransformerConfig(d_model=128, n_heads=4, d_mlp=512, init_seed=seed)
        weights = init_weights(config, build("x+y", 113).layout, 113)
        found["W_E"].append(gini(component_norms(weights["embed.W_E"][:113])))
        w_l = weights["blocks.0.mlp.W_out"] @ weights["unembed.W_U"]
        found["W_L"].append(gini(component_norms(w_l.T)))
    assert np.mean(found["W_E"]) == pytest.approx(1 / math.sqrt(2 * math.pi * 128), abs=0.003)
    assert np.mean(found["W_L"]) == pytest.approx(0.041, abs=0.004)


def test_an_untrained_network_has_the_ipr_of_noise_and_rules_that_disagree():
    snapshot = untrained("x+y", 31, d_model=64, d_mlp=64)
    row = one(measured("embedding_spectrum", snapshot), matrix="W_E")
    assert row["ipr"] == pytest.approx(2 / 32, rel=0.1)
    assert row["gini"] < 0.1
    keys = {row["rule"]: row for row in measured("embedding_spectrum", snapshot, "keys")}
    assert keys["neurons"]["n_keys"] == 0
    assert keys["W_L"]["n_keys"] == 15
