"""`--json`: one document on standard output and nothing else there, with keys that stay and numbers as they are."""

import json
import math
import os
import subprocess
import sys

import pandas as pd
import pytest
from conftest import small_config
from hypothesis import given
from hypothesis import strategies as st

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.json_output import without_nan
from grokinterp.leads import LEAD_COLUMNS
from grokinterp.measures.registry import builtin_measures

RUN_KEYS = [
    "path",
    "name",
    "operation",
    "story",
    "end",
    "checkpoints",
    "metrics",
    "phases",
    "key_frequencies",
    "landmarks",
    "leads",
    "skipped",
    "figures",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs, of which one was analyzed."""
    place = tmp_path_factory.mktemp("json")
    for name in ("analyzed", "fresh"):
        gi.train(small_config(name=name), place / name, show_progress=False)
    run = gi.open(place / "analyzed")
    gi.analyze(run, ["accuracy_loss", "embedding_spectrum", "coset_purity"], show_progress=False, jobs=1)
    return place


def document(capsys, *words):
    """What a command prints, which has to be one JSON document without NaN."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    assert run_command([*map(str, words)]) == 0
    return json.loads(capsys.readouterr().out, parse_constant=refuse)


def test_show_gives_every_key_whatever_is_known(folder, capsys):
    for name in ("analyzed", "fresh"):
        assert list(document(capsys, "show", folder / name, "--json")) == RUN_KEYS


def test_show_gives_the_numbers_of_the_files_unrounded(folder, capsys):
    run, found = gi.open(folder / "analyzed"), document(capsys, "show", folder / "analyzed", "--json")
    assert found["metrics"] == json.loads(run.rundir.metrics_path.read_text().splitlines()[-1])
    assert found["phases"] == run.phases.to_json()
    assert found["checkpoints"] == run.steps
    assert found["key_frequencies"] == list(run.key_frequencies.ks)
    table = run.table("accuracy_loss")
    last = table[(table["step"] == 40) & (table["split"] == "test")]["accuracy"].iloc[0]
    assert found["landmarks"]["end"]["test_accuracy"] == last
    assert found["landmarks"]["end"]["weight_norm"] is None
    assert list(found["skipped"]) == ["coset_purity"]


def test_leads_are_those_of_phases_json(folder, capsys):
    run, found = gi.open(folder / "analyzed"), document(capsys, "show", folder / "analyzed", "--json")
    saved = json.loads(run.rundir.phases_path.read_text())["leads"]
    assert len(saved) == len(found["leads"]) > 0
    for row, expected in zip(found["leads"], saved, strict=True):
        assert tuple(row) == LEAD_COLUMNS
        assert row == {name: expected[name] for name in LEAD_COLUMNS}
        assert row["step"] is None or type(row["step"]) is int


def test_what_was_not_computed_is_null_or_empty(folder, capsys):
    found = document(capsys, "show", folder / "fresh", "--json")
    assert (found["key_frequencies"], found["end"]) == (None, None)
    assert (found["leads"], found["skipped"], found["figures"]) == ([], {}, [])


def test_show_takes_tables_from_elsewhere(folder, tmp_path, capsys):
    gi.analyze(gi.open(folder / "fresh", out=tmp_path), ["embedding_spectrum"], show_progress=False, jobs=1)
    assert document(capsys, "show", folder / "fresh", "--out", tmp_path, "--json")["key_frequencies"]


def test_list_gives_every_measure_with_the_columns_of_its_tables(capsys):
    found = document(capsys, "list", "--json")
    assert list(found) == ["measures"]
    assert [measure["name"] for measure in found["measures"]] == list(builtin_measures())
    for about in found["measures"]:
        measure = builtin_measures()[about["name"]]
        assert list(about) == ["name", "summary", "reference", "on_request", "tables"]
        assert [table["name"] for table in about["tables"]] == list(measure.table_names())
        for table, part in zip(about["tables"], measure.parts.values(), strict=True):
            assert list(table) == ["name", "checkpoints", "columns"]
            assert (table["checkpoints"] is None) == (part.scope == "run")
            assert [column["name"] for column in table["columns"]] == list(part.all_columns)
            for column in table["columns"]:
                assert list(column) == ["name", "meaning", "unit", "kind", "low", "high", "null"]


def test_results_gives_the_rows_of_the_dataset(folder, tmp_path, capsys):
    gi.analyze(gi.open(folder / "fresh"), ["accuracy_loss"], show_progress=False, jobs=1)
    rows = document(capsys, "results", folder, "--out", tmp_path / "results", "--json")
    table = pd.read_parquet(tmp_path / "results")
    assert [row["path"] for row in rows] == ["analyzed", "fresh"]
    for row, (_, expected) in zip(rows, table.iterrows(), strict=True):
        assert list(row) == list(table.columns)
        for name, value in row.items():
            if isinstance(value, list):
                assert value == list(expected[name])
            else:
                assert value == expected[name] or (value is None and pd.isna(expected[name]))
    assert rows[0]["optimizer.lr"] == 0.01
    assert rows[0]["train.max_seconds"] is None
    assert type(rows[0]["task.p"]) is int


def test_messages_go_to_standard_error(folder, tmp_path):
    command = [sys.executable, "-m", "grokinterp", "results", folder, "--out", tmp_path / "results", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "FORCE_COLOR": "1"})
    assert "rows in" in done.stderr
    assert len(json.loads(done.stdout)) >= 1


@pytest.mark.parametrize("command", ["show {}/absent --json", "results {}/absent --json", "show {} --json"])
def test_where_nothing_can_be_said_nothing_is_printed(command, folder, capsys):
    assert run_command(command.format(folder).split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("grokinterp: ")


def test_help_says_what_there_is(capsys):
    assert run_command(["show", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert all(key in text for key in RUN_KEYS)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(anything)
def test_only_numbers_that_json_has_no_word_for_become_null(value):
    found = json.loads(json.dumps(without_nan(value), allow_nan=False))

    def same(one, other):
        if isinstance(one, dict):
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        if isinstance(one, list):
            return len(one) == len(other) and all(map(same, one, other))
        return other is None if isinstance(one, float) and not math.isfinite(one) else one == other

    assert same(value, found)
