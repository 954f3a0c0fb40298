"""What is shown fits the terminal, and says what there is."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from grokinterp.runs.files import locked
from grokinterp.watch.frequencies import Keys
from grokinterp.watch.look import Watcher
from grokinterp.watch.sparkline import ASCII, BLOCKS, bars, columns
from grokinterp.watch.view import one_liner, run_view, standing
from watch.conftest import lines, write_run


@pytest.fixture
def look(run):
    """While it trains, with key frequencies."""
    with locked(run.lock_path, "x"):
        found = Watcher(run).look()
    return dataclasses.replace(found, keys=Keys((2, 3), 3, 30), speed=12.5)


def view(look, width=80, **options):
    return run_view(look, width, **options).plain.splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [10, 24, 60])
@pytest.mark.parametrize("state", ["training", "stopped", "killed", "finished", "recorded", "imported"])
def test_no_line_is_wider_than_the_terminal_and_the_curves_fill_it(width, height, state, look):
    shown = view(dataclasses.replace(look, state=state), width, lines=height)
    assert max(map(cell_len, shown)) <= width
    if width >= 60:
        assert any(cell_len(line) == width for line in shown)
        assert len(shown) <= max(height, 14)
        assert not any(line.endswith("...") for line in shown[1:])


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_says_all_that_was_asked_for(width, look):
    text = " ".join(view(look, width))
    for part in (
        "training, step 30 of 40",
        "12.5 steps/s",
        "about 1 s left",
        "memorised at step 0"[:9],
        "not grokked yet",
        "train loss",
        "test loss",
        "test accuracy",
        "0.2500",
        "squared weights 1,23",
        "key frequencies 2, 3",
        "W_L rule",
    ):
        assert part in text


def test_losses_share_a_logarithmic_scale_and_accuracies_go_from_0_to_1(look):
    shown = view(look)
    (train,), (test,) = ([line for line in shown if line.startswith(f"{name} loss")] for name in ("train", "test"))
    assert train.split()[2] == test.split()[2] == "3"  # the test loss, above all train losses
    assert [line.split()[2] for line in shown if " accuracy" in line] == ["1", "1"]
    assert shown[shown.index(train) + 2].split()[0] == "0.0645"  # 2 / 31


def test_without_characters_beyond_ascii_there_are_curves_too(look):
    shown = view(look, ascii_only=True)
    assert all(line.isascii() for line in shown)
    assert any("###" in line for line in shown)


def test_nothing_known_is_a_dash_and_no_curve(tmp_path):
    rundir = write_run(tmp_path / "run", checkpoints=())
    rundir.metrics_path.write_text('{"step": 0}\n{"step": 10, "train_loss": null, "test_loss": 0.0}\n')
    look = Watcher(rundir).look()
    shown = view(look)
    assert max(map(cell_len, shown)) <= 80
    assert "train loss -, accuracy -; test loss 0, accuracy -" in one_liner(look)
    rundir.metrics_path.write_text("")
    assert "no line of metrics yet" in " ".join(view(Watcher(rundir).look()))


def test_a_loss_of_zero_is_at_the_foot_of_the_scale(tmp_path):
    rundir = write_run(tmp_path / "run")
    rundir.metrics_path.write_text(lines([0, 10], train_loss=lambda step: 1.0 if step == 0 else 0.0, test_loss=0.5))
    shown = view(Watcher(rundir).look(), lines=10)
    (train,) = (line for line in shown if line.startswith("train loss"))
    assert train.split()[2] == "0"
    assert train[-1] == "▁"


def test_names_cannot_move_the_cursor_and_long_ones_are_cut(tmp_path):
    rundir = write_run(tmp_path / ("\x1b[2J\n[bold]" + "é" * 90))
    shown = view(Watcher(rundir).look(), 60)
    assert all(line.isprintable() for line in shown)
    assert shown[0].endswith("...")
    assert "[bold]" in "".join(view(Watcher(rundir).look(), 200))


def test_many_key_frequencies_are_counted(look):
    many = dataclasses.replace(look, keys=Keys(tuple(range(1, 50)), 56, 0))
    assert "key frequencies 49 of 56, none stands out" in " ".join(view(many))


def test_an_early_stop_makes_the_time_left_a_bound(tmp_path):
    rundir = write_run(tmp_path / "run", train={"stop_after_grokking": 10})
    look = dataclasses.replace(Watcher(rundir).look(), state="training", speed=1.0)
    assert "at most 10 s left" in one_liner(look)


def test_every_way_to_end_is_said_with_what_to_do(look):
    said = {state: standing(dataclasses.replace(look, state=state)) for state in ("stopped", "killed", "finished")}
    assert all("--resume" in said[state] and "step 30 of 40" in said[state] for state in ("stopped", "killed"))
    assert said["finished"] == "finished at step 30"
    assert standing(dataclasses.replace(look, state="finished", why="it is late")) == "finished at step 30: it is late"


# Bars ---------------------------------------------------------------------------------------------

values = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(values, st.integers(1, 4), st.booleans())
def test_bars_are_as_many_as_the_values_and_higher_for_larger_ones(found, height, ascii_only):
    known = [value for value in found if value is not None] or [0.0]
    ramp = ASCII if ascii_only else BLOCKS
    drawn = bars(found, min(known), max(known), height, ascii_only=ascii_only)
    assert [len(line) for line in drawn] == [len(found)] * height
    heights = [sum(ramp.index(line[i]) for line in drawn) for i in range(len(found))]
    assert all((level == 0) == (value is None) for level, value in zip(heights, found, strict=True))
    by_value = sorted((value, level) for value, level in zip(found, heights, strict=True) if value is not None)
    assert [level for _, level in by_value] == sorted(level for _, level in by_value)


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(-9, 9)), max_size=40), st.integers(1, 80))
def test_columns_lie_within_the_values_and_keep_gaps_only_before_the_first(points, width):
    points = sorted(points)
    found = columns(points, 500, width)
    assert len(found) == width
    known = [value for value in found if value is not None]
    assert found[width - len(known) :] == known
    for value in known:
        assert min(v for _, v in points) - 1e-9 <= value <= max(v for _, v in points) + 1e-9
