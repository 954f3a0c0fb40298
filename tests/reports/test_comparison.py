"""The page of a folder of runs: what it says of them, its bytes, and what it does with what is not as it should be."""

import base64
import json
import os
import re
import shutil

import numpy as np
import pytest
from conftest import small_config
from folders_of_runs import seeded, write_grid, write_run, write_troubles

import grokinterp as gi
from grokinterp.cli import run_command
from grokinterp.comparison.document import document
from grokinterp.comparison.entries import read_entries
from grokinterp.comparison.factors import find_factors, find_settings
from grokinterp.comparison.page import SCRIPTS, own_asset
from grokinterp.comparison.story import headline
from grokinterp.comparison.thinning import FEWEST, MOST, most_points, thinned
from grokinterp.errors import GrokinterpError
from grokinterp.runs.rundir import RunDir


def entries_of(folder):
    return read_entries(folder, show_progress=False)


def data_of(folder):
    return document(folder, RunDir(folder).report_path, entries_of(folder))


def embedded(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="run-data">(.*?)</script>', text, re.DOTALL)[1])


def floats(packed):
    return np.frombuffer(base64.b64decode(packed["base64"]), "<f4")


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Two fractions, two optimizers, two seeds; half of the runs grok."""
    folder = tmp_path_factory.mktemp("grid") / "sweep"
    write_grid(folder)
    return folder


def test_factors_are_the_fields_that_vary_with_the_seeds_as_one_and_last(grid):
    factors = find_factors(entries_of(grid))
    assert [(f.label, f.values, f.is_seed, f.is_number) for f in factors] == [
        ("frac_train", ("0.3", "0.6"), False, True),
        ("optimizer", ("adamw", "muon"), False, False),
        ("seed", ("0", "1"), True, True),
    ]
    assert factors[2].fields == ("task.split_seed", "task.label_seed", "model.init_seed", "train.seed")
    settings = find_settings(factors, 8)
    assert len(settings.values) == 4
    assert sorted(settings.levels) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_seeds_that_vary_apart_are_factors_apart(tmp_path):
    for split, init in ((0, 0), (0, 1), (1, 0)):
        sections = {"task": {"split_seed": split}, "model": {"init_seed": init}}
        write_run(tmp_path, f"{split}{init}", **sections)
    factors = find_factors(entries_of(tmp_path))
    assert [f.label for f in factors] == ["task.split_seed", "model.init_seed"]
    assert find_settings(factors, 3).values == ("all runs",)


def test_numbers_are_ordered_by_size_and_bookkeeping_is_no_factor(tmp_path):
    for i, decay in enumerate((10.0, 2.0, 0.5)):
        write_run(tmp_path, str(i), optimizer={"weight_decay": decay}, train={"resume_every": 7 + i})
    data = data_of(tmp_path)
    assert data["factors"][0]["values"] == ["0.5", "2.0", "10.0"]
    assert [run["levels"][0] for run in data["runs"]] == [2, 1, 0]
    assert len(data["factors"]) == 1
    assert any("train.resume_every" in note for note in data["notes"])


def test_a_field_that_follows_from_the_kind_of_model_or_optimizer_is_no_factor_and_the_page_says_so(grid, tmp_path):
    for seed in range(2):
        write_run(tmp_path, f"a{seed}", **seeded(seed))
        settings = {"task": {"p": 7, "frac_train": 0.6}, "model": {"kind": "mlp", "init_seed": seed}}
        RunDir(write_run(tmp_path, f"b{seed}")).write_config(gi.RunConfig.from_mapping(settings))
    labels = [factor.label for factor in find_factors(entries_of(tmp_path))]
    assert "model" in labels
    assert not {"n_heads", "d_head", "causal", "model.n_heads"} & set(labels)
    note = next(note for note in data_of(grid)["notes"] if "follows from" in note)
    assert note == "optimizer.momentum follows from optimizer.name (adamw: 0.0, muon: 0.95): no factor of its own."


def test_a_row_holds_the_events_the_end_and_what_censored_means(grid):
    runs = {run["name"]: run for run in data_of(grid)["runs"]}
    grokked, censored = runs["adamw-frac_train=0.6-seed1"], runs["adamw-frac_train=0.3-seed0"]
    assert (grokked["memorization"], grokked["generalization"], grokked["delay"]) == (50, 210, 160)
    assert (censored["generalization"], censored["lastStep"], censored["known"]) == (None, 400, True)
    assert (grokked["testAccuracy"], grokked["testLoss"], grokked["weightNorm"]) == (1.0, 1e-4, 500.0)
    assert grokked["state"] == "finished"
    assert grokked["page"] is None
    assert grokked["command"] == "grokinterp report sweep/adamw-frac_train=0.6-seed1"


def test_curves_are_the_evaluations_number_for_number_where_there_are_few(grid):
    data = data_of(grid)
    run = data["runs"][0]
    metrics = gi.open(grid / run["name"]).metrics
    for name in ("step", "train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        assert floats(run["curves"][name]).tolist() == metrics[name].astype("f4").tolist()
    assert not any("not every evaluation" in note for note in data["notes"])


def test_medians_count_the_censored_runs(grid):
    data = data_of(grid)
    by_optimizer = data["survival"]["factors"][1]["medians"]["generalization"]
    assert [(row["n"], row["observed"], row["median"]) for row in by_optimizer] == [(4, 2, 210), (4, 2, 110)]
    by_fraction = data["survival"]["factors"][0]
    assert by_fraction["medians"]["generalization"][0]["median"] is None
    assert by_fraction["curves"][0] == {"steps": [0], "shares": [1], "end": 400, "censored": [400] * 4}
    assert by_fraction["curves"][1]["steps"] == [0, 100, 110, 200, 210]
    assert by_fraction["curves"][1]["shares"] == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert 0 < by_fraction["pValue"] < 0.05


def test_two_sentences_say_how_many_grokked_when_and_what_varies(grid):
    assert headline(entries_of(grid)) == [
        "8 runs: 4 grokked within their budget of 400 steps, at steps 100 to 210; the median counting the 4 censored "
        "runs is step 210 (95 % interval 100 to open).",
        "They differ in frac_train (0.3, 0.6), optimizer (adamw, muon) and seed (0, 1).",
    ]


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([None, None], "2 runs: 0 grokked within their budget of 400 steps."),
        ([None, None, 90], "1 grokked within their budget of 400 steps, at step 90, too few for a median"),
        ([70], "1 run: 1 grokked within their budget of 400 steps, at step 70."),
    ],
)
def test_the_sentence_where_few_or_none_grokked(events, says, tmp_path):
    for i, grokked in enumerate(events):
        write_run(tmp_path, str(i), memorised=50, grokked=grokked, **seeded(i))
    assert says in headline(entries_of(tmp_path))[0]


def test_unfinished_failed_lost_and_damaged_runs_are_listed_as_such(tmp_path):
    write_grid(tmp_path)
    write_troubles(tmp_path)
    data = data_of(tmp_path)
    troubles = {name: (state, why) for name, state, why in data["troubles"]}
    assert troubles["unfinished"] == ("unfinished", "at step 100 of 400")
    assert troubles["failed"] == ("failed", "at step 60 of 400; the loss is not finite")
    assert troubles["lost"] == ("failed", "its worker was lost")
    assert troubles["damaged"] == ("damaged", troubles["damaged"][1])
    assert troubles["damaged"][1].startswith("damaged/config.json is not valid JSON")
    assert len(data["runs"]) == 12
    lost = data["runs"][-1]
    assert (lost["name"], lost["setting"], lost["command"], lost["curves"]) == ("lost", None, None, {})
    assert headline(entries_of(tmp_path))[-1].startswith("Of the runs, 1 is unfinished, 2 have failed and 1 is damaged")


def test_runs_whose_accuracy_is_not_known_are_no_censored_runs(tmp_path):
    write_run(tmp_path, "a", memorised=50, grokked=100)
    bare = write_run(tmp_path, "b", **seeded(1))
    RunDir(bare).metrics_path.write_text('{"step": 400, "train_loss": 1.0, "test_loss": 2.0}\n')
    empty = write_run(tmp_path, "c", **seeded(2))
    RunDir(empty).metrics_path.unlink()
    data = data_of(tmp_path)
    assert [run["known"] for run in data["runs"]] == [True, False, False]
    assert data["survival"]["all"]["medians"]["generalization"][0]["n"] == 1
    assert "3 runs, of which 1 were watched closely enough to tell" in headline(entries_of(tmp_path))[0]


def test_the_same_folder_gives_the_same_bytes_however_it_is_named(grid, tmp_path, monkeypatch):
    copy = shutil.copytree(grid, tmp_path / "sweep")
    write_troubles(copy)
    first = gi.report(copy, show_progress=False).read_bytes()
    monkeypatch.chdir(copy)
    assert gi.report(".", show_progress=False).read_bytes() == first
    monkeypatch.chdir(copy / "failed")
    assert gi.report("..", show_progress=False).read_bytes() == first


def test_the_command_takes_a_folder_of_runs_and_out(grid, tmp_path, capsys):
    assert run_command(["report", str(grid), "--out", str(tmp_path / "x")]) == 0
    page = tmp_path / "x" / "report.html"
    assert capsys.readouterr().out.strip() == str(page)
    assert not RunDir(grid).report_path.exists()
    assert len(embedded(page)["runs"]) == 8


def test_folders_of_folders_of_runs_are_taken_too(tmp_path):
    write_grid(tmp_path / "all" / "one", fractions=(0.3,), seeds=1)
    write_grid(tmp_path / "all" / "two", fractions=(0.6,), seeds=1)
    data = embedded(gi.report(tmp_path / "all", show_progress=False))
    assert data["runs"][0]["name"] == "one/adamw-frac_train=0.3-seed0"
    assert len(data["runs"]) == 4


@pytest.mark.parametrize("name", ["plain", "a b#c?d%e", "javascript:alert(1)", "é"])
def test_a_run_with_a_page_has_a_relative_link_that_cannot_be_anything_else(name, tmp_path):
    run = write_run(tmp_path / "sweep", name)
    RunDir(run).report_path.write_text("its page")
    for out in (None, tmp_path / "elsewhere" / "deep"):
        page = gi.report(tmp_path / "sweep", out=out, show_progress=False)
        link = embedded(page)["runs"][0]["page"]
        assert re.fullmatch(r"\./[\w.%/~-]+", link, re.ASCII)
        from urllib.parse import unquote

        found = page.parent / unquote(link)
        assert os.path.samefile(found, RunDir(run).report_path)


def test_key_frequencies_come_from_a_summary_of_the_run_as_it_is(tmp_path):
    for name, last in (("a", 400), ("b", 300)):
        run = write_run(tmp_path, name, **seeded(last))
        row = {"name": name, "task.operation": "x+y", "censored": True, "last_step": last, "key_frequencies": [1, 3]}
        RunDir(run).summary_path.write_text(json.dumps(row))
    assert [run["keys"] for run in data_of(tmp_path)["runs"]] == [[1, 3], None]


def test_two_hundred_long_runs_stay_small_and_the_page_says_what_is_left_out(tmp_path):
    seeds = 50
    write_grid(tmp_path, seeds=seeds, last=8000, budget=8000, every=20)
    page = gi.report(tmp_path, show_progress=False)
    assert page.stat().st_size < 8_000_000
    data = embedded(page)
    assert len(data["runs"]) == 200
    note = next(note for note in data["notes"] if "not every evaluation" in note)
    points = max(len(floats(run["curves"]["step"])) for run in data["runs"])
    assert f"at most {points} of a run" in note
    assert points <= most_points(200) + 4


def test_thinning_keeps_the_ends_the_events_and_the_order():
    rows = [{"step": step} for step in range(0, 100_001, 10)]
    kept = [row["step"] for row in thinned(rows, 50, [770, 99_990])]
    assert {0, 10, 770, 99_990, 100_000} <= set(kept)
    assert kept == sorted(set(kept))
    assert len(kept) <= 54
    spacing = np.diff(np.log(kept[10:]))
    assert spacing.max() < 0.4  # no gap on the logarithmic axis
    assert thinned(rows[:50], 50, []) == rows[:50]
    assert most_points(1) == MOST
    assert most_points(10**6) == FEWEST


def test_a_hostile_name_is_no_markup_anywhere_in_the_text(grid, tmp_path):
    folder = shutil.copytree(grid, tmp_path / "sweep")
    plain = gi.report(folder, show_progress=False).read_text(encoding="utf-8")
    name = "<img src=x onerror=alert(1)>&<!--"
    write_run(folder, name, task={"operation": "custom", "p": None, "file": "</script>", "table": [[0, 1], [1, 0]]})
    (folder / "recipe.json").write_text(json.dumps({"name": "</script><script>alert(2)</script>"}))
    (folder / "outcomes.json").write_text(json.dumps({name: {"state": "failed", "why": "<b>bold</b>"}}))
    page = gi.report(folder, show_progress=False)
    text = page.read_text(encoding="utf-8")
    assert text.count("<") == plain.count("<")
    assert name in [run["name"] for run in embedded(page)["runs"]]


def test_the_scripts_never_read_data_as_markup():
    for name in SCRIPTS:
        forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\("
        assert not re.findall(forbidden, own_asset(name)), name


def test_one_folder_with_nothing_readable_is_refused_in_one_sentence(tmp_path):
    damaged = write_run(tmp_path, "a")
    RunDir(damaged).config_path.write_text("{")
    with pytest.raises(GrokinterpError, match=r"none of the 1 runs in .* can be read; a/config.json is not valid JSON"):
        gi.report(tmp_path)
    assert not RunDir(tmp_path).report_path.exists()


def test_a_run_or_its_checkpoints_still_give_the_run_s_own_page(tmp_path):
    run = gi.train(small_config(train={"steps": 5}), tmp_path / "run", show_progress=False)
    for what in (run, run.path, str(run.rundir.ckpts)):
        page = gi.report(what, out=tmp_path, show_progress=False)
        assert page == tmp_path / "report.html"
        assert "views" in embedded(page)
        page.unlink()
