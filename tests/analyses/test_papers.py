"""What every paper's folder promises: recipes that validate, claims for every entry, tables that are named."""

import importlib
import inspect
import json
from pathlib import Path

import pytest

import grokinterp as gi
from analyses.study import ENTRY, HERE, SCALES, Study

PAPERS = sorted(path.parent.name for path in HERE.glob("*/expected.json"))
RECIPES = sorted(HERE.glob("*/recipes/*/*.toml"))


def entries(paper: str) -> list[dict]:
    return json.loads((HERE / paper / "expected.json").read_text())


def module(paper: str, name: str):
    return importlib.import_module(f"analyses.{paper}.{name}")


def test_there_are_papers():
    assert {"power2022", "exploring2024", "mirage2023"} <= set(PAPERS)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: "-".join(path.with_suffix("").parts[-4::3]))
def test_every_recipe_is_a_list_of_valid_runs(path):
    configs = gi.read_recipe(path).configs()
    assert len({config.name for config in configs}) == len(configs) > 0


@pytest.mark.parametrize("paper", PAPERS)
def test_each_scale_has_the_same_recipes(paper):
    names = {scale: set(Study(paper, scale, Path()).recipes) for scale in SCALES}
    assert names["smoke"] == names["bench"] == names["paper"]


@pytest.mark.parametrize("paper", PAPERS)
def test_every_entry_has_its_claim_and_every_claim_its_entry(paper):
    claims = module(paper, "claims").CLAIMS
    found = {entry["id"] for entry in entries(paper)}
    assert set(claims) == found


@pytest.mark.parametrize("paper", PAPERS)
def test_an_entry_says_claim_source_and_scales_and_gives_its_claim_what_it_takes(paper):
    claims = module(paper, "claims").CLAIMS
    for entry in entries(paper):
        assert {"id", "claim", "paper", "source", "scales"} <= set(entry), entry["id"]
        assert set(entry["scales"]) <= {"bench", "paper"}, "no verdict comes from smoke"
        takes = list(inspect.signature(claims[entry["id"]]).parameters)
        assert [name for name in entry if name not in ENTRY] == takes[1:], entry["id"]


@pytest.mark.parametrize("paper", PAPERS)
def test_a_folder_says_what_it_asks_and_how_it_is_run(paper):
    readme = (HERE / paper / "README.md").read_text()
    assert f"python -m analyses.{paper}" in readme
