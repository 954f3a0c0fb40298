"""Figures come from tables alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import grokinterp as gi
from grokinterp.figures import draw_figures, load_tables, measured
from grokinterp.measures.registry import builtin_measures

REDRAW = """
import sys
import grokinterp as gi
from grokinterp.figures import draw_figures
drawn = draw_figures(gi.open(sys.argv[1], out=sys.argv[2]), formats=sys.argv[3:])
print(len(drawn), sum(len(paths) for paths in drawn.values()))
print(sorted({"torch", "transformer_lens", "sklearn"} & set(sys.modules)))
"""


@pytest.fixture
def tables_only(grokked_run, tmp_path) -> Path:
    """What analysis left of a run, in a folder of its own."""
    for name in ("measures", "config.json", "metrics.jsonl", "summary.json", "phases.json"):
        source = grokked_run.path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    return tmp_path


STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.mark.parametrize("formats", [["png"], pytest.param(["pdf", "svg"], marks=pytest.mark.slow)], ids="-".join)
def test_figures_are_redrawn_without_torch_or_any_checkpoint(formats, tables_only):
    assert not (tables_only / "ckpts").exists()
    command = [sys.executable, "-W", "error", "-c", REDRAW, str(tables_only), str(tables_only), *formats]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    drawn = ["overview", *measured(gi.open(tables_only))]
    assert set(drawn) >= {name for name, measure in builtin_measures().items() if not measure.on_request} - {
        "coset_purity"
    }
    assert result.stdout.splitlines() == [f"{len(drawn)} {len(formats) * len(drawn)}", "[]"]
    for name in drawn:
        for form in formats:
            assert (tables_only / "figures" / f"{name}.{form}").read_bytes().startswith(STARTS[form])


def test_the_same_tables_give_the_same_bytes(tables_only):
    run = gi.open(tables_only)
    for form in ("png", "svg", "pdf"):
        first, second = (draw_figures(run, ["weight_norm"], (form,))["weight_norm"][0].read_bytes() for _ in range(2))
        assert first == second, form


def test_figures_go_where_out_says_and_leave_the_run_alone(tables_only, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    shutil.copytree(tables_only / "measures", out / "measures")
    before = {path: path.stat().st_mtime_ns for path in tables_only.rglob("*")}
    paths = draw_figures(gi.open(tables_only, out=out), ["accuracy_loss"])["accuracy_loss"]
    assert paths == [out / "figures" / "accuracy_loss.png"]
    assert {path: path.stat().st_mtime_ns for path in tables_only.rglob("*")} == before


def test_plot_gives_a_figure_over_the_steps_of_the_run(grokked_run):
    figure = gi.plot(grokked_run, "accuracy_loss")
    top, bottom = figure.axes
    assert bottom.get_xlabel() == "optimizer step"
    lines = {line.get_label(): line for line in top.get_lines()}
    table = grokked_run.table("accuracy_loss")
    for split in ("train", "test"):
        rows = table[table["split"] == split]
        assert lines[split].get_xdata().tolist() == rows["step"].tolist()
        assert lines[split].get_ydata().tolist() == rows["accuracy"].tolist()


def test_key_frequencies_have_the_same_colours_in_every_figure(grokked_run):
    keys = load_tables(grokked_run, builtin_measures()["logit_spectrum"]).keys
    assert list(keys) == list(grokked_run.key_frequencies.ks)
    colors = gi.plotting.frequency_colors(keys)
    assert len(set(colors.values())) == len(keys)
    for name in ("logit_spectrum", "embedding_spectrum"):
        labelled = {}
        for axis in gi.plot(grokked_run, name).axes:
            labelled |= {line.get_label(): line.get_color() for line in axis.get_lines()}
        assert {f"k = {k}": colors[k] for k in keys}.items() <= labelled.items()


def test_a_table_that_is_missing_is_named_with_what_to_do(tables_only):
    (tables_only / "measures" / "flatness.keskar.parquet").unlink()
    run = gi.open(tables_only)
    assert "flatness" not in measured(run)
    assert "weight_norm" in measured(run)
    with pytest.raises(gi.GrokinterpError, match=r"no table flatness\.keskar; run `grokinterp analyze"):
        gi.plot(run, "flatness")


def test_a_damaged_table_is_named_with_what_to_do(tables_only):
    (tables_only / "measures" / "weight_norm.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(gi.GrokinterpError, match=r"weight_norm\.parquet is damaged .*--force"):
        gi.plot(gi.open(tables_only), "weight_norm")


def test_what_cannot_be_drawn_is_refused(tables_only):
    run = gi.open(tables_only)
    with pytest.raises(gi.GrokinterpError, match="'gif' is not a figure format; choose from png"):
        draw_figures(run, formats=("gif",))
    with pytest.raises(gi.GrokinterpError, match=r"did you mean flatness\?"):
        gi.plot(run, "flatnes")
    shutil.rmtree(tables_only / "measures")
    with pytest.raises(gi.GrokinterpError, match="has no tables yet"):
        draw_figures(run)
