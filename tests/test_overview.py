"""The overview and the films are drawn from tables alone, and show what the tables hold."""

import shutil

import numpy as np
import pytest
from PIL import Image

import grokinterp as gi
from grokinterp.figures import draw_figures
from grokinterp.films import draw_films
from grokinterp.overview import overview


@pytest.fixture
def copied(grokked_run, tmp_path) -> gi.Run:
    """The grokked run without its checkpoints."""
    for name in ("measures", "config.json", "metrics.jsonl", "summary.json", "phases.json"):
        source = grokked_run.path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    return gi.open(tmp_path)


def labels_of(figure) -> list[str]:
    return [axis.get_ylabel().replace("\n", " ") for axis in figure.axes]


def test_the_overview_has_a_panel_for_each_named_measure(copied):
    figure = overview(copied)
    assert len(figure.axes) == 6
    assert labels_of(figure)[:3] == ["accuracy", "loss (nats)", "loss (nats)"]
    assert any("Gini" in label for label in labels_of(figure))
    assert any("squared" in label for label in labels_of(figure))
    assert any("noise" in label for label in labels_of(figure))


def test_the_lines_of_the_overview_are_the_tables(copied):
    figure = overview(copied)
    test_line = next(line for line in figure.axes[0].lines if line.get_label() == "test")
    assert np.array_equal(test_line.get_ydata(), copied.metrics["test_accuracy"])
    rows = copied.table("weight_norm")
    rows = rows[rows["group"] == "total"]
    assert any(np.array_equal(line.get_ydata(), rows["sum_of_squares"]) for axis in figure.axes for line in axis.lines)


def test_a_mark_stands_where_the_restricted_loss_crossed(copied):
    leads = copied.leads
    chosen = leads[(leads["measure"] == "progress_measures") & (leads["column"] == "restricted_loss")]
    step = next(r["step"] for r in chosen.to_dict("records") if r["where"].get("keys") == "last")
    marks = [line for line in overview(copied).axes[2].lines if line.get_marker() == "^" and len(line.get_xdata())]
    assert step in [line.get_xdata()[0] for line in marks]


def test_panels_without_their_table_are_left_out(copied):
    for path in copied.rundir.measures.glob("flatness*"):
        path.unlink()
    for path in copied.rundir.measures.glob("embedding_spectrum*"):
        path.unlink()
    figure = overview(copied)
    assert len(figure.axes) == 4
    assert not any("Gini" in label or "noise" in label for label in labels_of(figure))


def test_the_overview_is_drawn_with_the_figures_and_by_name(copied):
    (path,) = draw_figures(copied, ["overview"], show_progress=False)["overview"]
    assert path.name == "overview.png"
    assert len(gi.plot(copied, "overview").axes) == 6


def test_films_have_frames_of_one_size_that_differ(copied):
    paths = draw_films(copied, show_progress=False)
    assert [path.name for path in paths] == ["symbol_pca.gif", "embedding_spectrum.gif"]
    for path in paths:
        with Image.open(path) as film:
            assert film.n_frames >= 10
            first = np.asarray(film.convert("RGB")).astype(int)
            film.seek(film.n_frames - 1)
            last = np.asarray(film.convert("RGB")).astype(int)
        assert first.shape == last.shape
        assert (np.abs(first - last).sum(axis=2) > 60).mean() > 0.005


def test_films_of_the_named_measures_alone(copied):
    assert [path.name for path in draw_films(copied, ["symbol_pca", "flatness"], show_progress=False)] == [
        "symbol_pca.gif"
    ]
    with pytest.raises(gi.GrokinterpError, match="films exist of symbol_pca and embedding_spectrum"):
        draw_films(copied, ["flatness"])


def test_films_need_their_tables(copied):
    for path in copied.rundir.measures.glob("*.parquet"):
        path.unlink()
    with pytest.raises(gi.GrokinterpError, match="no tables to film"):
        draw_films(copied)
