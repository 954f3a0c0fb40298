"""Snapshots of MLPs, LSTMs and sums of several terms: what they share with transformers, and what they lack.

The oracle is the closed-form MLP of Gromov 2023 (2301.02679, equation 2): quadratic neurons over one-hot operands,

    U_ki = cos(2 pi s(k) i / p + f_k),  V_kj = cos(2 pi s(k) j / p + g_k),  W_ck = cos(2 pi s(k) c / p + f_k + g_k)

with random phases f and g, whose logits are nearly A at c = i + j and 0 elsewhere.
"""

import math

import pytest
import torch
from conftest import small_config
from oracles import measured, one

import grokinterp as gi
from grokinterp.config import LSTMConfig, MLPConfig
from grokinterp.errors import NotApplicableError
from grokinterp.models.forward import build_forward
from grokinterp.models.weights import init_weights
from grokinterp.overrides import override
from grokinterp.snapshots.ablation import components_of, embedding_only, embedding_without


def gromov(p: int, ks: list[int], per_frequency: int = 40, scale: float = 1.0) -> gi.Snapshot:
    """The closed form with `per_frequency` neurons of random phases for each frequency of `ks`."""
    task = gi.build_task(gi.TaskConfig(p=p, layout="a b"))
    stream, k = torch.Generator().manual_seed(1), torch.tensor(ks).repeat(per_frequency).double()
    f, g = (2 * math.pi * torch.rand(len(k), generator=stream, dtype=torch.float64) for _ in range(2))
    angle = 2 * math.pi / p * torch.arange(p, dtype=torch.float64)[:, None] * k[None, :]
    weights = {
        "embed.W_E": torch.cat([torch.cos(angle + f), torch.cos(angle + g)]),
        "blocks.0.mlp.b_in": torch.zeros(len(k), dtype=torch.float64),
        "unembed.W_U": scale * torch.cos(angle + f + g).T,
        "unembed.b_U": torch.zeros(p, dtype=torch.float64),
    }
    config = MLPConfig(n_layers=1, d_hidden=len(k), activation="square", biases="none")
    return gi.Snapshot(task, weights, build_forward(config, task.layout, p))


@pytest.mark.parametrize(("p", "ks"), [(23, list(range(1, 12))), (31, list(range(1, 16)))])
def test_gromovs_network_adds_and_its_neurons_are_as_the_formula_says(p, ks):
    snapshot = gromov(p, ks)
    assert snapshot.architecture == "mlp"
    assert one(measured("accuracy_loss", snapshot), split="all")["accuracy"] == 1.0
    assert one(measured("embedding_spectrum", snapshot, "keys"), rule="W_L")["n_keys"] == len(ks)
    rows = measured("neuron_frequencies", snapshot, "neurons")
    assert [row["k"] for row in rows] == ks * 40
    # (cos x + cos y)^2 has 2 cos x cos y at k, of energy 1, and cos 2x / 2, cos 2y / 2 at 2k, 1/8 each
    assert [row["fraction"] for row in rows] == pytest.approx([0.8] * len(rows))
    sums = measured("logit_spectrum", snapshot)[0]
    assert sums["sum_share_all"] > 0.8


def test_one_frequency_of_gromovs_network_is_a_key_and_its_embedding_is_all_there_is():
    snapshot = gromov(23, [3], per_frequency=400, scale=0.1)
    assert snapshot.own_keys.ks == (3,)
    full = one(measured("progress_measures", snapshot), keys="last", split="all")
    assert full["restricted_loss"] == pytest.approx(full["full_loss"], rel=0.05)
    assert full["excluded_loss"] > math.log(23)
    kept, removed = (snapshot.with_weights(edit(snapshot, (3,))) for edit in (embedding_only, embedding_without))
    torch.testing.assert_close(kept.logits, snapshot.logits)
    assert float(removed.logits.abs().max()) < 1e-9  # both operands' tables are edited, not the left one alone


def test_the_l23_norm_of_a_one_layer_mlp_is_over_one_hot_inputs_as_in_morwani():
    snapshot = gromov(11, [1, 2], per_frequency=5)
    w = snapshot.weights
    neurons = torch.cat([w["embed.W_E"], w["unembed.W_U"].T])
    expected = float(neurons.norm(dim=0).pow(3).sum() ** (1 / 3))
    assert measured("weight_norm", snapshot, "margin")[0]["neuron_norm"] == pytest.approx(expected)


def untrained(model: MLPConfig | LSTMConfig, **task) -> gi.Snapshot:
    built = gi.build_task(gi.TaskConfig(**{"p": 7, "layout": "a b", **task}))
    weights = init_weights(model, built.layout, built.n_answers, torch.float64)
    return gi.Snapshot(built, weights, build_forward(model, built.layout, built.n_answers))


