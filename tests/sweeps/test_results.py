"""The results table: one row a run, one schema, from the summaries alone, with bounded memory."""

import json
import subprocess
import sys
import time

import pandas as pd
import pyarrow.dataset as ds
import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.sweeps import results


def synthetic(folder, rows):
    """Run directories that hold a config and a summary, and nothing else."""
    for row in rows:
        place = folder / row["name"]
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}")
        (place / "summary.json").write_text(json.dumps(row))


def row(i):
    """As `summarize` gives it, with what may be missing missing in some."""
    return {
        "name": f"run{i:05d}",
        "path": "x",
        "task.operation": "x+y",
        "last_step": 40,
        "task.p": 7 + i % 3,
        "optimizer.lr": 1 if i % 2 else 0.5,
        "generalization_step": None if i % 5 == 0 else 10 * i,
        "censored": i % 5 == 0,
        "key_frequencies": None if i % 7 == 0 else [1, i % 50],
        "end.test_accuracy": None if i < 3 else 1 / (1 + i),
        **({"late_column": "x"} if i == 9 else {}),
    }


def test_each_run_is_a_row_with_the_values_of_its_summary(tmp_path):
    rows = [row(i) for i in range(12)]
    synthetic(tmp_path / "sweep", rows)
    target, n, left_out = results.gather(tmp_path / "sweep")
    table = pd.read_parquet(target)
    assert (n, left_out, len(table)) == (12, [], 12)
    for i, expected in enumerate(rows):
        for name, value in expected.items():
            found = table.loc[i, name]
            if name == "path":
                assert found == expected["name"]
            elif isinstance(value, list):
                assert list(found) == value
            elif value is None:
                assert found is None or pd.isna(found)
            else:
                assert found == value
    assert table["late_column"].notna().sum() == 1


def test_columns_have_one_type_over_all_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "CHUNK", 4)
    synthetic(tmp_path / "sweep", [row(i) for i in range(11)])
    target, _, _ = results.gather(tmp_path / "sweep")
    parts = sorted(target.glob("*.parquet"))
    assert len(parts) == 3
    assert len({str(ds.dataset(part).schema) for part in parts}) == 1
    assert ds.dataset(target).count_rows() == 11


def test_what_cannot_be_read_is_left_out_and_named(tmp_path):
    synthetic(tmp_path / "sweep", [row(1), row(2)])
    (tmp_path / "sweep" / "new").mkdir()
    (tmp_path / "sweep" / "new" / "config.json").write_text("{}")
    _, n, left_out = results.gather(tmp_path / "sweep")
    assert n == 2
    assert any("new" in sentence and "unfinished" in sentence for sentence in left_out)


@pytest.mark.parametrize("text", ["{", "{}", "[]", "", '{"name": "x"}', '{"name": 3, "censored": true}'])
def test_a_damaged_summary_is_named_with_the_command_that_writes_it_anew(text, tmp_path):
    synthetic(tmp_path / "sweep", [row(1), row(2)])
    (tmp_path / "sweep" / "run00001" / "summary.json").write_text(text)
    _, n, left_out = results.gather(tmp_path / "sweep")
    assert n == 1
    folder = tmp_path / "sweep" / "run00001"
    assert left_out == [f"{folder / 'summary.json'} is damaged; `grokinterp analyze {folder}` writes it anew"]


def test_a_damaged_run_is_not_taken_for_an_unfinished_one(tmp_path):
    synthetic(tmp_path / "sweep", [row(i) for i in range(2)])
    folder = tmp_path / "sweep" / "run00001"
    (folder / "summary.json").unlink()
    (folder / "config.json").write_text("{")
    (said,) = results.gather(tmp_path / "sweep")[2]
    assert said.startswith(f"{folder / 'config.json'} is not valid JSON")


def test_analyze_writes_a_damaged_summary_anew_and_so_does_the_sweep(tmp_path):
    recipe = {"name": "small", "config": small_config().model_dump(exclude={"name", "schema_version"})}
    gi.sweep(recipe, tmp_path / "sweep", show_progress=False)
    path = tmp_path / "sweep" / "small-seed0" / "summary.json"
    before = path.read_text()
    path.write_text("{}")
    gi.sweep(recipe, tmp_path / "sweep", show_progress=False)
    assert path.read_text() == before
    path.write_text("{}")
    assert run_command(["verify", str(path.parent)]) == 2
    gi.analyze(gi.open(path.parent), ["weight_norm"], show_progress=False)
    assert results.gather(tmp_path / "sweep")[1:] == (1, [])


def test_gathering_again_replaces_the_table(tmp_path):
    synthetic(tmp_path / "sweep", [row(i) for i in range(3)])
    results.gather(tmp_path / "sweep")
    synthetic(tmp_path / "sweep", [row(3)])
    assert len(gi.read_results(tmp_path / "sweep")) == 3  # what was gathered
    results.gather(tmp_path / "sweep")
    assert len(gi.read_results(tmp_path / "sweep")) == 4


def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path):
    synthetic(tmp_path / "sweep", [row(1)])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("dear")
    with pytest.raises(GrokinterpError, match="more than tables"):
        results.gather(tmp_path / "sweep", tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "dear"


def test_tables_of_somebody_else_are_not_replaced(tmp_path):
    synthetic(tmp_path / "sweep", [row(1)])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "prices.parquet").write_text("dear")
    with pytest.raises(GrokinterpError, match="more than tables"):
        results.gather(tmp_path / "sweep", tmp_path / "mine")
    assert (tmp_path / "mine" / "prices.parquet").read_text() == "dear"


def test_no_runs_is_said(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(GrokinterpError, match="grokinterp sweep"):
            results.gather(folder)


def test_real_runs_have_their_config_events_and_censoring(tmp_path):
    gi.sweep(
        {
            "grid": {"task.frac_train": [0.5, 0.6]},
            "config": small_config().model_dump(exclude={"name", "schema_version"}),
        },
        tmp_path / "sweep",
        show_progress=False,
    )
    table = gi.read_results(tmp_path / "sweep")
    assert table["task.frac_train"].tolist() == [0.5, 0.6]
    assert table["censored"].tolist() == [True, True]
    assert table["last_step"].tolist() == [40, 40]


MEASURE = """
import resource, sys, time
from grokinterp.sweeps.results import gather
import pyarrow.parquet, pandas
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
_, n, _ = gather(sys.argv[1])
print(n, time.perf_counter() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_ten_thousand_runs_gather_in_seconds_and_little_memory(tmp_path):
    wide = {f"task.field{i}": i for i in range(90)}
    synthetic(tmp_path / "sweep", [row(i) | wide for i in range(10_000)])
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "sweep")], capture_output=True, text=True, check=True
    )
    n, seconds, megabytes = (float(value) for value in done.stdout.split())
    assert n == 10_000
    assert seconds < 30, "seconds, with room for a busy machine"
    assert megabytes < 150, "about one part's rows, whatever the number of runs"
    assert time.perf_counter() - began < 60
