"""Other people's networks give other people's numbers: through `gi.snapshot`, from their own files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import measured, one

import grokinterp as gi
from grokinterp.config import ModelConfig
from grokinterp.models.transformer import build_hooked

EXPECTED = json.loads((Path(__file__).parent / "foreign_expected.json").read_text())["C113_T_seed1"]
TASK = gi.TaskConfig(operation="x+y", p=EXPECTED["p"], frac_train=EXPECTED["frac_train"])


@pytest.fixture(scope="module")
def published(foreign) -> dict[str, torch.Tensor]:
    return torch.load(foreign / EXPECTED["file"], weights_only=True, map_location="cpu")


@pytest.fixture(scope="module")
def model(published):
    task = gi.build_task(TASK)
    model = build_hooked(ModelConfig(d_model=128, n_heads=4, d_mlp=512, biases="all"), task.layout, task.n_answers)
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
