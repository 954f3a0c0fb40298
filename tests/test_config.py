"""Configs: complete, strict, and the same after JSON and TOML."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.config import DEFAULT_P, train_size
from grokinterp.errors import GrokinterpError
from grokinterp.explain import suggest
from grokinterp.overrides import load_toml, override
from grokinterp.presets import PRESETS

TASKS = st.one_of(
    st.fixed_dictionaries({"operation": st.sampled_from(["x+y", "x-y", "x*y"]), "p": st.integers(3, 150)}),
    st.fixed_dictionaries({"operation": st.just("divide"), "p": st.sampled_from([5, 7, 12, 13, 113])}),
    st.fixed_dictionaries({"operation": st.just("x.y"), "group": st.sampled_from(["S3", "S4", "S5"])}),
)
EXTRA_TASK = st.fixed_dictionaries(
    {"layout": st.sampled_from(["a b =", "a op b =", "a b"]), "frac_train": st.floats(0.2, 0.8)},
    optional={"split_seed": st.integers(0, 2**40)},
)
MODELS = st.fixed_dictionaries(
    {"d_model": st.integers(1, 40).map(lambda n: 4 * n), "n_heads": st.sampled_from([1, 2, 4])},
    optional={
        "d_head": st.integers(1, 70),
        "d_mlp": st.integers(1, 900),
        "normalization": st.sampled_from(["none", "LN"]),
        "causal": st.booleans(),
        "init_seed": st.integers(0, 99),
    },
)
OPTIMIZERS = st.fixed_dictionaries(
    {"lr": st.floats(1e-9, 1000)},
    optional={
        "name": st.sampled_from(["adamw", "adam", "sgd"]),
        "betas": st.tuples(st.floats(0, 0.9999), st.floats(0, 0.9999)),
        "warmup_steps": st.integers(0, 10**6),
    },
)
TRAININGS = st.fixed_dictionaries(
    {},
    optional={
        "steps": st.integers(1, 10**8),
        "batch_size": st.one_of(st.none(), st.just(1)),
        "checkpoint_every": st.one_of(st.none(), st.integers(1, 500)),
        "checkpoint_dense": st.floats(0, 10),
        "device": st.sampled_from(["auto", "cpu", "cuda:1"]),
    },
)
NAMES = st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable() and s.strip(" ."))


@st.composite
def configs(draw):
    task = {**draw(TASKS), **draw(EXTRA_TASK)}
    sections = {"task": task, "model": draw(MODELS), "optimizer": draw(OPTIMIZERS), "train": draw(TRAININGS)}
    return gi.RunConfig.from_mapping({"name": draw(NAMES), **sections})


@settings(max_examples=100, deadline=None, derandomize=True)
@given(config=configs())
def test_json_gives_the_config_back(config):
    assert gi.RunConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["schema_version"] == 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(config=configs())
def test_toml_gives_the_config_back(config, tmp_path_factory):
    path = tmp_path_factory.mktemp("toml") / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert gi.RunConfig.from_mapping(load_toml(path)) == config
    assert override(gi.RunConfig(), load_toml(path)) == config


@settings(max_examples=60, deadline=None, derandomize=True)
@given(config=configs())
def test_an_override_that_changes_nothing_changes_nothing(config):
    assert override(config) == config
    assert override(config, {}, {"task": {}}) == config


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_complete_and_carries_its_name(name):
    config = PRESETS[name]()
    assert config.name == name
    assert gi.RunConfig.from_json(config.to_json()) == config
    filled = config.model_dump(exclude={"task": {"group"}, "train": {"batch_size", "threads"}})
    assert not [
        f"{s}.{f}" for s, fields in filled.items() if isinstance(fields, dict) for f in fields if fields[f] is None
    ]


def test_widths_and_spacings_follow_what_they_are_derived_from():
    config = override(PRESETS["ci"](), {"model": {"d_model": 96}, "train": {"steps": 4000}})
    assert (config.model.d_head, config.model.d_mlp) == (24, 384)
    assert override(gi.RunConfig(), {"train": {"steps": 4000}}).train.checkpoint_every == 100
    given_one = override(gi.RunConfig(), {"model": {"d_mlp": 100}}, {"model": {"d_model": 64}})
    assert given_one.model.d_mlp == 100


def test_a_group_takes_the_place_of_a_modulus():
    for name in PRESETS:
        config = override(PRESETS[name](), {"task": {"operation": "compose", "group": "S5"}})
        assert (config.task.p, config.task.n_elements, config.task.n_pairs) == (None, 120, 14400)
        back = override(config, {"task": {"operation": "x/y", "p": 12}})
        assert (back.task.p, back.task.group, back.task.n_pairs) == (12, None, 48)
    assert gi.TaskConfig().p == DEFAULT_P


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_schema_asks_for_an_upgrade(version):
    text = gi.RunConfig().to_json().replace('"schema_version": 1', f'"schema_version": {version}')
    with pytest.raises(GrokinterpError, match=f"schema_version {version}.*reads up to 1; upgrade"):
        gi.RunConfig.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "null", '"text"'])
def test_what_is_no_config_is_refused_with_its_source(text):
    with pytest.raises(GrokinterpError, match="somewhere/config"):
        gi.RunConfig.from_json(text, source="somewhere/config")


def test_a_config_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        gi.RunConfig().task.p = 7


@pytest.mark.parametrize(
    ("frac", "n", "size"), [(0.3, 12769, 3830), (0.1, 30, 3), (0.7, 10, 7), (0.999, 10, 9), (1 / 3, 9, 3)]
)
def test_train_size_is_the_floor_in_spite_of_binary_fractions(frac, n, size):
    assert train_size(frac, n) == size


def test_suggest_offers_the_nearest_name_or_all():
    assert suggest("qick", ["quick", "ci"]) == "did you mean quick?"
    assert suggest("zzz", ["quick", "ci"]) == "choose from quick, ci"
