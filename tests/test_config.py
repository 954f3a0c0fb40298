"""Configs: complete, strict, and the same after JSON and TOML."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.config import DEFAULT_P, GROUP_OPERATIONS, KINDS, MODULAR_OPERATIONS, train_size
from grokinterp.errors import GrokinterpError
from grokinterp.explain import suggest
from grokinterp.overrides import load_toml, override
from grokinterp.presets import PRESETS

P_OF_SUMS = {"x+y+z": 20, "x+y+z+w": 12}
CELLS = st.integers(2, 5).flatmap(
    lambda n: st.lists(st.lists(st.integers(-1, 9), min_size=n, max_size=n), min_size=n, max_size=n)
)
OWN = CELLS.filter(lambda table: len({answer for row in table for answer in row} - {-1}) > 1)
TASKS = st.one_of(
    st.fixed_dictionaries(
        {"operation": st.sampled_from(sorted({*MODULAR_OPERATIONS} - {*P_OF_SUMS})), "p": st.integers(5, 150)}
    ),
    st.fixed_dictionaries({"operation": st.sampled_from(sorted(P_OF_SUMS)), "p": st.integers(3, 12)}),
    st.fixed_dictionaries({"operation": st.just("divide"), "p": st.sampled_from([5, 7, 12, 13, 113])}),
    st.fixed_dictionaries(
        {
            "operation": st.sampled_from(GROUP_OPERATIONS),
            "group": st.sampled_from(["S3", "S4", "S5", "A5", "D7", "C12", "C2xS3"]),
        }
    ),
    OWN.map(lambda table: {"operation": "custom", "table": table}),
    OWN.map(lambda table: {"operation": "custom", "table": table, "p": len(table), "file": "gone.py"}),
)
EXTRA_TASK = st.fixed_dictionaries(
    {"frac_train": st.floats(0.4, 0.6)},
    optional={
        "split_seed": st.integers(0, 2**40),
        "label_seed": st.integers(0, 2**40),
        "outliers": st.just(1),
    },
)
ANY_MODEL = {"init_seed": st.integers(0, 99), "init_scale": st.floats(1e-3, 100)}
TRANSFORMERS = st.fixed_dictionaries(
    {"d_model": st.integers(1, 40).map(lambda n: 4 * n), "n_heads": st.sampled_from([1, 2, 4])},
    optional={
        **ANY_MODEL,
        "kind": st.just("transformer"),
        "n_layers": st.integers(1, 4),
        "d_head": st.integers(1, 70),
        "d_mlp": st.integers(1, 900),
        "activation": st.sampled_from(["relu", "gelu"]),
        "normalization": st.sampled_from(["none", "LN", "post-LN"]),
        "biases": st.sampled_from(["none", "mlp", "all"]),
        "causal": st.booleans(),
        "attention_rate": st.floats(0, 1),
        "init": st.sampled_from(["tl", "nanda"]),
    },
)
HIDDEN = {"d_hidden": st.integers(1, 4096), "biases": st.sampled_from(["none", "all"])}
MLPS = st.fixed_dictionaries(
    {"kind": st.just("mlp")},
    optional={
        **ANY_MODEL,
        **HIDDEN,
        "n_layers": st.integers(1, 8),
        "activation": st.sampled_from(["relu", "gelu", "square"]),
    },
)
EMBEDDING_MLPS = st.tuples(MLPS, st.sampled_from(["embedding", "separate"]), st.integers(1, 4096)).map(
    lambda x: {**x[0], "input": x[1], "d_model": x[2]}
)
LSTMS = st.fixed_dictionaries(
    {"kind": st.just("lstm")},
    optional={**ANY_MODEL, **HIDDEN, "n_layers": st.integers(1, 4), "d_model": st.integers(1, 4096)},
)
MODELS = st.one_of(TRANSFORMERS, TRANSFORMERS, MLPS, EMBEDDING_MLPS, LSTMS)
ANY_OPTIMIZER = {
    "lr": st.floats(1e-9, 1000),
    "betas": st.tuples(st.floats(0, 0.9999), st.floats(0, 0.9999)),
    "eps": st.floats(1e-12, 1e-3),
    "warmup_steps": st.integers(0, 10**6),
}
DECAY = {"weight_decay": st.floats(0.001, 10), "decay_to": st.sampled_from(["zero", "init"])}
MOMENTUM = {"momentum": st.floats(0, 0.99)}
OPTIMIZERS = st.one_of(
    st.fixed_dictionaries({}, optional={**ANY_OPTIMIZER, **DECAY}),
    st.fixed_dictionaries({"name": st.just("adam")}, optional=ANY_OPTIMIZER),
    st.fixed_dictionaries({"name": st.just("sgd"), **DECAY}, optional={"lr": st.floats(1e-9, 1000), **MOMENTUM}),
    st.fixed_dictionaries({"name": st.just("sgd")}, optional={"lr": st.floats(1e-9, 1000), **MOMENTUM}),
    st.fixed_dictionaries({"name": st.just("muon")}, optional={**ANY_OPTIMIZER, **DECAY, **MOMENTUM}),
)
SCHEDULES = st.sampled_from([{}, {"schedule": "cosine"}, {"schedule": "cosine", "final_lr": 0.0}])
SLOW_GRADIENTS = st.sampled_from(
    [
        {},
        {"grokfast": "ema", "grokfast_lambda": 5.0, "grokfast_alpha": 0.9},
        {"grokfast": "ma", "grokfast_lambda": 1.0, "grokfast_window": 1},
    ]
)
REGULARIZERS = st.fixed_dictionaries(
    {},
    optional={
        "weight_noise": st.floats(0, 10),
        "sam_rho": st.floats(0, 10),
        "orthogonal_gradient": st.booleans(),
        "update_noise": st.floats(0, 1000),
        "norm": st.sampled_from(["free", "initial"]),
    },
)
TRAININGS = st.fixed_dictionaries(
    {},
    optional={
        "steps": st.integers(1, 10**8),
        "max_seconds": st.floats(1, 1e6),
        "stop_after_grokking": st.integers(0, 10**6),
        "batch_size": st.sampled_from([None, 1, "auto"]),
        "loss": st.sampled_from(["cross_entropy", "stablemax", "mse"]),
        "dtype": st.sampled_from(["float32", "float64"]),
        "loss_dtype": st.sampled_from(["float32", "float64"]),
        "checkpoint_every": st.one_of(st.none(), st.integers(1, 500)),
        "checkpoint_dense": st.floats(0, 10),
        "device": st.sampled_from(["auto", "cpu", "cuda:1"]),
    },
)
NAMES = st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable() and s.strip(" ."))


@st.composite
def configs(draw):
    task, model, training = {**draw(TASKS), **draw(EXTRA_TASK)}, draw(MODELS), draw(TRAININGS)
    kind = model.get("kind", "transformer")
    task["layout"] = "a b" if kind == "mlp" else draw(st.sampled_from(["a b =", "a op b =", "a b", "EOS a op b ="]))
    if "outliers" not in task:
        task["shuffle_labels"] = draw(st.booleans())
    regularizer = {**draw(REGULARIZERS), **draw(SLOW_GRADIENTS)}
    if kind != "lstm":
        regularizer["dropout"] = draw(st.floats(0, 0.9))
    if kind == "transformer" and model.get("causal", True):
        training["loss_on"] = draw(st.sampled_from(["answer", "sequence"]))
        training["engine"] = draw(st.sampled_from(["auto", "hooked"]))
    optimizer = {**draw(OPTIMIZERS), **draw(SCHEDULES)}
    without_a_matrix = kind == "mlp" and model.get("input", "onehot") == "onehot" and model.get("n_layers") == 1
    assume(not (without_a_matrix and optimizer.get("name") == "muon"))
    n_pairs = sum(answer >= 0 for row in task.get("table", []) for answer in row)
    assume("table" not in task or n_pairs > 3)
    return gi.RunConfig.from_mapping(
        {
            "name": draw(NAMES),
            "task": task,
            "model": model,
            "optimizer": optimizer,
            "regularizer": regularizer,
            "train": training,
        }
    )


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
    in_group = config.task.group is not None
    may_be_empty = {
        "task": {"file", "table", "p" if in_group else "group"},
        "train": {"batch_size", "threads", "max_seconds", "stop_after_grokking"},
    }
    filled = config.model_dump(exclude=may_be_empty)
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
        config = override(PRESETS[name](), {"task": {"operation": "compose", "group": "S5", "outliers": 0}})
        assert (config.task.p, config.task.n_elements, config.task.n_pairs) == (None, 120, 14400)
        other = override(config, {"task": {"operation": "conjugate"}})
        assert (other.task.operation, other.task.group) == ("x.y.x^-1", "S5")
        back = override(config, {"task": {"operation": "x/y", "p": 12}})
        assert (back.task.p, back.task.group, back.task.n_pairs) == (12, None, 48)
        assert override(config, {"task": {"operation": "x-y"}}).task.p == DEFAULT_P
    assert gi.TaskConfig().p == DEFAULT_P


OWN_TABLE = [[0, 1, 2], [1, 2, 0], [2, 0, 1]]


def test_a_table_of_one_s_own_takes_the_place_of_a_modulus_or_a_group_and_back():
    own = {"task": {"operation": "custom", "table": OWN_TABLE}}
    for before in ({}, {"operation": "x-y", "p": 12}, {"operation": "x.y", "group": "S3"}):
        config = override(override(gi.RunConfig(), {"task": before}), own)
        assert (config.task.p, config.task.group, config.task.n_pairs) == (None, None, 9)
        assert config.task.file is None
        back = override(config, {"task": {"operation": "x.y", "group": "S4"}})
        assert (back.task.table, back.task.p, back.task.group) == (None, None, "S4")
        again = override(config, {"task": {"operation": "x*y"}})
        assert (again.task.table, again.task.p, again.task.operation) == (None, DEFAULT_P, "x*y")
        assert override(config, {"task": {"operation": "custom", "split_seed": 3}}).task.table == config.task.table


def test_another_operation_mod_p_keeps_p():
    config = override(gi.RunConfig(), {"task": {"p": 12}}, {"task": {"operation": "x/y"}})
    assert (config.task.operation, config.task.p, config.task.n_pairs) == ("x/y", 12, 48)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_of_model_has_its_own_defaults_and_the_way_back_too(name, kind):
    """From any preset to a kind and back: seed and scale stay, widths and what an mlp cannot read do not."""
    base = override(PRESETS[name](), {"model": {"init_seed": 5, "init_scale": 2.0}})
    config = override(base, {"model": {"kind": kind}})
    if kind == base.model.kind:
        assert config == base
        return
    assert config.model == KINDS[kind](init_seed=5, init_scale=2.0)
    mlp = "mlp" in (kind, base.model.kind)
    expected = {"mlp": "a b", "lstm": "a b =", "transformer": "a b ="}[kind] if mlp else base.task.layout
    assert config.task == base.task.model_copy(update={"layout": expected})
    assert (config.optimizer, config.regularizer, config.train) == (base.optimizer, base.regularizer, base.train)
    back = override(config, {"model": {"kind": base.model.kind}})
    assert back.model == KINDS[base.model.kind](init_seed=5, init_scale=2.0)


def test_fields_of_the_new_kind_may_come_with_it_and_later():
    together = override(PRESETS["ci"](), {"model": {"kind": "mlp", "d_hidden": 40}})
    later = override(PRESETS["ci"](), {"model": {"kind": "mlp"}}, {"model": {"d_hidden": 40}})
    assert together == later
    assert (together.model.kind, together.model.d_hidden, together.task.layout) == ("mlp", 40, "a b")
    assert override(together, {"model": {"kind": "mlp", "n_layers": 3}}).model.d_hidden == 40
    asked = override(PRESETS["ci"](), {"model": {"kind": "lstm"}, "task": {"layout": "a op b ="}})
    assert asked.task.layout == "a op b ="


def test_a_layout_that_an_mlp_cannot_read_is_refused_when_it_is_asked_for():
    with pytest.raises(GrokinterpError, match="an mlp reads the operands alone"):
        override(PRESETS["ci"](), {"model": {"kind": "mlp"}, "task": {"layout": "a b ="}})
    assert gi.RunConfig(model=gi.MLPConfig()).task.layout == "a b"


def test_another_optimizer_starts_from_its_own_decay_and_momentum():
    base = override(PRESETS["quick"](), {"optimizer": {"betas": (0.9, 0.99)}})
    assert (base.optimizer.weight_decay, base.optimizer.momentum) == (2.0, 0.0)
    expected = {"adam": (0.0, 0.0), "sgd": (0.0, 0.0), "muon": (1.0, 0.95)}
    for name, values in expected.items():
        config = override(base, {"optimizer": {"name": name}})
        assert (config.optimizer.weight_decay, config.optimizer.momentum) == values
        betas = (0.9, 0.98) if name == "sgd" else (0.9, 0.99)  # sgd has none: the default stays
        assert (config.optimizer.lr, config.optimizer.betas) == (5e-3, betas)
        back = override(config, {"optimizer": {"name": "adamw"}})
        assert (back.optimizer.weight_decay, back.optimizer.momentum) == (1.0, 0.0)
        given = override(base, {"optimizer": {"name": "sgd", "weight_decay": 0.1, "momentum": 0.5}})
        assert (given.optimizer.weight_decay, given.optimizer.momentum) == (0.1, 0.5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([{"model": {"kind": "mlp", "n_heads": 4}}], "model.n_heads is not a field of a model of kind mlp"),
        ([{"model": {"kind": "lstm", "activation": "relu"}}], "is not a field of a model of kind lstm"),
        ([{"model": {"d_hiden": 4}}], "model.d_hiden is not a field of a model of kind transformer; did you mean d_"),
        ([{"model": {"kind": "rnn"}}], "model.kind = 'rnn': choose from transformer, mlp, lstm"),
        ([{"model": {"kind": 3}}], "model.kind = 3"),
        ([{"model": {"kind": ["mlp"]}}], "model.kind = ['mlp']"),
        ([{"model": 3}], "model = 3"),
        ([{"model": 3}, {"model": {"kind": "mlp"}}], "model = 3"),
        ([{"task": 3}, {"task": {"operation": "x-y"}}], "task = 3"),
        ([{"task": 3}, {"model": {"kind": "mlp"}}], "task = 3"),
        ([{"optimizer": 3}, {"optimizer": {"name": "sgd"}}], "optimizer = 3"),
        ([{"task": None}, {"task": {"p": 7}}], "task = None"),
        ([{"task": {"operation": ["x+y"]}}], "task.operation = ['x+y']"),
        ([{"task": {"operation": "custom", "table": OWN_TABLE, "p": 4}}], "p is 4"),
        ([{"model": {"kind": "mlp", "d_model": 64}}], "d_model is the width of an embedding"),
        ([{"model": {"kind": "mlp"}}, {"train": {"engine": "hooked"}}], "an mlp has one engine"),
        ([{"regularizer": {"dropout": 0.1}}, {"model": {"kind": "lstm"}}], "dropout of an lstm is not offered"),
        ([{"train": {"loss_on": "sequence"}}, {"model": {"kind": "mlp"}}], "needs a causal transformer"),
        ([{"train": {"loss_on": "sequence"}}, {"model": {"causal": False}}], "needs a causal transformer"),
        ([{"model": {"normalization": "LN"}, "train": {"engine": "fast"}}], "the fast engine has no LayerNorm"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_sentence(changes, says):
    with pytest.raises(GrokinterpError) as caught:
        override(gi.RunConfig(), *changes)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_many_wrong_fields_are_four_sentences():
    wrong = {f"field{i}": i for i in range(30)}
    with pytest.raises(GrokinterpError, match="and 26 more like these") as caught:
        gi.RunConfig.from_mapping({"task": wrong})
    assert str(caught.value).count("is not a field") == 4


def test_a_config_from_before_there_were_kinds_is_that_of_a_transformer():
    data = json.loads(PRESETS["ci"]().to_json())
    for name in ("kind", "attention_rate", "init_scale"):
        del data["model"][name]
    for name in ("file", "table", "outliers", "shuffle_labels", "label_seed"):
        del data["task"][name]
    del data["regularizer"]
    assert gi.RunConfig.from_mapping(data) == PRESETS["ci"]()


@pytest.mark.parametrize(
    ("p", "frac", "asked", "size"),
    [
        (113, 0.3, None, None),
        (113, 0.3, 100, 100),
        (113, 0.3, "auto", 512),
        (31, 0.6, "auto", 288),
        (5, 0.2, "auto", 3),
    ],
)
def test_batches_called_auto_are_512_or_half_of_the_training_pairs(p, frac, asked, size):
    config = gi.RunConfig.from_mapping({"task": {"p": p, "frac_train": frac}, "train": {"batch_size": asked}})
    assert config.batch_size == size


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


def test_the_commands_help_names_every_preset():
    from grokinterp import cli

    assert cli.train.__doc__ is not None
    listed = cli.train.__doc__.split("preset\n", 1)[1]
    assert {word.strip(",") for word in listed.split()} >= set(PRESETS)


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("train", "steps", 100.0),
        ("train", "steps", "100"),
        ("model", "d_model", 16.0),
        ("model", "n_heads", "4"),
        ("task", "p", 13.0),
        ("train", "threads", "2"),
    ],
)
def test_what_is_not_written_as_a_whole_number_is_none(section, field, value):
    """16.0 would be read as 16, after the fields that follow from it had been left empty."""
    with pytest.raises(GrokinterpError, match=rf"{section}\.{field} = {value!r}: is not a whole number"):
        gi.RunConfig.from_mapping({section: {field: value}})


@pytest.mark.parametrize("value", ["yes", 0, 1.0])
def test_a_switch_is_true_or_false(value):
    with pytest.raises(GrokinterpError, match="is not true or false"):
        gi.RunConfig.from_mapping({"model": {"causal": value}})


@pytest.mark.parametrize("name", ["adam", "sgd", "muon"])
def test_what_a_file_says_is_not_dropped_for_a_flag(name):
    """Of the preset it is: its decay was meant for its optimizer."""
    file = {"optimizer": {"weight_decay": 0.3}, "model": {"d_model": 16}}
    flags = {"optimizer": {"name": name}, "model": {"kind": "lstm"}}
    if name == "adam":
        with pytest.raises(GrokinterpError, match="adam takes no weight_decay"):
            override(PRESETS["ci"](), file, flags)
        return
    config = override(PRESETS["ci"](), file, flags)
    assert (config.optimizer.weight_decay, config.model.d_model) == (0.3, 16)
    assert override(PRESETS["ci"](), flags).optimizer.weight_decay != PRESETS["ci"]().optimizer.weight_decay


@pytest.mark.parametrize("name", ["sgd", "adam", "muon"])
def test_a_falling_decay_goes_with_the_decay_that_another_optimizer_does_not_take_over(name):
    config = override(PRESETS["speedrun"](), {"optimizer": {"name": name}})
    assert config.optimizer.final_decay == 1.0
