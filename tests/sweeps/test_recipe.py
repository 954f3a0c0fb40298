"""A recipe says which runs there are, in one way, and refuses what it does not understand."""

import pytest

from grokinterp.errors import GrokinterpError
from grokinterp.sweeps.recipe import read_recipe, recipe_from

GRID = {
    "preset": "ci",
    "seeds": [0, 3],
    "grid": {"task.frac_train": [0.5, 0.6], "task.operation": ["x/y", "x*y"]},
    "variants": [{"name": "adamw"}, {"name": "sgd", "optimizer": {"name": "sgd", "lr": 0.1}}],
}


def test_the_runs_are_variants_times_grid_times_seeds():
    configs = recipe_from(GRID).configs()
    assert len(configs) == 2 * 4 * 2
    kinds = {(c.optimizer.name, c.task.frac_train, c.task.operation, c.task.split_seed) for c in configs}
    assert len(kinds) == len(configs)


def test_a_seed_is_that_of_split_labels_weights_and_batches():
    config = recipe_from(GRID).configs()[1]
    assert (config.task.split_seed, config.task.label_seed, config.model.init_seed, config.train.seed) == (3, 3, 3, 3)


def test_names_are_different_folder_names_that_say_what_varies():
    names = [config.name for config in recipe_from(GRID).configs()]
    assert len(set(names)) == len(names)
    assert names[0] == "adamw-frac_train=0.5-operation=x_over_y-seed0"
    assert not any(set(name) & set('/\\*?:"<>| ') for name in names)


def test_what_is_the_same_in_all_runs_is_not_in_their_names():
    recipe = recipe_from(
        {"name": "one", "preset": "ci", "grid": {"task.p": [7]}, "config": {"task": {"frac_train": 0.5}}}
    )
    (config,) = recipe.configs()
    assert (config.name, config.task.p, config.task.frac_train) == ("one-seed0", 7, 0.5)


def test_later_layers_win_preset_config_variant_grid():
    recipe = recipe_from(
        {
            "preset": "ci",
            "config": {"optimizer": {"lr": 0.5, "weight_decay": 0.5}, "train": {"steps": 7}},
            "variants": [{"name": "v", "optimizer": {"lr": 0.25}}],
            "grid": {"optimizer.weight_decay": [0.125]},
        }
    )
    (config,) = recipe.configs()
    assert (config.optimizer.lr, config.optimizer.weight_decay, config.train.steps) == (0.25, 0.125, 7)


