"""A transformer that other people published, in a layout of its own: the pizza of Zhong et al. 2023, model A."""

import json
from pathlib import Path

import pytest
import torch
from oracles import measured, one

import grokinterp as gi
from grokinterp.config import TransformerConfig
from grokinterp.models.transformer import load_hooked
from grokinterp.models.weights import weight_specs

EXPECTED = json.loads((Path(__file__).parent / "foreign_expected.json").read_text())["pizza_A"]
TASK = gi.TaskConfig(operation="x+y", p=EXPECTED["p"], layout="a b")
SHAPE = TransformerConfig(d_model=128, n_heads=4, d_mlp=512, biases="mlp", causal=False)


def converted(file: dict[str, torch.Tensor], attention: float) -> dict[str, torch.Tensor]:
    """The file's tensors under TransformerLens names, in float64.

    Its attention is fixed: every position sees both with weight `attention`. Scores of zero give
    1/2, and W_O makes up for the rest. Linear maps are stored as (out, in), W_U as (in, out).
    """
    task = gi.build_task(TASK)
    specs = weight_specs(SHAPE, task.layout, task.n_answers)
    weights = {name: torch.zeros(spec.shape, dtype=torch.float64) for name, spec in specs.items()}
    block = "blocks.0."
    for name in ("pos_embed.W_pos", "unembed.W_U", block + "mlp.b_in", block + "mlp.b_out"):
        weights[name] = file[name].double()
    for name in ("embed.W_E", block + "mlp.W_in", block + "mlp.W_out"):
        weights[name] = file[name].double().T.contiguous()
    weights[block + "attn.W_V"] = file[block + "attn.W_V"].double().transpose(1, 2).contiguous()
    w_o = file[block + "attn.W_O"].double().T.reshape(SHAPE.n_heads, SHAPE.head_width, SHAPE.d_model)
    weights[block + "attn.W_O"] = w_o * attention * task.layout.n_ctx
    assert {name: w.shape for name, w in weights.items()} == {name: spec.shape for name, spec in specs.items()}
    return weights


def imported(file: dict[str, torch.Tensor], attention: float = 1.0) -> gi.Snapshot:
    task = gi.build_task(TASK)
    return gi.snapshot(load_hooked(SHAPE, task.layout, converted(file, attention)), task)


@pytest.fixture(scope="module")
def published(foreign) -> dict[str, torch.Tensor]:
    return torch.load(foreign / EXPECTED["file"], weights_only=True, map_location="cpu")


@pytest.fixture(scope="module")
def snapshot(published) -> gi.Snapshot:
    snapshot = imported(published)
    row = one(measured("accuracy_loss", snapshot), split="all")
    expected = EXPECTED["values"]["full_loss"]
    assert row["loss"] == pytest.approx(expected["value"], rel=expected["rel"]), "not the published network"
    return snapshot


@pytest.fixture(scope="module")
def circles(snapshot) -> list[dict]:
    return measured("clock_pizza", snapshot, "circles", n_circles=6)


@pytest.fixture(scope="module")
def values(published, snapshot, circles) -> dict[str, float]:
    """Every number that expected.json has, measured."""
    (main,) = measured("clock_pizza", snapshot)
    whole = one(measured("accuracy_loss", snapshot), split="all")
    components = [row for row in measured("symbol_pca", snapshot) if row["matrix"] == "W_E"][:4]
    clocks = [row for row in circles if row["isolation"] == "frequency" and row["formula"] == "clock"]
    baseline = measured("clock_pizza", snapshot, "baseline", n_baselines=1)
    return {
        "full_loss": whole["loss"],
        "full_accuracy": whole["accuracy"],
        "norm": sum(float(w.double().square().sum()) for name, w in published.items() if "mask" not in name) ** 0.5,
        "gradient_symmetricity": main["gradient_symmetricity"],
        "distance_irrelevance": main["distance_irrelevance"],
        "circularity": sum(row["circularity"] for row in components) / 4,
        "frequency_clock_r2": sum(row["fve_fitted"] for row in clocks) / len(clocks),
        "untrained_irrelevance": one(baseline, network="untrained")["distance_irrelevance"],
    }


@pytest.mark.parametrize("name", EXPECTED["values"])
def test_the_published_pizza_has_its_known_value(name, values):
    expected = EXPECTED["values"][name]
    assert values[name] == pytest.approx(expected["value"], rel=expected.get("rel", 0), abs=expected.get("abs", 0))


def test_its_config_is_what_the_import_assumes(foreign):
    config = json.loads((foreign / EXPECTED["config"]).read_text())
    assert (config["C"], config["attn_coeff"], config["diff_vocab"], config["eqn_sign"]) == (EXPECTED["p"], 0, 0, 0)
    assert (config["n_layers"], config["n_heads"], config["d_model"]) == (SHAPE.n_layers, SHAPE.n_heads, SHAPE.d_model)
    assert config["act_fn"] == "ReLU"


def test_attention_of_one_over_the_context_is_another_network_though_it_is_right_everywhere(published):
    row = one(measured("accuracy_loss", imported(published, attention=0.5)), split="all")
    assert row["accuracy"] == 1
    assert row["loss"] == pytest.approx(EXPECTED["near_miss"]["loss"], rel=EXPECTED["near_miss"]["rel"])


def test_the_loss_is_sharp_enough_to_miss_the_mlp_biases(published):
    bare = {name: torch.zeros_like(w) if ".b_" in name else w for name, w in published.items()}
    row = one(measured("accuracy_loss", imported(bare)), split="all")
    expected = EXPECTED["values"]["full_loss"]
    assert row["accuracy"] == 1
    assert row["loss"] > expected["value"] * (1 + 20 * expected["rel"])


@pytest.mark.parametrize("formula", EXPECTED["ranges"])
def test_each_isolated_circle_computes_what_was_published(formula, circles):
    kind = "accompanying" if formula == "accompanying" else "main"
    bounds, ks = EXPECTED["ranges"][formula], EXPECTED["circles"][kind]
    rows = [r for r in circles if r["isolation"] == "components" and r["formula"] == formula and r["k"] in ks]
    assert [row["k"] for row in rows] == ks
    assert all(bounds["low"] <= row["fve"] <= bounds["high"] for row in rows)


def test_an_isolated_circle_is_a_pizza_and_no_clock_by_either_isolation(circles):
    main = [row for row in circles if row["k"] in EXPECTED["circles"]["main"]]
    by_formula = {f: [r["fve_fitted"] for r in main if r["formula"] == f] for f in ("clock", "pizza")}
    assert len(by_formula["clock"]) == len(by_formula["pizza"]) == 6
    assert min(by_formula["pizza"]) > 0.99
    assert max(by_formula["clock"]) < 0.8


def test_its_attention_does_not_depend_on_the_operands(snapshot):
    for row in measured("attention", snapshot):
        assert row["mean"] == pytest.approx(0.5)
        assert row["std"] == pytest.approx(0, abs=1e-15)
        assert row["k"] is None
