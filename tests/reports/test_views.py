"""What the views show is what the tables and the checkpoints hold; what is missing has its reason."""

import base64
import math
import shutil

import numpy as np
import pytest
from conftest import small_config

import grokinterp as gi
from grokinterp.measures.registry import builtin_measures
from grokinterp.reports import maps
from grokinterp.reports.document import document
from grokinterp.reports.story import headline
from grokinterp.reports.views import KINDS

DTYPES = {"u1": "u1", "u2": "<u2", "f4": "<f4"}


def read(packed):
    return np.frombuffer(base64.b64decode(packed["base64"]), DTYPES[packed["dtype"]]).reshape(packed["shape"])


def of(data, name):
    return next(view for view in data["views"] if view["name"] == name)


@pytest.fixture(scope="module")
def data(grokked_run):
    return document(grokked_run, show_progress=False)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A trained transformer that was never analyzed."""
    return gi.train(small_config(), tmp_path_factory.mktemp("bare") / "run", show_progress=False)


def test_each_view_s_columns_are_declared_by_its_measure():
    for kind in KINDS:
        measure, _, part = kind.source.partition(".")
        assert set(kind.columns) <= set(builtin_measures()[measure].parts[part].all_columns if measure else ()), (
            kind.name
        )


def test_an_analyzed_transformer_has_every_view_but_the_irreps(data):
    assert [view["name"] for view in data["views"]] == [kind.name for kind in KINDS if kind.name != "irreps"]
    assert [one["title"] for one in data["missing"]] == ["Irreps of the group"]


def test_curves_are_the_evaluations_number_for_number(data, grokked_run):
    metrics = grokked_run.metrics
    for curve in of(data, "loss")["curves"]:
        assert curve["steps"] == metrics["step"].tolist()
        assert curve["values"] == metrics[f"{curve['label']}_loss"].tolist()


def test_maps_are_the_snapshot_s_logits_to_half_a_level(data, grokked_run):
    view = of(data, "correct")
    packed = view["maps"]["correct"]
    unit = (packed["high"] - packed["low"]) / 254
    for place in (0, len(view["steps"]) - 1):
        snapshot = grokked_run.snapshot(view["steps"][place])
        correct = snapshot.logits.gather(2, snapshot.labels[:, :, None])[:, :, 0].numpy()
        assert np.abs(packed["low"] + unit * read(packed)[place] - correct).max() <= 0.5001 * unit


def test_the_table_holds_the_network_s_answers(data, grokked_run):
    view = of(data, "table")
    for place, step in enumerate(view["steps"]):
        if place in (0, len(view["steps"]) // 2):
            expected = grokked_run.snapshot(step).logits.argmax(dim=2).numpy()
            assert (read(view["predicted"])[place] == expected).all()
    assert (read(view["right"]) == grokked_run.task.table).all()
    assert (read(view["split"]) == np.where(grokked_run.train_mask, 0, 1)).all()


def test_there_is_a_circle_for_each_frequency_and_that_of_a_key_is_the_table_s(data, grokked_run):
    view, table = of(data, "circle"), grokked_run.table("symbol_pca.circles")
    n = grokked_run.task.coordinates.n
    assert sorted(int(k) for k in view["circles"]) == list(range(1, (n + 1) // 2))
    k, step = int(table["k"].iloc[0]), int(table["step"].max())
    rows = table[(table["k"] == k) & (table["step"] == step)].sort_values("position")
    packed = view["circles"][str(k)]
    unit = (packed["high"] - packed["low"]) / 254
    points = packed["low"] + unit * read(packed)[view["steps"].index(step)]
    assert np.abs(points - rows[["x", "y"]].to_numpy().T).max() <= 0.5001 * unit


def test_a_run_that_was_not_analyzed_shows_what_its_files_hold_and_says_why_the_rest_is_missing(bare):
    found = document(bare, show_progress=False)
    assert [view["name"] for view in found["views"]] == [
        *("loss", "accuracy", "circle", "table", "correct", "answer", "attention")
    ]
    reasons = {one["title"]: one["reason"] for one in found["missing"]}
    assert reasons["Weight norm"] == "the table weight_norm was not computed; `grokinterp analyze` computes it"
    assert len(headline(bare)) == 1


@pytest.mark.parametrize(
    ("task", "model", "gone"),
    [
        ({"p": 7}, {"kind": "mlp"}, {"attention": "needs attention; an mlp has none"}),
        (
            {"operation": "x.y", "group": "S3", "p": None},
            {},
            {"circle": "needs an operation that is addition on some Z_n"},
        ),
        ({"operation": "x+y+z", "p": 5}, {}, {"table": "needs two operands; x+y+z mod 5 has 3"}),
    ],
    ids=["mlp", "S3", "three terms"],
)
def test_what_has_no_meaning_is_left_out_with_its_reason(task, model, gone, tmp_path):
    if model:
        config = gi.RunConfig.from_mapping(
            {"task": {"p": 7, "frac_train": 0.6}, "model": model, "train": {"steps": 20, "checkpoint_every": 10}}
        )
    else:
        config = small_config(task=task, train={"steps": 20})
    run = gi.train(config, tmp_path / "run", show_progress=False)
    found = document(run, show_progress=False)
    titles = {kind.name: kind.title for kind in KINDS}
    reasons = {one["title"]: one["reason"] for one in found["missing"]}
    for name, reason in gone.items():
        assert name not in [view["name"] for view in found["views"]]
        assert reasons[titles[name]].startswith(reason)


def test_without_checkpoints_the_maps_are_the_tables_at_the_events(grokked_run, tmp_path):
    copy = gi.open(shutil.copytree(grokked_run.path, tmp_path / "run"))
    shutil.rmtree(copy.rundir.ckpts)
    found = document(gi.open(copy.path), show_progress=False)
    events = sorted(set(grokked_run.table("operation_table.cells")["step"]))
    assert of(found, "table")["steps"] == events
    assert found["steps"]


def test_a_damaged_checkpoint_costs_its_frames_alone_and_is_named(grokked_run, tmp_path):
    copy = gi.open(shutil.copytree(grokked_run.path, tmp_path / "run"))
    step = copy.steps[1]
    copy.rundir.checkpoint_path(step).write_bytes(b"nothing")
    found = document(copy, show_progress=False)
    assert step not in of(found, "correct")["steps"]
    assert any(f"Step {step} is left out" in note for note in found["notes"])


def test_large_maps_get_fewer_frames_and_huge_ones_a_reason(bare, monkeypatch):
    size = sum(a.size for arrays in maps.film(bare).frames[bare.steps[-1]].values() for a in arrays.values())
    monkeypatch.setattr(maps, "BUDGET", 4 * size)
    assert len(maps.film(bare).frames) == 4
    monkeypatch.setattr(maps, "BUDGET", 2 * size)
    found = maps.film(bare)
    assert not found.frames
    assert f"{size} values, too many for a page" in found.absent["maps"]


def test_every_number_is_finite_or_null(data):
    def walk(value):
        if isinstance(value, float):
            assert math.isfinite(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    walk(data)


def test_the_story_names_events_keys_and_what_moved_first(grokked_run):
    sentences = headline(grokked_run)
    assert len(sentences) == 3
    assert str(grokked_run.phases.memorization_step) in sentences[0]
    assert all(str(k) in sentences[1] for k in grokked_run.key_frequencies.ks)
    leads = grokked_run.leads
    earliest = leads[leads["step"].notna()]["until"].min()
    assert f"{earliest:.0f}" in sentences[2]
