"""Figures for a paper: their width, their fonts, and that nothing is baked in that a caption says."""

import re
import shlex

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import grokinterp as gi
from grokinterp import plotting
from grokinterp.cli import run_command
from grokinterp.plotting import WIDTHS, style


@pytest.fixture(autouse=True)
def the_style_of_the_other_tests():
    """A call without `with` lasts; here it ends with the test."""
    with style("screen"):
        yield


def pdf_of(fig, tmp_path) -> bytes:
    fig.savefig(tmp_path / "figure.pdf")
    return (tmp_path / "figure.pdf").read_bytes()


def inches(pdf: bytes) -> float:
    """The width of the page."""
    (box,) = re.findall(rb"/MediaBox \[([^\]]*)\]", pdf)
    return float(box.split()[2]) / 72


def titled(columns: int = 1):
    fig, axes = plotting.figure(1, columns, width="text" if columns > 1 else "column", grid=True)
    for i, axis in enumerate(axes.flat):
        axis.plot([0, 1], [0, 1])
        axis.set_ylabel(r"$W_E$ and $\sigma$ − −1 (nats)")
        axis.set_title(f"panel {i}")
        axis.annotate("small", (0.5, 0.5), fontsize=5)
    fig.suptitle("a title")
    return fig


def words(fig) -> list[str]:
    return [text.get_text() for text in fig.findobj(Text) if text.get_text()]


def test_a_pdf_in_the_papers_style_embeds_true_type_fonts_and_no_type_3(tmp_path):
    with style("paper"):
        pdf = pdf_of(titled(), tmp_path)
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf  # TrueType, embedded
    assert b"/CIDFontType2" in pdf


def test_figures_are_as_wide_as_a_column_or_the_text(tmp_path):
    for given in ({}, {"column": 3.25, "text": 6.75}):
        expected = {**WIDTHS, **given}
        with style("paper", **given):
            for place in ("column", "text"):
                fig, _ = plotting.figure(width=place)
                assert inches(pdf_of(fig, tmp_path)) == pytest.approx(expected[place])
            few, _ = plotting.figure(1, 1, height=2.2, square=True)
            many, _ = plotting.figure(2, 4, height=1.9, square=True)
        assert inches(pdf_of(few, tmp_path)) == pytest.approx(expected["column"])
        assert inches(pdf_of(many, tmp_path)) == pytest.approx(expected["text"])


def test_no_title_is_drawn_but_panels_keep_what_tells_them_apart(tmp_path):
    with style("paper"):
        one, two = titled(), titled(2)
    for fig in (one, two):
        pdf_of(fig, tmp_path)
    assert not {"a title", "panel 0"} & {*words(one)}
    assert "a title" not in words(two)
    assert {"panel 0", "panel 1"} <= {*words(two)}
    screen = titled()
    pdf_of(screen, tmp_path)
    assert {"a title", "panel 0"} <= {*words(screen)}


def test_no_letter_is_smaller_than_7_or_larger_than_9_points(tmp_path):
    with style("paper"):
        fig = titled()
    pdf_of(fig, tmp_path)
    assert {7 <= text.get_fontsize() <= 9 for text in fig.findobj(Text)} == {True}


def test_figures_of_every_shape_are_ready_for_a_paper(grokked_run, tmp_path):
    names = ("overview", "attention", "clock_pizza", "progress_measures", "symbol_pca")
    with style("paper"):
        figures = {name: gi.plot(grokked_run, name) for name in names}
    for name, fig in figures.items():
        pdf = pdf_of(fig, tmp_path)
        assert b"/Type3" not in pdf, name
        assert inches(pdf) in [pytest.approx(width) for width in WIDTHS.values()], name
        assert all(7 <= text.get_fontsize() <= 9 for text in fig.findobj(Text) if text.get_text()), name
        assert fig.get_suptitle() == "", name


def test_a_block_ends_where_it_ends_and_a_call_lasts():
    before = dict(mpl.rcParams)
    with style("paper"):
        assert plotting.figure()[0].get_constrained_layout()
        assert mpl.rcParams["legend.fontsize"] == 7
        with style("screen"):
            assert mpl.rcParams["legend.fontsize"] == 6.5
        assert mpl.rcParams["legend.fontsize"] == 7
    assert dict(mpl.rcParams) == before
    style("paper", column=3.25)
    assert plotting.figure()[0].get_figwidth() == 3.25
    style("screen")
    assert plotting.figure()[0].get_figwidth() == WIDTHS["column"]


def test_a_block_that_fails_leaves_the_style_as_it_was():
    before = dict(mpl.rcParams)
    with pytest.raises(ZeroDivisionError), style("paper"):
        _ = 1 / 0
    assert dict(mpl.rcParams) == before


def test_a_figure_keeps_the_style_it_was_made_in(tmp_path):
    with style("paper"):
        paper = titled()
    screen = titled()
    with style("paper"):
        pdf_of(screen, tmp_path)
    pdf_of(paper, tmp_path)
    assert "a title" in words(screen)
    assert "a title" not in words(paper)


def test_a_figure_of_ones_own_follows_the_style(tmp_path):
    with style("paper", column=3.25):
        fig = Figure()
        fig.subplots().plot([0, 1], label="mine")
        pdf = pdf_of(fig, tmp_path)
    assert inches(pdf) == pytest.approx(3.25)
    assert b"/Type3" not in pdf
    assert fig.axes[0].get_lines()[0].get_color() == plotting.CYCLE[0]


@pytest.mark.parametrize(
    ("name", "widths", "says"),
    [
        ("papr", {}, "'papr' is not a figure style; choose from screen, paper"),
        ("paper", {"column": 7.5}, "column of 7.5 and a text of 6.9 inches"),
        ("paper", {"column": 0.1}, "1 <= column"),
        ("paper", {"text": float("nan")}, "text of nan"),
        ("paper", {"text": 600}, "text <= 40"),
    ],
)
def test_what_is_no_style_is_refused_and_nothing_changes(name, widths, says):
    before = dict(mpl.rcParams)
    with pytest.raises(gi.GrokinterpError, match=re.escape(says)):
        style(name, **widths)
    assert dict(mpl.rcParams) == before


def test_the_names_of_phases_are_put_in_two_lines_where_one_is_too_narrow(grokked_run):
    with style("paper", column=2.0):
        fig = gi.plot(grokked_run, "progress_measures")
    assert fig.legends[0]._ncols < len(grokked_run.phases.phases)


def test_the_command_draws_in_the_papers_style(grokked_run, tmp_path, capsys):
    command = f"figures {shlex.quote(str(grokked_run.path))} --only weight_norm --format pdf --style"
    for name in ("screen", "paper"):
        folder = tmp_path / name
        (folder / "measures").mkdir(parents=True)
        for path in grokked_run.rundir.measures.glob("weight_norm*"):
            (folder / "measures" / path.name).write_bytes(path.read_bytes())
        assert run_command([*shlex.split(command), name, "--out", str(folder)]) == 0
    screen, paper = ((tmp_path / name / "figures/weight_norm.pdf").read_bytes() for name in ("screen", "paper"))
    assert inches(screen) == inches(paper) == pytest.approx(WIDTHS["column"])
    assert screen != paper
    assert plotting.figure()[0].look.name == "screen"
    capsys.readouterr()