def test_operands_lie_in_the_embedding_once_or_one_after_the_other():
    assert untrained(MLPConfig(d_hidden=9)).operand_rows == (slice(0, 7), slice(7, 14))
    assert untrained(MLPConfig(d_hidden=9, input="embedding")).operand_rows == (slice(0, 7),)
    assert untrained(MLPConfig(d_hidden=9, input="separate")).operand_rows == (slice(0, 7), slice(7, 14))
    assert untrained(LSTMConfig(d_hidden=9)).operand_rows == (slice(0, 7),)
    assert len(untrained(MLPConfig(d_hidden=9), operation="x+y+z").operand_rows) == 3


@pytest.mark.parametrize("model", [MLPConfig(d_hidden=9), MLPConfig(d_hidden=9, input="embedding"), LSTMConfig()])
def test_w_l_is_w_u_where_the_neurons_are_read_directly(model):
    snapshot = untrained(model)
    torch.testing.assert_close(snapshot.neuron_logit_map, snapshot.unembedding)
    bias = snapshot.weights["unembed.b_U"]
    torch.testing.assert_close(snapshot.neuron_acts @ snapshot.neuron_logit_map.T + bias, snapshot.logits)
    (keys,) = [row for row in measured("embedding_spectrum", snapshot, "keys") if row["rule"] == "W_L"]
    assert keys["n_keys"] >= 1


@pytest.mark.parametrize("model", [MLPConfig(d_hidden=9), LSTMConfig(d_hidden=9)])
def test_without_attention_what_needs_it_says_so(model):
    snapshot = untrained(model)
    with pytest.raises(NotApplicableError, match=f"needs attention; an {model.kind} has none"):
        measured("attention", snapshot)
    assert {row["component"] for row in measured("causal", snapshot)} == {"none", "neurons", "embedding"}
    assert "attention" not in components_of(snapshot.weights)


def test_operands_with_a_table_each_share_no_embedding_to_compare_gradients_at():
    for separate in ("onehot", "separate"):
        with pytest.raises(NotApplicableError, match="both operands share"):
            measured("clock_pizza", untrained(MLPConfig(d_hidden=9, input=separate)))
    (row,) = measured("clock_pizza", untrained(MLPConfig(d_hidden=9, input="embedding")))
    assert -1 <= row["gradient_symmetricity"] <= 1


@pytest.mark.parametrize("name", ["operation_table", "logit_map", "clock_pizza"])
def test_sums_of_three_terms_skip_what_needs_two_operands(name):
    snapshot = untrained(MLPConfig(d_hidden=9), operation="x+y+z", p=5)
    assert snapshot.logits.shape == (25, 5, 5)
    with pytest.raises(NotApplicableError, match="has 3"):
        measured(name, snapshot)


def test_ablating_an_mlps_neurons_is_the_forward_without_them():
    snapshot = untrained(MLPConfig(d_hidden=9, n_layers=2))
    without = one(
        measured("causal", snapshot), component="neurons", ablation="zero", target="all", control=False, split="all"
    )
    bias = snapshot.weights["unembed.b_U"].expand(49, -1)
    expected = torch.nn.functional.cross_entropy(bias, snapshot.labels.flatten())
    assert without["loss"] == pytest.approx(float(expected), rel=1e-5)


def test_runs_of_every_architecture_give_their_models_and_snapshots_back(tmp_path):
    for kind in ("mlp", "lstm"):
        config = override(small_config(), {"model": {"kind": kind, "d_hidden": 12}, "train": {"steps": 5}})
        run = gi.train(config, tmp_path / kind, show_progress=False)
        model, snapshot = run.model(), run.snapshot()
        tokens = torch.from_numpy(run.task.layout.tokens(*run.task.pairs()))
        logits, cache = model.run_with_cache(tokens)
        torch.testing.assert_close(logits.double(), snapshot.logits.flatten(0, 1), rtol=1e-4, atol=1e-5)
        assert f"blocks.0.{kind}.hook_{'post' if kind == 'mlp' else 'h'}" in cache
        again = gi.snapshot(model, run.config.task, run.train_mask)
        torch.testing.assert_close(again.logits, snapshot.logits, rtol=1e-6, atol=1e-7)
        with pytest.raises(gi.GrokinterpError, match="pass the task it was trained on"):
            gi.snapshot(model, gi.TaskConfig(p=11, layout=config.task.layout))


def test_a_recorded_loop_of_an_mlp_with_outliers_has_its_labels(tmp_path):
    changes = {"task": {"outliers": 6}, "model": {"kind": "mlp", "d_hidden": 12}}
    config = override(small_config(), changes)
    with gi.record(tmp_path / "own", config) as recorder:
        assert recorder.labels is not None
        recorder.save(0, gi.build_model(config))
    run = gi.open(tmp_path / "own")
    assert (run.trained_labels == recorder.labels).all()
    gi.analyze(run, ["accuracy_loss"], show_progress=False)
    assert "outliers" in set(run.table("accuracy_loss")["split"])