def test_a_recipe_file_is_called_by_its_file_unless_it_says_otherwise(tmp_path):
    (tmp_path / "fractions.toml").write_text('preset = "ci"\nseeds = 2\n')
    assert [config.name for config in read_recipe(tmp_path / "fractions.toml").configs()] == [
        "fractions-seed0",
        "fractions-seed1",
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"preset": "quik"}, "did you mean quick?"),
        ({"grids": {}}, "did you mean grid?"),
        ({"grid": {"frac_train": [0.5]}}, "no section.field"),
        ({"grid": {"task.frac_train": []}}, "no values"),
        ({"grid": {"task.frac_trian": [0.5]}}, "did you mean frac_train?"),
        ({"grid": {"task.frac_train": [3.0]}}, "frac_train = 3.0"),
        ({"variants": [{"task": {}}]}, "needs a name"),
        ({"variants": [{"name": "a", "tsk": {}}]}, "did you mean task?"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "different names"),
        ({"seeds": 0}, "at least 1"),
        ({"seeds": [1, 1]}, "different seeds"),
        ({"seeds": True}, "seeds"),
        ({"analyze": "some"}, "analyze"),
        ({"seeds": 1000, "grid": {"train.steps": list(range(1, 1001))}}, "1,000,000 runs"),
        ({"seeds": 1_000_000_000}, "too many"),
        ({"grid": {"model.init_seed": [8, 9]}}, "follows `seeds`"),
        ({"variants": [{"name": "a", "train": {"seed": 3}}]}, "follows `seeds`"),
        ({"config": {"task": {"split_seed": 7}}}, "follows `seeds`"),
        ({"config": {"tsk": {}}}, r"'tsk' in \[config\] .* did you mean task"),
        ({"config": {"name": "mine"}}, r"'name' in \[config\] is no section"),
        ({"config": {"task": 3}}, r"task = 3 in \[config\] is no section"),
        ({"variants": [{"name": "a", "task": 3}]}, "task = 3 in variant 'a' is no section"),
        ({"grid": {"task.p": 7}}, "'task.p' in the grid is 7; give a list"),
        ({"grid": {3: [7]}}, "3 in the grid is no section.field"),
        ({"config": {3: {}}}, r"3 in \[config\] is no section"),
        ({"grid": {"task": {"p": [7]}}}, 'written with quotes, such as "task.p"'),
        ({"grid": {"task.p": [7, 7]}}, "two runs are called p=7-seed0; .* the grid different values"),
        ({"grid": {"task.p": [7]}, "variants": [{"name": "a", "task": {"p": 11}}]}, "grid. and variant 'a' set task.p"),
        ({"seeds": ["a"]}, "list of different seeds"),
        ({"seeds": [True]}, "list of different seeds"),
    ],
)
def test_a_wrong_recipe_is_one_sentence_with_the_fix(change, says):
    with pytest.raises(GrokinterpError, match=says) as refused:
        recipe_from({"preset": "ci", **change}).configs()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"config": {"task": {"p": 1}}}, r"r.toml: \[config\]: task.p = 1: input"),
        (
            {"config": {"model": {"d_mdel": 1}}},
            r"r.toml: \[config\]: model.d_mdel is not a field .*did you mean d_model",
        ),
        ({"grid": {"task.frac_train": [3.0]}}, r"r.toml: \[grid\]: task.frac_train = 3.0: input"),
        ({"variants": [{"name": "a", "task": {"p": 1}}]}, "r.toml: variant 'a': task.p = 1: input"),
        (
            {"config": {"model": {"kind": "mlp"}, "task": {"layout": "a b ="}}},
            "r.toml: run r-seed0: an mlp reads the operands alone; use task.layout 'a b'",
        ),
        ({"seeds": [2**80]}, "r.toml: run r-seed.*: task.split_seed = "),
        ({"analyze": ["weight_nrom"]}, "r.toml: analyze: .* did you mean weight_norm"),
        ({"seeds": 1000, "grid": {"train.steps": list(range(1, 1001))}}, "r.toml: it has 1,000,000 runs"),
    ],
)
def test_what_is_wrong_is_said_once_with_the_file_and_its_part_and_not_as_a_flag(change, says):
    def read():
        recipe = recipe_from({"name": "r", "preset": "ci", **change}, source="r.toml")
        recipe.configs()
        recipe.check_measures()

    with pytest.raises(GrokinterpError, match=says) as refused:
        read()
    said = str(refused.value)
    assert "--" not in said
    assert said.count("r.toml") == 1
    assert len(said.split("; ")) == len(set(said.split("; ")))


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfpreset = 'ci'\n", b"preset = 'ci'\r\n", b"name = 'a'\npreset = 'ci'\n"]
)
def test_a_recipe_is_read_as_any_config_file(content, tmp_path):
    (tmp_path / "r.toml").write_bytes(content)
    assert len(read_recipe(tmp_path / "r.toml").configs()) == 1


@pytest.mark.parametrize("content", [b"a = " + b"[" * 5000 + b"]" * 5000, b"\xff\xfe", b"seeds = " + b"9" * 5000])
def test_a_recipe_that_is_no_toml_is_refused(content, tmp_path):
    (tmp_path / "r.toml").write_bytes(content)
    with pytest.raises(GrokinterpError, match="is not valid TOML"):
        read_recipe(tmp_path / "r.toml")


def test_a_recipe_that_is_not_there_or_no_toml_is_refused_by_name(tmp_path):
    (tmp_path / "bad.toml").write_text("preset = \n")
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "bad.toml"):
        with pytest.raises(GrokinterpError, match=str(path)):
            read_recipe(path)
