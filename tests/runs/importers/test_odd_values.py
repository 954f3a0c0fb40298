"""One field or one tensor of something else in a file of each layout: read, or refused in one sentence."""

import copy
import json

import pandas as pd
import pytest
import test_chughtai
import test_openai_grok
import test_pizza
import test_stander
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lookup_networks import lookup

from grokinterp.errors import GrokinterpError
from grokinterp.harmonics.groups import parse_group
from grokinterp.runs.importers import import_run

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 3, 10**30, 2**63, 10**400, 0.5, -0.0, 1e300, float("nan"), float("inf")]),
    st.sampled_from(["", "x", "x\n\ty", "S5", "CyclicGroup", "../..", "{}", [], [1, "a"], {}, {"a": {}}]),
    st.integers(),
    st.floats(),
)
TENSORS = st.sampled_from(
    [
        torch.tensor(3.0),
        torch.zeros(0),
        torch.zeros(0, 3),
        torch.zeros(2, 3),
        torch.zeros(2, 3, 4),
        torch.zeros(7, 7, dtype=torch.long),
        torch.zeros(4, 4, dtype=torch.complex64),
        torch.zeros(4, 4, dtype=torch.bfloat16),
        torch.full((7, 10), float("nan")),
        torch.eye(3).to_sparse(),
        torch.zeros(1, 1).expand(50, 50),
    ]
)
KINDS = ("chughtai", "chughtai mlp", "pizza", "pizza linear", "stander", "openai_grok")


def layout(kind):
    """The state_dict of a small network and the config beside or inside its file."""
    match kind:
        case "chughtai":
            return test_chughtai.transformer()[2], test_chughtai.CFG
        case "chughtai mlp":
            state = lookup(parse_group("S3").table.tolist())
            return state, {**test_chughtai.CFG, "group": "SymmetricGroup", "group_parameter": 3}
        case "pizza":
            return test_pizza.network()[1], test_pizza.CONFIG
        case "pizza linear":
            return test_pizza.Linear("D").state_dict(), {**test_pizza.LINEAR, "model_type": "D"}
        case "stander":
            content = test_stander.checkpoint(test_stander.SnMLP(6))
            return content["model"], content
    return test_openai_grok.network(n_layers=1), test_openai_grok.HPARAMS


def save(path, kind, state, config):
    """Write them as the layout has them; the file to import."""
    if kind.startswith("chughtai"):
        (path / "cfg.json").write_text(json.dumps(config))
        torch.save(state, path / "model.pt")
        return path / "model.pt"
    if kind.startswith("pizza"):
        (path / "config_abc.json").write_text(json.dumps(config))
        torch.save(state, path / "model_abc.pt")
        return path / "model_abc.pt"
    content = {**config, "model": state} if kind == "stander" else {"state_dict": state, "hyper_parameters": config}
    torch.save(content, path / "3.ckpt")
    return path / "3.ckpt"


def outcome(path, out):
    """The sentence with which the import is refused; nothing where it is not."""
    sentence = None
    try:
        import_run(path, out)
    except GrokinterpError as error:
        sentence = str(error)
    assert out.exists() is (sentence is None)
    assert sentence is None or ("\n" not in sentence and len(sentence) < 2000)
    return sentence


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_odd_value_is_read_or_refused_in_one_sentence(kind, data, tmp_path_factory):
    state, config = layout(kind)
    name = data.draw(st.sampled_from(sorted(config)))
    path = tmp_path_factory.mktemp("odd")
    file = save(path, kind, state, {**copy.deepcopy(config), name: data.draw(ODD)})
    outcome(file, path / "out")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_odd_tensor_is_refused_in_one_sentence(kind, data, tmp_path_factory):
    state, config = layout(kind)
    name = data.draw(st.sampled_from(sorted(name for name in state if "mask" not in name)))
    path = tmp_path_factory.mktemp("odd")
    file = save(path, kind, {**state, name: data.draw(TENSORS)}, config)
    unread = name in ("x_embed", "y_embed", "blocks.0.attn.IGNORE")
    assert outcome(file, path / "out") is not None or unread


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_wrong_with_what_was_made_odd(kind, tmp_path):
    assert outcome(save(tmp_path, kind, *layout(kind)), tmp_path / "out") is None


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(column=st.sampled_from(["index_left", "index_right", "index_target", "in_train"]), value=ODD)
def test_an_odd_cell_of_the_data_is_read_or_refused_in_one_sentence(column, value, tmp_path_factory):
    path = tmp_path_factory.mktemp("odd")
    rows = test_stander.data(parse_group("S3").table)
    rows[column] = pd.Series([value, *rows[column].iloc[1:]], dtype=object).map(str)
    rows.to_parquet(path / "data.parquet")
    torch.save(test_stander.checkpoint(test_stander.SnMLP(6)), path / "3.pth")
    outcome(path, path / "out")
