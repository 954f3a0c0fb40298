"""What a notebook shows of runs, snapshots, measures and analyses."""

import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from conftest import small_config

import grokinterp as gi
from grokinterp.analysis import Outcome
from grokinterp.displays import POINTS, accuracy_curves, card, config_line
from grokinterp.measures.registry import builtin_measures
from grokinterp.runs.files import write_json

HOSTILE = "<script>alert('x')</script>&\"<img src=x onerror=alert(1)>"
VOID = ("path", "polyline")


class Reader(HTMLParser):
    """Tags, attributes and text of a fragment; fails where tags do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.words, self._open = set(), [], [], []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def shown(thing) -> str:
    """The text of the display, once its tags are known to be harmless and its colours to suit any theme."""
    read = Reader(thing._repr_html_())
    assert read.tags <= {"div", "strong", "span", "table", "tbody", "tr", "td", "svg", *VOID}
    assert not [name for name, _ in read.attributes if name.startswith("on") or name in ("href", "src", "class", "id")]
    assert not any("#fff" in value or "#000" in value or "black" in value for _, value in read.attributes if value)
    assert "\n" not in repr(thing)
    return read.text


@pytest.fixture
def run(tmp_path):
    return gi.train(small_config(), tmp_path / "run", show_progress=False)


def test_a_run_shows_its_config_events_phases_checkpoints_and_measures(grokked_run):
    text, phases = shown(grokked_run), grokked_run.phases
    assert "x+y mod 31, 60 % of 961 pairs; transformer of 1 layer, width 64, 4 heads, 256 neurons; adamw" in text
    assert f"train accuracy 99 % from step {phases.memorization_step} on" in text
    assert f"test accuracy 99 % from step {phases.generalization_step} on" in text
    assert f"{len(grokked_run.steps)}, steps 0 to 1,200" in text
    assert ", ".join(map(str, grokked_run.key_frequencies.ks)) in text
    assert "accuracy_loss" in text
    assert "svg" in Reader(grokked_run._repr_html_()).tags


def test_a_run_that_is_not_analyzed_or_did_not_grok_says_so(run):
    text = shown(run)
    assert "nothing yet" in text
    assert "not by step 40" in text


def test_a_run_whose_log_is_damaged_or_missing_shows_the_rest(run):
    lines = run.rundir.metrics_path.read_text().splitlines()
    run.rundir.metrics_path.write_text("\n".join([lines[0], "{broken", *lines[1:]]) + "\n")
    assert "is damaged" in shown(run)
    run.rundir.metrics_path.unlink()
    assert "x+y mod 7" in shown(run)


def test_the_display_of_a_run_needs_no_torch(run):
    code = "import sys, grokinterp as gi; gi.open(sys.argv[1])._repr_html_(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_imported_run_claims_nothing_about_a_training_that_nobody_knows(tmp_path):
    model = gi.build_model(small_config())
    torch.save(model.state_dict(), tmp_path / "step_7.pt")
    text = shown(gi.import_run(tmp_path / "step_7.pt", tmp_path / "run"))
    assert "trained elsewhere" in text
    assert "49 pairs" in text
    assert "adamw" not in text
    assert "%" not in text


def test_a_hostile_name_puts_no_tag_into_the_page(tmp_path):
    folder = tmp_path / "<b onmouseover=alert(1)>&'"
    run = gi.train(small_config(name=HOSTILE), folder, show_progress=False)
    write_json(run.rundir.summary_path, {"key_frequencies": [HOSTILE]})
    run.rundir.measures.mkdir()
    (run.rundir.measures / "<script>alert(2)<_script>.parquet").touch()
    assert HOSTILE in shown(run)
    html = run._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert "<b " not in html


def test_what_fails_with_a_hostile_sentence_is_shown_as_text():
    outcome = Outcome(computed={"a": 2}, failed={HOSTILE: HOSTILE}, damaged=[HOSTILE])
    assert shown(outcome).count("<script>") == 3
    assert "<script" not in outcome._repr_html_()


@pytest.mark.parametrize("config", [
    small_config(),
    gi.RunConfig.from_mapping({"model": {"kind": "lstm"}}),
    gi.RunConfig.from_mapping({"model": {"kind": "mlp"}}),
    gi.RunConfig.from_mapping({"task": {"operation": "x.y", "group": "S3", "frac_train": 0.5, "outliers": 3}}),
    gi.RunConfig.from_mapping({"task": {"operation": "custom", "table": ((0, 1), (1, 0))}}),
    gi.RunConfig.from_mapping({"task": {"shuffle_labels": True}, "train": {"batch_size": 64}}),
])  # fmt: skip
def test_every_kind_of_config_fits_one_line(config):
    line = config_line(config)
    assert "\n" not in line
    assert config.model.kind in line
    assert config.task.operation in line
    assert "None" not in line


def test_a_snapshot_shows_the_accuracy_and_loss_that_the_measure_finds(grokked_run):
    snapshot, table = grokked_run.snapshot(), grokked_run.table("accuracy_loss")
    text = shown(snapshot)
    for split in ("train", "test", "all"):
        row = table[(table["split"] == split) & (table["step"] == snapshot.step)].iloc[0]
        assert f"{split} {row['n_pairs']:,} {row['accuracy']:.4f} {row['loss']:.3g}" in text
    assert "x+y mod 31" in text


def test_a_snapshot_of_a_group_or_without_a_split_is_shown_too():
    config = small_config(task={"operation": "x.y", "group": "S3", "p": None})
    snapshot = gi.snapshot(gi.build_model(config), config.task)
    assert "all 36" in shown(snapshot)
    assert "test" not in shown(snapshot)


def test_a_snapshot_with_very_many_logits_is_not_run_for_its_display(monkeypatch):
    config = small_config()
    snapshot = gi.snapshot(gi.build_model(config), config.task, np.eye(7, dtype=bool))
    monkeypatch.setattr("grokinterp.displays.MAX_LOGITS", 7**3 - 1)
    assert "accuracy" not in shown(snapshot)
    assert "logits" not in vars(snapshot)


def test_an_analysis_shows_what_was_computed_kept_and_skipped(run):
    first = gi.analyze(run, ["weight_norm", "coset_purity"], show_progress=False)
    n = len(run.steps)
    assert f"weight_norm {2 * n} 0" in shown(first)
    assert "skipped coset_purity" in shown(first)
    assert repr(first) == "Outcome(computed=1, kept=0, skipped=1, failed=0, damaged=0)"
    again = gi.analyze(run, ["weight_norm"], show_progress=False)
    assert f"weight_norm 0 {2 * n}" in shown(again)


@pytest.mark.parametrize("measure", builtin_measures().values(), ids=lambda measure: measure.name)
def test_a_measure_shows_its_tables_and_columns(measure):
    text = shown(measure)
    for part in measure.parts.values():
        assert all(name in text and column.meaning in text for name, column in part.columns.items())


def test_curves_are_thinned_keep_their_last_point_and_are_left_out_where_there_are_none():
    rows = [{"step": i, "train_accuracy": i / 5000, "test_accuracy": None} for i in range(5001)]
    svg = accuracy_curves(rows, {"memorised": 4000, "generalised": None})
    assert len(svg) < 20 * POINTS + 2000
    assert "600.0,0.0'" in svg
    assert Reader(svg).text.count("train") == 1
    assert "test" not in Reader(svg).text
    assert accuracy_curves(rows[:1], {}) == ""
    assert accuracy_curves([{"step": 0}, {"step": 10}], {}) == ""


def test_facts_without_a_value_are_left_out():
    assert "empty" not in card("title", "kind", {"empty": "", "none": None, "zero": 0})
    assert "zero" in card("title", "kind", {"zero": 0})
