import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import build, clock_logits, measured, one, pizza_model, snapshot_of_cube, untrained

import grokinterp as gi
from grokinterp.measures.weight_norm import role_of

MLP = "blocks.0.mlp."


def test_sums_of_squares_add_up_from_tensors_to_roles_to_the_total():
    snapshot = untrained("x+y", 7)
    rows = measured("weight_norm", snapshot)
    total = one(rows, group="total")
    for kind in ("tensor", "role"):
        part = [row for row in rows if row["kind"] == kind]
        assert sum(row["sum_of_squares"] for row in part) == pytest.approx(total["sum_of_squares"])
        assert sum(row["n"] for row in part) == total["n"] == sum(w.numel() for w in snapshot.weights.values())
    assert {row["group"] for row in rows if row["kind"] == "role"} == {"embedding", "attention", "mlp", "unembedding"}


@pytest.mark.parametrize("p", [5, 12])
def test_the_hand_set_pizza_has_its_closed_form(p):
    k, amplitude = 1 if p == 12 else 2, 3.0
    rows = measured("weight_norm", gi.snapshot(pizza_model(p, ((k, amplitude),)), gi.TaskConfig(p=p)))
    gain = sum(max(math.cos(math.pi * m / p), 0) * math.cos(2 * math.pi * m / p) for m in range(2 * p))
    expected = {
        "embed.W_E": p,  # a cosine and a sine a token
        "blocks.0.attn.W_V": 9 * 2,
        "blocks.0.attn.W_O": 2,
        MLP + "W_in": 2 * p,
        MLP + "W_out": (amplitude / (2 * gain)) ** 2 * 2 * p * p / 2,
        "unembed.W_U": p,
        "blocks.0.attn.W_Q": 0,
    }
    for name, value in expected.items():
        assert one(rows, group=name)["sum_of_squares"] == pytest.approx(value, abs=1e-12), name
    assert one(rows, group="total")["sum_of_squares"] == pytest.approx(sum(expected.values()))
    for role, prefixes in (
        ("embedding", "embed."),
        ("attention", "blocks.0.attn."),
        ("mlp", MLP),
        ("unembedding", "un"),
    ):
        of_role = sum(value for name, value in expected.items() if name.startswith(prefixes))
        assert one(rows, group=role)["sum_of_squares"] == pytest.approx(of_role), role
    (margin,) = measured("weight_norm", gi.snapshot(pizza_model(p, ((k, amplitude),)), gi.TaskConfig(p=p)), "margin")
    neuron = 1 + expected[MLP + "W_out"] / (2 * p)  # squared norm of each of the 2p neurons: (cos, sin) and its row
    assert margin["neuron_norm"] == pytest.approx((2 * p * neuron**1.5) ** (1 / 3))
    least = min(abs(math.cos(math.pi * k * d / p)) for d in range(p)) * amplitude * (1 - math.cos(2 * math.pi / p))
    assert margin["normalized_margin"] == pytest.approx(least / margin["neuron_norm"] ** 2, abs=1e-12)


def test_roles_follow_the_place_of_a_tensor():
    names = {
        "pos_embed.W_pos": "embedding",
        "blocks.2.attn.b_O": "attention",
        "blocks.1.mlp.W_in": "mlp",
        "unembed.b_U": "unembedding",
        "blocks.0.ln1.w": "norm",
        "ln_final.b": "norm",
    }
    assert {name: role_of(name) for name in names} == names


@pytest.mark.parametrize(("p", "k", "amplitude"), [(7, 2, 4.0), (12, 5, 6.0), (13, 6, 0.5)])
def test_a_clock_has_the_margin_of_its_nearest_answer(p, k, amplitude):
    snapshot = snapshot_of_cube(build("x+y", p), clock_logits(p, {k: amplitude}))
    (row,) = measured("weight_norm", snapshot, "margin")
    assert row["margin"] == pytest.approx(amplitude * (1 - math.cos(2 * math.pi / p)))
    assert row["split"] == "all"


def test_the_margin_is_the_smallest_over_training_pairs_alone():
    task = build("x-y", 7)
    mask = gi.draw_train_mask(task, 0.5, 2)
    right = torch.from_numpy(task.table)
    height = torch.where(torch.from_numpy(mask), 3.0, -8.0).double()
    height[tuple(torch.from_numpy(mask).nonzero()[4])] = 2.0
    cube = height[:, :, None] * torch.nn.functional.one_hot(right, 7)
    for split, margin, given_mask in (("train", 2.0, mask), ("all", -8.0, None)):
        (row,) = measured("weight_norm", snapshot_of_cube(task, cube, train_mask=given_mask), "margin")
        assert (row["split"], row["margin"]) == (split, pytest.approx(margin))


def test_the_neuron_norm_is_the_two_three_norm_of_columns_biases_and_rows():
    snapshot = untrained("x+y", 5, d_model=6, d_mlp=9)
    snapshot.weights[MLP + "b_in"][:] = torch.linspace(-1, 1, 9)
    w_in, b_in, w_out = (snapshot.weights[MLP + name] for name in ("W_in", "b_in", "W_out"))
    neurons = [torch.cat([w_in[:, m], b_in[m : m + 1], w_out[m]]).norm() ** 3 for m in range(9)]
    (row,) = measured("weight_norm", snapshot, "margin")
    assert row["neuron_norm"] == pytest.approx(float(sum(neurons)) ** (1 / 3))


@given(scale=st.sampled_from([0.3, 2.0, 9.0]), p=st.sampled_from([5, 12]))
@settings(derandomize=True, deadline=None, max_examples=6)
def test_the_normalised_margin_of_a_homogeneous_network_ignores_the_scale(scale, p):
    model = pizza_model(p, ((1, 5.0),))
    snapshot = gi.snapshot(model, gi.TaskConfig(p=p))
    scaled = gi.snapshot(model, gi.TaskConfig(p=p))
    for name in ("W_in", "b_in", "W_out"):
        scaled.weights[MLP + name] *= scale
    (before,), (after,) = (measured("weight_norm", s, "margin") for s in (snapshot, scaled))
    assert after["margin"] == pytest.approx(scale**2 * before["margin"])
    assert after["normalized_margin"] == pytest.approx(before["normalized_margin"])
    assert after["neuron_norm"] == pytest.approx(scale * before["neuron_norm"])


def test_without_neurons_there_is_no_normalised_margin():
    zero = torch.zeros(6, 8, dtype=torch.float64)
    weights = {MLP + "W_in": zero.T.clone(), MLP + "W_out": zero}
    (row,) = measured(
        "weight_norm", snapshot_of_cube(build("x+y", 7), clock_logits(7, {1: 2.0}), weights=weights), "margin"
    )
    assert row["normalized_margin"] is None


def test_an_untrained_network_has_a_negative_margin_and_the_norm_of_its_initialisation():
    snapshot = untrained("x+y", 13, d_model=24)
    (row,) = measured("weight_norm", snapshot, "margin")
    assert row["margin"] < 0
    w_e = one(measured("weight_norm", snapshot), group="embed.W_E")
    mean = 0.64 / 24 * w_e["n"]
    assert abs(w_e["sum_of_squares"] - mean) < 4 * mean * math.sqrt(2 / w_e["n"])
