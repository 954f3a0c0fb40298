"""Other people's networks give other people's numbers: through `gi.snapshot`, from their own files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import measured, one

import grokinterp as gi
from grokinterp.config import TransformerConfig
from grokinterp.models.transformer import build_hooked

ALL_EXPECTED = json.loads((Path(__file__).parent / "foreign_expected.json").read_text())
EXPECTED = ALL_EXPECTED["C113_T_seed1"]
TASK = gi.TaskConfig(operation="x+y", p=EXPECTED["p"], frac_train=EXPECTED["frac_train"])


@pytest.fixture(scope="module")
def published(foreign) -> dict[str, torch.Tensor]:
    return torch.load(foreign / EXPECTED["file"], weights_only=True, map_location="cpu")


@pytest.fixture(scope="module")
def model(published):
    task = gi.build_task(TASK)
    model = build_hooked(
        TransformerConfig(d_model=128, n_heads=4, d_mlp=512, biases="all"), task.layout, task.n_answers
    )
    loaded = model.load_state_dict(
        {k: v for k, v in published.items() if k not in ("x_embed", "y_embed")}, strict=False
    )
    assert not loaded.unexpected_keys
    assert not loaded.missing_keys
    return model


@pytest.fixture(scope="module")
def snapshot(model) -> gi.Snapshot:
    task = gi.build_task(TASK)
    return gi.snapshot(model, task, gi.draw_train_mask(task, EXPECTED["frac_train"], EXPECTED["split_seed"]))


@pytest.fixture(scope="module")
def values(snapshot) -> dict[str, float]:
    """Every number that expected.json has, measured."""
    progress, spectra = measured("progress_measures", snapshot), measured("embedding_spectrum", snapshot)
    (logits,) = measured("logit_spectrum", snapshot)
    found = {
        "full_loss": one(measured("accuracy_loss", snapshot), split="all")["loss"],
        "sum_of_squares": one(measured("weight_norm", snapshot), group="total")["sum_of_squares"],
        "gini_W_E": one(spectra, matrix="W_E")["gini"],
        "gini_W_L": one(spectra, matrix="W_L")["gini"],
        **{name: logits[name] for name in ("cosine_fve", "cosine_fve_centred", "sum_share_K")},
    }
    for split in ("all", "train", "test"):
        row = one(progress, keys="last", split=split)
        found |= {f"{name}_{split}": row[name] for name in ("restricted_loss", "excluded_loss")}
    for row in measured("progress_measures", snapshot, "definitions"):
        if (row["keys"], row["space"], row["split"]) == ("last", "logits", "all"):
            found[f"restricted_loss_all_{row['keep_set']}"] = row["restricted_loss"]
    return found


@pytest.mark.parametrize("name", EXPECTED["values"])
def test_the_published_transformer_has_its_known_value(name, values):
    expected = EXPECTED["values"][name]
    assert values[name] == pytest.approx(expected["value"], rel=expected.get("rel", 0), abs=expected.get("abs", 0))


def test_its_split_is_the_first_pairs_of_the_permutation_of_its_seed(snapshot):
    p, n_train = EXPECTED["p"], EXPECTED["n_train"]
    torch.manual_seed(EXPECTED["split_seed"])
    chosen = torch.randperm(p * p)[: int(EXPECTED["frac_train"] * p * p)].numpy()
    mask = np.zeros(p * p, dtype=bool)
    mask[chosen] = True
    assert len(chosen) == n_train
    assert np.array_equal(snapshot.train_mask, mask.reshape(p, p))


def test_its_key_frequencies_by_each_rule(snapshot):
    rows = measured("embedding_spectrum", snapshot, "keys")
    found = {row["rule"]: [int(k) for k in row["keys"].split(",")] for row in rows}
    assert found == {rule: EXPECTED["keys"][rule] for rule in found}
    assert len(found) == 4


def test_its_clusters_of_neurons(snapshot):
    rows = measured("neuron_frequencies", snapshot)
    expected = EXPECTED["clusters"]
    assert {row["k"]: row["n_neurons"] for row in rows} == {
        0: expected["all"],
        **{k: expected[str(k)] for k in EXPECTED["keys"]["neurons"]},
    }
    assert snapshot.neuron_acts.shape[2] == expected["n_neurons"]


def test_measuring_leaves_the_model_as_it_was(model, published, snapshot, values):
    after = dict(model.named_parameters())
    assert all(torch.equal(value, published[name]) for name, value in after.items())
    assert {value.dtype for value in after.values()} == {torch.float32}
    assert snapshot.weights["embed.W_E"].dtype == torch.float64


def test_the_stray_embeddings_in_its_file_are_its_embedding(published):
    for name in ("x_embed", "y_embed"):
        assert torch.equal(published[name], published["embed.W_E"])


def test_the_rules_disagree_on_a_network_trained_in_low_precision(foreign):
    """Weights with the heads of W_O flattened, the rest transposed, and a column of W_U for '='."""
    expected = ALL_EXPECTED["low_precision"]
    w = torch.load(foreign / expected["file"], weights_only=True, map_location="cpu")["model"]
    task = gi.build_task(gi.TaskConfig(operation="x+y", p=expected["p"]))
    model = build_hooked(
        TransformerConfig(d_model=128, n_heads=4, d_mlp=512, biases="mlp"), task.layout, task.n_answers
    )
    model.load_state_dict(
        {
            "embed.W_E": w["embed.W_E"].T,
            "pos_embed.W_pos": w["pos_embed.W_pos"],
            **{f"blocks.0.attn.W_{n}": w[f"blocks.0.attn.W_{n}"].permute(0, 2, 1) for n in "QKV"},
            "blocks.0.attn.W_O": w["blocks.0.attn.W_O"].reshape(128, 4, 32).permute(1, 2, 0),
            **{f"blocks.0.mlp.W_{n}": w[f"blocks.0.mlp.W_{n}"].T for n in ("in", "out")},
            **{f"blocks.0.mlp.b_{n}": w[f"blocks.0.mlp.b_{n}"] for n in ("in", "out")},
            "unembed.W_U": w["unembed.W_U"][:, : expected["p"]],
        },
        strict=False,
    )
    snapshot = gi.snapshot(model, task)
    whole = one(measured("accuracy_loss", snapshot), split="all")
    for column in ("loss", "accuracy"):
        about = expected[f"full_{column}"]
        assert whole[column] == pytest.approx(about["value"], abs=about["abs"]), column
    rules = measured("embedding_spectrum", snapshot, "keys")
    for rule, keys in expected["keys"].items():
        assert [int(k) for k in one(rules, rule=rule)["keys"].split(",")] == keys
    assert one(rules, rule="neurons")["agreement"] == pytest.approx(3 / 5)
    clusters = {row["k"]: row["n_neurons"] for row in measured("neuron_frequencies", snapshot) if row["k"]}
    assert clusters == {int(k): count for k, count in expected["clusters"].items()}
