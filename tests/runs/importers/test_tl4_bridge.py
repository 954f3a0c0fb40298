"""State_dicts of TransformerLens 4's TransformerBridge; the names are those of 4.3.0's boot_native."""

import pytest
import torch
from layouts import bridge_state, logits, network, same_weights, save

import grokinterp as gi
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers import import_run
from grokinterp.runs.importers.tl4_bridge import to_hooked

GIVEN = {"task": {"operation": "x+y"}, "model": {"activation": "relu", "n_heads": 2}}

NAMES = {  # of a TransformerBridge of one block with LayerNorm, d_model 16, 2 heads, p 7, as 4.3.0 gives them
    "embed.weight": (8, 16),
    "pos_embed.weight": (3, 16),
    "blocks.0.ln1.weight": (16,),
    "blocks.0.ln1.bias": (16,),
    "blocks.0.attn.q.weight": (16, 16),
    "blocks.0.attn.q.bias": (16,),
    "blocks.0.attn.k.weight": (16, 16),
    "blocks.0.attn.k.bias": (16,),
    "blocks.0.attn.v.weight": (16, 16),
    "blocks.0.attn.v.bias": (16,),
    "blocks.0.attn.o.weight": (16, 16),
    "blocks.0.attn.o.bias": (16,),
    "blocks.0.ln2.weight": (16,),
    "blocks.0.ln2.bias": (16,),
    "blocks.0.mlp.in.weight": (32, 16),
    "blocks.0.mlp.in.bias": (32,),
    "blocks.0.mlp.out.weight": (16, 32),
    "blocks.0.mlp.out.bias": (16,),
    "ln_final.weight": (16,),
    "ln_final.bias": (16,),
    "unembed.weight": (7, 16),
    "unembed.bias": (7,),
}


def test_the_synthetic_files_have_the_names_and_shapes_of_the_real_ones():
    state = bridge_state(network(model={"normalization": "LN", "biases": "all"})[2])
    assert {name: tuple(value.shape) for name, value in state.items()} == NAMES


@pytest.mark.parametrize("normalization", ["none", "LN"])
@pytest.mark.parametrize("biases", ["none", "all"])
def test_a_bridge_becomes_the_same_network(tmp_path, normalization, biases):
    config, task, weights = network(2, model={"normalization": normalization, "biases": biases, "n_layers": 2})
    report = import_run(save(bridge_state(weights), tmp_path / "x.pt"), tmp_path / "run", given=GIVEN)
    run = gi.open(tmp_path / "run")
    assert report.format == "tl4_bridge"
    assert run.config.model.model_copy(update={"init_seed": 2}) == config.model
    assert same_weights(run, 0, weights)
    assert (logits(run.config, run.task, run.weights(0)) - logits(config, task, weights)).abs().max() <= 1e-12


def test_the_names_of_the_module_inside_mean_the_same(tmp_path):
    weights = network(model={"normalization": "LN", "biases": "all"})[2]
    inside = {}
    for name, value in bridge_state(weights).items():
        start, _, last = name.rpartition(".")
        for ours, theirs in (("pos_embed", "pos"), ("unembed", "head"), ("embed", "tok_embed"), ("ln_final", "ln_out")):
            start = theirs if start == ours else start
        start = start.replace("blocks.0", "layers.0._original_component").replace(
            ".mlp.", ".mlp._original_component.fc_"
        )
        inside[f"{start}._original_component.{last}"] = value
    assert "layers.0._original_component.mlp._original_component.fc_in._original_component.weight" in inside
    import_run(save(inside, tmp_path / "x.pt"), tmp_path / "run", given=GIVEN)
    assert same_weights(gi.open(tmp_path / "run"), 0, weights)


def test_fused_queries_keys_and_values_are_split(tmp_path):
    weights = network(model={"biases": "all"})[2]
    state = bridge_state(weights)
    for kind in ("weight", "bias"):
        parts = [state.pop(f"blocks.0.attn.{letter}.{kind}") for letter in "qkv"]
        state[f"blocks.0.attn.qkv.{kind}"] = torch.cat(parts)
    import_run(save(state, tmp_path / "x.pt"), tmp_path / "run", given=GIVEN)
    assert same_weights(gi.open(tmp_path / "run"), 0, weights)


def test_a_folder_of_bridges_is_a_series(tmp_path):
    folder = tmp_path / "ckpts"
    folder.mkdir()
    for step in (0, 10):
        save({"state_dict": bridge_state(network(step)[2])}, folder / f"step_{step}.pt")
    import_run(folder, tmp_path / "run", given=GIVEN)
    run = gi.open(tmp_path / "run")
    assert run.steps == [0, 10]
    assert all(same_weights(run, step, network(step)[2]) for step in run.steps)


def test_the_number_of_heads_is_the_one_that_computes_best(tmp_path, grokked_run):
    weights = grokked_run.weights(grokked_run.steps[-1])
    report = import_run(save(bridge_state(weights), tmp_path / "x.pt"), tmp_path / "run")
    run = gi.open(tmp_path / "run")
    assert run.config.model.n_heads == grokked_run.config.model.n_heads
    assert same_weights(run, 0, weights)
    assert any("the number of heads is not in the file" in note for note in report.notes)


def test_a_config_in_the_file_says_the_heads(tmp_path):
    content = {"state_dict": bridge_state(network()[2]), "cfg": {"d_model": 16, "n_heads": 2, "act_fn": "gelu"}}
    import_run(save(content, tmp_path / "x.pt"), tmp_path / "run", given={"task": {"operation": "x+y"}})
    model = gi.open(tmp_path / "run").config.model
    assert (model.n_heads, model.activation) == (2, "gelu")


@pytest.mark.parametrize(
    ("change", "n_heads", "sentence"),
    [
        ({"blocks.0.mlp.gate.weight": torch.ones(32, 16)}, 2, "mlp.gate.weight is none of a network that can be run"),
        ({}, 3, "has 16 rows, no multiple of 3"),
        ({"blocks.0.attn.qkv.weight": torch.ones(16, 16)}, 2, "whose rows are no queries, keys and values"),
    ],
)
def test_what_no_hooked_transformer_has_is_refused(change, n_heads, sentence):
    with pytest.raises(GrokinterpError, match=sentence):
        to_hooked({**bridge_state(network()[2]), **change}, n_heads)
