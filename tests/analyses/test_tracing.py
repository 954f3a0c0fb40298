"""What artifacts/ keeps comes from the recipes that are there, and its verdicts from its tables."""

import importlib
import json
from pathlib import Path

import pandas as pd
import pytest

from analyses.study import Study, judge, tables_in
from analyses.tracing import MADE_WITH, digests, verdict

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
PAPERS = sorted(path.parent.name for path in ARTIFACTS.glob("*/verdicts.csv"))


@pytest.mark.parametrize("paper", PAPERS)
def test_the_verdicts_come_out_of_the_tables_again(paper):
    kept = pd.read_csv(ARTIFACTS / paper / "verdicts.csv")
    tables = tables_in(f"analyses.{paper}", ARTIFACTS / paper)
    found = judge(Study(paper, "bench", Path()), f"analyses.{paper}", tables)
    for column in ("id", "ours", "verdict"):
        assert found[column].tolist() == kept[column].fillna("").tolist()


@pytest.mark.parametrize("paper", PAPERS)
def test_every_file_has_a_function_that_makes_it(paper):
    tables = set(importlib.import_module(f"analyses.{paper}.tables").TABLES)
    figures = set(importlib.import_module(f"analyses.{paper}.figures").FIGURES)
    made = {f"{name}.csv" for name in tables} | {f"{name}.png" for name in figures} | {"verdicts.csv", MADE_WITH}
    assert {path.name for path in (ARTIFACTS / paper).iterdir()} <= made


@pytest.mark.parametrize("paper", PAPERS)
def test_the_tables_are_those_of_the_recipes_that_are_there(paper):
    kept = json.loads((ARTIFACTS / paper / MADE_WITH).read_text())
    found = {name: recipe["sha256"] for name, recipe in kept["recipes"].items() if recipe["runs"]}
    now = digests(paper, "bench")
    assert found == {name: now[name] for name in found}


def test_the_artifacts_are_small():
    assert sum(path.stat().st_size for path in ARTIFACTS.rglob("*") if path.is_file()) < 30e6


def test_a_run_trained_again_is_the_same_near_or_different():
    kept = {"memorization_step": 100, "generalization_step": 3000.0, "last_step": 3250}
    assert verdict(kept, kept) == "the same"
    assert verdict(kept, kept | {"generalization_step": 4000}).startswith("within a factor of 1.5")
    assert verdict(kept, kept | {"generalization_step": None}).startswith("differs")
    assert verdict(kept, kept | {"generalization_step": 6000}).startswith("differs")
    assert verdict(kept | {"generalization_step": float("nan")}, kept | {"generalization_step": None}) == "the same"
